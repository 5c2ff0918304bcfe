//! netml's sets in their default form against a second computation that has the whole capture before it: it sorts all
//! packets into flows first, then cuts them, then looks at each list as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use cormorant_net::capture::{Capture, Next};
use cormorant_net::features::{RowColumn, Rows};
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::{MeterReport, MeterSpec, meter};
use cormorant_net::packet::{self, Packet};
use proptest::prelude::*;

use crate::packet_rows::pcap;
use crate::written::{Written, ethernet, ipv4};

const SECOND_NS: i64 = 1_000_000_000;
const SETS: [&str; 6] =
    ["netml-iat", "netml-size", "netml-iat-size", "netml-stats", "netml-samp-num", "netml-samp-size"];
const DEFAULT: Asked = Asked {
    uni: false,
    header: false,
    interval_ns: 60 * SECOND_NS,
    window_ns: SECOND_NS / 10,
    most: 500,
    least: 1,
};
/// Options, and what they mean.
const OPTIONS: [(&str, Asked); 4] = [
    ("", DEFAULT),
    (":uni:least=2", Asked { uni: true, least: 2, ..DEFAULT }),
    (":header:packets=3", Asked { header: true, most: 3, ..DEFAULT }),
    (
        ":interval=1.5:window=0.25",
        Asked { interval_ns: 3 * SECOND_NS / 2, window_ns: SECOND_NS / 4, ..DEFAULT },
    ),
];

/// Options: interval and window in ns, most packets in a list, least packets of a row.
#[derive(Clone, Copy, Debug)]
struct Asked {
    uni: bool,
    header: bool,
    interval_ns: i64,
    window_ns: i64,
    most: usize,
    least: usize,
}

/// A row: identity as text, then each feature as a list.
type Row = (Vec<String>, Vec<Vec<f64>>);

fn extract(mut capture: Capture, set: &str, mem_bytes: u64) -> (Vec<Row>, MeterReport) {
    let flow = FlowConfig { mem_bytes, ..FlowConfig::default() };
    let spec = MeterSpec { sets: vec![set.to_owned()], flow, batch_rows: 7, ..MeterSpec::default() };
    let mut rows = Vec::new();
    let report = meter(&mut capture, &spec, &mut |_| true, &mut |batch| {
        rows.extend((0..batch.len).map(|row| read_row(&batch, row)));
        Ok(())
    });
    (rows, report.expect("rows"))
}

fn read_row(batch: &Rows, row: usize) -> Row {
    let (mut identity, mut features) = (Vec::new(), Vec::new());
    for column in &batch.columns {
        match column {
            RowColumn::F64(values) => features.push(vec![values[row]]),
            RowColumn::I64(values) => identity.push(values[row].to_string()),
            RowColumn::U64(values) => identity.push(values[row].to_string()),
            RowColumn::Text(values) => identity.push(values.get(row).expect("text").to_owned()),
            RowColumn::F64List(lists) => features.push(lists.get(row).expect("a list").to_vec()),
        }
    }
    (identity, features)
}

/// A packet with the clock's time: the latest of any packet so far.
type Timed = (i64, Packet);

fn read(mut capture: Capture) -> Vec<Timed> {
    let (mut clock, mut packets) = (i64::MIN, Vec::new());
    while let Ok(Next::Frame(frame)) = capture.next() {
        clock = clock.max(frame.ts_ns);
        let decoded = packet::decode(&frame);
        let whole = |packet: &Packet| match packet.protocol {
            6 => packet.tcp.is_some(),
            17 => usize::from(packet.header_bytes) >= 28 && packet.source_port != 0,
            _ => false,
        };
        packets.extend(decoded.packet.filter(whole).map(|packet| (clock, packet)));
    }
    packets
}

fn naive(packets: &[Timed], set: &str, asked: Asked) -> Vec<Row> {
    let mut flows: BTreeMap<Vec<String>, Vec<Timed>> = BTreeMap::new();
    for &(clock, packet) in packets {
        let mut key = vec![
            format!("{} {}", packet.source, packet.source_port),
            format!("{} {}", packet.destination, packet.destination_port),
        ];
        if !asked.uni {
            key.sort();
        }
        key.push(packet.protocol.to_string());
        flows.entry(key).or_default().push((clock, packet));
    }
    let mut parts: Vec<&[Timed]> = flows
        .values()
        .flat_map(|flow| flow.chunk_by(|before, after| after.0 - before.0 <= asked.interval_ns))
        .filter(|part| part.len() >= asked.least)
        .collect();
    parts.sort_by_key(|part| (part[part.len() - 1].0, part[0].1.number));
    parts.into_iter().map(|part| (identity(part), features(part, set, asked))).collect()
}

