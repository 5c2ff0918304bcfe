//! Gaussian naive Bayes: within a class every column is normal with a mean and a variance of its own.

use serde::{Deserialize, Serialize};

use super::naive_bayes::{Bayes, FIT_PRIOR, Likelihood, bounded, tally};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use crate::matrix::Matrix;
use crate::params::{ParamKind, ParamSpec};

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: Gaussian::NAME,
    kind: Kind::Classifier,
    doc: "Naive Bayes with normal columns: within a class every column has a mean and a variance of its own and knows \
          nothing of the others. Fitted in two passes; the same probabilities as scikit-learn's GaussianNB.",
    takes_missing: false,
    takes_sparse: false,
    takes_categories: false,
    // `var_smoothing` is a share of the largest variance: columns on one scale are smoothed alike.
    wants_scaling: true,
    params: &[
        ParamSpec {
            name: "var_smoothing",
            kind: ParamKind::Float { min: 0.0, max: 1e6 },
            default: "1e-9",
            doc: "Share of the largest variance of all columns that is added to every variance.",
        },
        FIT_PRIOR,
    ],
    build: |params| {
        let (smoothing, fit_prior) = (params.float("var_smoothing"), params.bool("fit_prior"));
        Ok(Box::new(GaussianNb { smoothing, fit_prior }))
    },
    load: Bayes::<Gaussian>::load,
};

/// Hyperparameters.
struct GaussianNb {
    smoothing: f64,
    fit_prior: bool,
}

/// No variance is below this: squares of smaller deviations vanish.
const SMALLEST: f64 = 1e-280;

/// Normal distributions, classes × columns.
#[derive(Serialize, Deserialize)]
struct Gaussian {
    /// What a column is multiplied with before anything else: 1, or a power of two where its squares would overflow.
    scales: Vec<f64>,
    means: Vec<f64>,
    /// 1 / variance.
    precisions: Vec<f64>,
    /// Per class the sum of ½ ln(precision / 2π).
    heights: Vec<f64>,
}

/// Mean and variance per class and column, and variance over all rows per column.
struct Moments {
    means: Vec<f64>,
    variances: Vec<f64>,
    overall: Vec<f64>,
}

impl Estimator for GaussianNb {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled(SPEC.name, false)?;
        let x = data.x.dense();
        let gaussian = ctx.install(|| -> Result<Gaussian, LearnError> {
            let ones = vec![1.0; x.columns()];
            let moments = Moments::of(&x, data, &ones, ctx)?;
            if moments.are_finite() {
                return Ok(Gaussian::new(moments, ones, data.classes, self.smoothing));
            }
            let scales = scales(&x);
            let moments = Moments::of(&x, data, &scales, ctx)?;
            Ok(Gaussian::new(moments, scales, data.classes, self.smoothing))
        })??;
        Ok(Box::new(Bayes::new(gaussian, data, self.fit_prior)))
    }
}

/// Powers of two that bring columns of huge values to at most 1; 1 for the others.
fn scales(x: &Matrix) -> Vec<f64> {
    const HUGE: f64 = 1e100;
    let mut largest = vec![0f64; x.columns()];
    for row in x.iter_rows() {
        largest.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(x.abs()));
    }
    largest
        .iter()
        .map(|&largest| if largest > HUGE { (-largest.log2().ceil()).exp2() } else { 1.0 })
        .collect()
}

impl Moments {
    /// Two passes: sums, then squares of what deviates from the mean of the class.
    fn of(x: &Matrix, data: &Train<'_>, scales: &[f64], ctx: &Ctx) -> Result<Self, LearnError> {
        let columns = x.columns();
        let totals = data.weight_of_classes();
        let mut means = tally::dense(x, data, ctx, |_, weight, row, sums| {
            sums.iter_mut()
                .zip(row.iter().zip(scales))
                .for_each(|(sum, (x, scale))| *sum += weight * (x * scale));
        })?;
        divide(&mut means, &totals, columns);
        let mut variances = tally::dense(x, data, ctx, |class, weight, row, sums| {
            let means = &means[class * columns..(class + 1) * columns];
            for ((sum, mean), (x, scale)) in sums.iter_mut().zip(means).zip(row.iter().zip(scales)) {
                let deviation = x * scale - mean;
                *sum += weight * (deviation * deviation);
            }
        })?;
        divide(&mut variances, &totals, columns);
        let overall = overall(&means, &variances, data, columns);
        Ok(Self { means, variances, overall })
    }

