//! Bernoulli naive Bayes: within a class every column is there with a probability of its own, or it is not.

use serde::{Deserialize, Serialize};

use super::naive_bayes::{ALPHA, Bayes, FIT_PRIOR, Likelihood, tally};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use crate::matrix::Rows;
use crate::params::{ParamKind, ParamSpec};

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: Bernoulli::NAME,
    kind: Kind::Classifier,
    doc: "Naive Bayes of what is there and what is not: a column counts as there when its value is above `binarize`. \
          The same probabilities as scikit-learn's BernoulliNB (Manning, Raghavan and Schütze 2008, section 13.3).",
    takes_missing: false,
    takes_sparse: true,
    takes_categories: false,
    // What is above its mean says more than what is above 0, as most counts and times are.
    wants_scaling: true,
    params: &[
        ALPHA,
        ParamSpec {
            name: "binarize",
            kind: ParamKind::Float { min: -1e300, max: 1e300 },
            default: "0",
            doc: "Values above this count as there.",
        },
        FIT_PRIOR,
    ],
    build: |params| {
        Ok(Box::new(BernoulliNb {
            alpha: params.float("alpha"),
            above: params.float("binarize"),
            fit_prior: params.bool("fit_prior"),
        }))
    },
    load: Bayes::<Bernoulli>::load,
};

/// Hyperparameters.
struct BernoulliNb {
    alpha: f64,
    above: f64,
    fit_prior: bool,
}

/// Logarithms of probabilities, classes × columns.
#[derive(Serialize, Deserialize)]
struct Bernoulli {
    columns: usize,
    above: f64,
    /// ln p(there | class).
    there: Vec<f64>,
    /// ln p(not there | class).
    absent: Vec<f64>,
}

impl Estimator for BernoulliNb {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled(SPEC.name, false)?;
        let counts = ctx.install(|| {
            let dense;
            let data = match data.x {
                Rows::Sparse(_) if self.above < 0.0 => {
                    dense = data.x.dense();
                    &Train { x: Rows::Dense(&dense), ..*data }
                }
                _ => data,
            };
            tally::values(data, ctx, |x| if x > self.above { 1.0 } else { 0.0 })
        })??;
        let columns = data.x.columns();
        let totals = data.weight_of_classes();
        let chance = |(place, count): (usize, f64)| {
            (count + self.alpha).ln() - (totals[place / columns] + 2.0 * self.alpha).ln()
        };
        let of_rest =
            |(place, count): (usize, f64)| chance((place, (totals[place / columns] - count).max(0.0)));
        let there = counts.iter().copied().enumerate().map(chance).collect();
        let absent = counts.iter().copied().enumerate().map(of_rest).collect();
        let bernoulli = Bernoulli { columns, above: self.above, there, absent };
        Ok(Box::new(Bayes::new(bernoulli, data, self.fit_prior)))
    }
}

impl Likelihood for Bernoulli {
    const NAME: &'static str = "bernoulli-nb";

    fn columns(&self) -> usize {
        self.columns
    }

    fn is_valid(&self, classes: usize) -> bool {
        let cells = self.columns.saturating_mul(classes);
        self.above.is_finite()
            && cells > 0
            && self.there.len() == cells
            && self.absent.len() == cells
            && self.there.iter().chain(&self.absent).all(|log| (-1e4..=1e-9).contains(log))
    }

    fn add(&self, row: &[f64], joint: &mut [f64]) {
        const LANES: usize = 8;
        let logs = self.there.chunks_exact(self.columns).zip(self.absent.chunks_exact(self.columns));
        for (joint, (there, absent)) in joint.iter_mut().zip(logs) {
            let mut sums = [0.0; LANES];
            let chunks = there.chunks(LANES).zip(absent.chunks(LANES));
            for (x, (there, absent)) in row.chunks(LANES).zip(chunks) {
                for (sum, (x, (there, absent))) in sums.iter_mut().zip(x.iter().zip(there.iter().zip(absent)))
                {
                    *sum += if *x > self.above { *there } else { *absent };
                }
            }
            *joint += sums.iter().sum::<f64>();
        }
    }

    fn term(&self, column: usize, class: usize, x: f64) -> f64 {
        let logs = if x > self.above { &self.there } else { &self.absent };
        logs[class * self.columns + column]
    }

