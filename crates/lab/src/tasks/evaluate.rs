//! `evaluate`: how well a model does on labelled rows, every metric by its plain name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extraction::CaptureFault;
use crate::labels::LabelCounts;

/// Which model, on which rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The model file.
    pub model: PathBuf,
    /// Tables, or captures and directories of captures.
    pub inputs: Vec<PathBuf>,
    /// Labels, when the inputs are captures.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// Another threshold than the model's own.
    #[serde(default)]
    pub threshold: Option<f64>,
}

/// How the model did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the learning algorithm.
    pub model: String,
    /// SHA-256 of the model file in hex.
    pub model_sha256: String,
    /// Rows judged.
    pub rows: u64,
    /// Rows left out because they have no label.
    pub rows_unlabelled: u64,
    /// Scores at or above it count as alerts.
    pub threshold: f64,
    /// Every metric by its plain name, with per-family and per-class tables.
    pub metrics: serde_json::Value,
    /// Families among the rows that the model never learnt from.
    pub families_unseen: Vec<String>,
    /// How labels met rows, when the inputs were captures with a label file.
    pub labels: Option<LabelCounts>,
    /// Captures that ended with a fault; their rows before it were judged.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}
