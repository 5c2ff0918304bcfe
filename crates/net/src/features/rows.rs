//! Rows on their way out: typed columns laid out so that a table library can take the buffers over without copying.

use std::sync::Arc;

/// What one row stands for. Rows of different kinds are never mixed in one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// One row per flow.
    Flow,
    /// One row per packet.
    Packet,
    /// One row per host, of a capture or a window of time.
    Host,
}

impl RowKind {
    /// The name stored beside a table: `flow`, `packet` or `host`.
    pub fn name(self) -> &'static str {
        match self {
            RowKind::Flow => "flow",
            RowKind::Packet => "packet",
            RowKind::Host => "host",
        }
    }
}

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// 64-bit float; NaN means undefined.
    F64,
    /// Signed 64-bit integer.
    I64,
    /// Unsigned 64-bit integer.
    U64,
    /// UTF-8 text.
    Text,
    /// Any number of 64-bit floats; models see them only after a preparation step has given them a width.
    F64List,
}

/// One column of a table: fixed before any data are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowField {
    /// Unique within the schema.
    pub name: String,
    /// Unit of the values, `1` for plain ratios and indicators, empty for text.
    pub unit: &'static str,
    /// Exact definition, value in the empty case, and source.
    pub doc: &'static str,
    /// Identity columns say which flow a row is; they are never features unless asked for.
    pub identity: bool,
    /// Type of the values.
    pub kind: ColumnKind,
}

/// Ordered columns of a table, identity columns first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSchema {
    /// What one row stands for.
    pub kind: RowKind,
    /// The columns in their order.
    pub fields: Vec<RowField>,
}

/// A batch of rows, column by column, in the order of the schema's fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Names, units and types of the columns.
    pub schema: Arc<RowSchema>,
    /// One per field of the schema, each with `len` values.
    pub columns: Vec<RowColumn>,
    /// Rows in this batch.
    pub len: usize,
}

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum RowColumn {
    /// Values of a [`ColumnKind::F64`] column.
    F64(Vec<f64>),
    /// Values of a [`ColumnKind::I64`] column.
    I64(Vec<i64>),
    /// Values of a [`ColumnKind::U64`] column.
    U64(Vec<u64>),
    /// Values of a [`ColumnKind::Text`] column.
    Text(TextColumn),
    /// Values of a [`ColumnKind::F64List`] column.
    F64List(ListColumn),
}

/// Text values end to end; value `i` is `bytes[offsets[i]..offsets[i + 1]]`, so there is one offset more than values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextColumn {
    /// Starts with 0 and never decreases.
    pub offsets: Vec<i32>,
    /// UTF-8.
    pub bytes: Vec<u8>,
}

impl TextColumn {
    fn new(rows: usize) -> TextColumn {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        TextColumn { offsets, bytes: Vec::new() }
    }

    /// Value `row`, or `None` past the end.
    pub fn get(&self, row: usize) -> Option<&str> {
        let start = usize::try_from(*self.offsets.get(row)?).ok()?;
        let end = usize::try_from(*self.offsets.get(row + 1)?).ok()?;
        std::str::from_utf8(self.bytes.get(start..end)?).ok()
    }

    /// Ends the value whose bytes were just appended to `bytes`.
    pub(crate) fn close(&mut self) {
        // A batch is at most a few thousand rows of short text, far below the 2 GiB an i32 offset can address.
        self.offsets.push(i32::try_from(self.bytes.len()).unwrap_or(i32::MAX));
    }
}

/// Lists end to end; list `i` is `values[offsets[i]..offsets[i + 1]]`, so there is one offset more than lists.
#[derive(Clone, Debug, PartialEq)]
pub struct ListColumn {
    /// Starts with 0 and never decreases.
    pub offsets: Vec<i32>,
    /// What is in the lists.
    pub values: Vec<f64>,
}

impl ListColumn {
    fn new(rows: usize) -> ListColumn {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        ListColumn { offsets, values: Vec::new() }
    }

    /// List `row`, or `None` past the end.
    pub fn get(&self, row: usize) -> Option<&[f64]> {
        let start = usize::try_from(*self.offsets.get(row)?).ok()?;
        let end = usize::try_from(*self.offsets.get(row + 1)?).ok()?;
        self.values.get(start..end)
    }

    fn push(&mut self, list: impl IntoIterator<Item = f64>) {
        self.values.extend(list);
        // The outbox hands a batch on long before it holds 2^31 values.
        self.offsets.push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
    }
}

impl RowColumn {
    fn new(kind: ColumnKind, rows: usize) -> RowColumn {
        match kind {
            ColumnKind::F64 => RowColumn::F64(Vec::with_capacity(rows)),
            ColumnKind::I64 => RowColumn::I64(Vec::with_capacity(rows)),
            ColumnKind::U64 => RowColumn::U64(Vec::with_capacity(rows)),
            ColumnKind::Text => RowColumn::Text(TextColumn::new(rows)),
            ColumnKind::F64List => RowColumn::F64List(ListColumn::new(rows)),
        }
    }

