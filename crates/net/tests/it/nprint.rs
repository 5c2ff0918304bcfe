//! The `nprint` set against bits spelt out from hand-written packets.

use cormorant_net::features::{RowColumn, Rows};

use crate::packet_rows::{extract, features, integers, pcap, texts};
use crate::written::{Written, ethernet};

const ALL: &str = "nprint:ipv4:ipv6:tcp:udp:icmp:payload=4:addresses";
const SOURCE: [u8; 4] = [10, 0, 0, 1];
const DESTINATION: [u8; 4] = [192, 168, 7, 9];

/// The bits of each row in the order of the columns, which are all the signed ones after `first_ns`.
fn bits(batches: &[Rows]) -> Vec<Vec<i64>> {
    let row = |rows: &Rows, row: usize| -> Vec<i64> {
        let value = |column: &RowColumn| match column {
            RowColumn::I64(values) => Some(values[row]),
            _ => None,
        };
        rows.columns.iter().filter_map(value).skip(1).collect()
    };
    batches.iter().flat_map(|rows| (0..rows.len).map(move |index| row(rows, index))).collect()
}

/// What stands for these bytes in a part of this many: their digits in base 2, then -1.
fn spelt(bytes: &[u8], part_bytes: usize) -> Vec<i64> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let bits = digits.chars().map(|digit| i64::from(digit == '1'));
    bits.chain(std::iter::repeat(-1)).take(8 * part_bytes).collect()
}

/// A row: IPv4, IPv6, TCP, UDP, ICMP, payload.
fn row(parts: [&[u8]; 6]) -> Vec<i64> {
    parts.iter().zip([60, 40, 60, 8, 8, 4]).flat_map(|(bytes, width)| spelt(bytes, width)).collect()
}

fn written(data: Vec<u8>) -> Written {
    Written { ts_ns: 5, wire_bytes: data.len() as u32, data }
}

/// An IPv4 header with these options, for this protocol and this many bytes above.
fn ipv4(protocol: u8, flags: u16, options: &[u8], above: usize) -> Vec<u8> {
    let length = 20 + options.len();
    let ([l1, l0], [f1, f0]) = (((length + above) as u16).to_be_bytes(), flags.to_be_bytes());
    let fixed = [0x40 | (length / 4) as u8, 0xb8, l1, l0, 0xab, 0xcd, f1, f0, 61, protocol, 0x12, 0x34];
    [&fixed[..], &SOURCE, &DESTINATION, options].concat()
}

fn tcp(options: &[u8]) -> Vec<u8> {
    let offset = (((20 + options.len()) / 4) << 4) as u8 | 1;
    let fixed = [4, 1, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, offset, 0x12, 0x20, 0, 0xaa, 0x55, 0, 3];
    [&fixed[..], options].concat()
}

fn ipv6(next: u8, above: usize) -> Vec<u8> {
    let [l1, l0] = (above as u16).to_be_bytes();
    [&[0x6a, 0xb1, 0x23, 0x45, l1, l0, next, 62][..], &[0xfe; 16], &[0x81; 16]].concat()
}

#[test]
fn whole_packets() {
    let ip_options = [0x94, 4, 0, 0, 1, 1, 1, 0];
    let tcp_options = [2, 4, 5, 0xb4, 1, 3, 3, 7, 4, 2, 1, 1];
    let (udp, icmp) = ([0x30, 0x39, 0, 53, 0, 14, 0xbe, 0xef], [8, 0, 0x11, 0x22, 0, 9, 0, 1]);
    let (segment, payload) = (tcp(&tcp_options), [0xde, 0xad, 0xbe]);
    let (with_options, plain) = (ipv4(6, 0x4000, &ip_options, segment.len() + 3), ipv4(17, 0, &[], 14));
    let (echo, echo6) = (ipv4(1, 0, &[], 8), ipv6(58, 8));
    // Hop-by-hop options of 16 bytes before UDP.
    let (extended, hop) = (ipv6(0, 30), [&[17, 1][..], &[0; 14]].concat());
    let mut padded = ethernet(0x0800, &[&echo[..], &icmp].concat());
    padded.resize(60, 0xff);
    let frames = [
        ethernet(0x0800, &[&with_options[..], &segment, &payload].concat()),
        ethernet(0x0800, &[&plain[..], &udp, b"abcdef"].concat()),
        padded,
        ethernet(0x86dd, &[&echo6[..], &icmp].concat()),
        ethernet(0x86dd, &[&extended[..], &hop, &udp, b"abcdef"].concat()),
    ];
    let expected = [
        row([&with_options, &[], &segment, &[], &[], &payload]),
        row([&plain, &[], &[], &udp, &[], b"abcd"]),
        row([&echo, &[], &[], &[], &icmp, &[]]),
        row([&[], &echo6, &[], &[], &[], &[]]),
        row([&[], &extended, &[], &udp, &[], b"abcd"]),
    ];
    let (batches, report) = extract(pcap(&frames.map(written)), ALL, 1 << 20);
    assert_eq!(bits(&batches), expected);
    assert_eq!((report.packets, report.packets_in_flows), (5, 5));
    assert_eq!(integers(&batches, "source_port"), [1025, 12_345, 8, 8, 12_345]);
    assert_eq!(integers(&batches, "protocol"), [6, 17, 1, 58, 17]);
    assert_eq!(texts(&batches, "destination")[..3], ["192.168.7.9"; 3]);
}

