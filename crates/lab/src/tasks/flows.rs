//! `flows`: one row per flow with its identity and counters; `extract` without a feature set.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::extract;
pub use super::extract::Report;
use crate::extraction::FlowOptions;
use crate::output::Output;
use crate::reading::Reading;
use crate::tables::Naming;
use crate::{Ctx, LabError};

/// Which flows, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Capture files, directories (searched recursively), patterns of file names, `-` for standard input, or an
    /// interface.
    pub captures: Vec<PathBuf>,
    /// What of them is read.
    #[serde(default)]
    pub reading: Reading,
    /// When flows end.
    #[serde(default)]
    pub flow: FlowOptions,
    /// Whose names the columns have.
    #[serde(default)]
    pub names: Naming,
    /// Where the rows go.
    pub output: Output,
}

/// Turns captures into a table of flows.
///
/// # Errors
/// As [`extract::run`].
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let spec = extract::Spec {
        captures: spec.captures.clone(),
        reading: spec.reading.clone(),
        sets: Vec::new(),
        labels: None,
        label_offset_s: 0,
        label: None,
        flow: spec.flow,
        resume: false,
        names: spec.names,
        output: spec.output.clone(),
    };
    extract::run(&spec, ctx)
}
