//! Newton's method with a full Hessian and a backtracking line search: few, thorough steps.

use super::cholesky::Cholesky;
use super::design::dot;
use super::lbfgs;
use super::objective::{Objective, moved};
use super::{Solution, Stop, share_of};
use crate::LearnError;
use crate::ctx::Ctx;

/// Minimises from `theta`. The gap is half the squared Newton decrement, which tends to the distance to the minimum
/// (Boyd and Vandenberghe 2004, section 9.5.1).
pub(crate) fn minimise(
    objective: &Objective<'_>,
    mut theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let mut margins = objective.design().margins(&theta);
    let mut value = objective.value(&theta, &margins);
    let (mut gap, mut steps) = (f64::INFINITY, 0);
    while steps < stop.steps {
        ctx.check()?;
        ctx.progress("linear model: Newton steps", steps as u64, 0);
        let gradient = objective.gradient(&theta, &margins);
        let Some(factor) = Cholesky::new(&objective.hessian(&margins), objective.unknowns()) else {
            return lbfgs::minimise(objective, theta, stop, ctx);
        };
        let direction: Vec<f64> = factor.solve(&gradient).iter().map(|part| -part).collect();
        let slope = dot(&gradient, &direction);
        gap = share_of(value, -0.5 * slope);
        let moved_margins = objective.design().margins(&direction);
        let search = |length| {
            let (theta, margins) =
                (moved(&theta, length, &direction), moved(&margins, length, &moved_margins));
            let value = objective.value(&theta, &margins);
            (theta, margins, value)
        };
        let Some((next, next_margins, next_value)) = backtrack(search, value, slope) else { break };
        (theta, margins, value, steps) = (next, next_margins, next_value, steps + 1);
        if gap <= stop.gap {
            break;
        }
    }
    Ok(Solution { theta, steps, gap, solver: "Newton's method" })
}

/// The Hessian at a point, factored.
pub(super) fn factor(objective: &Objective<'_>, theta: &[f64]) -> Option<Cholesky> {
    Cholesky::new(&objective.hessian(&objective.design().margins(theta)), objective.unknowns())
}

type Tried = (Vec<f64>, Vec<f64>, f64);

/// The first of 1, ½, ¼, .. that lowers the value by a part of what the slope promises (Armijo), up to rounding; `None` when
/// none does, because the value is as low as rounding lets it be.
pub(super) fn backtrack(search: impl Fn(f64) -> Tried, value: f64, slope: f64) -> Option<Tried> {
    let rounding = 4.0 * f64::EPSILON * value.abs();
    (0..50).map(|halvings| 0.5f64.powi(halvings)).find_map(|length| {
        let tried = search(length);
        (tried.2 <= value + 1e-4 * length * slope + rounding).then_some(tried)
    })
}
