//! The `context` set against a second computation that keeps every row and follows the definitions literally.

use std::collections::BTreeSet;
use std::io::Cursor;

use cormorant_net::capture::Capture;
use cormorant_net::features::context::{NEIGHBOURS, REACH_NS};
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::MeterSpec;
use proptest::prelude::*;

use super::agreement::steps;
use super::traffic::{frames, traffic};
use super::{Cell, Row, float, integer, meter_bytes, naive, pcap, rows, text};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn context_agrees_with_its_definition(made in traffic(900)) {
        let spec = MeterSpec { sets: vec!["flow".into(), "context".into()], ..MeterSpec::default() };
        let (batches, _) = meter_bytes(&pcap(&frames(&made)), &spec);
        let all = rows(&batches);
        let established = established(&pcap(&frames(&made)), &spec.flow);
        prop_assert_eq!(all.len(), established.len());
        for place in 0..all.len() {
            check(&all[..=place], &established);
        }
    }
}

/// Checks the last row against those before it.
fn check(rows: &[Row], established: &[bool]) {
    let this = &rows[rows.len() - 1];
    let near = |host: &str| neighbours(rows, host).into_iter().map(|at| &rows[at]).collect::<Vec<&Row>>();
    let source = near("source");
    let pair: Vec<&Row> =
        source.iter().filter(|row| text(row, "destination") == text(this, "destination")).copied().collect();
    let service: Vec<&Row> = pair.iter().filter(|row| port(row) == port(this)).copied().collect();
    let destination = near("destination");
    let distinct = |rows: &[&Row], name: &str| {
        rows.iter().map(|row| text(row, name)).collect::<BTreeSet<_>>().len() as i128
    };
    let ports = |rows: &[&Row]| rows.iter().map(|row| port(row)).collect::<BTreeSet<_>>().len() as i128;
    let sum = |rows: &[&Row], name: &str| rows.iter().map(|row| integer(row, name)).sum::<i128>();
    for (name, expected) in [
        ("source_flows", source.len() as i128),
        ("source_destinations", distinct(&source, "destination")),
        ("source_ports", ports(&source)),
        ("pair_flows", pair.len() as i128),
        ("pair_ports", ports(&pair)),
        ("service_flows", service.len() as i128),
        ("service_sent_bytes", sum(&service, "fwd_payload_bytes")),
        ("service_received_bytes", sum(&service, "bwd_payload_bytes")),
        ("destination_flows", destination.len() as i128),
        ("destination_sources", distinct(&destination, "source")),
    ] {
        assert_eq!(integer(this, name), expected, "{name} of {this:?}");
    }
    check_failures(this, rows, established);
    check_rhythm(this, &service);
    check_rate(this, &source);
}

fn check_rhythm(this: &Row, service: &[&Row]) {
    let mut starts: Vec<i128> = service.iter().map(|row| integer(row, "first_ns")).collect();
    starts.sort_unstable();
    let gaps: Vec<f64> = (1..starts.len()).map(|at| (starts[at] - starts[at - 1]) as f64 / 1e9).collect();
    let sent: Vec<f64> = service.iter().map(|row| integer(row, "fwd_payload_bytes") as f64).collect();
    near(
        this,
        "service_gap_mean_s",
        if gaps.is_empty() { f64::NAN } else { gaps.iter().sum::<f64>() / gaps.len() as f64 },
    );
    near(this, "service_gap_variation", if gaps.len() < 2 { f64::NAN } else { variation(&gaps) });
    near(this, "service_sent_variation", if sent.len() < 2 { f64::NAN } else { variation(&sent) });
}

/// The places of the last row's neighbours: the last flows of the same host that began near it, itself included.
fn neighbours(rows: &[Row], host: &str) -> Vec<usize> {
    let this = &rows[rows.len() - 1];
    let same = (0..rows.len()).rev().filter(|&at| text(&rows[at], host) == text(this, host));
    let began = |at: usize| integer(&rows[at], "first_ns").abs_diff(integer(this, "first_ns"));
    same.take(NEIGHBOURS).filter(|&at| began(at) <= u128::from(REACH_NS)).collect()
}

/// Whether each row's flow was established, by the second implementation of the flow table.
fn established(file: &[u8], config: &FlowConfig) -> Vec<bool> {
    let capture = Capture::from_reader("test", Box::new(Cursor::new(file.to_vec()))).expect("a capture");
    naive::established(&steps(capture), config)
}

fn check_failures(this: &Row, rows: &[Row], established: &[bool]) {
    for (host, name) in
        [("source", "source_unestablished_share"), ("destination", "destination_unestablished_share")]
    {
        let flows = neighbours(rows, host);
        let failed = flows.iter().filter(|&&at| !established[at]).count();
        near(this, name, failed as f64 / flows.len() as f64);
    }
}

fn check_rate(this: &Row, source: &[&Row]) {
    let starts = || source.iter().map(|row| integer(row, "first_ns"));
    let span_s = (starts().max().unwrap() - starts().min().unwrap()) as f64 / 1e9;
    near(this, "source_flows_per_s", if span_s == 0.0 { 0.0 } else { (source.len() - 1) as f64 / span_s });
}

/// By the other formula: sqrt(E[x²] - E[x]²) / E[x], in whole units so that nothing is lost.
fn variation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = values.iter().flat_map(|a| values.iter().map(move |b| (a - b).powi(2))).sum::<f64>()
        / (2.0 * count * count);
    if mean == 0.0 { f64::NAN } else { spread.sqrt() / mean }
}

fn near(row: &Row, name: &str, expected: f64) {
    let found = float(row, name);
    let same =
        (found.is_nan() && expected.is_nan()) || (found - expected).abs() <= 1e-9 * expected.abs().max(1e-9);
    assert!(same, "{name}: {found}, by definition {expected}, in {row:?}");
}

fn port(row: &Row) -> (i128, i128) {
    (integer(row, "protocol"), integer(row, "destination_port"))
}

#[test]
fn the_share_of_failures_is_that_of_flows_without_an_answer() {
    // Three connection attempts without answer, from ports 1, 2 and 3 to port 80.
    let syn = |port| super::traffic::syn(port, 80);
    let spec = MeterSpec { sets: vec!["context".into()], ..MeterSpec::default() };
    let (batches, _) = meter_bytes(&pcap(&frames(&[syn(1), syn(2), syn(3)])), &spec);
    let last = rows(&batches).pop().unwrap();
    assert_eq!(last["source_unestablished_share"], Cell::Float(1.0));
    assert_eq!(last["service_flows"], Cell::Integer(3));
}
