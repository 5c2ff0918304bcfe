//! Decodes one captured frame into a [`Packet`]: the fields a flow needs, copied out, nothing borrowed.
//!
//! Decoding yields what was understood *and* what stopped it, and never panics. One file per protocol layer:
//! a link layer names the network protocol (an ethertype) and where it starts; the network layer names the
//! transport; the transport names the ports. A packet that carries another one is followed into it ([`tunnel`]).
//! A new protocol is one file and one line in the layer's `match`.

pub(crate) mod arp;
pub mod checksum;
mod ethernet;
mod extensions;
mod geneve;
mod gre;
mod gtp;
pub mod icmp;
mod ipv4;
mod ipv6;
mod link;
mod mpls;
mod ppp;
mod protocol;
pub mod reassembly;
mod shims;
mod sll;
mod tcp;
mod teredo;
mod transport;
mod tunnel;
mod tunnels;
mod udp;
mod vxlan;
mod wlan;

use std::net::IpAddr;

use crate::capture::{Frame, LinkType};

pub use protocol::{Fault, Protocol};
pub use tcp::{Tcp, TcpFlags};
pub use tunnel::{MAX_DEPTH, Tunnel, TunnelKind};
pub use tunnels::{MAX_TUNNELS, Tunnels};

/// What a frame turned out to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The innermost IP packet, when there was one. `None` for ARP, LLDP, an undecoded link type, or a fault before
    /// the IP addresses.
    pub packet: Option<Packet>,
    /// Where that packet's IP header starts in the frame's data; 0 without a packet.
    pub ip_start: u32,
    /// What the packet was carried in, when that was another IP packet: the innermost encapsulation.
    pub tunnel: Option<Tunnel>,
    /// Deepest protocol recognised, for counting.
    pub protocol: Protocol,
    /// What stopped decoding before the end of the transport header, or contradicted the frame, if anything.
    pub fault: Option<Fault>,
}

impl Decoded {
    fn without_packet(protocol: Protocol, fault: Option<Fault>) -> Decoded {
        Decoded { packet: None, ip_start: 0, tunnel: None, protocol, fault }
    }
}

/// One IP packet: what a flow table needs of it. Lengths come from the IP header, so that neither a snapshot
/// length nor Ethernet padding changes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// 1-based number of the frame within its capture.
    pub number: u64,
    /// Byte offset of the frame's record in the uncompressed capture.
    pub offset: u64,
    /// Capture time in nanoseconds since the UNIX epoch.
    pub ts_ns: i64,
    /// Length of the frame on the wire.
    pub wire_bytes: u32,
    /// Captured part of the frame.
    pub captured_bytes: u32,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source port of TCP, UDP, UDP-Lite, SCTP and DCCP; for ICMP the type as [`icmp`] maps it; 0 when unknown.
    pub source_port: u16,
    /// Destination port; for ICMP the answering type or the code as [`icmp`] maps it; 0 when unknown.
    pub destination_port: u16,
    /// IANA number of the protocol above IP and its extension headers.
    pub protocol: u8,
    /// VLAN identifier of the innermost tag; 0 = untagged or only a priority tag. An Ethernet frame in a tunnel has
    /// its own, a tunnel that carries bare IP leaves the outer one.
    pub vlan: u16,
    /// Virtual network of the innermost VXLAN or Geneve header (24 bits); 0 = none.
    pub network: u32,
    /// Number of [`Decoded::tunnel`] in a [`Tunnels`] table; 0 = none, and what [`decode`] leaves here.
    pub tunnel: u32,
    /// IP header and everything above it, by the IP header's length field. When that field is 0 (segmentation
    /// offload, jumbograms) the length on the wire above the link layer.
    pub ip_bytes: u32,
    /// IP header, extension headers and transport header.
    pub header_bytes: u16,
    /// Bytes above the transport header by the IP length, captured or not.
    pub payload_bytes: u32,
    /// Start and end of the captured part of the payload within the frame's data.
    pub payload: (u32, u32),
    /// Time to live; the hop limit of IPv6.
    pub ttl: u8,
    /// Type of service; the traffic class of IPv6.
    pub tos: u8,
    /// The TCP header's fixed part, when all 20 bytes of it were captured.
    pub tcp: Option<Tcp>,
    /// Whether the packet is a piece of a larger one.
    pub fragment: Fragment,
}

