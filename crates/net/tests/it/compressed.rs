//! Compressed captures: every codec gives what the plain file gives, and neither damage nor a bomb gives more than
//! the packets before it and one error.

use std::io::{Read, Write};
use std::num::NonZeroU64;

use cormorant_net::NetError;
use cormorant_net::capture::Capture;
use lzma_rust2::{CheckType, XzOptions, XzWriter};

use crate::capture::{read, read_from, variants};
use crate::shared;
use crate::written::{self, Order, Pcap, Written};

/// Gives one byte at a time and is interrupted before each.
struct Trickle {
    rest: std::vec::IntoIter<u8>,
    interrupted: bool,
}

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        match (self.rest.next(), out.first_mut()) {
            (Some(byte), Some(first)) => {
                *first = byte;
                Ok(1)
            }
            _ => Ok(0),
        }
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory")
}

/// An xz stream with the smallest dictionary and CRC-64.
pub(crate) fn xz(bytes: &[u8]) -> Vec<u8> {
    xz_with(XzOptions::with_preset(0), bytes)
}

fn xz_with(options: XzOptions, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = XzWriter::new(Vec::new(), options).expect("sound options");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// An xz stream of several blocks with this check.
fn xz_blocks(check: CheckType, bytes: &[u8]) -> Vec<u8> {
    let mut options = XzOptions::with_preset(0);
    options.set_check_sum_type(check);
    options.lzma_options.dict_size = 4096;
    options.set_block_size(NonZeroU64::new(4096));
    xz_with(options, bytes)
}

#[test]
fn file_trickle_gzip_zstd_and_xz_give_the_same_frames() {
    for (file, _) in variants() {
        let plain = read(&file).0;
        let trickle = |bytes: Vec<u8>| read_from(Trickle { rest: bytes.into_iter(), interrupted: false });
        let (head, tail) = file.split_at(file.len() / 2);
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"any"].concat();
        let stored = [
            gzip(&file),
            [gzip(head), gzip(tail)].concat(),
            [gzip(head), gzip(b""), gzip(tail), vec![0; 512]].concat(),
            zstd(&file),
            [zstd(head), zstd(tail)].concat(),
            [skippable, zstd(head), zstd(b""), zstd(tail)].concat(),
            xz(&file),
            [xz(head), xz(tail)].concat(),
            [xz(head), vec![0; 8], xz(b""), xz(tail), vec![0; 4]].concat(),
        ];
        let (frames, fault) = trickle(file.clone());
        assert_eq!((frames, fault.is_none()), (plain.clone(), true));
        for bytes in stored {
            for (frames, fault) in [read(&bytes), trickle(bytes)] {
                assert!(fault.is_none(), "{fault:?}");
                assert_eq!(frames, plain);
            }
        }
    }
}

/// Frames of noise, so that compressed bytes correspond to places in the file.
fn noise(frames: i64) -> (Vec<Written>, Vec<u8>) {
    let mut noise = 1_u32;
    let mut byte = || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    };
    let frames: Vec<Written> = (0..frames)
        .map(|at| {
            let data: Vec<u8> = (0..1_000).map(|_| byte()).collect();
            Written { ts_ns: at * 1_000, wire_bytes: 1_000, data }
        })
        .collect();
    let (file, _) = written::pcap(Order::Little, Pcap::Microseconds, 1, &frames);
    (frames, file)
}

#[test]
fn cut_and_corrupt_compressed_files_give_what_came_before() {
    let (frames, file) = noise(2_000);
    for (stored, name) in [(gzip(&file), "gzip"), (zstd(&file), "zstd"), (xz(&file), "xz")] {
        let half = stored.len() / 2;
        let (read_half, fault) = read(&stored[..half]);
        let text = fault.expect("a cut").to_string();
        assert!(text.contains(name) && text.contains("cut or is still being written"), "{text}");
        assert!((850..=1_000).contains(&read_half.len()), "{name}: {} packets", read_half.len());
        assert!(read_half.iter().zip(&frames).all(|((read, _), written)| read == written));
        let mut corrupt = stored.clone();
        for byte in &mut corrupt[half..half + 4_000] {
            *byte ^= 0x5a;
        }
        let (read_corrupt, fault) = read(&corrupt);
        assert!(fault.is_some(), "{name}");
        assert!(read_corrupt.len() >= 850, "{name}: {} packets", read_corrupt.len());
    }
}

/// Damaged at every byte in turn: a pipe that gives little at a time yields the frames and the fault of the file.
#[test]
fn damage_is_met_at_the_same_place_in_a_file_and_a_pipe() {
    let frames: Vec<Written> = (0..8).flat_map(|_| written::frames()).collect();
    let (file, _) = written::pcap(Order::Little, Pcap::Microseconds, 1, &frames);
    let outcome =
        |(frames, fault): (Vec<_>, Option<NetError>)| (frames, fault.map(|fault| fault.to_string()));
    let mut faults = 0;
    for stored in [gzip(&file), zstd(&file), xz(&file)] {
        for at in 8..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 0x45;
            let whole = outcome(read(&damaged));
            let trickle = Trickle { rest: damaged.into_iter(), interrupted: false };
            assert_eq!(whole, outcome(read_from(trickle)), "byte {at}");
            faults += usize::from(whole.1.is_some());
        }
    }
    assert!(faults > 300, "{faults} faults");
}

