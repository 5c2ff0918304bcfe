//! `cormorant flows`: one row per flow, with who, when and how much.

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tables::Naming;
use cormorant_lab::tasks::flows::{self, Spec};

use super::inputs::{Captures, Timeouts, naming};
use super::{Verb, extract};
use crate::edge::Edge;
use crate::failure::Exit;

pub(super) static VERB: Verb = Verb {
    name: "flows",
    about: "Write one row per flow: who, when, how much, why it ended",
    notes: "A damaged capture gives its rows before the fault; the exit code is then 1.",
    example: &[
        "cormorant flows samples/hunt.pcapng -o flows.csv",
        "cormorant flows samples/hunt.pcapng -o - | head -3",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    #[command(flatten)]
    inputs: Captures,
    /// Where the rows go: a .parquet, .csv, .ndjson or .arrow file, or - for CSV on standard output
    #[arg(short, long, value_name = "X")]
    output: String,
    /// Names of columns that another tool has as well: cormorant, zeek or nfstream
    #[arg(long, value_name = "TOOL", default_value = "cormorant", value_parser = naming())]
    names: Naming,
    #[command(flatten)]
    timeouts: Timeouts,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, edge: &Edge) -> Result<Spec> {
    of(&Typed::from_arg_matches(matches)?, edge)
}

fn of(typed: &Typed, edge: &Edge) -> Result<Spec> {
    Ok(Spec {
        captures: typed.inputs.captures.clone(),
        reading: typed.inputs.reading(),
        flow: typed.timeouts.options(),
        names: typed.names,
        output: edge.output(&typed.output)?,
    })
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let spec = of(typed, edge)?;
    let report = flows::run(&spec, &typed.inputs.context(edge))?;
    edge.show_beside(spec.output.path().is_none(), &report, |page| {
        extract::draw(page, &report, edge.watch.seconds());
    })?;
    Ok(edge.tell(&report.faults))
}
