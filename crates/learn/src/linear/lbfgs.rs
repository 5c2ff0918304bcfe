//! L-BFGS (Nocedal and Wright 2006, algorithm 7.4) for problems whose Hessian is too large to form.
//!
//! Its first guess of the Hessian is the block of each output alone, which takes care of columns that move together and
//! of rare classes, and is taken anew as the solution moves. Where even that is too large a diagonal does.

use std::collections::VecDeque;

use super::cholesky::Cholesky;
use super::descent::{Method, Place, Step, descend};
use super::design::{axpy, dot};
use super::objective::{Objective, moved};
use super::{NEWTON_UNKNOWNS, Solution, Stop};
use crate::LearnError;
use crate::ctx::Ctx;

/// Steps remembered.
const MEMORY: usize = 20;
/// The first guess is taken anew after this many steps, and whenever they have doubled.
const RENEWAL: usize = 10;

struct Pair {
    moved: Vec<f64>,
    gradient_change: Vec<f64>,
    curvature: f64,
}

/// Minimises from `theta`.
pub(crate) fn minimise(
    objective: &Objective<'_>,
    theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let margins = objective.design().margins(&theta);
    let start = Start::new(objective, &margins);
    descend(&mut Lbfgs::new(objective, &theta, start, RENEWAL), objective, theta, stop, ctx)
}

/// The same where a guess of the whole Hessian is at hand, which is then kept.
pub(super) fn minimise_from(
    objective: &Objective<'_>,
    theta: Vec<f64>,
    metric: Cholesky,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let start = Start::Factors(vec![metric]);
    descend(&mut Lbfgs::new(objective, &theta, start, usize::MAX), objective, theta, stop, ctx)
}

struct Lbfgs {
    pairs: VecDeque<Pair>,
    start: Start,
    gradient: Vec<f64>,
    steps: usize,
    /// After how many steps the start is taken anew.
    renewal: usize,
}

impl Lbfgs {
    fn new(objective: &Objective<'_>, theta: &[f64], start: Start, renewal: usize) -> Self {
        let gradient = objective.gradient(theta, &objective.design().margins(theta));
        Self { pairs: VecDeque::new(), start, gradient, steps: 0, renewal }
    }
}

impl Method for Lbfgs {
    const NAME: &'static str = "L-BFGS";
    const SURE_AFTER: usize = 3;

    fn step(&mut self, objective: &Objective<'_>, at: &Place) -> Option<Step> {
        if self.steps == self.renewal {
            (self.start, self.renewal) = (Start::new(objective, &at.margins), self.renewal * 2);
            self.pairs.clear();
        }
        let direction = inverse(&self.pairs, &self.start, &self.gradient);
        let direction: Vec<f64> = direction.iter().map(|part| -part).collect();
        let slope = dot(&self.gradient, &direction);
        Some(Step::of_parabola(direction, slope))
    }

    fn arrived(&mut self, objective: &Objective<'_>, from: &Place, to: &Place) {
        let gradient = objective.gradient(&to.theta, &to.margins);
        let (moved, changed) = (moved(&to.theta, -1.0, &from.theta), moved(&gradient, -1.0, &self.gradient));
        remember(&mut self.pairs, moved, changed);
        (self.gradient, self.steps) = (gradient, self.steps + 1);
    }
}

fn remember(pairs: &mut VecDeque<Pair>, moved: Vec<f64>, gradient_change: Vec<f64>) {
    let curvature = dot(&moved, &gradient_change);
    if curvature > 1e-16 * dot(&gradient_change, &gradient_change) {
        pairs.push_back(Pair { moved, gradient_change, curvature });
    }
    if pairs.len() > MEMORY {
        pairs.pop_front();
    }
}

