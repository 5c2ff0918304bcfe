//! Says what a capture holds without building flows: counts by protocol, hosts, time range, and what was wrong.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::NetError;
use crate::capture::{Capture, Frame, Interface, LinkType, Next};
use crate::packet::{self, Fault, Fragment, Protocol};

/// Hosts told apart; later ones are only counted as packets.
pub const MAX_HOSTS: usize = 65_536;
/// Talkers listed.
const TOP_TALKERS: usize = 10;
/// Packets between two calls of the progress callback.
const WATCH_EVERY: u64 = 8_192;

/// What a capture holds.
#[derive(Debug)]
pub struct Inspection {
    /// `pcap` or `pcapng`.
    pub format: &'static str,
    /// `gzip`, `zstd` or `xz`, when the file is compressed.
    pub compression: Option<&'static str>,
    /// Where the frames were captured.
    pub interfaces: Vec<Interface>,
    /// Frames in the capture.
    pub packets: u64,
    /// Frames that the capture's filter passed over; they are in no other count.
    pub packets_filtered: u64,
    /// Length of the frames on the wire.
    pub bytes: u64,
    /// Captured part of it.
    pub captured_bytes: u64,
    /// Frames of which a snapshot length cut the end.
    pub cut_packets: u64,
    /// Earliest time stamp, nanoseconds since the UNIX epoch; `None` without packets.
    pub first_ns: Option<i64>,
    /// Latest time stamp.
    pub last_ns: Option<i64>,
    /// Frames with an earlier time stamp than the frame before.
    pub backward_packets: u64,
    /// Frames with IP addresses.
    pub ip_packets: u64,
    /// Pieces of fragmented IP packets.
    pub fragments: u64,
    /// By link type, most packets first.
    pub links: Vec<Tally<LinkType>>,
    /// Link types that are not decoded, most packets first.
    pub undecoded_links: Vec<Tally<LinkType>>,
    /// By deepest protocol recognised, most packets first.
    pub protocols: Vec<Tally<Protocol>>,
    /// What was wrong inside frames, most packets first; without [`Fault::UndecodedLink`], which is no failure.
    pub malformed: Vec<Tally<Fault>>,
    /// Distinct IP addresses; a lower bound when `hosts_capped`.
    pub hosts: u64,
    /// There are more than [`MAX_HOSTS`] hosts: those that came later are in no list.
    pub hosts_capped: bool,
    /// Hosts by bytes sent and received, most first, at most ten.
    pub talkers: Vec<Talker>,
    /// What ended the capture before its end.
    pub fault: Option<NetError>,
}

/// Packets and bytes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally<T> {
    /// What was counted.
    pub of: T,
    /// Frames.
    pub packets: u64,
    /// Their length on the wire.
    pub bytes: u64,
}

/// One host's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talker {
    /// Its address.
    pub address: IpAddr,
    /// Frames it sent.
    pub sent_packets: u64,
    /// Their length on the wire.
    pub sent_bytes: u64,
    /// Frames sent to it.
    pub received_packets: u64,
    /// Their length on the wire.
    pub received_bytes: u64,
}

/// Reads a capture to its end. `watch` gets [`Capture::consumed_bytes`] from time to time and stops the reading
/// by returning false. Damage is no error here: it is part of the answer.
///
/// # Errors
/// [`NetError::Cancelled`] when `watch` said so.
pub fn inspect(capture: &mut Capture, watch: &mut dyn FnMut(u64) -> bool) -> Result<Inspection, NetError> {
    let mut counts = Counts::default();
    let fault = loop {
        let look = match capture.next() {
            Ok(Next::Frame(frame)) => {
                counts.add(&frame);
                counts.packets.is_multiple_of(WATCH_EVERY)
            }
            Ok(Next::Quiet) => true,
            Ok(Next::End) => break None,
            Err(fault) => break Some(fault),
        };
        if look && !watch(capture.consumed_bytes()) {
            return Err(NetError::Cancelled { name: capture.name().to_owned(), packets: counts.packets });
        }
    };
    Ok(counts.conclude(capture, fault))
}

