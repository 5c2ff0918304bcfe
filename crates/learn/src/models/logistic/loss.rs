//! The objective in the design's coordinates: mean weighted log loss plus the penalty, with gradient and Hessian.

use std::ops::Range;

use super::design::{Design, add_up, axpy};

/// Mean weighted loss + ½ Σ penalty θ²: scikit-learn's objective divided by C Σ weights.
pub(super) struct Objective<'a> {
    design: &'a Design,
    y: &'a [u32],
    /// Sum to 1.
    weights: Vec<f64>,
    /// Per coordinate.
    penalty: Vec<f64>,
    outputs: usize,
}

/// The same problem on fewer rows, for a first guess.
pub(super) struct Fewer {
    design: Design,
    y: Vec<u32>,
    weights: Vec<f64>,
}

impl Fewer {
    pub(super) fn objective<'a>(&'a self, whole: &Objective<'_>) -> Objective<'a> {
        Objective {
            design: &self.design,
            y: &self.y,
            weights: self.weights.clone(),
            penalty: whole.penalty.clone(),
            outputs: whole.outputs,
        }
    }
}

impl<'a> Objective<'a> {
    /// One output for two classes, else one per class.
    pub(super) fn new(design: &'a Design, y: &'a [u32], classes: usize, weights: &[f64], c: f64) -> Self {
        let total: f64 = weights.iter().sum();
        let penalty =
            design.penalty_factors().into_iter().map(|factor| (factor / (c * total)).min(1e60)).collect();
        let outputs = if classes == 2 { 1 } else { classes };
        Self { design, y, weights: weights.iter().map(|weight| weight / total).collect(), penalty, outputs }
    }

    /// Every `step`-th row; `None` when they lack a class or all weight.
    pub(super) fn every(&self, step: usize) -> Option<Fewer> {
        let y: Vec<u32> = self.y.iter().copied().step_by(step).collect();
        let weights: Vec<f64> = self.weights.iter().copied().step_by(step).collect();
        let present =
            |class: u32| y.iter().zip(&weights).any(|(other, weight)| *other == class && *weight > 0.0);
        let total: f64 = weights.iter().sum();
        let classes = self.outputs.max(2) as u32;
        let whole = (0..classes).all(present);
        let weights = weights.iter().map(|weight| weight / total).collect();
        whole.then(|| Fewer { design: self.design.every(step), y, weights })
    }

