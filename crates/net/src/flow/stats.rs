//! What the statistical feature sets need of a flow: exact moments and counts of both directions.

use super::moments::Moments;
use super::sequence::{Segment, Sequence};
use super::state::{Core, Direction};
use crate::packet::{Fragment, Packet, Tcp, TcpFlags};

/// A gap longer than this ends an active period: 5 s, as in CICFlowMeter.
pub const ACTIVITY_GAP_NS: u64 = 5_000_000_000;
/// A gap longer than this ends a burst: 1 s, CICFlowMeter's limit between sub-flows.
pub const BURST_GAP_NS: u64 = 1_000_000_000;
/// IP packets below this are small: headers, acknowledgements, keystrokes, polls.
pub const SMALL_BYTES: u32 = 128;
/// IP packets from this on are large: near the usual path limits, bulk transfer.
pub const LARGE_BYTES: u32 = 1200;

/// Statistics of a flow.
#[derive(Clone, Copy, Debug)]
pub struct Stats {
    sides: [Side; 2],
    /// Gaps between consecutive packets, in nanoseconds.
    pub iat: Moments,
    /// Lengths of the active periods that ended, in nanoseconds; the last period is still open.
    active: Moments,
    /// Gaps above [`ACTIVITY_GAP_NS`], in nanoseconds.
    pub idle: Moments,
    active_since_ns: i64,
    burst_bytes: u64,
    burst_bytes_max: u64,
    /// Gaps above [`BURST_GAP_NS`]; one less than there are bursts.
    pub burst_gaps: u64,
    /// Connection set-up as seen.
    pub handshake: Handshake,
    first_payload: Option<(i64, Direction)>,
    response_ns: Option<u64>,
    last_payload: Option<Direction>,
    /// Changes of direction between consecutive packets with payload.
    pub turns: u64,
    /// Packets with these TCP flags and other counts of both directions together.
    pub counts: Counts,
}

/// Counts that are not told apart by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets with URG.
    pub urg: u32,
    /// Packets with ECE.
    pub ece: u32,
    /// Packets with CWR.
    pub cwr: u32,
    /// TCP keep-alives: at most one byte, one before the next expected sequence number.
    pub keep_alives: u32,
    /// TCP segments of one byte, the next one expected, into a closed window.
    pub window_probes: u32,
    /// IP fragments.
    pub fragments: u32,
}

/// Times of the first SYN, the first SYN-ACK that answers it and the first ACK after that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    syn_ns: Option<i64>,
    syn_ack_ns: Option<i64>,
    ack_ns: Option<i64>,
}

/// Statistics of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// IP bytes per packet.
    pub size: Moments,
    /// Payload bytes per packet that has payload.
    pub payload: Moments,
    /// Gaps between consecutive packets of this direction, in nanoseconds.
    pub iat: Moments,
    last_ns: i64,
    /// Sum of IP and transport headers.
    pub header_bytes: u64,
    /// Packets below [`SMALL_BYTES`].
    pub small: u32,
    /// Packets of [`LARGE_BYTES`] or more.
    pub large: u32,
    /// Packets with FIN.
    pub fin: u32,
    /// Packets with SYN.
    pub syn: u32,
    /// Packets with RST.
    pub rst: u32,
    /// Packets with PSH.
    pub psh: u32,
    /// TCP segments that repeat what was seen and fill no hole.
    pub retransmissions: u32,
    /// TCP segments that bring what was missing below them.
    pub out_of_order: u32,
    /// TCP segments before which something is missing.
    pub gaps: u32,
    /// ACKs that repeat the one before them.
    pub duplicate_acks: u32,
    /// Segments without SYN, FIN, RST that offer no window.
    pub zero_windows: u32,
    sequence: Sequence,
    /// Payload bytes of the first packet with payload; 0 when there is none.
    pub first_payload_bytes: u32,
    /// Window of the first TCP segment, not scaled.
    pub first_window: Option<u16>,
    /// Smallest window of segments without SYN, FIN, RST, not scaled.
    pub min_window: Option<u16>,
}

