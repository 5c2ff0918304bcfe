//! A datagram in the making: its pieces in their places, the packets that wait for it, and what became of it.

use super::super::{Decoded, Fault, Fragment, Packet, Tcp};
use super::piece::{Key, Piece};
use super::{Fate, LARGEST_DATAGRAM, MAX_PIECES};

/// What a datagram takes beside its pieces: itself, its key in two tables, and their nodes.
const ENTRY_BYTES: usize = size_of::<Datagram>() + 2 * size_of::<Key>() + 64;

/// A datagram of which at least one piece was seen.
#[derive(Debug)]
pub(super) struct Datagram {
    /// Place in the order of first pieces.
    pub(super) serial: u64,
    /// Clock time at which it is forgotten.
    pub(super) deadline_ns: i64,
    stage: Stage,
    /// In order of their places, never overlapping.
    parts: Vec<Part>,
    data_bytes: usize,
    /// Where the last piece ends, once it was seen.
    total: Option<u32>,
    /// What stands before the pieces, from the first of them.
    headers: Vec<u8>,
    first: Option<Ends>,
    /// Whether the first piece says all that its packets need.
    is_readable: bool,
    release: Release,
    waiting: Vec<Decoded>,
}

/// How far reassembly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Gathering,
    Complete,
    GivenUp,
}

/// A piece that has its place. The digest outlives the bytes, so that a duplicate is known as one even when the
/// datagram is complete.
#[derive(Debug)]
struct Part {
    start: u32,
    end: u32,
    last: bool,
    digest: u64,
    data: Box<[u8]>,
}

/// What happens to the packets of the pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// They wait.
    Held,
    /// They go to the flow of these endpoints; as they are when none are known.
    Flow(Option<Ends>),
    /// They were only the wrapping of a packet.
    Tunnel,
}

/// What a datagram's transport header says, for the pieces that do not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    source_port: u16,
    destination_port: u16,
    protocol: u8,
    tcp: Option<Tcp>,
    /// What is wrong with the whole datagram, if anything; `None` when all this is from the first piece alone.
    whole: Option<Option<Fault>>,
}

/// What a piece did to its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It found its place, or reassembly had ended before.
    Taken,
    /// The same piece was there already.
    Duplicate,
    /// Reassembly ends here.
    Ended(Fate),
}

impl Ends {
    fn of(packet: &Packet) -> Ends {
        let Packet { source_port, destination_port, protocol, tcp, .. } = *packet;
        Ends { source_port, destination_port, protocol, tcp, whole: None }
    }

    /// What the datagram says, with what is wrong with it.
    pub(super) fn of_whole(packet: &Packet, fault: Option<Fault>) -> Ends {
        Ends { whole: Some(fault), ..Ends::of(packet) }
    }

    /// Gives a piece its ports. The first one stands for the transport header, wherever that ended.
    pub(super) fn mark(&self, fragment: &mut Decoded) {
        let Some(packet) = &mut fragment.packet else { return };
        packet.source_port = self.source_port;
        packet.destination_port = self.destination_port;
        packet.protocol = self.protocol;
        if let (Fragment::First { .. }, Some(fault)) = (packet.fragment, self.whole) {
            packet.tcp = self.tcp;
            fragment.fault = fault;
        }
    }
}

impl Datagram {
    pub(super) fn new(serial: u64, deadline_ns: i64) -> Datagram {
        Datagram {
            serial,
            deadline_ns,
            stage: Stage::Gathering,
            parts: Vec::new(),
            data_bytes: 0,
            total: None,
            headers: Vec::new(),
            first: None,
            is_readable: false,
            release: Release::Held,
            waiting: Vec::new(),
        }
    }

    /// Whether this piece can be one of the datagram: a complete one has all its pieces, so another one belongs to a
    /// later datagram with the same identification.
    pub(super) fn admits(&self, piece: &Piece<'_>, digest: u64) -> bool {
        self.stage != Stage::Complete || self.has(piece, digest)
    }

    /// Puts a piece in its place, unless the policy forbids it. Reassembly that has ended takes no more.
    pub(super) fn take(&mut self, piece: &Piece<'_>, digest: u64) -> Step {
        if self.has(piece, digest) {
            return Step::Duplicate;
        }
        if self.stage != Stage::Gathering {
            return Step::Taken;
        }
        if let Some(objection) = self.objection(piece) {
            return self.end(objection);
        }
        if piece.start == 0 {
            self.headers = piece.headers();
        }
        self.insert(piece, digest);
        match self.total {
            Some(total) if self.data_bytes == total as usize => self.complete(),
            _ => Step::Taken,
        }
    }

    fn has(&self, piece: &Piece<'_>, digest: u64) -> bool {
        let place = self.parts.partition_point(|part| part.start < piece.start);
        self.parts.get(place).is_some_and(|part| {
            (part.start, part.end, part.last, part.digest) == (piece.start, piece.end, piece.last, digest)
        })
    }

