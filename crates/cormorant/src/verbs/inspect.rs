//! `cormorant inspect`: what is in captures, without keeping flows.

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::tasks::inspect::{self, CaptureReport, Report, Spec};

use super::inputs::Captures;
use super::{Verb, parts};
use crate::edge::Edge;
use crate::failure::Exit;
use crate::terminal::{Grid, Page, Tone, span};
use crate::units::{bytes, count, counted, date_time, duration, rate, share};

pub(super) static VERB: Verb = Verb {
    name: "inspect",
    about: "Show what is in captures: link, packets, protocols, hosts, what is malformed",
    notes: "A damaged capture is shown up to its fault; the exit code is then 1.",
    example: &["cormorant inspect samples/hunt.pcapng"],
    args: Typed::augment_args,
    run: |matches, edge| run(Typed::from_arg_matches(matches)?, edge),
};

/// Protocols and hosts shown of one capture.
const SHOWN: usize = 10;

#[derive(Args)]
struct Typed {
    #[command(flatten)]
    inputs: Captures,
}

fn run(typed: Typed, edge: &Edge) -> Result<Exit> {
    let spec = Spec { captures: typed.inputs.captures.clone(), reading: typed.inputs.reading() };
    let report = inspect::run(&spec, &typed.inputs.context(edge))?;
    edge.show(&report, |page| draw(page, &report))?;
    Ok(edge.tell(&report.faults))
}

fn draw(page: &mut Page, report: &Report) {
    match report.captures.as_slice() {
        [capture] => one(page, capture),
        captures => several(page, report, captures),
    }
}

fn one(page: &mut Page, capture: &CaptureReport) {
    page.heading(capture.capture.clone());
    page.pairs(&summary(capture));
    if !capture.protocols.is_empty() {
        page.blank();
        page.grid(&protocols(capture));
    }
    if !capture.talkers.is_empty() {
        page.blank();
        page.grid(&hosts(capture));
    }
}

fn summary(capture: &CaptureReport) -> Vec<(&'static str, String)> {
    let mut pairs = vec![
        (
            "format",
            [Some(capture.format.clone()), capture.compression.clone()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(", "),
        ),
        ("link", links(capture)),
        ("packets", packets(capture)),
    ];
    if let (Some(first), Some(last)) = (capture.first_ns, capture.last_ns) {
        let seconds = seconds(capture);
        pairs.push(("time", format!("{} to {}", date_time(first), date_time(last))));
        let rates = (rate(capture.packets, seconds), rate(capture.bytes * 8, seconds));
        let all =
            if seconds > 0.0 { format!(": {} packets/s, {} bit/s", rates.0, rates.1) } else { String::new() };
        pairs.push(("duration", duration(seconds) + &all));
    }
    let more = if capture.hosts_capped { " or more" } else { "" };
    pairs.push((
        "hosts",
        format!("{}{more}", counted(capture.hosts, "address").replace("addresss", "addresses")),
    ));
    pairs.extend(parts::unread(&capture.unread));
    if capture.packets_cut > 0 {
        pairs.push(("cut", format!("{} packets were captured only in part", count(capture.packets_cut))));
    }
    pairs.push(("malformed", parts::tally(&capture.malformed)));
    if !capture.undecoded_links.is_empty() {
        pairs.push(("not decoded", parts::tally(&capture.undecoded_links)));
    }
    pairs
}

fn links(capture: &CaptureReport) -> String {
    let mut names: Vec<_> = capture.interfaces.iter().map(|interface| interface.link.clone()).collect();
    names.sort();
    names.dedup();
    let interfaces = capture.interfaces.len();
    let names = names.join(", ");
    if interfaces > 1 { format!("{names} ({interfaces} interfaces)") } else { names }
}

fn packets(capture: &CaptureReport) -> String {
    let text = format!("{}, {}", count(capture.packets), bytes(capture.bytes));
    if capture.captured_bytes == capture.bytes {
        text
    } else {
        format!("{text} on the wire, {} captured", bytes(capture.captured_bytes))
    }
}

fn seconds(capture: &CaptureReport) -> f64 {
    match (capture.first_ns, capture.last_ns) {
        (Some(first), Some(last)) => last.saturating_sub(first) as f64 / 1e9,
        _ => 0.0,
    }
}

fn protocols(capture: &CaptureReport) -> Grid {
    let mut grid = Grid::new(&["protocol", ">packets", ">share", ">bytes"]);
    for protocol in capture.protocols.iter().take(SHOWN) {
        grid.row([
            protocol.name.clone().into(),
            count(protocol.packets).into(),
            share(protocol.packets, capture.packets).into(),
            bytes(protocol.bytes).into(),
        ]);
    }
    grid
}

fn hosts(capture: &CaptureReport) -> Grid {
    let mut grid = Grid::new(&["host", ">packets", ">share", ">bytes"]);
    for host in capture.talkers.iter().take(SHOWN) {
        grid.row([
            host.name.clone().into(),
            count(host.packets).into(),
            share(host.packets, capture.packets).into(),
            bytes(host.bytes).into(),
        ]);
    }
    grid
}

fn several(page: &mut Page, report: &Report, captures: &[CaptureReport]) {
    let mut grid = Grid::new(&["capture", "link", ">packets", ">bytes", ">time", ">hosts", ">malformed"]);
    for capture in captures {
        let name = match capture.fault {
            Some(_) => span(Tone::Bad, format!("{} (damaged)", capture.capture)),
            None => capture.capture.clone().into(),
        };
        let malformed: u64 = capture.malformed.values().sum();
        grid.row([
            name,
            links(capture).into(),
            count(capture.packets).into(),
            bytes(capture.bytes).into(),
            duration(seconds(capture)).into(),
            count(capture.hosts).into(),
            parts::unwanted(malformed),
        ]);
    }
    page.grid(&grid);
    page.blank();
    page.prose(
        0,
        Tone::Plain,
        &format!("{} captures, {} packets, {}", captures.len(), count(report.packets), bytes(report.bytes)),
    );
}
