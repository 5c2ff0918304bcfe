//! `cormorant demo`: the main job on bundled traffic, from capture to ranked and explained alerts.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, FromArgMatches};
use cormorant_lab::tasks::demo::{self, DecoyRow, Extracted, FamilyRow, Hunted, Report, Stage, Trained};
use serde::Serialize;

use super::{Verb, hunt, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::samples;
use crate::terminal::{Grid, Page, Tone, span};
use crate::units::{bytes, count, duration, percent, rate};

pub(super) static VERB: Verb = Verb {
    name: "demo",
    about: "Learn from one bundled capture, hunt in another, and show what was found",
    notes: "Needs no file: the traffic is part of the program. No data leaves this machine.",
    example: &["cormorant demo --no-serve"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

const DIRECTORY: &str = "cormorant-demo";
const MODEL_FILE: &str = "demo.corm";

#[derive(Args)]
struct Typed {
    /// Stop after the tables. There is no web UI in this version, so without it the demo stops there as well
    #[arg(long)]
    no_serve: bool,
    /// Directory for the model, so that you can hunt with it
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    directory: PathBuf,
}

/// The demo's report, with the seconds that each stage took.
#[derive(Serialize)]
struct Timed<'a> {
    version: &'static str,
    seconds: f64,
    stage_seconds: Vec<f64>,
    model_file: String,
    #[serde(flatten)]
    report: &'a Report,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    say(edge, greet)?;
    let laps = RefCell::new(vec![edge.watch.seconds()]);
    let mut failed = Ok(());
    let report = demo::run(&samples::bundled(), &edge.ctx, &mut |stage| {
        let now = edge.watch.seconds();
        let seconds = now - laps.borrow().last().copied().unwrap_or_default();
        laps.borrow_mut().push(now);
        if failed.is_ok() {
            failed = say(edge, |page| show(page, stage, seconds));
        }
    })?;
    failed?;
    let model_file = keep(&typed.directory, &report.model_file)?;
    finish(typed, edge, &report, &model_file, &laps.into_inner())
}

fn finish(typed: &Typed, edge: &Edge, report: &Report, model_file: &Path, laps: &[f64]) -> Result<Exit> {
    let timed = Timed {
        version: env!("CARGO_PKG_VERSION"),
        seconds: edge.watch.seconds(),
        stage_seconds: laps.windows(2).map(|lap| lap[1] - lap[0]).collect(),
        model_file: model_file.display().to_string(),
        report,
    };
    edge.show(&timed, |page| {
        found(page, report);
        next_steps(page, &timed, typed.no_serve);
    })?;
    Ok(Exit::Fine)
}

/// Prints a part of the page as soon as it is known; a machine waits for the whole document.
fn say(edge: &Edge, draw: impl FnOnce(&mut Page)) -> Result<()> {
    if edge.json { Ok(()) } else { edge.show(&(), draw) }
}

fn greet(page: &mut Page) {
    page.heading(format!("cormorant {}: a demo on bundled traffic", env!("CARGO_PKG_VERSION")));
    page.prose(0, Tone::Faint, "No data leaves this machine. Ctrl-C stops it.");
    page.blank();
}

fn show(page: &mut Page, stage: &Stage, seconds: f64) {
    match stage {
        Stage::Extracted(done) => extracted(page, "extract", done, seconds),
        Stage::Trained(done) => trained(page, done, seconds),
        Stage::HuntExtracted(done) => extracted(page, "extract", done, seconds),
        Stage::Hunted(done) => hunted(page, done, seconds),
    }
}

fn extracted(page: &mut Page, verb: &'static str, done: &Extracted, seconds: f64) {
    let (packets, flows) = (done.counts.packets, done.counts.flows);
    step(
        page,
        verb,
        seconds,
        &[
            format!(
                "{} ({}): {} packets, {} packets/s",
                done.capture,
                bytes(done.capture_bytes),
                count(packets),
                rate(packets, seconds)
            ),
            format!(
                "{} flows x {} features, {} labelled, {} flows/s",
                count(flows),
                done.features,
                count(done.labels.matched),
                rate(flows, seconds)
            ),
        ],
    );
}

fn trained(page: &mut Page, done: &Trained, seconds: f64) {
    let card = &done.card;
    let malicious = card.base_rate.map_or_else(String::new, |rate| format!(", {} malicious", percent(rate)));
    step(
        page,
        "train",
        seconds,
        &[
            format!(
                "{} on {} rows{malicious}, {} rows/s",
                card.model,
                count(card.rows),
                rate(card.rows, seconds)
            ),
            format!("threshold {:.4} ({}), {}", card.threshold, card.threshold_rule, bytes(done.file_bytes)),
        ],
    );
}

fn hunted(page: &mut Page, done: &Hunted, seconds: f64) {
    step(
        page,
        "hunt",
        seconds,
        &[format!(
            "{}: {} of {} flows are alerts, {} flows/s",
            done.model,
            count(done.alerts_total),
            count(done.flows),
            rate(done.flows, seconds)
        )],
    );
}

/// A finished stage: its verb, its time, and lines of what happened.
fn step(page: &mut Page, verb: &str, seconds: f64, lines: &[String]) {
    for (at, line) in lines.iter().enumerate() {
        let (verb, time) = if at == 0 { (verb, duration(seconds)) } else { ("", String::new()) };
        page.hanging(
            [span(Tone::Strong, format!("{verb:<8}")), span(Tone::Faint, format!("{time:>7}  "))],
            line,
        );
    }
}

fn found(page: &mut Page, report: &Report) {
    page.blank();
    page.line([span(Tone::Strong, "Detection by family")]);
    page.grid(&families(&report.families));
    page.heading("False alarms on benign traffic that looks alike");
    page.grid(&decoys(&report.decoys));
    page.blank();
    page.line(hunt::balance(report.hits, report.missed, report.false_alarms, report.passed));
    page.prose(
        0,
        Tone::Faint,
        &format!("The second opinion raised {} false alarms.", count(report.second_opinion_false_alarms)),
    );
    parts::metrics(page, &report.metrics, None);
    page.prose(
        0,
        Tone::Faint,
        "The settings were chosen with this traffic in view: a showcase, not an estimate.",
    );
    parts::notes(page, &report.notes);
    hunt::alerts(page, &report.alerts, true);
}

fn families(rows: &[FamilyRow]) -> Grid {
    let mut grid = Grid::new(&["family", ">flows", ">caught", ">missed", ">second opinion", ""]);
    for FamilyRow { grade, second_opinion_hits } in rows {
        grid.row([
            grade.family.clone().into(),
            count(grade.flows).into(),
            count(grade.hits).into(),
            parts::unwanted(grade.missed),
            format!("{} caught", count(*second_opinion_hits)).into(),
            parts::unseen(grade.seen),
        ]);
    }
    grid
}

fn decoys(rows: &[DecoyRow]) -> Grid {
    let mut grid =
        Grid::new(&["benign activity", "looks like", ">flows", ">false alarms", ">second opinion"]);
    for DecoyRow { grade, second_opinion_false_alarms } in rows {
        grid.row([
            grade.activity.clone().into(),
            grade.decoy_of.clone().into(),
            count(grade.flows).into(),
            parts::unwanted(grade.false_alarms),
            count(*second_opinion_false_alarms).into(),
        ]);
    }
    grid
}

fn next_steps(page: &mut Page, timed: &Timed<'_>, no_serve: bool) {
    let model = &timed.model_file;
    page.heading(format!("All this took {}. The same on your own capture:", duration(timed.seconds)));
    page.line(["  cormorant extract my.pcap -o my.parquet".into()]);
    page.line([format!("  cormorant hunt my.pcap -m {model}").into()]);
    page.blank();
    page.prose(
        0,
        Tone::Faint,
        &format!(
            "{model} learnt from bundled traffic; it will do better on yours after learning from yours: \
         `cormorant train my.pcap --labels my.labels.csv -o my.corm`."
        ),
    );
    if !no_serve {
        page.prose(
            0,
            Tone::Warn,
            "The web UI is not built yet, so the demo ends here; --no-serve says that you know.",
        );
    }
}

/// Writes the model where the user can hunt with it: to `wanted`, or to the temporary directory when that is refused.
fn keep(wanted: &Path, model: &[u8]) -> Result<PathBuf> {
    let elsewhere = std::env::temp_dir().join(DIRECTORY);
    let write = |directory: &Path| -> std::io::Result<PathBuf> {
        let path = directory.join(MODEL_FILE);
        std::fs::create_dir_all(directory)?;
        std::fs::write(&path, model)?;
        Ok(path)
    };
    write(wanted).or_else(|_| write(&elsewhere)).with_context(|| {
        format!("cannot write the model to {}; name another place with --directory", wanted.display())
    })
}
