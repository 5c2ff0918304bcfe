//! Preparation of feature columns into a matrix: one file per step, one line in [`PREPARATIONS`].
//!
//! Steps are fitted on training rows only and saved in the pipeline. Every column that comes out knows the feature it came
//! from, so that contributions find their way back.

mod affine;
mod categories;
pub(crate) mod correlated;
mod drop_constant;
mod fixed_width;
mod impute;
mod kept;
mod labels;
mod min_max;
mod one_hot;
mod pca;
mod robust;
mod rows;
pub mod select;
mod signed_log;
mod specs;
mod standard;
mod target;

use serde::{Deserialize, Serialize};

pub use labels::Labels;
pub use specs::StepSpec;

use crate::LearnError;
use crate::estimator::ModelSpec;
use crate::matrix::Matrix;
use crate::params::{ParamSpec, Params};
use crate::table::{Column, FeatureKind, Schema, Table};
pub(crate) use rows::Prepared;

/// Every preparation step the program has.
pub static PREPARATIONS: &[&PrepSpec] = &[
    &fixed_width::SPEC,
    &signed_log::SPEC,
    &impute::SPEC,
    &one_hot::SPEC,
    &categories::SPEC,
    &target::SPEC,
    &drop_constant::SPEC,
    &correlated::SPEC,
    &select::SPEC,
    &standard::SPEC,
    &robust::SPEC,
    &min_max::SPEC,
    &pca::SPEC,
];

/// Learns a step from columns, and from the classes of their rows where the step [`PrepSpec::needs_labels`].
pub type FitStep = fn(&Params, &[Values<'_>], Labels<'_>) -> Result<Box<dyn Step>, LearnError>;
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
    /// Whether it takes numbers only, and none missing: text and gaps must have become numbers before it.
    pub needs_numbers: bool,
    /// Whether it learns from the classes of the training rows, so that novelty models cannot have it.
    pub needs_labels: bool,
    /// Parameters with type, range and default.
    pub params: &'static [ParamSpec],
    /// Learns from the columns of the training rows.
    pub fit: FitStep,
    /// What [`Step::save`] wrote, checked so that no later call can panic.
    pub load: LoadStep,
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
    /// Whether its numbers are codes 0, 1, .. of a category, whose order means nothing.
    pub categorical: bool,
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

    /// Transforms the very columns this was fitted on, with the same labels, as a model is to learn from them: where the step
    /// has seen a row's class, without that class.
    fn apply_training<'a>(&self, columns: Vec<Values<'a>>, labels: Labels<'_>) -> Vec<Values<'a>> {
        let _ = labels;
        self.apply(columns)
    }

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
    let named = StepSpec::new;
    let words = match (model.takes_categories, model.takes_missing) {
        (false, _) => named(one_hot::SPEC.name),
        (true, true) => named(categories::SPEC.name),
        (true, false) => named(categories::SPEC.name).with("missing", "other"),
    };
    let mut steps: Vec<StepSpec> = Vec::new();
    steps.extend(has_lists.then(|| named(fixed_width::SPEC.name)));
    steps.extend(model.wants_scaling.then(|| named(signed_log::SPEC.name)));
    steps.extend((model.wants_scaling || !model.takes_missing).then(|| named(impute::SPEC.name)));
    steps.extend([words, named(drop_constant::SPEC.name)]);
    // codes must not be scaled: a model that knows categories and wants scaling does it itself
    steps.extend((model.wants_scaling && !model.takes_categories).then(|| named(standard::SPEC.name)));
    steps
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
    /// Fits each step on the given rows and their classes, as the steps before it leave them, and returns the rows as a model
    /// is to learn from them.
    ///
    /// # Errors
    /// [`LearnError::Unknown`] and [`LearnError::Parameter`] for bad specs, [`LearnError::Data`] when a text column is left
    /// over, or when a step learns from classes and there are none.
    pub fn fit(
        specs: &[StepSpec],
        table: &Table,
        rows: &[usize],
        labels: Labels<'_>,
    ) -> Result<(Self, Matrix), LearnError> {
        let (prep, values) = Self::fit_values(specs, table, rows, labels)?;
        Ok((prep, to_matrix(&values, rows.len())))
    }

    fn fit_values<'t>(
        specs: &[StepSpec],
        table: &'t Table,
        rows: &[usize],
        labels: Labels<'_>,
    ) -> Result<(Self, Vec<Values<'t>>), LearnError> {
        labels.check(rows.len())?;
        let mut columns = outline_of(&table.schema());
        let mut values = values_of(table, rows.iter().copied());
        let mut steps = Vec::new();
        for step_spec in specs {
            let spec = find(&step_spec.name)?;
            let params = Params::check(spec.name, spec.params, &step_spec.params)?;
            check_lists(spec, &columns)?;
            let step = (spec.fit)(&params, &values, labels)?;
            columns = step.outline(&columns)?;
            values = step.apply_training(values, labels);
            steps.push(Fitted { spec, params, step });
        }
        check_numbers(&columns)?;
        Ok((Self { steps, columns }, values))
    }

    /// Prepares the given rows of a table of the schema this was fitted on.
    #[must_use]
    pub fn apply(&self, table: &Table, rows: impl ExactSizeIterator<Item = usize> + Clone) -> Matrix {
        let count = rows.len();
        to_matrix(&self.apply_values(table, rows), count)
    }

    fn apply_values<'t>(
        &self,
        table: &'t Table,
        rows: impl Iterator<Item = usize> + Clone,
    ) -> Vec<Values<'t>> {
        self.steps.iter().fold(values_of(table, rows), |values, fitted| fitted.step.apply(values))
    }

    /// The columns of the matrix.
    #[must_use]
    pub fn columns(&self) -> &[Outline] {
        &self.columns
    }

    /// The steps in order with all their parameters, defaults included.
    #[must_use]
    pub fn specs(&self) -> Vec<StepSpec> {
        let spec = |fitted: &Fitted| {
            let given = fitted.params.iter();
            given.fold(StepSpec::new(fitted.spec.name), |spec, (name, value)| spec.with(name, value))
        };
        self.steps.iter().map(spec).collect()
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
        categorical: false,
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

/// The same columns as plain numbers: what a step that scales leaves of codes.
fn numbers(columns: &[Outline]) -> Vec<Outline> {
    columns.iter().map(|column| Outline { categorical: false, ..column.clone() }).collect()
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
mod tests;
