//! Reading captures: every format and variant, every cut, every fault, from every kind of stream.

use std::io::{Cursor, Read};

use cormorant_net::NetError;
use cormorant_net::capture::{Capture, InterfaceCounts, LARGEST_FRAME_BYTES, LinkType};

use crate::compressed::gzip;
use crate::written::{self, Order, Pcap, Written, block, frames, interface, packet, section, statistics};

/// What a reader yields: each frame with its record's offset, then the fault.
pub(crate) fn read_from(reader: impl Read + Send + 'static) -> (Vec<(Written, u64)>, Option<NetError>) {
    let mut capture = match Capture::from_reader("test", Box::new(reader)) {
        Ok(capture) => capture,
        Err(error) => return (Vec::new(), Some(error)),
    };
    let mut frames = Vec::new();
    loop {
        match capture.next_frame() {
            Ok(Some(frame)) => {
                assert_eq!(frame.number, frames.len() as u64 + 1);
                let written =
                    Written { ts_ns: frame.ts_ns, wire_bytes: frame.wire_bytes, data: frame.data.to_vec() };
                frames.push((written, frame.offset));
            }
            Ok(None) => return (frames, None),
            Err(error) => {
                assert!(capture.next_frame().expect("the fault comes once").is_none());
                return (frames, Some(error));
            }
        }
    }
}

pub(crate) fn read(file: &[u8]) -> (Vec<(Written, u64)>, Option<NetError>) {
    read_from(Cursor::new(file.to_vec()))
}

/// The frames of a sound file.
fn sound(file: &[u8]) -> Vec<Written> {
    let (frames, fault) = read(file);
    assert!(fault.is_none(), "{fault:?}");
    frames.into_iter().map(|(frame, _)| frame).collect()
}

/// Place and text of the fault of a damaged file.
fn damage(file: &[u8]) -> (u64, u64, String) {
    match read(file) {
        (frames, Some(error @ NetError::Damaged { offset, packets, .. })) => {
            assert_eq!(frames.len() as u64, packets);
            (offset, packets, error.to_string())
        }
        (_, other) => panic!("expected damage, found {other:?}"),
    }
}

/// Every file that the writer can make of the same frames, with the offsets of its records.
pub(crate) fn variants() -> Vec<(Vec<u8>, Vec<usize>)> {
    let frames = frames();
    let mut files = Vec::new();
    for order in Order::BOTH {
        for kind in [Pcap::Microseconds, Pcap::Nanoseconds, Pcap::Modified] {
            files.push(written::pcap(order, kind, 1, &frames));
        }
        files.push(written::pcapng(order, &frames));
    }
    files
}

#[test]
fn every_variant_gives_the_same_frames_at_their_offsets() {
    for (file, offsets) in variants() {
        let (read, fault) = read(&file);
        assert!(fault.is_none(), "{fault:?}");
        let expected: Vec<_> =
            frames().into_iter().zip(offsets.iter().map(|offset| *offset as u64)).collect();
        assert_eq!(read, expected);
    }
}

#[test]
fn every_prefix_gives_the_packets_before_the_cut_and_one_error() {
    for (file, mut ends) in variants() {
        ends.push(file.len());
        for cut in 0..file.len() {
            let (read, fault) = read(&file[..cut]);
            let whole = ends.iter().skip(1).filter(|end| **end <= cut).count();
            assert_eq!(read.len(), whole, "{cut} of {} bytes", file.len());
            let between_records = ends.contains(&cut) || (ends[0] > 24 && cut == 28);
            assert_eq!(fault.is_none(), between_records, "{cut} of {} bytes: {fault:?}", file.len());
        }
    }
}

#[test]
fn a_file_on_disk_tells_its_size_format_and_compression() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("misnamed.txt");
    let stored = gzip(&written::pcapng(Order::Big, &frames()).0);
    std::fs::write(&path, &stored).expect("a file");
    let mut capture = Capture::open(&path).expect("a capture");
    assert_eq!((capture.format(), capture.compression()), ("pcapng", Some("gzip")));
    assert_eq!(capture.size_bytes(), Some(stored.len() as u64));
    while capture.next_frame().expect("sound").is_some() {}
    assert_eq!(capture.consumed_bytes(), stored.len() as u64);
    let directory = Capture::open(folder.path()).expect_err("a directory is no capture").to_string();
    assert!(directory.contains("directory") && directory.contains("name the capture files"), "{directory}");
    let missing = Capture::open(&folder.path().join("none")).expect_err("no such file").to_string();
    assert!(missing.contains("none") && missing.contains("check the path"), "{missing}");
}

