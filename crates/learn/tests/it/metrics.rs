//! Metrics against a second, naive implementation: every pair and every threshold, nothing clever.

use cormorant_learn::eval::metrics::{average_precision, best_f1, measure, recall_at_fpr, roc_auc};
use cormorant_learn::eval::probability::{Bins, Reliability, brier, log_loss, reliability};
use cormorant_learn::eval::ranking::ndcg;
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

/// Values of scikit-learn 1.x on the same rows, some of equal score.
#[test]
fn values_are_those_of_scikit_learn() {
    let truth: Vec<bool> = (0..200u32).map(|row| row * 7919 % 13 < 4).collect();
    let score = |(row, is): (u32, &bool)| f64::from(row * 31 % 97 + if *is { 40 } else { 0 }) / 140.0;
    let p: Vec<f64> = (0..200u32).zip(&truth).map(score).collect();
    for (found, expected) in [
        (roc_auc(&truth, &p), 0.796_458_625_525_946_7),
        (average_precision(&truth, &p), 0.699_040_448_725_566_8),
        (ndcg(&truth, &p, None), 0.931_359_621_905_785_6),
        (ndcg(&truth, &p, Some(17)), 1.0),
        (brier(&truth, &p), 0.173_882_397_959_183_67),
        (log_loss(&truth, &p), 0.509_612_640_302_467),
    ] {
        assert!(near(found, expected), "{found:?} is not {expected}");
    }
    let shares = |bins| -> Reliability { reliability(&truth, &p, bins).unwrap() };
    let uniform = [
        (0.0, 0.082_900_432_900_432_88),
        (0.138_888_888_888_888_9, 0.254_563_492_063_492_05),
        (0.312_5, 0.413_839_285_714_285_64),
        (0.326_923_076_923_076_9, 0.581_181_318_681_318_7),
        (0.727_272_727_272_727_3, 0.730_519_480_519_480_6),
        (1.0, 0.900_793_650_793_650_8),
    ];
    let quantile = [
        (0.0, 0.085_714_285_714_285_69),
        (0.147_058_823_529_411_77, 0.254_831_932_773_109_2),
        (0.281_25, 0.383_258_928_571_428_6),
        (0.361_111_111_111_111_1, 0.498_015_873_015_873),
        (0.303_030_303_030_303_04, 0.612_554_112_554_112_6),
        (0.806_451_612_903_225_8, 0.779_953_917_050_691_1),
    ];
    for (found, expected) in [(shares(Bins::Uniform(6)), uniform), (shares(Bins::Quantile(6)), quantile)] {
        assert_eq!(found.bins.len(), 6);
        for (bin, (malicious, predicted)) in found.bins.iter().zip(expected) {
            assert!((bin.malicious - malicious).abs() < 1e-12 && (bin.predicted - predicted).abs() < 1e-12);
        }
    }
}
