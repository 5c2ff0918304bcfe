//! Captures from an interface of this machine, as if it were a file that never ends.
//!
//! The kernel writes frames into rings shared with it (`cormorant-afpacket`); a [`tap`] makes them whole again, with
//! the VLAN tag that the kernel keeps beside them. One ring is read in place; of several, each is drained by a thread
//! of its own and [`merge`] puts their frames in order of time. The filter's program runs in the kernel only to save
//! copies: it accepts whatever the kernel sees in another form, and the verdict is given where frames of files get
//! theirs, so that a live capture and its replay agree.
//!
//! Drops: memory is what the caller gave, so when the reader is slower than the interface the kernel has nowhere to
//! put frames. It counts each one, and [`super::InterfaceCounts`] says so:
//! `received = yielded + filtered + dropped_by_capture`.

mod merge;
mod privileges;
mod tap;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cormorant_afpacket::{self as afpacket, Ring, RingOptions};

use super::{Capture, Interface, LARGEST_FRAME_BYTES, LinkType, Origin, Record, Step};
use crate::NetError;
use crate::filter::{Filter, Program};
use merge::Merge;
use tap::{Heard, Tap};

pub use privileges::drop_privileges;

/// Milliseconds after which the kernel hands over a block that is not full.
const RETIRE_MS: u32 = 10;
/// Frames between two readings of the kernel's counters while the interface never falls quiet.
const COUNT_EVERY: u64 = 1 << 16;

/// How an interface is captured from. Start from the default, so that more options can be added.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Bytes kept of each frame; 0 = [`LARGEST_FRAME_BYTES`], which is also the most.
    pub snaplen_bytes: u32,
    /// Memory shared with the kernel, for all rings together: what bridges a pause of the reader.
    pub ring_bytes: usize,
    /// Whether to ask the interface for frames that are addressed to others.
    pub promiscuous: bool,
    /// Rings, each drained by a thread of its own when there are several. The same frames in the same order for any
    /// number, as long as the kernel stamps frames in the order in which it hands them over.
    pub threads: usize,
    /// Which frames are yielded and numbered.
    pub filter: Option<Filter>,
    /// When set, the capture yields what the rings still hold and ends.
    pub stop: Arc<AtomicBool>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            snaplen_bytes: LARGEST_FRAME_BYTES,
            ring_bytes: 32 << 20,
            promiscuous: true,
            threads: 1,
            filter: None,
            stop: Arc::default(),
        }
    }
}

impl Capture {
    /// Opens an interface of this machine, or all of them as `any`, and captures from now on, in both directions; on
    /// the loopback each frame once. Frames of interfaces whose link layer has no type of its own come with a
    /// Linux cooked header (`LINUX_SLL2`). No thread is started before the first [`Capture::next`], so privileges
    /// can be given up between the two: [`drop_privileges`].
    ///
    /// # Errors
    /// [`NetError::Live`] when there is no such interface, when it is down, or when the process may not;
    /// [`NetError::Filter`] when the filter means nothing on its link type.
    pub fn open_interface(name: &str, options: &LiveOptions) -> Result<Self, NetError> {
        let failed = |e: afpacket::Error| into_error(name, 0, &e);
        let interface = afpacket::Interface::find(name).map_err(failed)?;
        let link = link_type(interface.hardware);
        let snaplen_bytes = match options.snaplen_bytes {
            0 => LARGEST_FRAME_BYTES,
            bytes => bytes.min(LARGEST_FRAME_BYTES),
        };
        let program = options.filter.as_ref().map(|filter| filter.program(link)).transpose()?;
        // Cooked frames have no header yet when the kernel's program sees them.
        let program = program.filter(|_| link != LinkType::LINUX_SLL2);
        let program = program.map(|program| superset(&program, snaplen_bytes)).unwrap_or_default();
        let rings = open_rings(&interface, options, snaplen_bytes, link, &program).map_err(failed)?;
        let taps = rings
            .into_iter()
            .map(|ring| Tap::new(ring, link, snaplen_bytes as usize, Arc::clone(&options.stop)))
            .collect();
        let live = Live::new(interface, link, taps, Arc::clone(&options.stop));
        let described = vec![Interface::new(name, link, snaplen_bytes)];
        let mut capture = Self::new(name, Origin::Live(Box::new(live)), described);
        if let Some(filter) = &options.filter {
            capture.set_filter(filter.clone());
        }
        Ok(capture)
    }
}

/// An interface being captured from.
pub(super) struct Live {
    interface: afpacket::Interface,
    /// What the interface had lost before.
    lost_before: Option<u64>,
    link: LinkType,
    rings: Rings,
    stop: Arc<AtomicBool>,
    frames: u64,
    bytes: u64,
}

enum Rings {
    One(Tap),
    Several(Merge),
}

impl Live {
    fn new(
        interface: afpacket::Interface,
        link: LinkType,
        mut taps: Vec<Tap>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let rings = match taps.pop() {
            Some(tap) if taps.is_empty() => Rings::One(tap),
            last => {
                taps.extend(last);
                Rings::Several(Merge::new(taps))
            }
        };
        Self { lost_before: interface.lost(), interface, link, rings, stop, frames: 0, bytes: 0 }
    }

