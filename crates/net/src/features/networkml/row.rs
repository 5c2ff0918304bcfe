//! What is kept of one host, and the row it becomes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::dissect::Seen;
use crate::features::{ColumnKind, RowField, RowWriter};

pub(super) const PRIVILEGED: [u16; 18] =
    [22, 23, 25, 53, 67, 68, 69, 80, 88, 110, 123, 137, 138, 139, 143, 161, 443, 631];
pub(super) const OTHERS: [u16; 9] = [1900, 2375, 2376, 5222, 5349, 5353, 5354, 5357, 6653];
const SLOTS: usize = PRIVILEGED.len() + OTHERS.len() + 2;
const DSFIELD: [&str; 8] = ["ecn0", "ecn1", "dscp0", "dscp1", "dscp2", "dscp3", "dscp4", "dscp5"];
const FLAGS: [&str; 9] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];
const IP_FLAGS: [&str; 3] = ["mf", "df", "reserved"];
const WHOLE: [&str; 15] = [
    "ipv4",
    "ipv6",
    "ipx",
    "nonip",
    "both_private_ip",
    "ipv4_multicast",
    "wk_ip_protocol_tcp",
    "wk_ip_protocol_udp",
    "wk_ip_protocol_icmp",
    "wk_ip_protocol_arp",
    "wk_ip_protocol_icmpv6",
    "wk_ip_protocol_gre",
    "wk_ip_protocol_esp",
    "wk_ip_protocol_ah",
    "tagged_vlan",
];
const STATISTICS: [&str; 9] = ["max", "min", "count", "total", "average", "median", "variance", "25q", "75q"];

/// The place of a port in [`PRIVILEGED`], its other ports, [`OTHERS`], and the other ports there.
fn slot(port: u16) -> usize {
    let (list, base): (&[u16], usize) =
        if port < 1024 { (&PRIVILEGED, 0) } else { (&OTHERS, PRIVILEGED.len() + 1) };
    base + list.binary_search(&port).unwrap_or(list.len())
}

fn slot_names(part: &str) -> Vec<String> {
    let named = |class: &str, list: &[u16]| {
        let ports = list.iter().map(u16::to_string).chain(["other".to_owned()]);
        ports.map(|port| format!("{class}_{part}port_{port}")).collect::<Vec<_>>()
    };
    [named("priv", &PRIVILEGED), named("nonpriv", &OTHERS)].concat()
}

/// One direction of a host.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Frames by length.
    lengths: BTreeMap<u32, u64>,
    /// Seconds, in order of arrival.
    deltas: Vec<f64>,
    last_ns: Option<i64>,
    dsfield: u8,
    ip_flags: u8,
    tcp_flags: u16,
    ports: [u32; 2],
}

/// A host of the capture or of a window.
#[derive(Debug, Default)]
pub(super) struct Host {
    pub(super) first_ns: i64,
    pub(super) last_ns: i64,
    pub(super) packets: u64,
    sides: [Side; 2],
    whole: u16,
    /// Frames by protocol and by the slot of their source and destination port.
    ratios: [[(u64, u64); SLOTS]; 2],
    pub(super) sources: BTreeSet<Option<IpAddr>>,
    pub(super) destinations: BTreeSet<Option<IpAddr>>,
}

/// A frame as a host counts it.
pub(super) struct Sample<'a> {
    pub(super) seen: &'a Seen,
    pub(super) addresses: Option<(IpAddr, IpAddr)>,
    pub(super) ts_ns: i64,
    pub(super) wire_bytes: u32,
    /// Bits of [`WHOLE`].
    pub(super) whole: u16,
    /// Since the frame before in the file; `None` to take it per host and direction.
    pub(super) delta: Option<f64>,
    pub(super) dsfield: u8,
    /// Ports that count, of TCP and UDP.
    pub(super) ports: [Option<(u16, u16)>; 2],
}

