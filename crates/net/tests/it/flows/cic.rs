//! The columns of the `cic` set a second time, from a flow's packets in plain loops, and many random flows compared.

use std::io::{Cursor, Write};

use cormorant_net::capture::Capture;
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::MeterSpec;
use cormorant_net::packet::{Fragment, Packet, TcpFlags};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::agreement::{difference, short, steps};
use super::exchange::single;
use super::traffic::{Made, Transport, frames, syn, traffic};
use super::{Cell, Row, float, integer, meter_bytes, naive, pcap, rows};
use crate::written::Written;

const SECOND_NS: i128 = 1_000_000_000;

/// The columns of a flow with these packets; `true` = forward.
pub(super) fn columns(packets: &[(Packet, bool)]) -> Row {
    let flow = Naive { packets, times: running_times(packets) };
    let mut row = Row::new();
    flow.volume(&mut row);
    flow.gaps(&mut row);
    flow.flags(&mut row);
    flow.headers(&mut row);
    flow.bulks(&mut row);
    flow.periods(&mut row);
    row
}

/// A flow's packets and the latest time so far at each.
struct Naive<'a> {
    packets: &'a [(Packet, bool)],
    times: Vec<i128>,
}

fn running_times(packets: &[(Packet, bool)]) -> Vec<i128> {
    (0..packets.len())
        .map(|at| packets[..=at].iter().map(|(packet, _)| i128::from(packet.ts_ns)).max().expect("one"))
        .collect()
}

/// Which packets a column is about, by the prefix of its name.
const SIDES: [(&str, bool); 2] = [("fwd", true), ("bwd", false)];

