//! Packets in packets: finds what an IP packet carries when it is a tunnel, and goes on with the packet inside.
//!
//! The flow is that of the innermost packet; the encapsulation nearest to it is kept beside it. Two kinds of tunnel
//! are told apart. What an IP protocol number *declares* (IP in IP, GRE, ...) is believed: damage inside it is a
//! fault. What only a UDP port *suggests* (VXLAN, GTP-U, ...) could be anything: its header must be as its standard
//! has it, and the packet inside must be sound, or the outer packet is the flow and nothing is said.
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
        UDP => {
            is_tunnel_port(packet.destination_port) || matches!(packet.source_port, gtp::PORT | teredo::PORT)
        }
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
            stay_outside(&mut decoded, &inner, carried.kind);
            break;
        };
        let (source, destination) = (outer.source, outer.destination);
        let tunnel = Tunnel { kind: carried.kind, source, destination, id: carried.id, depth };
        decoded = Decoded {
            packet: Some(inside(packet, &outer, &tunnel)),
            tunnel: Some(tunnel),
            fault: decoded.fault.or(inner.fault),
            ..inner
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
        teredo::PORT => teredo::decode(payload, outer.payload_bytes),
        gtp::PORT => gtp::decode(payload, outer.payload_bytes),
        // Answers of these two come from the port; the other tunnels are addressed to theirs in both directions.
        _ if outer.source_port == gtp::PORT => gtp::decode(payload, outer.payload_bytes),
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

/// The outer packet is the flow when there is none inside: what was recognised in its place is named, and damage in a
/// tunnel that was declared is a fault.
fn stay_outside(decoded: &mut Decoded, inner: &Decoded, kind: TunnelKind) {
    if inner.packet.is_none() && inner.fault.is_none() && inner.protocol != Protocol::Unknown {
        decoded.protocol = inner.protocol;
    }
    if kind.is_declared() {
        decoded.fault = decoded.fault.or(inner.fault);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{decode_cut, decode_ip, ipv4, ipv6};
    use super::super::{decode, decode_datagram};
    use super::*;
    use crate::capture::LinkType;

    /// A UDP datagram between these ports in IPv4, or in IPv6.
    fn datagram(version: u8, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let bytes = 8 + payload.len() as u16;
        let ([s1, s0], [d1, d0], [l1, l0]) =
            (ports.0.to_be_bytes(), ports.1.to_be_bytes(), bytes.to_be_bytes());
        let udp = [&[s1, s0, d1, d0, l1, l0, 0, 0], payload].concat();
        if version == 4 { ipv4(17, 20 + bytes, 0, &udp) } else { ipv6(17, bytes, &udp) }
    }

    /// IPv4 with this protocol and payload.
    fn carrier(protocol: u8, payload: &[u8]) -> Vec<u8> {
        ipv4(protocol, 20 + payload.len() as u16, 0, payload)
    }

    fn frame(ethertype: u16, packet: &[u8]) -> Vec<u8> {
        [&[2; 12][..], &ethertype.to_be_bytes(), packet].concat()
    }

    /// One of each tunnel around the same datagram, with the identifier it states.
    fn tunnels() -> Vec<(TunnelKind, u32, Vec<u8>)> {
        let (v4, v6) = (datagram(4, (1000, 53), b"abc"), datagram(6, (1000, 53), b"abc"));
        let ethernet = frame(0x0800, &v4);
        let udp = |port: u16, header: &[u8], content: &[u8]| {
            datagram(4, (40_000, port), &[header, content].concat())
        };
        let gre = |header: &[u8], content: &[u8]| carrier(47, &[header, content].concat());
        let teredo = [&v6[..8], &[0x20, 1], &[0; 30], &v6[40..]].concat();
        let [gtp_high, gtp_low] = (v4.len() as u16 + 8).to_be_bytes();
        vec![
            (TunnelKind::IpInIp, 0, carrier(4, &v4)),
            (TunnelKind::Ipv6InIp, 0, carrier(41, &v6)),
            (TunnelKind::MplsInIp, 0, carrier(137, &[&[0, 1, 0x31, 64], &v4[..]].concat())),
            (TunnelKind::EtherIp, 0, carrier(97, &[&[0x30, 0], &ethernet[..]].concat())),
            (TunnelKind::Gre, 0, gre(&[0, 0, 0x08, 0x00], &v4)),
            (TunnelKind::Gre, 7, gre(&[0xb0, 0, 0x86, 0xdd, 9, 9, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1], &v6)),
            (TunnelKind::Gre, 0, gre(&[0, 0, 0x65, 0x58], &ethernet)),
            (TunnelKind::Gre, 0, gre(&[0, 0, 0x88, 0x47, 0, 1, 0x31, 64], &v4)),
            (TunnelKind::Gre, 0, gre(&[0, 0, 0x88, 0x3e], &v4)),
            (TunnelKind::Gre, 0, gre(&[0, 0, 0x88, 0x3e, 0, 0, 0, 0], &v4)),
            (
                TunnelKind::Pptp,
                9,
                gre(&[0x30, 0x81, 0x88, 0x0b, 0, 40, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0x21], &v4),
            ),
            (TunnelKind::Erspan, 0, gre(&[0, 0, 0x88, 0xbe], &ethernet)),
            (
                TunnelKind::Erspan,
                33,
                gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 5, 0, 33, 0, 0, 0, 0], &ethernet),
            ),
            (
                TunnelKind::Erspan,
                34,
                gre(
                    &[
                        0x10, 0, 0x22, 0xeb, 0, 0, 0, 1, 0x20, 5, 0, 34, 1, 2, 3, 4, 0, 0, 0, 1, 8, 8, 8, 8,
                        8, 8, 8, 8,
                    ],
                    &ethernet,
                ),
            ),
            (TunnelKind::Vxlan, 0x01_0203, udp(4789, &[8, 0, 0, 0, 1, 2, 3, 0], &ethernet)),
            (TunnelKind::Vxlan, 5, udp(8472, &[0x88, 0x40, 0, 9, 0, 0, 5, 0], &ethernet)),
            (TunnelKind::Vxlan, 6, udp(4790, &[0x0c, 0, 0, 1, 0, 0, 6, 0], &v4)),
            (TunnelKind::Geneve, 44, udp(6081, &[1, 0, 0x65, 0x58, 0, 0, 44, 0, 1, 2, 3, 0], &ethernet)),
            (TunnelKind::Geneve, 45, udp(6081, &[0, 0, 0x08, 0x00, 0, 0, 45, 0], &v4)),
            (TunnelKind::Gtp, 0x0a0b_0c0d, udp(2152, &[0x30, 255, 0, 31, 10, 11, 12, 13], &v4)),
            (
                TunnelKind::Gtp,
                1,
                udp(2152, &[0x34, 255, gtp_high, gtp_low, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 9, 0], &v4),
            ),
            (TunnelKind::Teredo, 0, udp(3544, &[], &teredo)),
            (TunnelKind::Teredo, 0, udp(3544, &[0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0], &teredo)),
            (TunnelKind::Teredo, 0, udp(3544, &[0, 0, 1, 2, 3, 4, 5, 6], &teredo)),
        ]
    }

    #[test]
    fn every_tunnel_leads_to_the_packet_inside() {
        for (kind, id, data) in tunnels() {
            let decoded = decode_ip(&data);
            let packet = decoded.packet.expect("a packet");
            let (source, destination) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
            assert_eq!(decoded.tunnel, Some(Tunnel { kind, source, destination, id, depth: 1 }), "{data:?}");
            assert_eq!((packet.source_port, packet.destination_port, packet.payload_bytes), (1000, 53, 3));
            assert_eq!((decoded.protocol, decoded.fault), (Protocol::Udp, None), "{kind:?}");
            assert_eq!(&data[packet.payload.0 as usize..packet.payload.1 as usize], b"abc");
            let whole = data.len() as u32;
            assert_eq!((packet.wire_bytes, packet.captured_bytes, packet.number), (whole, whole, 7));
            assert_eq!(packet.ip_bytes, if packet.source.is_ipv4() { 31 } else { 51 });
            assert_eq!(decoded.ip_start, whole - packet.ip_bytes, "{kind:?}");
            assert_eq!(packet.network, if kind.has_networks() { id } else { 0 });
        }
    }

    #[test]
    fn a_tunnel_cut_anywhere_is_the_outer_packet_or_the_inner_one() {
        for (kind, _, data) in tunnels() {
            for end in 20..data.len() {
                let decoded = decode_cut(&data[..end], data.len());
                let packet = decoded.packet.expect("a packet");
                let (start, payload_end) = packet.payload;
                assert!(start <= payload_end && payload_end as usize <= end, "{kind:?} {end}");
                let whole = data.len() - packet.ip_bytes as usize;
                assert_eq!(decoded.ip_start as usize, if decoded.tunnel.is_some() { whole } else { 0 });
            }
        }
    }

    #[test]
    fn ports_alone_make_no_tunnel() {
        let v4 = datagram(4, (1000, 53), b"abc");
        let mut longer = v4.clone();
        longer[3] += 1;
        let teredo_from_nowhere = datagram(6, (1000, 53), b"abc");
        for (port, payload) in [
            (4789, [&[0, 0, 0, 0, 0, 0, 1, 0], &frame(0x0800, &v4)[..]].concat()), // no network identifier
            (4789, [&[8, 0, 0, 0, 0, 0, 1, 0], &frame(0x0800, &longer)[..]].concat()), // longer than the tunnel
            (4789, [&[8, 0, 0, 0, 0, 0, 1, 0], &frame(0x0806, &v4)[..]].concat()),     // ARP
            (4790, [&[0x08, 0, 0, 1, 0, 0, 1, 0], &v4[..]].concat()),                  // no next protocol
            (6081, [&[0x40, 0, 0x08, 0x00, 0, 0, 1, 0], &v4[..]].concat()),            // version 1
            (6081, [&[0x3f, 0, 0x08, 0x00, 0, 0, 1, 0], &v4[..]].concat()), // options beyond the packet
            (2152, [&[0x30, 255, 0, 30, 0, 0, 0, 1], &v4[..]].concat()),    // another length
            (2152, [&[0x30, 1, 0, 31, 0, 0, 0, 1], &v4[..]].concat()),      // an echo request
            (2152, [&[0x50, 255, 0, 31, 0, 0, 0, 1], &v4[..]].concat()),    // version 2
            (2152, [&[0x34, 255, 0, 36, 0, 0, 0, 1, 0, 0, 0, 0x85, 0], &v4[..]].concat()), // extension of length 0
            (3544, teredo_from_nowhere),
            (3544, v4.clone()),
        ] {
            let decoded = decode_ip(&datagram(4, (40_000, port), &payload));
            let packet = decoded.packet.expect("a packet");
            assert_eq!(
                (packet.destination_port, decoded.tunnel, decoded.fault),
                (port, None, None),
                "{payload:?}"
            );
        }
    }

    #[test]
    fn declared_tunnels_without_a_packet_are_named_or_faulty() {
        let of = |data: &[u8]| {
            let decoded = decode_ip(data);
            assert_eq!((decoded.tunnel, decoded.packet.is_some()), (None, true));
            (decoded.protocol, decoded.fault)
        };
        assert_eq!(of(&carrier(47, &[0, 0, 0, 0])), (Protocol::Gre, None)); // keepalive
        assert_eq!(of(&carrier(47, &[0x40, 0, 8, 0, 0, 0, 0, 0])), (Protocol::Gre, None)); // source routes
        assert_eq!(
            of(&carrier(47, &[0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 9, 0, 0, 0, 1])),
            (Protocol::Gre, None)
        );
        assert_eq!(
            of(&carrier(47, &[&[0, 0, 0x65, 0x58], &frame(0x0806, &[0; 28])[..]].concat())),
            (Protocol::Arp, None)
        );
        assert_eq!(of(&carrier(4, &[0x60; 20])), (Protocol::IpInIp, Some(Fault::BadIpVersion)));
        assert_eq!(of(&carrier(41, &[0x60; 20])), (Protocol::Ipv6InIp, Some(Fault::ShortIp)));
        assert_eq!(of(&carrier(97, &[0x40; 40])), (Protocol::OtherIp, None));
    }

    #[test]
    fn nesting_is_followed_up_to_a_bound() {
        let mut data = datagram(4, (1000, 53), b"abc");
        for depth in 1..=MAX_DEPTH {
            data = carrier(4, &data);
            let decoded = decode_ip(&data);
            assert_eq!(decoded.tunnel.map(|tunnel| tunnel.depth), Some(depth));
            assert_eq!((decoded.protocol, decoded.fault), (Protocol::Udp, None));
        }
        let beyond = decode_ip(&carrier(4, &data));
        assert_eq!(beyond.tunnel.map(|tunnel| tunnel.depth), Some(MAX_DEPTH));
        assert_eq!((beyond.protocol, beyond.fault), (Protocol::IpInIp, Some(Fault::TooManyTunnels)));
    }

    #[test]
    fn the_innermost_network_stays_that_of_what_it_carries() {
        let gre = carrier(47, &[&[0, 0, 0x08, 0x00], &datagram(4, (1000, 53), b"abc")[..]].concat());
        let vxlan = [&[8, 0, 0, 0, 0, 0, 77, 0], &frame(0x0800, &gre)[..]].concat();
        let decoded = decode_ip(&datagram(6, (40_000, 4789), &vxlan));
        assert_eq!(decoded.packet.map(|packet| packet.network), Some(77));
        assert_eq!(
            decoded.tunnel.map(|tunnel| tunnel.to_string()).as_deref(),
            Some("gre 10.0.0.1>10.0.0.2 depth=2")
        );
    }

    #[test]
    fn an_ethernet_frame_inside_has_its_own_vlan_and_bare_ip_that_of_the_outer_one() {
        let v4 = datagram(4, (1000, 53), b"abc");
        let vlan = |content: &[u8], start: &[u8], protocol| {
            let packet = carrier(protocol, &[start, content].concat());
            let data = [&[2; 12][..], &[0x81, 0, 0, 9, 0x08, 0x00], &packet].concat();
            let wire_bytes = data.len() as u32;
            let (link, interface) = (LinkType::ETHERNET, 0);
            let decoded =
                decode(&Frame { number: 1, ts_ns: 0, offset: 0, wire_bytes, link, interface, data: &data });
            decoded.packet.expect("a packet").vlan
        };
        assert_eq!(vlan(&v4, &[], 4), 9);
        assert_eq!(vlan(&frame(0x0800, &v4), &[0x30, 0], 97), 0);
        let tagged = [&[2; 12][..], &[0x81, 0, 0, 5, 0x08, 0x00], &v4].concat();
        assert_eq!(vlan(&tagged, &[0x30, 0], 97), 5);
    }

    #[test]
    fn fragments_of_a_tunnel_are_not_looked_into_until_they_are_whole() {
        let inner = datagram(4, (1000, 53), b"abc");
        let whole = carrier(4, &inner);
        let mut first = whole.clone();
        first[6] = 0x20;
        let fragment = decode_ip(&first);
        assert_eq!((fragment.tunnel, fragment.packet.map(|packet| packet.protocol)), (None, Some(4)));
        // The fragments came in VLAN 3 of network 8, inside another tunnel.
        let (source, destination) = ([1, 1, 1, 1].into(), [2, 2, 2, 2].into());
        let tunnel = Tunnel { kind: TunnelKind::Vxlan, source, destination, id: 8, depth: 1 };
        let packet = fragment.packet.map(|packet| Packet { vlan: 3, network: 8, ..packet });
        let fragment = Decoded { packet, tunnel: Some(tunnel), ..fragment };
        let (wire_bytes, link) = (whole.len() as u32, LinkType::RAW);
        let datagram = Frame { number: 1, ts_ns: 0, offset: 0, wire_bytes, link, interface: 0, data: &whole };
        let decoded = decode_datagram(&datagram, &fragment);
        let packet = decoded.packet.expect("a packet");
        assert_eq!((packet.destination_port, packet.vlan, packet.network), (53, 3, 8));
        assert_eq!(decoded.tunnel.map(|tunnel| (tunnel.kind, tunnel.depth)), Some((TunnelKind::IpInIp, 2)));
    }
}
