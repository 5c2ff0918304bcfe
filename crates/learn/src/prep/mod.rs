//! Preparation of feature columns into a matrix: one file per step, one line in [`PREPARATIONS`].
//!
//! Steps are fitted on training rows only and saved in the pipeline. Every column that comes out knows the feature it came
//! from, so that contributions find their way back.

mod drop_constant;
mod fixed_width;
mod impute;
mod one_hot;
mod pca;
mod signed_log;
mod standard;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::estimator::ModelSpec;
use crate::matrix::Matrix;
use crate::params::{ParamSpec, Params};
use crate::table::{Column, FeatureKind, Schema, Table};

/// Every preparation step the program has.
pub static PREPARATIONS: &[&PrepSpec] = &[
    &fixed_width::SPEC,
    &signed_log::SPEC,
    &impute::SPEC,
    &one_hot::SPEC,
    &drop_constant::SPEC,
    &standard::SPEC,
    &pca::SPEC,
];

/// Learns a step from columns.
pub type FitStep = fn(&Params, &[Values<'_>]) -> Result<Box<dyn Step>, LearnError>;
/// Reads a saved step.
pub type LoadStep = fn(&[u8]) -> Result<Box<dyn Step>, LearnError>;

/// One line of [`PREPARATIONS`].
pub struct PrepSpec {
    /// Name on the command line and in model files.
    pub name: &'static str,
    /// What it does, in a sentence or two.
    pub doc: &'static str,
    /// Whether it takes list columns; they must have become numbers before any other step.
    pub takes_lists: bool,
    /// Parameters with type, range and default.
    pub params: &'static [ParamSpec],
    /// Learns from the columns of the training rows.
    pub fit: FitStep,
    /// What [`Step::save`] wrote, checked so that no later call can panic.
    pub load: LoadStep,
}

/// A step by name, with the parameters that differ from its defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSpec {
    /// Name in [`PREPARATIONS`].
    pub name: String,
    /// Parameters as typed.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

impl StepSpec {
    /// The step of this name with its defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: BTreeMap::new() }
    }
}

/// A column on its way: what it is called, what it holds and which feature it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Name, made from the feature's ("service=http").
    pub name: String,
    /// Number, word or list.
    pub kind: FeatureKind,
    /// Place of its feature in the schema.
    pub source: usize,
}

/// The values of a column on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Values<'a> {
    /// Numbers; NaN = missing, never infinite.
    Numbers(Vec<f64>),
    /// Words by code; [`crate::table::MISSING`] = missing.
    Words {
        /// Per row.
        codes: Vec<u32>,
        /// The dictionary of the table.
        words: &'a [String],
    },
    /// Lists of numbers as the table has them, per row.
    Lists(Vec<&'a [f64]>),
}

/// A fitted step.
pub trait Step: Send + Sync {
    /// The columns that come out when `columns` go in.
    ///
    /// # Errors
    /// [`LearnError::Schema`] when the step was fitted on columns of another number or kind.
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError>;

    /// Transforms columns whose outline [`Step::outline`] has accepted.
    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>>;

    /// The fitted state as named MessagePack maps, read back by [`PrepSpec::load`].
    ///
    /// # Errors
    /// [`LearnError::File`] when it cannot be written.
    fn save(&self) -> Result<Vec<u8>, LearnError>;
}

/// The step of this name.
///
/// # Errors
/// [`LearnError::Unknown`] with the names that exist.
pub fn find(name: &str) -> Result<&'static PrepSpec, LearnError> {
    PREPARATIONS.iter().find(|spec| spec.name == name).copied().ok_or_else(|| LearnError::Unknown {
        kind: "preparation step",
        name: name.to_owned(),
        known: PREPARATIONS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", "),
    })
}

/// The steps a model gets for features of this schema when none are asked for.
#[must_use]
pub fn default_steps(model: &ModelSpec, schema: &Schema) -> Vec<StepSpec> {
    let has_lists = schema.features.iter().any(|feature| feature.kind == FeatureKind::List);
    let first = has_lists.then_some(fixed_width::SPEC.name);
    let names: &[&str] = match (model.wants_scaling, model.takes_missing) {
        (true, _) => &["signed-log", "impute", "one-hot", "drop-constant", "standard"],
        (false, true) => &["one-hot", "drop-constant"],
        (false, false) => &["impute", "one-hot", "drop-constant"],
    };
    first.iter().chain(names).map(|name| StepSpec::new(*name)).collect()
}

/// A chain of fitted steps from the features of one schema to the columns of a matrix.
pub struct Preparation {
    steps: Vec<Fitted>,
    columns: Vec<Outline>,
}

struct Fitted {
    spec: &'static PrepSpec,
    params: Params,
    step: Box<dyn Step>,
}

/// A fitted step as a model file keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedStep {
    name: String,
    params: Params,
    #[serde(with = "crate::corm::bytes")]
    state: Vec<u8>,
}

