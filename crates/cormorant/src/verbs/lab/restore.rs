//! `cormorant lab restore`: a lab as it was when a backup of it was made.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, FromArgMatches};

use super::super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::units::{bytes, counted, date_time};

pub(super) static VERB: Verb = Verb {
    name: "restore",
    about: "Make the lab what it was when a backup of it was made",
    notes: "\
All of the backup is read and checked before anything is changed; the rows are
replaced in one transaction.",
    example: &["cormorant lab backup -o lab-backup", "cormorant --lab another lab restore lab-backup"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// The directory that `cormorant lab backup` made
    #[arg(value_name = "DIR")]
    from: PathBuf,
    /// Let the rows go that the lab has now
    #[arg(long)]
    replace: bool,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let report = edge.lab()?.restore(&typed.from, typed.replace, &Edge::stamp(), &edge.ctx)?;
    edge.show(&report, |page| {
        page.heading(format!("{} is what it was on {}", report.lab, date_time(report.made_ns)));
        page.pairs(&[
            ("rows", format!("{} in {}", parts::tally(&report.rows), report.store)),
            ("files", format!("{} ({})", counted(report.objects, "object"), bytes(report.object_bytes))),
        ]);
    })?;
    Ok(Exit::Fine)
}
