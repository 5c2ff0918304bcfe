//! UDP (RFC 768).

use super::transport::{Transport, with_ports};
use super::{Fault, Fragment};

/// Reads the header at the start of `data`, the captured part of `bytes` bytes above IP. The length field of a
/// first fragment counts the whole datagram, so only an unfragmented one can contradict the packet; 0 is what
/// jumbograms (RFC 2675) and segmentation offload leave there.
#[inline]
pub(super) fn decode(data: &[u8], bytes: u32, fragment: Fragment) -> Transport {
    let mut transport = with_ports(data, bytes, 8);
    if let Some(&[_, _, _, _, high, low, _, _]) = data.first_chunk::<8>() {
        let stated = u32::from(u16::from_be_bytes([high, low]));
        let beyond = stated > bytes && fragment == Fragment::None;
        if (1..8).contains(&stated) || beyond {
            transport.fault = Some(Fault::BadUdpLength);
        }
    }
    transport
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ipv4, packet_of};
    use super::*;

    #[test]
    fn lengths_that_contradict_the_packet_are_counted_and_ignored() {
        for (length, expected) in [
            (0, None),
            (7, Some(Fault::BadUdpLength)),
            (8, None),
            (10, None),
            (11, Some(Fault::BadUdpLength)),
        ] {
            let (packet, fault) = packet_of(&ipv4(17, 30, 0, &[0, 1, 0, 2, 0, length, 0, 0, 5, 5]));
            assert_eq!((fault, packet.payload_bytes, packet.destination_port), (expected, 2, 2), "{length}");
        }
    }

    #[test]
    fn a_packet_shorter_than_the_header() {
        let (packet, fault) = packet_of(&ipv4(17, 25, 0, &[0, 1, 0, 2, 0]));
        assert_eq!((fault, packet.destination_port), (Some(Fault::ShortTransport), 2));
        assert_eq!((packet.header_bytes, packet.payload_bytes), (25, 0));
    }
}
