//! What a pipeline remembers of its training: enough to judge it later, and to say how unusual a value is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PipelineSpec;
use super::hold_out::HeldOutScores;
use super::problem::Problem;
use super::threshold::{Choice, Expected};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Model;
use crate::eval::classes::{ClassReport, measure_classes};
use crate::eval::metrics::{Metrics, measure};
use crate::search::SearchRecord;
use crate::table::{Column, MISSING, Table, TextColumn};

/// What a pipeline was trained on, how, and how well it did on rows held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainRecord {
    /// Version of the program.
    pub code_version: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// SHA-256 of the table, in hex.
    pub data_digest: String,
    /// Names and digests of the files behind the table, as the caller gave them.
    pub provenance: BTreeMap<String, String>,
    /// Rows of the table.
    pub rows: u64,
    /// Rows learnt from in the last fit.
    pub rows_learnt: u64,
    /// Rows labelled benign.
    pub benign: u64,
    /// Rows labelled malicious.
    pub malicious: u64,
    /// Rows without a label.
    pub unlabelled: u64,
    /// Malicious among labelled rows; `None` without labels.
    pub base_rate: Option<f64>,
    /// Groups of rows; 0 without a group column.
    pub groups: u64,
    /// Rows of each malicious family.
    pub families: BTreeMap<String, u64>,
    /// Rows held out and how they fared.
    pub held_out: HeldOut,
    /// What to know about the threshold.
    pub threshold_notes: Vec<String>,
    /// What the model says about its fit.
    pub model_notes: Vec<String>,
    /// How many alerts and detections to expect of the threshold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
    /// The search whose winner was fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<SearchRecord>,
}

/// Out-of-fold measurements: every row was scored by a model that had not seen it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// How rows were held out, as `--split` reads it.
    pub split: String,
    /// Folds measured.
    pub folds: u64,
    /// Rows measured; all folds together.
    pub rows: u64,
    /// What to know about them.
    pub notes: Vec<String>,
    /// Detection at the pipeline's threshold, which was estimated on these very rows; `None` without labelled rows held out.
    pub metrics: Option<Metrics>,
    /// Class against class, for classifiers of more than two.
    pub classes: Option<ClassReport>,
    /// Mean cost of the decisions, where they have costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_cost: Option<f64>,
}

/// What each feature looks like in normal traffic.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// In the order of the schema.
    pub features: Vec<BaselineFeature>,
}

/// One feature in normal traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaselineFeature {
    /// A number.
    Number {
        /// The 0th, 1st, .. 100th percentile; empty when every row is missing.
        quantiles: Vec<f64>,
        /// Share of missing rows.
        missing: f64,
    },
    /// A word.
    Text {
        /// The most frequent words with their share of the rows, most frequent first.
        shares: Vec<(String, f64)>,
        /// Share of missing rows.
        missing: f64,
    },
}

/// Percentiles kept per feature.
const QUANTILES: usize = 101;
/// Words kept per feature.
const MOST_WORDS: usize = 64;

pub(super) fn record(
    spec: &PipelineSpec,
    table: &Table,
    problem: &Problem<'_>,
    held_out: &HeldOutScores,
    choice: &Choice,
    model: &dyn Model,
    ctx: &Ctx,
) -> Result<TrainRecord, LearnError> {
    let labels = table.labels();
    let count = |wanted: Option<bool>| labels.iter().filter(|label| **label == wanted).count() as u64;
    let (benign, malicious) = (count(Some(false)), count(Some(true)));
    let mut families = BTreeMap::new();
    for (family, label) in table.families().into_iter().zip(&labels) {
        if let (Some(family), Some(true)) = (family, label) {
            *families.entry(family.to_owned()).or_default() += 1;
        }
    }
    let all: Vec<usize> = (0..problem.rows.len()).collect();
    Ok(TrainRecord {
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: ctx.seed,
        data_digest: table.digest(),
        provenance: spec.provenance.clone(),
        rows: table.rows() as u64,
        rows_learnt: problem.learnt(&all).len() as u64,
        benign,
        malicious,
        unlabelled: count(None),
        base_rate: (benign + malicious > 0).then(|| malicious as f64 / (benign + malicious) as f64),
        groups: table
            .groups()
            .and_then(|groups| groups.into_iter().max())
            .map_or(0, |last| u64::from(last) + 1),
        families,
        held_out: measure_held_out(problem, held_out, choice.threshold)?,
        threshold_notes: choice.notes.clone(),
        expected: choice.expected,
        search: None,
        model_notes: model.notes(),
    })
}

fn measure_held_out(
    problem: &Problem<'_>,
    held_out: &HeldOutScores,
    threshold: f64,
) -> Result<HeldOut, LearnError> {
    let labelled: Vec<usize> = (0..held_out.rows.len())
        .filter(|&place| problem.rows.labels[held_out.rows[place]].is_some())
        .collect();
    let rows: Vec<usize> = labelled.iter().map(|&place| held_out.rows[place]).collect();
    let truth: Vec<bool> = rows.iter().map(|&row| problem.rows.labels[row] == Some(true)).collect();
    let scores: Vec<f64> = labelled.iter().map(|&place| held_out.malicious[place]).collect();
    let families: Vec<Option<&str>> = rows.iter().map(|&row| problem.rows.families[row]).collect();
    let metrics = if rows.is_empty() { None } else { Some(measure(&truth, &scores, threshold, &families)?) };
    let classes = if problem.classes.len() < 3 || rows.is_empty() {
        None
    } else {
        let truth: Vec<u32> = rows.iter().map(|&row| problem.y[row]).collect();
        let decided: Vec<u32> = labelled.iter().map(|&place| held_out.decided[place]).collect();
        Some(measure_classes(&truth, &decided, &problem.classes)?)
    };
    Ok(HeldOut {
        mean_cost: held_out.mean_cost,
        split: held_out.split.clone(),
        folds: held_out.folds,
        rows: held_out.rows.len() as u64,
        notes: held_out.notes.clone(),
        metrics,
        classes,
    })
}

