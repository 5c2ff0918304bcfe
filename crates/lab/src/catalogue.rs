//! Everything that can be named in a spec, as data: what `list` shows.

use cormorant_learn::estimator::Kind;
use cormorant_learn::eval::split::SPLITS;
use cormorant_learn::models::MODELS;
use cormorant_learn::params::ParamSpec;
use cormorant_learn::prep::PREPARATIONS;
use cormorant_learn::query::STRATEGIES;
use cormorant_net::features::frames::{FRAME_SETS, FrameSet};
use cormorant_net::features::{ColumnKind, FEATURE_SETS, RowField, RowKind, SetSpec, identity, range};
use serde::Serialize;

use crate::output::Format;

/// Everything that can be named.
#[derive(Clone, Debug, Serialize)]
pub struct Catalogue {
    /// Feature sets.
    pub features: Vec<FeatureSet>,
    /// Learning algorithms.
    pub models: Vec<Model>,
    /// Ways to choose what an expert is asked.
    pub strategies: Vec<Strategy>,
    /// Table formats.
    pub formats: Vec<Named>,
    /// Ways to hold rows out.
    pub splits: Vec<Split>,
    /// Preparation steps.
    pub preparations: Vec<Preparation>,
}

/// A feature set.
#[derive(Clone, Debug, Serialize)]
pub struct FeatureSet {
    /// As given to `--features`.
    pub name: &'static str,
    /// What it is good for and where it comes from.
    pub doc: &'static str,
    /// What a row is: `flow`, `packet` or `host`. Sets of one table have rows of one kind.
    pub row: &'static str,
    /// What may follow the name after colons.
    pub options: Vec<SetOption>,
    /// Columns that say which row it is, never features.
    pub identity: Vec<Column>,
    /// Feature columns.
    pub features: usize,
    /// Its columns in their order, those that differ only in a number as one; empty when they depend on the capture.
    pub columns: Vec<Column>,
}

/// What may follow a feature set's name.
#[derive(Clone, Debug, Serialize)]
pub struct SetOption {
    /// As typed, colon included.
    pub example: String,
    /// What it does.
    pub doc: &'static str,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Name; `name_1..name_8` for one that repeats.
    pub name: String,
    /// Unit; `1` for plain ratios and indicators, empty for text.
    pub unit: &'static str,
    /// `f64`, `i64`, `u64` or `text`.
    pub kind: &'static str,
    /// Which values it can take with the set's default options; empty for text and identity columns.
    pub range: String,
    /// Exact definition and source.
    pub doc: &'static str,
}

/// A learning algorithm.
#[derive(Clone, Debug, Serialize)]
pub struct Model {
    /// As given to `-m`.
    pub name: &'static str,
    /// `classifier` or `novelty`.
    pub kind: &'static str,
    /// What it is, with its source.
    pub doc: &'static str,
    /// Hyperparameters.
    pub params: Vec<Param>,
}

/// A parameter.
#[derive(Clone, Debug, Serialize)]
pub struct Param {
    /// As in `-p name=value`.
    pub name: &'static str,
    /// Type and range in words.
    pub accepts: String,
    /// What it is when not given.
    pub default: &'static str,
    /// Meaning and unit.
    pub doc: &'static str,
}

