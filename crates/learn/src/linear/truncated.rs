//! Truncated Newton for many columns and one output: each step solves Newton's equations by conjugate gradients, from
//! products with the Hessian alone (Steihaug 1983; Lin, Weng and Keerthi 2008 for linear classifiers).

use super::design::{axpy, dot};
use super::newton::backtrack;
use super::objective::{Objective, moved};
use super::{Solution, Stop, share_of};
use crate::LearnError;
use crate::ctx::Ctx;

/// Conjugate gradients stop when the residual is this share of the gradient, at first.
const LOOSEST: f64 = 0.1;
/// Products with the Hessian at most in one step.
const PRODUCTS: usize = 500;

/// Minimises from `theta`; the gap is half of gradient · step, as for Newton's method.
pub(crate) fn minimise(
    objective: &Objective<'_>,
    mut theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let mut margins = objective.design().margins(&theta);
    let mut value = objective.value(&theta, &margins);
    let (mut gap, mut steps, mut first) = (f64::INFINITY, 0, None);
    while steps < stop.steps {
        ctx.check()?;
        ctx.progress("linear model: truncated Newton steps", steps as u64, 0);
        let gradient = objective.gradient(&theta, &margins);
        let length = dot(&gradient, &gradient).sqrt();
        let forcing = LOOSEST.min((length / *first.get_or_insert(length)).sqrt());
        let direction = solve(objective, &margins, &gradient, forcing);
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
    Ok(Solution { theta, steps, gap, solver: "truncated Newton" })
}

/// About -hessian⁻¹ · gradient, by conjugate gradients preconditioned with the Hessian's diagonal.
fn solve(objective: &Objective<'_>, margins: &[f64], gradient: &[f64], forcing: f64) -> Vec<f64> {
    let curvatures = objective.row_curvatures(margins);
    let diagonal = objective.diagonal(margins);
    let least = diagonal.iter().copied().fold(0.0, f64::max) * 1e-14 + f64::MIN_POSITIVE;
    let eased = |residual: &[f64]| -> Vec<f64> {
        residual.iter().zip(&diagonal).map(|(part, own)| part / own.max(least)).collect()
    };
    let mut solution = vec![0.0; gradient.len()];
    let mut residual: Vec<f64> = gradient.iter().map(|part| -part).collect();
    let mut towards = eased(&residual);
    let mut size = dot(&residual, &towards);
    let enough = size * forcing * forcing;
    for _ in 0..PRODUCTS {
        if size <= enough || size <= 0.0 {
            break;
        }
        let product = objective.hessian_times(&curvatures, &towards);
        let curvature = dot(&towards, &product);
        if curvature <= 0.0 {
            break;
        }
        axpy(size / curvature, &towards, &mut solution);
        axpy(-size / curvature, &product, &mut residual);
        let eased = eased(&residual);
        let next = dot(&residual, &eased);
        towards.iter_mut().zip(&eased).for_each(|(towards, eased)| *towards = eased + next / size * *towards);
        size = next;
    }
    solution
}
