//! The epochs of a perceptron: batches in a shuffled order until the loss no longer falls.
//!
//! The rows of a batch are cut into a fixed number of parts whose gradients are added in order: the same bits for any
//! number of threads.

use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::net::{Activation, Shape};
use super::step::{Solver, Steps};
use super::{HEAVIEST, MlpModel, SPEC};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Model, Train};
use crate::frequent::{about, most_frequent};
use crate::matrix::{Matrix, SparseMatrix};
use crate::rng::stream;

/// Hyperparameters.
pub(super) struct Mlp {
    pub(super) layers: Vec<usize>,
    pub(super) activation: Activation,
    pub(super) solver: Solver,
    pub(super) alpha: f64,
    pub(super) rate: f64,
    pub(super) batch: usize,
    pub(super) epochs: usize,
    pub(super) tol: f64,
    pub(super) patience: usize,
    /// Share of each class that is kept aside.
    pub(super) validation: Option<f64>,
}

/// Values beyond this are brought to at most 1 by a power of two: no sum of a fit overflows.
const HUGE: f64 = 1e6;
/// Parts of a batch.
const PARTS: usize = 4;
/// Probabilities are kept so far from 0 when their logarithm is taken.
const LEAST: f64 = f64::EPSILON;

impl Estimator for Mlp {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled(SPEC.name, false)?;
        let mut x = data.x.dense().into_owned();
        let scales = scales(&x);
        for place in 0..x.rows() {
            x.row_mut(place).iter_mut().zip(&scales).for_each(|(x, scale)| *x *= scale);
        }
        let middle: Vec<f64> = most_frequent(&x).into_iter().map(Option::unwrap_or_default).collect();
        let outputs = if data.classes == 2 { 1 } else { data.classes };
        let sizes = [x.columns()].iter().chain(&self.layers).chain(&[outputs]).copied().collect();
        let shape = Shape { sizes, activation: self.activation };
        if shape.weights().is_none_or(|weights| weights > 1 << 30) {
            return Err(LearnError::Data(format!(
                "{}: more than 2^30 weights; ask for fewer units",
                SPEC.name
            )));
        }
        let rows = about(&x, &middle);
        drop(x);
        let problem = Problem { rows, middle, y: data.y, weights: data.weights, shape, alpha: self.alpha };
        let (weights, note) = ctx.install(|| self.epochs(&problem, ctx))??;
        if weights.iter().any(|weight| weight.is_nan() || weight.abs() > HEAVIEST) {
            return Err(LearnError::Data(format!(
                "{}: the fit diverged; lower learning_rate or add the preparation step `standard`",
                SPEC.name
            )));
        }
        let bias = problem.shape.bias_at(&weights, &problem.middle);
        let Problem { middle, shape, .. } = problem;
        Ok(Box::new(MlpModel { shape, scales, middle, weights, bias, notes: vec![note] }))
    }
}

fn scales(x: &Matrix) -> Vec<f64> {
    let mut largest = vec![0f64; x.columns()];
    for row in x.iter_rows() {
        largest.iter_mut().zip(row).for_each(|(largest, x)| *largest = largest.max(x.abs()));
    }
    largest
        .iter()
        .map(|&largest| if largest > HUGE { (-largest.log2().ceil()).exp2() } else { 1.0 })
        .collect()
}

/// Rows about their middle, and what is asked of the weights.
struct Problem<'a> {
    rows: SparseMatrix,
    middle: Vec<f64>,
    y: &'a [u32],
    weights: Option<&'a [f64]>,
    shape: Shape,
    alpha: f64,
}

/// Gradient and loss of some rows.
struct Part {
    gradient: Vec<f64>,
    units: Vec<f64>,
    scores: Vec<f64>,
    loss: f64,
}

impl Mlp {
    fn epochs(&self, problem: &Problem<'_>, ctx: &Ctx) -> Result<(Vec<f64>, String), LearnError> {
        let (mut rows, aside) = self.split(problem, ctx)?;
        let mut weights = first_weights(&problem.shape, ctx.seed);
        let mut steps = Steps::new(self.solver, self.rate, weights.len());
        let mut parts: Vec<Part> = (0..PARTS).map(|_| Part::new(&problem.shape)).collect();
        let (mut best, mut kept, mut without) = (f64::NEG_INFINITY, None, 0);
        for epoch in 0..self.epochs {
            ctx.progress("mlp", epoch as u64, self.epochs as u64);
            rows.shuffle(&mut stream(ctx.seed, "mlp order", epoch as u64));
            let mut loss = 0.0;
            for batch in rows.chunks(self.batch) {
                ctx.check()?;
                loss += problem.gradient(batch, &weights, &mut parts);
                steps.follow(&parts[0].gradient, &mut weights);
            }
            let gain = if aside.is_empty() {
                -loss / problem.weight_of(&rows)
            } else {
                problem.accuracy(&aside, &weights)
            };
            without = if gain < best + self.tol || gain.is_nan() { without + 1 } else { 0 };
            if gain > best {
                best = gain;
                if !aside.is_empty() {
                    kept = Some(weights.clone());
                }
            }
            if without > self.patience {
                return Ok((kept.unwrap_or(weights), format!("converged after {} passes", epoch + 1)));
            }
        }
        let note = format!("not converged after {} passes; raise max_iter or learning_rate", self.epochs);
        Ok((kept.unwrap_or(weights), note))
    }