    /// Why a piece that is no duplicate ends reassembly, if it does.
    fn objection(&self, piece: &Piece<'_>) -> Option<Fate> {
        if piece.bytes() == 0 || (!piece.last && !piece.bytes().is_multiple_of(8)) {
            Some(Fate::BadLength)
        } else if piece.end > LARGEST_DATAGRAM {
            Some(Fate::TooLarge)
        } else if !piece.is_whole() {
            Some(Fate::Cut)
        } else if self.overlaps(piece) {
            Some(Fate::Overlap)
        } else {
            (self.parts.len() >= MAX_PIECES).then_some(Fate::TooMany)
        }
    }

    /// Whether a piece shares bytes with another, or contradicts what was seen about the end.
    fn overlaps(&self, piece: &Piece<'_>) -> bool {
        let place = self.parts.partition_point(|part| part.start < piece.start);
        let before = place.checked_sub(1).and_then(|before| self.parts.get(before));
        let end = self.parts.last().map_or(0, |part| part.end);
        before.is_some_and(|part| part.end > piece.start)
            || self.parts.get(place).is_some_and(|part| part.start < piece.end)
            || self.total.is_some_and(|total| piece.end > total)
            || (piece.last && piece.end < end)
    }

    fn insert(&mut self, piece: &Piece<'_>, digest: u64) {
        let place = self.parts.partition_point(|part| part.start < piece.start);
        let Piece { start, end, last, data, .. } = *piece;
        self.parts.insert(place, Part { start, end, last, digest, data: data.into() });
        self.data_bytes += data.len();
        if last {
            self.total = Some(end);
        }
    }

    fn complete(&mut self) -> Step {
        let (_, length) = length_field(&self.headers, self.data_bytes);
        if length > LARGEST_DATAGRAM as usize {
            return self.end(Fate::TooLarge);
        }
        self.stage = Stage::Complete;
        Step::Ended(Fate::Complete)
    }

    /// The whole datagram from its IP header on. The bytes are gone from here, the digests stay.
    pub(super) fn assemble(&mut self) -> Vec<u8> {
        let mut whole = std::mem::take(&mut self.headers);
        let (place, length) = length_field(&whole, self.data_bytes);
        if let Some(field) = whole.get_mut(place..place + 2) {
            field.copy_from_slice(&(length as u16).to_be_bytes());
        }
        whole.reserve_exact(self.data_bytes);
        for part in &mut self.parts {
            whole.extend(std::mem::take(&mut part.data));
        }
        self.data_bytes = 0;
        self.parts.shrink_to_fit();
        whole
    }

    /// Ends reassembly without a datagram, and lets the bytes go.
    fn end(&mut self, fate: Fate) -> Step {
        self.stage = Stage::GivenUp;
        self.parts = Vec::new();
        self.headers = Vec::new();
        self.data_bytes = 0;
        Step::Ended(fate)
    }

    /// Learns from a piece's packet where the packets go, or that reassembly will not tell.
    pub(super) fn learn(&mut self, decoded: &Decoded, is_first: bool) {
        if let Some(packet) = decoded.packet.as_ref().filter(|_| is_first && self.first.is_none()) {
            self.first = Some(Ends::of(packet));
            self.is_readable = !decoded.waits_for_whole();
        }
        let undecided = matches!(self.release, Release::Held | Release::Flow(None));
        if undecided && self.first.is_some() && (self.is_readable || self.stage == Stage::GivenUp) {
            self.release = Release::Flow(self.first);
        }
    }

    /// Whether packets went on before the datagram was whole.
    pub(super) fn is_released(&self) -> bool {
        self.release != Release::Held
    }

    /// Takes what the whole datagram turned out to be.
    pub(super) fn resolve(&mut self, release: Release) {
        self.release = release;
    }

    /// Where the packets go; for good when `is_over`. Too many waiting packets wait no longer.
    pub(super) fn release(&mut self, is_over: bool) -> Release {
        if self.release == Release::Held && (is_over || self.waiting.len() >= MAX_PIECES) {
            self.release = Release::Flow(self.first);
        }
        self.release
    }

    /// Lets a packet wait.
    pub(super) fn wait(&mut self, decoded: Decoded) {
        self.waiting.push(decoded);
    }

    /// The packets that wait no longer, in capture order.
    pub(super) fn waiting(&mut self) -> Vec<Decoded> {
        std::mem::take(&mut self.waiting)
    }

    /// What became of a datagram that is let go of; `None` when that was known before.
    pub(super) fn fate(&self, otherwise: Fate) -> Option<Fate> {
        let never_first = otherwise == Fate::TimedOut && self.first.is_none();
        (self.stage == Stage::Gathering).then_some(if never_first { Fate::NeverFirst } else { otherwise })
    }

    /// Bytes of memory it takes.
    pub(super) fn charge(&self) -> usize {
        ENTRY_BYTES
            + self.data_bytes
            + self.headers.capacity()
            + self.parts.capacity() * size_of::<Part>()
            + self.waiting.capacity() * size_of::<Decoded>()
    }
}

/// Where the length field of an IP header is, and what it says above this many bytes.
fn length_field(headers: &[u8], bytes: usize) -> (usize, usize) {
    match headers.first().map(|version| version >> 4) {
        Some(6) => (4, (headers.len() + bytes).saturating_sub(40)),
        _ => (2, headers.len() + bytes),
    }
}
