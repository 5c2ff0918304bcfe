//! A model file in use: what it says of itself, how it makes rows out of captures, and its scores of rows.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use cormorant_learn::estimator::Kind;
use cormorant_learn::pipeline::{Pipeline, Scores, Target};
use cormorant_learn::table::{Field, Role, Table};
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::extraction::{Chunk, Recipe};
use crate::feed::{Arrived, Feed};
use crate::reasons::Reference;
use crate::tables::Provenance;
use crate::tables::learn::{Selection, training_table, useful_places};
use crate::tables::read::{BATCH_ROWS, cannot_read};
use crate::{Ctx, LabError};

/// What a model file says of itself.
#[derive(Clone, Debug, Serialize)]
pub struct ModelCard {
    /// Name of the learning algorithm.
    pub model: String,
    /// `classifier` or `novelty`.
    pub kind: String,
    /// Its hyperparameters, all of them.
    pub params: BTreeMap<String, String>,
    /// What it was asked to tell apart: `label`, `family` or `class`.
    pub target: String,
    /// Classes in the order of its outputs; empty for novelty models.
    pub classes: Vec<String>,
    /// Feature columns it wants.
    pub features: u64,
    /// SHA-256 of these columns (name, unit, kind), in hex.
    pub schema_digest: String,
    /// Feature sets that make these columns out of a capture, when known.
    pub sets: Vec<String>,
    /// Rows it learnt from.
    pub rows: u64,
    /// Share of malicious rows among the labelled ones.
    pub base_rate: Option<f64>,
    /// Families it learnt from, with their rows.
    pub families: BTreeMap<String, u64>,
    /// How rows were held out to judge it.
    pub split: String,
    /// Scores at or above it are alerts.
    pub threshold: f64,
    /// What set the threshold.
    pub threshold_rule: String,
    /// Metrics on rows held out of the fit that scored them; `null` when no labelled row could be held out.
    pub metrics: Option<Value>,
    /// Mean cost of decisions about rows held out, where the model decides by costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_cost: Option<f64>,
    /// Seed of everything random.
    pub seed: u64,
    /// Version of the program that wrote it.
    pub version: String,
}

/// A model file in memory.
pub(crate) struct Loaded {
    /// All it can do.
    pub(crate) pipeline: Pipeline,
    /// SHA-256 of the file in hex: the model's identity.
    pub(crate) sha256: String,
    name: String,
}

impl Loaded {
    /// Reads a model file; `threshold` replaces its own.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Learn`] for a damaged file.
    pub(crate) fn read(path: &Path, threshold: Option<f64>) -> Result<Self, LabError> {
        let bytes = fs::read(path).map_err(|source| cannot_read(path, source))?;
        Self::parse(&path.display().to_string(), &bytes, threshold)
    }

    /// The same from bytes called `name` in messages.
    ///
    /// # Errors
    /// [`LabError::Learn`] for damaged bytes.
    pub(crate) fn parse(name: &str, bytes: &[u8], threshold: Option<f64>) -> Result<Self, LabError> {
        let pipeline = Pipeline::from_bytes(bytes).map_err(LabError::learn(name))?;
        let pipeline = match threshold {
            Some(threshold) => pipeline.with_threshold(threshold),
            None => pipeline,
        };
        Ok(Self { pipeline, sha256: digest(bytes), name: name.to_owned() })
    }

    /// Name of its learning algorithm.
    pub(crate) fn algorithm(&self) -> String {
        self.pipeline.model_spec().name.to_owned()
    }

    /// How it makes rows out of captures.
    ///
    /// # Errors
    /// [`LabError::Request`] when the file does not say.
    pub(crate) fn recipe(&self) -> Result<Recipe, LabError> {
        let provenance = provenance(&self.pipeline).filter(|provenance| !provenance.sets.is_empty());
        let provenance = provenance.ok_or_else(|| LabError::Request {
            what: "input",
            expected: "a table with the columns the model learnt from".to_owned(),
            found: format!("a capture, and {} does not say which feature sets make its columns", self.name),
            advice: "train on a table that `cormorant extract` made to hunt in captures".to_owned(),
        })?;
        Ok(Recipe { sets: provenance.sets, flow: provenance.flow })
    }

    /// The columns of a schema that it wants.
    ///
    /// # Errors
    /// [`LabError::Table`] naming the columns that are missing or differ.
    pub(crate) fn select(&self, name: &str, schema: &SchemaRef) -> Result<Selection, LabError> {
        Selection::new(name, schema, self.pipeline.schema())
    }

    /// Whether it learnt from this family.
    pub(crate) fn knows(&self, family: &str) -> bool {
        self.pipeline.trained().families.contains_key(family)
    }

    /// What its baseline is made of.
    pub(crate) fn reference(&self) -> Reference {
        if self.pipeline.trained().benign > 0 { Reference::Benign } else { Reference::All }
    }

