//! `drop-constant`: leaves out columns with a single value in training, from which nothing can be learnt.

use super::kept::Kept;
use super::{PrepSpec, Values};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "drop-constant",
    doc: "Leaves out columns that hold one value (or are missing) in every training row.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[],
    fit: |_, columns, _| Ok(Box::new(Kept::new(SPEC.name, columns, columns.iter().map(varies).collect()))),
    load: |bytes| Kept::load(SPEC.name, bytes),
};

fn varies(column: &Values<'_>) -> bool {
    match column {
        Values::Numbers(numbers) => {
            numbers.windows(2).any(|pair| pair[0] != pair[1] && !(pair[0].is_nan() && pair[1].is_nan()))
        }
        Values::Words { codes, .. } => codes.windows(2).any(|pair| pair[0] != pair[1]),
        Values::Lists(_) => true,
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
