//! What a search makes best.

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::eval::classes::measure_classes;
use crate::eval::cost::{CostMatrix, KDD99};
use crate::eval::metrics::{average_precision, recall_at_fpr, roc_auc};
use crate::eval::ranking::ndcg;

/// A figure of merit of scores and decisions on rows held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Area under the ROC curve, malicious against benign.
    RocAuc,
    /// Average precision, malicious against benign.
    AveragePrecision,
    /// Share of rows whose class is decided rightly.
    Accuracy,
    /// Mean F1 of the classes.
    MacroF1,
    /// Share of malicious rows found at this false-alarm rate.
    RecallAtFpr(f64),
    /// Normalised discounted cumulative gain.
    Ndcg,
    /// Mean cost of the decisions; the less the better.
    Cost(CostMatrix),
}

/// What an objective looks at; slices run parallel to the rows held out.
pub(crate) struct Judged<'a> {
    pub(crate) malicious: &'a [bool],
    pub(crate) scores: &'a [f64],
    /// Empty for novelty models.
    pub(crate) classes: &'a [u32],
    pub(crate) decided: &'a [u32],
    pub(crate) names: &'a [String],
}

impl Objective {
    /// Whether more is better.
    #[must_use]
    pub fn more_is_better(&self) -> bool {
        !matches!(self, Self::Cost(_))
    }

    /// The costs to decide by while this is the objective.
    #[must_use]
    pub fn costs(&self) -> Option<&CostMatrix> {
        if let Self::Cost(costs) = self { Some(costs) } else { None }
    }

    /// The value; `None` where it is not defined on these rows.
    pub(crate) fn measure(&self, judged: &Judged<'_>) -> Result<Option<f64>, LearnError> {
        let report = || measure_classes(judged.classes, judged.decided, judged.names);
        Ok(match self {
            Self::RocAuc => roc_auc(judged.malicious, judged.scores),
            Self::AveragePrecision => average_precision(judged.malicious, judged.scores),
            Self::Accuracy => report()?.accuracy,
            Self::MacroF1 => report()?.macro_f1,
            Self::RecallAtFpr(fpr) => recall_at_fpr(judged.malicious, judged.scores, *fpr),
            Self::Ndcg => ndcg(judged.malicious, judged.scores, None),
            Self::Cost(costs) => costs.of_classes(judged.names)?.mean_cost(judged.classes, judged.decided)?,
        })
    }
}

impl std::fmt::Display for Objective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RocAuc => f.write_str("roc-auc"),
            Self::AveragePrecision => f.write_str("average-precision"),
            Self::Accuracy => f.write_str("accuracy"),
            Self::MacroF1 => f.write_str("macro-f1"),
            Self::RecallAtFpr(fpr) => write!(f, "recall-at-fpr:{fpr}"),
            Self::Ndcg => f.write_str("ndcg"),
            Self::Cost(costs) if *costs == CostMatrix::kdd99() => write!(f, "cost:{KDD99}"),
            Self::Cost(_) => f.write_str("cost"),
        }
    }
}

impl std::str::FromStr for Objective {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self, LearnError> {
        let known = [Self::RocAuc, Self::AveragePrecision, Self::Accuracy, Self::MacroF1, Self::Ndcg];
        if let Some(plain) = known.into_iter().find(|plain| plain.to_string() == text) {
            return Ok(plain);
        }
        let parsed = match text.split_once(':') {
            Some(("recall-at-fpr", fpr)) => {
                fpr.parse().ok().filter(|fpr| (0.0..1.0).contains(fpr)).map(Self::RecallAtFpr)
            }
            Some(("cost", name)) => CostMatrix::named(name).map(Self::Cost),
            _ => None,
        };
        parsed.ok_or_else(|| LearnError::Unknown {
            kind: "objective",
            name: text.to_owned(),
            known: "roc-auc, average-precision, accuracy, macro-f1, ndcg, recall-at-fpr:0.001, cost:kdd99"
                .to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objectives_are_read_as_they_are_written() {
        for text in [
            "roc-auc",
            "average-precision",
            "accuracy",
            "macro-f1",
            "ndcg",
            "recall-at-fpr:0.001",
            "cost:kdd99",
        ] {
            assert_eq!(text.parse::<Objective>().unwrap().to_string(), text);
        }
        for bad in ["auc", "cost", "cost:x", "recall-at-fpr:1", ""] {
            assert!(bad.parse::<Objective>().is_err(), "{bad}");
        }
    }
}
