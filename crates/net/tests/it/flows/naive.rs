//! A second implementation of the flow table and of every column, written from the definitions alone: it keeps all
//! packets of a flow, scans all flows at every packet, and computes in plain loops. Slow and obvious on purpose.

use std::collections::BTreeMap;
use std::net::IpAddr;

use cormorant_net::flow::{FlowConfig, FlowRules};
use cormorant_net::packet::{Fragment, Packet, TcpFlags};

use super::{Cell, Row, cic, nfstream};
use crate::fragments::naive::Step;

/// The key of a flow: sorted endpoints, unless the message is one-way ICMP.
type Key = ((IpAddr, u16), (IpAddr, u16), u8, (u16, u32));

struct Open {
    /// Packets of this record; `true` = forward.
    packets: Vec<(Packet, bool)>,
    /// Packets of earlier records of the same flow, cut off by the active timeout.
    before: Vec<(Packet, bool)>,
    /// Clock time of each packet of this record.
    clocks_ns: Vec<i64>,
    forward: (IpAddr, u16),
    first_clock_ns: i64,
    last_clock_ns: i64,
}

/// An ended flow with its place in the order of rows.
struct Ended {
    place: (i64, u64, u64),
    reason: &'static str,
    open: Open,
}

/// The rows of these packets, computed the slow way.
pub(super) fn rows(steps: &[Step], config: &FlowConfig) -> Vec<Row> {
    flows(steps, config).iter().map(|ended| row(ended, config)).collect()
}

/// Identity and the columns of the `cic` set alone.
pub(super) fn cic_rows(steps: &[Step], config: &FlowConfig) -> Vec<Row> {
    flows(steps, config).iter().map(cic_row).collect()
}

/// Whether the flow of each row was established.
pub(super) fn established(steps: &[Step], config: &FlowConfig) -> Vec<bool> {
    flows(steps, config).iter().map(|ended| is_established(&ended.open)).collect()
}

fn flows(steps: &[Step], config: &FlowConfig) -> Vec<Ended> {
    let mut flows: BTreeMap<Key, Open> = BTreeMap::new();
    let mut ended: Vec<Ended> = Vec::new();
    for Step { clock_ns, at_packet, packet } in steps {
        let (clock_ns, at_packet) = (*clock_ns, *at_packet);
        let quiet: Vec<Key> = flows
            .iter()
            .filter(|(key, open)| deadline_ns(key, open, config) <= clock_ns)
            .map(|(key, _)| *key)
            .collect();
        for key in quiet {
            let open = flows.remove(&key).expect("just listed");
            let at_ns = deadline_ns(&key, &open, config);
            ended.push(end(open, at_ns, 0, "idle", config));
        }
        if let Some(packet) = packet {
            add(&mut flows, &mut ended, packet, (clock_ns, at_packet), config);
        }
    }
    ended.extend(flows.into_values().map(|open| end(open, i64::MAX, u64::MAX, "end", config)));
    ended.sort_by_key(|ended| ended.place);
    ended
}

fn end(open: Open, at_ns: i64, by_packet: u64, otherwise: &'static str, config: &FlowConfig) -> Ended {
    let as_said = otherwise == "active" || config.rules == FlowRules::Timeouts;
    let reason = if as_said { otherwise } else { closed(&open).unwrap_or(otherwise) };
    Ended { place: (at_ns, by_packet, open.packets[0].0.number), reason, open }
}

/// Clock time at every packet: the largest so far, except that after 64 in a row which lie more than a minute
/// behind, their course counts and goes on from there. Times beyond half the range count as half the range.
pub(super) fn clocks(times_ns: &[i64]) -> Vec<i64> {
    let mut clocks: Vec<i64> = Vec::new();
    let (mut shift, mut behind) = (0, 0);
    for ts_ns in times_ns {
        let ts_ns = (*ts_ns).clamp(-i64::MAX / 2, i64::MAX / 2) + shift;
        let before = clocks.last().copied().unwrap_or(ts_ns);
        behind = if before - ts_ns > 60_000_000_000 { behind + 1 } else { 0 };
        if behind == 64 {
            shift += before - ts_ns;
            behind = 0;
        }
        clocks.push(before.max(ts_ns));
    }
    clocks
}