impl Preparation {
    /// Fits each step on the given rows, as the steps before it leave them, and returns the prepared rows as well.
    ///
    /// # Errors
    /// [`LearnError::Unknown`] and [`LearnError::Parameter`] for bad specs, [`LearnError::Data`] when a text column is left over.
    pub fn fit(specs: &[StepSpec], table: &Table, rows: &[usize]) -> Result<(Self, Matrix), LearnError> {
        let mut columns = outline_of(&table.schema());
        let mut values = values_of(table, rows.iter().copied());
        let mut steps = Vec::new();
        for step_spec in specs {
            let spec = find(&step_spec.name)?;
            let params = Params::check(spec.name, spec.params, &step_spec.params)?;
            check_lists(spec, &columns)?;
            let step = (spec.fit)(&params, &values)?;
            columns = step.outline(&columns)?;
            values = step.apply(values);
            steps.push(Fitted { spec, params, step });
        }
        check_numbers(&columns)?;
        Ok((Self { steps, columns }, to_matrix(&values, rows.len())))
    }

    /// Prepares the given rows of a table of the schema this was fitted on.
    #[must_use]
    pub fn apply(&self, table: &Table, rows: impl ExactSizeIterator<Item = usize> + Clone) -> Matrix {
        let count = rows.len();
        let values =
            self.steps.iter().fold(values_of(table, rows), |values, fitted| fitted.step.apply(values));
        to_matrix(&values, count)
    }

    /// The columns of the matrix.
    #[must_use]
    pub fn columns(&self) -> &[Outline] {
        &self.columns
    }

    /// Names of the steps in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.steps.iter().map(|fitted| fitted.spec.name)
    }

    /// The steps as a model file keeps them.
    ///
    /// # Errors
    /// [`LearnError::File`] when a step cannot be written.
    pub fn save(&self) -> Result<Vec<SavedStep>, LearnError> {
        let save = |fitted: &Fitted| {
            let (name, params) = (fitted.spec.name.to_owned(), fitted.params.clone());
            Ok(SavedStep { name, params, state: fitted.step.save()? })
        };
        self.steps.iter().map(save).collect()
    }

    /// Reads saved steps and checks that they form a chain from this schema to a matrix.
    ///
    /// # Errors
    /// [`LearnError::File`] for damaged steps, [`LearnError::Schema`] when they do not fit together.
    pub fn load(saved: &[SavedStep], schema: &Schema) -> Result<Self, LearnError> {
        let mut columns = outline_of(schema);
        let mut steps = Vec::new();
        for SavedStep { name, params, state } in saved {
            let spec = find(name)?;
            let given = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let params = Params::check(spec.name, spec.params, &given)?;
            check_lists(spec, &columns)?;
            let step = (spec.load)(state)?;
            columns = step.outline(&columns)?;
            if columns.len() > MOST_COLUMNS {
                return Err(LearnError::File(format!(
                    "step `{name}` makes more than {MOST_COLUMNS} columns"
                )));
            }
            steps.push(Fitted { spec, params, step });
        }
        check_numbers(&columns)?;
        Ok(Self { steps, columns })
    }
}

/// No pipeline makes more columns than this; a file that says so is refused.
const MOST_COLUMNS: usize = 1 << 20;

fn outline_of(schema: &Schema) -> Vec<Outline> {
    let outline = |(source, feature): (usize, &crate::table::Feature)| Outline {
        name: feature.name.clone(),
        kind: feature.kind,
        source,
    };
    schema.features.iter().enumerate().map(outline).collect()
}

/// Infinite values become the largest finite ones: a rate over no time is huge, not absent.
fn values_of(table: &Table, rows: impl Iterator<Item = usize> + Clone) -> Vec<Values<'_>> {
    table.features().map(|(_, column)| column_values(column, rows.clone())).collect()
}

fn column_values(column: &Column, rows: impl Iterator<Item = usize>) -> Values<'_> {
    match column {
        Column::Text(text) => {
            Values::Words { codes: rows.map(|row| text.codes[row]).collect(), words: &text.words }
        }
        Column::List(lists) => Values::Lists(rows.map(|row| lists.get(row)).collect()),
        numbers => Values::Numbers(rows.map(|row| finite(numbers.number(row))).collect()),
    }
}

fn finite(value: f64) -> f64 {
    value.clamp(-f64::MAX, f64::MAX)
}

fn check_numbers(columns: &[Outline]) -> Result<(), LearnError> {
    let Some(column) = columns.iter().find(|column| column.kind != FeatureKind::Number) else {
        return Ok(());
    };
    let (what, step) = match column.kind {
        FeatureKind::List => ("lists", fixed_width::SPEC.name),
        _ => ("text", one_hot::SPEC.name),
    };
    Err(LearnError::Data(format!(
        "column `{}` is still {what} after the last preparation step; add the step `{step}`",
        column.name
    )))
}

/// Refuses list columns before a step that takes numbers and words.
fn check_lists(spec: &PrepSpec, columns: &[Outline]) -> Result<(), LearnError> {
    match columns.iter().find(|column| column.kind == FeatureKind::List && !spec.takes_lists) {
        Some(column) => Err(LearnError::Data(format!(
            "column `{}` is lists, which the preparation step `{}` does not take; put the step `{}` before it",
            column.name,
            spec.name,
            fixed_width::SPEC.name
        ))),
        None => Ok(()),
    }
}

