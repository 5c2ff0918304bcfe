//! `inspect`: what is in a capture, counted without keeping flows.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::PathBuf;

use cormorant_net::inspect::{self, Inspection, LENGTH_CLASSES, Stack, Tally, inspect};
use cormorant_net::packet::TunnelKind;
use serde::{Deserialize, Serialize};

use crate::extraction::CaptureFault;
use crate::plain::plain;
use crate::reading::Reading;
use crate::sources::{Source, Sources};
use crate::traffic::{Ending, Unread};
use crate::{Ctx, LabError};

/// What to inspect.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Capture files, directories (searched recursively), patterns of file names, `-` for standard input, or an
    /// interface.
    pub captures: Vec<PathBuf>,
    /// What of them is read.
    #[serde(default)]
    pub reading: Reading,
}

/// What is in the captures.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Packets of all captures.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
    /// Each capture, in the order of its path.
    pub captures: Vec<CaptureReport>,
    /// Captures that are damaged or unreadable.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// What is in one capture.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CaptureReport {
    /// Its name: the path as given, or relative to the directory that was given.
    pub capture: String,
    /// `pcap` or `pcapng`; empty when it could not be opened.
    pub format: String,
    /// `gzip`, `zstd` or `xz`, when compressed.
    pub compression: Option<String>,
    /// Its interfaces; one for pcap.
    pub interfaces: Vec<Interface>,
    /// Packets.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
    /// Bytes of these packets that were captured.
    pub captured_bytes: u64,
    /// What the packets do not include.
    #[serde(flatten)]
    pub unread: Unread,
    /// Packets whose end a snapshot length cut off.
    pub packets_cut: u64,
    /// Packets that carry an earlier time than the one before.
    pub packets_out_of_order: u64,
    /// Packets with IP addresses.
    pub packets_ip: u64,
    /// Packets that are pieces of larger ones.
    pub fragments: u64,
    /// Earliest packet time in ns since the UNIX epoch.
    pub first_ns: Option<i64>,
    /// Latest packet time in ns since the UNIX epoch.
    pub last_ns: Option<i64>,
    /// How fast packets came.
    pub rates: Rates,
    /// Packets by length on the wire.
    pub lengths: Vec<Lengths>,
    /// Deepest protocol recognised in each packet, most packets first.
    pub protocols: Vec<Share>,
    /// What lies on what: a tree in the order in which it is read.
    pub layers: Vec<Layer>,
    /// Packets in tunnels by the innermost encapsulation, most packets first.
    pub tunnels: Vec<Share>,
    /// IP packets by VLAN, those with a tag only, most packets first.
    pub vlans: Vec<Share>,
    /// Distinct addresses; a lower bound when `hosts_capped`.
    pub hosts: u64,
    /// Whether counting addresses stopped at its bound.
    pub hosts_capped: bool,
    /// Addresses with most bytes sent and received.
    pub talkers: Vec<Talker>,
    /// What checksums say, by whose they are.
    pub checksums: Vec<Checksums>,
    /// Malformed packets by what is wrong with them.
    pub malformed: BTreeMap<String, u64>,
    /// Frames of link types that are not decoded, by link type.
    pub undecoded_links: BTreeMap<String, u64>,
    /// Blocks of unknown type in a pcapng file, which were passed over.
    pub unknown_blocks: u64,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
    /// What ended the capture early, if anything.
    pub fault: Option<String>,
}

/// One capture interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Link type by name.
    pub link: String,
    /// Bytes kept per packet at most; 0 = no limit stated.
    pub snaplen_bytes: u32,
    /// Name or description, when the capture gives one.
    pub name: Option<String>,
    /// Packets captured there.
    pub packets: u64,
    /// Packets that it received by its own count, when the capture says so.
    pub received: Option<u64>,
    /// Packets that it lost.
    pub dropped_by_interface: Option<u64>,
    /// Packets that the capture lost for want of buffer space.
    pub dropped_by_capture: Option<u64>,
}

/// Packets and bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// From the first packet to the last; 0 without any.
    pub duration_s: f64,
    /// Mean of packets; `None` when no time passed.
    pub packets_per_s: Option<f64>,
    /// Mean of bits on the wire.
    pub bits_per_s: Option<f64>,
    /// Most packets in one second of the clock.
    pub busiest_packets_per_s: u64,
    /// Most bits on the wire in one second of the clock, not necessarily the same.
    pub busiest_bits_per_s: u64,
}

/// Packets of a class of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lengths {
    /// Shortest on the wire.
    pub from_bytes: u32,
    /// Longest; `None` in the last class.
    pub to_bytes: Option<u32>,
    /// Packets.
    pub packets: u64,
}

