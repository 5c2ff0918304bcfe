//! The metrics of detection, each under its own plain name, from truth and scores (higher = more malicious).
//!
//! A metric that is not defined (precision without alerts, recall without malicious rows) is `None`, never 0 or 1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::LearnError;

/// The false-alarm rates at which recall is reported.
pub const REPORTED_FPR: [f64; 5] = [0.0001, 0.001, 0.01, 0.05, 0.1];

/// Alerts against truth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// Malicious rows alerted on.
    pub true_positives: u64,
    /// Benign rows alerted on.
    pub false_positives: u64,
    /// Benign rows left alone.
    pub true_negatives: u64,
    /// Malicious rows missed.
    pub false_negatives: u64,
}

/// How well malicious rows were told from benign ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows measured.
    pub rows: u64,
    /// Malicious rows among them.
    pub malicious: u64,
    /// Benign rows among them.
    pub benign: u64,
    /// Share of malicious rows; precision and FDR only hold at this rate.
    pub base_rate: Option<f64>,
    /// Rows that score at least this are alerts.
    pub threshold: f64,
    /// Alerts against truth at the threshold.
    pub confusion: Confusion,
    /// Share of malicious rows alerted on (detection rate, true positive rate).
    pub recall: Option<f64>,
    /// Share of alerts that are malicious.
    pub precision: Option<f64>,
    /// Share of alerts that are benign (false discovery rate, 1 - precision).
    pub fdr: Option<f64>,
    /// Share of benign rows alerted on (false positive rate, false alarm rate).
    pub fpr: Option<f64>,
    /// Harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn).
    pub f1: Option<f64>,
    /// Share of rows decided rightly.
    pub accuracy: Option<f64>,
    /// Mean of recall and 1 - fpr.
    pub balanced_accuracy: Option<f64>,
    /// Matthews correlation coefficient, 0 when a row or column of the confusion is empty.
    pub mcc: Option<f64>,
    /// Probability that a malicious row scores above a benign one, ties counting half.
    pub roc_auc: Option<f64>,
    /// Sum of precision over steps of recall, without interpolation (scikit-learn's definition).
    pub average_precision: Option<f64>,
    /// Highest recall whose false-alarm rate stays within each of [`REPORTED_FPR`].
    pub recall_at_fpr: Vec<OperatingPoint>,
    /// Mean F1 of the families, each against the benign rows.
    pub macro_family_f1: Option<f64>,
    /// Per family of malicious rows, by name.
    pub families: Vec<FamilyMetrics>,
}

/// What a false-alarm rate buys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatingPoint {
    /// Share of benign rows one is ready to be alerted on.
    pub fpr: f64,
    /// Highest recall within that; `None` without rows of both kinds.
    pub recall: Option<f64>,
}

/// Detection of one family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FamilyMetrics {
    /// Its name; rows without one are counted under an empty name.
    pub family: String,
    /// Its rows.
    pub rows: u64,
    /// Its rows alerted on.
    pub detected: u64,
    /// Share alerted on.
    pub recall: f64,
    /// F1 of the alerts when the rows are this family and all benign rows.
    pub f1: Option<f64>,
    /// ROC AUC of this family against all benign rows.
    pub roc_auc: Option<f64>,
}

/// Measures scores against truth. The slices run parallel; `families` may be empty.
///
/// # Errors
/// [`LearnError::Data`] when lengths differ or a score is NaN.
pub fn measure(
    truth: &[bool],
    scores: &[f64],
    threshold: f64,
    families: &[Option<&str>],
) -> Result<Metrics, LearnError> {
    if truth.len() != scores.len() || !(families.is_empty() || families.len() == truth.len()) {
        let lengths = (truth.len(), scores.len(), families.len());
        return Err(LearnError::Data(format!("truth, scores and families have {lengths:?} rows")));
    }
    if let Some(row) = scores.iter().position(|score| score.is_nan()) {
        return Err(LearnError::Data(format!("the score of row {row} is not a number")));
    }
    let confusion = Confusion::of(truth, scores, threshold);
    let steps = steps(truth, scores);
    let families = family_metrics(truth, scores, threshold, families, confusion.false_positives);
    Ok(Metrics {
        threshold,
        roc_auc: roc_auc_of(&steps),
        average_precision: average_precision_of(&steps),
        recall_at_fpr: REPORTED_FPR
            .map(|fpr| OperatingPoint { fpr, recall: recall_at(&steps, fpr) })
            .to_vec(),
        macro_family_f1: mean(families.iter().filter_map(|family| family.f1)),
        families,
        ..confusion.metrics()
    })
}