fn to_matrix(values: &[Values<'_>], rows: usize) -> Matrix {
    const BLOCK: usize = 64;
    let mut matrix = Matrix::zeros(rows, values.len());
    for start in (0..rows).step_by(BLOCK) {
        for (place, column) in values.iter().enumerate() {
            let Values::Numbers(numbers) = column else { continue };
            for (row, &number) in numbers.iter().enumerate().skip(start).take(BLOCK) {
                matrix.row_mut(row)[place] = number;
            }
        }
    }
    matrix
}

/// Refuses columns whose number or kinds are not those a step was fitted on.
fn check_kinds(step: &str, fitted: &[FeatureKind], columns: &[Outline]) -> Result<(), LearnError> {
    if fitted.len() == columns.len() && fitted.iter().zip(columns).all(|(kind, column)| *kind == column.kind)
    {
        return Ok(());
    }
    let describe = |kinds: &[FeatureKind]| {
        let of = |kind| kinds.iter().filter(|found| **found == kind).count();
        format!("{} ({} of text, {} of lists)", kinds.len(), of(FeatureKind::Text), of(FeatureKind::List))
    };
    let found: Vec<FeatureKind> = columns.iter().map(|column| column.kind).collect();
    Err(LearnError::Schema(format!(
        "step `{step}` was fitted on other columns: {}, found {}",
        describe(fitted),
        describe(&found)
    )))
}

fn kinds_of(columns: &[Values<'_>]) -> Vec<FeatureKind> {
    let kind = |values: &Values<'_>| match values {
        Values::Numbers(_) => FeatureKind::Number,
        Values::Words { .. } => FeatureKind::Text,
        Values::Lists(_) => FeatureKind::List,
    };
    columns.iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Field, ListColumn, Role, TextColumn};

    fn table() -> Table {
        let feature = |name| Field::new(name, "", Role::Feature);
        Table::new(
            vec![feature("bytes"), feature("service"), feature("same")],
            vec![
                Column::F64(vec![0.0, 10.0, f64::NAN, f64::INFINITY]),
                Column::Text(TextColumn::from_texts([Some("http"), Some("dns"), None, Some("http")])),
                Column::I64(vec![7; 4]),
            ],
        )
        .unwrap()
    }

    fn steps(names: &[&str]) -> Vec<StepSpec> {
        names.iter().map(|name| StepSpec::new(*name)).collect()
    }

    #[test]
    fn columns_know_their_feature_through_the_whole_chain() {
        let specs = steps(&["signed-log", "impute", "one-hot", "drop-constant", "standard"]);
        let (prep, matrix) = Preparation::fit(&specs, &table(), &[0, 1, 2, 3]).unwrap();
        let names: Vec<_> =
            prep.columns().iter().map(|column| (column.name.as_str(), column.source)).collect();
        assert_eq!(names, vec![("bytes", 0), ("service=dns", 1), ("service=http", 1)]);
        assert!(matrix.values().iter().all(|value| value.is_finite()));
        assert_eq!(prep.apply(&table(), [2, 0].into_iter()), matrix.take_rows(&[2, 0]));
    }

    #[test]
    fn a_saved_chain_prepares_the_same_and_refuses_another_schema() {
        let specs = steps(&["impute", "one-hot", "drop-constant", "standard"]);
        let (prep, matrix) = Preparation::fit(&specs, &table(), &[0, 1, 3]).unwrap();
        let saved = prep.save().unwrap();
        let loaded = Preparation::load(&saved, &table().schema()).unwrap();
        assert_eq!(loaded.apply(&table(), [0, 1, 3].into_iter()), matrix);
        let fewer = Schema { features: table().schema().features[1..].to_vec() };
        assert!(Preparation::load(&saved, &fewer).is_err());
    }

    #[test]
    fn lists_come_before_every_other_step_but_one() {
        let mut table = table();
        let lists = ListColumn::from_lists([vec![1.0], vec![], vec![2.0, 3.0], vec![4.0]]);
        table.push(Field::new("gaps", "s", Role::Feature), Column::List(lists)).unwrap();
        let all = [0, 1, 2, 3];
        for (names, expected) in
            [(&["impute", "fixed-width"][..], "before it"), (&[], "add the step `one-hot`")]
        {
            let Err(error) = Preparation::fit(&steps(names), &table, &all) else { panic!("accepted") };
            assert!(error.to_string().contains(expected), "{error}");
        }
        let specs = default_steps(crate::models::MODELS[0], &table.schema());
        let (prep, _) = Preparation::fit(&specs, &table, &all).unwrap();
        assert_eq!(prep.names().next(), Some("fixed-width"));
        assert_eq!(prep.columns().iter().filter(|column| column.source == 3).count(), 1);
    }

    #[test]
    fn text_left_over_is_refused_with_the_step_that_helps() {
        let Err(error) = Preparation::fit(&steps(&["impute"]), &table(), &[0]) else { panic!("accepted") };
        assert!(
            error.to_string().contains("`service` is still text") && error.to_string().contains("one-hot")
        );
    }
}
