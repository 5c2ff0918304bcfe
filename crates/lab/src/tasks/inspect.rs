//! `inspect`: what is in a capture, counted without keeping flows.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extraction::CaptureFault;

/// What to inspect.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Capture files, directories (searched recursively), or `-` for standard input.
    pub captures: Vec<PathBuf>,
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
    /// Packets whose end a snapshot length cut off.
    pub packets_cut: u64,
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
