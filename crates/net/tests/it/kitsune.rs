//! The `kitsune` set against the definitions: every stream keeps all its values, and each statistic is a sum over them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use cormorant_net::capture::Capture;
use cormorant_net::features::{RowColumn, Rows};
use proptest::prelude::*;

use crate::packet_rows::{extract, features, integers, pcap, texts};
use crate::written::{Written, ethernet, ipv4, udp};

const MEM_BYTES: u64 = 64 << 20;
const LAMBDAS: [f64; 5] = [5.0, 3.0, 1.0, 0.1, 0.01];
const SECOND_NS: i64 = 1_000_000_000;

/// The 100 features of each row, in the order of the columns.
fn values(batches: &[Rows]) -> Vec<Vec<f64>> {
    let row = |rows: &Rows, row: usize| -> Vec<f64> {
        let value = |column: &RowColumn| match column {
            RowColumn::F64(values) => Some(values[row]),
            _ => None,
        };
        rows.columns.iter().filter_map(value).collect()
    };
    batches.iter().flat_map(|rows| (0..rows.len).map(move |index| row(rows, index))).collect()
}

/// What the keys of a packet are, as texts.
#[derive(Clone, Debug)]
struct Keys {
    mac: String,
    hosts: [String; 2],
    sockets: [String; 2],
}

/// All values of a stream with the times they count from, in seconds.
#[derive(Clone, Debug, Default)]
struct Stream {
    values: Vec<(f64, f64)>,
    /// The time its decay has come to; none before its first packet.
    now: Option<f64>,
}

impl Stream {
    /// Comes to a time, which is not left again.
    fn come_to(&mut self, time: f64) -> f64 {
        let now = self.now.map_or(time, |now| now.max(time));
        self.now = Some(now);
        now
    }

    fn add(&mut self, value: f64, time: f64) {
        let now = self.come_to(time);
        self.values.push((now, value));
    }

    /// The damped sum of a function of the values.
    fn sum(&self, lambda: f64, of: impl Fn(f64) -> f64) -> f64 {
        let now = self.now.expect("touched");
        self.values.iter().map(|(time, value)| 2_f64.powf(-lambda * (now - time)) * of(*value)).sum()
    }

    /// Weight, mean and variance, all from their definitions.
    fn moments(&self, lambda: f64) -> [f64; 3] {
        let weight = self.sum(lambda, |_| 1.0);
        if weight < f64::MIN_POSITIVE {
            return [0.0; 3];
        }
        let mean = self.sum(lambda, |value| value) / weight;
        [weight, mean, self.sum(lambda, |value| (value - mean).powi(2)) / weight]
    }
}

/// Products of residuals, per window.
#[derive(Clone, Debug, Default)]
struct Pair {
    products: [Stream; 5],
    last: BTreeMap<String, [f64; 5]>,
}

#[derive(Default)]
struct Naive {
    origins: BTreeMap<String, Stream>,
    hosts: BTreeMap<String, Stream>,
    gaps: BTreeMap<String, Stream>,
    sockets: BTreeMap<String, Stream>,
    pairs: BTreeMap<[String; 2], Pair>,
}

impl Naive {
    fn row(&mut self, keys: &Keys, bytes: f64, time: f64) -> Vec<f64> {
        let origin = self.origins.entry(format!("{} {}", keys.mac, keys.hosts[0])).or_default();
        origin.add(bytes, time);
        let mut row: Vec<f64> = LAMBDAS.iter().flat_map(|lambda| shown(origin.moments(*lambda))).collect();
        row.extend(both(&mut self.hosts, &mut self.pairs, &keys.hosts, bytes, time));
        let gaps = self.gaps.entry(keys.hosts.join(" to ")).or_default();
        let gap = gaps.now.map_or(0.0, |now| (time - now).max(0.0));
        gaps.add(gap, time);
        row.extend(LAMBDAS.iter().flat_map(|lambda| shown(gaps.moments(*lambda))));
        row.extend(both(&mut self.sockets, &mut self.pairs, &keys.sockets, bytes, time));
        row
    }
}

fn shown([weight, mean, variance]: [f64; 3]) -> [f64; 3] {
    [weight, mean, variance.sqrt()]
}