/// Per packet the latest capture time of the part so far.
fn times(part: &[Timed]) -> Vec<i64> {
    (0..part.len())
        .map(|last| part[..=last].iter().map(|(_, packet)| packet.ts_ns).max().expect("one"))
        .collect()
}

fn identity(part: &[Timed]) -> Vec<String> {
    let (first, last) = (part[0].1, part[part.len() - 1].1);
    vec![
        first.source.to_string(),
        first.destination.to_string(),
        first.source_port.to_string(),
        first.destination_port.to_string(),
        first.protocol.to_string(),
        first.ts_ns.to_string(),
        times(part)[part.len() - 1].to_string(),
        first.number.to_string(),
        last.number.to_string(),
    ]
}

fn features(part: &[Timed], set: &str, asked: Asked) -> Vec<Vec<f64>> {
    let mut features = Vec::new();
    if asked.header {
        let has = |packet: &Packet, bit: u32| packet.tcp.is_some_and(|tcp| tcp.flags.0 & 1 << bit != 0);
        let count = |bit| vec![part.iter().filter(|(_, packet)| has(packet, bit)).count() as f64];
        features.extend((0..8).map(count));
        features.push(part.iter().take(asked.most).map(|(_, packet)| packet.ttl.into()).collect());
    }
    let times = times(part);
    let sizes: Vec<f64> = part.iter().map(|(_, packet)| packet.captured_bytes.into()).collect();
    let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 / 1e9).collect();
    let (most, fewer) = (part.len().min(asked.most), part.len().min(asked.most) - 1);
    match set {
        "netml-iat" => features.push(gaps[..fewer].to_vec()),
        "netml-size" => features.push(sizes[..most].to_vec()),
        "netml-iat-size" => {
            let mut values: Vec<f64> = (0..fewer).flat_map(|at| [gaps[at], sizes[at]]).collect();
            values.push(sizes[fewer]);
            features.push(values);
        }
        "netml-stats" => features.extend(statistics(&times, sizes).map(|value| vec![value])),
        "netml-samp-num" => features.push(sampled(&times, &vec![1.0; sizes.len()], asked)),
        _ => features.push(sampled(&times, &sizes, asked)),
    }
    features
}

fn statistics(times: &[i64], mut sizes: Vec<f64>) -> [f64; 12] {
    sizes.sort_by(f64::total_cmp);
    let (count, sum) = (sizes.len() as f64, sizes.iter().sum::<f64>());
    let duration = (times[times.len() - 1] - times[0]) as f64 / 1e9;
    let per_s = |amount: f64| if duration > 0.0 { amount / duration } else { 0.0 };
    let variance = sizes.iter().map(|size| size * size).sum::<f64>() / count - (sum / count).powi(2);
    let quantile = |q: f64| {
        let place = q * (count - 1.0);
        let (low, high) = (sizes[place.floor() as usize], sizes[place.ceil() as usize]);
        low * (1.0 - place.fract()) + high * place.fract()
    };
    let quartiles = [0.25, 0.5, 0.75].map(quantile);
    let [q25, q50, q75] = quartiles;
    let (least, most) = (sizes[0], sizes[sizes.len() - 1]);
    let std = variance.max(0.0).sqrt();
    [duration, per_s(count), per_s(sum), sum / count, std, q25, q50, q75, least, most, count, sum]
}

fn sampled(times: &[i64], amounts: &[f64], asked: Asked) -> Vec<f64> {
    let last = ((times[times.len() - 1] - times[0]) / asked.window_ns) as usize;
    let sum = |window: usize| -> f64 {
        let from = times[0] + window as i64 * asked.window_ns;
        let within = |time: i64| (from..from + asked.window_ns).contains(&time);
        times.iter().zip(amounts).filter(|(time, _)| within(**time)).map(|(_, amount)| amount).sum()
    };
    // A list ends with its last window that is not empty, be it cut or not.
    let reached = times.iter().map(|time| ((time - times[0]) / asked.window_ns) as usize);
    let end = reached.filter(|window| *window < asked.most).max().unwrap_or(0).min(last);
    (0..=end).map(sum).collect()
}

