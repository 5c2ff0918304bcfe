//! `cormorant jobs add`: a command line for a worker instead of for now.

use anyhow::{Context, Result};
use clap::parser::ValueSource;
use clap::{Args, FromArgMatches};
use cormorant_lab::jobs::{Plan, Queue, Wish};

use super::super::{Verb, queued};
use crate::cli::{Globals, parsed};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::Tone;

pub(super) static VERB: Verb = Verb {
    name: "add",
    about: "Put a command line into the queue; a worker will run it",
    notes: "\
The input files are put into the lab, so that they may change or go afterwards.
What comes of it is kept in the lab too: see `cormorant jobs fetch`.",
    example: &["cormorant jobs add extract samples/learn.pcapng --features flow -o rows.parquet"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// Jobs with more come first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// How often it may be begun: a worker may be killed, or its disk be full
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i64).range(1..=1000))]
    attempts: i64,
    /// inspect, flows, extract, import, lint, train, evaluate or score, with all that comes after it
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    words: Vec<String>,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let (name, _) = typed.words.split_first().context("a command to put into the queue")?;
    let queued = queued::find(name)?;
    let matches = parsed(&typed.words, &edge.settings)?;
    let globals = Globals::from_arg_matches(&matches)?;
    let own = matches.subcommand_matches(queued.name).context("a command to put into the queue")?;
    let spec = (queued.spec)(own, edge)?;
    let (lab, stamp) = (edge.lab()?, Edge::stamp());
    // Options of every verb may stand before or after the verb that is queued.
    let after = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    let mut ctx = edge.ctx.clone();
    if after("seed") {
        ctx.seed = globals.seed;
    }
    if after("mem") {
        ctx.mem_bytes = globals.mem;
    }
    let plan = Plan::of_files(&lab, queued.name, spec, stamp.at_ns, &ctx)?;
    let wish = Wish {
        command: queued::command_line(&plan)?,
        priority: typed.priority,
        max_attempts: typed.attempts,
    };
    let job = Queue::add(&lab, &plan, &wish, &stamp)?;
    edge.show(&job, |page| {
        page.heading(format!("Job {} is in the queue", job.id));
        page.pairs(&[("command", job.command.clone())]);
        page.prose(2, Tone::Faint, "`cormorant work` does it, `cormorant jobs list` says how far it is.");
    })?;
    Ok(Exit::Fine)
}
