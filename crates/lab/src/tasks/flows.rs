//! `flows`: one row per flow with its identity and counters; `extract` without a feature set.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::extract::Report;
use crate::extraction::FlowOptions;
use crate::output::Output;

/// Which flows, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Capture files, directories (searched recursively), or `-` for standard input.
    pub captures: Vec<PathBuf>,
    /// When flows end.
    #[serde(default)]
    pub flow: FlowOptions,
    /// Where the rows go.
    pub output: Output,
}
