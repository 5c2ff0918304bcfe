//! Says what a capture holds without building flows: counts by protocol, hosts, time range, and what was wrong.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hashbrown::HashMap;

use crate::NetError;
use crate::capture::{Capture, Frame, Interface, LinkType, Next};
use crate::packet::checksum::{self, Checksum};
use crate::packet::{self, Decoded, Fault, Fragment, Packet, Protocol, TunnelKind};

/// Hosts told apart; later ones are only counted as packets.
pub const MAX_HOSTS: usize = 65_536;
/// Talkers listed.
const TOP_TALKERS: usize = 10;
/// Seconds that are counted at a time; frames that come later than this many busy seconds start theirs anew.
const OPEN_SECONDS: usize = 4_096;
/// Upper bounds of the classes of frame length on the wire, those of tshark's `plen` statistics; the last is open.
pub const LENGTH_CLASSES: [u32; 9] = [19, 39, 79, 159, 319, 639, 1_279, 2_559, 5_119];
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
    /// Frames by length on the wire: up to each of [`LENGTH_CLASSES`], and beyond the last.
    pub lengths: [u64; LENGTH_CLASSES.len() + 1],
    /// Most frames within a second of the clock.
    pub busiest_packets: u64,
    /// Most bytes on the wire within a second of the clock, not necessarily the same.
    pub busiest_bytes: u64,
    /// pcapng blocks of unknown type, which were passed over.
    pub unknown_blocks: u64,
    /// Frames of each of the interfaces.
    pub interface_packets: Vec<u64>,
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
    /// By what lies on what, most packets first: their sums make up any tree of protocols.
    pub stacks: Vec<Tally<Stack>>,
    /// By the innermost encapsulation, most packets first.
    pub tunnels: Vec<Tally<TunnelKind>>,
    /// IP packets by VLAN, those with a tag only, most packets first.
    pub vlans: Vec<Tally<u16>>,
    /// Verdicts on checksums by the protocol that carries them.
    pub checksums: Vec<Verdicts>,
    /// The host that sent every packet with a wrong checksum, when it was one: mostly the capturing machine itself.
    pub one_sender_of_bad: Option<IpAddr>,
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

/// What a frame was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stack {
    /// What it started with.
    pub link: LinkType,
    /// The innermost encapsulation, if any.
    pub tunnel: Option<TunnelKind>,
    /// 4 or 6 when there was an IP packet.
    pub ip_version: Option<u8>,
    /// The deepest protocol recognised.
    pub protocol: Protocol,
}

/// What the checksums of one protocol said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdicts {
    /// Whose checksum: of the IPv4 header, or of a transport.
    pub of: Protocol,
    /// They fit.
    pub good: u64,
    /// They do not.
    pub bad: u64,
    /// There were none, or they were left to the sender's network card: see [`Checksum::Absent`].
    pub absent: u64,
    /// Packets that were cut or fragmented.
    pub unchecked: u64,
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
    seconds: Seconds,
    lengths: [u64; LENGTH_CLASSES.len() + 1],
    interface_packets: Vec<u64>,
    ip_packets: u64,
    fragments: u64,
    links: BTreeMap<LinkType, (u64, u64)>,
    undecoded_links: BTreeMap<LinkType, (u64, u64)>,
    stacks: BTreeMap<Stack, (u64, u64)>,
    vlans: BTreeMap<u16, (u64, u64)>,
    malformed: BTreeMap<Fault, (u64, u64)>,
    checksums: BTreeMap<(Protocol, Checksum), u64>,
    senders_of_bad: Senders,
    hosts: HashMap<IpAddr, Talker>,
    hosts_capped: bool,
}

/// Whether something came from no host, from one, or from several.
#[derive(Default)]
enum Senders {
    #[default]
    None,
    One(IpAddr),
    Several,
}

/// Packets and bytes of each second of the clock, as many as are open, and the most of those that are closed.
#[derive(Default)]
struct Seconds {
    open: BTreeMap<i64, (u64, u64)>,
    /// The second of the last frame: mostly that of the next one.
    at: i64,
    current: (u64, u64),
    most: (u64, u64),
}

impl Seconds {
    fn add(&mut self, ts_ns: i64, bytes: u64) {
        let second = ts_ns.div_euclid(1_000_000_000);
        if second != self.at {
            self.turn_to(second);
        }
        self.current.0 += 1;
        self.current.1 += bytes;
    }

    #[cold]
    fn turn_to(&mut self, second: i64) {
        self.open.insert(self.at, self.current);
        if self.open.len() > OPEN_SECONDS
            && let Some((_, closed)) = self.open.pop_first()
        {
            self.close(closed);
        }
        self.at = second;
        self.current = self.open.remove(&second).unwrap_or_default();
    }

    fn close(&mut self, second: (u64, u64)) {
        self.most = (self.most.0.max(second.0), self.most.1.max(second.1));
    }

    /// Most packets and most bytes of a second.
    fn most(mut self) -> (u64, u64) {
        self.close(self.current);
        for second in std::mem::take(&mut self.open).into_values() {
            self.close(second);
        }
        self.most
    }
}

