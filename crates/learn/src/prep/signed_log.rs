//! `signed-log`: sign(x) · ln(1 + |x|), for byte counts and durations that span many powers of ten.

use serde::{Deserialize, Serialize};

use super::{Outline, PrepSpec, Step, Values, check_kinds, kinds_of, numbers};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::table::FeatureKind;

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "signed-log",
    doc: "Replaces each number x by sign(x) ln(1 + |x|); words and missing values stay.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[],
    fit: |_, columns, _| Ok(Box::new(SignedLog { kinds: kinds_of(columns) })),
    load: |bytes| Ok(Box::new(unpack::<SignedLog>("step `signed-log`", bytes)?)),
};

#[derive(Serialize, Deserialize)]
struct SignedLog {
    kinds: Vec<FeatureKind>,
}

impl Step for SignedLog {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        check_kinds(SPEC.name, &self.kinds, columns)?;
        Ok(numbers(columns))
    }

    fn apply<'a>(&self, mut columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        for column in &mut columns {
            if let Values::Numbers(numbers) = column {
                numbers.iter_mut().for_each(|number| *number = number.abs().ln_1p().copysign(*number));
            }
        }
        columns
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `signed-log`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_sign_and_missing_values() {
        let step = SignedLog { kinds: vec![FeatureKind::Number] };
        let values = step.apply(vec![Values::Numbers(vec![0.0, 1.0, -1.0, f64::NAN, f64::MAX])]);
        let Values::Numbers(numbers) = &values[0] else { panic!("words") };
        assert_eq!(&numbers[..3], &[0.0, 2f64.ln(), -(2f64.ln())]);
        assert!(numbers[3].is_nan() && (numbers[4] - f64::MAX.ln()).abs() < 1e-9);
    }
}
