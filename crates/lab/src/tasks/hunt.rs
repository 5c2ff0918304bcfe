//! `hunt`: the flows of a capture ranked by how malicious a model finds them, each with its reasons in words.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::alerts::Ranking;
pub use crate::alerts::{Alert, FamilyGuess, Truth};
use crate::extraction::{CaptureFault, Counts};
use crate::feed::{Arrived, Feed};
use crate::grade::Ledger;
pub use crate::grade::{DecoyGrade, FamilyGrade, Grade};
use crate::labels::LabelCounts;
use crate::model::Loaded;
use crate::reading::Reading;
pub use crate::reasons::Reason;
use crate::{Ctx, LabError};

/// Which traffic, with which model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Captures and directories of captures, an interface, or tables.
    pub inputs: Vec<PathBuf>,
    /// What of the captures is read.
    #[serde(default)]
    pub reading: Reading,
    /// The model file.
    pub model: PathBuf,
    /// Labels to grade the alerts with.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// Alerts to explain, strongest first.
    pub top: usize,
    /// Another threshold than the model's own.
    #[serde(default)]
    pub threshold: Option<f64>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the learning algorithm.
    pub model: String,
    /// SHA-256 of the model file in hex.
    pub model_sha256: String,
    /// Scores at or above it are alerts.
    pub threshold: f64,
    /// Flows scored.
    pub flows: u64,
    /// Flows at or above the threshold.
    pub alerts_total: u64,
    /// The strongest of them with their reasons, at most `top`.
    pub alerts: Vec<Alert>,
    /// What the labels say of it, when there are any.
    pub grade: Option<Grade>,
    /// What was counted, when the inputs were captures.
    pub counts: Option<Counts>,
    /// How labels met rows, when a label file was given.
    pub labels: Option<LabelCounts>,
    /// Captures that ended with a fault; their flows before it were judged.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// Scores every flow, ranks the alerts and explains the strongest.
///
/// # Errors
/// [`LabError`] of the model or of the inputs.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let model = Loaded::read(&spec.model, spec.threshold)?;
    let feed = Feed::open(&spec.inputs, &spec.reading, spec.labels.as_deref(), ctx, || model.recipe())?;
    let (found, arrived) = hunt(&model, feed, spec.top, ctx)?;
    Ok(Report {
        model: model.algorithm(),
        model_sha256: model.sha256.clone(),
        threshold: model.pipeline.threshold(),
        flows: found.flows,
        alerts_total: found.alerts_total,
        alerts: found.alerts,
        grade: found.grade,
        counts: arrived.counts,
        labels: arrived.labels,
        faults: arrived.faults,
        notes: arrived.notes,
    })
}

/// What a model found in a feed.
pub(crate) struct Found {
    /// Flows scored.
    pub(crate) flows: u64,
    /// Flows at or above the threshold.
    pub(crate) alerts_total: u64,
    /// The strongest of them.
    pub(crate) alerts: Vec<Alert>,
    /// What the labels say of it.
    pub(crate) grade: Option<Grade>,
}

/// Scores a feed with a model, keeping the `top` strongest alerts.
///
/// # Errors
/// [`LabError`] of the feed or of the model.
pub(crate) fn hunt(model: &Loaded, feed: Feed, top: usize, ctx: &Ctx) -> Result<(Found, Arrived), LabError> {
    let mut ranking = Ranking::new(model, top);
    let mut ledger = Ledger::default();
    let arrived = model.score_feed(feed, ctx, &mut |chunks, table, scores| {
        ledger.add(chunks, &scores);
        ranking.add(chunks, table, &scores)
    })?;
    let grade = ledger.grade(model)?;
    let (flows, alerts_total) = (ranking.flows, ranking.alerts_total);
    Ok((Found { flows, alerts_total, alerts: ranking.explain()?, grade }, arrived))
}
