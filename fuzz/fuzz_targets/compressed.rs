//! Any bytes behind the start of gzip, zstd or xz data: reading ends with at most one fault, and one byte at a time
//! gives the same as all at once.

#![no_main]

use std::io::{Cursor, Read};

use cormorant_net::capture::Capture;
use libfuzzer_sys::fuzz_target;

const GZIP: &[u8] = &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// A stream header without a check, so that what follows needs none to be right, and one with CRC-64.
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 0, 0xff, 0x12, 0xd9, 0x41];
const XZ_CHECKED: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 4, 0xe6, 0xd6, 0xb4, 0x46];

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    let start = [GZIP, ZSTD, XZ, XZ_CHECKED, &[]][usize::from(*choice) % 5];
    let stored = [start, rest].concat();
    let whole = read(Cursor::new(stored.clone()));
    if stored.len() <= 2048 && whole.0 <= 64 {
        assert_eq!(read(Trickle(Cursor::new(stored))), whole);
    }
});

/// Gives one byte at a time.
struct Trickle(Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let one = out.len().min(1);
        self.0.read(&mut out[..one])
    }
}

/// Packets, their captured bytes, and whether a fault ended the capture. Few bytes can stand for many packets: only
/// so many are read.
fn read(reader: impl Read + Send + 'static) -> (u64, u64, bool) {
    let Ok(mut capture) = Capture::from_reader("fuzz", Box::new(reader)) else { return (0, 0, true) };
    let (mut packets, mut bytes) = (0, 0);
    while packets < 100_000 {
        match capture.next_frame() {
            Ok(Some(frame)) => (packets, bytes) = (packets + 1, bytes + frame.data.len() as u64),
            Ok(None) => return (packets, bytes, false),
            Err(_) => {
                assert!(matches!(capture.next_frame(), Ok(None)), "the fault comes once");
                return (packets, bytes, true);
            }
        }
    }
    (packets, bytes, false)
}
