//! Two-class machines with an L2 penalty: ½ Σ ridge θ² + Σ cost × loss(margin), the loss being the hinge or its square.
//!
//! Passes of dual coordinate descent ([`super::dual`]) are the start. Then Newton's method finishes in few steps, as only
//! the rows bend that are on the parabola of their loss (Keerthi and DeCoste 2005): a step solves for the coordinates or for
//! those rows, whichever are fewer, and goes exactly as far as is best. The hinge has no parabola; it gets one around the
//! multiplier each row has, narrower from round to round (the proximal method of multipliers: Rockafellar 1976), the limit
//! being the hinge itself. All stop by the gap between the primal and the dual objective.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use super::cholesky::Cholesky;
use super::design::{Design, add_up, axpy, dot};
use super::gram::Gram;
use super::objective::Penalty;
use super::truncated::conjugate_gradients;
use super::{NEWTON_UNKNOWNS, Solution, Stop, dual};
use crate::LearnError;
use crate::ctx::Ctx;

/// A problem to minimise.
pub(crate) struct Machine<'a> {
    pub(super) design: &'a Design,
    /// Per row 1 or -1.
    pub(super) signs: Vec<f64>,
    /// Per row C × weight.
    pub(super) costs: Vec<f64>,
    pub(super) squared: bool,
    pub(super) free_intercept: bool,
    /// Per coordinate the factor of its penalty; 0 for a free intercept.
    ridge: Vec<f64>,
}

/// The parabolas that stand for the loss: with u = 1 - sign × margin its slope is cost × (from + stiffness × u), at least 0
/// and at most cost × top.
struct Parabolas {
    from: Vec<f64>,
    stiffness: f64,
    top: f64,
}

/// Stiffness of the first parabolas of the hinge, and its growth from round to round.
const FIRST_STIFFNESS: f64 = 0.5;
const GROWTH: f64 = 4.0;
/// A round is over when a step promises less than this share of what the round's first did.
const ROUND_OVER: f64 = 1e-3;
/// Steps of a round at most, as rounding may keep the last from coming.
const ROUND_STEPS: usize = 25;
/// A free intercept is pulled by this share of what all weights of a row are, in dual coordinate descent.
const INTERCEPT_SHARE: f64 = 0.01;
/// Rows on their parabolas up to which a step solves for them, where there are more coordinates.
const MOST_ROWS: usize = 1536;
/// Conjugate gradients, where both are many, go on until a product brings less than this share of the mean.
const ENOUGH: f64 = 0.01;

/// A point of the primal problem.
struct Place {
    theta: Vec<f64>,
    margins: Vec<f64>,
}

/// What a point is like.
struct View {
    /// Per row the slope of its parabola by u, as a share of its cost.
    slopes: Vec<f64>,
    gradient: Vec<f64>,
    /// Rows that are on their parabola.
    bent: Vec<usize>,
    /// How far the primal objective is above the dual one, as a share of it.
    gap: f64,
}

impl<'a> Machine<'a> {
    /// `penalty` has no L1 part and an L2 part of 1.
    pub(crate) fn new(
        design: &'a Design,
        positive: &[bool],
        weights: &[f64],
        squared: bool,
        penalty: Penalty,
    ) -> Self {
        let mut ridge: Vec<f64> = design.pulls().iter().map(|pull| 1.0 / pull).collect();
        ridge[design.intercept()] = penalty.intercept_scaling.map_or(0.0, |scale| 1.0 / scale / scale);
        Self {
            design,
            signs: positive.iter().map(|is| if *is { 1.0 } else { -1.0 }).collect(),
            costs: weights.iter().map(|weight| penalty.c * weight).collect(),
            squared,
            free_intercept: penalty.intercept_scaling.is_none(),
            ridge,
        }
    }

    /// Per coordinate how far a unit of slope pulls it: 1 / ridge, and for a free intercept a share of what a row pulls the
    /// others.
    pub(super) fn pull(&self) -> Vec<f64> {
        let (mut pull, place) = (self.design.pulls(), self.design.intercept());
        pull[place] = match self.free_intercept {
            true => (INTERCEPT_SHARE * pull.iter().sum::<f64>()).clamp(1e-3, 1e60),
            false => 1.0 / self.ridge[place],
        };
        pull
    }

