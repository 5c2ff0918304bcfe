//! A plan carried out on separated text: the header, a first pass over the files where types are to be found out, and
//! a second one in which rows become batches.

use std::borrow::Cow;

use ::csv::ByteRecord;
use arrow::array::ArrayRef;

use super::columns::{Cells, Fault, Kind, Seen, decoded};
use super::plan::{Plan, RowTruths, Wanted, unknown};
use super::records::Records;
use super::{Input, Job, Table};
use crate::LabError;
use crate::plain::plain;
use crate::tables::read::BATCH_ROWS;

/// How a format's files are laid out.
pub(super) struct Layout<'a> {
    /// What separates fields.
    pub(super) delimiter: u8,
    /// Names of the columns by the first row, and whether that row holds data itself.
    pub(super) header: &'a dyn Fn(Vec<String>) -> Result<(Vec<String>, bool), Fault>,
    /// What the header comes to.
    pub(super) plan: &'a dyn Fn(&Input, &[String]) -> Result<Plan, LabError>,
}

/// A file whose header has been read.
struct Sheet<'a> {
    input: &'a Input,
    /// Fields of a row.
    width: usize,
    /// Where each of the first file's columns stands in this one.
    places: Vec<usize>,
    /// The header as it stands there; empty when the first row holds data.
    header: Vec<String>,
}

/// Reads all inputs of a job.
///
/// # Errors
/// [`LabError`] of an input, of the plan, of a row that may not be left out, or of the output.
pub(super) fn import(job: &Job<'_>, layout: &Layout<'_>, table: &mut Table<'_>) -> Result<(), LabError> {
    let mut sheets = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for input in &job.inputs {
        let (found, is_data) = header(input, layout)?;
        if sheets.is_empty() {
            names.clone_from(&found);
        }
        let places = places(input, &names, &found)?;
        let header = if is_data { Vec::new() } else { found.clone() };
        sheets.push(Sheet { input, width: found.len(), places, header });
    }
    let Some(first) = job.inputs.first() else {
        return Err(LabError::Internal("an import of no file".to_owned()));
    };
    let mut plan = (layout.plan)(first, &names)?.settle(&first.name)?;
    table.tally.notes.append(&mut plan.notes);
    let kinds = kinds(job, layout, &sheets, &plan, table)?;
    table.begin(plan.fields(&kinds))?;
    let mut rows = Rows::new(&plan, &kinds, &names);
    for sheet in &sheets {
        read(job, layout, sheet, &mut rows, table)?;
    }
    rows.flush(table)
}

/// The names of an input's columns, and whether its first row holds data.
fn header(input: &Input, layout: &Layout<'_>) -> Result<(Vec<String>, bool), LabError> {
    let mut records = Records::open(input, layout.delimiter)?;
    let Some((line, row)) = records.next_row()? else {
        return Err(LabError::Table {
            place: input.name.clone(),
            expected: "at least one line".to_owned(),
            found: "an empty file".to_owned(),
            advice: "check the path".to_owned(),
        });
    };
    let cells = row.iter().map(|cell| decoded(cell.trim_ascii(), true).unwrap_or_default().into_owned());
    (layout.header)(cells.collect()).map_err(|fault| fault.at(format!("{}, line {line}", input.name)))
}

/// Where the columns of the first file stand in another, whose order may differ.
fn places(input: &Input, names: &[String], found: &[String]) -> Result<Vec<usize>, LabError> {
    if names == found {
        return Ok((0..names.len()).collect());
    }
    let misfit = |found: String| LabError::Table {
        place: format!("{}, header", input.name),
        expected: "the columns of the first file".to_owned(),
        found,
        advice: "import files with different columns one by one".to_owned(),
    };
    if let Some(extra) = found.iter().find(|name| !names.contains(name)) {
        return Err(misfit(format!("another one, `{}`", plain(extra))));
    }
    let place = |name: &String| {
        let place = found.iter().position(|other| other == name);
        place.ok_or_else(|| misfit(format!("no `{}`", plain(name))))
    };
    names.iter().map(place).collect()
}

