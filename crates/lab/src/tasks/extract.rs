//! `extract`: captures to a table of feature rows, with labels joined on when there are any.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, Counts, FlowOptions, LabelCounts};
use crate::output::{Format, Output};

/// What to extract, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Capture files, directories (searched recursively), or `-` for standard input.
    pub captures: Vec<PathBuf>,
    /// Feature sets by name; none = the identity columns and counters of each flow.
    pub sets: Vec<String>,
    /// A CSV of label rules, or of one label per capture (see [`crate::labels`]).
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// One label for every row: `benign`, `malicious` or `malicious:family`.
    #[serde(default)]
    pub label: Option<String>,
    /// When flows end.
    #[serde(default)]
    pub flow: FlowOptions,
    /// Where the rows go.
    pub output: Output,
}

/// What was extracted.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the rows went: a path, or `-`.
    pub output: String,
    /// Their format.
    pub format: Format,
    /// Rows written.
    pub rows: u64,
    /// Columns written.
    pub columns: u64,
    /// Feature columns among them.
    pub features: u64,
    /// SHA-256 of the ordered feature columns (name, unit, kind), in hex: what a model checks.
    pub schema_digest: String,
    /// Feature sets.
    pub sets: Vec<String>,
    /// Captures read.
    pub captures: u64,
    /// What was counted over all captures.
    #[serde(flatten)]
    pub counts: Counts,
    /// How labels met rows, when there were any.
    pub labels: Option<LabelCounts>,
    /// Captures that ended with a fault; their rows before it are in the table.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}
