//! Metrics against a second, naive implementation: every pair and every threshold, nothing clever.

use cormorant_learn::eval::metrics::{average_precision, best_f1, measure, recall_at_fpr, roc_auc};
use proptest::prelude::*;

/// Every pair of a malicious and a benign row; a tie is half a win.
fn naive_auc(truth: &[bool], scores: &[f64]) -> Option<f64> {
    let (mut won, mut pairs) = (0.0, 0.0);
    for (malicious, high) in truth.iter().zip(scores).filter(|(malicious, _)| **malicious) {
        assert!(*malicious);
        for (_, low) in truth.iter().zip(scores).filter(|(malicious, _)| !**malicious) {
            pairs += 1.0;
            won += if high > low {
                1.0
            } else if high == low {
                0.5
            } else {
                0.0
            };
        }
    }
    (pairs > 0.0).then(|| won / pairs)
}

/// Recall, precision, false-alarm rate and F1 at every score as threshold, highest first.
fn naive_points(truth: &[bool], scores: &[f64]) -> Vec<(f64, f64, f64, f64)> {
    let mut thresholds = scores.to_vec();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    let count = |threshold: f64, wanted: bool| {
        truth
            .iter()
            .zip(scores)
            .filter(|(malicious, score)| **malicious == wanted && **score >= threshold)
            .count() as f64
    };
    let malicious = truth.iter().filter(|malicious| **malicious).count() as f64;
    let benign = truth.len() as f64 - malicious;
    let point = |threshold: f64| {
        let (tp, fp) = (count(threshold, true), count(threshold, false));
        (tp / malicious, tp / (tp + fp), fp / benign, 2.0 * tp / (malicious + tp + fp))
    };
    thresholds.into_iter().map(point).collect()
}

fn naive_average_precision(truth: &[bool], scores: &[f64]) -> f64 {
    let mut before = 0.0;
    let mut sum = 0.0;
    for (recall, precision, _, _) in naive_points(truth, scores) {
        sum += (recall - before) * precision;
        before = recall;
    }
    sum
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() < 1e-12)
}

proptest! {
    /// Scores from a few values, so that ties are everywhere.
    #[test]
    fn the_fast_ones_agree_with_the_naive_ones(rows in prop::collection::vec((any::<bool>(), 0u8..12), 1..60), rate in 0.0f64..1.0) {
        let truth: Vec<bool> = rows.iter().map(|(malicious, _)| *malicious).collect();
        let scores: Vec<f64> = rows.iter().map(|(_, score)| f64::from(*score) / 3.0 - 1.5).collect();
        match naive_auc(&truth, &scores) {
            None => prop_assert!(roc_auc(&truth, &scores).is_none()),
            Some(expected) => {
                prop_assert!(near(roc_auc(&truth, &scores), expected));
                prop_assert!(near(average_precision(&truth, &scores), naive_average_precision(&truth, &scores)));
                let points = naive_points(&truth, &scores);
                let recall = points.iter().filter(|point| point.2 <= rate).map(|point| point.0).fold(0.0, f64::max);
                prop_assert!(near(recall_at_fpr(&truth, &scores, rate), recall));
                let f1 = points.iter().map(|point| point.3).fold(0.0, f64::max);
                let (threshold, best) = best_f1(&truth, &scores).unwrap();
                prop_assert!((best - f1).abs() < 1e-12);
                let families: Vec<Option<&str>> = truth.iter().map(|malicious| malicious.then_some("only")).collect();
                let metrics = measure(&truth, &scores, threshold, &families).unwrap();
                prop_assert!(near(metrics.f1, best));
                prop_assert_eq!(&metrics.families[0].f1, &metrics.f1);
                prop_assert_eq!(&metrics.families[0].roc_auc, &metrics.roc_auc);
            }
        }
    }

    #[test]
    fn counts_and_rates_belong_together(rows in prop::collection::vec((any::<bool>(), -2.0f64..2.0), 0..80), threshold in -2.0f64..2.0) {
        let (truth, scores): (Vec<bool>, Vec<f64>) = rows.into_iter().unzip();
        let metrics = measure(&truth, &scores, threshold, &[]).unwrap();
        let counts = metrics.confusion;
        let (tp, fp) = (counts.true_positives, counts.false_positives);
        let (tn, missed) = (counts.true_negatives, counts.false_negatives);
        prop_assert_eq!(tp + fp + tn + missed, metrics.rows);
        prop_assert_eq!((tp + missed, fp + tn), (metrics.malicious, metrics.benign));
        if let (Some(precision), Some(fdr)) = (metrics.precision, metrics.fdr) {
            prop_assert!((precision + fdr - 1.0).abs() < 1e-12);
            if let (Some(recall), Some(f1)) = (metrics.recall, metrics.f1) {
                let harmonic = if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 };
                prop_assert!((harmonic - f1).abs() < 1e-12);
            }
        }
        // Pearson's correlation of two 0/1 columns
        if let Some(mcc) = metrics.mcc {
            let n = metrics.rows as f64;
            let (mean_truth, mean_alert) = ((tp + missed) as f64 / n, (tp + fp) as f64 / n);
            let covariance = tp as f64 / n - mean_truth * mean_alert;
            let spread = (mean_truth * (1.0 - mean_truth) * mean_alert * (1.0 - mean_alert)).sqrt();
            let expected = if spread > 0.0 { covariance / spread } else { 0.0 };
            prop_assert!((mcc - expected).abs() < 1e-9);
        }
    }
}
