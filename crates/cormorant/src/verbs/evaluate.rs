//! `cormorant evaluate`: how well a model does on labelled rows.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tasks::evaluate::{self, Report, Shuffled, Spec};

use super::{Verb, inputs, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Tone};
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
    /// Bootstrap samples for the intervals; 0 for none
    #[arg(long, value_name = "N", default_value_t = evaluate::DEFAULT_DRAWS)]
    draws: usize,
    /// Write the points of the ROC, precision-recall and FAR-DR curves to this table
    #[arg(long, value_name = "X")]
    curves: Option<String>,
    /// Shuffle each feature N times to find what it is worth on these rows
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    shuffle: usize,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, edge: &Edge) -> Result<Spec> {
    let Typed { model, inputs, labels, threshold, draws, curves, shuffle: shuffles } =
        Typed::from_arg_matches(matches)?;
    let curves = curves.as_deref().map(|typed| edge.output(typed)).transpose()?;
    Ok(Spec { model, inputs, labels, threshold, draws, curves, shuffles })
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
    parts::metrics(page, &report.metrics, report.intervals.as_ref());
    parts::confusion(page, &report.metrics);
    parts::families(page, &report.metrics, &report.families_unseen);
    if let Some(cost) = report.mean_cost {
        page.pairs(&[("mean cost", format!("{cost:.4} a row, deciding by the model's costs"))]);
    }
    worth(page, &report.importances);
    if let Some(curves) = &report.curves {
        page.pairs(&[("curves", curves.clone())]);
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

/// What the features are worth, the first of them.
fn worth(page: &mut Page, importances: &[Shuffled]) {
    const SHOWN: usize = 15;
    if importances.is_empty() {
        return;
    }
    let mut grid = Grid::new(&["feature", ">AUC lost when shuffled", ">deviation"]);
    for Shuffled { feature, loss, deviation } in importances.iter().take(SHOWN) {
        grid.row([feature.clone().into(), format!("{loss:.4}").into(), format!("{deviation:.4}").into()]);
    }
    page.blank();
    page.grid(&grid);
    if importances.len() > SHOWN {
        let more = count((importances.len() - SHOWN) as u64);
        page.prose(0, Tone::Faint, &format!("{more} more features are in the document of --json."));
    }
}
