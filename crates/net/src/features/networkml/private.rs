//! Which addresses NetworkML calls private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// As `is_private` of Python's `ipaddress` (3.10), which NetworkML asks.
pub(super) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => is_private_v6(ip),
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    matches!(
        ip.octets(),
        [0 | 10 | 127 | 240..=255, ..]
            | [169, 254, ..]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0, 0..=7 | 170 | 171]
            | [192, 0, 2, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_private_v6(ip: Ipv6Addr) -> bool {
    matches!(
        ip.segments(),
        [0, 0, 0, 0, 0, 0, 0, 0 | 1]
            | [0, 0, 0, 0, 0, 0xffff, ..]
            | [0x100, 0, 0, 0, ..]
            | [0x2001, 0..=0x1ff | 0xdb8, ..]
            | [0xfc00..=0xfdff | 0xfe80..=0xfebf, ..]
    )
}

/// As NetworkML 0.4.0 tells from the text of an address: what stands before its first two dots or colons.
pub(super) fn is_private_text(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => matches!(ip.octets(), [10, ..] | [192, 168, ..] | [172, 16..=31, ..]),
        IpAddr::V6(ip) => is_private_groups(&ip.to_string()),
    }
}

/// It compares the groups of IPv6 with the same texts, so that 10::1 is private, and 172:16:: too.
fn is_private_groups(text: &str) -> bool {
    let mut groups = text.split(':');
    let (first, second) = (groups.next().unwrap_or_default(), groups.next().unwrap_or_default());
    match first {
        "10" | "fe80" => true,
        "192" => second == "168",
        "172" => second.parse::<u16>().is_ok_and(|number| (16..=31).contains(&number)),
        _ => first.starts_with("fd"),
    }
}
