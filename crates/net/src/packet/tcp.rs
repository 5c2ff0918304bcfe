//! TCP (RFC 9293): the fixed header. Options only through the header's length.

use std::fmt;

use super::Fault;
use super::transport::{Transport, with_ports};

/// The fixed part of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, whether or not the ACK flag is set.
    pub ack: u32,
    /// Window as sent, not scaled.
    pub window: u16,
    /// Control bits.
    pub flags: TcpFlags,
    /// Header length with options, by the data offset: 20 to 60, less when the packet is shorter.
    pub header_bytes: u8,
}

/// The nine control bits of a TCP header.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x001);
    /// Synchronise sequence numbers.
    pub const SYN: Self = Self(0x002);
    /// Reset.
    pub const RST: Self = Self(0x004);
    /// Push.
    pub const PSH: Self = Self(0x008);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x010);
    /// The urgent pointer counts.
    pub const URG: Self = Self(0x020);
    /// Congestion was experienced (RFC 3168).
    pub const ECE: Self = Self(0x040);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Self = Self(0x080);
    /// Accurate ECN, formerly the nonce sum (RFC 3540, RFC 7560).
    pub const NS: Self = Self(0x100);

    /// Whether all bits of `other` are set.
    #[inline]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit of `other` is set.
    #[inline]
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl std::ops::BitOr for TcpFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for TcpFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"];
        let set = NAMES.iter().enumerate().filter(|(bit, _)| self.0 >> bit & 1 == 1);
        f.debug_set().entries(set.map(|(_, name)| name)).finish()
    }
}

/// Reads the header at the start of `data`, the captured part of `bytes` bytes above IP.
#[inline]
pub(super) fn decode(data: &[u8], bytes: u32) -> Transport {
    let Some(header) = data.first_chunk::<20>() else {
        return with_ports(data, bytes, 20);
    };
    let [sp1, sp0, dp1, dp0, q3, q2, q1, q0, a3, a2, a1, a0, offset, flags, w1, w0, ..] = *header;
    let stated = offset >> 4 << 2;
    let possible = stated >= 20 && u32::from(stated) <= bytes;
    let header_bytes = if possible { stated } else { 20 };
    let fault = match possible {
        false => Some(Fault::BadTcpHeaderLength),
        true if data.len() < usize::from(stated) => Some(Fault::ShortTransport),
        true => None,
    };
    let tcp = Tcp {
        seq: u32::from_be_bytes([q3, q2, q1, q0]),
        ack: u32::from_be_bytes([a3, a2, a1, a0]),
        window: u16::from_be_bytes([w1, w0]),
        flags: TcpFlags(u16::from_be_bytes([offset & 1, flags])),
        header_bytes,
    };
    Transport {
        source_port: u16::from_be_bytes([sp1, sp0]),
        destination_port: u16::from_be_bytes([dp1, dp0]),
        header_bytes,
        tcp: Some(tcp),
        fault,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode_cut, ipv4, packet_of};
    use super::*;

    /// Ports 1025 and 80, data offset and flags as given, options and payload behind.
    fn segment(offset_and_flags: u16, rest: &[u8]) -> Vec<u8> {
        let [offset, flags] = offset_and_flags.to_be_bytes();
        let header = [4, 1, 0, 80, 0, 0, 1, 0, 0xff, 0xff, 0xff, 0xfe, offset, flags, 0x20, 0, 0, 0, 0, 0];
        [&header[..], rest].concat()
    }

    #[test]
    fn header_fields() {
        let (packet, fault) = packet_of(&ipv4(6, 46, 0, &segment(0x6112, &[2, 4, 5, 180, b'x', b'y'])));
        let flags = TcpFlags::SYN | TcpFlags::ACK | TcpFlags::NS;
        let tcp = Tcp { seq: 256, ack: 0xffff_fffe, window: 8192, flags, header_bytes: 24 };
        assert_eq!((packet.tcp, fault), (Some(tcp), None));
        assert_eq!((packet.source_port, packet.destination_port), (1025, 80));
        assert_eq!((packet.header_bytes, packet.payload_bytes, packet.payload), (44, 2, (44, 46)));
        assert!(flags.contains(TcpFlags::SYN) && !flags.intersects(TcpFlags::FIN | TcpFlags::RST));
        assert_eq!(format!("{flags:?}"), r#"{"SYN", "ACK", "NS"}"#);
    }

    #[test]
    fn cut_headers_keep_what_was_captured() {
        let whole = ipv4(6, 140, 0, &segment(0x8010, &[0; 112]));
        for (captured, tcp, destination_port) in
            [(51, true, 80), (40, true, 80), (39, false, 80), (24, false, 80), (23, false, 0)]
        {
            let decoded = decode_cut(&whole[..captured], 140);
            let packet = decoded.packet.expect("a packet");
            assert_eq!(
                (packet.tcp.is_some(), packet.destination_port),
                (tcp, destination_port),
                "{captured}"
            );
            assert_eq!(decoded.fault, Some(Fault::ShortTransport), "{captured}");
            assert_eq!(packet.payload, (captured as u32, captured as u32));
        }
        let packet = decode_cut(&whole[..60], 140).packet.expect("a packet");
        assert_eq!((packet.payload_bytes, packet.payload), (88, (52, 60)));
    }

    #[test]
    fn impossible_header_lengths() {
        for offset_and_flags in [0x4010, 0x0010, 0xf010] {
            let (packet, fault) = packet_of(&ipv4(6, 44, 0, &segment(offset_and_flags, b"data")));
            assert_eq!(fault, Some(Fault::BadTcpHeaderLength));
            assert_eq!((packet.header_bytes, packet.payload_bytes), (40, 4));
        }
    }
}