impl Naive<'_> {
    fn side(&self, forward: bool) -> Vec<&Packet> {
        self.packets.iter().filter(|(_, f)| *f == forward).map(|(packet, _)| packet).collect()
    }

    fn duration_s(&self) -> f64 {
        (self.times[self.times.len() - 1] - self.times[0]) as f64 / 1e9
    }

    fn rate(&self, amount: f64) -> f64 {
        if self.duration_s() > 0.0 { amount / self.duration_s() } else { 0.0 }
    }

    /// Pieces of the flow between pauses longer than this, as lists of times.
    fn pieces(&self, pause_ns: i128) -> Vec<Vec<i128>> {
        let mut pieces: Vec<Vec<i128>> = vec![vec![self.times[0]]];
        for pair in self.times.windows(2) {
            if pair[1] - pair[0] > pause_ns {
                pieces.push(Vec::new());
            }
            pieces.last_mut().expect("begun").push(pair[1]);
        }
        pieces
    }

    fn volume(&self, row: &mut Row) {
        put(row, "flow_duration_us", self.duration_s() * 1e6);
        let subflows = self.pieces(SECOND_NS).len() as f64;
        let mut all_bytes = 0.0;
        for (name, forward) in SIDES {
            let side = self.side(forward);
            let lengths = lengths(&side);
            let bytes: i128 = lengths.iter().sum();
            all_bytes += bytes as f64;
            let plural = if forward { "" } else { "s" };
            put_int(row, &format!("total_{name}_packet{plural}"), side.len() as i128);
            put_int(row, &format!("total_length_of_{name}_packet_bytes"), bytes);
            put_statistics(row, &format!("{name}_packet_length"), "", &lengths, 1.0);
            put(row, &format!("{name}_segment_size_avg"), mean(&lengths));
            put(row, &format!("{name}_packets_per_s"), self.rate(side.len() as f64));
            put(row, &format!("subflow_{name}_packets"), side.len() as f64 / subflows);
            put(row, &format!("subflow_{name}_bytes"), bytes as f64 / subflows);
        }
        let all: Vec<&Packet> = self.packets.iter().map(|(packet, _)| packet).collect();
        put(row, "flow_bytes_per_s", self.rate(all_bytes));
        put(row, "flow_packets_per_s", self.rate(all.len() as f64));
        put_statistics(row, "packet_length", "", &lengths(&all), 1.0);
        put(row, "packet_length_variance", variance(&lengths(&all)));
        put(row, "average_packet_size", all_bytes / all.len() as f64);
        let (up, down) = (self.side(true).len(), self.side(false).len());
        put(row, "down_up_ratio", if up > 0 { down as f64 / up as f64 } else { 0.0 });
        put_int(
            row,
            "fwd_act_data_packets",
            lengths(&self.side(true)).iter().filter(|n| **n > 0).count() as i128,
        );
    }

    fn gaps(&self, row: &mut Row) {
        put_statistics(row, "flow_iat", "_us", &differences(&self.times), 1e3);
        for (name, forward) in SIDES {
            // Clamped to what came before in this direction alone.
            let side: Vec<(Packet, bool)> =
                self.packets.iter().filter(|(_, f)| *f == forward).copied().collect();
            let gaps = differences(&running_times(&side));
            put_statistics(row, &format!("{name}_iat"), "_us", &gaps, 1e3);
            put(row, &format!("{name}_iat_total_us"), gaps.iter().sum::<i128>() as f64 / 1e3);
        }
    }

    fn flags(&self, row: &mut Row) {
        let count = |flag: TcpFlags, wanted: &[bool]| {
            let with = |(packet, forward): &&(Packet, bool)| {
                wanted.contains(forward) && packet.tcp.is_some_and(|tcp| tcp.flags.0 & flag.0 != 0)
            };
            self.packets.iter().filter(with).count() as i128
        };
        let names = [
            ("fin", TcpFlags::FIN),
            ("syn", TcpFlags::SYN),
            ("rst", TcpFlags::RST),
            ("psh", TcpFlags::PSH),
            ("ack", TcpFlags::ACK),
            ("urg", TcpFlags::URG),
            ("cwr", TcpFlags::CWR),
            ("ece", TcpFlags::ECE),
        ];
        for (name, flag) in names {
            put_int(row, &format!("{name}_flag_count"), count(flag, &[true, false]));
            if ["psh", "urg", "rst"].contains(&name) {
                put_int(row, &format!("fwd_{name}_flags"), count(flag, &[true]));
                put_int(row, &format!("bwd_{name}_flags"), count(flag, &[false]));
            }
        }
    }

    fn headers(&self, row: &mut Row) {
        for (name, forward) in SIDES {
            let side = self.side(forward);
            let headers: Vec<i128> = side.iter().map(|packet| header_bytes(packet)).collect();
            put_int(row, &format!("{name}_header_length_bytes"), headers.iter().sum());
            if forward {
                put_int(row, "fwd_seg_size_min", headers.iter().min().copied().unwrap_or(0));
            }
            let window = side.iter().find_map(|packet| packet.tcp).map_or(f64::NAN, |tcp| tcp.window.into());
            put(row, &format!("{name}_init_win_bytes"), window);
        }
    }

    fn bulks(&self, row: &mut Row) {
        let bulks = self.runs_of_data().into_iter().filter(|run| run.len() >= 4);
        let bulks: Vec<Vec<(i128, i128, bool)>> = bulks.collect();
        for (name, forward) in SIDES {
            let own: Vec<_> = bulks.iter().filter(|run| run[0].2 == forward).collect();
            let bytes: i128 = own.iter().flat_map(|run| run.iter()).map(|(_, bytes, _)| bytes).sum();
            let packets: usize = own.iter().map(|run| run.len()).sum();
            let time_ns: i128 = own.iter().map(|run| run[run.len() - 1].0 - run[0].0).sum();
            let each = |sum: f64| if own.is_empty() { 0.0 } else { sum / own.len() as f64 };
            put(row, &format!("{name}_bytes_bulk_avg"), each(bytes as f64));
            put(row, &format!("{name}_packet_bulk_avg"), each(packets as f64));
            let rate = if time_ns == 0 { 0.0 } else { bytes as f64 / (time_ns as f64 / 1e9) };
            put(row, &format!("{name}_bulk_rate_avg"), rate);
        }
    }

    /// Packets with payload (time, bytes, direction), cut where the direction changes or a second passes.
    fn runs_of_data(&self) -> Vec<Vec<(i128, i128, bool)>> {
        let places = 0..self.packets.len();
        let data = places.filter(|at| self.packets[*at].0.payload_bytes > 0).map(|at| {
            let (packet, forward) = &self.packets[at];
            (self.times[at], i128::from(packet.payload_bytes), *forward)
        });
        let data: Vec<(i128, i128, bool)> = data.collect();
        data.chunk_by(|a, b| a.2 == b.2 && b.0 - a.0 <= SECOND_NS).map(<[_]>::to_vec).collect()
    }

    fn periods(&self, row: &mut Row) {
        let active: Vec<i128> =
            self.pieces(5 * SECOND_NS).iter().map(|piece| piece[piece.len() - 1] - piece[0]).collect();
        put_statistics(row, "active", "_us", &active, 1e3);
        let idle: Vec<i128> =
            differences(&self.times).into_iter().filter(|gap| *gap > 5 * SECOND_NS).collect();
        put_statistics(row, "idle", "_us", &idle, 1e3);
    }
}

