//! Support vector machine with a kernel (C-SVC), two classes or more by one against one.
//!
//! Each pair of classes is solved by [`smo`]; kernels are in [`kernel`]. A Platt sigmoid, fitted on the decisions of
//! five machines about rows they have not seen, makes decisions probabilities; [`coupling`] joins those of the pairs.

mod cache;
mod coupling;
mod kernel;
mod smo;

use std::borrow::Cow;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::calibrate::Platt;
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Estimator, Kind, Model, ModelSpec, Train};
use crate::matrix::Matrix;
use crate::params::{ParamKind, ParamSpec, Params};
use crate::rng;
use cache::Cache;
use kernel::{Kernel, Vectors};

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "svm",
    kind: Kind::Classifier,
    doc: "Support vector machine with a kernel (C-SVC), as scikit-learn's SVC: one against one, solved by SMO with \
          second-order pairs (Fan, Chen and Lin 2005), probabilities by Platt scaling over 5 folds. Time grows with \
          the square of the rows.",
    takes_missing: false,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: true,
    params: &[
        ParamSpec {
            name: "C",
            kind: ParamKind::Float { min: 1e-9, max: 1e9 },
            default: "1",
            doc: "Inverse strength of the penalty.",
        },
        ParamSpec {
            name: "kernel",
            kind: ParamKind::Choice(&["linear", "rbf", "poly", "sigmoid"]),
            default: "rbf",
            doc: "a.b, exp(-gamma |a-b|^2), (gamma a.b + coef0)^degree or tanh(gamma a.b + coef0).",
        },
        ParamSpec {
            name: "gamma",
            kind: ParamKind::ChoiceOrFloat { words: &["scale", "auto"], min: 1e-12, max: 1e12 },
            default: "scale",
            doc: "Of the kernel; `scale` = 1 / (columns * variance of all values), `auto` = 1 / columns.",
        },
        ParamSpec {
            name: "degree",
            kind: ParamKind::Int { min: 0, max: 100 },
            default: "3",
            doc: "Of the polynomial kernel.",
        },
        ParamSpec {
            name: "coef0",
            kind: ParamKind::Float { min: -1e6, max: 1e6 },
            default: "0",
            doc: "Of the polynomial and sigmoid kernels.",
        },
        ParamSpec {
            name: "class_weight",
            kind: ParamKind::Choice(&["none", "balanced"]),
            default: "none",
            doc: "`balanced` gives every class the same total weight.",
        },
        ParamSpec {
            name: "tol",
            kind: ParamKind::Float { min: 1e-12, max: 1.0 },
            default: "1e-3",
            doc: "Stop when the optimum's conditions are violated by less.",
        },
        ParamSpec {
            name: "max_iter",
            kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
            default: "10000000",
            doc: "Most steps for each pair of classes.",
        },
        ParamSpec {
            name: "cache_mb",
            kind: ParamKind::Int { min: 1, max: 1_000_000 },
            default: "200",
            doc: "Most memory for kernel values, in MiB; never more than half of what the program may use.",
        },
    ],
    build: |params| Ok(Box::new(Svm { params: params.clone() })),
    load: |bytes| {
        let model: SvmModel = unpack("model `svm`", bytes)?;
        model.check()?;
        Ok(Box::new(model))
    },
};

/// Parts the rows are dealt into for the decisions the sigmoid is fitted on.
const FOLDS: usize = 5;
/// Training values above this are scaled down by a power of two.
const LARGEST: f64 = 1e60;
/// Values to score are cut to this after scaling, so that no sum overflows.
const CUT: f64 = 1e70;
/// Rows from which a note says what their number costs.
const MANY_ROWS: usize = 50_000;

/// Hyperparameters.
struct Svm {
    params: Params,
}

impl Estimator for Svm {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled("svm", false)?;
        ctx.install(|| self.fit_pairs(data, ctx))?
    }
}