/// A node of the tree of protocols.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Layer {
    /// Link type, tunnel, IP version or protocol.
    pub name: String,
    /// 0 for link types, 1 for what they carry, and so on.
    pub depth: usize,
    /// Packets, those of deeper layers included.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
}

/// What the checksums of one protocol say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checksums {
    /// `ipv4` for that of its header, or the transport.
    pub of: String,
    /// They fit.
    pub good: u64,
    /// They do not.
    pub bad: u64,
    /// There is none, or it was left to the sender's network card.
    pub absent: u64,
    /// The packet was cut or fragmented.
    pub unchecked: u64,
}

/// A named part of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// What it is.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
}

/// A host's part of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Talker {
    /// Its address.
    pub name: String,
    /// Packets from and to it.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
    /// Packets it sent.
    pub sent_packets: u64,
    /// Bytes of these packets on the wire.
    pub sent_bytes: u64,
    /// Packets sent to it.
    pub received_packets: u64,
    /// Bytes of these packets on the wire.
    pub received_bytes: u64,
}

/// Reads every capture to its end and counts.
///
/// # Errors
/// [`LabError`] when no capture can be opened, or [`LabError::Cancelled`].
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let sources = Sources::find(&spec.captures, &spec.reading, ctx)?;
    let mut report = Report {
        packets: 0,
        bytes: 0,
        captures: Vec::new(),
        faults: Vec::new(),
        notes: sources.notes.clone(),
    };
    let mut done = 0;
    let mut unopened = 0;
    for source in &sources.captures {
        let mut watch = |consumed: u64| {
            ctx.progress("reading captures", done + consumed, sources.bytes());
            ctx.check().is_ok()
        };
        let capture = match source.open() {
            Ok(mut capture) => {
                let mut found = inspect(&mut capture, &mut watch).map_err(|_| LabError::Cancelled)?;
                let ending = Ending::of(&mut capture, found.packets);
                found.fault = found.fault.or(ending.fault);
                capture_report(source, found, ending.unread)
            }
            Err(error) if unopened + 1 == sources.captures.len() => return Err(error.into()),
            Err(error) => {
                unopened += 1;
                CaptureReport {
                    capture: source.name.clone(),
                    fault: Some(error.to_string()),
                    ..Default::default()
                }
            }
        };
        done += source.bytes;
        ctx.progress("reading captures", done, sources.bytes());
        report.add(capture);
    }
    Ok(report)
}

impl Report {
    fn add(&mut self, capture: CaptureReport) {
        self.packets += capture.packets;
        self.bytes += capture.bytes;
        if let Some(fault) = &capture.fault {
            let (capture, packets) = (capture.capture.clone(), capture.packets);
            self.faults.push(CaptureFault { capture, packets, error: fault.clone() });
        }
        self.captures.push(capture);
    }
}

fn capture_report(source: &Source, found: Inspection, unread: Unread) -> CaptureReport {
    CaptureReport {
        capture: source.name.clone(),
        format: found.format.to_owned(),
        compression: found.compression.map(str::to_owned),
        interfaces: interfaces(&found),
        packets: found.packets,
        bytes: found.bytes,
        captured_bytes: found.captured_bytes,
        unread,
        packets_cut: found.cut_packets,
        packets_out_of_order: found.backward_packets,
        packets_ip: found.ip_packets,
        fragments: found.fragments,
        first_ns: found.first_ns,
        last_ns: found.last_ns,
        rates: rates(&found),
        lengths: lengths(&found),
        protocols: found.protocols.iter().map(|tally| share(tally, tally.of.name())).collect(),
        layers: layers(&found.stacks),
        tunnels: found.tunnels.iter().map(|tally| share(tally, tally.of.name())).collect(),
        vlans: found.vlans.iter().map(|tally| share(tally, &tally.of.to_string())).collect(),
        hosts: found.hosts,
        hosts_capped: found.hosts_capped,
        talkers: found.talkers.iter().map(talker).collect(),
        checksums: found.checksums.iter().map(checksums).collect(),
        malformed: found.malformed.iter().map(|tally| (tally.of.name().to_owned(), tally.packets)).collect(),
        undecoded_links: found
            .undecoded_links
            .iter()
            .map(|tally| (tally.of.to_string(), tally.packets))
            .collect(),
        unknown_blocks: found.unknown_blocks,
        notes: notes(&found),
        fault: found.fault.map(|fault| fault.to_string()),
    }
}

