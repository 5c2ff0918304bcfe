//! Any bytes as a capture: every frame is read and decoded, one byte at a time gives the same as all at once, and
//! a fault comes at most once.

#![no_main]

use std::io::{Cursor, Read};

use cormorant_net::NetError;
use cormorant_net::capture::{Capture, LARGEST_FRAME_BYTES};
use cormorant_net::packet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = read(Cursor::new(data.to_vec()));
    if data.len() <= 4096 {
        assert_eq!(read(Trickle(Cursor::new(data.to_vec()))), whole);
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

/// Packets, a sum over what they are, and whether a fault ended the capture.
fn read(reader: impl Read + Send + 'static) -> (u64, u64, bool) {
    let Ok(mut capture) = Capture::from_reader("fuzz", Box::new(reader)) else { return (0, 0, true) };
    let (mut packets, mut sum, mut faulty) = (0, 0_u64, false);
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                packets += 1;
                assert_eq!(frame.number, packets);
                assert!(frame.data.len() <= LARGEST_FRAME_BYTES as usize);
                sum = sum
                    .wrapping_mul(31)
                    .wrapping_add(frame.ts_ns as u64 ^ frame.offset ^ frame.data.len() as u64);
                if let Some(packet) = packet::decode(&frame).packet {
                    sum = sum.wrapping_add(u64::from(packet.source_port));
                }
            }
            Ok(None) => return (packets, sum, faulty),
            Err(NetError::Damaged { packets: kept, .. }) => {
                assert!(!faulty && kept == packets);
                faulty = true;
            }
            Err(other) => panic!("{other}"),
        }
    }
}
