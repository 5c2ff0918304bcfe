//! `cormorant explain`: why rows scored as they did, what they look like, and what would have to be different.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::tasks::explain::{self, Answer, Changes, Explained, Movement, Report, Spec};

use super::{Verb, inputs, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Tone, span};
use crate::units::count;

pub(super) static VERB: Verb = Verb {
    name: "explain",
    about: "Say why rows scored as they did, and what would have changed it",
    notes: "Without --row the rows that score highest are explained.",
    example: &[
        "cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        "cormorant train learn.parquet -m random-forest -o hunter.corm",
        "cormorant explain hunter.corm samples/hunt.pcapng --top 1 --against learn.parquet --what-if",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// The model file
    #[arg(value_name = "M.corm")]
    model: PathBuf,
    /// Tables, or captures
    #[arg(required = true, value_name = "TABLE|CAPTURE")]
    inputs: Vec<PathBuf>,
    /// A row to explain, 1 = the first; may be given several times
    #[arg(long = "row", value_name = "N", value_parser = inputs::count_above_0)]
    rows: Vec<u64>,
    /// Without --row: as many rows as this, those that score highest
    #[arg(long, value_name = "N", default_value_t = 3)]
    top: usize,
    /// Reasons for each row
    #[arg(long, value_name = "N", default_value_t = 8)]
    reasons: usize,
    /// A labelled table, best the one the model learnt from: rows are held against the labelled ones most like them
    #[arg(long, value_name = "TABLE")]
    against: Option<PathBuf>,
    /// Nearest labelled rows of --against for each row
    #[arg(long, value_name = "N", default_value_t = 3)]
    nearest: usize,
    /// Another threshold than the model's own
    #[arg(long, value_name = "SCORE", value_parser = inputs::score)]
    threshold: Option<f64>,
    #[command(flatten)]
    what_if: WhatIf,
}

/// What would have to be different.
#[derive(Args)]
#[command(next_help_heading = "What if")]
struct WhatIf {
    /// Find the fewest and smallest changes that give the opposite verdict
    #[arg(long)]
    what_if: bool,
    /// A feature that must stay as it is; may be given several times
    #[arg(long, value_name = "FEATURE", requires = "what_if")]
    keep: Vec<String>,
    /// A feature that may only grow
    #[arg(long, value_name = "FEATURE", requires = "what_if")]
    up: Vec<String>,
    /// A feature that may only shrink
    #[arg(long, value_name = "FEATURE", requires = "what_if")]
    down: Vec<String>,
    /// Features changed at most [default: any number]
    #[arg(long, value_name = "N", requires = "what_if", default_value_t = 0, hide_default_value = true)]
    most_changes: usize,
}

impl WhatIf {
    /// As the lab wants it.
    fn changes(self) -> Option<Changes> {
        let to = |names: Vec<String>, movement| names.into_iter().map(move |name| (name, movement));
        let movements: BTreeMap<String, Movement> = to(self.keep, Movement::Fixed)
            .chain(to(self.up, Movement::Up))
            .chain(to(self.down, Movement::Down))
            .collect();
        self.what_if.then_some(Changes { movements, most: self.most_changes })
    }
}

fn run(typed: Typed, edge: &Edge) -> Result<Exit> {
    let Typed { model, inputs, rows, top, reasons, against, nearest, threshold, what_if } = typed;
    let changes = what_if.changes();
    let spec = Spec { model, inputs, rows, top, reasons, against, nearest, changes, threshold };
    let report = explain::run(&spec, &edge.ctx)?;
    edge.show(&report, |page| draw(page, &report))?;
    Ok(edge.tell(&report.faults))
}

fn draw(page: &mut Page, report: &Report) {
    page.heading(format!(
        "{} of {} rows explained by {}, threshold {:.4}",
        count(report.explained.len() as u64),
        count(report.rows),
        report.model,
        report.threshold
    ));
    if report.rows == 0 {
        page.prose(0, Tone::Plain, "The inputs have no row: there is nothing to explain.");
    }
    for row in &report.explained {
        page.blank();
        explained(page, row);
    }
    parts::notes(page, &report.notes);
}

fn explained(page: &mut Page, row: &Explained) {
    let tone = if row.alert { Tone::Bad } else { Tone::Good };
    let verdict = if row.alert { "an alert" } else { "no alert" };
    let class = row.class.as_ref().map_or_else(String::new, |class| format!(", decided {class}"));
    page.line([
        span(Tone::Strong, format!("row {}  ", count(row.row))),
        span(tone, format!("{:.4}", row.score)),
        format!("  {verdict}{class}").into(),
    ]);
    let named: Vec<String> = row.identity.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if !named.is_empty() {
        page.prose(5, Tone::Faint, &named.join(", "));
    }
    for reason in &row.reasons {
        let (tone, sign) = match reason.contribution {
            Some(added) if added > 0.0 => (Tone::Bad, format!("{added:+.3}")),
            Some(added) => (Tone::Good, format!("{added:+.3}")),
            None => (Tone::Faint, "-".to_owned()),
        };
        page.hanging(["  ".into(), span(tone, format!("{sign:>8}  "))], &reason.text);
    }
    if let Some((baseline, margin)) = row.baseline.zip(row.margin) {
        let text =
            format!("an average row has {baseline:+.3}; with every feature this one comes to {margin:+.3}");
        page.prose(5, Tone::Faint, &text);
    }
    nearest(page, row);
    if let Some(answer) = &row.changes {
        changes(page, answer);
    }
}

fn nearest(page: &mut Page, row: &Explained) {
    if row.nearest.is_empty() {
        return;
    }
    page.prose(5, Tone::Plain, "most like it:");
    for near in &row.nearest {
        let tone = if near.label == "malicious" { Tone::Bad } else { Tone::Good };
        page.line([
            format!("       {:.2} away, row {} of the labelled table: ", near.distance, count(near.row))
                .into(),
            span(tone, near.label.clone()),
            format!(" {}", near.family).trim_end().to_owned().into(),
        ]);
    }
}

fn changes(page: &mut Page, answer: &Answer) {
    match answer {
        Answer::NotFound { reason, nearest } => {
            page.prose(5, Tone::Plain, &format!("what if: {reason}; the nearest score is {nearest:.4}"));
        }
        Answer::Found(found) => {
            let verdict = if found.alert { "an alert" } else { "no alert" };
            page.prose(5, Tone::Plain, &format!("it would score {:.4} and be {verdict} with:", found.after));
            let mut grid = Grid::new(&["       feature", ">instead of", ">it had been", "unit"]);
            for change in &found.changes {
                grid.row([
                    format!("       {}", change.feature).into(),
                    shown(&change.from),
                    shown(&change.to),
                    span(Tone::Faint, change.unit.clone()),
                ]);
            }
            page.grid(&grid);
        }
    }
}

/// A value as it fits into a table: numbers are cut to what can be read at a glance, `--json` has them whole.
fn shown(value: &str) -> crate::terminal::Span {
    match value.parse::<f64>() {
        _ if value.is_empty() => span(Tone::Faint, "missing"),
        Ok(number) if number.fract() != 0.0 => format!("{number:.6}").into(),
        _ => value.to_owned().into(),
    }
}
