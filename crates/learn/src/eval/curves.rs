//! The curves of a detector over all thresholds: ROC, precision and recall, false discoveries and detection.

use serde::{Deserialize, Serialize};

use super::metrics::{Step, steps};
use crate::LearnError;

/// Alerts when every row that scores at least `threshold` is one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// The score from which rows are alerts; `None` before the first alert.
    pub threshold: Option<f64>,
    /// Share of malicious rows alerted on (detection rate); `None` without such rows.
    pub recall: Option<f64>,
    /// Share of benign rows alerted on (false-alarm rate of a ROC curve); `None` without such rows.
    pub fpr: Option<f64>,
    /// Share of alerts that are malicious; 1 before the first alert, as a precision-recall curve ends there.
    pub precision: f64,
    /// Share of alerts that are benign: 1 - precision, the x axis of a FAR-DR curve.
    pub fdr: f64,
}

/// The points of every curve, by falling threshold: (fpr, recall) is the ROC curve, (recall, precision) the
/// precision-recall curve, (fdr, recall) the FAR-DR curve. Exact: one point per distinct score and one before the first.
///
/// # Errors
/// [`LearnError::Data`] when lengths differ or a score is NaN.
pub fn curve(truth: &[bool], scores: &[f64]) -> Result<Vec<CurvePoint>, LearnError> {
    if truth.len() != scores.len() || scores.iter().any(|score| score.is_nan()) {
        return Err(LearnError::Data(format!(
            "a curve needs one score that is a number for each row, found {} rows and {} scores",
            truth.len(),
            scores.len()
        )));
    }
    let steps = steps(truth, scores);
    let (malicious, benign) = steps.last().map_or((0, 0), |last| (last.true_positives, last.false_positives));
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let point = |step: &Step| {
        let alerts = (step.true_positives + step.false_positives) as f64;
        CurvePoint {
            threshold: Some(step.score),
            recall: share(step.true_positives, malicious),
            fpr: share(step.false_positives, benign),
            precision: step.true_positives as f64 / alerts,
            fdr: step.false_positives as f64 / alerts,
        }
    };
    let before = CurvePoint {
        threshold: None,
        recall: share(0, malicious),
        fpr: share(0, benign),
        precision: 1.0,
        fdr: 0.0,
    };
    Ok(std::iter::once(before).chain(steps.iter().map(point)).collect())
}

/// At most `most` (at least 2) of the points, the first and last among them: those whose way along the ROC curve, |Δfpr| + |Δrecall|
/// from the first, is nearest below evenly spaced marks.
#[must_use]
pub fn thin(points: &[CurvePoint], most: usize) -> Vec<CurvePoint> {
    let most = most.max(2);
    let (Some(last), true) = (points.last(), points.len() > most) else { return points.to_vec() };
    let way = |point: &CurvePoint| point.fpr.unwrap_or(0.0) + point.recall.unwrap_or(0.0);
    let whole = way(last);
    let mut places: Vec<usize> = (0..most)
        .map(|mark| {
            let target = whole * mark as f64 / (most - 1) as f64;
            points.partition_point(|point| way(point) <= target).saturating_sub(1)
        })
        .collect();
    places[0] = 0;
    places[most - 1] = points.len() - 1;
    places.dedup();
    places.into_iter().map(|place| points[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::metrics::{average_precision, roc_auc};

    #[test]
    fn points_by_hand() {
        let points = curve(&[true, false, true, false], &[0.9, 0.8, 0.8, 0.1]).unwrap();
        let short: Vec<_> =
            points.iter().map(|point| (point.threshold, point.recall, point.fpr, point.precision)).collect();
        assert_eq!(
            short,
            [
                (None, Some(0.0), Some(0.0), 1.0),
                (Some(0.9), Some(0.5), Some(0.0), 1.0),
                (Some(0.8), Some(1.0), Some(0.5), 2.0 / 3.0),
                (Some(0.1), Some(1.0), Some(1.0), 0.5),
            ]
        );
        assert!(points.iter().all(|point| (point.fdr - (1.0 - point.precision)).abs() < 1e-15));
        assert!(curve(&[true], &[f64::NAN]).is_err());
        assert_eq!(curve(&[], &[]).unwrap().len(), 1);
    }

    #[test]
    fn areas_under_the_points_are_the_metrics() {
        let truth: Vec<bool> = (0..500).map(|row| row * 7919 % 13 < 4).collect();
        let scores: Vec<f64> = (0..500)
            .map(|row| f64::from(row * 31 % 97) + if truth[row as usize] { 20.0 } else { 0.0 })
            .collect();
        let points = curve(&truth, &scores).unwrap();
        let at = |point: &CurvePoint| (point.fpr.unwrap(), point.recall.unwrap(), point.precision);
        let (mut area, mut precision) = (0.0, 0.0);
        for pair in points.windows(2) {
            let ((x0, y0, _), (x1, y1, p1)) = (at(&pair[0]), at(&pair[1]));
            area += (x1 - x0) * f64::midpoint(y0, y1);
            precision += (y1 - y0) * p1;
        }
        assert!((area - roc_auc(&truth, &scores).unwrap()).abs() < 1e-12);
        assert!((precision - average_precision(&truth, &scores).unwrap()).abs() < 1e-12);
        let thinned = thin(&points, 20);
        assert!(thinned.len() <= 20 && thinned.len() > 10, "{}", thinned.len());
        assert_eq!((thinned.first(), thinned.last()), (points.first(), points.last()));
        assert!(thinned.iter().all(|point| points.contains(point)));
        assert_eq!(thin(&points, 1000), points);
    }
}
