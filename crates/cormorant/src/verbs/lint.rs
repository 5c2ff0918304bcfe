//! `cormorant lint`: what is wrong with a table before anything is learnt from it.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tasks::lint::{self, Report, Severity, Spec};

use super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Page, Tone, span};
use crate::units::count;

pub(super) static VERB: Verb = Verb {
    name: "lint",
    about: "Find what is wrong with a table before anything is learnt from it",
    notes: "\
Duplicates, columns that give the label away, identities among the features,
rows that training and test share, faults of well-known data sets
(docs/lint.md). Exit code 3 when results would mislead.",
    example: &[
        "cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        "cormorant lint learn.parquet || true",
    ],
    args: Typed::augment_args,
    run,
};

#[derive(Args)]
struct Typed {
    /// Tables to learn from
    #[arg(required = true, value_name = "TABLE")]
    inputs: Vec<PathBuf>,
    /// Tables to be judged on: what they share with the others is told
    #[arg(long, value_name = "TABLE")]
    test: Vec<PathBuf>,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, _: &Edge) -> Result<Spec> {
    let Typed { inputs, test } = Typed::from_arg_matches(matches)?;
    Ok(Spec { inputs, test })
}

fn run(matches: &ArgMatches, edge: &Edge) -> Result<Exit> {
    let report = lint::run(&spec(matches, edge)?, &edge.ctx)?;
    edge.show(&report, |page| draw(page, &report))?;
    let misleading = report.findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if misleading { Exit::Alerts } else { Exit::Fine })
}

fn draw(page: &mut Page, report: &Report) {
    let found = match report.findings.len() {
        0 => "nothing wrong was found".to_owned(),
        1 => "1 finding".to_owned(),
        findings => format!("{findings} findings"),
    };
    page.heading(format!("{} rows of {} features: {found}", count(report.rows), report.features));
    for finding in &report.findings {
        let (word, tone) = match finding.severity {
            Severity::Error => ("misleads", Tone::Bad),
            Severity::Warning => ("warning", Tone::Warn),
            Severity::Note => ("note", Tone::Faint),
        };
        page.hanging([span(tone, format!("{word}: "))], &finding.message);
        page.prose(4, Tone::Faint, &finding.advice);
    }
    parts::notes(page, &report.notes);
}
