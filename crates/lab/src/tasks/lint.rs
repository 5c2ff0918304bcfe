//! `lint`: what is wrong with a table before anything is learnt from it.

use std::path::PathBuf;

use cormorant_learn::lint::lint;
pub use cormorant_learn::lint::{Finding, Severity};
use cormorant_learn::table::Table;
use serde::{Deserialize, Serialize};

use crate::feed::Feed;
use crate::model::gather;
use crate::reading::Reading;
use crate::{Ctx, LabError};

/// Which tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Tables to learn from.
    pub inputs: Vec<PathBuf>,
    /// Tables to be judged on, which must not share rows, groups or families with them.
    #[serde(default)]
    pub test: Vec<PathBuf>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Rows looked at.
    pub rows: u64,
    /// Rows of the tables to be judged on.
    pub test_rows: u64,
    /// Features.
    pub features: u64,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// Runs every check.
///
/// # Errors
/// [`LabError`] of an input.
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let mut notes = Vec::new();
    let table = read(&spec.inputs, ctx, &mut notes)?;
    let test = if spec.test.is_empty() { None } else { Some(read(&spec.test, ctx, &mut notes)?) };
    let findings = lint(&table, test.as_ref(), ctx).map_err(LabError::learn("lint"))?;
    Ok(Report {
        rows: table.rows() as u64,
        test_rows: test.map_or(0, |test| test.rows() as u64),
        features: table.features().count() as u64,
        findings,
        notes,
    })
}

fn read(inputs: &[PathBuf], ctx: &Ctx, notes: &mut Vec<String>) -> Result<Table, LabError> {
    let tables_only = || {
        Err(LabError::Request {
            what: "input",
            expected: "tables".to_owned(),
            found: "captures".to_owned(),
            advice: "make a table of them with `cormorant extract`".to_owned(),
        })
    };
    let feed = Feed::open(inputs, &Reading::default(), None, ctx, tables_only)?;
    let (table, mut arrived) = gather(feed, ctx)?;
    notes.append(&mut arrived.notes);
    Ok(table)
}