#[derive(Default)]
struct Counts {
    packets: u64,
    bytes: u64,
    captured_bytes: u64,
    cut_packets: u64,
    times: Option<(i64, i64)>,
    previous_ns: Option<i64>,
    backward_packets: u64,
    ip_packets: u64,
    fragments: u64,
    links: BTreeMap<LinkType, (u64, u64)>,
    undecoded_links: BTreeMap<LinkType, (u64, u64)>,
    protocols: BTreeMap<Protocol, (u64, u64)>,
    malformed: BTreeMap<Fault, (u64, u64)>,
    hosts: HashMap<IpAddr, Talker>,
    hosts_capped: bool,
}

impl Counts {
    fn add(&mut self, frame: &Frame<'_>) {
        let bytes = u64::from(frame.wire_bytes);
        self.packets += 1;
        self.bytes += bytes;
        self.captured_bytes += frame.data.len() as u64;
        self.cut_packets += u64::from(frame.data.len() < frame.wire_bytes as usize);
        self.add_time(frame.ts_ns);
        let decoded = packet::decode(frame);
        count(&mut self.links, frame.link, bytes);
        count(&mut self.protocols, decoded.protocol, bytes);
        match decoded.fault {
            None => {}
            Some(Fault::UndecodedLink) => count(&mut self.undecoded_links, frame.link, bytes),
            Some(fault) => count(&mut self.malformed, fault, bytes),
        }
        if let Some(packet) = decoded.packet {
            self.ip_packets += 1;
            self.fragments += u64::from(packet.fragment != Fragment::None);
            if let Some(sender) = self.host(packet.source) {
                sender.sent_packets += 1;
                sender.sent_bytes += bytes;
            }
            if let Some(receiver) = self.host(packet.destination) {
                receiver.received_packets += 1;
                receiver.received_bytes += bytes;
            }
        }
    }

    fn add_time(&mut self, ts_ns: i64) {
        self.backward_packets += u64::from(self.previous_ns.is_some_and(|previous| ts_ns < previous));
        self.previous_ns = Some(ts_ns);
        let (first, last) = self.times.unwrap_or((ts_ns, ts_ns));
        self.times = Some((first.min(ts_ns), last.max(ts_ns)));
    }

    fn host(&mut self, address: IpAddr) -> Option<&mut Talker> {
        if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&address) {
            self.hosts_capped = true;
            return None;
        }
        let new = Talker { address, sent_packets: 0, sent_bytes: 0, received_packets: 0, received_bytes: 0 };
        Some(self.hosts.entry(address).or_insert(new))
    }

    fn conclude(self, capture: &Capture, fault: Option<NetError>) -> Inspection {
        Inspection {
            format: capture.format(),
            compression: capture.compression(),
            interfaces: capture.interfaces().to_vec(),
            packets: self.packets,
            packets_filtered: capture.filtered(),
            bytes: self.bytes,
            captured_bytes: self.captured_bytes,
            cut_packets: self.cut_packets,
            first_ns: self.times.map(|times| times.0),
            last_ns: self.times.map(|times| times.1),
            backward_packets: self.backward_packets,
            ip_packets: self.ip_packets,
            fragments: self.fragments,
            links: ranked(self.links),
            undecoded_links: ranked(self.undecoded_links),
            protocols: ranked(self.protocols),
            malformed: ranked(self.malformed),
            hosts: self.hosts.len() as u64,
            hosts_capped: self.hosts_capped,
            talkers: top_talkers(self.hosts),
            fault,
        }
    }
}

fn count<T: Ord>(tallies: &mut BTreeMap<T, (u64, u64)>, of: T, bytes: u64) {
    let (packets, total) = tallies.entry(of).or_default();
    *packets += 1;
    *total += bytes;
}

fn ranked<T>(tallies: BTreeMap<T, (u64, u64)>) -> Vec<Tally<T>> {
    let mut ranked: Vec<_> =
        tallies.into_iter().map(|(of, (packets, bytes))| Tally { of, packets, bytes }).collect();
    ranked.sort_by_key(|tally| std::cmp::Reverse(tally.packets));
    ranked
}

fn top_talkers(hosts: HashMap<IpAddr, Talker>) -> Vec<Talker> {
    let mut talkers: Vec<_> = hosts.into_values().collect();
    talkers.sort_unstable_by_key(|host| {
        (std::cmp::Reverse(host.sent_bytes + host.received_bytes), host.address)
    });
    talkers.truncate(TOP_TALKERS);
    talkers
}
