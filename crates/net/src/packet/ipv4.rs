//! IPv4 (RFC 791): header, total length, fragments; an authentication header above it is followed.

use std::net::{IpAddr, Ipv4Addr};

use super::{Fault, Fragment, Ip, extensions};
use crate::capture::Frame;

/// Reads the header that starts at `start`, and an authentication header behind it.
pub(super) fn decode(frame: &Frame<'_>, start: usize) -> Result<Ip, Fault> {
    let ip = header(frame, start)?;
    let data = frame.data.get(start..).unwrap_or_default();
    Ok(if is_extended(&ip) { extensions::walk(ip, data) } else { ip })
}

/// Reads only the header that starts at `start`.
#[inline]
pub(super) fn header(frame: &Frame<'_>, start: usize) -> Result<Ip, Fault> {
    let data = frame.data.get(start..).unwrap_or_default();
    let header: &[u8; 20] = data.first_chunk().ok_or(Fault::ShortIp)?;
    let [version, tos, l1, l0, i1, i0, f1, f0, ttl, protocol, _, _, s3, s2, s1, s0, d3, d2, d1, d0] = *header;
    if version >> 4 != 4 {
        return Err(Fault::BadIpVersion);
    }
    let header_bytes = u32::from(version & 0x0f) * 4;
    if header_bytes < 20 {
        return Err(Fault::BadIpHeaderLength);
    }
    let (bytes, fault) = length(u16::from_be_bytes([l1, l0]), header_bytes, frame, start);
    Ok(Ip {
        source: IpAddr::V4(Ipv4Addr::new(s3, s2, s1, s0)),
        destination: IpAddr::V4(Ipv4Addr::new(d3, d2, d1, d0)),
        protocol,
        ttl,
        tos,
        fragment: fragment(u16::from_be_bytes([f1, f0]), u16::from_be_bytes([i1, i0]), protocol),
        bytes,
        header_bytes,
        fault,
    })
}

/// Whether an authentication header follows that can be read.
#[inline]
pub(super) fn is_extended(ip: &Ip) -> bool {
    ip.protocol == extensions::AUTHENTICATION && !matches!(ip.fragment, Fragment::Later { .. })
}

/// The packet's length and whether it contradicts header or frame. 0 stands for a packet that the sending card
/// was to cut (segmentation offload): then the wire tells.
#[inline]
fn length(total: u16, header_bytes: u32, frame: &Frame<'_>, start: usize) -> (u32, Option<Fault>) {
    let on_wire = frame.wire_bytes.saturating_sub(start as u32);
    match (u32::from(total), on_wire) {
        (0, on_wire) if on_wire >= header_bytes => (on_wire, None),
        (total, _) if total < header_bytes => (header_bytes, Some(Fault::BadIpLength)),
        (total, on_wire) if total > on_wire => (total, Some(Fault::IpLengthBeyondFrame)),
        (total, _) => (total, None),
    }
}

/// Flags and offset: bit 13 = more fragments, low 13 bits = offset in units of 8 bytes.
#[inline]
fn fragment(flags: u16, id: u16, protocol: u8) -> Fragment {
    let id = u32::from(id);
    match (flags & 0x1fff, flags & 0x2000) {
        (0, 0) => Fragment::None,
        (0, _) => Fragment::First { id, protocol },
        _ => Fragment::Later { id, protocol },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode_cut, decode_ip, ipv4, packet_of};
    use super::*;

    #[test]
    fn header_fields() {
        let (packet, fault) = packet_of(&ipv4(253, 24, 0x4000, &[1, 2, 3, 4]));
        assert_eq!((packet.source, packet.destination), ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
        assert_eq!((packet.protocol, packet.ttl, packet.tos, packet.vlan), (253, 61, 0x2e, 0));
        assert_eq!((packet.number, packet.ts_ns, packet.offset), (7, 9, 24));
        assert_eq!((packet.ip_bytes, packet.header_bytes, packet.payload_bytes), (24, 20, 4));
        assert_eq!((packet.payload, packet.fragment, fault), ((20, 24), Fragment::None, None));
    }

    #[test]
    fn options_belong_to_the_header() {
        let mut data = ipv4(17, 32, 0, &[0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0, 0]);
        data[0] = 0x46;
        let (packet, fault) = packet_of(&data);
        assert_eq!(
            (packet.source_port, packet.destination_port, packet.header_bytes, fault),
            (1, 2, 32, None)
        );
    }

    #[test]
    fn total_length_0_takes_the_length_on_the_wire() {
        let udp = [0, 1, 0, 2, 0, 0, 0, 0, 5, 5];
        let packet = decode_cut(&ipv4(17, 0, 0, &udp), 40_000).packet.expect("a packet");
        assert_eq!((packet.ip_bytes, packet.payload_bytes, packet.payload), (40_000, 39_972, (28, 30)));
    }

    #[test]
    fn contradictory_headers() {
        let (packet, fault) = packet_of(&ipv4(6, 12, 0, &[0; 20]));
        assert_eq!((fault, packet.ip_bytes, packet.payload_bytes), (Some(Fault::BadIpLength), 20, 0));
        let (packet, fault) = packet_of(&ipv4(17, 1_000, 0, &[0, 1, 0, 2, 3, 212, 0, 0]));
        assert_eq!((fault, packet.ip_bytes), (Some(Fault::IpLengthBeyondFrame), 1_000));
        assert_eq!((packet.destination_port, packet.payload, packet.payload_bytes), (2, (28, 28), 972));
        // Segmentation offload says 0, but the header alone is longer than the frame was.
        let mut long_header = ipv4(253, 0, 0, &[]);
        long_header[0] = 0x4f;
        assert_eq!(packet_of(&long_header).1, Some(Fault::BadIpLength));
        let mut short = ipv4(17, 28, 0, &[0; 8]);
        short[0] = 0x44;
        assert_eq!(decode_ip(&short).fault, Some(Fault::BadIpHeaderLength));
        assert_eq!(decode_ip(&short[..19]).fault, Some(Fault::ShortIp));
        assert_eq!(decode_ip(&short).packet, None);
    }

    #[test]
    fn fragments() {
        let udp = [0, 1, 0, 2, 0x10, 0, 0, 0];
        let id = 0xabcd;
        let (first, fault) = packet_of(&ipv4(17, 28, 0x2000, &udp));
        assert_eq!((first.fragment, first.destination_port), (Fragment::First { id, protocol: 17 }, 2));
        assert_eq!(fault, None, "the UDP length counts the whole datagram");
        for flags in [0x2001, 0x0001, 0x1fff] {
            let (later, fault) = packet_of(&ipv4(17, 28, flags, &udp));
            assert_eq!((later.fragment, fault), (Fragment::Later { id, protocol: 17 }, None));
            assert_eq!((later.source_port, later.header_bytes, later.payload_bytes), (0, 20, 8));
        }
    }
}
