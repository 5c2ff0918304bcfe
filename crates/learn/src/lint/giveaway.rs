//! `giveaway`: single columns that tell the label, or one family, by one threshold or by which word they hold.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::{Check, Finding, Severity, View, listed, percent};
use crate::LearnError;
use crate::table::{Column, Field, TextColumn};

/// The line of the table.
pub(super) static CHECK: Check = Check {
    name: "giveaway",
    doc: "Columns that alone tell malicious from benign rows, or one family from all others, by one threshold or by their words.",
    run,
};

/// Above this area a single split tells the label.
const TELLS: f64 = 0.99;
/// Above this area a single split tells a family.
const TELLS_FAMILY: f64 = 0.999;
/// Rows a class or family must have for a split to mean anything.
const LEAST_ROWS: usize = 10;
/// Families looked at, the largest first.
const MOST_FAMILIES: usize = 64;

/// A single split of a column.
pub(super) struct Split {
    /// Area under the ROC curve of the two sides: (recall + specificity) / 2, from 0.5 to 1.
    pub(super) auc: f64,
    /// Rows are apart at this value: up to it, and above.
    pub(super) at: f64,
}

/// The threshold that best tells labelled rows apart; missing values are below all others. `None` without both classes.
pub(super) fn best_split(numbers: &[f64], labels: &[Option<bool>]) -> Option<Split> {
    let rows = numbers.iter().zip(labels).filter_map(|(&number, label)| Some((number, u32::from((*label)?))));
    splits(rows.collect(), 2).pop()
}

/// For each class the threshold that best tells it from all others; empty unless two classes have rows enough.
fn splits(mut rows: Vec<(f64, u32)>, classes: usize) -> Vec<Split> {
    let mut totals = vec![0u32; classes];
    rows.iter().for_each(|&(_, class)| totals[class as usize] += 1);
    if totals.iter().filter(|&&total| total > 0).count() < 2 {
        return Vec::new();
    }
    let all = rows.len() as f64;
    rows.iter_mut().filter(|row| row.0.is_nan()).for_each(|row| row.0 = f64::NEG_INFINITY);
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut below = vec![0u32; classes];
    let mut best: Vec<Split> = (0..classes).map(|_| Split { auc: 0.5, at: f64::NAN }).collect();
    let mut passed = 0.0;
    for equal in rows.chunk_by(|a, b| a.0 == b.0) {
        passed += equal.len() as f64;
        equal.iter().for_each(|&(_, class)| below[class as usize] += 1);
        for ((split, &below), &total) in best.iter_mut().zip(&below).zip(&totals) {
            let (below, total) = (f64::from(below), f64::from(total));
            let apart = (below / total - (passed - below) / (all - total)).abs();
            let auc = f64::midpoint(1.0, apart);
            if auc > split.auc {
                *split = Split { auc, at: equal[0].0 };
            }
        }
    }
    best
}

/// The area when each word stands for the class it is commoner in, and the rows with words seen in one class only.
fn words_tell(text: &TextColumn, labels: &[Option<bool>]) -> Option<(f64, Vec<String>)> {
    let mut counts: HashMap<u32, [f64; 2]> = HashMap::new();
    for (code, label) in text.codes.iter().zip(labels) {
        let Some(label) = label else { continue };
        counts.entry(*code).or_default()[usize::from(*label)] += 1.0;
    }
    let [benign, malicious] = [0, 1].map(|class| counts.values().map(|count| count[class]).sum::<f64>());
    let distinct = counts.len() as f64;
    // words of nearly every row tell nothing but the row
    if benign * malicious == 0.0 || distinct * 10.0 > benign + malicious {
        return None;
    }
    let mut counts: Vec<(u32, [f64; 2])> = counts.into_iter().collect();
    counts.sort_unstable_by_key(|(code, _)| *code);
    let gap = |count: &[f64; 2]| (count[1] / malicious - count[0] / benign).max(0.0);
    let apart: f64 = counts.iter().map(|(_, count)| gap(count)).sum();
    let telling = counts.iter().filter(|(_, count)| gap(count) > 0.5);
    let words = telling.filter_map(|(code, _)| text.words.get(*code as usize).cloned()).collect();
    Some((f64::midpoint(1.0, apart), words))
}

