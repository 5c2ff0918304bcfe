//! ICMP (RFC 792) and ICMPv6 (RFC 4443): type and code in the place of ports.
//!
//! The mapping is that of Community ID version 1, which mirrors Zeek's: a message that has an answering type
//! gets (type, answering type), so that request and reply are one flow seen from two sides; any other message
//! gets (type, code) and is one-way.

use super::Fault;
use super::transport::Transport;

/// IANA number of ICMP.
pub const ICMP: u8 = 1;
/// IANA number of ICMP for IPv6.
pub const ICMPV6: u8 = 58;
const HEADER_BYTES: u8 = 8;

/// The type that answers `kind`, or that `kind` answers; `None` for one-way messages and other protocols.
pub fn answering_type(protocol: u8, kind: u8) -> Option<u8> {
    const PAIRS: [(u8, u8); 5] = [(8, 0), (10, 9), (13, 14), (15, 16), (17, 18)];
    const PAIRS_V6: [(u8, u8); 6] = [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];
    let pairs: &[(u8, u8)] = match protocol {
        ICMP => &PAIRS,
        ICMPV6 => &PAIRS_V6,
        _ => return None,
    };
    pairs.iter().find_map(|&(request, reply)| match kind {
        k if k == request => Some(reply),
        k if k == reply => Some(request),
        _ => None,
    })
}

/// Reads type and code at the start of `data`, the captured part of `bytes` bytes above IP.
#[inline]
pub(super) fn decode(protocol: u8, data: &[u8], bytes: u32) -> Transport {
    let (source_port, destination_port) = match data.first_chunk::<2>() {
        Some(&[kind, code]) => (u16::from(kind), u16::from(answering_type(protocol, kind).unwrap_or(code))),
        None => (0, 0),
    };
    Transport {
        source_port,
        destination_port,
        header_bytes: HEADER_BYTES.min(bytes.min(255) as u8),
        tcp: None,
        fault: (data.len() < usize::from(HEADER_BYTES)).then_some(Fault::ShortTransport),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ipv4, ipv6, packet_of};
    use super::*;

    #[test]
    fn request_and_reply_mirror_each_other() {
        for (protocol, request, reply) in
            [(ICMP, 8, 0), (ICMP, 13, 14), (ICMPV6, 128, 129), (ICMPV6, 135, 136)]
        {
            assert_eq!(answering_type(protocol, request), Some(reply));
            assert_eq!(answering_type(protocol, reply), Some(request));
        }
        assert_eq!(answering_type(ICMP, 3), None);
        assert_eq!(answering_type(ICMPV6, 8), None);
        assert_eq!(answering_type(6, 8), None);
    }

    #[test]
    fn type_and_code_stand_in_for_ports() {
        let (echo, fault) = packet_of(&ipv4(ICMP, 30, 0, &[8, 0, 0, 0, 0, 1, 0, 1, 7, 7]));
        assert_eq!((echo.source_port, echo.destination_port, echo.payload_bytes, fault), (8, 0, 2, None));
        let (unreachable, _) = packet_of(&ipv4(ICMP, 28, 0, &[3, 13, 0, 0, 0, 0, 0, 0]));
        assert_eq!((unreachable.source_port, unreachable.destination_port), (3, 13));
        let (solicitation, _) = packet_of(&ipv6(ICMPV6, 8, &[135, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!((solicitation.source_port, solicitation.destination_port), (135, 136));
        let (cut, fault) = packet_of(&ipv4(ICMP, 24, 0, &[8, 0, 0, 0]));
        assert_eq!((cut.source_port, cut.header_bytes, fault), (8, 24, Some(Fault::ShortTransport)));
    }
}