fn assert_same(ours: &[Row], naive: &[Row], set: &str) {
    assert_eq!(ours.len(), naive.len(), "rows of {set}");
    for (row, ((identity, features), (expected_identity, expected))) in ours.iter().zip(naive).enumerate() {
        assert_eq!(identity, expected_identity, "{set} row {row}");
        assert_eq!(features.len(), expected.len(), "{set} row {row}");
        for (place, (found, expected)) in features.iter().zip(expected).enumerate() {
            // The variance as mean of squares less square of mean loses half the digits.
            let bound = if set.contains("stats") { 1e-4 } else { 0.0 };
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs() + bound;
            let same = found.len() == expected.len() && found.iter().zip(expected).all(near);
            assert!(same, "{set} row {row} feature {place}: {found:?} for {expected:?}");
        }
    }
}

/// Milliseconds since the packet before (below 0: late), who to whom, TCP flags (UDP when none), IP version 6, payload.
type Made = (i64, u8, u8, Option<u8>, bool, u8);

fn made() -> impl Strategy<Value = Made> {
    let gap = prop_oneof![6 => 0..400_i64, 2 => Just(250_i64), 1 => 1_000..70_000_i64, 1 => -300..0_i64];
    (gap, 0..3_u8, 0..3_u8, prop::option::of(any::<u8>()), prop::bool::weighted(0.3), 0..4_u8)
}

fn frame(&(_, from, to, flags, is_v6, payload): &Made) -> Vec<u8> {
    let ports = [0x10, from, 0x10, to];
    let payload = vec![0; usize::from(payload) * 30];
    let (protocol, above) = match flags {
        Some(flags) => (6, [&ports[..], &[0; 8], &[0x50, flags, 0, 0, 0, 0, 0, 0], &payload].concat()),
        None => (17, [&ports[..], &(8 + payload.len() as u16).to_be_bytes(), &[0, 0], &payload].concat()),
    };
    if !is_v6 {
        return ethernet(0x0800, &ipv4(protocol, [10, 0, 0, from], [10, 0, 0, to], &above));
    }
    let length = (above.len() as u16).to_be_bytes();
    let head = [&[0x60, 0, 0, 0][..], &length, &[protocol, 55 + from], &[0; 15], &[from], &[0; 15], &[to]];
    ethernet(0x86dd, &[head.concat(), above].concat())
}

fn written(made: &[Made]) -> Vec<Written> {
    let mut ts_ns = 1_700_000_000 * SECOND_NS;
    let one = |made: &Made| {
        ts_ns += made.0 * 1_000_000;
        let data = frame(made);
        Written { ts_ns, wire_bytes: data.len() as u32, data }
    };
    made.iter().map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn netml_lists_of_random_traffic_agree_with_the_definitions(made in prop::collection::vec(made(), 1..150)) {
        let frames = written(&made);
        let packets = read(pcap(&frames));
        prop_assert_eq!(packets.len(), made.len());
        for set in SETS {
            for (options, asked) in OPTIONS {
                let (ours, _) = extract(pcap(&frames), &format!("{set}{options}"), 64 << 20);
                assert_same(&ours, &naive(&packets, set, asked), &format!("{set}{options}"));
            }
        }
    }
}

#[test]
fn netml_lists_of_real_traffic_agree_with_the_definitions() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/hunt.pcapng");
    let open = || Capture::open(&sample).expect("a sample");
    let packets = read(open());
    for set in SETS {
        for (options, asked) in OPTIONS {
            let (ours, report) = extract(open(), &format!("{set}{options}"), 64 << 20);
            assert!(ours.len() > 100 && report.streams_let_go == 0, "{report:?}");
            assert_eq!(report.packets_in_flows, packets.len() as u64);
            assert_same(&ours, &naive(&packets, set, asked), &format!("{set}{options}"));
        }
    }
}

#[test]
fn netml_lists_let_the_oldest_flow_go_when_the_memory_is_full() {
    let packet = |at: i64| (10, (at % 200) as u8, 255, None, false, 1);
    let frames = written(&(0..1000).map(packet).collect::<Vec<_>>());
    let (ours, report) = extract(pcap(&frames), "netml-size", 50_000);
    assert!(report.streams_let_go > 100, "{report:?}");
    assert_eq!(report.flows as usize, ours.len());
    let packets: usize = ours.iter().map(|(_, features)| features[0].len()).sum();
    assert_eq!(packets, 1000, "every packet is in a row");
    let numbers: Vec<u64> = ours.iter().map(|(identity, _)| identity[8].parse().expect("a number")).collect();
    assert!(numbers.is_sorted(), "rows leave in the order of their last packets");
}
