//! `cormorant jobs retry`: queues a parked or cancelled job again.

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::jobs::Queue;

use super::super::Verb;
use crate::edge::Edge;
use crate::failure::Exit;

pub(super) static VERB: Verb = Verb {
    name: "retry",
    about: "Queue a parked or cancelled job again, with all its attempts before it",
    notes: "What was wrong with it is in `cormorant jobs show`.",
    example: &[
        "cormorant jobs add inspect samples/hunt.pcapng",
        "cormorant jobs cancel 1",
        "cormorant jobs retry 1",
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
    let job = Queue::of(&lab).retry(typed.job, &Edge::stamp())?;
    edge.show(&job, |page| page.heading(format!("Job {} is in the queue again", job.id)))?;
    Ok(Exit::Fine)
}
