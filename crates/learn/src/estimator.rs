//! What a learning algorithm is to the rest of the program: plain hyperparameters that fit, and a fitted model that scores.
//!
//! A plug-in is one file in [`crate::models`] with a [`ModelSpec`], and one line in [`crate::models::MODELS`].

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::ctx::Ctx;
use crate::matrix::{Matrix, Rows, SparseMatrix};
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
    pub x: Rows<'a>,
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
    /// Per column whether its values are codes 0, 1, .. of a category (NaN = none of them); `None` = all are numbers.
    pub categorical: Option<&'a [bool]>,
}

impl<'a> Train<'a> {
    /// Unweighted rows with classes.
    #[must_use]
    pub fn labelled(x: impl Into<Rows<'a>>, y: &'a [u32], classes: usize) -> Self {
        Self {
            x: x.into(),
            y,
            classes,
            weights: None,
            groups: None,
            times: None,
            families: None,
            categorical: None,
        }
    }

    /// Rows without labels, for novelty models.
    #[must_use]
    pub fn unlabelled(x: impl Into<Rows<'a>>) -> Self {
        Self::labelled(x, &[], 0)
    }

    /// Refuses what no model can learn from: no rows or columns, infinite values, missing ones unless `missing`, bad weights.
    ///
    /// # Errors
    /// [`LearnError::Data`] that opens with `owner` and names the row and column.
    pub fn check(&self, owner: &str, missing: bool) -> Result<(), LearnError> {
        let refuse = |message: String| Err(LearnError::Data(format!("{owner}: {message}")));
        let (rows, columns) = (self.x.rows(), self.x.columns());
        if rows == 0 || columns == 0 {
            return refuse(format!("expected at least one row and one column, found {rows} × {columns}"));
        }
        if u32::try_from(rows).is_err() || u32::try_from(columns).is_err() {
            return refuse(format!("expected fewer than 2^32 rows and columns, found {rows} × {columns}"));
        }
        if let Some((row, column)) = self.x.find(|value| value.is_infinite() || (value.is_nan() && !missing))
        {
            return refuse(format!(
                "row {row}, column {column} is missing or not finite; add the preparation step `impute`"
            ));
        }
        let Some(weights) = self.weights else { return Ok(()) };
        if weights.len() != rows {
            return refuse(format!("{rows} rows have {} weights: expected one for each", weights.len()));
        }
        if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            return refuse(format!(
                "row {row} weighs {}: expected a finite number not below 0",
                weights[row]
            ));
        }
        if !weights.iter().sum::<f64>().is_normal() {
            return refuse("the weights of all rows must add up to a finite number above 0".to_owned());
        }
        Ok(())
    }

    /// [`Train::check`], and refuses classes that cannot be told apart.
    ///
    /// # Errors
    /// [`LearnError::Data`] that opens with `owner`.
    pub fn check_labelled(&self, owner: &str, missing: bool) -> Result<(), LearnError> {
        self.check(owner, missing)?;
        let refuse = |message: String| Err(LearnError::Data(format!("{owner}: {message}")));
        let rows = self.x.rows();
        if self.y.len() != rows {
            return refuse(format!("{rows} rows have {} classes: expected one for each", self.y.len()));
        }
        if self.classes < 2 || self.classes > usize::from(u16::MAX) {
            return refuse(format!("a classifier needs 2 to 65535 classes, found {}", self.classes));
        }
        if let Some(row) = self.y.iter().position(|&class| class as usize >= self.classes) {
            return refuse(format!(
                "row {row} is of class {}, expected 0 to {}",
                self.y[row],
                self.classes - 1
            ));
        }
        if self.weight_of_classes().iter().filter(|weight| **weight > 0.0).count() < 2 {
            return refuse("all rows are of one class: there is nothing to tell apart".to_owned());
        }
        Ok(())
    }

    /// Total weight of each class.
    #[must_use]
    pub fn weight_of_classes(&self) -> Vec<f64> {
        let mut totals = vec![0.0; self.classes];
        for (row, &class) in self.y.iter().enumerate() {
            totals[class as usize] += self.weights.map_or(1.0, |weights| weights[row]);
        }
        totals
    }

    /// What the rows of each class are to be weighed with beside their own weights: 1, or when `balanced`
    /// rows / (classes × rows of the class), weights counted (scikit-learn's `class_weight="balanced"`).
    #[must_use]
    pub fn class_weights(&self, balanced: bool) -> Vec<f64> {
        if !balanced {
            return vec![1.0; self.classes];
        }
        let totals = self.weight_of_classes();
        let all: f64 = totals.iter().sum();
        let present = totals.iter().filter(|&&total| total > 0.0).count() as f64;
        totals.iter().map(|&total| if total > 0.0 { all / (present * total) } else { 1.0 }).collect()
    }

    /// The weight of each row times that of its class ([`Train::class_weights`]).
    #[must_use]
    pub fn row_weights(&self, balanced: bool) -> Vec<f64> {
        let of_class = self.class_weights(balanced);
        let own = |row| self.weights.map_or(1.0, |weights| weights[row]);
        self.y.iter().enumerate().map(|(row, &class)| own(row) * of_class[class as usize]).collect()
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

    /// Scores all rows of a sparse matrix as [`Model::score`] would the dense one. Overridden where zeros can be passed over.
    fn score_sparse(&self, x: &SparseMatrix, ctx: &Ctx) -> Matrix {
        const ROWS: usize = 1024;
        let mut values = Vec::with_capacity(x.rows() * self.outputs());
        for start in (0..x.rows()).step_by(ROWS) {
            let block = x.to_dense(start..x.rows().min(start + ROWS));
            values.extend_from_slice(self.score(&block, ctx).values());
        }
        Matrix::from_values(x.rows(), self.outputs(), values)
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
    /// Whether it passes over the zeros of a sparse matrix when it learns and scores, so that one is worth giving it.
    pub takes_sparse: bool,
    /// Whether it takes columns of category codes ([`Train::categorical`]) as they are.
    pub takes_categories: bool,
    /// Whether columns should be standardised first (the default pipeline does so).
    pub wants_scaling: bool,
    /// Hyperparameters with type, range and default.
    pub params: &'static [ParamSpec],
    /// Checked parameters to estimator.
    pub build: fn(&Params) -> Result<Box<dyn Estimator>, LearnError>,
    /// What [`Model::save`] wrote, checked so that no later call can panic or loop.
    pub load: LoadModel,
}