impl Counts {
    fn add(&mut self, frame: &Frame<'_>) {
        let bytes = u64::from(frame.wire_bytes);
        self.packets += 1;
        self.bytes += bytes;
        self.captured_bytes += frame.data.len() as u64;
        self.cut_packets += u64::from(frame.data.len() < frame.wire_bytes as usize);
        self.add_time(frame.ts_ns);
        self.seconds.add(frame.ts_ns, bytes);
        let class = LENGTH_CLASSES.partition_point(|most| *most < frame.wire_bytes);
        self.lengths.get_mut(class).into_iter().for_each(|packets| *packets += 1);
        self.add_interface(frame.interface as usize);
        let decoded = packet::decode(frame);
        count(&mut self.links, frame.link, bytes);
        count(&mut self.stacks, stack(frame, &decoded), bytes);
        match decoded.fault {
            None => {}
            Some(Fault::UndecodedLink) => count(&mut self.undecoded_links, frame.link, bytes),
            Some(fault) => count(&mut self.malformed, fault, bytes),
        }
        if let Some(packet) = &decoded.packet {
            self.add_packet(packet, bytes);
            self.add_checksums(frame, &decoded, packet);
        }
    }

    /// The reader bounds how many interfaces there are.
    fn add_interface(&mut self, interface: usize) {
        if interface >= self.interface_packets.len() {
            self.interface_packets.resize(interface.saturating_add(1), 0);
        }
        self.interface_packets.get_mut(interface).into_iter().for_each(|packets| *packets += 1);
    }

    fn add_packet(&mut self, packet: &Packet, bytes: u64) {
        self.ip_packets += 1;
        self.fragments += u64::from(packet.fragment != Fragment::None);
        if packet.vlan != 0 {
            count(&mut self.vlans, packet.vlan, bytes);
        }
        if let Some(sender) = self.host(packet.source) {
            sender.sent_packets += 1;
            sender.sent_bytes += bytes;
        }
        if let Some(receiver) = self.host(packet.destination) {
            receiver.received_packets += 1;
            receiver.received_bytes += bytes;
        }
    }

    fn add_checksums(&mut self, frame: &Frame<'_>, decoded: &Decoded, packet: &Packet) {
        let found = checksum::verify(frame, decoded);
        let transport = found.transport.map(|verdict| (decoded.protocol, verdict));
        for of in found.ip.map(|verdict| (Protocol::Ipv4, verdict)).into_iter().chain(transport) {
            *self.checksums.entry(of).or_default() += 1;
        }
        if [found.ip, found.transport].contains(&Some(Checksum::Bad)) {
            self.senders_of_bad = match self.senders_of_bad {
                Senders::None => Senders::One(packet.source),
                Senders::One(sender) if sender == packet.source => Senders::One(sender),
                _ => Senders::Several,
            };
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

    fn conclude(mut self, capture: &Capture, fault: Option<NetError>) -> Inspection {
        let (busiest_packets, busiest_bytes) = std::mem::take(&mut self.seconds).most();
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
            lengths: self.lengths,
            busiest_packets,
            busiest_bytes,
            unknown_blocks: capture.unknown_blocks(),
            interface_packets: self.interface_packets,
            ip_packets: self.ip_packets,
            fragments: self.fragments,
            links: ranked(self.links),
            undecoded_links: ranked(self.undecoded_links),
            protocols: ranked(parts(&self.stacks, |stack| Some(stack.protocol))),
            tunnels: ranked(parts(&self.stacks, |stack| stack.tunnel)),
            stacks: ranked(self.stacks),
            vlans: ranked(self.vlans),
            checksums: verdicts(&self.checksums),
            one_sender_of_bad: match self.senders_of_bad {
                Senders::One(sender) => Some(sender),
                Senders::None | Senders::Several => None,
            },
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

fn stack(frame: &Frame<'_>, decoded: &Decoded) -> Stack {
    let version = |packet: &Packet| if packet.source.is_ipv4() { 4 } else { 6 };
    Stack {
        link: frame.link,
        tunnel: decoded.tunnel.map(|tunnel| tunnel.kind),
        ip_version: decoded.packet.as_ref().map(version),
        protocol: decoded.protocol,
    }
}

/// What the stacks add up to by one of their parts.
fn parts<T: Ord>(
    stacks: &BTreeMap<Stack, (u64, u64)>,
    part: impl Fn(&Stack) -> Option<T>,
) -> BTreeMap<T, (u64, u64)> {
    let mut sums = BTreeMap::new();
    for (stack, (packets, bytes)) in stacks {
        if let Some(of) = part(stack) {
            let sum: &mut (u64, u64) = sums.entry(of).or_default();
            sum.0 += packets;
            sum.1 += bytes;
        }
    }
    sums
}

fn verdicts(checksums: &BTreeMap<(Protocol, Checksum), u64>) -> Vec<Verdicts> {
    let mut of: Vec<Protocol> = checksums.keys().map(|(protocol, _)| *protocol).collect();
    of.dedup();
    let packets = |of, verdict| checksums.get(&(of, verdict)).copied().unwrap_or_default();
    of.into_iter()
        .map(|of| Verdicts {
            of,
            good: packets(of, Checksum::Good),
            bad: packets(of, Checksum::Bad),
            absent: packets(of, Checksum::Absent),
            unchecked: packets(of, Checksum::Unchecked),
        })
        .collect()
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
