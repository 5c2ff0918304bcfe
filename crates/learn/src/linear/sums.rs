//! The weighted sums of a fitted linear model: margins of dense and sparse rows, what each column adds, and importances.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::design::{Design, dot};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::matrix::{Matrix, SparseMatrix};

/// Rows of weights with an intercept each, and what the columns were like in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Rows of weights: 1 for two classes, else one per class; each as long as `means`.
    pub(crate) weights: Vec<f64>,
    /// One per row of weights.
    pub(crate) intercepts: Vec<f64>,
    /// Mean of each column in training.
    means: Vec<f64>,
    /// Standard deviation of each column in training.
    deviations: Vec<f64>,
}

/// Rows scored at a time.
const ROWS: usize = 4096;

impl Sums {
    /// From unknowns in the design's coordinates, output by output.
    pub(crate) fn new(design: &Design, theta: &[f64]) -> Self {
        let (mut weights, mut intercepts) = (Vec::new(), Vec::new());
        for theta in theta.chunks_exact(design.coordinates()) {
            let (row, intercept) = design.to_columns(theta);
            weights.extend(row);
            intercepts.push(intercept);
        }
        let (means, deviations) = design.moments();
        Self { weights, intercepts, means, deviations }
    }

    /// Takes the mean from the intercepts, which changes no softmax.
    pub(crate) fn centre_intercepts(&mut self) {
        let middle = self.intercepts.iter().sum::<f64>() / self.intercepts.len() as f64;
        self.intercepts.iter_mut().for_each(|intercept| *intercept -= middle);
    }

    /// Refuses what [`Sums::new`] cannot have made.
    pub(crate) fn check(&self, model: &str) -> Result<(), LearnError> {
        let (columns, sums) = (self.means.len(), self.intercepts.len());
        let lengths = sums != 0
            && sums != 2
            && self.deviations.len() == columns
            && self.weights.len() == columns.saturating_mul(sums);
        let all = [&self.weights, &self.intercepts, &self.means, &self.deviations];
        if lengths && all.iter().all(|values| values.iter().all(|value| value.is_finite())) {
            return Ok(());
        }
        Err(LearnError::File(format!(
            "model `{model}` has lists of the wrong length or values that are not finite"
        )))
    }

    pub(crate) fn columns(&self) -> usize {
        self.means.len()
    }

    /// Columns of a score.
    pub(crate) fn classes(&self) -> usize {
        self.intercepts.len().max(2)
    }

    fn weights_of(&self, sum: usize) -> &[f64] {
        &self.weights[sum * self.means.len()..(sum + 1) * self.means.len()]
    }

    /// The weighted sums of a row, in the first places of `out`.
    pub(crate) fn margins(&self, row: &[f64], out: &mut [f64]) {
        let sums = out.iter_mut().take(self.intercepts.len()).enumerate();
        sums.for_each(|(sum, out)| *out = self.margin(row, sum));
    }

    /// The weighted sum, finite whatever the row.
    fn margin(&self, row: &[f64], sum: usize) -> f64 {
        let margin = self.intercepts[sum] + dot(self.weights_of(sum), row);
        if margin.is_finite() { margin } else { self.guarded_margin(row, sum) }
    }

    /// The same of a row given by its entries: the same bits.
    fn sparse_margin(&self, places: &[u32], values: &[f64], sum: usize) -> f64 {
        let margin = self.intercepts[sum] + sparse_dot(self.weights_of(sum), places, values);
        if margin.is_finite() {
            return margin;
        }
        let mut row = vec![0.0; self.columns()];
        places.iter().zip(values).for_each(|(place, value)| row[*place as usize] = *value);
        self.guarded_margin(&row, sum)
    }

    /// Slow but finite: terms are cut to ±1e290 and a value that is not a number counts as its mean.
    fn guarded_margin(&self, row: &[f64], sum: usize) -> f64 {
        self.baseline(sum) + self.terms(row, sum).sum::<f64>()
    }

    /// What each column adds to the sum of an average row.
    pub(crate) fn terms(&self, row: &[f64], sum: usize) -> impl Iterator<Item = f64> {
        let shifted = row.iter().zip(&self.means).map(|(x, mean)| if x.is_nan() { 0.0 } else { x - mean });
        shifted.zip(self.weights_of(sum)).map(|(x, w)| if *w == 0.0 { 0.0 } else { bounded(w * x) })
    }

