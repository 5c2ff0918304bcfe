//! L-BFGS (Nocedal and Wright 2006, algorithm 7.4) for problems whose Hessian is too large to form.
//!
//! It starts from Böhning's bound on the Hessian (1992): a fixed multiple of the Gram matrix of the columns, which takes
//! care of columns that move together. Where even that is too large its diagonal does.

use std::collections::VecDeque;

use super::cholesky::Cholesky;
use super::design::{axpy, dot};
use super::loss::{Objective, moved};
use super::newton::backtrack;
use super::{NEWTON_UNKNOWNS, Solution, Stop};
use crate::LearnError;
use crate::ctx::Ctx;

/// Steps remembered.
const MEMORY: usize = 20;

struct Pair {
    moved: Vec<f64>,
    gradient_change: Vec<f64>,
    curvature: f64,
}

/// Minimises from `theta`; the gap is half of gradient · inverse Hessian estimate · gradient.
pub(super) fn minimise(
    objective: &Objective<'_>,
    mut theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let bound = Bound::new(objective);
    let mut pairs: VecDeque<Pair> = VecDeque::new();
    let mut margins = objective.design().margins(&theta);
    let mut value = objective.value(&theta, &margins);
    let mut gradient = objective.gradient(&theta, &margins);
    let (mut gap, mut steps, mut small) = (f64::INFINITY, 0, 0);
    while steps < stop.steps && small < 3 {
        ctx.check()?;
        ctx.progress("logistic: L-BFGS steps", steps as u64, 0);
        let direction: Vec<f64> = inverse(&pairs, &bound, &gradient).iter().map(|part| -part).collect();
        let slope = dot(&gradient, &direction);
        gap = -0.5 * slope / value.max(f64::MIN_POSITIVE);
        let moved_margins = objective.design().margins(&direction);
        let search = |length| {
            let (theta, margins) =
                (moved(&theta, length, &direction), moved(&margins, length, &moved_margins));
            let value = objective.value(&theta, &margins);
            (theta, margins, value)
        };
        let Some((next, next_margins, next_value)) = backtrack(search, value, slope) else { break };
        let next_gradient = objective.gradient(&next, &next_margins);
        remember(&mut pairs, moved(&next, -1.0, &theta), moved(&next_gradient, -1.0, &gradient));
        (theta, margins, value, gradient) = (next, next_margins, next_value, next_gradient);
        (steps, small) = (steps + 1, if gap <= stop.gap { small + 1 } else { 0 });
    }
    Ok(Solution { theta, steps, gap, solver: "L-BFGS" })
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

/// The two-loop recursion around the bound.
fn inverse(pairs: &VecDeque<Pair>, bound: &Bound, gradient: &[f64]) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut alphas = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let alpha = dot(&pair.moved, &q) / pair.curvature;
        axpy(-alpha, &pair.gradient_change, &mut q);
        alphas.push(alpha);
    }
    let mut r = bound.solve(&q);
    if let Some(last) = pairs.back() {
        let scale = last.curvature / dot(&last.gradient_change, &bound.solve(&last.gradient_change));
        r.iter_mut().for_each(|part| *part *= scale);
    }
    for (pair, alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
        let beta = dot(&pair.gradient_change, &r) / pair.curvature;
        axpy(alpha - beta, &pair.moved, &mut r);
    }
    r
}

/// The same positive definite matrix for every output.
enum Bound {
    Factor(Cholesky),
    Diagonal(Vec<f64>),
}

impl Bound {
    fn new(objective: &Objective<'_>) -> Self {
        let width = objective.design().coordinates();
        let curvature = if objective.outputs() == 1 { 0.25 } else { 0.5 };
        let diagonal = || objective.penalty().iter().map(|penalty| curvature + penalty).collect();
        if width > NEWTON_UNKNOWNS {
            return Self::Diagonal(diagonal());
        }
        let mut matrix = objective.gram();
        matrix.iter_mut().for_each(|entry| *entry *= curvature);
        for (place, penalty) in objective.penalty().iter().enumerate() {
            matrix[place * width + place] += penalty;
        }
        Cholesky::new(&matrix, width).map_or_else(|| Self::Diagonal(diagonal()), Self::Factor)
    }

    fn solve(&self, b: &[f64]) -> Vec<f64> {
        match self {
            Self::Factor(factor) => b.chunks_exact(factor.size()).flat_map(|b| factor.solve(b)).collect(),
            Self::Diagonal(diagonal) => b.iter().zip(diagonal.iter().cycle()).map(|(b, d)| b / d).collect(),
        }
    }
}
