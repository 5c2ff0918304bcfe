//! Platt's sigmoid: the probability of a class from a margin, p = 1 / (1 + exp(a·m + b)).
//!
//! Platt, "Probabilistic outputs for support vector machines" (1999), fitted by the Newton method of Lin, Lin and Weng,
//! "A note on Platt's probabilistic outputs for support vector machines" (2007), algorithm 1, whose loss and slopes lose
//! no digits in either tail. The margins must come from rows the classifier has not learnt from.

use serde::{Deserialize, Serialize};

use crate::linear::objective::sigmoid;

/// A fitted sigmoid. `a` is below 0 where a higher margin means a likelier class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Platt {
    pub(crate) a: f64,
    pub(crate) b: f64,
}

/// Newton steps at most; a dozen is usual.
const STEPS: usize = 100;
/// Steps are halved at most this often.
const HALVINGS: i32 = 40;
/// Added to the diagonal of the Hessian, which vanishes where all margins are the same.
const RIDGE: f64 = 1e-12;

impl Platt {
    /// Fits to finite margins, whether each row is of the class, and finite weights not below 0, all of one length.
    ///
    /// Targets are Platt's: (n₊ + 1) / (n₊ + 2) and 1 / (n₋ + 2) rather than 1 and 0, where n counts weights, so that the
    /// sigmoid stays finite for classes that the margins tell apart without error.
    pub(crate) fn fit(margins: &[f64], positive: &[bool], weights: &[f64]) -> Self {
        let largest = margins.iter().map(|margin| margin.abs()).fold(0.0, f64::max);
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let problem = Problem::new(margins.iter().map(|margin| margin / scale), positive, weights);
        let Self { a, b } = problem.minimise();
        Self { a: (a / scale).clamp(-f64::MAX, f64::MAX), b }
    }

    /// The probability of the class at a finite margin; exact in both tails.
    pub(crate) fn probability(&self, margin: f64) -> f64 {
        sigmoid(self.log_odds(margin))
    }

    /// ln(p / (1 - p)), which may be infinite for huge margins.
    pub(crate) fn log_odds(&self, margin: f64) -> f64 {
        -(self.a * margin + self.b)
    }

    /// Whether both numbers are finite, as those of a damaged file need not be.
    pub(crate) fn is_sound(&self) -> bool {
        self.a.is_finite() && self.b.is_finite()
    }
}

/// Margins within ±1, targets and weights.
struct Problem {
    rows: Vec<(f64, f64, f64)>,
    start: Platt,
    total: f64,
}

impl Problem {
    fn new(margins: impl Iterator<Item = f64>, positive: &[bool], weights: &[f64]) -> Self {
        let of = |class: bool| -> f64 {
            positive.iter().zip(weights).filter(|(is, _)| **is == class).map(|(_, weight)| weight).sum()
        };
        let (members, others) = (of(true), of(false));
        let (high, low) = ((members + 1.0) / (members + 2.0), 1.0 / (others + 2.0));
        let target = |is: bool| if is { high } else { low };
        let rows = margins.zip(positive).zip(weights);
        let rows = rows.map(|((margin, is), weight)| (margin, target(*is), *weight)).collect();
        let start = Platt { a: 0.0, b: ((others + 1.0) / (members + 1.0)).ln() };
        Self { rows, start, total: members + others }
    }

    fn minimise(&self) -> Platt {
        let mut at = self.start;
        let mut value = self.value(at);
        for _ in 0..STEPS {
            let Slopes { gradient: [ga, gb], hessian: [haa, hab, hbb] } = self.slopes(at);
            let determinant = haa * hbb - hab * hab;
            let step =
                Platt { a: -(hbb * ga - hab * gb) / determinant, b: -(haa * gb - hab * ga) / determinant };
            let slope = ga * step.a + gb * step.b;
            // The value can fall by about half of that; what is less than rounding is not worth a step.
            if !step.is_sound() || -slope <= 1e-15 * self.total {
                break;
            }
            let shorter = (0..HALVINGS).map(|halvings| 0.5f64.powi(halvings)).find_map(|length| {
                let next = Platt { a: at.a + length * step.a, b: at.b + length * step.b };
                let lower = self.value(next);
                (lower < value + 1e-4 * length * slope).then_some((next, lower))
            });
            let Some(lower) = shorter else { break };
            (at, value) = lower;
        }
        at
    }

    /// Σ weight × cross entropy: equation 6 of Lin, Lin and Weng, which subtracts nothing of like size.
    fn value(&self, at: Platt) -> f64 {
        let loss = |&(margin, target, weight): &(f64, f64, f64)| {
            let x = at.a * margin + at.b;
            let linear = if x >= 0.0 { target * x } else { (target - 1.0) * x };
            weight * (linear + (-x.abs()).exp().ln_1p())
        };
        self.rows.iter().map(loss).sum()
    }

