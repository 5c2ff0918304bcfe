//! `score`: a score and a verdict for every row of a table or flow of a capture.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, Counts};
use crate::output::{Format, Output};

/// Which model, on which rows, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The model file.
    pub model: PathBuf,
    /// Tables, or captures and directories of captures.
    pub inputs: Vec<PathBuf>,
    /// Another threshold than the model's own.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Where identity columns, `score`, `verdict` and class probabilities go.
    pub output: Output,
}

/// What was scored.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the rows went: a path, or `-`.
    pub output: String,
    /// Their format.
    pub format: Format,
    /// Name of the learning algorithm.
    pub model: String,
    /// SHA-256 of the model file in hex.
    pub model_sha256: String,
    /// Rows scored.
    pub rows: u64,
    /// Rows at or above the threshold.
    pub alerts: u64,
    /// Scores at or above it are alerts.
    pub threshold: f64,
    /// What was counted, when the inputs were captures.
    pub counts: Option<Counts>,
    /// Captures that ended with a fault; their rows before it were scored.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}
