//! Rows for a model, from tables or straight from captures, with labels joined on when there are any.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::extraction::{CaptureFault, Chunk, Counts, Recipe};
use crate::labels::{LabelCounts, Labels, Verdict, with_labels};
use crate::reading::Reading;
use crate::sources::{InputKind, Sources, expand, input_kind};
use crate::tables::{Provenance, stack::Stack};
use crate::{Ctx, LabError};

/// Rows about to come.
pub(crate) struct Feed {
    origin: Origin,
    labels: Option<Labels>,
    /// Their columns.
    pub(crate) schema: SchemaRef,
}

enum Origin {
    Captures(Sources, Recipe),
    Tables(Box<Stack>),
    Memory(Vec<Chunk>),
}

/// What happened on the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrived {
    /// What was counted, when the inputs were captures.
    pub(crate) counts: Option<Counts>,
    /// How labels met rows, when a label file was given.
    pub(crate) labels: Option<LabelCounts>,
    /// Captures that ended with a fault.
    pub(crate) faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub(crate) notes: Vec<String>,
}

impl Feed {
    /// Opens tables or captures, of which `reading` says what is read. `recipe` is asked for only when the inputs are captures.
    ///
    /// # Errors
    /// [`LabError`] of an input, of the label file or of `recipe`.
    pub(crate) fn open(
        inputs: &[PathBuf],
        reading: &Reading,
        labels: Option<&Path>,
        ctx: &Ctx,
        recipe: impl FnOnce() -> Result<Recipe, LabError>,
    ) -> Result<Self, LabError> {
        let labels = labels.map(|path| Labels::read(path, 0)).transpose()?;
        match input_kind(inputs)? {
            InputKind::Captures => Self::captures(Sources::find(inputs, reading, ctx)?, recipe()?, labels),
            InputKind::Tables if *reading != Reading::default() => Err(LabError::Request {
                what: "input",
                expected: "captures, of which a filter or a number of packets can be read".to_owned(),
                found: "tables".to_owned(),
                advice: "leave these options out".to_owned(),
            }),
            InputKind::Tables => {
                let stack = Stack::open(&expand(inputs)?)?;
                let schema = if labels.is_some() {
                    with_labels(&stack.schema)
                } else {
                    SchemaRef::clone(&stack.schema)
                };
                Ok(Self { origin: Origin::Tables(Box::new(stack)), labels, schema })
            }
        }
    }

    /// Captures that were found before.
    ///
    /// # Errors
    /// A feature set that does not exist, or options out of range.
    pub(crate) fn captures(
        sources: Sources,
        recipe: Recipe,
        labels: Option<Labels>,
    ) -> Result<Self, LabError> {
        let schema = recipe.fixed_schema(sources.named, labels.is_some())?;
        Ok(Self { origin: Origin::Captures(sources, recipe), labels, schema })
    }

    /// Labelled rows that were made before.
    ///
    /// # Errors
    /// A feature set that does not exist.
    pub(crate) fn memory(recipe: Recipe, chunks: Vec<Chunk>) -> Result<Self, LabError> {
        let schema = recipe.fixed_schema(false, true)?;
        Ok(Self { origin: Origin::Memory(chunks), labels: None, schema })
    }

    /// What makes these rows out of captures, when it is known.
    pub(crate) fn provenance(&self) -> Option<Provenance> {
        match &self.origin {
            Origin::Captures(..) | Origin::Memory(_) => Provenance::from_metadata(self.schema.metadata()),
            Origin::Tables(stack) => stack.origin.clone(),
        }
    }

    /// Hands every row on.
    ///
    /// # Errors
    /// [`LabError`] of an input or of `sink`.
    pub(crate) fn run(
        self,
        ctx: &Ctx,
        sink: &mut dyn FnMut(Chunk) -> Result<(), LabError>,
    ) -> Result<Arrived, LabError> {
        let Self { origin, mut labels, .. } = self;
        let mut arrived = Arrived::default();
        match origin {
            Origin::Captures(sources, recipe) => {
                let outcome = recipe.run(&sources, labels.as_mut(), ctx, sink)?;
                arrived.counts = Some(outcome.counts);
                arrived.faults = outcome.faults;
                arrived.notes = sources.notes;
            }
            Origin::Memory(chunks) => chunks.into_iter().try_for_each(sink)?,
            Origin::Tables(stack) => {
                arrived.notes.clone_from(&stack.notes);
                let mut rows_done = 0;
                stack.run(&mut |rows, table| {
                    ctx.check().map_err(|_| LabError::Cancelled)?;
                    rows_done += rows.num_rows() as u64;
                    ctx.progress("reading rows", rows_done, 0);
                    sink(judged(rows, table, labels.as_mut())?)
                })?;
            }
        }
        arrived.labels = labels.map(|labels| labels.counts());
        Ok(arrived)
    }
}

fn judged(rows: RecordBatch, table: &str, labels: Option<&mut Labels>) -> Result<Chunk, LabError> {
    let Some(labels) = labels else { return Ok(Chunk { rows, capture: table.into(), verdicts: Vec::new() }) };
    let verdicts: Vec<Option<Verdict>> = labels.judge(&rows, table)?;
    let rows = crate::labels::join(&rows, &verdicts)?;
    Ok(Chunk { rows, capture: table.into(), verdicts })
}
