//! What NFStream's columns need of a flow: frames as long as they were on the wire, and whole milliseconds.
//!
//! Two things differ from [`super::stats`] and [`super::splt`], because they do in NFStream 6.6: times are those of the
//! clock, which no packet of the *capture* turns back, with parts of milliseconds dropped before gaps are taken; and
//! later fragments, which NFStream passes over, are left out.

use super::moments::Moments;
use super::splt::SPLT_PACKETS;
use super::state::Direction;
use super::table::Arrival;
use crate::packet::{Fragment, TcpFlags};

/// Frames of a flow, in both directions and each alone.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// All frames.
    pub both: WireSide,
    /// Forward ones.
    pub forward: WireSide,
    /// Backward ones.
    pub backward: WireSide,
    packets: [WirePacket; SPLT_PACKETS],
}

/// One of the first frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WirePacket {
    /// Since the frame before it; 0 for the first.
    pub piat_ms: u64,
    /// Length of the frame on the wire.
    pub bytes: u32,
    /// Whether it is forward.
    pub direction: Direction,
}

/// Statistics of frames.
#[derive(Clone, Copy, Debug)]
pub struct WireSide {
    /// Bytes per frame.
    pub size: Moments,
    /// Milliseconds between consecutive frames.
    pub piat_ms: Moments,
    flags: [u32; FLAGS.len()],
    first_ms: i64,
    last_ms: i64,
}

const FLAGS: [TcpFlags; 8] = [
    TcpFlags::SYN,
    TcpFlags::CWR,
    TcpFlags::ECE,
    TcpFlags::URG,
    TcpFlags::ACK,
    TcpFlags::PSH,
    TcpFlags::RST,
    TcpFlags::FIN,
];

const MILLISECOND_NS: i64 = 1_000_000;

impl Wire {
    /// Nothing seen.
    pub const EMPTY: Wire = Wire {
        both: WireSide::EMPTY,
        forward: WireSide::EMPTY,
        backward: WireSide::EMPTY,
        packets: [WirePacket { piat_ms: 0, bytes: 0, direction: Direction::Forward }; SPLT_PACKETS],
    };

    /// The frame at a place, counted from 0, if there were that many.
    pub fn packet(&self, index: usize) -> Option<&WirePacket> {
        self.packets.get(index).filter(|_| (index as u64) < self.both.size.count())
    }

    #[inline]
    pub(super) fn add(&mut self, arrival: &Arrival, direction: Direction) {
        let packet = &arrival.packet;
        if matches!(packet.fragment, Fragment::Later { .. }) {
            return;
        }
        let (bytes, flags) = (packet.wire_bytes, packet.tcp.map(|tcp| tcp.flags));
        let time_ms = arrival.clock_ns.div_euclid(MILLISECOND_NS);
        let place = usize::try_from(self.both.size.count()).unwrap_or(usize::MAX);
        let piat_ms = self.both.add(bytes, time_ms, flags);
        if let Some(place) = self.packets.get_mut(place) {
            *place = WirePacket { piat_ms, bytes, direction };
        }
        let side = if direction == Direction::Forward { &mut self.forward } else { &mut self.backward };
        side.add(bytes, time_ms, flags);
    }
}

impl WireSide {
    /// Nothing seen.
    pub const EMPTY: WireSide = WireSide {
        size: Moments::EMPTY,
        piat_ms: Moments::EMPTY,
        flags: [0; FLAGS.len()],
        first_ms: 0,
        last_ms: 0,
    };

    /// From the first frame to the last.
    pub fn duration_ms(&self) -> u64 {
        self.last_ms.abs_diff(self.first_ms)
    }

    /// TCP segments with this flag.
    pub fn flagged(&self, flag: TcpFlags) -> u64 {
        let counts = FLAGS.iter().zip(self.flags);
        counts.filter(|(counted, _)| **counted == flag).map(|(_, packets)| u64::from(packets)).sum()
    }

    /// Counts a frame; says how long after the one before it came.
    #[inline]
    fn add(&mut self, bytes: u32, time_ms: i64, flags: Option<TcpFlags>) -> u64 {
        let piat_ms = if self.size.count() == 0 { 0 } else { time_ms.abs_diff(self.last_ms) };
        if self.size.count() == 0 {
            self.first_ms = time_ms;
        } else {
            self.piat_ms.add(piat_ms);
        }
        self.last_ms = time_ms;
        self.size.add(u64::from(bytes));
        if let Some(flags) = flags {
            let counts = self.flags.iter_mut().zip(FLAGS);
            counts.for_each(|(packets, flag)| *packets += u32::from(flags.contains(flag)));
        }
        piat_ms
    }
}