/// A pcap file of one record, told all of its header.
fn odd_pcap(magic: u32, version: (u16, u16), network: u32, lengths: [u32; 2]) -> Vec<u8> {
    let order = Order::Big;
    let mut file = [&order.u32(magic)[..], &order.u16(version.0), &order.u16(version.1), &[0; 8]].concat();
    file.extend([order.u32(65_535), order.u32(network)].concat());
    file.extend(vec![0; if magic >> 16 == 0x1c00 { 4 } else { 0 }]);
    file.extend([order.u32(5), order.u32(700), order.u32(lengths[0]), order.u32(lengths[1])].concat());
    file.extend([7; 40]);
    file
}

#[test]
fn oddities_of_pcap_are_read_as_libpcap_and_wireshark_read_them() {
    const MAGIC: u32 = 0xa1b2_c3d4;
    let cases = [
        // Usual; a frame check sequence of 2 * 16 bits announced; versions that never were.
        (odd_pcap(MAGIC, (2, 4), 1, [40, 60]), 1, 60, 700_000),
        (odd_pcap(MAGIC, (2, 4), 0x2400_0001, [40, 60]), 1, 60, 700_000),
        (odd_pcap(MAGIC, (3, 0), 1, [40, 60]), 1, 60, 700_000),
        (odd_pcap(MAGIC, (1, 4), 1, [40, 60]), 1, 60, 700_000),
        // Lengths the other way round, told by the version or by their order.
        (odd_pcap(MAGIC, (2, 2), 1, [60, 40]), 1, 60, 700_000),
        (odd_pcap(MAGIC, (2, 3), 1, [60, 40]), 1, 60, 700_000),
        (odd_pcap(MAGIC, (2, 3), 1, [40, 60]), 1, 60, 700_000),
        (odd_pcap(MAGIC, (543, 0), 1, [60, 40]), 1, 60, 700_000),
        // AIX: link types of its own, nanoseconds.
        (odd_pcap(MAGIC, (2, 2), 6, [60, 40]), 1, 60, 700),
        (odd_pcap(MAGIC, (2, 2), 24, [60, 40]), 0, 60, 700),
        // Ixia's two variants.
        (odd_pcap(0x1c00_01ab, (2, 4), 1, [40, 60]), 1, 60, 700_000),
        (odd_pcap(0x1c00_01ac, (2, 4), 1, [40, 60]), 1, 60, 700),
        // More captured than there was.
        (odd_pcap(MAGIC, (2, 4), 1, [40, 30]), 1, 40, 700_000),
    ];
    for (file, link, wire_bytes, fraction_ns) in cases {
        let expected = Written { ts_ns: 5_000_000_000 + fraction_ns, wire_bytes, data: vec![7; 40] };
        assert_eq!(sound(&file), [expected]);
        let capture = Capture::from_reader("test", Box::new(Cursor::new(file))).expect("a capture");
        assert_eq!(capture.interfaces()[0].link, LinkType(link));
    }
}

#[test]
fn blocks_of_other_types_are_passed_over_and_unknown_ones_counted() {
    let order = Order::Little;
    let frame = Written { ts_ns: 3_000, wire_bytes: 4, data: vec![1, 2, 3, 4] };
    let mut file = [section(order), interface(order, 1, 0, &[])].concat();
    // Name resolution, journal, secrets, custom (both), then two that nobody has defined.
    for kind in [4, 9, 10, 0x0bad, 0x4000_0bad, 0x7777, 0x8000_0001] {
        file.extend(block(order, kind, &[0xee; 20]));
    }
    file.extend(packet(order, 0, 3, &frame));
    let mut capture = Capture::from_reader("test", Box::new(Cursor::new(file))).expect("a capture");
    assert_eq!(capture.next_frame().expect("sound").map(|frame| frame.data.to_vec()), Some(frame.data));
    assert!(capture.next_frame().expect("sound").is_none());
    assert_eq!(capture.unknown_blocks(), 2);
}