/// A packet's place among the fragments of a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragment {
    /// Not fragmented.
    #[default]
    None,
    /// The piece with the transport header.
    First {
        /// Identification shared by all pieces.
        id: u32,
        /// Protocol number in the header that fragments: what later pieces start with as well.
        protocol: u8,
    },
    /// A later piece: it has no transport header, so no ports until [`reassembly`] finds them.
    Later {
        /// Identification shared by all pieces.
        id: u32,
        /// Protocol number in the header that fragments.
        protocol: u8,
    },
}

/// Decodes a frame: its IP packet when there is one, the deepest protocol recognised, and what was wrong.
///
/// Nearly all frames are IP right above Ethernet. They go through the same layers as the others, but here the compiler
/// knows where each begins.
#[inline]
pub fn decode(frame: &Frame<'_>) -> Decoded {
    let ethertype = match frame.link {
        LinkType::ETHERNET => ethernet::ethertype(frame.data),
        _ => None,
    };
    let plain = |ethertype| Network { ethertype, start: ethernet::HEADER_BYTES, vlan: 0 };
    let decoded = match ethertype {
        Some(ethernet::IPV4) => decode_ipv4(frame, plain(ethernet::IPV4)),
        Some(ethernet::IPV6) => decode_ipv6(frame, plain(ethernet::IPV6)),
        _ => return decode_any(frame),
    };
    match &decoded.packet {
        Some(packet) if tunnel::may_carry(packet) => decode_any(frame),
        _ => decoded,
    }
}

/// Decodes a frame of any link type, tunnels included. For a tunnel [`decode`] begins anew here: to hand over the packet
/// it has would force those of all frames into memory, for the sake of few.
#[inline(never)]
fn decode_any(frame: &Frame<'_>) -> Decoded {
    match link::decode(frame.link, frame.data) {
        Ok(network) => tunnel::follow(frame, decode_packet(frame, network)),
        Err(stop) => stop.into(),
    }
}

/// Decodes an IP packet that was put together from fragments. The data of `datagram` begin with its IP header,
/// which claims no fragment any more, and hold all of it; `fragment` is what one of the pieces decoded to: its
/// VLAN, virtual network and tunnel are those of the whole.
pub fn decode_datagram(datagram: &Frame<'_>, fragment: &Decoded) -> Decoded {
    let (vlan, virtual_network) = fragment.packet.map_or((0, 0), |packet| (packet.vlan, packet.network));
    let mut whole = match link::decode(LinkType::RAW, datagram.data) {
        Ok(network) => decode_packet(datagram, Network { vlan, ..network }),
        Err(stop) => return stop.into(),
    };
    if let Some(packet) = &mut whole.packet {
        packet.network = virtual_network;
    }
    whole.tunnel = fragment.tunnel;
    tunnel::follow(datagram, whole)
}

/// The ethertype of what lies right above the link layer, and where it starts: for those who follow the layers of a
/// frame in another tool's way. `None` for a link layer that is damaged or not decoded.
pub(crate) fn above_link(link: LinkType, data: &[u8]) -> Option<(u16, usize)> {
    let network = link::decode(link, data).ok()?;
    let network = match network.ethertype {
        ethernet::PPPOE_SESSION => shims::follow(data, network).ok()?,
        _ => network,
    };
    Some((network.ethertype, network.start))
}

/// Where the transport header of a decoded packet starts in the frame's data: behind the IP header and what extends it.
/// `None` for later fragments, and when the headers before it are cut.
pub(crate) fn transport_start(frame: &Frame<'_>, decoded: &Decoded) -> Option<usize> {
    let start = decoded.ip_start as usize;
    let ip = match decoded.packet?.source {
        IpAddr::V4(_) => ipv4::header(frame, start),
        IpAddr::V6(_) => ipv6::header(frame, start),
    };
    let ip = extensions::walk(ip.ok()?, frame.data.get(start..)?);
    let hidden =
        matches!(ip.fragment, Fragment::Later { .. }) || ip.fault.is_some_and(Fault::hides_transport);
    (!hidden).then_some(start + ip.header_bytes as usize)
}

