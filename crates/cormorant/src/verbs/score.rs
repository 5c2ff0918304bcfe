//! `cormorant score`: a score and a verdict for every row or flow.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tasks::score::{self, Report, Spec};

use super::{Verb, inputs, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::Page;
use crate::units::{count, duration, rate, share};

pub(super) static VERB: Verb = Verb {
    name: "score",
    about: "Score every row of a table, or every flow of a capture",
    notes: "A row holds who and when, then the score: higher is more malicious.",
    example: &[
        "cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        "cormorant train learn.parquet -m random-forest -o hunter.corm",
        "cormorant score hunter.corm samples/hunt.pcapng -o scores.csv",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// The model file
    #[arg(value_name = "M.corm")]
    model: PathBuf,
    /// Tables; or captures, directories of them, or an interface
    #[arg(required = true, value_name = "TABLE|CAPTURE|IFACE")]
    inputs: Vec<PathBuf>,
    /// Where the rows go: a .parquet, .csv, .ndjson or .arrow file, or - for CSV on standard output
    #[arg(short, long, value_name = "X")]
    output: String,
    /// Another threshold than the model's own
    #[arg(long, value_name = "SCORE", value_parser = inputs::score)]
    threshold: Option<f64>,
    #[command(flatten)]
    traffic: inputs::Traffic,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, edge: &Edge) -> Result<Spec> {
    of(&Typed::from_arg_matches(matches)?, edge)
}

fn of(typed: &Typed, edge: &Edge) -> Result<Spec> {
    Ok(Spec {
        model: typed.model.clone(),
        inputs: typed.inputs.clone(),
        reading: typed.traffic.reading(),
        threshold: typed.threshold,
        output: edge.output(&typed.output)?,
    })
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let spec = of(typed, edge)?;
    let report = score::run(&spec, &typed.traffic.context(edge))?;
    edge.show_beside(spec.output.path().is_none(), &report, |page| {
        draw(page, &report, edge.watch.seconds());
    })?;
    Ok(edge.tell(&report.faults))
}

fn draw(page: &mut Page, report: &Report, seconds: f64) {
    let target = if report.output == "-" { "standard output" } else { &report.output };
    let speed = rate(report.rows, seconds);
    page.heading(format!(
        "{} rows scored to {target} in {} ({speed} rows/s)",
        count(report.rows),
        duration(seconds)
    ));
    let alerts = format!(
        "{} ({}) at or above {:.4}",
        count(report.alerts),
        share(report.alerts, report.rows),
        report.threshold
    );
    let mut pairs = vec![("model", report.model.clone()), ("alerts", alerts)];
    pairs.extend(report.counts.iter().flat_map(|counts| parts::counts(counts, seconds)));
    page.pairs(&pairs);
    parts::notes(page, &report.notes);
}