    /// Minimises, from `guess` or what dual coordinate descent finds; `steps` are those of Newton's method.
    pub(crate) fn minimise(
        &self,
        guess: Option<Vec<f64>>,
        gram: &mut Gram<'_>,
        stop: Stop,
        rng: ChaCha8Rng,
        ctx: &Ctx,
    ) -> Result<Solution, LearnError> {
        let (theta, from) = match guess.filter(|_| self.squared) {
            Some(theta) => (theta, vec![0.0; self.costs.len()]),
            None => {
                let found = dual::descend(self, rng, ctx)?;
                let share = |(alpha, cost): (&f64, &f64)| if *cost > 0.0 { alpha / cost } else { 0.0 };
                let shares = found.alpha.iter().zip(&self.costs).map(share);
                (found.theta, if self.squared { vec![0.0; self.costs.len()] } else { shares.collect() })
            }
        };
        let parabolas = match self.squared {
            true => Parabolas { from, stiffness: 2.0, top: f64::INFINITY },
            false => Parabolas { from, stiffness: FIRST_STIFFNESS, top: 1.0 },
        };
        self.descend(theta, parabolas, gram, stop, ctx)
    }

    fn descend(
        &self,
        theta: Vec<f64>,
        mut parabolas: Parabolas,
        gram: &mut Gram<'_>,
        stop: Stop,
        ctx: &Ctx,
    ) -> Result<Solution, LearnError> {
        let margins = self.design.margins(&theta);
        let mut at = Place { theta, margins };
        let mut view = self.view(&parabolas, &at);
        let (mut steps, mut round, mut first) = (0, 0, None);
        while view.gap > stop.gap && steps < stop.steps {
            ctx.check()?;
            ctx.progress("linear model: steps of Newton's method for machines", steps as u64, 0);
            let direction = self.direction(&parabolas, &view, gram);
            let promise = -0.5 * dot(&view.gradient, &direction);
            let moved = self.design.margins(&direction);
            let length = self.best_length(&parabolas, &at, &direction, &moved);
            axpy(length, &direction, &mut at.theta);
            axpy(length, &moved, &mut at.margins);
            (steps, round) = (steps + 1, round + 1);
            let before = std::mem::replace(&mut view, self.view(&parabolas, &at));
            let landed = before.bent == view.bent && (length - 1.0).abs() < 1e-6;
            let little = promise <= ROUND_OVER * *first.get_or_insert(promise);
            let over = landed || little || round >= ROUND_STEPS;
            if over && !self.squared && view.gap > stop.gap {
                parabolas = Parabolas {
                    from: std::mem::take(&mut view.slopes),
                    stiffness: parabolas.stiffness * GROWTH,
                    ..parabolas
                };
                view = self.view(&parabolas, &at);
                (round, first) = (0, None);
            }
        }
        Ok(Solution { theta: at.theta, steps, gap: view.gap, solver: "Newton's method for machines" })
    }

    /// The primal objective, as scikit-learn states it.
    pub(crate) fn stated(&self, theta: &[f64]) -> f64 {
        self.primal(&Place { theta: theta.to_vec(), margins: self.design.margins(theta) })
    }

    fn primal(&self, at: &Place) -> f64 {
        let lane = |rows: Range<usize>| {
            let loss = |row: usize| {
                let short = (1.0 - self.signs[row] * at.margins[row]).max(0.0);
                self.costs[row] * if self.squared { short * short } else { short }
            };
            rows.map(loss).sum::<f64>()
        };
        0.5 * self.square(&at.theta) + self.design.lanes(lane).iter().sum::<f64>()
    }

    /// Σ ridge θ².
    fn square(&self, theta: &[f64]) -> f64 {
        theta.iter().zip(&self.ridge).map(|(theta, ridge)| ridge * theta * theta).sum()
    }

    fn slope(&self, parabolas: &Parabolas, row: usize, margin: f64) -> f64 {
        if self.costs[row] == 0.0 {
            return 0.0;
        }
        let short = 1.0 - self.signs[row] * margin;
        (parabolas.from[row] + parabolas.stiffness * short).clamp(0.0, parabolas.top)
    }

