//! Where alerts begin: a value, or one estimated on scores of rows the model had not seen.

use serde::{Deserialize, Serialize};

use super::adjust::Adjust;
use super::hold_out::HeldOutScores;
use super::malicious_score;
use super::problem::{FittedRows, Problem};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Kind;
use crate::eval::bootstrap::wilson;
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
    /// The lowest at which at most this share of all rows held out are alerts.
    Share(f64),
    /// The one with the least cost on rows held out, when a missed attack costs this many times what a false alarm does.
    Cost(f64),
    /// The lowest at which at most so many alerts are expected.
    Budget(AlertBudget),
}

/// How many alerts someone is ready to look at.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertBudget {
    /// In so many rows like those held out.
    Rows {
        /// Alerts.
        alerts: f64,
        /// Rows.
        rows: f64,
    },
    /// In so many seconds of traffic like that held out; needs times.
    Time {
        /// Alerts.
        alerts: f64,
        /// Seconds.
        seconds: f64,
    },
}

/// The units of time a budget is given per.
const PERIODS: [(&str, f64); 4] =
    [("week", 604_800.0), ("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)];

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
            Self::Share(share) => write!(f, "share:{share}"),
            Self::Cost(ratio) => write!(f, "cost:{ratio}"),
            Self::Budget(AlertBudget::Rows { alerts, rows }) => write!(f, "budget:{alerts}/{rows}"),
            Self::Budget(AlertBudget::Time { alerts, seconds }) => {
                match PERIODS.iter().find(|(_, length)| length == seconds) {
                    Some((name, _)) => write!(f, "budget:{alerts}/{name}"),
                    None => write!(f, "budget:{alerts}/{seconds}s"),
                }
            }
        }
    }
}

impl AlertBudget {
    /// Reads `20/day`, `20/90s` or `20/100000` (rows).
    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<f64>().ok().filter(|number| (1e-9..=1e18).contains(number));
        let (alerts, per) = text.split_once('/')?;
        let alerts = number(alerts)?;
        if let Some((_, seconds)) = PERIODS.iter().find(|(name, _)| *name == per) {
            return Some(Self::Time { alerts, seconds: *seconds });
        }
        match per.strip_suffix('s') {
            Some(seconds) => number(seconds).map(|seconds| Self::Time { alerts, seconds }),
            None => number(per).map(|rows| Self::Rows { alerts, rows }),
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
            Some(("share", share)) => {
                number(share).filter(|share| (0.0..1.0).contains(share)).map(Self::Share)
            }
            Some(("cost", ratio)) => {
                number(ratio).filter(|ratio| (1e-9..=1e9).contains(ratio)).map(Self::Cost)
            }
            Some(("budget", budget)) => AlertBudget::parse(budget).map(Self::Budget),
            Some(("fpr", fpr)) => number(fpr).filter(|fpr| (0.0..1.0).contains(fpr)).map(Self::Fpr),
            Some(_) => None,
        };
        rule.ok_or_else(|| LearnError::Parameter {
            owner: "threshold".to_owned(),
            name: "rule".to_owned(),
            expected: "fpr:0.001 (a share of benign rows below 1), value:0.5, a number, f1, share:0.01 (of all rows), cost:10 (a missed attack in false alarms), or budget:20/day (or /hour, /week, /minute, /90s, /100000 rows)".to_owned(),
            found: text.to_owned(),
        })
    }
}

/// A threshold and what it rests on.
pub(super) struct Choice {
    pub(super) threshold: f64,
    pub(super) notes: Vec<String>,
    pub(super) expected: Option<Expected>,
}

/// What to expect of a threshold, from the rows it was estimated on; intervals are Wilson's at 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Rows it rests on.
    pub rows: u64,
    /// Share of rows that are alerts.
    pub alert_share: (f64, f64),
    /// Alerts a day, where rows have times.
    pub alerts_per_day: Option<(f64, f64)>,
    /// Share of malicious rows alerted on; `None` without any.
    pub recall: Option<(f64, f64)>,
    /// Share of benign rows alerted on; `None` without any.
    pub fpr: Option<(f64, f64)>,
}

/// Applies the rule to out-of-fold scores; to the scores of the training rows themselves, and says so, when there are none.
pub(super) fn choose(
    rule: ThresholdRule,
    problem: &Problem<'_>,
    held_out: &HeldOutScores,
    fitted: &FittedRows,
    adjust: &Adjust,
    ctx: &Ctx,
) -> Result<Choice, LearnError> {
    if let ThresholdRule::Value(threshold) = rule {
        let expected = expected(threshold, problem, &held_out.rows, &held_out.malicious);
        return Ok(Choice { threshold, notes: Vec::new(), expected });
    }
    let mut notes = Vec::new();
    let (rows, scores) = if held_out.rows.is_empty() {
        notes.push(
            "estimated on the training rows themselves, because none were held out: expect more alerts"
                .to_owned(),
        );
        let all: Vec<usize> = (0..problem.rows.len()).collect();
        let mut classes = problem.score(fitted, &all, ctx)?.1;
        adjust.apply_all(&mut classes);
        let scores = classes.iter_rows().map(|row| malicious_score(problem.model.kind, row)).collect();
        (all, scores)
    } else {
        (held_out.rows.clone(), held_out.malicious.clone())
    };
    let threshold = match rule {
        ThresholdRule::F1 => highest_f1(problem, &rows, &scores)?,
        ThresholdRule::Fpr(fpr) => at_fpr(fpr, problem, &rows, &scores, &mut notes)?,
        ThresholdRule::Share(share) => at_most((share * rows.len() as f64).floor() as usize, &scores)?,
        ThresholdRule::Cost(ratio) => least_cost(ratio, problem, &rows, &scores)?,
        ThresholdRule::Budget(budget) => within_budget(budget, problem, &rows, &scores, &mut notes)?,
        ThresholdRule::Value(value) => value,
    };
    let expected = expected(threshold, problem, &rows, &scores);
    Ok(Choice { threshold, notes, expected })
}

