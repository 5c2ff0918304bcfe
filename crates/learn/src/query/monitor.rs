//! How a campaign is going: labels and families, how right its suggestions were, how good its model is, how many labels it may
//! still take, and whether to stop.
//!
//! Everything is worked out beside the model the queries come from; nothing here changes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::campaign::Round;
use super::ground::folds;
use super::{Annotation, Query};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::eval::bootstrap::{Draw, interval};
use crate::eval::metrics::{Confusion, is_alert, recall_at_fpr, roc_auc};

/// A count for malicious and one for benign rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByLabel {
    /// Malicious.
    pub malicious: u64,
    /// Benign.
    pub benign: u64,
}

/// Labelled rows by label.
#[must_use]
pub fn labels(known: &BTreeMap<u32, Annotation>) -> ByLabel {
    let malicious = known.values().filter(|one| one.malicious).count() as u64;
    ByLabel { malicious, benign: known.len() as u64 - malicious }
}

/// Families seen by label.
#[must_use]
pub fn families(known: &BTreeMap<u32, Annotation>) -> ByLabel {
    let of = |label: bool| {
        let families = known.values().filter(|one| one.malicious == label).map(|one| one.family.as_str());
        families.collect::<BTreeSet<&str>>().len() as u64
    };
    ByLabel { malicious: of(true), benign: of(false) }
}

/// Suggestions against answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hits {
    /// Suggestions that were right.
    pub right: u64,
    /// Suggestions that were wrong.
    pub wrong: u64,
    /// Answers without a suggestion.
    pub none: u64,
}

impl Hits {
    /// Share of the suggestions that were right; `None` without any.
    #[must_use]
    pub fn accuracy(self) -> Option<f64> {
        let all = self.right + self.wrong;
        (all > 0).then(|| self.right as f64 / all as f64)
    }

    fn count(&mut self, right: Option<bool>) {
        match right {
            Some(true) => self.right += 1,
            Some(false) => self.wrong += 1,
            None => self.none += 1,
        }
    }
}

/// How right the suggestions of an iteration were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SuggestionAccuracy {
    /// Labels, of all suggestions.
    pub labels: Hits,
    /// Families, of all suggestions.
    pub families: Hits,
    /// Labels, of those shown.
    pub shown_labels: Hits,
    /// Families, of those shown.
    pub shown_families: Hits,
}

/// Compares suggestions with what is known now of the rows asked; queries without an answer count nowhere.
#[must_use]
pub fn suggestions(queries: &[Query], known: &BTreeMap<u32, Annotation>) -> SuggestionAccuracy {
    let mut hits = SuggestionAccuracy::default();
    for (query, answer) in queries.iter().filter_map(|query| Some((query, known.get(&query.row)?))) {
        for (suggestion, labels, families) in [
            (query.suggestion.as_ref(), &mut hits.labels, &mut hits.families),
            (query.shown(), &mut hits.shown_labels, &mut hits.shown_families),
        ] {
            labels.count(suggestion.map(|one| one.malicious == answer.malicious));
            families.count(suggestion.and_then(|one| Some(*one.family.as_ref()? == answer.family)));
        }
    }
    hits
}

/// A value, and where it lies with 95 % confidence when that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// On the rows as they are.
    pub value: f64,
    /// Lower and upper bound.
    pub interval: Option<(f64, f64)>,
}

/// How good a model is on rows it was not taught.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Performance {
    /// Rows it was measured on.
    pub rows: u64,
    /// Area under the ROC curve; `None` without rows of both labels.
    pub auc: Option<Measured>,
    /// F1 of the rows whose probability is at least a half; `None` without malicious rows.
    pub f1: Option<Measured>,
    /// Share of the alerts that are malicious.
    pub precision: Option<f64>,
    /// Share of the malicious rows that are alerts.
    pub recall: Option<f64>,
    /// Share of the malicious rows found at the false-alarm rate of the target.
    pub detection: Option<f64>,
}

