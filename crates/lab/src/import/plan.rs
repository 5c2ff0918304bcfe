//! What becomes of the columns of a foreign table: names, units and roles, and how the truth about a row is told.

use std::borrow::Cow;

use arrow::array::{ArrayRef, Int64Array, StringBuilder};
use arrow::datatypes::{DataType, Field};
use cormorant_learn::table::{BENIGN, MALICIOUS, Role};
use std::sync::Arc;

use super::columns::{Check, Fault, Kind, Missing};
use super::table::Tally;
use super::times::Clock;
use crate::LabError;
use crate::plain::plain;
use crate::tables::{batch, names};

/// Names that the program gives a meaning of its own.
const RESERVED: [&str; 5] = [names::LABEL, names::FAMILY, names::CLASS, names::CAPTURE, names::FIRST_NS];
/// Who an instance is, where a format has such a column beside those planned.
const IDENT: &str = "ident";
/// An attack's name is one of a few; more of them mean that the column is another one.
const MOST_FAMILIES: usize = 10_000;

/// What a header comes to.
pub(super) struct Plan {
    /// Identity and feature columns.
    pub(super) columns: Vec<Planned>,
    /// Where the truth about a row stands, if anywhere.
    pub(super) truth: Option<Truth>,
    /// The column with the time.
    pub(super) time: Option<(usize, Clock)>,
    /// The column whose rows belong together.
    pub(super) group: Option<usize>,
    /// Words that mean a missing value.
    pub(super) missing: Missing,
    /// Whether text that is not UTF-8 is Windows-1252.
    pub(super) western: bool,
    /// What else is worth knowing, in sentences.
    pub(super) notes: Vec<String>,
}

/// One column to be kept.
pub(super) struct Planned {
    /// Its place among the fields of a row.
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) role: Role,
    pub(super) wanted: Wanted,
}

/// How a column's type is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// By all of its values.
    Seen,
    /// By all of its values, which are numbers.
    Numbers,
    /// Beforehand.
    Fixed(Kind, Check),
}

/// How the truth about a row is told.
pub(super) struct Truth {
    /// The fields it takes.
    pub(super) places: Vec<usize>,
    /// What it says beside the label.
    pub(super) says: Says,
    /// Tells it from those fields; `None` where a value is missing. A fault is of the field at that place in `places`.
    pub(super) judge: Judge,
}

/// Columns that the truth fills beside the label.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Says {
    pub(super) family: bool,
    pub(super) class: bool,
    pub(super) ident: bool,
    pub(super) time: bool,
}

