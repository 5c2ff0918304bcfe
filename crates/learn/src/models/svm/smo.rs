//! Sequential minimal optimisation of one two-class problem, with second-order choice of the pair to move.
//!
//! Fan, Chen and Lin, "Working set selection using second order information for training support vector machines"
//! (2005), algorithm 2; the two-variable step and the offset are those of LIBSVM (Chang and Lin 2011, section 4).

use std::collections::VecDeque;
use std::rc::Rc;

use super::kernel::{Kernel, Vectors};
use crate::LearnError;
use crate::ctx::Ctx;

/// One two-class problem.
pub(super) struct Problem<'a> {
    pub(super) vectors: &'a Vectors,
    pub(super) kernel: Kernel,
    /// +1 or -1 per row.
    pub(super) signs: &'a [f64],
    /// Upper bound of each row's multiplier, above 0.
    pub(super) bounds: &'a [f64],
    pub(super) tol: f64,
    /// Steps at most.
    pub(super) steps: usize,
    /// Bytes of kernel rows to keep.
    pub(super) cache_bytes: usize,
}

/// Where it ended: the decision is Σ coefᵢ K(xᵢ, x) - rho.
pub(super) struct Solution {
    /// Multiplier times sign, per row.
    pub(super) coefs: Vec<f64>,
    pub(super) rho: f64,
    pub(super) steps: usize,
    pub(super) converged: bool,
    /// ½ αᵀQα - Σα, which the solution minimises.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) objective: f64,
}

/// Curvature below this counts as flat.
const FLAT: f64 = 1e-12;

/// Kernel rows, the oldest dropped first when there are too many.
struct Cache {
    rows: Vec<Option<Rc<Vec<f64>>>>,
    order: VecDeque<usize>,
    most: usize,
}

impl Cache {
    fn row(&mut self, problem: &Problem<'_>, row: usize) -> Rc<Vec<f64>> {
        if let Some(kept) = &self.rows[row] {
            return Rc::clone(kept);
        }
        if self.order.len() >= self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.rows[oldest] = None;
        }
        let made = Rc::new(problem.vectors.kernel_row(problem.kernel, row));
        self.rows[row] = Some(Rc::clone(&made));
        self.order.push_back(row);
        made
    }
}

/// Solves the problem.
pub(super) fn solve(problem: &Problem<'_>, ctx: &Ctx) -> Result<Solution, LearnError> {
    let rows = problem.signs.len();
    let diagonal = problem.vectors.diagonal(problem.kernel);
    let most = (problem.cache_bytes / (8 * rows.max(1))).max(2);
    let mut cache = Cache { rows: vec![None; rows], order: VecDeque::new(), most };
    let mut alpha = vec![0.0; rows];
    let mut gradient = vec![-1.0; rows];
    let (mut steps, mut converged) = (0, false);
    while steps < problem.steps {
        ctx.check()?;
        if steps.is_multiple_of(1000) {
            ctx.progress("support vectors", steps as u64, 0);
        }
        let Some((i, highest)) = first_of_pair(problem, &alpha, &gradient) else {
            converged = true;
            break;
        };
        let row_i = cache.row(problem, i);
        let Some(j) = second_of_pair(problem, &alpha, &gradient, &diagonal, (i, highest, &row_i)) else {
            converged = true;
            break;
        };
        let row_j = cache.row(problem, j);
        let curvature = diagonal[i] + diagonal[j] - 2.0 * row_i[j];
        let (di, dj) = step(problem, &mut alpha, &gradient, (i, j), curvature.max(FLAT));
        let (ci, cj) = (di * problem.signs[i], dj * problem.signs[j]);
        for (((g, sign), ki), kj) in gradient.iter_mut().zip(problem.signs).zip(&*row_i).zip(&*row_j) {
            *g += sign * (ci * ki + cj * kj);
        }
        steps += 1;
    }
    let rho = offset(problem, &alpha, &gradient);
    let objective = alpha.iter().zip(&gradient).map(|(a, g)| 0.5 * a * (g - 1.0)).sum();
    let coefs = alpha.iter().zip(problem.signs).map(|(a, sign)| a * sign).collect();
    Ok(Solution { coefs, rho, steps, converged, objective })
}

/// Whether the multiplier may move so that the row's sign times it grows.
fn may_rise(problem: &Problem<'_>, alpha: &[f64], row: usize) -> bool {
    if problem.signs[row] > 0.0 { alpha[row] < problem.bounds[row] } else { alpha[row] > 0.0 }
}

fn may_fall(problem: &Problem<'_>, alpha: &[f64], row: usize) -> bool {
    if problem.signs[row] > 0.0 { alpha[row] > 0.0 } else { alpha[row] < problem.bounds[row] }
}

/// The row that violates the optimum most among those that may rise.
fn first_of_pair(problem: &Problem<'_>, alpha: &[f64], gradient: &[f64]) -> Option<(usize, f64)> {
    let mut best = None;
    let mut highest = f64::NEG_INFINITY;
    for (row, &slope) in gradient.iter().enumerate() {
        let slope = -problem.signs[row] * slope;
        if slope > highest && may_rise(problem, alpha, row) {
            (best, highest) = (Some(row), slope);
        }
    }
    best.map(|row| (row, highest))
}

