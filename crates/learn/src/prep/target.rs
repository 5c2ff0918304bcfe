//! `target`: each word becomes the share of malicious rows among those that have it, shrunk towards the share of all rows;
//! scikit-learn's `TargetEncoder` (Micci-Barreca, *A preprocessing scheme for high-cardinality categorical attributes*, 2001).
//!
//! The training rows themselves are encoded out of fold (cross-fitting): a row's own class says nothing about its value, or a
//! word that appears once would give its label away.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Labels, Outline, PrepSpec, Step, Values, check_kinds};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::table::{FeatureKind, MISSING};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "target",
    doc: "Replaces each text column by the share of malicious rows among the training rows with that word (of each class but \
          the first, when there are more than two), shrunk towards the share of all; training rows are encoded out of fold. \
          Words not seen have the value of all rare ones; missing is a word of its own.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: true,
    params: &[
        ParamSpec {
            name: "smooth",
            kind: ParamKind::ChoiceOrFloat { words: &["auto"], min: 0.0, max: 1e9 },
            default: "auto",
            doc: "How many rows of the average share are mixed in; `auto` = as empirical Bayes has it, from the variances.",
        },
        ParamSpec {
            name: "folds",
            kind: ParamKind::Int { min: 2, max: 100 },
            default: "5",
            doc: "Folds of the training rows: each is encoded by the others. The rows of each class are dealt in turn.",
        },
        ParamSpec {
            name: "rows",
            kind: ParamKind::Int { min: 1, max: 1_000_000_000 },
            default: "1",
            doc: "Training rows a word must appear in; rarer ones share a value.",
        },
    ],
    fit,
    load: |bytes| {
        let step: Target = unpack("step `target`", bytes)?;
        step.check()?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct Target {
    /// `None` for a numeric column.
    columns: Vec<Option<Encoding>>,
    classes: usize,
    smoothing: Smoothing,
    folds: usize,
    rows: usize,
}

/// One column's values: a number for each class but the first.
#[derive(Serialize, Deserialize)]
struct Encoding {
    words: BTreeMap<String, Vec<f64>>,
    missing: Vec<f64>,
    /// Of rare words and those not seen.
    other: Vec<f64>,
}

/// What the share of a word is mixed with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Smoothing {
    Auto,
    Rows(f64),
}

impl Smoothing {
    /// The share among `count` rows with `sum` hits, shrunk towards that of `all` rows.
    fn encode(self, count: f64, sum: f64, all: Tally<'_>, class: usize) -> f64 {
        let mean = all.share(class);
        match self {
            Self::Rows(rows) if count + rows > 0.0 => (sum + rows * mean) / (count + rows),
            Self::Rows(_) => mean,
            Self::Auto => {
                // variance of 0 and 1: over all rows, and within the word
                let (variance, within) = (mean * (1.0 - mean), (sum / count) * (1.0 - sum / count));
                let trust = variance * count / (variance * count + within);
                // NaN without rows, or when nothing varies
                if trust.is_nan() { mean } else { trust * sum / count + (1.0 - trust) * mean }
            }
        }
    }
}

/// Rows of each class: `classes` counts.
#[derive(Clone, Copy)]
struct Tally<'a>(&'a [u32]);

impl Tally<'_> {
    fn count(self) -> f64 {
        self.0.iter().map(|&count| f64::from(count)).sum()
    }

    fn share(self, class: usize) -> f64 {
        let count = self.count();
        if count > 0.0 { f64::from(self.0[class]) / count } else { 0.0 }
    }
}

fn fit(params: &Params, columns: &[Values<'_>], labels: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let labels = labels.required(SPEC.name)?;
    let mut step = Target {
        columns: Vec::new(),
        classes: labels.classes,
        smoothing: params.float_or_word("smooth").map_or(Smoothing::Auto, Smoothing::Rows),
        folds: params.int("folds"),
        rows: params.int("rows"),
    };
    let learn = |column: &Values<'_>| match column {
        Values::Words { codes, words } => Some(step.learn(codes, words, labels)),
        Values::Numbers(_) | Values::Lists(_) => None,
    };
    step.columns = columns.iter().map(learn).collect();
    Ok(Box::new(step))
}

/// The rows of each class per slot (a word's code, one for missing, one for rare words), and which slot each word has.
struct Slots {
    of_code: HashMap<u32, usize>,
    counts: Vec<u32>,
    classes: usize,
}

impl Slots {
    fn count(codes: &[u32], labels: Labels<'_>, rarest: usize) -> Self {
        let mut appear: BTreeMap<u32, usize> = BTreeMap::new();
        codes.iter().for_each(|&code| *appear.entry(code).or_default() += 1);
        let frequent = appear.iter().filter(|&(&code, &rows)| code == MISSING || rows >= rarest);
        let of_code: HashMap<u32, usize> = frequent.zip(1..).map(|((&code, _), slot)| (code, slot)).collect();
        let counts = vec![0; (of_code.len() + 1) * labels.classes];
        let mut slots = Self { of_code, counts, classes: labels.classes };
        for (&code, &class) in codes.iter().zip(labels.y) {
            let place = slots.slot(code) * slots.classes + class as usize;
            slots.counts[place] += 1;
        }
        slots
    }

    /// Slot 0 is that of rare words.
    fn slot(&self, code: u32) -> usize {
        self.of_code.get(&code).copied().unwrap_or(0)
    }

    fn totals(&self) -> Vec<u32> {
        let mut totals = vec![0; self.classes];
        for slot in self.counts.chunks_exact(self.classes) {
            totals.iter_mut().zip(slot).for_each(|(total, count)| *total += count);
        }
        totals
    }