#[test]
fn options_of_a_wrong_length_are_passed_over() {
    let order = Order::Big;
    let frame = Written { ts_ns: 5_000, wire_bytes: 1, data: vec![1] };
    for option in [(9, &[9_u8, 9][..]), (9, &[]), (14, &[0, 0, 0, 1]), (2, &[0xff, 0xfe])] {
        let file = [section(order), interface(order, 1, 0, &[option]), packet(order, 0, 5, &frame)].concat();
        assert_eq!(sound(&file), std::slice::from_ref(&frame), "{option:?}");
    }
}

#[test]
fn what_is_no_capture_is_named() {
    let tar = [&[0; 257][..], b"ustar\0"].concat();
    let cases: [(&[u8], &str, &str); 10] = [
        (b"", "an empty file", "check the capturing program"),
        (b"ts,src,dst\n", "text", "a table"),
        (b"\x04\x22\x4d\x18\0\0\0", "lz4", "lz4 -dc"),
        (b"BZh91AY&SY", "bzip2", "bzip2 -dc"),
        (&tar, "tar", "tar -xf"),
        (&gzip(&gzip(b"any")), "gzip data", "decompress it once first"),
        (b"\xfd7zXZ", "bytes fd 37", "check the file"),
        (b"snoop\0\0\0\0\0", "snoop", "editcap"),
        (b"\x00\x01\x02\x03\x04", "bytes 00 01 02 03 04", "editcap"),
        (b"\x01", "bytes 01", "check the file"),
    ];
    for (file, found, advice) in cases {
        let (frames, fault) = read(file);
        let text = fault.expect("no capture").to_string();
        assert!(frames.is_empty() && text.contains(found) && text.contains(advice), "{text}");
    }
    let table = gzip(b"ts,src,dst\n");
    assert!(matches!(read(&table).1, Some(NetError::NotACapture { .. })));
}

#[test]
fn impossible_pcap_lengths_are_damage_and_frames_of_the_largest_length_are_not() {
    let (mut file, offsets) = written::pcap(Order::Little, Pcap::Microseconds, 1, &frames());
    file[offsets[2] + 8..offsets[2] + 12].copy_from_slice(&(LARGEST_FRAME_BYTES + 1).to_le_bytes());
    let (offset, packets, text) = damage(&file);
    assert_eq!((offset, packets), (offsets[2] as u64, 2));
    assert!(text.contains("262144") && text.contains("262145") && text.contains("2 packets"), "{text}");

    let largest =
        Written { ts_ns: 0, wire_bytes: LARGEST_FRAME_BYTES, data: vec![7; LARGEST_FRAME_BYTES as usize] };
    let many = vec![largest; 9];
    assert_eq!(sound(&written::pcap(Order::Big, Pcap::Nanoseconds, 1, &many).0), many);
    assert_eq!(sound(&written::pcapng(Order::Big, &many).0), many);
}

#[test]
fn usb_frames_beyond_the_limit_are_cut_to_it_and_the_rest_skipped() {
    const USB_LINUX_MMAPPED: u32 = 220;
    let long = Written { ts_ns: 1_000, wire_bytes: 3_000_000, data: vec![7; 3_000_000] };
    let short = Written { ts_ns: 2_000, wire_bytes: 3, data: vec![1, 2, 3] };
    let kept = Written { data: vec![7; LARGEST_FRAME_BYTES as usize], ..long.clone() };
    let written = [short.clone(), long, short.clone()];
    let (file, offsets) = written::pcap(Order::Little, Pcap::Microseconds, USB_LINUX_MMAPPED, &written);
    assert_eq!(sound(&file), [short.clone(), kept.clone(), short.clone()]);
    let (_, packets, text) = damage(&file[..offsets[2] - 1]);
    assert!(packets == 2 && text.contains("1 bytes of the last packet record"), "{text}");

    let order = Order::Little;
    let mut ng = [section(order), interface(order, USB_LINUX_MMAPPED as u16, 0, &[])].concat();
    for frame in &written {
        ng.extend(packet(order, 0, frame.ts_ns as u64 / 1_000, frame));
    }
    assert_eq!(sound(&ng), [short.clone(), kept, short]);
}