    /// The next frame, or that there is none now, or none any more.
    #[inline]
    pub(super) fn step(
        &mut self,
        interfaces: &mut [Interface],
        found: &mut Record,
    ) -> Result<Step, afpacket::Error> {
        let heard = match &mut self.rings {
            Rings::One(tap) => tap.next(),
            Rings::Several(merge) => merge.next(),
        };
        let Ok(Heard::Frame(frame)) = heard else {
            self.count(interfaces, !matches!(heard, Ok(Heard::Quiet)));
            return heard.map(|heard| if matches!(heard, Heard::End) { Step::End } else { Step::Quiet });
        };
        self.frames += 1;
        self.bytes += frame.captured_bytes as u64;
        if self.frames.is_multiple_of(COUNT_EVERY) {
            self.count(interfaces, false);
        }
        *found = Record {
            ts_ns: frame.ts_ns,
            offset: 0,
            wire_bytes: frame.wire_bytes,
            link: self.link,
            interface: 0,
            data: 0..frame.captured_bytes,
        };
        Ok(Step::Found)
    }

    /// Ends early: passes over what the rings still hold, so that the counters are final.
    #[cold]
    pub(super) fn close(&mut self, interfaces: &mut [Interface]) {
        self.stop.store(true, Ordering::Relaxed);
        let mut passed_over = Record::default();
        while matches!(self.step(interfaces, &mut passed_over), Ok(Step::Found | Step::Quiet)) {}
    }

    /// A part of the frame found last.
    #[inline]
    pub(super) fn slice(&self, place: Range<usize>) -> &[u8] {
        let bytes = match &self.rings {
            Rings::One(tap) => tap.bytes(),
            Rings::Several(merge) => merge.bytes(),
        };
        bytes.get(place).unwrap_or_default()
    }

    /// Captured bytes of all frames so far.
    pub(super) fn received_bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the counters over; what the interface itself lost only at the end, as it must be read from files.
    fn count(&mut self, interfaces: &mut [Interface], at_end: bool) {
        let kernel = match &mut self.rings {
            Rings::One(tap) => tap.counts(),
            Rings::Several(merge) => merge.counts(),
        };
        let Some(Interface { counts, .. }) = interfaces.first_mut() else { return };
        counts.received = Some(kernel.received);
        counts.dropped_by_capture = Some(kernel.dropped);
        if at_end {
            let lost = self.interface.lost().zip(self.lost_before);
            counts.dropped_by_interface = lost.map(|(now, before)| now.saturating_sub(before));
        }
    }
}

/// What [`Capture`] says when an interface fails it.
#[cold]
pub(super) fn into_error(name: &str, packets: u64, error: &afpacket::Error) -> NetError {
    NetError::Live { name: name.to_owned(), what: error.to_string(), packets, advice: error.advice() }
}

/// One ring, or several that share the interface; all start when all are ready.
fn open_rings(
    interface: &afpacket::Interface,
    options: &LiveOptions,
    snaplen_bytes: u32,
    link: LinkType,
    program: &[afpacket::Instruction],
) -> Result<Vec<Ring>, afpacket::Error> {
    // On the loopback a ring leaves out the copies of frames that are sent; rings in a group get them all the same.
    let threads = if interface.is_loopback() { 1 } else { options.threads.max(1) };
    let ring = RingOptions {
        snaplen_bytes,
        ring_bytes: options.ring_bytes / threads,
        promiscuous: options.promiscuous,
        retire_ms: RETIRE_MS,
    };
    let open = |_| Ring::open(interface, &ring, link == LinkType::LINUX_SLL2);
    let rings = (0..threads).map(open).collect::<Result<Vec<_>, _>>()?;
    if threads > 1 {
        rings.iter().try_fold(None, |group, ring| ring.join(group).map(Some))?;
    }
    rings.iter().try_for_each(|ring| ring.start(program))?;
    Ok(rings)
}

/// What frames of an interface start with, by its `ARPHRD_` number (`linux/if_arp.h`). Numbers whose frames may or
/// may not have a link layer (PPP), or one that we do not read, get a cooked header instead, as with libpcap.
pub(super) fn link_type(hardware: u16) -> LinkType {
    match hardware {
        1 | 772 => LinkType::ETHERNET,
        // Tunnels of IP in IP, 6in4 and tun devices.
        768 | 769 | 776 | 519 | 0xfffe => LinkType::RAW,
        801 => LinkType(105),
        803 => LinkType(127),
        _ => LinkType::LINUX_SLL2,
    }
}

/// The program for the kernel: whatever it accepts is cut to the snapshot length, and frames whose VLAN tag lies
/// beside them pass, because the program has not seen them whole.
fn superset(program: &Program, snaplen_bytes: u32) -> Vec<afpacket::Instruction> {
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    // SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT of `linux/filter.h`.
    const TAG_PRESENT: u32 = (-0x1000_i32 + 48).cast_unsigned();
    let instruction = |code, jt, jf, k| afpacket::Instruction { code, jt, jf, k };
    let prefix = [
        instruction(LOAD_WORD, 0, 0, TAG_PRESENT),
        instruction(JUMP_IF_EQUAL, 1, 0, 0),
        instruction(RETURN, 0, 0, snaplen_bytes),
    ];
    let rest = program.instructions().iter().map(|given| {
        let k = if given.code == RETURN && given.k > 0 { snaplen_bytes } else { given.k };
        instruction(given.code, given.jt, given.jf, k)
    });
    prefix.into_iter().chain(rest).collect()
}
