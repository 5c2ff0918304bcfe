//! Headers between IP and the transport: the IPv6 extension headers (RFC 8200 section 4) and the authentication
//! header (RFC 4302), which IPv4 can carry as well.

use super::{Fault, Fragment, Ip};

const HOP_BY_HOP: u8 = 0;
/// IANA number of the routing header.
pub(super) const ROUTING: u8 = 43;
/// IANA number of the fragment header.
pub(super) const FRAGMENT: u8 = 44;
/// IANA number of the authentication header.
pub(super) const AUTHENTICATION: u8 = 51;
/// IANA number that says "nothing follows".
pub(super) const NO_NEXT: u8 = 59;
const DESTINATION: u8 = 60;
/// Extension headers followed in one packet; RFC 8200 section 4.1 expects each once, destination options twice.
pub(super) const MAX_EXTENSIONS: usize = 32;

/// Whether an IANA number names a header to walk over.
#[inline]
pub(super) fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION)
}

/// Follows the chain from `ip.protocol` over `data`, which starts at the IP header: leaves the transport's
/// number in `ip.protocol`, adds up `ip.header_bytes`, notes fragments, and stops at a later fragment.
pub(super) fn walk(mut ip: Ip, data: &[u8]) -> Ip {
    let end = data.len().min(ip.bytes as usize);
    let data = data.get(..end).unwrap_or_default();
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(ip.protocol) || matches!(ip.fragment, Fragment::Later { .. }) {
            break;
        }
        let Some(header) = data.get(ip.header_bytes as usize..).and_then(|rest| rest.first_chunk::<8>())
        else {
            ip.fault = Some(Fault::ShortExtension);
            return ip;
        };
        step(&mut ip, header);
    }
    if ip.header_bytes as usize > data.len() {
        ip.fault = Some(Fault::ShortExtension);
    } else if is_extension(ip.protocol) && !matches!(ip.fragment, Fragment::Later { .. }) {
        ip.fault = Some(Fault::TooManyExtensions);
    }
    ip
}

/// Length of an extension header of this kind by its second byte.
#[inline]
pub(super) fn header_bytes(kind: u8, length: u8) -> u32 {
    match kind {
        FRAGMENT => 8,
        AUTHENTICATION => (u32::from(length) + 2) * 4,
        _ => (u32::from(length) + 1) * 8,
    }
}

/// One header: every kind has the next number first and is at least 8 bytes long.
fn step(ip: &mut Ip, header: &[u8; 8]) {
    let [next, length, offset_high, offset_low, id @ ..] = *header;
    ip.header_bytes += header_bytes(ip.protocol, length);
    if ip.protocol == FRAGMENT {
        let offset = u16::from_be_bytes([offset_high, offset_low]);
        let id = u32::from_be_bytes(id);
        ip.fragment = match (offset & 0xfff8, offset & 1) {
            (0, 1) if ip.fragment == Fragment::None => Fragment::First { id, protocol: next },
            (0, _) => ip.fragment, // an atomic fragment (RFC 6946) is the whole packet; of two headers the outer counts
            _ => Fragment::Later { id, protocol: next },
        };
    }
    ip.protocol = next;
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ipv4, ipv6, packet_of};
    use super::*;

    const UDP: [u8; 8] = [0, 1, 0, 2, 0, 8, 0, 0];

    #[test]
    fn a_chain_of_every_kind_leads_to_the_transport() {
        let chain = [
            &[DESTINATION, 0, 1, 4, 0, 0, 0, 0][..],                  // hop-by-hop
            &[ROUTING, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // destination, 16 bytes
            &[AUTHENTICATION, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], // routing, 24
            &[FRAGMENT, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9], // (4 + 2) * 4 = 24
            &[17, 0, 0, 0, 0, 0, 0, 5], // an atomic fragment
            &UDP,
        ]
        .concat();
        let (packet, fault) = packet_of(&ipv6(HOP_BY_HOP, 88, &chain));
        assert_eq!((packet.protocol, packet.destination_port, fault), (17, 2, None));
        assert_eq!((packet.header_bytes, packet.payload_bytes, packet.fragment), (128, 0, Fragment::None));
    }

    #[test]
    fn fragments_of_ipv6() {
        let piece = |offset: u16| {
            let [high, low] = offset.to_be_bytes();
            ipv6(FRAGMENT, 16, &[&[17, 0, high, low, 0, 0, 0x12, 0x34], &UDP[..]].concat())
        };
        let (id, protocol) = (0x1234, 17);
        let (first, _) = packet_of(&piece(1));
        assert_eq!((first.fragment, first.destination_port), (Fragment::First { id, protocol }, 2));
        for offset in [8, 9, 0xfff8] {
            let (later, fault) = packet_of(&piece(offset));
            assert_eq!((later.fragment, fault), (Fragment::Later { id, protocol }, None));
            assert_eq!((later.destination_port, later.header_bytes, later.payload_bytes), (0, 48, 8));
        }
    }

    #[test]
    fn authentication_above_ipv4() {
        let header = [17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
        let (packet, fault) = packet_of(&ipv4(AUTHENTICATION, 52, 0, &[&header, &UDP[..]].concat()));
        assert_eq!((packet.protocol, packet.destination_port, packet.header_bytes, fault), (17, 2, 52, None));
    }

    #[test]
    fn cut_and_endless_chains() {
        let (packet, fault) = packet_of(&ipv6(HOP_BY_HOP, 7, &[17, 0, 0, 0, 0, 0, 0]));
        assert_eq!((packet.protocol, fault), (HOP_BY_HOP, Some(Fault::ShortExtension)));
        // The header's own length runs past the packet: so does the transport.
        let (packet, fault) =
            packet_of(&ipv6(HOP_BY_HOP, 16, &[&[17, 9, 0, 0, 0, 0, 0, 0], &UDP[..]].concat()));
        assert_eq!((packet.protocol, packet.destination_port, fault), (17, 0, Some(Fault::ShortExtension)));
        let endless = [DESTINATION, 0, 0, 0, 0, 0, 0, 0].repeat(MAX_EXTENSIONS + 1);
        let (packet, fault) = packet_of(&ipv6(DESTINATION, 264, &endless));
        assert_eq!((packet.header_bytes, fault), (40 + 8 * 32, Some(Fault::TooManyExtensions)));
    }
}
