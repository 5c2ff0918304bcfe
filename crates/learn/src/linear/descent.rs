//! Going down an objective step by step: what all methods share. A method proposes a direction and says how far below it
//! expects the minimum; here a line search takes the step, and the stop is decided.

use super::objective::{Objective, moved};
use super::{Solution, Stop, share_of};
use crate::LearnError;
use crate::ctx::Ctx;

/// A point with its margins and its objective, corners included.
pub(super) struct Place {
    pub(super) theta: Vec<f64>,
    pub(super) margins: Vec<f64>,
    pub(super) value: f64,
}

impl Place {
    fn new(objective: &Objective<'_>, theta: Vec<f64>) -> Self {
        let margins = objective.design().margins(&theta);
        let value = objective.total(&theta, &margins);
        Self { theta, margins, value }
    }
}

/// What a method would do next.
pub(super) struct Step {
    pub(super) direction: Vec<f64>,
    /// What the objective changes by along the direction at first, by its own estimate.
    pub(super) slope: f64,
    /// Estimated distance to the minimum.
    pub(super) fall: f64,
}

impl Step {
    /// A step of a method that models the objective by a parabola: half the slope is what it falls by at the parabola's
    /// lowest point, half the squared Newton decrement (Boyd and Vandenberghe 2004, section 9.5.1).
    pub(super) fn of_parabola(direction: Vec<f64>, slope: f64) -> Self {
        Self { direction, slope, fall: -0.5 * slope }
    }
}

/// A way to choose steps.
pub(super) trait Method {
    /// As notes name it.
    const NAME: &'static str;
    /// Steps in a row that must expect little before it is believed.
    const SURE_AFTER: usize = 1;

    /// The step to take from a point; `None` when the method knows none.
    fn step(&mut self, objective: &Objective<'_>, at: &Place) -> Option<Step>;

    /// Learns from the step taken.
    fn arrived(&mut self, _objective: &Objective<'_>, _from: &Place, _to: &Place) {}
}

/// Minimises from `theta` until the method expects less than `stop.gap` of the objective, or no step lowers it any more.
pub(super) fn descend<M: Method>(
    method: &mut M,
    objective: &Objective<'_>,
    theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let stage = format!("linear model: steps of {}", M::NAME);
    let mut at = Place::new(objective, theta);
    let (mut gap, mut steps, mut calm) = (f64::INFINITY, 0, 0);
    while steps < stop.steps && calm < M::SURE_AFTER {
        ctx.check()?;
        ctx.progress(&stage, steps as u64, 0);
        let Some(step) = method.step(objective, &at) else { break };
        gap = share_of(at.value, step.fall);
        let Some(next) = backtrack(objective, &at, &step) else { break };
        method.arrived(objective, &at, &next);
        (at, steps, calm) = (next, steps + 1, if gap <= stop.gap { calm + 1 } else { 0 });
    }
    Ok(Solution { theta: at.theta, steps, gap, solver: M::NAME })
}

/// The first of 1, ½, ¼, .. that lowers the value by a part of what the slope promises (Armijo), up to rounding; `None` when
/// none does, because the value is as low as rounding lets it be.
fn backtrack(objective: &Objective<'_>, at: &Place, step: &Step) -> Option<Place> {
    let rounding = 4.0 * f64::EPSILON * at.value.abs();
    let margins = objective.design().margins(&step.direction);
    (0..50).map(|halvings| 0.5f64.powi(halvings)).find_map(|length| {
        let (theta, margins) =
            (moved(&at.theta, length, &step.direction), moved(&at.margins, length, &margins));
        let value = objective.total(&theta, &margins);
        let enough = value <= at.value + 1e-4 * length * step.slope + rounding;
        enough.then_some(Place { theta, margins, value })
    })
}
