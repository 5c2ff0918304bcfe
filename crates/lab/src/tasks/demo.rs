//! `demo`: the main job on bundled traffic: extract and learn from one capture, hunt in another, and grade it.

use std::sync::Arc;

use cormorant_learn::pipeline::{Pipeline, PipelineSpec, ThresholdRule};
use serde::Serialize;

use super::hunt::{Alert, DecoyGrade, FamilyGrade, Found, Grade, hunt};
use super::train::{Importance, ModelCard, fit, importances};
use crate::extraction::{Chunk, Counts, Recipe};
use crate::feed::Feed;
use crate::labels::{LabelCounts, Labels};
use crate::model::{Loaded, card};
use crate::sources::Sources;
use crate::{Ctx, LabError};

/// The bundled traffic, as bytes.
#[derive(Clone)]
pub struct Samples {
    /// Capture to learn from.
    pub learn_capture: Arc<[u8]>,
    /// Its label rules.
    pub learn_labels: Arc<[u8]>,
    /// Capture to hunt in: other hosts, other times, two families more.
    pub hunt_capture: Arc<[u8]>,
    /// Its label rules.
    pub hunt_labels: Arc<[u8]>,
}

/// What a finished stage did. The caller measures how long it took.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// The learning capture became rows.
    Extracted(Extracted),
    /// A model was fitted.
    Trained(Box<Trained>),
    /// The other capture became rows.
    HuntExtracted(Extracted),
    /// The other capture's flows were scored and graded.
    Hunted(Hunted),
}

/// A capture that became rows.
#[derive(Clone, Debug, Serialize)]
pub struct Extracted {
    /// The capture.
    pub capture: String,
    /// Its size.
    pub capture_bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Feature columns.
    pub features: u64,
    /// What was counted.
    pub counts: Counts,
    /// How labels met rows.
    pub labels: LabelCounts,
}

/// A model that was fitted.
#[derive(Clone, Debug, Serialize)]
pub struct Trained {
    /// What it says of itself.
    pub card: ModelCard,
    /// Size of its file.
    pub file_bytes: u64,
    /// Features that matter most.
    pub importances: Vec<Importance>,
}

/// A capture that was hunted in.
#[derive(Clone, Debug, Serialize)]
pub struct Hunted {
    /// Name of the learning algorithm.
    pub model: String,
    /// Flows scored.
    pub flows: u64,
    /// Flows at or above the threshold.
    pub alerts_total: u64,
    /// Scores at or above it are alerts.
    pub threshold: f64,
}

/// What happened, stage by stage, and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Every stage in order.
    pub stages: Vec<Stage>,
    /// Detection per family, by the classifier and by the second opinion.
    pub families: Vec<FamilyRow>,
    /// False alarms on benign traffic that looks like a family.
    pub decoys: Vec<DecoyRow>,
    /// Malicious flows at or above the classifier's threshold.
    pub hits: u64,
    /// Malicious flows below it.
    pub missed: u64,
    /// Benign flows at or above it.
    pub false_alarms: u64,
    /// Benign flows below it.
    pub passed: u64,
    /// Every metric by its plain name, of the classifier.
    pub metrics: serde_json::Value,
    /// False alarms of the second opinion.
    pub second_opinion_false_alarms: u64,
    /// The ten strongest alerts of the classifier with their reasons.
    pub alerts: Vec<Alert>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
    /// The classifier as a model file.
    #[serde(skip)]
    pub model_file: Vec<u8>,
}

/// Detection of one family.
#[derive(Clone, Debug, Serialize)]
pub struct FamilyRow {
    /// By the classifier that learnt from labels.
    #[serde(flatten)]
    pub grade: FamilyGrade,
    /// Hits of the novelty model, which learnt from benign flows alone.
    pub second_opinion_hits: u64,
}

/// False alarms on one decoy.
#[derive(Clone, Debug, Serialize)]
pub struct DecoyRow {
    /// By the classifier that learnt from labels.
    #[serde(flatten)]
    pub grade: DecoyGrade,
    /// False alarms of the novelty model, which learnt from benign flows alone.
    pub second_opinion_false_alarms: u64,
}

/// Extracts, learns, hunts and grades. `told` hears of each stage as it ends.
///
/// # Errors
/// [`LabError`], which with the bundled traffic means a fault of the build.
pub fn run(samples: &Samples, ctx: &Ctx, told: &mut dyn FnMut(&Stage)) -> Result<Report, LabError> {
    let mut stages = Vec::new();
    let mut tell = |stage: Stage| {
        told(&stage);
        stages.push(stage);
    };
    let learn = extract("learn.pcapng", &samples.learn_capture, &samples.learn_labels, ctx)?;
    tell(Stage::Extracted(learn.told.clone()));
    let (classifier, model_file, trained, mut notes) = train(CLASSIFIER, ThresholdRule::F1, &learn, ctx)?;
    tell(Stage::Trained(Box::new(trained)));
    let rule = ThresholdRule::Fpr(SECOND_OPINION_FPR);
    let (novelty, _, trained, more_notes) = train(SECOND_OPINION, rule, &learn, ctx)?;
    notes.extend(more_notes);
    tell(Stage::Trained(Box::new(trained)));
    let hunted = extract("hunt.pcapng", &samples.hunt_capture, &samples.hunt_labels, ctx)?;
    tell(Stage::HuntExtracted(hunted.told.clone()));
    let first = search(&classifier, &hunted, ctx)?;
    tell(Stage::Hunted(first.told));
    let second = search(&novelty, &hunted, ctx)?;
    tell(Stage::Hunted(second.told));
    notes.dedup();
    Ok(Report {
        stages,
        families: families(&first.grade, &second.grade),
        decoys: decoys(&first.grade, &second.grade),
        hits: first.grade.hits,
        missed: first.grade.missed,
        false_alarms: first.grade.false_alarms,
        passed: first.grade.passed,
        metrics: first.grade.metrics,
        second_opinion_false_alarms: second.grade.false_alarms,
        alerts: first.alerts,
        notes,
        model_file,
    })
}

