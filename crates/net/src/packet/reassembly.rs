//! Puts fragmented IP datagrams together, in bounded memory, and gives every fragment its flow.
//!
//! A fragment is a packet of its flow, so that rows add up to the capture, but only the first one has the ports. One
//! whose ports are known goes on at once; those that come before the first wait for it, and all wait for the whole
//! datagram when the first one cannot be understood alone: its transport header is cut, or it is the outside of a
//! tunnel. Of a tunnel's datagram the last piece goes on as the packet inside, and the others belong to no flow.
//!
//! Overlap policy (RFC 5722, RFC 8200 section 4.5, Linux since 4.20, for both IP versions): a fragment that is
//! there already, byte for byte, is ignored; any other overlap ends the datagram's reassembly, as do lengths that no
//! sender makes, and later pieces of it are not looked at until its time is over. Why this one, and what other hosts
//! do, is argued in `docs/decisions/0003-fragments.md`.
//!
//! Nothing depends on a wall clock, on threads or on how a capture arrives: time is that of [`crate::flow::Clock`].

mod datagram;
mod piece;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashMap;

use super::{Decoded, Fragment, decode_datagram, tunnel};
use crate::capture::{Frame, LinkType};
use datagram::{Datagram, Ends, Release, Step};
use piece::{Key, Piece};

/// How long the pieces of a datagram are waited for, counted from the first that was seen: 30 s, as in Linux.
pub const TIMEOUT_NS: i64 = 30_000_000_000;
/// Memory for all datagrams under way and the traces of those that are done: 4 MiB, as in Linux. What does not fit
/// drives out the oldest.
pub const POOL_BYTES: usize = 4 << 20;
/// Pieces of one datagram, and packets that wait for it: no link cuts smaller, since each carries 68 bytes (RFC 791
/// section 3.2), of which 48 are new.
pub const MAX_PIECES: usize = 1_366;
/// Length of the largest datagram in bytes.
pub const LARGEST_DATAGRAM: u32 = 65_535;

/// What became of a datagram of which a fragment was seen. Each has one fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Put together.
    Complete,
    /// Pieces are missing after [`TIMEOUT_NS`].
    TimedOut,
    /// As [`Fate::TimedOut`], and the first piece is among them.
    NeverFirst,
    /// Pieces are missing at the end of the capture.
    Unfinished,
    /// Two pieces claim the same place with other borders or other bytes, or disagree about the end.
    Overlap,
    /// Longer than IP allows ("ping of death").
    TooLarge,
    /// A piece is empty, or not the last and no multiple of eight bytes long.
    BadLength,
    /// A piece's bytes were not captured as a whole.
    Cut,
    /// More pieces than [`MAX_PIECES`], or the oldest when [`POOL_BYTES`] were full.
    TooMany,
}

impl Fate {
    /// Every fate, in the order of their discriminants.
    pub const ALL: [Fate; 9] = [
        Fate::Complete,
        Fate::TimedOut,
        Fate::NeverFirst,
        Fate::Unfinished,
        Fate::Overlap,
        Fate::TooLarge,
        Fate::BadLength,
        Fate::Cut,
        Fate::TooMany,
    ];

    /// The name used in reports.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Complete => "complete",
            Fate::TimedOut => "timed out",
            Fate::NeverFirst => "first fragment never seen",
            Fate::Unfinished => "unfinished at the end",
            Fate::Overlap => "overlapping fragments",
            Fate::TooLarge => "too large",
            Fate::BadLength => "impossible fragment length",
            Fate::Cut => "fragments not captured whole",
            Fate::TooMany => "too many fragments",
        }
    }
}

/// What a [`Reassembler`] has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FragmentCounts {
    /// Datagrams of which a fragment was seen.
    pub datagrams: u64,
    /// What became of them, in the order of [`Fate::ALL`]; the sum is `datagrams` once the capture has ended.
    pub fates: [u64; Fate::ALL.len()],
    /// Fragments that were there already.
    pub duplicates: u64,
    /// Fragments that went on without ports, because their first fragment was not seen in time.
    pub unresolved: u64,
}

impl FragmentCounts {
    /// Datagrams with this fate.
    pub fn with_fate(&self, fate: Fate) -> u64 {
        self.fates.get(fate as usize).copied().unwrap_or_default()
    }

