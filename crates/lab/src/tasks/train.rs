//! `train`: a labelled table (or labelled captures) to a model file that judges itself on rows it did not see.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cormorant_learn::eval::cost::CostMatrix;
use cormorant_learn::eval::split::Split;
use cormorant_learn::pipeline::{Pipeline, PipelineSpec, Target};
use cormorant_learn::prep::StepSpec;
use cormorant_learn::search::{Dimension, Objective, SearchSpec};
use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, FlowOptions, Recipe};
use crate::feed::{Arrived, Feed};
use crate::labels::LabelCounts;
pub use crate::model::ModelCard;
use crate::model::{card, digest, gather};
use crate::output::write_whole;
use crate::reading::Reading;
use crate::tables::Provenance;
use crate::tables::read::cannot_read;
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
    /// Preparation steps as typed, e.g. `impute,one-hot:words=20,standard`; none = what suits the model.
    #[serde(default)]
    pub prep: Option<String>,
    /// How probabilities are calibrated on rows held out: `none` (default), `platt` or `isotonic`.
    #[serde(default)]
    pub calibrate: Option<String>,
    /// What deciding one class as another costs: `kdd99`, or a CSV file with a row and a column per class.
    #[serde(default)]
    pub cost: Option<String>,
    /// Shares of the classes where the model will be used: `train`, `equal`, or `benign=0.99,dos=0.01`; none = `equal` with
    /// costs, else `train`.
    #[serde(default)]
    pub priors: Option<String>,
    /// Rows of equal features and class weigh together count^this; none = 0 with costs, else each row counts.
    #[serde(default)]
    pub dedup: Option<f64>,
    /// Looks for hyperparameters that are not given: `halving:9`, `random:20` or `grid`.
    #[serde(default)]
    pub search: Option<String>,
    /// Where the search looks, each as `name=1|2|3` or `name=0.01..0.3:log`; none = the model's own space.
    #[serde(default)]
    pub space: Vec<String>,
    /// What the search makes best; none = the costs, else average precision.
    #[serde(default)]
    pub objective: Option<String>,
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
    plan.prep = spec.prep.as_deref().map(StepSpec::parse_list).transpose().map_err(option("prep"))?;
    if let Some(calibration) = &spec.calibrate {
        plan.calibration = calibration.parse().map_err(option("calibrate"))?;
    }
    decisions(spec, &mut plan)?;
    if let Some(method) = &spec.search {
        plan.search = Some(search(spec, &plan, method)?);
    }
    check_parameters(&plan)?;
    Ok(plan)
}

/// Costs, and what they ask for: the classes they name; shares and repeats of training rows that say nothing of those to
/// come; and attack types that were never seen, so that whole families are held out.
fn decisions(spec: &Spec, plan: &mut PipelineSpec) -> Result<(), LabError> {
    plan.dedup = spec.dedup;
    if let Some(named) = &spec.cost {
        let costs = costs(named)?;
        if !spec.params.contains_key("target") {
            plan.target = Target::Class;
        }
        plan.dedup = plan.dedup.or(Some(0.0));
        plan.split = plan.split.take().or_else(|| Split::parse(HELD_OUT).ok());
        plan.costs = Some(costs);
    }
    let default = if spec.cost.is_some() { "equal" } else { "train" };
    plan.priors = match spec.priors.as_deref().unwrap_or(default) {
        "train" => None,
        "equal" => Some(BTreeMap::new()),
        text => Some(shares(text)?),
    };
    Ok(())
}

/// How rows are held out where attacks to come are of types unseen.
const HELD_OUT: &str = "leave-families-out:3";

fn costs(named: &str) -> Result<CostMatrix, LabError> {
    if let Some(costs) = CostMatrix::named(named) {
        return Ok(costs);
    }
    let path = Path::new(named);
    let text = fs::read_to_string(path).map_err(|source| cannot_read(path, source))?;
    CostMatrix::from_csv(&text).map_err(LabError::learn(named))
}

fn shares(text: &str) -> Result<BTreeMap<String, f64>, LabError> {
    let share = |pair: &str| {
        let (class, share) = pair.split_once('=')?;
        let share: f64 = share.trim().parse().ok()?;
        (share >= 0.0 && share.is_finite()).then(|| (class.trim().to_owned(), share))
    };
    text.split(',').map(share).collect::<Option<_>>().ok_or_else(|| LabError::Request {
        what: "--priors",
        expected: "train, equal, or shares such as benign=0.99,dos=0.01".to_owned(),
        found: format!("`{}`", crate::plain::plain(text)),
        advice: "name every class that will be seen".to_owned(),
    })
}

fn search(spec: &Spec, plan: &PipelineSpec, method: &str) -> Result<SearchSpec, LabError> {
    let option = |name: &str| LabError::learn(format!("option {name}"));
    let objective = match (&spec.objective, &plan.costs) {
        (Some(objective), _) => objective.parse().map_err(option("objective"))?,
        (None, Some(costs)) => Objective::Cost(costs.clone()),
        (None, None) => Objective::AveragePrecision,
    };
    let space: Result<Vec<Dimension>, _> = spec.space.iter().map(|one| one.parse()).collect();
    let space = space.map_err(option("space"))?;
    Ok(SearchSpec {
        method: method.parse().map_err(option("search"))?,
        space: (!space.is_empty()).then_some(space),
        objective,
        split: plan.split.clone(),
    })
}

/// Wrong names and values are refused before any capture is read.
fn check_parameters(plan: &PipelineSpec) -> Result<(), LabError> {
    let model = cormorant_learn::models::find(&plan.model).map_err(LabError::learn("option model"))?;
    let params = cormorant_learn::params::Params::check(model.name, model.params, &plan.params);
    params.map(|_| ()).map_err(LabError::learn("option -p"))
}