fn add(
    flows: &mut BTreeMap<Key, Open>,
    ended: &mut Vec<Ended>,
    packet: &Packet,
    (clock_ns, at_packet): (i64, u64),
    config: &FlowConfig,
) {
    let key = key(packet);
    let sender = (packet.source, packet.source_port);
    let mut before = Vec::new();
    let timeouts = config.rules == FlowRules::Timeouts;
    let mut forward =
        if is_answer(packet) && !timeouts { (packet.destination, packet.destination_port) } else { sender };
    if let Some(open) = flows.get(&key) {
        let reopened = is_fresh_syn(open, packet) && !timeouts;
        let aged = if timeouts {
            milliseconds(clock_ns) - milliseconds(open.first_clock_ns) >= whole_milliseconds(config.active_ns)
        } else {
            clock_ns - open.first_clock_ns >= config.active_ns
        };
        if reopened || aged {
            let open = flows.remove(&key).expect("just found");
            if !reopened && !timeouts {
                before = [open.before.clone(), open.packets.clone()].concat();
                forward = open.forward;
            }
            ended.push(end(open, clock_ns, at_packet, if reopened { "reused" } else { "active" }, config));
        }
    }
    let open = flows.entry(key).or_insert_with(|| Open {
        packets: Vec::new(),
        before,
        clocks_ns: Vec::new(),
        forward,
        first_clock_ns: clock_ns,
        last_clock_ns: clock_ns,
    });
    // Both endpoints can be the same; then everything is forward.
    open.packets.push((*packet, sender == open.forward));
    open.clocks_ns.push(clock_ns);
    open.last_clock_ns = clock_ns;
}

fn key(packet: &Packet) -> Key {
    let source = (packet.source, packet.source_port);
    let destination = (packet.destination, packet.destination_port);
    let answered: &[u16] = match packet.protocol {
        1 => &[0, 8, 9, 10, 13, 14, 15, 16, 17, 18],
        58 => &[128, 129, 130, 131, 133, 134, 135, 136, 139, 140, 144, 145],
        _ => &[],
    };
    let one_way = matches!(packet.protocol, 1 | 58) && !answered.contains(&packet.source_port);
    if one_way || source <= destination {
        (source, destination, packet.protocol, (packet.vlan, packet.network))
    } else {
        (destination, source, packet.protocol, (packet.vlan, packet.network))
    }
}

fn flags(packet: &Packet) -> TcpFlags {
    packet.tcp.map_or(TcpFlags::ACK, |tcp| tcp.flags)
}

fn has(packet: &Packet, flag: TcpFlags) -> bool {
    packet.tcp.is_some_and(|tcp| tcp.flags.contains(flag))
}

/// How the connection closed in this record.
fn closed(open: &Open) -> Option<&'static str> {
    let fins = |upto: usize, forward: bool| {
        open.before
            .iter()
            .chain(&open.packets[..=upto])
            .any(|(packet, f)| *f == forward && has(packet, TcpFlags::FIN) && !has(packet, TcpFlags::RST))
    };
    open.packets.iter().enumerate().find_map(|(at, (packet, _))| {
        if has(packet, TcpFlags::RST) {
            Some("rst")
        } else if has(packet, TcpFlags::FIN) && fins(at, true) && fins(at, false) {
            Some("fin")
        } else {
            None
        }
    })
}

/// A SYN-ACK: its receiver asked for it.
fn is_answer(packet: &Packet) -> bool {
    has(packet, TcpFlags::SYN) && has(packet, TcpFlags::ACK) && !has(packet, TcpFlags::RST)
}

/// Whether a packet is a SYN with another number than its sender began with.
fn is_fresh_syn(open: &Open, packet: &Packet) -> bool {
    let opening = has(packet, TcpFlags::SYN) && !has(packet, TcpFlags::ACK) && !has(packet, TcpFlags::RST);
    let forward = (packet.source, packet.source_port) == open.forward;
    let first = open.before.iter().chain(&open.packets).find_map(|(packet, f)| {
        let tcp = packet.tcp?;
        match (*f == forward, has(packet, TcpFlags::SYN), has(packet, TcpFlags::ACK)) {
            (true, true, _) => Some(tcp.seq),
            (true, false, _) => Some(tcp.seq.wrapping_sub(1)),
            (false, _, true) => Some(tcp.ack.wrapping_sub(1)),
            (false, _, false) => None,
        }
    });
    let other = first.map_or(closed(open).is_some(), |first| packet.tcp.is_some_and(|tcp| tcp.seq != first));
    opening && other
}

