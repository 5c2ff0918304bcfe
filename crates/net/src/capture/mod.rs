//! Reads captures: yields each captured frame with its time and place, and ends with at most one error.
//!
//! One path for files, standard input and compressed data: [`source`] decompresses, [`chunks`] keeps a window
//! of fixed size over the bytes, [`pcap`] and [`pcapng`] find the records in it, and a frame is a slice of it.
//! So memory stays the same whatever lengths a file claims, and nothing is copied but what `read` copies.

mod chunks;
mod interfaces;
mod link;
mod live;
mod pcap;
mod pcapng;
mod recording;
mod source;
pub mod write;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crate::NetError;
use crate::filter::{Filter, LinkPrograms};
use chunks::Chunks;
use live::Live;
use pcap::Pcap;
use pcapng::{Clock, Pcapng};
use source::Source;

pub use interfaces::{LocalInterface, interfaces};
pub use link::LinkType;
pub use live::{LiveOptions, drop_privileges};
pub use recording::{MOST_LISTED, Recorded, Recording, Rotation, write_advice};

/// Bytes kept of one frame, the limit of libpcap and Wireshark: a longer record means damage, except on the few
/// link types that carry bigger ones (USB, D-Bus), whose frames are cut to this length.
pub const LARGEST_FRAME_BYTES: u32 = 256 * 1024;
/// Frames that a filter passes over before [`Capture::next`] says [`Next::Quiet`], so that nobody waits unheard.
pub const PASSED_OVER_FRAMES: u32 = 16 * 1024;

/// One captured frame as the reader yields it, borrowed from the reader's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// 1-based number within this capture, or within its recording.
    pub number: u64,
    /// Capture time in nanoseconds since the UNIX epoch. A frame of a pcapng Simple Packet Block has no time of
    /// its own and gets that of the frame before it (0 at the start).
    pub ts_ns: i64,
    /// Byte offset of the record in the uncompressed capture, or in the file it is recorded in; 0 when live and not
    /// recorded.
    pub offset: u64,
    /// Length of the frame on the wire; at least `data.len()`.
    pub wire_bytes: u32,
    /// What the frame's first byte is the start of.
    pub link: LinkType,
    /// Index into [`Capture::interfaces`]; 0 for pcap.
    pub interface: u32,
    /// The captured bytes, fewer than `wire_bytes` when a snapshot length cut them.
    pub data: &'a [u8],
}

/// Where frames were captured, as the file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// What its frames start with.
    pub link: LinkType,
    /// Longest capture of a frame in bytes; 0 = no limit stated.
    pub snaplen_bytes: u32,
    /// Interface name; empty when the file gives none.
    pub name: String,
    /// Resolution of the file's time stamps.
    pub ticks_per_s: f64,
    /// What it received and lost, as far as is known by now: a file says so after the packets.
    pub counts: InterfaceCounts,
    clock: Clock,
}

impl Interface {
    /// An interface that counts nanoseconds and has received nothing yet.
    pub fn new(name: &str, link: LinkType, snaplen_bytes: u32) -> Self {
        let (name, counts, clock) = (name.to_owned(), InterfaceCounts::default(), Clock::NANOSECONDS);
        Self { link, snaplen_bytes, name, ticks_per_s: clock.ticks_per_s(), counts, clock }
    }
}

/// Packets as an interface and the capture on it counted them, each from the capture's start; `None` = not stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceCounts {
    /// Received from the link.
    pub received: Option<u64>,
    /// Lost by the interface before the capture saw them.
    pub dropped_by_interface: Option<u64>,
    /// Lost by the capture for want of buffer space.
    pub dropped_by_capture: Option<u64>,
}

/// What [`Capture::next`] found.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// The next frame.
    Frame(Frame<'a>),
    /// A live interface has nothing now but may have later, or the filter has passed over [`PASSED_OVER_FRAMES`] in
    /// a row: the moment to hand out what is finished and to look whether to go on.
    Quiet,
    /// The end.
    End,
}

/// A capture being read, from first frame to last.
pub struct Capture {
    name: String,
    origin: Origin,
    interfaces: Vec<Interface>,
    size_bytes: Option<u64>,
    packets: u64,
    filter: Option<LinkPrograms>,
    filtered: u64,
    ended: bool,
    /// The frame found last: kept here, as handing it up call by call costs more than reading its header.
    found: Record,
    /// Frames still to be yielded.
    wanted: u64,
    recording: Option<Box<Recording>>,
}

/// Where frames come from.
enum Origin {
    /// A file or a pipe.
    Stream { chunks: Chunks, format: Format },
    /// An interface of this machine.
    Live(Box<Live>),
}

enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// What an origin has next.
enum Step {
    /// A frame, described in [`Capture::found`].
    Found,
    Quiet,
    End,
}

/// A frame found in the window of a stream or in the memory of an interface, and its place there.
#[derive(Default)]
struct Record {
    ts_ns: i64,
    offset: u64,
    link: LinkType,
    wire_bytes: u32,
    interface: u32,
    data: Range<usize>,
}

/// Why reading ends before the end: what [`NetError::Damaged`] says, found by the parsers.
#[derive(Debug)]
struct Stop {
    offset: u64,
    expected: String,
    found: String,
    advice: &'static str,
}

impl Capture {
    /// Opens a capture file: pcap or pcapng, plain, gzip, zstd or xz, told by content and never by name.
    ///
    /// # Errors
    /// [`NetError::Io`] when the file cannot be read or is a directory, [`NetError::NotACapture`] when it holds
    /// something else, [`NetError::Damaged`] when its header is cut.
    pub fn open(path: &Path) -> Result<Self, NetError> {
        let name = path.display().to_string();
        let cannot = |source, advice| NetError::Io { name: name.clone(), source, advice };
        let file = File::open(path).map_err(|e| cannot(e, "check the path and that you may read it"))?;
        let metadata = file.metadata().map_err(|e| cannot(e, "check the path and that you may read it"))?;
        if metadata.is_dir() {
            return Err(cannot(io::ErrorKind::IsADirectory.into(), "name the capture files inside it"));
        }
        let mut capture = Self::from_reader(&name, Box::new(file))?;
        capture.size_bytes = metadata.is_file().then_some(metadata.len());
        Ok(capture)
    }

    /// Reads a capture from any stream, such as standard input. `name` is what errors call it.
    ///
    /// # Errors
    /// As [`Capture::open`].
    pub fn from_reader(name: &str, reader: Box<dyn Read + Send>) -> Result<Self, NetError> {
        let source = Source::sniff(reader).map_err(|source| NetError::Io {
            name: name.to_owned(),
            source,
            advice: "check that it can be read to the end",
        })?;
        let mut chunks = Chunks::new(source);
        let mut interfaces = Vec::new();
        let format = sniff(name, &mut chunks, &mut interfaces)?;
        Ok(Self::new(name, Origin::Stream { chunks, format }, interfaces))
    }

    fn new(name: &str, origin: Origin, interfaces: Vec<Interface>) -> Self {
        Self {
            name: name.to_owned(),
            origin,
            interfaces,
            size_bytes: None,
            packets: 0,
            filter: None,
            filtered: 0,
            found: Record::default(),
            wanted: u64::MAX,
            recording: None,
            ended: false,
        }
    }