/// See [`Truth::judge`].
pub(super) type Judge = Box<dyn Fn(&[Option<Cow<'_, str>>]) -> Result<Verdict, (usize, Fault)> + Send>;

/// The truth about a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// Whether it is malicious, when somebody knows.
    pub(super) malicious: Option<bool>,
    pub(super) family: Option<Cow<'static, str>>,
    pub(super) class: Option<&'static str>,
    pub(super) ident: Option<String>,
    pub(super) time_ns: i64,
}

impl Plan {
    /// A plan of these columns and nothing else.
    pub(super) fn of(columns: Vec<Planned>) -> Self {
        Self {
            columns,
            truth: None,
            time: None,
            group: None,
            missing: Missing::never(),
            western: false,
            notes: Vec::new(),
        }
    }

    fn says(&self) -> Says {
        self.truth.as_ref().map(|truth| truth.says).unwrap_or_default()
    }

    /// The columns of the table, identities first, the label last; `kinds` has the type of each planned column.
    pub(super) fn fields(&self, kinds: &[Kind]) -> Vec<Field> {
        let text = |name, role| batch::field(name, DataType::Utf8, role, "").with_nullable(true);
        let of = |role| {
            let chosen = self.columns.iter().zip(kinds).filter(move |(column, _)| column.role == role);
            chosen.map(|(column, kind)| {
                batch::field(&column.name, kind.data_type(), column.role, column.unit).with_nullable(true)
            })
        };
        let says = self.says();
        let mut fields = Vec::new();
        fields.extend(says.ident.then(|| text(IDENT, Role::Identity)));
        fields.extend(of(Role::Identity));
        fields.extend(says.class.then(|| text(names::CLASS, Role::Identity)));
        fields.extend(self.group.map(|_| text(names::CAPTURE, Role::Group)));
        if self.time.is_some() || says.time {
            fields.push(batch::field(names::FIRST_NS, DataType::Int64, Role::Time, "ns"));
        }
        fields.extend(of(Role::Feature));
        if self.truth.is_some() {
            fields.push(text(names::LABEL, Role::Label));
        }
        fields.extend(says.family.then(|| text(names::FAMILY, Role::Family)));
        fields
    }

    /// The arrays of a batch in the order of [`Plan::fields`]; `columns` has that of each planned column.
    pub(super) fn arrays(&self, columns: &[ArrayRef], rows: RowTruths) -> Vec<ArrayRef> {
        let of = |role| {
            let chosen = self.columns.iter().zip(columns).filter(move |(column, _)| column.role == role);
            chosen.map(|(_, array)| Arc::clone(array))
        };
        let says = self.says();
        let text = |mut builder: StringBuilder| -> ArrayRef { Arc::new(builder.finish()) };
        let mut arrays = Vec::new();
        arrays.extend(says.ident.then(|| text(rows.idents)));
        arrays.extend(of(Role::Identity));
        arrays.extend(says.class.then(|| text(rows.classes)));
        arrays.extend(self.group.map(|_| text(rows.groups)));
        if self.time.is_some() || says.time {
            arrays.push(Arc::new(Int64Array::from(rows.times)));
        }
        arrays.extend(of(Role::Feature));
        if self.truth.is_some() {
            arrays.push(text(rows.labels));
        }
        arrays.extend(says.family.then(|| text(rows.families)));
        arrays
    }

    /// No two columns may have one name, and none a name with a meaning of its own: such a one is told and renamed.
    ///
    /// # Errors
    /// [`LabError::Table`] for a name that two columns have, or a plan without features.
    pub(super) fn settle(mut self, file: &str) -> Result<Self, LabError> {
        let ident = self.says().ident;
        for place in 0..self.columns.len() {
            let name = self.columns[place].name.clone();
            if RESERVED.contains(&name.as_str()) || (ident && name == IDENT) {
                let mut other = format!("{name}_column");
                while self.columns.iter().any(|column| column.name == other) {
                    other.push('_');
                }
                self.notes.push(format!("column `{name}` is called `{other}`: `{name}` has its own meaning"));
                self.columns[place].name = other;
            }
        }
        let mut seen = std::collections::HashSet::new();
        let twice = self.columns.iter().find(|column| !seen.insert(column.name.as_str()));
        let refuse = |expected: &str, found: String, advice: &str| LabError::Table {
            place: format!("{file}, header"),
            expected: expected.to_owned(),
            found,
            advice: advice.to_owned(),
        };
        if let Some(twice) = twice {
            return Err(refuse(
                "one distinct name per column",
                format!("`{}` twice", plain(&twice.name)),
                "rename one of them, or leave them out with --drop",
            ));
        }
        if !self.columns.iter().any(|column| column.role == Role::Feature) {
            return Err(refuse(
                "at least one column to learn from",
                format!("{} columns, none of them a feature", self.columns.len()),
                "check --as and the delimiter, or name columns with --feature",
            ));
        }
        Ok(self)
    }
}

/// The truths about the rows of a batch, as columns.
#[derive(Default)]
pub(super) struct RowTruths {
    idents: StringBuilder,
    classes: StringBuilder,
    groups: StringBuilder,
    times: Vec<i64>,
    labels: StringBuilder,
    families: StringBuilder,
}

impl RowTruths {
    /// Takes a row of which all is known to be good.
    ///
    /// # Errors
    /// [`LabError::Table`] when there are too many families to be families.
    pub(super) fn push(
        &mut self,
        verdict: &Verdict,
        time_ns: Option<i64>,
        group: Option<&str>,
        tally: &mut Tally,
    ) -> Result<(), LabError> {
        let label = verdict.malicious.map(|malicious| if malicious { MALICIOUS } else { BENIGN });
        tally.count_label(label.unwrap_or("unlabelled"));
        if let Some(family) = &verdict.family
            && tally.count_family(family) > MOST_FAMILIES
        {
            return Err(LabError::Table {
                place: "families".to_owned(),
                expected: format!("at most {MOST_FAMILIES} names of attacks"),
                found: "more".to_owned(),
                advice: "--label or --family names a column that is something else".to_owned(),
            });
        }
        if let Some(class) = verdict.class {
            tally.count_class(class);
        }
        self.idents.append_option(verdict.ident.as_deref());
        self.classes.append_option(verdict.class);
        self.groups.append_option(group);
        self.times.push(time_ns.unwrap_or(verdict.time_ns));
        self.labels.append_option(label);
        self.families.append_option(verdict.family.as_deref());
        Ok(())
    }

    /// Rows taken.
    pub(super) fn rows(&self) -> usize {
        self.times.len()
    }
}

/// What a row is when it has no truth.
pub(super) fn unknown() -> Verdict {
    Verdict::default()
}
