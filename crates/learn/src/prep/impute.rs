//! `impute`: fills missing numbers with a value learnt from the training rows; can say in a column of its own where it did.

use serde::{Deserialize, Serialize};

use super::{Labels, Outline, PrepSpec, Step, Values};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::table::FeatureKind;

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "impute",
    doc: "Fills missing numbers with the column's median, mean or 0 over the training rows (0 when all are missing).",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[
        ParamSpec {
            name: "with",
            kind: ParamKind::Choice(&["median", "mean", "zero"]),
            default: "median",
            doc: "What to fill with.",
        },
        ParamSpec {
            name: "indicator",
            kind: ParamKind::Bool,
            default: "false",
            doc: "Add a 0/1 column beside each column that had missing values in training.",
        },
    ],
    fit,
    load: |bytes| {
        let step: Impute = unpack("step `impute`", bytes)?;
        step.check()?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct Impute {
    columns: Vec<Fill>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Fill {
    Text,
    Number { value: f64, indicator: bool },
}

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let fill = |column: &Values<'_>| {
        let Values::Numbers(numbers) = column else { return Fill::Text };
        let present: Vec<f64> = numbers.iter().copied().filter(|number| !number.is_nan()).collect();
        let indicator = params.bool("indicator") && present.len() < numbers.len();
        Fill::Number { value: fill_value(params.text("with"), present), indicator }
    };
    Ok(Box::new(Impute { columns: columns.iter().map(fill).collect() }))
}

fn fill_value(with: &str, mut present: Vec<f64>) -> f64 {
    let count = present.len();
    match with {
        _ if count == 0 => 0.0,
        "median" => {
            let (below, &mut upper, _) = present.select_nth_unstable_by(count / 2, f64::total_cmp);
            let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if count % 2 == 1 { upper } else { lower / 2.0 + upper / 2.0 }
        }
        "mean" => present.iter().map(|number| number / count as f64).sum(),
        _ => 0.0,
    }
}

impl Impute {
    fn check(&self) -> Result<(), LearnError> {
        let bad =
            self.columns.iter().any(|fill| matches!(fill, Fill::Number { value, .. } if !value.is_finite()));
        if bad {
            Err(LearnError::File("step `impute` fills with a value that is not finite".into()))
        } else {
            Ok(())
        }
    }
}

impl Step for Impute {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        let kind =
            |fill: &Fill| if matches!(fill, Fill::Text) { FeatureKind::Text } else { FeatureKind::Number };
        super::check_kinds(SPEC.name, &self.columns.iter().map(kind).collect::<Vec<_>>(), columns)?;
        let mut out = Vec::with_capacity(columns.len());
        for (fill, column) in self.columns.iter().zip(columns) {
            // what fills a gap between codes is none of them
            let categorical = column.categorical && *fill == Fill::Text;
            out.push(Outline { categorical, ..column.clone() });
            if let Fill::Number { indicator: true, .. } = fill {
                let name = format!("{} is missing", column.name);
                let (kind, source) = (FeatureKind::Number, column.source);
                out.push(Outline { name, kind, source, categorical: false });
            }
        }
        Ok(out)
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        let mut out = Vec::with_capacity(columns.len());
        for (fill, column) in self.columns.iter().zip(columns) {
            match (fill, column) {
                (&Fill::Number { value, indicator }, Values::Numbers(mut numbers)) => {
                    let missing =
                        indicator.then(|| numbers.iter().map(|number| f64::from(number.is_nan())).collect());
                    numbers.iter_mut().filter(|number| number.is_nan()).for_each(|number| *number = value);
                    out.push(Values::Numbers(numbers));
                    out.extend(missing.map(Values::Numbers));
                }
                (_, column) => out.push(column),
            }
        }
        out
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `impute`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_with_what_was_asked_for() {
        let present = || vec![4.0, 1.0, 2.0, 9.0];
        assert_eq!(fill_value("median", present()), 3.0);
        assert_eq!(fill_value("median", vec![4.0, 1.0, 2.0]), 2.0);
        assert_eq!(fill_value("mean", present()), 4.0);
        assert_eq!(fill_value("zero", present()), 0.0);
        assert_eq!(fill_value("median", Vec::new()), 0.0);
        assert_eq!(fill_value("median", vec![f64::MAX, f64::MAX]), f64::MAX);
    }

    #[test]
    fn an_indicator_stands_beside_its_column() {
        let params =
            Params::check("impute", SPEC.params, &[("indicator".into(), "true".into())].into()).unwrap();
        let values = vec![Values::Numbers(vec![1.0, f64::NAN, 3.0]), Values::Numbers(vec![0.0; 3])];
        let step = fit(&params, &values, Labels::NONE).unwrap();
        let out = step.apply(values);
        assert_eq!(out[0], Values::Numbers(vec![1.0, 2.0, 3.0]));
        assert_eq!(out[1], Values::Numbers(vec![0.0, 1.0, 0.0]));
        assert_eq!(out.len(), 3, "no indicator for a column without missing values");
    }
}
