//! `cormorant evaluate`: how well a model does on labelled rows.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tasks::evaluate::{self, Report, Spec};

use super::{Verb, inputs, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Page, Tone};
use crate::units::count;

pub(super) static VERB: Verb = Verb {
    name: "evaluate",
    about: "Judge a model on labelled rows, every metric under its own name",
    notes: "Judge a model on traffic it has not learnt from; --json has every metric.",
    example: &[
        "cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        "cormorant extract samples/hunt.pcapng --labels samples/hunt.labels.csv -o hunt.parquet",
        "cormorant train learn.parquet -m random-forest -o hunter.corm",
        "cormorant evaluate hunter.corm hunt.parquet",
    ],
    args: Typed::augment_args,
    run,
};

#[derive(Args)]
struct Typed {
    /// The model file
    #[arg(value_name = "M.corm")]
    model: PathBuf,
    /// Labelled tables, or captures together with --labels
    #[arg(required = true, value_name = "TABLE")]
    inputs: Vec<PathBuf>,
    /// Label rules, or another form of labels (docs/labels.md), when captures are given
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Another threshold than the model's own
    #[arg(long, value_name = "SCORE", value_parser = inputs::score)]
    threshold: Option<f64>,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, _: &Edge) -> Result<Spec> {
    let Typed { model, inputs, labels, threshold } = Typed::from_arg_matches(matches)?;
    Ok(Spec { model, inputs, labels, threshold })
}

fn run(matches: &ArgMatches, edge: &Edge) -> Result<Exit> {
    let report = evaluate::run(&spec(matches, edge)?, &edge.ctx)?;
    edge.show(&report, |page| draw(page, &report))?;
    Ok(edge.tell(&report.faults))
}

fn draw(page: &mut Page, report: &Report) {
    page.heading(format!(
        "{} on {} rows, threshold {:.4}",
        report.model,
        count(report.rows),
        report.threshold
    ));
    parts::metrics(page, &report.metrics);
    parts::confusion(page, &report.metrics);
    parts::families(page, &report.metrics, &report.families_unseen);
    if let Some(cost) = report.mean_cost {
        page.pairs(&[("mean cost", format!("{cost:.4} a row, deciding by the model's costs"))]);
    }
    if let Some(labels) = &report.labels {
        page.blank();
        page.pairs(&parts::labels(labels));
    }
    if report.rows_unlabelled > 0 {
        page.prose(
            0,
            Tone::Faint,
            &format!("{} more rows have no label and were left out.", count(report.rows_unlabelled)),
        );
    }
    parts::notes(page, &report.notes);
}
