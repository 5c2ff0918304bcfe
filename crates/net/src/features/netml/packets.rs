//! Which packets netml sees and what it reads of each: the layers as scapy 2.5 dissects them, from the outside in, where
//! [`crate::packet`] goes for the innermost packet.
//!
//! Followed are Ethernet, VLAN tags, Linux cooked capture, raw IP, PPPoE, IP in IP, 6in4 and GRE. What scapy finds
//! behind a UDP port (VXLAN, L2TP) is not: such a packet is its outer UDP.

use std::net::Ipv4Addr;

use crate::capture::{Frame, LinkType};
use crate::packet;

/// Addresses of the outermost IPv4 header, ports and protocol of the first TCP or UDP header. Without an IPv4 header
/// netml has the same key for every packet, ours is all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Source and destination; `None` when there is no IPv4 header.
    pub(super) addresses: Option<(Ipv4Addr, Ipv4Addr)>,
    /// Source and destination port.
    pub(super) ports: (u16, u16),
    /// 6 or 17; 0 without an IPv4 header.
    pub(super) protocol: u8,
}

/// What is kept of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    /// Number of the frame in the capture.
    pub(super) number: u64,
    /// Capture time in nanoseconds since the UNIX epoch.
    pub(super) ts_ns: i64,
    /// The same in seconds, as [`seconds`] has it.
    pub(super) time: f64,
    /// Captured bytes, link header and padding included.
    pub(super) size: u32,
    /// The low eight TCP flags; 0 where netml does not find them.
    pub(super) flags: u8,
    /// Time to live; `None` where netml fails to find one.
    pub(super) ttl: Option<u8>,
}

/// The packet in this frame, `None` for one that netml passes over.
pub(super) fn read(frame: &Frame<'_>) -> Option<(Key, Kept)> {
    let (ethertype, start) = packet::above_link(frame.link, frame.data)?;
    let mut seen = Seen::default();
    seen.follow(Layer::of_ethertype(ethertype)?, frame.data.get(start..)?);
    let (protocol, ports) = seen.transport?;
    let key = match seen.addresses {
        Some(addresses) => Key { addresses: Some(addresses), ports, protocol },
        None => Key::default(),
    };
    let kept = Kept {
        number: frame.number,
        ts_ns: frame.ts_ns,
        time: seconds(frame.ts_ns),
        size: frame.data.len() as u32,
        flags: if is_right_above(frame.link, start) { seen.flags } else { 0 },
        ttl: if is_raw(frame.link) { seen.second_ttl } else { seen.ttl },
    };
    Some((key, kept))
}

/// The double nearest to the exact decimal seconds, which is what `float(packet.time)` is in scapy.
pub(super) fn seconds(ts_ns: i64) -> f64 {
    const EXACT: i64 = 1 << 53;
    if ts_ns % 1000 == 0 && (-EXACT..=EXACT).contains(&(ts_ns / 1000)) {
        // Both are exact, so the quotient is rounded once.
        return (ts_ns / 1000) as f64 / 1e6;
    }
    let (sign, whole) = (if ts_ns < 0 { "-" } else { "" }, ts_ns.unsigned_abs());
    let decimal = format!("{sign}{}.{:09}", whole / 1_000_000_000, whole % 1_000_000_000);
    decimal.parse().unwrap_or_default()
}

/// Raw IP: scapy's first layer is IP itself, and netml, which asks the layer above the first, does not see its TTL.
fn is_raw(link: LinkType) -> bool {
    matches!(
        link,
        LinkType::RAW | LinkType::DLT_RAW | LinkType::DLT_RAW_OPENBSD | LinkType::IPV4 | LinkType::IPV6
    )
}

/// Whether IP is scapy's second layer: only then netml finds the TCP flags, which it takes from the third.
fn is_right_above(link: LinkType, start: usize) -> bool {
    matches!(
        (link, start),
        (LinkType::ETHERNET, 14)
            | (LinkType::LINUX_SLL, 16)
            | (LinkType::LINUX_SLL2, 20)
            | (LinkType::NULL | LinkType::LOOP, 4)
    )
}

/// Headers followed in one frame; more than this many is an attack on decoders.
const MAX_LAYERS: usize = 32;
/// Ethernet in GRE (RFC 1701 calls it transparent bridging).
const BRIDGED: u16 = 0x6558;

/// A header that leads on, or the one that was looked for.
#[derive(Clone, Copy, Debug)]
enum Layer {
    Ipv4,
    Ipv6,
    /// An IPv6 extension header whose second byte tells its length.
    Extension,
    Fragment,
    Gre,
    Ethernet,
    Tcp,
    Udp,
}

impl Layer {
    fn of_ethertype(ethertype: u16) -> Option<Layer> {
        match ethertype {
            0x0800 => Some(Layer::Ipv4),
            0x86dd => Some(Layer::Ipv6),
            BRIDGED => Some(Layer::Ethernet),
            _ => None,
        }
    }