    fn divergence(&self, column: usize, a: usize, b: usize) -> f64 {
        let (a, b) = (a * self.columns + column, b * self.columns + column);
        let part = |logs: &[f64]| (logs[a].exp() - logs[b].exp()) * (logs[a] - logs[b]);
        part(&self.there) + part(&self.absent)
    }

    fn of_zeros(&self) -> Option<Vec<f64>> {
        (self.above >= 0.0)
            .then(|| self.absent.chunks_exact(self.columns).map(|absent| absent.iter().sum()).collect())
    }

    fn add_entries(&self, columns: &[u32], values: &[f64], joint: &mut [f64]) {
        let there = columns.iter().zip(values).filter(|(_, value)| **value > self.above);
        for (&column, _) in there {
            for (class, joint) in joint.iter_mut().enumerate() {
                let place = class * self.columns + column as usize;
                *joint += self.there[place] - self.absent[place];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Matrix, SparseMatrix};

    fn fit(x: Rows<'_>, y: &[u32], above: f64, weights: Option<&[f64]>) -> Box<dyn Model> {
        let data = Train { weights, ..Train::labelled(x, y, 2) };
        BernoulliNb { alpha: 1.0, above, fit_prior: true }.fit(&data, &Ctx::new(0, 1)).unwrap()
    }

    /// Class 0: column 0 in 2 of 2 rows, column 1 in 0; class 1: in 1 and 3 of 4. Smoothed: 3/4, 1/4 and 2/6, 4/6.
    #[test]
    fn probabilities_are_those_of_bayes_rule_by_hand() {
        let x = Matrix::from_values(6, 2, vec![1.0, 0.0, 5.0, -1.0, 0.0, 1.0, 0.0, 2.0, 0.5, 0.0, 0.0, 1.0]);
        let model = fit((&x).into(), &[0, 0, 1, 1, 1, 1], 0.0, None);
        let mut out = [0.0; 2];
        for (row, a, b) in [
            ([1.0, 0.0], 0.75 * 0.75 / 3.0, 2.0 / 6.0 * 2.0 / 6.0 * 2.0 / 3.0),
            ([-3.0, 9.0], 0.25 * 0.25 / 3.0, 4.0 / 6.0 * 4.0 / 6.0 * 2.0 / 3.0),
        ] {
            model.score_row(&row, &mut out);
            assert!((out[0] - a / (a + b)).abs() < 1e-14, "{out:?}");
        }
        let odds = model.contributions(&[1.0, 0.0], 1).unwrap();
        assert!((odds.baseline - 2f64.ln()).abs() < 1e-14);
        assert!((odds.values[0] - (2.0f64 / 6.0 / 0.75).ln()).abs() < 1e-14, "{odds:?}");
    }

    #[test]
    fn zeros_count_as_there_below_a_negative_bound_in_sparse_rows_too() {
        let x = Matrix::from_values(4, 2, vec![0.0, -1.0, 0.0, 0.0, -1.0, 0.0, -2.0, 1.0]);
        let (sparse, y) = (SparseMatrix::from_dense(&x), [0, 0, 1, 1]);
        let (a, b) = (fit((&x).into(), &y, -0.5, None), fit((&sparse).into(), &y, -0.5, None));
        assert_eq!(a.score(&x, &Ctx::new(0, 1)), b.score_sparse(&sparse, &Ctx::new(0, 1)));
        let mut out = [0.0; 2];
        a.score_row(&[0.0, 0.0], &mut out);
        // Column 0: 3/4 and 1/4; column 1: 2/4 and 3/4.
        assert!((out[0] - 2.0 / 3.0).abs() < 1e-14, "{out:?}");
    }

    #[test]
    fn a_weight_of_two_is_the_row_twice_and_of_zero_no_row() {
        let x = Matrix::from_values(4, 2, vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        let weighed = fit((&x).into(), &[0, 1, 1, 0], 0.0, Some(&[2.0, 1.0, 2.0, 0.0]));
        let repeated = x.take_rows(&[0, 0, 1, 2, 2]);
        let repeated = fit((&repeated).into(), &[0, 0, 1, 1, 1], 0.0, None);
        assert_eq!(weighed.save().unwrap(), repeated.save().unwrap());
    }
}
