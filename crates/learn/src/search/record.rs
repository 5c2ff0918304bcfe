//! What a search tried and found, as the training record keeps it.

use serde::{Deserialize, Serialize};

use super::space::Candidate;

/// A search and all its candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchRecord {
    /// How candidates were drawn.
    pub method: String,
    /// What was made best.
    pub objective: String,
    /// How rows were held out.
    pub split: String,
    /// Folds measured.
    pub folds: u64,
    /// Place of the winner in `candidates`.
    pub best: u64,
    /// In the order they were drawn.
    pub candidates: Vec<CandidateRecord>,
}

/// One set of hyperparameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateRecord {
    /// Hyperparameters as typed; what is not here had its default.
    pub params: Candidate,
    /// Mean of the objective over the folds of its last round; `None` where it was defined on none.
    pub mean: Option<f64>,
    /// Its standard deviation over those folds (of a sample); `None` with fewer than 2.
    pub sd: Option<f64>,
    /// The objective on each of those folds.
    pub values: Vec<Option<f64>>,
    /// Share of the training rows used in its last round.
    pub share: f64,
    /// Whether it was given up before all folds because it had no hope.
    pub discarded: bool,
}

impl SearchRecord {
    /// The winner's hyperparameters; none where the record is damaged.
    #[must_use]
    pub fn best_params(&self) -> Candidate {
        let best = usize::try_from(self.best).ok().and_then(|best| self.candidates.get(best));
        best.map(|best| best.params.clone()).unwrap_or_default()
    }
}

impl CandidateRecord {
    pub(super) fn new(params: Candidate) -> Self {
        Self { params, mean: None, sd: None, values: Vec::new(), share: 1.0, discarded: false }
    }

    pub(super) fn begin_round(&mut self, share: f64) {
        (self.share, self.mean, self.sd) = (share, None, None);
        self.values.clear();
    }

    pub(super) fn summarise(&mut self) {
        let values: Vec<f64> = self.values.iter().copied().flatten().collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        self.mean = (!values.is_empty()).then_some(mean);
        self.sd = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    }
}
