//! A table file of any format to Arrow batches of five types (f64, i64, u64, text, lists of f64), each column with role and unit.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::FileReader;
use cormorant_learn::table::{BENIGN, MALICIOUS, Role};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{Provenance, batch, csv, names, ndjson};
use crate::LabError;
use crate::output::Format;

/// Rows per batch, small enough to stay in cache and large enough to forget the overhead.
pub(crate) const BATCH_ROWS: usize = 8192;

/// Batches as they come.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, LabError>> + Send>;

/// An open table.
pub(crate) struct TableReader {
    /// The file.
    pub(crate) name: String,
    /// Its columns, each with role and unit.
    pub(crate) schema: SchemaRef,
    /// What made it, when it says so.
    pub(crate) provenance: Option<Provenance>,
    /// What else is worth knowing, in sentences.
    pub(crate) notes: Vec<String>,
    batches: Batches,
    kept: Vec<usize>,
    rows: u64,
}

impl TableReader {
    /// Opens a table; its first bytes say which format it is.
    ///
    /// # Errors
    /// [`LabError::Read`] or [`LabError::Table`].
    pub(crate) fn open(path: &Path) -> Result<Self, LabError> {
        let (schema, batches) = match format_of(path)? {
            Format::Parquet => parquet_batches(path)?,
            Format::Arrow => arrow_batches(path)?,
            Format::Csv => text_batches(csv::open(path)?),
            Format::Ndjson => text_batches(ndjson::open(path)?),
        };
        let provenance = Provenance::from_metadata(schema.metadata());
        let (schema, kept, notes) = normal_schema(path, &schema);
        Ok(Self { name: path.display().to_string(), schema, provenance, notes, batches, kept, rows: 0 })
    }

    /// What made the table: what it says, or else the feature sets whose columns are all there.
    pub(crate) fn origin(&self) -> Option<Provenance> {
        self.provenance.clone().or_else(|| {
            let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
            let sets = names::sets_within(&columns);
            (!sets.is_empty()).then(|| Provenance { sets, row: "flow".to_owned(), ..Provenance::default() })
        })
    }

    fn normal(&mut self, batch: &RecordBatch) -> Result<RecordBatch, LabError> {
        let columns = self.kept.iter().zip(self.schema.fields()).map(|(&place, field)| {
            let array = normal_array(batch.column(place), field.data_type())
                .map_err(|found| self.refuse(field.name(), &field.data_type().to_string(), found))?;
            if batch::role(field) == Some(Role::Label) {
                self.label_words(&array, field.name())
            } else {
                Ok(array)
            }
        });
        let columns = columns.collect::<Result<Vec<_>, LabError>>()?;
        self.rows += batch.num_rows() as u64;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|error| LabError::Internal(error.to_string()))
    }

    fn refuse(&self, column: &str, expected: &str, found: String) -> LabError {
        LabError::Table {
            place: format!(
                "{}, rows from {}, column {}",
                self.name,
                self.rows + 1,
                crate::plain::plain(column)
            ),
            expected: expected.to_owned(),
            found,
            advice: "correct the column or leave it out".to_owned(),
        }
    }

    /// The label column with one word per meaning.
    fn label_words(&self, array: &ArrayRef, column: &str) -> Result<ArrayRef, LabError> {
        let texts = array.as_string::<i32>();
        let mut words: Vec<Option<&str>> = Vec::with_capacity(texts.len());
        for (row, text) in texts.iter().enumerate() {
            let word = text.map(|text| label_word(text).ok_or(text)).transpose();
            words.push(
                word.map_err(|text| LabError::Table {
                    place: format!("{}, row {}, column {column}", self.name, self.rows + row as u64 + 1),
                    expected: "benign or malicious (or 0 and 1, normal and attack)".to_owned(),
                    found: format!("`{}`", crate::plain::plain(text)),
                    advice: "put the names of attacks in a column called family".to_owned(),
                })?
                .flatten(),
            );
        }
        Ok(Arc::new(StringArray::from(words)))
    }
}

impl Iterator for TableReader {
    type Item = Result<RecordBatch, LabError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next()?;
        Some(batch.and_then(|batch| self.normal(&batch)))
    }
}

/// The meaning of a label: `Some(None)` = unlabelled, `None` = not a label.
fn label_word(text: &str) -> Option<Option<&'static str>> {
    match text.trim().to_ascii_lowercase().as_str() {
        "" => Some(None),
        "benign" | "normal" | "0" | "0.0" | "false" => Some(Some(BENIGN)),
        "malicious" | "attack" | "anomaly" | "1" | "1.0" | "true" => Some(Some(MALICIOUS)),
        _ => None,
    }
}

/// The format of a file by its first bytes.
///
/// # Errors
/// [`LabError::Read`], or [`LabError::Table`] for an empty file.
pub(crate) fn format_of(path: &Path) -> Result<Format, LabError> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|source| cannot_read(path, source))?;
    file.take(512).read_to_end(&mut start).map_err(|source| cannot_read(path, source))?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    Ok(match start.as_slice() {
        [b'P', b'A', b'R', b'1', ..] => Format::Parquet,
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Format::Arrow,
        _ if text.is_empty() => {
            return Err(LabError::Table {
                place: path.display().to_string(),
                expected: "a Parquet, Arrow, CSV or NDJSON table".to_owned(),
                found: "an empty file".to_owned(),
                advice: "make one with `cormorant extract`".to_owned(),
            });
        }
        _ if text.first() == Some(&b'{') => Format::Ndjson,
        _ => Format::Csv,
    })
}

