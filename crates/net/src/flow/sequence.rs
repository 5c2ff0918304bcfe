//! The sequence numbers of one direction of a connection: what each segment brings, in constant memory.
//!
//! A segment takes up its payload, and one number each for SYN and FIN (RFC 9293, 3.4). Numbers wrap; which of two is later is
//! decided in the nearer half of the circle. Per direction the number after the highest seen is kept, and up to
//! [`HOLES`] holes below it: numbers that were skipped and have not come since. Every segment but a RST is exactly one [`Segment`];
//! see there for the rules. They use no clock, unlike Wireshark's, which tells a reordered segment from a retransmission by how
//! soon it comes: what the capture point has not seen before counts as out of order here, and what it has as
//! a retransmission. A segment that the capture holds twice is a retransmission, too: nothing in TCP tells them apart.

// Each index is below `HOLES` by construction.
#![allow(clippy::indexing_slicing)]

use crate::packet::{Tcp, TcpFlags};

/// Holes remembered per direction: as many as an ACK with timestamps can report (RFC 2018, section 3). When there are more, the
/// lowest is forgotten, and what was missing there counts as seen.
pub(super) const HOLES: usize = 3;
/// Holes that lie farther behind are forgotten: no window is larger (RFC 7323, 2.3).
const REACH: u32 = 1 << 30;

/// What a segment is to the sequence of its direction. The first rule that holds decides, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// One byte, the next one expected, while the other side's window is closed. The byte is not taken as sent.
    WindowProbe,
    /// At most one byte, one before the next expected; no SYN, no FIN (RFC 9293, 3.8.4).
    KeepAlive,
    /// Starts beyond the next number expected: something before it is missing.
    Gap,
    /// Nothing but an ACK that repeats the number and the open window of the segment before it, at the next number
    /// expected, when the other side did not just send a keep-alive or a window probe (RFC 5681, section 2).
    DuplicateAck,
    /// Starts below the next number expected and brings numbers that were missing.
    OutOfOrder,
    /// Starts below the next number expected and brings nothing that was missing; it may go on beyond.
    Retransmission,
    /// Anything else: what was expected next.
    Expected,
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    next: u32,
    ack: u32,
    holes: [Hole; HOLES],
    window: u16,
    open_holes: u8,
    state: u8,
}

/// Numbers that have not been seen: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: u32,
    end: u32,
}

/// A segment was seen, so `next`, `ack` and `window` hold.
const BEGUN: u8 = 1;
/// The last segment was a keep-alive or a window probe, which asks for an ACK.
const ASKED: u8 = 2;

impl Sequence {
    /// Nothing seen.
    pub(super) const EMPTY: Sequence = Sequence {
        next: 0,
        ack: 0,
        holes: [Hole { start: 0, end: 0 }; HOLES],
        window: 0,
        open_holes: 0,
        state: 0,
    };

    /// Adds a segment that is no RST.
    #[inline]
    pub(super) fn add(&mut self, tcp: &Tcp, payload_bytes: u32, peer: &Sequence) -> Segment {
        let marks =
            u32::from(tcp.flags.contains(TcpFlags::SYN)) + u32::from(tcp.flags.contains(TcpFlags::FIN));
        let numbers = payload_bytes.wrapping_add(marks);
        let segment = if self.state & BEGUN == 0 {
            self.next = tcp.seq.wrapping_add(numbers);
            Segment::Expected
        } else if tcp.seq == self.next && numbers > 1 {
            self.next = self.next.wrapping_add(numbers);
            Segment::Expected
        } else {
            self.place(tcp, numbers, marks == 0, peer)
        };
        let asks = matches!(segment, Segment::KeepAlive | Segment::WindowProbe);
        self.state = if asks { BEGUN | ASKED } else { BEGUN };
        (self.ack, self.window) = (tcp.ack, tcp.window);
        segment
    }

    /// Starts anew: a segment of unknown length was sent.
    pub(super) fn restart(&mut self) {
        *self = Sequence::EMPTY;
    }

    fn place(&mut self, tcp: &Tcp, numbers: u32, plain: bool, peer: &Sequence) -> Segment {
        let (start, end) = (tcp.seq, tcp.seq.wrapping_add(numbers));
        if plain && numbers == 1 && start == self.next && peer.state & BEGUN != 0 && peer.window == 0 {
            Segment::WindowProbe
        } else if plain && numbers <= 1 && start == self.next.wrapping_sub(1) {
            Segment::KeepAlive
        } else if is_before(self.next, start) {
            self.open(Hole { start: self.next, end: start });
            self.advance(end);
            Segment::Gap
        } else if start == self.next {
            let repeats = plain && numbers == 0 && self.repeats_ack(tcp) && peer.state & ASKED == 0;
            self.advance(end);
            if repeats { Segment::DuplicateAck } else { Segment::Expected }
        } else if numbers == 0 {
            Segment::Expected
        } else {
            let filled = self.open_holes > 0 && self.fill(start, end);
            if is_before(self.next, end) {
                self.advance(end);
            }
            if filled { Segment::OutOfOrder } else { Segment::Retransmission }
        }
    }

    fn repeats_ack(&self, tcp: &Tcp) -> bool {
        tcp.flags.contains(TcpFlags::ACK)
            && tcp.ack == self.ack
            && tcp.window == self.window
            && tcp.window != 0
    }

    fn advance(&mut self, next: u32) {
        self.next = next;
        while self.open_holes > 0 && next.wrapping_sub(self.holes[0].start) > REACH {
            self.forget_lowest();
        }
    }

    /// Adds a hole above all others.
    fn open(&mut self, hole: Hole) {
        if usize::from(self.open_holes) == HOLES {
            self.forget_lowest();
        }
        self.holes[usize::from(self.open_holes)] = hole;
        self.open_holes += 1;
    }

    fn forget_lowest(&mut self) {
        self.holes.rotate_left(1);
        self.open_holes -= 1;
    }

    /// Takes these numbers out of the holes; says whether there was one among them.
    fn fill(&mut self, start: u32, end: u32) -> bool {
        let (holes, open) = (self.holes, usize::from(self.open_holes));
        self.open_holes = 0;
        let mut filled = false;
        for hole in &holes[..open] {
            if !(is_before(hole.start, end) && is_before(start, hole.end)) {
                self.open(*hole);
                continue;
            }
            filled = true;
            if is_before(hole.start, start) {
                self.open(Hole { start: hole.start, end: start });
            }
            if is_before(end, hole.end) {
                self.open(Hole { start: end, end: hole.end });
            }
        }
        filled
    }
}

/// Whether `a` comes before `b`.
#[inline]
fn is_before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}
