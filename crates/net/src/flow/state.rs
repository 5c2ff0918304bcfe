//! What every flow keeps, whatever is asked of it: identity, counters, and the state of its connection.

use std::net::IpAddr;

use super::key::{FlowKey, Orientation};
use crate::packet::{Packet, Tcp, TcpFlags};

/// A packet's direction within its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As the first packet of the flow.
    Forward = 0,
    /// Against it.
    Backward = 1,
}

impl Direction {
    /// The member of a (forward, backward) pair that belongs to this direction.
    #[inline]
    pub(super) fn of_mut<T>(self, [forward, backward]: &mut [T; 2]) -> &mut T {
        if self == Direction::Forward { forward } else { backward }
    }
}

/// The timeout class of a flow; also the order in which a full table lets go of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// TCP whose handshake is not complete: one side has not yet acknowledged the other.
    HalfOpen = 0,
    /// Another protocol, and packets in one direction only.
    Unanswered = 1,
    /// Both sides take part.
    Open = 2,
    /// TCP after a RST or after a FIN from both sides.
    Closed = 3,
}

/// Identity, counters and connection state of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Core {
    /// Both endpoints, protocol, VLAN and virtual network.
    pub key: FlowKey,
    /// Capture time of the first packet.
    pub first_ns: i64,
    /// Latest capture time of any packet, at least `first_ns`.
    pub last_ns: i64,
    /// Clock time of the first packet.
    pub(super) first_clock_ns: i64,
    /// Number of the first packet.
    pub first_packet: u64,
    /// Number of the last packet.
    pub last_packet: u64,
    /// File offset of the first packet's record.
    pub first_offset: u64,
    /// Packets forward, backward.
    pub packets: [u64; 2],
    /// IP bytes forward, backward.
    pub bytes: [u64; 2],
    /// Payload bytes forward, backward.
    pub payload_bytes: [u64; 2],
    /// Number of the first packet's tunnel in the capture's [`Tunnels`](crate::packet::Tunnels); 0 = none.
    pub tunnel: u32,
    /// Sequence number of the forward SYN.
    syn_seq: u32,
    marks: u16,
    forward: Orientation,
}

const SENT: [u16; 2] = [1, 1 << 1];
const FIN: [u16; 2] = [1 << 2, 1 << 3];
const ESTABLISHED: u16 = 1 << 4;
const CLOSED_BY_FIN: u16 = 1 << 5;
const CLOSED_BY_RST: u16 = 1 << 6;
const FORWARD_SYN: u16 = 1 << 7;
/// Marks that a record inherits when the active timeout cuts its flow.
const INHERITED: u16 = SENT[0] | SENT[1] | FIN[0] | FIN[1] | ESTABLISHED | FORWARD_SYN;

impl Core {
    /// A flow that begins with this packet, the packet not yet counted.
    pub(super) fn begin(key: FlowKey, forward: Orientation, packet: &Packet, clock_ns: i64) -> Core {
        Core {
            key,
            first_ns: packet.ts_ns,
            last_ns: packet.ts_ns,
            first_clock_ns: clock_ns,
            first_packet: packet.number,
            last_packet: packet.number,
            first_offset: packet.offset,
            packets: [0; 2],
            bytes: [0; 2],
            payload_bytes: [0; 2],
            tunnel: packet.tunnel,
            syn_seq: 0,
            marks: 0,
            forward,
        }
    }

    /// The next record of this flow, cut by the active timeout: same forward direction, same connection.
    pub(super) fn next_record(&self, packet: &Packet, clock_ns: i64) -> Core {
        let next = Core::begin(self.key, self.forward, packet, clock_ns);
        Core { syn_seq: self.syn_seq, marks: self.marks & INHERITED, ..next }
    }

    /// The direction of a packet that came from this endpoint of the key.
    #[inline]
    pub(super) fn direction(&self, orientation: Orientation) -> Direction {
        if orientation == self.forward { Direction::Forward } else { Direction::Backward }
    }

