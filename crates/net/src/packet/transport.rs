//! Which decoder an IP protocol number goes to, and what all of them yield.

use super::{Fault, Fragment, Tcp, icmp, tcp, udp};

/// What the transport layer says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Transport {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) header_bytes: u8,
    pub(super) tcp: Option<Tcp>,
    pub(super) fault: Option<Fault>,
}

/// Reads the transport header at the start of `data`, the captured part of `bytes` bytes above IP.
/// A protocol that is not listed has no ports and no header of its own: all of it is payload.
#[inline(always)]
pub(super) fn decode(protocol: u8, data: &[u8], bytes: u32, fragment: Fragment) -> Transport {
    match protocol {
        6 => tcp::decode(data, bytes),
        17 => udp::decode(data, bytes, fragment),
        icmp::ICMP | icmp::ICMPV6 => icmp::decode(protocol, data, bytes),
        33 | 132 => with_ports(data, bytes, 12), // DCCP (RFC 4340: 12 or 16), SCTP (RFC 9260)
        136 => with_ports(data, bytes, 8),       // UDP-Lite (RFC 3828)
        _ => Transport::default(),
    }
}

/// A header of `header_bytes` that begins with source and destination port. A cut header still gives the ports
/// when they were captured.
#[inline]
pub(super) fn with_ports(data: &[u8], bytes: u32, header_bytes: u8) -> Transport {
    let (source_port, destination_port) = match data.first_chunk::<4>() {
        Some(&[s1, s0, d1, d0]) => (u16::from_be_bytes([s1, s0]), u16::from_be_bytes([d1, d0])),
        None => (0, 0),
    };
    Transport {
        source_port,
        destination_port,
        header_bytes: header_bytes.min(bytes.min(255) as u8),
        tcp: None,
        fault: (data.len() < usize::from(header_bytes)).then_some(Fault::ShortTransport),
    }
}
