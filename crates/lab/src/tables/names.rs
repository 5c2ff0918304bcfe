//! What a column is by its name alone, for files that carry no metadata, and the words roles are stored as.

use std::collections::HashMap;
use std::sync::LazyLock;

use arrow::datatypes::DataType;
use cormorant_learn::table::Role;
use cormorant_net::features::frames::{FRAME_SETS, FrameSet};
use cormorant_net::features::{ColumnKind, FEATURE_SETS, FeatureSet, RowField, SetSpec, core, row_schema};

use super::batch::data_type;

/// Name of the capture a row is from: rows of one capture are one group.
pub(crate) const CAPTURE: &str = "capture";
/// `benign` or `malicious`.
pub(crate) const LABEL: &str = "label";
/// Family of a malicious row, activity of a benign one.
pub(crate) const FAMILY: &str = "family";
/// Time of a flow's first packet.
pub(crate) const FIRST_NS: &str = "first_ns";
/// Time of a flow's latest packet.
pub(crate) const LAST_NS: &str = "last_ns";
/// Community ID of a flow.
pub(crate) const COMMUNITY_ID: &str = "community_id";
/// Text that hardly any two rows share.
pub(crate) const UNIQUE: [&str; 2] = ["flow_id", COMMUNITY_ID];
/// Columns that `score` adds; never features when they are read back.
pub(crate) const SCORE: &str = "score";
/// `malicious` or `benign`, as the threshold says.
pub(crate) const VERDICT: &str = "verdict";
/// The likeliest class of a model with several.
pub(crate) const PREDICTED: &str = "predicted";
/// What probabilities of classes are called: this and the class.
pub(crate) const PROBABILITY: &str = "probability_";
/// What `target=class` tells apart.
pub(crate) const CLASS: &str = "class";

/// The role of a column that says nothing of itself.
pub(crate) fn role_of(name: &str) -> Role {
    match name {
        LABEL => Role::Label,
        FAMILY => Role::Family,
        CAPTURE => Role::Group,
        FIRST_NS => Role::Time,
        SCORE | VERDICT | PREDICTED | CLASS => Role::Identity,
        _ if name.starts_with(PROBABILITY) => Role::Identity,
        _ if COLUMNS.get(name).is_some_and(|field| field.identity) => Role::Identity,
        _ => Role::Feature,
    }
}

/// The word a role is stored as in Arrow field metadata.
pub(crate) fn word_of(role: Role) -> &'static str {
    match role {
        Role::Identity => "identity",
        Role::Feature => "feature",
        Role::Label => "label",
        Role::Family => "family",
        Role::Group => "group",
        Role::Time => "time",
    }
}

/// The role of a stored word.
pub(crate) fn role_of_word(word: &str) -> Option<Role> {
    [Role::Identity, Role::Feature, Role::Label, Role::Family, Role::Group, Role::Time]
        .into_iter()
        .find(|&role| word_of(role) == word)
}

/// The unit of a column that the program itself makes.
pub(crate) fn unit_of(name: &str) -> Option<&'static str> {
    COLUMNS.get(name).map(|field| field.unit)
}

/// What a column that the program itself makes holds.
pub(crate) fn type_of(name: &str) -> Option<DataType> {
    match name {
        CAPTURE | LABEL | FAMILY | VERDICT | PREDICTED | CLASS => Some(DataType::Utf8),
        _ => COLUMNS.get(name).map(|field| data_type(field.kind)),
    }
}

/// Whether a column is text that the program itself makes of every flow: never missing, though it may be empty.
pub(crate) fn is_identity_text(name: &str) -> bool {
    COLUMNS.get(name).is_some_and(|field| field.identity && field.kind == ColumnKind::Text)
}

/// The feature sets all of whose columns are among these: what made a table that does not say so itself.
pub(crate) fn sets_within(names: &[&str]) -> Vec<String> {
    let whole = |set: &'static FeatureSet| {
        row_schema(&[set]).is_ok_and(|schema| {
            schema
                .fields
                .iter()
                .filter(|field| !field.identity)
                .all(|field| names.contains(&field.name.as_str()))
        })
    };
    FEATURE_SETS.iter().copied().filter(|set| whole(set)).map(|set| set.name.to_owned()).collect()
}

/// Every column that the program itself makes, by name. A name has one meaning among the sets of flows; those with rows
/// of another kind come after them.
static COLUMNS: LazyLock<HashMap<String, RowField>> = LazyLock::new(|| {
    let sets = FEATURE_SETS.iter().copied().chain([&core::SET]);
    let flows = sets.filter_map(|set| row_schema(&[set]).ok()).flat_map(|schema| schema.fields.clone());
    let frames = FRAME_SETS.iter().flat_map(|set| frame_fields(set));
    let mut columns = HashMap::new();
    for field in flows.chain(frames) {
        columns.entry(field.name.clone()).or_insert(field);
    }
    columns
});

/// The columns of a set with rows of its own, also those that an option adds.
fn frame_fields(set: &FrameSet) -> Vec<RowField> {
    let switches = set.options.iter().filter(|option| option.value.is_none());
    let specs = switches.map(|option| SetSpec::with_option(set.name, option.name));
    let fields = |spec: SetSpec| (set.fields)(&spec).ok().flatten().unwrap_or_default();
    std::iter::once(SetSpec::plain(set.name)).chain(specs).flat_map(fields).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_program_gives_have_their_roles() {
        assert_eq!(role_of("label"), Role::Label);
        assert_eq!(role_of("capture"), Role::Group);
        assert_eq!(role_of("first_ns"), Role::Time);
        assert_eq!(role_of("flow_id"), Role::Identity);
        assert_eq!(role_of("destination_port"), Role::Identity);
        assert_eq!(role_of("some_number"), Role::Feature);
    }

    #[test]
    fn every_role_has_a_word_that_leads_back() {
        for role in [Role::Identity, Role::Feature, Role::Label, Role::Family, Role::Group, Role::Time] {
            assert_eq!(role_of_word(word_of(role)), Some(role));
        }
    }
}