impl Host {
    /// Counts a frame the host sent or else received; bytes more that it occupies.
    pub(super) fn add(&mut self, sample: &Sample<'_>, sent: bool) -> u64 {
        if self.packets == 0 {
            self.first_ns = sample.ts_ns;
            self.last_ns = sample.ts_ns;
        }
        self.packets += 1;
        self.last_ns = self.last_ns.max(sample.ts_ns);
        self.whole |= sample.whole;
        let held = self.sources.len() + self.destinations.len();
        if sent {
            self.sources.insert(sample.addresses.map(|pair| pair.0));
            self.destinations.insert(sample.addresses.map(|pair| pair.1));
        }
        for (counts, (source, destination)) in
            self.ratios.iter_mut().zip(sample.ports).filter_map(|(c, p)| Some((c, p?)))
        {
            if let Some(count) = counts.get_mut(slot(source)) {
                count.0 += 1;
            }
            if let Some(count) = counts.get_mut(slot(destination)) {
                count.1 += 1;
            }
        }
        let addresses = self.sources.len() + self.destinations.len() - held;
        let [out, back] = &mut self.sides;
        let bytes = if sent { out.add(sample) } else { back.add(sample) };
        bytes + 48 * addresses as u64
    }

    pub(super) fn write(&self, compat: bool, row: &mut RowWriter<'_>) {
        for side in &self.sides {
            side.write(compat, row);
        }
        bits(u32::from(self.whole), WHOLE.len(), row);
        row.f64(self.last_ns as f64 / 1e9);
        for counts in &self.ratios {
            for (at, (source, destination)) in counts.iter().enumerate() {
                let other = at == PRIVILEGED.len() || at + 1 == SLOTS;
                row.f64(match (source, destination) {
                    (0, _) => 0.0,
                    (_, 0) => f64::from(u8::from(other)),
                    (source, destination) => *source as f64 / *destination as f64,
                });
            }
        }
        let counted =
            |set: &BTreeSet<Option<IpAddr>>| set.iter().filter(|ip| compat || ip.is_some()).count() as u64;
        row.u64(counted(&self.sources));
        row.u64(counted(&self.destinations));
    }
}

fn bits(value: u32, count: usize, row: &mut RowWriter<'_>) {
    for bit in 0..count {
        row.u64(u64::from(value >> bit & 1));
    }
}

impl Side {
    fn add(&mut self, sample: &Sample<'_>) -> u64 {
        let held = self.lengths.len();
        *self.lengths.entry(sample.wire_bytes).or_default() += 1;
        let since = |last: i64| sample.ts_ns.saturating_sub(last) as f64 / 1e9;
        let delta = sample.delta.or_else(|| self.last_ns.map(since));
        self.deltas.extend(delta);
        self.last_ns = Some(sample.ts_ns);
        self.dsfield |= sample.dsfield;
        self.ip_flags |= sample.seen.ip_flags;
        self.tcp_flags |= sample.seen.tcp_flags;
        for (set, (source, destination)) in
            self.ports.iter_mut().zip(sample.ports).filter_map(|(s, p)| Some((s, p?)))
        {
            *set |= 1 << slot(source.min(destination));
        }
        // A vector that grows holds up to twice its values, and they are sorted in a copy.
        32 + 32 * (self.lengths.len() - held) as u64
    }

    fn write(&self, compat: bool, row: &mut RowWriter<'_>) {
        let lengths = self.lengths.iter().map(|(length, count)| (f64::from(*length), *count));
        statistics(&lengths.collect::<Vec<_>>(), row);
        let mut deltas = self.deltas.iter().map(|delta| (*delta, 1)).collect::<Vec<_>>();
        deltas.sort_by(|a, b| a.0.total_cmp(&b.0));
        statistics(&deltas, row);
        bits(u32::from(self.dsfield), DSFIELD.len(), row);
        bits(u32::from(self.ip_flags), if compat { FLAGS.len() } else { IP_FLAGS.len() }, row);
        bits(u32::from(self.tcp_flags), FLAGS.len(), row);
        for set in self.ports {
            bits(set, SLOTS, row);
        }
    }
}

