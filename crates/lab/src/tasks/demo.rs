//! `demo`: the main job on bundled traffic: extract and learn from one capture, hunt in another, and grade it.

use std::sync::Arc;

use serde::Serialize;

use super::hunt::{Alert, DecoyGrade, FamilyGrade};
use super::train::{Importance, ModelCard};
use crate::extraction::Counts;
use crate::labels::LabelCounts;

/// The bundled traffic, as bytes.
#[derive(Clone)]
pub struct Samples {
    /// Capture to learn from.
    pub learn_capture: Arc<[u8]>,
    /// Its label rules.
    pub learn_labels: Arc<[u8]>,
    /// Capture to hunt in: other hosts, other times, two families more.
    pub hunt_capture: Arc<[u8]>,
    /// Its label rules.
    pub hunt_labels: Arc<[u8]>,
}

/// What a finished stage did. The caller measures how long it took.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// The learning capture became rows.
    Extracted(Extracted),
    /// A model was fitted.
    Trained(Box<Trained>),
    /// The other capture became rows.
    HuntExtracted(Extracted),
    /// The other capture's flows were scored and graded.
    Hunted(Hunted),
}

/// A capture that became rows.
#[derive(Clone, Debug, Serialize)]
pub struct Extracted {
    /// The capture.
    pub capture: String,
    /// Its size.
    pub capture_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Feature columns.
    pub features: u64,
    /// What was counted.
    pub counts: Counts,
    /// How labels met rows.
    pub labels: LabelCounts,
}

/// A model that was fitted.
#[derive(Clone, Debug, Serialize)]
pub struct Trained {
    /// What it says of itself.
    pub card: ModelCard,
    /// Size of its file.
    pub file_bytes: u64,
    /// Features that matter most.
    pub importances: Vec<Importance>,
}

/// A capture that was hunted in.
#[derive(Clone, Debug, Serialize)]
pub struct Hunted {
    /// Name of the learning algorithm.
    pub model: String,
    /// Flows scored.
    pub flows: u64,
    /// Flows at or above the threshold.
    pub alerts_total: u64,
    /// Scores at or above it are alerts.
    pub threshold: f64,
}

/// What happened, stage by stage, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Every stage in order.
    pub stages: Vec<Stage>,
    /// Detection per family, by the classifier and by the second opinion.
    pub families: Vec<FamilyRow>,
    /// False alarms on benign traffic that looks like a family.
    pub decoys: Vec<DecoyRow>,
    /// Malicious flows found, missed; benign flows alarmed, passed: by the classifier.
    pub hits: u64,
    /// Malicious flows below the threshold.
    pub missed: u64,
    /// Benign flows at or above the threshold.
    pub false_alarms: u64,
    /// Benign flows below it.
    pub passed: u64,
    /// Every metric by its plain name, of the classifier.
    pub metrics: serde_json::Value,
    /// The ten strongest alerts of the classifier with their reasons.
    pub alerts: Vec<Alert>,
}

/// Detection of one family.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyRow {
    /// By the classifier that learnt from labels.
    #[serde(flatten)]
    pub grade: FamilyGrade,
    /// Hits of the novelty model, which learnt without labels.
    pub second_opinion_hits: u64,
}

/// False alarms on one decoy.
#[derive(Clone, Debug, Serialize)]
pub struct DecoyRow {
    /// By the classifier that learnt from labels.
    #[serde(flatten)]
    pub grade: DecoyGrade,
    /// False alarms of the novelty model, which learnt without labels.
    pub second_opinion_false_alarms: u64,
}
