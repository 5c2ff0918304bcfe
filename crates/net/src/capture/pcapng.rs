//! The pcapng format (draft-ietf-opsawg-pcapng): typed blocks with their length at both ends. A section header
//! sets the byte order and begins a new list of interfaces; packet blocks refer to them.

use super::chunks::Chunks;
use super::{Interface, InterfaceCounts, LARGEST_FRAME_BYTES, LinkType, Record, Stop, largest_record};

/// Type of a section header block, the same bytes in both orders.
pub(super) const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
pub(super) const SECTION_TYPE: u32 = u32::from_be_bytes(SECTION);
pub(super) const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
pub(super) const STATISTICS: u32 = 5;
pub(super) const ENHANCED_PACKET: u32 = 6;
/// Blocks that hold nothing of a packet: name resolution, journal entries, decryption secrets, custom blocks that may
/// and may not be copied.
const PASSED_OVER: [u32; 5] = [4, 9, 10, 0x0bad, 0x4000_0bad];

/// Type, length and length again.
const LEAST_BLOCK_BYTES: u32 = 12;
/// Blocks up to this length are looked at as a whole; of longer ones only the start, the rest is skipped.
const WHOLE_BLOCK_BYTES: usize = LARGEST_FRAME_BYTES as usize + 64 * 1024;
/// Interfaces remembered per capture.
const MAX_INTERFACES: usize = 65_536;
/// Bytes kept of an interface's name.
const NAME_BYTES: usize = 256;

/// A pcapng file being read.
pub(super) struct Pcapng {
    big_endian: bool,
    /// Where the current section's interfaces begin in the capture's list.
    first_interface: usize,
    last_ts_ns: i64,
    unknown_blocks: u64,
    /// A block longer than [`WHOLE_BLOCK_BYTES`] was skipped: the length that must stand at its end.
    closing_length: Option<u32>,
}

/// A block's start: the whole block when it is not oversized.
struct Block {
    kind: u32,
    length: u32,
    offset: u64,
}

impl Pcapng {
    /// Reads the first section header.
    pub(super) fn new(chunks: &mut Chunks, interfaces: &[Interface]) -> Result<Self, Box<Stop>> {
        let mut pcapng = Self {
            big_endian: false,
            first_interface: 0,
            last_ts_ns: 0,
            unknown_blocks: 0,
            closing_length: None,
        };
        let have = chunks.need(8).map_err(|e| Stop::reading(0, &e))?;
        if have < 8 {
            return Err(Stop::cut(0, "pcapng section header", 28, have as u64));
        }
        if let Some(block) = pcapng.open_block(chunks)? {
            pcapng.begin_section(chunks, &block, interfaces)?;
            pcapng.close_block(chunks, &block)?;
        }
        Ok(pcapng)
    }

    /// Finds the next packet block, taking in section headers and interfaces and skipping all else.
    #[inline]
    pub(super) fn next(
        &mut self,
        chunks: &mut Chunks,
        interfaces: &mut Vec<Interface>,
        found: &mut Record,
    ) -> Result<bool, Box<Stop>> {
        loop {
            let Some(block) = self.open_block(chunks)? else {
                return Ok(false);
            };
            let record = match block.kind {
                ENHANCED_PACKET | OLD_PACKET => Some(self.packet(chunks, &block, interfaces)?),
                SIMPLE_PACKET => Some(self.simple_packet(chunks, &block, interfaces)?),
                SECTION_TYPE => {
                    self.begin_section(chunks, &block, interfaces)?;
                    None
                }
                INTERFACE => {
                    self.add_interface(chunks, &block, interfaces)?;
                    None
                }
                STATISTICS => {
                    self.count_interface(chunks, &block, interfaces)?;
                    None
                }
                other => {
                    self.unknown_blocks += u64::from(!PASSED_OVER.contains(&other));
                    None
                }
            };
            self.close_block(chunks, &block)?;
            if let Some(record) = record {
                self.last_ts_ns = record.ts_ns;
                *found = record;
                return Ok(true);
            }
        }
    }

