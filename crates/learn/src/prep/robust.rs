//! `robust`: median 0 and a range between two quantiles of 1, as scikit-learn's `RobustScaler`: outliers move neither.

use serde::{Deserialize, Serialize};

use super::affine::{self, Affine};
use super::{Labels, Outline, PrepSpec, Step, Values};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::params::{ParamKind, ParamSpec, Params};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "robust",
    doc: "Shifts each number by the median and divides it by the range between two percentiles of the training rows (the \
          interquartile range by default); missing values stay.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[
        ParamSpec {
            name: "low",
            kind: ParamKind::Float { min: 0.0, max: 100.0 },
            default: "25",
            doc: "The lower percentile.",
        },
        ParamSpec {
            name: "high",
            kind: ParamKind::Float { min: 0.0, max: 100.0 },
            default: "75",
            doc: "The upper percentile, above the lower one.",
        },
    ],
    fit,
    load: |bytes| {
        let step: Robust = unpack("step `robust`", bytes)?;
        affine::check(SPEC.name, &step.columns)?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct Robust {
    columns: Vec<Affine>,
}

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let (low, high) = (params.float("low"), params.float("high"));
    if low >= high {
        return Err(LearnError::Parameter {
            owner: SPEC.name.to_owned(),
            name: "low".to_owned(),
            expected: format!("a percentile below `high` ({high})"),
            found: low.to_string(),
        });
    }
    let scale = |column: &Values<'_>| match column {
        Values::Numbers(numbers) => scale_of(numbers, low / 100.0, high / 100.0),
        _ => Affine::Text,
    };
    Ok(Box::new(Robust { columns: columns.iter().map(scale).collect() }))
}

fn scale_of(numbers: &[f64], low: f64, high: f64) -> Affine {
    let mut present: Vec<f64> = numbers.iter().copied().filter(|number| !number.is_nan()).collect();
    present.sort_unstable_by(f64::total_cmp);
    Affine::new(quantile(&present, 0.5), quantile(&present, high) - quantile(&present, low))
}

/// A quantile of sorted numbers by linear interpolation (numpy's default); 0 without any.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let position = q * last as f64;
    let (below, part) = ((position as usize).min(last), position.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    // halves keep the difference of huge numbers finite
    low + (high / 2.0 - low / 2.0) * part * 2.0
}

impl Step for Robust {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        affine::outline(SPEC.name, &self.columns, columns)
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        affine::apply(&self.columns, columns, |number| number)
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `robust`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(numbers: &[f64], low: &str, high: &str) -> Result<Vec<f64>, LearnError> {
        let given = [("low".to_owned(), low.to_owned()), ("high".to_owned(), high.to_owned())].into();
        let values = vec![Values::Numbers(numbers.to_vec())];
        let step = fit(&Params::check(SPEC.name, SPEC.params, &given)?, &values, Labels::NONE)?;
        let Values::Numbers(out) = step.apply(values).remove(0) else { panic!("words") };
        Ok(out)
    }

    #[test]
    fn the_median_goes_to_0_and_the_quartiles_lie_1_apart() {
        // sorted 1 2 4 8 100: quartiles 2 and 8, median 4
        let out = scaled(&[100.0, 1.0, 8.0, f64::NAN, 2.0, 4.0], "25", "75").unwrap();
        assert_eq!((&out[..3], &out[4..]), (&[16.0, -0.5, 2.0 / 3.0][..], &[-1.0 / 3.0, 0.0][..]));
        assert!(out[3].is_nan());
        // between two values: the 10th percentile of 0 1 2 3 is 0.3, the 90th 2.7
        let out = scaled(&[0.0, 1.0, 2.0, 3.0], "10", "90").unwrap();
        assert!((out[3] - 1.5 / 2.4).abs() < 1e-15, "{out:?}");
    }

    #[test]
    fn a_range_without_width_scales_nothing_and_bad_percentiles_are_refused() {
        assert_eq!(scaled(&[5.0, 5.0, 5.0, 5.0, 5.0, 9.0], "25", "75").unwrap()[5], 4.0);
        let huge = scaled(&[f64::MAX, -f64::MAX, 0.0], "0", "100").unwrap();
        assert!(huge.iter().all(|x| x.is_finite()));
        assert!(scaled(&[1.0], "75", "25").unwrap_err().to_string().contains("below `high` (25)"));
    }
}