    fn note(&mut self, step: Step) {
        match step {
            Step::Taken => {}
            Step::Duplicate => self.duplicates += 1,
            Step::Ended(fate) => self.add(fate),
        }
    }

    fn add(&mut self, fate: Fate) {
        if let Some(datagrams) = self.fates.get_mut(fate as usize) {
            *datagrams += 1;
        }
    }
}

/// What a frame with a fragment became: exactly one of these for each, in an order that only the capture determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// A packet of a flow: the fragment with its ports as far as they are known, or the packet inside a tunnel whose
    /// last missing piece the fragment was.
    Packet(Decoded),
    /// A piece of a tunnel's datagram whose packet inside went on in the place of the last piece.
    TunnelFragment,
}

/// Takes what fragments became, each with the clock time at which that was settled. It never goes back.
pub type Settle<'a> = dyn FnMut(i64, Settled) + 'a;

/// The datagrams under way.
#[derive(Debug)]
pub struct Reassembler {
    datagrams: HashMap<Key, Datagram>,
    /// The same by age.
    ages: BTreeMap<u64, Key>,
    deadline_ns: i64,
    pool_bytes: usize,
    digests: RandomState,
    counts: FragmentCounts,
}

impl Default for Reassembler {
    fn default() -> Reassembler {
        Reassembler {
            datagrams: HashMap::new(),
            ages: BTreeMap::new(),
            deadline_ns: i64::MAX,
            pool_bytes: 0,
            digests: RandomState::new(),
            counts: FragmentCounts::default(),
        }
    }
}

impl Reassembler {
    /// Clock time from which on [`Reassembler::expire`] has something to do.
    #[inline]
    pub fn deadline_ns(&self) -> i64 {
        self.deadline_ns
    }

    /// What was counted so far.
    pub fn counts(&self) -> FragmentCounts {
        self.counts
    }

    /// Bytes of memory taken, at most [`POOL_BYTES`] between two calls.
    pub fn pool_bytes(&self) -> usize {
        self.pool_bytes
    }

    /// Takes a frame that holds a fragment, at this clock time.
    pub fn add(&mut self, frame: &Frame<'_>, fragment: Decoded, clock_ns: i64, settle: &mut Settle<'_>) {
        let mut inside = self.add_piece(frame, frame.data, fragment, clock_ns, settle);
        // What a tunnel carries can be a fragment as well. Each round is one tunnel deeper, and decoding bounds these.
        while let Some((data, decoded)) = inside {
            if decoded.is_fragment() {
                inside = self.add_piece(frame, &data, decoded, clock_ns, settle);
            } else {
                return settle(clock_ns, Settled::Packet(decoded));
            }
        }
    }

    /// Lets go of the datagrams whose time is over, each at its own deadline.
    #[cold]
    pub fn expire(&mut self, clock_ns: i64, settle: &mut Settle<'_>) {
        // Without datagrams the deadline is the end of time, and a clock that hostile times have driven there reaches it.
        while self.deadline_ns <= clock_ns && !self.ages.is_empty() {
            self.forget_oldest(self.deadline_ns, Fate::TimedOut, settle);
        }
    }

    /// Lets go of all datagrams, because the capture ends at this clock time.
    pub fn finish(&mut self, clock_ns: i64, settle: &mut Settle<'_>) {
        while !self.ages.is_empty() {
            self.forget_oldest(clock_ns, Fate::Unfinished, settle);
        }
    }

    /// Takes one fragment, from a frame or from a datagram inside a tunnel. Yields the packet that the datagram it
    /// completed carries, with the data it lies in.
    fn add_piece(
        &mut self,
        frame: &Frame<'_>,
        data: &[u8],
        mut fragment: Decoded,
        clock_ns: i64,
        settle: &mut Settle<'_>,
    ) -> Option<(Vec<u8>, Decoded)> {
        let Some(piece) = Piece::of(data, &fragment) else {
            self.counts.unresolved += 1;
            settle(clock_ns, Settled::Packet(fragment));
            return None;
        };
        let digest = self.digests.hash_one(piece.data);
        if self.datagrams.get(&piece.key).is_some_and(|datagram| !datagram.admits(&piece, digest)) {
            self.remove(&piece.key);
        }
        if !self.datagrams.contains_key(&piece.key) {
            self.begin(piece.key, clock_ns);
        }
        let datagram = self.datagrams.get_mut(&piece.key)?;
        let before = datagram.charge();
        let step = datagram.take(&piece, digest);
        self.counts.note(step);
        let inside = match step {
            Step::Ended(Fate::Complete) => open(datagram, frame, &mut fragment),
            _ => None,
        };
        datagram.learn(&fragment, piece.start == 0);
        if inside.is_none() {
            datagram.wait(fragment);
        }
        release(datagram, false, &mut self.counts, clock_ns, settle);
        self.pool_bytes = self.pool_bytes - before + datagram.charge();
        while self.pool_bytes > POOL_BYTES {
            self.forget_oldest(clock_ns, Fate::TooMany, settle);
        }
        inside
    }

