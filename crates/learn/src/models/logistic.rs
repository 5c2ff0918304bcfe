//! Logistic regression with an L2 penalty, binary and multinomial.
//!
//! Minimises scikit-learn's objective, ½ w·w + C Σ sᵢ lossᵢ with the intercept unpenalised, by Newton's method
//! ([`newton`]) where the Hessian is small and by preconditioned L-BFGS ([`lbfgs`]) elsewhere, in coordinates
//! shifted and scaled per column ([`design`]) so that huge or nearly constant columns do no harm.

mod cholesky;
mod design;
mod lbfgs;
mod loss;
mod newton;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Estimator, Kind, Model, ModelSpec, Train};
use crate::matrix::Matrix;
use crate::params::{ParamKind, ParamSpec};
use design::Design;
use loss::Objective;
pub(super) use loss::{sigmoid, softmax};

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "logistic",
    kind: Kind::Classifier,
    doc: "Logistic regression with an L2 penalty: log-odds are a weighted sum of the columns. Binary, or multinomial \
          (softmax) for more classes. Minimises 0.5 w.w + C sum(weight * loss), intercept unpenalised, as scikit-learn does.",
    takes_missing: false,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: true,
    params: &[
        ParamSpec {
            name: "C",
            kind: ParamKind::Float { min: 1e-12, max: 1e12 },
            default: "1",
            doc: "Inverse strength of the penalty; smaller = smaller weights.",
        },
        ParamSpec {
            name: "class_weight",
            kind: ParamKind::Choice(&["none", "balanced"]),
            default: "none",
            doc: "`balanced` gives every class the same total weight.",
        },
        ParamSpec {
            name: "tol",
            kind: ParamKind::Float { min: 1e-14, max: 0.1 },
            default: "1e-9",
            doc: "Stop when the objective is estimated to be within this share of its minimum.",
        },
        ParamSpec {
            name: "max_iter",
            kind: ParamKind::Int { min: 1, max: 100_000 },
            default: "500",
            doc: "Most steps of the solver.",
        },
    ],
    build: |params| {
        Ok(Box::new(Logistic {
            c: params.float("C"),
            balanced: params.text("class_weight") == "balanced",
            stop: Stop { gap: params.float("tol"), steps: params.int("max_iter") },
        }))
    },
    load: |bytes| {
        let model: LogisticModel = unpack("model `logistic`", bytes)?;
        model.check()?;
        Ok(Box::new(model))
    },
};

/// Hyperparameters.
struct Logistic {
    c: f64,
    balanced: bool,
    stop: Stop,
}

/// When a solver stops.
#[derive(Clone, Copy)]
struct Stop {
    /// Estimated distance to the minimum, as a share of the objective.
    gap: f64,
    /// Steps at most.
    steps: usize,
}

/// Where a solver stopped.
struct Solution {
    /// Outputs × coordinates of the design.
    theta: Vec<f64>,
    steps: usize,
    /// Estimated share by which the objective could still fall.
    gap: f64,
    solver: &'static str,
}

/// Above this many unknowns the Hessian is not formed.
const NEWTON_UNKNOWNS: usize = 1024;
/// Rows below which a first guess from fewer rows is not worth it.
const WARM_START_ROWS: usize = 16_384;

impl Estimator for Logistic {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled("logistic", false)?;
        let weights = data.row_weights(self.balanced);
        ctx.install(|| -> Result<Box<dyn Model>, LearnError> {
            let design = Design::new(&data.x.dense())?;
            let objective = Objective::new(&design, data.y, data.classes, &weights, self.c);
            let solution = self.minimise(&objective, ctx)?;
            Ok(Box::new(LogisticModel::new(&design, &objective, solution, self.stop)))
        })?
    }
}

impl Logistic {
    fn minimise(&self, objective: &Objective<'_>, ctx: &Ctx) -> Result<Solution, LearnError> {
        if objective.unknowns() > NEWTON_UNKNOWNS {
            return lbfgs::minimise(objective, objective.start(), self.stop, ctx);
        }
        let mut start = objective.start();
        if let Some(fewer) = (objective.rows() >= WARM_START_ROWS).then(|| objective.every(8)).flatten() {
            let rough = Stop { gap: self.stop.gap.max(1e-4), ..self.stop };
            start = newton::minimise(&fewer.objective(objective), start, rough, ctx)?.theta;
        }
        newton::minimise(objective, start, self.stop, ctx)
    }
}

/// A fitted logistic regression.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LogisticModel {
    /// Rows of weights: 1 for two classes, else one per class; each as long as `means`.
    weights: Vec<f64>,
    /// One per row of weights.
    intercepts: Vec<f64>,
    /// Mean of each column in training.
    means: Vec<f64>,
    /// Standard deviation of each column in training.
    deviations: Vec<f64>,
    notes: Vec<String>,
}

