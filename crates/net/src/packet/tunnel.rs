//! Packets in packets: finds what an IP packet carries when it is a tunnel, and goes on with the packet inside.
//!
//! The flow is that of the innermost packet; the encapsulation nearest to it is kept beside it. Two kinds of tunnel
//! are told apart. What an IP protocol number *declares* (IP in IP, GRE, ...) is believed: damage inside it is a
//! fault. What only a UDP port *suggests* (VXLAN, GTP-U, ...) could be anything: its header must hold what its RFC
//! prescribes bit by bit, and the packet inside must be sound, or the outer packet is the flow and nothing is said.
//! A tunnel that carries no IP (ARP, spanning tree, a GRE keepalive) leaves the outer packet the flow as well.
//! Fragments are never looked into: the datagram they make up is ([`super::decode_datagram`]).

use std::fmt;
use std::net::IpAddr;

pub use super::protocol::TunnelKind;
use super::{Decoded, Fault, Fragment, Network, Packet, Protocol, Stop};
use super::{ethernet, geneve, gre, gtp, link, ppp, teredo, vxlan};
use crate::capture::Frame;

/// Encapsulations followed in one frame. Networks nest two or three; more than this many is an attack on decoders.
pub const MAX_DEPTH: u8 = 8;

/// How a packet travelled inside another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// The encapsulation.
    pub kind: TunnelKind,
    /// Source address of the packet outside.
    pub source: IpAddr,
    /// Destination address of the packet outside.
    pub destination: IpAddr,
    /// VXLAN or Geneve network identifier, GTP tunnel endpoint identifier, GRE key, PPTP call or ERSPAN session;
    /// 0 = none.
    pub id: u32,
    /// Encapsulations around the packet: 1 unless tunnels are nested.
    pub depth: u8,
}

/// One readable word group: `vxlan 10.0.0.1>10.0.0.2 id=42 depth=2`, identifier and depth only when there are any.
impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}>{}", self.kind.name(), self.source, self.destination)?;
        if self.id != 0 {
            write!(f, " id={}", self.id)?;
        }
        if self.depth > 1 {
            write!(f, " depth={}", self.depth)?;
        }
        Ok(())
    }
}

/// What a tunnel's header says of its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub(super) kind: TunnelKind,
    pub(super) id: u32,
    pub(super) content: Content,
    /// Where the content starts in the outer packet's payload.
    pub(super) start: usize,
}

/// What a tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// What this ethertype names.
    Ethertype(u16),
    /// An Ethernet frame.
    Ethernet,
    /// A PPP frame.
    Ppp,
    /// IP of the version that its first nibble says.
    Ip,
}

const IPV4_IN_IP: u8 = 4;
const UDP: u8 = 17;
const IPV6_IN_IP: u8 = 41;
const GRE: u8 = 47;
const ETHERNET_IN_IP: u8 = 97;
const MPLS_IN_IP: u8 = 137;

/// Whether a packet's protocol or ports are those of a tunnel: the quick look that most packets get.
#[inline]
pub(super) fn may_carry(packet: &Packet) -> bool {
    match packet.protocol {
        UDP => is_tunnel_port(packet.destination_port) || packet.source_port == teredo::PORT,
        IPV4_IN_IP | IPV6_IN_IP | GRE | ETHERNET_IN_IP | MPLS_IN_IP => true,
        _ => false,
    }
}

#[inline]
fn is_tunnel_port(port: u16) -> bool {
    matches!(
        port,
        vxlan::PORT | vxlan::LINUX_PORT | vxlan::GPE_PORT | geneve::PORT | gtp::PORT | teredo::PORT
    )
}

/// Goes from a packet to the innermost one it carries.
pub(super) fn follow(frame: &Frame<'_>, mut decoded: Decoded) -> Decoded {
    while let Some(outer) = decoded.packet.filter(may_carry) {
        let Some(carried) = open(frame.data, &outer) else { break };
        let depth = decoded.tunnel.map_or(0, |tunnel| tunnel.depth) + 1;
        if depth > MAX_DEPTH {
            decoded.fault = decoded.fault.or(Some(Fault::TooManyTunnels));
            break;
        }
        let inner = decode_content(frame, &outer, &carried);
        let Some(packet) = inner.packet.filter(|_| carried.kind.is_declared() || is_sound(inner.fault))
        else {
            return without_packet(decoded, &inner, carried.kind);
        };
        let (source, destination) = (outer.source, outer.destination);
        let tunnel = Tunnel { kind: carried.kind, source, destination, id: carried.id, depth };
        decoded = Decoded {
            packet: Some(inside(packet, &outer, &tunnel)),
            ip_start: inner.ip_start,
            tunnel: Some(tunnel),
            protocol: inner.protocol,
            fault: decoded.fault.or(inner.fault),
        };
    }
    decoded
}

