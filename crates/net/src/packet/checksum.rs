//! Internet checksums (RFC 1071) of a decoded frame's innermost packet: for telling a user, never for dropping. A wrong
//! one on the machine that captures says only that its network card computes it later (offload).

use std::net::IpAddr;

use super::extensions::{AUTHENTICATION, FRAGMENT, ROUTING, is_extension};
use super::{Decoded, Fragment, Ip, Packet, icmp, ipv4, ipv6};
use crate::capture::Frame;

/// What a checksum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Checksum {
    /// It fits.
    Good,
    /// It does not.
    Bad,
    /// There is none yet or at all: the field is 0, or holds the sum over the pseudo-header alone, which the
    /// sender's network card was to complete.
    Absent,
    /// Not all of the bytes it covers are there: they were not captured, or come in other fragments.
    Unchecked,
}

/// The checksums of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// Of the IPv4 header; `None` without one.
    pub ip: Option<Checksum>,
    /// Of TCP, UDP, ICMP or ICMPv6; `None` for other protocols and later fragments.
    pub transport: Option<Checksum>,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Verifies the checksums of the innermost IP packet of a frame.
pub fn verify(frame: &Frame<'_>, decoded: &Decoded) -> Checksums {
    let Some(packet) = &decoded.packet else { return Checksums::default() };
    let start = decoded.ip_start as usize;
    let data = frame.data.get(start..).unwrap_or_default();
    let header =
        if packet.source.is_ipv4() { ipv4::decode(frame, start) } else { ipv6::decode(frame, start) };
    let Ok(ip) = header else { return Checksums::default() };
    Checksums {
        ip: packet.source.is_ipv4().then(|| ip_header(data)),
        transport: transport(packet, &ip, data),
    }
}

/// The header's own length says how much is covered.
fn ip_header(data: &[u8]) -> Checksum {
    let length = usize::from(data.first().copied().unwrap_or_default() & 0x0f) * 4;
    match data.get(..length) {
        Some(header) if folded(sum(header)) == 0xffff => Checksum::Good,
        Some([_, _, _, _, _, _, _, _, _, _, 0, 0, ..]) => Checksum::Absent,
        Some(_) => Checksum::Bad,
        None => Checksum::Unchecked,
    }
}

fn transport(packet: &Packet, ip: &Ip, data: &[u8]) -> Option<Checksum> {
    let field_at = match packet.protocol {
        TCP => 16,
        UDP => 6,
        icmp::ICMP | icmp::ICMPV6 => 2,
        _ => return None,
    };
    let segment = data.get(ip.header_bytes as usize..ip.bytes as usize);
    let whole = match (ip.fragment, segment) {
        (Fragment::Later { .. }, _) => return None,
        (Fragment::None, Some(segment)) if ip.fault.is_none() && !awaits_routing(data) => segment,
        _ => return Some(Checksum::Unchecked),
    };
    let covered = match (packet.protocol, whole.get(4..6)) {
        (UDP, Some(&[high, low])) => match u16::from_be_bytes([high, low]) {
            0 => Some(whole),
            stated => whole.get(..usize::from(stated)),
        },
        _ => Some(whole),
    };
    let (Some(covered), Some(&[high, low])) =
        (covered, covered.and_then(|covered| covered.get(field_at..field_at + 2)))
    else {
        return Some(Checksum::Unchecked);
    };
    let pseudo = match packet.protocol {
        icmp::ICMP => 0,
        protocol => pseudo_header(packet.source, packet.destination, protocol, covered.len()),
    };
    let field = u16::from_be_bytes([high, low]);
    Some(match folded(pseudo + sum(covered)) {
        _ if field == 0 && packet.protocol == UDP => Checksum::Absent,
        0xffff => Checksum::Good,
        _ if field == 0 || field == folded(pseudo) => Checksum::Absent,
        _ => Checksum::Bad,
    })
}

/// Whether a routing header has stations left: then the checksum covers the last one, not the destination.
fn awaits_routing(data: &[u8]) -> bool {
    let Some(&[0x60..=0x6f, _, _, _, _, _, mut next, ..]) = data.first_chunk::<40>() else { return false };
    let mut at = 40;
    while is_extension(next) {
        let Some(&[following, length, _, left]) = data.get(at..).and_then(|rest| rest.first_chunk()) else {
            return false;
        };
        if next == ROUTING && left > 0 {
            return true;
        }
        at += match next {
            FRAGMENT => 8,
            AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        next = following;
    }
    false
}

/// RFC 9293 section 3.1 for IPv4, RFC 8200 section 8.1 for IPv6.
fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, bytes: usize) -> u64 {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    address(source) + address(destination) + u64::from(protocol) + bytes as u64
}

/// The sum of big-endian 16-bit words, an odd last byte padded with 0; not folded.
fn sum(bytes: &[u8]) -> u64 {
    let (quads, rest) = bytes.as_chunks::<4>();
    let quads: u64 = quads.iter().map(|quad| u64::from(u32::from_be_bytes(*quad))).sum();
    // A quad is two words, the upper one worth 2^16, which is 1 modulo 2^16 - 1.
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    quads + u64::from(u32::from_be_bytes(last))
}

