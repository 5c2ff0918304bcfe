//! Preparation, model and threshold as one thing: fitted together, saved together, applied together.
//!
//! The way of a fit: usable rows and their classes ([`problem`]), scores of rows the model has not seen ([`hold_out`]), a threshold
//! from those scores ([`threshold`]), what is done to the model's probabilities ([`adjust`]), and then the model itself, from all rows. What is kept for later judgement is in [`record`].

mod adjust;
pub mod counterfactual;
mod distinct;
mod explain;
mod file;
mod hold_out;
mod judged;
pub mod nearest;
mod problem;
mod record;
mod threshold;
mod tune;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use adjust::Calibration;
pub use explain::{Explanation, Reason};
pub use judged::{Evaluation, Intervals, Judged, StreamEvaluation};
pub use record::{Baseline, BaselineFeature, HeldOut, TrainRecord};
pub use threshold::{AlertBudget, Expected, ThresholdRule};

use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Kind, Model, ModelSpec};
use crate::eval::cost::CostMatrix;
use crate::eval::metrics::is_alert;
use crate::eval::split::Split;
use crate::matrix::{Matrix, Rows};
use crate::params::Params;
use crate::prep::{Outline, Preparation, Prepared, StepSpec};
use crate::search::SearchSpec;
use crate::table::{Schema, Table};
use adjust::Adjust;
use problem::Problem;

/// What a classifier tells apart. Whatever it is, rows are ranked by how likely they are malicious.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Benign and malicious.
    #[default]
    Label,
    /// Benign and each family.
    Family,
    /// Benign and each word of the text column named `class`.
    Class,
}

impl std::str::FromStr for Target {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self, LearnError> {
        match text {
            "label" => Ok(Self::Label),
            "family" => Ok(Self::Family),
            "class" => Ok(Self::Class),
            _ => Err(LearnError::Unknown {
                kind: "target",
                name: text.to_owned(),
                known: "label, family, class".to_owned(),
            }),
        }
    }
}

/// Everything that determines a fit, beside the table and the seed.
#[derive(Clone, Debug)]
pub struct PipelineSpec {
    /// Name in [`crate::models::MODELS`].
    pub model: String,
    /// Hyperparameters as typed; what is not given has its default.
    pub params: BTreeMap<String, String>,
    /// Preparation; `None` = what suits the model ([`crate::prep::default_steps`]).
    pub prep: Option<Vec<StepSpec>>,
    /// What to tell apart; novelty models have no target.
    pub target: Target,
    /// How the threshold is chosen.
    pub threshold: ThresholdRule,
    /// How rows are held out; `None` = the honest one for these rows ([`Split::default_for`]).
    pub split: Option<Split>,
    /// How probabilities of a classifier are calibrated on rows held out.
    pub calibration: Calibration,
    /// What deciding one class as another costs; then the cheapest decision is made rather than the likeliest.
    pub costs: Option<CostMatrix>,
    /// Shares of the classes where the pipeline will be used, by name (what is not named has none; they need not sum to 1);
    /// none named = equal ones; `None` = those of the training rows.
    pub priors: Option<BTreeMap<String, f64>>,
    /// Merges training rows of equal features and class into one that weighs count^this (0 = 1 whatever the count).
    pub dedup: Option<f64>,
    /// Looks for the hyperparameters that are not given; rows held out for the record judge the whole search.
    pub search: Option<SearchSpec>,
    /// Where the table came from (names and digests of files), kept in the record.
    pub provenance: BTreeMap<String, String>,
}

impl PipelineSpec {
    /// This model with every default.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            params: BTreeMap::new(),
            prep: None,
            target: Target::default(),
            threshold: ThresholdRule::default(),
            split: None,
            calibration: Calibration::default(),
            costs: None,
            priors: None,
            dedup: None,
            search: None,
            provenance: BTreeMap::new(),
        }
    }

    /// The same with a hyperparameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A fitted pipeline: all that is needed to score, explain and judge.