/// The one place where a threshold is applied: a row that scores at least the threshold is an alert.
#[must_use]
pub fn is_alert(score: f64, threshold: f64) -> bool {
    score >= threshold
}

/// Probability that a malicious row scores above a benign one, ties counting half; `None` without rows of both kinds.
#[must_use]
pub fn roc_auc(truth: &[bool], scores: &[f64]) -> Option<f64> {
    roc_auc_of(&steps(truth, scores))
}

/// Sum over distinct scores of precision times the step in recall; `None` without malicious rows.
#[must_use]
pub fn average_precision(truth: &[bool], scores: &[f64]) -> Option<f64> {
    average_precision_of(&steps(truth, scores))
}

/// The highest recall of any threshold whose false-alarm rate is at most `fpr`; `None` without rows of both kinds.
#[must_use]
pub fn recall_at_fpr(truth: &[bool], scores: &[f64], fpr: f64) -> Option<f64> {
    recall_at(&steps(truth, scores), fpr)
}

/// The threshold with the highest F1 (the highest such) and that F1; `None` without malicious rows.
#[must_use]
pub fn best_f1(truth: &[bool], scores: &[f64]) -> Option<(f64, f64)> {
    let steps = steps(truth, scores);
    let malicious = steps.last()?.true_positives;
    if malicious == 0 {
        return None;
    }
    let f1 = |step: &Step| 2.0 * step.true_positives as f64 / (malicious + step.alerts()) as f64;
    let better =
        |best: (f64, f64), step: &Step| if f1(step) > best.1 { (step.score, f1(step)) } else { best };
    Some(steps.iter().fold((f64::INFINITY, -1.0), better))
}

impl Confusion {
    /// Counts alerts (scores of at least the threshold) against truth.
    #[must_use]
    pub fn of(truth: &[bool], scores: &[f64], threshold: f64) -> Self {
        let mut counts = Self::default();
        for (&malicious, &score) in truth.iter().zip(scores) {
            let count = match (malicious, is_alert(score, threshold)) {
                (true, true) => &mut counts.true_positives,
                (true, false) => &mut counts.false_negatives,
                (false, true) => &mut counts.false_positives,
                (false, false) => &mut counts.true_negatives,
            };
            *count += 1;
        }
        counts
    }

    pub(super) fn metrics(self) -> Metrics {
        let Self { true_positives: tp, false_positives: fp, true_negatives: tn, false_negatives: missed } =
            self;
        let (malicious, benign, rows) = (tp + missed, fp + tn, tp + fp + tn + missed);
        let (recall, fpr) = (ratio(tp, malicious), ratio(fp, benign));
        Metrics {
            rows,
            malicious,
            benign,
            base_rate: ratio(malicious, rows),
            threshold: f64::NAN,
            confusion: self,
            recall,
            precision: ratio(tp, tp + fp),
            fdr: ratio(fp, tp + fp),
            fpr,
            f1: ratio(2 * tp, 2 * tp + fp + missed),
            accuracy: ratio(tp + tn, rows),
            balanced_accuracy: recall.zip(fpr).map(|(recall, fpr)| f64::midpoint(recall, 1.0 - fpr)),
            mcc: self.mcc(),
            roc_auc: None,
            average_precision: None,
            recall_at_fpr: Vec::new(),
            macro_family_f1: None,
            families: Vec::new(),
        }
    }

