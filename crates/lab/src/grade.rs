//! Alerts held against labels: hits, misses and false alarms, per family and per decoy.

use std::collections::BTreeMap;

use cormorant_learn::eval::metrics::{is_alert, measure};
use cormorant_learn::pipeline::Scores;
use cormorant_learn::table::{MALICIOUS, Role};
use serde::Serialize;

use crate::LabError;
use crate::extraction::Chunk;
use crate::labels::Verdict;
use crate::model::{Loaded, with_classes};
use crate::tables::learn::words;

/// The alerts held against the labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grade {
    /// Flows with a label.
    pub flows_labelled: u64,
    /// Malicious flows at or above the threshold.
    pub hits: u64,
    /// Malicious flows below it.
    pub missed: u64,
    /// Benign flows at or above it.
    pub false_alarms: u64,
    /// Benign flows below it.
    pub passed: u64,
    /// Each malicious family.
    pub families: Vec<FamilyGrade>,
    /// Benign activities that look like a family, from the rules' notes `decoy-of:family`.
    pub decoys: Vec<DecoyGrade>,
    /// Every metric by its plain name.
    pub metrics: serde_json::Value,
}

/// How a family was detected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyGrade {
    /// Family.
    pub family: String,
    /// Flows of it.
    pub flows: u64,
    /// Flows at or above the threshold.
    pub hits: u64,
    /// Flows below it.
    pub missed: u64,
    /// Whether the model learnt from this family.
    pub seen: bool,
}

/// How a benign activity that looks like a family fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecoyGrade {
    /// The benign activity.
    pub activity: String,
    /// The family it looks like.
    pub decoy_of: String,
    /// Flows of it.
    pub flows: u64,
    /// Flows at or above the threshold: false alarms.
    pub false_alarms: u64,
}

/// Labelled rows and their scores.
#[derive(Default)]
pub(crate) struct Ledger {
    malicious: Vec<bool>,
    families: Vec<Option<String>>,
    notes: Vec<Option<String>>,
    scores: Vec<f64>,
}

/// What the note of a decoy starts with.
const DECOY: &str = "decoy-of:";

impl Ledger {
    /// Takes scored rows; those without a label are left out.
    pub(crate) fn add(&mut self, chunks: &[Chunk], scores: &Scores) {
        let mut start = 0;
        for chunk in chunks {
            let scores = &scores.malicious[start..start + chunk.rows.num_rows()];
            start += chunk.rows.num_rows();
            if chunk.verdicts.is_empty() {
                self.add_own_labels(chunk, scores);
            } else {
                chunk
                    .verdicts
                    .iter()
                    .zip(scores)
                    .for_each(|(verdict, score)| self.add_verdict(verdict.as_ref(), *score));
            }
        }
    }

    fn add_verdict(&mut self, verdict: Option<&Verdict>, score: f64) {
        let Some(verdict) = verdict else { return };
        self.malicious.push(verdict.label == MALICIOUS);
        self.families.push(Some(verdict.family.to_string()));
        self.notes.push(Some(verdict.note.to_string()));
        self.scores.push(score);
    }

    /// A table may bring its labels along.
    fn add_own_labels(&mut self, chunk: &Chunk, scores: &[f64]) {
        let rows = std::slice::from_ref(&chunk.rows);
        let schema = chunk.rows.schema();
        let families = words(&schema, rows, Role::Family);
        for ((label, family), score) in
            words(&schema, rows, Role::Label).into_iter().zip(families).zip(scores)
        {
            if let Some(label) = label {
                self.malicious.push(label == MALICIOUS);
                self.families.push(family);
                self.notes.push(None);
                self.scores.push(*score);
            }
        }
    }

    /// The grade; `None` when no row had a label.
    ///
    /// # Errors
    /// [`LabError::Learn`] for scores that cannot be measured.
    pub(crate) fn grade(&self, model: &Loaded) -> Result<Option<Grade>, LabError> {
        if self.scores.is_empty() {
            return Ok(None);
        }
        let threshold = model.pipeline.threshold();
        let attacks: Vec<Option<&str>> = self
            .families
            .iter()
            .zip(&self.malicious)
            .map(|(family, bad)| family.as_deref().filter(|_| *bad))
            .collect();
        let metrics = measure(&self.malicious, &self.scores, threshold, &attacks)
            .map_err(LabError::learn("grading"))?;
        let family = |found: &cormorant_learn::eval::metrics::FamilyMetrics| FamilyGrade {
            family: found.family.clone(),
            flows: found.rows,
            hits: found.detected,
            missed: found.rows - found.detected,
            seen: model.knows(&found.family),
        };
        Ok(Some(Grade {
            flows_labelled: metrics.rows,
            hits: metrics.confusion.true_positives,
            missed: metrics.confusion.false_negatives,
            false_alarms: metrics.confusion.false_positives,
            passed: metrics.confusion.true_negatives,
            families: metrics.families.iter().map(family).collect(),
            decoys: self.decoys(threshold),
            metrics: with_classes(&metrics, None::<&()>)?,
        }))
    }

    fn decoys(&self, threshold: f64) -> Vec<DecoyGrade> {
        let mut decoys: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
        for (place, note) in self.notes.iter().enumerate() {
            let decoy_of = note.as_deref().and_then(|note| note.strip_prefix(DECOY));
            if let Some(decoy_of) = decoy_of.filter(|_| !self.malicious[place]) {
                let activity = self.families[place].as_deref().unwrap_or_default();
                let (flows, alarms) = decoys.entry((decoy_of, activity)).or_default();
                *flows += 1;
                *alarms += u64::from(is_alert(self.scores[place], threshold));
            }
        }
        let grade = |((decoy_of, activity), (flows, false_alarms)): ((&str, &str), _)| DecoyGrade {
            activity: activity.to_owned(),
            decoy_of: decoy_of.to_owned(),
            flows,
            false_alarms,
        };
        decoys.into_iter().map(grade).collect()
    }
}
