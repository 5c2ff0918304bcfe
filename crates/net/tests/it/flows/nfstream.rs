//! The `nfstream` set: a second computation of its columns, and the ends of flows by time alone.

use cormorant_net::flow::{FlowConfig, FlowRules};
use cormorant_net::meter::MeterSpec;
use cormorant_net::packet::{Fragment, Packet, TcpFlags};

use super::naive::{mean, milliseconds, std};
use super::traffic::{Made, Transport, frames, syn};
use super::{Cell, Row, integer, meter_bytes, pcap, rows, text};

/// The flow's packets with what NFStream knows of them: time in milliseconds, whether forward, length, flags.
type Seen = (i64, bool, u32, Option<TcpFlags>);

/// All columns of the set.
pub(super) fn columns(row: &mut Row, packets: &[(Packet, bool)], clocks_ns: &[i64]) {
    let seen: Vec<Seen> = packets
        .iter()
        .zip(clocks_ns)
        .filter(|((packet, _), _)| !matches!(packet.fragment, Fragment::Later { .. }))
        .map(|((packet, forward), clock_ns)| {
            (milliseconds(*clock_ns), *forward, packet.wire_bytes, packet.tcp.map(|tcp| tcp.flags))
        })
        .collect();
    side(row, "bidirectional", &seen);
    for (name, forward) in [("src2dst", true), ("dst2src", false)] {
        side(row, name, &seen.iter().copied().filter(|seen| seen.1 == forward).collect::<Vec<_>>());
    }
    for at in 0..20 {
        let direction = seen.get(at).map_or(-1, |seen| if seen.1 { 0 } else { 1 });
        let piat_ms = seen.get(at).map_or(-1, |seen_at| if at == 0 { 0 } else { seen_at.0 - seen[at - 1].0 });
        let size = seen.get(at).map_or(-1, |seen| i128::from(seen.2));
        row.insert(format!("splt_direction_{}", at + 1), Cell::Integer(direction));
        row.insert(format!("splt_ps_{}", at + 1), Cell::Integer(size));
        row.insert(format!("splt_piat_ms_{}", at + 1), Cell::Integer(piat_ms.into()));
    }
}

fn side(row: &mut Row, name: &str, seen: &[Seen]) {
    let sizes: Vec<i128> = seen.iter().map(|seen| seen.2.into()).collect();
    let gaps: Vec<i128> = seen.windows(2).map(|pair| i128::from(pair[1].0 - pair[0].0)).collect();
    row.insert(format!("{name}_duration_ms"), Cell::Integer(gaps.iter().sum()));
    row.insert(format!("{name}_packets"), Cell::Integer(sizes.len() as i128));
    row.insert(format!("{name}_bytes"), Cell::Integer(sizes.iter().sum()));
    for (what, values) in [("ps", sizes), ("piat_ms", gaps)] {
        let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
        row.insert(format!("{name}_min_{what}"), Cell::Integer(least.unwrap_or(0)));
        row.insert(format!("{name}_mean_{what}"), Cell::Float(mean(&values)));
        row.insert(format!("{name}_stddev_{what}"), Cell::Float(std(&values)));
        row.insert(format!("{name}_max_{what}"), Cell::Integer(most.unwrap_or(0)));
    }
    for (flag, bit) in [
        ("fin", TcpFlags::FIN),
        ("syn", TcpFlags::SYN),
        ("rst", TcpFlags::RST),
        ("psh", TcpFlags::PSH),
        ("ack", TcpFlags::ACK),
        ("urg", TcpFlags::URG),
        ("ece", TcpFlags::ECE),
        ("cwr", TcpFlags::CWR),
    ] {
        let with = seen.iter().filter(|seen| seen.3.is_some_and(|flags| flags.contains(bit))).count();
        row.insert(format!("{name}_{flag}_packets"), Cell::Integer(with as i128));
    }
}