fn run(view: &View<'_>) -> Result<Vec<Finding>, LearnError> {
    if view.classes().iter().any(|&rows| rows < LEAST_ROWS) {
        return Ok(Vec::new());
    }
    let families = family_codes(view);
    let look = |(field, column): &(&Field, &Column)| {
        view.ctx.check()?;
        Ok(look(field, column, &view.labels, &families))
    };
    let found: Result<Vec<Vec<Finding>>, LearnError> = view.features.par_iter().map(look).collect();
    Ok(found?.into_iter().flatten().collect())
}

/// Names of the families looked at, and per row its place among them, or one more for all other rows.
struct Families {
    names: Vec<String>,
    of_row: Vec<u32>,
}

fn family_codes(view: &View<'_>) -> Families {
    let families = view.table.families();
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    families.iter().flatten().for_each(|family| *sizes.entry(family).or_default() += 1);
    let mut sizes: Vec<(&str, usize)> = sizes.into_iter().filter(|(_, rows)| *rows >= LEAST_ROWS).collect();
    sizes.sort_by_key(|&(name, rows)| (std::cmp::Reverse(rows), name));
    sizes.truncate(MOST_FAMILIES);
    let places: HashMap<&str, u32> = sizes.iter().map(|(name, _)| *name).zip(0..).collect();
    let others = places.len() as u32;
    let place =
        |family: &Option<&str>| family.and_then(|family| places.get(family).copied()).unwrap_or(others);
    Families {
        of_row: families.iter().map(place).collect(),
        names: sizes.into_iter().map(|(name, _)| name.to_owned()).collect(),
    }
}

fn look(field: &Field, column: &Column, labels: &[Option<bool>], families: &Families) -> Vec<Finding> {
    const ADVICE: &str = "Ask whether this would hold in other traffic: if it comes from how the data were made, leave the column out.";
    let tells = |auc: f64, how: String| {
        Finding::new(&CHECK, "tells-label", Severity::Error)
            .of_columns([field.name.as_str()])
            .figure("auc", auc)
            .says(
                format!(
                    "the feature `{}` alone tells the label ({} right on both sides): {how}",
                    field.name,
                    percent(auc)
                ),
                ADVICE,
            )
    };
    match column {
        Column::List(_) => Vec::new(),
        Column::Text(text) => {
            let told = words_tell(text, labels).filter(|(auc, _)| *auc > TELLS);
            told.map(|(auc, words)| tells(auc, format!("by its words, above all {}", listed(&words))))
                .into_iter()
                .collect()
        }
        numbers => {
            let numbers: Vec<f64> = (0..numbers.len()).map(|row| numbers.number(row)).collect();
            let mut findings = Vec::new();
            if let Some(split) = best_split(&numbers, labels).filter(|split| split.auc > TELLS) {
                findings
                    .push(tells(split.auc, format!("apart at {}", split.at)).figure("threshold", split.at));
            }
            findings.extend(tells_families(field, &numbers, families));
            findings
        }
    }
}

fn tells_families(field: &Field, numbers: &[f64], families: &Families) -> Option<Finding> {
    let rows = numbers.iter().copied().zip(families.of_row.iter().copied()).collect();
    let split = splits(rows, families.names.len() + 1);
    let told: Vec<(&String, f64)> = families
        .names
        .iter()
        .zip(split)
        .map(|(name, split)| (name, split.auc))
        .filter(|(_, auc)| *auc > TELLS_FAMILY)
        .collect();
    if told.is_empty() {
        return None;
    }
    let names: Vec<String> = told.iter().map(|(name, _)| (*name).clone()).collect();
    let finding =
        Finding::new(&CHECK, "tells-family", Severity::Note).of_columns([field.name.as_str()]).says(
            format!("one threshold on `{}` tells {} from all other rows", field.name, listed(&names)),
            "Such a family is found whatever else is learnt: do not count it as a success of the model.",
        );
    Some(told.iter().fold(finding, |finding, (name, auc)| finding.figure(format!("auc of {name}"), *auc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_split_by_hand() {
        let labels = [Some(false), Some(false), Some(true), Some(true), None, Some(false)];
        // above 2: both malicious rows and one of three benign ones
        let split = best_split(&[1.0, 2.0, 3.0, 4.0, 0.0, 9.0], &labels).unwrap();
        assert!((split.auc - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-15 && split.at == 2.0, "{}", split.auc);
        let missing = best_split(&[f64::NAN, f64::NAN, 3.0, 4.0, 0.0, f64::NAN], &labels).unwrap();
        assert_eq!(missing.auc, 1.0);
        assert!(best_split(&[1.0, 2.0], &[Some(true), Some(true)]).is_none());
    }
}