    /// Rows to learn from and rows to validate with; rows without weight are in neither.
    fn split(&self, problem: &Problem<'_>, ctx: &Ctx) -> Result<(Vec<usize>, Vec<usize>), LearnError> {
        let mut rows: Vec<usize> = (0..problem.y.len()).filter(|&row| problem.weight(row) > 0.0).collect();
        let Some(share) = self.validation else { return Ok((rows, Vec::new())) };
        rows.shuffle(&mut stream(ctx.seed, "mlp validation", 0));
        rows.sort_by_key(|&row| problem.y[row]);
        let (mut learnt, mut aside) = (Vec::new(), Vec::new());
        for class in rows.chunk_by(|a, b| problem.y[*a] == problem.y[*b]) {
            let count = ((class.len() as f64 * share).round() as usize).min(class.len() - 1);
            aside.extend_from_slice(&class[..count]);
            learnt.extend_from_slice(&class[count..]);
        }
        learnt.sort_unstable();
        if aside.is_empty() {
            return Err(LearnError::Data(format!("{}: too few rows for early_stopping", SPEC.name)));
        }
        Ok((learnt, aside))
    }
}

/// Glorot and Bengio (2010): uniform within ±sqrt(6 / (inputs + outputs)), or sqrt(2 / ..) for logistic units.
fn first_weights(shape: &Shape, seed: u64) -> Vec<f64> {
    let factor = if shape.activation == Activation::Logistic { 2.0 } else { 6.0 };
    let mut weights = Vec::with_capacity(shape.weights().unwrap_or(0));
    for layer in 0..shape.layers() {
        let (inputs, outputs, _) = shape.layer(layer);
        let bound = (factor / (inputs + outputs) as f64).sqrt();
        let mut rng = stream(seed, "mlp weights", layer as u64);
        weights.extend((0..(inputs + 1) * outputs).map(|_| bound * (2.0 * rng.random::<f64>() - 1.0)));
    }
    weights
}

impl Part {
    fn new(shape: &Shape) -> Self {
        let outputs = shape.sizes[shape.layers()].max(2);
        Self {
            gradient: vec![0.0; shape.weights().unwrap_or(0)],
            units: vec![0.0; shape.units()],
            scores: vec![0.0; outputs],
            loss: 0.0,
        }
    }
}