#[test]
fn checksums_of_compressed_data_are_verified() {
    let (frames, file) = noise(100);
    let sound = [
        (gzip(&file), 8),
        (xz(&file), 60),
        (xz_blocks(CheckType::None, &file), 0),
        (xz_blocks(CheckType::Crc32, &file), 0),
        (xz_blocks(CheckType::Sha256, &file), 0),
    ];
    for (stored, _) in &sound {
        let (read, fault) = read(stored);
        assert!(fault.is_none() && read.len() == frames.len(), "{fault:?}");
    }
    // Each checksum or its surroundings damaged: all packets, then the fault.
    for (stored, from_end) in sound.iter().filter(|(_, from_end)| *from_end > 0) {
        for at in stored.len() - from_end..stored.len() {
            let mut damaged = stored.clone();
            damaged[at] ^= 0x10;
            let (read, fault) = read(&damaged);
            let text = fault.map(|fault| fault.to_string()).unwrap_or_default();
            assert!(text.contains("is damaged at byte") && text.contains("compressed byte"), "{at}: {text}");
            assert_eq!(read.len(), frames.len(), "byte {at}");
        }
    }
}

#[test]
fn what_follows_compressed_data_is_named_after_every_packet() {
    let (frames, file) = noise(100);
    for stored in [gzip(&file), zstd(&file), xz(&file)] {
        let (read, fault) = read(&[&stored[..], b"trailing bytes"].concat());
        let text = fault.expect("damage").to_string();
        assert_eq!(read.len(), frames.len());
        let place = text.split("near compressed byte ").nth(1).and_then(|rest| rest.split(' ').next());
        let place: usize = place.and_then(|place| place.parse().ok()).expect("a place");
        assert!((stored.len()..=stored.len() + 14).contains(&place), "{text}");
    }
}

#[test]
fn xz_dictionaries_beyond_the_limit_are_refused_with_advice() {
    let (file, _) = written::pcap(Order::Little, Pcap::Microseconds, 1, &written::frames());
    // A dictionary as `xz -9` asks for costs what is in it; the next larger size is refused before any packet.
    let with = |dictionary_bytes: u32| {
        let mut options = XzOptions::with_preset(0);
        options.lzma_options.dict_size = dictionary_bytes;
        read(&xz_with(options, &file))
    };
    let (frames, fault) = with(64 << 20);
    assert!(fault.is_none() && frames.len() == 4, "{fault:?}");
    let (frames, fault) = with(96 << 20);
    let text = fault.expect("too large").to_string();
    assert!(frames.is_empty() && text.contains("need more than 64 MiB") && text.contains("xz -dc"), "{text}");
}

/// A pcap file header, then the same large record again and again, compressed piece by piece: a bomb.
struct Bomb {
    head: std::io::Cursor<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
    left: u64,
}

impl Read for Bomb {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.head.read(out)?;
        if read > 0 || self.left == 0 {
            return Ok(read);
        }
        let rest = &self.piece[self.at..];
        let read = rest.len().min(out.len());
        out[..read].copy_from_slice(&rest[..read]);
        self.at += read;
        if self.at == self.piece.len() {
            (self.at, self.left) = (0, self.left - 1);
        }
        Ok(read)
    }
}

/// Zeros in records of 256 KiB, 16 MiB a piece: `CORMORANT_BOMB_MIB=10240` makes it ten gigabytes.
#[test]
fn bombs_are_read_in_pieces() {
    let mib: u64 = std::env::var("CORMORANT_BOMB_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(64);
    let frame = Written { ts_ns: 0, wire_bytes: 262_128, data: vec![0; 262_128] };
    let (head, _) = written::pcap(Order::Little, Pcap::Microseconds, 1, &[]);
    let record = &written::pcap(Order::Little, Pcap::Microseconds, 1, &[frame]).0[24..];
    let piece = record.repeat(64);
    for (name, compress) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("zstd", zstd), ("xz", xz)] {
        let (head, piece) = (std::io::Cursor::new(compress(&head)), compress(&piece));
        let bomb = Bomb { head, piece, at: 0, left: mib / 16 };
        let mut capture = Capture::from_reader("bomb", Box::new(bomb)).expect("a capture");
        let (mut packets, mut bytes) = (0, 0);
        while let Some(frame) = capture.next_frame().expect("sound") {
            packets += 1;
            bytes += frame.data.len() as u64 + 16;
        }
        assert_eq!((packets, bytes), (mib / 16 * 64, mib << 20));
        let used = capture.consumed_bytes();
        println!("{name}: {used} compressed bytes became {bytes}");
        assert!(bytes / used > 100, "{name} is no bomb: {used} bytes");
    }
}

/// What the tools of the formats write, with the options that change the layout.
#[test]
fn files_of_the_tools_themselves() {
    let (file, _) = written::pcap(Order::Little, Pcap::Nanoseconds, 1, &written::frames());
    let commands = [
        "gzip -9",
        "zstd -19 --check",
        "zstd --long=27",
        "xz -9 --check=sha256",
        "xz -0 --check=none --block-size=100",
        "xz -T2 --delta=dist=4 --lzma2",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let Some(stored) = shared::tool(words[0], &words[1..], &file) else { continue };
        let (read, fault) = read(&stored);
        assert!(fault.is_none(), "{command}: {fault:?}");
        assert_eq!(read.len(), 4, "{command}");
    }
}