/// One's complement addition of the carries (RFC 1071 section 4.1).
fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ipv4, ipv6};
    use super::*;
    use crate::capture::LinkType;
    use crate::packet::decode;

    fn verdicts(data: &[u8]) -> (Option<Checksum>, Option<Checksum>) {
        let frame = Frame {
            number: 1,
            ts_ns: 0,
            offset: 0,
            wire_bytes: data.len() as u32,
            link: LinkType::RAW,
            interface: 0,
            data,
        };
        let found = verify(&frame, &decode(&frame));
        (found.ip, found.transport)
    }

    /// The example of RFC 1071 section 3: the words 0001 f203 f4f5 f6f7 add up to ddf2.
    #[test]
    fn the_example_of_the_rfc() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(folded(sum(&bytes)), 0xddf2);
        assert_eq!(folded(sum(&bytes[..7])), 0xddf2 - 0x00f7);
        assert_eq!((folded(0), folded(0xffff), folded(0x1_0000)), (0, 0xffff, 1));
    }

    /// The words 4500 0073 0000 4000 4011 .... c0a8 0001 c0a8 00c7 add up to 2 479c, so 479e; its complement is b861.
    #[test]
    fn headers_of_ipv4() {
        let header = |field: [u8; 2]| {
            let start = [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, field[0], field[1]];
            let mut data = [&start[..], &[0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7]].concat();
            data.resize(0x73, 0);
            verdicts(&data).0
        };
        assert_eq!(header([0xb8, 0x61]), Some(Checksum::Good));
        assert_eq!(header([0xb8, 0x62]), Some(Checksum::Bad));
        assert_eq!(header([0, 0]), Some(Checksum::Absent));
    }

    /// UDP from 10.0.0.1:1 to 10.0.0.2:2 with one byte `a`, by hand: a00 + 1 + a00 + 2 + 11 + 9 (pseudo-header)
    /// = 141d; + 1 + 2 + 9 + 6100 = 7529; its complement is 8ad6.
    #[test]
    fn udp_by_hand() {
        let udp = |field: [u8; 2]| {
            let datagram = [0, 1, 0, 2, 0, 9, field[0], field[1], b'a'];
            verdicts(&ipv4(17, 29, 0, &datagram)).1
        };
        assert_eq!(udp([0x8a, 0xd6]), Some(Checksum::Good));
        assert_eq!(udp([0x8a, 0xd7]), Some(Checksum::Bad));
        assert_eq!(udp([0, 0]), Some(Checksum::Absent));
        assert_eq!(udp([0x14, 0x1d]), Some(Checksum::Absent), "left to the card");
    }

    #[test]
    fn what_is_not_all_there_is_not_judged() {
        let datagram = [0, 1, 0, 2, 0, 9, 0x8a, 0xd6, b'a'];
        let whole = ipv4(17, 29, 0, &datagram);
        let frame = Frame {
            number: 1,
            ts_ns: 0,
            offset: 0,
            wire_bytes: 29,
            link: LinkType::RAW,
            interface: 0,
            data: &whole[..28],
        };
        assert_eq!(verify(&frame, &decode(&frame)).transport, Some(Checksum::Unchecked));
        assert_eq!(verdicts(&ipv4(17, 29, 0x2000, &datagram)).1, Some(Checksum::Unchecked), "first fragment");
        assert_eq!(verdicts(&ipv4(17, 29, 0x0001, &datagram)).1, None, "later fragment");
        assert_eq!(verdicts(&ipv4(47, 29, 0, &datagram)).1, None, "no checksum known");
    }

    /// ICMPv6 echo request between ::1 and ::2: 1 + 2 + 8 (length) + 3a + 8000 = 8045; complement 7fba.
    #[test]
    fn icmp_of_both_versions() {
        assert_eq!(verdicts(&ipv4(1, 28, 0, &[8, 0, 0xf7, 0xff, 0, 0, 0, 0])).1, Some(Checksum::Good));
        assert_eq!(verdicts(&ipv4(1, 28, 0, &[8, 0, 0xf7, 0xfe, 0, 0, 0, 0])).1, Some(Checksum::Bad));
        let echo = [128, 0, 0x7f, 0xba, 0, 0, 0, 0];
        assert_eq!(verdicts(&ipv6(58, 8, &echo)), (None, Some(Checksum::Good)));
        // A routing header before it with a station left: the checksum is that for the last station.
        let routed = [&[58, 0, 0, 1, 0, 0, 0, 0][..], &echo].concat();
        assert_eq!(verdicts(&ipv6(43, 16, &routed)).1, Some(Checksum::Unchecked));
        let arrived = [&[58, 0, 0, 0, 0, 0, 0, 0][..], &echo].concat();
        assert_eq!(verdicts(&ipv6(43, 16, &arrived)).1, Some(Checksum::Good));
    }
}
