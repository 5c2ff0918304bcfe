//! `score`: a score and a verdict for every row of a table or flow of a capture.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use cormorant_learn::pipeline::{Pipeline, Scores};
use cormorant_learn::table::{BENIGN, MALICIOUS, Role};
use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, Counts};
use crate::feed::Feed;
use crate::model::Loaded;
use crate::output::{Format, Output};
use crate::reading::Reading;
use crate::tables::write::TableWriter;
use crate::tables::{batch, names};
use crate::{Ctx, LabError};

/// Which model, on which rows, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The model file.
    pub model: PathBuf,
    /// Tables, or captures and directories of captures, or an interface.
    pub inputs: Vec<PathBuf>,
    /// What of the captures is read.
    #[serde(default)]
    pub reading: Reading,
    /// Another threshold than the model's own.
    #[serde(default)]
    pub threshold: Option<f64>,
    /// Where identity columns, `score`, `verdict` and class probabilities go.
    pub output: Output,
}

/// What was scored.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the rows went: a path, or `-`.
    pub output: String,
    /// Their format.
    pub format: Format,
    /// Name of the learning algorithm.
    pub model: String,
    /// SHA-256 of the model file in hex.
    pub model_sha256: String,
    /// Rows scored.
    pub rows: u64,
    /// Rows at or above the threshold.
    pub alerts: u64,
    /// Scores at or above it are alerts.
    pub threshold: f64,
    /// What was counted, when the inputs were captures.
    pub counts: Option<Counts>,
    /// Captures that ended with a fault; their rows before it were scored.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// Scores every row and writes identity, score and verdict.
///
/// # Errors
/// [`LabError`] of the model, of the inputs or of the output; then nothing is written.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let model = Loaded::read(&spec.model, spec.threshold)?;
    let feed = Feed::open(&spec.inputs, &spec.reading, None, ctx, || model.recipe())?;
    let columns = Columns::new(&feed.schema, &model.pipeline);
    let mut writer = TableWriter::create(&spec.output, &columns.schema)?;
    let mut alerts = 0;
    let arrived = model.score_feed(feed, ctx, &mut |chunks, _, scores| {
        alerts += scores.malicious.iter().filter(|score| model.pipeline.is_alert(**score)).count() as u64;
        let mut start = 0;
        for chunk in chunks {
            writer.write(&columns.of(&chunk.rows, &scores, start, &model.pipeline)?)?;
            start += chunk.rows.num_rows();
        }
        Ok(())
    })?;
    let rows = writer.finish()?;
    Ok(Report {
        output: String::from(spec.output.clone()),
        format: spec.output.format(),
        model: model.algorithm(),
        model_sha256: model.sha256,
        rows,
        alerts,
        threshold: model.pipeline.threshold(),
        counts: arrived.counts,
        faults: arrived.faults,
        notes: arrived.notes,
    })
}

/// The columns written: all of the input but its features, then what the model says.
struct Columns {
    kept: Vec<usize>,
    schema: SchemaRef,
    /// Classes that have a probability each; empty when the score says it all.
    classes: Vec<String>,
}

impl Columns {
    fn new(input: &SchemaRef, pipeline: &Pipeline) -> Self {
        let is_kept = |place: &usize| {
            let field = input.field(*place);
            batch::role(field) != Some(Role::Feature) && !is_ours(field.name())
        };
        let kept: Vec<usize> = (0..input.fields().len()).filter(is_kept).collect();
        let classes = if pipeline.classes().len() > 2 { pipeline.classes().to_vec() } else { Vec::new() };
        let mut fields: Vec<_> = kept.iter().map(|&place| input.field(place).clone()).collect();
        fields.push(batch::field(names::SCORE, DataType::Float64, Role::Identity, ""));
        fields.push(batch::field(names::VERDICT, DataType::Utf8, Role::Identity, ""));
        if !classes.is_empty() {
            fields.push(batch::field(names::PREDICTED, DataType::Utf8, Role::Identity, ""));
        }
        for class in &classes {
            let name = format!("{}{class}", names::PROBABILITY);
            fields.push(batch::field(&name, DataType::Float64, Role::Identity, ""));
        }
        Self { kept, schema: batch::with_metadata(fields, []), classes }
    }

    /// The rows of a chunk whose scores begin at `start`.
    fn of(
        &self,
        rows: &RecordBatch,
        scores: &Scores,
        start: usize,
        pipeline: &Pipeline,
    ) -> Result<RecordBatch, LabError> {
        let range = start..start + rows.num_rows();
        let malicious = &scores.malicious[range.clone()];
        let verdict = |&score: &f64| Some(if pipeline.is_alert(score) { MALICIOUS } else { BENIGN });
        let mut columns: Vec<ArrayRef> =
            self.kept.iter().map(|&place| Arc::clone(rows.column(place))).collect();
        columns.push(Arc::new(Float64Array::from(malicious.to_vec())));
        columns.push(Arc::new(malicious.iter().map(verdict).collect::<StringArray>()));
        if !self.classes.is_empty() {
            let likeliest = |row| {
                self.classes.get(pipeline.decided(scores.classes.row(row)) as usize).map(String::as_str)
            };
            columns.push(Arc::new(range.clone().map(likeliest).collect::<StringArray>()));
        }
        for class in 0..self.classes.len() {
            let probabilities = range.clone().map(|row| scores.classes.row(row)[class]);
            columns.push(Arc::new(Float64Array::from_iter_values(probabilities)));
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| LabError::Internal(error.to_string()))
    }
}

/// Columns of an earlier scoring are replaced, not doubled.
fn is_ours(name: &str) -> bool {
    [names::SCORE, names::VERDICT, names::PREDICTED].contains(&name) || name.starts_with(names::PROBABILITY)
}
