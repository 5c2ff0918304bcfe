//! Dual coordinate descent for the hinge loss and its square (Hsieh et al. 2008, algorithm 3: random order, shrinking).
//!
//! Where the intercept is free, its dual constraint Σ α t = 0 is approached by the method of multipliers (Bertsekas 1982,
//! section 2.1): the intercept is drawn towards its last value, which after each pass is the present one. A few passes
//! tell which rows matter and are a start for [`super::machine`].

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::machine::Machine;
use crate::LearnError;
use crate::ctx::Ctx;

/// Passes at most.
const PASSES: usize = 60;
/// Rows looked at in all, as a multiple of all rows.
const LOOKS: usize = 20;
/// Projected slopes that differ by less are good enough for a start.
const SETTLED: f64 = 0.1;

/// A dual point and the primal one that belongs to it.
pub(super) struct Point {
    /// Per row α.
    pub(super) alpha: Vec<f64>,
    pub(super) theta: Vec<f64>,
    /// Σ α t.
    imbalance: f64,
}

/// Rows that are still looked at, and the largest and smallest projected slope that keeps one.
struct Active {
    rows: Vec<usize>,
    most: f64,
    least: f64,
}

impl Active {
    fn all(machine: &Machine<'_>) -> Self {
        let rows = (0..machine.costs.len()).filter(|&row| machine.costs[row] > 0.0).collect();
        Self { rows, most: f64::INFINITY, least: f64::NEG_INFINITY }
    }
}

/// Goes some passes over the rows.
pub(super) fn descend(machine: &Machine<'_>, mut rng: ChaCha8Rng, ctx: &Ctx) -> Result<Point, LearnError> {
    let rows = machine.costs.len();
    let pull = machine.pull();
    let squares = squares(machine, &pull);
    let mut at = Point { alpha: vec![0.0; rows], theta: vec![0.0; pull.len()], imbalance: 0.0 };
    let mut active = Active::all(machine);
    let mut looks = 0;
    for pass in 0..PASSES {
        if looks > LOOKS * rows {
            break;
        }
        ctx.check()?;
        ctx.progress("linear model: passes of dual coordinate descent", pass as u64, 0);
        active.rows.shuffle(&mut rng);
        looks += active.rows.len();
        if machine.pass(&pull, &squares, &mut active, &mut at) <= SETTLED {
            if active.rows.len() == Active::all(machine).rows.len() {
                break;
            }
            active = Active::all(machine);
        }
    }
    Ok(at)
}

/// Per row the curvature along its α, but for what squares of losses add.
fn squares(machine: &Machine<'_>, pull: &[f64]) -> Vec<f64> {
    let square = |row| machine.design.row(row).map(|(place, value)| value * value * pull[place]).sum();
    (0..machine.costs.len()).map(square).collect()
}

impl Machine<'_> {
    /// One pass over the active rows; returns the spread of the projected slopes, 0 at the optimum.
    fn pass(&self, pull: &[f64], squares: &[f64], active: &mut Active, at: &mut Point) -> f64 {
        let (most, least) = (active.most, active.least);
        let (mut highest, mut lowest) = (f64::NEG_INFINITY, f64::INFINITY);
        active.rows.retain(|&row| {
            let (alpha, cost) = (at.alpha[row], self.costs[row]);
            let (bound, own) = if self.squared { (f64::INFINITY, 0.5 / cost) } else { (cost, 0.0) };
            let slope = self.signs[row] * self.design.row_dot(row, &at.theta) - 1.0 + own * alpha;
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
                at.alpha[row] = (alpha - slope / (squares[row] + own)).clamp(0.0, bound);
                let change = self.signs[row] * (at.alpha[row] - alpha);
                at.imbalance += change;
                self.design.add_pulled_row(row, change, pull, &mut at.theta);
            }
            true
        });
        if self.free_intercept {
            let place = self.design.intercept();
            at.theta[place] += pull[place] * at.imbalance;
        }
        active.most = if highest > 0.0 { highest } else { f64::INFINITY };
        active.least = if lowest < 0.0 { lowest } else { f64::NEG_INFINITY };
        if active.rows.is_empty() { 0.0 } else { highest - lowest }
    }
}