    /// Blocks of a type that this reader has no name for.
    pub(super) fn unknown_blocks(&self) -> u64 {
        self.unknown_blocks
    }

    #[inline]
    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    #[inline]
    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn u64(&self, bytes: [u8; 8]) -> u64 {
        if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) }
    }

    /// The number at a place of a block's fixed fields.
    #[inline]
    fn field<const N: usize>(&self, header: &[u8; N], at: usize) -> u32 {
        header.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| self.u32(*bytes))
    }

    /// Makes a block's bytes available and checks its two lengths; `None` at the end of the file.
    #[inline]
    fn open_block(&mut self, chunks: &mut Chunks) -> Result<Option<Block>, Box<Stop>> {
        if self.closing_length.is_some() {
            self.close_long_block(chunks)?;
        }
        let offset = chunks.offset();
        let have = chunks.need(8).map_err(|e| Stop::reading(offset, &e))?;
        let Some(&[k3, k2, k1, k0, l3, l2, l1, l0]) = chunks.window().first_chunk::<8>() else {
            return match have {
                0 => Ok(None),
                have => Err(Stop::cut(offset, "block header", 8, have as u64)),
            };
        };
        if [k3, k2, k1, k0] == SECTION {
            self.set_byte_order(chunks, offset)?;
        }
        let block = Block { kind: self.u32([k3, k2, k1, k0]), length: self.u32([l3, l2, l1, l0]), offset };
        if block.length < LEAST_BLOCK_BYTES || !block.length.is_multiple_of(4) {
            let expected = "a block length of at least 12 that 4 divides";
            return Err(Stop::bad(offset, expected, format!("a length of {}", block.length)));
        }
        let whole = (block.length as usize).min(WHOLE_BLOCK_BYTES);
        let have = chunks.need(whole).map_err(|e| Stop::reading(offset, &e))?;
        if have < whole {
            return Err(Stop::cut(offset, "block", u64::from(block.length), have as u64));
        }
        Ok(Some(block))
    }

    /// Moves behind the block and compares the length at its end with the one at its start.
    #[inline]
    fn close_block(&mut self, chunks: &mut Chunks, block: &Block) -> Result<(), Box<Stop>> {
        let body = block.length as usize - 4;
        if block.length as usize > WHOLE_BLOCK_BYTES {
            chunks.consume(body);
            self.closing_length = Some(block.length);
            return Ok(());
        }
        let closing = chunks.window().get(body..).and_then(|rest| rest.first_chunk::<4>());
        match closing.map(|bytes| self.u32(*bytes)) {
            Some(length) if length == block.length => {
                chunks.consume(block.length as usize);
                Ok(())
            }
            other => Err(lengths_differ(block.offset, block.length, other)),
        }
    }

    #[cold]
    fn close_long_block(&mut self, chunks: &mut Chunks) -> Result<(), Box<Stop>> {
        let opening = self.closing_length.take().unwrap_or_default();
        let offset = chunks.offset();
        let have = chunks.need(4).map_err(|e| Stop::reading(offset, &e))?;
        let Some(closing) = chunks.window().first_chunk::<4>() else {
            let missing = chunks.missing() as u64 + 4;
            return Err(Stop::cut(offset, "the last block", missing, have as u64));
        };
        match self.u32(*closing) {
            length if length == opening => {
                chunks.consume(4);
                Ok(())
            }
            length => Err(lengths_differ(offset, opening, Some(length))),
        }
    }

    /// The magic number behind a section header's length says how to read that length.
    #[cold]
    fn set_byte_order(&mut self, chunks: &mut Chunks, offset: u64) -> Result<(), Box<Stop>> {
        let have = chunks.need(12).map_err(|e| Stop::reading(offset, &e))?;
        self.big_endian = match chunks.window().first_chunk::<12>() {
            Some([.., 0x1a, 0x2b, 0x3c, 0x4d]) => true,
            Some([.., 0x4d, 0x3c, 0x2b, 0x1a]) => false,
            Some([.., a, b, c, d]) => {
                let found = format!("{a:02x} {b:02x} {c:02x} {d:02x}");
                return Err(Stop::bad(offset, "the byte-order magic 1a2b3c4d of a section header", found));
            }
            None => return Err(Stop::cut(offset, "section header", 28, have as u64)),
        };
        Ok(())
    }

    /// Type, length, magic, version (2 + 2), section length (8), options, length. Version and section length are
    /// not relied on: only version 1 was ever in use, and blocks tell where a section ends.
    #[cold]
    fn begin_section(
        &mut self,
        chunks: &Chunks,
        block: &Block,
        interfaces: &[Interface],
    ) -> Result<(), Box<Stop>> {
        if body::<24>(chunks, block).is_none() {
            return Err(Stop::bad(
                block.offset,
                "a section header of 28 bytes",
                format!("{} bytes", block.length),
            ));
        }
        self.options(chunks, block, 24, |_, _| {})?;
        self.first_interface = interfaces.len();
        Ok(())
    }

    /// Type, length, link type (2), reserved (2), snapshot length (4), options, length.
    #[cold]
    fn add_interface(
        &mut self,
        chunks: &Chunks,
        block: &Block,
        interfaces: &mut Vec<Interface>,
    ) -> Result<(), Box<Stop>> {
        const NAME: u16 = 2;
        const RESOLUTION: u16 = 9;
        const OFFSET: u16 = 14;
        // An option of another length than its kind has is passed over, as Wireshark does.
        let Some(&[.., k1, k0, _, _, s3, s2, s1, s0]) = body::<16>(chunks, block) else {
            let found = format!("{} bytes", block.length);
            return Err(Stop::bad(block.offset, "an interface description of 20 bytes", found));
        };
        if interfaces.len() >= MAX_INTERFACES {
            let expected = format!("at most {MAX_INTERFACES} interfaces");
            return Err(Stop::bad(block.offset, expected, "one more"));
        }
        let (mut name, mut clock) = (String::new(), Clock::MICROSECONDS);
        self.options(chunks, block, 16, |code, value| match (code, value) {
            (NAME, text) => {
                name = String::from_utf8_lossy(text.get(..NAME_BYTES).unwrap_or(text)).into_owned();
            }
            (RESOLUTION, [resolution]) => clock.tick = Tick::of_resolution(*resolution),
            (OFFSET, value) => {
                if let Ok(bytes) = value.try_into() {
                    clock.offset_s = self.u64(bytes) as i64;
                }
            }
            _ => {}
        })?;
        interfaces.push(Interface {
            link: LinkType(u32::from(self.u16([k1, k0]))),
            snaplen_bytes: self.u32([s3, s2, s1, s0]),
            name,
            ticks_per_s: clock.ticks_per_s(),
            counts: InterfaceCounts::default(),
            clock,
        });
        Ok(())
    }

    /// Type, length, interface, time (high, low), options, length. Counters run from the start of the capture, so
    /// the last block of an interface tells; one of an interface that nobody described is passed over, as Wireshark does.
    #[cold]
    fn count_interface(
        &self,
        chunks: &Chunks,
        block: &Block,
        interfaces: &mut [Interface],
    ) -> Result<(), Box<Stop>> {
        const RECEIVED: u16 = 4;
        const DROPPED_BY_INTERFACE: u16 = 5;
        const DROPPED_BY_CAPTURE: u16 = 7;
        let Some(header) = body::<20>(chunks, block) else {
            let found = format!("{} bytes", block.length);
            return Err(Stop::bad(block.offset, "interface statistics of 24 bytes", found));
        };
        let index = self.first_interface.saturating_add(self.field(header, 8) as usize);
        let Some(interface) = interfaces.get_mut(index) else { return Ok(()) };
        self.options(chunks, block, 20, |code, value| {
            let count = match code {
                RECEIVED => &mut interface.counts.received,
                DROPPED_BY_INTERFACE => &mut interface.counts.dropped_by_interface,
                DROPPED_BY_CAPTURE => &mut interface.counts.dropped_by_capture,
                _ => return,
            };
            if let Ok(bytes) = value.try_into() {
                *count = Some(self.u64(bytes));
            }
        })
    }

    /// Calls `each` with code and value of the options from `start` of the block; those beyond
    /// [`WHOLE_BLOCK_BYTES`] are not looked at.
    fn options(
        &self,
        chunks: &Chunks,
        block: &Block,
        start: usize,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<(), Box<Stop>> {
        let end = (block.length as usize - 4).min(WHOLE_BLOCK_BYTES);
        let mut rest = chunks.window().get(start..end).unwrap_or_default();
        while let Some((&[c1, c0, l1, l0], values)) = rest.split_first_chunk::<4>() {
            let (code, length) = (self.u16([c1, c0]), usize::from(self.u16([l1, l0])));
            if code == 0 {
                break;
            }
            match values.split_at_checked(length) {
                Some((value, _)) => each(code, value),
                None if block.length as usize > WHOLE_BLOCK_BYTES => break,
                None => {
                    let expected = format!("option {code} to end within its block");
                    return Err(Stop::bad(block.offset, expected, format!("a length of {length}")));
                }
            }
            rest = values.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(())
    }

    /// Type, length, interface, time (high, low), captured length, length on the wire, the frame, options, length.
    /// The obsolete packet block differs in having two bytes of interface and two of drops.
    #[inline]
    fn packet(&self, chunks: &Chunks, block: &Block, interfaces: &[Interface]) -> Result<Record, Box<Stop>> {
        let Some(header) = body::<28>(chunks, block) else {
            return Err(short_packet(block));
        };
        let interface = match (self.field(header, 8), block.kind, self.big_endian) {
            (interface, ENHANCED_PACKET, _) => interface,
            (shared, _, true) => shared >> 16,
            (shared, _, false) => shared & 0xffff,
        };
        let packet = PacketBlock {
            interface,
            ticks: Some(u64::from(self.field(header, 12)) << 32 | u64::from(self.field(header, 16))),
            captured: self.field(header, 20),
            wire: self.field(header, 24),
            start: 28,
        };
        self.record(chunks, block, &packet, interfaces)
    }

    /// Type, length, length on the wire, the frame, length. The snapshot length says how much was captured.
    #[cold]
    fn simple_packet(
        &self,
        chunks: &Chunks,
        block: &Block,
        interfaces: &[Interface],
    ) -> Result<Record, Box<Stop>> {
        let Some(header) = body::<12>(chunks, block) else {
            return Err(short_packet(block));
        };
        let wire = self.field(header, 8);
        let snaplen = interfaces.get(self.first_interface).map_or(0, |interface| interface.snaplen_bytes);
        let snaplen = if snaplen == 0 { u32::MAX } else { snaplen };
        let captured = wire.min(snaplen).min(block.length - 16);
        self.record(
            chunks,
            block,
            &PacketBlock { interface: 0, ticks: None, captured, wire, start: 12 },
            interfaces,
        )
    }

    /// Checks a packet block's lengths and interface and tells its time.
    #[inline]
    fn record(
        &self,
        chunks: &Chunks,
        block: &Block,
        packet: &PacketBlock,
        interfaces: &[Interface],
    ) -> Result<Record, Box<Stop>> {
        let index = self.first_interface + packet.interface as usize;
        let Some(interface) = interfaces.get(index) else {
            let expected =
                format!("one of {} interfaces described before", interfaces.len() - self.first_interface);
            return Err(Stop::bad(block.offset, expected, format!("interface {}", packet.interface)));
        };
        let largest = largest_record(interface.link).min(block.length - 4 - packet.start);
        if packet.captured > largest {
            let expected = format!("a packet of at most {largest} bytes");
            return Err(Stop::bad(block.offset, expected, format!("a length of {}", packet.captured)));
        }
        let start = packet.start as usize;
        Ok(Record {
            ts_ns: packet.ticks.map_or(self.last_ts_ns, |ticks| interface.clock.ns(ticks)),
            offset: block.offset,
            wire_bytes: packet.wire.max(packet.captured),
            link: interface.link,
            interface: index as u32,
            data: chunks.place(start..start + packet.captured.min(LARGEST_FRAME_BYTES) as usize),
        })
    }
}

/// The fields of a packet block, whichever kind.
struct PacketBlock {
    interface: u32,
    ticks: Option<u64>,
    captured: u32,
    wire: u32,
    /// Where the frame starts in the block.
    start: u32,
}

/// The first `N` bytes of a block, when it has them before its closing length.
#[inline]
fn body<'a, const N: usize>(chunks: &'a Chunks, block: &Block) -> Option<&'a [u8; N]> {
    if (block.length as usize) < N + 4 { None } else { chunks.window().first_chunk() }
}

