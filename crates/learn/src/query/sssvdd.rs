//! Semi-supervised support vector data description (Görnitz, Kloft and Brefeld 2009): a ball that holds benign and
//! unlabelled rows and shuts malicious ones out by a margin.
//!
//! Over centre c, radius R and margin γ, minimises
//! R² - κγ + ν_u mean over unlabelled ℓ(R² - ‖x - c‖²) + ν_l mean over labelled ℓ(y (R² - ‖x - c‖²) - γ),
//! with y = 1 for benign and -1 for malicious rows and the hinge smoothed by a parabola. The objective is not convex; the
//! minimum found is that near the mean of the rows it is to hold.

use serde::{Deserialize, Serialize};

use super::pool::{Pool, add_up, runs, squared_distance};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::linear::lbfgs::minimise_smooth;

/// Half the width of the parabola that rounds the hinge off.
const ROUND: f64 = 0.5;
/// Steps at most, and the slope that is as good as none.
const STEPS: usize = 200;
const FLAT: f64 = 1e-5;

/// Hyperparameters. Plain numbers that no fit changes: fitting again gives the same ball.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sssvdd {
    unlabelled: f64,
    labelled: f64,
    margin: f64,
}

/// A fitted ball.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ball {
    /// Its centre.
    pub centre: Vec<f64>,
    /// The square of its radius.
    pub squared_radius: f64,
    /// The margin between benign and malicious rows.
    pub margin: f64,
    /// The objective there.
    pub objective: f64,
}

impl Ball {
    /// ‖x - c‖² - R²: above 0 outside, which is malicious.
    #[must_use]
    pub fn score(&self, x: &[f64]) -> f64 {
        (squared_distance(x, &self.centre) - self.squared_radius).clamp(f64::MIN, f64::MAX)
    }
}

impl Sssvdd {
    /// Weights of the unlabelled rows, of the labelled rows and of the margin.
    ///
    /// # Errors
    /// [`LearnError::Parameter`] when one is not a finite number of at least 0, or when the margin weighs more than the
    /// labelled rows, so that a larger margin would always be better.
    pub fn new(unlabelled: f64, labelled: f64, margin: f64) -> Result<Self, LearnError> {
        let refuse = |name: &str, expected: &str, found: f64| LearnError::Parameter {
            owner: "sssvdd".to_owned(),
            name: name.to_owned(),
            expected: expected.to_owned(),
            found: found.to_string(),
        };
        for (name, value) in [("nu_u", unlabelled), ("nu_l", labelled), ("kappa", margin)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(refuse(name, "a finite number not below 0", value));
            }
        }
        if margin > labelled {
            return Err(refuse("kappa", "at most nu_l, or the margin would grow without end", margin));
        }
        Ok(Self { unlabelled, labelled, margin })
    }

    /// Fits to a pool of which some rows have labels (row, malicious).
    ///
    /// # Errors
    /// [`LearnError::Cancelled`], or [`LearnError::Data`] when every row is malicious.
    pub fn fit(&self, pool: &Pool, labels: &[(u32, bool)], ctx: &Ctx) -> Result<Ball, LearnError> {
        let problem = Problem::new(*self, pool, labels);
        let start = problem.start(ctx)?;
        let solution = minimise_smooth(|theta| problem.value(theta, ctx), start, FLAT, STEPS, ctx)?;
        let columns = pool.x().columns();
        Ok(Ball {
            centre: solution.theta[..columns].to_vec(),
            squared_radius: solution.theta[columns] * solution.theta[columns],
            margin: solution.theta[columns + 1],
            objective: solution.value,
        })
    }
}

struct Problem<'a> {
    pool: &'a Pool,
    weights: Sssvdd,
    /// Per row 0 (unlabelled), 1 (benign) or -1 (malicious).
    y: Vec<i8>,
    /// What one unlabelled and one labelled row weigh.
    each: (f64, f64),
    labelled: usize,
}

