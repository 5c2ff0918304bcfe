//! The layers of a perceptron: scores forwards, gradients backwards.
//!
//! All weights are one list: per layer inputs × outputs, then its biases. A row goes through alone, so that it scores the
//! same in any batch. The first layer sees rows about the most frequent values `m` of the columns, of which few entries
//! are left where columns are one-hot: W x + b = W (x - m) + (b + W m), and the gradient of W is that of W (x - m) plus
//! the gradient of b times m. Nothing is approximated, the zeros are only not multiplied.

use serde::{Deserialize, Serialize};

use crate::linear::objective::{sigmoid, softmax};

/// What a hidden unit does with its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Activation {
    Relu,
    Tanh,
    Logistic,
}

impl Activation {
    fn apply(self, sum: f64) -> f64 {
        match self {
            Self::Relu => sum.max(0.0),
            Self::Tanh => sum.tanh(),
            Self::Logistic => sigmoid(sum),
        }
    }

    /// The slope, from what [`Activation::apply`] gave.
    fn slope(self, out: f64) -> f64 {
        match self {
            Self::Relu => f64::from(u8::from(out > 0.0)),
            Self::Tanh => 1.0 - out * out,
            Self::Logistic => out * (1.0 - out),
        }
    }
}

/// Sizes of all layers and where their weights are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// Columns, hidden layers, outputs (1 for two classes).
    pub(super) sizes: Vec<usize>,
    pub(super) activation: Activation,
}

impl Shape {
    pub(super) fn layers(&self) -> usize {
        self.sizes.len() - 1
    }

    /// Inputs, outputs and the place of the first weight of a layer; its biases follow its weights.
    pub(super) fn layer(&self, layer: usize) -> (usize, usize, usize) {
        let before = self.sizes.windows(2).take(layer).map(|pair| (pair[0] + 1) * pair[1]).sum();
        (self.sizes[layer], self.sizes[layer + 1], before)
    }

    /// Number of weights and biases, unless it cannot be counted.
    pub(super) fn weights(&self) -> Option<usize> {
        let layer = |pair: &[usize]| pair[0].checked_add(1)?.checked_mul(pair[1]);
        self.sizes.windows(2).try_fold(0usize, |sum, pair| sum.checked_add(layer(pair)?))
    }

    /// Number of all units behind the input.
    pub(super) fn units(&self) -> usize {
        self.sizes[1..].iter().sum()
    }

    /// Biases of the first layer for rows about `middle`.
    pub(super) fn bias_at(&self, weights: &[f64], middle: &[f64]) -> Vec<f64> {
        let (inputs, outputs, first) = self.layer(0);
        let mut bias = weights[first + inputs * outputs..][..outputs].to_vec();
        for (input, &x) in middle.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            let of = &weights[first + input * outputs..][..outputs];
            bias.iter_mut().zip(of).for_each(|(bias, w)| *bias += x * w);
        }
        bias
    }

    /// Fills `units` (hidden ones, then the sums of the outputs) for one row, given by its entries about the middle.
    pub(super) fn forward(&self, weights: &[f64], bias: &[f64], row: (&[u32], &[f64]), units: &mut [f64]) {
        let (_, width, first) = self.layer(0);
        let (mut here, mut rest) = units.split_at_mut(width);
        here.copy_from_slice(bias);
        let entries = || row.0.iter().zip(row.1).map(|(&place, &x)| (place as usize, x));
        multiply(&weights[first..], entries, here);
        for layer in 1..self.layers() {
            here.iter_mut().for_each(|unit| *unit = self.activation.apply(*unit));
            let (inputs, outputs, first) = self.layer(layer);
            let (next, behind) = rest.split_at_mut(outputs);
            next.copy_from_slice(&weights[first + inputs * outputs..][..outputs]);
            let active = || here.iter().copied().enumerate().filter(|(_, x)| *x != 0.0);
            multiply(&weights[first..], active, next);
            (here, rest) = (next, behind);
        }
    }

    /// Adds one row's gradient; `units` are those of [`Shape::forward`], with the outputs replaced by the slopes of the
    /// loss there. The first layer's gradient lacks its biases' share of the middle.
    pub(super) fn backward(
        &self,
        weights: &[f64],
        row: (&[u32], &[f64]),
        units: &mut [f64],
        gradient: &mut [f64],
    ) {
        let mut end = units.len();
        for layer in (0..self.layers()).rev() {
            let (inputs, outputs, first) = self.layer(layer);
            let (before, slopes) = units[..end].split_at_mut(end - outputs);
            end -= outputs;
            let (of_weights, of_bias) =
                gradient[first..][..(inputs + 1) * outputs].split_at_mut(inputs * outputs);
            of_bias.iter_mut().zip(&*slopes).for_each(|(sum, slope)| *sum += slope);
            if layer == 0 {
                for (&place, &x) in row.0.iter().zip(row.1) {
                    add(&mut of_weights[place as usize * outputs..][..outputs], x, slopes);
                }
                return;
            }
            let below = before.len() - inputs;
            for (place, unit) in before[below..].iter_mut().enumerate() {
                let out = *unit;
                if out != 0.0 {
                    add(&mut of_weights[place * outputs..][..outputs], out, slopes);
                }
                let slope = self.activation.slope(out);
                *unit = if slope == 0.0 {
                    0.0
                } else {
                    slope * dot(&weights[first + place * outputs..][..outputs], slopes)
                };
            }
        }
    }

    /// Sums of the outputs to probabilities of the classes.
    pub(super) fn probabilities(sums: &[f64], out: &mut [f64]) {
        if let ([sum], [first, second]) = (sums, &mut *out) {
            (*first, *second) = (sigmoid(-sum), sigmoid(*sum));
            return;
        }
        out.copy_from_slice(sums);
        softmax(out);
    }
}