impl LogisticModel {
    fn new(design: &Design, objective: &Objective<'_>, solution: Solution, stop: Stop) -> Self {
        let outputs = objective.outputs();
        let (mut weights, mut intercepts) = (Vec::new(), Vec::new());
        for theta in solution.theta.chunks_exact(design.coordinates()) {
            let (row, intercept) = design.to_columns(theta);
            weights.extend(row);
            intercepts.push(intercept);
        }
        if outputs > 1 {
            let middle = intercepts.iter().sum::<f64>() / outputs as f64;
            intercepts.iter_mut().for_each(|intercept| *intercept -= middle);
        }
        let (solver, steps) = (solution.solver, solution.steps);
        let note = if solution.gap <= stop.gap {
            format!("converged after {steps} steps of {solver}")
        } else {
            format!(
                "not converged after {steps} steps of {solver}: the objective may be {:.1e} of itself above its minimum; raise max_iter or lower C",
                solution.gap
            )
        };
        let (means, deviations) = design.moments();
        Self { weights, intercepts, means, deviations, notes: vec![note] }
    }

    fn check(&self) -> Result<(), LearnError> {
        let columns = self.means.len();
        let outputs = self.intercepts.len();
        let lengths = outputs != 0
            && outputs != 2
            && self.deviations.len() == columns
            && self.weights.len() == columns.saturating_mul(outputs);
        let all = [&self.weights, &self.intercepts, &self.means, &self.deviations];
        if lengths && all.iter().all(|values| values.iter().all(|value| value.is_finite())) {
            return Ok(());
        }
        Err(LearnError::File(
            "model `logistic` has lists of the wrong length or values that are not finite".into(),
        ))
    }

    fn weights_of(&self, output: usize) -> &[f64] {
        &self.weights[output * self.means.len()..(output + 1) * self.means.len()]
    }

    /// The weighted sum, finite whatever the row.
    fn margin(&self, row: &[f64], output: usize) -> f64 {
        let weights = self.weights_of(output);
        let margin = self.intercepts[output] + design::dot(weights, row);
        if margin.is_finite() { margin } else { self.guarded_margin(row, output) }
    }

    /// Slow but finite: terms are cut to ±1e290 and a value that is not a number counts as its mean.
    fn guarded_margin(&self, row: &[f64], output: usize) -> f64 {
        let added: f64 = self.terms(row, output).sum();
        self.baseline(output) + added
    }

    fn terms(&self, row: &[f64], output: usize) -> impl Iterator<Item = f64> {
        let shifted = row.iter().zip(&self.means).map(|(x, mean)| if x.is_nan() { 0.0 } else { x - mean });
        shifted.zip(self.weights_of(output)).map(|(x, w)| if *w == 0.0 { 0.0 } else { bounded(w * x) })
    }

    fn baseline(&self, output: usize) -> f64 {
        let at_means = self.weights_of(output).iter().zip(&self.means).map(|(w, mean)| bounded(w * mean));
        bounded(self.intercepts[output]) + at_means.sum::<f64>()
    }
}

fn bounded(term: f64) -> f64 {
    term.clamp(-1e290, 1e290)
}

impl Model for LogisticModel {
    fn columns(&self) -> usize {
        self.means.len()
    }

    fn outputs(&self) -> usize {
        self.intercepts.len().max(2)
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        if let [benign, malicious] = out {
            let margin = self.margin(row, 0);
            (*benign, *malicious) = (sigmoid(-margin), sigmoid(margin));
            return;
        }
        for (output, margin) in out.iter_mut().enumerate() {
            *margin = self.margin(row, output);
        }
        softmax(out);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        const ROWS: usize = 4096;
        let outputs = self.outputs();
        let mut out = Matrix::zeros(x.rows(), outputs);
        let fill = |(block, scores): (usize, &mut [f64])| {
            for (row, out) in scores.chunks_exact_mut(outputs).enumerate() {
                self.score_row(x.row(block * ROWS + row), out);
            }
        };
        let values = out.values_mut();
        if ctx.threads < 2 || x.rows() <= ROWS {
            values.chunks_mut(ROWS * outputs).enumerate().for_each(fill);
        } else if ctx.install(|| values.par_chunks_mut(ROWS * outputs).enumerate().for_each(fill)).is_err() {
            out.values_mut().chunks_mut(ROWS * outputs).enumerate().for_each(fill);
        }
        out
    }