/// Reads the tunnel header that the packet's protocol or ports announce; `None` when there is none.
fn open(data: &[u8], outer: &Packet) -> Option<Carried> {
    if outer.fragment != Fragment::None {
        return None;
    }
    let payload = data.get(outer.payload.0 as usize..outer.payload.1 as usize)?;
    let plain = |kind, content| Some(Carried { kind, id: 0, content, start: 0 });
    match outer.protocol {
        UDP => open_datagram(payload, outer),
        IPV4_IN_IP => plain(TunnelKind::IpInIp, Content::Ethertype(ethernet::IPV4)),
        IPV6_IN_IP => plain(TunnelKind::Ipv6InIp, Content::Ethertype(ethernet::IPV6)),
        MPLS_IN_IP => plain(TunnelKind::MplsInIp, Content::Ethertype(ethernet::MPLS)),
        GRE => gre::decode(payload),
        // RFC 3378: version 3 and twelve zero bits.
        ETHERNET_IN_IP if payload.starts_with(&[0x30, 0x00]) => {
            Some(Carried { kind: TunnelKind::EtherIp, id: 0, content: Content::Ethernet, start: 2 })
        }
        _ => None,
    }
}

fn open_datagram(payload: &[u8], outer: &Packet) -> Option<Carried> {
    match outer.destination_port {
        vxlan::PORT | vxlan::LINUX_PORT => vxlan::decode(payload),
        vxlan::GPE_PORT => vxlan::decode_generic(payload),
        geneve::PORT => geneve::decode(payload),
        gtp::PORT => gtp::decode(payload, outer.payload_bytes),
        _ => teredo::decode(payload, outer.payload_bytes),
    }
}

/// The packet inside. To its decoders the frame ends where the outer packet does, so that lengths are checked
/// against that; places in the data stay those of the frame.
fn decode_content(frame: &Frame<'_>, outer: &Packet, carried: &Carried) -> Decoded {
    let data = frame.data.get(..outer.payload.1 as usize).unwrap_or_default();
    let start = outer.payload.0 as usize + carried.start;
    let wire_bytes = outer.payload.0.saturating_add(outer.payload_bytes);
    let network = match carried.content {
        Content::Ethertype(ethertype) => Ok(Network { ethertype, start, vlan: outer.vlan }),
        Content::Ethernet => ethernet::decode_at(data, start).map_err(Stop::from),
        Content::Ppp => ppp::decode(data, start, outer.vlan),
        Content::Ip => link::raw(data, start, outer.vlan).map_err(Stop::from),
    };
    match network {
        Ok(network) => super::decode_packet(&Frame { data, wire_bytes, ..*frame }, network),
        Err(stop) => stop.into(),
    }
}

/// The inner packet with what only the frame and the outer packet know.
fn inside(packet: Packet, outer: &Packet, tunnel: &Tunnel) -> Packet {
    Packet {
        wire_bytes: outer.wire_bytes,
        captured_bytes: outer.captured_bytes,
        network: if tunnel.kind.has_networks() { tunnel.id } else { outer.network },
        ..packet
    }
}

/// Whether nothing contradicts that this is a packet. A snapshot length may still have cut it.
fn is_sound(fault: Option<Fault>) -> bool {
    !matches!(fault, Some(Fault::BadIpLength | Fault::IpLengthBeyondFrame))
}

/// The outer packet when there is none inside: what was recognised in its place is named, and damage in a tunnel
/// that was declared is a fault.
fn without_packet(outer: Decoded, inner: &Decoded, kind: TunnelKind) -> Decoded {
    let recognised = inner.fault.is_none() && inner.packet.is_none() && inner.protocol != Protocol::Unknown;
    Decoded {
        protocol: if recognised { inner.protocol } else { outer.protocol },
        fault: outer.fault.or(inner.fault.filter(|_| kind.is_declared())),
        ..outer
    }
}
