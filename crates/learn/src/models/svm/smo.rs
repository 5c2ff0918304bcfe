//! Sequential minimal optimisation of one two-class problem, with second-order choice of the pair to move and shrinking.
//!
//! Fan, Chen and Lin, "Working set selection using second order information for training support vector machines"
//! (2005), algorithm 2; the two-variable step, shrinking and the offset are those of LIBSVM (Chang and Lin 2011, sections
//! 4 and 5.1): rows whose multiplier is at a bound where it is likely to stay are not looked at until the others are
//! near the optimum; then their slopes are made anew.

use super::cache::Cache;
use crate::LearnError;
use crate::ctx::Ctx;

/// One two-class problem.
pub(super) struct Problem<'a> {
    /// +1 or -1 per row.
    pub(super) signs: &'a [f64],
    /// Upper bound of each row's multiplier; 0 for rows that are not part of the problem but are to be decided about.
    pub(super) bounds: &'a [f64],
    pub(super) tol: f64,
    /// Steps at most.
    pub(super) steps: usize,
}

/// Where it ended: the decision is Σ coefᵢ K(xᵢ, x) - rho.
pub(super) struct Solution {
    /// Multiplier times sign, per row.
    pub(super) coefs: Vec<f64>,
    pub(super) rho: f64,
    pub(super) steps: usize,
    pub(super) converged: bool,
    /// What is decided about each row.
    pub(super) decisions: Vec<f64>,
    /// ½ αᵀQα - Σα, which the solution minimises.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) objective: f64,
}

/// Curvature below this counts as flat.
const FLAT: f64 = 1e-12;
/// Steps between two looks at what can be shrunk.
const SHRINK_STEPS: usize = 1000;
/// Rows are shrunk when there are this many in a hundred of them.
const SHRINK_SHARE: usize = 5;

/// The state, by position in the cache's order.
struct Solver<'c, 'v> {
    cache: &'c mut Cache<'v>,
    tol: f64,
    alpha: Vec<f64>,
    /// -sign × gradient: what the row's share in the decision is short of its sign. Up to date for the first `size`.
    slopes: Vec<f64>,
    /// Whether the multiplier may move so that its sign times it grows, and so that it falls.
    may_rise: Vec<bool>,
    may_fall: Vec<bool>,
    signs: Vec<f64>,
    bounds: Vec<f64>,
    diagonal: Vec<f64>,
    /// Positions looked at, and positions that are part of the problem.
    size: usize,
    present: usize,
    /// Whether all have been taken in again near the optimum.
    eased: bool,
}

/// Solves the problem from multipliers that fulfil its constraints.
pub(super) fn solve(
    problem: &Problem<'_>,
    from: Vec<f64>,
    cache: &mut Cache<'_>,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let mut solver = Solver::new(problem, from, cache);
    let (mut steps, mut converged) = (0, false);
    let every = SHRINK_STEPS.min(solver.present).max(1);
    while steps < problem.steps {
        ctx.check()?;
        if steps.is_multiple_of(1000) {
            ctx.progress("support vectors", steps as u64, 0);
        }
        if steps.is_multiple_of(every) && steps > 0 {
            solver.shrink();
        }
        if solver.advance() {
            steps += 1;
        } else if solver.size < solver.present {
            solver.take_in_all();
            // Not counted as a step: the optimum of the rows looked at may be that of all.
            if !solver.advance() {
                converged = true;
                break;
            }
            solver.shrink();
            steps += 1;
        } else {
            converged = true;
            break;
        }
    }
    Ok(solver.finish(steps, converged))
}

