//! Proximal Newton for penalties with corners: L1 and elastic-net (Lee, Sun and Saunders 2014; Yuan, Ho and Lin 2012).
//!
//! Each step minimises the quadratic model of the loss plus the penalty by coordinate descent, between whose sweeps the
//! model is minimised over the face that the signs span, by Cholesky's factor: columns that move together then cost no more
//! than others. Many columns are taken in as they are needed: those with a weight and those whose gradient exceeds the
//! penalty most, until what all others could still bring is within the tolerance.

use super::cholesky::Cholesky;
use super::descent::{Method, Place, Step, descend};
use super::design::{axpy, dot};
use super::objective::{Objective, moved};
use super::{NEWTON_UNKNOWNS, Solution, Stop, WARM_START_ROWS, WARM_START_SHARE, share_of};
use crate::LearnError;
use crate::ctx::Ctx;

/// Coordinates taken in at first.
const FIRST_TAKEN: usize = 64;
/// Rounds of sweeps and a face at most for one quadratic model.
const ROUNDS: usize = 100;
/// Sweeps of coordinate descent between faces.
const SWEEPS: usize = 4;

/// Minimises from a guess or the objective's start.
pub(crate) fn minimise(
    objective: &Objective<'_>,
    guess: Option<Vec<f64>>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    let fewer = (objective.rows() >= WARM_START_ROWS).then(|| objective.every(WARM_START_SHARE)).flatten();
    let Some(fewer) = fewer else {
        let start = guess.unwrap_or_else(|| objective.start());
        return over_columns(objective, start, stop, ctx);
    };
    let start = match guess {
        Some(guess) => guess,
        None => {
            let loosely = Stop { gap: stop.gap.max(1e-4), ..stop };
            over_columns(&fewer.objective(objective), objective.start(), loosely, ctx)?.theta
        }
    };
    over_columns(objective, start, stop, ctx)
}

/// All columns at once, or as they are needed.
fn over_columns(
    objective: &Objective<'_>,
    mut theta: Vec<f64>,
    stop: Stop,
    ctx: &Ctx,
) -> Result<Solution, LearnError> {
    if objective.unknowns() <= NEWTON_UNKNOWNS {
        return newton(objective, theta, stop, ctx);
    }
    let (mut steps, mut most) = (0, FIRST_TAKEN);
    let closer = Stop { gap: stop.gap * 0.5, ..stop };
    loop {
        let margins = objective.design().margins(&theta);
        let (missing, ranked) = left_out(objective, &theta, &margins);
        let gap = share_of(objective.total(&theta, &margins), missing);
        let solution = |theta, gap| Solution { theta, steps, gap, solver: "proximal Newton" };
        if gap <= stop.gap || steps >= stop.steps {
            return Ok(solution(theta, gap));
        }
        let kept = taken(objective, &theta, &ranked, most);
        let fewer = objective.restricted(&kept);
        let (width, start) = (objective.design().coordinates(), gather(objective, &theta, &kept));
        let rest = Stop { steps: stop.steps - steps, ..closer };
        let inner = newton(&fewer.objective(objective), start, rest, ctx)?;
        steps += inner.steps.max(1);
        for (theta, found) in theta.chunks_exact_mut(width).zip(inner.theta.chunks_exact(kept.len())) {
            kept.iter().zip(found).for_each(|(&place, found)| theta[place] = *found);
        }
        most *= 2;
    }
}

/// An estimate of how far all unknowns could lower the objective, each alone, and the coordinates that would, best first.
fn left_out(objective: &Objective<'_>, theta: &[f64], margins: &[f64]) -> (f64, Vec<usize>) {
    let (width, lasso) = (objective.design().coordinates(), objective.lasso());
    let gradient = objective.gradient(theta, margins);
    let diagonal = objective.diagonal(&objective.bend(margins, 0.0));
    let mut gains = vec![0.0; width];
    for (place, ((&theta, &slope), &curvature)) in theta.iter().zip(&gradient).zip(&diagonal).enumerate() {
        let excess = steepest(theta, slope, lasso[place % width]);
        if curvature > 0.0 {
            gains[place % width] += 0.5 * excess * excess / curvature;
        }
    }
    let mut ranked: Vec<usize> = (0..width).filter(|&place| gains[place] > 0.0).collect();
    ranked.sort_by(|&a, &b| gains[b].total_cmp(&gains[a]).then(a.cmp(&b)));
    (gains.iter().sum(), ranked)
}

