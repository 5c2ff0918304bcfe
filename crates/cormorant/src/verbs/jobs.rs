//! `cormorant jobs`: what workers have done, do and are to do.

mod add;
mod cancel;
mod fetch;
mod list;
mod retry;
mod show;

use cormorant_lab::jobs::{Job, State};

use super::{Verb, nested, run_nested};
use crate::terminal::{Page, Span, Tone, span};
use crate::units::{count, date_time, share};

pub(super) static VERB: Verb = Verb {
    name: "jobs",
    about: "Add, list, show, cancel or retry jobs, which workers do (see `work`)",
    notes: "docs/lab.md says how jobs are kept, and what becomes of them when a worker dies.",
    example: &[
        "cormorant jobs add extract samples/learn.pcapng -o rows.parquet",
        "cormorant work --drain",
        "cormorant jobs list",
    ],
    args: |command| nested(command, VERBS),
    run: |matches, edge| run_nested(VERBS, matches, edge),
};

static VERBS: &[&Verb] = &[&add::VERB, &list::VERB, &show::VERB, &fetch::VERB, &cancel::VERB, &retry::VERB];

/// A job's state in its colour.
fn state(job: &Job) -> Span {
    let tone = match job.state {
        State::Done => Tone::Good,
        State::Parked => Tone::Bad,
        State::Cancelled => Tone::Warn,
        State::Queued | State::Running => Tone::Plain,
    };
    span(tone, job.state.word())
}

/// Everything about a job.
fn draw(page: &mut Page, job: &Job) {
    page.heading(format!("Job {}: {}", job.id, job.state.word()));
    page.pairs(&[("command", job.command.clone())]);
    let mut pairs = vec![("added", format!("{} by {}", date_time(job.created_ns), job.author))];
    pairs.extend(job.started_ns.map(|at| ("started", date_time(at))));
    pairs.extend(job.finished_ns.map(|at| ("ended", date_time(at))));
    pairs.extend(job.worker.as_ref().map(|worker| ("worker", worker.clone())));
    pairs.push(("attempts", format!("{} of {}", job.attempts, job.max_attempts)));
    if job.state == State::Running {
        pairs.push(("progress", progress(job)));
    }
    pairs.extend(job.plan.inputs.iter().map(|(name, digest)| ("input", format!("{name} {digest}"))));
    if let Some(done) = &job.result {
        pairs.extend(done.outputs.iter().map(|(name, file)| ("output", format!("{name} {}", file.digest))));
        pairs.push(("report", done.report.digest.to_string()));
    }
    page.pairs(&pairs);
    if let Some(reason) = &job.reason {
        page.hanging([span(Tone::Warn, "reason: ")], reason);
    }
}

/// How far a job is, in words.
fn progress(job: &Job) -> String {
    let progress = &job.progress;
    match (progress.stage.as_str(), progress.total) {
        ("", _) => "begun".to_owned(),
        (stage, 0) => format!("{stage} ({})", count(progress.done)),
        (stage, total) => format!("{stage} ({})", share(progress.done, total)),
    }
}