#[cold]
fn short_packet(block: &Block) -> Box<Stop> {
    Stop::bad(
        block.offset,
        "a packet block with its fixed fields",
        format!("a block of {} bytes", block.length),
    )
}

#[cold]
fn lengths_differ(offset: u64, opening: u32, closing: Option<u32>) -> Box<Stop> {
    let expected = format!("the block's length {opening} again at its end");
    Stop::bad(offset, expected, closing.unwrap_or_default().to_string())
}

/// How an interface's time stamps become nanoseconds since the UNIX epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    tick: Tick,
    offset_s: i64,
}

/// The unit of a time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    /// This many nanoseconds.
    Nanoseconds(i64),
    /// This many in a nanosecond.
    PerNanosecond(u64),
    /// 2 to the power of minus this of a second.
    Binary(u8),
}

impl Clock {
    pub(super) const MICROSECONDS: Self = Self { tick: Tick::Nanoseconds(1_000), offset_s: 0 };
    pub(super) const NANOSECONDS: Self = Self { tick: Tick::Nanoseconds(1), offset_s: 0 };

    /// Rounds down what is finer than nanoseconds. Saturates at the years 1677 and 2262. A coarse count above 2^63 is a time before 1970, as Wireshark writes it.
    #[inline]
    fn ns(self, ticks: u64) -> i64 {
        let ns = match self.tick {
            Tick::Nanoseconds(ns) => (ticks as i64).saturating_mul(ns),
            Tick::PerNanosecond(ticks_per_ns) => {
                i64::try_from(ticks / ticks_per_ns.max(1)).unwrap_or(i64::MAX)
            }
            Tick::Binary(power) => {
                i64::try_from((u128::from(ticks) * 1_000_000_000) >> power.min(127)).unwrap_or(i64::MAX)
            }
        };
        ns.saturating_add(self.offset_s.saturating_mul(1_000_000_000))
    }

    pub(super) fn ticks_per_s(self) -> f64 {
        match self.tick {
            Tick::Nanoseconds(ns) => 1e9 / ns as f64,
            Tick::PerNanosecond(ticks) => 1e9 * ticks as f64,
            Tick::Binary(power) => f64::from(power).exp2(),
        }
    }
}

impl Tick {
    /// Option `if_tsresol`: with the top bit a negative power of two, without a negative power of ten.
    fn of_resolution(resolution: u8) -> Self {
        match resolution {
            128.. => Self::Binary(resolution & 0x7f),
            0..=9 => Self::Nanoseconds(10_i64.pow(9 - u32::from(resolution))),
            _ => Self::PerNanosecond(10_u64.checked_pow(u32::from(resolution) - 9).unwrap_or(u64::MAX)),
        }
    }
}