    /// Scores all rows of a feed, some thousands at a time, in order.
    ///
    /// # Errors
    /// [`LabError`] of the feed, of the model or of `sink`.
    pub(crate) fn score_feed(
        &self,
        feed: Feed,
        ctx: &Ctx,
        sink: &mut dyn FnMut(&[Chunk], &Table, Scores) -> Result<(), LabError>,
    ) -> Result<Arrived, LabError> {
        let schema = SchemaRef::clone(&feed.schema);
        let selection = self.select("the input", &schema)?;
        let mut score = |chunks: &[Chunk]| {
            let batches: Vec<RecordBatch> = chunks.iter().map(|chunk| chunk.rows.clone()).collect();
            let table = selection.table("the input", &schema, &batches)?;
            let scores = self.pipeline.score(&table, ctx).map_err(LabError::learn(&self.name))?;
            sink(chunks, &table, scores)
        };
        let mut waiting: Vec<Chunk> = Vec::new();
        let mut rows = 0;
        let mut arrived = feed.run(ctx, &mut |chunk| {
            rows += chunk.rows.num_rows();
            waiting.push(chunk);
            if rows < ROWS_AT_ONCE {
                return Ok(());
            }
            rows = 0;
            score(&std::mem::take(&mut waiting))
        })?;
        if !waiting.is_empty() {
            score(&waiting)?;
        }
        arrived.notes.extend(selection.notes.clone());
        Ok(arrived)
    }
}

/// Rows scored at a time: work for several threads, and a bound on memory.
const ROWS_AT_ONCE: usize = 4 * BATCH_ROWS;

/// What a pipeline says of itself.
pub(crate) fn card(pipeline: &Pipeline) -> Result<ModelCard, LabError> {
    let trained = pipeline.trained();
    let metrics = match &trained.held_out.metrics {
        Some(metrics) => Some(with_classes(metrics, trained.held_out.classes.as_ref())?),
        None => None,
    };
    Ok(ModelCard {
        model: pipeline.model_spec().name.to_owned(),
        kind: match pipeline.model_spec().kind {
            Kind::Classifier => "classifier".to_owned(),
            Kind::Novelty => "novelty".to_owned(),
        },
        params: pipeline.params().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        target: match pipeline.target() {
            Target::Label => "label".to_owned(),
            Target::Family => "family".to_owned(),
            Target::Class => "class".to_owned(),
        },
        classes: pipeline.classes().to_vec(),
        features: pipeline.schema().features.len() as u64,
        schema_digest: pipeline.schema().digest(),
        sets: provenance(pipeline).map(|provenance| provenance.sets).unwrap_or_default(),
        rows: trained.rows_learnt,
        base_rate: trained.base_rate,
        families: trained.families.clone(),
        split: trained.held_out.split.clone(),
        threshold: pipeline.threshold(),
        threshold_rule: pipeline.threshold_rule().to_string(),
        metrics,
        mean_cost: trained.held_out.mean_cost,
        seed: trained.seed,
        version: trained.code_version.clone(),
    })
}

/// Metrics as one document: detection by plain names, and `classes` for models with more than two.
pub(crate) fn with_classes(
    metrics: &impl Serialize,
    classes: Option<&impl Serialize>,
) -> Result<Value, LabError> {
    let internal = |error: serde_json::Error| LabError::Internal(error.to_string());
    let mut document = serde_json::to_value(metrics).map_err(internal)?;
    if let (Value::Object(fields), Some(classes)) = (&mut document, classes) {
        fields.insert("classes".to_owned(), serde_json::to_value(classes).map_err(internal)?);
    }
    Ok(document)
}

/// The rows of a feed with everything a fit or an evaluation may use; what only names a row is dropped on the way.
///
/// # Errors
/// [`LabError`] of the feed, or when columns do not make a table.
pub(crate) fn gather(feed: Feed, ctx: &Ctx) -> Result<(Table, Arrived), LabError> {
    let internal = |error: ArrowError| LabError::Internal(error.to_string());
    let useful = useful_places(&feed.schema);
    let schema: SchemaRef = feed.schema.project(&useful).map_err(internal)?.into();
    let mut batches = Vec::new();
    let arrived = feed.run(ctx, &mut |chunk| {
        batches.push(chunk.rows.project(&useful).map_err(internal)?);
        Ok(())
    })?;
    Ok((training_table("the input", &schema, &batches)?, arrived))
}

/// The model's features of a table, with label, family and class beside them.
///
/// # Errors
/// [`LabError::Learn`].
pub(crate) fn restrict(table: &Table, pipeline: &Pipeline) -> Result<Table, LabError> {
    let mut restricted = Table::default();
    let wrong = || LabError::learn("the input");
    for feature in &pipeline.schema().features {
        if let Some(column) = table.column(&feature.name) {
            let field = Field::new(&feature.name, &feature.unit, Role::Feature);
            restricted.push(field, column.clone()).map_err(wrong())?;
        }
    }
    let beside = |field: &Field| field.role != Role::Feature && restricted.column(&field.name).is_none();
    let others: Vec<(Field, _)> =
        table.fields().iter().cloned().zip(table.columns()).filter(|(field, _)| beside(field)).collect();
    for (field, column) in others {
        restricted.push(field, column.clone()).map_err(wrong())?;
    }
    Ok(restricted)
}

/// SHA-256 in lower-case hex.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn provenance(pipeline: &Pipeline) -> Option<Provenance> {
    let metadata: HashMap<String, String> = pipeline.trained().provenance.clone().into_iter().collect();
    Provenance::from_metadata(&metadata)
}