pub struct Pipeline {
    schema: Schema,
    prep: Preparation,
    /// Whether prepared rows are scored without their zeros, as they were learnt from.
    sparse: bool,
    model: Box<dyn Model>,
    model_spec: &'static ModelSpec,
    params: Params,
    target: Target,
    classes: Vec<String>,
    adjust: Adjust,
    threshold: f64,
    threshold_rule: ThresholdRule,
    baseline: Baseline,
    trained: TrainRecord,
}

/// Scores of a table's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Per row how malicious it looks: a probability for classifiers, an anomaly score for novelty models.
    pub malicious: Vec<f64>,
    /// Rows × classes: the probability of each class ([`Pipeline::classes`]); one column of scores for novelty models.
    pub classes: Matrix,
}

/// Rows prepared and scored at a time: bounds memory, and is the unit of work of a thread.
const BLOCK_ROWS: usize = 8192;

impl Pipeline {
    /// Fits on the table: out-of-fold scores first, for the threshold and the record, then the model on all usable rows.
    ///
    /// # Errors
    /// [`LearnError`] for a bad spec, for data that cannot be learnt from, or when cancelled.
    pub fn fit(spec: &PipelineSpec, table: &Table, ctx: &Ctx) -> Result<Self, LearnError> {
        let usable = problem::usable_rows(spec, table)?;
        let usable_table = problem::restrict(table, &usable);
        let problem = Problem::new(spec, &usable_table)?;
        let mut held_out = hold_out::scores(&problem, spec.split.as_ref(), ctx)?;
        ctx.progress("fitting the model", 0, 1);
        let all: Vec<usize> = (0..usable_table.rows()).collect();
        let (fitted, search) = problem.fit_procedure(&all, ctx)?;
        let params = match &search {
            Some(search) => problem.checked(&search.best_params())?,
            None => problem.params.clone(),
        };
        let adjust = problem.adjust(spec, &mut held_out)?;
        let choice = threshold::choose(spec.threshold, &problem, &held_out, &fitted, &adjust, ctx)?;
        ctx.progress("fitting the model", 1, 1);
        let mut trained = record::record(spec, table, &problem, &held_out, &choice, &*fitted.model, ctx)?;
        trained.search = search;
        Ok(Self {
            schema: table.schema(),
            baseline: Baseline::of(&usable_table, &problem.reference_rows()),
            prep: fitted.prep,
            sparse: fitted.sparse,
            model: fitted.model,
            model_spec: problem.model,
            params,
            target: spec.target,
            classes: problem.classes,
            adjust,
            threshold: choice.threshold,
            threshold_rule: spec.threshold,
            trained,
        })
    }

    /// Scores every row; the same bits for any number of threads and any way of cutting the table into batches.
    ///
    /// # Errors
    /// [`LearnError::Schema`] when the feature columns are not those of the training table, [`LearnError::Data`] for missing values
    /// that nothing fills, [`LearnError::Cancelled`].
    pub fn score(&self, table: &Table, ctx: &Ctx) -> Result<Scores, LearnError> {
        self.schema.check(&table.schema())?;
        let blocks: Vec<usize> = (0..table.rows()).step_by(BLOCK_ROWS).collect();
        let one = |&start: &usize| {
            ctx.check()?;
            let rows = start..table.rows().min(start + BLOCK_ROWS);
            let ctx = ctx.single_threaded();
            score_rows(&self.prep, self.sparse, &*self.model, self.model_spec, table, rows, &ctx)
        };
        let scored: Result<Vec<Matrix>, LearnError> = if blocks.len() < 2 || ctx.threads < 2 {
            blocks.iter().map(one).collect()
        } else {
            ctx.install(|| blocks.par_iter().map(one).collect())?
        };
        let outputs = self.model.outputs();
        let values: Vec<f64> = scored?.iter().flat_map(Matrix::values).copied().collect();
        let mut classes = Matrix::from_values(table.rows(), outputs, values);
        self.adjust.apply_all(&mut classes);
        let malicious = classes.iter_rows().map(|row| malicious_score(self.model_spec.kind, row)).collect();
        Ok(Scores { malicious, classes })
    }

