//! Foreign tables to the program's own: one file a format, one line each in [`FORMATS`].
//!
//! A format makes a [`Plan`] of a file's header: which columns are features and which only say whose row it is, and
//! how label, family, class and time are told from cells. [`sheet`] carries a plan out on text row by row,
//! [`parquet`] on batches; both hand columns to the [`Table`] that is written. Memory holds one batch of rows.
//!
//! A row is imported whole or not at all. One that cannot be is an error that names file, line and column, unless
//! the caller allows some to be left out; then each is counted and the first are told.

mod cic;
mod columns;
mod csv;
mod inputs;
mod kdd99;
mod npz;
mod nsl_kdd;
mod parquet;
mod plan;
mod records;
mod secuml;
mod sheet;
mod table;
mod times;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use inputs::Input;
pub(crate) use table::{Table, Tally};

use crate::{Ctx, LabError};

/// All the program knows of a foreign format.
pub struct Format {
    /// As typed after `--as`.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Whether roles of columns are the caller's to say.
    pub roles_by_option: bool,
    /// Reads the inputs into the table.
    read: fn(&Job<'_>, &mut Table<'_>) -> Result<(), LabError>,
}

/// Every format, in the order of help.
pub static FORMATS: &[&Format] =
    &[&kdd99::FORMAT, &nsl_kdd::FORMAT, &cic::FORMAT, &secuml::FORMAT, &csv::FORMAT, &parquet::FORMAT];

/// What flows that an attacker attempted without effect count as, in tables of CIC that tell them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attempted {
    /// As those who told them apart advise.
    #[default]
    Benign,
    /// As the attack that was attempted.
    Malicious,
    /// Without a label.
    Unlabelled,
}

/// What the caller says of the inputs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The column that says what is malicious; else one called `label`, if there is one.
    pub label: Option<String>,
    /// Words of that column that mean benign; else the usual ones. Every other word is an attack's.
    pub benign: Vec<String>,
    /// Words of that column that mean that nobody knows.
    pub unlabelled: Vec<String>,
    /// One label for every row: `benign`, `malicious` or `malicious:FAMILY`.
    pub label_all: Option<String>,
    /// The column with the name of the attack.
    pub family: Option<String>,
    /// The column with the time, and after a colon what its numbers count: `s`, `ms`, `us` or `ns`.
    pub time: Option<String>,
    /// The column whose rows belong together.
    pub group: Option<String>,
    /// Columns that say whose row it is, never to be learnt from.
    pub identity: Vec<String>,
    /// Columns to learn from although their names are those of identities.
    pub feature: Vec<String>,
    /// Columns of numbers: anything else in them is an error.
    pub numeric: Vec<String>,
    /// Columns to leave out.
    pub drop: Vec<String>,
    /// What separates fields: one character or `tab`; else what the first line has most of.
    pub delimiter: Option<String>,
    /// Whether the first line is a row already; columns are then called `column_1` and so on.
    pub no_header: bool,
    /// More words that mean a missing value.
    pub missing: Vec<String>,
    /// What attempted attacks count as.
    pub attempted: Attempted,
    /// How many rows that cannot be read may be left out.
    pub skip_bad: u64,
}

/// One import.
struct Job<'a> {
    inputs: Vec<Input>,
    options: &'a Options,
    ctx: &'a Ctx,
}

/// The format of this name.
///
/// # Errors
/// [`LabError::Request`] listing the names there are.
pub(crate) fn find(name: &str) -> Result<&'static Format, LabError> {
    FORMATS.iter().copied().find(|format| format.name == name).ok_or_else(|| LabError::Request {
        what: "--as",
        expected: FORMATS.iter().map(|format| format.name).collect::<Vec<_>>().join(", "),
        found: format!("`{name}`"),
        advice: "docs/import.md says what each of them is".to_owned(),
    })
}

/// Reads `paths` as `format` into `table`.
///
/// # Errors
/// [`LabError`] of an input, of an option, or of the output; then nothing is written.
pub(crate) fn files(
    format: &Format,
    paths: &[PathBuf],
    options: &Options,
    ctx: &Ctx,
    table: &mut Table<'_>,
) -> Result<(), LabError> {
    check(format, options)?;
    let (inputs, notes) = inputs::find(paths, ctx)?;
    table.tally.notes.extend(notes);
    (format.read)(&Job { inputs, options, ctx }, table)
}

/// Reads bytes as `format`.
///
/// # Errors
/// As [`files`].
pub(crate) fn bytes(
    format: &Format,
    bytes: &[u8],
    options: &Options,
    ctx: &Ctx,
    table: &mut Table<'_>,
) -> Result<(), LabError> {
    check(format, options)?;
    (format.read)(&Job { inputs: vec![Input::memory("bytes", bytes)], options, ctx }, table)
}

/// Options that a format would not look at are refused rather than ignored.
fn check(format: &Format, options: &Options) -> Result<(), LabError> {
    let given = [
        ("--label", options.label.is_some()),
        ("--benign", !options.benign.is_empty()),
        ("--unlabelled", !options.unlabelled.is_empty()),
        ("--label-all", options.label_all.is_some()),
        ("--family", options.family.is_some()),
        ("--time", options.time.is_some()),
        ("--group", options.group.is_some()),
        ("--identity", !options.identity.is_empty()),
        ("--feature", !options.feature.is_empty()),
        ("--numeric", !options.numeric.is_empty()),
        ("--drop", !options.drop.is_empty()),
        ("--delimiter", options.delimiter.is_some()),
        ("--no-header", options.no_header),
    ];
    let stray = given.iter().find(|(_, given)| *given && !format.roles_by_option);
    let attempted = (options.attempted != Attempted::default() && format.name != cic::FORMAT.name)
        .then_some(&("--attempted", true));
    match stray.or(attempted) {
        None => Ok(()),
        Some((option, _)) => Err(LabError::Request {
            what: "options",
            expected: format!("none that --as {} does not have", format.name),
            found: (*option).to_owned(),
            advice: if format.roles_by_option {
                "it is for --as cic alone: leave it out".to_owned()
            } else {
                format!("the columns of {} are known: leave it out, or read the file --as csv", format.name)
            },
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_distinct_names_and_are_found_by_them() {
        for format in FORMATS {
            assert_eq!(find(format.name).unwrap().name, format.name);
            assert!(!format.about.is_empty());
        }
        let message = find("kdd").err().unwrap().to_string();
        assert!(message.contains("kdd99, nsl-kdd, cic, secuml, csv, parquet"), "{message}");
    }

    #[test]
    fn options_of_no_effect_are_refused() {
        let options = Options { label: Some("x".to_owned()), ..Options::default() };
        assert!(check(&kdd99::FORMAT, &options).unwrap_err().to_string().contains("--label"));
        check(&csv::FORMAT, &options).unwrap();
        let options = Options { attempted: Attempted::Malicious, ..Options::default() };
        assert!(check(&csv::FORMAT, &options).unwrap_err().to_string().contains("--attempted"));
        check(&cic::FORMAT, &options).unwrap();
    }
}