impl Svm {
    fn fit_pairs(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        let x = data.x.dense();
        let weights = data.row_weights(self.params.text("class_weight") == "balanced");
        let largest = x.values().iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let scale = if largest > LARGEST { (-largest.log2().ceil()).exp2() } else { 1.0 };
        let all = Vectors::new(&x, scale);
        let mut model = SvmModel {
            kernel: self.kernel(&x, scale),
            scale,
            means: means(&x, scale),
            classes: data.classes,
            vectors: all.take(&[]),
            coefs: Vec::new(),
            pairs: Vec::new(),
            notes: Vec::new(),
        };
        if x.rows() > MANY_ROWS {
            model.notes.push(format!("{} rows: time grows with their square; consider fewer", x.rows()));
        }
        let mut coefs_of: Vec<Vec<(u32, f64)>> = vec![Vec::new(); x.rows()];
        for (i, j) in pairs(data.classes) {
            let is_of = |row: &usize| {
                weights[*row] > 0.0 && (data.y[*row] as usize == i || data.y[*row] as usize == j)
            };
            let rows: Vec<usize> = (0..x.rows()).filter(is_of).collect();
            let part = Part {
                vectors: all.take(&rows),
                signs: rows.iter().map(|&row| if data.y[row] as usize == i { 1.0 } else { -1.0 }).collect(),
                weights: rows.iter().map(|&row| weights[row]).collect(),
            };
            let place = model.pairs.len();
            let (solution, platt) = self.fit_pair(&part, model.kernel, place as u64, ctx)?;
            if !solution.converged {
                model
                    .notes
                    .push(format!("classes {i} and {j}: not converged after {} steps", solution.steps));
            }
            for (&row, coef) in rows.iter().zip(&solution.coefs).filter(|(_, coef)| **coef != 0.0) {
                coefs_of[row].push((place as u32, *coef));
            }
            model.pairs.push(Pair { rho: solution.rho, platt });
        }
        let kept: Vec<usize> = (0..x.rows()).filter(|&row| !coefs_of[row].is_empty()).collect();
        model.vectors = all.take(&kept);
        model.coefs = kept.iter().map(|&row| std::mem::take(&mut coefs_of[row])).collect();
        model.notes.push(format!("{} support vectors of {} rows", kept.len(), x.rows()));
        Ok(Box::new(model))
    }

    /// The kernel for rows that were multiplied with `scale`.
    fn kernel(&self, x: &Matrix, scale: f64) -> Kernel {
        let columns = x.columns() as f64;
        let gamma = match (self.params.float_or_word("gamma"), self.params.text("gamma")) {
            (Some(gamma), _) => gamma / scale / scale,
            (None, "auto") => 1.0 / columns / scale / scale,
            (None, _) => {
                let count = x.values().len() as f64;
                let mean = x.values().iter().map(|value| value * scale / count).sum::<f64>();
                let variance =
                    x.values().iter().map(|value| (value * scale - mean).powi(2) / count).sum::<f64>();
                if variance > 0.0 { 1.0 / (columns * variance) } else { 1.0 }
            }
        };
        let gamma = gamma.min(1e100);
        let (degree, coef0) = (self.params.int("degree") as i32, self.params.float("coef0"));
        match self.params.text("kernel") {
            "linear" => Kernel::Linear,
            "poly" => Kernel::Poly { gamma, degree, coef0 },
            "sigmoid" => Kernel::Sigmoid { gamma, coef0 },
            _ => Kernel::Rbf { gamma },
        }
    }

    /// The machine of all rows first, as those of the folds start from its multipliers and use its kernel values.
    fn fit_pair(
        &self,
        part: &Part,
        kernel: Kernel,
        pair: u64,
        ctx: &Ctx,
    ) -> Result<(smo::Solution, Platt), LearnError> {
        let bytes = (self.params.int("cache_mb") << 20).min((ctx.mem_bytes / 2) as usize);
        let mut cache = Cache::new(&part.vectors, kernel, bytes);
        let whole = self.solve(part, &part.weights, None, &mut cache, ctx)?;
        let mut decisions = vec![0.0; part.signs.len()];
        let folds = part.folds(ctx.seed, pair);
        for fold in 0..FOLDS {
            let learnt = |(weight, of): (&f64, &usize)| if *of == fold { 0.0 } else { *weight };
            let weights: Vec<f64> = part.weights.iter().zip(&folds).map(learnt).collect();
            let found = self.solve(part, &weights, Some(&whole), &mut cache, ctx)?;
            let held = (0..folds.len()).filter(|&row| folds[row] == fold);
            held.for_each(|row| decisions[row] = found.decisions[row]);
        }
        let positive: Vec<bool> = part.signs.iter().map(|sign| *sign > 0.0).collect();
        Ok((whole, Platt::fit(&decisions, &positive, &part.weights)))
    }

