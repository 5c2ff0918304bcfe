//! Permutation importance: how much worse a fitted model ranks labelled rows when one feature is shuffled among them.
//!
//! Breiman 2001, section 10, on rows of the caller's choice (best those the model has not seen). It asks nothing of
//! the model but its scores. Columns made from one feature are shuffled together, by the same order of rows: parts of
//! a one-hot feature shuffled alone would make rows that cannot exist.

use std::collections::BTreeSet;

use rand_chacha::rand_core::Rng;
use rayon::prelude::*;

use super::metrics::{average_precision, roc_auc};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Model;
use crate::matrix::Matrix;
use crate::rng;

/// What is lost when a feature is shuffled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Area under the ROC curve.
    RocAuc,
    /// Average precision.
    AveragePrecision,
    /// Mean negative log likelihood, in nats; the score must be a probability and is kept within 1e-15 of 0 and 1.
    LogLoss,
}

impl Measure {
    /// The measure with its sign such that more is better; `None` where it is not defined.
    fn of(self, truth: &[bool], scores: &[f64]) -> Option<f64> {
        match self {
            Self::RocAuc => roc_auc(truth, scores),
            Self::AveragePrecision => average_precision(truth, scores),
            Self::LogLoss => (!truth.is_empty()).then(|| mean_log_likelihood(truth, scores)),
        }
    }
}

fn mean_log_likelihood(truth: &[bool], scores: &[f64]) -> f64 {
    let likelihood = |(&malicious, &score): (&bool, &f64)| {
        let score = score.clamp(1e-15, 1.0 - 1e-15);
        if malicious { score.ln() } else { (1.0 - score).ln() }
    };
    truth.iter().zip(scores).map(likelihood).sum::<f64>() / truth.len() as f64
}

/// What one feature is worth: the loss of the measure over the repeats, in units of the measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worth {
    /// Mean loss; about 0, and possibly below, for a feature that says nothing.
    pub mean: f64,
    /// Standard deviation over the repeats (dividing by their number, as scikit-learn does).
    pub deviation: f64,
}

/// The worth of each feature of `x` to `model`, `features[column]` being the number of the column's feature; entry `f`
/// of the result belongs to feature `f`, and is 0 where no column is of it. `score` makes the number that ranks a row
/// (higher = more malicious) from the model's outputs. Seeded by `ctx`; the same bits for any number of threads.
///
/// # Errors
/// [`LearnError::Data`] when lengths do not fit, `repeats` is 0 or the measure is not defined for `truth`;
/// [`LearnError::Cancelled`].
pub fn permutation_importances(
    (model, score): (&dyn Model, &(dyn Fn(&[f64]) -> f64 + Sync)),
    (x, truth): (&Matrix, &[bool]),
    features: &[usize],
    (measure, repeats): (Measure, usize),
    ctx: &Ctx,
) -> Result<Vec<Worth>, LearnError> {
    if x.columns() != model.columns() || features.len() != x.columns() || truth.len() != x.rows() {
        return Err(LearnError::Data("model, columns and labels differ in length".to_owned()));
    }
    if repeats == 0 {
        return Err(LearnError::Data("permutation importances need at least one repeat".to_owned()));
    }
    let single = ctx.single_threaded();
    let measured = |x: &Matrix| {
        let scores: Vec<f64> = model.score(x, &single).iter_rows().map(score).collect();
        measure
            .of(truth, &scores)
            .ok_or_else(|| LearnError::Data("the measure needs rows of both kinds".to_owned()))
    };
    let whole = measured(x)?;
    let used: Vec<usize> = features.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let worth = |&feature: &usize| -> Result<(usize, Worth), LearnError> {
        let columns: Vec<usize> = (0..features.len()).filter(|&column| features[column] == feature).collect();
        let mut shuffled = x.clone();
        let mut losses = Vec::with_capacity(repeats);
        for repeat in 0..repeats {
            ctx.check()?;
            let index = feature as u64 * repeats as u64 + repeat as u64;
            for (to, from) in order(x.rows(), ctx.seed, index).into_iter().enumerate() {
                columns.iter().for_each(|&column| shuffled.row_mut(to)[column] = x.row(from)[column]);
            }
            losses.push(whole - measured(&shuffled)?);
        }
        Ok((feature, summary(&losses)))
    };
    let found: Result<Vec<_>, LearnError> = ctx.install(|| used.par_iter().map(worth).collect())?;
    let mut all = vec![Worth { mean: 0.0, deviation: 0.0 }; used.last().map_or(0, |last| last + 1)];
    found?.into_iter().for_each(|(feature, worth)| all[feature] = worth);
    Ok(all)
}

