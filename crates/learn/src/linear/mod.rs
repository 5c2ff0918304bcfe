//! What linear models share: columns in coordinates that suit a solver ([`design`]), the objective in them ([`objective`]),
//! solvers for it, and the weighted sums that score a row ([`sums`]).
//!
//! Which solver: [`newton`] where the Hessian is small; where it is not, [`truncated`] for many columns and [`lbfgs`] for many
//! outputs; [`proximal`] for penalties with corners (L1); [`machine`] for margins whose loss has corners (the hinge), and for
//! its square with many columns. The first four step as [`descent`] has it. All of them estimate how far above its minimum
//! the objective still is.

mod cholesky;
mod descent;
pub(crate) mod design;
mod dual;
pub(crate) mod folds;
pub(crate) mod gram;
pub(crate) mod lbfgs;
pub(crate) mod machine;
mod measure;
pub(crate) mod newton;
pub(crate) mod objective;
pub(crate) mod proximal;
pub(crate) mod sums;
pub(crate) mod truncated;

use crate::LearnError;
use crate::ctx::Ctx;
use objective::Objective;

/// When a solver stops.
#[derive(Clone, Copy)]
pub(crate) struct Stop {
    /// Estimated distance to the minimum, as a share of the objective.
    pub(crate) gap: f64,
    /// Steps at most.
    pub(crate) steps: usize,
}

/// Where a solver stopped.
pub(crate) struct Solution {
    /// Outputs × coordinates of the design.
    pub(crate) theta: Vec<f64>,
    pub(crate) steps: usize,
    /// Estimated share by which the objective could still fall.
    pub(crate) gap: f64,
    pub(crate) solver: &'static str,
}

impl Solution {
    /// What to say about the fit; `objective` as scikit-learn states it.
    pub(crate) fn note(&self, objective: f64, stop: Stop, advice: &str) -> String {
        let (steps, solver) = (self.steps, self.solver);
        if self.gap <= stop.gap {
            return format!("converged after {steps} steps of {solver}, objective {objective:.10e}");
        }
        format!(
            "not converged after {steps} steps of {solver}: the objective may be {:.1e} of itself above its minimum; {advice}; objective {objective:.10e}",
            self.gap
        )
    }
}

/// Above this many unknowns the Hessian is not formed.
pub(crate) const NEWTON_UNKNOWNS: usize = 1024;
/// Rows below which a first guess from fewer rows is not worth it.
const WARM_START_ROWS: usize = 16_384;
/// One row of this many makes a first guess.
const WARM_START_SHARE: usize = 8;
/// An objective below this share of a row's loss is as good as 0, and distances are no longer measured by it.
const SMALLEST_VALUE: f64 = 1e-9;

/// Minimises an objective whose loss is smooth, from its start or a guess.
pub(crate) fn minimise(
    objective: &Objective<'_>,
    guess: Option<Vec<f64>>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    if objective.has_corners() {
        return proximal::minimise(objective, guess, stop, ctx);
    }
    let small = objective.unknowns() <= NEWTON_UNKNOWNS;
    let fewer = (guess.is_none() && small && objective.rows() >= WARM_START_ROWS)
        .then(|| objective.every(WARM_START_SHARE))
        .flatten();
    let mut theta = guess.unwrap_or_else(|| objective.start());
    let Some(fewer) = fewer else {
        let solve = match (small, objective.outputs()) {
            (true, _) => newton::minimise,
            (false, outputs) if outputs == 1 || objective.design().coordinates() > NEWTON_UNKNOWNS => {
                truncated::minimise
            }
            (false, _) => lbfgs::minimise,
        };
        return solve(objective, theta, stop, ctx);
    };
    let fewer = fewer.objective(objective);
    let rough = Stop { gap: stop.gap.max(1e-4), ..stop };
    theta = newton::minimise(&fewer, theta, rough, ctx)?.theta;
    // Several outputs make the Hessian dear: that of the fewer rows is nearly as good a metric, and already small.
    match (objective.outputs() > 1).then(|| newton::factor(&fewer, &theta)).flatten() {
        Some(metric) => lbfgs::minimise_from(objective, theta, metric, stop, ctx),
        None => newton::minimise(objective, theta, stop, ctx),
    }
}

/// An estimated distance to the minimum as a share of the objective.
fn share_of(value: f64, distance: f64) -> f64 {
    distance / value.max(SMALLEST_VALUE)
}