#[test]
fn pcapng_sections_in_two_byte_orders_with_several_interfaces() {
    let frame = |ts_ns, byte| Written { ts_ns, wire_bytes: 1, data: vec![byte] };
    let (little, big) = (Order::Little, Order::Big);
    let offset = 3_600_i64;
    let file = [
        section(little),
        interface(little, 1, 0, &[(2, b"eth0")]),
        interface(little, 101, 0, &[(9, &[9])]),
        packet(little, 1, 1_500, &frame(0, 1)),
        block(little, 0x0bad, b"some vendor's block"),
        packet(little, 0, 1_500, &frame(0, 2)),
        section(big),
        interface(big, 113, 0, &[(9, &[0x80 | 10]), (14, &offset.to_be_bytes())]),
        packet(big, 0, 1_024 * 5 + 512, &frame(0, 3)),
        interface(big, 1, 0, &[(9, &[12])]),
        packet(big, 1, 7_999, &frame(0, 4)),
    ]
    .concat();
    let mut capture = Capture::from_reader("test", Box::new(Cursor::new(file))).expect("a capture");
    let mut seen = Vec::new();
    while let Some(frame) = capture.next_frame().expect("sound") {
        seen.push((frame.data[0], frame.ts_ns, frame.link, frame.interface));
    }
    let expected = [
        (1, 1_500, LinkType::RAW, 1),
        (2, 1_500_000, LinkType::ETHERNET, 0),
        (3, 3_605_500_000_000, LinkType::LINUX_SLL, 2),
        (4, 7, LinkType::ETHERNET, 3),
    ];
    assert_eq!(seen, expected);
    let interfaces = capture.interfaces();
    assert_eq!((interfaces.len(), interfaces[0].name.as_str()), (4, "eth0"));
    let resolutions: Vec<f64> = interfaces.iter().map(|interface| interface.ticks_per_s).collect();
    assert_eq!(resolutions, [1e6, 1e9, 1024.0, 1e12]);
}

#[test]
fn the_last_statistics_of_each_interface_tell_what_it_lost() {
    let (little, big) = (Order::Little, Order::Big);
    let file = [
        section(little),
        interface(little, 1, 0, &[]),
        interface(little, 1, 0, &[]),
        statistics(little, 0, &[(4, 10), (5, 1), (7, 2)]),
        statistics(little, 0, &[(2, 7), (4, 1 << 40), (6, 9), (7, 3)]),
        statistics(little, 2, &[(4, 77)]),
        section(big),
        interface(big, 1, 0, &[]),
        statistics(big, 0, &[(5, 4)]),
    ]
    .concat();
    let mut capture = Capture::from_reader("test", Box::new(Cursor::new(file))).expect("a capture");
    assert!(capture.next_frame().expect("sound").is_none());
    let counts: Vec<_> = capture.interfaces().iter().map(|interface| interface.counts).collect();
    let stated = |received, dropped_by_interface, dropped_by_capture| InterfaceCounts {
        received,
        dropped_by_interface,
        dropped_by_capture,
    };
    let expected =
        [stated(Some(1 << 40), Some(1), Some(3)), stated(None, None, None), stated(None, Some(4), None)];
    assert_eq!(counts, expected);
}

#[test]
fn simple_and_obsolete_packet_blocks() {
    for order in Order::BOTH {
        let stamped = Written { ts_ns: 5_000, wire_bytes: 60, data: vec![9; 33] };
        let simple = [&order.u32(100)[..], &[8; 48]].concat();
        let obsolete = [
            &order.u16(0)[..],
            &order.u16(7),
            &order.u32(0),
            &order.u32(6),
            &order.u32(5),
            &order.u32(80),
            &[4; 5],
        ]
        .concat();
        let file = [
            section(order),
            interface(order, 1, 46, &[]),
            packet(order, 0, 5, &stamped),
            block(order, 3, &simple),
            block(order, 2, &obsolete),
        ]
        .concat();
        let expected = [
            stamped,
            Written { ts_ns: 5_000, wire_bytes: 100, data: vec![8; 46] },
            Written { ts_ns: 6_000, wire_bytes: 80, data: vec![4; 5] },
        ];
        assert_eq!(sound(&file), expected);
    }
}