/// The network layer as the link layer announces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    ethertype: u16,
    /// Where the network header starts in the frame's data.
    start: usize,
    vlan: u16,
}

/// Why the layers below IP lead to no IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// They are damaged, or not decoded.
    At(Fault),
    /// They carry something else, or something that is not looked into.
    Holding(Protocol),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::At(fault)
    }
}

impl From<Stop> for Decoded {
    fn from(stop: Stop) -> Decoded {
        match stop {
            Stop::At(fault) => Decoded::without_packet(Protocol::Unknown, Some(fault)),
            Stop::Holding(protocol) => Decoded::without_packet(protocol, None),
        }
    }
}

/// One IP packet, whatever it carries.
fn decode_packet(frame: &Frame<'_>, network: Network) -> Decoded {
    match network.ethertype {
        ethernet::IPV4 => decode_ipv4(frame, network),
        ethernet::IPV6 => decode_ipv6(frame, network),
        _ => decode_shims(frame, network),
    }
}

#[inline]
fn decode_ipv4(frame: &Frame<'_>, network: Network) -> Decoded {
    match ipv4::header(frame, network.start) {
        Ok(ip) if ipv4::is_extended(&ip) => decode_extended(frame, network, ip),
        Ok(ip) => decode_transport(frame, network, ip),
        Err(fault) => Decoded::without_packet(Protocol::Ipv4, Some(fault)),
    }
}

#[inline]
fn decode_ipv6(frame: &Frame<'_>, network: Network) -> Decoded {
    match ipv6::header(frame, network.start) {
        Ok(ip) if ipv6::is_extended(&ip) => decode_extended(frame, network, ip),
        Ok(ip) => decode_transport(frame, network, ip),
        Err(fault) => Decoded::without_packet(Protocol::Ipv6, Some(fault)),
    }
}

/// What lies between IP and the transport.
#[cold]
fn decode_extended(frame: &Frame<'_>, network: Network, ip: Ip) -> Decoded {
    let data = frame.data.get(network.start..).unwrap_or_default();
    decode_transport(frame, network, extensions::walk(ip, data))
}

/// What lies between Ethernet and IP.
fn decode_shims(frame: &Frame<'_>, network: Network) -> Decoded {
    match shims::follow(frame.data, network) {
        Ok(network) => decode_packet(frame, network),
        Err(stop) => stop.into(),
    }
}

/// An IP header with its extension headers, as both IP versions yield it.
#[derive(Clone, Copy, Debug)]
struct Ip {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ttl: u8,
    tos: u8,
    fragment: Fragment,
    /// IP header and everything above it.
    bytes: u32,
    /// IP header and extension headers.
    header_bytes: u32,
    fault: Option<Fault>,
}

