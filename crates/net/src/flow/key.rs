//! The key of a flow: addresses, ports, protocol, VLAN and virtual network, the same for both directions.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use crate::packet::{Packet, icmp};

/// Protocol, both endpoints, VLAN and virtual network, free of direction.
///
/// The endpoint (address, port) that is smaller as a number comes first. The VLAN identifier of the innermost tag
/// (0 when untagged) is part of the key, as in Suricata and NFStream: equal addresses in two VLANs are two hosts. So
/// is the network identifier of VXLAN and Geneve (0 without). Other tunnels are not: their identifiers differ by
/// direction, and their endpoints may change while a flow lives.
/// ICMP messages carry type and code in place of ports as Community ID has it; one that no other message answers
/// keeps its direction, so A→B and B→A are two flows. IPv4 and IPv6 never share a key, not even for mapped
/// addresses. Transports without ports, and fragments whose first was not seen, have ports 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    /// Address of the first endpoint, IPv4 in the low 32 bits, least significant word first.
    low: [u64; 2],
    /// Address of the second endpoint.
    high: [u64; 2],
    /// IP version, protocol, VLAN, both ports.
    meta: u64,
    network: u32,
}

const VERSION_6: u64 = 1 << 56;

/// Which endpoint of a key a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// From the first endpoint to the second.
    LowToHigh,
    /// From the second endpoint to the first.
    HighToLow,
}

impl FlowKey {
    /// The key of a packet, and which of its endpoints sent it.
    #[inline]
    pub fn of(packet: &Packet) -> (FlowKey, Orientation) {
        let source = (bits(packet.source), packet.source_port);
        let destination = (bits(packet.destination), packet.destination_port);
        let version = if packet.source.is_ipv6() { VERSION_6 } else { 0 };
        let rest = version | u64::from(packet.protocol) << 48 | u64::from(packet.vlan) << 32;
        let network = packet.network;
        if source <= destination || is_one_way(packet.protocol, packet.source_port) {
            (FlowKey::new(source, destination, rest, network), Orientation::LowToHigh)
        } else {
            (FlowKey::new(destination, source, rest, network), Orientation::HighToLow)
        }
    }

    #[inline]
    fn new(low: (u128, u16), high: (u128, u16), rest: u64, network: u32) -> FlowKey {
        FlowKey {
            low: words(low.0),
            high: words(high.0),
            meta: rest | u64::from(low.1) << 16 | u64::from(high.1),
            network,
        }
    }

    /// Address and port of the first endpoint.
    pub fn low(&self) -> (IpAddr, u16) {
        (self.address(self.low), (self.meta >> 16) as u16)
    }

    /// Address and port of the second endpoint.
    pub fn high(&self) -> (IpAddr, u16) {
        (self.address(self.high), self.meta as u16)
    }

    /// IANA number of the protocol above IP.
    pub fn protocol(&self) -> u8 {
        (self.meta >> 48) as u8
    }

    /// VLAN identifier, 0 when untagged.
    pub fn vlan(&self) -> u16 {
        (self.meta >> 32) as u16
    }

    /// Identifier of the VXLAN or Geneve network, 0 without.
    pub fn network(&self) -> u32 {
        self.network
    }

    /// Whether the key keeps its direction: an ICMP message that none answers.
    pub fn is_one_way(&self) -> bool {
        is_one_way(self.protocol(), self.low().1)
    }

    fn address(&self, [low, high]: [u64; 2]) -> IpAddr {
        if self.meta & VERSION_6 == 0 {
            IpAddr::V4((low as u32).into())
        } else {
            IpAddr::V6((u128::from(high) << 64 | u128::from(low)).into())
        }
    }

    /// The key but for [`FlowKey::network`] as words.
    #[inline]
    pub fn words(&self) -> [u64; 5] {
        let ([a, b], [c, d]) = (self.low, self.high);
        [a, b, c, d, self.meta]
    }

    /// A hash that depends on the key and `seed` alone, on every machine; it chooses the shard. Not for buckets:
    /// whoever knows the seed can collide it.
    #[inline]
    pub fn stable_hash(&self, seed: u64) -> u64 {
        let hash = self.words().into_iter().fold(seed ^ FOLD_START, |hash, word| fold(hash ^ word, FOLD_BY));
        if self.network == 0 { hash } else { fold(hash ^ u64::from(self.network), FOLD_BY) }
    }
}

/// Word by word: a hasher takes those in registers, an array as bytes in memory. The network only when there is one:
/// most flows have none and need not pay for it.
impl Hash for FlowKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words().into_iter().for_each(|word| state.write_u64(word));
        if self.network != 0 {
            self.network.hash(state);
        }
    }
}

const FOLD_START: u64 = 0x9e37_79b9_7f4a_7c15;
const FOLD_BY: u64 = 0xd6e8_feb8_6659_fd93;

/// Both halves of the 128-bit product, added up: each input bit reaches the whole output.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

#[inline]
fn words(bits: u128) -> [u64; 2] {
    [bits as u64, (bits >> 64) as u64]
}

#[inline]
fn is_one_way(protocol: u8, kind: u16) -> bool {
    matches!(protocol, icmp::ICMP | icmp::ICMPV6)
        && u8::try_from(kind).ok().and_then(|kind| icmp::answering_type(protocol, kind)).is_none()
}

#[inline]
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}