impl Problem<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    fn weight_of(&self, rows: &[usize]) -> f64 {
        rows.iter().map(|&row| self.weight(row)).sum()
    }

    /// Leaves the gradient of a batch in the first part; returns its loss times its weight.
    fn gradient(&self, batch: &[usize], weights: &[f64], parts: &mut [Part]) -> f64 {
        let bias = self.shape.bias_at(weights, &self.middle);
        let count = parts.len();
        let bounds = |part: usize| part * batch.len() / count..(part + 1) * batch.len() / count;
        let add = |(place, part): (usize, &mut Part)| self.add(&batch[bounds(place)], weights, &bias, part);
        if rayon::current_num_threads() > 1 {
            parts.par_iter_mut().enumerate().for_each(add);
        } else {
            parts.iter_mut().enumerate().for_each(add);
        }
        let (first, others) = parts.split_at_mut(1);
        let (first, mut loss) = (&mut first[0].gradient, first[0].loss);
        for part in others {
            first.iter_mut().zip(&part.gradient).for_each(|(sum, x)| *sum += x);
            loss += part.loss;
        }
        let total = self.weight_of(batch);
        self.add_middle(first);
        first.iter_mut().for_each(|slope| *slope /= total);
        loss + self.penalise(weights, first, total)
    }

    fn add(&self, rows: &[usize], weights: &[f64], bias: &[f64], part: &mut Part) {
        part.gradient.fill(0.0);
        part.loss = 0.0;
        let outputs = self.shape.sizes[self.shape.layers()];
        let hidden = part.units.len() - outputs;
        for &row in rows {
            let entries = self.rows.row(row);
            self.shape.forward(weights, bias, entries, &mut part.units);
            Shape::probabilities(&part.units[hidden..], &mut part.scores);
            let (class, weight) = (self.y[row] as usize, self.weight(row));
            part.loss -= weight * part.scores[class].max(LEAST).ln();
            let first = part.scores.len() - outputs;
            for (output, slope) in part.units[hidden..].iter_mut().enumerate() {
                let truth = f64::from(u8::from(output + first == class));
                *slope = weight * (part.scores[output + first] - truth);
            }
            self.shape.backward(weights, entries, &mut part.units, &mut part.gradient);
        }
    }

    /// What the middle of the rows adds to the gradient of the first layer.
    fn add_middle(&self, gradient: &mut [f64]) {
        let (inputs, outputs, first) = self.shape.layer(0);
        let (of_weights, of_bias) =
            gradient[first..][..(inputs + 1) * outputs].split_at_mut(inputs * outputs);
        for (input, &x) in self.middle.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            let sums = &mut of_weights[input * outputs..][..outputs];
            sums.iter_mut().zip(&*of_bias).for_each(|(sum, slope)| *sum += x * slope);
        }
    }

    /// Adds the penalty's gradient; returns the penalty times `total`.
    fn penalise(&self, weights: &[f64], gradient: &mut [f64], total: f64) -> f64 {
        let mut squares = 0.0;
        for layer in 0..self.shape.layers() {
            let (inputs, outputs, first) = self.shape.layer(layer);
            let of = first..first + inputs * outputs;
            for (slope, weight) in gradient[of.clone()].iter_mut().zip(&weights[of]) {
                *slope += self.alpha * weight / total;
                squares += weight * weight;
            }
        }
        0.5 * self.alpha * squares
    }

    /// Weighted share of rows whose most probable class is theirs.
    fn accuracy(&self, rows: &[usize], weights: &[f64]) -> f64 {
        let bias = self.shape.bias_at(weights, &self.middle);
        let mut part = Part::new(&self.shape);
        let outputs = self.shape.sizes[self.shape.layers()];
        let mut right = 0.0;
        for &row in rows {
            self.shape.forward(weights, &bias, self.rows.row(row), &mut part.units);
            Shape::probabilities(&part.units[part.units.len() - outputs..], &mut part.scores);
            let scores = &part.scores;
            let most = (0..scores.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0);
            right += if most == self.y[row] as usize { self.weight(row) } else { 0.0 };
        }
        right / self.weight_of(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mlp() -> Mlp {
        Mlp {
            layers: vec![20, 8],
            activation: Activation::Tanh,
            solver: Solver::Adam,
            alpha: 1e-4,
            rate: 0.01,
            batch: 32,
            epochs: 200,
            tol: 1e-4,
            patience: 10,
            validation: None,
        }
    }

    /// Exclusive or: no straight line tells the classes apart.
    fn corners() -> (Matrix, Vec<u32>) {
        let at = |place: u32| (f64::from(place % 20) / 20.0 - 0.475, f64::from(place / 20) / 20.0 - 0.475);
        let x = (0..400).flat_map(|place| [at(place).0, at(place).1]).collect();
        (
            Matrix::from_values(400, 2, x),
            (0..400).map(|place| u32::from(at(place).0 * at(place).1 > 0.0)).collect(),
        )
    }

    #[test]
    fn what_no_line_tells_apart_is_learnt_by_every_solver() {
        let (x, y) = corners();
        let sgd = |nesterov| Mlp { solver: Solver::Sgd { momentum: 0.9, nesterov }, rate: 0.1, ..mlp() };
        let fits = [
            mlp(),
            Mlp { activation: Activation::Relu, ..mlp() },
            sgd(false),
            sgd(true),
            Mlp { validation: Some(0.2), ..mlp() },
        ];
        for (place, fit) in fits.iter().enumerate() {
            let model = fit.fit(&Train::labelled(&x, &y, 2), &Ctx::new(1, 1)).unwrap();
            let scores = model.score(&x, &Ctx::new(0, 1));
            let right = scores.iter_rows().zip(&y).filter(|(p, y)| (p[1] > 0.5) == (**y == 1)).count();
            assert!(right > 380, "fit {place}: {right} of 400; {:?}", model.notes());
        }
    }

    /// The gradient of a batch is that of the objective by differences, with a middle, weights and a penalty.
    #[test]
    fn the_gradient_of_a_batch_is_that_of_differences() {
        let x = Matrix::from_values(5, 2, vec![2.0, 0.3, 2.0, -1.0, 2.0, 0.9, -1.0, 0.1, 2.0, 0.7]);
        let middle = vec![2.0, 0.0];
        let shape = Shape { sizes: vec![2, 4, 1], activation: Activation::Tanh };
        let own = [1.0, 2.0, 0.5, 1.0, 3.0];
        let rows = about(&x, &middle);
        let problem = Problem { rows, middle, y: &[0, 1, 1, 0, 1], weights: Some(&own), shape, alpha: 0.3 };
        let weights = first_weights(&problem.shape, 4);
        let mut parts: Vec<Part> = (0..PARTS).map(|_| Part::new(&problem.shape)).collect();
        let batch = [0, 1, 2, 3, 4];
        problem.gradient(&batch, &weights, &mut parts);
        let gradient = parts[0].gradient.clone();
        for place in 0..weights.len() {
            let mut moved = |by: f64| {
                let mut weights = weights.clone();
                weights[place] += by;
                problem.gradient(&batch, &weights, &mut parts) / 7.5
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            assert!((slope - gradient[place]).abs() < 1e-7, "{place}: {slope} {}", gradient[place]);
        }
    }
}