    fn of_protocol(protocol: u8) -> Option<Layer> {
        match protocol {
            4 => Some(Layer::Ipv4),
            6 => Some(Layer::Tcp),
            17 => Some(Layer::Udp),
            41 => Some(Layer::Ipv6),
            47 => Some(Layer::Gre),
            _ => None,
        }
    }

    fn of_next_header(next: u8) -> Option<Layer> {
        match next {
            0 | 43 | 60 => Some(Layer::Extension),
            44 => Some(Layer::Fragment),
            _ => Layer::of_protocol(next),
        }
    }
}

/// What the layers so far have shown.
#[derive(Debug, Default)]
struct Seen {
    layers: usize,
    addresses: Option<(Ipv4Addr, Ipv4Addr)>,
    ttl: Option<u8>,
    second_ttl: Option<u8>,
    transport: Option<(u8, (u16, u16))>,
    flags: u8,
}

impl Seen {
    /// Goes from header to header until the transport or the end of what is understood.
    fn follow(&mut self, mut layer: Layer, mut data: &[u8]) {
        while self.layers < MAX_LAYERS {
            self.layers += 1;
            let next = match layer {
                Layer::Ipv4 => self.ipv4(data),
                Layer::Ipv6 => ipv6(data),
                Layer::Extension => extension(data),
                Layer::Fragment => fragment(data),
                Layer::Gre => gre(data),
                Layer::Ethernet => bridged(data),
                Layer::Tcp => self.tcp(data),
                Layer::Udp => self.udp(data),
            };
            match next {
                Some(next) => (layer, data) = next,
                None => break,
            }
        }
    }

    /// A later fragment leads nowhere. A total length below that of the header counts as none.
    fn ipv4<'a>(&mut self, data: &'a [u8]) -> Option<(Layer, &'a [u8])> {
        let header: &[u8; 20] = data.first_chunk()?;
        let [version, _, l1, l0, _, _, f1, f0, ttl, protocol, _, _, addresses @ ..] = *header;
        let [s3, s2, s1, s0, d3, d2, d1, d0] = addresses;
        let pair = (Ipv4Addr::new(s3, s2, s1, s0), Ipv4Addr::new(d3, d2, d1, d0));
        match self.addresses {
            None => (self.addresses, self.ttl) = (Some(pair), Some(ttl)),
            Some(_) => self.second_ttl = self.second_ttl.or(Some(ttl)),
        }
        if u16::from_be_bytes([f1, f0]) & 0x1fff != 0 {
            return None;
        }
        let header_bytes = usize::from(version & 0x0f) * 4;
        let payload = data.get(header_bytes.max(20)..)?;
        let bytes = usize::from(u16::from_be_bytes([l1, l0])).checked_sub(header_bytes);
        let end = bytes.unwrap_or(payload.len()).min(payload.len());
        Some((Layer::of_protocol(protocol)?, payload.get(..end)?))
    }

    fn tcp<'a>(&mut self, data: &'a [u8]) -> Option<(Layer, &'a [u8])> {
        let [s1, s0, d1, d0, _, _, _, _, _, _, _, _, _, flags, ..] = *data.first_chunk::<20>()?;
        self.transport = Some((6, (u16::from_be_bytes([s1, s0]), u16::from_be_bytes([d1, d0]))));
        // The first header was IPv4 and this is the second: in a tunnel, netml takes other fields for the flags.
        if self.layers == 2 && self.addresses.is_some() {
            self.flags = flags;
        }
        None
    }

    fn udp<'a>(&mut self, data: &'a [u8]) -> Option<(Layer, &'a [u8])> {
        let [s1, s0, d1, d0, ..] = *data.first_chunk::<8>()?;
        self.transport = Some((17, (u16::from_be_bytes([s1, s0]), u16::from_be_bytes([d1, d0]))));
        None
    }
}

fn ipv6(data: &[u8]) -> Option<(Layer, &[u8])> {
    let [_, _, _, _, l1, l0, next, ..] = *data.first_chunk::<40>()?;
    let payload = data.get(40..)?;
    let end = usize::from(u16::from_be_bytes([l1, l0])).min(payload.len());
    Some((Layer::of_next_header(next)?, payload.get(..end)?))
}

fn extension(data: &[u8]) -> Option<(Layer, &[u8])> {
    let [next, length, ..] = *data.first_chunk::<8>()?;
    Some((Layer::of_next_header(next)?, data.get((usize::from(length) + 1) * 8..)?))
}

fn fragment(data: &[u8]) -> Option<(Layer, &[u8])> {
    let [next, _, o1, o0, ..] = *data.first_chunk::<8>()?;
    let is_first = u16::from_be_bytes([o1, o0]) & 0xfff8 == 0;
    Some((Layer::of_next_header(next).filter(|_| is_first)?, data.get(8..)?))
}

