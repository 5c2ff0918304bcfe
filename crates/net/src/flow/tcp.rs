//! TCP as it really is: what a flow makes of each thing that segments do, in one place.
//!
//! **Whose flow.** Forward is the sender of the first packet, but a SYN-ACK seen first flips that: its receiver is the
//! client that asked for it (as in Zeek). A flow that starts in mid-stream otherwise has no better witness than its
//! first packet; ports are no evidence.
//!
//! **Reused ports.** Each side has a first sequence number: that of its SYN, or else one before its first segment, or
//! before the first byte that the other side acknowledges. A SYN (without ACK and RST) with another one begins a new flow, whether
//! or not the old one was closed; with the same one it is a retransmission, after a refusal too. That is the rule of
//! Wireshark's `tcp.stream`, so the two can be compared; Zeek agrees but for a second SYN of the same number after
//! the close. An unclosed flow that ends so has the reason `reused`. A side that was neither seen nor acknowledged
//! begins a new flow only after the old one was closed: before, both sides open at once (RFC 9293, 3.5).
//!
//! **Open.** A flow is established once one side acknowledges the other without SYN. Until then it is half-open.
//!
//! **Closed.** After a RST from either side, or a FIN from both. What comes after (FINs sent again, late data, the
//! last ACK) still belongs to the flow until the close delay has passed in silence. Data in a RST counts as payload
//! but has no place in the sequence.
//!
//! **Sequence.** See [`super::sequence`]: retransmissions, reordering, gaps, keep-alives, window probes, duplicate ACKs.
//!
//! **Windows** are taken as sent: the scale is agreed on in SYNs that a capture need not hold.
//!
//! **Wrong checksums** change nothing: with offloading, most segments a host sends have one. **Cut packets** count in
//! full: lengths come from the IP header. A segment of which fewer than 20 bytes of TCP header were captured counts as a
//! packet, without flags and without a place in the sequence; the same goes for the later fragments of a segment.

use super::key::{FlowKey, Orientation};
use super::state::{Class, Direction};
use crate::packet::{Packet, Tcp, TcpFlags};

const TCP: u8 = 6;

/// Which endpoint opened the flow that begins with this packet, as the orientation of what it sends.
pub(super) fn opener(key: &FlowKey, packet: &Packet, orientation: Orientation) -> Orientation {
    let answers = packet.tcp.is_some_and(|tcp| {
        tcp.flags.contains(TcpFlags::SYN | TcpFlags::ACK) && !tcp.flags.intersects(TcpFlags::RST)
    });
    match orientation {
        _ if !answers || key.low() == key.high() => orientation,
        Orientation::LowToHigh => Orientation::HighToLow,
        Orientation::HighToLow => Orientation::LowToHigh,
    }
}

/// How far a flow's connection has come. Flows of other protocols have one too: each packet is taken for an
/// acknowledgement of those before it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    /// First sequence number forward, backward.
    first_seqs: [u32; 2],
    marks: u16,
}

const SENT: [u16; 2] = [1, 1 << 1];
const FIN: [u16; 2] = [1 << 2, 1 << 3];
/// The first sequence number of this direction is known.
const NUMBERED: [u16; 2] = [1 << 4, 1 << 5];
const ESTABLISHED: u16 = 1 << 6;
const CLOSED_BY_FIN: u16 = 1 << 7;
const CLOSED_BY_RST: u16 = 1 << 8;
/// Marks that a record inherits when the active timeout cuts its flow.
const INHERITED: u16 = !(CLOSED_BY_FIN | CLOSED_BY_RST);

impl Connection {
    /// The same connection in the record after a cut by the active timeout.
    pub(super) fn next_record(self) -> Connection {
        Connection { marks: self.marks & INHERITED, ..self }
    }

    /// Follows a packet: its TCP header when it has one.
    #[inline]
    pub(super) fn add(&mut self, tcp: Option<&Tcp>, direction: Direction) {
        if let Some(tcp) = tcp
            && !self.has(NUMBERED[0] | NUMBERED[1])
        {
            self.number(tcp, direction);
        }
        let flags = tcp.map_or(TcpFlags::ACK, |tcp| tcp.flags);
        if flags.intersects(TcpFlags::RST) {
            return self.close(CLOSED_BY_RST);
        }
        let (ours, theirs) = both(SENT, direction);
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
    }

    fn number(&mut self, tcp: &Tcp, direction: Direction) {
        let (ours, theirs) = both(NUMBERED, direction);
        let [forward, backward] = &mut self.first_seqs;
        let (first, peers) =
            if direction == Direction::Forward { (forward, backward) } else { (backward, forward) };
        if self.marks & ours == 0 {
            *first = if tcp.flags.contains(TcpFlags::SYN) { tcp.seq } else { tcp.seq.wrapping_sub(1) };
            self.marks |= ours;
        }
        if self.marks & theirs == 0 && tcp.flags.contains(TcpFlags::ACK) {
            *peers = tcp.ack.wrapping_sub(1);
            self.marks |= theirs;
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

    /// Whether both sides took part: for TCP, whether one side acknowledged the other.
    pub(super) fn is_established(&self) -> bool {
        self.has(ESTABLISHED)
    }

    pub(super) fn closed_by_rst(&self) -> bool {
        self.has(CLOSED_BY_RST)
    }

    pub(super) fn closed_by_fin(&self) -> bool {
        self.has(CLOSED_BY_FIN)
    }

    fn is_closed(&self) -> bool {
        self.marks & (CLOSED_BY_FIN | CLOSED_BY_RST) != 0
    }

    /// The timeout class of a flow of this protocol.
    #[inline]
    pub(super) fn class(&self, protocol: u8) -> Class {
        if self.is_closed() {
            Class::Closed
        } else if self.has(ESTABLISHED) {
            Class::Open
        } else if protocol == TCP {
            Class::HalfOpen
        } else {
            Class::Unanswered
        }
    }

    /// Whether this packet opens another connection on the same ports.
    #[inline]
    pub(super) fn is_succeeded_by(&self, packet: &Packet, direction: Direction) -> bool {
        let Some(tcp) = packet.tcp.filter(|tcp| is_opening(tcp.flags)) else { return false };
        let [forward, backward] = self.first_seqs;
        let first = if direction == Direction::Forward { forward } else { backward };
        if self.has(both(NUMBERED, direction).0) { tcp.seq != first } else { self.is_closed() }
    }
}

fn is_opening(flags: TcpFlags) -> bool {
    flags.contains(TcpFlags::SYN) && !flags.intersects(TcpFlags::ACK | TcpFlags::RST)
}

/// The mark of a direction, and that of the other one.
fn both(marks: [u16; 2], direction: Direction) -> (u16, u16) {
    let [forward, backward] = marks;
    if direction == Direction::Forward { (forward, backward) } else { (backward, forward) }
}