/// Inlined for either IP version: as a function it would take and give two structs through memory.
#[inline(always)]
fn decode_transport(frame: &Frame<'_>, network: Network, ip: Ip) -> Decoded {
    let captured = frame.data.len();
    let end = captured.min(network.start.saturating_add(ip.bytes as usize));
    let start = end.min(network.start.saturating_add(ip.header_bytes as usize));
    let above = ip.bytes.saturating_sub(ip.header_bytes);
    let transport = match (ip.fragment, ip.fault) {
        (Fragment::Later { .. }, _) => transport::Transport::default(),
        (_, Some(fault)) if fault.hides_transport() => transport::Transport::default(),
        _ => {
            transport::decode(ip.protocol, frame.data.get(start..end).unwrap_or_default(), above, ip.fragment)
        }
    };
    let payload_start = end.min(start.saturating_add(usize::from(transport.header_bytes)));
    let packet = Packet {
        number: frame.number,
        offset: frame.offset,
        ts_ns: frame.ts_ns,
        wire_bytes: frame.wire_bytes,
        captured_bytes: captured as u32,
        source: ip.source,
        destination: ip.destination,
        source_port: transport.source_port,
        destination_port: transport.destination_port,
        protocol: ip.protocol,
        vlan: network.vlan,
        network: 0,
        tunnel: 0,
        ip_bytes: ip.bytes,
        header_bytes: ip
            .header_bytes
            .saturating_add(u32::from(transport.header_bytes))
            .min(u32::from(u16::MAX)) as u16,
        payload_bytes: above.saturating_sub(u32::from(transport.header_bytes)),
        payload: (payload_start as u32, end as u32),
        ttl: ip.ttl,
        tos: ip.tos,
        tcp: transport.tcp,
        fragment: ip.fragment,
    };
    Decoded {
        packet: Some(packet),
        ip_start: network.start as u32,
        tunnel: None,
        protocol: Protocol::of_ip(ip.protocol),
        fault: ip.fault.or(transport.fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes raw IP that was `wire_bytes` long on the wire.
    pub(super) fn decode_cut(data: &[u8], wire_bytes: usize) -> Decoded {
        let (link, wire_bytes) = (LinkType::RAW, wire_bytes as u32);
        decode(&Frame { number: 7, ts_ns: 9, offset: 24, wire_bytes, link, interface: 0, data })
    }

    /// Decodes a whole raw IP packet.
    pub(super) fn decode_ip(data: &[u8]) -> Decoded {
        decode_cut(data, data.len())
    }

    /// The packet and the fault of a whole raw IP packet.
    pub(super) fn packet_of(data: &[u8]) -> (Packet, Option<Fault>) {
        let decoded = decode_ip(data);
        (decoded.packet.expect("a packet"), decoded.fault)
    }

    /// An IPv4 header of 20 bytes with this protocol and total length, from 10.0.0.1 to 10.0.0.2.
    pub(super) fn ipv4(protocol: u8, total: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let ([l1, l0], [f1, f0]) = (total.to_be_bytes(), flags.to_be_bytes());
        let header = [0x45, 0x2e, l1, l0, 0xab, 0xcd, f1, f0, 61, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        [&header[..], payload].concat()
    }

    /// An IPv6 header with this next header and payload length, from ::1 to ::2.
    pub(super) fn ipv6(next: u8, length: u16, payload: &[u8]) -> Vec<u8> {
        let [l1, l0] = length.to_be_bytes();
        let mut header = [0; 40];
        header[..8].copy_from_slice(&[0x6a, 0xb1, 0x23, 0x45, l1, l0, next, 62]);
        (header[23], header[39]) = (1, 2);
        [&header[..], payload].concat()
    }

    #[test]
    fn arp_is_counted_and_is_no_packet() {
        let mut data = vec![0; 42];
        (data[12], data[13]) = (0x08, 0x06);
        let frame = Frame {
            number: 1,
            ts_ns: 0,
            offset: 0,
            wire_bytes: 42,
            link: LinkType::ETHERNET,
            interface: 0,
            data: &data,
        };
        assert_eq!(decode(&frame), Decoded::without_packet(Protocol::Arp, None));
    }

    #[test]
    fn ethernet_padding_is_no_payload() {
        // 14 + 20 + 8 + 3 bytes, padded to the least frame of 60.
        let udp = [0x03, 0xe8, 0x00, 0x35, 0x00, 0x0b, 0, 0, b'a', b'b', b'c'];
        let mut data = [&[0; 12], &[0x08, 0x00][..], &ipv4(17, 31, 0, &udp)].concat();
        data.resize(60, 0xff);
        let frame = Frame {
            number: 1,
            ts_ns: 0,
            offset: 0,
            wire_bytes: 60,
            link: LinkType::ETHERNET,
            interface: 0,
            data: &data,
        };
        let decoded = decode(&frame);
        let packet = decoded.packet.expect("a packet");
        assert_eq!(decoded.ip_start, 14);
        assert_eq!((packet.ip_bytes, packet.header_bytes, packet.payload_bytes), (31, 28, 3));
        assert_eq!((packet.payload, packet.wire_bytes, packet.captured_bytes), ((42, 45), 60, 60));
    }
}
