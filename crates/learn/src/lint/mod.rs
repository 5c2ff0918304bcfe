//! What is wrong with a table before anything is learnt from it: one file per check, one line in [`CHECKS`].
//!
//! Published intrusion data sets are full of faults that make a model look good: rows that appear again in the test set,
//! addresses and clocks among the features, columns a tool never filled. A [`Finding`] names the fault, the columns and rows,
//! the figures it rests on and what to do. Which fault of which data set is found by which check is in `docs/lint.md`.

mod balance;
mod constant;
mod correlated;
mod duplicates;
mod giveaway;
mod identity;
mod impossible;
mod names;
mod order;
mod overlap;
mod published;
mod rows;

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::ctx::Ctx;
use crate::table::{Column, Field, Table};

/// Every check the program has, in the order they are run.
pub static CHECKS: &[&Check] = &[
    &balance::CHECK,
    &order::CHECK,
    &duplicates::CHECK,
    &overlap::CHECK,
    &identity::CHECK,
    &giveaway::CHECK,
    &constant::CHECK,
    &correlated::CHECK,
    &impossible::CHECK,
    &published::CHECK,
];

/// Rows named in a finding at most.
const MOST_ROWS: usize = 10;

/// One line of [`CHECKS`].
pub struct Check {
    /// Name, as findings have it.
    pub name: &'static str,
    /// What it looks for, in a sentence.
    pub doc: &'static str,
    /// Looks.
    run: fn(&View<'_>) -> Result<Vec<Finding>, LearnError>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Results may mislead.
    Warning,
    /// Results will mislead.
    Error,
}

/// Something wrong with a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Name of the check in [`CHECKS`].
    pub check: String,
    /// What it is about, distinct in its check ("contradictions").
    pub kind: String,
    /// How bad it is.
    pub severity: Severity,
    /// Columns concerned, in the order of the table.
    pub columns: Vec<String>,
    /// The first rows concerned, counted from 0; of the test table where the check compares two.
    pub rows: Vec<usize>,
    /// What it rests on: a name and a value each; shares are from 0 to 1.
    pub figures: Vec<(String, f64)>,
    /// What was found, in plain words.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl Finding {
    fn new(check: &Check, kind: &str, severity: Severity) -> Self {
        Self {
            check: check.name.to_owned(),
            kind: kind.to_owned(),
            severity,
            columns: Vec::new(),
            rows: Vec::new(),
            figures: Vec::new(),
            message: String::new(),
            advice: String::new(),
        }
    }

    fn of_columns<'a>(mut self, columns: impl IntoIterator<Item = &'a str>) -> Self {
        self.columns = columns.into_iter().map(str::to_owned).collect();
        self
    }

    fn at_rows(mut self, rows: impl IntoIterator<Item = usize>) -> Self {
        self.rows = rows.into_iter().take(MOST_ROWS).collect();
        self
    }

    fn figure(mut self, name: impl Into<String>, value: f64) -> Self {
        self.figures.push((name.into(), value));
        self
    }

    fn says(mut self, message: impl Into<String>, advice: &str) -> Self {
        (self.message, self.advice) = (message.into(), advice.to_owned());
        self
    }

    /// A figure by name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }
}

/// What a check looks at.
struct View<'a> {
    table: &'a Table,
    test: Option<&'a Table>,
    features: Vec<(&'a Field, &'a Column)>,
    labels: Vec<Option<bool>>,
    /// Per row what its features are ([`rows::keys`]).
    keys: Vec<u128>,
    ctx: &'a Ctx,
}

impl View<'_> {
    /// Labelled rows: benign and malicious.
    fn classes(&self) -> [usize; 2] {
        let count = |wanted| self.labels.iter().filter(|label| **label == Some(wanted)).count();
        [count(false), count(true)]
    }
}

/// Runs every check over a table, and over the one it is to be tested on where a check compares them: the worst first, else in
/// the order of the checks. The same findings for any number of threads.
///
/// # Errors
/// [`LearnError::Cancelled`], or [`LearnError::Data`] when the system gives no threads.
pub fn lint(table: &Table, test: Option<&Table>, ctx: &Ctx) -> Result<Vec<Finding>, LearnError> {
    ctx.install(|| {
        let view = View {
            table,
            test,
            features: table.features().collect(),
            labels: table.labels(),
            keys: rows::keys(table),
            ctx,
        };
        let mut findings = Vec::new();
        for (done, check) in (0u64..).zip(CHECKS) {
            ctx.check()?;
            ctx.progress(check.name, done, CHECKS.len() as u64);
            findings.extend((check.run)(&view)?);
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        Ok(findings)
    })?
}

fn percent(share: f64) -> String {
    let digits = if share > 0.999 && share < 1.0 { 3 } else { 1 };
    format!("{:.digits$} %", 100.0 * share)
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The first names and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=SHOWN => shown,
        count => format!("{shown} and {} more", count - SHOWN),
    }
}