    fn are_finite(&self) -> bool {
        [&self.means, &self.variances, &self.overall].iter().all(|list| list.iter().all(|x| x.is_finite()))
    }
}

fn divide(sums: &mut [f64], totals: &[f64], columns: usize) {
    for (sums, &total) in sums.chunks_exact_mut(columns).zip(totals) {
        sums.iter_mut().for_each(|sum| *sum = if total > 0.0 { *sum / total } else { 0.0 });
    }
}

/// Variance of all rows, put together from the classes. Weights count here too, which scikit-learn leaves out.
fn overall(means: &[f64], variances: &[f64], data: &Train<'_>, columns: usize) -> Vec<f64> {
    let totals = data.weight_of_classes();
    let all: f64 = totals.iter().sum();
    let mut overall = vec![0.0; columns];
    let mut middle = vec![0.0; columns];
    for (class, total) in totals.iter().enumerate() {
        let means = &means[class * columns..(class + 1) * columns];
        middle.iter_mut().zip(means).for_each(|(middle, mean)| *middle += total / all * mean);
    }
    for (class, total) in totals.iter().enumerate().filter(|(_, total)| **total > 0.0) {
        for (column, overall) in overall.iter_mut().enumerate() {
            let place = class * columns + column;
            let apart = means[place] - middle[column];
            *overall += total / all * (variances[place] + apart * apart);
        }
    }
    overall
}

impl Gaussian {
    /// Columns of another scale smooth on their own: their variance has no place beside the others'.
    fn new(moments: Moments, scales: Vec<f64>, classes: usize, smoothing: f64) -> Self {
        let columns = scales.len();
        let ordinary = moments.overall.iter().zip(&scales).filter(|(_, scale)| **scale == 1.0);
        let largest = ordinary.map(|(variance, _)| *variance).fold(0.0, f64::max);
        let added =
            |column: usize| smoothing * if scales[column] == 1.0 { largest } else { moments.overall[column] };
        let precision = |(place, variance): (usize, &f64)| {
            1.0 / (variance + added(place % columns)).clamp(SMALLEST, 1.0 / SMALLEST)
        };
        let precisions: Vec<f64> = moments.variances.iter().enumerate().map(precision).collect();
        let heights =
            precisions.chunks_exact(columns).map(|of| of.iter().map(|&p| height(p)).sum()).collect();
        debug_assert_eq!(precisions.len(), classes * columns);
        Self { scales, means: moments.means, precisions, heights }
    }

    fn of_class(&self, class: usize) -> (&[f64], &[f64]) {
        let places = class * self.scales.len()..(class + 1) * self.scales.len();
        (&self.means[places.clone()], &self.precisions[places])
    }
}

/// ½ ln(precision / 2π).
fn height(precision: f64) -> f64 {
    0.5 * (precision / std::f64::consts::TAU).ln()
}

impl Likelihood for Gaussian {
    const NAME: &'static str = "gaussian-nb";

    fn columns(&self) -> usize {
        self.scales.len()
    }

    fn is_valid(&self, classes: usize) -> bool {
        let cells = self.scales.len().saturating_mul(classes);
        let range = SMALLEST * 0.99..=1.01 / SMALLEST;
        cells > 0
            && self.means.len() == cells
            && self.precisions.len() == cells
            && self.heights.len() == classes
            && self.scales.iter().all(|scale| *scale > 0.0 && *scale <= 1.0)
            && self.means.iter().chain(&self.heights).all(|value| value.is_finite())
            && self.precisions.iter().all(|precision| range.contains(precision))
    }

    fn add(&self, row: &[f64], joint: &mut [f64]) {
        const LANES: usize = 8;
        for (class, joint) in joint.iter_mut().enumerate() {
            let (means, precisions) = self.of_class(class);
            let mut sums = [0.0; LANES];
            let square = |x: f64, scale: f64, mean: f64, precision: f64| {
                let deviation = x * scale - mean;
                deviation * deviation * precision
            };
            let whole = row.len() - row.len() % LANES;
            let chunks = row.chunks_exact(LANES).zip(self.scales.chunks_exact(LANES));
            let chunks = chunks.zip(means.chunks_exact(LANES).zip(precisions.chunks_exact(LANES)));
            for ((x, scale), (mean, precision)) in chunks {
                for lane in 0..LANES {
                    sums[lane] += square(x[lane], scale[lane], mean[lane], precision[lane]);
                }
            }
            for place in whole..row.len() {
                sums[place - whole] +=
                    square(row[place], self.scales[place], means[place], precisions[place]);
            }
            *joint += self.heights[class] - 0.5 * sums.iter().sum::<f64>();
        }
    }