/// Whether a packet answers an earlier one of the other side.
fn is_established(open: &Open) -> bool {
    let all: Vec<&(Packet, bool)> = open.before.iter().chain(&open.packets).collect();
    all.iter().enumerate().any(|(at, (packet, forward))| {
        let flags = flags(packet);
        let heard =
            all[..at].iter().any(|(earlier, direction)| direction != forward && !has(earlier, TcpFlags::RST));
        heard
            && flags.contains(TcpFlags::ACK)
            && !flags.intersects(TcpFlags::SYN)
            && !flags.intersects(TcpFlags::RST)
    })
}

/// Whole milliseconds that have passed.
pub(super) fn milliseconds(clock_ns: i64) -> i64 {
    clock_ns.div_euclid(1_000_000)
}

/// A timeout in milliseconds, a part of one counted as one.
fn whole_milliseconds(timeout_ns: i64) -> i64 {
    timeout_ns / 1_000_000 + i64::from(timeout_ns % 1_000_000 > 0)
}

fn deadline_ns(key: &Key, open: &Open, config: &FlowConfig) -> i64 {
    if config.rules == FlowRules::Timeouts {
        return (milliseconds(open.last_clock_ns) + whole_milliseconds(config.idle_ns)) * 1_000_000;
    }
    let timeout_ns = if closed(open).is_some() {
        config.close_delay_ns
    } else if key.2 == 6 && !is_established(open) {
        config.half_open_ns
    } else {
        config.idle_ns
    };
    open.last_clock_ns + timeout_ns.min(config.idle_ns)
}

// Columns

fn row(ended: &Ended, config: &FlowConfig) -> Row {
    let packets = &ended.open.packets;
    let all: Vec<&Packet> = packets.iter().map(|(packet, _)| packet).collect();
    let fwd: Vec<&Packet> = packets.iter().filter(|(_, f)| *f).map(|(packet, _)| packet).collect();
    let bwd: Vec<&Packet> = packets.iter().filter(|(_, f)| !*f).map(|(packet, _)| packet).collect();
    let mut row = Row::new();
    identity(&mut row, ended, &all);
    volume(&mut row, &all, &fwd, &bwd);
    statistics(
        &mut row,
        "size",
        "_bytes",
        &all,
        &fwd,
        &bwd,
        |side| side.iter().map(|p| i128::from(p.ip_bytes)).collect(),
        1.0,
    );
    statistics(&mut row, "iat", "_s", &all, &fwd, &bwd, gaps, 1e9);
    payload(&mut row, packets, &fwd, &bwd);
    periods(&mut row, &all);
    tcp(&mut row, packets, &fwd, &bwd);
    row.insert("closed_by_fin".into(), int(closed(&ended.open) == Some("fin")));
    row.insert("closed_by_rst".into(), int(closed(&ended.open) == Some("rst")));
    if config.rules == FlowRules::Timeouts {
        nfstream::columns(&mut row, packets, &ended.open.clocks_ns);
    } else {
        splt(&mut row, packets);
    }
    row.extend(cic::columns(packets));
    row
}

fn cic_row(ended: &Ended) -> Row {
    let packets = &ended.open.packets;
    let mut row = Row::new();
    identity(&mut row, ended, &packets.iter().map(|(packet, _)| packet).collect::<Vec<_>>());
    row.retain(|name, _| !name.starts_with("is_"));
    row.extend(cic::columns(packets));
    row
}

fn int(value: impl Into<i128>) -> Cell {
    Cell::Integer(value.into())
}

fn count(side: &[&Packet], test: impl Fn(&Packet) -> bool) -> Cell {
    Cell::Integer(side.iter().filter(|packet| test(packet)).count() as i128)
}

fn sum(side: &[&Packet], value: impl Fn(&Packet) -> u32) -> i128 {
    side.iter().map(|packet| i128::from(value(packet))).sum()
}

fn share(part: i128, whole: i128) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Times of packets, none earlier than the one before it.
fn times(side: &[&Packet]) -> Vec<i64> {
    let mut latest = i64::MIN;
    side.iter()
        .map(|packet| {
            latest = latest.max(packet.ts_ns);
            latest
        })
        .collect()
}

