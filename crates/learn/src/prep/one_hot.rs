//! `one-hot`: one 0/1 column per word seen in training, and an explicit column for every other word.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Labels, Outline, PrepSpec, Step, Values};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::table::{FeatureKind, MISSING};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "one-hot",
    doc: "Replaces each text column by a 0/1 column per frequent word and one for all other words; a missing word is all zeros.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[
        ParamSpec {
            name: "words",
            kind: ParamKind::Int { min: 1, max: 10_000 },
            default: "100",
            doc: "Most frequent words of a column to keep.",
        },
        ParamSpec {
            name: "rows",
            kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
            default: "1",
            doc: "Training rows a word must appear in to be kept.",
        },
    ],
    fit,
    load: |bytes| {
        let step: OneHot = unpack("step `one-hot`", bytes)?;
        step.check()?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct OneHot {
    /// Per column the words kept, sorted; `None` for a numeric column.
    columns: Vec<Option<Vec<String>>>,
}

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let keep = |column: &Values<'_>| match column {
        Values::Numbers(_) | Values::Lists(_) => None,
        Values::Words { codes, words } => {
            Some(frequent(codes, words, params.int("words"), params.int("rows")))
        }
    };
    Ok(Box::new(OneHot { columns: columns.iter().map(keep).collect() }))
}

/// The `most` most frequent words that appear in at least `rows` rows (ties by alphabet), sorted by alphabet.
pub(super) fn frequent(codes: &[u32], words: &[String], most: usize, rows: usize) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in codes.iter().filter_map(|&code| words.get(code as usize)) {
        *counts.entry(word).or_default() += 1;
    }
    let mut ranked: Vec<_> = counts.into_iter().filter(|&(_, count)| count >= rows).collect();
    ranked.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let mut kept: Vec<String> = ranked.into_iter().take(most).map(|(word, _)| word.to_owned()).collect();
    kept.sort();
    kept
}

impl OneHot {
    fn check(&self) -> Result<(), LearnError> {
        let sorted = |words: &Vec<String>| words.is_sorted_by(|a, b| a < b);
        if self.columns.iter().flatten().all(sorted) {
            return Ok(());
        }
        Err(LearnError::File("step `one-hot` keeps words that are not sorted".into()))
    }
}

impl Step for OneHot {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        let kind = |words: &Option<_>| if words.is_some() { FeatureKind::Text } else { FeatureKind::Number };
        super::check_kinds(SPEC.name, &self.columns.iter().map(kind).collect::<Vec<_>>(), columns)?;
        let mut out = Vec::new();
        for (words, column) in self.columns.iter().zip(columns) {
            let Some(words) = words else {
                out.push(column.clone());
                continue;
            };
            let named = |word: &str| Outline {
                name: format!("{}={word}", column.name),
                kind: FeatureKind::Number,
                source: column.source,
                categorical: false,
            };
            out.extend(words.iter().map(|word| named(word)));
            out.push(named("(other)"));
        }
        Ok(out)
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        let mut out = Vec::new();
        for (kept, column) in self.columns.iter().zip(columns) {
            match (kept, column) {
                (Some(kept), Values::Words { codes, words }) => {
                    out.extend(expand(&codes, words, kept).into_iter().map(Values::Numbers));
                }
                (_, column) => out.push(column),
            }
        }
        out
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `one-hot`", self)
    }
}

/// One column per kept word, then the one for all others.
fn expand(codes: &[u32], words: &[String], kept: &[String]) -> Vec<Vec<f64>> {
    let mut columns = vec![vec![0.0; codes.len()]; kept.len() + 1];
    let mut places: HashMap<u32, usize> = HashMap::new();
    for (row, &code) in codes.iter().enumerate().filter(|&(_, &code)| code != MISSING) {
        let place = *places
            .entry(code)
            .or_insert_with(|| kept.binary_search(&words[code as usize]).unwrap_or(kept.len()));
        columns[place][row] = 1.0;
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TextColumn;

    #[test]
    fn unseen_and_rare_words_go_to_other_and_missing_ones_nowhere() {
        let seen = TextColumn::from_texts([Some("b"), Some("a"), Some("b"), Some("rare"), None]);
        let kept = frequent(&seen.codes, &seen.words, 2, 1);
        assert_eq!(kept, ["a", "b"], "`a` and `rare` tie and the alphabet decides");
        let new = TextColumn::from_texts([Some("new"), Some("b"), None, Some("rare"), Some("a")]);
        let columns = expand(&new.codes, &new.words, &kept);
        assert_eq!(columns[0], [0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(columns[1], [0.0, 1.0, 0.0, 0.0, 0.0]);
        assert_eq!(columns[2], [1.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
