//! The objective in the design's coordinates: mean weighted loss plus the penalty, with gradient and Hessian.

use std::ops::Range;

use super::design::{Design, add_up, axpy};

/// What a margin costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// ln(1 + exp(-margin)), or the cross entropy of softmax for more than one output.
    Logistic,
    /// max(0, 1 - margin)²; one output.
    SquaredHinge,
}

/// The penalty in the terms of the original columns: Σ l1 |w| + ½ l2 w², beside `c` times the sum of losses.
#[derive(Clone, Copy)]
pub(crate) struct Penalty {
    pub(crate) c: f64,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
    /// When the intercept is penalised as the weight of a column of this value.
    pub(crate) intercept_scaling: Option<f64>,
}

/// Mean weighted loss + Σ lasso |θ| + ½ Σ ridge θ²: scikit-learn's objective divided by C Σ weights. All but the lasso part
/// is smooth and what [`Objective::value`], gradient and Hessian speak of.
pub(crate) struct Objective<'a> {
    design: &'a Design,
    y: &'a [u32],
    loss: Loss,
    /// Sum to 1.
    weights: Vec<f64>,
    /// Per coordinate.
    ridge: Vec<f64>,
    lasso: Vec<f64>,
    outputs: usize,
    /// What the value is to be multiplied with to be scikit-learn's.
    unit: f64,
}

/// How the losses of some rows bend at a point, to multiply with.
pub(super) struct Bend {
    rows: Vec<usize>,
    /// Of one output the curvature of each row's weighted loss, of more the rows' scores.
    scores: Vec<f64>,
}

/// The same problem on fewer rows or coordinates.
pub(crate) struct Fewer {
    design: Design,
    y: Vec<u32>,
    weights: Vec<f64>,
    kept: Option<Vec<usize>>,
}

impl Fewer {
    pub(super) fn objective<'a>(&'a self, whole: &Objective<'_>) -> Objective<'a> {
        let of_kept = |parts: &[f64]| match &self.kept {
            Some(kept) => kept.iter().map(|&place| parts[place]).collect(),
            None => parts.to_vec(),
        };
        Objective {
            design: &self.design,
            y: &self.y,
            weights: self.weights.clone(),
            ridge: of_kept(&whole.ridge),
            lasso: of_kept(&whole.lasso),
            ..*whole
        }
    }
}

impl<'a> Objective<'a> {
    /// One output for two classes, else one per class. Penalties are cut at 1e60 to stay finite for absurd columns.
    pub(crate) fn new(
        design: &'a Design,
        y: &'a [u32],
        classes: usize,
        weights: &[f64],
        loss: Loss,
        penalty: Penalty,
    ) -> Self {
        let total: f64 = weights.iter().sum();
        let unit = penalty.c * total;
        let mut scales = design.scales();
        scales[design.intercept()] = penalty.intercept_scaling.unwrap_or(f64::INFINITY);
        let part = |strength: f64, factor: f64| {
            if strength > 0.0 { (strength * factor / unit).min(1e60) } else { 0.0 }
        };
        Self {
            design,
            y,
            loss,
            weights: weights.iter().map(|weight| weight / total).collect(),
            ridge: scales.iter().map(|scale| part(penalty.l2, 1.0 / scale / scale)).collect(),
            lasso: scales.iter().map(|scale| part(penalty.l1, 1.0 / scale)).collect(),
            outputs: if classes == 2 { 1 } else { classes },
            unit,
        }
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
        whole.then(|| Fewer { design: self.design.every(step), y, weights, kept: None })
    }

    /// All rows with some coordinates, the intercept among them; the others are held at 0.
    pub(super) fn restricted(&self, kept: &[usize]) -> Fewer {
        let (y, weights) = (self.y.to_vec(), self.weights.clone());
        Fewer { design: self.design.restricted(kept), y, weights, kept: Some(kept.to_vec()) }
    }

