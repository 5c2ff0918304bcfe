//! `min-max`: the range seen in training becomes 0 to 1, as scikit-learn's `MinMaxScaler`.

use serde::{Deserialize, Serialize};

use super::affine::{self, Affine};
use super::{Labels, Outline, PrepSpec, Step, Values};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::params::{ParamKind, ParamSpec, Params};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "min-max",
    doc: "Shifts and scales each number so that the training rows run from 0 to 1; missing values stay.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[ParamSpec {
        name: "clip",
        kind: ParamKind::Bool,
        default: "false",
        doc: "Set what lies outside the range of the training rows to 0 or 1.",
    }],
    fit,
    load: |bytes| {
        let step: MinMax = unpack("step `min-max`", bytes)?;
        affine::check(SPEC.name, &step.columns)?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct MinMax {
    columns: Vec<Affine>,
    clip: bool,
}

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let scale = |column: &Values<'_>| match column {
        Values::Numbers(numbers) => {
            let present = || numbers.iter().copied().filter(|number| !number.is_nan());
            let (low, high) = (present().reduce(f64::min), present().reduce(f64::max));
            Affine::new(low.unwrap_or(0.0), high.unwrap_or(0.0) - low.unwrap_or(0.0))
        }
        _ => Affine::Text,
    };
    Ok(Box::new(MinMax { columns: columns.iter().map(scale).collect(), clip: params.bool("clip") }))
}

impl Step for MinMax {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        affine::outline(SPEC.name, &self.columns, columns)
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        let clip = self.clip;
        affine::apply(&self.columns, columns, |number| if clip { number.clamp(0.0, 1.0) } else { number })
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `min-max`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(clip: &str, learn: &[f64], new: &[f64]) -> Vec<f64> {
        let given = [("clip".to_owned(), clip.to_owned())].into();
        let params = Params::check(SPEC.name, SPEC.params, &given).unwrap();
        let step = fit(&params, &[Values::Numbers(learn.to_vec())], Labels::NONE).unwrap();
        let Values::Numbers(out) = step.apply(vec![Values::Numbers(new.to_vec())]).remove(0) else {
            panic!("words")
        };
        out
    }

    #[test]
    fn the_range_becomes_0_to_1_and_what_is_outside_is_clipped_on_demand() {
        let (learn, new) = ([2.0, 6.0, f64::NAN, 4.0], [2.0, 5.0, 6.0, 10.0, -2.0]);
        assert_eq!(scaled("false", &learn, &new), [0.0, 0.75, 1.0, 2.0, -1.0]);
        assert_eq!(scaled("true", &learn, &new), [0.0, 0.75, 1.0, 1.0, 0.0]);
        assert!(scaled("true", &learn, &[f64::NAN])[0].is_nan());
    }

    #[test]
    fn constant_and_huge_columns_stay_finite() {
        assert_eq!(scaled("false", &[7.0; 3], &[7.0, 8.0]), [0.0, 1.0]);
        let huge = scaled("false", &[f64::MAX, -f64::MAX], &[f64::MAX, -f64::MAX, 0.0]);
        assert!(huge.iter().all(|x| x.is_finite()), "{huge:?}");
    }
}
