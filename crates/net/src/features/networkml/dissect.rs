//! What NetworkML takes from a frame, as tshark would name it: of nested headers the inner one wins.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::capture::{Frame, LinkType};

pub(super) const TCP: u8 = 1;
pub(super) const UDP: u8 = 2;
const ICMP: u8 = 4;
const ARP: u8 = 8;
const ICMPV6: u8 = 16;
const GRE: u8 = 32;
const ESP: u8 = 64;
const AH: u8 = 128;

/// Headers of one frame at most: deeper nesting is an attack, not traffic.
const MAX_LAYERS: usize = 16;

/// Fields of one frame; `None` or 0 for what it lacks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) source: u64,
    pub(super) destination: u64,
    /// The type in the Ethernet header itself, that of a VLAN tag included.
    pub(super) eth_type: Option<u16>,
    /// The type behind all VLAN tags.
    pub(super) inner_type: u16,
    pub(super) vlan: bool,
    /// Version of the innermost IP header; 0 = none.
    pub(super) version: u8,
    pub(super) ipv4: Option<(Ipv4Addr, Ipv4Addr)>,
    pub(super) ipv6: Option<(Ipv6Addr, Ipv6Addr)>,
    /// Protocol of the innermost IPv4 header.
    pub(super) ip_proto: u8,
    pub(super) dsfield: u8,
    pub(super) class: u8,
    pub(super) ip_flags: u8,
    pub(super) tcp_flags: u16,
    pub(super) tcp: Option<(u16, u16)>,
    pub(super) udp: Option<(u16, u16)>,
    pub(super) protocols: u8,
}

impl Seen {
    /// Source and destination by the version of the innermost header.
    pub(super) fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self.version {
            4 => self.ipv4.map(|(source, destination)| (source.into(), destination.into())),
            6 => self.ipv6.map(|(source, destination)| (source.into(), destination.into())),
            _ => None,
        }
    }
}

enum Layer {
    Type(u16),
    Protocol(u8),
}

/// `None` for a frame without an Ethernet header.
pub(super) fn dissect(frame: &Frame<'_>) -> Option<Seen> {
    if frame.link != LinkType::ETHERNET {
        return None;
    }
    let mut seen = Seen::default();
    let mut next = ethernet(frame.data, &mut seen);
    seen.eth_type?;
    for _ in 0..MAX_LAYERS {
        let Some((layer, data)) = next else { break };
        next = match layer {
            Layer::Type(kind) => by_type(kind, data, &mut seen),
            Layer::Protocol(protocol) => by_protocol(protocol, data, &mut seen),
        };
    }
    Some(seen)
}

/// Whether a MAC address is that of a group, such as everyone.
pub(super) fn is_group(mac: u64) -> bool {
    // Bit 0 of the first byte says so.
    mac >> 40 & 1 != 0
}

/// A MAC address as it is written: `02:00:00:00:00:01`.
pub(super) fn mac_text(mac: u64) -> String {
    let bytes = mac.to_be_bytes();
    bytes.iter().skip(2).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Source and destination MAC address of an Ethernet frame.
pub(super) fn macs(frame: &Frame<'_>) -> Option<(u64, u64)> {
    let ethernet = frame.link == LinkType::ETHERNET;
    ethernet.then(|| Some((mac(frame.data, 6)?, mac(frame.data, 0)?))).flatten()
}

pub(super) fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn mac(data: &[u8], at: usize) -> Option<u64> {
    Some(data.get(at..at + 6)?.iter().fold(0, |mac, byte| mac << 8 | u64::from(*byte)))
}

fn ethernet<'a>(data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    seen.destination = mac(data, 0)?;
    seen.source = mac(data, 6)?;
    let kind = be16(data, 12)?;
    seen.eth_type = Some(kind);
    Some((Layer::Type(kind), data.get(14..)?))
}

fn by_type<'a>(kind: u16, data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    seen.inner_type = kind;
    match kind {
        0x0800 => ipv4(data, seen),
        0x86dd => ipv6(data, seen),
        0x0806 => {
            seen.protocols |= ARP;
            None
        }
        0x8100 | 0x88a8 | 0x9100 => {
            seen.vlan = true;
            Some((Layer::Type(be16(data, 2)?), data.get(4..)?))
        }
        // Cisco FabricPath: two bytes of tag, then the frame of the host.
        0x8903 => ethernet(data.get(2..)?, seen),
        0x6558 => ethernet(data, seen),
        _ => None,
    }
}

fn ipv4<'a>(data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    let first = *data.first()?;
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(data.get(at..at + 4)?).ok()?));
    seen.ipv4 = Some((address(12)?, address(16)?));
    seen.version = 4;
    (seen.dsfield, seen.class) = (*data.get(1)?, *data.get(1)?);
    seen.ip_proto = *data.get(9)?;
    let fragment = be16(data, 6)?;
    seen.ip_flags = u8::try_from(fragment >> 13).unwrap_or(0);
    if fragment & 0x1fff != 0 {
        return None;
    }
    let end = usize::from(be16(data, 2)?);
    let data = if end == 0 { data } else { data.get(..end).unwrap_or(data) };
    Some((Layer::Protocol(seen.ip_proto), data.get(usize::from(first & 15) * 4..)?))
}

fn ipv6<'a>(data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(data.get(at..at + 16)?).ok()?));
    seen.ipv6 = Some((address(8)?, address(24)?));
    seen.version = 6;
    seen.class = u8::try_from(be16(data, 0)? >> 4 & 0xff).unwrap_or(0);
    Some((Layer::Protocol(*data.get(6)?), data.get(40..)?))
}

fn by_protocol<'a>(protocol: u8, data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    match protocol {
        0 | 43 | 60 => {
            let length = (usize::from(*data.get(1)?) + 1) * 8;
            return Some((Layer::Protocol(*data.first()?), data.get(length..)?));
        }
        44 if be16(data, 2)? >> 3 == 0 => return Some((Layer::Protocol(*data.first()?), data.get(8..)?)),
        4 => return ipv4(data, seen),
        41 => return ipv6(data, seen),
        1 => return icmp(data, seen),
        58 => return icmpv6(data, seen),
        47 => return gre(data, seen),
        51 => {
            seen.protocols |= AH;
            return Some((
                Layer::Protocol(*data.first()?),
                data.get((usize::from(*data.get(1)?) + 2) * 4..)?,
            ));
        }
        6 => {
            seen.protocols |= TCP;
            seen.tcp = Some((be16(data, 0)?, be16(data, 2)?));
            seen.tcp_flags = be16(data, 12)? & 0x1ff;
        }
        17 => {
            seen.protocols |= UDP;
            seen.udp = Some((be16(data, 0)?, be16(data, 2)?));
        }
        50 => seen.protocols |= ESP,
        _ => {}
    }
    None
}

fn icmp<'a>(data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    seen.protocols |= ICMP;
    matches!(data.first()?, 3 | 4 | 5 | 11 | 12).then_some((Layer::Type(0x0800), data.get(8..)?))
}

fn icmpv6<'a>(data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    seen.protocols |= ICMPV6;
    matches!(data.first()?, 1..=4).then_some((Layer::Type(0x86dd), data.get(8..)?))
}

fn gre<'a>(data: &'a [u8], seen: &mut Seen) -> Option<(Layer, &'a [u8])> {
    seen.protocols |= GRE;
    let flags = be16(data, 0)?;
    let optional = [0x8000, 0x2000, 0x1000].iter().filter(|bit| flags & **bit != 0).count();
    Some((Layer::Type(be16(data, 2)?), data.get(4 + 4 * optional..)?))
}
