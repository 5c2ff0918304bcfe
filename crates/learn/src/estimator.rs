//! What a learning algorithm is to the rest of the program: plain hyperparameters that fit, and a fitted model that scores.
//!
//! A plug-in is one file in [`crate::models`] with a [`ModelSpec`], and one line in [`crate::models::MODELS`].

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::ctx::Ctx;
use crate::matrix::Matrix;
use crate::params::{ParamSpec, Params};

/// What the columns of a score mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One column per class: its probability; rows sum to 1.
    Classifier,
    /// One column: the anomaly score, higher = more anomalous.
    Novelty,
}

/// What a fit may need. Only `x` is always there; slices run parallel to the rows of `x`.
#[derive(Clone, Copy)]
pub struct Train<'a> {
    /// Prepared features, rows × columns. NaN = missing; only models whose spec says so accept it.
    pub x: &'a Matrix,
    /// Class of each row, `0..classes`. Empty for novelty models, which learn without labels.
    pub y: &'a [u32],
    /// Number of classes (at least 2 for a classifier).
    pub classes: usize,
    /// Weight of each row; `None` = all 1.
    pub weights: Option<&'a [f64]>,
    /// Group of each row (capture, host) for models that validate internally.
    pub groups: Option<&'a [u32]>,
    /// Time of each row in ns since the epoch.
    pub times: Option<&'a [i64]>,
    /// Attack family of each row.
    pub families: Option<&'a [u32]>,
}

impl<'a> Train<'a> {
    /// Unweighted rows with classes.
    #[must_use]
    pub fn labelled(x: &'a Matrix, y: &'a [u32], classes: usize) -> Self {
        Self { x, y, classes, weights: None, groups: None, times: None, families: None }
    }

    /// Rows without labels, for novelty models.
    #[must_use]
    pub fn unlabelled(x: &'a Matrix) -> Self {
        Self::labelled(x, &[], 0)
    }
}

/// Hyperparameters that can fit. Plain data: no state is kept between fits.
pub trait Estimator: Send + Sync {
    /// Learns from `data`; the same data, parameters and `ctx.seed` give the same model for any `ctx.threads`.
    ///
    /// # Errors
    /// [`LearnError::Data`] when the data cannot be learnt from (no rows, one class, values not finite), or [`LearnError::Cancelled`].
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError>;
}

/// Why one row got its score: `baseline + values.sum()` = the margin of the score.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// The margin of an average row.
    pub baseline: f64,
    /// What each column adds, in the model's own margin (probability for forests, log-odds for linear models).
    pub values: Vec<f64>,
}

/// A fitted model: numbers only.
pub trait Model: Send + Sync {
    /// Number of columns it was fitted on.
    fn columns(&self) -> usize;

    /// Number of columns of a score (see [`Kind`]).
    fn outputs(&self) -> usize;

    /// Scores one row (`columns` long) into `out` (`outputs` long) without allocating.
    fn score_row(&self, row: &[f64], out: &mut [f64]);

    /// Scores all rows; rows × outputs. Overridden where a batch is faster than its rows.
    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        let _ = ctx;
        let mut out = Matrix::zeros(x.rows(), self.outputs());
        for row in 0..x.rows() {
            self.score_row(x.row(row), out.row_mut(row));
        }
        out
    }

    /// What each column contributed to output `output` of this row, or `None` where the model cannot say.
    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        let _ = (row, output);
        None
    }

    /// Global importance per column (sums to 1 unless all are 0), or `None` where the model has none.
    fn importances(&self) -> Option<Vec<f64>> {
        None
    }

    /// What should be said about the fit: whether it converged, what was odd about the data.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The model as named MessagePack maps, read back by [`ModelSpec::load`].
    ///
    /// # Errors
    /// [`LearnError::File`] when it cannot be written.
    fn save(&self) -> Result<Vec<u8>, LearnError>;
}

/// Reads a saved model.
pub type LoadModel = fn(&[u8]) -> Result<Box<dyn Model>, LearnError>;

/// One line of [`crate::models::MODELS`]: all the program knows of a learning algorithm.
pub struct ModelSpec {
    /// Name on the command line.
    pub name: &'static str,
    /// What its scores mean.
    pub kind: Kind,
    /// What it is, in a sentence or two, with its source.
    pub doc: &'static str,
    /// Whether `fit` and `score` take NaN as "missing".
    pub takes_missing: bool,
    /// Whether columns should be standardised first (the default pipeline does so).
    pub wants_scaling: bool,
    /// Hyperparameters with type, range and default.
    pub params: &'static [ParamSpec],
    /// Checked parameters to estimator.
    pub build: fn(&Params) -> Result<Box<dyn Estimator>, LearnError>,
    /// What [`Model::save`] wrote, checked so that no later call can panic or loop.
    pub load: LoadModel,
}