    pub(super) fn rows(&self) -> usize {
        self.design.rows()
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn design(&self) -> &Design {
        self.design
    }

    /// Numbers to find.
    pub(super) fn unknowns(&self) -> usize {
        self.outputs * self.design.coordinates()
    }

    /// All weights 0, intercepts at the (smoothed) share of each class.
    pub(super) fn start(&self) -> Vec<f64> {
        let mut shares = vec![1e-6; self.outputs.max(2)];
        self.y.iter().zip(&self.weights).for_each(|(class, weight)| shares[*class as usize] += weight);
        let mut theta = vec![0.0; self.unknowns()];
        let (width, intercept) = (self.design.coordinates(), self.design.intercept());
        if self.outputs == 1 {
            theta[intercept] = (shares[1] / shares[0]).ln();
        } else {
            let middle = shares.iter().map(|share| share.ln()).sum::<f64>() / self.outputs as f64;
            shares
                .iter()
                .enumerate()
                .for_each(|(k, share)| theta[k * width + intercept] = share.ln() - middle);
        }
        theta
    }

    pub(super) fn value(&self, theta: &[f64], margins: &[f64]) -> f64 {
        let lane =
            |rows: Range<usize>| rows.map(|row| self.weights[row] * self.row_loss(row, margins)).sum::<f64>();
        let loss: f64 = self.design.lanes(lane).iter().sum();
        let penalised =
            theta.chunks_exact(self.penalty.len()).flat_map(|theta| theta.iter().zip(&self.penalty));
        loss + 0.5 * penalised.map(|(theta, penalty)| penalty * theta * theta).sum::<f64>()
    }

    pub(super) fn gradient(&self, theta: &[f64], margins: &[f64]) -> Vec<f64> {
        let residuals = self.residuals(margins);
        let mut gradient = self.design.weighted_sum(&residuals, self.outputs);
        let width = self.penalty.len();
        for (gradient, theta) in gradient.chunks_exact_mut(width).zip(theta.chunks_exact(width)) {
            for ((gradient, theta), penalty) in gradient.iter_mut().zip(theta).zip(&self.penalty) {
                *gradient += penalty * theta;
            }
        }
        gradient
    }

    /// The lower triangle of the Hessian, unknowns × unknowns.
    pub(super) fn hessian(&self, margins: &[f64]) -> Vec<f64> {
        let (size, width) = (self.unknowns(), self.design.coordinates());
        let lane = |rows: Range<usize>| {
            let mut sums = vec![0.0; size * size];
            let scores = self.scores(rows.clone(), margins);
            for k in 0..self.outputs {
                for l in 0..=k {
                    let weights = self.curvatures(rows.clone(), &scores, k, l);
                    let block = &mut sums[k * width * size + l * width..];
                    self.design.add_gram(rows.clone(), &weights, block, size);
                }
            }
            sums
        };
        let mut hessian = add_up(self.design.lanes(lane));
        self.mirror_blocks(&mut hessian);
        for (place, penalty) in self.penalty.iter().cycle().take(size).enumerate() {
            hessian[place * size + place] += penalty;
        }
        if self.outputs > 1 {
            self.hold_intercepts(&mut hessian);
        }
        hessian
    }

    /// The lower triangle of one output's own block of the Hessian, coordinates × coordinates.
    pub(super) fn own_curvature(&self, margins: &[f64], output: usize) -> Vec<f64> {
        let width = self.design.coordinates();
        let mut block = add_up(self.design.lanes(|rows| {
            let mut sums = vec![0.0; width * width];
            let scores = self.scores(rows.clone(), margins);
            let weights = self.curvatures(rows.clone(), &scores, output, output);
            self.design.add_gram(rows, &weights, &mut sums, width);
            sums
        }));
        for (place, penalty) in self.penalty.iter().enumerate() {
            block[place * width + place] += penalty;
        }
        block
    }

    /// A diagonal in place of the Hessian at [`Objective::start`], where every column has mean square 1.
    pub(super) fn start_curvature(&self) -> Vec<f64> {
        let mut shares = vec![1e-6; self.outputs.max(2)];
        self.y.iter().zip(&self.weights).for_each(|(class, weight)| shares[*class as usize] += weight);
        let curvature =
            |share: f64| self.penalty.iter().map(move |penalty| share * (1.0 - share).max(1e-6) + penalty);
        shares.into_iter().rev().take(self.outputs).rev().flat_map(curvature).collect()
    }

    /// Blocks off the diagonal are symmetric themselves but only their lower triangles were summed.
    fn mirror_blocks(&self, hessian: &mut [f64]) {
        let (size, width) = (self.unknowns(), self.design.coordinates());
        for (k, l) in (0..self.outputs).flat_map(|k| (0..k).map(move |l| (k, l))) {
            for (i, j) in (0..width).flat_map(|i| (0..i).map(move |j| (i, j))) {
                hessian[(k * width + j) * size + l * width + i] =
                    hessian[(k * width + i) * size + l * width + j];
            }
        }
    }

    /// Adding the same to every intercept changes nothing, so that direction has no curvature; a trace of it makes steps unique.
    fn hold_intercepts(&self, hessian: &mut [f64]) {
        let (size, width) = (self.unknowns(), self.design.coordinates());
        for place in (0..self.outputs).map(|k| k * width + self.design.intercept()) {
            hessian[place * size + place] *= 1.0 + 1e-9;
        }
    }

    fn row_loss(&self, row: usize, margins: &[f64]) -> f64 {
        let class = self.y[row];
        if self.outputs == 1 {
            return log1p_exp(if class == 1 { -margins[row] } else { margins[row] });
        }
        let margins = &margins[row * self.outputs..(row + 1) * self.outputs];
        let largest = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = margins.iter().map(|margin| (margin - largest).exp()).sum();
        largest - margins[class as usize] + sum.ln()
    }

    /// Weight × (score - truth); rows × outputs.
    fn residuals(&self, margins: &[f64]) -> Vec<f64> {
        let lane = |rows: Range<usize>| {
            let mut scores = self.scores(rows.clone(), margins);
            for (row, scores) in rows.zip(scores.chunks_exact_mut(self.outputs)) {
                match self.outputs {
                    1 => scores[0] -= f64::from(self.y[row]),
                    _ => scores[self.y[row] as usize] -= 1.0,
                }
                scores.iter_mut().for_each(|score| *score *= self.weights[row]);
            }
            scores
        };
        self.design.lanes(lane).concat()
    }

    /// Probabilities of some rows; rows × outputs.
    fn scores(&self, rows: Range<usize>, margins: &[f64]) -> Vec<f64> {
        let mut scores = margins[rows.start * self.outputs..rows.end * self.outputs].to_vec();
        if self.outputs == 1 {
            scores.iter_mut().for_each(|score| *score = sigmoid(*score));
        } else {
            scores.chunks_exact_mut(self.outputs).for_each(softmax);
        }
        scores
    }

    /// Per row the second derivative of its weighted loss by the margins of outputs k and l.
    fn curvatures(&self, rows: Range<usize>, scores: &[f64], k: usize, l: usize) -> Vec<f64> {
        let curvature = |(row, scores): (usize, &[f64])| {
            let slope = if k == l { 1.0 - scores[l] } else { -scores[l] };
            self.weights[row] * scores[k] * slope
        };
        rows.zip(scores.chunks_exact(self.outputs)).map(curvature).collect()
    }
}

/// 1 / (1 + exp(-margin)), exact in both tails.
pub(in crate::models) fn sigmoid(margin: f64) -> f64 {
    let smaller = (-margin.abs()).exp();
    if margin >= 0.0 { 1.0 / (1.0 + smaller) } else { smaller / (1.0 + smaller) }
}

/// Margins to probabilities.
pub(in crate::models) fn softmax(margins: &mut [f64]) {
    let largest = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    margins.iter_mut().for_each(|margin| *margin = (*margin - largest).exp());
    let sum: f64 = margins.iter().sum();
    margins.iter_mut().for_each(|margin| *margin /= sum);
}

/// ln(1 + exp(x)) without overflow.
fn log1p_exp(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// θ + step × direction.
pub(super) fn moved(theta: &[f64], step: f64, direction: &[f64]) -> Vec<f64> {
    let mut moved = theta.to_vec();
    axpy(step, direction, &mut moved);
    moved
}