impl Baseline {
    /// Measures the features over these rows.
    #[must_use]
    pub fn of(table: &Table, rows: &[usize]) -> Self {
        let measure = |(_, column): (_, &Column)| match column {
            Column::Text(text) => words_of(text, rows),
            // A list has no place among numbers, and none is missing.
            Column::List(_) => BaselineFeature::Number { quantiles: Vec::new(), missing: 0.0 },
            numbers => numbers_of(numbers, rows),
        };
        Self { features: table.features().map(measure).collect() }
    }
}

impl BaselineFeature {
    /// Where a number stands among normal ones, from 0 (below all) to 100 (above all), equal ones in the middle; `None` for
    /// a missing value or a word.
    #[must_use]
    pub fn percentile(&self, value: f64) -> Option<f64> {
        let Self::Number { quantiles, .. } = self else { return None };
        if value.is_nan() || quantiles.is_empty() {
            return None;
        }
        let below = quantiles.partition_point(|&quantile| quantile < value);
        let up_to = quantiles.partition_point(|&quantile| quantile <= value);
        let place = match (below, up_to) {
            (0, 0) => 0.0,
            (below, up_to) if below < up_to => (below + up_to - 1) as f64 / 2.0,
            (below, _) if below == quantiles.len() => below as f64 - 1.0,
            (below, _) => {
                let (low, high) = (quantiles[below - 1], quantiles[below]);
                below as f64 - 1.0 + (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
            }
        };
        Some(100.0 * place / (quantiles.len() - 1).max(1) as f64)
    }

    /// Share of normal rows with this word (0 for one not among the most frequent); `None` for a number.
    #[must_use]
    pub fn share(&self, word: Option<&str>) -> Option<f64> {
        let Self::Text { shares, missing } = self else { return None };
        let Some(word) = word else { return Some(*missing) };
        Some(shares.iter().find(|(known, _)| known == word).map_or(0.0, |(_, share)| *share))
    }

    /// Whether the numbers are finite and ordered, as everything that reads them expects.
    pub(super) fn is_sound(&self) -> bool {
        let share = |share: f64| (0.0..=1.0).contains(&share);
        match self {
            Self::Number { quantiles, missing } => {
                let ordered = quantiles.iter().all(|q| q.is_finite()) && quantiles.is_sorted();
                ordered && [0, QUANTILES].contains(&quantiles.len()) && share(*missing)
            }
            Self::Text { shares, missing } => {
                shares.len() <= MOST_WORDS && shares.iter().all(|(_, part)| share(*part)) && share(*missing)
            }
        }
    }
}

fn numbers_of(column: &Column, rows: &[usize]) -> BaselineFeature {
    let number = |&row: &usize| column.number(row).clamp(-f64::MAX, f64::MAX);
    let mut present: Vec<f64> = rows.iter().map(number).filter(|value| !value.is_nan()).collect();
    present.sort_unstable_by(f64::total_cmp);
    let quantile =
        |percent: usize| present[(percent * (present.len() - 1) + (QUANTILES - 1) / 2) / (QUANTILES - 1)];
    let quantiles = if present.is_empty() { Vec::new() } else { (0..QUANTILES).map(quantile).collect() };
    BaselineFeature::Number { quantiles, missing: share(rows.len() - present.len(), rows.len()) }
}

fn words_of(text: &TextColumn, rows: &[usize]) -> BaselineFeature {
    let mut counts = vec![0usize; text.words.len()];
    let mut missing = 0;
    for &row in rows {
        match text.codes[row] {
            MISSING => missing += 1,
            code => counts[code as usize] += 1,
        }
    }
    let mut ranked: Vec<(&String, usize)> =
        text.words.iter().zip(counts).filter(|(_, count)| *count > 0).collect();
    ranked.sort_by_key(|&(word, count)| (std::cmp::Reverse(count), word));
    let shares =
        ranked.into_iter().take(MOST_WORDS).map(|(word, count)| (word.clone(), share(count, rows.len())));
    BaselineFeature::Text { shares: shares.collect(), missing: share(missing, rows.len()) }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Field, Role};

    fn baseline(values: Vec<f64>) -> BaselineFeature {
        let rows: Vec<usize> = (0..values.len()).collect();
        let table = Table::new(vec![Field::new("x", "", Role::Feature)], vec![Column::F64(values)]).unwrap();
        Baseline::of(&table, &rows).features.remove(0)
    }

    #[test]
    fn percentiles_of_a_known_distribution() {
        let feature = baseline((0..=1000).map(f64::from).collect());
        for (value, expected) in
            [(-1.0, 0.0), (0.0, 0.0), (255.0, 25.5), (500.0, 50.0), (1000.0, 100.0), (1e9, 100.0)]
        {
            assert!((feature.percentile(value).unwrap() - expected).abs() < 1e-9, "{value}");
        }
        assert_eq!(feature.percentile(f64::NAN), None);
        assert!(feature.is_sound());
    }

    #[test]
    fn equal_values_stand_in_the_middle() {
        let feature = baseline(vec![3.0; 10]);
        assert_eq!(feature.percentile(3.0), Some(50.0));
        assert_eq!((feature.percentile(2.0), feature.percentile(4.0)), (Some(0.0), Some(100.0)));
        assert_eq!(baseline(vec![f64::NAN]).percentile(1.0), None);
        assert_eq!(baseline(vec![-f64::INFINITY, f64::INFINITY]).percentile(0.0), Some(49.5));
    }
}