impl<'a> Problem<'a> {
    fn new(weights: Sssvdd, pool: &'a Pool, labels: &[(u32, bool)]) -> Self {
        let mut y = vec![0i8; pool.rows()];
        labels.iter().for_each(|&(row, malicious)| y[row as usize] = if malicious { -1 } else { 1 });
        let labelled = y.iter().filter(|y| **y != 0).count();
        let share = |weight: f64, rows: usize| if rows > 0 { weight / rows as f64 } else { 0.0 };
        let each = (share(weights.unlabelled, pool.rows() - labelled), share(weights.labelled, labelled));
        Self { pool, weights, y, each, labelled }
    }

    /// The mean of the rows that are not malicious, their mean distance to it, and a margin of 1.
    fn start(&self, ctx: &Ctx) -> Result<Vec<f64>, LearnError> {
        let x = self.pool.x();
        let kept: Vec<u32> = (0..x.rows() as u32).filter(|&row| self.y[row as usize] >= 0).collect();
        if kept.is_empty() {
            return Err(LearnError::Data(
                "sssvdd: every row is malicious; there is nothing to put a ball around".into(),
            ));
        }
        let sums = runs(kept.len(), ctx, |range| {
            let mut sums = vec![0.0; x.columns()];
            for &row in &kept[range] {
                sums.iter_mut().zip(x.row(row as usize)).for_each(|(sum, value)| *sum += value);
            }
            sums
        })?;
        let mut theta: Vec<f64> = add_up(sums).into_iter().map(|sum| sum / kept.len() as f64).collect();
        let distances = self.pool.of_rows(&kept, ctx, |_, row| squared_distance(row, &theta).sqrt())?;
        theta.extend([distances.iter().sum::<f64>() / kept.len() as f64, 1.0]);
        Ok(theta)
    }

    /// The objective at (centre, radius, margin) and its gradient.
    fn value(&self, theta: &[f64], ctx: &Ctx) -> Result<(f64, Vec<f64>), LearnError> {
        let x = self.pool.x();
        let columns = x.columns();
        let (centre, radius, gamma) = (&theta[..columns], theta[columns], theta[columns + 1]);
        // Sums of losses, of slopes times y by R², of slopes by γ, then of slopes times y × x and × 1 for the centre.
        let parts = runs(x.rows(), ctx, |range| {
            let mut sums = vec![0.0; columns + 3];
            for row in range {
                let values = x.row(row);
                let inside = radius * radius - squared_distance(values, centre);
                let (weight, y, shift) = match self.y[row] {
                    0 => (self.each.0, 1.0, 0.0),
                    y => (self.each.1, f64::from(y), gamma),
                };
                let (loss, slope) = hinge(y * inside - shift);
                sums[columns] += weight * loss;
                if slope == 0.0 {
                    continue;
                }
                let pull = weight * y * slope;
                sums[columns + 1] += pull;
                sums[columns + 2] += if self.y[row] == 0 { 0.0 } else { weight * slope };
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += pull * value);
            }
            sums
        })?;
        let sums = add_up(parts);
        let (losses, pull, slopes) = (sums[columns], sums[columns + 1], sums[columns + 2]);
        // Without labelled rows the margin has no meaning and is left as it is.
        let kappa = if self.labelled > 0 { self.weights.margin } else { 0.0 };
        let mut gradient: Vec<f64> =
            sums[..columns].iter().zip(centre).map(|(sum, centre)| 2.0 * (sum - pull * centre)).collect();
        gradient.extend([2.0 * radius * (1.0 + pull), -kappa - slopes]);
        Ok((radius * radius - kappa * gamma + losses, gradient))
    }
}