/// From what probability on a row is an alert.
const THRESHOLD: f64 = 0.5;

/// Measures probabilities; intervals are from so many bootstrap draws (0 = none).
///
/// # Errors
/// [`LearnError::Cancelled`].
pub fn performance(
    truth: &[bool],
    scores: &[f64],
    false_alarms: f64,
    draws: usize,
    ctx: &Ctx,
) -> Result<Performance, LearnError> {
    let strata: Vec<u32> = truth.iter().map(|&malicious| u32::from(malicious)).collect();
    let measured =
        |metric: &(dyn Fn(&[bool], &[f64]) -> Option<f64> + Sync)| -> Result<Option<Measured>, LearnError> {
            let Some(value) = metric(truth, scores) else { return Ok(None) };
            if draws == 0 {
                return Ok(Some(Measured { value, interval: None }));
            }
            let of_sample = |rows: &[usize]| {
                let (truth, scores): (Vec<bool>, Vec<f64>) =
                    rows.iter().map(|&row| (truth[row], scores[row])).unzip();
                metric(&truth, &scores)
            };
            let found = interval(Draw::Strata(&strata), draws, 0.95, of_sample, ctx)?;
            Ok(Some(Measured { value, interval: found.map(|found| (found.low, found.high)) }))
        };
    let counts = Confusion::of(truth, scores, THRESHOLD);
    let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
    let alerts = scores.iter().filter(|&&score| is_alert(score, THRESHOLD)).count() as u64;
    Ok(Performance {
        rows: truth.len() as u64,
        auc: measured(&roc_auc)?,
        f1: measured(&f1)?,
        precision: share(counts.true_positives, alerts),
        recall: share(counts.true_positives, counts.true_positives + counts.false_negatives),
        detection: recall_at_fpr(truth, scores, false_alarms),
    })
}

fn f1(truth: &[bool], scores: &[f64]) -> Option<f64> {
    let counts = Confusion::of(truth, scores, THRESHOLD);
    let malicious = counts.true_positives + counts.false_negatives;
    let all = malicious + counts.true_positives + counts.false_positives;
    (malicious > 0).then(|| 2.0 * counts.true_positives as f64 / all as f64)
}

impl Round<'_> {
    /// How good the model is on the validation rows; `None` without a model or such rows.
    ///
    /// # Errors
    /// [`LearnError::Cancelled`].
    pub fn validation(
        &self,
        false_alarms: f64,
        draws: usize,
        ctx: &Ctx,
    ) -> Result<Option<Performance>, LearnError> {
        let Some((truth, scores)) = self.model().and_then(|model| self.ground().validate(model, ctx)) else {
            return Ok(None);
        };
        performance(truth, &scores, false_alarms, draws, ctx).map(Some)
    }

    /// How good such a model is on labelled rows held out, all folds together; `None` with fewer than two rows of a label.
    /// Other models than the campaign's are taught for it, which stays as it is.
    ///
    /// # Errors
    /// [`LearnError`] of a fit.
    pub fn cross_validation(
        &self,
        false_alarms: f64,
        draws: usize,
        ctx: &Ctx,
    ) -> Result<Option<Performance>, LearnError> {
        let known = &self.state().at_start;
        let folds = folds(known, self.seed());
        if folds.is_empty() {
            return Ok(None);
        }
        let (truth, scores) = self.ground().held_out(self.params(), known, &folds, ctx)?;
        performance(&truth, &scores, false_alarms, draws, ctx).map(Some)
    }
}

/// How many labels in all a detection rate may take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Labels in all, from every point of the curve.
    pub labels: f64,
    /// The least and the most that leaving out one point of the curve makes of it.
    pub range: (f64, f64),
}

/// Points of a learning curve that an estimate looks back on.
const LOOK_BACK: usize = 6;
/// No estimate is above this many times the labels there are: a curve says nothing that far ahead.
const FARTHEST: f64 = 100.0;

