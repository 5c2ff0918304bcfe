//! Parquet of other programs: types are the file's own, roles are told as for [`super::csv`].

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::{cast, filter};
use arrow::datatypes::{DataType, Field, Float64Type, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::{Fault, Kind};
use super::plan::{Plan, RowTruths, Truth, Verdict, Wanted, unknown};
use super::{Format, Input, Job, Table, csv};
use crate::LabError;
use crate::plain::plain;
use crate::tables::read::{BATCH_ROWS, cannot_read, normal_array};

pub(super) static FORMAT: Format = Format {
    name: "parquet",
    about: "Parquet of another program; options say which column is what",
    roles_by_option: true,
    read,
};

fn read(job: &Job<'_>, table: &mut Table<'_>) -> Result<(), LabError> {
    let mut schemas = Vec::new();
    for input in &job.inputs {
        schemas.push(Arc::clone(open(input)?.schema()));
    }
    let (Some(first), Some(schema)) = (job.inputs.first(), schemas.first()) else {
        return Err(LabError::Internal("an import of no file".to_owned()));
    };
    let usable = |field: &&Arc<Field>| kind_of(field.data_type()).is_some();
    let names: Vec<String> =
        schema.fields().iter().filter(usable).map(|field| field.name().clone()).collect();
    let mut plan = csv::plan(&first.name, &names, job.options)?.settle(&first.name)?;
    let unusable: Vec<_> =
        schema.fields().iter().filter(|field| !usable(field)).map(|field| plain(field.name())).collect();
    if !unusable.is_empty() {
        plan.notes.push(format!("neither numbers nor text, left out: {}", unusable.join(", ")));
    }
    table.tally.notes.append(&mut plan.notes);
    let kinds = plan
        .columns
        .iter()
        .map(|column| kind_in(&names[column.place], column.wanted, &schemas, &job.inputs))
        .collect::<Result<Vec<_>, _>>()?;
    table.begin(plan.fields(&kinds))?;
    for input in &job.inputs {
        let reader =
            open(input)?.with_batch_size(BATCH_ROWS).build().map_err(|error| broken(input, &error))?;
        let mut rows = 0;
        for batch in reader {
            job.ctx.check().map_err(|_| LabError::Cancelled)?;
            let batch = batch.map_err(|error| broken(input, &error))?;
            Part { input, plan: &plan, names: &names, batch: &batch, first_row: rows }.read(&kinds, table)?;
            rows += batch.num_rows() as u64;
            job.ctx.progress("reading rows", rows, 0);
        }
    }
    csv::note_one_sided(table);
    Ok(())
}

fn open(input: &Input) -> Result<ParquetRecordBatchReaderBuilder<File>, LabError> {
    let Some(path) = input.path() else {
        return Err(LabError::Request {
            what: "input",
            expected: "Parquet in a file, which is read from its end".to_owned(),
            found: input.name.clone(),
            advice: "save it as a file first".to_owned(),
        });
    };
    let file = File::open(path).map_err(|source| cannot_read(Path::new(&input.name), source))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| broken(input, &error))
}

fn broken(input: &Input, error: &impl std::fmt::Display) -> LabError {
    LabError::Table {
        place: input.name.clone(),
        expected: "a whole Parquet file".to_owned(),
        found: plain(&error.to_string()).into_owned(),
        advice: "the file is cut, damaged or of another format: check --as".to_owned(),
    }
}

/// Numbers and text; `None` for what a table cannot hold.
fn kind_of(data_type: &DataType) -> Option<Kind> {
    match data_type {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Timestamp(..) => {
            Some(Kind::Signed)
        }
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 | DataType::Boolean => {
            Some(Kind::Unsigned)
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Null => Some(Kind::Float),
        DataType::Decimal128(..) | DataType::Decimal256(..) => Some(Kind::Float),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Kind::Text),
        DataType::Dictionary(_, values) if matches!(**values, DataType::Utf8 | DataType::LargeUtf8) => {
            Some(Kind::Text)
        }
        _ => None,
    }
}

/// The type that holds a column of all files.
fn kind_in(name: &str, wanted: Wanted, schemas: &[SchemaRef], inputs: &[Input]) -> Result<Kind, LabError> {
    let mut kinds = Vec::new();
    for (schema, input) in schemas.iter().zip(inputs) {
        let kind = schema.field_with_name(name).ok().and_then(|field| kind_of(field.data_type()));
        kinds.push(kind.ok_or_else(|| LabError::Table {
            place: input.name.clone(),
            expected: "the columns of the first file".to_owned(),
            found: format!("no numbers or text called `{}`", plain(name)),
            advice: "import files with different columns one by one".to_owned(),
        })?);
    }
    let first = kinds.first().copied().unwrap_or(Kind::Float);
    Ok(if kinds.contains(&Kind::Text) {
        if matches!(wanted, Wanted::Numbers) { Kind::Float } else { Kind::Text }
    } else if kinds.iter().all(|kind| *kind == first) {
        first
    } else {
        Kind::Float
    })
}

/// Some rows of one file.
struct Part<'a> {
    input: &'a Input,
    plan: &'a Plan,
    names: &'a [String],
    batch: &'a RecordBatch,
    first_row: u64,
}