impl<'c, 'v> Solver<'c, 'v> {
    fn new(problem: &Problem<'_>, from: Vec<f64>, cache: &'c mut Cache<'v>) -> Self {
        let rows = problem.signs.len();
        let of_rows = |values: &[f64]| cache.order().iter().map(|&row| values[row]).collect::<Vec<f64>>();
        let mut solver = Self {
            tol: problem.tol,
            alpha: of_rows(&from),
            slopes: of_rows(problem.signs),
            may_rise: vec![false; rows],
            may_fall: vec![false; rows],
            signs: of_rows(problem.signs),
            bounds: of_rows(problem.bounds),
            diagonal: cache.diagonal(),
            cache,
            size: rows,
            present: rows,
            eased: false,
        };
        let present: Vec<bool> = solver.bounds.iter().map(|bound| *bound > 0.0).collect();
        solver.keep(&present);
        solver.present = solver.size;
        (0..rows).for_each(|at| solver.note_bounds(at));
        if from.iter().any(|alpha| *alpha > 0.0) {
            solver.renew_slopes(0, solver.present);
        }
        solver
    }

    /// One step; `false` when none is needed for what is looked at.
    fn advance(&mut self) -> bool {
        let Some((i, highest)) = self.first_of_pair() else { return false };
        self.cache.learn(i, self.size, i);
        let Some(j) = self.second_of_pair(i, highest) else { return false };
        self.cache.learn(j, self.size, i);
        let curvature = self.diagonal[i] + self.diagonal[j] - 2.0 * self.cache.values(i)[j];
        let (di, dj) = self.step((i, j), curvature.max(FLAT));
        let (ci, cj) = (di * self.signs[i], dj * self.signs[j]);
        let kernels = self.cache.values(i).iter().zip(self.cache.values(j));
        for (slope, (ki, kj)) in self.slopes[..self.size].iter_mut().zip(kernels) {
            *slope -= ci * ki + cj * kj;
        }
        true
    }

    fn note_bounds(&mut self, at: usize) {
        let (above, below) = (self.alpha[at] > 0.0, self.alpha[at] < self.bounds[at]);
        let positive = self.signs[at] > 0.0;
        self.may_rise[at] = if positive { below } else { above };
        self.may_fall[at] = if positive { above } else { below };
    }

    /// The position that violates the optimum most among those that may rise.
    fn first_of_pair(&self) -> Option<(usize, f64)> {
        let mut best = None;
        let mut highest = f64::NEG_INFINITY;
        for (at, (&slope, &may_rise)) in self.slopes[..self.size].iter().zip(&self.may_rise).enumerate() {
            if slope > highest && may_rise {
                (best, highest) = (Some(at), slope);
            }
        }
        best.map(|at| (at, highest))
    }

    /// The position whose move with `first` promises the greatest fall; `None` at the optimum.
    fn second_of_pair(&self, first: usize, highest: f64) -> Option<usize> {
        let (mut best, mut lowest) = (None, f64::INFINITY);
        // The greatest fall is a square over a curvature, compared without dividing.
        let (mut square, mut flatness) = (0.0, 1.0);
        let own = self.diagonal[first];
        let rows = self.slopes[..self.size].iter().zip(&self.may_fall).zip(&self.diagonal);
        for (at, (((&slope, &may_fall), diagonal), kernel)) in rows.zip(self.cache.values(first)).enumerate()
        {
            if !may_fall {
                continue;
            }
            lowest = slope.min(lowest);
            let gap = highest - slope;
            let curvature = (own + diagonal - 2.0 * kernel).max(FLAT);
            if gap > 0.0 && gap * gap * flatness > square * curvature {
                (best, square, flatness) = (Some(at), gap * gap, curvature);
            }
        }
        if highest - lowest < self.tol { None } else { best }
    }

    /// Moves both multipliers along the line that keeps Σ sign × multiplier, within their bounds; gives the changes.
    fn step(&mut self, (i, j): (usize, usize), curvature: f64) -> (f64, f64) {
        let (si, sj) = (self.signs[i], self.signs[j]);
        let room =
            |at: usize, sign: f64| if sign > 0.0 { self.bounds[at] - self.alpha[at] } else { self.alpha[at] };
        let (room_i, room_j) = (room(i, si), room(j, -sj));
        let wanted = (self.slopes[i] - self.slopes[j]) / curvature;
        let length = wanted.min(room_i).min(room_j);
        // A multiplier that reaches its bound is set to it, so that rounding cannot leave it just inside.
        let moved = |at: usize, sign: f64, room: f64| match (length < room, sign > 0.0) {
            (true, _) => (self.alpha[at] + sign * length).clamp(0.0, self.bounds[at]),
            (false, true) => self.bounds[at],
            (false, false) => 0.0,
        };
        let (after_i, after_j) = (moved(i, si, room_i), moved(j, -sj, room_j));
        let changes = (after_i - self.alpha[i], after_j - self.alpha[j]);
        (self.alpha[i], self.alpha[j]) = (after_i, after_j);
        self.note_bounds(i);
        self.note_bounds(j);
        changes
    }