    /// A number for each class but the first, per slot.
    fn encode(&self, smoothing: Smoothing) -> Vec<Vec<f64>> {
        let totals = self.totals();
        let all = Tally(&totals);
        let one = |slot: &[u32]| {
            let count = Tally(slot).count();
            let share = |class: usize| smoothing.encode(count, f64::from(slot[class]), all, class);
            (1..self.classes).map(share).collect()
        };
        self.counts.chunks_exact(self.classes).map(one).collect()
    }
}

impl Target {
    fn learn(&self, codes: &[u32], words: &[String], labels: Labels<'_>) -> Encoding {
        let slots = Slots::count(codes, labels, self.rows);
        let values = slots.encode(self.smoothing);
        let known = slots.of_code.iter().filter(|(code, _)| **code != MISSING);
        Encoding {
            words: known.map(|(&code, &slot)| (words[code as usize].clone(), values[slot].clone())).collect(),
            missing: match slots.of_code.get(&MISSING) {
                Some(&slot) => values[slot].clone(),
                None => values[0].clone(),
            },
            other: values[0].clone(),
        }
    }

    /// The training rows, each encoded by the folds it is not in.
    fn out_of_fold(&self, codes: &[u32], labels: Labels<'_>) -> Vec<Vec<f64>> {
        let folds = deal(labels, self.folds);
        let all = Slots::count(codes, labels, self.rows);
        let mut out = vec![vec![0.0; codes.len()]; self.classes - 1];
        for fold in 0..self.folds {
            let mut others = Slots { of_code: all.of_code.clone(), counts: all.counts.clone(), ..all };
            let held_out = || (0..codes.len()).filter(|&row| folds[row] == fold);
            for row in held_out() {
                others.counts[all.slot(codes[row]) * all.classes + labels.y[row] as usize] -= 1;
            }
            let values = others.encode(self.smoothing);
            for row in held_out() {
                let value = &values[all.slot(codes[row])];
                out.iter_mut().zip(value).for_each(|(column, value)| column[row] = *value);
            }
        }
        out
    }

    fn check(&self) -> Result<(), LearnError> {
        let refuse = |what: &str| Err(LearnError::File(format!("step `target` has {what}")));
        if !(2..=usize::from(u16::MAX)).contains(&self.classes) || self.folds < 2 {
            return refuse("no valid number of classes or folds");
        }
        let sound = |values: &Vec<f64>| {
            values.len() == self.classes - 1 && values.iter().all(|value| (0.0..=1.0).contains(value))
        };
        let mut columns = self.columns.iter().flatten();
        if !columns
            .all(|column| sound(&column.missing) && sound(&column.other) && column.words.values().all(sound))
        {
            return refuse("shares that are not one from 0 to 1 for each class but the first");
        }
        Ok(())
    }

    fn replace<'a>(
        &self,
        columns: Vec<Values<'a>>,
        mut encode: impl FnMut(&Encoding, &[u32], &[String]) -> Vec<Vec<f64>>,
    ) -> Vec<Values<'a>> {
        let mut out = Vec::new();
        for (encoding, column) in self.columns.iter().zip(columns) {
            match (encoding, column) {
                (Some(encoding), Values::Words { codes, words }) => {
                    out.extend(encode(encoding, &codes, words).into_iter().map(Values::Numbers));
                }
                (_, column) => out.push(column),
            }
        }
        out
    }
}

/// Which fold each row is in: the rows of each class are dealt in turn, so that every fold has its share of each.
fn deal(labels: Labels<'_>, folds: usize) -> Vec<usize> {
    let mut next = vec![0; labels.classes];
    let turn = |&class: &u32| {
        let fold: usize = next[class as usize];
        next[class as usize] = (fold + 1) % folds;
        fold
    };
    labels.y.iter().map(turn).collect()
}

impl Encoding {
    fn of_word(&self, word: Option<&String>) -> &[f64] {
        match word {
            None => &self.missing,
            Some(word) => self.words.get(word).unwrap_or(&self.other),
        }
    }

    fn apply(&self, codes: &[u32], words: &[String]) -> Vec<Vec<f64>> {
        let mut out = vec![vec![0.0; codes.len()]; self.other.len()];
        let mut known: HashMap<u32, &[f64]> = HashMap::new();
        for (row, &code) in codes.iter().enumerate() {
            let value = *known.entry(code).or_insert_with(|| self.of_word(words.get(code as usize)));
            out.iter_mut().zip(value).for_each(|(column, value)| column[row] = *value);
        }
        out
    }
}

impl Step for Target {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        let kind = |words: &Option<_>| if words.is_some() { FeatureKind::Text } else { FeatureKind::Number };
        check_kinds(SPEC.name, &self.columns.iter().map(kind).collect::<Vec<_>>(), columns)?;
        let mut out = Vec::new();
        for (encoding, column) in self.columns.iter().zip(columns) {
            if encoding.is_none() {
                out.push(column.clone());
                continue;
            }
            let share = |class: usize| Outline {
                name: match self.classes {
                    2 => format!("{} (malicious share)", column.name),
                    _ => format!("{} (share of class {class})", column.name),
                },
                kind: FeatureKind::Number,
                source: column.source,
                categorical: false,
            };
            out.extend((1..self.classes).map(share));
        }
        Ok(out)
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        self.replace(columns, Encoding::apply)
    }

    fn apply_training<'a>(&self, columns: Vec<Values<'a>>, labels: Labels<'_>) -> Vec<Values<'a>> {
        self.replace(columns, |_, codes, _| self.out_of_fold(codes, labels))
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `target`", self)
    }
}

#[cfg(test)]
mod tests;
