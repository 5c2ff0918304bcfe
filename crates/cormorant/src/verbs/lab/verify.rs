//! `cormorant lab verify`: whether everything in a lab is what it was when it was put there.

use anyhow::Result;
use cormorant_lab::lab::VerifyReport;

use super::super::Verb;
use crate::clock::now_ns;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Page, Tone};
use crate::units::{bytes, count, counted, duration};

pub(super) static VERB: Verb = Verb {
    name: "verify",
    about: "Read all of the lab and name what is not as it was when it was put there",
    notes: "\
Every file is compared with its digest, every label with its checksum; the
database checks its own structure. Exit code 1 when something is wrong.",
    example: &["cormorant lab verify"],
    args: |command| command,
    run: |_, edge| run(edge),
};

fn run(edge: &Edge) -> Result<Exit> {
    let report = edge.lab()?.verify(now_ns(), &edge.ctx)?;
    edge.show(&report, |page| draw(page, &report, edge.watch.seconds()))?;
    Ok(if report.is_sound() { Exit::Fine } else { Exit::Mistake })
}

fn draw(page: &mut Page, report: &VerifyReport, seconds: f64) {
    let found = match report.faults.len() {
        0 => "all is as it was".to_owned(),
        faults => counted(faults as u64, "fault"),
    };
    page.heading(format!("{}: {found}", report.lab));
    page.pairs(&[
        ("files", format!("{} ({})", counted(report.objects, "object"), bytes(report.object_bytes))),
        ("rows", format!("{} in {} (schema {})", count(report.rows), report.store, report.schema)),
        ("took", duration(seconds)),
    ]);
    super::faults(page, &report.faults);
    if !report.is_sound() {
        page.prose(0, Tone::Plain, "What was damaged is in a backup (cormorant lab restore), or can be made again: `cormorant jobs show` has the command of each result.");
    }
}
