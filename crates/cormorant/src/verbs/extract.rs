//! `cormorant extract`: a table of feature rows, with labels where there are any.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tables::Naming;
use cormorant_lab::tasks::extract::{self, Report, Spec, clock_offset};

use super::inputs::{Captures, Timeouts, naming};
use super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::Page;
use crate::units::{count, duration};

pub(super) static VERB: Verb = Verb {
    name: "extract",
    about: "Turn captures into a table of features, one row per flow, packet or host",
    notes: "\
No feature set reads payload: only sizes, times, and headers up to transport.
A file of label rules has the columns start,end,protocol,source,source_port,
destination,destination_port,label,family,note; a rule matches a flow in either
direction by the time of its first packet. docs/labels.md has the other forms.
Rows that no rule or contradicting rules match are left without a label.
A damaged capture gives its rows before the fault; the exit code is then 1.",
    example: &["cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    #[command(flatten)]
    inputs: Captures,
    /// Feature sets (see `cormorant list features`)
    #[arg(long, value_name = "SET", value_delimiter = ',', default_value = "flow")]
    features: Vec<String>,
    /// Label rules, labels per capture, CICFlowMeter's labelled flows, Suricata's EVE log or Zeek's notice.log
    #[arg(long, value_name = "FILE", conflicts_with = "label")]
    labels: Option<PathBuf>,
    /// How far the clock of label times without a zone is ahead of UTC, such as -3h or +5:30
    #[arg(long, value_name = "OFFSET", requires = "labels", default_value = "0", hide_default_value = true, allow_hyphen_values = true, value_parser = offset)]
    label_offset: i32,
    /// One label for every row: benign, malicious or malicious:FAMILY
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,
    /// Where the rows go: a .parquet, .csv, .ndjson or .arrow file, or - for CSV on standard output
    #[arg(short, long, value_name = "X")]
    output: String,
    /// Names of columns that another tool has as well: cormorant, zeek or nfstream
    #[arg(long, value_name = "TOOL", default_value = "cormorant", value_parser = naming())]
    names: Naming,
    /// Keep finished captures beside the output until it is there, and go on with those an earlier run has kept
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    timeouts: Timeouts,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, edge: &Edge) -> Result<Spec> {
    of(&Typed::from_arg_matches(matches)?, edge)
}

fn of(typed: &Typed, edge: &Edge) -> Result<Spec> {
    Ok(Spec {
        captures: typed.inputs.captures.clone(),
        reading: typed.inputs.reading(),
        sets: typed.features.clone(),
        labels: typed.labels.clone(),
        label_offset_s: typed.label_offset,
        label: typed.label.clone(),
        flow: typed.timeouts.options(),
        resume: typed.resume,
        names: typed.names,
        output: edge.output(&typed.output)?,
    })
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let spec = of(typed, edge)?;
    let report = extract::run(&spec, &typed.inputs.context(edge))?;
    edge.show_beside(spec.output.path().is_none(), &report, |page| {
        draw(page, &report, edge.watch.seconds());
    })?;
    Ok(edge.tell(&report.faults))
}

fn offset(text: &str) -> Result<i32, String> {
    clock_offset(text)
        .ok_or_else(|| "expected hours or minutes such as -3h, +5:30 or 90m, at most a day".to_owned())
}

/// What was extracted, for `flows` too.
pub(super) fn draw(page: &mut Page, report: &Report, seconds: f64) {
    let target = if report.output == "-" { "standard output" } else { &report.output };
    let sets = if report.sets.is_empty() {
        String::new()
    } else {
        format!(", {} features ({})", report.features, report.sets.join(", "))
    };
    page.heading(format!("{} rows to {target} in {}", count(report.rows), duration(seconds)));
    let mut pairs = vec![("columns", format!("{}{sets}", report.columns))];
    pairs.extend(parts::counts(&report.counts, seconds));
    pairs.extend(report.labels.iter().flat_map(parts::labels));
    page.pairs(&pairs);
    parts::notes(page, &report.notes);
}
