//! Multinomial naive Bayes: within a class every count of a row falls to a column with a probability of its own.

use serde::{Deserialize, Serialize};

use super::naive_bayes::{ALPHA, Bayes, FIT_PRIOR, Likelihood, bounded, tally};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: Multinomial::NAME,
    kind: Kind::Classifier,
    doc: "Naive Bayes of counts: every unit of a row falls to a column with a probability that its class sets. Columns \
          must not be negative. The same probabilities as scikit-learn's MultinomialNB (Manning, Raghavan and Schütze \
          2008, section 13.2).",
    takes_missing: false,
    takes_sparse: true,
    takes_categories: false,
    wants_scaling: false,
    params: &[ALPHA, FIT_PRIOR],
    build: |params| {
        Ok(Box::new(MultinomialNb { alpha: params.float("alpha"), fit_prior: params.bool("fit_prior") }))
    },
    load: Bayes::<Multinomial>::load,
};

/// Hyperparameters.
struct MultinomialNb {
    alpha: f64,
    fit_prior: bool,
}

/// Logarithms of probabilities.
#[derive(Serialize, Deserialize)]
struct Multinomial {
    columns: usize,
    /// ln p(column | class), classes × columns.
    logs: Vec<f64>,
    /// Mean sum of a row in training.
    mean_sum: f64,
}

impl Estimator for MultinomialNb {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled(SPEC.name, false)?;
        if let Some((row, column)) = data.x.find(|x| x < 0.0) {
            return Err(LearnError::Data(format!(
                "{}: row {row}, column {column} is negative, which no count is; use `gaussian-nb` for such columns",
                SPEC.name
            )));
        }
        let columns = data.x.columns();
        let (counts, scale) = ctx.install(|| counts(data, ctx))??;
        let smoothed = |count: f64| count + self.alpha * scale;
        let totals = counts.chunks_exact(columns).map(|of| of.iter().map(|&count| smoothed(count)).sum());
        let totals: Vec<f64> = totals.map(f64::ln).collect();
        let log = |(place, &count): (usize, &f64)| smoothed(count).ln() - totals[place / columns];
        let logs = counts.iter().enumerate().map(log).map(|log| log.clamp(-1e4, 0.0)).collect();
        let weight: f64 = data.weight_of_classes().iter().sum();
        let mean_sum = bounded(counts.iter().map(|count| count / weight).sum::<f64>() / scale);
        let multinomial = Multinomial { columns, logs, mean_sum };
        Ok(Box::new(Bayes::new(multinomial, data, self.fit_prior)))
    }
}

/// Counts per class and column, all multiplied with a power of two where the sums would overflow.
fn counts(data: &Train<'_>, ctx: &Ctx) -> Result<(Vec<f64>, f64), LearnError> {
    for scale in [1.0, (-900f64).exp2()] {
        let counts = tally::values(data, ctx, |x| x * scale)?;
        if counts.iter().sum::<f64>().is_finite() {
            return Ok((counts, scale));
        }
    }
    Err(LearnError::Data(format!(
        "{}: the values times their weights are too large to be added up",
        SPEC.name
    )))
}

impl Likelihood for Multinomial {
    const NAME: &'static str = "multinomial-nb";

    fn columns(&self) -> usize {
        self.columns
    }

    fn is_valid(&self, classes: usize) -> bool {
        self.columns > 0
            && self.logs.len() == self.columns.saturating_mul(classes)
            && self.mean_sum >= 0.0
            && self.mean_sum.is_finite()
            && self.logs.iter().all(|log| (-1e4..=0.0).contains(log))
    }

    fn add(&self, row: &[f64], joint: &mut [f64]) {
        const LANES: usize = 8;
        for (joint, logs) in joint.iter_mut().zip(self.logs.chunks_exact(self.columns)) {
            let mut sums = [0.0; LANES];
            for (x, log) in row.chunks(LANES).zip(logs.chunks(LANES)) {
                sums.iter_mut().zip(x.iter().zip(log)).for_each(|(sum, (x, log))| *sum += x * log);
            }
            *joint += sums.iter().sum::<f64>();
        }
    }

    fn term(&self, column: usize, class: usize, x: f64) -> f64 {
        bounded(x * self.logs[class * self.columns + column])
    }

    fn divergence(&self, column: usize, a: usize, b: usize) -> f64 {
        let (a, b) = (self.logs[a * self.columns + column], self.logs[b * self.columns + column]);
        self.mean_sum * (a.exp() - b.exp()) * (a - b)
    }

    fn of_zeros(&self) -> Option<Vec<f64>> {
        Some(vec![0.0; self.logs.len() / self.columns])
    }

    fn add_entries(&self, columns: &[u32], values: &[f64], joint: &mut [f64]) {
        for (&column, value) in columns.iter().zip(values) {
            for (class, joint) in joint.iter_mut().enumerate() {
                *joint += value * self.logs[class * self.columns + column as usize];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    fn fit(x: &Matrix, y: &[u32], weights: Option<&[f64]>) -> Result<Box<dyn Model>, LearnError> {
        let data = Train { weights, ..Train::labelled(x, y, 2) };
        MultinomialNb { alpha: 1.0, fit_prior: true }.fit(&data, &Ctx::new(0, 1))
    }

    /// Class 0 counts 3 and 1, class 1 counts 0 and 2: smoothed 4/6, 2/6 and 1/4, 3/4.
    #[test]
    fn probabilities_are_those_of_bayes_rule_by_hand() {
        let x = Matrix::from_values(3, 2, vec![2.0, 1.0, 1.0, 0.0, 0.0, 2.0]);
        let model = fit(&x, &[0, 0, 1], None).unwrap();
        let mut out = [0.0; 2];
        model.score_row(&[1.0, 2.0], &mut out);
        let (a, b) = (2.0 / 3.0 * (2.0 / 3.0) / 9.0, 1.0 / 3.0 * 0.25 * 0.5625);
        assert!((out[0] - a / (a + b)).abs() < 1e-14, "{out:?}");
    }

    #[test]
    fn negative_values_are_refused_by_place() {
        let x = Matrix::from_values(2, 2, vec![1.0, 0.0, 3.0, -0.5]);
        let message = fit(&x, &[0, 1], None).err().unwrap().to_string();
        assert!(message.contains("row 1, column 1 is negative"), "{message}");
    }

    #[test]
    fn a_weight_of_two_is_the_row_twice_and_of_zero_no_row() {
        let x = Matrix::from_values(4, 2, vec![1.0, 0.0, 0.0, 3.0, 2.0, 1.0, 50.0, 0.0]);
        let weighed = fit(&x, &[0, 1, 1, 0], Some(&[2.0, 1.0, 2.0, 0.0])).unwrap();
        let repeated = fit(&x.take_rows(&[0, 0, 1, 2, 2]), &[0, 0, 1, 1, 1], None).unwrap();
        assert_eq!(weighed.save().unwrap(), repeated.save().unwrap());
    }

    #[test]
    fn sums_beyond_the_largest_number_keep_their_shares() {
        let x =
            Matrix::from_values(4, 2, vec![1.5e308, 0.5e308, 1.5e308, 0.5e308, 0.2e308, 1.0, 0.2e308, 1.0]);
        let model = fit(&x, &[0, 0, 1, 1], None).unwrap();
        let mut out = [0.0; 2];
        model.score_row(&[1.0, 0.0], &mut out);
        assert!((out[0] - 0.75 / 1.75).abs() < 1e-12, "{out:?}");
    }
}
