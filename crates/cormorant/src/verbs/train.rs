//! `cormorant train`: a labelled table to a model file that knows how good it is on rows it did not see.

use std::path::PathBuf;

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tasks::train::{self, Importance, ModelCard, Report, Spec};

use super::inputs::{Timeouts, parameters};
use super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Tone, span};
use crate::units::{bytes, count, duration, percent};

pub(super) static VERB: Verb = Verb {
    name: "train",
    about: "Learn from labelled rows and write a model file",
    notes: "\
Models and their parameters: `cormorant list models`. One more parameter is for
every model: -p target=label|family|class, what it learns to tell apart.
Metrics are of rows held out of the fit; the model in the file learnt from all.",
    example: &[
        "cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        "cormorant train learn.parquet -m random-forest -p trees=200 -o hunter.corm",
    ],
    args: Typed::augment_args,
    run,
};

/// Features shown of those that matter.
const IMPORTANT: usize = 8;

#[derive(Args)]
struct Typed {
    /// Labelled tables, or captures together with --labels
    #[arg(required = true, value_name = "TABLE")]
    inputs: Vec<PathBuf>,
    /// Model to fit (see `cormorant list models`)
    #[arg(short, long, value_name = "MODEL", default_value = "random-forest")]
    model: String,
    /// A parameter of the model, or target=label|family|class
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
    param: Vec<String>,
    /// How rows are held out to judge the model (see `cormorant list splits`) [default: by group, else by time]
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// What sets the threshold of an alert: fpr:RATE of benign rows, f1, cost:N, budget:20/day or a number [default: fpr:0.001]
    #[arg(long, value_name = "RULE")]
    threshold: Option<String>,
    /// Preparation steps with commas between, such as impute,one-hot:words=20,standard [default: what suits the model]
    #[arg(long, value_name = "STEPS")]
    prep: Option<String>,
    /// How probabilities are calibrated on rows held out: none, platt or isotonic
    #[arg(long, value_name = "HOW")]
    calibrate: Option<String>,
    /// What deciding one class as another costs: kdd99, or a CSV file; the cheapest decision is made
    #[arg(long, value_name = "COSTS")]
    cost: Option<String>,
    /// Shares of the classes to expect: train, equal, or benign=0.99,dos=0.01 [default: equal with --cost]
    #[arg(long, value_name = "SHARES")]
    priors: Option<String>,
    /// Rows of equal features and class weigh count^POWER together [default: 0 with --cost]
    #[arg(long, value_name = "POWER", value_parser = power)]
    dedup: Option<f64>,
    /// Look for the parameters that are not given: halving:N, random:N candidates, or grid
    #[arg(long, value_name = "METHOD", num_args = 0..=1, require_equals = true, default_missing_value = "halving:9")]
    search: Option<String>,
    /// Where to look: name=1|2|3, name=0.1..0.9 or name=1e-3..1:log [default: the model's own space]
    #[arg(long, value_name = "SPACE", value_delimiter = ',')]
    space: Vec<String>,
    /// What the search makes best, such as roc-auc, macro-f1 or recall-at-fpr:0.001 [default: the cost, or average-precision]
    #[arg(long, value_name = "MEASURE")]
    objective: Option<String>,
    /// Label rules, or another form of labels (docs/labels.md), when captures are given
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Feature sets, when captures are given
    #[arg(long, value_name = "SET", value_delimiter = ',', default_value = "flow")]
    features: Vec<String>,
    #[command(flatten)]
    timeouts: Timeouts,
    /// The model file to write
    #[arg(short, long, value_name = "M.corm")]
    output: PathBuf,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, _: &Edge) -> Result<Spec> {
    let typed = Typed::from_arg_matches(matches)?;
    Ok(Spec {
        inputs: typed.inputs,
        labels: typed.labels,
        sets: typed.features,
        flow: typed.timeouts.options(),
        model: typed.model,
        params: parameters(&typed.param)?,
        split: typed.split,
        threshold: typed.threshold,
        prep: typed.prep,
        calibrate: typed.calibrate,
        cost: typed.cost,
        priors: typed.priors,
        dedup: typed.dedup,
        search: typed.search,
        space: typed.space,
        objective: typed.objective,
        output: typed.output,
    })
}

fn run(matches: &ArgMatches, edge: &Edge) -> Result<Exit> {
    let spec = spec(matches, edge)?;
    let report = train::run(&spec, &edge.ctx)?;
    edge.show(&report, |page| draw(page, &report, edge.watch.seconds()))?;
    Ok(edge.tell(&report.faults))
}

fn power(text: &str) -> Result<f64, &'static str> {
    let power = text.parse().ok().filter(|power| (0.0..=1.0).contains(power));
    power.ok_or("expected a number from 0 (each row once) to 1 (as often as it stands there)")
}

fn draw(page: &mut Page, report: &Report, seconds: f64) {
    page.heading(format!(
        "{} in {} ({}) in {}",
        report.model.model,
        report.output,
        bytes(report.file_bytes),
        duration(seconds)
    ));
    let mut pairs = card(&report.model);
    if report.rows_unlabelled > 0 {
        pairs.push((
            "left out",
            format!("{} of {} rows, without a label", count(report.rows_unlabelled), count(report.rows_in)),
        ));
    }
    pairs.extend(report.labels.iter().flat_map(parts::labels));
    page.pairs(&pairs);
    judged(page, &report.model);
    if !report.importances.is_empty() {
        page.heading("What matters most");
        page.grid(&important(&report.importances));
    }
    parts::notes(page, &report.notes);
}

/// What the model learnt from.
fn card(card: &ModelCard) -> Vec<parts::Pair> {
    let base = card.base_rate.map_or_else(String::new, |rate| format!(", {} malicious", percent(rate)));
    let mut pairs =
        vec![("learnt from", format!("{} rows{base}, {} features", count(card.rows), card.features))];
    if !card.families.is_empty() {
        pairs.push(("families", parts::tally(&card.families)));
    }
    pairs.push(("target", card.target.clone()));
    pairs.push((
        "parameters",
        card.params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "),
    ));
    pairs.push(("threshold", format!("{:.4} ({})", card.threshold, card.threshold_rule)));
    pairs
}

fn judged(page: &mut Page, card: &ModelCard) {
    match &card.metrics {
        Some(metrics) => {
            page.heading(format!("On rows held out ({})", card.split));
            parts::metrics(page, metrics, None);
            if let Some(cost) = card.mean_cost {
                page.pairs(&[("mean cost", format!("{cost:.4} a row, of all rows held out"))]);
            }
            parts::families(page, metrics, &[]);
        }
        None => page.hanging(
            [span(Tone::Warn, "note: ")],
            "no rows could be held out, so nothing is known of how good this model is",
        ),
    }
}

fn important(importances: &[Importance]) -> Grid {
    let mut grid = Grid::new(&["feature", ">importance"]);
    for one in importances.iter().take(IMPORTANT) {
        grid.row([one.feature.clone().into(), percent(one.importance).into()]);
    }
    grid
}
