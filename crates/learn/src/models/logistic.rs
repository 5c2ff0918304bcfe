//! Logistic regression with an L2, L1 or elastic-net penalty or none, binary and multinomial.
//!
//! Minimises scikit-learn's objective, C Σ sᵢ lossᵢ + Σ (l1_ratio |w| + ½ (1 - l1_ratio) w²) with the intercept
//! unpenalised, by the solvers of [`crate::linear`], in coordinates shifted and scaled per column so that huge or nearly
//! constant columns do no harm.

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Estimator, Kind, Model, ModelSpec, Train};
use crate::linear::design::{Design, Shift};
use crate::linear::objective::{Loss, Objective, Penalty, sigmoid, softmax};
use crate::linear::sums::Sums;
use crate::linear::{NEWTON_UNKNOWNS, Solution, Stop, minimise};
use crate::matrix::{Matrix, SparseMatrix};
use crate::params::{ParamKind, ParamSpec, Params};

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "logistic",
    kind: Kind::Classifier,
    doc: "Logistic regression: log-odds are a weighted sum of the columns. Binary, or multinomial (softmax) for more \
          classes. Minimises penalty(w) + C sum(weight * loss), intercept unpenalised, as scikit-learn does; an L1 \
          penalty leaves columns out.",
    takes_missing: false,
    takes_sparse: true,
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
            name: "penalty",
            kind: ParamKind::Choice(&["l2", "l1", "elastic-net", "none"]),
            default: "l2",
            doc: "`l2` = 0.5 w.w, `l1` = sum |w|, `elastic-net` = both by `l1_ratio`.",
        },
        ParamSpec {
            name: "l1_ratio",
            kind: ParamKind::Float { min: 0.0, max: 1.0 },
            default: "0.5",
            doc: "Share of L1 in an elastic-net penalty.",
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
            penalty: penalty(params),
            balanced: params.text("class_weight") == "balanced",
            stop: Stop { gap: params.float("tol"), steps: params.int("max_iter") },
        }))
    },
    load: |bytes| {
        let model: LogisticModel = unpack("model `logistic`", bytes)?;
        model.sums.check(SPEC.name)?;
        Ok(Box::new(model))
    },
};

/// Hyperparameters.
struct Logistic {
    penalty: Penalty,
    balanced: bool,
    stop: Stop,
}

fn penalty(params: &Params) -> Penalty {
    let (l1, l2) = match params.text("penalty") {
        "l1" => (1.0, 0.0),
        "elastic-net" => (params.float("l1_ratio"), 1.0 - params.float("l1_ratio")),
        "none" => (0.0, 0.0),
        _ => (0.0, 1.0),
    };
    Penalty { c: params.float("C"), l1, l2, intercept_scaling: None }
}

impl Estimator for Logistic {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled("logistic", false)?;
        let weights = data.row_weights(self.balanced);
        ctx.install(|| -> Result<Box<dyn Model>, LearnError> {
            let design = Design::new(data.x, self.shift(data.x.columns()));
            let objective =
                Objective::new(&design, data.y, data.classes, &weights, Loss::Logistic, self.penalty);
            let solution = minimise(&objective, None, self.stop, ctx)?;
            Ok(Box::new(LogisticModel::new(&design, &objective, &solution, self.stop)))
        })?
    }
}

impl Logistic {
    /// Conjugate gradients, which many columns are left to, do best with columns where they are; coordinate descent does not.
    fn shift(&self, columns: usize) -> Shift {
        if self.penalty.l1 == 0.0 && columns > NEWTON_UNKNOWNS { Shift::Far } else { Shift::All }
    }
}

/// A fitted logistic regression.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LogisticModel {
    #[serde(flatten)]
    sums: Sums,
    notes: Vec<String>,
}

impl LogisticModel {
    fn new(design: &Design, objective: &Objective<'_>, solution: &Solution, stop: Stop) -> Self {
        let mut sums = Sums::new(design, &solution.theta);
        if objective.outputs() > 1 {
            sums.centre_intercepts();
        }
        let advice = "raise max_iter or lower C";
        Self { sums, notes: vec![solution.note(objective.stated(&solution.theta), stop, advice)] }
    }
}

