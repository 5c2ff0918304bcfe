//! `cormorant label`: an annotation campaign; against the truth, to see which strategy finds most with fewest labels.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, FromArgMatches};
use cormorant_lab::tasks::annotate::{self, ByLabel, Kept};
use cormorant_lab::tasks::label::{self, Mean, Point, Report, Run, Spec, Summary};

use super::inputs::{count_above_0, parameters};
use super::questions::Person;
use super::queued::quoted;
use super::{Verb, parts};
use crate::clock::now_ns;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Tone, span};
use crate::units::{count, metric};

pub(super) static VERB: Verb = Verb {
    name: "label",
    about: "Choose which rows an expert labels next, and see how far the labels get",
    notes: "\
With --terminal a person answers, line by line; the lab keeps every answer (or
the file of --campaign), and the same command takes the campaign up again.
With --oracle the labels of the table answer: malicious families found and the
quality of the model after every iteration, for one strategy or for several
side by side (docs/active-learning.md; `cormorant list strategies`).",
    example: &[
        "cormorant extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        "cormorant label learn.parquet --oracle --strategies ilab,random --budget 60 --initial 3,4 --benign-families 4",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// Labelled tables
    #[arg(required = true, value_name = "TABLE")]
    inputs: Vec<PathBuf>,
    /// How rows are chosen (see `cormorant list strategies`)
    #[arg(long, value_name = "NAME", default_value = "ilab")]
    strategy: String,
    /// Several of them side by side, or all
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "strategy")]
    strategies: Vec<String>,
    /// A parameter of the strategies, for those that have it
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    ask: Vec<String>,
    /// Let the labels of the table answer
    #[arg(long)]
    oracle: bool,
    /// Answer yourself, by keyboard
    #[arg(long, conflicts_with = "oracle")]
    terminal: bool,
    /// What the campaign is called in the lab
    #[arg(long, value_name = "NAME", default_value = "campaign")]
    name: String,
    /// The project of the lab that it belongs to
    #[arg(long, value_name = "NAME", default_value = "default")]
    project: String,
    /// Keep the campaign in this file instead of the lab
    #[arg(long, value_name = "FILE")]
    campaign: Option<PathBuf>,
    /// Annotations to begin a campaign with: instance_id,label,family
    #[arg(long, value_name = "CSV")]
    annotations: Option<PathBuf>,
    /// Write all annotations there when leaving: instance_id,label,family
    #[arg(long, value_name = "CSV")]
    export: Option<PathBuf>,
    /// Who answers, kept with every answer
    #[arg(long, value_name = "NAME", default_value = "me")]
    by: String,
    /// Answers in all
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count_above_0)]
    budget: u64,
    /// Campaigns of each strategy, each with a seed of its own
    #[arg(long, value_name = "N", default_value = "1", value_parser = count_above_0)]
    seeds: u64,
    /// The campaign's model
    #[arg(short, long, value_name = "MODEL", default_value = "logistic")]
    model: String,
    /// A parameter of the model; what is not given is searched as labels grow
    #[arg(short, long, value_name = "KEY=VALUE", value_delimiter = ',')]
    param: Vec<String>,
    /// Leave the model's parameters at their defaults
    #[arg(long)]
    no_search: bool,
    /// Rows nearer than so many standard deviations in every column are one question
    #[arg(long, value_name = "DISTANCE", default_value = "0.1")]
    alike: f64,
    /// Malicious and benign rows labelled at first, of the most common families
    #[arg(long, value_name = "M,B", default_value = "7,13", value_parser = pair)]
    initial: (u64, u64),
    /// Clusters that benign rows are grouped into, which count as their families
    #[arg(long, value_name = "N", default_value = "15", value_parser = count_above_0)]
    benign_families: u64,
    /// Thin malicious rows out to this share of all rows
    #[arg(long, value_name = "SHARE")]
    malicious_share: Option<f64>,
    /// Share of the rows held out to measure on
    #[arg(long, value_name = "SHARE", default_value = "0.1")]
    validation: f64,
    /// Detection rate that is enough, for the estimate of labels left and the advice to stop
    #[arg(long, value_name = "RATE", default_value = "0.95")]
    detection: f64,
    /// False-alarm rate at which it is measured
    #[arg(long, value_name = "RATE", default_value = "0.01")]
    false_alarms: f64,
    /// Draw learning curves into this SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

