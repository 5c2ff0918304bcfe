//! CSV out and in (RFC 4180, one header line, empty = missing). A list is one cell with a JSON array.
//!
//! Text that a spreadsheet would take for a formula (it starts with `=`, `+`, `-`, `@`, tab or carriage return)
//! is written with a leading `'` and read back without it: capture names and families come from outside.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use ::csv::{ByteRecord, ReaderBuilder, Writer, WriterBuilder};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;

use super::cells::{self, Cell, Columns, Kinds};
use super::read::{BATCH_ROWS, Batches, cannot_read};
use super::view::{self, View};
use crate::LabError;

/// Writes batches as CSV.
pub(crate) struct CsvWriter<W: Write> {
    writer: Writer<W>,
    cell: String,
}

impl<W: Write> CsvWriter<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// What the operating system said.
    pub(crate) fn new(sink: W, schema: &SchemaRef) -> io::Result<Self> {
        let mut writer = WriterBuilder::new().buffer_capacity(64 << 10).from_writer(sink);
        writer.write_record(schema.fields().iter().map(|field| field.name().as_str())).map_err(io_error)?;
        Ok(Self { writer, cell: String::new() })
    }

    /// Writes rows.
    ///
    /// # Errors
    /// What the operating system said.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = view::columns(batch)?;
        for row in 0..batch.num_rows() {
            for column in &columns {
                self.cell.clear();
                format(column, row, &mut self.cell);
                self.writer.write_field(&self.cell).map_err(io_error)?;
            }
            self.writer.write_record(None::<&[u8]>).map_err(io_error)?;
        }
        Ok(())
    }

    /// Ends the text and hands the sink back.
    ///
    /// # Errors
    /// What the operating system said.
    pub(crate) fn into_inner(self) -> io::Result<W> {
        self.writer.into_inner().map_err(|error| {
            let cause = error.error();
            cause.raw_os_error().map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error)
        })
    }
}

/// Appends a value as CSV has it. `{:?}` keeps `.0` on whole floats, so that readers infer the type.
fn format(column: &View<'_>, row: usize, cell: &mut String) {
    // Writing to a String cannot fail.
    let _ = match column {
        View::Float(array) if array.is_valid(row) => write!(cell, "{:?}", array.value(row)),
        View::Signed(array) if array.is_valid(row) => write!(cell, "{}", array.value(row)),
        View::Unsigned(array) if array.is_valid(row) => write!(cell, "{}", array.value(row)),
        View::Text(array) if array.is_valid(row) => {
            let text = array.value(row);
            let guard = if text.starts_with(FORMULA) { "'" } else { "" };
            write!(cell, "{guard}{text}")
        }
        View::List(array) if array.is_valid(row) => write!(cell, "{}", view::json_array(array, row)),
        _ => Ok(()),
    };
}

/// Characters that make a spreadsheet take a cell for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Opens a CSV file: one pass finds out what its columns hold, the batches are read in a second one.
///
/// # Errors
/// [`LabError::Read`], or [`LabError::Table`] for a header without names or with one twice.
pub(crate) fn open(path: &Path) -> Result<(Kinds, Batches), LabError> {
    let mut reader = reader(path)?;
    let header = reader.byte_headers().map_err(|error| broken(path, &error))?.clone();
    let names: Vec<String> =
        header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    cells::check_names(path, &names)?;
    let mut kinds = Kinds::new(names);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| broken(path, &error))? {
        for (place, cell) in record.iter().enumerate() {
            kinds.see(place, &Cell::Bytes(cell));
        }
    }
    let batches = batches(path.to_owned(), kinds.clone())?;
    Ok((kinds, batches))
}

fn reader(path: &Path) -> Result<::csv::Reader<BufReader<File>>, LabError> {
    let file = File::open(path).map_err(|source| cannot_read(path, source))?;
    let mut buffered = BufReader::with_capacity(256 << 10, file);
    skip_byte_order_mark(&mut buffered).map_err(|source| cannot_read(path, source))?;
    Ok(ReaderBuilder::new().from_reader(buffered))
}

/// Spreadsheets put one in front of UTF-8.
fn skip_byte_order_mark(reader: &mut BufReader<File>) -> io::Result<()> {
    use io::BufRead;
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    Ok(())
}

fn batches(path: PathBuf, kinds: Kinds) -> Result<Batches, LabError> {
    let mut reader = reader(&path)?;
    reader.byte_headers().map_err(|error| broken(&path, &error))?;
    let mut row = 0u64;
    let mut record = ByteRecord::new();
    let mut next = move || -> Result<Option<RecordBatch>, LabError> {
        let mut columns = Columns::new(&kinds);
        while columns.rows() < BATCH_ROWS
            && reader.read_byte_record(&mut record).map_err(|error| broken(&path, &error))?
        {
            row += 1;
            for (place, cell) in record.iter().enumerate() {
                columns.push(place, &Cell::Bytes(cell)).map_err(|fault| fault.at(&path, row, &kinds))?;
            }
        }
        columns.finish(&kinds)
    };
    Ok(Box::new(std::iter::from_fn(move || next().transpose())))
}

/// A text cell without the mark that kept a spreadsheet from calculating it.
pub(crate) fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest,
        _ => text,
    }
}

fn io_error(error: ::csv::Error) -> io::Error {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn broken(path: &Path, error: &::csv::Error) -> LabError {
    let place = |row: u64| format!("{}, row {row}", path.display());
    match error.kind() {
        ::csv::ErrorKind::UnequalLengths { pos, expected_len, len } => LabError::Table {
            place: place(pos.as_ref().map_or(0, ::csv::Position::record)),
            expected: format!("{expected_len} fields as in the header"),
            found: format!("{len}"),
            advice: "check the separators and quotes of this line".to_owned(),
        },
        ::csv::ErrorKind::Io(source) => cannot_read(path, io::Error::new(source.kind(), source.to_string())),
        _ => LabError::Table {
            place: path.display().to_string(),
            expected: "comma-separated values".to_owned(),
            found: error.to_string(),
            advice: "check the file's separators, quotes and encoding".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_calculate_is_marked_and_read_back_unmarked() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx"] {
            let mut cell = String::new();
            let array = arrow::array::StringArray::from(vec![text]);
            format(&View::Text(&array), 0, &mut cell);
            assert_eq!(cell, format!("'{text}"));
            assert_eq!(unguarded(&cell), text);
        }
        assert_eq!(unguarded("'quoted'"), "'quoted'");
    }
}
