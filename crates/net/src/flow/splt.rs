//! Sequence of packet lengths and times: the first packets with payload.

use super::state::Direction;
use crate::packet::Packet;

/// Packets kept.
pub const SPLT_PACKETS: usize = 20;

/// One kept packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpltPacket {
    /// Since the kept packet before it, in capture time, never negative; 0 for the first.
    pub iat_ns: u64,
    /// Payload bytes, at least 1; 0 marks an unused place.
    pub bytes: u32,
    /// 1 forward, -1 backward, 0 for an unused place.
    pub direction: i8,
}

/// The first [`SPLT_PACKETS`] packets of a flow that carry payload.
#[derive(Clone, Copy, Debug)]
pub struct Splt {
    packets: [SpltPacket; SPLT_PACKETS],
    last_ns: i64,
    len: u8,
}

impl Splt {
    /// Nothing seen.
    pub const EMPTY: Splt = Splt {
        packets: [SpltPacket { iat_ns: 0, bytes: 0, direction: 0 }; SPLT_PACKETS],
        last_ns: 0,
        len: 0,
    };

    /// The packet at a place, counted from 0.
    pub fn packet(&self, index: usize) -> Option<&SpltPacket> {
        self.packets.get(index)
    }

    /// Packets with payload seen, at most [`SPLT_PACKETS`].
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether no packet with payload was seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn add(&mut self, packet: &Packet, direction: Direction) {
        if packet.payload_bytes == 0 {
            return;
        }
        let first = self.is_empty();
        let Some(place) = self.packets.get_mut(usize::from(self.len)) else { return };
        let latest_ns = if first { packet.ts_ns } else { self.last_ns.max(packet.ts_ns) };
        *place = SpltPacket {
            iat_ns: if first { 0 } else { latest_ns.abs_diff(self.last_ns) },
            bytes: packet.payload_bytes,
            direction: if direction == Direction::Forward { 1 } else { -1 },
        };
        self.last_ns = latest_ns;
        self.len += 1;
    }
}
