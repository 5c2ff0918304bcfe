//! `cormorant lab backup`: a copy of everything, of one moment.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, FromArgMatches};

use super::super::{Verb, parts};
use crate::clock::now_ns;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::units::{bytes, counted, duration};

pub(super) static VERB: Verb = Verb {
    name: "backup",
    about: "Copy everything in the lab into a new directory, while others go on writing",
    notes: "\
The copy has rows and files of one moment, and a list of digests that
`sha256sum -c manifest.sha256` begins to check. It can be restored into any of
the three databases. Exit code 1 when a damaged file had to be left out.",
    example: &["cormorant lab backup -o lab-backup"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// The directory to make
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let report = edge.lab()?.backup(&typed.output, now_ns(), &edge.ctx)?;
    edge.show(&report, |page| {
        page.heading(format!("{} copied to {}", report.lab, report.output));
        page.pairs(&[
            ("rows", parts::tally(&report.rows)),
            ("files", counted(report.objects, "object")),
            ("size", format!("{} in {}", bytes(report.bytes), duration(edge.watch.seconds()))),
        ]);
        super::faults(page, &report.faults);
    })?;
    Ok(if report.faults.is_empty() { Exit::Fine } else { Exit::Mistake })
}
