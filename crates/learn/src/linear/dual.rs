//! Dual coordinate descent for the hinge loss (Hsieh et al. 2008, algorithm 3: random order, shrinking).
//!
//! Where the intercept is free, its dual constraint Σ α t = 0 is kept by the method of multipliers (Bertsekas 1982, section
//! 2.1): the intercept is drawn towards its last value, which after each pass is the present one, so that nothing of
//! the pull is left in the end. It stops by the gap between the primal and the dual objective.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::design::Design;
use super::objective::Penalty;
use super::{Solution, Stop};
use crate::LearnError;
use crate::ctx::Ctx;

/// Passes between two looks at the duality gap.
const LOOK: usize = 10;

/// ½ Σ w² + C Σ weight × max(0, 1 - t × margin) for two classes.
pub(crate) struct Hinge<'a> {
    design: &'a Design,
    /// Per row 1 or -1.
    signs: Vec<f64>,
    /// Per row C × weight.
    bounds: Vec<f64>,
    /// Per coordinate the square of its scale, 1 / the factor of its penalty.
    metric: Vec<f64>,
    free_intercept: bool,
}

/// A dual point and the primal one that belongs to it.
struct Point {
    alpha: Vec<f64>,
    theta: Vec<f64>,
    /// Σ α t.
    imbalance: f64,
}

/// Rows that are still looked at, and the largest and smallest projected slope that keeps one.
struct Active {
    rows: Vec<usize>,
    most: f64,
    least: f64,
}

impl<'a> Hinge<'a> {
    /// `penalty` has no L1 part and an L2 part of 1.
    pub(crate) fn new(design: &'a Design, positive: &[bool], weights: &[f64], penalty: Penalty) -> Self {
        let mut metric: Vec<f64> =
            design.scales().iter().map(|scale| (scale * scale).clamp(1e-60, 1e60)).collect();
        // A free intercept moves as easily as all weights of an average row together.
        let others = metric.iter().sum::<f64>() - 1.0;
        metric[design.intercept()] = match penalty.intercept_scaling {
            Some(scaling) => scaling * scaling,
            None => others.clamp(1e-3, 1e60),
        };
        Self {
            design,
            signs: positive.iter().map(|is| if *is { 1.0 } else { -1.0 }).collect(),
            bounds: weights.iter().map(|weight| penalty.c * weight).collect(),
            metric,
            free_intercept: penalty.intercept_scaling.is_none(),
        }
    }

    /// Minimises; `steps` are passes over the rows.
    pub(crate) fn minimise(
        &self,
        stop: Stop,
        mut rng: ChaCha8Rng,
        ctx: &Ctx,
    ) -> Result<Solution, LearnError> {
        let squares = self.squares();
        let mut at = Point {
            alpha: vec![0.0; self.signs.len()],
            theta: vec![0.0; self.design.coordinates()],
            imbalance: 0.0,
        };
        let mut active = self.all_rows();
        let (mut steps, mut gap, mut enough) = (0, f64::INFINITY, 0.1);
        while steps < stop.steps {
            ctx.check()?;
            ctx.progress("linear model: passes of dual coordinate descent", steps as u64, 0);
            active.rows.shuffle(&mut rng);
            let spread = self.pass(&squares, &mut active, &mut at);
            steps += 1;
            let settled = spread <= enough;
            if settled || steps.is_multiple_of(LOOK) {
                gap = self.gap(&at);
                if gap <= stop.gap {
                    break;
                }
            }
            if settled {
                let whole = active.rows.len() == self.all_rows().rows.len();
                enough = if whole { (enough * 0.1).max(1e-12) } else { enough };
                active = self.all_rows();
            }
        }
        if gap > stop.gap {
            gap = self.gap(&at);
        }
        Ok(Solution { theta: at.theta, steps, gap, solver: "dual coordinate descent" })
    }

    /// The primal objective, as scikit-learn states it.
    pub(crate) fn stated(&self, theta: &[f64]) -> f64 {
        let margins = self.design.margins(theta);
        let rows = margins.iter().zip(&self.signs).zip(&self.bounds);
        let loss: f64 = rows.map(|((margin, sign), bound)| bound * (1.0 - sign * margin).max(0.0)).sum();
        0.5 * self.square(theta) + loss
    }

    /// Σ θ² / metric over what is penalised.
    fn square(&self, theta: &[f64]) -> f64 {
        let intercept = self.design.intercept();
        let penalised = |place: &usize| !(self.free_intercept && *place == intercept);
        (0..theta.len()).filter(penalised).map(|place| theta[place] * theta[place] / self.metric[place]).sum()
    }

    fn all_rows(&self) -> Active {
        let rows = (0..self.bounds.len()).filter(|&row| self.bounds[row] > 0.0).collect();
        Active { rows, most: f64::INFINITY, least: f64::NEG_INFINITY }
    }

    /// Per row the curvature along its α.
    fn squares(&self) -> Vec<f64> {
        let square =
            |row| self.design.row(row).map(|(place, value)| value * value * self.metric[place]).sum();
        (0..self.signs.len()).map(square).collect()
    }

    /// One pass over the active rows; returns the spread of the projected slopes, 0 at the optimum.
    fn pass(&self, squares: &[f64], active: &mut Active, at: &mut Point) -> f64 {
        let (most, least) = (active.most, active.least);
        let (mut highest, mut lowest) = (f64::NEG_INFINITY, f64::INFINITY);
        active.rows.retain(|&row| {
            let slope = self.signs[row] * self.design.row_dot(row, &at.theta) - 1.0;
            let (alpha, bound) = (at.alpha[row], self.bounds[row]);
            let held = (alpha <= 0.0 && slope > most.max(0.0)) || (alpha >= bound && slope < least.min(0.0));
            if held {
                return false;
            }
            let projected = if alpha <= 0.0 {
                slope.min(0.0)
            } else if alpha >= bound {
                slope.max(0.0)
            } else {
                slope
            };
            (highest, lowest) = (highest.max(projected), lowest.min(projected));
            if projected != 0.0 {
                self.shift(row, (alpha - slope / squares[row]).clamp(0.0, bound), at);
            }
            true
        });
        if self.free_intercept {
            let place = self.design.intercept();
            at.theta[place] += self.metric[place] * at.imbalance;
        }
        active.most = if highest > 0.0 { highest } else { f64::INFINITY };
        active.least = if lowest < 0.0 { lowest } else { f64::NEG_INFINITY };
        if active.rows.is_empty() { 0.0 } else { highest - lowest }
    }

    fn shift(&self, row: usize, to: f64, at: &mut Point) {
        let change = self.signs[row] * (to - at.alpha[row]);
        if change == 0.0 {
            return;
        }
        at.alpha[row] = to;
        at.imbalance += change;
        for (place, value) in self.design.row(row) {
            at.theta[place] += change * value * self.metric[place];
        }
    }

    /// How far the primal objective is above the dual one, as a share of it. A free intercept's constraint that does not yet
    /// hold is added at the price of the intercept.
    fn gap(&self, at: &Point) -> f64 {
        let primal = self.stated(&at.theta);
        let intercept = at.theta[self.design.intercept()];
        let unbalanced = if self.free_intercept { at.imbalance.abs() * (1.0 + intercept.abs()) } else { 0.0 };
        let dual = at.alpha.iter().sum::<f64>() - 0.5 * self.square(&at.theta);
        ((primal - dual).abs() + unbalanced) / primal.abs().max(f64::MIN_POSITIVE)
    }
}