/// Writes the nine statistics of values that are sorted and have counts; all 0 without values.
fn statistics(values: &[(f64, u64)], row: &mut RowWriter<'_>) {
    let count = values.iter().map(|value| value.1).sum::<u64>();
    // From 0, where the sum of nothing would be -0.
    let total = values.iter().fold(0.0, |total, value| total + value.0 * value.1 as f64);
    let mean = if count == 0 { 0.0 } else { total / count as f64 };
    let squares = values.iter().map(|value| (value.0 - mean).powi(2) * value.1 as f64).sum::<f64>();
    row.f64(values.last().map_or(0.0, |value| value.0));
    row.f64(values.first().map_or(0.0, |value| value.0));
    row.f64(count as f64);
    row.f64(total);
    row.f64(mean);
    row.f64(quantile(values, count, 0.5));
    row.f64(if count < 2 { 0.0 } else { squares / (count - 1) as f64 });
    row.f64(quantile(values, count, 0.25));
    row.f64(quantile(values, count, 0.75));
}

fn quantile(values: &[(f64, u64)], count: u64, q: f64) -> f64 {
    let place = count.saturating_sub(1) as f64 * q;
    let (low, part) = (place.floor() as u64, place.fract());
    let (below, above) = (ranked(values, low), ranked(values, (low + 1).min(count.saturating_sub(1))));
    below + (above - below) * part
}

fn ranked(values: &[(f64, u64)], rank: u64) -> f64 {
    let mut before = 0;
    for (value, count) in values {
        before += count;
        if before > rank {
            return *value;
        }
    }
    0.0
}

const STATISTIC: &str = "Frame lengths on the wire in bytes, or seconds between frames, that the host sent (out) or received (in): maximum, minimum, count, sum, mean, median, sample variance, quartiles (linear); 0 without values. NetworkML.";
const BIT: &str = "1 if any frame of the host in this direction has the bit or port (the lower port of a frame), else 0. NetworkML.";
const ANY: &str = "1 if any frame the host sent or received is like this, else 0. NetworkML.";
const RATIO: &str = "Frames with this source port per frame with it as destination; 0 if either is missing (1 for `other` without a destination). NetworkML.";
const EPOCH: &str = "Time of the host's last frame, seconds since the UNIX epoch. NetworkML.";
const UNIQUE: &str =
    "Distinct IP addresses in frames the host sent; with `:compat`, having none counts as one. NetworkML.";

fn field(name: String, unit: &'static str, doc: &'static str, kind: ColumnKind) -> RowField {
    RowField { name, unit, doc, identity: false, kind }
}

/// The columns that [`Host::write`] writes.
pub(super) fn fields(compat: bool) -> Vec<RowField> {
    let mut fields = Vec::new();
    let flags: &[&str] = if compat { &FLAGS } else { &IP_FLAGS };
    for way in ["out", "in"] {
        for (of, unit) in [("frame_len", "bytes"), ("time_delta", "s")] {
            let named = |s: &&str| {
                field(
                    format!("{s}_{of}_{way}"),
                    if *s == "count" { "1" } else { unit },
                    STATISTIC,
                    ColumnKind::F64,
                )
            };
            fields.extend(STATISTICS.iter().map(named));
        }
        let mut names = DSFIELD.iter().map(|bit| format!("ip_dsfield_{bit}_{way}")).collect::<Vec<_>>();
        names.extend(flags.iter().map(|bit| format!("ip_flags_{bit}_{way}")));
        names.extend(FLAGS.iter().map(|bit| format!("tcp_flags_{bit}_{way}")));
        for protocol in ["tcp", "udp"] {
            names.extend(slot_names("").iter().map(|name| format!("{protocol}_{name}_{way}")));
        }
        fields.extend(names.into_iter().map(|name| field(name, "1", BIT, ColumnKind::U64)));
    }
    fields.extend(WHOLE.iter().map(|name| field((*name).to_owned(), "1", ANY, ColumnKind::U64)));
    fields.push(field("frame_epoch".to_owned(), "s", EPOCH, ColumnKind::F64));
    for protocol in ["tcp", "udp"] {
        let named = |name: &String| field(format!("{protocol}_{name}"), "1", RATIO, ColumnKind::F64);
        fields.extend(slot_names("packet_ratio_io_").iter().map(named));
    }
    fields.extend(
        ["unique_srcips", "unique_dstips"].map(|name| field(name.to_owned(), "1", UNIQUE, ColumnKind::U64)),
    );
    fields
}