fn expected(threshold: f64, problem: &Problem<'_>, rows: &[usize], scores: &[f64]) -> Option<Expected> {
    let count = |wanted: Option<Option<bool>>| {
        let of = || {
            rows.iter()
                .zip(scores)
                .filter(|(row, _)| wanted.is_none_or(|label| problem.rows.labels[**row] == label))
        };
        (of().filter(|(_, score)| is_alert(**score, threshold)).count() as u64, of().count() as u64)
    };
    let share = |label: bool| {
        let (alerts, all) = count(Some(Some(label)));
        (all > 0).then(|| wilson(alerts, all))
    };
    let (alerts, all) = count(None);
    let alert_share = wilson(alerts, all);
    let per_day = days(problem, rows).map(|days| all as f64 / days);
    (all > 0).then(|| Expected {
        rows: all,
        alert_share,
        alerts_per_day: per_day.map(|rows| (alert_share.0 * rows, alert_share.1 * rows)),
        recall: share(true),
        fpr: share(false),
    })
}

/// How many days the rows span; `None` without times or when all are the same.
fn days(problem: &Problem<'_>, rows: &[usize]) -> Option<f64> {
    let times = problem.rows.times.as_ref()?;
    let of = || rows.iter().map(|&row| times[row]);
    let span = i128::from(of().max()?) - i128::from(of().min()?);
    (span > 0).then(|| span as f64 / 86_400e9)
}

/// Just above the score of the row after the `allowed` highest.
fn at_most(allowed: usize, scores: &[f64]) -> Result<f64, LearnError> {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    match sorted.get(allowed) {
        Some(score) => Ok(score.next_up()),
        None => sorted.last().copied().ok_or_else(|| {
            LearnError::Data("no row to estimate a threshold on; give it as a value".to_owned())
        }),
    }
}

fn within_budget(
    budget: AlertBudget,
    problem: &Problem<'_>,
    rows: &[usize],
    scores: &[f64],
    notes: &mut Vec<String>,
) -> Result<f64, LearnError> {
    let allowed = match budget {
        AlertBudget::Rows { alerts, rows: per } => alerts / per * rows.len() as f64,
        AlertBudget::Time { alerts, seconds } => {
            let days = days(problem, rows).ok_or_else(|| {
                LearnError::Data(
                    "threshold budget: the rows have no times to count alerts per time by; give a budget per rows, such as budget:20/100000".to_owned(),
                )
            })?;
            alerts / seconds * days * 86_400.0
        }
    };
    if allowed < 1.0 {
        notes.push(format!(
            "{} rows held out are too few to show that budget ({allowed:.3} alerts among them): the threshold is just above the highest of their scores",
            rows.len()
        ));
    }
    at_most(allowed.floor().min(rows.len() as f64) as usize, scores)
}

/// The highest threshold of the least false alarms + `ratio` × missed attacks.
fn least_cost(ratio: f64, problem: &Problem<'_>, rows: &[usize], scores: &[f64]) -> Result<f64, LearnError> {
    let mut order: Vec<(f64, bool)> = rows
        .iter()
        .zip(scores)
        .filter_map(|(&row, &score)| Some((score, problem.rows.labels[row]?)))
        .collect();
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let malicious = order.iter().filter(|(_, malicious)| *malicious).count();
    let Some(highest) = order.first().filter(|_| malicious > 0 && malicious < order.len()) else {
        return Err(LearnError::Data(
            "threshold cost: benign and malicious rows must be held out to weigh mistakes on; use a value"
                .to_owned(),
        ));
    };
    // Nothing an alert: every attack is missed.
    let mut best = (highest.0.next_up(), ratio * malicious as f64);
    let (mut missed, mut alarms) = (malicious, 0);
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let hits = equal.iter().filter(|(_, malicious)| *malicious).count();
        (missed, alarms) = (missed - hits, alarms + equal.len() - hits);
        let cost = alarms as f64 + ratio * missed as f64;
        if cost < best.1 {
            best = (equal[0].0, cost);
        }
    }
    Ok(best.0)
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
            ("share:0.01", ThresholdRule::Share(0.01)),
            ("cost:10", ThresholdRule::Cost(10.0)),
            ("budget:20/day", ThresholdRule::Budget(AlertBudget::Time { alerts: 20.0, seconds: 86_400.0 })),
            ("budget:3/90s", ThresholdRule::Budget(AlertBudget::Time { alerts: 3.0, seconds: 90.0 })),
            ("budget:2.5/1000", ThresholdRule::Budget(AlertBudget::Rows { alerts: 2.5, rows: 1000.0 })),
        ] {
            assert_eq!(text.parse::<ThresholdRule>().unwrap(), rule);
            assert_eq!(rule.to_string(), text);
        }
        assert_eq!("0.7".parse::<ThresholdRule>().unwrap(), ThresholdRule::Value(0.7));
        for bad in [
            "fpr:1",
            "fpr:-0.1",
            "value:NaN",
            "value:inf",
            "best",
            "fpr",
            "",
            "share:1",
            "cost:0",
            "budget:20",
            "budget:0/day",
            "budget:1/year",
        ] {
            assert!(
                bad.parse::<ThresholdRule>().unwrap_err().to_string().contains("expected fpr:0.001"),
                "{bad}"
            );
        }
    }
}
