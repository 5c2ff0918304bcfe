//! `pca`: principal components in place of the numbers.

use serde::{Deserialize, Serialize};

use super::{Labels, Outline, PrepSpec, Step, Values};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::ctx::Ctx;
use crate::matrix::Matrix;
use crate::params::{ParamKind, ParamSpec, Params};
use crate::project::pca::{Keep, Pca};
use crate::table::FeatureKind;

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "pca",
    doc: "Puts principal components in place of the numbers: orthogonal directions along which training rows vary most. \
          Scale the numbers first. A missing value counts as its column's mean; reasons name the feature that weighs most \
          in a component.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[
        ParamSpec {
            name: "components",
            kind: ParamKind::ChoiceOrFloat { words: &["all"], min: 0.001, max: 4096.0 },
            default: "all",
            doc: "From 1: how many components, a whole number; below 1: the share of the variance they must explain.",
        },
        ParamSpec {
            name: "whiten",
            kind: ParamKind::Bool,
            default: "false",
            doc: "Whether components are scaled to variance 1.",
        },
    ],
    fit,
    load: |bytes| {
        let step: Components = unpack("step `pca`", bytes)?;
        step.check()?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct Components {
    /// Per column whether it is text, which passes by.
    text: Vec<bool>,
    /// `None` without numbers.
    pca: Option<Pca>,
}

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let keep = match params.float_or_word("components") {
        None => Keep::All,
        Some(share) if share < 1.0 => Keep::Share(share),
        Some(count) if count.fract() == 0.0 => Keep::Count(count as usize),
        Some(count) => {
            return Err(LearnError::Parameter {
                owner: SPEC.name.to_owned(),
                name: "components".to_owned(),
                expected: "a whole number, or a share below 1".to_owned(),
                found: count.to_string(),
            });
        }
    };
    let text = columns.iter().map(|column| !matches!(column, Values::Numbers(_))).collect();
    let numbers: Vec<&[f64]> = numbers(columns).collect();
    let pca = if numbers.is_empty() {
        None
    } else {
        Some(Pca::fit(&filled(&numbers), keep, params.bool("whiten"), &Ctx::new(0, 1))?)
    };
    Ok(Box::new(Components { text, pca }))
}

fn numbers<'a>(columns: &'a [Values<'_>]) -> impl Iterator<Item = &'a [f64]> {
    columns
        .iter()
        .filter_map(|column| if let Values::Numbers(numbers) = column { Some(&numbers[..]) } else { None })
}

/// The columns as rows, missing values filled with the mean of their column; one row of zeros when there is none.
fn filled(columns: &[&[f64]]) -> Matrix {
    let mut x = Matrix::zeros(columns[0].len().max(1), columns.len());
    for (place, numbers) in columns.iter().enumerate() {
        let present = || numbers.iter().filter(|x| !x.is_nan());
        let count = present().count().max(1) as f64;
        let mean: f64 = present().map(|x| x / count).sum();
        for (row, number) in numbers.iter().enumerate() {
            x.row_mut(row)[place] = if number.is_nan() { mean } else { *number };
        }
    }
    x
}

impl Components {
    fn check(&self) -> Result<(), LearnError> {
        let numbers = self.text.iter().filter(|text| !**text).count();
        let fits = match &self.pca {
            None => numbers == 0,
            Some(pca) => pca.is_valid() && pca.columns() == numbers,
        };
        if fits {
            return Ok(());
        }
        Err(LearnError::File("step `pca` has lists of the wrong length or values out of range".into()))
    }
}

impl Step for Components {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        let kind = |text: &bool| if *text { FeatureKind::Text } else { FeatureKind::Number };
        super::check_kinds(SPEC.name, &self.text.iter().map(kind).collect::<Vec<_>>(), columns)?;
        let (text, numbers): (Vec<&Outline>, Vec<&Outline>) =
            columns.iter().partition(|column| column.kind == FeatureKind::Text);
        let mut out: Vec<Outline> = text.into_iter().cloned().collect();
        for (pca, component) in self.pca.iter().flat_map(|pca| (0..pca.components()).map(move |c| (pca, c))) {
            let weights = pca.component(component);
            let heaviest =
                (0..weights.len()).rev().max_by(|a, b| weights[*a].abs().total_cmp(&weights[*b].abs()));
            let most = numbers[heaviest.unwrap_or(0)];
            let name = format!("pca{}({})", component + 1, most.name);
            out.push(Outline { name, kind: FeatureKind::Number, source: most.source, categorical: false });
        }
        Ok(out)
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        let made: Vec<Values<'a>> = {
            let numbers: Vec<&[f64]> = numbers(&columns).collect();
            let along = |(pca, component): (&Pca, usize)| {
                let mut out = vec![0.0; numbers[0].len()];
                pca.along(component, |column| numbers[column], &mut out);
                Values::Numbers(out)
            };
            let components = self.pca.iter().flat_map(|pca| (0..pca.components()).map(move |c| (pca, c)));
            components.map(along).collect()
        };
        columns.into_iter().filter(|column| !matches!(column, Values::Numbers(_))).chain(made).collect()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `pca`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_take_the_place_of_numbers_and_name_the_heaviest() {
        let words = vec!["tcp".to_owned()];
        let columns = vec![
            Values::Numbers(vec![0.0, 10.0, 20.0, f64::NAN]),
            Values::Words { codes: vec![0; 4], words: &words },
            Values::Numbers(vec![0.0, 1.0, 2.0, 1.0]),
        ];
        let given = [("components".to_owned(), "0.99".to_owned())].into();
        let params = Params::check(SPEC.name, SPEC.params, &given).unwrap();
        let step = fit(&params, &columns, Labels::NONE).unwrap();
        let outline =
            |name: &str, kind, source| Outline { name: name.to_owned(), kind, source, categorical: false };
        let before = [
            outline("bytes", FeatureKind::Number, 0),
            outline("protocol", FeatureKind::Text, 1),
            outline("rate", FeatureKind::Number, 2),
        ];
        let after = step.outline(&before).unwrap();
        let names: Vec<_> = after.iter().map(|column| (column.name.as_str(), column.source)).collect();
        assert_eq!(names, [("protocol", 1), ("pca1(bytes)", 0)]);
        let Values::Numbers(made) = &step.apply(columns)[1] else { panic!("no numbers") };
        let length = 101f64.sqrt();
        assert!(made.iter().zip([-length, 0.0, length, 0.0]).all(|(a, b)| (a - b).abs() < 1e-12), "{made:?}");
        let given = [("components".to_owned(), "1.5".to_owned())].into();
        let params = Params::check(SPEC.name, SPEC.params, &given).unwrap();
        assert!(fit(&params, &[], Labels::NONE).is_err());
    }
}
