//! How good probabilities are as probabilities: Brier score, log loss, calibration curve.

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::matrix::Matrix;

/// Mean squared difference of probability and truth (Brier 1950); `None` without rows.
#[must_use]
pub fn brier(truth: &[bool], probabilities: &[f64]) -> Option<f64> {
    let squares = truth.iter().zip(probabilities).map(|(&is, p)| (p - f64::from(u8::from(is))).powi(2));
    (!truth.is_empty()).then(|| squares.sum::<f64>() / truth.len() as f64)
}

/// Mean of -ln of the probability given to the truth, probabilities kept 2⁻⁵² from 0 and 1 (scikit-learn's `log_loss`);
/// `None` without rows.
#[must_use]
pub fn log_loss(truth: &[bool], probabilities: &[f64]) -> Option<f64> {
    let loss = |(&is, &p): (&bool, &f64)| {
        let p = bounded(p);
        if is { -p.ln() } else { -(1.0 - p).ln() }
    };
    (!truth.is_empty()).then(|| truth.iter().zip(probabilities).map(loss).sum::<f64>() / truth.len() as f64)
}

/// [`log_loss`] of several classes: `truth` holds columns of `probabilities` (rows × classes).
///
/// # Errors
/// [`LearnError::Data`] when lengths differ or a class does not exist.
pub fn log_loss_of_classes(truth: &[u32], probabilities: &Matrix) -> Result<Option<f64>, LearnError> {
    if truth.len() != probabilities.rows()
        || truth.iter().any(|&class| class as usize >= probabilities.columns())
    {
        return Err(LearnError::Data(format!(
            "{} true classes do not fit {} × {} probabilities",
            truth.len(),
            probabilities.rows(),
            probabilities.columns()
        )));
    }
    let loss =
        truth.iter().zip(probabilities.iter_rows()).map(|(&class, row)| -bounded(row[class as usize]).ln());
    Ok((!truth.is_empty()).then(|| loss.sum::<f64>() / truth.len() as f64))
}

fn bounded(p: f64) -> f64 {
    p.clamp(f64::EPSILON, 1.0 - f64::EPSILON)
}

/// Probabilities against what came true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// The bins that hold rows, by rising probability.
    pub bins: Vec<ReliabilityBin>,
    /// Expected calibration error: mean over rows of |share malicious - mean probability| of their bin (Naeini et al. 2015).
    pub expected_error: Option<f64>,
    /// The largest such difference of any bin.
    pub largest_error: Option<f64>,
}

/// Rows of like probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Rows in it.
    pub rows: u64,
    /// Their mean probability.
    pub predicted: f64,
    /// Share of them that are malicious.
    pub malicious: f64,
}

/// Where the bins of a calibration curve begin and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bins {
    /// Of equal width.
    Uniform(usize),
    /// Of about equally many rows.
    Quantile(usize),
}

/// The calibration curve (scikit-learn's `calibration_curve`) and its errors.
///
/// # Errors
/// [`LearnError::Data`] when lengths differ, there are no bins, or a value is not a probability.
pub fn reliability(truth: &[bool], probabilities: &[f64], bins: Bins) -> Result<Reliability, LearnError> {
    let (Bins::Uniform(count) | Bins::Quantile(count)) = bins;
    let sound = probabilities.iter().all(|p| (0.0..=1.0).contains(p));
    if truth.len() != probabilities.len() || !sound || count == 0 {
        return Err(LearnError::Data(
            "a calibration curve needs at least one bin, and one probability from 0 to 1 for each row"
                .to_owned(),
        ));
    }
    // Inner edges only; a probability on an edge belongs to the bin below it.
    let edges: Vec<f64> = match bins {
        Bins::Uniform(_) => (1..count).map(|edge| edge as f64 * (1.0 / count as f64)).collect(),
        Bins::Quantile(_) => quantiles(probabilities, count),
    };
    let mut sums = vec![(0u64, 0.0, 0u64); count];
    for (&is, &p) in truth.iter().zip(probabilities) {
        let (rows, predicted, malicious) = &mut sums[edges.partition_point(|edge| *edge < p)];
        *rows += 1;
        *predicted += p;
        *malicious += u64::from(is);
    }
    let bin = |(rows, predicted, malicious): (u64, f64, u64)| ReliabilityBin {
        rows,
        predicted: predicted / rows as f64,
        malicious: malicious as f64 / rows as f64,
    };
    let bins: Vec<ReliabilityBin> = sums.into_iter().filter(|(rows, ..)| *rows > 0).map(bin).collect();
    let error = |bin: &ReliabilityBin| (bin.malicious - bin.predicted).abs();
    let expected = bins.iter().map(|bin| error(bin) * bin.rows as f64).sum::<f64>() / truth.len() as f64;
    Ok(Reliability {
        expected_error: (!bins.is_empty()).then_some(expected),
        largest_error: bins.iter().map(error).reduce(f64::max),
        bins,
    })
}

/// The inner edges of `count` bins of about equally many values, interpolated.
fn quantiles(values: &[f64], count: usize) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return vec![0.0; count - 1] };
    let edge = |edge: usize| {
        let place = edge as f64 / count as f64 * last as f64;
        let (below, above) = (sorted[place.floor() as usize], sorted[(place.ceil() as usize).min(last)]);
        below + (above - below) * place.fract()
    };
    (1..count).map(edge).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: [bool; 8] = [false, false, true, false, true, true, true, false];
    const P: [f64; 8] = [0.05, 0.2, 0.25, 0.4, 0.55, 0.8, 1.0, 0.8];

    fn near(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} is not {expected}");
    }

    #[test]
    fn scores_by_hand() {
        near(brier(&TRUTH, &P), (0.0025 + 0.04 + 0.5625 + 0.16 + 0.2025 + 0.04 + 0.0 + 0.64) / 8.0);
        let product: f64 = 0.95 * 0.8 * 0.25 * 0.6 * 0.55 * 0.8 * (1.0 - f64::EPSILON) * (1.0 - 0.8);
        near(log_loss(&TRUTH, &P), -product.ln() / 8.0);
        near(log_loss(&[true], &[0.0]), 52.0 * std::f64::consts::LN_2);
        let classes = Matrix::from_values(2, 3, vec![0.5, 0.25, 0.25, 0.0, 0.0, 1.0]);
        near(log_loss_of_classes(&[1, 2], &classes).unwrap(), 4f64.ln() / 2.0);
        assert!(log_loss_of_classes(&[3, 0], &classes).is_err());
        assert_eq!((brier(&[], &[]), log_loss(&[], &[])), (None, None));
    }

    #[test]
    fn bins_by_hand() {
        let curve = reliability(&TRUTH, &P, Bins::Uniform(4)).unwrap();
        let bins: Vec<_> = curve.bins.iter().map(|bin| (bin.rows, bin.malicious)).collect();
        // 0.25 is on the edge and belongs below it
        assert_eq!(bins, [(3, 1.0 / 3.0), (1, 0.0), (1, 1.0), (3, 2.0 / 3.0)]);
        near(curve.expected_error, (0.5 + 0.4 + 0.45 + 0.6) / 8.0);
        near(curve.largest_error, 0.45);
        let even = reliability(&TRUTH, &P, Bins::Quantile(2)).unwrap();
        assert_eq!(even.bins.iter().map(|bin| bin.rows).collect::<Vec<_>>(), [4, 4]);
        assert!(reliability(&[], &[], Bins::Quantile(3)).unwrap().bins.is_empty());
        assert!(reliability(&TRUTH, &[2.0; 8], Bins::Uniform(4)).is_err());
    }
}
