//! Several rings as one sequence of frames in order of time.
//!
//! Each ring is drained by a thread that copies its frames into batches; the reader takes the earliest frame that any
//! ring has, the first ring's on a tie. It may only do so once no ring can have an earlier one: a ring without frames
//! says up to when it has yielded everything. That mark is the newest time stamp seen on any ring, read *before* the
//! ring was found to hold nothing more, so it needs no clock and moves whenever any ring has traffic.
//!
//! Guaranteed: every frame is yielded once, frames of one ring in their order, and all in order of time if each ring
//! was. The kernel stamps a frame just before it puts it into a ring; should it be held up between the two for longer
//! than another frame takes to come through here, that one frame comes late, and is counted as any frame of a capture
//! whose time runs backward. Batches are bounded in number and size: when the reader is slow the threads wait, the rings fill,
//! and the kernel counts what it drops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use cormorant_afpacket::{Counts, Error};
use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, bounded};

use super::RETIRE_MS;
use super::tap::{Heading, Heard, Tap};

/// A batch is sent on when it holds this much, or when its ring is empty.
const BATCH_BYTES: usize = 256 << 10;
const BATCH_FRAMES: usize = 1024;
/// Batches that wait for the reader, for each ring.
const WAITING_BATCHES: usize = 8;
/// Longest wait of the reader before it says that nothing happens.
const WAIT: Duration = Duration::from_millis(100);

/// The rings' threads and what came from each.
pub(super) struct Merge {
    /// Rings whose threads are not started yet.
    taps: Vec<Tap>,
    lanes: Vec<Lane>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    /// The lane whose first frame is lent to the reader.
    lent: Option<usize>,
    told_quiet: bool,
    /// The first fault, told once everything else has been.
    fault: Option<Error>,
}

/// What came from one ring.
struct Lane {
    parcels: Receiver<Parcel>,
    batch: Batch,
    /// The next frame of the batch.
    at: usize,
    /// Every frame up to this time has come.
    complete_ns: i64,
    counts: Counts,
    open: bool,
}

/// What the rings' threads and the reader know of each other.
struct Shared {
    /// Newest time stamp of any frame that was sent on.
    newest_ns: AtomicI64,
    /// The reader has gone.
    abandoned: AtomicBool,
}

/// What a ring's thread sends.
#[derive(Default)]
struct Parcel {
    batch: Batch,
    complete_ns: Option<i64>,
    counts: Counts,
    fault: Option<Error>,
}

/// Copied frames.
#[derive(Default)]
struct Batch {
    frames: Vec<(Heading, usize)>,
    bytes: Vec<u8>,
}

impl Merge {
    /// No thread is started yet.
    pub(super) fn new(taps: Vec<Tap>) -> Self {
        let shared = Shared { newest_ns: AtomicI64::new(i64::MIN), abandoned: AtomicBool::new(false) };
        Self {
            taps,
            lanes: Vec::new(),
            threads: Vec::new(),
            shared: Arc::new(shared),
            lent: None,
            told_quiet: false,
            fault: None,
        }
    }

    /// The next frame in order of time.
    pub(super) fn next(&mut self) -> Result<Heard, Error> {
        for tap in std::mem::take(&mut self.taps) {
            self.start(tap)?;
        }
        if let Some(lane) = self.lent.take().and_then(|lane| self.lanes.get_mut(lane)) {
            lane.at += 1;
        }
        loop {
            let earliest = self.earliest();
            if self.lanes.iter().any(|lane| lane.may_precede(earliest)) {
                if !self.receive(earliest) {
                    return Ok(Heard::Quiet);
                }
                continue;
            }
            let Some((_, lane, heading)) = earliest else {
                return self.fault.take().map_or(Ok(Heard::End), Err);
            };
            self.lent = Some(lane);
            self.told_quiet = false;
            return Ok(Heard::Frame(heading));
        }
    }

    /// The bytes of the frame that came last.
    pub(super) fn bytes(&self) -> &[u8] {
        let lane = self.lent.and_then(|lane| self.lanes.get(lane));
        lane.and_then(Lane::first).map_or(&[], |(_, bytes)| bytes)
    }

    /// The kernel's counters, as of the last that came from each ring.
    pub(super) fn counts(&self) -> Counts {
        self.lanes.iter().fold(Counts::default(), |sum, lane| sum.plus(&lane.counts))
    }