    pub(super) fn rows(&self) -> usize {
        self.design.rows()
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn design(&self) -> &Design {
        self.design
    }

    /// The L1 penalty of each coordinate.
    pub(super) fn lasso(&self) -> &[f64] {
        &self.lasso
    }

    /// Whether some coordinate has an L1 penalty.
    pub(super) fn has_corners(&self) -> bool {
        self.lasso.iter().any(|lasso| *lasso > 0.0)
    }

    /// Σ lasso |θ|.
    pub(super) fn corners(&self, theta: &[f64]) -> f64 {
        let rows = theta.chunks_exact(self.lasso.len());
        rows.flat_map(|theta| theta.iter().zip(&self.lasso)).map(|(theta, lasso)| lasso * theta.abs()).sum()
    }

    /// The objective as scikit-learn states it.
    pub(crate) fn stated(&self, theta: &[f64]) -> f64 {
        self.unit * self.total(theta, &self.design.margins(theta))
    }

    /// All of it: the loss, the smooth penalty and the corners.
    pub(super) fn total(&self, theta: &[f64], margins: &[f64]) -> f64 {
        self.value(theta, margins) + self.corners(theta)
    }

    /// Numbers to find.
    pub(super) fn unknowns(&self) -> usize {
        self.outputs * self.design.coordinates()
    }

    /// All weights 0, intercepts at the (smoothed) share of each class.
    pub(crate) fn start(&self) -> Vec<f64> {
        let mut shares = vec![1e-6; self.outputs.max(2)];
        self.y.iter().zip(&self.weights).for_each(|(class, weight)| shares[*class as usize] += weight);
        let mut theta = vec![0.0; self.unknowns()];
        if self.loss == Loss::SquaredHinge {
            return theta;
        }
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
        let penalised = theta.chunks_exact(self.ridge.len()).flat_map(|theta| theta.iter().zip(&self.ridge));
        loss + 0.5 * penalised.map(|(theta, ridge)| ridge * theta * theta).sum::<f64>()
    }

    pub(super) fn gradient(&self, theta: &[f64], margins: &[f64]) -> Vec<f64> {
        let residuals = self.residuals(margins);
        let mut gradient = self.design.weighted_sum(&residuals, self.outputs);
        let width = self.ridge.len();
        for (gradient, theta) in gradient.chunks_exact_mut(width).zip(theta.chunks_exact(width)) {
            for ((gradient, theta), ridge) in gradient.iter_mut().zip(theta).zip(&self.ridge) {
                *gradient += ridge * theta;
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
                    self.design.add_gram(rows.clone().zip(weights), block, size);
                }
            }
            sums
        };
        let mut hessian = add_up(self.design.few_lanes(size * size, lane));
        self.mirror_blocks(&mut hessian);
        for (place, ridge) in self.ridge.iter().cycle().take(size).enumerate() {
            hessian[place * size + place] += ridge;
        }
        if self.outputs > 1 {
            self.hold_intercepts(&mut hessian);
        }
        hessian
    }

    /// The lower triangle of one output's own block of the Hessian, coordinates × coordinates.
    pub(super) fn own_curvature(&self, margins: &[f64], output: usize) -> Vec<f64> {
        let width = self.design.coordinates();
        let mut block = add_up(self.design.few_lanes(width * width, |rows| {
            let mut sums = vec![0.0; width * width];
            let scores = self.scores(rows.clone(), margins);
            let weights = self.curvatures(rows.clone(), &scores, output, output);
            self.design.add_gram(rows.zip(weights), &mut sums, width);
            sums
        }));
        for (place, ridge) in self.ridge.iter().enumerate() {
            block[place * width + place] += ridge;
        }
        block
    }

    /// The rows whose loss is curved, but for those whose curvature is less than `trifle` of the mean.
    pub(super) fn bend(&self, margins: &[f64], trifle: f64) -> Bend {
        let outputs = self.outputs;
        let lane = |rows: Range<usize>| {
            let scores = self.scores(rows.clone(), margins);
            let curvature = |k: usize| self.curvatures(rows.clone(), &scores, k, k);
            let mut traces = curvature(0);
            (1..outputs).for_each(|k| axpy(1.0, &curvature(k), &mut traces));
            (scores, traces)
        };
        let (scores, traces): (Vec<_>, Vec<_>) = self.design.lanes(lane).into_iter().unzip();
        let (scores, traces) = (scores.concat(), traces.concat());
        let least = trifle * traces.iter().sum::<f64>() / traces.len() as f64;
        let rows: Vec<usize> =
            (0..traces.len()).filter(|&row| traces[row] > 0.0 && traces[row] >= least).collect();
        let scores = match outputs {
            1 => rows.iter().map(|&row| traces[row]).collect(),
            _ => rows.iter().flat_map(|&row| &scores[row * outputs..(row + 1) * outputs]).copied().collect(),
        };
        Bend { rows, scores }
    }

