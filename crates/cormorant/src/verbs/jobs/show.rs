//! `cormorant jobs show`: everything about one job, its report included.

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::jobs::Queue;
use serde_json::{Value, json};

use super::super::Verb;
use crate::edge::Edge;
use crate::failure::Exit;

pub(super) static VERB: Verb = Verb {
    name: "show",
    about: "Show everything about a job; with --json, the report of what came of it",
    notes: "",
    example: &[
        "cormorant jobs add inspect samples/hunt.pcapng",
        "cormorant work --drain",
        "cormorant jobs show 1",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// Its number
    #[arg(value_name = "JOB")]
    job: i64,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let lab = edge.lab()?;
    let job = Queue::of(&lab).job(typed.job)?;
    let report: Option<Value> = match &job.result {
        Some(done) => Some(serde_json::from_slice(&lab.objects().read(done.report.digest)?)?),
        None => None,
    };
    edge.show(&json!({ "job": job, "report": report }), |page| super::draw(page, &job))?;
    Ok(Exit::Fine)
}