#[test]
fn damaged_pcapng_blocks_are_told_apart() {
    let order = Order::Little;
    let head = [section(order), interface(order, 1, 0, &[])].concat();
    let frame = Written { ts_ns: 0, wire_bytes: 4, data: vec![1, 2, 3, 4] };
    let good = packet(order, 0, 0, &frame);
    let with = |tail: &[u8]| damage(&[&head[..], &good, tail].concat());
    let at = (head.len() + good.len()) as u64;

    let mut closing = good.clone();
    let last = closing.len() - 4;
    closing[last] ^= 1;
    let mut too_long = good.clone();
    too_long[20..24].copy_from_slice(&order.u32(5));
    let mut odd = good.clone();
    odd[4] += 1;
    let mut magic = section(order);
    magic[8] = 0;
    let option = interface(order, 1, 0, &[(2, b"long name")]);
    let mut bad_option = option.clone();
    bad_option[18..20].copy_from_slice(&order.u16(60));
    let cases: [(&[u8], &str); 8] = [
        (&closing, "length 36 again at its end"),
        (&packet(order, 1, 0, &frame), "interface 1"),
        (&too_long, "at most 4 bytes"),
        (&odd, "that 4 divides"),
        (&block(order, 6, &[0; 8]), "a block of 20 bytes"),
        (&block(order, 1, &[0; 4]), "interface description of 20 bytes"),
        (&magic, "byte-order magic"),
        (&bad_option, "option 2 to end within its block"),
    ];
    for (tail, expected) in cases {
        let (offset, packets, text) = with(tail);
        assert_eq!((offset, packets), (at, 1), "{text}");
        assert!(text.contains(expected) && text.contains("1 packets before it were kept"), "{text}");
    }
}

#[test]
fn blocks_larger_than_the_window_are_skipped_without_being_kept() {
    let order = Order::Little;
    let frame = Written { ts_ns: 3_000, wire_bytes: 4, data: vec![1, 2, 3, 4] };
    let large = block(order, 0x0bad, &vec![0; 5_000_000]);
    let mut commented = frame.data.clone();
    for _ in 0..40 {
        commented.extend(order.u16(1));
        commented.extend(order.u16(65_532));
        commented.extend(vec![b'x'; 65_532]);
    }
    let fields =
        [&order.u32(0)[..], &order.u32(0), &order.u32(3), &order.u32(4), &order.u32(4), &commented].concat();
    let file = [section(order), interface(order, 1, 0, &[]), large, block(order, 6, &fields)].concat();
    assert_eq!(sound(&[&file[..], &packet(order, 0, 3, &frame)].concat()), [frame.clone(), frame]);
    let (_, packets, text) = damage(&file[..file.len() - 2]);
    assert!(packets == 1 && text.contains("the last block"), "{text}");
    let mut closing = file.clone();
    let last = closing.len() - 4;
    closing[last] ^= 1;
    assert_eq!(damage(&closing).1, 1);
}

#[test]
fn times_before_1970_and_beyond_2262_saturate() {
    let order = Order::Big;
    let frame = Written { ts_ns: 0, wire_bytes: 1, data: vec![1] };
    let ahead = (-1_i64).to_be_bytes();
    for (resolution, ticks, offset, expected) in [
        (6_u8, 1_u64, Some(&ahead), -999_999_000),
        (6, u64::MAX, None, -1_000),
        (6, 1 << 63, None, i64::MIN),
        (0, i64::MAX as u64, None, i64::MAX),
        (0, 4_000_000_000, None, 4_000_000_000_000_000_000),
        (9, 1 << 63, None, i64::MIN),
        (127, 1 << 63, None, 0),
        (0x80, u64::MAX, None, i64::MAX),
        (0x80, 2, None, 2_000_000_000),
        (0xff, u64::MAX, None, 0),
        (127, u64::MAX, None, 1),
    ] {
        let resolution = [resolution];
        let mut options = vec![(9_u16, &resolution[..])];
        options.extend(offset.map(|bytes| (14, &bytes[..])));
        let file =
            [section(order), interface(order, 1, 0, &options), packet(order, 0, ticks, &frame)].concat();
        assert_eq!(sound(&file)[0].ts_ns, expected);
    }
}