    /// In log-odds for two classes; for more, in the class's weighted sum, whose softmax over classes is the score.
    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        let (place, sign) =
            if self.outputs() == 2 { (0, if output == 1 { 1.0 } else { -1.0 }) } else { (output, 1.0) };
        let values = self.terms(row, place).map(|term| sign * term).collect();
        Some(Contributions { baseline: sign * self.baseline(place), values })
    }

    /// Mean over classes of |weight| × standard deviation.
    fn importances(&self) -> Option<Vec<f64>> {
        let mut sums = vec![0.0; self.means.len()];
        for output in 0..self.intercepts.len() {
            for ((sum, weight), deviation) in
                sums.iter_mut().zip(self.weights_of(output)).zip(&self.deviations)
            {
                *sum += bounded(weight.abs() * deviation);
            }
        }
        let total: f64 = sums.iter().sum();
        if total > 0.0 {
            sums.iter_mut().for_each(|sum| *sum /= total);
        }
        Some(sums)
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("model `logistic`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Overlapping classes, a sparse column, one of another magnitude and a constant one.
    fn rows(classes: u32) -> (Matrix, Vec<u32>) {
        let number = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let y: Vec<u32> = (0..600).map(|row| row % classes).collect();
        let row = |row: u32| {
            let class = f64::from(y[row as usize]);
            let near = number(row) + 0.3 * class;
            [
                near,
                f64::from(u32::from(row.is_multiple_of(11))),
                1e6 * (number(row + 10_000) - 0.2 * class),
                7.0,
            ]
        };
        (Matrix::from_values(600, 4, (0..600).flat_map(row).collect()), y)
    }

    /// The objective as scikit-learn states it, by the book.
    fn naive_objective(x: &Matrix, y: &[u32], weights: &[f64], intercepts: &[f64], c: f64) -> f64 {
        let mut loss = 0.0;
        for (row, class) in x.iter_rows().zip(y) {
            let margin =
                |k: usize| intercepts[k] + row.iter().zip(&weights[k * 4..]).map(|(x, w)| x * w).sum::<f64>();
            let mut margins: Vec<f64> = (0..intercepts.len()).map(margin).collect();
            if margins.len() == 1 {
                margins.insert(0, 0.0);
            }
            loss += margins.iter().map(|margin| margin.exp()).sum::<f64>().ln() - margins[*class as usize];
        }
        0.5 * weights.iter().map(|weight| weight * weight).sum::<f64>() + c * loss
    }

    fn fitted(classes: u32, c: f64, solver: impl Fn(&Objective<'_>) -> Solution) -> (LogisticModel, f64) {
        let (x, y) = rows(classes);
        let design = Design::new(&x).unwrap();
        let objective = Objective::new(&design, &y, classes as usize, &[1.0; 600], c);
        let stop = Stop { gap: 1e-12, steps: 500 };
        let model = LogisticModel::new(&design, &objective, solver(&objective), stop);
        let value = naive_objective(&x, &y, &model.weights, &model.intercepts, c);
        (model, value)
    }

    #[test]
    fn both_solvers_reach_the_same_minimum_and_nothing_near_is_lower() {
        let (ctx, stop) = (Ctx::new(0, 1), Stop { gap: 1e-12, steps: 500 });
        for (classes, c) in [(2, 1.0), (3, 1.0), (2, 1e-4), (3, 1e4)] {
            let (model, value) = fitted(classes, c, |objective| {
                newton::minimise(objective, objective.start(), stop, &ctx).unwrap()
            });
            let (_, other) = fitted(classes, c, |objective| {
                lbfgs::minimise(objective, objective.start(), stop, &ctx).unwrap()
            });
            assert!((value - other).abs() <= 1e-9 * value, "{classes} classes, C {c}: {value} and {other}");
            let (x, y) = rows(classes);
            for place in 0..model.weights.len() {
                for nudge in [-1e-3, 1e-3] {
                    let mut weights = model.weights.clone();
                    weights[place] += nudge / x.column(place % 4)[1].abs().max(1.0);
                    let near = naive_objective(&x, &y, &weights, &model.intercepts, c);
                    assert!(near >= value * (1.0 - 1e-12), "weight {place} of {classes} classes, C {c}");
                }
            }
            assert_eq!(model.weights[3], 0.0, "a constant column has no weight");
            assert!(model.notes[0].starts_with("converged"), "{:?}", model.notes);
        }
    }

    #[test]
    fn too_few_steps_are_said_so() {
        let stop = Stop { gap: 1e-12, steps: 1 };
        let (x, y) = rows(2);
        let design = Design::new(&x).unwrap();
        let objective = Objective::new(&design, &y, 2, &[1.0; 600], 1.0);
        let solution = newton::minimise(&objective, objective.start(), stop, &Ctx::new(0, 1)).unwrap();
        let model = LogisticModel::new(&design, &objective, solution, stop);
        assert!(model.notes[0].starts_with("not converged after 1 steps"), "{:?}", model.notes);
    }
}