fn gaps(side: &[&Packet]) -> Vec<i128> {
    times(side).windows(2).map(|pair| i128::from(pair[1] - pair[0])).collect()
}

pub(super) fn mean(values: &[i128]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<i128>() as f64 / values.len() as f64 }
}

/// Sample standard deviation in two passes, relative to the first value.
pub(super) fn std(values: &[i128]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let shifted: Vec<f64> = values.iter().map(|value| (value - values[0]) as f64).collect();
    let mean = shifted.iter().sum::<f64>() / shifted.len() as f64;
    let squares: f64 = shifted.iter().map(|value| (value - mean) * (value - mean)).sum();
    (squares / (shifted.len() - 1) as f64).sqrt()
}

fn identity(row: &mut Row, ended: &Ended, all: &[&Packet]) {
    let first = all[0];
    let forward = ended.open.forward;
    let backward = if forward == (first.source, first.source_port) {
        (first.destination, first.destination_port)
    } else {
        (first.source, first.source_port)
    };
    row.insert("source".into(), Cell::Text(forward.0.to_string()));
    row.insert("destination".into(), Cell::Text(backward.0.to_string()));
    row.insert("source_port".into(), int(forward.1));
    row.insert("destination_port".into(), int(backward.1));
    row.insert("protocol".into(), int(first.protocol));
    row.insert("vlan".into(), int(first.vlan));
    row.insert("first_ns".into(), int(first.ts_ns));
    row.insert("last_ns".into(), int(times(all)[all.len() - 1]));
    row.insert("first_packet".into(), int(first.number));
    row.insert("last_packet".into(), int(all.iter().map(|packet| packet.number).max().unwrap_or_default()));
    row.insert("first_offset".into(), int(first.offset));
    row.insert("expiry_reason".into(), Cell::Text(ended.reason.into()));
    row.insert("is_tcp".into(), int(first.protocol == 6));
    row.insert("is_udp".into(), int(first.protocol == 17));
    row.insert("is_icmp".into(), int(first.protocol == 1 || first.protocol == 58));
}

fn volume(row: &mut Row, all: &[&Packet], fwd: &[&Packet], bwd: &[&Packet]) {
    let times = times(all);
    let duration_s = (times[times.len() - 1] - times[0]) as f64 / 1e9;
    let rate = |amount: i128| if duration_s == 0.0 { 0.0 } else { amount as f64 / duration_s };
    row.insert("duration_s".into(), Cell::Float(duration_s));
    row.insert("packets_per_s".into(), Cell::Float(rate(all.len() as i128)));
    let bytes = |side: &[&Packet]| sum(side, |packet| packet.ip_bytes);
    for (prefix, side) in [("", all), ("fwd_", fwd), ("bwd_", bwd)] {
        row.insert(format!("{prefix}packets"), Cell::Integer(side.len() as i128));
        row.insert(format!("{prefix}bytes"), Cell::Integer(bytes(side)));
        row.insert(format!("{prefix}bytes_per_s"), Cell::Float(rate(bytes(side))));
    }
    for (prefix, side) in [("fwd_", fwd), ("bwd_", bwd)] {
        let packets = side.len() as i128;
        let part = |test: fn(&&&Packet) -> bool| share(side.iter().filter(test).count() as i128, packets);
        row.insert(format!("{prefix}payload_bytes"), Cell::Integer(sum(side, |packet| packet.payload_bytes)));
        row.insert(
            format!("{prefix}header_bytes"),
            Cell::Integer(sum(side, |packet| packet.header_bytes.into())),
        );
        row.insert(format!("{prefix}small_share"), Cell::Float(part(|packet| packet.ip_bytes < 128)));
        row.insert(format!("{prefix}large_share"), Cell::Float(part(|packet| packet.ip_bytes >= 1200)));
        row.insert(format!("{prefix}empty_share"), Cell::Float(part(|packet| packet.payload_bytes == 0)));
    }
    let asymmetry = |f: i128, b: i128| share(f - b, f + b);
    let (packets, sizes) = ((fwd.len() as i128, bwd.len() as i128), (bytes(fwd), bytes(bwd)));
    row.insert("packet_asymmetry".into(), Cell::Float(asymmetry(packets.0, packets.1)));
    row.insert("byte_asymmetry".into(), Cell::Float(asymmetry(sizes.0, sizes.1)));
    row.insert("fragments".into(), count(all, |packet| packet.fragment != Fragment::None));
}