fn put(row: &mut Row, name: &str, value: f64) {
    assert!(row.insert(name.to_owned(), Cell::Float(value)).is_none(), "{name} twice");
}

fn put_int(row: &mut Row, name: &str, value: i128) {
    assert!(row.insert(name.to_owned(), Cell::Integer(value)).is_none(), "{name} twice");
}

fn put_statistics(row: &mut Row, name: &str, unit: &str, values: &[i128], scale: f64) {
    put(row, &format!("{name}_min{unit}"), values.iter().min().map_or(0.0, |least| *least as f64 / scale));
    put(row, &format!("{name}_max{unit}"), values.iter().max().map_or(0.0, |most| *most as f64 / scale));
    put(row, &format!("{name}_mean{unit}"), mean(values) / scale);
    put(row, &format!("{name}_std{unit}"), variance(values).sqrt() / scale);
}

fn lengths(side: &[&Packet]) -> Vec<i128> {
    side.iter().map(|packet| i128::from(packet.payload_bytes)).collect()
}

fn differences(times: &[i128]) -> Vec<i128> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn mean(values: &[i128]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<i128>() as f64 / values.len() as f64 }
}

/// Of a sample, in two passes; from the first value on, so that large ones keep their digits.
fn variance(values: &[i128]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let from_first: Vec<f64> = values.iter().map(|value| (value - values[0]) as f64).collect();
    let mean = from_first.iter().sum::<f64>() / values.len() as f64;
    from_first.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

fn header_bytes(packet: &Packet) -> i128 {
    match (packet.protocol, packet.tcp, packet.fragment) {
        (_, Some(tcp), _) => tcp.header_bytes.into(),
        (17, None, Fragment::None | Fragment::First { .. }) => 8,
        _ => 0,
    }
}

/// Random flows: two thousand, or a million in a few minutes with `CORMORANT_FLOOD=1 cargo test
/// -p cormorant-net --test it -- --nocapture many_random_flows`.
#[test]
fn many_random_flows_agree() {
    let wanted = if std::env::var_os("CORMORANT_FLOOD").is_some() { 1_000_000 } else { 2_000 };
    let mut runner = TestRunner::deterministic();
    let strategy = traffic(150);
    let (mut compared, mut captures, mut bulks, mut options) = (0, 0, 0, 0);
    while compared < wanted {
        let mut made = strategy.new_tree(&mut runner).expect("traffic").current();
        if captures % 2 == 1 {
            made = conversations(made);
        }
        let (ours, theirs) = both(&with_options(frames(&made)));
        assert_eq!(difference(&ours, &theirs), None, "capture {captures} of {made:#?}");
        bulks += ours.iter().filter(|row| float(row, "fwd_bytes_bulk_avg") > 0.0).count();
        options += ours.iter().filter(|row| integer(row, "fwd_seg_size_min") > 20).count();
        compared += ours.len();
        captures += 1;
    }
    assert!(bulks > 20 && options > 20, "{bulks} flows with bulks, {options} with options");
    let _ = writeln!(
        std::io::stderr(),
        "{compared} flows of {captures} captures agree, {bulks} of them with bulks, {options} with TCP options only"
    );
}

/// Rows of both implementations: identity as the naive one has it, and the `cic` columns.
fn both(frames: &[Written]) -> (Vec<Row>, Vec<Row>) {
    let file = pcap(frames);
    let spec = MeterSpec { sets: vec!["cic".into()], flow: short(), ..MeterSpec::default() };
    let capture = Capture::from_reader("test", Box::new(Cursor::new(file.clone()))).expect("a capture");
    (rows(&meter_bytes(&file, &spec).0), naive::cic_rows(&steps(capture), &short()))
}

/// Most packets of every forty become data between two hosts, several in a row from the same one, so that bulks begin,
/// go on, and are broken off by pauses and answers.
fn conversations(made: Vec<Made>) -> Vec<Made> {
    let talk = |(at, made): (usize, Made)| {
        let transport = Transport::Tcp { flags: 0x18, seq: 500 * at as u32, ack: 0, window: 1_000 };
        let (hosts, ports) = if at / 7 % 3 == 0 { ((2, 1), (443, 40_000)) } else { ((1, 2), (40_000, 443)) };
        let data = Made { vlan: None, ipv6: false, hosts, ports, transport, fragment: None, ..made.clone() };
        if at % 40 < 30 { data } else { made }
    };
    made.into_iter().enumerate().map(talk).collect()
}

/// Untagged TCP over IPv4 gets headers of 20 to 60 bytes; the payload after them is shorter by that much.
fn with_options(mut frames: Vec<Written>) -> Vec<Written> {
    for (at, frame) in frames.iter_mut().enumerate() {
        let tcp = frame.data.len() == 54 && frame.data[12..14] == [8, 0] && frame.data[23] == 6;
        if tcp {
            let words = [5, 8, 5, 10, 8, 15][at % 6];
            frame.data[46] = words << 4;
        }
    }
    frames
}

/// Data after `wait_ns`; backward when the ports are turned around.
fn data(wait_ns: i64, forward: bool, payload_bytes: u16) -> Made {
    let transport = Transport::Tcp { flags: 0x38, seq: 2, ack: 2, window: 500 };
    let made = Made { wait_ns, transport, payload_bytes, ..syn(1_000, 80) };
    if forward { made } else { Made { hosts: (2, 1), ports: (80, 1_000), ..made } }
}

fn cic(made: &[Made]) -> Row {
    let spec = MeterSpec { sets: vec!["cic".into()], flow: FlowConfig::default(), ..MeterSpec::default() };
    let mut rows = rows(&meter_bytes(&pcap(&frames(made)), &spec).0);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// Each number worked out by hand: SYN, a bulk of five packets, an answer, three more that are no bulk, a pause of 6 s.
#[test]
fn a_flow_by_hand() {
    let millisecond = 1_000_000;
    let mut made = vec![syn(1_000, 80)];
    made.extend((0..5).map(|_| data(10 * millisecond, true, 100)));
    made.push(data(10 * millisecond, false, 300));
    made.extend((0..3).map(|_| data(10 * millisecond, true, 50)));
    made.push(data(6_000 * millisecond, true, 50));
    let row = cic(&made);
    let expected = [
        ("flow_duration_us", 6_090_000.0),
        ("packet_length_mean", 1_000.0 / 11.0),
        ("average_packet_size", 1_000.0 / 11.0),
        ("fwd_packet_length_min", 0.0),
        ("fwd_segment_size_avg", 70.0),
        ("down_up_ratio", 0.1),
        ("fwd_bytes_bulk_avg", 500.0),
        ("fwd_packet_bulk_avg", 5.0),
        ("fwd_bulk_rate_avg", 12_500.0),
        ("bwd_bytes_bulk_avg", 0.0),
        ("subflow_fwd_packets", 5.0),
        ("subflow_bwd_bytes", 150.0),
        ("fwd_init_win_bytes", 1_000.0),
        ("bwd_init_win_bytes", 500.0),
        ("active_max_us", 90_000.0),
        ("active_min_us", 0.0),
        ("idle_mean_us", 6_000_000.0),
    ];
    for (name, value) in expected {
        assert!((float(&row, name) - value).abs() < 1e-6, "{name} is {}, not {value}", float(&row, name));
    }
    let counts = [
        ("fwd_psh_flags", 9),
        ("bwd_urg_flags", 1),
        ("psh_flag_count", 10),
        ("syn_flag_count", 1),
        ("ack_flag_count", 10),
        ("fwd_act_data_packets", 9),
        ("fwd_header_length_bytes", 200),
        ("fwd_seg_size_min", 20),
    ];
    for (name, value) in counts {
        assert_eq!(integer(&row, name), value, "{name}");
    }
}

#[test]
fn one_packet_gives_no_infinity() {
    let row = cic(&[data(0, true, 100)]);
    for (name, cell) in &row {
        let sound = !matches!(cell, Cell::Float(value) if !value.is_finite());
        assert!(sound || name == "bwd_init_win_bytes", "{name} is {cell:?}");
    }
    assert_eq!(float(&row, "flow_bytes_per_s"), 0.0);
    assert!(float(&row, "bwd_init_win_bytes").is_nan());
}

/// Where `cic` and `flow` say the same in other units.
#[test]
fn it_agrees_with_the_default_set() {
    let made: Vec<Made> = (1..9).map(|at| data(at * 300_000_000, at % 3 != 0, at as u16)).collect();
    let (flow, cic) = (single(&made), cic(&made));
    assert!((float(&flow, "iat_std_s") * 1e6 - float(&cic, "flow_iat_std_us")).abs() < 1e-6);
    assert_eq!(flow["fwd_psh"], cic["fwd_psh_flags"]);
}
