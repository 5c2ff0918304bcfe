//! `train`: a labelled table (or labelled captures) to a model file that judges itself on rows it did not see.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cormorant_learn::eval::split::Split;
use cormorant_learn::pipeline::{Pipeline, PipelineSpec, Target};
use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, FlowOptions, Recipe};
use crate::feed::{Arrived, Feed};
use crate::labels::LabelCounts;
pub use crate::model::ModelCard;
use crate::model::{card, digest, gather};
use crate::output::write_whole;
use crate::reading::Reading;
use crate::tables::Provenance;
use crate::{Ctx, LabError};

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

/// How much a feature matters to a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Importance {
    /// Feature column.
    pub feature: String,
    /// Share of all importance, 0 to 1.
    pub importance: f64,
}

/// Learns, judges and writes the model file.
///
/// # Errors
/// [`LabError`] of the inputs, of a parameter, of data that cannot be learnt from, or of the file; then nothing is
/// written.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let plan = pipeline_spec(spec)?;
    let feed =
        Feed::open(&spec.inputs, &Reading::default(), spec.labels.as_deref(), ctx, || Ok(recipe(spec)))?;
    let (pipeline, arrived) = fit(plan, feed, ctx)?;
    let bytes = pipeline.to_bytes().map_err(LabError::learn(spec.output.display().to_string()))?;
    write_whole(&spec.output, &bytes)?;
    let trained = pipeline.trained();
    Ok(Report {
        output: spec.output.display().to_string(),
        file_bytes: bytes.len() as u64,
        sha256: digest(&bytes),
        model: card(&pipeline)?,
        rows_in: trained.rows,
        rows_unlabelled: trained.unlabelled,
        labels: arrived.labels,
        importances: importances(&pipeline),
        faults: arrived.faults,
        notes: arrived.notes,
    })
}

/// Fits on the rows of a feed; the notes of the fit join those of the feed.
pub(crate) fn fit(mut plan: PipelineSpec, feed: Feed, ctx: &Ctx) -> Result<(Pipeline, Arrived), LabError> {
    let origin: Option<Provenance> = feed.provenance();
    plan.provenance = origin.map(|origin| origin.to_metadata()).unwrap_or_default();
    let (table, mut arrived) = gather(feed, ctx)?;
    let pipeline =
        Pipeline::fit(&plan, &table, ctx).map_err(LabError::learn(format!("training {}", plan.model)))?;
    let trained = pipeline.trained();
    for notes in [&trained.held_out.notes, &trained.threshold_notes, &trained.model_notes] {
        arrived.notes.extend(notes.iter().cloned());
    }
    Ok((pipeline, arrived))
}

/// Features by importance, most important first; columns made of one feature count together.
pub(crate) fn importances(pipeline: &Pipeline) -> Vec<Importance> {
    let Some(by_column) = pipeline.model().importances() else { return Vec::new() };
    let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
    for (column, importance) in pipeline.columns().iter().zip(by_column) {
        *sums.entry(column.source).or_default() += importance;
    }
    let features = &pipeline.schema().features;
    let named = |(place, importance): (usize, f64)| {
        features.get(place).map(|feature| Importance { feature: feature.name.clone(), importance })
    };
    let mut named: Vec<Importance> =
        sums.into_iter().filter_map(named).filter(|one| one.importance > 0.0).collect();
    named.sort_by(|a, b| b.importance.total_cmp(&a.importance));
    named.truncate(MOST_IMPORTANCES);
    named
}

const MOST_IMPORTANCES: usize = 20;

fn recipe(spec: &Spec) -> Recipe {
    let sets = if spec.sets.is_empty() { vec!["flow".to_owned()] } else { spec.sets.clone() };
    Recipe { sets, flow: spec.flow }
}

fn pipeline_spec(spec: &Spec) -> Result<PipelineSpec, LabError> {
    let option = |name: &str| LabError::learn(format!("option {name}"));
    let mut plan = PipelineSpec::new(&spec.model);
    plan.params.clone_from(&spec.params);
    if let Some(target) = plan.params.remove("target") {
        plan.target = target.parse::<Target>().map_err(option("target"))?;
    }
    if let Some(rule) = &spec.threshold {
        plan.threshold = rule.parse().map_err(option("threshold"))?;
    }
    plan.split = spec.split.as_deref().map(Split::parse).transpose().map_err(option("split"))?;
    check_parameters(&plan)?;
    Ok(plan)
}

/// Wrong names and values are refused before any capture is read.
fn check_parameters(plan: &PipelineSpec) -> Result<(), LabError> {
    let model = cormorant_learn::models::find(&plan.model).map_err(LabError::learn("option model"))?;
    let params = cormorant_learn::params::Params::check(model.name, model.params, &plan.params);
    params.map(|_| ()).map_err(LabError::learn("option -p"))
}