#[expect(clippy::too_many_arguments, reason = "one table of columns")]
fn statistics(
    row: &mut Row,
    name: &str,
    unit: &str,
    all: &[&Packet],
    fwd: &[&Packet],
    bwd: &[&Packet],
    values: fn(&[&Packet]) -> Vec<i128>,
    scale: f64,
) {
    for (prefix, side) in [("", all), ("fwd_", fwd), ("bwd_", bwd)] {
        let values = values(side);
        let least = values.iter().min().copied().unwrap_or(0) as f64;
        let most = values.iter().max().copied().unwrap_or(0) as f64;
        row.insert(format!("{prefix}{name}_min{unit}"), Cell::Float(least / scale));
        row.insert(format!("{prefix}{name}_mean{unit}"), Cell::Float(mean(&values) / scale));
        row.insert(format!("{prefix}{name}_std{unit}"), Cell::Float(std(&values) / scale));
        row.insert(format!("{prefix}{name}_max{unit}"), Cell::Float(most / scale));
    }
}

fn payload(row: &mut Row, packets: &[(Packet, bool)], fwd: &[&Packet], bwd: &[&Packet]) {
    for (prefix, side) in [("fwd_", fwd), ("bwd_", bwd)] {
        let sizes: Vec<i128> =
            side.iter().map(|packet| i128::from(packet.payload_bytes)).filter(|bytes| *bytes > 0).collect();
        let most = sizes.iter().max().copied().unwrap_or(0);
        row.insert(format!("{prefix}payload_packets"), Cell::Integer(sizes.len() as i128));
        row.insert(format!("{prefix}payload_mean_bytes"), Cell::Float(mean(&sizes)));
        row.insert(format!("{prefix}payload_std_bytes"), Cell::Float(std(&sizes)));
        row.insert(format!("{prefix}payload_max_bytes"), Cell::Float(most as f64));
        row.insert(
            format!("{prefix}first_payload_bytes"),
            Cell::Integer(sizes.first().copied().unwrap_or(0)),
        );
    }
    let carrying: Vec<&(Packet, bool)> =
        packets.iter().filter(|(packet, _)| packet.payload_bytes > 0).collect();
    let turns = carrying.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    row.insert("turns".into(), Cell::Integer(turns as i128));
    let answer = carrying.iter().find(|(_, forward)| *forward != carrying[0].1);
    let response = answer.map_or(f64::NAN, |(packet, _)| elapsed_s(carrying[0].0.ts_ns, packet.ts_ns));
    row.insert("response_s".into(), Cell::Float(response));
}

fn elapsed_s(from_ns: i64, to_ns: i64) -> f64 {
    (to_ns - from_ns).max(0) as f64 / 1e9
}

/// Runs of packets whose gaps are at most `gap_ns`: the index of the first packet of each, and one past the end.
fn runs(times: &[i64], gap_ns: i64) -> Vec<(usize, usize)> {
    let mut starts = vec![0];
    starts.extend((1..times.len()).filter(|&at| times[at] - times[at - 1] > gap_ns));
    let ends = starts.iter().skip(1).copied().chain([times.len()]);
    starts.iter().copied().zip(ends).collect()
}

fn periods(row: &mut Row, all: &[&Packet]) {
    let times = times(all);
    let lengths: Vec<i128> = runs(&times, 5_000_000_000)
        .iter()
        .map(|&(from, to)| i128::from(times[to - 1] - times[from]))
        .collect();
    let idle: Vec<i128> = gaps(all).into_iter().filter(|gap| *gap > 5_000_000_000).collect();
    let most = |values: &[i128]| values.iter().max().copied().unwrap_or(0) as f64;
    row.insert("active_mean_s".into(), Cell::Float(mean(&lengths) / 1e9));
    row.insert("active_std_s".into(), Cell::Float(std(&lengths) / 1e9));
    row.insert("active_max_s".into(), Cell::Float(most(&lengths) / 1e9));
    row.insert("idle_periods".into(), Cell::Integer(idle.len() as i128));
    row.insert("idle_min_s".into(), Cell::Float(idle.iter().min().copied().unwrap_or(0) as f64 / 1e9));
    row.insert("idle_mean_s".into(), Cell::Float(mean(&idle) / 1e9));
    row.insert("idle_std_s".into(), Cell::Float(std(&idle) / 1e9));
    row.insert("idle_max_s".into(), Cell::Float(most(&idle) / 1e9));
    let bursts = runs(&times, 1_000_000_000);
    let heaviest = bursts.iter().map(|&(from, to)| sum(&all[from..to], |packet| packet.ip_bytes)).max();
    row.insert("bursts".into(), Cell::Integer(bursts.len() as i128));
    row.insert("burst_packets_mean".into(), Cell::Float(all.len() as f64 / bursts.len() as f64));
    row.insert("burst_bytes_max".into(), Cell::Integer(heaviest.unwrap_or(0)));
}