impl Stats {
    /// Nothing seen.
    pub const EMPTY: Stats = Stats {
        sides: [Side::EMPTY; 2],
        iat: Moments::EMPTY,
        active: Moments::EMPTY,
        idle: Moments::EMPTY,
        active_since_ns: 0,
        burst_bytes: 0,
        burst_bytes_max: 0,
        burst_gaps: 0,
        handshake: Handshake { syn_ns: None, syn_ack_ns: None, ack_ns: None },
        first_payload: None,
        response_ns: None,
        last_payload: None,
        turns: 0,
        counts: Counts { urg: 0, ece: 0, cwr: 0, keep_alives: 0, window_probes: 0, fragments: 0 },
    };

    /// Adds a packet; `core` has not counted it yet.
    #[inline]
    pub(super) fn add(&mut self, core: &Core, packet: &Packet, direction: Direction) {
        if core.all_packets() == 0 {
            self.active_since_ns = packet.ts_ns;
        } else {
            self.add_gap(core.last_ns, packet.ts_ns);
        }
        self.burst_bytes = self.burst_bytes.saturating_add(u64::from(packet.ip_bytes));
        if packet.payload_bytes > 0 {
            self.add_payload(packet.ts_ns, direction);
        }
        self.counts.fragments += u32::from(packet.fragment != Fragment::None);
        direction.of_mut(&mut self.sides).add(packet);
        if let Some(tcp) = &packet.tcp {
            self.add_tcp(tcp, packet, direction);
        }
    }

    #[inline]
    fn add_gap(&mut self, last_ns: i64, ts_ns: i64) {
        let latest_ns = ts_ns.max(last_ns);
        let gap_ns = latest_ns.abs_diff(last_ns);
        self.iat.add(gap_ns);
        if gap_ns > BURST_GAP_NS {
            self.burst_gaps += 1;
            self.burst_bytes_max = self.burst_bytes_max.max(self.burst_bytes);
            self.burst_bytes = 0;
        }
        if gap_ns > ACTIVITY_GAP_NS {
            self.active.add(last_ns.abs_diff(self.active_since_ns));
            self.idle.add(gap_ns);
            self.active_since_ns = latest_ns;
        }
    }

    #[inline]
    fn add_payload(&mut self, ts_ns: i64, direction: Direction) {
        self.turns += u64::from(self.last_payload.is_some_and(|last| last != direction));
        self.last_payload = Some(direction);
        match self.first_payload {
            None => self.first_payload = Some((ts_ns, direction)),
            Some((asked_ns, asker)) if asker != direction && self.response_ns.is_none() => {
                self.response_ns = Some(ts_ns.max(asked_ns).abs_diff(asked_ns));
            }
            Some(_) => {}
        }
    }

    #[inline]
    fn add_tcp(&mut self, tcp: &Tcp, packet: &Packet, direction: Direction) {
        self.handshake.add(tcp.flags, packet.ts_ns, direction);
        if tcp.flags.intersects(TcpFlags::URG | TcpFlags::ECE | TcpFlags::CWR) {
            self.counts.urg += u32::from(tcp.flags.contains(TcpFlags::URG));
            self.counts.ece += u32::from(tcp.flags.contains(TcpFlags::ECE));
            self.counts.cwr += u32::from(tcp.flags.contains(TcpFlags::CWR));
        }
        let [forward, backward] = &mut self.sides;
        let (side, peer) =
            if direction == Direction::Forward { (forward, backward) } else { (backward, forward) };
        side.add_tcp(tcp);
        if tcp.flags.intersects(TcpFlags::RST) {
            return;
        }
        if packet.fragment != Fragment::None {
            return side.sequence.restart();
        }
        match side.sequence.add(tcp, packet.payload_bytes, &peer.sequence) {
            Segment::Expected => {}
            Segment::Gap => side.gaps += 1,
            Segment::Retransmission => side.retransmissions += 1,
            Segment::OutOfOrder => side.out_of_order += 1,
            Segment::DuplicateAck => side.duplicate_acks += 1,
            Segment::KeepAlive => self.counts.keep_alives += 1,
            Segment::WindowProbe => self.counts.window_probes += 1,
        }
    }

    /// The forward direction.
    pub fn forward(&self) -> &Side {
        let [forward, _] = &self.sides;
        forward
    }

    /// The backward direction.
    pub fn backward(&self) -> &Side {
        let [_, backward] = &self.sides;
        backward
    }

