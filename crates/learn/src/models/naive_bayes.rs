//! What the naive Bayes classifiers share: priors, scores in log space, contributions and importances.
//!
//! Bayes' rule with columns that are independent within a class: ln p(class | row) = ln p(class) + Σ ln p(column | class)
//! up to the same number for every class. A variety is a [`Likelihood`]; [`tally`] sums the columns of each class.

pub(super) mod tally;

use rayon::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::logistic::softmax;
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Model, Train};
use crate::matrix::{Matrix, SparseMatrix};
use crate::params::{ParamKind, ParamSpec};

/// Where the probabilities of the classes come from.
pub(super) const FIT_PRIOR: ParamSpec = ParamSpec {
    name: "fit_prior",
    kind: ParamKind::Bool,
    default: "true",
    doc: "Whether a class is as probable as it weighs in training; false = all classes are equally probable.",
};

/// Added to the counts, as in [`super::bernoulli_nb`] and [`super::multinomial_nb`].
pub(super) const ALPHA: ParamSpec = ParamSpec {
    name: "alpha",
    kind: ParamKind::Float { min: 1e-10, max: 1e6 },
    default: "1",
    doc: "Added to every count (Laplace's smoothing), so that what was never seen is improbable and not impossible.",
};

/// How probable a row is in each class.
pub(super) trait Likelihood: Send + Sync + Serialize + DeserializeOwned + 'static {
    /// What errors call the model.
    const NAME: &'static str;

    /// Number of columns.
    fn columns(&self) -> usize;

    /// Whether all lists fit so many classes and all numbers are in range.
    fn is_valid(&self, classes: usize) -> bool;

    /// Adds ln p(row | class) to each class. May be infinite or NaN for a row of huge values.
    fn add(&self, row: &[f64], joint: &mut [f64]);

    /// The part of one column in ln p(row | class): a finite number within ±[`LARGEST`] unless `x` is NaN.
    fn term(&self, column: usize, class: usize, x: f64) -> f64;

    /// Mean of ln p(x | a) - ln p(x | b) for one column over rows of class `a`, plus the same the other way round
    /// (Jeffreys' divergence): how far the column drives the two classes apart.
    fn divergence(&self, column: usize, a: usize, b: usize) -> f64;

    /// ln p(a row of zeros | class) when [`Likelihood::add_entries`] can start from it.
    fn of_zeros(&self) -> Option<Vec<f64>> {
        None
    }

    /// Adds what the entries of a sparse row change in ln p(row of zeros | class).
    fn add_entries(&self, columns: &[u32], values: &[f64], joint: &mut [f64]) {
        let _ = (columns, values, joint);
    }
}

/// Log-likelihoods of one column are cut to this, so that sums and differences stay finite.
pub(super) const LARGEST: f64 = 1e290;
/// The logarithm of the prior of a class without rows.
const ABSENT: f64 = -1e292;

/// `term` within ±[`LARGEST`].
pub(super) fn bounded(term: f64) -> f64 {
    term.clamp(-LARGEST, LARGEST)
}

/// A fitted naive Bayes classifier.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Bayes<L: Likelihood> {
    /// ln p(class); [`ABSENT`] for a class without rows.
    priors: Vec<f64>,
    likelihood: L,
}

impl<L: Likelihood> Bayes<L> {
    pub(super) fn new(likelihood: L, data: &Train<'_>, fit_prior: bool) -> Self {
        let totals = data.weight_of_classes();
        let all: f64 = totals.iter().sum();
        let present = totals.iter().filter(|total| **total > 0.0).count() as f64;
        let prior = |&total: &f64| match (total > 0.0, fit_prior) {
            (false, _) => ABSENT,
            (true, true) => (total / all).ln().max(f64::MIN_POSITIVE.ln()),
            (true, false) => -present.ln(),
        };
        Self { priors: totals.iter().map(prior).collect(), likelihood }
    }

    pub(super) fn load(bytes: &[u8]) -> Result<Box<dyn Model>, LearnError> {
        let what = format!("model `{}`", L::NAME);
        let model: Self = unpack(&what, bytes)?;
        let classes = model.priors.len();
        let priors = (2..=usize::from(u16::MAX)).contains(&classes)
            && model.priors.iter().all(|prior| (ABSENT..=0.0).contains(prior))
            && model.priors.iter().any(|prior| *prior > ABSENT);
        if priors && model.likelihood.is_valid(classes) {
            return Ok(Box::new(model));
        }
        Err(LearnError::File(format!("{what} has lists of the wrong length or values out of range")))
    }