impl Part<'_> {
    fn read(&self, kinds: &[Kind], table: &mut Table<'_>) -> Result<(), LabError> {
        let (truths, good) = self.truths(table)?;
        if truths.rows() == 0 {
            return Ok(());
        }
        let mut arrays = Vec::with_capacity(kinds.len());
        for (column, kind) in self.plan.columns.iter().zip(kinds) {
            let array = self.column(column.place)?;
            let typed = normal_array(array, &kind.data_type()).map_err(|found| {
                Fault::new(format!("values of type {}", kind.data_type()), &found)
                    .advise("correct the column, or leave it out with --drop")
                    .at(self.place(None, Some(column.place)))
            })?;
            let typed = filter(&typed, &good).map_err(|error| LabError::Internal(error.to_string()))?;
            let (typed, infinite) = finite(typed);
            table.tally.count_missing(&column.name, typed.null_count() as u64 - infinite, infinite);
            arrays.push(typed);
        }
        table.write(self.plan.arrays(&arrays, truths))
    }

    /// What is true of each row, and which rows are good.
    fn truths(&self, table: &mut Table<'_>) -> Result<(RowTruths, BooleanArray), LabError> {
        let truth = self.plan.truth.as_ref();
        let cells = truth.map_or(&[][..], |truth| &truth.places);
        let cells = cells.iter().map(|&place| self.text(place)).collect::<Result<Vec<_>, _>>()?;
        let time = self.plan.time.map(|(place, _)| self.text(place)).transpose()?;
        let group = self.plan.group.map(|place| self.text(place)).transpose()?;
        let mut truths = RowTruths::default();
        let mut good = Vec::with_capacity(self.batch.num_rows());
        for row in 0..self.batch.num_rows() {
            let judged = self.judge(truth, &cells, row).and_then(|verdict| {
                let time = self.plan.time.zip(time.as_ref()).map(|((place, clock), texts)| {
                    clock
                        .read(self.cell(texts, row).as_deref().unwrap_or_default())
                        .map_err(|fault| (place, fault))
                });
                Ok((verdict, time.transpose()?))
            });
            good.push(judged.is_ok());
            match judged {
                Ok((verdict, time)) => {
                    let group = group.as_ref().and_then(|texts| self.cell(texts, row));
                    truths.push(&verdict, time, group.as_deref(), &mut table.tally)?;
                }
                Err((column, fault)) => table.reject(fault.at(self.place(Some(row), Some(column))))?,
            }
        }
        Ok((truths, BooleanArray::from(good)))
    }

    fn judge(
        &self,
        truth: Option<&Truth>,
        texts: &[ArrayRef],
        row: usize,
    ) -> Result<Verdict, (usize, Fault)> {
        let Some(truth) = truth else { return Ok(unknown()) };
        let cells: Vec<_> = texts.iter().map(|texts| self.cell(texts, row)).collect();
        (truth.judge)(&cells)
            .map_err(|(at, fault)| (truth.places.get(at).copied().unwrap_or_default(), fault))
    }

    fn cell<'t>(&self, texts: &'t ArrayRef, row: usize) -> Option<Cow<'t, str>> {
        let texts = texts.as_string::<i32>();
        let text = texts.is_valid(row).then(|| texts.value(row).trim())?;
        (!self.plan.missing.is(text.as_bytes())).then_some(Cow::Borrowed(text))
    }

    /// A column as text; times count in ns whatever the file's unit is.
    fn text(&self, place: usize) -> Result<ArrayRef, LabError> {
        let array = self.column(place)?;
        let array = match array.data_type() {
            DataType::Timestamp(..) => {
                normal_array(array, &DataType::Int64).map_err(|error| broken(self.input, &error))?
            }
            _ => Arc::clone(array),
        };
        cast(&array, &DataType::Utf8).map_err(|error| broken(self.input, &error))
    }

    fn column(&self, place: usize) -> Result<&ArrayRef, LabError> {
        let name = self.names.get(place).map(String::as_str).unwrap_or_default();
        self.batch
            .column_by_name(name)
            .ok_or_else(|| broken(self.input, &format!("no column `{name}`, which the first file has")))
    }

    fn place(&self, row: Option<usize>, column: Option<usize>) -> String {
        let row = match row {
            Some(row) => format!("row {}", self.first_row + row as u64 + 1),
            None => format!("rows from {}", self.first_row + 1),
        };
        let column = column.and_then(|place| self.names.get(place));
        let column = column.map_or_else(String::new, |name| format!(", column {}", plain(name)));
        format!("{}, {row}{column}", self.input.name)
    }
}

/// Numbers that are not finite become missing; how many were infinite.
fn finite(array: ArrayRef) -> (ArrayRef, u64) {
    if array.data_type() != &DataType::Float64 {
        return (array, 0);
    }
    let values = array.as_primitive::<Float64Type>();
    if values.iter().flatten().all(f64::is_finite) {
        return (array, 0);
    }
    let infinite = values.iter().flatten().filter(|value| value.is_infinite()).count() as u64;
    let kept: Float64Array = values.iter().map(|value| value.filter(|value| value.is_finite())).collect();
    (Arc::new(kept), infinite)
}
