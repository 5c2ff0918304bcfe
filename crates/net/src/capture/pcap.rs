//! The classic pcap format (draft-ietf-opsawg-pcap): a 24-byte header, then records, all in one byte order.
//!
//! The magic number tells the layout, but for three oddities that only the version tells, as libpcap and Wireshark
//! know them: before 2.3 the two lengths of a record stood the other way round, 2.3 was written both ways, and AIX
//! writes 2.2 with link types and nanoseconds of its own. Any other version is read as today's 2.4.

use super::chunks::Chunks;
use super::pcapng::Clock;
use super::{Interface, InterfaceCounts, LARGEST_FRAME_BYTES, LinkType, Record, Stop, largest_record};

const FILE_HEADER_BYTES: usize = 24;

/// What the magic number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Variant {
    big_endian: bool,
    nanoseconds: bool,
    /// Length of the file header: 24, or 28 in Ixia's variant with the length of all records.
    file_header_bytes: usize,
    /// Length of a record header: 16, or 24 in Kuznetzov's variant with its interface index and protocol.
    header_bytes: usize,
}

/// In what order a record's two lengths stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    CapturedFirst,
    WireFirst,
    /// The larger one is that on the wire.
    Unknown,
}

/// A pcap file being read.
pub(super) struct Pcap {
    variant: Variant,
    lengths: Lengths,
    link: LinkType,
    largest: u32,
}

impl Variant {
    /// The magic numbers in both byte orders.
    pub(super) fn of_magic(magic: [u8; 4]) -> Option<Self> {
        let known = |number| match number {
            0xa1b2_c3d4_u32 => Some((false, 24, 16)),
            0xa1b2_3c4d => Some((true, 24, 16)),
            0xa1b2_cd34 => Some((false, 24, 24)),
            0x1c00_01ab => Some((false, 28, 16)),
            0x1c00_01ac => Some((true, 28, 16)),
            _ => None,
        };
        let (big_endian, (nanoseconds, file_header_bytes, header_bytes)) =
            match known(u32::from_be_bytes(magic)) {
                Some(found) => (true, found),
                None => (false, known(u32::from_le_bytes(magic))?),
            };
        Some(Self { big_endian, nanoseconds, file_header_bytes, header_bytes })
    }

    fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    #[inline]
    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

impl Lengths {
    /// DG/UX calls its version 543.0.
    fn of_version(version: (u16, u16)) -> Self {
        match version {
            (2, 0..=2) | (543, _) => Self::WireFirst,
            (2, 3) => Self::Unknown,
            _ => Self::CapturedFirst,
        }
    }

    /// The captured length and that on the wire.
    #[inline]
    fn sorted(self, first: u32, second: u32) -> (u32, u32) {
        match self {
            Self::CapturedFirst => (first, second),
            Self::WireFirst => (second, first),
            Self::Unknown => (first.min(second), first.max(second)),
        }
    }
}

impl Pcap {
    /// Reads the file header and describes its one interface.
    pub(super) fn new(
        mut variant: Variant,
        chunks: &mut Chunks,
        interfaces: &mut Vec<Interface>,
    ) -> Result<Self, Box<Stop>> {
        let have = chunks.need(variant.file_header_bytes).map_err(|e| Stop::reading(0, &e))?;
        let header = match chunks.window().first_chunk::<FILE_HEADER_BYTES>() {
            Some(header) if have >= variant.file_header_bytes => header,
            _ => return Err(Stop::cut(0, "pcap file header", variant.file_header_bytes as u64, have as u64)),
        };
        let [_, _, _, _, a1, a0, i1, i0, .., s3, s2, s1, s0, l3, l2, l1, l0] = *header;
        let version = (variant.u16([a1, a0]), variant.u16([i1, i0]));
        let snaplen_bytes = variant.u32([s3, s2, s1, s0]);
        let link = match (version, variant.u32([l3, l2, l1, l0])) {
            ((2, 2), network) if aix_link(network).is_some() => {
                variant.nanoseconds = true;
                aix_link(network).unwrap_or_default()
            }
            // Above the 26-bit number lie the length of a frame check sequence and its flag. The sequence itself
            // stands behind the IP packet, like padding.
            (_, network) => LinkType(network & 0x03ff_ffff),
        };
        chunks.consume(variant.file_header_bytes);
        let clock = if variant.nanoseconds { Clock::NANOSECONDS } else { Clock::MICROSECONDS };
        interfaces.push(Interface {
            link,
            snaplen_bytes,
            name: String::new(),
            ticks_per_s: clock.ticks_per_s(),
            counts: InterfaceCounts::default(),
            clock,
        });
        Ok(Self { variant, lengths: Lengths::of_version(version), link, largest: largest_record(link) })
    }

    /// Finds the next record: seconds, fraction, captured length, length on the wire, then the frame. False at the
    /// end of the file.
    #[inline]
    pub(super) fn next(&mut self, chunks: &mut Chunks, found: &mut Record) -> Result<bool, Box<Stop>> {
        let offset = chunks.offset();
        let header_bytes = self.variant.header_bytes;
        let have = chunks.need(header_bytes).map_err(|e| Stop::reading(offset, &e))?;
        let header = match chunks.window().first_chunk::<16>() {
            Some(header) if have >= header_bytes => header,
            _ => return end(chunks, offset, header_bytes, have),
        };
        let [t3, t2, t1, t0, f3, f2, f1, f0, c3, c2, c1, c0, w3, w2, w1, w0] = *header;
        let (captured, wire) =
            self.lengths.sorted(self.variant.u32([c3, c2, c1, c0]), self.variant.u32([w3, w2, w1, w0]));
        if captured > self.largest {
            let expected = format!("a record of at most {} bytes", self.largest);
            return Err(Stop::bad(offset, expected, format!("a length of {captured}")));
        }
        let (seconds, fraction) = (self.variant.u32([t3, t2, t1, t0]), self.variant.u32([f3, f2, f1, f0]));
        let kept = header_bytes + captured.min(LARGEST_FRAME_BYTES) as usize;
        let have = chunks.need(kept).map_err(|e| Stop::reading(offset, &e))?;
        if have < kept {
            return Err(Stop::cut(
                offset,
                "packet record",
                header_bytes as u64 + u64::from(captured),
                have as u64,
            ));
        }
        let data = chunks.place(header_bytes..kept);
        chunks.consume(header_bytes + captured as usize);
        let fraction_ns = if self.variant.nanoseconds { 1 } else { 1_000 } * i64::from(fraction);
        *found = Record {
            ts_ns: i64::from(seconds) * 1_000_000_000 + fraction_ns,
            offset,
            wire_bytes: wire.max(captured),
            link: self.link,
            interface: 0,
            data,
        };
        Ok(true)
    }
}

/// What AIX writes for Ethernet, token ring, FDDI and loopback: interface types of RFC 1573.
fn aix_link(network: u32) -> Option<LinkType> {
    match network {
        6 => Some(LinkType::ETHERNET),
        9 => Some(LinkType(6)),
        15 => Some(LinkType(10)),
        24 => Some(LinkType::NULL),
        _ => None,
    }
}

/// No whole record header is left: the end of the file, or a cut.
#[cold]
fn end(chunks: &Chunks, offset: u64, header_bytes: usize, have: usize) -> Result<bool, Box<Stop>> {
    match (have, chunks.missing()) {
        (0, 0) => Ok(false),
        (0, missing) => Err(Stop::cut(offset, "the last packet record", missing as u64, 0)),
        (have, _) => Err(Stop::cut(offset, "record header", header_bytes as u64, have as u64)),
    }
}