    fn mcc(self) -> Option<f64> {
        let [tp, fp, tn, missed] =
            [self.true_positives, self.false_positives, self.true_negatives, self.false_negatives]
                .map(|count| count as f64);
        let product = (tp + fp) * (tp + missed) * (tn + fp) * (tn + missed);
        match (tp + fp + tn + missed, product) {
            (0.0, _) => None,
            (_, 0.0) => Some(0.0),
            _ => Some((tp * tn - fp * missed) / product.sqrt()),
        }
    }
}

/// Alerts when every row of at least `score` is one.
pub(super) struct Step {
    pub(super) score: f64,
    pub(super) true_positives: u64,
    pub(super) false_positives: u64,
}

impl Step {
    fn alerts(&self) -> u64 {
        self.true_positives + self.false_positives
    }
}

/// One step per distinct score, highest first; the last counts every row.
pub(super) fn steps(truth: &[bool], scores: &[f64]) -> Vec<Step> {
    let mut order: Vec<(f64, bool)> = scores.iter().copied().zip(truth.iter().copied()).collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    steps_of(order.into_iter().map(|(score, malicious)| (score, malicious, 1)))
}

/// The steps of rows in order of their scores, highest first, each with how often it counts.
pub(super) fn steps_of(ordered: impl Iterator<Item = (f64, bool, u64)>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut true_positives, mut false_positives) = (0, 0);
    for (score, malicious, times) in ordered {
        if malicious {
            true_positives += times;
        } else {
            false_positives += times;
        }
        match steps.last_mut().filter(|step| step.score == score) {
            Some(step) => (step.true_positives, step.false_positives) = (true_positives, false_positives),
            None => steps.push(Step { score, true_positives, false_positives }),
        }
    }
    steps
}

/// The area under the steps by trapezes, in whole numbers until the last division.
pub(super) fn roc_auc_of(steps: &[Step]) -> Option<f64> {
    let last = steps.last()?;
    let pairs = u128::from(last.true_positives) * u128::from(last.false_positives);
    let mut doubled = 0u128;
    let (mut hits, mut alarms) = (0, 0);
    for step in steps {
        doubled += u128::from(step.false_positives - alarms) * u128::from(step.true_positives + hits);
        (hits, alarms) = (step.true_positives, step.false_positives);
    }
    (pairs > 0).then(|| doubled as f64 / (2 * pairs) as f64)
}

pub(super) fn average_precision_of(steps: &[Step]) -> Option<f64> {
    let malicious = steps.last().map_or(0, |step| step.true_positives);
    let mut hits = 0;
    let mut sum = 0.0;
    for step in steps {
        sum += (step.true_positives - hits) as f64 * (step.true_positives as f64 / step.alerts() as f64);
        hits = step.true_positives;
    }
    (malicious > 0).then(|| sum / malicious as f64)
}

fn recall_at(steps: &[Step], fpr: f64) -> Option<f64> {
    let last = steps.last().filter(|last| last.true_positives > 0 && last.false_positives > 0)?;
    let within = |step: &&Step| step.false_positives as f64 <= fpr * last.false_positives as f64;
    let hits = steps.iter().take_while(within).last().map_or(0, |step| step.true_positives);
    ratio(hits, last.true_positives)
}

fn family_metrics(
    truth: &[bool],
    scores: &[f64],
    threshold: f64,
    families: &[Option<&str>],
    false_positives: u64,
) -> Vec<FamilyMetrics> {
    if families.is_empty() {
        return Vec::new();
    }
    let mut scores_of: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let mut benign = Vec::new();
    for ((&malicious, &score), family) in truth.iter().zip(scores).zip(families) {
        if malicious {
            scores_of.entry(family.unwrap_or_default()).or_default().push(score);
        } else {
            benign.push(score);
        }
    }
    benign.sort_unstable_by(f64::total_cmp);
    let measure = |(family, own): (&str, Vec<f64>)| {
        let rows = own.len() as u64;
        let detected = own.iter().filter(|score| is_alert(**score, threshold)).count() as u64;
        FamilyMetrics {
            family: family.to_owned(),
            rows,
            detected,
            recall: detected as f64 / rows as f64,
            f1: ratio(2 * detected, rows + detected + false_positives),
            roc_auc: auc_against(&own, &benign),
        }
    };
    scores_of.into_iter().map(measure).collect()
}

