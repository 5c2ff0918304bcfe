//! Arrow batches to a file of any format, whole or not at all.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::FileWriter;
use cormorant_learn::table::Role;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::csv::CsvWriter;
use super::ndjson::NdjsonWriter;
use super::{batch, names};
use crate::LabError;
use crate::output::{Format, Output, STDOUT, Sink, write_error};
use crate::plain::plain;

fn refuse_twins(output: &Output, schema: &SchemaRef) -> Result<(), LabError> {
    let mut seen = HashSet::new();
    schema.fields().iter().find(|field| !seen.insert(field.name())).map_or(Ok(()), |twin| {
        Err(LabError::Table {
            place: String::from(output.clone()),
            expected: "columns of different names".to_owned(),
            found: format!("two called `{}`", plain(twin.name())),
            advice: "rename or leave out one of them in the input".to_owned(),
        })
    })
}

/// A table being written. Dropped before [`TableWriter::finish`], it leaves nothing behind.
pub(crate) struct TableWriter {
    encoder: Encoder,
    output: Output,
    rows: u64,
}

enum Encoder {
    Parquet(Box<ArrowWriter<Sink>>),
    Csv(Box<CsvWriter<Sink>>),
    Ndjson(Box<NdjsonWriter<Sink>>),
    Arrow(Box<FileWriter<Sink>>),
}

impl TableWriter {
    /// Opens `output` for rows of this schema. CSV gets its header even when no row follows.
    ///
    /// # Errors
    /// [`LabError::Write`]; [`LabError::Table`] for two columns of one name, which no reader could tell apart.
    pub(crate) fn create(output: &Output, schema: &SchemaRef) -> Result<Self, LabError> {
        refuse_twins(output, schema)?;
        let sink = Sink::open(output)?;
        let encoder = match output.format() {
            Format::Parquet => ArrowWriter::try_new(sink, schema.clone(), Some(properties(schema)))
                .map(|writer| Encoder::Parquet(Box::new(writer)))
                .map_err(from_parquet),
            Format::Csv => CsvWriter::new(sink, schema).map(|writer| Encoder::Csv(Box::new(writer))),
            Format::Ndjson => Ok(Encoder::Ndjson(Box::new(NdjsonWriter::new(sink, schema)))),
            Format::Arrow => FileWriter::try_new(sink, schema)
                .map(|writer| Encoder::Arrow(Box::new(writer)))
                .map_err(from_arrow),
        };
        let encoder = encoder.map_err(|error| refused(output, error))?;
        Ok(Self { encoder, output: output.clone(), rows: 0 })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), LabError> {
        let written = match &mut self.encoder {
            Encoder::Parquet(writer) => writer.write(batch).map_err(from_parquet),
            Encoder::Csv(writer) => writer.write(batch),
            Encoder::Ndjson(writer) => writer.write(batch),
            Encoder::Arrow(writer) => writer.write(batch).map_err(from_arrow),
        };
        self.rows += batch.num_rows() as u64;
        written.map_err(|error| refused(&self.output, error))
    }

    /// Ends the file and gives it its name; returns the rows written.
    ///
    /// # Errors
    /// [`LabError::Write`]; the old file is untouched.
    pub(crate) fn finish(self) -> Result<u64, LabError> {
        let Self { encoder, output, rows } = self;
        let sink = match encoder {
            Encoder::Parquet(writer) => writer.into_inner().map_err(from_parquet),
            Encoder::Csv(writer) => writer.into_inner(),
            Encoder::Ndjson(writer) => Ok(writer.into_inner()),
            Encoder::Arrow(writer) => writer.into_inner().map_err(from_arrow),
        };
        let committed = sink.and_then(|mut sink| sink.commit());
        committed.map_err(|error| refused(&output, error))?;
        Ok(rows)
    }
}

/// Settings chosen by measurement on 99,896 flows of 113 columns (docs/performance.md has the table): numbers are
/// compressed by snappy, which costs a fifth of zstd's time and memory there and leaves the file 9 % larger; text, half
/// of it hexadecimal digits that snappy cannot shorten, by zstd. Unique text is not looked up in a dictionary. Whole
/// numbers are packed as differences, floats through a dictionary that gives up when it grows too large. Only identity
/// columns have statistics: readers skip row groups by time or address, hardly ever by a feature.
fn properties(schema: &SchemaRef) -> WriterProperties {
    let metadata = schema.metadata().iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    let mut metadata: Vec<KeyValue> = metadata.collect();
    metadata.sort_by(|a, b| a.key.cmp(&b.key));
    let builder = WriterProperties::builder()
        .set_created_by(concat!("cormorant ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(metadata));
    schema.fields().iter().fold(builder, |builder, field| column_properties(builder, field)).build()
}

fn column_properties(builder: WriterPropertiesBuilder, field: &Field) -> WriterPropertiesBuilder {
    let column = ColumnPath::from(field.name().as_str());
    let builder = match batch::role(field) {
        Some(Role::Feature) => builder,
        _ => builder.set_column_statistics_enabled(column.clone(), EnabledStatistics::Chunk),
    };
    match field.data_type() {
        DataType::Int64 | DataType::UInt64 => builder
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
        DataType::Utf8 => builder
            .set_column_compression(
                column.clone(),
                Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()),
            )
            .set_column_dictionary_enabled(column, !names::UNIQUE.contains(&field.name().as_str())),
        _ => builder,
    }
}

const ROW_GROUP_ROWS: usize = 128 << 10;
const PAGE_ROWS: usize = 16 << 10;
const DICTIONARY_BYTES: usize = 128 << 10;
const ZSTD_LEVEL: i32 = 1;

fn refused(output: &Output, error: io::Error) -> LabError {
    write_error(output.path().unwrap_or(Path::new(STDOUT)), error)
}

/// Digs out what the operating system said.
fn from_arrow(error: ArrowError) -> io::Error {
    match error {
        ArrowError::IoError(_, error) => error,
        ArrowError::ExternalError(inner) => from_boxed(inner),
        other => io::Error::other(other),
    }
}

fn from_parquet(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => from_boxed(inner),
        other => io::Error::other(other),
    }
}

fn from_boxed(inner: Box<dyn std::error::Error + Send + Sync>) -> io::Error {
    match inner.downcast::<io::Error>() {
        Ok(error) => *error,
        Err(other) => io::Error::other(other),
    }
}