fn summary(losses: &[f64]) -> Worth {
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count;
    Worth { mean, deviation: variance.sqrt() }
}

/// A random order of `rows` rows (Fisher and Yates).
fn order(rows: usize, seed: u64, index: u64) -> Vec<usize> {
    let mut rng = rng::stream(seed, "permutation", index);
    let mut order: Vec<usize> = (0..rows).collect();
    for last in (1..rows).rev() {
        let place = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, place as usize);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores column 0 plus column 1, and looks at no other.
    struct Sum;

    impl Model for Sum {
        fn columns(&self) -> usize {
            3
        }
        fn outputs(&self) -> usize {
            1
        }
        fn score_row(&self, row: &[f64], out: &mut [f64]) {
            out[0] = row[0] + row[1];
        }
        fn save(&self) -> Result<Vec<u8>, LearnError> {
            Ok(Vec::new())
        }
    }

    fn worths(x: &Matrix, truth: &[bool], features: &[usize], threads: usize) -> Vec<Worth> {
        let ctx = Ctx::new(7, threads);
        let how = (Measure::RocAuc, 20);
        permutation_importances((&Sum, &|out| out[0]), (x, truth), features, how, &ctx).unwrap()
    }

    /// Column 0 is the truth, column 1 is constant, column 2 is the number of the row.
    fn data() -> (Matrix, Vec<bool>) {
        let truth: Vec<bool> = (0..200).map(|row| row % 2 == 0).collect();
        let values = (0..200).flat_map(|row| [f64::from(u8::from(row % 2 == 0)), 0.0, f64::from(row)]);
        (Matrix::from_values(200, 3, values.collect()), truth)
    }

    #[test]
    fn what_the_model_needs_is_worth_half_the_area_and_the_rest_nothing() {
        let (x, truth) = data();
        let found = worths(&x, &truth, &[0, 1, 2], 1);
        assert!((found[0].mean - 0.5).abs() < 0.05 && found[0].deviation > 0.0, "{found:?}");
        assert_eq!([found[1], found[2]], [Worth { mean: 0.0, deviation: 0.0 }; 2]);
        assert_eq!(found, worths(&x, &truth, &[0, 1, 2], 3), "threads change nothing");
    }

    #[test]
    fn columns_of_one_feature_move_together() {
        // The sum of the two columns is 1 in every row, so shuffling them together changes no score.
        let values = (0..40).flat_map(|row| [f64::from(row % 2), f64::from(1 - row % 2), 0.0]).collect();
        let x = Matrix::from_values(40, 3, values);
        let truth: Vec<bool> = (0..40).map(|row| row % 2 == 0).collect();
        assert_eq!(worths(&x, &truth, &[0, 0, 2], 1)[0].deviation, 0.0);
        assert!(worths(&x, &truth, &[0, 1, 2], 1)[0].deviation > 0.0);
    }

    #[test]
    fn summaries_and_log_loss_by_hand() {
        assert_eq!(summary(&[1.0, 3.0]), Worth { mean: 2.0, deviation: 1.0 });
        let found = Measure::LogLoss.of(&[true, false], &[0.5, 0.75]).unwrap();
        assert!((found - f64::midpoint(0.5f64.ln(), 0.25f64.ln())).abs() < 1e-15);
    }

    #[test]
    fn orders_hold_every_row_once_and_one_kind_of_rows_is_refused() {
        let mut rows = order(100, 1, 0);
        assert_ne!(rows, order(100, 1, 1));
        rows.sort_unstable();
        assert!(rows.into_iter().eq(0..100));
        let x = Matrix::zeros(2, 3);
        let how = (Measure::RocAuc, 1);
        let refused = permutation_importances(
            (&Sum, &|out| out[0]),
            (&x, &[true; 2]),
            &[0, 1, 2],
            how,
            &Ctx::new(1, 1),
        );
        assert!(matches!(refused, Err(LearnError::Data(_))));
    }
}