fn tcp(row: &mut Row, packets: &[(Packet, bool)], fwd: &[&Packet], bwd: &[&Packet]) {
    let all: Vec<&Packet> = packets.iter().map(|(packet, _)| packet).collect();
    for (prefix, side) in [("fwd_", fwd), ("bwd_", bwd)] {
        for (name, flag) in
            [("syn", TcpFlags::SYN), ("fin", TcpFlags::FIN), ("rst", TcpFlags::RST), ("psh", TcpFlags::PSH)]
        {
            row.insert(format!("{prefix}{name}"), count(side, |packet| has(packet, flag)));
        }
        let special = TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        let windows = |plain: bool| -> Vec<u16> {
            let segments = side.iter().filter_map(|packet| packet.tcp);
            segments.filter(|tcp| !plain || !tcp.flags.intersects(special)).map(|tcp| tcp.window).collect()
        };
        let float = |window: Option<&u16>| Cell::Float(window.map_or(f64::NAN, |window| f64::from(*window)));
        row.insert(format!("{prefix}window_first"), float(windows(false).first()));
        row.insert(format!("{prefix}window_min"), float(windows(true).iter().min()));
        let zero = windows(true).iter().filter(|window| **window == 0).count();
        row.insert(format!("{prefix}zero_windows"), Cell::Integer(zero as i128));
    }
    sequences(row, packets);
    for (name, flag) in [("urg", TcpFlags::URG), ("ece", TcpFlags::ECE), ("cwr", TcpFlags::CWR)] {
        row.insert(name.into(), count(&all, |packet| has(packet, flag)));
    }
    handshake(row, packets);
}

/// What is known of one direction's sequence, with numbers that do not wrap.
#[derive(Clone, Default)]
struct Sent {
    /// One past the highest number; `None` before the first segment.
    next: Option<i64>,
    missing: Vec<(i64, i64)>,
    ack: u32,
    window: u16,
    asked: bool,
}

/// Counts every segment as the one thing it is.
fn sequences(row: &mut Row, packets: &[(Packet, bool)]) {
    let kinds = ["retransmissions", "out_of_order", "gaps", "duplicate_acks"];
    let mut counts: BTreeMap<String, i128> = BTreeMap::new();
    counts.extend(kinds.iter().flat_map(|kind| [(format!("fwd_{kind}"), 0), (format!("bwd_{kind}"), 0)]));
    counts.extend([("keep_alives".to_owned(), 0), ("window_probes".to_owned(), 0)]);
    let mut sent = [Sent::default(), Sent::default()];
    for (packet, forward) in packets.iter().filter(|(packet, _)| packet.tcp.is_some()) {
        if has(packet, TcpFlags::RST) {
            continue;
        }
        let (own, other) = if *forward { (0, 1) } else { (1, 0) };
        if packet.fragment != Fragment::None {
            sent[own] = Sent::default();
            continue;
        }
        let peer = sent[other].clone();
        let kind = kind(&mut sent[own], &peer, packet);
        let both = kind == "keep_alives" || kind == "window_probes";
        let prefix = if both { "" } else { ["fwd_", "bwd_"][own] };
        counts.entry(format!("{prefix}{kind}")).and_modify(|count| *count += 1);
        let tcp = packet.tcp.expect("filtered");
        (sent[own].ack, sent[own].window, sent[own].asked) = (tcp.ack, tcp.window, both);
    }
    row.extend(counts.into_iter().map(|(name, count)| (name, Cell::Integer(count))));
}