fn interfaces(found: &Inspection) -> Vec<Interface> {
    let packets = found.interface_packets.iter().copied().chain(std::iter::repeat(0));
    let interface = |(interface, packets): (&cormorant_net::capture::Interface, u64)| Interface {
        link: interface.link.to_string(),
        snaplen_bytes: interface.snaplen_bytes,
        name: Some(plain(&interface.name).into_owned()).filter(|name| !name.is_empty()),
        packets,
        received: interface.counts.received,
        dropped_by_interface: interface.counts.dropped_by_interface,
        dropped_by_capture: interface.counts.dropped_by_capture,
    };
    found.interfaces.iter().zip(packets).map(interface).collect()
}

fn rates(found: &Inspection) -> Rates {
    let (first, last) = (found.first_ns.unwrap_or_default(), found.last_ns.unwrap_or_default());
    let duration_s = last.saturating_sub(first) as f64 / 1e9;
    let mean = |number: u64| (duration_s > 0.0).then(|| number as f64 / duration_s);
    Rates {
        duration_s,
        packets_per_s: mean(found.packets),
        bits_per_s: mean(found.bytes * 8),
        busiest_packets_per_s: found.busiest_packets,
        busiest_bits_per_s: found.busiest_bytes * 8,
    }
}

fn lengths(found: &Inspection) -> Vec<Lengths> {
    let starts = [0].into_iter().chain(LENGTH_CLASSES.iter().map(|most| most + 1));
    let ends = LENGTH_CLASSES.iter().copied().map(Some).chain([None]);
    let classes = starts.zip(ends).zip(&found.lengths);
    classes
        .map(|((from_bytes, to_bytes), packets)| Lengths { from_bytes, to_bytes, packets: *packets })
        .collect()
}

/// Adds up stacks from the bottom; on every level the layer with most packets comes first.
fn layers(stacks: &[Tally<Stack>]) -> Vec<Layer> {
    let mut sums: BTreeMap<Vec<&'static str>, (u64, u64)> = BTreeMap::new();
    for tally in stacks {
        let path = path(&tally.of);
        for depth in 1..=path.len() {
            let sum = sums.entry(path[..depth].to_vec()).or_default();
            *sum = (sum.0 + tally.packets, sum.1 + tally.bytes);
        }
    }
    let rank = |path: &[&'static str]| -> Vec<(Reverse<u64>, &'static str)> {
        (1..=path.len()).map(|depth| (Reverse(sums[&path[..depth]].0), path[depth - 1])).collect()
    };
    let mut paths: Vec<&[&'static str]> = sums.keys().map(Vec::as_slice).collect();
    paths.sort_by_cached_key(|path| rank(path));
    let layer = |path: &[&str]| {
        let (packets, bytes) = sums[path];
        Layer { name: path[path.len() - 1].to_owned(), depth: path.len() - 1, packets, bytes }
    };
    paths.into_iter().map(layer).collect()
}

/// From the link type up. What is damaged ends at the layer that it claims to be.
fn path(stack: &Stack) -> Vec<&'static str> {
    let version = stack.ip_version.map(|version| if version == 4 { "ipv4" } else { "ipv6" });
    let above = [stack.tunnel.map(TunnelKind::name), version, Some(stack.protocol.name())];
    let mut path = vec![stack.link.name()];
    path.extend(above.into_iter().flatten());
    path
}

fn share<T>(tally: &Tally<T>, name: &str) -> Share {
    Share { name: name.to_owned(), packets: tally.packets, bytes: tally.bytes }
}

fn talker(talker: &inspect::Talker) -> Talker {
    Talker {
        name: talker.address.to_string(),
        packets: talker.sent_packets + talker.received_packets,
        bytes: talker.sent_bytes + talker.received_bytes,
        sent_packets: talker.sent_packets,
        sent_bytes: talker.sent_bytes,
        received_packets: talker.received_packets,
        received_bytes: talker.received_bytes,
    }
}

fn checksums(verdicts: &inspect::Verdicts) -> Checksums {
    Checksums {
        of: verdicts.of.name().to_owned(),
        good: verdicts.good,
        bad: verdicts.bad,
        absent: verdicts.absent,
        unchecked: verdicts.unchecked,
    }
}

fn notes(found: &Inspection) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(host) = found.one_sender_of_bad {
        notes.push(format!(
            "every packet with a wrong checksum was sent by {host}: most likely the machine that captured, whose \
             network card computes checksums after the capture (offload), so that nothing is wrong on the wire"
        ));
    }
    if found.unknown_blocks > 0 {
        notes.push(format!("{} blocks of unknown type were passed over", found.unknown_blocks));
    }
    notes
}
