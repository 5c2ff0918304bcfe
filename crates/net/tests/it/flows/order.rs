//! The same capture gives the same rows, byte for byte: whatever the threads, the batches and the way the bytes come.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Cursor, Read, Write};

use cormorant_net::NetError;
use cormorant_net::capture::Capture;
use cormorant_net::features::{FEATURE_SETS, RowColumn, Rows};
use cormorant_net::flow::{ExpiryReason, FlowConfig};
use cormorant_net::meter::{MeterSpec, meter, schema};
use proptest::strategy::{Strategy, ValueTree};

use super::traffic::{Made, Transport, frames, traffic};
use super::{float, integer, meter_bytes, meter_capture, pcap, rows, text};
use crate::shared;

const SECOND_NS: i64 = 1_000_000_000;

/// Some thousand packets of random traffic over a few minutes.
fn sample(packets: usize) -> Vec<u8> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = traffic(800);
    let mut made: Vec<Made> = Vec::new();
    while made.len() < packets {
        let part = strategy.new_tree(&mut runner).expect("traffic").current();
        let block = made.len() as u16;
        made.extend(part.into_iter().enumerate().map(|(at, made)| spread(made, block, at)));
    }
    pcap(&frames(&made))
}

/// More ports and less time, so that many flows are alive at once.
fn spread(made: Made, block: u16, at: usize) -> Made {
    let port = 1_024 + block % 500 + (at % 37) as u16 * 16;
    let ports = if at.is_multiple_of(2) { (port, 443) } else { (443, port) };
    Made { wait_ns: made.wait_ns / 20, ports, ..made }
}

fn spec(threads: usize, mem_bytes: u64) -> MeterSpec {
    let flow = FlowConfig {
        idle_ns: 10 * SECOND_NS,
        active_ns: 30 * SECOND_NS,
        close_delay_ns: SECOND_NS,
        mem_bytes,
        ..FlowConfig::default()
    };
    // All that can be asked for together: a set with rules of its own need not go with every other.
    let any_rules = FEATURE_SETS.iter().filter(|set| set.rules.is_none());
    let sets = any_rules.map(|set| set.name.to_owned()).collect();
    MeterSpec { sets, flow, threads, batch_rows: 100 }
}

/// The same for flows that time alone cuts.
fn spec_by_time(threads: usize, mem_bytes: u64) -> MeterSpec {
    let sets = ["flow", "context", "nfstream"].map(str::to_owned).to_vec();
    MeterSpec { sets, ..spec(threads, mem_bytes) }
}

/// Rows compared as text, since NaN is no equal of itself.
fn shown(batches: &[Rows]) -> String {
    format!("{:?}", batches.iter().map(|batch| (&batch.columns, batch.len)).collect::<Vec<_>>())
}

#[test]
fn threads_do_not_change_a_row() {
    let file = sample(20_000);
    let cases = [128 << 20, 400_000]
        .into_iter()
        .flat_map(|bytes| [spec, spec_by_time].map(|spec: fn(usize, u64) -> MeterSpec| (spec, bytes)));
    for (spec, mem_bytes) in cases {
        let (one, report) = meter_bytes(&file, &spec(1, mem_bytes));
        assert_eq!(report.ended_by(ExpiryReason::Evicted) > 0, mem_bytes == 400_000);
        assert!(report.flows > 1_000, "{report:?}");
        for threads in [2, 7, 64, 1_000] {
            let (many, other) = meter_bytes(&file, &spec(threads, mem_bytes));
            assert_eq!(shown(&one), shown(&many), "{threads} threads");
            assert_eq!(format!("{report:?}"), format!("{other:?}"));
        }
    }
}

#[test]
fn real_captures_give_the_same_rows_at_any_number_of_threads() {
    let Some(folder) = shared::folder("real_captures_give_the_same_rows_at_any_number_of_threads") else {
        return;
    };
    let spec = |threads| MeterSpec { threads, ..MeterSpec::default() };
    let (mut packets, mut in_rows) = (0, 0);
    for listed in shared::captures(&folder) {
        let open = || Capture::open(&listed.path);
        let (Ok(first), Ok(second)) = (open(), open()) else { continue };
        let (one, report) = meter_capture(first, &spec(1));
        let (many, other) = meter_capture(second, &spec(3));
        assert_eq!(digest(&one), digest(&many), "{}", listed.name);
        assert_eq!(format!("{report:?}"), format!("{other:?}"), "{}", listed.name);
        packets += report.packets_in_flows;
        in_rows += one.iter().map(packets_of).sum::<u64>();
    }
    assert!(packets > 100_000, "only {packets} packets");
    assert_eq!(packets, in_rows);
}

fn packets_of(rows: &Rows) -> u64 {
    match rows.column("packets") {
        Some(RowColumn::U64(packets)) => packets.iter().sum(),
        other => panic!("{other:?}"),
    }
}

