//! `cormorant lab show`: what is in a lab.

use anyhow::Result;
use cormorant_lab::lab::ShowReport;

use super::super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Page, Tone};
use crate::units::{bytes, count, counted};

pub(super) static VERB: Verb = Verb {
    name: "show",
    about: "Show what is in the lab",
    notes: "",
    example: &["cormorant lab show"],
    args: |command| command,
    run: |_, edge| run(edge),
};

fn run(edge: &Edge) -> Result<Exit> {
    let report = edge.lab()?.show()?;
    edge.show(&report, |page| draw(page, &report))?;
    Ok(Exit::Fine)
}

fn draw(page: &mut Page, report: &ShowReport) {
    page.heading(report.lab.clone());
    let mut pairs = vec![("rows in", format!("{} (schema {})", report.store, report.schema))];
    if report.is_empty() {
        page.pairs(&pairs);
        page.prose(2, Tone::Plain, "Nothing is in it yet. To let the lab do something:");
        page.prose(
            4,
            Tone::Strong,
            "cormorant jobs add extract samples/learn.pcapng --labels samples/learn.labels.csv -o learn.parquet",
        );
        page.prose(4, Tone::Strong, "cormorant work --drain");
        return;
    }
    pairs.push(("files", format!("{} ({})", counted(report.objects, "object"), bytes(report.object_bytes))));
    if !report.jobs.is_empty() {
        pairs.push(("jobs", parts::tally(&report.jobs)));
    }
    page.pairs(&pairs);
    let tables: Vec<_> = report.rows.iter().map(|(name, rows)| format!("{} {name}", count(*rows))).collect();
    page.pairs(&[("rows", tables.join(", "))]);
}
