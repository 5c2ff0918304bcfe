//! Linear support vector machine, one against the rest for more than two classes, with probabilities.
//!
//! Minimises what scikit-learn's `LinearSVC` does, penalty(w) + C Σ sᵢ lossᵢ: by Newton's method for the squared hinge
//! (Keerthi and DeCoste 2005), proximal Newton for its L1 penalty, and dual coordinate descent (Hsieh et al. 2008) followed
//! by Newton's method for the hinge and for many columns ([`crate::linear::machine`]). Margins become probabilities by a function fitted on rows held out inside the fit ([`crate::calibrate`]).

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::calibrate::{Isotonic, Platt};
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Estimator, Kind, Model, ModelSpec, Train};
use crate::linear::design::{Design, Shift};
use crate::linear::folds::folds;
use crate::linear::gram::Gram;
use crate::linear::machine::Machine;
use crate::linear::objective::{Loss, Objective, Penalty, sigmoid};
use crate::linear::sums::{Sums, bounded};
use crate::linear::{NEWTON_UNKNOWNS, Solution, Stop, minimise};
use crate::matrix::{Matrix, SparseMatrix};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::rng::stream;

/// The line of the table.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "linear-svm",
    kind: Kind::Classifier,
    doc: "Linear support vector machine, one against the rest; minimises penalty(w) + C sum(weight * loss) as \
          scikit-learn's LinearSVC does. Margins become probabilities by Platt's sigmoid (Platt 1999; Lin, Lin and Weng \
          2007) or isotonic regression, fitted on rows held out inside the fit.",
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
            name: "loss",
            kind: ParamKind::Choice(&["squared-hinge", "hinge"]),
            default: "squared-hinge",
            doc: "What a margin below 1 costs: its distance from 1, squared or not.",
        },
        ParamSpec {
            name: "penalty",
            kind: ParamKind::Choice(&["l2", "l1"]),
            default: "l2",
            doc: "`l2` = 0.5 w.w, `l1` = sum |w|, which leaves columns out; `l1` goes with `loss=squared-hinge` only.",
        },
        ParamSpec {
            name: "intercept_scaling",
            kind: ParamKind::ChoiceOrFloat { words: &["free"], min: 1e-3, max: 1e3 },
            default: "free",
            doc: "`free` = the intercept is not penalised; a number = it is, as the weight of a column of that value \
                  (LinearSVC's default is 1).",
        },
        ParamSpec {
            name: "class_weight",
            kind: ParamKind::Choice(&["none", "balanced"]),
            default: "none",
            doc: "`balanced` gives every class the same total weight.",
        },
        ParamSpec {
            name: "probability",
            kind: ParamKind::Choice(&["platt", "isotonic"]),
            default: "platt",
            doc: "How margins become probabilities: a sigmoid, or the nearest function that never falls.",
        },
        ParamSpec {
            name: "tol",
            kind: ParamKind::Float { min: 1e-12, max: 0.1 },
            default: "1e-7",
            doc: "Stop when the objective is estimated to be within this share of its minimum.",
        },
        ParamSpec {
            name: "max_iter",
            kind: ParamKind::Int { min: 1, max: 1_000_000 },
            default: "1000",
            doc: "Most steps of the solver.",
        },
    ],
    build,
    load: |bytes| {
        let model: LinearSvmModel = unpack("model `linear-svm`", bytes)?;
        model.check()?;
        Ok(Box::new(model))
    },
};

fn build(params: &Params) -> Result<Box<dyn Estimator>, LearnError> {
    let (l1, hinge) = (params.text("penalty") == "l1", params.text("loss") == "hinge");
    if l1 && hinge {
        return Err(LearnError::Parameter {
            owner: SPEC.name.to_owned(),
            name: "penalty".to_owned(),
            expected: "l2 with the hinge loss".to_owned(),
            found: "l1".to_owned(),
        });
    }
    let penalty = Penalty {
        c: params.float("C"),
        l1: f64::from(u8::from(l1)),
        l2: f64::from(u8::from(!l1)),
        intercept_scaling: params.float_or_word("intercept_scaling"),
    };
    Ok(Box::new(LinearSvm {
        penalty,
        hinge,
        balanced: params.text("class_weight") == "balanced",
        isotonic: params.text("probability") == "isotonic",
        stop: Stop { gap: params.float("tol"), steps: params.int("max_iter") },
    }))
}

