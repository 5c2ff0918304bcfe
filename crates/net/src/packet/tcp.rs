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