/// A hash of every value, NaN included.
fn digest(batches: &[Rows]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for column in batches.iter().flat_map(|batch| &batch.columns) {
        match column {
            RowColumn::F64(values) => values.iter().for_each(|value| value.to_bits().hash(&mut hasher)),
            RowColumn::I64(values) => values.hash(&mut hasher),
            RowColumn::U64(values) => values.hash(&mut hasher),
            RowColumn::Text(values) => (&values.offsets, &values.bytes).hash(&mut hasher),
            RowColumn::F64List(lists) => {
                lists.offsets.hash(&mut hasher);
                lists.values.iter().for_each(|value| value.to_bits().hash(&mut hasher));
            }
        }
    }
    hasher.finish()
}

#[test]
fn the_way_the_bytes_come_does_not_change_a_row() {
    let file = sample(5_000);
    let (whole, _) = meter_bytes(&file, &spec(1, 128 << 20));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&file).expect("memory");
    let packed = packed.finish().expect("memory");
    let (unpacked, _) = meter_bytes(&packed, &spec(2, 128 << 20));
    assert_eq!(shown(&whole), shown(&unpacked));
    let dribble = Capture::from_reader("-", Box::new(Dribble(Cursor::new(file)))).expect("a capture");
    let (dribbled, _) = meter_capture(dribble, &spec(2, 128 << 20));
    assert_eq!(shown(&whole), shown(&dribbled));
}

/// Gives few bytes at a time, never the same number.
struct Dribble(Cursor<Vec<u8>>);

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(1 + (self.0.position() % 97) as usize);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn batches_are_full_but_for_the_last() {
    let (batches, report) = meter_bytes(&sample(5_000), &spec(2, 128 << 20));
    let lens: Vec<usize> = batches.iter().map(|batch| batch.len).collect();
    assert!(lens.iter().rev().skip(1).all(|len| *len == 100), "{lens:?}");
    assert_eq!(lens.iter().sum::<usize>() as u64, report.flows);
}

#[test]
fn counters_add_up() {
    let (batches, report) = meter_bytes(&sample(5_000), &spec(1, 400_000));
    let without: u64 = report.packets_without_flow.iter().map(|(_, packets)| packets).sum();
    assert_eq!(report.packets, report.packets_in_flows + without);
    let in_rows: i128 = rows(&batches).iter().map(|row| integer(row, "packets")).sum();
    assert_eq!(in_rows, i128::from(report.packets_in_flows));
    assert_eq!(report.ended.iter().map(|(_, flows)| flows).sum::<u64>(), report.flows);
}

#[test]
fn the_seed_moves_shards_but_no_row() {
    let file = sample(5_000);
    let (zero, _) = meter_bytes(&file, &spec(1, 128 << 20));
    let mut seeded = spec(1, 128 << 20);
    seeded.flow.seed = 42;
    assert_eq!(shown(&zero), shown(&meter_bytes(&file, &seeded).0));
}

#[test]
fn the_schema_is_known_before_the_capture() {
    let spec = spec(1, 128 << 20);
    let (batches, _) = meter_bytes(&sample(100), &spec);
    let known = schema(&spec).expect("known sets").expect("fixed columns");
    assert!(batches.iter().all(|batch| batch.schema == known));
    let plain =
        schema(&MeterSpec { sets: Vec::new(), ..spec }).expect("no set is fine").expect("fixed columns");
    assert_eq!(plain.fields.iter().filter(|field| field.identity).count(), 15);
    assert!(plain.fields.iter().all(|field| !field.doc.is_empty()));
    assert!(
        FEATURE_SETS
            .iter()
            .flat_map(|set| set.columns)
            .all(|column| !column.doc.is_empty() && !column.unit.is_empty())
    );
}

#[test]
fn wrong_sets_are_refused_with_the_names_there_are() {
    let wrong = |sets: &[&str]| {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        schema(&MeterSpec { sets, ..MeterSpec::default() }).expect_err("refused").to_string()
    };
    assert!(wrong(&["flwo"]).contains("flow, splt"));
    assert!(wrong(&["flow", "flow"]).contains("flow is named twice"));
}

#[test]
fn cancelling_and_a_failing_sink_stop_the_work() {
    let file = sample(20_000);
    for threads in [1, 3] {
        let capture =
            || Capture::from_reader("test", Box::new(Cursor::new(file.clone()))).expect("a capture");
        let cancelled = meter(&mut capture(), &spec(threads, 1 << 20), &mut |_| false, &mut |_| Ok(()));
        assert!(matches!(cancelled, Err(NetError::Cancelled { .. })));
        let full = || NetError::Sink("disk full".into());
        let failed = meter(&mut capture(), &spec(threads, 1 << 20), &mut |_| true, &mut |_| Err(full()));
        assert_eq!(failed.expect_err("the sink's error").to_string(), "disk full");
    }
}