fn both(
    streams: &mut BTreeMap<String, Stream>,
    pairs: &mut BTreeMap<[String; 2], Pair>,
    [from, to]: &[String; 2],
    bytes: f64,
    time: f64,
) -> Vec<f64> {
    streams.entry(from.clone()).or_default().add(bytes, time);
    streams.entry(to.clone()).or_default().come_to(time);
    let mut key = [from.clone(), to.clone()];
    key.sort();
    let pair = pairs.entry(key).or_default();
    let other_last = if from == to { [0.0; 5] } else { pair.last.get(to).copied().unwrap_or_default() };
    let (mut row, mut residuals) = (Vec::new(), [0.0; 5]);
    for (window, lambda) in LAMBDAS.iter().enumerate() {
        let [weight, mean, variance] = streams[from].moments(*lambda);
        let [_, other_mean, other_variance] = streams[to].moments(*lambda);
        residuals[window] = bytes - mean;
        let products = &mut pair.products[window];
        products.add((bytes - mean) * other_last[window], time);
        let covariance = products.sum(*lambda, |product| product) / products.sum(*lambda, |_| 1.0);
        let deviations = variance.sqrt() * other_variance.sqrt();
        row.extend(shown([weight, mean, variance]));
        row.push((variance.powi(2) + other_variance.powi(2)).sqrt());
        row.push((mean.powi(2) + other_mean.powi(2)).sqrt());
        row.push(covariance);
        row.push(if deviations > 1e-3 { covariance / deviations } else { f64::NAN });
    }
    pair.last.insert(from.clone(), residuals);
    row
}

/// Compares rows; correlations only where the deviations are no mere rounding.
fn agree(ours: &[f64], theirs: &[f64], names: &[String], row: usize) {
    assert_eq!((ours.len(), theirs.len()), (100, 100));
    for ((ours, theirs), name) in ours.iter().zip(theirs).zip(names) {
        let near = (ours - theirs).abs() <= 1e-6 + 1e-7 * theirs.abs();
        let rounding = name.contains("pcc") && theirs.is_nan() && ours.is_finite();
        assert!(near || rounding, "{name} of row {row}: {ours} here, {theirs} by definition");
    }
}

/// A packet to write, as small numbers.
type Made = (i64, u8, u8, u8, usize);

fn made() -> impl Strategy<Value = Made> {
    let wait = prop_oneof![5 => 0..SECOND_NS, 2 => Just(0), 1 => 0..30 * SECOND_NS, 1 => -3 * SECOND_NS..0];
    (wait, 0..4_u8, 0..4_u8, 0..6_u8, 0..900_usize)
}

/// The frame and its keys: UDP, TCP, ICMP, UDP over IPv6, ARP or something else.
fn write((_, from, to, kind, bytes): Made) -> (Vec<u8>, Keys) {
    let hosts = [from, to].map(|host| [10, 0, 0, host]);
    let names = hosts.map(|host| Ipv4Addr::from(host).to_string());
    let (mac, other_mac) = ("02:00:00:00:00:02".to_owned(), "02:00:00:00:00:01".to_owned());
    let payload = vec![7; bytes];
    let ports = [u16::from(from) % 2 + 1000, u16::from(to) % 2 + 1000];
    let sockets =
        |names: &[String; 2], ports: [&str; 2]| [0, 1].map(|side| format!("{} {}", names[side], ports[side]));
    let of_ports = ports.map(|port| port.to_string());
    let [first, second] = &of_ports;
    let (frame, hosts, sockets) = match kind {
        0 => (
            udp(hosts[0], hosts[1], ports[0], ports[1], &payload),
            names.clone(),
            sockets(&names, [first, second]),
        ),
        1 => {
            let [s1, s0, d1, d0] = [ports[0].to_be_bytes(), ports[1].to_be_bytes()].concat()[..] else {
                unreachable!()
            };
            let tcp = [&[s1, s0, d1, d0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 16, 0, 9, 0, 0, 0, 0][..], &payload];
            let frame = ethernet(0x0800, &ipv4(6, hosts[0], hosts[1], &tcp.concat()));
            (frame, names.clone(), sockets(&names, [first, second]))
        }
        2 => {
            let echo = [&[8, 0, 0, 0, 0, 1, 0, 1][..], &payload].concat();
            let frame = ethernet(0x0800, &ipv4(1, hosts[0], hosts[1], &echo));
            (frame, names.clone(), sockets(&names, ["icmp"; 2]))
        }
        3 => {
            let names = [from, to].map(|host| Ipv6Addr::from(u128::from(host)).to_string());
            let [s, d] = ports.map(u16::to_be_bytes);
            let length = (8 + bytes as u16).to_be_bytes();
            let header = [&[0x60, 0, 0, 0][..], &length, &[17, 64]].concat();
            let [source, destination] = [from, to].map(|host| u128::from(host).to_be_bytes());
            let packet = [&header[..], &source, &destination, &s, &d, &length, &[0, 0], &payload].concat();
            (ethernet(0x86dd, &packet), names.clone(), sockets(&names, [first, second]))
        }
        4 => {
            let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &[1; 6], &hosts[0], &[0; 6], &hosts[1]].concat();
            (ethernet(0x0806, &arp), names, [mac.clone(), other_mac].map(|mac| format!("{mac} arp")))
        }
        _ => {
            let names = [mac.clone(), other_mac];
            (ethernet(0x88cc, &payload), names.clone(), sockets(&names, ["others"; 2]))
        }
    };
    (frame, Keys { mac, hosts, sockets })
}