/// Labels in all until `target` is reached, by a power law through the last points (labels, detection rate): the share missed falls as
/// a · labels^-b (Cortes and others 1994). `None` with fewer than three points, or where the share missed does not fall.
#[must_use]
pub fn labels_needed(curve: &[(u64, f64)], target: f64) -> Option<Estimate> {
    let recent = &curve[curve.len().saturating_sub(LOOK_BACK)..];
    let now = recent.last()?.0 as f64;
    if recent.last().is_some_and(|(_, rate)| *rate >= target) {
        return Some(Estimate { labels: now, range: (now, now) });
    }
    let points: Vec<(f64, f64)> = recent
        .iter()
        .filter(|(labels, _)| *labels > 0)
        // A miss of 0 has no logarithm; half a row in a thousand is as good.
        .map(|&(labels, rate)| ((labels as f64).ln(), (1.0 - rate).max(5e-4).ln()))
        .collect();
    let all = power_law(&points, target)?;
    let without = (0..points.len()).filter_map(|place| {
        let mut others = points.clone();
        others.remove(place);
        power_law(&others, target)
    });
    let bounded = |labels: f64| labels.clamp(now, FARTHEST * now);
    let range = without.fold((all, all), |(low, high), labels| (low.min(labels), high.max(labels)));
    Some(Estimate { labels: bounded(all), range: (bounded(range.0), bounded(range.1)) })
}

/// Where the least-squares line through (ln labels, ln missed) meets the target.
fn power_law(points: &[(f64, f64)], target: f64) -> Option<f64> {
    let count = points.len() as f64;
    if points.len() < 3 || target >= 1.0 {
        return None;
    }
    let (mean_x, mean_y) =
        (points.iter().map(|p| p.0).sum::<f64>() / count, points.iter().map(|p| p.1).sum::<f64>() / count);
    let spread: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum::<f64>() / spread;
    let labels = (mean_x + ((1.0 - target).ln() - mean_y) / slope).exp();
    (spread > 0.0 && slope < 0.0 && labels.is_finite()).then_some(labels)
}

/// What advice is drawn from: one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Milestone {
    /// Labels when it began.
    pub labels: u64,
    /// Families known then.
    pub families: u64,
    /// Share of suggested families that its answers confirmed.
    pub confirmed: Option<f64>,
    /// Detection rate at the false-alarm rate of the target, on validation rows or held-out labels.
    pub detection: Option<f64>,
}

/// Iterations that must bring nothing new before stopping is advised.
const STILL: usize = 3;
/// Share of suggestions that must be right.
const SURE: f64 = 0.95;
/// A detection rate that moved by no more stands still.
const STANDS_STILL: f64 = 0.005;

