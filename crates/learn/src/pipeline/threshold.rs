//! Where alerts begin: a value, or one estimated on scores of rows the model had not seen.

use serde::{Deserialize, Serialize};

use super::hold_out::HeldOutScores;
use super::problem::{FittedRows, Problem};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Kind;
use crate::eval::metrics::{best_f1, is_alert};

/// How the threshold is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdRule {
    /// The lowest at which at most this share of benign rows held out are alerts (of all rows, when none has a label).
    Fpr(f64),
    /// This score.
    Value(f64),
    /// The one with the highest F1 on rows held out.
    F1,
}

impl Default for ThresholdRule {
    fn default() -> Self {
        Self::Fpr(0.001)
    }
}

impl std::fmt::Display for ThresholdRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fpr(fpr) => write!(f, "fpr:{fpr}"),
            Self::Value(value) => write!(f, "value:{value}"),
            Self::F1 => f.write_str("f1"),
        }
    }
}

impl std::str::FromStr for ThresholdRule {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self, LearnError> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
        let rule = match text.split_once(':') {
            None if text == "f1" => Some(Self::F1),
            None => number(text).map(Self::Value),
            Some(("value", value)) => number(value).map(Self::Value),
            Some(("fpr", fpr)) => number(fpr).filter(|fpr| (0.0..1.0).contains(fpr)).map(Self::Fpr),
            Some(_) => None,
        };
        rule.ok_or_else(|| LearnError::Parameter {
            owner: "threshold".to_owned(),
            name: "rule".to_owned(),
            expected: "fpr:0.001 (a share of benign rows below 1), value:0.5, a number, or f1".to_owned(),
            found: text.to_owned(),
        })
    }
}

/// A threshold and what it rests on.
pub(super) struct Choice {
    pub(super) threshold: f64,
    pub(super) notes: Vec<String>,
}

/// Applies the rule to out-of-fold scores; to the scores of the training rows themselves, and says so, when there are none.
pub(super) fn choose(
    rule: ThresholdRule,
    problem: &Problem<'_>,
    held_out: &HeldOutScores,
    fitted: &FittedRows,
    ctx: &Ctx,
) -> Result<Choice, LearnError> {
    if let ThresholdRule::Value(threshold) = rule {
        return Ok(Choice { threshold, notes: Vec::new() });
    }
    let mut notes = Vec::new();
    let (rows, scores) = if held_out.rows.is_empty() {
        notes.push(
            "estimated on the training rows themselves, because none were held out: expect more alerts"
                .to_owned(),
        );
        let all: Vec<usize> = (0..problem.rows.len()).collect();
        let scores = problem.score(fitted, &all, ctx)?.0;
        (all, scores)
    } else {
        (held_out.rows.clone(), held_out.malicious.clone())
    };
    let threshold = match rule {
        ThresholdRule::F1 => highest_f1(problem, &rows, &scores)?,
        ThresholdRule::Fpr(fpr) => at_fpr(fpr, problem, &rows, &scores, &mut notes)?,
        ThresholdRule::Value(value) => value,
    };
    Ok(Choice { threshold, notes })
}

fn highest_f1(problem: &Problem<'_>, rows: &[usize], scores: &[f64]) -> Result<f64, LearnError> {
    let labelled =
        || rows.iter().zip(scores).filter_map(|(&row, &score)| Some((problem.rows.labels[row]?, score)));
    let (truth, scores): (Vec<bool>, Vec<f64>) = labelled().unzip();
    best_f1(&truth, &scores).map(|(threshold, _)| threshold).ok_or_else(|| {
        LearnError::Data(
            "threshold f1: no malicious row was held out to measure F1 on; use fpr or a value".to_owned(),
        )
    })
}

/// Just above the (k+1)-th highest score of the n reference rows, k = floor(fpr n): at most k of them are alerts.
fn at_fpr(
    fpr: f64,
    problem: &Problem<'_>,
    rows: &[usize],
    scores: &[f64],
    notes: &mut Vec<String>,
) -> Result<f64, LearnError> {
    let labelled = problem.labelled();
    let reference = |row: usize| !labelled || problem.rows.labels[row] == Some(false);
    let mut normal: Vec<f64> =
        rows.iter().zip(scores).filter(|&(&row, _)| reference(row)).map(|(_, &score)| score).collect();
    normal.sort_unstable_by(|a, b| b.total_cmp(a));
    if normal.is_empty() {
        return Err(LearnError::Data(
            "no benign row was held out to estimate a false-alarm rate on; give the threshold as a value"
                .to_owned(),
        ));
    }
    let allowed = (fpr * normal.len() as f64).floor() as usize;
    if !labelled {
        notes.push(format!("no row has a label: {fpr} is the share of all rows held out that are alerts"));
    }
    if allowed == 0 && fpr > 0.0 {
        notes.push(format!(
            "{} rows held out cannot show a false-alarm rate of {fpr}; the threshold is just above the highest of their scores, and all that is known is a rate below about {:.2} % (3/rows, 95 % confidence)",
            normal.len(),
            300.0 / normal.len() as f64
        ));
    }
    let threshold = normal[allowed.min(normal.len() - 1)].next_up();
    if problem.model.kind == Kind::Classifier && threshold > 1.0 {
        let alerts = normal.iter().filter(|score| is_alert(**score, 1.0)).count();
        notes.push(format!(
            "a false-alarm rate of {fpr} cannot be reached: {alerts} of {} benign rows held out score 1; the threshold is 1",
            normal.len()
        ));
        return Ok(1.0);
    }
    Ok(threshold)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        for (text, rule) in [
            ("fpr:0.001", ThresholdRule::Fpr(0.001)),
            ("value:-2.5", ThresholdRule::Value(-2.5)),
            ("f1", ThresholdRule::F1),
        ] {
            assert_eq!(text.parse::<ThresholdRule>().unwrap(), rule);
            assert_eq!(rule.to_string(), text);
        }
        assert_eq!("0.7".parse::<ThresholdRule>().unwrap(), ThresholdRule::Value(0.7));
        for bad in ["fpr:1", "fpr:-0.1", "value:NaN", "value:inf", "best", "fpr", ""] {
            assert!(
                bad.parse::<ThresholdRule>().unwrap_err().to_string().contains("expected fpr:0.001"),
                "{bad}"
            );
        }
    }
}
