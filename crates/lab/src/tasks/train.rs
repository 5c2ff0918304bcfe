//! `train`: a labelled table (or labelled captures) to a model file that judges itself on rows it did not see.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, FlowOptions};
use crate::labels::LabelCounts;

/// What to learn, from what, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Tables, or captures and directories of captures.
    pub inputs: Vec<PathBuf>,
    /// Labels, when the inputs are captures.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// Feature sets, when the inputs are captures.
    #[serde(default)]
    pub sets: Vec<String>,
    /// When flows end, when the inputs are captures.
    #[serde(default)]
    pub flow: FlowOptions,
    /// Model by name.
    pub model: String,
    /// Parameters as typed after `-p`: the model's own, and `target` = `label`, `family` or `class`.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// How to hold rows out, e.g. `group-k-fold:5` or `time:0.3`; none = by group when there are several, else by time.
    #[serde(default)]
    pub split: Option<String>,
    /// What sets the threshold: `fpr:0.001` (default), `f1`, or a number.
    #[serde(default)]
    pub threshold: Option<String>,
    /// The model file.
    pub output: PathBuf,
}

/// What was learnt, and how good it is on rows held out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model file.
    pub output: String,
    /// Its size.
    pub file_bytes: u64,
    /// Its SHA-256 in hex: the model's identity.
    pub sha256: String,
    /// The model, as its file records it.
    #[serde(flatten)]
    pub model: ModelCard,
    /// Rows of the inputs.
    pub rows_in: u64,
    /// Rows left out because they have no label.
    pub rows_unlabelled: u64,
    /// How labels met rows, when the inputs were captures with a label file.
    pub labels: Option<LabelCounts>,
    /// Features that matter most, most important first.
    pub importances: Vec<Importance>,
    /// Captures that ended with a fault; their rows before it were learnt from.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// What a model file says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ModelCard {
    /// Name of the learning algorithm.
    pub model: String,
    /// `classifier` or `novelty`.
    pub kind: String,
    /// Its hyperparameters, all of them.
    pub params: BTreeMap<String, String>,
    /// What it was asked to tell apart: `label`, `family` or `class`.
    pub target: String,
    /// Classes in the order of its outputs; empty for novelty models.
    pub classes: Vec<String>,
    /// Feature columns it wants.
    pub features: u64,
    /// SHA-256 of these columns (name, unit, kind), in hex.
    pub schema_digest: String,
    /// Feature sets that make these columns out of a capture, when known.
    pub sets: Vec<String>,
    /// Rows it learnt from.
    pub rows: u64,
    /// Share of malicious rows among them.
    pub base_rate: Option<f64>,
    /// Families it learnt from, with their rows.
    pub families: BTreeMap<String, u64>,
    /// How rows were held out to judge it.
    pub split: String,
    /// Scores at or above it are alerts.
    pub threshold: f64,
    /// What set the threshold.
    pub threshold_rule: String,
    /// Metrics on rows held out of the fit that scored them; `null` when no split was possible.
    pub metrics: Option<serde_json::Value>,
    /// Seed of everything random.
    pub seed: u64,
    /// Version of the program that wrote it.
    pub version: String,
}

/// How much a feature matters to a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Importance {
    /// Feature column.
    pub feature: String,
    /// Share of all importance, 0 to 1.
    pub importance: f64,
}
