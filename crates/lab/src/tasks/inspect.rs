//! `inspect`: what is in a capture, counted without keeping flows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cormorant_net::inspect::{Inspection, Tally, inspect};
use cormorant_net::packet::Protocol;
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
    /// `gzip` or `zstd`, when compressed.
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
    /// Earliest packet time in ns since the UNIX epoch.
    pub first_ns: Option<i64>,
    /// Latest packet time in ns since the UNIX epoch.
    pub last_ns: Option<i64>,
    /// Deepest protocol recognised in each packet, most packets first.
    pub protocols: Vec<Share>,
    /// Distinct addresses; a lower bound when `hosts_capped`.
    pub hosts: u64,
    /// Whether counting addresses stopped at its bound.
    pub hosts_capped: bool,
    /// Addresses with most bytes sent and received.
    pub talkers: Vec<Share>,
    /// Malformed packets by what is wrong with them.
    pub malformed: BTreeMap<String, u64>,
    /// Frames of link types that are not decoded, by link type.
    pub undecoded_links: BTreeMap<String, u64>,
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
}

/// A named part of a capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Protocol or address.
    pub name: String,
    /// Packets.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
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
    let interface = |interface: &cormorant_net::capture::Interface| Interface {
        link: interface.link.to_string(),
        snaplen_bytes: interface.snaplen_bytes,
        name: Some(plain(&interface.name).into_owned()).filter(|name| !name.is_empty()),
    };
    let talker = |talker: &cormorant_net::inspect::Talker| Share {
        name: talker.address.to_string(),
        packets: talker.sent_packets + talker.received_packets,
        bytes: talker.sent_bytes + talker.received_bytes,
    };
    CaptureReport {
        capture: source.name.clone(),
        format: found.format.to_owned(),
        compression: found.compression.map(str::to_owned),
        interfaces: found.interfaces.iter().map(interface).collect(),
        packets: found.packets,
        bytes: found.bytes,
        captured_bytes: found.captured_bytes,
        unread,
        packets_cut: found.cut_packets,
        packets_out_of_order: found.backward_packets,
        packets_ip: found.ip_packets,
        first_ns: found.first_ns,
        last_ns: found.last_ns,
        protocols: found.protocols.iter().map(protocol).collect(),
        hosts: found.hosts,
        hosts_capped: found.hosts_capped,
        talkers: found.talkers.iter().map(talker).collect(),
        malformed: found.malformed.iter().map(|tally| (tally.of.name().to_owned(), tally.packets)).collect(),
        undecoded_links: found
            .undecoded_links
            .iter()
            .map(|tally| (tally.of.to_string(), tally.packets))
            .collect(),
        fault: found.fault.map(|fault| fault.to_string()),
    }
}

fn protocol(tally: &Tally<Protocol>) -> Share {
    Share { name: tally.of.name().to_owned(), packets: tally.packets, bytes: tally.bytes }
}