#[test]
fn a_cut_capture_gives_the_rows_before_the_cut() {
    let file = sample(2_000);
    let cut = &file[..file.len() - 7];
    let (batches, report) = meter_bytes(cut, &spec(2, 128 << 20));
    assert!(matches!(report.fault, Some(NetError::Damaged { .. })), "{:?}", report.fault);
    let in_rows: i128 = rows(&batches).iter().map(|row| integer(row, "packets")).sum();
    assert_eq!(in_rows, i128::from(report.packets_in_flows));
    assert!(report.packets > 1_900);
}

/// A TCP packet between the same two endpoints; odd hosts answer.
fn tcp(wait_s: f64, backward: bool, flags: u8, seq: u32, payload_bytes: u16) -> Made {
    Made {
        wait_ns: (wait_s * 1e9) as i64,
        vlan: None,
        ipv6: false,
        hosts: if backward { (2, 1) } else { (1, 2) },
        ports: if backward { (443, 40_000) } else { (40_000, 443) },
        transport: Transport::Tcp { flags, seq, ack: 0, window: 1_000 },
        payload_bytes,
        fragment: None,
        ttl: 64,
    }
}

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
const FIN: u8 = 0x11;
const RST: u8 = 0x04;

fn connection(seq: u32) -> Vec<Made> {
    vec![
        tcp(0.0, false, SYN, seq, 0),
        tcp(0.03, true, SYN_ACK, 500, 0),
        tcp(0.01, false, ACK, seq + 1, 0),
        tcp(0.1, false, ACK, seq + 1, 100),
        tcp(0.2, true, ACK, 501, 1_000),
        tcp(0.1, true, ACK, 501, 1_000),
        tcp(0.1, false, FIN, seq + 101, 0),
        tcp(0.1, true, FIN, 1_501, 0),
        tcp(0.1, false, ACK, seq + 102, 0),
    ]
}

fn metered(made: &[Made]) -> Vec<super::Row> {
    let spec = MeterSpec { sets: vec!["flow".into()], ..MeterSpec::default() };
    rows(&meter_bytes(&pcap(&frames(made)), &spec).0)
}

#[test]
fn a_connection_in_figures() {
    let rows = metered(&connection(7));
    let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    assert_eq!(text(row, "expiry_reason"), "fin");
    assert_eq!((integer(row, "fwd_packets"), integer(row, "bwd_packets")), (5, 4));
    assert_eq!((integer(row, "handshake"), integer(row, "closed_by_fin")), (1, 1));
    assert!((float(row, "syn_ack_s") - 0.03).abs() < 1e-9);
    assert!((float(row, "handshake_s") - 0.04).abs() < 1e-9);
    assert!((float(row, "response_s") - 0.2).abs() < 1e-9);
    assert_eq!((integer(row, "fwd_retransmissions"), integer(row, "bwd_retransmissions")), (0, 1));
    assert_eq!((integer(row, "turns"), integer(row, "bwd_payload_bytes")), (1, 2_000));
}

#[test]
fn a_new_connection_on_the_ports_of_a_closed_one_is_a_new_flow() {
    let twice = [connection(7), connection(9_000)].concat();
    let rows = metered(&twice);
    assert_eq!(rows.iter().map(|row| integer(row, "packets")).collect::<Vec<_>>(), [9, 9]);
    assert_eq!(text(&rows[0], "expiry_reason"), "fin");
}

#[test]
fn a_refused_connection_is_one_flow_until_another_one_is_tried() {
    let attempt = |seq: u32| [tcp(0.5, false, SYN, seq, 0), tcp(0.0, true, RST | ACK, 0, 0)];
    let rows = metered(&[attempt(1), attempt(1), attempt(1), attempt(77)].concat());
    assert_eq!(rows.iter().map(|row| integer(row, "packets")).collect::<Vec<_>>(), [6, 2]);
    assert!(rows.iter().all(|row| text(row, "expiry_reason") == "rst" && integer(row, "closed_by_rst") == 1));
}

#[test]
fn late_packets_belong_to_the_closed_flow_only_so_long() {
    let with_late = |wait_s| [connection(7), vec![tcp(wait_s, false, ACK, 109, 0)]].concat();
    assert_eq!(metered(&with_late(4.9)).len(), 1);
    assert_eq!(metered(&with_late(5.0)).len(), 2);
}

#[test]
fn a_long_flow_is_cut_and_keeps_its_direction() {
    let mut made = connection(7)[..3].to_vec();
    made.extend((0..60).map(|at| tcp(61.0, at % 2 == 0, ACK, 600 + at, 0)));
    let rows = metered(&made);
    let reasons: Vec<&str> = rows.iter().map(|row| text(row, "expiry_reason")).collect();
    assert_eq!(reasons, ["active", "active", "end"]);
    assert!(
        rows.iter().all(|row| text(row, "source") == "10.0.0.1" && integer(row, "source_port") == 40_000)
    );
    assert_eq!(rows.iter().map(|row| integer(row, "packets")).sum::<i128>(), 63);
}