fn run(typed: Typed, edge: &Edge) -> Result<Exit> {
    if typed.terminal {
        return annotate(typed, edge);
    }
    if !typed.oracle {
        bail!(
            "who answers? Add --terminal to answer yourself, or --oracle to let the labels of the table answer"
        );
    }
    let strategies = if typed.strategies.is_empty() { vec![typed.strategy] } else { typed.strategies };
    let spec = Spec {
        inputs: typed.inputs,
        strategies,
        ask: parameters(&typed.ask)?,
        model: typed.model,
        params: parameters(&typed.param)?,
        search: !typed.no_search,
        alike: typed.alike,
        budget: typed.budget,
        seeds: typed.seeds,
        initial: typed.initial,
        benign_families: typed.benign_families,
        malicious_share: typed.malicious_share,
        validation: typed.validation,
        detection: typed.detection,
        false_alarms: typed.false_alarms,
        plot: typed.plot,
    };
    let watch = edge.watch;
    let report = label::run(&spec, &|| watch.seconds(), &edge.ctx)?;
    edge.show(&report, |page| draw(page, &report))?;
    Ok(Exit::Fine)
}

/// The command line that takes a campaign of the lab up again.
fn command_line(typed: &Typed, edge: &Edge) -> String {
    let option = |name: &str, value: &dyn std::fmt::Display| format!("--{name}={value}");
    let mut words = vec!["cormorant".to_owned(), "label".to_owned()];
    words.extend(typed.inputs.iter().map(|input| input.display().to_string()));
    words.extend([
        "--terminal".to_owned(),
        option("project", &typed.project),
        option("name", &typed.name),
        option("strategy", &typed.strategy),
        option("model", &typed.model),
        option("budget", &typed.budget),
        option("seed", &edge.ctx.seed),
    ]);
    words.extend(typed.ask.iter().map(|pair| option("ask", pair)));
    words.extend(typed.param.iter().map(|pair| option("param", pair)));
    words.extend(typed.annotations.iter().map(|path| option("annotations", &path.display())));
    words.extend(typed.no_search.then(|| "--no-search".to_owned()));
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// With a person.
fn annotate(typed: Typed, edge: &Edge) -> Result<Exit> {
    let command = command_line(&typed, edge);
    let spec = annotate::Spec {
        inputs: typed.inputs,
        strategy: typed.strategy,
        ask: parameters(&typed.ask)?,
        model: typed.model,
        params: parameters(&typed.param)?,
        search: !typed.no_search,
        alike: typed.alike,
        budget: typed.budget,
        campaign: match typed.campaign {
            Some(file) => Kept::File(file),
            None => Kept::Lab { project: typed.project, name: typed.name, command },
        },
        annotations: typed.annotations,
        export: typed.export,
        by: typed.by,
    };
    let lab = match &spec.campaign {
        Kept::File(_) => None,
        Kept::Lab { .. } => Some(edge.lab()?),
    };
    let keeper = lab.as_ref().map(|lab| -> annotate::Keeper<'_> { (lab, &now_ns) });
    let report = annotate::run(&spec, keeper, &mut Person, &edge.ctx)?;
    edge.show(&report, |page| {
        page.heading(format!("Campaign {} in iteration {}", report.campaign, report.iteration));
        let of = |counts: ByLabel| {
            format!("{} malicious, {} benign", count(counts.malicious), count(counts.benign))
        };
        page.pairs(&[
            ("labels", of(report.labels)),
            ("families", of(report.families)),
            ("answers", format!("{}, {} left", count(report.spent), count(report.left))),
        ]);
    })?;
    Ok(Exit::Fine)
}

/// `7,13`.
fn pair(text: &str) -> Result<(u64, u64), &'static str> {
    let expected = "expected two whole numbers such as 7,13";
    let (first, second) = text.split_once(',').ok_or(expected)?;
    first.trim().parse().ok().zip(second.trim().parse().ok()).ok_or(expected)
}

fn draw(page: &mut Page, report: &Report) {
    page.heading(format!("{} labelled rows, {} as the campaign's model", count(report.rows), report.model));
    for summary in &report.strategies {
        strategy(page, summary);
    }
    if report.strategies.len() > 1 {
        page.heading("At the end, best families first");
        page.grid(&ends(&report.strategies));
    }
    if let [run] = &report.runs[..] {
        families(page, run);
        if let Some(advice) =
            run.iterations.iter().find_map(|one| one.advice.as_ref().map(|text| (one.labels, text)))
        {
            page.prose(0, Tone::Plain, &format!("Stop after {} labels: {}.", count(advice.0), advice.1));
        }
    }
    parts::notes(page, &report.notes);
}

fn strategy(page: &mut Page, summary: &Summary) {
    let seeds = if summary.seeds > 1 {
        format!(", mean of {} seeds with 95 % interval", summary.seeds)
    } else {
        String::new()
    };
    page.heading(format!("{}{seeds}", summary.strategy));
    let mut grid = Grid::new(&[
        ">labels",
        ">malicious families",
        ">benign",
        ">AUC",
        ">F1",
        ">first queries s",
        ">all s",
    ]);
    for point in &summary.points {
        let Point { labels, malicious_families, benign_families, auc, f1, seconds, seconds_to_first, .. } =
            *point;
        grid.row([
            count(labels).into(),
            shown(malicious_families, 1).into(),
            shown(benign_families, 1).into(),
            shown(auc, 3).into(),
            shown(f1, 3).into(),
            shown(seconds_to_first, 2).into(),
            shown(seconds, 2).into(),
        ]);
    }
    page.grid(&grid);
}

/// A mean and, of several seeds, its interval.
fn shown(mean: Option<Mean>, digits: usize) -> String {
    match mean {
        None => metric(None),
        Some(Mean { mean, half_width }) if half_width > 0.0 => {
            format!("{mean:.digits$} ± {half_width:.digits$}")
        }
        Some(Mean { mean, .. }) => format!("{mean:.digits$}"),
    }
}

fn ends(summaries: &[Summary]) -> Grid {
    let mut ends: Vec<(&Summary, &Point)> =
        summaries.iter().filter_map(|one| Some((one, one.points.last()?))).collect();
    let found = |point: &Point| point.malicious_families.map_or(0.0, |mean| mean.mean);
    ends.sort_by(|a, b| found(b.1).total_cmp(&found(a.1)));
    let mut grid = Grid::new(&["strategy", ">labels", ">malicious families", ">benign", ">AUC", ">F1"]);
    for (summary, point) in ends {
        grid.row([
            summary.strategy.clone().into(),
            count(point.labels).into(),
            shown(point.malicious_families, 1).into(),
            shown(point.benign_families, 1).into(),
            shown(point.auc, 3).into(),
            shown(point.f1, 3).into(),
        ]);
    }
    grid
}

fn families(page: &mut Page, run: &Run) {
    page.heading("Malicious families");
    let mut grid = Grid::new(&["family", ">rows", ">found with labels"]);
    for family in run.families.iter().filter(|family| family.malicious) {
        let found = match family.labels {
            Some(labels) => count(labels).into(),
            None => span(Tone::Warn, "not found"),
        };
        grid.row([family.family.clone().into(), count(family.rows).into(), found]);
    }
    page.grid(&grid);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_two_numbers() {
        assert_eq!(pair("7, 13"), Ok((7, 13)));
        assert!(pair("7").is_err() && pair("7,x").is_err());
    }
}