    /// The Hessian times a vector.
    pub(super) fn hessian_times(&self, bend: &Bend, vector: &[f64]) -> Vec<f64> {
        let outputs = self.outputs;
        let mut product = self.design.through_rows(&bend.rows, vector, outputs, |place, parts| {
            let scores = &bend.scores[place * outputs..(place + 1) * outputs];
            if let ([part], [curvature]) = (&mut *parts, scores) {
                *part *= curvature;
                return;
            }
            let weight = self.weights[bend.rows[place]];
            let middle: f64 = scores.iter().zip(&*parts).map(|(score, part)| score * part).sum();
            parts.iter_mut().zip(scores).for_each(|(part, score)| *part = weight * score * (*part - middle));
        });
        let ridge = self.ridge.iter().cycle();
        product.iter_mut().zip(vector).zip(ridge).for_each(|((sum, part), ridge)| *sum += ridge * part);
        product
    }

    /// The diagonal of the Hessian.
    pub(super) fn diagonal(&self, bend: &Bend) -> Vec<f64> {
        let outputs = self.outputs;
        let curvature = |place: usize, output: usize| {
            let score = bend.scores[place * outputs + output];
            if outputs == 1 { score } else { self.weights[bend.rows[place]] * score * (1.0 - score) }
        };
        let of_output = |output: usize| {
            let squares = self.design.squares_of_rows(&bend.rows, |place| curvature(place, output));
            squares.into_iter().zip(&self.ridge).map(|(square, ridge)| square + ridge).collect::<Vec<f64>>()
        };
        (0..outputs).flat_map(of_output).collect()
    }

    /// A diagonal in place of the Hessian at [`Objective::start`], where every column has mean square 1.
    pub(super) fn start_curvature(&self) -> Vec<f64> {
        let mut shares = vec![1e-6; self.outputs.max(2)];
        self.y.iter().zip(&self.weights).for_each(|(class, weight)| shares[*class as usize] += weight);
        let of_loss = |share: f64| match self.loss {
            Loss::Logistic => share * (1.0 - share).max(1e-6),
            Loss::SquaredHinge => 2.0,
        };
        let curvature = |share: f64| self.ridge.iter().map(move |ridge| of_loss(share) + ridge);
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
            let margin = if class == 1 { margins[row] } else { -margins[row] };
            return match self.loss {
                Loss::Logistic => log1p_exp(-margin),
                Loss::SquaredHinge => (1.0 - margin).max(0.0).powi(2),
            };
        }
        let margins = &margins[row * self.outputs..(row + 1) * self.outputs];
        let largest = margins.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = margins.iter().map(|margin| (margin - largest).exp()).sum();
        largest - margins[class as usize] + sum.ln()
    }

    /// The slope of each row's weighted loss by its margins: for the logistic weight × (score - truth); rows × outputs.
    fn residuals(&self, margins: &[f64]) -> Vec<f64> {
        let lane = |rows: Range<usize>| {
            let mut scores = self.scores(rows.clone(), margins);
            for (row, scores) in rows.zip(scores.chunks_exact_mut(self.outputs)) {
                match (self.loss, self.outputs) {
                    (Loss::SquaredHinge, _) => {
                        let sign = self.sign(row);
                        scores[0] = -2.0 * sign * (1.0 - sign * scores[0]).max(0.0);
                    }
                    (Loss::Logistic, 1) => scores[0] -= f64::from(self.y[row]),
                    (Loss::Logistic, _) => scores[self.y[row] as usize] -= 1.0,
                }
                scores.iter_mut().for_each(|score| *score *= self.weights[row]);
            }
            scores
        };
        self.design.lanes(lane).concat()
    }

    /// 1 for class 1, -1 for class 0.
    fn sign(&self, row: usize) -> f64 {
        if self.y[row] == 1 { 1.0 } else { -1.0 }
    }

    /// Probabilities of some rows, or their margins where the loss knows none; rows × outputs.
    fn scores(&self, rows: Range<usize>, margins: &[f64]) -> Vec<f64> {
        let mut scores = margins[rows.start * self.outputs..rows.end * self.outputs].to_vec();
        if self.loss == Loss::SquaredHinge {
            return scores;
        }
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
            if self.loss == Loss::SquaredHinge {
                return if self.sign(row) * scores[0] < 1.0 { 2.0 * self.weights[row] } else { 0.0 };
            }
            let slope = if k == l { 1.0 - scores[l] } else { -scores[l] };
            self.weights[row] * scores[k] * slope
        };
        rows.zip(scores.chunks_exact(self.outputs)).map(curvature).collect()
    }
}

/// 1 / (1 + exp(-margin)), exact in both tails.
pub(crate) fn sigmoid(margin: f64) -> f64 {
    let smaller = (-margin.abs()).exp();
    if margin >= 0.0 { 1.0 / (1.0 + smaller) } else { smaller / (1.0 + smaller) }
}

/// Margins to probabilities.
pub(crate) fn softmax(margins: &mut [f64]) {
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