/// The subgradient nearest to 0.
fn steepest(theta: f64, slope: f64, lasso: f64) -> f64 {
    if theta == 0.0 { (slope.abs() - lasso).max(0.0) } else { slope + lasso * theta.signum() }
}

/// Coordinates with a weight, the intercept, and the best others: at least `most` more, never so many that the Hessian of
/// those without a weight grows beyond bounds.
fn taken(objective: &Objective<'_>, theta: &[f64], ranked: &[usize], most: usize) -> Vec<usize> {
    let width = objective.design().coordinates();
    let mut kept = vec![false; width];
    kept[objective.design().intercept()] = true;
    theta
        .iter()
        .enumerate()
        .filter(|(_, theta)| **theta != 0.0)
        .for_each(|(place, _)| kept[place % width] = true);
    let held = kept.iter().filter(|kept| **kept).count();
    let room = (2 * NEWTON_UNKNOWNS / objective.outputs()).saturating_sub(held).max(FIRST_TAKEN);
    let new =
        ranked.iter().filter(|&&place| theta.iter().skip(place).step_by(width).all(|theta| *theta == 0.0));
    new.take(most.min(room)).for_each(|&place| kept[place] = true);
    (0..width).filter(|&place| kept[place]).collect()
}

fn gather(objective: &Objective<'_>, theta: &[f64], kept: &[usize]) -> Vec<f64> {
    let of_output = |theta: &[f64]| kept.iter().map(|&place| theta[place]).collect::<Vec<f64>>();
    theta.chunks_exact(objective.design().coordinates()).flat_map(of_output).collect()
}

/// Proximal Newton with the whole Hessian; the gap is what the quadratic model falls by.
fn newton(objective: &Objective<'_>, theta: Vec<f64>, stop: Stop, ctx: &Ctx) -> Result<Solution, LearnError> {
    descend(&mut ProximalNewton { enough: 0.01 * stop.gap }, objective, theta, stop, ctx)
}

struct ProximalNewton {
    /// The share of the objective that a sweep of the quadratic model must bring to be followed by another.
    enough: f64,
}

impl Method for ProximalNewton {
    const NAME: &'static str = "proximal Newton";

    fn step(&mut self, objective: &Objective<'_>, at: &Place) -> Option<Step> {
        let model = Quadratic::new(objective, &at.theta, &at.margins);
        let (direction, fall) = model.minimise(self.enough * at.value.max(super::SMALLEST_VALUE));
        let slope = dot(&model.gradient, &direction) + objective.corners(&moved(&at.theta, 1.0, &direction))
            - objective.corners(&at.theta);
        Some(Step { direction, slope: slope.min(0.0), fall })
    }
}

/// gradient · d + ½ d · hessian d + Σ lasso |θ + d|.
struct Quadratic<'a> {
    theta: &'a [f64],
    gradient: Vec<f64>,
    /// All of it, row-major.
    hessian: Vec<f64>,
    lasso: Vec<f64>,
}

/// A point of the model with the slopes of its smooth part there.
struct Point {
    theta: Vec<f64>,
    slopes: Vec<f64>,
}

impl<'a> Quadratic<'a> {
    fn new(objective: &Objective<'_>, theta: &'a [f64], margins: &[f64]) -> Self {
        let size = theta.len();
        let mut hessian = objective.hessian(margins);
        for (i, j) in (0..size).flat_map(|i| (0..i).map(move |j| (i, j))) {
            hessian[j * size + i] = hessian[i * size + j];
        }
        Self {
            theta,
            gradient: objective.gradient(theta, margins),
            hessian,
            lasso: objective.lasso().iter().copied().cycle().take(size).collect(),
        }
    }

