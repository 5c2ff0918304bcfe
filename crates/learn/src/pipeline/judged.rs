//! What a labelled table says about a pipeline: metrics, how sure they are, curves, and what each feature is worth to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Pipeline, Scores, malicious_score, problem, refuse_missing};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::eval::bootstrap::{Draw, Interval};
use crate::eval::classes::{ClassReport, measure_classes};
use crate::eval::curves::{CurvePoint, curve};
use crate::eval::intervals::metric_intervals;
use crate::eval::metrics::{Metrics, measure};
use crate::eval::permutation::{Measure, Worth, permutation_importances};
use crate::table::Table;

/// With fewer groups than this, draws of whole groups say little.
const FEWEST_GROUPS: usize = 10;

/// The metrics of a pipeline on a labelled table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Malicious against benign, over labelled rows.
    pub metrics: Metrics,
    /// Class against class, for classifiers of more than two classes.
    pub classes: Option<ClassReport>,
    /// Rows without a label, which were left out.
    pub unlabelled: u64,
    /// Mean cost of the decisions, where they have costs and every class of the table is one of the pipeline's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_cost: Option<f64>,
}

/// How sure the metrics are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Intervals {
    /// What was drawn again and again: `groups` (captures, hosts) where there are at least ten, as rows of one group are not
    /// independent; else `rows`, as many benign and malicious ones as there are.
    pub drawn: &'static str,
    /// How many draws were asked for.
    pub draws: u64,
    /// Share of draws within an interval.
    pub confidence: f64,
    /// By the metric's plain name; a metric that is not defined has none.
    pub metrics: BTreeMap<&'static str, Interval>,
}

/// An evaluation batch by batch, in the order of the rows: how it goes as a stream comes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamEvaluation {
    /// Each batch by itself; batches without a labelled row are `None`.
    pub batches: Vec<Option<Evaluation>>,
    /// All batches together.
    pub all: Evaluation,
}

/// The labelled rows of a table, scored.
pub struct Judged<'p> {
    pipeline: &'p Pipeline,
    table: Table,
    truth: Vec<bool>,
    scores: Scores,
    unlabelled: u64,
}

impl Pipeline {
    /// Scores the labelled rows of a table; rows without a label are left out and counted.
    ///
    /// # Errors
    /// As [`Pipeline::score`], and [`LearnError::Data`] when no row has a label.
    pub fn judge(&self, table: &Table, ctx: &Ctx) -> Result<Judged<'_>, LearnError> {
        let labels = table.labels();
        let rows: Vec<usize> = (0..table.rows()).filter(|&row| labels[row].is_some()).collect();
        if rows.is_empty() && table.rows() > 0 {
            return Err(LearnError::Data("no row has a label to measure against".to_owned()));
        }
        let labelled = table.take_rows(&rows);
        let scores = self.score(&labelled, ctx)?;
        let truth = labelled.labels().iter().map(|label| *label == Some(true)).collect();
        let unlabelled = (table.rows() - rows.len()) as u64;
        Ok(Judged { pipeline: self, table: labelled, truth, scores, unlabelled })
    }

    /// Scores a labelled table and measures; rows without a label are left out and counted.
    ///
    /// # Errors
    /// As [`Pipeline::judge`].
    pub fn evaluate(&self, table: &Table, ctx: &Ctx) -> Result<Evaluation, LearnError> {
        self.judge(table, ctx)?.evaluation()
    }

    /// [`Pipeline::evaluate`] of each `batch_rows` rows in turn and of all together.
    ///
    /// # Errors
    /// As [`Pipeline::evaluate`], and [`LearnError::Data`] for batches of 0 rows.
    pub fn evaluate_stream(
        &self,
        table: &Table,
        batch_rows: usize,
        ctx: &Ctx,
    ) -> Result<StreamEvaluation, LearnError> {
        if batch_rows == 0 {
            return Err(LearnError::Data("a batch needs at least one row".to_owned()));
        }
        let labels = table.labels();
        let batch = |start: usize| {
            ctx.check()?;
            let rows: Vec<usize> = (start..table.rows().min(start + batch_rows)).collect();
            let labelled = rows.iter().any(|&row| labels[row].is_some());
            labelled.then(|| self.evaluate(&table.take_rows(&rows), ctx)).transpose()
        };
        let batches = (0..table.rows()).step_by(batch_rows).map(batch).collect::<Result<_, _>>()?;
        Ok(StreamEvaluation { batches, all: self.evaluate(table, ctx)? })
    }
}

