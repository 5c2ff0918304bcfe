//! Damages captures at random and reads them: whatever the bytes, no panic, no endless loop, bounded packets.
//! `CORMORANT_MUTATIONS=100000` makes it thorough.

use std::io::{Cursor, Write};

use cormorant_net::capture::{Capture, LARGEST_FRAME_BYTES};
use cormorant_net::inspect::inspect;
use cormorant_net::packet::{self, reassembly::Reassembler};

use crate::written::{self, Order, Pcap};

/// A small generator of pseudo-random numbers (xorshift64*, Vigna 2016), so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

fn originals() -> Vec<Vec<u8>> {
    let frames = written::frames();
    let mut files = Vec::new();
    for order in Order::BOTH {
        files.push(written::pcap(order, Pcap::Microseconds, 1, &frames).0);
        files.push(written::pcap(order, Pcap::Modified, 101, &frames).0);
        files.push(written::pcapng(order, &frames).0);
        files.push([written::pcapng(order, &frames).0, written::pcapng(Order::Big, &frames).0].concat());
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&files[2]).expect("memory");
    files.push(gzip.finish().expect("memory"));
    files.push(zstd::encode_all(&files[0][..], 1).expect("memory"));
    files
}

/// Bytes and bits changed, lengths set to extremes, pieces cut out, doubled or moved.
fn mutate(numbers: &mut Numbers, file: &mut Vec<u8>) {
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(file.len());
        match numbers.below(7) {
            0 => file[at] ^= 1 << numbers.below(8),
            1 => file[at] = numbers.below(256) as u8,
            2 => file.truncate(at.max(1)),
            3 => {
                let end = (at + numbers.below(64)).min(file.len() - 1);
                file.drain(at.min(end)..end);
            }
            4 => {
                let piece = file[at..(at + numbers.below(200)).min(file.len())].to_vec();
                let to = numbers.below(file.len());
                file.splice(to..to, piece);
            }
            5 => {
                const EXTREMES: [u32; 8] =
                    [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0xffff_fffc, 0x40000, 0x40001];
                let value = EXTREMES[numbers.below(EXTREMES.len())];
                let bytes = if numbers.below(2) == 0 { value.to_le_bytes() } else { value.to_be_bytes() };
                let at = at & !3;
                for (byte, new) in file.iter_mut().skip(at).zip(bytes) {
                    *byte = new;
                }
            }
            _ => file.extend(std::iter::repeat_n(numbers.below(256) as u8, numbers.below(64))),
        }
    }
}

fn read(file: &[u8]) {
    let open = || Capture::from_reader("mutated", Box::new(Cursor::new(file.to_vec())));
    let Ok(mut capture) = open() else { return };
    let mut reassembler = Reassembler::default();
    let (mut packets, mut faults) = (0, 0);
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                packets += 1;
                assert!(
                    frame.data.len() <= LARGEST_FRAME_BYTES as usize
                        && frame.wire_bytes as usize >= frame.data.len()
                );
                let decoded = packet::decode(&frame);
                if decoded.is_fragment() {
                    reassembler.add(&frame, decoded, frame.ts_ns, &mut |_, _| {});
                }
            }
            Ok(None) => break,
            Err(error) => {
                faults += 1;
                assert!(error.to_string().contains(&format!("{packets} packets")), "{error}");
            }
        }
    }
    assert!(faults <= 1);
    let mut again = open().expect("opened before");
    let inspection = inspect(&mut again, &mut |_| true).expect("not cancelled");
    assert_eq!((inspection.packets, inspection.fault.is_some()), (packets, faults == 1));
}

#[test]
fn mutated_captures_are_read_without_a_panic() {
    let mutations =
        std::env::var("CORMORANT_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000);
    let originals = originals();
    let mut numbers = Numbers(0x5eed);
    for round in 0..mutations {
        let mut file = originals[round % originals.len()].clone();
        mutate(&mut numbers, &mut file);
        read(&file);
    }
    println!("read {mutations} mutated captures");
}