    /// Yields only frames that match from now on. Those of a file keep their numbers; those of an interface are
    /// numbered after the filter. The filter is compiled for a link type when its first frame comes.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = (!filter.is_empty()).then(|| LinkPrograms::new(filter));
    }

    /// Frames that did not match the filter.
    pub fn filtered(&self) -> u64 {
        self.filtered
    }

    /// Ends the capture after this many more frames that match the filter.
    pub fn limit(&mut self, frames: u64) {
        self.wanted = frames;
    }

    /// Records every frame that is yielded from now on. Its number and offset are then those it has in the recording,
    /// so that whatever is made of this capture is what will be made of the recording.
    pub fn record(&mut self, recording: Recording) {
        self.recording = Some(Box::new(recording));
    }

    /// Completes the recording, if there is one, with what the interfaces have counted by now.
    ///
    /// # Errors
    /// [`NetError::Recording`], unless [`Capture::next`] has said it before.
    pub fn end_recording(&mut self) -> Result<Option<Recorded>, NetError> {
        let recording = self.recording.take();
        recording.map(|recording| recording.finish(&self.interfaces)).transpose()
    }

    /// The next frame, or that there is none now, or none any more.
    ///
    /// # Errors
    /// [`NetError::Damaged`], [`NetError::Live`], [`NetError::Filter`] or [`NetError::Recording`] once, at the first
    /// fault: every frame before it was yielded, and after it comes [`Next::End`].
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a frame is borrowed from the capture")]
    pub fn next(&mut self) -> Result<Next<'_>, NetError> {
        for _ in 0..PASSED_OVER_FRAMES {
            match self.step()? {
                Step::Found => {
                    if self.takes()? {
                        return Ok(Next::Frame(self.frame()));
                    }
                }
                Step::Quiet => break,
                Step::End => return Ok(Next::End),
            }
        }
        if let Some(recording) = &mut self.recording {
            recording.flush().inspect_err(|_| self.ended = true)?;
        }
        Ok(Next::Quiet)
    }

    /// The next frame, however long a live interface takes to see one; `Ok(None)` at the end.
    ///
    /// # Errors
    /// As [`Capture::next`].
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, NetError> {
        loop {
            match self.step()? {
                Step::Found => {
                    if self.takes()? {
                        return Ok(Some(self.frame()));
                    }
                }
                Step::Quiet => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// Whether the frame just found is yielded; then it is recorded, too.
    #[inline]
    fn takes(&mut self) -> Result<bool, NetError> {
        if self.filter.is_some() && !self.passes()? {
            return Ok(false);
        }
        if self.recording.is_some() {
            self.keep()?;
        }
        self.wanted -= 1;
        Ok(true)
    }

    /// Whether the frame just found matches the filter; counts it when not.
    fn passes(&mut self) -> Result<bool, NetError> {
        let record = &self.found;
        let data = self.origin.slice(record.data.clone());
        let verdict = match &mut self.filter {
            Some(programs) => programs.matches(record.link, data, record.wire_bytes),
            None => Ok(true),
        };
        let matches = verdict.inspect_err(|_| self.ended = true)?;
        self.filtered += u64::from(!matches);
        self.packets += u64::from(!matches && matches!(self.origin, Origin::Stream { .. }));
        Ok(matches)
    }

    /// Records the frame just found, and remembers where.
    fn keep(&mut self) -> Result<(), NetError> {
        let record = &mut self.found;
        let data = self.origin.slice(record.data.clone());
        if let Some(recording) = &mut self.recording {
            let kept = recording.keep(record, data, &self.interfaces);
            record.offset = kept.inspect_err(|_| self.ended = true)?;
        }
        Ok(())
    }

    #[cold]
    fn end(&mut self) -> Step {
        if let (Origin::Live(live), false) = (&mut self.origin, self.ended) {
            live.close(&mut self.interfaces);
        }
        self.ended = true;
        Step::End
    }

    #[inline]
    fn step(&mut self) -> Result<Step, NetError> {
        if self.ended || self.wanted == 0 {
            return Ok(self.end());
        }
        let found = match &mut self.origin {
            Origin::Stream { chunks, format: Format::Pcap(pcap) } => pcap.next(chunks, &mut self.found),
            Origin::Stream { chunks, format: Format::Pcapng(pcapng) } => {
                pcapng.next(chunks, &mut self.interfaces, &mut self.found)
            }
            Origin::Live(live) => {
                let step = live.step(&mut self.interfaces, &mut self.found);
                self.ended = matches!(step, Ok(Step::End) | Err(_));
                return step.map_err(|e| live::into_error(&self.name, self.packets, &e));
            }
        };
        match found {
            Ok(true) => Ok(Step::Found),
            Ok(false) => {
                self.ended = true;
                Ok(Step::End)
            }
            Err(stop) => Err(self.end_with(*stop)),
        }
    }

    /// Gives the frame just found its number and its bytes.
    #[inline]
    fn frame(&mut self) -> Frame<'_> {
        self.packets += 1;
        let record = &self.found;
        Frame {
            number: self.recording.as_ref().map_or(self.packets, |recording| recording.frames()),
            ts_ns: record.ts_ns,
            offset: record.offset,
            wire_bytes: record.wire_bytes,
            link: record.link,
            interface: record.interface,
            data: self.origin.slice(record.data.clone()),
        }
    }

    /// What errors call this capture: its path, or the name given to [`Capture::from_reader`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `pcap` or `pcapng`, or `interface` for one of this machine.
    pub fn format(&self) -> &'static str {
        match self.origin {
            Origin::Stream { format: Format::Pcap(_), .. } => "pcap",
            Origin::Stream { format: Format::Pcapng(_), .. } => "pcapng",
            Origin::Live(_) => "interface",
        }
    }

    /// Whether frames come from an interface of this machine, as they arrive.
    pub fn is_live(&self) -> bool {
        matches!(self.origin, Origin::Live(_))
    }

    /// Frames lost so far for want of memory or of time to read them, as far as is known by now.
    pub fn dropped(&self) -> u64 {
        self.interfaces.iter().filter_map(|interface| interface.counts.dropped_by_capture).sum()
    }

    /// `gzip`, `zstd` or `xz`, when the file is compressed.
    pub fn compression(&self) -> Option<&'static str> {
        match &self.origin {
            Origin::Stream { chunks, .. } => chunks.source().compression(),
            Origin::Live(_) => None,
        }
    }

    /// Bytes of the file as stored that were used so far: the numerator of a progress bar. Bytes received when live.
    pub fn consumed_bytes(&self) -> u64 {
        match &self.origin {
            Origin::Stream { chunks, .. } => {
                chunks.source().compressed_bytes().unwrap_or_else(|| chunks.offset())
            }
            Origin::Live(live) => live.received_bytes(),
        }
    }

    /// Size of the file as stored; `None` for streams.
    pub fn size_bytes(&self) -> Option<u64> {
        self.size_bytes
    }

    /// pcapng blocks of a type that the reader does not know, which it has passed over.
    pub fn unknown_blocks(&self) -> u64 {
        match &self.origin {
            Origin::Stream { format: Format::Pcapng(pcapng), .. } => pcapng.unknown_blocks(),
            Origin::Stream { .. } | Origin::Live(_) => 0,
        }
    }

    /// Interfaces described so far; pcapng may describe more anywhere in the file.
    pub fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    #[cold]
    fn end_with(&mut self, stop: Stop) -> NetError {
        self.ended = true;
        stop.into_error(&self.name, self.packets)
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, format, packets) = (&self.name, self.format(), self.packets);
        write!(f, "Capture({name}, {format}, {packets} packets)")
    }
}

