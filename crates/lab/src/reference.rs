//! The reference page of feature sets (`docs/features.md`), made from the tables that the program itself works with, so
//! that it cannot say anything else than the code does.

use std::fmt::Write;

use crate::catalogue::{Catalogue, Column, FeatureSet};

/// Every feature set with its options and the definition of every column, as Markdown.
#[must_use]
pub fn features_page(catalogue: &Catalogue) -> String {
    let mut page = String::from(OPENING);
    for set in &catalogue.features {
        // Writing to a String cannot fail.
        let cost = cost(set.name).map_or_else(String::new, |cost| format!("{cost:.1}"));
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} | {2} | {cost} |", set.name, set.row, columns_of(set));
    }
    let mut shown: Vec<&[Column]> = Vec::new();
    for set in &catalogue.features {
        let first = !shown.contains(&set.identity.as_slice());
        shown.push(&set.identity);
        set_section(&mut page, set, first);
    }
    page
}

const OPENING: &str = "\
# Feature sets

Made by `cormorant list features --markdown`; a test compares it with the code. Every table begins with identity columns, which
say what a row is and are never features. Undefined values are null (NaN).

Cost is the CPU time from a capture to a Parquet file, as a multiple of what reading, decoding and the flow table alone take; of
sets whose rows are packets most of it is writing. Measured by `make bench` (`benches/results/2026-11-27-flow.txt`, 500 MB).

| set | a row is a | feature columns | cost |
|---|---|--:|--:|
";

/// What a set reads of a frame, and its measured cost.
struct Facts {
    set: &'static str,
    reads: &'static str,
    /// CPU seconds for the benchmark's 500 MB capture ([`TABLE_ONLY`] without any set).
    cpu_s: Option<f64>,
}

/// CPU seconds of reading, decoding and the flow table without rows, in the same run.
const TABLE_ONLY: f64 = 0.37;

const FRAME_TIMES_AND_LENGTHS: &str = "Reads each frame's capture time and captured length, and addresses, ports and \
     protocol to tell flows apart.";

const FACTS: &[Facts] = &[
    Facts {
        set: "flow",
        reads: "Reads each packet's capture time, IP total or payload length, header lengths, and for TCP flags, sequence \
                and acknowledgement numbers and window; addresses, ports, protocol, VLAN and tunnel tell flows apart. \
                Nothing above the transport header.",
        cpu_s: Some(1.03),
    },
    Facts {
        set: "splt",
        reads: "Reads capture time, direction and payload length of the first packets with payload.",
        cpu_s: Some(0.71),
    },
    Facts {
        set: "context",
        reads: "Reads the flow records before a row: addresses, destination port, first time, bytes and whether the \
                connection was established.",
        cpu_s: None,
    },
    Facts {
        set: "nfstream",
        reads: "Reads each frame's capture time (whole milliseconds), its length on the wire, and TCP flags.",
        cpu_s: Some(0.91),
    },
    Facts {
        set: "cic",
        reads: "Reads each packet's capture time, payload length by the IP header, transport header length, TCP flags and \
                window.",
        cpu_s: Some(1.07),
    },
    Facts {
        set: "kitsune",
        reads: "Reads each frame's capture time and length on the wire; MAC and IP addresses and ports tell streams apart.",
        cpu_s: Some(6.86),
    },
    Facts {
        set: "nprint",
        reads: "Reads every bit of the IP, TCP, UDP and ICMP headers; addresses and ports only when asked to.",
        cpu_s: None,
    },
    Facts {
        set: "networkml-host",
        reads: "Reads each frame's capture time, length on the wire, EtherType and VLAN tag, the IP header's protocol, DSCP, \
                ECN and flags, TCP flags and ports; MAC addresses tell hosts apart.",
        cpu_s: Some(0.69),
    },
    Facts {
        set: "networkml-session",
        reads: "Reads capture times, addresses, ports and protocols; private addresses are hosts.",
        cpu_s: Some(1.78),
    },
    Facts { set: "netml-iat", reads: FRAME_TIMES_AND_LENGTHS, cpu_s: Some(1.14) },
    Facts { set: "netml-size", reads: FRAME_TIMES_AND_LENGTHS, cpu_s: None },
    Facts { set: "netml-iat-size", reads: FRAME_TIMES_AND_LENGTHS, cpu_s: None },
    Facts { set: "netml-stats", reads: FRAME_TIMES_AND_LENGTHS, cpu_s: Some(1.22) },
    Facts { set: "netml-samp-num", reads: FRAME_TIMES_AND_LENGTHS, cpu_s: None },
    Facts { set: "netml-samp-size", reads: FRAME_TIMES_AND_LENGTHS, cpu_s: None },
];

fn facts(set: &str) -> Option<&'static Facts> {
    FACTS.iter().find(|facts| facts.set == set)
}

/// Times the CPU of the flow table alone.
fn cost(set: &str) -> Option<f64> {
    Some(facts(set)?.cpu_s? / TABLE_ONLY)
}

fn columns_of(set: &FeatureSet) -> String {
    match set.columns.is_empty() {
        true => "by capture".to_owned(),
        false => set.features.to_string(),
    }
}

fn set_section(page: &mut String, set: &FeatureSet, with_identity: bool) {
    let reads = facts(set.name).map_or("", |facts| facts.reads);
    let _ = writeln!(page, "\n## {}\n\n{}\n\n{reads}", set.name, escaped(set.doc));
    if !set.options.is_empty() {
        let _ = writeln!(page, "\n| option | what it does |\n|---|---|");
    }
    for option in &set.options {
        let _ = writeln!(page, "| `{}` | {} |", option.example, escaped(option.doc));
    }
    table(page, "column", &set.columns);
    if with_identity {
        table(page, "identity column", &set.identity);
    }
}

fn table(page: &mut String, title: &str, columns: &[Column]) {
    if columns.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n| {title} | type | unit | range | definition |\n|---|---|---|---|---|");
    for column in columns {
        let definition = escaped(column.doc);
        let Column { name, kind, unit, range, .. } = column;
        let _ = writeln!(page, "| `{name}` | {kind} | {unit} | {range} | {definition} |");
    }
}

/// Text that cannot end a table's cell or begin markup.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('*', "\\*").replace('_', "\\_").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::catalogue;

    #[test]
    fn every_set_says_what_it_reads() {
        let sets: Vec<_> = catalogue().features.iter().map(|set| set.name).collect();
        assert_eq!(FACTS.iter().map(|facts| facts.set).collect::<Vec<_>>(), sets);
    }
}
