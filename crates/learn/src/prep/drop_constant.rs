//! `drop-constant`: leaves out columns with a single value in training, from which nothing can be learnt.

use serde::{Deserialize, Serialize};

use super::{Outline, PrepSpec, Step, Values, check_kinds, kinds_of};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::table::FeatureKind;

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "drop-constant",
    doc: "Leaves out columns that hold one value (or are missing) in every training row.",
    takes_lists: false,
    params: &[],
    fit: |_, columns| {
        Ok(Box::new(DropConstant { kinds: kinds_of(columns), keep: columns.iter().map(varies).collect() }))
    },
    load: |bytes| {
        let step: DropConstant = unpack("step `drop-constant`", bytes)?;
        if step.kinds.len() != step.keep.len() {
            return Err(LearnError::File("step `drop-constant` has lists of different lengths".into()));
        }
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct DropConstant {
    kinds: Vec<FeatureKind>,
    keep: Vec<bool>,
}

fn varies(column: &Values<'_>) -> bool {
    match column {
        Values::Numbers(numbers) => {
            numbers.windows(2).any(|pair| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan()))
        }
        Values::Words { codes, .. } => codes.windows(2).any(|pair| pair[0] != pair[1]),
        Values::Lists(_) => true,
    }
}

impl DropConstant {
    fn kept<T>(&self, columns: impl IntoIterator<Item = T>) -> Vec<T> {
        columns.into_iter().zip(&self.keep).filter(|(_, keep)| **keep).map(|(column, _)| column).collect()
    }
}

impl Step for DropConstant {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        check_kinds(SPEC.name, &self.kinds, columns)?;
        Ok(self.kept(columns.iter().cloned()))
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        self.kept(columns)
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `drop-constant`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_varies_when_two_rows_differ_or_only_some_are_missing() {
        let number = |values: &[f64]| varies(&Values::Numbers(values.to_vec()));
        assert!(number(&[1.0, 1.0, 2.0]) && number(&[1.0, f64::NAN]));
        assert!(
            !number(&[1.0, 1.0]) && !number(&[f64::NAN, f64::NAN]) && !number(&[0.0, -0.0]) && !number(&[])
        );
    }
}