/// Hyperparameters.
struct LinearSvm {
    penalty: Penalty,
    hinge: bool,
    balanced: bool,
    isotonic: bool,
    stop: Stop,
}

/// Parts the rows are held out in, one after the other, to calibrate.
const FOLDS: usize = 5;
/// A calibration moves margins by more than this share of the objective does.
const FOLD_GAP: f64 = 1e-4;

impl Estimator for LinearSvm {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        data.check_labelled(SPEC.name, false)?;
        let weights = data.row_weights(self.balanced);
        ctx.install(|| -> Result<Box<dyn Model>, LearnError> {
            let design = Design::new(data.x, self.shift(data.x.columns()));
            let folds = folds(data, FOLDS, ctx.seed);
            let rows =
                RowsOf { design: &design, columns: data.x.columns(), weights: &weights, folds: &folds };
            let mut gram = Gram::new(&design);
            let (mut theta, mut calibrations, mut notes) = (Vec::new(), Vec::new(), Vec::new());
            let sums = if data.classes == 2 { 1..2 } else { 0..data.classes };
            for class in sums {
                let positive: Vec<bool> = data.y.iter().map(|&of| of as usize == class).collect();
                let (solution, objective) = self.solve(&rows, &positive, None, &mut gram, self.stop, ctx)?;
                let note = solution.note(objective, self.stop, "raise max_iter or lower C");
                notes.push(if data.classes == 2 { note } else { format!("class {class}: {note}") });
                calibrations.push(self.calibrate(&rows, &positive, &solution, &mut gram, ctx)?);
                theta.extend(solution.theta);
            }
            Ok(Box::new(LinearSvmModel { sums: Sums::new(&design, &theta), calibrations, notes }))
        })?
    }
}

/// What is the same for every class.
#[derive(Clone, Copy)]
struct RowsOf<'a> {
    design: &'a Design,
    columns: usize,
    weights: &'a [f64],
    folds: &'a [usize],
}

impl LinearSvm {
    /// Dual coordinate descent and conjugate gradients do best with columns where they are; coordinate descent does not.
    fn shift(&self, columns: usize) -> Shift {
        match self.penalty.intercept_scaling {
            Some(_) => Shift::No,
            None if self.by_machine(columns) => Shift::Far,
            None => Shift::All,
        }
    }

    /// Whether [`Machine`] is the solver; where the squared hinge has few columns the Hessian of all is formed.
    fn by_machine(&self, columns: usize) -> bool {
        self.hinge || (self.penalty.l1 == 0.0 && columns > NEWTON_UNKNOWNS)
    }

    /// One class against the rest: the solution, and its objective as scikit-learn states it.
    fn solve(
        &self,
        rows: &RowsOf<'_>,
        positive: &[bool],
        guess: Option<Vec<f64>>,
        gram: &mut Gram<'_>,
        stop: Stop,
        ctx: &Ctx,
    ) -> Result<(Solution, f64), LearnError> {
        if self.by_machine(rows.columns) {
            let machine = Machine::new(rows.design, positive, rows.weights, !self.hinge, self.penalty);
            let solution = machine.minimise(guess, gram, stop, stream(ctx.seed, "linear-svm", 0), ctx)?;
            let objective = machine.stated(&solution.theta);
            return Ok((solution, objective));
        }
        let y: Vec<u32> = positive.iter().map(|is| u32::from(*is)).collect();
        let objective = Objective::new(rows.design, &y, 2, rows.weights, Loss::SquaredHinge, self.penalty);
        let solution = minimise(&objective, guess, stop, ctx)?;
        let stated = objective.stated(&solution.theta);
        Ok((solution, stated))
    }

