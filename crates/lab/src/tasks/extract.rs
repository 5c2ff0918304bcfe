//! `extract`: captures to a table of feature rows, with labels joined on when there are any.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cormorant_learn::table::Schema;
use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, Counts, FlowOptions, Outcome, Recipe, conclude};
pub use crate::labels::clock::offset as clock_offset;
use crate::labels::{self, LabelCounts, Labels};
use crate::output::{Format, Output};
use crate::parts::Parts;
use crate::reading::Reading;
use crate::sources::Sources;
use crate::tables::Naming;
use crate::tables::learn::schema_of;
use crate::tables::write::TableWriter;
use crate::{Ctx, LabError};

/// What to extract, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Capture files, directories (searched recursively), patterns of file names, `-` for standard input, or an
    /// interface.
    pub captures: Vec<PathBuf>,
    /// What of them is read.
    #[serde(default)]
    pub reading: Reading,
    /// Feature sets by name; none = the identity columns and counters of each flow.
    pub sets: Vec<String>,
    /// Label rules, one label per capture, flows labelled by CICFlowMeter, alerts of Suricata or notices of Zeek
    /// (see [`crate::labels`]).
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// How many seconds the clock of label times that name no zone is ahead of UTC.
    #[serde(default)]
    pub label_offset_s: i32,
    /// One label for every row: `benign`, `malicious` or `malicious:family`.
    #[serde(default)]
    pub label: Option<String>,
    /// When flows end.
    #[serde(default)]
    pub flow: FlowOptions,
    /// Keep what is finished beside the output until that is there, and go on with what an earlier run has kept.
    #[serde(default)]
    pub resume: bool,
    /// Whose names the columns have.
    #[serde(default)]
    pub names: Naming,
    /// Where the rows go.
    pub output: Output,
}

/// What was extracted.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the rows went: a path, or `-`.
    pub output: String,
    /// Their format.
    pub format: Format,
    /// Rows written.
    pub rows: u64,
    /// Columns written.
    pub columns: u64,
    /// Feature columns among them.
    pub features: u64,
    /// SHA-256 of the ordered feature columns (name, unit, kind), in hex: what a model checks.
    pub schema_digest: String,
    /// Feature sets.
    pub sets: Vec<String>,
    /// Captures read.
    pub captures: u64,
    /// What was counted over all captures.
    #[serde(flatten)]
    pub counts: Counts,
    /// How labels met rows, when there were any.
    pub labels: Option<LabelCounts>,
    /// Captures that ended with a fault; their rows before it are in the table.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// Turns captures into a table.
///
/// # Errors
/// [`LabError`] when no capture can be opened, the labels are wrong, or the table cannot be written; then nothing is.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let sources = Sources::find(&spec.captures, &spec.reading, ctx)?;
    let mut labels = labels_of(spec)?;
    let recipe = Recipe { sets: spec.sets.clone(), flow: spec.flow };
    let mut table = Table::begin(spec, recipe.schema(sources.named, labels.is_some())?)?;
    let outcome = if spec.resume {
        go_on(spec, &recipe, &sources, labels.as_mut(), ctx, &mut table)?
    } else {
        recipe.run(&sources, labels.as_mut(), ctx, &mut |chunk| table.write(&chunk.rows))?
    };
    let mut notes = sources.notes;
    notes.append(&mut table.notes);
    if outcome.counts.streams_forgotten > 0 {
        notes.push(format!(
            "{} streams were forgotten to stay within memory and their statistics began anew; raise --mem",
            outcome.counts.streams_forgotten
        ));
    }
    let (rows, columns, features) = table.finish()?;
    Ok(Report {
        output: String::from(spec.output.clone()),
        format: spec.output.format(),
        rows,
        columns,
        features: features.features.len() as u64,
        schema_digest: features.digest(),
        sets: spec.sets.clone(),
        captures: sources.captures.len() as u64,
        counts: outcome.counts,
        labels: labels.map(|labels| labels.counts()),
        faults: outcome.faults,
        notes,
    })
}

/// How a note begins that tells of an earlier run: the one thing in a report that two laps may not share.
pub(crate) const RESUMED: &str = "an earlier run had finished";

