//! How well the first rows of a list sorted by score serve the analyst who reads it from the top.

use std::cmp::Ordering;

/// Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002) of malicious rows among the `first` (`None` = all):
/// Σ 1/log₂(rank + 1) over malicious rows, divided by that of a perfect order. Rows of equal score share the mean of their
/// places (McSherry and Najork 2008), as in scikit-learn's `ndcg_score`. `None` without malicious rows.
#[must_use]
pub fn ndcg(truth: &[bool], scores: &[f64], first: Option<usize>) -> Option<f64> {
    let most = first.unwrap_or(truth.len());
    let discount = |place: usize| if place < most { 1.0 / (place as f64 + 2.0).log2() } else { 0.0 };
    let mut order: Vec<usize> = (0..truth.len().min(scores.len())).collect();
    order.sort_by(|&a, &b| scores[b].partial_cmp(&scores[a]).unwrap_or(Ordering::Equal));
    let (mut place, mut gain) = (0, 0.0);
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let malicious = equal.iter().filter(|&&row| truth[row]).count() as f64;
        let discounts: f64 = (place..place + equal.len()).map(discount).sum();
        gain += malicious / equal.len() as f64 * discounts;
        place += equal.len();
    }
    let malicious = truth.iter().filter(|is| **is).count();
    let best: f64 = (0..malicious).map(discount).sum();
    (best > 0.0).then(|| gain / best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?} is not {expected}");
    }

    #[test]
    fn gains_by_hand() {
        let log = |rank: f64| 1.0 / (rank + 1.0).log2();
        // the malicious rows come first and third of three
        near(
            ndcg(&[true, false, true], &[3.0, 2.0, 1.0], None),
            (log(1.0) + log(3.0)) / (log(1.0) + log(2.0)),
        );
        near(ndcg(&[true, false, true], &[3.0, 2.0, 1.0], Some(2)), log(1.0) / (log(1.0) + log(2.0)));
        // all equal: two thirds of each place
        let all = log(1.0) + log(2.0) + log(3.0);
        near(ndcg(&[true, false, true], &[5.0; 3], None), 2.0 / 3.0 * all / (log(1.0) + log(2.0)));
        near(ndcg(&[true, true], &[0.1, 0.2], None), 1.0);
        assert_eq!((ndcg(&[false], &[1.0], None), ndcg(&[], &[], None)), (None, None));
    }
}