/// What a flow looks like, and what else its hosts did lately.
const SETS: [&str; 2] = ["flow", "context"];
/// Learns from labels.
const CLASSIFIER: &str = "random-forest";
/// Learns what is normal from benign flows alone, so that it may find families it was never shown.
const SECOND_OPINION: &str = "isolation-forest";
/// False alarms the second opinion may raise: it is asked for what the classifier cannot know.
const SECOND_OPINION_FPR: f64 = 0.05;
/// Alerts explained.
const TOP: usize = 10;

/// A capture in memory as rows.
struct Extraction {
    recipe: Recipe,
    chunks: Vec<Chunk>,
    told: Extracted,
}

fn extract(name: &str, capture: &Arc<[u8]>, labels: &[u8], ctx: &Ctx) -> Result<Extraction, LabError> {
    let recipe = Recipe { sets: SETS.map(str::to_owned).to_vec(), ..Recipe::default() };
    let labels = Labels::parse(&name.replace(".pcapng", ".labels.csv"), labels)?;
    let feed = Feed::captures(Sources::memory(name, Arc::clone(capture)), recipe.clone(), Some(labels))?;
    let features = crate::tables::learn::schema_of(feed.schema.fields()).features.len() as u64;
    let mut chunks = Vec::new();
    let arrived = feed.run(ctx, &mut |chunk| {
        chunks.push(chunk);
        Ok(())
    })?;
    let counts = arrived.counts.unwrap_or_default();
    let told = Extracted {
        capture: name.to_owned(),
        capture_bytes: capture.len() as u64,
        rows: counts.flows,
        features,
        counts,
        labels: arrived.labels.unwrap_or_default(),
    };
    Ok(Extraction { recipe, chunks, told })
}

impl Extraction {
    fn feed(&self) -> Result<Feed, LabError> {
        Feed::memory(self.recipe.clone(), self.chunks.clone())
    }
}

type Fitted = (Loaded, Vec<u8>, Trained, Vec<String>);

fn train(model: &str, threshold: ThresholdRule, rows: &Extraction, ctx: &Ctx) -> Result<Fitted, LabError> {
    let plan = PipelineSpec { threshold, ..PipelineSpec::new(model) };
    let (pipeline, arrived): (Pipeline, _) = fit(plan, rows.feed()?, ctx)?;
    let bytes = pipeline.to_bytes().map_err(LabError::learn(model))?;
    let trained = Trained {
        card: card(&pipeline)?,
        file_bytes: bytes.len() as u64,
        importances: importances(&pipeline),
    };
    // What hunts is what a file would hold, not what happens to be in memory.
    let loaded = Loaded::parse(model, &bytes, None)?;
    Ok((loaded, bytes, trained, arrived.notes))
}

struct Searched {
    told: Hunted,
    grade: Grade,
    alerts: Vec<Alert>,
}

fn search(model: &Loaded, rows: &Extraction, ctx: &Ctx) -> Result<Searched, LabError> {
    let (Found { flows, alerts_total, alerts, grade }, _) = hunt(model, rows.feed()?, TOP, ctx)?;
    let grade = grade.ok_or_else(|| LabError::Internal("the bundled labels match no flow".to_owned()))?;
    let told =
        Hunted { model: model.algorithm(), flows, alerts_total, threshold: model.pipeline.threshold() };
    Ok(Searched { told, grade, alerts })
}

fn families(first: &Grade, second: &Grade) -> Vec<FamilyRow> {
    let hits = |family: &str| {
        second.families.iter().find(|grade| grade.family == family).map_or(0, |grade| grade.hits)
    };
    let row =
        |grade: &FamilyGrade| FamilyRow { second_opinion_hits: hits(&grade.family), grade: grade.clone() };
    first.families.iter().map(row).collect()
}

fn decoys(first: &Grade, second: &Grade) -> Vec<DecoyRow> {
    let alarms = |activity: &str| {
        second.decoys.iter().find(|grade| grade.activity == activity).map_or(0, |grade| grade.false_alarms)
    };
    let row = |grade: &DecoyGrade| DecoyRow {
        second_opinion_false_alarms: alarms(&grade.activity),
        grade: grade.clone(),
    };
    first.decoys.iter().map(row).collect()
}