/// Reads the captures that no earlier run has finished, keeping each, and puts the table together from all of them.
fn go_on(
    spec: &Spec,
    recipe: &Recipe,
    sources: &Sources,
    mut labels: Option<&mut Labels>,
    ctx: &Ctx,
    table: &mut Table<'_>,
) -> Result<Outcome, LabError> {
    let schema = recipe.fixed_schema(sources.named, false)?;
    let parts = RefCell::new(Parts::beside(&spec.output, schema, identity_of(spec, sources, ctx))?);
    let mut opened = Vec::new();
    let mut pending = Sources { captures: Vec::new(), named: sources.named, notes: Vec::new() };
    for source in &sources.captures {
        let finished = parts.borrow().finished(source)?;
        if finished.is_none() {
            pending.captures.push(source.clone());
        }
        opened.push(finished);
    }
    let (finished, captures) = (opened.iter().flatten().count(), sources.captures.len());
    if finished > 0 {
        table.notes.push(format!("{RESUMED} {finished} of {captures} captures"));
    }
    let by_name = |name: &str| pending.captures.iter().find(|source| source.name == name);
    let mut rest = recipe
        .run_each(
            &pending,
            None,
            ctx,
            &mut |chunk| match by_name(&chunk.capture) {
                Some(source) => parts.borrow_mut().write(source, &chunk.rows),
                None => Ok(()),
            },
            &mut |source, outcome| parts.borrow_mut().finish(source, outcome),
        )?
        .into_iter();
    let parts = parts.into_inner();
    let mut all = Vec::new();
    for (source, finished) in sources.captures.iter().zip(opened) {
        let Some(outcome) = finished.map(Ok).or_else(|| rest.next()) else { break };
        if outcome.is_ok() {
            parts.read(source, &mut |rows| {
                table.write(&labelled(rows, &source.name, labels.as_deref_mut())?)
            })?;
        }
        all.push(outcome);
    }
    table.parts = Some(parts);
    conclude(&sources.captures, all)
}

/// All that determines the rows of a capture but the capture itself.
fn identity_of(spec: &Spec, sources: &Sources, ctx: &Ctx) -> String {
    let (reading, flow) = (&spec.reading, &spec.flow);
    format!(
        "{} {:?} {flow:?} {:?} {:?} {} {} {}",
        env!("CARGO_PKG_VERSION"),
        spec.sets,
        reading.filter,
        reading.packets,
        sources.named,
        ctx.seed,
        ctx.mem_bytes
    )
}

fn labelled(rows: RecordBatch, capture: &str, labels: Option<&mut Labels>) -> Result<RecordBatch, LabError> {
    let Some(labels) = labels else { return Ok(rows) };
    let verdicts = labels.judge(&rows, capture)?;
    labels::join(&rows, &verdicts)
}

/// The table being written: begun before any row where its columns are known by then, so that an output that cannot be
/// written is refused at once; else with the first row.
struct Table<'a> {
    spec: &'a Spec,
    begun: Option<(TableWriter, SchemaRef)>,
    /// What it was put together from, to be removed once it is there.
    parts: Option<Parts>,
    /// What else is worth knowing, in sentences.
    notes: Vec<String>,
}

impl<'a> Table<'a> {
    fn begin(spec: &'a Spec, schema: Option<SchemaRef>) -> Result<Self, LabError> {
        let mut table = Self { spec, begun: None, parts: None, notes: Vec::new() };
        if let Some(schema) = schema {
            table.open(&schema)?;
        }
        Ok(table)
    }

    fn open(&mut self, schema: &SchemaRef) -> Result<(), LabError> {
        let schema = self.spec.names.rename(schema);
        let writer = TableWriter::create(&self.spec.output, &schema)?;
        self.begun = Some((writer, schema));
        Ok(())
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), LabError> {
        if self.begun.is_none() {
            self.open(&rows.schema())?;
        }
        let Some((writer, schema)) = &mut self.begun else { return Ok(()) };
        let renamed = RecordBatch::try_new(Arc::clone(schema), rows.columns().to_vec())
            .map_err(|error| LabError::Internal(error.to_string()))?;
        writer.write(&renamed)
    }

