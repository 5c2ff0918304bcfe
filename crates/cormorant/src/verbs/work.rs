//! `cormorant work`: a worker, which does jobs of the lab until it is stopped.

use std::sync::Arc;

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::jobs::{Event, Tally, Until, Worker};

use super::Verb;
use crate::clock::now_ns;
use crate::edge::Edge;
use crate::failure::{Exit, complain};
use crate::terminal::{Look, Page, Tone, print_error, span};
use crate::units::{count, counted, duration};

pub(super) static VERB: Verb = Verb {
    name: "work",
    about: "Do the jobs in the queue, one after the other; start as many workers as you like",
    notes: "\
A worker may be stopped or killed at any moment: another one does its job again.
Exit code 1 when a job could not be done.",
    example: &["cormorant jobs add extract samples/learn.pcapng -o rows.parquet", "cormorant work --drain"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// End when no job waits or runs
    #[arg(long, conflicts_with = "once")]
    drain: bool,
    /// End after one job, or at once when there is none
    #[arg(long)]
    once: bool,
    /// What the worker is called [default: host and process]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let until = match (typed.once, typed.drain) {
        (true, _) => Until::Once,
        (_, true) => Until::Drained,
        _ => Until::Stopped,
    };
    let lab = edge.lab()?;
    let name = typed.name.clone().unwrap_or_else(own_name);
    let worker = Worker::new(&lab, &name, edge.ctx.threads, Arc::new(now_ns), edge.ctx.cancel_flag());
    let tally = worker.run(until, &mut tell)?;
    edge.show(&tally, |page| draw(page, tally, edge.watch.seconds()))?;
    Ok(if tally.failed > 0 { Exit::Mistake } else { Exit::Fine })
}

/// The system's name of this machine, and the number of this process.
fn own_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "worker" } else { host.trim() };
    format!("{host}/{}", std::process::id())
}

/// One line on standard error for each thing that happens.
fn tell(event: &Event<'_>) {
    let line = |tone, word: &str, id: i64, text: &str| {
        let mut page = Page::new(Look::of_stderr());
        page.hanging([span(tone, format!("{word} {id}: "))], text);
        print_error(&page.into_text());
    };
    match event {
        Event::Taken(claim) => line(Tone::Faint, "job", claim.job.id, &claim.job.command),
        Event::Done(claim, _) => line(Tone::Good, "done", claim.job.id, &claim.job.plan.task),
        Event::Cancelled(claim) => line(Tone::Warn, "cancelled", claim.job.id, &claim.job.plan.task),
        Event::Dropped(claim) => line(Tone::Warn, "given up", claim.job.id, "another worker will do it"),
        Event::Trouble(error) => complain(&format!("{error}; trying again")),
        Event::Failed(claim, reason) => complain(&format!("job {}: {reason}", claim.job.id)),
    }
}

fn draw(page: &mut Page, tally: Tally, seconds: f64) {
    page.heading(format!("{} in {}", counted(tally.taken, "job"), duration(seconds)));
    page.pairs(&[
        ("done", count(tally.done)),
        ("failed", count(tally.failed)),
        ("cancelled", count(tally.cancelled)),
        ("given up", count(tally.dropped)),
    ]);
}