    fn slopes(&self, at: Platt) -> Slopes {
        let start = Slopes { gradient: [0.0; 2], hessian: [RIDGE, 0.0, RIDGE] };
        self.rows.iter().fold(start, |mut slopes, &(margin, target, weight)| {
            let x = at.a * margin + at.b;
            let (p, q) = (sigmoid(-x), sigmoid(x));
            let (first, second) = (weight * (target - p), weight * p * q);
            slopes.gradient[0] += margin * first;
            slopes.gradient[1] += first;
            slopes.hessian[0] += margin * margin * second;
            slopes.hessian[1] += margin * second;
            slopes.hessian[2] += second;
            slopes
        })
    }
}

/// By a and b; the Hessian's three distinct entries.
struct Slopes {
    gradient: [f64; 2],
    hessian: [f64; 3],
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGINS: [f64; 8] = [-2.0, -1.2, -0.5, 0.1, -0.3, 0.4, 1.1, 2.5];
    const POSITIVE: [bool; 8] = [false, false, false, false, true, true, true, true];

    /// The cross entropy by the book.
    fn naive_value(at: Platt, weights: &[f64]) -> f64 {
        let count = |class| -> f64 {
            POSITIVE.iter().zip(weights).filter(|(is, _)| **is == class).map(|(_, weight)| weight).sum()
        };
        let (high, low) = ((count(true) + 1.0) / (count(true) + 2.0), 1.0 / (count(false) + 2.0));
        let rows = MARGINS.iter().zip(POSITIVE).zip(weights);
        rows.map(|((margin, is), weight)| {
            let (p, t) = (1.0 / (1.0 + (at.a * margin + at.b).exp()), if is { high } else { low });
            -weight * (t * p.ln() + (1.0 - t) * (1.0 - p).ln())
        })
        .sum()
    }

    #[test]
    fn nothing_near_the_fit_is_better() {
        for weights in [[1.0; 8], [1.0, 2.0, 0.0, 5.0, 1.0, 0.5, 3.0, 1.0]] {
            let fitted = Platt::fit(&MARGINS, &POSITIVE, &weights);
            let least = naive_value(fitted, &weights);
            assert!(fitted.a < -0.5, "{fitted:?}");
            for (da, db) in [(1e-4, 0.0), (-1e-4, 0.0), (0.0, 1e-4), (0.0, -1e-4), (1e-4, -1e-4)] {
                let near = Platt { a: fitted.a + da, b: fitted.b + db };
                assert!(naive_value(near, &weights) > least, "{fitted:?} {da} {db}");
            }
        }
    }

    /// Values of scikit-learn's `_sigmoid_calibration`, which stops at its own tolerance.
    #[test]
    fn the_fit_is_that_of_scikit_learn() {
        for (weights, a, b) in [
            ([1.0; 8], -0.929_048_65, -0.025_946_45),
            ([1.0, 2.0, 0.0, 5.0, 1.0, 0.5, 3.0, 1.0], -1.353_872_97, 0.672_107_02),
        ] {
            let fitted = Platt::fit(&MARGINS, &POSITIVE, &weights);
            assert!((fitted.a - a).abs() < 2e-4 && (fitted.b - b).abs() < 2e-4, "{fitted:?}");
        }
    }

    #[test]
    fn a_weight_is_that_many_rows() {
        let twice = Platt::fit(&MARGINS, &POSITIVE, &[2.0; 8]);
        let rows = Platt::fit(&[MARGINS; 2].concat(), &[POSITIVE; 2].concat(), &[1.0; 16]);
        assert!((twice.a - rows.a).abs() < 1e-9 && (twice.b - rows.b).abs() < 1e-9, "{twice:?} {rows:?}");
    }

    #[test]
    fn margins_of_one_value_give_the_smoothed_share() {
        let fitted = Platt::fit(&[3.0; 4], &[true, true, true, false], &[1.0; 4]);
        let mean_target = (3.0 * (4.0 / 5.0) + 1.0 / 3.0) / 4.0;
        assert!((fitted.probability(3.0) - mean_target).abs() < 1e-9, "{fitted:?}");
        let all = Platt::fit(&[1.0, 2.0], &[true, true], &[1.0; 2]);
        assert!((all.probability(5.0) - 0.75).abs() < 1e-9, "{all:?}");
    }

    #[test]
    fn huge_and_tiny_margins_give_probabilities() {
        for scale in [1e300, 1e-300, 1.0] {
            let margins = MARGINS.map(|margin| margin * scale);
            let fitted = Platt::fit(&margins, &POSITIVE, &[1.0; 8]);
            assert!(fitted.is_sound(), "{scale}: {fitted:?}");
            for margin in [-f64::MAX, -1.0, 0.0, 1.0, f64::MAX] {
                assert!((0.0..=1.0).contains(&fitted.probability(margin)), "{scale}: {fitted:?} at {margin}");
            }
        }
    }
}