fn spec(flow: FlowConfig, threads: usize) -> MeterSpec {
    MeterSpec { sets: vec!["flow".into(), "nfstream".into()], flow, threads, ..MeterSpec::default() }
}

fn metered(made: &[Made]) -> Vec<Row> {
    rows(&meter_bytes(&pcap(&frames(made)), &spec(FlowConfig::default(), 1)).0)
}

fn segment(flags: u8, seq: u32) -> Made {
    Made { transport: Transport::Tcp { flags, seq, ack: 0, window: 1_000 }, ..syn(1_000, 80) }
}

#[test]
fn neither_a_close_nor_a_new_connection_ends_a_flow() {
    let found = metered(&[segment(0x02, 1), segment(0x04, 2), segment(0x02, 900), segment(0x11, 901)]);
    assert_eq!(found.len(), 1);
    assert_eq!(integer(&found[0], "bidirectional_syn_packets"), 2);
    assert_eq!(text(&found[0], "expiry_reason"), "end");
}

#[test]
fn a_syn_ack_seen_first_is_forward() {
    let found = metered(&[segment(0x12, 1)]);
    assert_eq!((integer(&found[0], "src2dst_packets"), integer(&found[0], "source_port")), (1, 1_000));
}

#[test]
fn milliseconds_are_counted_before_gaps_are_taken() {
    let after = |wait_ns: i64| Made { wait_ns, ..segment(0x10, 2) };
    // From 0.9 ms to 120 000.1 ms are less than 120 s, but 120 000 steps of a millisecond.
    let parted = metered(&[after(900_000), after(120_000_000_000 - 800_000)]);
    assert_eq!(parted.len(), 2);
    let kept = metered(&[after(100_000), after(120_000_000_000 - 200_000)]);
    assert_eq!(kept.len(), 1);
    assert_eq!(integer(&kept[0], "bidirectional_duration_ms"), 119_999);
}

#[test]
fn the_first_packet_after_a_cut_says_who_is_forward() {
    let answer = Made { wait_ns: 30_000_000_000, hosts: (2, 1), ports: (80, 1_000), ..segment(0x10, 5) };
    let made: Vec<Made> = std::iter::once(segment(0x02, 1)).chain(std::iter::repeat_n(answer, 61)).collect();
    let found = metered(&made);
    assert_eq!(text(&found[0], "expiry_reason"), "active");
    assert_eq!((integer(&found[0], "source_port"), integer(&found[1], "source_port")), (1_000, 80));
}

#[test]
fn rules_that_are_configured_hold_for_sets_without_any() {
    let config = |rules| FlowConfig { rules, ..FlowConfig::default() };
    let made = [segment(0x02, 1), segment(0x04, 2), segment(0x02, 900)];
    let flows = |rules| {
        let spec = MeterSpec { flow: config(rules), ..MeterSpec::default() };
        rows(&meter_bytes(&pcap(&frames(&made)), &spec).0).len()
    };
    assert_eq!((flows(FlowRules::Connections), flows(FlowRules::Timeouts)), (2, 1));
}

#[test]
fn threads_and_little_memory_change_no_row() {
    let made: Vec<Made> = (0..4_000_u16)
        .map(|at| Made { wait_ns: 40_000_000 + i64::from(at) * 1_001, ..syn(at % 700 + 1, at % 13 + 1) })
        .collect();
    let file = pcap(&frames(&made));
    let flow = FlowConfig { idle_ns: 10_000_500_000, mem_bytes: 1_000_000, ..FlowConfig::default() };
    let of = |threads| rows(&meter_bytes(&file, &spec(flow.clone(), threads)).0);
    let one = of(1);
    assert!(one.iter().any(|row| text(row, "expiry_reason") == "idle"));
    for threads in [2, 3, 7] {
        assert_eq!(format!("{one:?}"), format!("{:?}", of(threads)), "{threads} threads");
    }
}
