//! The table being written, what it holds so far, and the rows that were left out of it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, SchemaRef};

use crate::LabError;
use crate::output::Output;
use crate::tables::batch;
use crate::tables::learn::schema_of;
use crate::tables::write::TableWriter;

/// How many of the rows left out are told.
const TOLD: usize = 5;

/// What has been counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Rows imported.
    pub(crate) rows: u64,
    /// Rows by label: `benign`, `malicious`, `unlabelled`.
    pub(crate) labels: BTreeMap<String, u64>,
    /// Rows by family.
    pub(crate) families: BTreeMap<String, u64>,
    /// Rows by class, where the format has classes.
    pub(crate) classes: BTreeMap<String, u64>,
    /// Per column missing values, and infinite ones that were made missing.
    pub(crate) missing: BTreeMap<String, (u64, u64)>,
    /// Rows of empty cells.
    pub(crate) blank: u64,
    /// Rows that repeat the header.
    pub(crate) headers: u64,
    /// Rows that could not be read and were left out.
    pub(crate) skipped: u64,
    /// What was wrong with the first of them.
    pub(crate) told: Vec<String>,
    /// What else is worth knowing, in sentences.
    pub(crate) notes: Vec<String>,
}

impl Tally {
    pub(super) fn count_label(&mut self, label: &str) {
        count(&mut self.labels, label);
    }

    /// Counts a row of a family; returns how many families there are.
    pub(super) fn count_family(&mut self, family: &str) -> usize {
        count(&mut self.families, family);
        self.families.len()
    }

    pub(super) fn count_class(&mut self, class: &str) {
        count(&mut self.classes, class);
    }

    pub(super) fn count_missing(&mut self, column: &str, missing: u64, infinite: u64) {
        if missing + infinite > 0 {
            let counts = self.missing.entry(column.to_owned()).or_default();
            counts.0 += missing;
            counts.1 += infinite;
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, word: &str) {
    match counts.get_mut(word) {
        Some(number) => *number += 1,
        None => {
            counts.insert(word.to_owned(), 1);
        }
    }
}

/// A table on its way to the output, or only counted when there is none.
pub(crate) struct Table<'a> {
    output: Option<&'a Output>,
    format: &'static str,
    skip_bad: u64,
    begun: Option<(Option<TableWriter>, SchemaRef)>,
    /// What has been counted.
    pub(crate) tally: Tally,
}

impl<'a> Table<'a> {
    /// Nothing is opened before the columns are known.
    pub(crate) fn new(output: Option<&'a Output>, format: &'static str, skip_bad: u64) -> Self {
        Self { output, format, skip_bad, begun: None, tally: Tally::default() }
    }

    /// Opens the output for these columns.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(super) fn begin(&mut self, fields: Vec<Field>) -> Result<(), LabError> {
        let mut names = HashSet::new();
        if let Some(twice) = fields.iter().find(|field| !names.insert(field.name().as_str())) {
            return Err(LabError::Internal(format!("two columns called {}", twice.name())));
        }
        let digest = schema_of(&fields.iter().cloned().map(Arc::new).collect::<Vec<_>>()).digest();
        let metadata = [
            ("cormorant.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("cormorant.imported_as", self.format.to_owned()),
            ("cormorant.schema_digest", digest),
        ];
        let metadata = metadata.map(|(key, value)| (key.to_owned(), value));
        let schema = batch::with_metadata(fields, metadata);
        let writer = self.output.map(|output| TableWriter::create(output, &schema)).transpose()?;
        self.begun = Some((writer, schema));
        Ok(())
    }

    /// Writes a batch.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(super) fn write(&mut self, arrays: Vec<ArrayRef>) -> Result<(), LabError> {
        let Some((writer, schema)) = &mut self.begun else {
            return Err(LabError::Internal("rows before their columns".to_owned()));
        };
        let rows = RecordBatch::try_new(Arc::clone(schema), arrays)
            .map_err(|error| LabError::Internal(error.to_string()))?;
        self.tally.rows += rows.num_rows() as u64;
        writer.as_mut().map_or(Ok(()), |writer| writer.write(&rows))
    }

    /// Leaves a bad row out, as long as the caller allows.
    ///
    /// # Errors
    /// The row's own, once no more may be left out.
    pub(super) fn reject(&mut self, error: LabError) -> Result<(), LabError> {
        if self.tally.skipped >= self.skip_bad || !matches!(error, LabError::Table { .. }) {
            return Err(error);
        }
        self.tally.skipped += 1;
        if self.tally.told.len() < TOLD
            && let LabError::Table { place, expected, found, .. } = error
        {
            self.tally.told.push(format!("{place}: expected {expected}, found {found}"));
        }
        Ok(())
    }

    /// Ends the file: its columns, and what was counted.
    ///
    /// # Errors
    /// [`LabError::Write`], or [`LabError::Request`] when there is no row.
    pub(crate) fn finish(self) -> Result<(SchemaRef, Tally), LabError> {
        let Some((writer, schema)) = self.begun.filter(|_| self.tally.rows > 0) else {
            return Err(LabError::Request {
                what: "input",
                expected: "at least one row".to_owned(),
                found: format!("none ({} left out, {} blank)", self.tally.skipped, self.tally.blank),
                advice: "check the file and --as; no table was made".to_owned(),
            });
        };
        writer.map(TableWriter::finish).transpose()?;
        Ok((schema, self.tally))
    }
}