/// The type of each planned column.
fn kinds(
    job: &Job<'_>,
    layout: &Layout<'_>,
    sheets: &[Sheet<'_>],
    plan: &Plan,
    table: &mut Table<'_>,
) -> Result<Vec<Kind>, LabError> {
    let mut seen: Vec<Seen> = vec![Seen::default(); plan.columns.len()];
    if plan.columns.iter().any(|column| !matches!(column.wanted, Wanted::Fixed(..))) {
        for sheet in sheets {
            let mut records = Records::open(sheet.input, layout.delimiter)?;
            let mut rows = 0;
            while let Some((line, row)) = records.next_row()? {
                pulse(job, "finding out types", &mut rows)?;
                if !sheet.is_row(row, rows == 1) || row.len() != sheet.width {
                    continue;
                }
                for (column, seen) in plan.columns.iter().zip(&mut seen) {
                    let place = || format!("{}, line {line}", sheet.input.name);
                    seen.see(sheet.cell(row, column.place), &plan.missing, place);
                }
            }
        }
    }
    let kind = |(column, seen): (&super::plan::Planned, &Seen)| match column.wanted {
        Wanted::Fixed(kind, _) => kind,
        Wanted::Numbers => seen.kind(true),
        Wanted::Seen => {
            table.tally.notes.extend(seen.suspicion(&column.name));
            seen.kind(false)
        }
    };
    Ok(plan.columns.iter().zip(&seen).map(kind).collect())
}

/// Rows of one file into batches.
fn read(
    job: &Job<'_>,
    layout: &Layout<'_>,
    sheet: &Sheet<'_>,
    rows: &mut Rows<'_>,
    table: &mut Table<'_>,
) -> Result<(), LabError> {
    let mut records = Records::open(sheet.input, layout.delimiter)?;
    let mut number = 0;
    while let Some((line, row)) = records.next_row()? {
        pulse(job, "reading rows", &mut number)?;
        if !sheet.is_row(row, number == 1) {
            if sheet.repeats_header(row) {
                table.tally.headers += u64::from(number > 1);
            } else {
                table.tally.blank += 1;
            }
            continue;
        }
        if let Err(refusal) = rows.push(sheet, row, table) {
            match refusal {
                Refusal::Row(column, fault) => {
                    let place = column.map_or_else(String::new, |name| format!(", column {}", plain(name)));
                    table.reject(fault.at(format!("{}, line {line}{place}", sheet.input.name)))?;
                }
                Refusal::Import(error) => return Err(error),
            }
        }
        if rows.truths.rows() == BATCH_ROWS {
            rows.flush(table)?;
        }
    }
    Ok(())
}

fn pulse(job: &Job<'_>, stage: &str, rows: &mut u64) -> Result<(), LabError> {
    *rows += 1;
    if rows.is_multiple_of(BATCH_ROWS as u64) {
        job.ctx.check().map_err(|_| LabError::Cancelled)?;
        job.ctx.progress(stage, *rows, 0);
    }
    Ok(())
}

impl Sheet<'_> {
    /// Whether a row holds data: the first may be the header, others may repeat it or be blank.
    fn is_row(&self, row: &ByteRecord, first: bool) -> bool {
        !((first && !self.header.is_empty()) || self.repeats_header(row) || is_blank(row))
    }

    fn repeats_header(&self, row: &ByteRecord) -> bool {
        !self.header.is_empty()
            && row.len() == self.header.len()
            && row.iter().zip(&self.header).all(|(cell, name)| cell.trim_ascii() == name.as_bytes())
    }

    /// The trimmed cell of the first file's column `place`.
    fn cell<'r>(&self, row: &'r ByteRecord, place: usize) -> &'r [u8] {
        let here = self.places.get(place).copied().unwrap_or(usize::MAX);
        row.get(here).unwrap_or_default().trim_ascii()
    }
}

fn is_blank(row: &ByteRecord) -> bool {
    row.as_slice().iter().all(u8::is_ascii_whitespace)
}