    /// Starts a ring's thread. It looks for frames more often than it must, as others may wait for its mark.
    fn start(&mut self, tap: Tap) -> Result<(), Error> {
        let (sender, shared) = (self.open_lane(), Arc::clone(&self.shared));
        let tap = tap.with_wait_ms(RETIRE_MS);
        let thread = thread::Builder::new().name("ring".to_owned());
        let thread = thread
            .spawn(move || drain(tap, &sender, &shared))
            .map_err(|source| Error::System { what: "cannot start a thread", source })?;
        self.threads.push(thread);
        Ok(())
    }

    fn open_lane(&mut self) -> Sender<Parcel> {
        let (sender, parcels) = bounded(WAITING_BATCHES);
        self.lanes.push(Lane {
            parcels,
            batch: Batch::default(),
            at: 0,
            complete_ns: i64::MIN,
            counts: Counts::default(),
            open: true,
        });
        sender
    }

    /// Time, lane and heading of the earliest frame that any lane has.
    fn earliest(&self) -> Option<(i64, usize, Heading)> {
        let first = |(lane, heading): (usize, Heading)| (heading.ts_ns, lane, heading);
        let heads = self.lanes.iter().enumerate();
        let heads = heads.filter_map(|(lane, parcels)| Some((lane, parcels.first()?.0))).map(first);
        heads.min_by_key(|&(ts_ns, lane, _)| (ts_ns, lane))
    }

    /// Takes what has come on the lanes that are waited for; false when nothing has.
    fn receive(&mut self, earliest: Option<(i64, usize, Heading)>) -> bool {
        let mut received = false;
        for lane in self.lanes.iter_mut().filter(|lane| lane.may_precede(earliest)) {
            received |= lane.receive(&mut self.fault);
        }
        // What is finished can be handed out at once: only then is it time to wait.
        if received || (earliest.is_none() && !std::mem::replace(&mut self.told_quiet, true)) {
            return received;
        }
        let mut select = Select::new();
        for lane in self.lanes.iter().filter(|lane| lane.may_precede(earliest)) {
            select.recv(&lane.parcels);
        }
        select.ready_timeout(WAIT).is_ok()
    }
}

impl Drop for Merge {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Relaxed);
        self.lanes.clear();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; there is nothing more to do here.
            let _ = thread.join();
        }
    }
}

impl Lane {
    /// The next frame, if one has come.
    fn first(&self) -> Option<(Heading, &[u8])> {
        let &(heading, end) = self.batch.frames.get(self.at)?;
        let bytes = self.batch.bytes.get(end.saturating_sub(heading.captured_bytes)..end)?;
        Some((heading, bytes))
    }

    /// Whether a frame may still come that belongs before this one, or before any when there is none.
    fn may_precede(&self, earliest: Option<(i64, usize, Heading)>) -> bool {
        let complete = earliest.is_some_and(|(ts_ns, ..)| self.complete_ns >= ts_ns);
        self.open && !complete && self.at == self.batch.frames.len()
    }

    /// Takes the next parcel; false when none has come.
    fn receive(&mut self, fault: &mut Option<Error>) -> bool {
        match self.parcels.try_recv() {
            Ok(parcel) => {
                (self.batch, self.at, self.counts) = (parcel.batch, 0, parcel.counts);
                self.complete_ns = parcel.complete_ns.map_or(self.complete_ns, |to| to.max(self.complete_ns));
                *fault = fault.take().or(parcel.fault);
                true
            }
            Err(TryRecvError::Disconnected) => {
                self.open = false;
                true
            }
            Err(TryRecvError::Empty) => false,
        }
    }
}

/// A ring's thread: sends its frames on until the ring ends or the reader has gone.
fn drain(mut tap: Tap, parcels: &Sender<Parcel>, shared: &Shared) {
    let (mut batch, mut told_ns) = (Batch::default(), None);
    while !shared.abandoned.load(Ordering::Relaxed) {
        let heard = tap.next();
        if let Ok(Heard::Frame(heading)) = heard {
            batch.push(heading, tap.bytes());
            if !batch.is_full() {
                continue;
            }
        }
        let ending = matches!(heard, Ok(Heard::End) | Err(_));
        let parcel = shared.parcel(&mut tap, &mut batch, heard);
        let news = ending || parcel.complete_ns > told_ns || !parcel.batch.frames.is_empty();
        told_ns = parcel.complete_ns.max(told_ns);
        if (news && parcels.send(parcel).is_err()) || ending {
            return;
        }
    }
}

