//! Truncated Newton for many columns: each step solves Newton's equations by conjugate gradients, from products with the
//! Hessian alone (Steihaug 1983; Lin, Weng and Keerthi 2008 for linear classifiers), and no better than the step is worth.

use super::descent::{Method, Place, Step, descend};
use super::design::{axpy, dot};
use super::objective::Objective;
use super::{Solution, Stop, share_of};
use crate::LearnError;
use crate::ctx::Ctx;

/// Conjugate gradients stop when a product brings less than this share of what the ones before brought on average
/// (Nash and Sofer 1990).
const ENOUGH: f64 = 0.5;
/// Rows whose curvature is less than this share of the mean are left out of the Hessian, at first.
const TRIFLE: f64 = 0.3;
/// Products with the Hessian at most in one step.
const PRODUCTS: usize = 500;

/// Minimises from `theta`.
pub(crate) fn minimise(
    objective: &Objective<'_>,
    theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    descend(&mut Truncated { gap: 1.0 }, objective, theta, stop, ctx)
}

struct Truncated {
    /// Estimated distance to the minimum before the last step, as a share of the objective.
    gap: f64,
}

impl Method for Truncated {
    const NAME: &'static str = "truncated Newton";

    /// As the minimum comes near, fewer rows are left out, so that steps stay as good as Newton's.
    fn step(&mut self, objective: &Objective<'_>, at: &Place) -> Option<Step> {
        let gradient = objective.gradient(&at.theta, &at.margins);
        let bend = objective.bend(&at.margins, TRIFLE * self.gap.sqrt().min(1.0));
        let product = |vector: &[f64]| objective.hessian_times(&bend, vector);
        let direction = conjugate_gradients(&gradient, &objective.diagonal(&bend), product, ENOUGH);
        let slope = dot(&gradient, &direction);
        self.gap = share_of(at.value, -0.5 * slope);
        Some(Step::of_parabola(direction, slope))
    }
}

/// About -hessian⁻¹ · gradient, by conjugate gradients preconditioned with the Hessian's diagonal. They stop when a product
/// brings less than `enough` of what the ones before brought on average.
pub(super) fn conjugate_gradients(
    gradient: &[f64],
    diagonal: &[f64],
    times_hessian: impl Fn(&[f64]) -> Vec<f64>,
    enough: f64,
) -> Vec<f64> {
    let least = diagonal.iter().copied().fold(0.0, f64::max) * 1e-14 + f64::MIN_POSITIVE;
    let eased = |residual: &[f64]| -> Vec<f64> {
        residual.iter().zip(diagonal).map(|(part, own)| part / own.max(least)).collect()
    };
    let mut solution = vec![0.0; gradient.len()];
    let mut residual: Vec<f64> = gradient.iter().map(|part| -part).collect();
    let mut towards = eased(&residual);
    let (mut size, mut fallen) = (dot(&residual, &towards), 0.0);
    for products in 1..=PRODUCTS {
        let product = times_hessian(&towards);
        let curvature = dot(&towards, &product);
        if size <= 0.0 || curvature <= 0.0 {
            break;
        }
        axpy(size / curvature, &towards, &mut solution);
        axpy(-size / curvature, &product, &mut residual);
        let fall = size * size / curvature;
        fallen += fall;
        let eased = eased(&residual);
        let next = dot(&residual, &eased);
        if products as f64 * fall <= enough * fallen {
            break;
        }
        towards.iter_mut().zip(&eased).for_each(|(towards, eased)| *towards = eased + next / size * *towards);
        size = next;
    }
    solution
}
