//! `standard`: zero mean and unit (population) variance, as scikit-learn's `StandardScaler`.

use serde::{Deserialize, Serialize};

use super::{Outline, PrepSpec, Step, Values};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::table::FeatureKind;

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "standard",
    doc: "Shifts and scales each number to mean 0 and variance 1 over the training rows; missing values stay.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[],
    fit: |_, columns, _| Ok(Box::new(Standard { columns: columns.iter().map(Scale::of).collect() })),
    load: |bytes| {
        let step: Standard = unpack("step `standard`", bytes)?;
        step.check()?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct Standard {
    columns: Vec<Scale>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Scale {
    Text,
    Number { mean: f64, deviation: f64 },
}

impl Scale {
    /// Sums run over values divided by the largest, so that 1e300 squares without overflow; a constant column has deviation 1.
    fn of(column: &Values<'_>) -> Self {
        let Values::Numbers(numbers) = column else { return Self::Text };
        let present = || numbers.iter().copied().filter(|number| !number.is_nan());
        let (count, largest) =
            present().fold((0.0, 0f64), |(count, largest), x| (count + 1.0, largest.max(x.abs())));
        if count == 0.0 || largest == 0.0 {
            return Self::Number { mean: 0.0, deviation: 1.0 };
        }
        let mean = present().map(|x| x / largest).sum::<f64>() / count;
        let variance = present().map(|x| (x / largest - mean).powi(2)).sum::<f64>() / count;
        let deviation = variance.sqrt() * largest;
        let rounding = 10.0 * f64::EPSILON * largest;
        Self::Number { mean: mean * largest, deviation: if deviation > rounding { deviation } else { 1.0 } }
    }

    fn apply(self, x: f64) -> f64 {
        let Self::Number { mean, deviation } = self else { return x };
        super::affine::scaled(x, mean, deviation)
    }
}

impl Standard {
    fn check(&self) -> Result<(), LearnError> {
        let bad = |scale: &Scale| matches!(scale, Scale::Number { mean, deviation } if !(mean.is_finite() && deviation.is_finite() && *deviation > 0.0));
        match self.columns.iter().position(bad) {
            Some(column) => {
                Err(LearnError::File(format!("step `standard` has no valid scale for column {}", column + 1)))
            }
            None => Ok(()),
        }
    }
}

impl Step for Standard {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        let kind =
            |scale: &Scale| if *scale == Scale::Text { FeatureKind::Text } else { FeatureKind::Number };
        super::check_kinds(SPEC.name, &self.columns.iter().map(kind).collect::<Vec<_>>(), columns)?;
        Ok(super::numbers(columns))
    }

    fn apply<'a>(&self, mut columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        for (scale, column) in self.columns.iter().zip(&mut columns) {
            if let Values::Numbers(numbers) = column {
                numbers.iter_mut().for_each(|number| *number = scale.apply(*number));
            }
        }
        columns
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `standard`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standardised(numbers: &[f64]) -> Vec<f64> {
        let scale = Scale::of(&Values::Numbers(numbers.to_vec()));
        numbers.iter().map(|&x| scale.apply(x)).collect()
    }

    #[test]
    fn mean_and_variance_are_over_present_values() {
        let out = standardised(&[1.0, 3.0, f64::NAN]);
        assert_eq!(&out[..2], &[-1.0, 1.0]);
        assert!(out[2].is_nan());
    }

    #[test]
    fn constant_and_huge_columns_stay_finite() {
        assert_eq!(standardised(&[0.1; 3]), [0.0; 3]);
        for value in standardised(&[f64::MAX, -f64::MAX, 1e300, 0.0]) {
            assert!(value.is_finite() && value.abs() < 2.0);
        }
    }
}
