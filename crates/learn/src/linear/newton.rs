//! Newton's method with a full Hessian: few, thorough steps.

use super::cholesky::Cholesky;
use super::descent::{Method, Place, Step, descend};
use super::design::dot;
use super::lbfgs;
use super::objective::Objective;
use super::{Solution, Stop};
use crate::LearnError;
use crate::ctx::Ctx;

/// Minimises from `theta`.
pub(crate) fn minimise(
    objective: &Objective<'_>,
    theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let mut newton = Newton { indefinite: false };
    let solution = descend(&mut newton, objective, theta, stop, ctx)?;
    if newton.indefinite {
        return lbfgs::minimise(objective, solution.theta, stop, ctx);
    }
    Ok(solution)
}

/// The Hessian at a point, factored.
pub(super) fn factor(objective: &Objective<'_>, theta: &[f64]) -> Option<Cholesky> {
    Cholesky::new(&objective.hessian(&objective.design().margins(theta)), objective.unknowns())
}

struct Newton {
    /// Whether rounding has made a Hessian useless.
    indefinite: bool,
}

impl Method for Newton {
    const NAME: &'static str = "Newton's method";

    fn step(&mut self, objective: &Objective<'_>, at: &Place) -> Option<Step> {
        let gradient = objective.gradient(&at.theta, &at.margins);
        let factor = Cholesky::new(&objective.hessian(&at.margins), objective.unknowns());
        self.indefinite = factor.is_none();
        let direction: Vec<f64> = factor?.solve(&gradient).iter().map(|part| -part).collect();
        let slope = dot(&gradient, &direction);
        Some(Step::of_parabola(direction, slope))
    }
}