/// Version 0 (RFC 2784, RFC 2890): a checksum, a key and a sequence number, 4 bytes each, when their flags are set.
fn gre(data: &[u8]) -> Option<(Layer, &[u8])> {
    let [flags, version, p1, p0] = *data.first_chunk()?;
    if version & 7 != 0 {
        return None;
    }
    let optional = [0xc0, 0x20, 0x10].iter().filter(|&flag| flags & flag != 0).count();
    Some((Layer::of_ethertype(u16::from_be_bytes([p1, p0]))?, data.get(4 + 4 * optional..)?))
}

fn bridged(data: &[u8]) -> Option<(Layer, &[u8])> {
    let (ethertype, start) = packet::above_link(LinkType::ETHERNET, data)?;
    Some((Layer::of_ethertype(ethertype)?, data.get(start..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_frame(link: LinkType, data: &[u8]) -> Option<(Key, Kept)> {
        let wire_bytes = data.len() as u32;
        read(&Frame { number: 1, ts_ns: 0, offset: 0, wire_bytes, link, interface: 0, data })
    }

    /// IPv4 from 10.0.0.last to 10.0.0.9.
    fn ipv4(last: u8, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let total = (20 + payload.len()) as u16;
        let ([l1, l0], [f1, f0]) = (total.to_be_bytes(), fragment.to_be_bytes());
        let header = [0x45, 0, l1, l0, 0, 1, f1, f0, 60 + last, protocol, 0, 0, 10, 0, 0, last, 10, 0, 0, 9];
        [&header[..], payload].concat()
    }

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = [0; 40];
        (header[0], header[5], header[6]) = (0x60, payload.len() as u8, next);
        [&header[..], payload].concat()
    }

    /// TCP from port 1000 to 80 with SYN and ACK.
    fn tcp() -> Vec<u8> {
        [&[0x03, 0xe8, 0, 80][..], &[0; 8], &[0x50, 0x12, 0, 0, 0, 0, 0, 0]].concat()
    }

    fn ethernet(tail: &[u8], packet: &[u8]) -> Vec<u8> {
        [&[2; 12], tail, packet].concat()
    }

    /// Last byte of the source, protocol, flags and TTL.
    fn summary(link: LinkType, data: &[u8]) -> (Option<u8>, u8, u8, Option<u8>) {
        let (key, kept) = read_frame(link, data).expect("a kept packet");
        let last = key.addresses.map(|(source, _)| source.octets()[3]);
        (last, key.protocol, kept.flags, kept.ttl)
    }

    #[test]
    fn the_outermost_ipv4_header_gives_the_addresses_and_the_first_transport_the_ports() {
        let (inner, plain) = (ipv4(2, 6, 0, &tcp()), [8, 0]);
        let (link, of) = (LinkType::ETHERNET, |packet: &[u8]| ethernet(&plain, packet));
        assert_eq!(summary(link, &of(&inner)), (Some(2), 6, 0x12, Some(62)));
        assert_eq!(summary(link, &of(&ipv4(1, 4, 0, &inner))), (Some(1), 6, 0, Some(61)));
        assert_eq!(summary(link, &of(&ipv4(1, 41, 0, &ipv6(6, &tcp())))), (Some(1), 6, 0, Some(61)));
        let gre = [&[0x30, 0, 8, 0, 0, 0, 0, 1, 0, 0, 0, 2][..], &inner].concat();
        assert_eq!(summary(link, &of(&ipv4(1, 47, 0, &gre))), (Some(1), 6, 0, Some(61)));
        assert_eq!(summary(link, &ethernet(&[0x81, 0, 0, 5, 8, 0], &inner)), (Some(2), 6, 0, Some(62)));
        assert_eq!(summary(LinkType::RAW, &inner), (Some(2), 6, 0, None));
    }

    #[test]
    fn ipv6_collapses_into_one_key() {
        let packet = ethernet(&[0x86, 0xdd], &ipv6(0, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp()].concat()));
        assert_eq!(summary(LinkType::ETHERNET, &packet), (None, 0, 0, None));
        assert_eq!(read_frame(LinkType::ETHERNET, &packet).map(|(key, _)| key), Some(Key::default()));
    }

    #[test]
    fn later_fragments_cut_tcp_and_quotes_in_icmp_are_passed_over() {
        let link = LinkType::RAW;
        assert!(read_frame(link, &ipv4(1, 6, 0x2000, &tcp())).is_some());
        assert!(read_frame(link, &ipv4(1, 6, 0x2001, &tcp())).is_none());
        assert!(read_frame(link, &ipv4(1, 6, 0, &tcp()[..19])).is_none());
        assert!(
            read_frame(
                link,
                &ipv4(1, 1, 0, &[&[3, 3, 0, 0, 0, 0, 0, 0][..], &ipv4(2, 6, 0, &tcp())].concat())
            )
            .is_none()
        );
    }

    #[test]
    fn times_are_the_nearest_doubles() {
        assert_eq!(seconds(1_499_083_689_815_552_000), 1_499_083_689.815_552);
        assert_eq!(seconds(1_499_083_689_815_552_123), 1_499_083_689.815_552_2); // a double's digits end there
        assert_eq!(seconds(-1_500_000_001), -1.500_000_001);
    }
}