/// A way to hold rows out.
#[derive(Clone, Debug, Serialize)]
pub struct Split {
    /// Before the colon of `--split`.
    pub name: &'static str,
    /// How it is typed, with its default argument.
    pub example: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// A preparation step.
#[derive(Clone, Debug, Serialize)]
pub struct Preparation {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Its parameters.
    pub params: Vec<Param>,
}

/// A way to choose what an expert is asked.
#[derive(Clone, Debug, Serialize)]
pub struct Strategy {
    /// As given to `--strategy`.
    pub name: &'static str,
    /// What it asks and why, with its source.
    pub doc: &'static str,
    /// Its parameters.
    pub params: Vec<Param>,
}

/// A name and what it stands for.
#[derive(Clone, Debug, Serialize)]
pub struct Named {
    /// The name.
    pub name: &'static str,
    /// What it stands for.
    pub doc: &'static str,
}

/// Everything this build can name.
#[must_use]
pub fn catalogue() -> Catalogue {
    Catalogue {
        features: feature_sets(),
        models: MODELS.iter().map(|model| self::model(model)).collect(),
        strategies: STRATEGIES
            .iter()
            .map(|one| Strategy { name: one.name, doc: one.doc, params: params(one.params) })
            .collect(),
        formats: Format::ALL.into_iter().map(format).collect(),
        splits: SPLITS
            .iter()
            .map(|split| Split { name: split.name, example: split.example, doc: split.doc })
            .collect(),
        preparations: PREPARATIONS
            .iter()
            .map(|step| Preparation { name: step.name, doc: step.doc, params: params(step.params) })
            .collect(),
    }
}

fn feature_sets() -> Vec<FeatureSet> {
    let flows = FEATURE_SETS.iter().map(|set| feature_set(set));
    flows.chain(FRAME_SETS.iter().map(|set| frame_set(set))).collect()
}

fn feature_set(set: &cormorant_net::features::FeatureSet) -> FeatureSet {
    let column = |column: &cormorant_net::features::Column| Column {
        name: match column.width {
            1 => column.name.to_owned(),
            width => format!("{0}_1..{0}_{width}", column.name),
        },
        unit: column.unit,
        kind: kind(column.kind),
        range: range_in_words(set.name, column.name, column.unit, column.kind),
        doc: column.doc,
    };
    FeatureSet {
        name: set.name,
        doc: set.doc,
        row: RowKind::Flow.name(),
        options: Vec::new(),
        identity: columns(set.name, &identity::fields(), true),
        features: set.columns.iter().map(|column| column.width).sum(),
        columns: set.columns.iter().map(column).collect(),
    }
}

fn frame_set(set: &FrameSet) -> FeatureSet {
    let fields = (set.fields)(&SetSpec::plain(set.name)).ok().flatten().unwrap_or_default();
    let option = |option: &cormorant_net::features::frames::SetOption| SetOption {
        example: match option.value {
            None => format!(":{}", option.name),
            Some(value) => format!(":{}={value}", option.name),
        },
        doc: option.doc,
    };
    FeatureSet {
        name: set.name,
        doc: set.doc,
        row: set.kind.name(),
        options: set.options.iter().map(option).collect(),
        identity: columns(set.name, &fields, true),
        features: fields.iter().filter(|field| !field.identity).count(),
        columns: columns(set.name, &fields, false),
    }
}

/// The identity columns, or the others; those that differ only in a number at the end as one.
fn columns(set: &str, fields: &[RowField], identity: bool) -> Vec<Column> {
    let mut runs: Vec<(Column, String)> = Vec::new();
    for field in fields.iter().filter(|field| field.identity == identity) {
        match runs.last_mut() {
            Some((column, last)) if column.doc == field.doc && stem(last) == stem(&field.name) => {
                last.clone_from(&field.name);
            }
            _ => {
                let name = field.name.clone();
                let range = match identity {
                    true => String::new(),
                    false => range_in_words(set, &name, field.unit, field.kind),
                };
                let column = Column { name, unit: field.unit, kind: kind(field.kind), range, doc: field.doc };
                runs.push((column, field.name.clone()));
            }
        }
    }
    let whole = |(column, last): (Column, String)| match column.name == last {
        true => column,
        false => Column { name: format!("{}..{last}", column.name), ..column },
    };
    runs.into_iter().map(whole).collect()
}

fn range_in_words(set: &str, name: &str, unit: &str, kind: ColumnKind) -> String {
    range(set, name, unit, kind).map_or_else(String::new, |range| range.to_string())
}

/// A name without the number at its end.
fn stem(name: &str) -> &str {
    name.trim_end_matches(|character: char| character.is_ascii_digit())
}

fn kind(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::F64 => "f64",
        ColumnKind::I64 => "i64",
        ColumnKind::U64 => "u64",
        ColumnKind::Text => "text",
        ColumnKind::F64List => "list of f64",
    }
}

fn model(spec: &cormorant_learn::estimator::ModelSpec) -> Model {
    let kind = match spec.kind {
        Kind::Classifier => "classifier",
        Kind::Novelty => "novelty",
    };
    Model { name: spec.name, kind, doc: spec.doc, params: params(spec.params) }
}

fn params(specs: &'static [ParamSpec]) -> Vec<Param> {
    let param = |spec: &ParamSpec| Param {
        name: spec.name,
        accepts: spec.kind.to_string(),
        default: spec.default,
        doc: spec.doc,
    };
    specs.iter().map(param).collect()
}

fn format(format: Format) -> Named {
    let doc = match format {
        Format::Parquet => {
            "Apache Parquet, compressed; roles, units and the schema digest are in its metadata"
        }
        Format::Csv => "comma-separated values with a header; also what `-o -` writes",
        Format::Ndjson => "one JSON object per line",
        Format::Arrow => "Arrow IPC file, also known as Feather version 2, with the same metadata as Parquet",
    };
    Named { name: format.name(), doc }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_lists_what_the_tables_hold_with_texts() {
        let all = catalogue();
        assert!(all.features.iter().any(|set| set.name == "flow" && set.columns.len() > 60));
        assert!(all.models.iter().any(|model| model.name == "random-forest" && !model.params.is_empty()));
        assert!(
            all.splits.iter().all(|split| split.example.starts_with(split.name) && !split.doc.is_empty())
        );
        assert_eq!(all.formats.len(), 4);
        serde_json::to_string(&all).unwrap();
    }
}