/// Cut after every byte: each bit is as in the whole packet or -1, and those captured of a header are there.
#[test]
fn cut_packets() {
    let segment = tcp(&[1; 8]);
    let header = ipv4(6, 0, &[1; 4], segment.len() + 4);
    let whole = ethernet(0x0800, &[&header[..], &segment, b"data"].concat());
    for captured in 14 + 20..=whole.len() {
        let frame = Written { ts_ns: 5, wire_bytes: whole.len() as u32, data: whole[..captured].to_vec() };
        let (batches, _) = extract(pcap(&[frame]), ALL, 1 << 20);
        let part = |from: usize, bytes: &'static str| match bytes {
            "ip" => header[..header.len().min(captured - 14)].to_vec(),
            "tcp" => segment[..segment.len().min(captured.saturating_sub(from))].to_vec(),
            _ => b"data"[..4.min(captured.saturating_sub(from))].to_vec(),
        };
        let (ip, tcp, data) = (part(14, "ip"), part(38, "tcp"), part(66, "data"));
        assert_eq!(bits(&batches), [row([&ip, &[], &tcp, &[], &[], &data])], "{captured} bytes");
    }
}

#[test]
fn fragments_and_impossible_headers() {
    let segment = tcp(&[]);
    let later = ipv4(6, 1, &[], segment.len());
    let mut impossible = tcp(&[]);
    impossible[12] = 0xf0;
    let unfragmented = ipv4(6, 0, &[], impossible.len());
    let other = ipv4(89, 0, &[], 2);
    let arp = ethernet(0x0806, &[0; 28]);
    let frames = [
        ethernet(0x0800, &[&later[..], &segment].concat()),
        ethernet(0x0800, &[&unfragmented[..], &impossible].concat()),
        ethernet(0x0800, &[&other[..], &[1, 2]].concat()),
        arp,
    ];
    let (batches, report) = extract(pcap(&frames.map(written)), ALL, 1 << 20);
    let expected = [
        row([&later, &[], &[], &[], &[], &segment]),
        row([&unfragmented, &[], &impossible, &[], &[], &[]]),
        row([&other, &[], &[], &[], &[], &[1, 2]]),
    ];
    assert_eq!(bits(&batches), expected);
    assert_eq!(report.packets_without_flow, [("arp", 1)]);
}

#[test]
fn columns_are_the_tools() {
    let all = features(ALL).expect("a set");
    assert_eq!(all.len(), 480 + 320 + 480 + 64 + 64 + 32);
    for (place, name) in [
        (0, "ipv4_ver_0"),
        (96, "ipv4_src_0"),
        (479, "ipv4_opt_319"),
        (480, "ipv6_ver_0"),
        (800, "tcp_sprt_0"),
        (1279, "tcp_opt_319"),
        (1280, "udp_sport_0"),
        (1407, "icmp_roh_31"),
        (1439, "payload_bit_31"),
    ] {
        assert_eq!(all[place], name);
    }
    let identity = ["_src_", "_dst_", "_sprt_", "_dprt_", "udp_sport_", "udp_dport_"];
    let default = features("nprint").expect("a set");
    assert_eq!(default.len(), 480 - 64 + 480 - 32 + 64 - 32 + 64);
    assert!(!default.iter().any(|name| identity.iter().any(|part| name.contains(part))));
    assert_eq!(features("nprint:udp").expect("a set").len(), 32);
    assert_eq!(features("nprint:ipv6").expect("a set").len(), 64);
    assert_eq!(features("nprint:payload=3").expect("a set").len(), default.len() + 24);
    for wrong in ["nprint:payload=1.5", "nprint:payload=9999", "nprint:payload", "nprint:eth", "nprint:tcp=1"]
    {
        let message = features(wrong).unwrap_err().to_string();
        assert!(message.contains(wrong), "{message}");
    }
}
