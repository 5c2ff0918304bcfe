//! `cormorant import`: tables of other origin to a table with roles, units and labels that models are trained on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tasks::import::{self, Attempted, FORMATS, Missing, Options, Report, Spec};

use super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Tone, span};
use crate::units::{count, counted, duration, rate, share};

pub(super) static VERB: Verb = Verb {
    name: "import",
    about: "Turn a public data set or any CSV or Parquet into a table to train on",
    notes: "\
Files may be compressed with gzip or zstd; several of them are stacked.
A row that cannot be read ends the import with its file, line and column.
docs/import.md says what becomes of the columns of each format.",
    example: &["cormorant import --as csv samples/learn.labels.csv --numeric start -o rules.parquet"],
    args: Typed::augment_args,
    run,
};

/// Rows shown of families, and of columns with missing values.
const SHOWN: usize = 12;

#[derive(Args)]
struct Typed {
    /// Files, directories of them, or - for standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// What they are
    #[arg(long = "as", value_name = "FORMAT", value_parser = formats())]
    format: String,
    /// Where the rows go: a .parquet, .csv, .ndjson or .arrow file, or - for CSV on standard output
    #[arg(short, long, value_name = "X")]
    output: String,
    /// Column that says what is malicious [default: `label`, if there is one]
    #[arg(long, value_name = "COLUMN", help_heading = ROLES)]
    label: Option<String>,
    /// Its words that mean benign; all others are attacks [default: the usual words]
    #[arg(long, value_name = "WORD", value_delimiter = ',', help_heading = ROLES)]
    benign: Vec<String>,
    /// Its words that mean that nobody knows
    #[arg(long, value_name = "WORD", value_delimiter = ',', help_heading = ROLES)]
    unlabelled: Vec<String>,
    /// One label for every row: benign, malicious or malicious:FAMILY
    #[arg(long, value_name = "LABEL", conflicts_with = "label", help_heading = ROLES)]
    label_all: Option<String>,
    /// Column with the name of the attack [default: `family`, else the label's other words]
    #[arg(long, value_name = "COLUMN", help_heading = ROLES)]
    family: Option<String>,
    /// Column with the time: dates, or numbers since 1970 in s, ms, us or ns (by size, or as UNIT says)
    #[arg(long, value_name = "COLUMN[:UNIT]", help_heading = ROLES)]
    time: Option<String>,
    /// Column whose rows belong together and are never torn apart by a split
    #[arg(long, value_name = "COLUMN", help_heading = ROLES)]
    group: Option<String>,
    /// Columns that say whose row it is, never to be learnt from
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = ROLES)]
    identity: Vec<String>,
    /// Columns to learn from although their names look like identities
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = ROLES)]
    feature: Vec<String>,
    /// Columns of numbers: anything else in them is an error
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = ROLES)]
    numeric: Vec<String>,
    /// Columns to leave out
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', help_heading = ROLES)]
    drop: Vec<String>,
    /// What separates fields: a character, or tab [default: what the first line has most of]
    #[arg(long, value_name = "CHAR", help_heading = ROLES)]
    delimiter: Option<String>,
    /// The first line is a row; columns are called column_1 and so on
    #[arg(long, help_heading = ROLES)]
    no_header: bool,
    /// More words that mean a missing value, beside the usual ones
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    missing: Vec<String>,
    /// What attempted attacks count as, with --as cic
    #[arg(long, value_name = "LABEL", default_value = "benign", value_parser = ["benign", "malicious", "unlabelled"])]
    attempted: String,
    /// Leave out and report up to N rows that cannot be read, instead of ending with the first
    #[arg(long, value_name = "N", default_value_t = 0)]
    skip_bad: u64,
}

const ROLES: &str = "Roles of columns, with --as csv or parquet";