    fn view(&self, parabolas: &Parabolas, at: &Place) -> View {
        let rows = 0..self.costs.len();
        let slopes: Vec<f64> = rows.clone().map(|row| self.slope(parabolas, row, at.margins[row])).collect();
        let sloped: Vec<usize> = rows.clone().filter(|&row| slopes[row] > 0.0).collect();
        let slope = |row: usize| -self.costs[row] * self.signs[row] * slopes[row];
        let mut gradient = self.design.weighted_sum_of(&sloped, slope);
        gradient
            .iter_mut()
            .zip(&at.theta)
            .zip(&self.ridge)
            .for_each(|((g, theta), ridge)| *g += ridge * theta);
        let bent = rows.filter(|&row| slopes[row] > 0.0 && slopes[row] < parabolas.top).collect();
        let gap = self.gap(at, &slopes, &gradient);
        View { slopes, gradient, bent, gap }
    }

    /// The slopes are a point of the dual problem, whose coordinates are θ - gradient / ridge. A free intercept's constraint
    /// that does not yet hold is added at the price of the intercept.
    fn gap(&self, at: &Place, slopes: &[f64], gradient: &[f64]) -> f64 {
        let primal = self.primal(at);
        let of_row = |(slope, cost): (&f64, &f64)| {
            cost * if self.squared { slope - 0.25 * slope * slope } else { *slope }
        };
        let parts = at.theta.iter().zip(gradient).zip(&self.ridge).filter(|(_, ridge)| **ridge > 0.0);
        let square: f64 = parts.map(|((theta, slope), ridge)| ridge * (theta - slope / ridge).powi(2)).sum();
        let dual = slopes.iter().zip(&self.costs).map(of_row).sum::<f64>() - 0.5 * square;
        let place = self.design.intercept();
        let unbalanced =
            if self.free_intercept { gradient[place].abs() * (1.0 + at.theta[place].abs()) } else { 0.0 };
        ((primal - dual).abs() + unbalanced) / primal.abs().max(f64::MIN_POSITIVE)
    }

    /// Newton's step.
    fn direction(&self, parabolas: &Parabolas, view: &View, gram: &mut Gram<'_>) -> Vec<f64> {
        let (coordinates, bent) = (self.design.coordinates(), view.bent.len());
        let solved = if bent == 0 {
            None
        } else if bent < coordinates && bent <= MOST_ROWS {
            self.by_rows(parabolas, view, gram)
        } else if coordinates <= NEWTON_UNKNOWNS {
            self.by_coordinates(parabolas, view)
        } else {
            None
        };
        solved.unwrap_or_else(|| self.by_products(parabolas, view))
    }

    /// From the whole Hessian.
    fn by_coordinates(&self, parabolas: &Parabolas, view: &View) -> Option<Vec<f64>> {
        let size = self.design.coordinates();
        let parts = self.design.few_lanes_of(view.bent.len(), size * size, |places| {
            let rows = view.bent[places].iter().map(|&row| (row, parabolas.stiffness * self.costs[row]));
            let mut sums = vec![0.0; size * size];
            self.design.add_gram(rows, &mut sums, size);
            sums
        });
        let mut hessian = add_up(parts);
        self.ridge.iter().enumerate().for_each(|(place, ridge)| hessian[place * size + place] += ridge);
        let step = Cholesky::new(&hessian, size)?.solve(&view.gradient);
        Some(step.into_iter().map(|part| -part).collect())
    }

