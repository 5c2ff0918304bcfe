//! `categories`: words become whole numbers for models that split a category by its values and not by their order.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::one_hot::frequent;
use super::{Labels, Outline, PrepSpec, Step, Values, check_kinds};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::table::{FeatureKind, MISSING};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "categories",
    doc: "Replaces each text column by codes 0, 1, .. of its frequent words by alphabet and one more code for all other words; \
          models that know categories are told that these are codes.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[
        ParamSpec {
            name: "words",
            kind: ParamKind::Int { min: 1, max: 10_000 },
            default: "254",
            doc: "Most frequent words of a column to have a code of their own.",
        },
        ParamSpec {
            name: "rows",
            kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
            default: "1",
            doc: "Training rows a word must appear in to have a code of its own.",
        },
        ParamSpec {
            name: "missing",
            kind: ParamKind::Choice(&["nan", "other"]),
            default: "nan",
            doc: "What a missing word becomes: a missing number, or the code of all other words.",
        },
    ],
    fit,
    load: |bytes| {
        let step: Categories = unpack("step `categories`", bytes)?;
        step.check()?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct Categories {
    /// Per column the words with a code of their own, sorted; `None` for a numeric column.
    columns: Vec<Option<Vec<String>>>,
    missing_is_other: bool,
}

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let keep = |column: &Values<'_>| match column {
        Values::Numbers(_) | Values::Lists(_) => None,
        Values::Words { codes, words } => {
            Some(frequent(codes, words, params.int("words"), params.int("rows")))
        }
    };
    Ok(Box::new(Categories {
        columns: columns.iter().map(keep).collect(),
        missing_is_other: params.text("missing") == "other",
    }))
}

impl Categories {
    fn check(&self) -> Result<(), LearnError> {
        let sorted = |words: &Vec<String>| words.is_sorted_by(|a, b| a < b);
        if self.columns.iter().flatten().all(sorted) {
            return Ok(());
        }
        Err(LearnError::File("step `categories` has words that are not sorted".into()))
    }

    fn code(&self, codes: &[u32], words: &[String], kept: &[String]) -> Vec<f64> {
        let missing = if self.missing_is_other { kept.len() as f64 } else { f64::NAN };
        let mut places: HashMap<u32, f64> = HashMap::from([(MISSING, missing)]);
        let mut place = |&code: &u32| {
            *places
                .entry(code)
                .or_insert_with(|| kept.binary_search(&words[code as usize]).unwrap_or(kept.len()) as f64)
        };
        codes.iter().map(&mut place).collect()
    }
}

impl Step for Categories {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        let kind = |words: &Option<_>| if words.is_some() { FeatureKind::Text } else { FeatureKind::Number };
        check_kinds(SPEC.name, &self.columns.iter().map(kind).collect::<Vec<_>>(), columns)?;
        let coded = |(words, column): (&Option<_>, &Outline)| match words {
            Some(_) => Outline { kind: FeatureKind::Number, categorical: true, ..column.clone() },
            None => column.clone(),
        };
        Ok(self.columns.iter().zip(columns).map(coded).collect())
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        let coded = |(kept, column): (&Option<Vec<String>>, Values<'a>)| match (kept, column) {
            (Some(kept), Values::Words { codes, words }) => Values::Numbers(self.code(&codes, words, kept)),
            (_, column) => column,
        };
        self.columns.iter().zip(columns).map(coded).collect()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `categories`", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TextColumn;

    fn coded(given: &[(&str, &str)]) -> Vec<f64> {
        let seen = TextColumn::from_texts([Some("b"), Some("a"), Some("b"), Some("rare"), None]);
        let new = TextColumn::from_texts([Some("new"), Some("b"), None, Some("rare"), Some("a")]);
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let params = Params::check(SPEC.name, SPEC.params, &given).unwrap();
        let learn = [Values::Words { codes: seen.codes, words: &seen.words }];
        let step = fit(&params, &learn, Labels::NONE).unwrap();
        let Values::Numbers(out) =
            step.apply(vec![Values::Words { codes: new.codes.clone(), words: &new.words }]).remove(0)
        else {
            panic!("words")
        };
        out
    }

    #[test]
    fn unseen_and_rare_words_share_the_last_code() {
        let all = coded(&[]);
        assert_eq!((&all[..2], &all[3..]), (&[3.0, 1.0][..], &[2.0, 0.0][..]), "a 0, b 1, rare 2, other 3");
        assert!(all[2].is_nan());
        assert_eq!(coded(&[("words", "2"), ("missing", "other")]), [2.0, 1.0, 2.0, 2.0, 0.0]);
        assert_eq!(coded(&[("rows", "2"), ("missing", "other")]), [1.0, 0.0, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn the_column_is_known_to_hold_codes() {
        let step = Categories { columns: vec![None, Some(vec![])], missing_is_other: false };
        let column = |kind| Outline { name: "x".into(), kind, source: 3, categorical: false };
        let out = step.outline(&[column(FeatureKind::Number), column(FeatureKind::Text)]).unwrap();
        assert_eq!((out[0].categorical, out[1].categorical), (false, true));
        assert_eq!((out[1].kind, out[1].source), (FeatureKind::Number, 3));
    }
}