    /// Counts a packet.
    #[inline]
    pub(super) fn add(&mut self, packet: &Packet, direction: Direction) {
        self.last_ns = self.last_ns.max(packet.ts_ns);
        self.last_packet = packet.number;
        *direction.of_mut(&mut self.packets) += 1;
        *direction.of_mut(&mut self.bytes) += u64::from(packet.ip_bytes);
        *direction.of_mut(&mut self.payload_bytes) += u64::from(packet.payload_bytes);
        self.follow(packet.tcp.as_ref(), direction);
    }

    fn follow(&mut self, tcp: Option<&Tcp>, direction: Direction) {
        let (ours, theirs) = both(SENT, direction);
        let flags = tcp.map_or(TcpFlags::ACK, |tcp| tcp.flags);
        if flags.intersects(TcpFlags::RST) {
            return self.close(CLOSED_BY_RST);
        }
        if self.has(theirs) && flags.contains(TcpFlags::ACK) && !flags.intersects(TcpFlags::SYN) {
            self.marks |= ESTABLISHED;
        }
        self.marks |= ours;
        if flags.intersects(TcpFlags::FIN) {
            self.marks |= both(FIN, direction).0;
            if self.has(FIN[0] | FIN[1]) {
                self.close(CLOSED_BY_FIN);
            }
        }
        let first_syn = is_opening(flags) && direction == Direction::Forward && !self.has(FORWARD_SYN);
        if let Some(tcp) = tcp.filter(|_| first_syn) {
            self.marks |= FORWARD_SYN;
            self.syn_seq = tcp.seq;
        }
    }

    fn close(&mut self, by: u16) {
        if !self.is_closed() {
            self.marks |= by;
        }
    }

    fn has(&self, marks: u16) -> bool {
        self.marks & marks == marks
    }

    fn is_closed(&self) -> bool {
        self.marks & (CLOSED_BY_FIN | CLOSED_BY_RST) != 0
    }

    /// Whether both sides took part: for TCP, whether one side acknowledged the other.
    pub fn is_established(&self) -> bool {
        self.has(ESTABLISHED)
    }

    /// Whether a RST closed the flow.
    pub fn closed_by_rst(&self) -> bool {
        self.has(CLOSED_BY_RST)
    }

    /// Whether a FIN from both sides closed the flow.
    pub fn closed_by_fin(&self) -> bool {
        self.has(CLOSED_BY_FIN)
    }

    /// The timeout class after the packets counted so far.
    #[inline]
    pub(super) fn class(&self) -> Class {
        if self.is_closed() {
            Class::Closed
        } else if self.has(ESTABLISHED) {
            Class::Open
        } else if self.key.protocol() == TCP {
            Class::HalfOpen
        } else {
            Class::Unanswered
        }
    }

    /// Whether this packet opens another connection on the ports of this closed one: a SYN, unless it repeats the
    /// SYN that opened this flow.
    #[inline]
    pub(super) fn is_succeeded_by(&self, packet: &Packet, direction: Direction) -> bool {
        let Some(tcp) = packet.tcp.filter(|tcp| self.is_closed() && is_opening(tcp.flags)) else {
            return false;
        };
        !(direction == Direction::Forward && self.has(FORWARD_SYN) && tcp.seq == self.syn_seq)
    }

    /// Packets of both directions.
    pub fn all_packets(&self) -> u64 {
        self.packets.iter().sum()
    }

    /// Time from the first packet to the latest, in nanoseconds.
    pub fn duration_ns(&self) -> u64 {
        self.last_ns.abs_diff(self.first_ns)
    }

    /// Address and port of the sender of the first packet.
    pub fn source(&self) -> (IpAddr, u16) {
        if self.forward == Orientation::LowToHigh { self.key.low() } else { self.key.high() }
    }

    /// Address and port of the receiver of the first packet.
    pub fn destination(&self) -> (IpAddr, u16) {
        if self.forward == Orientation::LowToHigh { self.key.high() } else { self.key.low() }
    }
}

const TCP: u8 = 6;

fn is_opening(flags: TcpFlags) -> bool {
    flags.contains(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK | TcpFlags::RST)
}

/// The mark of a direction, and that of the other one.
fn both(marks: [u16; 2], direction: Direction) -> (u16, u16) {
    let [forward, backward] = marks;
    if direction == Direction::Forward { (forward, backward) } else { (backward, forward) }
}
