//! `cormorant jobs list`: jobs, newest first.

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, FromArgMatches};
use cormorant_lab::jobs::{Job, Queue, State};

use super::super::Verb;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Tone};
use crate::units::date_time;

pub(super) static VERB: Verb = Verb {
    name: "list",
    about: "List jobs, newest first",
    notes: "",
    example: &["cormorant jobs list --state parked"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = states())]
    state: Option<State>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

fn states() -> impl TypedValueParser<Value = State> {
    let find = |typed: String| State::ALL.into_iter().find(|state| state.word() == typed);
    PossibleValuesParser::new(State::ALL.map(State::word))
        .map(move |typed| find(typed).unwrap_or(State::Queued))
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let lab = edge.lab()?;
    let jobs = Queue::of(&lab).list(typed.state, typed.limit)?;
    edge.show(&jobs, |page| draw(page, &jobs))?;
    Ok(Exit::Fine)
}

fn draw(page: &mut Page, jobs: &[Job]) {
    if jobs.is_empty() {
        page.prose(
            0,
            Tone::Plain,
            "There are none. `cormorant jobs add` puts a command line into the queue.",
        );
        return;
    }
    let mut grid = Grid::new(&[">job", "state", "added", "command"]);
    for job in jobs {
        let more = match (job.state, &job.reason) {
            (State::Running, _) => format!("\n{}", super::progress(job)),
            (State::Parked, Some(reason)) => format!("\n{reason}"),
            _ => String::new(),
        };
        grid.row([
            job.id.to_string().into(),
            super::state(job),
            date_time(job.created_ns).into(),
            format!("{}{more}", job.command).into(),
        ]);
    }
    page.grid(&grid);
}
