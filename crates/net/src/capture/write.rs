//! Writes pcapng (draft-ietf-opsawg-pcapng): a section header, a description of each interface, a block for each
//! frame with its time in nanoseconds, and at the end what each interface received and lost.
//!
//! The stream gets whole blocks only, so what is on disk at any moment can be read up to the last of them.

use std::io::{self, Write};

use super::pcapng::{ENHANCED_PACKET, INTERFACE, SECTION_TYPE, STATISTICS};
use super::{Interface, InterfaceCounts};

/// Who writes.
const APPLICATION: &str = concat!("cormorant ", env!("CARGO_PKG_VERSION"));
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Blocks are handed to the stream when there are this many bytes of them.
const PENDING_BYTES: usize = 128 * 1024;

/// A pcapng file of one section being written, little-endian. After an error of the stream it is of no more use.
#[derive(Debug)]
pub struct PcapngWriter<W: Write> {
    out: W,
    /// Whole blocks that the stream has not been given.
    pending: Vec<u8>,
    interfaces: u32,
    frames: u64,
    written_bytes: u64,
    written_frames: u64,
}

impl<W: Write> PcapngWriter<W> {
    /// Begins a section that says by which program it is written, on what machine and system.
    pub fn new(out: W) -> Self {
        let pending = Vec::with_capacity(PENDING_BYTES);
        let mut writer = Self { out, pending, interfaces: 0, frames: 0, written_bytes: 0, written_frames: 0 };
        let mut body = BYTE_ORDER.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]); // version 1.0
        body.extend(u64::MAX.to_le_bytes()); // length of the section: not stated
        option(&mut body, 2, std::env::consts::ARCH.as_bytes());
        option(&mut body, 3, std::env::consts::OS.as_bytes());
        option(&mut body, 4, APPLICATION.as_bytes());
        end_options(&mut body);
        writer.block(SECTION_TYPE, &body);
        writer
    }

    /// Describes the next interface, with the filter its frames passed, and returns its index.
    ///
    /// # Errors
    /// `InvalidInput` for a link type that pcapng has no number for (above 65,535); what the stream says.
    pub fn interface(&mut self, interface: &Interface, filter: Option<&str>) -> io::Result<u32> {
        const NAME: u16 = 2;
        const RESOLUTION: u16 = 9;
        const FILTER: u16 = 11;
        const NANOSECONDS: u8 = 9;
        let link = u16::try_from(interface.link.0)
            .map_err(|_| invalid(format!("pcapng cannot hold link type {}", interface.link)))?;
        let mut body = link.to_le_bytes().to_vec();
        body.extend([0, 0]);
        body.extend(interface.snaplen_bytes.to_le_bytes());
        if !interface.name.is_empty() {
            option(&mut body, NAME, interface.name.as_bytes());
        }
        option(&mut body, RESOLUTION, &[NANOSECONDS]);
        if let Some(filter) = filter {
            // A leading 0 says: an expression as libpcap understands it.
            option(&mut body, FILTER, &[&[0], filter.as_bytes()].concat());
        }
        end_options(&mut body);
        self.block(INTERFACE, &body);
        self.interfaces += 1;
        self.flush_if_full()?;
        Ok(self.interfaces - 1)
    }

    /// Writes a frame and returns the offset of its block in the file.
    ///
    /// # Errors
    /// `InvalidInput` for an interface that was not described or a frame of 4 GiB; what the stream says.
    #[inline]
    pub fn frame(&mut self, interface: u32, ts_ns: i64, wire_bytes: u32, data: &[u8]) -> io::Result<u64> {
        let padding = data.len().wrapping_neg() % 4;
        let Some(captured) = u32::try_from(data.len()).ok().filter(|bytes| *bytes <= u32::MAX - 64) else {
            return Err(invalid(format!("pcapng cannot hold a frame of {} bytes", data.len())));
        };
        if interface >= self.interfaces {
            return Err(invalid(format!("interface {interface} has no description")));
        }
        let offset = self.offset();
        let length = (32 + captured + padding as u32).to_le_bytes();
        let [high, low] = time(ts_ns);
        let fields = [
            ENHANCED_PACKET.to_le_bytes(),
            length,
            interface.to_le_bytes(),
            high,
            low,
            captured.to_le_bytes(),
            wire_bytes.to_le_bytes(),
        ];
        self.pending.extend_from_slice(fields.as_flattened());
        self.pending.extend_from_slice(data);
        self.pending.resize(self.pending.len() + padding, 0);
        self.pending.extend_from_slice(&length);
        self.frames += 1;
        self.flush_if_full()?;
        Ok(offset)
    }

    /// Writes what an interface received and lost by the time `ts_ns`, and how many of its frames are in the file.
    ///
    /// # Errors
    /// What the stream says.
    pub fn statistics(
        &mut self,
        interface: u32,
        ts_ns: i64,
        counts: &InterfaceCounts,
        frames: u64,
    ) -> io::Result<()> {
        let mut body = interface.to_le_bytes().to_vec();
        body.extend(time(ts_ns).as_flattened());
        let InterfaceCounts { received, dropped_by_interface, dropped_by_capture } = *counts;
        let counters = [(4, received), (5, dropped_by_interface), (7, dropped_by_capture), (8, Some(frames))];
        for (code, count) in counters {
            if let Some(count) = count {
                option(&mut body, code, &count.to_le_bytes());
            }
        }
        end_options(&mut body);
        self.block(STATISTICS, &body);
        self.flush_if_full()
    }

    /// Where the next block will begin.
    #[inline]
    pub fn offset(&self) -> u64 {
        self.written_bytes + self.pending.len() as u64
    }

    /// Interfaces described.
    pub fn interfaces(&self) -> u32 {
        self.interfaces
    }

    /// Frames, those included that the stream was not given yet.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes the stream has taken for sure: whole blocks.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    /// Frames in them.
    pub fn written_frames(&self) -> u64 {
        self.written_frames
    }

    /// The stream, without what is still pending.
    pub fn get_ref(&self) -> &W {
        &self.out
    }

    /// Gives the stream every block there is.
    ///
    /// # Errors
    /// What the stream says.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.pending)?;
        self.written_bytes += self.pending.len() as u64;
        self.written_frames = self.frames;
        self.pending.clear();
        self.out.flush()
    }

    #[inline]
    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.pending.len() < PENDING_BYTES { Ok(()) } else { self.flush() }
    }

    /// Type, length, body, length again. Bodies are short and end on a multiple of four.
    fn block(&mut self, kind: u32, body: &[u8]) {
        let length = (12 + body.len() as u32).to_le_bytes();
        self.pending.extend_from_slice(&kind.to_le_bytes());
        self.pending.extend_from_slice(&length);
        self.pending.extend_from_slice(body);
        self.pending.extend_from_slice(&length);
    }
}

/// A time as a block holds it: the upper half of the count of nanoseconds, then the lower.
#[inline]
fn time(ts_ns: i64) -> [[u8; 4]; 2] {
    let ticks = ts_ns as u64;
    [((ticks >> 32) as u32).to_le_bytes(), (ticks as u32).to_le_bytes()]
}

/// Code, length, value, padding. A value longer than an option can be is cut.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn end_options(body: &mut Vec<u8>) {
    body.extend([0; 4]);
}

#[cold]
fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