    /// Ends the file: its rows, columns and features.
    fn finish(self) -> Result<(u64, u64, Schema), LabError> {
        let (writer, schema) = self.begun.ok_or_else(|| LabError::Request {
            what: "input",
            expected: "at least one row, on which the columns of this feature set depend".to_owned(),
            found: "none".to_owned(),
            advice: "`cormorant inspect` says what the capture holds; no table was made".to_owned(),
        })?;
        let rows = writer.finish()?;
        self.parts.map_or(Ok(()), Parts::remove)?;
        Ok((rows, schema.fields().len() as u64, schema_of(schema.fields())))
    }
}

fn labels_of(spec: &Spec) -> Result<Option<Labels>, LabError> {
    match (&spec.labels, &spec.label) {
        (Some(_), Some(label)) => Err(LabError::Request {
            what: "labels",
            expected: "a label file or one label for all rows".to_owned(),
            found: format!("both, the second being `{label}`"),
            advice: "leave one of them out".to_owned(),
        }),
        (Some(path), None) => Labels::read(path, spec.label_offset_s).map(Some),
        (None, Some(label)) => Labels::everything(label).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn spec(folder: &Path, output: &str, resume: bool) -> Spec {
        Spec {
            captures: vec![folder.join("captures")],
            reading: Reading::default(),
            sets: vec!["flow".to_owned()],
            labels: None,
            label_offset_s: 0,
            label: Some("benign".to_owned()),
            flow: FlowOptions::default(),
            resume,
            names: Naming::default(),
            output: Output::parse(&folder.join(output).display().to_string()).unwrap(),
        }
    }

    #[test]
    fn a_run_that_was_cut_short_is_gone_on_with_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("captures")).unwrap();
        for name in ["hunt.pcapng", "learn.pcapng"] {
            let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(name);
            std::fs::copy(sample, folder.path().join("captures").join(name)).unwrap();
        }
        let ctx = Ctx::new(1, 2);
        let whole = run(&spec(folder.path(), "whole.csv", false), &ctx).unwrap();
        // The first capture was finished, the second begun.
        let spec = spec(folder.path(), "resumed.csv", true);
        let sources = Sources::find(&spec.captures, &spec.reading, &ctx).unwrap();
        let recipe = Recipe { sets: spec.sets.clone(), flow: spec.flow };
        let schema = recipe.fixed_schema(true, false).unwrap();
        let mut parts = Parts::beside(&spec.output, schema, identity_of(&spec, &sources, &ctx)).unwrap();
        let (first, second) = (&sources.captures[0], &sources.captures[1]);
        let mut ends = Vec::new();
        recipe
            .run_each(
                &sources,
                None,
                &ctx,
                &mut |chunk| {
                    parts.write(if *chunk.capture == *first.name { first } else { second }, &chunk.rows)?;
                    Ok(())
                },
                &mut |_, outcome| {
                    ends.push(outcome.clone());
                    Ok(())
                },
            )
            .unwrap();
        drop(parts);
        let again = run(&spec, &ctx).unwrap();
        assert!(again.notes.is_empty(), "nothing was finished: {:?}", again.notes);
        let mut parts = Parts::beside(
            &spec.output,
            recipe.fixed_schema(true, false).unwrap(),
            identity_of(&spec, &sources, &ctx),
        )
        .unwrap();
        let only = Sources { captures: vec![first.clone()], named: true, notes: Vec::new() };
        recipe
            .run_each(&only, None, &ctx, &mut |chunk| parts.write(first, &chunk.rows), &mut |_, _| Ok(()))
            .unwrap();
        parts.finish(first, &ends[0]).unwrap();
        drop(parts);
        let resumed = run(&spec, &ctx).unwrap();
        assert_eq!(resumed.notes, ["an earlier run had finished 1 of 2 captures"]);
        assert_eq!((resumed.rows, &resumed.counts), (whole.rows, &whole.counts));
        assert_eq!(resumed.labels, whole.labels);
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert!(read("resumed.csv") == read("whole.csv"));
        assert!(!folder.path().join(".resumed.csv.parts").exists());
    }
}