fn frames(made: &[Made]) -> (Vec<Written>, Vec<Keys>) {
    let mut ts_ns = 1_700_000_000 * SECOND_NS;
    let mut written = Vec::new();
    let mut all = Vec::new();
    for made in made {
        ts_ns += made.0;
        let (data, keys) = write(*made);
        written.push(Written { ts_ns, wire_bytes: data.len() as u32, data });
        all.push(keys);
    }
    (written, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn random_traffic_agrees_with_the_definitions(made in prop::collection::vec(made(), 1..120)) {
        let (written, keys) = frames(&made);
        let start_ns = written[0].ts_ns;
        let names = features("kitsune").expect("a set");
        let (batches, report) = extract(pcap(&written), "kitsune", MEM_BYTES);
        let ours = values(&batches);
        prop_assert_eq!((ours.len(), report.streams_let_go), (made.len(), 0));
        let mut naive = Naive::default();
        for (row, ((ours, keys), frame)) in ours.iter().zip(&keys).zip(&written).enumerate() {
            let time = (frame.ts_ns - start_ns) as f64 / 1e9;
            agree(ours, &naive.row(keys, frame.wire_bytes.into(), time), &names, row);
        }
    }
}

/// Three UDP packets by hand, window `l1`: 0 s and 1 s from A to B of 100 and 200 bytes, 2 s back of 60 bytes.
#[test]
fn three_packets_by_hand() {
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let data = [udp(a, b, 1000, 53, &[0; 58]), udp(a, b, 1000, 53, &[0; 158]), udp(b, a, 53, 1000, &[0; 18])];
    let written: Vec<Written> = (0..)
        .zip(data)
        .map(|(second, data)| Written { ts_ns: second * SECOND_NS, wire_bytes: data.len() as u32, data })
        .collect();
    assert_eq!(written.iter().map(|frame| frame.wire_bytes).collect::<Vec<_>>(), [100, 200, 60]);
    let (batches, _) = extract(pcap(&written), "kitsune", MEM_BYTES);
    let names = features("kitsune").expect("a set");
    let (rows, at) = (values(&batches), |name: &str| names.iter().position(|other| other == name));
    let check = |row: usize, name: &str, expected: f64| {
        let value = rows[row][at(name).expect(name)];
        assert!((value - expected).abs() < 1e-9, "{name} of row {row}: {value}, not {expected}");
    };
    // The second: weight 1 + 1/2, mean (50 + 200) / 1.5, variance (5000 + 40000) / 1.5 - mean^2 = 20000/9.
    let (mean, variance) = (500.0 / 3.0, 20_000.0 / 9.0);
    check(1, "mi_weight_l1", 1.5);
    check(1, "hh_mean_l1", mean);
    check(1, "hphp_std_l1", f64::sqrt(variance));
    check(1, "hh_radius_l1", variance);
    check(1, "hh_magnitude_l1", mean);
    check(1, "hh_covariance_l1", 0.0);
    // Gaps 0 and 1 with weights 1/2 and 1: mean 2/3, variance 2/3 - 4/9 = 2/9.
    check(1, "hh_jit_mean_l1", 2.0 / 3.0);
    check(1, "hh_jit_std_l1", f64::sqrt(2.0 / 9.0));
    check(1, "hh_weight_l0_1", 1.0 + 2_f64.powf(-0.1));
    // The third is the first of its sender: residual 0, so no covariance; the other side stays as it was, but older.
    check(2, "mi_weight_l1", 1.0);
    check(2, "hh_mean_l1", 60.0);
    check(2, "hh_radius_l1", variance);
    check(2, "hh_magnitude_l1", f64::hypot(60.0, mean));
    check(2, "hphp_covariance_l1", 0.0);
    check(2, "hphp_pcc_l0_01", 0.0);
    check(2, "hh_jit_weight_l1", 1.0);
    assert_eq!(texts(&batches, "source"), ["10.0.0.1", "10.0.0.1", "10.0.0.2"]);
    assert_eq!(integers(&batches, "destination_port"), [53, 53, 1000]);
    assert_eq!(integers(&batches, "first_ns"), [0, SECOND_NS, 2 * SECOND_NS]);
}

#[test]
fn real_traffic_agrees_with_the_definitions() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/hunt.pcapng");
    let names = features("kitsune").expect("a set");
    let (batches, report) = extract(Capture::open(&sample).expect("a sample"), "kitsune", MEM_BYTES);
    let ours = values(&batches);
    assert!(report.packets > 1_000 && ours.len() as u64 == report.packets_in_flows, "{report:?}");
    let (sources, destinations) = (texts(&batches, "source"), texts(&batches, "destination"));
    let [numbers, times] = ["packet", "first_ns"].map(|name| integers(&batches, name));
    let ports = ["source_port", "destination_port"].map(|name| integers(&batches, name));
    let protocols = integers(&batches, "protocol");
    let (macs, lengths) = links(&sample);
    let mut naive = Naive::default();
    for row in (0..ours.len()).take_while(|row| *row < 1_500 && protocols[*row] != 0) {
        let hosts = [sources[row].clone(), destinations[row].clone()];
        let place = |side: usize| match protocols[row] {
            6 | 17 => ports[side][row].to_string(),
            other => format!("protocol {other}"),
        };
        let sockets = [0, 1].map(|side| format!("{} {}", hosts[side], place(side)));
        let number = numbers[row] as usize - 1;
        let keys = Keys { mac: macs[number].clone(), hosts, sockets };
        let time = (times[row] - times[0]) as f64 / 1e9;
        agree(&ours[row], &naive.row(&keys, lengths[number], time), &names, row);
    }
}

