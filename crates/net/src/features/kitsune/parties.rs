//! Who a packet belongs to: the keys of its streams, as Kitsune's feature extractor chooses them.

use std::net::IpAddr;

use crate::capture::{Frame, LinkType};
use crate::features::packet_identity::{Address, Ends};
use crate::packet::icmp::{ICMP, ICMPV6};
use crate::packet::{Decoded, Fragment, Packet, Protocol, arp};

/// A host: what kind of address it is known by, then the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Host([u8; 17]);

/// A link-layer address; zeros on links without.
pub(super) type Mac = [u8; 6];

/// A host and where in it: a port of TCP or UDP, or one of the numbers above all ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Socket(Host, u32);

const OF_ICMP: u32 = 1 << 16;
const OF_ARP: u32 = 2 << 16;
const OF_OTHERS: u32 = 3 << 16;

/// The keys of one packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parties {
    pub(super) ends: Ends,
    pub(super) mac: Mac,
    pub(super) hosts: (Host, Host),
    pub(super) sockets: (Socket, Socket),
}

impl Host {
    fn new(kind: u8, address: &[u8]) -> Host {
        let mut bytes = [0; 17];
        let [first, rest @ ..] = &mut bytes;
        *first = kind;
        rest.iter_mut().zip(address).for_each(|(target, byte)| *target = *byte);
        Host(bytes)
    }

    fn of(address: Address) -> Host {
        match address {
            Address::Ip(IpAddr::V4(address)) => Host::new(4, &address.octets()),
            Address::Ip(IpAddr::V6(address)) => Host::new(6, &address.octets()),
            Address::Mac(address) => Host::new(2, &address),
        }
    }
}

impl Parties {
    /// Those of a frame; `None` for one that has no address at all.
    pub(super) fn of(frame: &Frame<'_>, decoded: &Decoded) -> Option<Parties> {
        let macs = macs(frame);
        if let Some(packet) = &decoded.packet {
            let places = places(packet);
            return Some(Parties::at(Ends::of(packet), macs, places));
        }
        match (decoded.protocol, arp::addresses(frame)) {
            (Protocol::Arp, Some((sender, target))) => {
                let ends = Ends::without_ip(Address::Ip(sender.into()), Address::Ip(target.into()));
                Some(Parties::of_arp(ends, macs.unwrap_or_default()))
            }
            _ => {
                let (source, destination) = macs?;
                let ends = Ends::without_ip(Address::Mac(source), Address::Mac(destination));
                Some(Parties::at(ends, macs, (OF_OTHERS, OF_OTHERS)))
            }
        }
    }

    fn at(ends: Ends, macs: Option<(Mac, Mac)>, places: (u32, u32)) -> Parties {
        let hosts = (Host::of(ends.source), Host::of(ends.destination));
        let sockets = (Socket(hosts.0, places.0), Socket(hosts.1, places.1));
        Parties { ends, mac: macs.unwrap_or_default().0, hosts, sockets }
    }

    /// The sockets of ARP are the link-layer addresses.
    fn of_arp(ends: Ends, macs: (Mac, Mac)) -> Parties {
        let socket = |mac| Socket(Host::of(Address::Mac(mac)), OF_ARP);
        Parties { sockets: (socket(macs.0), socket(macs.1)), ..Parties::at(ends, Some(macs), (0, 0)) }
    }
}

/// Source and destination of an Ethernet frame.
fn macs(frame: &Frame<'_>) -> Option<(Mac, Mac)> {
    let [d0, d1, d2, d3, d4, d5, source @ ..] = *frame.data.first_chunk::<12>()?;
    (frame.link == LinkType::ETHERNET).then_some((source, [d0, d1, d2, d3, d4, d5]))
}

fn places(packet: &Packet) -> (u32, u32) {
    match (packet.protocol, packet.fragment) {
        (6 | 17, Fragment::None | Fragment::First { .. }) => {
            (packet.source_port.into(), packet.destination_port.into())
        }
        (ICMP | ICMPV6, _) => (OF_ICMP, OF_ICMP),
        _ => (OF_OTHERS, OF_OTHERS),
    }
}
