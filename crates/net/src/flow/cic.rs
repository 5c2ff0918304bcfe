//! What the `cic` set needs of a flow beyond [`Stats`](super::Stats): transport headers, ACK and URG, and bulks.

use super::state::{Core, Direction};
use super::stats::BURST_GAP_NS;
use crate::packet::{Fragment, Packet, TcpFlags};

/// This many packets with payload in a row make a bulk.
pub const BULK_PACKETS: u32 = 4;

const UDP: u8 = 17;
const UDP_HEADER_BYTES: u8 = 8;

/// Counts of both directions, and the run of packets with payload that may be or become a bulk.
#[derive(Clone, Copy, Debug)]
pub struct Cic {
    sides: [CicSide; 2],
    run: Run,
}

/// Counts of one direction.
#[derive(Clone, Copy, Debug)]
pub struct CicSide {
    /// Sum of the transport headers.
    pub header_bytes: u64,
    /// Payload of all bulks.
    pub bulk_bytes: u64,
    /// Lengths of all bulks in time, from the first packet of each to its last.
    pub bulk_ns: u64,
    /// Packets of all bulks.
    pub bulk_packets: u64,
    /// Runs of at least [`BULK_PACKETS`] packets with payload of this direction, with none of the other direction and
    /// no gap above [`BURST_GAP_NS`] between them.
    pub bulks: u64,
    /// Packets with ACK.
    pub ack: u32,
    /// Packets with URG.
    pub urg: u32,
    least_header_bytes: u8,
}

/// Consecutive packets with payload of one direction.
#[derive(Clone, Copy, Debug)]
struct Run {
    first_ns: i64,
    last_ns: i64,
    bytes: u64,
    /// Stops at one more than [`BULK_PACKETS`]: from there on each packet is added as it comes.
    packets: u32,
    direction: Direction,
}

impl Cic {
    /// Nothing seen.
    pub const EMPTY: Cic = Cic { sides: [CicSide::EMPTY; 2], run: Run::EMPTY };

    /// Adds a packet; `core` has not counted it yet.
    #[inline]
    pub(super) fn add(&mut self, core: &Core, packet: &Packet, direction: Direction) {
        let side = direction.of_mut(&mut self.sides);
        side.add(packet);
        if packet.payload_bytes > 0 {
            let latest_ns = core.last_ns.max(packet.ts_ns);
            self.run.add(latest_ns, packet.payload_bytes, direction, side);
        }
    }

    /// The forward direction.
    pub fn forward(&self) -> &CicSide {
        let [forward, _] = &self.sides;
        forward
    }

    /// The backward direction.
    pub fn backward(&self) -> &CicSide {
        let [_, backward] = &self.sides;
        backward
    }
}

impl Run {
    const EMPTY: Run = Run { first_ns: 0, last_ns: 0, bytes: 0, packets: 0, direction: Direction::Forward };

    #[inline]
    fn add(&mut self, now_ns: i64, payload_bytes: u32, direction: Direction, side: &mut CicSide) {
        let gap_ns = now_ns.abs_diff(self.last_ns);
        if self.packets == 0 || self.direction != direction || gap_ns > BURST_GAP_NS {
            *self = Run { first_ns: now_ns, last_ns: now_ns, bytes: 0, packets: 0, direction };
        }
        self.last_ns = now_ns;
        self.bytes = self.bytes.saturating_add(u64::from(payload_bytes));
        self.packets = (self.packets + 1).min(BULK_PACKETS + 1);
        if self.packets == BULK_PACKETS {
            side.begin_bulk(self);
        } else if self.packets > BULK_PACKETS {
            side.extend_bulk(payload_bytes, gap_ns);
        }
    }
}

impl CicSide {
    const EMPTY: CicSide = CicSide {
        header_bytes: 0,
        bulk_bytes: 0,
        bulk_ns: 0,
        bulk_packets: 0,
        bulks: 0,
        ack: 0,
        urg: 0,
        least_header_bytes: u8::MAX,
    };

    #[inline]
    fn add(&mut self, packet: &Packet) {
        let header_bytes = transport_header_bytes(packet);
        self.header_bytes += u64::from(header_bytes);
        self.least_header_bytes = self.least_header_bytes.min(header_bytes);
        if let Some(tcp) = &packet.tcp {
            self.ack += u32::from(tcp.flags.contains(TcpFlags::ACK));
            self.urg += u32::from(tcp.flags.contains(TcpFlags::URG));
        }
    }

    fn begin_bulk(&mut self, run: &Run) {
        self.bulks += 1;
        self.bulk_packets += u64::from(BULK_PACKETS);
        self.bulk_bytes = self.bulk_bytes.saturating_add(run.bytes);
        self.bulk_ns = self.bulk_ns.saturating_add(run.last_ns.abs_diff(run.first_ns));
    }

    #[inline]
    fn extend_bulk(&mut self, payload_bytes: u32, gap_ns: u64) {
        self.bulk_packets += 1;
        self.bulk_bytes = self.bulk_bytes.saturating_add(u64::from(payload_bytes));
        self.bulk_ns = self.bulk_ns.saturating_add(gap_ns);
    }

    /// The smallest transport header; 0 without packets. No header is longer than 60 bytes.
    pub fn least_header_bytes(&self) -> u8 {
        if self.least_header_bytes == u8::MAX { 0 } else { self.least_header_bytes }
    }
}

/// The TCP header with its options, the 8 bytes of UDP, and 0 for every other protocol, for a later fragment, and for
/// a TCP header of which less than 20 bytes were captured.
#[inline]
fn transport_header_bytes(packet: &Packet) -> u8 {
    match &packet.tcp {
        Some(tcp) => tcp.header_bytes,
        None if packet.protocol == UDP && !matches!(packet.fragment, Fragment::Later { .. }) => {
            UDP_HEADER_BYTES
        }
        None => 0,
    }
}