impl Shared {
    /// Packs what a ring's thread has gathered.
    fn parcel(&self, tap: &mut Tap, batch: &mut Batch, heard: Result<Heard, Error>) -> Parcel {
        // The order matters: frames that were newest before the ring was found drained bound what it can still bring.
        let newest_ns = self.newest_ns.load(Ordering::Acquire);
        let counts = tap.counts();
        let quiet = matches!(heard, Ok(Heard::Quiet));
        let batch = std::mem::take(batch);
        let last_ns = batch.frames.iter().map(|(heading, _)| heading.ts_ns).max();
        self.newest_ns.fetch_max(last_ns.unwrap_or(i64::MIN), Ordering::AcqRel);
        Parcel {
            complete_ns: (quiet && counts.is_drained()).then_some(newest_ns),
            batch,
            counts,
            fault: heard.err(),
        }
    }
}

impl Batch {
    fn push(&mut self, heading: Heading, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.frames.push((heading, self.bytes.len()));
    }

    fn is_full(&self) -> bool {
        self.frames.len() >= BATCH_FRAMES || self.bytes.len() >= BATCH_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heading(ts_ns: i64) -> Heading {
        Heading { ts_ns, wire_bytes: 1, captured_bytes: 1 }
    }

    fn parcel(frames: &[(i64, u8)], complete_ns: Option<i64>) -> Parcel {
        let mut batch = Batch::default();
        frames.iter().for_each(|&(ts_ns, byte)| batch.push(heading(ts_ns), &[byte]));
        Parcel { batch, complete_ns, ..Parcel::default() }
    }

    /// A merge of lanes that are fed by hand.
    fn merge(lanes: usize) -> (Merge, Vec<Sender<Parcel>>) {
        let mut merge = Merge::new(Vec::new());
        let senders = (0..lanes).map(|_| merge.open_lane()).collect();
        (merge, senders)
    }

    /// All that is yielded until it is quiet or ends.
    fn yielded(merge: &mut Merge) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Ok(Heard::Frame(_)) = merge.next() {
            bytes.extend_from_slice(merge.bytes());
        }
        bytes
    }

    #[test]
    fn frames_leave_in_order_of_time_and_the_first_ring_goes_first_on_a_tie() {
        let (mut merge, senders) = merge(2);
        senders[0].send(parcel(&[(1, 1), (5, 4), (5, 5)], None)).unwrap();
        senders[1].send(parcel(&[(2, 2), (3, 3), (5, 6)], None)).unwrap();
        drop(senders);
        assert_eq!(yielded(&mut merge), [1, 2, 3, 4, 5, 6]);
        assert!(matches!(merge.next(), Ok(Heard::End)));
    }

    #[test]
    fn a_silent_ring_holds_frames_back_only_until_it_says_how_far_it_is() {
        let (mut merge, senders) = merge(2);
        senders[0].send(parcel(&[(10, 1), (20, 2)], None)).unwrap();
        assert!(yielded(&mut merge).is_empty(), "the other ring may have an earlier frame");
        senders[1].send(parcel(&[], Some(10))).unwrap();
        assert_eq!(yielded(&mut merge), [1]);
        senders[1].send(parcel(&[(15, 3)], Some(12))).unwrap();
        senders[1].send(parcel(&[], Some(20))).unwrap();
        assert_eq!(yielded(&mut merge), [3, 2]);
    }

    #[test]
    fn a_fault_comes_once_and_after_every_frame() {
        let (mut merge, senders) = merge(2);
        senders[0].send(Parcel { fault: Some(Error::NotPermitted), ..parcel(&[(2, 2)], None) }).unwrap();
        senders[1].send(Parcel { fault: Some(Error::NotPermitted), ..parcel(&[(1, 1)], None) }).unwrap();
        drop(senders);
        let (mut bytes, mut faults) = (Vec::new(), 0);
        loop {
            match merge.next() {
                Ok(Heard::Frame(_)) => bytes.extend_from_slice(merge.bytes()),
                Ok(Heard::Quiet) => {}
                Ok(Heard::End) => break,
                Err(_) => faults += 1,
            }
        }
        assert_eq!((bytes, faults), (vec![1, 2], 1));
    }
}
