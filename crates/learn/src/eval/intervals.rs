//! How sure the metrics of a detector are: an interval for each, all from the same draws of labelled rows ([`super::bootstrap`]).
//!
//! The rows are sorted by score once; a draw is how often each of them counts, so that a thousand draws cost about as much as
//! a thousand walks down the rows.

use std::collections::BTreeMap;

use super::bootstrap::{self, Draw, Interval};
use super::metrics::{Confusion, Step, average_precision_of, is_alert, roc_auc_of, steps_of};
use crate::LearnError;
use crate::ctx::Ctx;

/// The metrics that get an interval, by their plain names ([`super::metrics::Metrics`]).
const NAMES: [&str; 10] = [
    "recall",
    "precision",
    "fdr",
    "fpr",
    "f1",
    "accuracy",
    "balanced_accuracy",
    "mcc",
    "roc_auc",
    "average_precision",
];

/// Percentile intervals of the metrics that are defined on these rows. `draw` numbers the strata or groups of the same rows.
///
/// # Errors
/// [`LearnError::Data`] when lengths differ, a score is NaN, there are no draws or the confidence is not between 0 and 1;
/// [`LearnError::Cancelled`].
pub fn metric_intervals(
    (truth, scores): (&[bool], &[f64]),
    threshold: f64,
    draw: Draw<'_>,
    (draws, confidence): (usize, f64),
    ctx: &Ctx,
) -> Result<BTreeMap<&'static str, Interval>, LearnError> {
    let (Draw::Strata(numbers) | Draw::Groups(numbers)) = draw;
    if truth.len() != scores.len()
        || numbers.len() != truth.len()
        || scores.iter().any(|score| score.is_nan())
    {
        return Err(LearnError::Data(
            "intervals need one score that is a number for each labelled row".to_owned(),
        ));
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let metrics = |times: &[u32]| {
        let counted = order.iter().filter(|&&row| times[row] > 0);
        let steps: Vec<Step> = steps_of(counted.map(|&row| (scores[row], truth[row], u64::from(times[row]))));
        all_of(&steps, threshold)
    };
    let found = bootstrap::intervals(draw, (draws, confidence), metrics, ctx)?;
    Ok(NAMES.into_iter().zip(found).filter_map(|(name, interval)| Some((name, interval?))).collect())
}

/// The metrics in the order of [`NAMES`].
fn all_of(steps: &[Step], threshold: f64) -> [Option<f64>; NAMES.len()] {
    let alerts = steps.iter().take_while(|step| is_alert(step.score, threshold)).last();
    let (hits, alarms) = alerts.map_or((0, 0), |step| (step.true_positives, step.false_positives));
    let (malicious, benign) = steps.last().map_or((0, 0), |step| (step.true_positives, step.false_positives));
    let found = Confusion {
        true_positives: hits,
        false_positives: alarms,
        true_negatives: benign - alarms,
        false_negatives: malicious - hits,
    }
    .metrics();
    [
        found.recall,
        found.precision,
        found.fdr,
        found.fpr,
        found.f1,
        found.accuracy,
        found.balanced_accuracy,
        found.mcc,
        roc_auc_of(steps),
        average_precision_of(steps),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::bootstrap::interval;
    use crate::eval::metrics::{measure, roc_auc};

    fn rows() -> (Vec<bool>, Vec<f64>) {
        let truth: Vec<bool> = (0..300).map(|row| row * 7919 % 13 < 4).collect();
        let score = |(row, &bad): (usize, &bool)| (row * 31 % 97) as f64 + if bad { 30.0 } else { 0.0 };
        let scores = truth.iter().enumerate().map(score).collect();
        (truth, scores)
    }

    #[test]
    fn values_are_the_metrics_and_bounds_those_of_the_naive_bootstrap() {
        let (truth, scores) = rows();
        let strata: Vec<u32> = truth.iter().copied().map(u32::from).collect();
        let ctx = Ctx::new(5, 2);
        let found =
            metric_intervals((&truth, &scores), 80.0, Draw::Strata(&strata), (100, 0.9), &ctx).unwrap();
        let whole = measure(&truth, &scores, 80.0, &[]).unwrap();
        let whole = serde_json::to_value(&whole).unwrap();
        assert_eq!(found.len(), NAMES.len());
        for (name, interval) in &found {
            assert_eq!(Some(interval.value), whole[name].as_f64(), "{name}");
            assert!(
                interval.low <= interval.value && interval.value <= interval.high,
                "{name}: {interval:?}"
            );
        }
        let auc = |rows: &[usize]| {
            let truth: Vec<bool> = rows.iter().map(|&row| truth[row]).collect();
            let scores: Vec<f64> = rows.iter().map(|&row| scores[row]).collect();
            roc_auc(&truth, &scores)
        };
        let naive = interval(Draw::Strata(&strata), 100, 0.9, auc, &ctx).unwrap();
        assert_eq!(Some(found["roc_auc"]), naive);
    }

    #[test]
    fn what_is_not_defined_has_no_interval() {
        let draw = Draw::Strata(&[0, 0]);
        let found =
            metric_intervals((&[false, false], &[0.1, 0.2]), 0.5, draw, (10, 0.95), &Ctx::new(1, 1)).unwrap();
        assert!(found.contains_key("fpr") && !found.contains_key("recall") && !found.contains_key("roc_auc"));
        assert!(metric_intervals((&[true], &[f64::NAN]), 0.5, draw, (10, 0.95), &Ctx::new(1, 1)).is_err());
    }
}
