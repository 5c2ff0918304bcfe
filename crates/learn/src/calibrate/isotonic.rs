//! Isotonic regression: the function of a score that never falls and is nearest to the truth in weighted squares.
//!
//! Pool adjacent violators (Ayer et al. 1955; Zadrozny and Elkan 2002 for calibration). Between fitted scores it
//! is linear, beyond them constant, as scikit-learn's `IsotonicRegression(out_of_bounds="clip")`.

use serde::{Deserialize, Serialize};

/// A fitted function: its corners, scores strictly ascending, values not falling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Isotonic {
    scores: Vec<f64>,
    values: Vec<f64>,
}

/// Rows of one score, or neighbours pooled: the corners they span, their mean and weight.
struct Pool {
    first: f64,
    last: f64,
    mean: f64,
    weight: f64,
}

impl Isotonic {
    /// Fits to finite scores, whether each row is of the class, and finite weights not below 0; rows of weight 0 are as
    /// absent, and without any others every value is 0.
    pub(crate) fn fit(scores: &[f64], positive: &[bool], weights: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).filter(|&row| weights[row] > 0.0).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        let mut pools: Vec<Pool> = Vec::new();
        for rows in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
            let weight: f64 = rows.iter().map(|&row| weights[row]).sum();
            let members: f64 = rows.iter().filter(|&&row| positive[row]).map(|&row| weights[row]).sum();
            let score = scores[rows[0]];
            push(&mut pools, Pool { first: score, last: score, mean: members / weight, weight });
        }
        let mut fitted = Self { scores: Vec::new(), values: Vec::new() };
        for pool in &pools {
            fitted.corner(pool.first, pool.mean);
            if pool.last > pool.first {
                fitted.corner(pool.last, pool.mean);
            }
        }
        if pools.is_empty() {
            fitted.corner(0.0, 0.0);
        }
        fitted
    }

    fn corner(&mut self, score: f64, value: f64) {
        self.scores.push(score);
        self.values.push(value);
    }

    /// The value at a finite score, 0 to 1.
    pub(crate) fn apply(&self, score: f64) -> f64 {
        let after = self.scores.partition_point(|corner| *corner <= score);
        if after == 0 {
            return self.values[0];
        }
        if after == self.scores.len() {
            return self.values[after - 1];
        }
        let (left, right) = (self.scores[after - 1], self.scores[after]);
        let (low, high) = (self.values[after - 1], self.values[after]);
        // Halves, so that the difference of huge scores stays finite.
        let share = (score / 2.0 - left / 2.0) / (right / 2.0 - left / 2.0);
        (low + share.clamp(0.0, 1.0) * (high - low)).clamp(low, high)
    }

    /// Whether the corners are such as [`Isotonic::fit`] makes.
    pub(crate) fn is_sound(&self) -> bool {
        !self.scores.is_empty()
            && self.scores.len() == self.values.len()
            && self.scores.iter().all(|score| score.is_finite())
            && self.values.iter().all(|value| (0.0..=1.0).contains(value))
            && self.scores.is_sorted_by(|a, b| a < b)
            && self.values.is_sorted()
    }
}

/// Adds a pool, joined with those before it that would be above it.
fn push(pools: &mut Vec<Pool>, mut pool: Pool) {
    while let Some(before) = pools.pop_if(|before| before.mean >= pool.mean) {
        let weight = before.weight + pool.weight;
        let mean = before.mean + (pool.mean - before.mean) * (pool.weight / weight);
        pool = Pool { first: before.first, last: pool.last, mean, weight };
    }
    pools.push(pool);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violators_are_pooled_as_by_hand() {
        let scores = [1.0, 2.0, 3.0, 4.0, 5.0];
        let fitted = Isotonic::fit(&scores, &[false, true, false, false, true], &[1.0, 1.0, 1.0, 2.0, 1.0]);
        // 0 | 1 0 0 (weights 1 1 2) pooled to 1/4 | 1
        assert_eq!(fitted.scores, [1.0, 2.0, 4.0, 5.0]);
        assert_eq!(fitted.values, [0.0, 0.25, 0.25, 1.0]);
        let at = [0.0, 1.5, 3.0, 4.5, 9.0].map(|score| fitted.apply(score));
        assert_eq!(at, [0.0, 0.125, 0.25, 0.625, 1.0]);
    }

    /// What scikit-learn's `IsotonicRegression(out_of_bounds="clip")` predicts from the same rows.
    #[test]
    fn values_are_those_of_scikit_learn() {
        let scores = [0.1, -0.1, 0.6, 0.1, -0.5, 0.4, 1.3, 0.9, -0.7, -1.3, -0.6, 0.0];
        let positive = [0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 0].map(|class| class == 1);
        let weights = [1.0, 2.0, 3.0, 1.0, 1.0, 3.0, 3.0, 3.0, 1.0, 2.0, 3.0, 2.0];
        let fitted = Isotonic::fit(&scores, &positive, &weights);
        let expected = [0.0, 0.0, 0.0, 0.1, 0.2, 0.5, 1.0, 1.0, 1.0];
        for (place, expected) in expected.into_iter().enumerate() {
            let score = -2.5 + 0.5 * place as f64;
            assert!((fitted.apply(score) - expected).abs() < 1e-12, "{score}: {}", fitted.apply(score));
        }
    }

    #[test]
    fn equal_scores_are_one_point_and_weight_0_is_absent() {
        let fitted = Isotonic::fit(
            &[2.0, 2.0, 2.0, 7.0, 1.0],
            &[true, false, true, true, true],
            &[1.0, 1.0, 2.0, 1.0, 0.0],
        );
        assert_eq!((fitted.scores, fitted.values), (vec![2.0, 7.0], vec![0.75, 1.0]));
        let none = Isotonic::fit(&[1.0], &[true], &[0.0]);
        assert!(none.is_sound() && none.apply(5.0) == 0.0);
    }

    #[test]
    fn huge_scores_stay_between_the_corners() {
        let fitted = Isotonic::fit(&[-f64::MAX, f64::MAX], &[false, true], &[1.0; 2]);
        assert_eq!(fitted.apply(0.0), 0.5);
        assert!(fitted.is_sound());
    }

    #[test]
    fn damage_is_seen() {
        let sound = Isotonic { scores: vec![0.0, 1.0], values: vec![0.2, 0.3] };
        assert!(sound.is_sound());
        for (scores, values) in [
            (vec![], vec![]),
            (vec![0.0], vec![0.1, 0.2]),
            (vec![1.0, 1.0], vec![0.1, 0.2]),
            (vec![0.0, f64::NAN], vec![0.1, 0.2]),
            (vec![0.0, 1.0], vec![0.2, 0.1]),
            (vec![0.0], vec![1.5]),
        ] {
            assert!(!Isotonic { scores, values }.is_sound());
        }
    }
}