    /// Margins of rows that were held out, and what makes probabilities of them. Where no part of the rows can be held out,
    /// because one side has too few, the margins are those of the rows learnt from.
    fn calibrate(
        &self,
        rows: &RowsOf<'_>,
        positive: &[bool],
        whole: &Solution,
        gram: &mut Gram<'_>,
        ctx: &Ctx,
    ) -> Result<Calibration, LearnError> {
        let stop = Stop { gap: self.stop.gap.max(FOLD_GAP), ..self.stop };
        let mut held_out = HeldOut::default();
        for fold in 0..FOLDS {
            let learnt = |(weight, of): (&f64, &usize)| if *of == fold { 0.0 } else { *weight };
            let weights: Vec<f64> = rows.weights.iter().zip(rows.folds).map(learnt).collect();
            let side = |is: bool| positive.iter().zip(&weights).any(|(p, weight)| *p == is && *weight > 0.0);
            if side(true) && side(false) {
                let learnt = RowsOf { weights: &weights, ..*rows };
                let guess = Some(whole.theta.clone());
                let (solution, _) = self.solve(&learnt, positive, guess, gram, stop, ctx)?;
                let of_fold = (0..positive.len()).filter(|&row| rows.folds[row] == fold);
                held_out.add(rows, positive, &solution.theta, of_fold);
            }
        }
        if !held_out.has_both_sides() {
            held_out = HeldOut::default();
            held_out.add(rows, positive, &whole.theta, 0..positive.len());
        }
        let HeldOut { margins, positive, weights } = held_out;
        Ok(if self.isotonic {
            Calibration::Isotonic(Isotonic::fit(&margins, &positive, &weights))
        } else {
            Calibration::Platt(Platt::fit(&margins, &positive, &weights))
        })
    }
}

/// What a calibration learns from.
#[derive(Default)]
struct HeldOut {
    margins: Vec<f64>,
    positive: Vec<bool>,
    weights: Vec<f64>,
}

impl HeldOut {
    fn add(
        &mut self,
        from: &RowsOf<'_>,
        positive: &[bool],
        theta: &[f64],
        rows: impl Iterator<Item = usize>,
    ) {
        for row in rows {
            self.margins.push(bounded(from.design.row_dot(row, theta)));
            self.positive.push(positive[row]);
            self.weights.push(from.weights[row]);
        }
    }

    fn has_both_sides(&self) -> bool {
        let side = |is| self.positive.iter().zip(&self.weights).any(|(p, weight)| *p == is && *weight > 0.0);
        side(true) && side(false)
    }
}

/// What makes a probability of a margin.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Calibration {
    Platt(Platt),
    Isotonic(Isotonic),
}

/// A fitted machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct LinearSvmModel {
    sums: Sums,
    /// One per row of weights.
    calibrations: Vec<Calibration>,
    notes: Vec<String>,
}

impl LinearSvmModel {
    fn check(&self) -> Result<(), LearnError> {
        self.sums.check(SPEC.name)?;
        let sound = |calibration: &Calibration| match calibration {
            Calibration::Platt(platt) => platt.is_sound(),
            Calibration::Isotonic(isotonic) => isotonic.is_sound(),
        };
        if self.calibrations.len() == self.sums.intercepts.len() && self.calibrations.iter().all(sound) {
            return Ok(());
        }
        Err(LearnError::File("model `linear-svm` has no valid calibration of its margins".into()))
    }

    /// Margins to probabilities, in place; of two classes only the margin of the second is given, in the first place.
    fn to_probabilities(&self, margins: &mut [f64]) {
        if let ([benign, malicious], [calibration]) = (&mut *margins, &self.calibrations[..]) {
            (*benign, *malicious) = match calibration {
                Calibration::Platt(platt) => {
                    let log_odds = platt.log_odds(*benign);
                    (sigmoid(-log_odds), sigmoid(log_odds))
                }
                Calibration::Isotonic(isotonic) => {
                    let of_malicious = isotonic.apply(*benign);
                    (1.0 - of_malicious, of_malicious)
                }
            };
            return;
        }
        for (margin, calibration) in margins.iter_mut().zip(&self.calibrations) {
            *margin = match calibration {
                Calibration::Platt(platt) => platt.probability(*margin),
                Calibration::Isotonic(isotonic) => isotonic.apply(*margin),
            };
        }
        let total: f64 = margins.iter().sum();
        let even = 1.0 / margins.len() as f64;
        margins.iter_mut().for_each(|part| *part = if total > 0.0 { *part / total } else { even });
    }
}

