//! Tests of addresses: IPv4, ARP, IPv6, Ethernet, DECnet; broadcast and multicast.

use super::kinds;
use super::{Generator, Link, Refusal};
use crate::filter::condition::Condition;
use crate::filter::expression::{Direction, Protocol};
use crate::filter::headers::{Place, Size};
use crate::filter::program::Instruction;
use crate::filter::program::code::{JEQ_X, JGE_K, LD_MEM, LDX_MEM};

const NO_STATIONS: &str = "they have no hardware addresses that could be looked at";

impl Generator {
    pub(super) fn host(
        &mut self,
        protocol: Option<Protocol>,
        direction: Direction,
        address: u32,
        mask: u32,
    ) -> Result<Condition, Refusal> {
        let (kind, source, destination) = match protocol {
            Some(Protocol::Ip) => (kinds::IP, 12, 16),
            Some(Protocol::Arp) => (kinds::ARP, 14, 24),
            Some(_) => (kinds::RARP, 14, 24),
            None => return self.host_of_any(direction, address, mask),
        };
        let network = self.headers.network();
        by_direction(direction, |from_source| {
            let at = network.plus(if from_source { source } else { destination });
            Ok(self.kind(kind)?.and(self.masked(at, Size::Word, address, mask)))
        })
    }

    /// Of IP, ARP or RARP; behind MPLS labels of IP alone.
    fn host_of_any(&mut self, direction: Direction, address: u32, mask: u32) -> Result<Condition, Refusal> {
        let ip = self.host(Some(Protocol::Ip), direction, address, mask)?;
        if self.headers.labels > 0 {
            return Ok(ip);
        }
        let arp = self.host(Some(Protocol::Arp), direction, address, mask)?;
        let rarp = self.host(Some(Protocol::Rarp), direction, address, mask)?;
        Ok(ip.or(arp).or(rarp))
    }

    pub(super) fn host6(
        &mut self,
        direction: Direction,
        address: u128,
        mask: u128,
    ) -> Result<Condition, Refusal> {
        let network = self.headers.network();
        by_direction(direction, |from_source| {
            let at = network.plus(if from_source { 8 } else { 24 });
            let ip6 = self.kind(kinds::IP6)?;
            let words = (0..4).map(|word| {
                let part = |bits: u128| (bits >> (96 - 32 * word)) as u32;
                self.masked(at.plus(4 * word), Size::Word, part(address), part(mask))
            });
            let words: Vec<_> = words.collect();
            Ok(ip6.and(Condition::all(words)))
        })
    }

    pub(super) fn station(&mut self, direction: Direction, address: [u8; 6]) -> Result<Condition, Refusal> {
        if self.headers.is_wlan() {
            return self.wlan_station(direction, address);
        }
        if self.headers.link != Link::Ethernet {
            return Err(NO_STATIONS.to_owned());
        }
        if !matches!(
            direction,
            Direction::Any | Direction::Source | Direction::Destination | Direction::Either | Direction::Both
        ) {
            return Err("only 802.11 frames have such an address".to_owned());
        }
        let header = self.headers.header;
        let stations = by_direction(direction, |from_source| {
            Ok(self.six_bytes(header.plus(if from_source { 6 } else { 0 }), address))
        })?;
        Ok(self.has_link_layer().and(stations))
    }

    /// Inside Geneve, whether there is a link layer at all: its header and what it carries start apart.
    fn has_link_layer(&mut self) -> Condition {
        let (Some(header), Some(payload)) = (self.headers.header.word, self.headers.payload.word) else {
            return Condition::Always(true);
        };
        if !self.headers.in_geneve {
            return Condition::Always(true);
        }
        self.used(Place::word(header));
        self.used(Place::word(payload));
        let load = vec![Instruction::new(LD_MEM, header), Instruction::new(LDX_MEM, payload)];
        Condition::test(load, JEQ_X, 0).negated()
    }

    /// DECnet addresses in data packets with long and short headers, behind none or one byte of padding.
    pub(super) fn decnet(&mut self, direction: Direction, address: u16) -> Result<Condition, Refusal> {
        let network = self.headers.network();
        let address = u32::from(address.swap_bytes());
        by_direction(direction, |from_source| {
            let (short, long) = if from_source { (3, 15) } else { (1, 7) };
            let decnet = self.kind(kinds::DECNET)?;
            let short_0 = self.masked(network.plus(2), Size::Byte, 0x02, 0x07).and(self.equal(
                network.plus(2 + short),
                Size::Half,
                address,
            ));
            let short_1 = self.masked(network.plus(2), Size::Half, 0x8102, 0xff07).and(self.equal(
                network.plus(3 + short),
                Size::Half,
                address,
            ));
            let long_0 = self.masked(network.plus(2), Size::Byte, 0x06, 0x07).and(self.equal(
                network.plus(2 + long),
                Size::Half,
                address,
            ));
            let long_1 = self.masked(network.plus(2), Size::Half, 0x8106, 0xff07).and(self.equal(
                network.plus(3 + long),
                Size::Half,
                address,
            ));
            Ok(decnet.and(Condition::any([short_0, short_1, long_0, long_1])))
        })
    }

    /// `ip broadcast` knows no netmask, in a file or live: it asks for 255.255.255.255 and 0.0.0.0.
    pub(super) fn broadcast(&mut self, protocol: Option<Protocol>) -> Result<Condition, Refusal> {
        match protocol {
            None | Some(Protocol::Link) => self.station(Direction::Destination, [0xff; 6]),
            Some(Protocol::Ip) => {
                let destination = self.headers.network().plus(16);
                let zeros = self.equal(destination, Size::Word, 0);
                let ones = self.equal(destination, Size::Word, u32::MAX);
                Ok(self.kind(kinds::IP)?.and(zeros.or(ones)))
            }
            Some(_) => Err("only the link layer and ip have broadcasts".to_owned()),
        }
    }

    pub(super) fn multicast(&mut self, protocol: Option<Protocol>) -> Result<Condition, Refusal> {
        let network = self.headers.network();
        match protocol {
            None | Some(Protocol::Link) if self.headers.is_wlan() => Ok(self.wlan_multicast()),
            None | Some(Protocol::Link) if self.headers.link == Link::Ethernet => {
                Ok(self.has_link_layer().and(self.any_bit(self.headers.header, 1)))
            }
            None | Some(Protocol::Link) => Err(NO_STATIONS.to_owned()),
            Some(Protocol::Ip) => {
                let load = self.load(network.plus(16), Size::Byte);
                Ok(self.kind(kinds::IP)?.and(Condition::test(load, JGE_K, 224)))
            }
            Some(Protocol::Ip6) => {
                Ok(self.kind(kinds::IP6)?.and(self.equal(network.plus(24), Size::Byte, 255)))
            }
            Some(_) => Err("only the link layer, ip and ip6 have multicasts".to_owned()),
        }
    }
}

/// A test of the source (`true`) or the destination, or of both in this order.
pub(super) fn by_direction(
    direction: Direction,
    mut test: impl FnMut(bool) -> Result<Condition, Refusal>,
) -> Result<Condition, Refusal> {
    match direction {
        Direction::Source => test(true),
        Direction::Destination => test(false),
        Direction::Both => Ok(test(true)?.and(test(false)?)),
        _ => Ok(test(true)?.or(test(false)?)),
    }
}