impl Model for LogisticModel {
    fn columns(&self) -> usize {
        self.sums.columns()
    }

    fn outputs(&self) -> usize {
        self.sums.classes()
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        self.sums.margins(row, out);
        to_probabilities(out);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        self.sums.score(x, ctx, to_probabilities)
    }

    fn score_sparse(&self, x: &SparseMatrix, ctx: &Ctx) -> Matrix {
        self.sums.score_sparse(x, ctx, to_probabilities)
    }

    /// In log-odds for two classes; for more, in the class's weighted sum, whose softmax over classes is the score.
    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        let (place, sign) =
            if self.outputs() == 2 { (0, if output == 1 { 1.0 } else { -1.0 }) } else { (output, 1.0) };
        let values = self.sums.terms(row, place).map(|term| sign * term).collect();
        Some(Contributions { baseline: sign * self.sums.baseline(place), values })
    }

    fn importances(&self) -> Option<Vec<f64>> {
        Some(self.sums.importances())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("model `logistic`", self)
    }
}

/// In place; of two classes only the margin of the second is given, in the first place.
fn to_probabilities(margins: &mut [f64]) {
    if let [benign, malicious] = margins {
        (*benign, *malicious) = (sigmoid(-*benign), sigmoid(*benign));
    } else {
        softmax(margins);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{lbfgs, newton, proximal, truncated};

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
    fn naive_objective(x: &Matrix, y: &[u32], weights: &[f64], intercepts: &[f64], penalty: Penalty) -> f64 {
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
        let cost = |weight: &f64| penalty.l1 * weight.abs() + 0.5 * penalty.l2 * weight * weight;
        weights.iter().map(cost).sum::<f64>() + penalty.c * loss
    }

    const STOP: Stop = Stop { gap: 1e-12, steps: 500 };

    fn l2(c: f64) -> Penalty {
        Penalty { c, l1: 0.0, l2: 1.0, intercept_scaling: None }
    }

    fn fitted(
        classes: u32,
        penalty: Penalty,
        solver: impl Fn(&Objective<'_>) -> Solution,
    ) -> (LogisticModel, f64) {
        let (x, y) = rows(classes);
        let design = Design::new((&x).into(), Shift::All);
        let objective = Objective::new(&design, &y, classes as usize, &[1.0; 600], Loss::Logistic, penalty);
        let model = LogisticModel::new(&design, &objective, &solver(&objective), STOP);
        let value = naive_objective(&x, &y, &model.sums.weights, &model.sums.intercepts, penalty);
        (model, value)
    }

    fn nothing_near_is_lower(classes: u32, penalty: Penalty, model: &LogisticModel, value: f64) {
        let (x, y) = rows(classes);
        for place in 0..model.sums.weights.len() {
            for nudge in [-1e-3, 1e-3] {
                let mut weights = model.sums.weights.clone();
                weights[place] += nudge / x.column(place % 4)[1].abs().max(1.0);
                let near = naive_objective(&x, &y, &weights, &model.sums.intercepts, penalty);
                assert!(
                    near >= value * (1.0 - 1e-12),
                    "weight {place} of {classes} classes, C {}",
                    penalty.c
                );
            }
        }
        assert_eq!(model.sums.weights[3], 0.0, "a constant column has no weight");
        assert!(model.notes[0].starts_with("converged"), "{:?}", model.notes);
    }

    #[test]
    fn both_solvers_reach_the_same_minimum_and_nothing_near_is_lower() {
        let ctx = Ctx::new(0, 1);
        for (classes, c) in [(2, 1.0), (3, 1.0), (2, 1e-4), (3, 1e4)] {
            let (model, value) = fitted(classes, l2(c), |objective| {
                newton::minimise(objective, objective.start(), STOP, &ctx).unwrap()
            });
            let (_, other) = fitted(classes, l2(c), |objective| {
                lbfgs::minimise(objective, objective.start(), STOP, &ctx).unwrap()
            });
            assert!((value - other).abs() <= 1e-9 * value, "{classes} classes, C {c}: {value} and {other}");
            nothing_near_is_lower(classes, l2(c), &model, value);
        }
    }

    #[test]
    fn penalties_with_corners_are_minimised_and_leave_columns_out() {
        let ctx = Ctx::new(0, 1);
        for (classes, c, l1) in [(2, 1.0, 1.0), (3, 1.0, 1.0), (2, 0.05, 1.0), (2, 1.0, 0.5), (3, 10.0, 0.3)]
        {
            let penalty = Penalty { c, l1, l2: 1.0 - l1, intercept_scaling: None };
            let (model, value) = fitted(classes, penalty, |objective| {
                proximal::minimise(objective, None, STOP, &ctx).unwrap()
            });
            nothing_near_is_lower(classes, penalty, &model, value);
            let noted: f64 = model.notes[0].rsplit(' ').next().unwrap().parse().unwrap();
            assert!((noted - value).abs() <= 1e-7 * value, "{noted} is not {value}");
        }
        let strong = Penalty { c: 1e-3, l1: 1.0, l2: 0.0, intercept_scaling: None };
        let (model, _) =
            fitted(2, strong, |objective| proximal::minimise(objective, None, STOP, &ctx).unwrap());
        assert_eq!(model.sums.weights[..2], [0.0, 0.0], "columns that are not worth their weight have none");
    }

    #[test]
    fn sparse_rows_teach_and_score_the_same_bits() {
        for classes in [2, 3] {
            let (mut x, y) = rows(classes);
            x.values_mut().iter_mut().step_by(4).for_each(|value| *value = (*value - 0.8).max(0.0));
            let sparse = SparseMatrix::from_dense(&x);
            let ctx = Ctx::new(0, 1);
            let estimator = (SPEC.build)(&Params::check("", SPEC.params, &[].into()).unwrap()).unwrap();
            let fit = |data: Train<'_>| estimator.fit(&data, &ctx).unwrap();
            let one = fit(Train::labelled(&x, &y, classes as usize));
            let other = fit(Train::labelled(&sparse, &y, classes as usize));
            assert_eq!(one.save().unwrap(), other.save().unwrap());
            assert_eq!(one.score(&x, &ctx), one.score_sparse(&sparse, &ctx));
        }
    }

    #[test]
    fn truncated_newton_reaches_the_minimum_of_newtons_method() {
        let ctx = Ctx::new(0, 1);
        for (classes, c) in [(2, 0.01), (2, 1.0), (3, 1.0), (2, 100.0), (3, 100.0)] {
            let (_, one) = fitted(classes, l2(c), |objective| {
                newton::minimise(objective, objective.start(), STOP, &ctx).unwrap()
            });
            let (model, other) = fitted(classes, l2(c), |objective| {
                truncated::minimise(objective, objective.start(), STOP, &ctx).unwrap()
            });
            assert!((one - other).abs() <= 1e-9 * one, "{classes} classes, C {c}: {one} and {other}");
            assert!(model.notes[0].starts_with("converged"), "{:?}", model.notes);
        }
    }

    #[test]
    fn without_a_penalty_the_slopes_of_the_loss_vanish() {
        let none = Penalty { c: 1.0, l1: 0.0, l2: 0.0, intercept_scaling: None };
        let (model, value) =
            fitted(2, none, |objective| minimise(objective, None, STOP, &Ctx::new(0, 1)).unwrap());
        nothing_near_is_lower(2, none, &model, value);
    }

    #[test]
    fn too_few_steps_are_said_so() {
        let stop = Stop { gap: 1e-12, steps: 1 };
        let (x, y) = rows(2);
        let design = Design::new((&x).into(), Shift::All);
        let objective = Objective::new(&design, &y, 2, &[1.0; 600], Loss::Logistic, l2(1.0));
        let solution = newton::minimise(&objective, objective.start(), stop, &Ctx::new(0, 1)).unwrap();
        let model = LogisticModel::new(&design, &objective, &solution, stop);
        assert!(model.notes[0].starts_with("not converged after 1 steps"), "{:?}", model.notes);
    }
}
