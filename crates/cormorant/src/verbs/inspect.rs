//! `cormorant inspect`: what is in captures, without keeping flows.

use anyhow::Result;
use clap::{ArgMatches, Args, FromArgMatches};
use cormorant_lab::tasks::inspect::{self, CaptureReport, Checksums, Interface, Report, Spec};

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
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

/// Hosts, VLANs and interfaces shown of one capture.
const SHOWN: usize = 10;
/// Lines shown of the tree of protocols.
const SHOWN_LAYERS: usize = 24;

#[derive(Args)]
struct Typed {
    #[command(flatten)]
    inputs: Captures,
}

/// What was typed, as the task wants it.
pub(super) fn spec(matches: &ArgMatches, _: &Edge) -> Result<Spec> {
    Ok(of(&Typed::from_arg_matches(matches)?))
}

fn of(typed: &Typed) -> Spec {
    Spec { captures: typed.inputs.captures.clone(), reading: typed.inputs.reading() }
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let spec = of(typed);
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
    let tells = |interface: &Interface| interface.name.is_some() || interface.received.is_some();
    if capture.interfaces.len() > 1 || capture.interfaces.iter().any(tells) {
        page.blank();
        page.grid(&interfaces(capture));
    }
    if capture.packets > 0 {
        page.blank();
        page.grid(&layers(capture));
        page.blank();
        page.grid(&lengths(capture));
    }
    if !capture.talkers.is_empty() {
        page.blank();
        page.grid(&hosts(capture));
    }
    if !capture.notes.is_empty() {
        page.blank();
        parts::notes(page, &capture.notes);
    }
}

fn summary(capture: &CaptureReport) -> Vec<parts::Pair> {
    let compression = capture.compression.as_ref().map_or(String::new(), |name| format!(", {name}"));
    let mut pairs = vec![
        ("format", format!("{}{compression}", capture.format)),
        ("link", links(capture)),
        ("packets", packets(capture)),
    ];
    pairs.extend(times(capture));
    let more = if capture.hosts_capped { " or more" } else { "" };
    let noun = if capture.hosts == 1 { "address" } else { "addresses" };
    pairs.push(("hosts", format!("{}{more} {noun}", count(capture.hosts))));
    let mut if_any = |name, number: u64, text: &str| {
        if number > 0 {
            pairs.push((name, format!("{}{text}", counted(number, "packet"))));
        }
    };
    if_any("cut", capture.packets_cut, " captured only in part");
    if_any("fragments", capture.fragments, " that are pieces of larger ones");
    if_any("late", capture.packets_out_of_order, " with an earlier time than the one before");
    pairs.extend(parts::unread(&capture.unread));
    for (name, shares) in [("tunnels", &capture.tunnels), ("VLANs", &capture.vlans)] {
        if !shares.is_empty() {
            let named = shares.iter().take(SHOWN).map(|one| format!("{} ({})", one.name, count(one.packets)));
            pairs.push((name, named.collect::<Vec<_>>().join(", ")));
        }
    }
    pairs.push(("malformed", parts::tally(&capture.malformed)));
    if !capture.checksums.is_empty() {
        pairs.push(("checksums", capture.checksums.iter().map(verdicts).collect::<Vec<_>>().join("; ")));
    }
    if !capture.undecoded_links.is_empty() {
        pairs.push(("not decoded", parts::tally(&capture.undecoded_links)));
    }
    pairs
}

fn times(capture: &CaptureReport) -> Vec<parts::Pair> {
    let (Some(first), Some(last)) = (capture.first_ns, capture.last_ns) else { return Vec::new() };
    let rates = &capture.rates;
    let mut pairs = vec![("time", format!("{} to {}", date_time(first), date_time(last)))];
    pairs.push(("duration", duration(rates.duration_s)));
    if rates.duration_s > 0.0 {
        let mean = (rate(capture.packets, rates.duration_s), rate(capture.bytes * 8, rates.duration_s));
        pairs.push(("mean", format!("{} packets/s, {} bit/s", mean.0, mean.1)));
        let (packets, bits) =
            (counted(rates.busiest_packets_per_s, "packet"), rate(rates.busiest_bits_per_s, 1.0));
        pairs.push(("busiest", format!("{packets}, {bits} bit in one second")));
    }
    pairs
}

/// `tcp 1,200 good, 3 bad`; what there is none of is left out.
fn verdicts(checksums: &Checksums) -> String {
    let Checksums { of, good, bad, absent, unchecked } = checksums;
    let numbers = [(good, "good"), (bad, "bad"), (absent, "absent"), (unchecked, "not checkable")];
    let named = numbers.iter().filter(|(number, _)| **number > 0);
    let named: Vec<_> = named.map(|(number, name)| format!("{} {name}", count(**number))).collect();
    format!("{of} {}", named.join(", "))
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

fn interfaces(capture: &CaptureReport) -> Grid {
    let mut grid = Grid::new(&["interface", "link", ">packets", ">received", ">dropped", ">by capture"]);
    let stated = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), count);
    for (at, interface) in capture.interfaces.iter().enumerate().take(SHOWN) {
        grid.row([
            interface.name.clone().unwrap_or_else(|| format!("#{at}")).into(),
            interface.link.clone().into(),
            count(interface.packets).into(),
            stated(interface.received).into(),
            stated(interface.dropped_by_interface).into(),
            stated(interface.dropped_by_capture).into(),
        ]);
    }
    grid
}

fn layers(capture: &CaptureReport) -> Grid {
    let mut grid = Grid::new(&["protocol", ">packets", ">share", ">bytes"]);
    for layer in capture.layers.iter().take(SHOWN_LAYERS) {
        grid.row([
            format!("{}{}", "  ".repeat(layer.depth), layer.name).into(),
            count(layer.packets).into(),
            share(layer.packets, capture.packets).into(),
            bytes(layer.bytes).into(),
        ]);
    }
    grid
}

fn lengths(capture: &CaptureReport) -> Grid {
    let mut grid = Grid::new(&["length", ">packets", ">share"]);
    for class in capture.lengths.iter().filter(|class| class.packets > 0) {
        let to = class.to_bytes.map_or_else(|| "more".to_owned(), |to| to.to_string());
        grid.row([
            format!("{} to {to}", class.from_bytes).into(),
            count(class.packets).into(),
            share(class.packets, capture.packets).into(),
        ]);
    }
    grid
}

fn hosts(capture: &CaptureReport) -> Grid {
    let mut grid = Grid::new(&["host", ">packets", ">share", ">bytes", ">sent", ">received"]);
    for host in capture.talkers.iter().take(SHOWN) {
        grid.row([
            host.name.clone().into(),
            count(host.packets).into(),
            share(host.packets, capture.packets).into(),
            bytes(host.bytes).into(),
            bytes(host.sent_bytes).into(),
            bytes(host.received_bytes).into(),
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
            duration(capture.rates.duration_s).into(),
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