    /// The sum of an average row.
    pub(crate) fn baseline(&self, sum: usize) -> f64 {
        let at_means = self.weights_of(sum).iter().zip(&self.means).map(|(w, mean)| bounded(w * mean));
        bounded(self.intercepts[sum]) + at_means.sum::<f64>()
    }

    /// Mean over sums of |weight| × standard deviation, as shares.
    pub(crate) fn importances(&self) -> Vec<f64> {
        let mut shares = vec![0.0; self.means.len()];
        for sum in 0..self.intercepts.len() {
            let columns = self.weights_of(sum).iter().zip(&self.deviations);
            for (share, (weight, deviation)) in shares.iter_mut().zip(columns) {
                *share += bounded(weight.abs() * deviation);
            }
        }
        let total: f64 = shares.iter().sum();
        if total > 0.0 {
            shares.iter_mut().for_each(|share| *share /= total);
        }
        shares
    }

    /// Scores dense rows: `finish` makes scores of margins, which stand first in what it is given. With two classes that
    /// is one margin.
    pub(crate) fn score(&self, x: &Matrix, ctx: &Ctx, finish: impl Fn(&mut [f64]) + Sync) -> Matrix {
        self.score_rows(x.rows(), ctx, |row, out| {
            self.margins(x.row(row), out);
            finish(out);
        })
    }

    /// Scores sparse rows as [`Sums::score`] does dense ones: the same bits.
    pub(crate) fn score_sparse(
        &self,
        x: &SparseMatrix,
        ctx: &Ctx,
        finish: impl Fn(&mut [f64]) + Sync,
    ) -> Matrix {
        self.score_rows(x.rows(), ctx, |row, out| {
            let (places, values) = x.row(row);
            let margins = out.iter_mut().take(self.intercepts.len()).enumerate();
            margins.for_each(|(sum, out)| *out = self.sparse_margin(places, values, sum));
            finish(out);
        })
    }

    fn score_rows(&self, rows: usize, ctx: &Ctx, one: impl Fn(usize, &mut [f64]) + Sync) -> Matrix {
        let classes = self.classes();
        let mut out = Matrix::zeros(rows, classes);
        let fill = |(block, scores): (usize, &mut [f64])| {
            scores.chunks_exact_mut(classes).enumerate().for_each(|(row, out)| one(block * ROWS + row, out));
        };
        let values = out.values_mut();
        if ctx.threads < 2 || rows <= ROWS {
            values.chunks_mut(ROWS * classes).enumerate().for_each(fill);
        } else if ctx.install(|| values.par_chunks_mut(ROWS * classes).enumerate().for_each(fill)).is_err() {
            out.values_mut().chunks_mut(ROWS * classes).enumerate().for_each(fill);
        }
        out
    }
}

/// A term of a sum, cut so that sums of many stay finite.
pub(crate) fn bounded(term: f64) -> f64 {
    term.clamp(-1e290, 1e290)
}

/// [`dot`] of a row given by its entries, in the same running sums.
fn sparse_dot(weights: &[f64], places: &[u32], values: &[f64]) -> f64 {
    let whole = weights.len() / 8 * 8;
    let (mut sums, mut rest) = ([0.0; 8], 0.0);
    for (place, value) in places.iter().map(|place| *place as usize).zip(values) {
        let term = weights[place] * value;
        if place < whole {
            sums[place % 8] += term;
        } else {
            rest += term;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sum_to_the_bits_of_the_whole_row() {
        for width in 1..40_u32 {
            let number = |place: u32| f64::from(place.wrapping_mul(2_654_435_761) >> 16).sin();
            let weights: Vec<f64> = (0..width).map(number).collect();
            let row: Vec<f64> = (0..width)
                .map(|place| if place % 3 == width % 3 { number(place + 99) } else { 0.0 })
                .collect();
            let kept: Vec<u32> = (0..width).filter(|&place| row[place as usize] != 0.0).collect();
            let values: Vec<f64> = kept.iter().map(|&place| row[place as usize]).collect();
            assert_eq!(
                sparse_dot(&weights, &kept, &values).to_bits(),
                dot(&weights, &row).to_bits(),
                "{width}"
            );
        }
    }
}
