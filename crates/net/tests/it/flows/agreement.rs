//! Every column of every row equals what the second implementation computes, in the same order.

use std::path::Path;

use cormorant_net::capture::Capture;
use cormorant_net::features::Rows;
use cormorant_net::flow::{FlowConfig, FlowRules};
use cormorant_net::meter::MeterSpec;
use cormorant_net::packet::Packet;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::traffic::{frames, traffic};
use super::{Cell, Row, meter_bytes, meter_capture, naive, pcap, rows};
use crate::fragments::naive::{self as fragments, Step};
use crate::shared;

const SECOND_NS: i64 = 1_000_000_000;

/// Short timeouts, so that little traffic meets all of them.
pub(super) fn short() -> FlowConfig {
    FlowConfig {
        idle_ns: 10 * SECOND_NS,
        active_ns: 30 * SECOND_NS,
        close_delay_ns: 2 * SECOND_NS,
        half_open_ns: 5 * SECOND_NS,
        ..FlowConfig::default()
    }
}

/// The set that asks for these rules beside `flow`. The rules themselves are left for it to ask for.
fn both_sets(flow: FlowConfig) -> MeterSpec {
    let other = if flow.rules == FlowRules::Timeouts { "nfstream" } else { "splt" };
    let flow = FlowConfig { rules: FlowRules::Connections, ..flow };
    MeterSpec { sets: vec!["flow".into(), other.into(), "cic".into()], flow, ..MeterSpec::default() }
}

fn by_time_alone(flow: FlowConfig) -> FlowConfig {
    FlowConfig { rules: FlowRules::Timeouts, ..flow }
}

/// What the flow table is told of a capture: every frame's time, and the packets in the order of their coming.
pub(super) fn steps(capture: Capture) -> Vec<Step> {
    let frames = fragments::read(capture);
    let clocks = naive::clocks(&frames.iter().map(|read| read.ts_ns).collect::<Vec<_>>());
    fragments::steps(&frames, &clocks).0
}

/// The first difference between both implementations.
pub(super) fn difference(ours: &[Row], naive: &[Row]) -> Option<String> {
    for (at, (ours, naive)) in ours.iter().zip(naive).enumerate() {
        // Hashes and tunnels have tests of their own; everything else is compared, in both directions.
        let elsewhere = ["flow_id", "community_id", "tunnel"];
        if let Some(name) =
            ours.keys().find(|name| !naive.contains_key(*name) && !elsewhere.contains(&name.as_str()))
        {
            return Some(format!("column {name} has no second implementation"));
        }
        for (name, expected) in naive {
            if !ours.get(name).is_some_and(|found| equal(found, expected)) {
                return Some(format!(
                    "row {at}, {name}: {:?}, expected {expected:?}\nin {ours:#?}",
                    ours.get(name)
                ));
            }
        }
    }
    (ours.len() != naive.len()).then(|| format!("{} rows, expected {}", ours.len(), naive.len()))
}

/// Integers and text exactly, floats to 1e-9 relative.
fn equal(found: &Cell, expected: &Cell) -> bool {
    match (found, expected) {
        (Cell::Float(a), Cell::Float(b)) => {
            a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) + 1e-12
        }
        (a, b) => a == b,
    }
}

fn check(file: &[u8], config: &FlowConfig) -> Option<String> {
    let (batches, report) = meter_bytes(file, &both_sets(config.clone()));
    let capture =
        Capture::from_reader("test", Box::new(std::io::Cursor::new(file.to_vec()))).expect("a capture");
    let steps = steps(capture);
    assert_eq!(report.packets_in_flows, steps.iter().filter(|step| step.packet.is_some()).count() as u64);
    difference(&rows(&batches), &naive::rows(&steps, config))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_traffic_gives_the_same_rows(made in traffic(150)) {
        let file = pcap(&frames(&made));
        let different = check(&file, &short());
        prop_assert!(different.is_none(), "{}", different.unwrap_or_default());
    }

    #[test]
    fn random_traffic_cut_by_time_alone_gives_the_same_rows(made in traffic(150), odd_ns in 0..3_000_000_i64) {
        let file = pcap(&frames(&made));
        let short = FlowConfig { idle_ns: short().idle_ns + odd_ns, ..short() };
        let different = check(&file, &by_time_alone(short));
        prop_assert!(different.is_none(), "{}", different.unwrap_or_default());
    }
}

#[test]
fn a_clock_that_was_set_back_gives_the_same_rows() {
    let mut made = Vec::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = traffic(1500);
    while made.len() < 3_000 {
        made.extend(strategy.new_tree(&mut runner).expect("traffic").current());
    }
    for at in [700, 900, 2_000] {
        made[at].wait_ns = if at == 900 { 7_200 * SECOND_NS } else { -3_600 * SECOND_NS };
    }
    assert_eq!(check(&pcap(&frames(&made)), &short()), None);
    assert_eq!(check(&pcap(&frames(&made)), &by_time_alone(short())), None);
}

#[test]
fn real_captures_give_the_same_rows() {
    let Some(folder) = shared::folder("real_captures_give_the_same_rows") else { return };
    // Every third of the small ones: the second implementation is quadratic.
    let small = shared::captures(&folder).into_iter().filter(|listed| listed.packets <= 2_000);
    let mut checked = 0;
    for path in small.step_by(3).map(|listed| listed.path) {
        let Ok(capture) = Capture::open(&path) else { continue };
        let config = if checked % 2 == 0 { short() } else { FlowConfig::default() };
        let config = if checked % 4 < 2 { config } else { by_time_alone(config) };
        let (batches, report) = meter_capture(capture, &both_sets(config.clone()));
        let steps = steps(Capture::open(&path).expect("it opened before"));
        let different = difference(&rows(&batches), &naive::rows(&steps, &config));
        assert_eq!(different, None, "{}", path.display());
        assert_sums(&batches, &steps, &path);
        let without: u64 = report.packets_without_flow.iter().map(|(_, packets)| packets).sum();
        assert_eq!(report.packets, report.packets_in_flows + without, "{}", path.display());
        checked += 1;
    }
    assert!(checked > 100, "only {checked} captures");
}

fn assert_sums(batches: &[Rows], steps: &[Step], path: &Path) {
    let sum = |name: &str| rows(batches).iter().map(|row| super::integer(row, name)).sum::<i128>();
    let in_flows: Vec<&Packet> = steps.iter().filter_map(|step| step.packet.as_ref()).collect();
    assert_eq!(sum("packets"), in_flows.len() as i128, "{}", path.display());
    let bytes: i128 = in_flows.iter().map(|packet| i128::from(packet.ip_bytes)).sum();
    assert_eq!(sum("bytes"), bytes, "{}", path.display());
}