impl Origin {
    /// The bytes at a place, until the next frame is asked for.
    #[inline]
    fn slice(&self, place: Range<usize>) -> &[u8] {
        match self {
            Self::Stream { chunks, .. } => chunks.slice(place),
            Self::Live(live) => live.slice(place),
        }
    }
}

/// Reads the file header and tells the format by it.
fn sniff(name: &str, chunks: &mut Chunks, interfaces: &mut Vec<Interface>) -> Result<Format, NetError> {
    let unreadable = |e| Stop::reading(0, &e).into_error(name, 0);
    if chunks.need(4).map_err(unreadable)? == 0 {
        return Err(not_a_capture(name, "an empty file", "nothing was written: check the capturing program"));
    }
    let magic = chunks.window().first_chunk::<4>().copied().unwrap_or_default();
    let format = match magic {
        pcapng::SECTION => Pcapng::new(chunks, interfaces).map(Format::Pcapng),
        _ => match pcap::Variant::of_magic(magic) {
            Some(variant) => Pcap::new(variant, chunks, interfaces).map(Format::Pcap),
            None => {
                chunks.need(source::TELLING_BYTES).map_err(unreadable)?;
                let (found, advice) = source::recognise(chunks.window());
                return Err(not_a_capture(name, &found, advice));
            }
        },
    };
    format.map_err(|stop| stop.into_error(name, 0))
}

fn not_a_capture(name: &str, found: &str, advice: &'static str) -> NetError {
    let expected = "pcap or pcapng, plain or compressed with gzip, zstd or xz";
    NetError::NotACapture { name: name.to_owned(), expected, found: found.to_owned(), advice }
}

impl Stop {
    const CUT: &'static str =
        "the file was cut or is still being written: copy it again, or go on with what was kept";
    const DAMAGED: &'static str = "go on with what was kept, or repair the file with `pcapfix`";
    const TOO_LARGE: &'static str = "decompress it first, as in xz -dc FILE | cormorant ... -";
    const UNREADABLE: &'static str = "go on with what was kept, or get a sound copy of the file";

    /// The record at `offset` needs more bytes than the file has left.
    #[cold]
    fn cut(offset: u64, what: &str, bytes: u64, have: u64) -> Box<Self> {
        let expected = format!("{bytes} bytes of {what}");
        let found = format!("the end of the file after {have}");
        Box::new(Self { offset, expected, found, advice: Self::CUT })
    }

    /// The record at `offset` holds what no sound file does.
    #[cold]
    fn bad(offset: u64, expected: impl Into<String>, found: impl Into<String>) -> Box<Self> {
        Box::new(Self { offset, expected: expected.into(), found: found.into(), advice: Self::DAMAGED })
    }

    /// The bytes themselves could not be had.
    #[cold]
    fn reading(offset: u64, error: &io::Error) -> Box<Self> {
        let (expected, found) = ("readable data".to_owned(), error.to_string());
        let advice = match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::CUT,
            io::ErrorKind::OutOfMemory => Self::TOO_LARGE,
            _ => Self::UNREADABLE,
        };
        Box::new(Self { offset, expected, found, advice })
    }

    fn into_error(self, name: &str, packets: u64) -> NetError {
        let Self { offset, expected, found, advice } = self;
        NetError::Damaged { name: name.to_owned(), offset, expected, found, packets, advice }
    }
}

/// Longest record a link type may have: libpcap's limits per link type.
fn largest_record(link: LinkType) -> u32 {
    const LARGE: u32 = 128 * 1024 * 1024;
    match link.0 {
        189 | 220 | 231 | 249 | 279 => LARGE, // USB_LINUX, USB_LINUX_MMAPPED, DBUS, USBPCAP, EBHSCR
        _ => LARGEST_FRAME_BYTES,
    }
}