    /// From the kernel of the bent rows: with λ = -cost × stiffness × (change of margin), the change of a weight is
    /// (Σ λ x - gradient) / ridge, and λ and the change of the intercept solve
    /// (K + 1 / (cost × stiffness)) λ + change = Σ x gradient / ridge, Σ λ = slope + ridge × change of the intercept.
    fn by_rows(&self, parabolas: &Parabolas, view: &View, gram: &mut Gram<'_>) -> Option<Vec<f64>> {
        let (intercept, size, pull) = (self.design.intercept(), view.bent.len(), self.design.pulls());
        let mut matrix = gram.of(&view.bent);
        for (place, &row) in view.bent.iter().enumerate() {
            matrix[place * size + place] += 1.0 / (self.costs[row] * parabolas.stiffness);
        }
        let factor = Cholesky::new(&matrix, size)?;
        let mut direction: Vec<f64> =
            view.gradient.iter().zip(&pull).map(|(slope, pull)| -slope * pull).collect();
        let wanted: Vec<f64> = view.bent.iter().map(|&row| -self.design.row_dot(row, &direction)).collect();
        let (found, of_ones) = (factor.solve(&wanted), factor.solve(&vec![1.0; size]));
        let (total, ones) = (found.iter().sum::<f64>(), of_ones.iter().sum::<f64>());
        let change = (total - view.gradient[intercept]) / (ones + self.ridge[intercept]);
        for ((&row, found), one) in view.bent.iter().zip(&found).zip(&of_ones) {
            self.design.add_pulled_row(row, found - change * one, &pull, &mut direction);
        }
        direction[intercept] = change;
        Some(direction)
    }

    /// By conjugate gradients.
    fn by_products(&self, parabolas: &Parabolas, view: &View) -> Vec<f64> {
        let bend = |place: usize| parabolas.stiffness * self.costs[view.bent[place]];
        let mut diagonal = self.design.squares_of_rows(&view.bent, bend);
        axpy(1.0, &self.ridge, &mut diagonal);
        let product = |vector: &[f64]| {
            let of = |place: usize, parts: &mut [f64]| parts[0] *= bend(place);
            let mut product = self.design.through_rows(&view.bent, vector, 1, of);
            product
                .iter_mut()
                .zip(vector)
                .zip(&self.ridge)
                .for_each(|((sum, part), ridge)| *sum += ridge * part);
            product
        };
        let mut direction = conjugate_gradients(&view.gradient, &diagonal, product, ENOUGH);
        let intercept = self.design.intercept();
        if view.bent.is_empty() && self.free_intercept {
            direction[intercept] = -view.gradient[intercept] / self.costs.iter().sum::<f64>();
        }
        direction
    }

    /// How far along a direction the objective is lowest: where its slope, which grows in straight pieces, is 0.
    fn best_length(&self, parabolas: &Parabolas, at: &Place, direction: &[f64], moved: &[f64]) -> f64 {
        let along = |(part, ridge): (&f64, &f64)| ridge * part;
        let ridged: Vec<f64> = direction.iter().zip(&self.ridge).map(along).collect();
        let (linear, square) = (dot(&ridged, &at.theta), dot(&ridged, direction));
        let slope_at = |length: f64| {
            let lane = |rows: Range<usize>| {
                let (mut slope, mut bend) = (0.0, 0.0);
                for row in rows {
                    let share = self.slope(parabolas, row, at.margins[row] + length * moved[row]);
                    slope -= self.costs[row] * share * self.signs[row] * moved[row];
                    if share > 0.0 && share < parabolas.top {
                        bend += self.costs[row] * parabolas.stiffness * moved[row] * moved[row];
                    }
                }
                (slope, bend)
            };
            let parts = self.design.lanes(lane);
            let (slope, bend) = parts.iter().fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
            (linear + length * square + slope, square + bend)
        };
        root(slope_at)
    }
}

/// A step is not taken farther than this many times its length.
const FARTHEST: f64 = 1e9;

