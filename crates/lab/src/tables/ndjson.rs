//! NDJSON out and in: one JSON object per line. Missing values are written as `null`; on the way in a key that is
//! not there is missing too, and columns stand in order of first appearance.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use serde_json::{Map, Value};

use super::cells::{self, Cell, Columns, Kinds};
use super::read::{BATCH_ROWS, Batches, cannot_read};
use super::view::{self, View};
use crate::LabError;

/// Writes batches as NDJSON.
pub(crate) struct NdjsonWriter<W: Write> {
    sink: W,
    /// `{"name":` for the first column, `,"name":` for the others.
    keys: Vec<Vec<u8>>,
    line: Vec<u8>,
}

impl<W: Write> NdjsonWriter<W> {
    /// Nothing is written yet: NDJSON has no header.
    pub(crate) fn new(sink: W, schema: &SchemaRef) -> Self {
        let key = |(place, name): (usize, &str)| {
            let mark = if place == 0 { '{' } else { ',' };
            format!("{mark}{}:", Value::from(name)).into_bytes()
        };
        let keys = schema.fields().iter().map(|field| field.name().as_str()).enumerate().map(key).collect();
        Self { sink, keys, line: Vec::new() }
    }

    /// Writes rows.
    ///
    /// # Errors
    /// What the operating system said.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = view::columns(batch)?;
        for row in 0..batch.num_rows() {
            self.line.clear();
            for (key, column) in self.keys.iter().zip(&columns) {
                self.line.extend_from_slice(key);
                format(column, row, &mut self.line)?;
            }
            self.line.extend_from_slice(b"}\n");
            self.sink.write_all(&self.line)?;
        }
        Ok(())
    }

    /// Hands the sink back.
    pub(crate) fn into_inner(self) -> W {
        self.sink
    }
}

fn format(column: &View<'_>, row: usize, line: &mut Vec<u8>) -> io::Result<()> {
    match column {
        // JSON has no infinities.
        View::Float(array) if array.is_valid(row) && array.value(row).is_finite() => {
            write!(line, "{:?}", array.value(row))
        }
        View::Signed(array) if array.is_valid(row) => write!(line, "{}", array.value(row)),
        View::Unsigned(array) if array.is_valid(row) => write!(line, "{}", array.value(row)),
        View::Text(array) if array.is_valid(row) => Ok(serde_json::to_writer(line, array.value(row))?),
        View::List(array) if array.is_valid(row) => line.write_all(view::json_array(array, row).as_bytes()),
        _ => line.write_all(b"null"),
    }
}

/// Opens an NDJSON file: one pass finds out what its columns hold, the batches are read in a second one.
///
/// # Errors
/// [`LabError::Read`], or [`LabError::Table`] naming the line that is no JSON object.
pub(crate) fn open(path: &Path) -> Result<(Kinds, Batches), LabError> {
    let mut kinds = Kinds::new(Vec::new());
    for row in Lines::open(path)? {
        for (name, value) in &row?.1 {
            let place = kinds.place(name);
            kinds.see(place, &Cell::Json(value));
        }
    }
    cells::check_names(path, kinds.names())?;
    let batches = batches(path.to_owned(), kinds.clone())?;
    Ok((kinds, batches))
}

fn batches(path: PathBuf, kinds: Kinds) -> Result<Batches, LabError> {
    let mut lines = Lines::open(&path)?;
    let mut next = move || {
        let mut columns = Columns::new(&kinds);
        while columns.rows() < BATCH_ROWS
            && let Some(row) = lines.next()
        {
            let (number, row) = row?;
            for (place, name) in kinds.names().iter().enumerate() {
                let cell = Cell::Json(row.get(name).unwrap_or(&Value::Null));
                columns.push(place, &cell).map_err(|fault| fault.at(&path, number, &kinds))?;
            }
        }
        columns.finish(&kinds)
    };
    Ok(Box::new(std::iter::from_fn(move || next().transpose())))
}

/// The objects of a file with their line numbers; blank lines are skipped.
struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, LabError> {
        let file = File::open(path).map_err(|source| cannot_read(path, source))?;
        let reader = BufReader::with_capacity(256 << 10, file);
        Ok(Self { path: path.to_owned(), reader, line: Vec::new(), number: 0 })
    }

    fn read(&mut self) -> Result<Option<(u64, Map<String, Value>)>, LabError> {
        loop {
            self.line.clear();
            let read = self.reader.read_until(b'\n', &mut self.line);
            if read.map_err(|source| cannot_read(&self.path, source))? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !self.line.trim_ascii().is_empty() {
                return self.parse().map(|object| Some((self.number, object)));
            }
        }
    }

    fn parse(&self) -> Result<Map<String, Value>, LabError> {
        serde_json::from_slice(&self.line).map_err(|error| LabError::Table {
            place: format!("{}, line {}", self.path.display(), self.number),
            expected: "one JSON object".to_owned(),
            found: error.to_string(),
            advice: "each line must be an object with one value per column".to_owned(),
        })
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, Map<String, Value>), LabError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