    /// Leaves out positions at a bound that the rest's violations do not reach; takes all in again, once, when the optimum
    /// is ten tolerances away.
    fn shrink(&mut self) {
        let (mut highest, mut lowest) = self.ends();
        if !self.eased && highest - lowest <= 10.0 * self.tol {
            self.eased = true;
            self.take_in_all();
            (highest, lowest) = self.ends();
        }
        let stays = |at: usize| match (self.may_rise[at], self.may_fall[at]) {
            (true, false) => self.slopes[at] >= lowest,
            (false, true) => self.slopes[at] <= highest,
            _ => true,
        };
        let stay: Vec<bool> = (0..self.size).map(stays).collect();
        let leave = stay.iter().filter(|stays| !**stays).count();
        if leave * 100 >= self.size * SHRINK_SHARE && leave < self.size {
            self.keep(&stay);
        }
    }

    /// The highest slope of those that may rise and the lowest of those that may fall.
    fn ends(&self) -> (f64, f64) {
        let (mut highest, mut lowest) = (f64::NEG_INFINITY, f64::INFINITY);
        for at in 0..self.size {
            let slope = self.slopes[at];
            highest = if self.may_rise[at] { slope.max(highest) } else { highest };
            lowest = if self.may_fall[at] { slope.min(lowest) } else { lowest };
        }
        (highest, lowest)
    }

    /// Puts those of the first `size` that stay before the others, and looks at no others.
    fn keep(&mut self, stay: &[bool]) {
        let (mut places, mut others): (Vec<usize>, Vec<usize>) = (0..self.size).partition(|&at| stay[at]);
        let kept = places.len();
        places.append(&mut others);
        places.extend(self.size..self.alpha.len());
        self.cache.rearrange(&places, self.size, kept);
        let numbers =
            [&mut self.alpha, &mut self.slopes, &mut self.signs, &mut self.bounds, &mut self.diagonal];
        numbers.into_iter().for_each(|values| *values = places.iter().map(|&old| values[old]).collect());
        let marks = [&mut self.may_rise, &mut self.may_fall];
        marks.into_iter().for_each(|values| *values = places.iter().map(|&old| values[old]).collect());
        self.size = kept;
    }

    fn take_in_all(&mut self) {
        self.renew_slopes(self.size, self.present);
        self.size = self.present;
    }

    /// Makes some slopes from the multipliers.
    fn renew_slopes(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let mut sums = vec![0.0; to - from];
        for at in (0..self.alpha.len()).filter(|&at| self.alpha[at] > 0.0) {
            let coef = self.alpha[at] * self.signs[at];
            let kernel = self.cache.part(at, from, to);
            sums.iter_mut().zip(kernel).for_each(|(sum, kernel)| *sum += coef * kernel);
        }
        let slopes = self.slopes[from..to].iter_mut().zip(&self.signs[from..to]).zip(sums);
        slopes.for_each(|((slope, sign), sum)| *slope = sign - sum);
    }