    /// ln p(class, row) to probabilities; a row of huge values is added up again from bounded terms.
    fn finish(&self, row: impl Fn(usize) -> f64, joint: &mut [f64]) {
        if joint.iter().any(|value| !value.is_finite()) {
            for (class, value) in joint.iter_mut().enumerate() {
                let terms = (0..self.likelihood.columns())
                    .map(|column| self.likelihood.term(column, class, row(column)))
                    .filter(|term| !term.is_nan());
                *value = self.priors[class] + terms.sum::<f64>();
            }
        }
        softmax(joint);
    }

    /// Classes with rows in training.
    fn present(&self) -> Vec<usize> {
        (0..self.priors.len()).filter(|&class| self.priors[class] > ABSENT).collect()
    }
}

/// Scores blocks of rows in parallel; `score` fills the scores of one row.
fn in_blocks(rows: usize, outputs: usize, ctx: &Ctx, score: impl Fn(usize, &mut [f64]) + Sync) -> Matrix {
    const ROWS: usize = 4096;
    let mut out = Matrix::zeros(rows, outputs);
    let fill = |(block, scores): (usize, &mut [f64])| {
        scores.chunks_exact_mut(outputs).enumerate().for_each(|(row, out)| score(block * ROWS + row, out));
    };
    let values = out.values_mut();
    if ctx.threads < 2 || rows <= ROWS {
        values.chunks_mut(ROWS * outputs).enumerate().for_each(fill);
    } else if ctx.install(|| values.par_chunks_mut(ROWS * outputs).enumerate().for_each(fill)).is_err() {
        out.values_mut().chunks_mut(ROWS * outputs).enumerate().for_each(fill);
    }
    out
}

impl<L: Likelihood> Model for Bayes<L> {
    fn columns(&self) -> usize {
        self.likelihood.columns()
    }

    fn outputs(&self) -> usize {
        self.priors.len()
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        out.copy_from_slice(&self.priors);
        self.likelihood.add(row, out);
        self.finish(|column| row[column], out);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        in_blocks(x.rows(), self.outputs(), ctx, |row, out| self.score_row(x.row(row), out))
    }

    fn score_sparse(&self, x: &SparseMatrix, ctx: &Ctx) -> Matrix {
        let Some(mut start) = self.likelihood.of_zeros() else {
            return in_blocks(x.rows(), self.outputs(), ctx, |row, out| {
                self.score_row(x.to_dense(row..row + 1).values(), out);
            });
        };
        start.iter_mut().zip(&self.priors).for_each(|(value, prior)| *value += prior);
        in_blocks(x.rows(), self.outputs(), ctx, |row, out| {
            let (columns, values) = x.row(row);
            out.copy_from_slice(&start);
            self.likelihood.add_entries(columns, values, out);
            let value =
                |column: usize| columns.binary_search(&(column as u32)).map_or(0.0, |place| values[place]);
            self.finish(value, out);
        })
    }

    /// The weight of evidence of each column (Good 1950): for two classes its log-likelihood ratio, on top of the prior
    /// log-odds; for more, its log-likelihood less the mean over the classes, whose softmax over classes is the score.
    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        let term = |column: usize, class| {
            let term = self.likelihood.term(column, class, row[column]);
            if term.is_nan() { 0.0 } else { term }
        };
        let (baseline, values) = if self.outputs() == 2 {
            let other = 1 - output;
            let values = (0..row.len()).map(|column| term(column, output) - term(column, other)).collect();
            (self.priors[output] - self.priors[other], values)
        } else if self.priors[output] > ABSENT {
            let present = self.present();
            let mean = |of: &dyn Fn(usize) -> f64| {
                present.iter().map(|&class| of(class) / present.len() as f64).sum::<f64>()
            };
            let value = |column| term(column, output) - mean(&|class| term(column, class));
            (self.priors[output] - mean(&|class| self.priors[class]), (0..row.len()).map(value).collect())
        } else {
            (ABSENT, vec![0.0; row.len()])
        };
        Some(Contributions { baseline, values })
    }

    /// Share of each column in the divergences of all pairs of classes, each pair weighing as the product of its priors.
    fn importances(&self) -> Option<Vec<f64>> {
        let present = self.present();
        let mut sums = vec![0.0; self.columns()];
        for (place, &a) in present.iter().enumerate() {
            for &b in &present[place + 1..] {
                let weight = (self.priors[a] + self.priors[b]).exp();
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum += weight * bounded(self.likelihood.divergence(column, a, b)).max(0.0);
                }
            }
        }
        let total: f64 = sums.iter().sum();
        if total > 0.0 {
            sums.iter_mut().for_each(|sum| *sum /= total);
        }
        Some(sums)
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack(&format!("model `{}`", L::NAME), self)
    }
}