    /// Rows of weight 0 are decided about only. When the others are all of one class, as in a fold they may be, everything is
    /// decided for that class.
    fn solve(
        &self,
        part: &Part,
        weights: &[f64],
        guess: Option<&smo::Solution>,
        cache: &mut Cache<'_>,
        ctx: &Ctx,
    ) -> Result<smo::Solution, LearnError> {
        ctx.check()?;
        let rows = weights.len();
        let side =
            |wanted: f64| part.signs.iter().zip(weights).any(|(s, weight)| *s == wanted && *weight > 0.0);
        if !(side(1.0) && side(-1.0)) {
            let decision = f64::from(u8::from(side(1.0))) - f64::from(u8::from(side(-1.0)));
            let (coefs, decisions) = (vec![0.0; rows], vec![decision; rows]);
            return Ok(smo::Solution {
                coefs,
                rho: -decision,
                steps: 0,
                converged: true,
                decisions,
                objective: 0.0,
            });
        }
        let c = self.params.float("C");
        let bounds: Vec<f64> = weights.iter().map(|weight| c * weight).collect();
        let problem = smo::Problem {
            signs: &part.signs,
            bounds: &bounds,
            tol: self.params.float("tol"),
            steps: self.params.int("max_iter"),
        };
        let from = guess.map_or_else(|| vec![0.0; rows], |guess| seeds(guess, &part.signs, &bounds));
        smo::solve(&problem, from, cache, ctx)
    }
}

/// Multipliers to start from: those of another solution where the bounds let them be, those of the side that then has more
/// made smaller so that both have the same (DeCoste and Wagstaff 2000).
fn seeds(guess: &smo::Solution, signs: &[f64], bounds: &[f64]) -> Vec<f64> {
    let mut alpha: Vec<f64> =
        guess.coefs.iter().zip(bounds).map(|(coef, bound)| coef.abs().min(*bound)).collect();
    let total = |wanted: f64| -> f64 {
        alpha.iter().zip(signs).filter(|(_, sign)| **sign == wanted).map(|(alpha, _)| alpha).sum()
    };
    let (positive, negative) = (total(1.0), total(-1.0));
    let least = positive.min(negative);
    for (alpha, sign) in alpha.iter_mut().zip(signs) {
        let total = if *sign > 0.0 { positive } else { negative };
        *alpha = if total > 0.0 { *alpha * (least / total) } else { 0.0 };
    }
    alpha
}

/// The rows of two classes.
struct Part {
    vectors: Vectors,
    signs: Vec<f64>,
    weights: Vec<f64>,
}

impl Part {
    /// The fold of each row; each class is dealt out evenly in a drawn order.
    fn folds(&self, seed: u64, pair: u64) -> Vec<usize> {
        let mut draw = rng::stream(seed, "svm folds", pair);
        let mut folds = vec![0; self.signs.len()];
        for class in [1.0, -1.0] {
            let mut rows: Vec<usize> = (0..folds.len()).filter(|&row| self.signs[row] == class).collect();
            for last in (1..rows.len()).rev() {
                rows.swap(last, draw.random_range(0..=last));
            }
            rows.iter().enumerate().for_each(|(place, &row)| folds[row] = place % FOLDS);
        }
        folds
    }
}

/// Pairs of classes in order; the first of two classes alone is 1, so that a higher decision means malicious.
fn pairs(classes: usize) -> Vec<(usize, usize)> {
    if classes == 2 {
        return vec![(1, 0)];
    }
    (0..classes).flat_map(|i| (i + 1..classes).map(move |j| (i, j))).collect()
}

fn means(x: &Matrix, scale: f64) -> Vec<f64> {
    let mut means = vec![0.0; x.columns()];
    let rows = x.rows() as f64;
    for row in x.iter_rows() {
        means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value * scale / rows);
    }
    means
}

fn norm(row: &[f64]) -> f64 {
    row.iter().map(|value| value * value).sum()
}

/// What belongs to one pair of classes.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pair {
    rho: f64,
    platt: Platt,
}

/// A fitted machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SvmModel {
    kernel: Kernel,
    /// What rows are multiplied with first; 1 but for huge training values.
    scale: f64,
    /// Mean of each column in training, scaled.
    means: Vec<f64>,
    classes: usize,
    vectors: Vectors,
    /// Per support vector the pairs it speaks in and its coefficient there.
    coefs: Vec<Vec<(u32, f64)>>,
    pairs: Vec<Pair>,
    notes: Vec<String>,
}