    /// Mean of the opposite of slopes over free rows, else the middle of what the bounded ones allow.
    fn offset(&self) -> f64 {
        let (mut sum, mut free) = (0.0, 0usize);
        let (mut upper, mut lower) = (f64::INFINITY, f64::NEG_INFINITY);
        for at in 0..self.present {
            let slope = -self.slopes[at];
            match (self.may_rise[at], self.may_fall[at]) {
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

    fn finish(mut self, steps: usize, converged: bool) -> Solution {
        let rows = self.alpha.len();
        self.renew_slopes(self.size, rows);
        let rho = self.offset();
        let parts = self.alpha.iter().zip(&self.slopes).zip(&self.signs);
        let objective = parts.map(|((alpha, slope), sign)| -0.5 * alpha * (sign * slope + 1.0)).sum();
        let (mut coefs, mut decisions) = (vec![0.0; rows], vec![0.0; rows]);
        for (at, &row) in self.cache.order().iter().enumerate() {
            coefs[row] = self.alpha[at] * self.signs[at];
            decisions[row] = self.signs[at] - self.slopes[at] - rho;
        }
        Solution { coefs, rho, steps, converged, decisions, objective }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel::{Kernel, Vectors};
    use super::*;
    use crate::matrix::Matrix;

    fn solve_line(bounds: &[f64], x: &[f64], signs: &[f64]) -> Solution {
        let vectors = Vectors::new(&Matrix::from_values(x.len(), 1, x.to_vec()), 1.0);
        let problem = Problem { signs, bounds, tol: 1e-10, steps: 10_000 };
        let mut cache = Cache::new(&vectors, Kernel::Linear, 0);
        solve(&problem, vec![0.0; x.len()], &mut cache, &Ctx::new(0, 1)).unwrap()
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

    /// Rows that overlap, every seventh not part of the problem.
    fn overlapping() -> (Vectors, Vec<f64>, Vec<f64>) {
        let number = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let values =
            (0..400).flat_map(|row| [number(row) + f64::from(row % 2) * 0.3, number(row + 4000)]).collect();
        let signs = (0..400).map(|row| if row % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let bounds = (0..400).map(|row| if row % 7 == 3 { 0.0 } else { f64::from(1 + row % 3) }).collect();
        (Vectors::new(&Matrix::from_values(400, 2, values), 1.0), signs, bounds)
    }

    #[test]
    fn what_was_shrunk_fulfils_the_optimum_and_all_rows_are_decided() {
        let (vectors, signs, bounds) = overlapping();
        let kernel = Kernel::Rbf { gamma: 8.0 };
        let problem = Problem { signs: &signs, bounds: &bounds, tol: 1e-6, steps: 1_000_000 };
        let solved = |bytes: usize| {
            let mut cache = Cache::new(&vectors, kernel, bytes);
            solve(&problem, vec![0.0; 400], &mut cache, &Ctx::new(0, 1)).unwrap()
        };
        let found = solved(1 << 24);
        assert!(found.converged && found.steps > 800, "{} steps shrink nothing", found.steps);
        assert_eq!(found.coefs, solved(0).coefs, "a cache that keeps little changes nothing");
        let everyone: Vec<usize> = (0..400).collect();
        for row in 0..400 {
            let mut kernels = Vec::new();
            vectors.extend_kernels(kernel, row, &everyone, &mut kernels);
            let decision = found.coefs.iter().zip(&kernels).map(|(c, k)| c * k).sum::<f64>() - found.rho;
            assert!((decision - found.decisions[row]).abs() < 1e-9, "row {row}");
            let (ahead, alpha) = (signs[row] * decision - 1.0, signs[row] * found.coefs[row]);
            assert!(alpha >= bounds[row] || ahead > -1e-5, "row {row}: {ahead} with {alpha}");
            assert!(alpha <= 0.0 || ahead < 1e-5, "row {row}: {ahead} with {alpha}");
        }
    }

    #[test]
    fn a_start_elsewhere_ends_in_the_same_place() {
        let (vectors, signs, bounds) = overlapping();
        let problem = Problem { signs: &signs, bounds: &bounds, tol: 1e-8, steps: 1_000_000 };
        let mut cache = Cache::new(&vectors, Kernel::Rbf { gamma: 1.0 }, 1 << 24);
        let mut solved = |from| solve(&problem, from, &mut cache, &Ctx::new(0, 1)).unwrap();
        let cold = solved(vec![0.0; 400]);
        let warm = solved(cold.coefs.iter().map(|coef| coef.abs() * 0.5).collect());
        assert!((cold.objective - warm.objective).abs() < 1e-8 * cold.objective.abs());
        assert!((cold.rho - warm.rho).abs() < 1e-5);
    }
}