/// Adds Σ x × row of `weights` to `out`, a strip of outputs at a time so that it stays in registers.
fn multiply<I: Iterator<Item = (usize, f64)>>(weights: &[f64], entries: impl Fn() -> I, out: &mut [f64]) {
    const STRIP: usize = 16;
    let width = out.len();
    let mut strips = out.chunks_exact_mut(STRIP);
    let mut start = 0;
    for strip in &mut strips {
        let mut sums = [0.0; STRIP];
        sums.copy_from_slice(strip);
        for (place, x) in entries() {
            let of = &weights[place * width + start..][..STRIP];
            sums.iter_mut().zip(of).for_each(|(sum, w)| *sum += x * w);
        }
        strip.copy_from_slice(&sums);
        start += STRIP;
    }
    let rest = strips.into_remainder();
    if !rest.is_empty() {
        for (place, x) in entries() {
            let of = &weights[place * width + start..];
            rest.iter_mut().zip(of).for_each(|(sum, w)| *sum += x * w);
        }
    }
}

fn add(sums: &mut [f64], factor: f64, values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The slope of the loss by differences, for every weight.
    #[test]
    fn gradients_are_those_of_differences() {
        let row: (&[u32], &[f64]) = (&[0, 2], &[0.5, -1.5]);
        for activation in [Activation::Relu, Activation::Tanh, Activation::Logistic] {
            let shape = Shape { sizes: vec![3, 18, 5, 3], activation };
            let count = shape.weights().unwrap();
            let weights: Vec<f64> =
                (0..count).map(|place| ((place * 37 % 101) as f64 - 50.0) / 60.0).collect();
            let loss = |weights: &[f64]| {
                let mut units = vec![0.0; shape.units()];
                let bias = shape.bias_at(weights, &[0.0; 3]);
                shape.forward(weights, &bias, row, &mut units);
                let mut p = [0.0; 3];
                Shape::probabilities(&units[23..], &mut p);
                (-p[1].ln(), units, p)
            };
            let (_, mut units, p) = loss(&weights);
            units[23..].copy_from_slice(&[p[0], p[1] - 1.0, p[2]]);
            let mut gradient = vec![0.0; count];
            shape.backward(&weights, row, &mut units, &mut gradient);
            for place in 0..count {
                let moved = |by: f64| {
                    let mut weights = weights.clone();
                    weights[place] += by;
                    loss(&weights).0
                };
                let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                assert!(
                    (slope - gradient[place]).abs() < 1e-7,
                    "{activation:?} {place}: {slope} {}",
                    gradient[place]
                );
            }
        }
    }

    #[test]
    fn a_row_about_another_middle_gives_the_same_sums() {
        let shape = Shape { sizes: vec![2, 3, 1], activation: Activation::Relu };
        let weights: Vec<f64> = (0..13).map(|place| f64::from(place) / 4.0 - 1.0).collect();
        let (mut a, mut b) = (vec![0.0; 4], vec![0.0; 4]);
        shape.forward(&weights, &shape.bias_at(&weights, &[0.0, 0.0]), (&[0, 1], &[3.0, 2.0]), &mut a);
        shape.forward(&weights, &shape.bias_at(&weights, &[1.0, 2.0]), (&[0], &[2.0]), &mut b);
        assert_eq!(a, b);
        // By hand: (-1, -.75, -.5) × 3 + (-.25, 0, .25) × 2 + (.5, .75, 1) = (-3, -1.5, 0); all cut to 0; bias 2.
        assert_eq!(a, [0.0, 0.0, 0.0, 2.0]);
    }
}