    /// Whether a row of this score is an alert.
    #[must_use]
    pub fn is_alert(&self, malicious: f64) -> bool {
        is_alert(malicious, self.threshold)
    }

    /// The place in [`Pipeline::classes`] of the likeliest class of a row of [`Scores::classes`] (the first of equals).
    #[must_use]
    pub fn decide(scores: &[f64]) -> u32 {
        let best = |best: usize, place: usize| if scores[place] > scores[best] { place } else { best };
        (1..scores.len()).fold(0, best) as u32
    }

    /// The place in [`Pipeline::classes`] of the class decided for a row of [`Scores::classes`]: of the least expected cost
    /// where decisions have costs, else the likeliest.
    #[must_use]
    pub fn decided(&self, scores: &[f64]) -> u32 {
        self.adjust.decide(scores)
    }

    /// What decisions cost, for the classes in their order.
    #[must_use]
    pub fn costs(&self) -> Option<&CostMatrix> {
        self.adjust.costs()
    }

    /// The features it was trained on.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The columns its model sees, each with the place of its feature.
    #[must_use]
    pub fn columns(&self) -> &[Outline] {
        self.prep.columns()
    }

    /// The steps of its preparation, with all their parameters.
    #[must_use]
    pub fn steps(&self) -> Vec<StepSpec> {
        self.prep.specs()
    }

    /// The fitted model.
    #[must_use]
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The line of [`crate::models::MODELS`] it came from.
    #[must_use]
    pub fn model_spec(&self) -> &'static ModelSpec {
        self.model_spec
    }

    /// Hyperparameters, defaults included.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// What it tells apart.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target
    }

    /// Names of the classes, benign first; empty for novelty models.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Rows that score at least this are alerts.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// How the threshold was chosen.
    #[must_use]
    pub fn threshold_rule(&self) -> ThresholdRule {
        self.threshold_rule
    }

    /// The same with a threshold of one's own.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self.threshold_rule = ThresholdRule::Value(threshold);
        self
    }

    /// What the features of the training rows looked like.
    #[must_use]
    pub fn baseline(&self) -> &Baseline {
        &self.baseline
    }

    /// What it was trained on and how well it did on rows held out.
    #[must_use]
    pub fn trained(&self) -> &TrainRecord {
        &self.trained
    }
}

/// Prepares and scores some rows, refusing missing values that neither a step nor the model takes.
fn score_rows(
    prep: &Preparation,
    sparse: bool,
    model: &dyn Model,
    spec: &ModelSpec,
    table: &Table,
    rows: impl ExactSizeIterator<Item = usize> + Clone,
    ctx: &Ctx,
) -> Result<Matrix, LearnError> {
    let x = prep.apply_as(sparse, table, rows);
    refuse_missing(prep, spec, x.rows())?;
    Ok(match &x {
        Prepared::Dense(x) => model.score(x, ctx),
        Prepared::Sparse(x) => model.score_sparse(x, ctx),
    })
}

fn refuse_missing(prep: &Preparation, spec: &ModelSpec, x: Rows<'_>) -> Result<(), LearnError> {
    let missing = if spec.takes_missing { None } else { x.find(f64::is_nan) };
    let Some((_, column)) = missing else { return Ok(()) };
    Err(LearnError::Data(format!(
        "column `{}` has missing values, which {} does not take; add the preparation step `impute`",
        prep.columns()[column].name,
        spec.name
    )))
}

/// Higher = more malicious: the sum of all classes but the first (benign), or the anomaly score itself.
fn malicious_score(kind: Kind, row: &[f64]) -> f64 {
    match kind {
        Kind::Classifier => row[1..].iter().sum::<f64>().min(1.0),
        Kind::Novelty => row[0],
    }
}