    /// Lengths of all active periods of a flow that ended at `last_ns`, the last one included.
    pub fn active(&self, last_ns: i64) -> Moments {
        let mut active = self.active;
        active.add(last_ns.abs_diff(self.active_since_ns));
        active
    }

    /// IP bytes of the heaviest burst.
    pub fn burst_bytes_max(&self) -> u64 {
        self.burst_bytes_max.max(self.burst_bytes)
    }

    /// From the first packet with payload to the first one of the other direction, in nanoseconds.
    pub fn response_ns(&self) -> Option<u64> {
        self.response_ns
    }
}

impl Handshake {
    #[inline]
    fn add(&mut self, flags: TcpFlags, ts_ns: i64, direction: Direction) {
        let (syn, ack) = (flags.contains(TcpFlags::SYN), flags.contains(TcpFlags::ACK));
        match (direction, syn, ack) {
            (Direction::Forward, true, false) if self.syn_ns.is_none() => self.syn_ns = Some(ts_ns),
            (Direction::Backward, true, true) if self.syn_ns.is_some() && self.syn_ack_ns.is_none() => {
                self.syn_ack_ns = Some(ts_ns);
            }
            (Direction::Forward, false, true)
                if self.syn_ack_ns.is_some() && self.ack_ns.is_none() && !flags.contains(TcpFlags::RST) =>
            {
                self.ack_ns = Some(ts_ns);
            }
            _ => {}
        }
    }

    /// From the first SYN to the SYN-ACK, in nanoseconds.
    pub fn answer_ns(&self) -> Option<u64> {
        Some(elapsed(self.syn_ns?, self.syn_ack_ns?))
    }

    /// From the first SYN to the ACK that completes the handshake, in nanoseconds.
    pub fn complete_ns(&self) -> Option<u64> {
        Some(elapsed(self.syn_ns?, self.ack_ns?))
    }
}

fn elapsed(from_ns: i64, to_ns: i64) -> u64 {
    to_ns.max(from_ns).abs_diff(from_ns)
}

impl Side {
    /// Nothing seen.
    pub const EMPTY: Side = Side {
        size: Moments::EMPTY,
        payload: Moments::EMPTY,
        iat: Moments::EMPTY,
        last_ns: 0,
        header_bytes: 0,
        small: 0,
        large: 0,
        fin: 0,
        syn: 0,
        rst: 0,
        psh: 0,
        retransmissions: 0,
        out_of_order: 0,
        gaps: 0,
        duplicate_acks: 0,
        zero_windows: 0,
        sequence: Sequence::EMPTY,
        first_payload_bytes: 0,
        first_window: None,
        min_window: None,
    };

    #[inline]
    fn add(&mut self, packet: &Packet) {
        if self.size.count() == 0 {
            self.last_ns = packet.ts_ns;
        } else {
            let latest_ns = self.last_ns.max(packet.ts_ns);
            self.iat.add(latest_ns.abs_diff(self.last_ns));
            self.last_ns = latest_ns;
        }
        self.size.add(u64::from(packet.ip_bytes));
        self.header_bytes += u64::from(packet.header_bytes);
        self.small += u32::from(packet.ip_bytes < SMALL_BYTES);
        self.large += u32::from(packet.ip_bytes >= LARGE_BYTES);
        if packet.payload_bytes > 0 {
            if self.payload.count() == 0 {
                self.first_payload_bytes = packet.payload_bytes;
            }
            self.payload.add(u64::from(packet.payload_bytes));
        }
    }

    #[inline]
    fn add_tcp(&mut self, tcp: &Tcp) {
        let flags = tcp.flags;
        self.fin += u32::from(flags.contains(TcpFlags::FIN));
        self.syn += u32::from(flags.contains(TcpFlags::SYN));
        self.rst += u32::from(flags.contains(TcpFlags::RST));
        self.psh += u32::from(flags.contains(TcpFlags::PSH));
        self.first_window = self.first_window.or(Some(tcp.window));
        if !flags.intersects(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) {
            self.min_window = Some(self.min_window.map_or(tcp.window, |least| least.min(tcp.window)));
            self.zero_windows += u32::from(tcp.window == 0);
        }
    }
}
