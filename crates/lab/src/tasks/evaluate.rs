//! `evaluate`: how well a model does on labelled rows, every metric by its plain name.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extraction::CaptureFault;
use crate::feed::Feed;
use crate::labels::LabelCounts;
use crate::model::{Loaded, gather, restrict, with_classes};
use crate::reading::Reading;
use crate::{Ctx, LabError};

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
    /// Mean cost of the decisions, where the model decides by costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_cost: Option<f64>,
    /// Families among the rows that the model never learnt from.
    pub families_unseen: Vec<String>,
    /// How labels met rows, when the inputs were captures with a label file.
    pub labels: Option<LabelCounts>,
    /// Captures that ended with a fault; their rows before it were judged.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// Scores labelled rows and measures.
///
/// # Errors
/// [`LabError`] of the model, of the inputs, or when no row has a label.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let model = Loaded::read(&spec.model, spec.threshold)?;
    let feed = Feed::open(&spec.inputs, &Reading::default(), spec.labels.as_deref(), ctx, || model.recipe())?;
    let selection = model.select("the input", &feed.schema)?;
    let (table, mut arrived) = gather(feed, ctx)?;
    let known = model.pipeline.trained().data_digest == table.digest();
    let table = restrict(&table, &model.pipeline)?;
    let found = model.pipeline.evaluate(&table, ctx).map_err(LabError::learn("evaluating"))?;
    arrived.notes.extend(selection.notes);
    if known {
        arrived.notes.push("these are the rows the model was trained on: the metrics flatter it".to_owned());
    }
    let unseen = |family: &&str| !family.is_empty() && !model.knows(family);
    let families = found.metrics.families.iter().map(|family| family.family.as_str());
    Ok(Report {
        model: model.algorithm(),
        model_sha256: model.sha256.clone(),
        rows: found.metrics.rows,
        rows_unlabelled: found.unlabelled,
        threshold: model.pipeline.threshold(),
        families_unseen: families.filter(unseen).map(str::to_owned).collect(),
        metrics: with_classes(&found.metrics, found.classes.as_ref())?,
        mean_cost: found.mean_cost,
        labels: arrived.labels,
        faults: arrived.faults,
        notes: arrived.notes,
    })
}