/// Source MAC and length of each frame.
fn links(path: &Path) -> (Vec<String>, Vec<f64>) {
    let mut capture = Capture::open(path).expect("a sample");
    let (mut macs, mut lengths) = (Vec::new(), Vec::new());
    while let Ok(cormorant_net::capture::Next::Frame(frame)) = capture.next() {
        macs.push(format!("{:?}", frame.data.get(6..12)));
        lengths.push(frame.wire_bytes.into());
    }
    (macs, lengths)
}

/// Many hosts in little memory: the same rows again, streams let go, and what is recent still there.
#[test]
fn little_memory_lets_the_oldest_streams_go() {
    let mut written = Vec::new();
    for turn in 0..3_000_i64 {
        let [high, low] = (turn as u16).to_be_bytes();
        let host = if turn % 2 == 0 { [10, 1, high, low] } else { [10, 0, 0, 1] };
        let data = udp(host, [10, 0, 0, 2], 1000, 53, &[0; 58]);
        written.push(Written { ts_ns: turn * 1_000, wire_bytes: data.len() as u32, data });
    }
    let runs = [0, 1].map(|_| extract(pcap(&written), "kitsune", 64 << 10));
    assert_eq!(runs[0].0, runs[1].0);
    assert_eq!(runs[0].1.streams_let_go, runs[1].1.streams_let_go);
    assert!(runs[0].1.streams_let_go > 1_000, "{}", runs[0].1.streams_let_go);
    let weights: Vec<f64> = values(&runs[0].0).iter().map(|row| row[12]).collect();
    assert!(weights.last().is_some_and(|weight| (1_499.0..=1_500.0).contains(weight)), "{weights:?}");
}

#[test]
fn columns_are_the_papers() {
    let names = features("kitsune").expect("a set");
    assert_eq!(names.len(), 100);
    for (place, name) in
        [(0, "mi_weight_l5"), (18, "hh_radius_l5"), (50, "hh_jit_weight_l5"), (99, "hphp_pcc_l0_01")]
    {
        assert_eq!(names[place], name);
    }
    let message = features("kitsune:fast").unwrap_err().to_string();
    assert!(message.contains("takes no option"), "{message}");
}
