//! The bytes of a capture as they were written: decompressed when the stored ones are gzip, zstd or xz.
//!
//! Memory is bounded whatever the stored bytes claim: gzip looks back 32 KiB, zstd at most 128 MiB (the decoder's
//! own limit) and xz [`XZ_MEMORY_KIB`]; what needs more is refused with advice.

use std::io::{self, Cursor, Read};

use flate2::{Decompress, FlushDecompress, Status};
use lzma_rust2::{Action, XzStream};
use zstd::stream::raw::{InBuffer, Operation, OutBuffer};

/// Compressed bytes read at a time: all of them, however few a pipe gives, because codecs lose what they decoded in the
/// call that meets damage. So that is the same for a file and for a pipe.
const STORED_BYTES: usize = 64 * 1024;
/// Most bytes that the xz codec gets, and so may lose, at a time.
const XZ_STEP_BYTES: usize = 1024;
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const XZ: [u8; 6] = *b"\xfd7zXZ\0";
/// Enough for `xz -9`, whose dictionary has 64 MiB. It is allocated as it fills.
const XZ_MEMORY_KIB: u32 = 64 * 1024 + 64;
/// Bits 4 to 31 of a zstd skippable frame's magic (RFC 8878 section 3.1.2), as stored.
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

type Stored = Box<dyn Read + Send>;

/// A stream of capture bytes.
pub(super) enum Source {
    Plain(Stored),
    Compressed(Box<Decompressor>),
}

impl Source {
    /// Looks at the first bytes and decompresses if they say so. Several gzip members, zstd frames or xz streams
    /// one after the other are read to the end.
    pub(super) fn sniff(mut reader: Stored) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(XZ.len());
        reader.by_ref().take(XZ.len() as u64).read_to_end(&mut magic)?;
        let skippable = magic.get(1..4) == Some(&ZSTD_SKIPPABLE);
        let codec = match magic.as_slice() {
            start if start.starts_with(&GZIP) => Some(Codec::Gzip(Decompress::new_gzip(15))),
            start if start.starts_with(&ZSTD) || skippable => {
                Some(Codec::Zstd(zstd::stream::raw::Decoder::new()?))
            }
            start if start == XZ => Some(Codec::Xz(Box::new(new_xz()))),
            _ => None,
        };
        let stored: Stored = Box::new(Cursor::new(magic).chain(reader));
        Ok(match codec {
            Some(codec) => Self::Compressed(Box::new(Decompressor::new(stored, codec))),
            None => Self::Plain(stored),
        })
    }

    pub(super) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stored) => stored.read(out),
            Self::Compressed(decompressor) => decompressor.read(out),
        }
    }

    pub(super) fn compression(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Compressed(decompressor) => Some(decompressor.codec.name()),
        }
    }

    /// Compressed bytes used so far; `None` when the stored bytes are the capture itself.
    pub(super) fn compressed_bytes(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Compressed(decompressor) => Some(decompressor.used),
        }
    }
}

enum Codec {
    Gzip(Decompress),
    Zstd(zstd::stream::raw::Decoder<'static>),
    Xz(Box<XzStream>),
}

fn new_xz() -> XzStream {
    XzStream::new_mem_limit(false, XZ_MEMORY_KIB)
}

/// Feeds stored bytes to a codec. The codecs' own stream adapters would drop what a call delivered before it met
/// damage; here those bytes are delivered first.
pub(super) struct Decompressor {
    stored: Stored,
    block: Vec<u8>,
    /// Bytes of the block that the codec has used.
    block_used: usize,
    /// Why there is no block after this one.
    unreadable: Option<io::Error>,
    codec: Codec,
    /// No gzip member, zstd frame or xz stream is open: the data may end here.
    between: bool,
    failure: Option<io::Error>,
    used: u64,
}

/// What one call of a codec did.
struct Step {
    used: usize,
    made: usize,
    /// Whether the member, frame or stream ended, or what is wrong with it.
    ended: io::Result<bool>,
}

impl Decompressor {
    fn new(stored: Stored, codec: Codec) -> Self {
        let block = Vec::with_capacity(STORED_BYTES);
        Self { stored, block, block_used: 0, unreadable: None, codec, between: true, failure: None, used: 0 }
    }

    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        loop {
            self.fill()?;
            let input = self.block.get(self.block_used..).unwrap_or_default();
            let at_end = input.is_empty();
            if self.between {
                if at_end {
                    return Ok(0);
                }
                let padding = self.codec.start(input);
                self.consume(padding);
                self.between = padding > 0;
                continue;
            }
            let step = self.codec.step(input, out);
            self.consume(step.used);
            match step.ended {
                Ok(ended) => self.between = ended,
                Err(what) => self.failure = Some(failed(&self.codec, self.used, &what)),
            }
            if step.made > 0 {
                return Ok(step.made);
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if at_end && !self.between {
                return Err(cut(&self.codec, self.used));
            }
        }
    }

    /// Reads the next block once this one is used. It is full unless the stored bytes end.
    fn fill(&mut self) -> io::Result<()> {
        if self.block_used < self.block.len() {
            return Ok(());
        }
        if let Some(unreadable) = self.unreadable.take() {
            return Err(unreadable);
        }
        self.block.clear();
        self.block_used = 0;
        let read = self.stored.by_ref().take(STORED_BYTES as u64).read_to_end(&mut self.block);
        match read {
            Err(unreadable) if self.block.is_empty() => return Err(unreadable),
            read => self.unreadable = read.err(),
        }
        Ok(())
    }

