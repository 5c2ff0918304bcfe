//! Captures beyond 4 GiB, made while they are read: places and packets stay right where 32 bits no longer do.

use std::io::Read;

use cormorant_net::capture::Capture;

use crate::written::{self, Order, Pcap, Written};

const FRAME_BYTES: usize = 262_000;
/// As many frames as reach well beyond 2^32.
const FRAMES: u64 = (1 << 32) / FRAME_BYTES as u64 + 40;

/// A capture of records that differ only in the first eight bytes of the frame: its number.
struct Endless {
    pending: Vec<u8>,
    taken: usize,
    record: Vec<u8>,
    /// Where the frame starts in the record.
    frame_at: usize,
    made: u64,
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.taken == self.pending.len() {
            if self.made == FRAMES {
                return Ok(0);
            }
            self.made += 1;
            self.record[self.frame_at..self.frame_at + 8].copy_from_slice(&self.made.to_be_bytes());
            self.pending.clone_from(&self.record);
            self.taken = 0;
        }
        let rest = &self.pending[self.taken..];
        let read = rest.len().min(out.len());
        out[..read].copy_from_slice(&rest[..read]);
        self.taken += read;
        Ok(read)
    }
}

fn assert_places(head: Vec<u8>, record: Vec<u8>, frame_at: usize) {
    let (start, step) = (head.len() as u64, record.len() as u64);
    let source = Endless { pending: head, taken: 0, record, frame_at, made: 0 };
    let mut capture = Capture::from_reader("large", Box::new(source)).expect("a capture");
    let mut last = 0;
    while let Some(frame) = capture.next_frame().expect("sound") {
        let number = frame.data.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        assert_eq!((Some(frame.number), frame.data.len()), (number, FRAME_BYTES));
        assert_eq!(frame.offset, start + (frame.number - 1) * step);
        last = frame.offset;
    }
    assert!(last > 1 << 32 && capture.consumed_bytes() == start + FRAMES * step);
}

fn frame() -> Written {
    Written { ts_ns: 0, wire_bytes: FRAME_BYTES as u32, data: vec![0; FRAME_BYTES] }
}

#[test]
fn pcap_beyond_4_gib() {
    let head = written::pcap(Order::Little, Pcap::Microseconds, 1, &[]).0;
    let record = written::pcap(Order::Little, Pcap::Microseconds, 1, &[frame()]).0.split_off(head.len());
    assert_places(head, record, 16);
}

#[test]
fn pcapng_beyond_4_gib() {
    let head = written::pcapng(Order::Big, &[]).0;
    assert_places(head, written::packet(Order::Big, 0, 7, &frame()), 28);
}