impl SvmModel {
    fn check(&self) -> Result<(), LearnError> {
        let pairs = self.pairs.len();
        let expected = match self.classes {
            0 | 1 => None,
            2 => Some(1),
            more => more.checked_mul(more - 1).map(|twice| twice / 2),
        };
        let sound = expected == Some(pairs)
            && self.kernel.is_sound()
            && self.scale > 0.0
            && self.scale <= 1.0
            && self.vectors.is_sound()
            && self.means.len() == self.vectors.columns
            && self.means.iter().all(|mean| mean.abs() <= CUT)
            && self.coefs.len() == self.vectors.rows()
            && self.pairs.iter().all(|pair| pair.rho.abs() <= 1e200 && pair.platt.is_sound())
            && self
                .coefs
                .iter()
                .flatten()
                .all(|(pair, coef)| (*pair as usize) < pairs && coef.abs() <= 1e100);
        let refusal = "model `svm` has lists of the wrong length or values out of range";
        if sound { Ok(()) } else { Err(LearnError::File(refusal.into())) }
    }

    /// The row as the kernel takes it: scaled, and cut where sums could overflow.
    fn prepared<'a>(&self, row: &'a [f64]) -> Cow<'a, [f64]> {
        if self.scale >= 1.0 && row.iter().all(|value| value.abs() <= CUT) {
            return Cow::Borrowed(row);
        }
        let cut = |value: &f64| if value.is_nan() { 0.0 } else { (value * self.scale).clamp(-CUT, CUT) };
        Cow::Owned(row.iter().map(cut).collect())
    }

    /// The decision of each pair, into zeros.
    fn decide(&self, row: &[f64], decisions: &mut [f64]) {
        let row = self.prepared(row);
        let norm = norm(&row);
        for (vector, coefs) in self.coefs.iter().enumerate() {
            let value = self.vectors.kernel(self.kernel, vector, &row, norm);
            for &(pair, coef) in coefs {
                decisions[pair as usize] += coef * value;
            }
        }
        decisions.iter_mut().zip(&self.pairs).for_each(|(decision, pair)| *decision -= pair.rho);
    }
}

impl Model for SvmModel {
    fn columns(&self) -> usize {
        self.vectors.columns
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        if let [benign, malicious] = out {
            let mut decision = [0.0];
            self.decide(row, &mut decision);
            let Platt { a, b } = self.pairs[0].platt;
            *malicious = self.pairs[0].platt.probability(decision[0]);
            *benign = Platt { a: -a, b: -b }.probability(decision[0]);
            return;
        }
        let mut decisions = vec![0.0; self.pairs.len()];
        self.decide(row, &mut decisions);
        let likely =
            |pair: usize| self.pairs[pair].platt.probability(decisions[pair]).clamp(1e-7, 1.0 - 1e-7);
        let place = |i: usize, j: usize| i * (2 * self.classes - i - 1) / 2 + j - i - 1;
        coupling::couple(|i, j| if i < j { likely(place(i, j)) } else { 1.0 - likely(place(j, i)) }, out);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        let outputs = self.outputs();
        let mut out = Matrix::zeros(x.rows(), outputs);
        let fill = |(row, out): (usize, &mut [f64])| self.score_row(x.row(row), out);
        let values = out.values_mut();
        if ctx.threads < 2
            || ctx.install(|| values.par_chunks_mut(outputs).enumerate().for_each(fill)).is_err()
        {
            out.values_mut().chunks_mut(outputs).enumerate().for_each(fill);
        }
        out
    }

    /// In log-odds, for two classes and the linear kernel alone: no other splits into columns.
    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        if self.kernel != Kernel::Linear || self.classes != 2 {
            return None;
        }
        let mut weights = vec![0.0; self.columns()];
        for (vector, coefs) in self.coefs.iter().enumerate() {
            let coef: f64 = coefs.iter().map(|(_, coef)| coef).sum();
            self.vectors.entries(vector).for_each(|(place, value)| weights[place as usize] += coef * value);
        }
        let Pair { rho, platt } = &self.pairs[0];
        let slope = if output == 1 { -platt.a } else { platt.a };
        let bounded = |value: f64| value.clamp(-1e290, 1e290);
        let at_means: f64 = weights.iter().zip(&self.means).map(|(w, mean)| w * mean).sum();
        let offset = if output == 1 { -platt.b } else { platt.b };
        let row = self.prepared(row);
        let shifted = row.iter().zip(&self.means).map(|(x, mean)| x - mean);
        let values = shifted.zip(&weights).map(|(x, w)| bounded(slope * w * x)).collect();
        Some(Contributions { baseline: bounded(slope * (at_means - rho) + offset), values })
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("model `svm`", self)
    }
}