    fn begin(&mut self, key: Key, clock_ns: i64) {
        let serial = self.counts.datagrams;
        self.counts.datagrams += 1;
        let datagram = Datagram::new(serial, clock_ns.saturating_add(TIMEOUT_NS));
        self.deadline_ns = self.deadline_ns.min(datagram.deadline_ns);
        self.pool_bytes += datagram.charge();
        self.ages.insert(serial, key);
        self.datagrams.insert(key, datagram);
    }

    fn forget_oldest(&mut self, clock_ns: i64, fate: Fate, settle: &mut Settle<'_>) {
        let Some(key) = self.ages.first_key_value().map(|(_, key)| *key) else { return };
        let Some(mut datagram) = self.remove(&key) else { return };
        if let Some(fate) = datagram.fate(fate) {
            self.counts.add(fate);
        }
        release(&mut datagram, true, &mut self.counts, clock_ns, settle);
    }

    fn remove(&mut self, key: &Key) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.ages.remove(&datagram.serial);
        self.pool_bytes -= datagram.charge();
        let oldest = self.ages.values().next().and_then(|key| self.datagrams.get(key));
        self.deadline_ns = oldest.map_or(i64::MAX, |oldest| oldest.deadline_ns);
        Some(datagram)
    }
}

/// Decodes the datagram that this fragment completed. Yields the packet inside when there is one, with the data it
/// lies in; else all pieces learn what the whole says.
fn open(datagram: &mut Datagram, frame: &Frame<'_>, fragment: &mut Decoded) -> Option<(Vec<u8>, Decoded)> {
    let data = datagram.assemble();
    let wire_bytes = data.len() as u32;
    let mut whole =
        decode_datagram(&Frame { data: &data, wire_bytes, link: LinkType::RAW, ..*frame }, fragment);
    let packet = whole.packet.as_mut()?;
    (packet.wire_bytes, packet.captured_bytes) = (frame.wire_bytes, frame.data.len() as u32);
    if whole.tunnel != fragment.tunnel {
        datagram.resolve(Release::Tunnel);
        return Some((data, whole));
    }
    if datagram.is_released() {
        fragment.fault = fragment.fault.or(whole.fault);
    }
    datagram.resolve(Release::Flow(Some(Ends::of_whole(packet, whole.fault))));
    None
}

/// Lets the packets of a datagram go, if it is known where to.
fn release(
    datagram: &mut Datagram,
    is_over: bool,
    counts: &mut FragmentCounts,
    clock_ns: i64,
    settle: &mut Settle<'_>,
) {
    let release = datagram.release(is_over);
    if release == Release::Held {
        return;
    }
    for mut fragment in datagram.waiting() {
        let settled = match release {
            Release::Tunnel => Settled::TunnelFragment,
            Release::Flow(Some(ends)) => {
                ends.mark(&mut fragment);
                Settled::Packet(fragment)
            }
            _ => {
                counts.unresolved += 1;
                Settled::Packet(fragment)
            }
        };
        settle(clock_ns, settled);
    }
}

impl Decoded {
    /// Whether it holds a piece of a datagram.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.packet.as_ref().is_some_and(|packet| packet.fragment != Fragment::None)
    }

    /// Whether a first fragment cannot be understood alone.
    fn waits_for_whole(&self) -> bool {
        self.fault.is_some()
            || self.packet.is_some_and(|packet| {
                matches!(packet.fragment, Fragment::Later { .. }) || tunnel::may_carry(&packet)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_time_ends() {
        let mut settled = 0;
        Reassembler::default().expire(i64::MAX, &mut |_, _| settled += 1);
        assert_eq!(settled, 0);
    }
}