/// The smoothed hinge and its slope: -t below, a parabola about 0, nothing above.
fn hinge(t: f64) -> (f64, f64) {
    if t <= -ROUND {
        (-t, -1.0)
    } else if t < ROUND {
        ((ROUND - t) * (ROUND - t) / (4.0 * ROUND), -0.5 * (1.0 - t / ROUND))
    } else {
        (0.0, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    /// Two lumps of two columns: the second is an attack.
    fn pool() -> Pool {
        let number = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24) - 0.5;
        let value = |row: u32, column: u32| number(2 * row + column) + if row >= 80 { 6.0 } else { 0.0 };
        let values = (0..100).flat_map(|row| [value(row, 0), value(row, 1)]).collect();
        Pool::new(Matrix::from_values(100, 2, values), 0.0).unwrap()
    }

    const LABELS: &[(u32, bool)] = &[(0, false), (1, false), (2, false), (99, true), (98, true)];

    #[test]
    fn the_gradient_is_that_of_the_objective() {
        let (pool, ctx) = (pool(), Ctx::new(0, 1));
        let problem = Problem::new(Sssvdd::new(0.7, 1.5, 0.4).unwrap(), &pool, LABELS);
        for theta in [[0.3, -0.2, 1.4, 0.6], [3.0, 2.5, 0.2, -1.0], [0.0, 0.0, 4.0, 3.0]] {
            let (_, gradient) = problem.value(&theta, &ctx).unwrap();
            for place in 0..4 {
                let at = |step: f64| {
                    let mut near = theta;
                    near[place] += step;
                    problem.value(&near, &ctx).unwrap().0
                };
                let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
                assert!((slope - gradient[place]).abs() < 1e-5, "{place}: {slope} and {}", gradient[place]);
            }
        }
    }

    #[test]
    fn the_objective_is_that_of_the_paper() {
        let (pool, ctx) = (pool(), Ctx::new(0, 1));
        let weights = Sssvdd::new(0.7, 1.5, 0.4).unwrap();
        let problem = Problem::new(weights, &pool, LABELS);
        let (centre, radius, gamma) = ([1.0, 2.0], 1.5, 0.3);
        let mut naive = radius * radius - 0.4 * gamma;
        for row in 0..100u32 {
            let x = pool.x().row(row as usize);
            let inside = radius * radius - (x[0] - centre[0]).powi(2) - (x[1] - centre[1]).powi(2);
            let loss = |t: f64| {
                if t <= -0.5 {
                    -t
                } else if t <= 0.5 {
                    (0.5 - t).powi(2) / 2.0
                } else {
                    0.0
                }
            };
            naive += match LABELS.iter().find(|label| label.0 == row) {
                None => 0.7 / 95.0 * loss(inside),
                Some((_, malicious)) => 1.5 / 5.0 * loss(if *malicious { -inside } else { inside } - gamma),
            };
        }
        let value = problem.value(&[1.0, 2.0, 1.5, 0.3], &ctx).unwrap().0;
        assert!((value - naive).abs() < 1e-9, "{value} {naive}");
    }

    #[test]
    fn fitting_again_gives_the_same_ball_and_attacks_lie_outside() {
        let pool = pool();
        let weights = Sssvdd::new(1.0, 1.0, 1.0).unwrap();
        let fit = |threads| weights.fit(&pool, LABELS, &Ctx::new(0, threads)).unwrap();
        let ball = fit(1);
        assert_eq!(ball, fit(1), "weights do not shrink from fit to fit");
        assert_eq!(ball, fit(3));
        let score = |row: usize| ball.score(pool.x().row(row));
        let benign = (0..80).map(score).fold(f64::MIN, f64::max);
        let attacks = (80..100).map(score).fold(f64::MAX, f64::min);
        assert!(benign < attacks, "{benign} {attacks}");
    }

    #[test]
    fn a_margin_that_could_grow_without_end_is_refused() {
        assert!(Sssvdd::new(1.0, 0.5, 1.0).is_err());
        assert!(Sssvdd::new(-1.0, 1.0, 1.0).is_err());
        let all: Vec<(u32, bool)> = (0..100).map(|row| (row, true)).collect();
        assert!(Sssvdd::new(1.0, 1.0, 1.0).unwrap().fit(&pool(), &all, &Ctx::new(0, 1)).is_err());
        let ball = Sssvdd::new(1.0, 1.0, 1.0).unwrap().fit(&pool(), &[], &Ctx::new(0, 1)).unwrap();
        assert!(ball.objective.is_finite() && ball.margin == 1.0, "without labels the margin stays");
    }
}
