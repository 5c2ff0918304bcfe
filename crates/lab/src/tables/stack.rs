//! Several table files as one: the columns of the first, found by name in the others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, SchemaRef};
use cormorant_learn::table::Role;

use super::read::TableReader;
use super::{Provenance, batch, names};
use crate::LabError;
use crate::plain::plain;

/// Tables stacked.
pub(crate) struct Stack {
    tables: Vec<TableReader>,
    /// Whether rows say which table they are from: several tables that do not say it themselves.
    named: bool,
    /// The columns of all rows.
    pub(crate) schema: SchemaRef,
    /// What made the rows, when all tables agree.
    pub(crate) origin: Option<Provenance>,
    /// What else is worth knowing, in sentences.
    pub(crate) notes: Vec<String>,
}

impl Stack {
    /// Opens tables.
    ///
    /// # Errors
    /// [`LabError`] of a table, or [`LabError::Table`] when a column of the first is missing in another.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, LabError> {
        let tables: Vec<TableReader> =
            paths.iter().map(|path| TableReader::open(path)).collect::<Result<_, _>>()?;
        let mut notes: Vec<String> = tables.iter().flat_map(|table| table.notes.clone()).collect();
        let Some(first) = tables.first() else {
            return Err(LabError::Internal("a stack of no tables".to_owned()));
        };
        let grouped = tables.iter().any(|table| has_role(&table.schema, Role::Group));
        let named = tables.len() > 1 && !grouped;
        let mut fields = Vec::new();
        if named {
            fields.push(batch::field(names::CAPTURE, DataType::Utf8, Role::Group, ""));
        }
        for field in first.schema.fields() {
            fields.push(common(field, &tables)?);
        }
        for table in &tables[1..] {
            notes.extend(extra(table, &first.schema));
        }
        let origin = agreed(&tables);
        let schema = batch::with_metadata(fields, first.schema.metadata().clone());
        Ok(Self { tables, named, schema, origin, notes })
    }

    /// Hands on every batch, with the name of its table.
    ///
    /// # Errors
    /// [`LabError`] of a table, or of `sink`.
    pub(crate) fn run(
        self,
        sink: &mut dyn FnMut(RecordBatch, &str) -> Result<(), LabError>,
    ) -> Result<(), LabError> {
        for mut table in self.tables {
            let name = table_name(&table.name);
            for rows in table.by_ref() {
                sink(fit(&rows?, &self.schema, self.named.then_some(name.as_str()))?, &name)?;
            }
        }
        Ok(())
    }
}

/// What rows of a table are called when they do not say so: the file's name without its extension.
fn table_name(path: &str) -> String {
    let stem = Path::new(path)
        .file_stem()
        .map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned());
    plain(&stem).into_owned()
}

fn has_role(schema: &SchemaRef, role: Role) -> bool {
    schema.fields().iter().any(|field| batch::role(field) == Some(role))
}

/// The field as all tables can hold it: numbers of different types become floats.
fn common(field: &Field, tables: &[TableReader]) -> Result<Field, LabError> {
    let mut data_type = field.data_type().clone();
    for table in tables {
        let Ok(other) = table.schema.field_with_name(field.name()) else {
            // A table without labels is one whose rows are unlabelled.
            if matches!(batch::role(field), Some(Role::Label | Role::Family)) {
                continue;
            }
            return Err(misfit(table, field, "no such column"));
        };
        if *other.data_type() != data_type {
            if [&data_type, other.data_type()].into_iter().any(|one| !one.is_numeric()) {
                return Err(misfit(table, field, &other.data_type().to_string()));
            }
            data_type = DataType::Float64;
        }
    }
    Ok(field.clone().with_data_type(data_type))
}

fn misfit(table: &TableReader, field: &Field, found: &str) -> LabError {
    LabError::Table {
        place: format!("{}, column {}", table.name, plain(field.name())),
        expected: format!("{} as in the first table", field.data_type()),
        found: found.to_owned(),
        advice:
            "tables that are read together need the same columns: extract them with the same feature sets"
                .to_owned(),
    }
}

fn extra(table: &TableReader, first: &SchemaRef) -> Option<String> {
    let extra: Vec<&str> = table
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .filter(|name| first.field_with_name(name).is_err())
        .collect();
    let shown = plain(&extra.join(", ")).into_owned();
    (!extra.is_empty())
        .then(|| format!("{}: columns the first table does not have were left out: {shown}", table.name))
}

fn agreed(tables: &[TableReader]) -> Option<Provenance> {
    let first = tables.first()?.origin()?;
    let same = |table: &TableReader| {
        table.origin().is_some_and(|other| other.sets == first.sets && other.flow == first.flow)
    };
    tables.iter().all(same).then_some(first)
}

fn fit(rows: &RecordBatch, schema: &SchemaRef, name: Option<&str>) -> Result<RecordBatch, LabError> {
    let internal = |error: arrow::error::ArrowError| LabError::Internal(error.to_string());
    let mut columns: Vec<ArrayRef> =
        name.map(|name| batch::repeated(name, rows.num_rows())).into_iter().collect();
    for field in schema.fields().iter().skip(columns.len()) {
        columns.push(match rows.column_by_name(field.name()) {
            None => new_null_array(field.data_type(), rows.num_rows()),
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            Some(column) => cast(column, field.data_type()).map_err(internal)?,
        });
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(internal)
}
