//! Scores of rows by models that have not seen them: what thresholds and honest metrics are made of.

use super::problem::Problem;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::eval::split::{Fold, Rows, Split};
use crate::matrix::Matrix;

/// Out-of-fold scores of a problem's rows.
pub(super) struct HeldOutScores {
    /// How rows were held out, as text.
    pub(super) split: String,
    /// Folds that were learnt from and measured.
    pub(super) folds: u64,
    /// What to know about them.
    pub(super) notes: Vec<String>,
    /// The rows scored, each once.
    pub(super) rows: Vec<usize>,
    /// Where each fold's rows end among them.
    pub(super) fold_ends: Vec<usize>,
    /// How malicious each looked.
    pub(super) malicious: Vec<f64>,
    /// Rows × classes (1 column for novelty models).
    pub(super) classes: Matrix,
    /// The class decided for each; empty for novelty models.
    pub(super) decided: Vec<u32>,
    /// Mean cost of the decisions, where they have costs.
    pub(super) mean_cost: Option<f64>,
}

/// Fits on each fold's training rows and scores the rows held out. A default split that cannot work gives way to the next
/// best; one that was asked for is an error.
pub(super) fn scores(
    problem: &Problem<'_>,
    asked: Option<&Split>,
    ctx: &Ctx,
) -> Result<HeldOutScores, LearnError> {
    if let Some(split) = asked {
        let folds = split.folds(&problem.rows, ctx.seed)?;
        let usable = usable_folds(problem, &folds);
        if usable.is_empty() && !folds.is_empty() {
            return Err(LearnError::Data(format!(
                "split `{split}`: no fold leaves both benign and malicious rows to learn from"
            )));
        }
        return fold_scores(problem, split, &folds, &usable, ctx);
    }
    for split in default_order(&problem.rows)? {
        let Ok(folds) = split.folds(&problem.rows, ctx.seed) else { continue };
        let usable = usable_folds(problem, &folds);
        if !usable.is_empty() {
            return fold_scores(problem, &split, &folds, &usable, ctx);
        }
    }
    let mut none = fold_scores(problem, &Split::parse("none")?, &[], &[], ctx)?;
    none.notes.push("too few rows to hold any out: no honest estimate of quality".to_owned());
    Ok(none)
}

/// The honest split for these rows, then what to fall back on.
pub(super) fn default_order(rows: &Rows<'_>) -> Result<Vec<Split>, LearnError> {
    let first = Split::default_for(rows);
    let mut order = vec![first];
    for name in ["time-k-fold:5", "stratified-k-fold:5"] {
        let split = Split::parse(name)?;
        if !order.contains(&split) {
            order.push(split);
        }
    }
    Ok(order)
}

fn usable_folds<'f>(problem: &Problem<'_>, folds: &'f [Fold]) -> Vec<&'f Fold> {
    folds.iter().filter(|fold| problem.suffices(&fold.train)).collect()
}

fn fold_scores(
    problem: &Problem<'_>,
    split: &Split,
    folds: &[Fold],
    usable: &[&Fold],
    ctx: &Ctx,
) -> Result<HeldOutScores, LearnError> {
    let mut scores = HeldOutScores {
        split: split.to_string(),
        folds: usable.len() as u64,
        notes: Vec::new(),
        rows: Vec::new(),
        fold_ends: Vec::new(),
        malicious: Vec::new(),
        classes: Matrix::zeros(0, problem.classes.len().max(1)),
        decided: Vec::new(),
        mean_cost: None,
    };
    if usable.len() < folds.len() {
        scores.notes.push(format!(
            "{} of {} folds left out: without them no benign or no malicious row is left to learn from",
            folds.len() - usable.len(),
            folds.len()
        ));
    }
    let mut values = Vec::new();
    for (done, fold) in usable.iter().enumerate() {
        ctx.check()?;
        ctx.progress("holding out rows", done as u64, usable.len() as u64);
        let fitted = problem.fit_procedure(&fold.train, ctx)?.0;
        let (malicious, classes) = problem.score(&fitted, &fold.test, ctx)?;
        scores.rows.extend_from_slice(&fold.test);
        scores.fold_ends.push(scores.rows.len());
        scores.malicious.extend(malicious);
        values.extend_from_slice(classes.values());
    }
    scores.classes = Matrix::from_values(scores.rows.len(), problem.classes.len().max(1), values);
    Ok(scores)
}
