//! `evaluate`: how well a model does on labelled rows, every metric by its plain name.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::DataType;
use cormorant_learn::eval::curves::{CurvePoint, thin};
use cormorant_learn::eval::permutation::Measure;
pub use cormorant_learn::pipeline::Intervals;
use cormorant_learn::pipeline::{Judged, Pipeline};
use cormorant_learn::table::Role;
use serde::{Deserialize, Serialize};

use crate::extraction::CaptureFault;
use crate::feed::Feed;
use crate::labels::LabelCounts;
use crate::model::{Loaded, gather, restrict, with_classes};
use crate::output::Output;
use crate::reading::Reading;
use crate::tables::batch;
use crate::tables::write::TableWriter;
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
    /// Bootstrap samples for the intervals; 0 = no intervals.
    #[serde(default = "default_draws")]
    pub draws: usize,
    /// Where the points of the curves go.
    #[serde(default)]
    pub curves: Option<Output>,
    /// How often each feature is shuffled to find out what it is worth; 0 = not asked.
    #[serde(default)]
    pub shuffles: usize,
}

/// The usual number of bootstrap samples.
pub const DEFAULT_DRAWS: usize = 200;

fn default_draws() -> usize {
    DEFAULT_DRAWS
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
    /// How sure they are: an interval for each metric that is defined; `null` when not asked.
    pub intervals: Option<Intervals>,
    /// What each feature is worth on these rows, most first: what the ROC AUC loses when the feature is shuffled among them.
    /// Empty when not asked.
    pub importances: Vec<Shuffled>,
    /// Where the points of the curves went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curves: Option<String>,
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

/// What is lost when a feature says nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shuffled {
    /// Feature column.
    pub feature: String,
    /// Mean loss of ROC AUC over the shuffles; about 0, and possibly below, for a feature that says nothing.
    pub loss: f64,
    /// Standard deviation over the shuffles.
    pub deviation: f64,
}

/// Share of the draws within an interval.
const CONFIDENCE: f64 = 0.95;
/// Points of the curves at most: more than any picture can show.
const MOST_POINTS: usize = 10_000;

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
    let wrong = || LabError::learn("evaluating");
    let judged = model.pipeline.judge(&table, ctx).map_err(wrong())?;
    let found = judged.evaluation().map_err(wrong())?;
    let intervals = match spec.draws {
        0 => None,
        draws => Some(judged.intervals(draws, CONFIDENCE, ctx).map_err(wrong())?),
    };
    let importances = shuffled(&judged, &model.pipeline, spec.shuffles, ctx)?;
    let curves = spec.curves.as_ref().map(|output| write_curves(&judged, output)).transpose()?;
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
        intervals,
        importances,
        curves,
        mean_cost: found.mean_cost,
        labels: arrived.labels,
        faults: arrived.faults,
        notes: arrived.notes,
    })
}

/// What each feature is worth, most first.
fn shuffled(
    judged: &Judged<'_>,
    pipeline: &Pipeline,
    shuffles: usize,
    ctx: &Ctx,
) -> Result<Vec<Shuffled>, LabError> {
    if shuffles == 0 {
        return Ok(Vec::new());
    }
    let worth = judged.importances(Measure::RocAuc, shuffles, ctx).map_err(LabError::learn("evaluating"))?;
    let named = pipeline.schema().features.iter().zip(worth).map(|(feature, worth)| Shuffled {
        feature: feature.name.clone(),
        loss: worth.mean,
        deviation: worth.deviation,
    });
    let mut named: Vec<Shuffled> = named.collect();
    named.sort_by(|a, b| b.loss.total_cmp(&a.loss));
    Ok(named)
}

/// Writes one row per point of the curves: (fpr, recall) is the ROC curve, (recall, precision) the precision-recall curve,
/// (fdr, recall) the FAR-DR curve.
fn write_curves(judged: &Judged<'_>, output: &Output) -> Result<String, LabError> {
    let points = thin(&judged.curve().map_err(LabError::learn("evaluating"))?, MOST_POINTS);
    let column = |value: fn(&CurvePoint) -> Option<f64>| -> ArrayRef {
        Arc::new(points.iter().map(value).collect::<Float64Array>())
    };
    let columns: [(&str, ArrayRef); 5] = [
        ("threshold", column(|point| point.threshold)),
        ("recall", column(|point| point.recall)),
        ("fpr", column(|point| point.fpr)),
        ("precision", column(|point| Some(point.precision))),
        ("fdr", column(|point| Some(point.fdr))),
    ];
    let field = |(name, _): &(&str, ArrayRef)| batch::field(name, DataType::Float64, Role::Feature, "1");
    let schema = batch::with_metadata(columns.iter().map(field).collect(), []);
    let rows = RecordBatch::try_new(schema.clone(), columns.map(|(_, array)| array).to_vec())
        .map_err(|error| LabError::Internal(error.to_string()))?;
    let mut writer = TableWriter::create(output, &schema)?;
    writer.write(&rows)?;
    writer.finish()?;
    Ok(String::from(output.clone()))
}
