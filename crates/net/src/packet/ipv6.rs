//! IPv6 (RFC 8200): the fixed header; extension headers are followed by [`extensions`].

use std::net::{IpAddr, Ipv6Addr};

use super::{Fault, Fragment, Ip, extensions};
use crate::capture::Frame;

const HEADER_BYTES: u32 = 40;

/// Reads the header that starts at `start`, and its extension headers.
pub(super) fn decode(frame: &Frame<'_>, start: usize) -> Result<Ip, Fault> {
    let ip = header(frame, start)?;
    let data = frame.data.get(start..).unwrap_or_default();
    Ok(if is_extended(&ip) { extensions::walk(ip, data) } else { ip })
}

/// Reads only the fixed header that starts at `start`.
#[inline]
pub(super) fn header(frame: &Frame<'_>, start: usize) -> Result<Ip, Fault> {
    let data = frame.data.get(start..).unwrap_or_default();
    let header: &[u8; 40] = data.first_chunk().ok_or(Fault::ShortIp)?;
    let [v1, v0, _, _, l1, l0, protocol, ttl, addresses @ ..] = header;
    let (Some(source), Some(destination)) = (addresses.first_chunk::<16>(), addresses.last_chunk::<16>())
    else {
        return Err(Fault::ShortIp);
    };
    if v1 >> 4 != 6 {
        return Err(Fault::BadIpVersion);
    }
    let (bytes, fault) = length(u16::from_be_bytes([*l1, *l0]), *protocol, frame, start);
    Ok(Ip {
        source: IpAddr::V6(Ipv6Addr::from_octets(*source)),
        destination: IpAddr::V6(Ipv6Addr::from_octets(*destination)),
        protocol: *protocol,
        ttl: *ttl,
        tos: v1 << 4 | v0 >> 4,
        fragment: Fragment::None,
        bytes,
        header_bytes: HEADER_BYTES,
        fault,
    })
}

/// Whether an extension header follows.
#[inline]
pub(super) fn is_extended(ip: &Ip) -> bool {
    extensions::is_extension(ip.protocol)
}

/// The packet's length and whether it contradicts the frame. A payload length of 0 with something above the
/// header is a jumbogram (RFC 2675) or segmentation offload: then the wire tells.
#[inline]
fn length(payload: u16, protocol: u8, frame: &Frame<'_>, start: usize) -> (u32, Option<Fault>) {
    let on_wire = frame.wire_bytes.saturating_sub(start as u32);
    match HEADER_BYTES + u32::from(payload) {
        HEADER_BYTES if protocol != extensions::NO_NEXT => (on_wire.max(HEADER_BYTES), None),
        total if total > on_wire => (total, Some(Fault::IpLengthBeyondFrame)),
        total => (total, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode_cut, decode_ip, ipv6, packet_of};
    use super::*;

    #[test]
    fn header_fields() {
        let (packet, fault) = packet_of(&ipv6(17, 10, &[0, 1, 0, 2, 0, 10, 0, 0, 7, 7]));
        assert_eq!((packet.source, packet.destination), (Ipv6Addr::from(1).into(), Ipv6Addr::from(2).into()));
        assert_eq!((packet.protocol, packet.ttl, packet.tos), (17, 62, 0xab));
        assert_eq!((packet.ip_bytes, packet.header_bytes, packet.payload_bytes), (50, 48, 2));
        assert_eq!((packet.payload, packet.destination_port, fault), ((48, 50), 2, None));
    }

    #[test]
    fn payload_length_0_takes_the_length_on_the_wire_unless_nothing_follows() {
        let packet = decode_cut(&ipv6(6, 0, &[0; 20]), 70_040).packet.expect("a packet");
        assert_eq!((packet.ip_bytes, packet.payload_bytes), (70_040, 69_980));
        let (packet, fault) = packet_of(&ipv6(extensions::NO_NEXT, 0, &[0; 6]));
        assert_eq!((packet.ip_bytes, packet.payload_bytes, fault), (40, 0, None));
    }

    #[test]
    fn contradictory_headers() {
        assert_eq!(decode_ip(&ipv6(17, 8, &[])[..39]).fault, Some(Fault::ShortIp));
        let (packet, fault) = packet_of(&ipv6(17, 9, &[0, 1, 0, 2, 0, 9, 0, 0]));
        assert_eq!((fault, packet.ip_bytes, packet.payload_bytes), (Some(Fault::IpLengthBeyondFrame), 49, 1));
    }
}
