//! The ends of a frame as tcpdump prints them, from whose text NetworkML 0.4.0 reads packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dissect::be16;

/// An address and a port, 0 without.
pub(super) type Socket = (IpAddr, u16);

/// Protocols whose ports tcpdump prints with the addresses: TCP, UDP, DCCP, SCTP.
const WITH_PORTS: [u8; 4] = [6, 17, 33, 132];

/// VLAN tags of one frame at most.
const MAX_TAGS: usize = 8;

/// Source and destination of the outermost IP header in an Ethernet frame; `None` for a frame whose line does not begin
/// with IP. A port stands there only when the transport header follows at once and was captured.
pub(super) fn ends(frame: &[u8]) -> Option<(Socket, Socket)> {
    let mut data = frame.get(12..)?;
    for _ in 0..MAX_TAGS {
        match be16(data, 0)? {
            0x8100 | 0x88a8 | 0x9100 => data = data.get(4..)?,
            0x0800 => return ipv4(data.get(2..)?),
            0x86dd => return ipv6(data.get(2..)?),
            _ => break,
        }
    }
    None
}

fn ipv4(data: &[u8]) -> Option<(Socket, Socket)> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(data.get(at..at + 4)?).ok()?));
    let (source, destination) = (address(12)?, address(16)?);
    let later_fragment = be16(data, 6)? & 0x1fff != 0;
    let header_bytes = usize::from(data.first()? & 15) * 4;
    let above = if later_fragment { None } else { data.get(header_bytes..) };
    let ports = ports(*data.get(9)?, above);
    Some(((source.into(), ports.0), (destination.into(), ports.1)))
}

fn ipv6(data: &[u8]) -> Option<(Socket, Socket)> {
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(data.get(at..at + 16)?).ok()?));
    let (source, destination) = (address(8)?, address(24)?);
    let ports = ports(*data.get(6)?, data.get(40..));
    Some(((source.into(), ports.0), (destination.into(), ports.1)))
}

fn ports(protocol: u8, above: Option<&[u8]>) -> (u16, u16) {
    let above = above.filter(|_| WITH_PORTS.contains(&protocol));
    above.and_then(|data| Some((be16(data, 0)?, be16(data, 2)?))).unwrap_or_default()
}
