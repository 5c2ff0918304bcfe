//! A step that leaves columns out and changes none: what `drop-constant`, `correlated` and `select` are once they have learnt.

use serde::{Deserialize, Serialize};

use super::{Outline, Step, Values, check_kinds, kinds_of};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::table::FeatureKind;

/// The columns a step keeps.
pub(super) struct Kept {
    step: &'static str,
    state: State,
}

#[derive(Serialize, Deserialize)]
struct State {
    kinds: Vec<FeatureKind>,
    keep: Vec<bool>,
}

impl Kept {
    /// Keeps those of `columns` whose place in `keep` says so.
    pub(super) fn new(step: &'static str, columns: &[Values<'_>], keep: Vec<bool>) -> Self {
        Self { step, state: State { kinds: kinds_of(columns), keep } }
    }

    /// Reads what was saved.
    pub(super) fn load(step: &'static str, bytes: &[u8]) -> Result<Box<dyn Step>, LearnError> {
        let state: State = unpack(&format!("step `{step}`"), bytes)?;
        if state.kinds.len() != state.keep.len() {
            return Err(LearnError::File(format!("step `{step}` has lists of different lengths")));
        }
        Ok(Box::new(Self { step, state }))
    }

    fn of<T>(&self, columns: impl IntoIterator<Item = T>) -> Vec<T> {
        let kept = columns.into_iter().zip(&self.state.keep).filter(|(_, keep)| **keep);
        kept.map(|(column, _)| column).collect()
    }
}

impl Step for Kept {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        check_kinds(self.step, &self.state.kinds, columns)?;
        Ok(self.of(columns.iter().cloned()))
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        self.of(columns)
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack(&format!("step `{}`", self.step), &self.state)
    }
}
