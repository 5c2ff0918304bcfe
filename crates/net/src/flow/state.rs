//! What every flow keeps, whatever is asked of it: identity, counters, and the state of its connection.

use std::net::IpAddr;

use super::key::{FlowKey, Orientation};
use super::tcp::Connection;
use crate::packet::Packet;

/// A packet's direction within its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the one who opened the flow: as its first packet, but against a SYN-ACK seen first (see [`super::tcp`]).
    Forward = 0,
    /// Against it.
    Backward = 1,
}

impl Direction {
    /// The member of a (forward, backward) pair that belongs to this direction.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "0 or 1, and no branch that cannot be foreseen")]
    pub(super) fn of_mut<T>(self, pair: &mut [T; 2]) -> &mut T {
        &mut pair[self as usize]
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
    /// Greatest number of any packet.
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
    pub(super) connection: Connection,
    forward: Orientation,
}

impl Core {
    /// A flow that begins with this packet, the packet not yet counted; `forward` is what its opener sends.
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
            connection: Connection::default(),
            forward,
        }
    }

    /// The next record of this flow, cut by the active timeout: same forward direction, same connection.
    pub(super) fn next_record(&self, packet: &Packet, clock_ns: i64) -> Core {
        let next = Core::begin(self.key, self.forward, packet, clock_ns);
        Core { connection: self.connection.next_record(), ..next }
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
        self.last_packet = self.last_packet.max(packet.number);
        *direction.of_mut(&mut self.packets) += 1;
        *direction.of_mut(&mut self.bytes) += u64::from(packet.ip_bytes);
        *direction.of_mut(&mut self.payload_bytes) += u64::from(packet.payload_bytes);
        self.connection.add(packet.tcp.as_ref(), direction);
    }

    /// Whether both sides took part: for TCP, whether one side acknowledged the other.
    pub fn is_established(&self) -> bool {
        self.connection.is_established()
    }

    /// Whether a RST closed the flow.
    pub fn closed_by_rst(&self) -> bool {
        self.connection.closed_by_rst()
    }

    /// Whether a FIN from both sides closed the flow.
    pub fn closed_by_fin(&self) -> bool {
        self.connection.closed_by_fin()
    }

    /// The timeout class after the packets counted so far.
    #[inline]
    pub(super) fn class(&self) -> Class {
        self.connection.class(self.key.protocol())
    }

    /// Packets of both directions.
    pub fn all_packets(&self) -> u64 {
        self.packets.iter().sum()
    }

    /// Time from the first packet to the latest, in nanoseconds.
    pub fn duration_ns(&self) -> u64 {
        self.last_ns.abs_diff(self.first_ns)
    }

    /// Address and port of the sender of the forward packets.
    pub fn source(&self) -> (IpAddr, u16) {
        if self.forward == Orientation::LowToHigh { self.key.low() } else { self.key.high() }
    }

    /// Address and port of the receiver of the forward packets.
    pub fn destination(&self) -> (IpAddr, u16) {
        if self.forward == Orientation::LowToHigh { self.key.high() } else { self.key.low() }
    }
}