fn formats() -> PossibleValuesParser {
    FORMATS.iter().map(|format| PossibleValue::new(format.name).help(format.about)).collect::<Vec<_>>().into()
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, edge: &Edge) -> Result<Spec> {
    let typed = Typed::from_arg_matches(matches)?;
    let attempted = match typed.attempted.as_str() {
        "malicious" => Attempted::Malicious,
        "unlabelled" => Attempted::Unlabelled,
        _ => Attempted::Benign,
    };
    let options = Options {
        label: typed.label,
        benign: typed.benign,
        unlabelled: typed.unlabelled,
        label_all: typed.label_all,
        family: typed.family,
        time: typed.time,
        group: typed.group,
        identity: typed.identity,
        feature: typed.feature,
        numeric: typed.numeric,
        drop: typed.drop,
        delimiter: typed.delimiter,
        no_header: typed.no_header,
        missing: typed.missing,
        attempted,
        skip_bad: typed.skip_bad,
    };
    let output = edge.output(&typed.output)?;
    Ok(Spec { format: typed.format, inputs: typed.inputs, options, output })
}

fn run(matches: &ArgMatches, edge: &Edge) -> Result<Exit> {
    let spec = spec(matches, edge)?;
    let report = import::run(&spec, &edge.ctx)?;
    edge.show_beside(spec.output.path().is_none(), &report, |page| {
        draw(page, &report, edge.watch.seconds());
    })?;
    Ok(Exit::Fine)
}

fn draw(page: &mut Page, report: &Report, seconds: f64) {
    let target = if report.output == "-" { "standard output" } else { &report.output };
    page.heading(format!(
        "{} rows of {} to {target} in {} ({} rows/s)",
        count(report.rows),
        report.imported_as,
        duration(seconds),
        rate(report.rows, seconds)
    ));
    let mut pairs = vec![("columns", format!("{} ({})", report.columns, parts::tally(&report.roles)))];
    if report.labels.keys().any(|label| label != "unlabelled") {
        pairs.push(("labels", parts::tally(&report.labels)));
    }
    if !report.classes.is_empty() {
        pairs.push(("classes", parts::tally(&report.classes)));
    }
    if !report.families.is_empty() {
        pairs.push(("families", largest(&report.families)));
    }
    pairs.extend(left_out(report));
    page.pairs(&pairs);
    if !report.missing.is_empty() {
        missing(page, report);
    }
    for reason in &report.skipped {
        page.hanging([span(Tone::Warn, "skipped: ")], reason);
    }
    parts::notes(page, &report.notes);
}

/// The families with most rows, and how many rows all others have.
fn largest(families: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<_> = families.iter().collect();
    sorted.sort_by_key(|(name, rows)| (std::cmp::Reverse(**rows), (*name).clone()));
    let (shown, others) = sorted.split_at(sorted.len().min(SHOWN));
    let text = parts::tally(&shown.iter().map(|(name, rows)| ((*name).clone(), **rows)).collect());
    if others.is_empty() {
        return text;
    }
    let rows: u64 = others.iter().map(|(_, rows)| **rows).sum();
    format!("{text}, {} of {} others", count(rows), others.len())
}

fn left_out(report: &Report) -> Option<parts::Pair> {
    let rows = [
        (report.rows_skipped, "that could not be read"),
        (report.rows_blank, "blank"),
        (report.rows_of_headers, "that repeat the header"),
    ];
    let rows: Vec<String> = rows
        .iter()
        .filter(|(rows, _)| *rows > 0)
        .map(|(rows, what)| format!("{} {what}", counted(*rows, "row")))
        .collect();
    (!rows.is_empty()).then(|| ("left out", rows.join(", ")))
}

fn missing(page: &mut Page, report: &Report) {
    let mut columns: Vec<(&String, &Missing)> = report.missing.iter().collect();
    columns.sort_by_key(|(name, missing)| {
        (std::cmp::Reverse(missing.missing + missing.infinite), (*name).clone())
    });
    page.heading("Missing values");
    let mut grid = Grid::new(&["column", ">missing", ">of rows", ">were infinite"]);
    for (name, missing) in columns.iter().take(SHOWN) {
        let all = missing.missing + missing.infinite;
        grid.row([
            (*name).clone().into(),
            count(all).into(),
            share(all, report.rows).into(),
            count(missing.infinite).into(),
        ]);
    }
    page.grid(&grid);
    if columns.len() > SHOWN {
        page.prose(0, Tone::Faint, &format!("{} more columns in --json", columns.len() - SHOWN));
    }
}
