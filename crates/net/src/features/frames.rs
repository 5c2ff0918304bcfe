//! Feature sets whose rows are no flows of the flow table: packets, hosts, or the flows of another tool. Each sees every
//! frame of a capture in its order and writes rows of its own kind; [`crate::meter`] runs it.
//!
//! Adding one touches its own file and one line of [`FRAME_SETS`].

use std::sync::Arc;

use super::rows::{ColumnKind, RowColumn, RowField, RowKind, RowSchema, RowWriter, Rows};
use super::spec::SetSpec;
use super::{kitsune, netml, networkml, nprint};
use crate::NetError;
use crate::capture::Frame;
use crate::packet::Decoded;

/// Every such set by name. One set, one file, one line.
pub static FRAME_SETS: &[&FrameSet] = &[
    &kitsune::SET,
    &nprint::SET,
    &networkml::host::SET,
    &networkml::session::SET,
    &netml::IAT,
    &netml::SIZE,
    &netml::IAT_SIZE,
    &netml::STATS,
    &netml::SAMP_NUM,
    &netml::SAMP_SIZE,
];

/// A named group of columns whose rows are made from frames.
#[derive(Debug)]
pub struct FrameSet {
    /// As given to `--features`, before any option.
    pub name: &'static str,
    /// One paragraph: what it is good for and where it comes from.
    pub doc: &'static str,
    /// What a row is.
    pub kind: RowKind,
    /// What may follow the name after colons.
    pub options: &'static [SetOption],
    /// The columns, identity first; `None` when they are known only after reading, as those of netml's own rows are.
    ///
    /// # Errors
    /// An option out of range.
    pub fields: fn(&SetSpec) -> Result<Option<Vec<RowField>>, NetError>,
    /// Begins a capture, which may hold this many bytes in memory.
    ///
    /// # Errors
    /// An option out of range.
    pub open: fn(&SetSpec, u64) -> Result<Box<dyn Extractor>, NetError>,
}

/// Something that may follow a set's name: `:fft`, `:q=0.9`.
#[derive(Clone, Copy, Debug)]
pub struct SetOption {
    /// Before the equals sign.
    pub name: &'static str,
    /// How the value is called in help; `None` when there is none.
    pub value: Option<&'static str>,
    /// What it does, with the default.
    pub doc: &'static str,
}

/// Makes rows from the frames of one capture.
pub trait Extractor {
    /// Takes the next frame and what it decoded to. Says why no row counts it, if none does.
    ///
    /// # Errors
    /// An error of the outbox, or memory that is used up.
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        decoded: &Decoded,
        out: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError>;

    /// The capture has ended: writes the rows still to come.
    ///
    /// # Errors
    /// As [`Extractor::frame`].
    fn finish(&mut self, out: &mut Outbox<'_>) -> Result<(), NetError>;

    /// Streams forgotten so far to stay within memory: what later rows say of them begins anew.
    fn let_go(&self) -> u64 {
        0
    }
}

/// Where an extractor puts its rows: collects them into batches for the meter's sink.
pub struct Outbox<'a> {
    rows: Rows,
    has_lists: bool,
    batch_rows: usize,
    delivered: u64,
    sink: &'a mut dyn FnMut(Rows) -> Result<(), NetError>,
}

impl<'a> Outbox<'a> {
    /// An empty outbox for rows of this schema.
    pub(crate) fn new(
        schema: &Arc<RowSchema>,
        batch_rows: usize,
        sink: &'a mut dyn FnMut(Rows) -> Result<(), NetError>,
    ) -> Outbox<'a> {
        let batch_rows = fitting(schema, batch_rows);
        let rows = Rows::empty(schema, batch_rows);
        Outbox { rows, has_lists: has_lists(schema), batch_rows, delivered: 0, sink }
    }

    /// Fixes the columns when they were not known before: the rows from here on have this schema.
    ///
    /// # Errors
    /// An error of the sink, for rows written before.
    pub fn begin(&mut self, kind: RowKind, fields: Vec<RowField>) -> Result<(), NetError> {
        self.flush()?;
        let schema = Arc::new(RowSchema { kind, fields });
        self.batch_rows = fitting(&schema, self.batch_rows);
        self.rows = Rows::empty(&schema, self.batch_rows);
        self.has_lists = has_lists(&schema);
        Ok(())
    }

    /// Writes one row: `write` gives a value to each column in order.
    ///
    /// # Errors
    /// An error of the sink.
    pub fn row(&mut self, write: impl FnOnce(&mut RowWriter<'_>)) -> Result<(), NetError> {
        write(&mut self.rows.begin_row());
        self.rows.len += 1;
        self.delivered += 1;
        if self.rows.len >= self.batch_rows || self.listed() >= BATCH_VALUES { self.flush() } else { Ok(()) }
    }

    /// Values in lists of the batch: how many a row brings is not known before.
    fn listed(&self) -> usize {
        if self.has_lists { self.rows.columns.iter().map(RowColumn::listed).sum() } else { 0 }
    }

    /// Rows written so far.
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Hands on what is there.
    pub(crate) fn flush(&mut self) -> Result<(), NetError> {
        if self.rows.len == 0 {
            return Ok(());
        }
        let empty = Rows::empty(&self.rows.schema, self.batch_rows);
        (self.sink)(std::mem::replace(&mut self.rows, empty))
    }
}

/// Values of a batch at most, so that wide rows do not fill the memory.
const BATCH_VALUES: usize = 1 << 20;

fn has_lists(schema: &RowSchema) -> bool {
    schema.fields.iter().any(|field| field.kind == ColumnKind::F64List)
}

fn fitting(schema: &RowSchema, batch_rows: usize) -> usize {
    batch_rows.min(BATCH_VALUES / schema.fields.len().max(1)).max(1)
}