/// Where a function that grows from below 0, in straight pieces, is 0; given with its own slope. Newton's method kept
/// within bounds that close in.
fn root(slope_at: impl Fn(f64) -> (f64, f64)) -> f64 {
    let (mut low, mut high, mut length) = (0.0, f64::INFINITY, 1.0);
    let (first, _) = slope_at(0.0);
    if first >= 0.0 || first.is_nan() {
        return 0.0;
    }
    let enough = -1e-12 * first;
    for _ in 0..60 {
        let (slope, bend) = slope_at(length);
        if slope.abs() <= enough {
            break;
        }
        if slope > 0.0 {
            high = length;
        } else {
            low = length;
        }
        let next = length - slope / bend;
        length = if next > low && next < high.min(8.0 * length) {
            next
        } else if high.is_finite() {
            f64::midpoint(low, high)
        } else if length < FARTHEST {
            8.0 * length
        } else {
            break;
        };
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::design::Shift;
    use crate::linear::newton;
    use crate::linear::objective::{Loss, Objective};
    use crate::matrix::Matrix;
    use crate::rng::stream;

    fn free(c: f64) -> Penalty {
        Penalty { c, l1: 0.0, l2: 1.0, intercept_scaling: None }
    }

    /// Overlapping classes, with a column that is sparse and rows of weight 0 to 2.
    fn rows(count: u32) -> (Matrix, Vec<bool>, Vec<f64>) {
        let number = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let row = |row: u32| {
            let class = f64::from(u32::from(row.is_multiple_of(3)));
            [number(row) + 0.6 * class, 5.0 * number(row + 7000), f64::from(u32::from(row % 9 == 4)) - class]
        };
        let values = (0..count).flat_map(row).collect();
        let weights = (0..count).map(|row| f64::from(row % 3)).collect();
        (
            Matrix::from_values(count as usize, 3, values),
            (0..count).map(|row| row.is_multiple_of(3) || row % 7 == 1).collect(),
            weights,
        )
    }

    fn minimised(machine: &Machine<'_>, design: &Design) -> Solution {
        let stop = Stop { gap: 1e-10, steps: 500 };
        let rng = stream(3, "machine", 0);
        let found = machine.minimise(None, &mut Gram::new(design), stop, rng, &Ctx::new(3, 1)).unwrap();
        assert!(found.gap <= stop.gap, "{}", found.gap);
        found
    }

    /// Points at 1 and 3: w = 1 and b = -2 by hand; and where C = 1/4 is too little for that, α = 1/4 and w = 1/2.
    #[test]
    fn two_points_have_the_widest_margin() {
        let x = Matrix::from_values(2, 1, vec![1.0, 3.0]);
        for (c, weight) in [(10.0, 1.0), (0.25, 0.5)] {
            let design = Design::new((&x).into(), Shift::Far);
            let machine = Machine::new(&design, &[false, true], &[1.0; 2], false, free(c));
            let found = minimised(&machine, &design);
            let (weights, intercept) = design.to_columns(&found.theta);
            assert!((weights[0] - weight).abs() < 1e-7, "{weights:?}");
            assert!(c < 1.0 || (intercept + 2.0).abs() < 1e-7, "{intercept}");
        }
    }

    #[test]
    fn a_step_is_the_same_by_rows_by_coordinates_and_by_products() {
        let (x, positive, weights) = rows(60);
        for scaling in [None, Some(2.0)] {
            let design = Design::new((&x).into(), Shift::No);
            let penalty = Penalty { intercept_scaling: scaling, ..free(0.8) };
            let machine = Machine::new(&design, &positive, &weights, true, penalty);
            let parabolas = Parabolas { from: vec![0.0; 60], stiffness: 2.0, top: f64::INFINITY };
            let theta = vec![0.3, -0.2, 0.5, 0.1];
            let view = machine.view(&parabolas, &Place { margins: design.margins(&theta), theta });
            let steps = [
                machine.by_rows(&parabolas, &view, &mut Gram::new(&design)).unwrap(),
                machine.by_coordinates(&parabolas, &view).unwrap(),
                machine.by_products(&parabolas, &view),
            ];
            for (step, near) in steps[1..].iter().zip([1e-9, 1e-2]) {
                for (a, b) in step.iter().zip(&steps[0]) {
                    assert!((a - b).abs() <= near * b.abs().max(1.0), "{scaling:?}: {steps:?}");
                }
            }
        }
    }

    #[test]
    fn the_squared_hinge_has_the_minimum_of_newtons_method() {
        let (x, positive, weights) = rows(300);
        let design = Design::new((&x).into(), Shift::All);
        let machine = Machine::new(&design, &positive, &weights, true, free(0.3));
        let found = minimised(&machine, &design);
        let y: Vec<u32> = positive.iter().map(|is| u32::from(*is)).collect();
        let objective = Objective::new(&design, &y, 2, &weights, Loss::SquaredHinge, free(0.3));
        let stop = Stop { gap: 1e-12, steps: 100 };
        let other = newton::minimise(&objective, objective.start(), stop, &Ctx::new(0, 1)).unwrap();
        let (a, b) = (machine.stated(&found.theta), objective.stated(&other.theta));
        assert!((a - b).abs() <= 1e-9 * b, "{a} is not {b}");
    }
}