    /// The step to the minimum, and how far the model falls on it; another sweep would bring less than `least` or a trifle
    /// of that.
    fn minimise(&self, least: f64) -> (Vec<f64>, f64) {
        let mut at = Point { theta: self.theta.to_vec(), slopes: self.gradient.clone() };
        let mut gains = 0.0;
        'rounds: for _ in 0..ROUNDS {
            for _ in 0..SWEEPS {
                let gain = self.sweep(&mut at);
                gains += gain;
                if gain <= least.max(1e-4 * gains) {
                    break 'rounds;
                }
            }
            self.descend_face(&mut at);
        }
        let step = moved(&at.theta, -1.0, self.theta);
        let rise = |(place, (from, to)): (usize, (&f64, &f64))| self.lasso[place] * (to.abs() - from.abs());
        let corners: f64 = self.theta.iter().zip(&at.theta).enumerate().map(rise).sum();
        // gradient · d + ½ d · H d = ½ d · (gradient + slopes).
        let fall = -0.5 * (dot(&step, &self.gradient) + dot(&step, &at.slopes)) - corners;
        (step, fall.max(0.0))
    }

    /// Minimises along each coordinate in turn; returns what that brought.
    fn sweep(&self, at: &mut Point) -> f64 {
        let size = self.theta.len();
        let mut gain = 0.0;
        for place in 0..size {
            let curvature = self.hessian[place * size + place];
            if curvature <= 0.0 {
                continue;
            }
            let from = at.theta[place];
            let to = shrunk(from - at.slopes[place] / curvature, self.lasso[place] / curvature);
            let change = to - from;
            if change == 0.0 {
                continue;
            }
            gain -= change * (at.slopes[place] + 0.5 * change * curvature)
                + self.lasso[place] * (to.abs() - from.abs());
            at.theta[place] = to;
            axpy(change, &self.hessian[place * size..(place + 1) * size], &mut at.slopes);
        }
        gain
    }

    /// Goes to the minimum over the unknowns that are not held at 0, as far as no sign changes.
    fn descend_face(&self, at: &mut Point) {
        let size = self.theta.len();
        let free: Vec<usize> =
            (0..size).filter(|&place| at.theta[place] != 0.0 || self.lasso[place] == 0.0).collect();
        let row = |&i: &usize| free.iter().map(move |&j| self.hessian[i * size + j]);
        let matrix: Vec<f64> = free.iter().flat_map(row).collect();
        let Some(factor) = Cholesky::new(&matrix, free.len()) else { return };
        let slope = |&place: &usize| at.slopes[place] + self.lasso[place] * sign(at.theta[place]);
        let slopes: Vec<f64> = free.iter().map(slope).collect();
        let step: Vec<f64> = factor.solve(&slopes).iter().map(|part| -part).collect();
        let crossing = |(&place, step): (&usize, &f64)| {
            let theta = at.theta[place];
            (self.lasso[place] > 0.0 && theta * step < 0.0).then(|| (-theta / step, place))
        };
        let first = free.iter().zip(&step).filter_map(crossing).min_by(|a, b| a.0.total_cmp(&b.0));
        let length = first.map_or(1.0, |(length, _)| length.min(1.0));
        for (&place, step) in free.iter().zip(&step) {
            let crosses = first.is_some_and(|(at, first)| first == place && at <= 1.0);
            let to = if crosses { 0.0 } else { at.theta[place] + length * step };
            let change = to - at.theta[place];
            at.theta[place] = to;
            axpy(change, &self.hessian[place * size..(place + 1) * size], &mut at.slopes);
        }
    }
}

/// The nearest to `value` when distance from 0 costs `by` a unit.
fn shrunk(value: f64, by: f64) -> f64 {
    (value.abs() - by).max(0.0) * value.signum()
}

fn sign(theta: f64) -> f64 {
    if theta == 0.0 { 0.0 } else { theta.signum() }
}