/// Rows that are not written yet.
struct Rows<'p> {
    plan: &'p Plan,
    names: &'p [String],
    cells: Vec<Cells>,
    truths: RowTruths,
}

/// Why a row is not taken.
enum Refusal<'p> {
    /// It is bad, in a column or as a whole.
    Row(Option<&'p str>, Fault),
    /// No row can be taken any more.
    Import(LabError),
}

impl<'p> Rows<'p> {
    fn new(plan: &'p Plan, kinds: &[Kind], names: &'p [String]) -> Self {
        let cells = kinds.iter().map(|kind| Cells::new(*kind)).collect();
        Self { plan, names, cells, truths: RowTruths::default() }
    }

    /// Takes a row whole, or leaves everything as it was.
    fn push(
        &mut self,
        sheet: &Sheet<'_>,
        row: &ByteRecord,
        table: &mut Table<'_>,
    ) -> Result<(), Refusal<'p>> {
        if row.len() != sheet.width {
            let as_in = if sheet.header.is_empty() { "the first line" } else { "the header" };
            let fault = Fault::new(format!("{} fields as in {as_in}", sheet.width), &row.len().to_string());
            return Err(Refusal::Row(
                None,
                fault.advise("check the separators and quotes of this line, or use --skip-bad N"),
            ));
        }
        let rows = self.truths.rows();
        let taken = self.fill(sheet, row, table);
        if taken.is_err() {
            self.cells.iter_mut().for_each(|cells| cells.truncate(rows));
        }
        taken
    }

    fn fill(
        &mut self,
        sheet: &Sheet<'_>,
        row: &ByteRecord,
        table: &mut Table<'_>,
    ) -> Result<(), Refusal<'p>> {
        let Self { plan, names, cells, truths, .. } = self;
        for (column, cells) in plan.columns.iter().zip(cells) {
            let check = match column.wanted {
                Wanted::Fixed(_, check) => check,
                Wanted::Seen | Wanted::Numbers => super::columns::Check::Any,
            };
            cells
                .push(sheet.cell(row, column.place), check, &plan.missing, plan.western)
                .map_err(|fault| Refusal::Row(Some(&column.name), fault))?;
        }
        let blamed = |place: usize| names.get(place).map(String::as_str);
        let text = |place: usize| -> Result<Option<Cow<'_, str>>, Refusal<'p>> {
            let cell = sheet.cell(row, place);
            let known = (!plan.missing.is(cell)).then(|| {
                decoded(cell, plan.western).ok_or_else(|| {
                    let fault = Fault::new("text in UTF-8", &String::from_utf8_lossy(cell));
                    Refusal::Row(blamed(place), fault)
                })
            });
            known.transpose()
        };
        let verdict = match &plan.truth {
            None => unknown(),
            Some(truth) => {
                let cells = truth.places.iter().map(|&place| text(place)).collect::<Result<Vec<_>, _>>()?;
                (truth.judge)(&cells).map_err(|(at, fault)| {
                    Refusal::Row(truth.places.get(at).and_then(|&place| blamed(place)), fault)
                })?
            }
        };
        let time = plan.time.map(|(place, clock)| {
            let text = text(place)?.unwrap_or_default();
            clock.read(&text).map_err(|fault| Refusal::Row(blamed(place), fault))
        });
        let time = time.transpose()?;
        let group = plan.group.map(text).transpose()?.flatten();
        truths.push(&verdict, time, group.as_deref(), &mut table.tally).map_err(Refusal::Import)
    }

    fn flush(&mut self, table: &mut Table<'_>) -> Result<(), LabError> {
        let truths = std::mem::take(&mut self.truths);
        if truths.rows() == 0 {
            return Ok(());
        }
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.cells.len());
        for (column, cells) in self.plan.columns.iter().zip(&mut self.cells) {
            let filled = cells.take()?;
            table.tally.count_missing(&column.name, filled.missing, filled.infinite);
            arrays.push(filled.array);
        }
        table.write(self.plan.arrays(&arrays, truths))
    }
}