impl Model for LinearSvmModel {
    fn columns(&self) -> usize {
        self.sums.columns()
    }

    fn outputs(&self) -> usize {
        self.sums.classes()
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        self.sums.margins(row, out);
        self.to_probabilities(out);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        self.sums.score(x, ctx, |margins| self.to_probabilities(margins))
    }

    fn score_sparse(&self, x: &SparseMatrix, ctx: &Ctx) -> Matrix {
        self.sums.score_sparse(x, ctx, |margins| self.to_probabilities(margins))
    }

    /// In the class's log-odds against the rest, whose sigmoids as shares of their sum are the scores; with isotonic
    /// regression in the class's margin.
    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        let two = self.outputs() == 2;
        let place = if two { 0 } else { output };
        let (slope, offset) = match &self.calibrations[place] {
            Calibration::Platt(platt) => (-platt.a, -platt.b),
            Calibration::Isotonic(_) => (1.0, 0.0),
        };
        let sign = if two && output == 0 { -1.0 } else { 1.0 };
        let values = self.sums.terms(row, place).map(|term| bounded(sign * slope * term)).collect();
        let baseline = bounded(sign * (slope * self.sums.baseline(place) + offset));
        Some(Contributions { baseline, values })
    }

    fn importances(&self) -> Option<Vec<f64>> {
        Some(self.sums.importances())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("model `linear-svm`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Overlapping classes, a sparse column, a shifted one and a constant one.
    fn rows() -> (Matrix, Vec<bool>, Vec<f64>) {
        let number = |seed: u32| f64::from(seed.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let positive: Vec<bool> = (0..300).map(|row| row % 3 == 0).collect();
        let row = |row: u32| {
            let class = f64::from(u32::from(row.is_multiple_of(3)));
            let third = 3.0 * (number(row + 10_000) - 0.3 * class) + 2.0;
            [2.0 * number(row) + class, f64::from(u32::from(row.is_multiple_of(11))), third, 7.0]
        };
        let weights = (0..300).map(|row| f64::from(row % 4)).collect();
        (Matrix::from_values(300, 4, (0..300).flat_map(row).collect()), positive, weights)
    }

    fn machine(hinge: bool, l1: f64, intercept_scaling: Option<f64>) -> LinearSvm {
        LinearSvm {
            penalty: Penalty { c: 0.7, l1, l2: 1.0 - l1, intercept_scaling },
            hinge,
            balanced: false,
            isotonic: false,
            stop: Stop { gap: 1e-9, steps: 20_000 },
        }
    }

    /// The objective as `LinearSVC` states it, by the book.
    fn naive_objective(machine: &LinearSvm, weights: &[f64], intercept: f64) -> f64 {
        let (x, positive, row_weights) = rows();
        let loss = |((row, is), weight): ((&[f64], &bool), &f64)| {
            let margin = intercept + row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
            let short = (1.0 - if *is { margin } else { -margin }).max(0.0);
            weight * if machine.hinge { short } else { short * short }
        };
        let losses: f64 = x.iter_rows().zip(&positive).zip(&row_weights).map(loss).sum();
        let penalty = machine.penalty;
        let cost = |w: f64| penalty.l1 * w.abs() + 0.5 * penalty.l2 * w * w;
        let of_intercept = penalty.intercept_scaling.map_or(0.0, |scaling| cost(intercept / scaling));
        weights.iter().copied().map(cost).sum::<f64>() + of_intercept + penalty.c * losses
    }

    #[test]
    fn nothing_near_a_solution_is_lower_and_its_objective_is_stated() {
        for (hinge, l1, scaling) in [
            (false, 0.0, None),
            (false, 0.0, Some(1.0)),
            (false, 1.0, None),
            (false, 1.0, Some(2.0)),
            (true, 0.0, None),
            (true, 0.0, Some(1.0)),
        ] {
            let machine = machine(hinge, l1, scaling);
            let (x, positive, weights) = rows();
            let design = Design::new((&x).into(), machine.shift(4));
            let all = RowsOf { design: &design, columns: 4, weights: &weights, folds: &[] };
            let (solution, stated) = machine
                .solve(&all, &positive, None, &mut Gram::new(&design), machine.stop, &Ctx::new(3, 1))
                .unwrap();
            assert!(solution.gap <= machine.stop.gap, "{hinge} {l1} {scaling:?}: {}", solution.gap);
            let (found, intercept) = design.to_columns(&solution.theta);
            let value = naive_objective(&machine, &found, intercept);
            assert!((value - stated).abs() <= 1e-9 * value, "{hinge} {l1} {scaling:?}: {value} {stated}");
            for place in 0..5 {
                for nudge in [-1e-2, -1e-4, 1e-4, 1e-2] {
                    let (mut weights, mut near) = (found.clone(), intercept);
                    *weights.get_mut(place).unwrap_or(&mut near) += nudge;
                    let other = naive_objective(&machine, &weights, near);
                    assert!(
                        other >= value * (1.0 - 1e-8),
                        "{hinge} {l1} {scaling:?} {place}: {other} {value}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_l1_penalty_does_not_go_with_the_hinge() {
        let given = [("penalty", "l1"), ("loss", "hinge")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let params = Params::check(SPEC.name, SPEC.params, &given.into()).unwrap();
        assert!(build(&params).err().unwrap().to_string().contains("l2 with the hinge loss"));
    }

    #[test]
    fn odd_columns_and_absent_classes_give_probabilities_in_every_variant() {
        let (mut x, positive, _) = rows();
        x.values_mut().iter_mut().skip(1).step_by(4).for_each(|value| *value *= 1e300);
        x.values_mut().iter_mut().skip(3).step_by(4).for_each(|value| *value = 1e300);
        let y: Vec<u32> = positive.iter().map(|is| u32::from(*is)).collect();
        let ctx = Ctx::new(5, 1);
        for (hinge, l1, scaling) in
            [(false, 0.0, Some(1.0)), (false, 1.0, None), (true, 0.0, None), (true, 0.0, Some(1.0))]
        {
            for (isotonic, classes) in [(false, 2), (true, 3)] {
                let machine = LinearSvm {
                    isotonic,
                    stop: Stop { gap: 1e-7, steps: 50 },
                    ..machine(hinge, l1, scaling)
                };
                let model = machine.fit(&Train::labelled(&x, &y, classes), &ctx).unwrap();
                (SPEC.load)(&model.save().unwrap()).unwrap();
                for row in model.score(&x, &ctx).iter_rows() {
                    let sum: f64 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-9, "{hinge} {l1} {scaling:?}: {row:?}");
                }
            }
        }
    }

    #[test]
    fn probabilities_are_calibrated_on_rows_held_out() {
        let (x, positive, _) = rows();
        let y: Vec<u32> = positive.iter().map(|is| u32::from(*is)).collect();
        for (isotonic, hinge) in [(false, false), (true, false), (false, true)] {
            let machine = LinearSvm { isotonic, ..machine(hinge, 0.0, None) };
            let model = machine.fit(&Train::labelled(&x, &y, 2), &Ctx::new(5, 1)).unwrap();
            let scores = model.score(&x, &Ctx::new(5, 1)).column(1);
            let mean = scores.iter().sum::<f64>() / 300.0;
            assert!((mean - 1.0 / 3.0).abs() < 0.03, "mean score {mean} where a third is positive");
            let brier: f64 = scores.iter().zip(&y).map(|(p, y)| (p - f64::from(*y)).powi(2)).sum();
            assert!(brier / 300.0 < 0.8 * 2.0 / 9.0, "{}", brier / 300.0);
        }
    }
}
