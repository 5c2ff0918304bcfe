//! Damages captures at random and reads, inspects and meters them: whatever the bytes, no panic, no endless loop,
//! bounded packets, and counters that add up. `CORMORANT_MUTATIONS=1000000` makes it thorough.

use std::io::Cursor;

use cormorant_net::capture::{Capture, LARGEST_FRAME_BYTES};
use cormorant_net::inspect::inspect;
use cormorant_net::meter::{MeterSpec, meter};
use cormorant_net::packet::{self, reassembly::Reassembler};

use crate::compressed::{gzip, xz, zstd};
use crate::written::{self, Order, Pcap, Written, ethernet, ipv4, udp};

/// Every how many mutated captures one goes through the flow table as well, which costs more than reading.
const METERED: usize = 8;

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
    files.push(gzip(&files[2]));
    files.push(zstd(&files[0]));
    files.push(xz(&files[2]));
    files.extend(links().into_iter().map(|(link, data)| {
        let frame = Written { ts_ns: 0, wire_bytes: data.len() as u32, data };
        written::pcap(Order::Little, Pcap::Nanoseconds, link, &[frame.clone(), frame.clone(), frame]).0
    }));
    files
}

/// A packet on every link layer that is decoded, and on Ethernet every encapsulation, fragments included.
fn links() -> Vec<(u32, Vec<u8>)> {
    const HOSTS: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];
    let inner = udp(HOSTS[0], HOSTS[1], 1000, 53, b"query");
    let ip = &inner[14..];
    let on = |start: &[u8], rest: &[u8]| [start, rest].concat();
    let wlan = [&[0x08, 0][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
    let in_ip = |protocol: u8, payload: &[u8]| ethernet(0x0800, &ipv4(protocol, HOSTS[0], HOSTS[1], payload));
    let in_udp = |port: u16, payload: &[u8]| udp(HOSTS[0], HOSTS[1], 4000, port, payload);
    let mut fragment = in_ip(17, &[0, 1, 0, 2, 0, 99, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    fragment[20] = 0x20;
    let mut later = fragment.clone();
    later[21] = 2;
    let mut ipv6 = vec![0x60, 0, 0, 0, 0, 16, 60, 64];
    ipv6.extend([1; 32]);
    ipv6.extend([17, 0, 1, 4, 0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0, 0]);
    vec![
        (0, on(&[2, 0, 0, 0], ip)),
        (9, on(&[0xff, 3, 0, 0x21], ip)),
        (50, on(&[0xff, 3, 0, 0x21], ip)),
        (101, ipv6.clone()),
        (105, on(&wlan, ip)),
        (108, on(&[0, 0, 0, 2], ip)),
        (113, on(&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0], ip)),
        (127, on(&[0, 0, 8, 0, 0, 0, 0, 0], &on(&wlan, ip))),
        (276, on(&[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], ip)),
        (1, ethernet(0x88a8, &on(&[0, 7, 0x81, 0, 0, 9, 8, 0], ip))),
        (1, ethernet(0x8847, &on(&[0, 1, 0x01, 64], ip))),
        (1, ethernet(0x8864, &on(&[0x11, 0, 0, 1, 0, ip.len() as u8 + 2, 0, 0x21], ip))),
        (1, in_ip(4, ip)),
        (1, in_ip(41, &ipv6)),
        (1, in_ip(47, &on(&[0x20, 0, 8, 0, 0, 0, 0, 7], ip))),
        (1, in_ip(97, &on(&[0x30, 0], &inner))),
        (1, in_udp(4789, &on(&[8, 0, 0, 0, 0, 0, 5, 0], &inner))),
        (1, in_udp(6081, &on(&[0, 0, 0x65, 0x58, 0, 0, 5, 0], &inner))),
        (1, in_udp(2152, &on(&[0x30, 0xff, 0, ip.len() as u8, 0, 0, 0, 9], ip))),
        (1, in_udp(3544, &ipv6)),
        (1, fragment),
        (1, later),
    ]
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

fn read_to_rows(file: &[u8]) {
    let Ok(mut capture) = Capture::from_reader("mutated", Box::new(Cursor::new(file.to_vec()))) else {
        return;
    };
    let mut rows = 0;
    let report = meter(&mut capture, &MeterSpec::default(), &mut |_| true, &mut |batch| {
        rows += batch.len as u64;
        Ok(())
    });
    let report = report.expect("nothing can fail");
    let without: u64 = report.packets_without_flow.iter().map(|(_, packets)| packets).sum();
    assert_eq!((report.packets, rows), (report.packets_in_flows + without, report.flows));
}

#[test]
fn mutated_captures_are_read_without_a_panic() {
    let mutations =
        std::env::var("CORMORANT_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let originals = originals();
    let mut numbers = Numbers(0x5eed);
    for round in 0..mutations {
        let mut file = originals[round % originals.len()].clone();
        mutate(&mut numbers, &mut file);
        read(&file);
        if round % METERED == 0 {
            read_to_rows(&file);
        }
    }
    println!("read {mutations} mutated captures");
}

/// Every one of those packets decodes whole, so that mutations start from what the decoders follow.
#[test]
fn the_unharmed_originals_hold_packets() {
    for (link, data) in links() {
        let frame = Written { ts_ns: 0, wire_bytes: data.len() as u32, data };
        let file = written::pcap(Order::Little, Pcap::Nanoseconds, link, &[frame]).0;
        let mut capture = Capture::from_reader("original", Box::new(Cursor::new(file))).expect("a capture");
        let found = inspect(&mut capture, &mut |_| true).expect("not cancelled");
        assert_eq!(found.ip_packets, 1, "link type {link}: {found:?}");
    }
}