fn kind(own: &mut Sent, peer: &Sent, packet: &Packet) -> &'static str {
    let tcp = packet.tcp.expect("filtered");
    let plain = !has(packet, TcpFlags::SYN) && !has(packet, TcpFlags::FIN);
    let marks = i64::from(has(packet, TcpFlags::SYN)) + i64::from(has(packet, TcpFlags::FIN));
    let length = i64::from(packet.payload_bytes) + marks;
    let Some(next) = own.next else {
        own.next = Some(i64::from(tcp.seq) + length);
        return "nothing";
    };
    let start = next + wrapped(i64::from(tcp.seq) - next);
    let end = start + length;
    let news: i64 = own.missing.iter().map(|(from, to)| (*to.min(&end) - *from.max(&start)).max(0)).sum();
    let kind = match () {
        () if plain && length == 1 && start == next && peer.next.is_some() && peer.window == 0 => {
            "window_probes"
        }
        () if plain && length <= 1 && start == next - 1 => "keep_alives",
        () if start > next => "gaps",
        () if start < next && news > 0 => "out_of_order",
        () if start < next && length > 0 => "retransmissions",
        () if start == next && plain && length == 0 && !peer.asked && repeats_ack(own, packet) => {
            "duplicate_acks"
        }
        () => "nothing",
    };
    if kind == "window_probes" || kind == "keep_alives" {
        return kind;
    }
    if length > 0 {
        let rest = |&(from, to): &(i64, i64)| [(from, to.min(start)), (from.max(end), to)];
        own.missing = own.missing.iter().flat_map(rest).filter(|(from, to)| from < to).collect();
    }
    if start > next {
        own.missing.push((next, start));
    }
    own.next = Some(next.max(end));
    let too_far = next.max(end) - (1 << 30);
    own.missing.retain(|(from, _)| *from >= too_far);
    own.missing.drain(..own.missing.len().saturating_sub(3));
    kind
}

fn repeats_ack(own: &Sent, packet: &Packet) -> bool {
    let tcp = packet.tcp.expect("filtered");
    has(packet, TcpFlags::ACK) && (own.ack, own.window) == (tcp.ack, tcp.window) && tcp.window != 0
}

fn wrapped(distance: i64) -> i64 {
    (distance + (1 << 31)).rem_euclid(1 << 32) - (1 << 31)
}

fn handshake(row: &mut Row, packets: &[(Packet, bool)]) {
    let find = |from: usize, forward: bool, syn: bool, ack: bool| {
        (from..packets.len()).find(|&at| {
            let (packet, f) = &packets[at];
            *f == forward
                && packet.tcp.is_some()
                && has(packet, TcpFlags::SYN) == syn
                && has(packet, TcpFlags::ACK) == ack
                && (syn || !has(packet, TcpFlags::RST))
        })
    };
    let syn = find(0, true, true, false);
    let answer = syn.and_then(|at| find(at, false, true, true));
    let done = answer.and_then(|at| find(at, true, false, true));
    let since = |at: Option<usize>| match (syn, at) {
        (Some(syn), Some(at)) => elapsed_s(packets[syn].0.ts_ns, packets[at].0.ts_ns),
        _ => f64::NAN,
    };
    row.insert("handshake".into(), int(done.is_some()));
    row.insert("syn_ack_s".into(), Cell::Float(since(answer)));
    row.insert("handshake_s".into(), Cell::Float(since(done)));
}

fn splt(row: &mut Row, packets: &[(Packet, bool)]) {
    let carrying: Vec<&(Packet, bool)> =
        packets.iter().filter(|(packet, _)| packet.payload_bytes > 0).take(20).collect();
    let times = times(&carrying.iter().map(|(packet, _)| packet).collect::<Vec<_>>());
    for at in 0..20 {
        let packet = carrying.get(at);
        let direction = packet.map_or(0, |(_, forward)| if *forward { 1 } else { -1 });
        let gap_ns = if at > 0 && at < times.len() { times[at] - times[at - 1] } else { 0 };
        row.insert(
            format!("splt_bytes_{}", at + 1),
            Cell::Integer(packet.map_or(0, |(p, _)| p.payload_bytes.into())),
        );
        row.insert(format!("splt_direction_{}", at + 1), Cell::Integer(direction));
        row.insert(format!("splt_iat_s_{}", at + 1), Cell::Float(gap_ns as f64 / 1e9));
    }
}