/// Why to stop, in words; `None` when more labels are worth it as far as one can tell.
#[must_use]
pub fn advice(history: &[Milestone], target: f64) -> Option<String> {
    let last = history.last()?;
    if let Some(detection) = last.detection.filter(|detection| *detection >= target) {
        return Some(format!("the detection rate is {:.1} %, which is the target", 100.0 * detection));
    }
    let recent = history.len().checked_sub(STILL + 1).map(|first| &history[first..])?;
    let same_families = recent.iter().all(|one| one.families == last.families);
    let confirmed = recent[1..].iter().all(|one| one.confirmed.is_none_or(|share| share >= SURE))
        && recent[1..].iter().any(|one| one.confirmed.is_some());
    let rates: Vec<f64> = recent.iter().filter_map(|one| one.detection).collect();
    let spread = rates.iter().copied().fold(0.0, f64::max) - rates.iter().copied().fold(1.0, f64::min);
    (same_families && confirmed && rates.len() == recent.len() && spread <= STANDS_STILL).then(|| {
        format!(
            "for {STILL} iterations no family was new, at least {:.0} % of the suggested families were right and the detection rate stood still",
            100.0 * SURE
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::{Figure, Group, Suggestion};

    fn query(row: u32, suggested: Option<(bool, Option<&str>, bool)>) -> Query {
        Query {
            row,
            group: Group::All,
            family: None,
            place: None,
            reason: String::new(),
            suggestion: suggested.map(|(malicious, family, confident)| Suggestion {
                malicious,
                family: family.map(str::to_owned),
                confident,
            }),
            figure: Figure { name: "", value: 0.0 },
        }
    }

    #[test]
    fn suggested_labels_are_compared_as_labels() {
        let known: BTreeMap<u32, Annotation> =
            (0..4).map(|row| (row, Annotation::new(row % 2 == 0, "scan"))).collect();
        let queries = [
            query(0, Some((true, Some("scan"), true))),
            query(1, Some((true, Some("scan"), false))),
            query(2, Some((true, None, false))),
            query(3, None),
            query(9, Some((true, None, true))),
        ];
        let hits = suggestions(&queries, &known);
        assert_eq!(hits.labels, Hits { right: 2, wrong: 1, none: 1 });
        assert_eq!(hits.families, Hits { right: 2, wrong: 0, none: 2 });
        assert_eq!(hits.shown_labels, Hits { right: 1, wrong: 0, none: 3 });
        assert_eq!(hits.labels.accuracy(), Some(2.0 / 3.0));
        assert_eq!(
            (labels(&known), families(&known)),
            (ByLabel { malicious: 2, benign: 2 }, ByLabel { malicious: 1, benign: 1 })
        );
    }

    #[test]
    fn performance_by_hand() {
        let truth = [true, true, false, false, false];
        let scores = [0.9, 0.4, 0.6, 0.1, 0.5];
        let found = performance(&truth, &scores, 0.0, 50, &Ctx::new(0, 2)).unwrap();
        // of 6 pairs the malicious row is above in 4: 0.9 above all three, 0.4 above 0.1 alone
        assert!((found.auc.unwrap().value - 4.0 / 6.0).abs() < 1e-12);
        assert_eq!((found.precision, found.recall, found.detection), (Some(1.0 / 3.0), Some(0.5), Some(0.5)));
        assert!((found.f1.unwrap().value - 0.4).abs() < 1e-12);
        let (low, high) = found.auc.unwrap().interval.unwrap();
        assert!(low <= 4.0 / 6.0 && 4.0 / 6.0 <= high);
    }

    #[test]
    fn the_power_law_of_a_power_law_is_found() {
        // missed = 2 / labels: 95 % are found at 40 labels
        let curve: Vec<(u64, f64)> =
            [4u64, 8, 16, 32].iter().map(|&labels| (labels, 1.0 - 2.0 / labels as f64)).collect();
        let found = labels_needed(&curve, 0.95).unwrap();
        assert!((found.labels - 40.0).abs() < 1e-6, "{found:?}");
        assert!(found.range.0 <= 40.1 && found.range.1 >= 39.9);
        assert_eq!(labels_needed(&[(4, 0.5), (8, 0.5), (16, 0.5)], 0.95), None, "nothing falls");
        assert_eq!(labels_needed(&curve, 0.9).unwrap().labels, 32.0, "reached");
        assert_eq!(labels_needed(&curve[..2], 0.95), None);
    }

    #[test]
    fn stopping_is_advised_when_nothing_new_comes() {
        let still = Milestone { labels: 100, families: 5, confirmed: Some(0.97), detection: Some(0.8) };
        assert!(advice(&[still; 3], 0.99).is_none(), "too early to tell");
        assert!(advice(&[still; 4], 0.99).unwrap().contains("no family was new"));
        let new = Milestone { families: 6, ..still };
        assert!(advice(&[still, still, still, new], 0.99).is_none());
        assert!(advice(&[still, still, still, Milestone { confirmed: Some(0.5), ..still }], 0.99).is_none());
        assert!(advice(&[still], 0.75).unwrap().contains("which is the target"));
    }
}