/// The two-loop recursion around the start.
fn inverse(pairs: &VecDeque<Pair>, start: &Start, gradient: &[f64]) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut alphas = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let alpha = dot(&pair.moved, &q) / pair.curvature;
        axpy(-alpha, &pair.gradient_change, &mut q);
        alphas.push(alpha);
    }
    let mut r = start.solve(&q);
    if let Some(last) = pairs.back() {
        let scale = last.curvature / dot(&last.gradient_change, &start.solve(&last.gradient_change));
        r.iter_mut().for_each(|part| *part *= scale);
    }
    for (pair, alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(&pair.gradient_change, &r) / pair.curvature;
        axpy(alpha - beta, &pair.moved, &mut r);
    }
    r
}

/// A positive definite matrix for each output, or one for all of them.
enum Start {
    Factors(Vec<Cholesky>),
    Diagonal(Vec<f64>),
}

impl Start {
    fn new(objective: &Objective<'_>, margins: &[f64]) -> Self {
        if objective.design().coordinates() <= NEWTON_UNKNOWNS {
            let width = objective.design().coordinates();
            let factor = |output| Cholesky::new(&objective.own_curvature(margins, output), width);
            if let Some(factors) = (0..objective.outputs()).map(factor).collect() {
                return Self::Factors(factors);
            }
        }
        Self::Diagonal(objective.start_curvature())
    }

    fn solve(&self, b: &[f64]) -> Vec<f64> {
        match self {
            Self::Factors(factors) => {
                let parts = b.chunks_exact(b.len() / factors.len());
                factors.iter().zip(parts).flat_map(|(factor, b)| factor.solve(b)).collect()
            }
            Self::Diagonal(diagonal) => b.iter().zip(diagonal).map(|(b, d)| b / d).collect(),
        }
    }
}

/// Where a search for a minimum of any smooth function stopped.
pub(crate) struct Minimum {
    pub(crate) theta: Vec<f64>,
    pub(crate) value: f64,
}

/// Minimises a smooth function that need not be convex, given its value and gradient; over when no slope is above `flat`, when no
/// step lowers the value, or after `steps`.
pub(crate) fn minimise_smooth(
    function: impl Fn(&[f64]) -> Result<(f64, Vec<f64>), LearnError>,
    mut theta: Vec<f64>,
    flat: f64,
    steps: usize,
    ctx: &Ctx,
) -> Result<Minimum, LearnError> {
    let start = Start::Diagonal(vec![1.0; theta.len()]);
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    let (mut value, mut gradient) = function(&theta)?;
    for _ in 0..steps {
        ctx.check()?;
        if gradient.iter().all(|slope| slope.abs() <= flat) {
            break;
        }
        let mut direction: Vec<f64> = inverse(&pairs, &start, &gradient).iter().map(|part| -part).collect();
        if pairs.is_empty() {
            // Nothing is known of the curvature yet: a step of length 1 at most.
            let length = dot(&gradient, &gradient).sqrt().max(1.0);
            direction.iter_mut().for_each(|part| *part /= length);
        }
        let slope = dot(&gradient, &direction);
        let mut found = None;
        for halvings in 0..40 {
            let length = 0.5f64.powi(halvings);
            let next = moved(&theta, length, &direction);
            let (next_value, next_gradient) = function(&next)?;
            if next_value <= value + 1e-4 * length * slope {
                found = Some((next, next_value, next_gradient));
                break;
            }
        }
        let Some((next, next_value, next_gradient)) = found else { break };
        remember(&mut pairs, moved(&next, -1.0, &theta), moved(&next_gradient, -1.0, &gradient));
        (theta, value, gradient) = (next, next_value, next_gradient);
    }
    Ok(Minimum { theta, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banana_of_rosenbrock_is_minimised() {
        let function = |theta: &[f64]| {
            let (x, y) = (theta[0], theta[1]);
            let bend = y - x * x;
            let value = (1.0 - x).powi(2) + 100.0 * bend * bend;
            Ok((value, vec![-2.0 * (1.0 - x) - 400.0 * x * bend, 200.0 * bend]))
        };
        let found = minimise_smooth(function, vec![-1.2, 1.0], 1e-8, 500, &Ctx::new(0, 1)).unwrap();
        assert!(found.theta.iter().all(|part| (part - 1.0).abs() < 1e-6), "{:?}", found.theta);
        assert!(found.value < 1e-12);
    }
}