fn parquet_batches(path: &Path) -> Result<(SchemaRef, Batches), LabError> {
    let file = File::open(path).map_err(|source| cannot_read(path, source))?;
    let damaged = damaged(path, "Parquet");
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error.to_string()))?;
    let schema = Arc::clone(builder.schema());
    let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| damaged(&error.to_string()))?;
    Ok((schema, Box::new(reader.map(move |batch| batch.map_err(|error| damaged(&error.to_string()))))))
}

/// The rows of an Arrow file as they are.
///
/// # Errors
/// [`LabError::Read`] or [`LabError::Table`].
pub(crate) fn arrow_batches(path: &Path) -> Result<(SchemaRef, Batches), LabError> {
    let file = File::open(path).map_err(|source| cannot_read(path, source))?;
    let damaged = damaged(path, "Arrow");
    let reader = FileReader::try_new_buffered(file, None).map_err(|error| damaged(&error.to_string()))?;
    let schema = reader.schema();
    Ok((schema, Box::new(reader.map(move |batch| batch.map_err(|error| damaged(&error.to_string()))))))
}

fn text_batches((kinds, batches): (super::cells::Kinds, Batches)) -> (SchemaRef, Batches) {
    (Arc::new(Schema::new(kinds.fields())), batches)
}

fn damaged(path: &Path, format: &'static str) -> impl Fn(&str) -> LabError + Send + Clone + use<> {
    let place = path.display().to_string();
    move |found| LabError::Table {
        place: place.clone(),
        expected: format!("a whole {format} file"),
        found: found.to_owned(),
        advice: "the file is cut or damaged: make it again".to_owned(),
    }
}

/// What the operating system said about an input, with what to do about it.
pub(crate) fn cannot_read(path: &Path, source: io::Error) -> LabError {
    let advice = match source.kind() {
        io::ErrorKind::NotFound => "check the path",
        io::ErrorKind::PermissionDenied => "ask for the right to read it",
        io::ErrorKind::IsADirectory => "name a file",
        _ => "check the disk and try again",
    };
    LabError::Read { path: path.display().to_string(), source, advice }
}

/// The columns that can be used with their types, roles and units, their places, and notes on those left out.
fn normal_schema(path: &Path, schema: &Schema) -> (SchemaRef, Vec<usize>, Vec<String>) {
    let stated = schema.fields().iter().any(|field| batch::role(field).is_some());
    let (mut fields, mut kept, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for (place, field) in schema.fields().iter().enumerate() {
        let role = batch::role(field).filter(|_| stated).unwrap_or_else(|| names::role_of(field.name()));
        match normal_type(field, role) {
            None => left_out.push(field.name().as_str()),
            Some(data_type) => {
                let unit = if batch::unit(field).is_empty() { names::unit_of(field.name()) } else { None };
                fields.push(
                    batch::field(field.name(), data_type, role, unit.unwrap_or(batch::unit(field)))
                        .with_nullable(true),
                );
                kept.push(place);
            }
        }
    }
    let notes = if left_out.is_empty() {
        Vec::new()
    } else {
        let columns = crate::plain::plain(&left_out.join(", ")).into_owned();
        vec![format!(
            "{}: columns that hold neither numbers, text nor lists of numbers were left out: {columns}",
            path.display()
        )]
    };
    (batch::with_metadata(fields, schema.metadata().clone()), kept, notes)
}

/// One of five types for what a file holds; `None` for structures, bytes and lists of anything but numbers.
fn normal_type(field: &Field, role: Role) -> Option<DataType> {
    if matches!(role, Role::Label | Role::Family) {
        return Some(DataType::Utf8);
    }
    match field.data_type() {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Timestamp(..) => {
            Some(DataType::Int64)
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 | DataType::Boolean => {
            Some(DataType::UInt64)
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Null => Some(DataType::Float64),
        DataType::Decimal128(..) | DataType::Decimal256(..) => Some(DataType::Float64),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8),
        DataType::Dictionary(_, values) if matches!(**values, DataType::Utf8 | DataType::LargeUtf8) => {
            Some(DataType::Utf8)
        }
        DataType::List(items) | DataType::LargeList(items) | DataType::FixedSizeList(items, _)
            if items.data_type().is_numeric() =>
        {
            Some(batch::list_type())
        }
        _ => None,
    }
}

/// The array as one of the five types.
///
/// # Errors
/// A value that the type does not hold, in words.
pub(crate) fn normal_array(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, String> {
    if array.data_type() == data_type {
        return Ok(Arc::clone(array));
    }
    if let DataType::Boolean = array.data_type()
        && data_type == &DataType::UInt64
    {
        let values: UInt64Array = array.as_boolean().iter().map(|value| value.map(u64::from)).collect();
        return Ok(Arc::new(values));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let array = match array.data_type() {
        // Times count in ns whatever the file's unit is.
        DataType::Timestamp(_, zone) => {
            let ns = DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, zone.clone());
            cast_with_options(array, &ns, &strict).map_err(|error| error.to_string())?
        }
        _ => Arc::clone(array),
    };
    cast_with_options(&array, data_type, &strict).map_err(|error| error.to_string())
}