    fn copy_value(&mut self, from: &RowColumn, row: usize) {
        match (self, from) {
            (RowColumn::F64(values), RowColumn::F64(from)) => values.extend(from.get(row)),
            (RowColumn::I64(values), RowColumn::I64(from)) => values.extend(from.get(row)),
            (RowColumn::U64(values), RowColumn::U64(from)) => values.extend(from.get(row)),
            (RowColumn::Text(values), RowColumn::Text(from)) => {
                if let Some(text) = from.get(row) {
                    values.bytes.extend_from_slice(text.as_bytes());
                    values.close();
                }
            }
            (RowColumn::F64List(values), RowColumn::F64List(from)) => {
                if let Some(list) = from.get(row) {
                    values.push(list.iter().copied());
                }
            }
            (target, from) => debug_assert!(false, "{:?} into a column of {:?}", from.kind(), target.kind()),
        }
    }

    /// The type of these values.
    pub fn kind(&self) -> ColumnKind {
        match self {
            RowColumn::F64(_) => ColumnKind::F64,
            RowColumn::I64(_) => ColumnKind::I64,
            RowColumn::U64(_) => ColumnKind::U64,
            RowColumn::Text(_) => ColumnKind::Text,
            RowColumn::F64List(_) => ColumnKind::F64List,
        }
    }

    /// Values in lists so far.
    pub(super) fn listed(&self) -> usize {
        match self {
            RowColumn::F64List(lists) => lists.values.len(),
            _ => 0,
        }
    }
}

/// Gives one row its values, column by column in the order of the schema.
pub struct RowWriter<'a> {
    columns: std::slice::IterMut<'a, RowColumn>,
}

impl RowWriter<'_> {
    /// The next column, which is of kind [`ColumnKind::F64`].
    #[inline]
    pub fn f64(&mut self, value: f64) {
        match self.columns.next() {
            Some(RowColumn::F64(column)) => column.push(value),
            other => debug_assert!(false, "{value} for {:?}", other.map(|column| column.kind())),
        }
    }

    /// The next column, which is of kind [`ColumnKind::I64`].
    #[inline]
    pub fn i64(&mut self, value: i64) {
        match self.columns.next() {
            Some(RowColumn::I64(column)) => column.push(value),
            other => debug_assert!(false, "{value} for {:?}", other.map(|column| column.kind())),
        }
    }

    /// The next column, which is of kind [`ColumnKind::U64`].
    #[inline]
    pub fn u64(&mut self, value: u64) {
        match self.columns.next() {
            Some(RowColumn::U64(column)) => column.push(value),
            other => debug_assert!(false, "{value} for {:?}", other.map(|column| column.kind())),
        }
    }

    /// The next column, which is of kind [`ColumnKind::Text`].
    #[inline]
    pub fn text(&mut self, value: &str) {
        match self.columns.next() {
            Some(RowColumn::Text(column)) => {
                column.bytes.extend_from_slice(value.as_bytes());
                column.close();
            }
            other => debug_assert!(false, "{value} for {:?}", other.map(|column| column.kind())),
        }
    }
}

impl RowWriter<'_> {
    /// The next column, which is of kind [`ColumnKind::F64List`].
    #[inline]
    pub fn list(&mut self, values: impl IntoIterator<Item = f64>) {
        match self.columns.next() {
            Some(RowColumn::F64List(column)) => column.push(values),
            other => debug_assert!(false, "a list for {:?}", other.map(|column| column.kind())),
        }
    }

    /// The next column, which is of kind [`ColumnKind::Text`]: `write` appends its value, in UTF-8.
    #[inline]
    pub(crate) fn text_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        match self.columns.next() {
            Some(RowColumn::Text(column)) => {
                write(&mut column.bytes);
                column.close();
            }
            other => debug_assert!(false, "text for {:?}", other.map(|column| column.kind())),
        }
    }
}

impl Rows {
    /// A writer for the row after the last; the caller counts it.
    pub(crate) fn begin_row(&mut self) -> RowWriter<'_> {
        RowWriter { columns: self.columns.iter_mut() }
    }

    /// No rows yet, room for `rows` of them.
    pub fn empty(schema: &Arc<RowSchema>, rows: usize) -> Rows {
        let columns = schema.fields.iter().map(|field| RowColumn::new(field.kind, rows)).collect();
        Rows { schema: Arc::clone(schema), columns, len: 0 }
    }

    /// Appends a row of another batch of the same schema; what that one has no values of yet stays without.
    pub(crate) fn copy_row(&mut self, from: &Rows, row: usize) {
        for (target, source) in self.columns.iter_mut().zip(&from.columns) {
            target.copy_value(source, row);
        }
        self.len += 1;
    }

    /// The column called `name`.
    pub fn column(&self, name: &str) -> Option<&RowColumn> {
        let index = self.schema.fields.iter().position(|field| field.name == name)?;
        self.columns.get(index)
    }
}
