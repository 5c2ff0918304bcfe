//! `import`: foreign tables to one of the program's own, with roles, units and one word per label.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::import::{self, Table, Tally};
pub use crate::import::{Attempted, FORMATS, Options};
use crate::output::{Format, Output};
use crate::tables::learn::schema_of;
use crate::tables::{batch, names};
use crate::{Ctx, LabError};

/// What to import, and where to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the format, one of [`FORMATS`].
    pub format: String,
    /// Files, directories, patterns of file names, or `-` for standard input.
    pub inputs: Vec<PathBuf>,
    /// What is said of them.
    #[serde(default)]
    pub options: Options,
    /// Where the rows go.
    pub output: Output,
}

/// What was imported.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where the rows went: a path, or `-`; empty when they were only looked at.
    pub output: String,
    /// Their format.
    pub format: Option<Format>,
    /// Name of the format they came in.
    pub imported_as: String,
    /// Rows written.
    pub rows: u64,
    /// Columns written.
    pub columns: u64,
    /// Columns by role.
    pub roles: BTreeMap<String, u64>,
    /// SHA-256 of the ordered feature columns (name, unit, kind), in hex: what a model checks.
    pub schema_digest: String,
    /// Rows by label: `benign`, `malicious`, `unlabelled`.
    pub labels: BTreeMap<String, u64>,
    /// Rows by family.
    pub families: BTreeMap<String, u64>,
    /// Rows by class, where the format has classes.
    pub classes: BTreeMap<String, u64>,
    /// Identity and feature columns in which values are missing, by name.
    pub missing: BTreeMap<String, Missing>,
    /// Rows of empty cells; they were left out.
    pub rows_blank: u64,
    /// Rows that repeat the header; they were left out.
    pub rows_of_headers: u64,
    /// Rows that could not be read and were left out.
    pub rows_skipped: u64,
    /// What was wrong with the first of them.
    pub skipped: Vec<String>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// Missing values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Values that are not there.
    pub missing: u64,
    /// Values that were infinite, and are missing now.
    pub infinite: u64,
}

/// Turns foreign tables into one of the program's own.
///
/// # Errors
/// [`LabError`] of an option, an input or the output; then nothing is written.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let format = import::find(&spec.format)?;
    let mut table = Table::new(Some(&spec.output), format.name, spec.options.skip_bad);
    import::files(format, &spec.inputs, &spec.options, ctx, &mut table)?;
    let (schema, tally) = table.finish()?;
    Ok(report(Some(&spec.output), format.name, &schema, tally))
}

/// What `bytes` would come to, read as the format of that name; nothing is written.
///
/// # Errors
/// As [`run`].
pub fn look(format: &str, bytes: &[u8], options: &Options, ctx: &Ctx) -> Result<Report, LabError> {
    let format = import::find(format)?;
    let mut table = Table::new(None, format.name, options.skip_bad);
    import::bytes(format, bytes, options, ctx, &mut table)?;
    let (schema, tally) = table.finish()?;
    Ok(report(None, format.name, &schema, tally))
}

fn report(output: Option<&Output>, imported_as: &str, schema: &SchemaRef, tally: Tally) -> Report {
    let mut roles: BTreeMap<String, u64> = BTreeMap::new();
    for role in schema.fields().iter().filter_map(|field| batch::role(field)) {
        *roles.entry(names::word_of(role).to_owned()).or_default() += 1;
    }
    let mut notes = tally.notes;
    let loses_roles = output.is_some_and(|output| matches!(output.format(), Format::Csv | Format::Ndjson));
    if loses_roles && roles.contains_key("identity") {
        notes.push(
            "this format keeps no roles: identity columns will be read as features; .parquet does".to_owned(),
        );
    }
    let missing = tally.missing.into_iter();
    Report {
        output: output.map_or_else(String::new, |output| String::from(output.clone())),
        format: output.map(Output::format),
        imported_as: imported_as.to_owned(),
        rows: tally.rows,
        columns: schema.fields().len() as u64,
        roles,
        schema_digest: schema_of(schema.fields()).digest(),
        labels: tally.labels,
        families: tally.families,
        classes: tally.classes,
        missing: missing.map(|(name, (missing, infinite))| (name, Missing { missing, infinite })).collect(),
        rows_blank: tally.blank,
        rows_of_headers: tally.headers,
        rows_skipped: tally.skipped,
        skipped: tally.told,
        notes,
    }
}