    fn consume(&mut self, stored_bytes: usize) {
        self.block_used += stored_bytes;
        self.used += stored_bytes as u64;
    }
}

impl Codec {
    fn name(&self) -> &'static str {
        match self {
            Self::Gzip(_) => "gzip",
            Self::Zstd(_) => "zstd",
            Self::Xz(_) => "xz",
        }
    }

    /// Memory that data may ask for.
    fn most_mib(&self) -> u32 {
        match self {
            Self::Gzip(_) => 1,
            Self::Zstd(_) => 128,
            Self::Xz(_) => XZ_MEMORY_KIB / 1024,
        }
    }

    /// Prepares for the member, frame or stream at the start of `input`; returns the zero bytes to skip before it,
    /// with which some writers pad gzip files and the xz format allows to pad.
    fn start(&mut self, input: &[u8]) -> usize {
        let padding = input.iter().take_while(|byte| **byte == 0).count();
        match self {
            Self::Zstd(_) => 0,
            _ if padding > 0 => padding,
            Self::Gzip(decoder) if decoder.total_in() > 0 => {
                *decoder = Decompress::new_gzip(15);
                0
            }
            Self::Xz(decoder) if decoder.total_in() > 0 => {
                **decoder = new_xz();
                0
            }
            Self::Gzip(_) | Self::Xz(_) => 0,
        }
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Step {
        match self {
            Self::Gzip(decoder) => {
                let (total_in, total_out) = (decoder.total_in(), decoder.total_out());
                let status = decoder.decompress(input, out, FlushDecompress::None);
                Step {
                    used: (decoder.total_in() - total_in) as usize,
                    made: (decoder.total_out() - total_out) as usize,
                    ended: status.map(|status| status == Status::StreamEnd).map_err(io::Error::other),
                }
            }
            Self::Zstd(decoder) => {
                let (mut input, mut output) = (InBuffer::around(input), OutBuffer::around(out));
                let hint = decoder.run(&mut input, &mut output);
                Step { used: input.pos(), made: output.pos(), ended: hint.map(|hint| hint == 0) }
            }
            Self::Xz(decoder) => {
                let (total_in, total_out) = (decoder.total_in(), decoder.total_out());
                let input = input.get(..XZ_STEP_BYTES).unwrap_or(input);
                let status = decoder.process(input, out, Action::Run);
                Step {
                    used: (decoder.total_in() - total_in) as usize,
                    made: (decoder.total_out() - total_out) as usize,
                    ended: status.map(|result| result.status == lzma_rust2::Status::StreamEnd),
                }
            }
        }
    }
}

/// What a codec says of data that it cannot go on with: they are damaged, or need more memory than it may have.
fn failed(codec: &Codec, used: u64, what: &io::Error) -> io::Error {
    let name = codec.name();
    let text = what.to_string();
    if what.kind() == io::ErrorKind::OutOfMemory || text.contains("too much memory") {
        let text =
            format!("{name} data at compressed byte {used} that need more than {} MiB", codec.most_mib());
        return io::Error::new(io::ErrorKind::OutOfMemory, text);
    }
    let text = format!("damaged {name} data near compressed byte {used} ({text})");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn cut(codec: &Codec, used: u64) -> io::Error {
    let text =
        format!("the end of the {} data inside a compressed block, at compressed byte {used}", codec.name());
    io::Error::new(io::ErrorKind::UnexpectedEof, text)
}

/// Bytes of a file's start that tell what it is: those of a tar archive do so late.
pub(super) const TELLING_BYTES: usize = 512;

/// Says what a file is that is no capture, and what to do with it.
pub(super) fn recognise(start: &[u8]) -> (String, &'static str) {
    const CONVERT: &str = "convert it first: editcap -F pcapng IN OUT";
    const TWICE: &str = "it is compressed twice: decompress it once first";
    const KNOWN: [(&[u8], &str, &str); 14] = [
        (b"BZh", "bzip2 data", "decompress it first: bzip2 -dc FILE | cormorant ... -"),
        (b"\x04\x22\x4d\x18", "lz4 data", "decompress it first: lz4 -dc FILE | cormorant ... -"),
        (b"\x5d\0\0", "lzma data", "decompress it first: xz -dc FILE | cormorant ... -"),
        (b"PK\x03\x04", "a zip archive", "unpack it first"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
        (&GZIP, "gzip data", TWICE),
        (&ZSTD, "zstd data", TWICE),
        (&XZ, "xz data", TWICE),
        (b"snoop\0\0\0", "a snoop capture", CONVERT),
        (b"iptrace ", "an AIX iptrace capture", CONVERT),
        (b"GMBU", "a Network Monitor capture", CONVERT),
        (b"RTSS", "a Network Monitor capture", CONVERT),
        (b"TRSNIFF data    \x1a", "a Sniffer capture", CONVERT),
        (b"PAR1", "a Parquet table", "give it to a command that takes a table"),
    ];
    if start.get(257..262) == Some(b"ustar") {
        return ("a tar archive".to_owned(), "unpack it first: tar -xf FILE");
    }
    let start = start.get(..64).unwrap_or(start);
    if let Some((_, found, advice)) = KNOWN.iter().find(|(magic, _, _)| start.starts_with(magic)) {
        return ((*found).to_owned(), advice);
    }
    if start.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
        return ("text".to_owned(), "give it to a command that takes a table, or name the capture");
    }
    let hex: Vec<String> = start.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    (format!("bytes {}", hex.join(" ")), "check the file, or convert it: editcap -F pcapng IN OUT")
}