/// ROC AUC of scores against sorted benign scores, which are at most a few lookups away for each family.
fn auc_against(malicious: &[f64], benign: &[f64]) -> Option<f64> {
    let won_twice = |score: f64| {
        benign.partition_point(|&other| other < score) as u128
            + benign.partition_point(|&other| other <= score) as u128
    };
    let pairs = malicious.len() as u128 * benign.len() as u128;
    (pairs > 0)
        .then(|| malicious.iter().map(|&score| won_twice(score)).sum::<u128>() as f64 / (2 * pairs) as f64)
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: [bool; 6] = [true, false, true, true, false, false];
    const SCORES: [f64; 6] = [0.9, 0.8, 0.8, 0.3, 0.2, 0.1];

    #[test]
    fn metrics_worked_out_by_hand() {
        let families = [Some("scan"), None, Some("scan"), Some("beacon"), None, None];
        let metrics = measure(&TRUTH, &SCORES, 0.5, &families).unwrap();
        let expected =
            Confusion { true_positives: 2, false_positives: 1, true_negatives: 2, false_negatives: 1 };
        assert_eq!(metrics.confusion, expected);
        for (found, expected) in [
            (metrics.base_rate, 0.5),
            (metrics.recall, 2.0 / 3.0),
            (metrics.precision, 2.0 / 3.0),
            (metrics.fdr, 1.0 / 3.0),
            (metrics.fpr, 1.0 / 3.0),
            (metrics.f1, 2.0 / 3.0),
            (metrics.accuracy, 2.0 / 3.0),
            (metrics.balanced_accuracy, 2.0 / 3.0),
            (metrics.mcc, (2.0 * 2.0 - 1.0 * 1.0) / 9.0),
            // pairs won: 3 by 0.9, 2 and a half by 0.8, 2 by 0.3, of 9
            (metrics.roc_auc, 7.5 / 9.0),
            // steps: recall 1/3 at precision 1; 2/3 at 2/3; 1 at 3/4
            (metrics.average_precision, (1.0 + 2.0 / 3.0 + 3.0 / 4.0) / 3.0),
            // scan: 2 of 2 found beside 1 false alarm; beacon: none
            (metrics.families[1].f1, 4.0 / 5.0),
            (metrics.families[0].f1, 0.0),
            (metrics.macro_family_f1, 0.4),
            (metrics.families[1].roc_auc, 5.5 / 6.0),
        ] {
            assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} is not {expected}");
        }
        assert_eq!(recall_at_fpr(&TRUTH, &SCORES, 0.3), Some(1.0 / 3.0));
        assert_eq!(recall_at_fpr(&TRUTH, &SCORES, 1.0 / 3.0), Some(1.0));
        assert_eq!(best_f1(&TRUTH, &SCORES), Some((0.3, 6.0 / 7.0)));
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let none = measure(&[false, false], &[0.1, 0.2], 0.5, &[]).unwrap();
        assert_eq!(
            (none.recall, none.precision, none.roc_auc, none.average_precision),
            (None, None, None, None)
        );
        assert_eq!((none.fpr, none.mcc), (Some(0.0), Some(0.0)));
        let empty = measure(&[], &[], 0.5, &[]).unwrap();
        assert_eq!((empty.accuracy, empty.base_rate, empty.mcc), (None, None, None));
        assert!(measure(&[true], &[f64::NAN], 0.5, &[]).is_err());
        assert!(measure(&[true], &[], 0.5, &[]).is_err());
    }
}
