//! `cormorant jobs cancel`: asks to cancel a job.

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::jobs::Queue;

use super::super::Verb;
use crate::edge::Edge;
use crate::failure::Exit;

pub(super) static VERB: Verb = Verb {
    name: "cancel",
    about: "Do not let a job be done; a worker that has it is told to stop",
    notes: "A running job stops within a few seconds.",
    example: &["cormorant jobs add inspect samples/hunt.pcapng", "cormorant jobs cancel 1"],
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
    let job = Queue::of(&lab).cancel(typed.job, &Edge::stamp())?;
    edge.show(&job, |page| page.heading(format!("Job {} is not wanted any more", job.id)))?;
    Ok(Exit::Fine)
}