    fn term(&self, column: usize, class: usize, x: f64) -> f64 {
        let (means, precisions) = self.of_class(class);
        let deviation = x * self.scales[column] - means[column];
        bounded(height(precisions[column]) - 0.5 * bounded(deviation * deviation) * precisions[column])
    }

    fn divergence(&self, column: usize, a: usize, b: usize) -> f64 {
        let ((mean, precision), (other_mean, other_precision)) = (self.of_class(a), self.of_class(b));
        let (p, q) = (precision[column], other_precision[column]);
        let apart = mean[column] - other_mean[column];
        0.5 * (q / p + p / q - 2.0 + bounded(apart * apart) * (p + q))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(
        x: &Matrix,
        y: &[u32],
        weights: Option<&[f64]>,
        smoothing: f64,
        fit_prior: bool,
    ) -> Box<dyn Model> {
        let data = Train { weights, ..Train::labelled(x, y, 2) };
        GaussianNb { smoothing, fit_prior }.fit(&data, &Ctx::new(0, 1)).unwrap()
    }

    /// Class 0 has mean 1 and variance 1 (0, 2), class 1 mean 7 and variance 4 (5, 9, 5, 9), so that
    /// at 3 the densities are exp(-2) / sqrt(2π) and exp(-2) / (2 sqrt(2π)).
    #[test]
    fn probabilities_are_those_of_bayes_rule_by_hand() {
        let x = Matrix::from_values(6, 1, vec![0.0, 2.0, 5.0, 9.0, 5.0, 9.0]);
        let y = [0, 0, 1, 1, 1, 1];
        let mut out = [0.0; 2];
        fit(&x, &y, None, 0.0, true).score_row(&[3.0], &mut out);
        assert!((out[0] - 0.5).abs() < 1e-14, "1/3 × 1 and 2/3 × 1/2: {out:?}");
        fit(&x, &y, None, 0.0, false).score_row(&[3.0], &mut out);
        assert!((out[0] - 2.0 / 3.0).abs() < 1e-14, "{out:?}");
        // All six have mean 5 and variance (25 + 9 + 0 + 16 + 0 + 16) / 6 = 11; half of it, 5.5, is added: 6.5 and 9.5.
        fit(&x, &y, None, 0.5, true).score_row(&[1.0], &mut out);
        let (a, b) = (1.0 / 6.5f64.sqrt(), 2.0 * (-18.0f64 / 9.5).exp() / 9.5f64.sqrt());
        assert!((out[0] - a / (a + b)).abs() < 1e-14, "{out:?}");
    }

    #[test]
    fn a_weight_of_two_is_the_row_twice_and_of_zero_no_row() {
        let x = Matrix::from_values(5, 2, vec![0.0, 1.0, 2.0, 4.0, 5.0, 0.5, 9.0, 3.0, 100.0, 1.0]);
        let y = [0, 0, 1, 1, 1];
        let weighed = fit(&x, &y, Some(&[2.0, 1.0, 1.0, 2.0, 0.0]), 1e-9, true);
        let repeated = x.take_rows(&[0, 0, 1, 2, 3, 3]);
        let repeated = fit(&repeated, &[0, 0, 0, 1, 1, 1], None, 1e-9, true);
        let (mut a, mut b) = ([0.0; 2], [0.0; 2]);
        for row in [[1.0, 2.0], [4.0, 0.0], [3.5, 2.5]] {
            weighed.score_row(&row, &mut a);
            repeated.score_row(&row, &mut b);
            assert!((a[0] - b[0]).abs() < 1e-12, "{a:?} {b:?}");
        }
    }

    #[test]
    fn columns_whose_squares_overflow_still_tell_classes_apart() {
        let x = Matrix::from_values(4, 2, vec![1e300, 0.0, 1.1e300, 1.0, -1e300, 0.5, -1.1e300, 0.2]);
        let model = fit(&x, &[0, 0, 1, 1], None, 1e-9, true);
        let mut out = [0.0; 2];
        model.score_row(&[9e299, 0.4], &mut out);
        assert!(out[0] > 0.999, "{out:?}");
    }
}