impl Judged<'_> {
    /// Every metric.
    ///
    /// # Errors
    /// [`LearnError::Data`] for scores that are not numbers.
    pub fn evaluation(&self) -> Result<Evaluation, LearnError> {
        let families = self.table.families();
        let metrics = measure(&self.truth, &self.scores.malicious, self.pipeline.threshold, &families)?;
        let (classes, mean_cost) = self.class_report()?;
        Ok(Evaluation { metrics, classes, unlabelled: self.unlabelled, mean_cost })
    }

    /// An interval for each metric that is defined, from `draws` bootstrap samples seeded by `ctx`.
    ///
    /// # Errors
    /// As [`metric_intervals`].
    pub fn intervals(&self, draws: usize, confidence: f64, ctx: &Ctx) -> Result<Intervals, LearnError> {
        let strata: Vec<u32> = self.truth.iter().copied().map(u32::from).collect();
        let groups = self
            .table
            .groups()
            .filter(|groups| groups.iter().max().is_some_and(|last| *last as usize + 1 >= FEWEST_GROUPS));
        let (drawn, draw) = match &groups {
            Some(groups) => ("groups", Draw::Groups(groups)),
            None => ("rows", Draw::Strata(&strata)),
        };
        let rows = (self.truth.as_slice(), self.scores.malicious.as_slice());
        let metrics = metric_intervals(rows, self.pipeline.threshold, draw, (draws, confidence), ctx)?;
        Ok(Intervals { drawn, draws: draws as u64, confidence, metrics })
    }

    /// The points of the ROC, precision-recall and FAR-DR curves ([`curve`]).
    ///
    /// # Errors
    /// [`LearnError::Data`] for scores that are not numbers.
    pub fn curve(&self) -> Result<Vec<CurvePoint>, LearnError> {
        curve(&self.truth, &self.scores.malicious)
    }

    /// What each feature of the pipeline's schema is worth on these rows ([`permutation_importances`]): columns that
    /// preparation made of one feature are shuffled together.
    ///
    /// # Errors
    /// As [`permutation_importances`]; [`Measure::LogLoss`] needs a classifier.
    pub fn importances(&self, measure: Measure, repeats: usize, ctx: &Ctx) -> Result<Vec<Worth>, LearnError> {
        let pipeline = self.pipeline;
        let x = pipeline.prep.apply(&self.table, 0..self.table.rows());
        refuse_missing(&pipeline.prep, pipeline.model_spec, (&x).into())?;
        let features: Vec<usize> = pipeline.prep.columns().iter().map(|column| column.source).collect();
        let score = |outputs: &[f64]| {
            let mut outputs = outputs.to_vec();
            pipeline.adjust.apply(&mut outputs);
            malicious_score(pipeline.model_spec.kind, &outputs)
        };
        let rows = (&x, self.truth.as_slice());
        let mut worth =
            permutation_importances((&*pipeline.model, &score), rows, &features, (measure, repeats), ctx)?;
        worth.resize(pipeline.schema.features.len(), Worth { mean: 0.0, deviation: 0.0 });
        Ok(worth)
    }

    /// Class against class where there are more than two, and the mean cost of decisions that have costs.
    fn class_report(&self) -> Result<(Option<ClassReport>, Option<f64>), LearnError> {
        let pipeline = self.pipeline;
        if pipeline.classes.len() < 3 && pipeline.adjust.costs().is_none() {
            return Ok((None, None));
        }
        let mut names = pipeline.classes.clone();
        let mut truth = Vec::with_capacity(self.table.rows());
        for name in problem::class_names(pipeline.target, &self.table)?.into_iter().flatten() {
            let place = names.iter().position(|known| *known == name).unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            });
            truth.push(place as u32);
        }
        let decided: Vec<u32> = self.scores.classes.iter_rows().map(|row| pipeline.decided(row)).collect();
        let known = names.len() == pipeline.classes.len();
        let costs = pipeline.adjust.costs().filter(|_| known);
        let mean_cost = costs.map(|costs| costs.mean_cost(&truth, &decided)).transpose()?.flatten();
        let report =
            if pipeline.classes.len() < 3 { None } else { Some(measure_classes(&truth, &decided, &names)?) };
        Ok((report, mean_cost))
    }
}