/// The row whose move with `first` promises the greatest fall; `None` at the optimum.
fn second_of_pair(
    problem: &Problem<'_>,
    alpha: &[f64],
    gradient: &[f64],
    diagonal: &[f64],
    (first, highest, kernel): (usize, f64, &[f64]),
) -> Option<usize> {
    let (mut best, mut greatest, mut lowest) = (None, 0.0, f64::INFINITY);
    for row in 0..alpha.len() {
        if !may_fall(problem, alpha, row) {
            continue;
        }
        let slope = -problem.signs[row] * gradient[row];
        lowest = slope.min(lowest);
        let gap = highest - slope;
        if gap > 0.0 {
            let curvature = (diagonal[first] + diagonal[row] - 2.0 * kernel[row]).max(FLAT);
            let fall = gap * gap / curvature;
            if fall > greatest {
                (best, greatest) = (Some(row), fall);
            }
        }
    }
    if highest - lowest < problem.tol { None } else { best }
}

/// Moves both multipliers along the line that keeps Σ sign × multiplier, within their bounds; gives the changes.
fn step(
    problem: &Problem<'_>,
    alpha: &mut [f64],
    gradient: &[f64],
    (i, j): (usize, usize),
    curvature: f64,
) -> (f64, f64) {
    let (si, sj) = (problem.signs[i], problem.signs[j]);
    let room = |row: usize, sign: f64| if sign > 0.0 { problem.bounds[row] - alpha[row] } else { alpha[row] };
    let (room_i, room_j) = (room(i, si), room(j, -sj));
    let wanted = (sj * gradient[j] - si * gradient[i]) / curvature;
    let length = wanted.min(room_i).min(room_j);
    let (before_i, before_j) = (alpha[i], alpha[j]);
    // A multiplier that reaches its bound is set to it, so that rounding cannot leave it just inside.
    let moved = |row: usize, sign: f64, room: f64| match (length < room, sign > 0.0) {
        (true, _) => (alpha[row] + sign * length).clamp(0.0, problem.bounds[row]),
        (false, true) => problem.bounds[row],
        (false, false) => 0.0,
    };
    let (after_i, after_j) = (moved(i, si, room_i), moved(j, -sj, room_j));
    (alpha[i], alpha[j]) = (after_i, after_j);
    (after_i - before_i, after_j - before_j)
}

/// Mean of sign × gradient over free rows, else the middle of what the bounded ones allow.
fn offset(problem: &Problem<'_>, alpha: &[f64], gradient: &[f64]) -> f64 {
    let (mut sum, mut free) = (0.0, 0usize);
    let (mut upper, mut lower) = (f64::INFINITY, f64::NEG_INFINITY);
    for (row, &slope) in gradient.iter().enumerate() {
        let slope = problem.signs[row] * slope;
        match (may_rise(problem, alpha, row), may_fall(problem, alpha, row)) {
            (true, true) => {
                sum += slope;
                free += 1;
            }
            (true, false) => upper = upper.min(slope),
            (false, _) => lower = lower.max(slope),
        }
    }
    let rho = if free > 0 { sum / free as f64 } else { f64::midpoint(upper, lower) };
    if rho.is_finite() { rho.clamp(-1e200, 1e200) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    fn solve_line(bounds: &[f64], x: &[f64], signs: &[f64]) -> Solution {
        let vectors = Vectors::new(&Matrix::from_values(x.len(), 1, x.to_vec()), 1.0);
        let kernel = Kernel::Linear;
        let problem =
            Problem { vectors: &vectors, kernel, signs, bounds, tol: 1e-10, steps: 10_000, cache_bytes: 0 };
        solve(&problem, &Ctx::new(0, 1)).unwrap()
    }

    /// Points at 1 and 3: w = 1 and b = -2 by hand, so that both multipliers are ½ and the dual is -½.
    #[test]
    fn two_points_have_the_widest_margin() {
        let found = solve_line(&[10.0; 2], &[1.0, 3.0], &[-1.0, 1.0]);
        assert!((found.coefs[0] + 0.5).abs() < 1e-9 && (found.coefs[1] - 0.5).abs() < 1e-9);
        assert!((found.rho - 2.0).abs() < 1e-9 && (found.objective + 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_bound_of_two_is_the_row_twice() {
        let (x, signs) = ([0.0, 2.0, 1.5, 3.0], [-1.0, -1.0, 1.0, 1.0]);
        let once = solve_line(&[2.0, 1.0, 1.0, 1.0], &x, &signs);
        let twice = solve_line(&[1.0; 5], &[0.0, 0.0, 2.0, 1.5, 3.0], &[-1.0, -1.0, -1.0, 1.0, 1.0]);
        assert!(once.converged && twice.converged);
        assert!((once.objective - twice.objective).abs() < 1e-9);
        assert!((once.rho - twice.rho).abs() < 1e-6);
    }
}
