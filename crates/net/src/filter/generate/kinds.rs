//! Tests of the protocol that a header names: EtherTypes and 802.2 on every link layer, protocols of IP and OSI.

use super::{Generator, Link, Refusal};
use crate::filter::condition::Condition;
use crate::filter::expression::Protocol;
use crate::filter::headers::Size;
use crate::filter::program::code::JGT_K;

/// Largest length in the type field of an Ethernet header (IEEE 802.3); what is larger is an EtherType.
const LARGEST_LENGTH: u32 = 1500;

pub(super) const IP: u32 = 0x0800;
pub(super) const IP6: u32 = 0x86dd;
pub(super) const ARP: u32 = 0x0806;
pub(super) const RARP: u32 = 0x8035;
pub(super) const DECNET: u32 = 0x6003;
pub(super) const MPLS: u32 = 0x8847;
pub(super) const PPPOE_DISCOVERY: u32 = 0x8863;
pub(super) const PPPOE_SESSION: u32 = 0x8864;
pub(super) const PPP_MPLS: u32 = 0x0281;
const ATALK: u32 = 0x809b;
const AARP: u32 = 0x80f3;
const IPX: u32 = 0x8137;
const LAT: u32 = 0x6004;
const SCA: u32 = 0x6007;
const MOPDL: u32 = 0x6001;
const MOPRC: u32 = 0x6002;
// Service access points of 802.2.
const SAP_IP: u32 = 0x06;
const SAP_STP: u32 = 0x42;
const SAP_IPX: u32 = 0xe0;
const SAP_NETBEUI: u32 = 0xf0;
const SAP_ISO: u32 = 0xfe;
/// Organisation of AppleTalk in a SNAP header.
const APPLE: u32 = 0x08_0007;
// Protocols of frames without EtherType in cooked captures.
const COOKED_802_3: u32 = 1;
const COOKED_802_2: u32 = 4;
// Protocols over OSI's network layer, and the packets of IS-IS.
const ESIS: u32 = 0x82;
const ISIS: u32 = 0x83;
const CLNP: u32 = 0x81;
const L1_HELLO: u32 = 15;
const L2_HELLO: u32 = 16;
const POINT_TO_POINT_HELLO: u32 = 17;
const L1_LSP: u32 = 18;
const L2_LSP: u32 = 20;
const L1_CSNP: u32 = 24;
const L2_CSNP: u32 = 25;
const L1_PSNP: u32 = 26;
const L2_PSNP: u32 = 27;
const IPV6_FRAGMENT: u32 = 44;

impl Generator {
    /// Whether a frame is of the protocol that a word names.
    pub(super) fn protocol(&mut self, protocol: Protocol) -> Result<Condition, Refusal> {
        match protocol {
            Protocol::Ip => self.kind(IP),
            Protocol::Ip6 => self.kind(IP6),
            Protocol::Arp => self.kind(ARP),
            Protocol::Rarp => self.kind(RARP),
            Protocol::Atalk => self.kind(ATALK),
            Protocol::Aarp => self.kind(AARP),
            Protocol::Decnet => self.kind(DECNET),
            Protocol::Lat => self.kind(LAT),
            Protocol::Sca => self.kind(SCA),
            Protocol::Mopdl => self.kind(MOPDL),
            Protocol::Moprc => self.kind(MOPRC),
            Protocol::Iso => self.kind(SAP_ISO),
            Protocol::Stp => self.kind(SAP_STP),
            Protocol::Ipx => self.kind(SAP_IPX),
            Protocol::Netbeui => self.kind(SAP_NETBEUI),
            Protocol::Sctp => self.proto(None, 132),
            Protocol::Tcp => self.proto(None, 6),
            Protocol::Udp => self.proto(None, 17),
            Protocol::Pim => self.proto(None, 103),
            Protocol::Ah => self.proto(None, 51),
            Protocol::Esp => self.proto(None, 50),
            Protocol::Icmp => self.proto(Some(Protocol::Ip), 1),
            Protocol::Igmp => self.proto(Some(Protocol::Ip), 2),
            Protocol::Igrp => self.proto(Some(Protocol::Ip), 9),
            Protocol::Vrrp | Protocol::Carp => self.proto(Some(Protocol::Ip), 112),
            Protocol::Icmp6 => self.proto(Some(Protocol::Ip6), 58),
            Protocol::Clnp => self.iso(CLNP),
            Protocol::Esis => self.iso(ESIS),
            Protocol::Isis => self.iso(ISIS),
            Protocol::IsisL1 => self.isis(&[L1_PSNP, L1_CSNP, L1_LSP, L1_HELLO, POINT_TO_POINT_HELLO]),
            Protocol::IsisL2 => self.isis(&[L2_PSNP, L2_CSNP, L2_LSP, L2_HELLO, POINT_TO_POINT_HELLO]),
            Protocol::IsisIih => self.isis(&[POINT_TO_POINT_HELLO, L1_HELLO, L2_HELLO]),
            Protocol::IsisLsp => self.isis(&[L1_LSP, L2_LSP]),
            Protocol::IsisSnp => self.isis(&[L2_PSNP, L1_PSNP, L1_CSNP, L2_CSNP]),
            Protocol::IsisCsnp => self.isis(&[L1_CSNP, L2_CSNP]),
            Protocol::IsisPsnp => self.isis(&[L1_PSNP, L2_PSNP]),
            Protocol::Link | Protocol::Radio => Err("it is no protocol of packets".to_owned()),
        }
    }

    /// `proto`: whether a header names this protocol for what it carries.
    pub(super) fn proto(&mut self, protocol: Option<Protocol>, number: u32) -> Result<Condition, Refusal> {
        match protocol {
            Some(Protocol::Ip) => {
                Ok(self.kind(IP)?.and(self.equal(self.headers.network().plus(9), Size::Byte, number)))
            }
            Some(Protocol::Ip6) => self.ip6_proto(number),
            Some(Protocol::Link) => self.kind(number),
            Some(Protocol::Iso) => self.iso(number),
            Some(_) => self.isis(&[number]),
            None => {
                let ip = self.proto(Some(Protocol::Ip), number)?;
                Ok(ip.or(self.proto(Some(Protocol::Ip6), number)?))
            }
        }
    }

    /// In IPv6, also behind a fragment header that comes first.
    fn ip6_proto(&mut self, number: u32) -> Result<Condition, Refusal> {
        let network = self.headers.network();
        let ip6 = self.kind(IP6)?;
        let next = self.equal(network.plus(6), Size::Byte, number);
        let fragment = self.equal(network.plus(6), Size::Byte, IPV6_FRAGMENT);
        let behind = self.equal(network.plus(40), Size::Byte, number);
        Ok(ip6.and(next.or(fragment.and(behind))))
    }

    fn iso(&mut self, number: u32) -> Result<Condition, Refusal> {
        let at = self.headers.payload.plus(self.headers.network_llc);
        Ok(self.kind(SAP_ISO)?.and(self.equal(at, Size::Byte, number)))
    }

    /// Packets of IS-IS of one of these types.
    fn isis(&mut self, types: &[u32]) -> Result<Condition, Refusal> {
        let at = self.headers.payload.plus(self.headers.network_llc + 4);
        let of_types: Result<Vec<_>, Refusal> =
            types.iter().map(|kind| Ok(self.iso(ISIS)?.and(self.equal(at, Size::Byte, *kind)))).collect();
        Ok(Condition::any(of_types?))
    }

    /// Whether the link layer says that it carries this: an EtherType, or a service access point up to 1500.
    pub(super) fn kind(&mut self, kind: u32) -> Result<Condition, Refusal> {
        if self.headers.labels > 0 {
            return self.behind_labels(kind);
        }
        let at = self.headers.kind;
        match self.headers.link {
            Link::Ethernet => Ok(self.ethernet_kind(kind)),
            Link::Cooked => Ok(self.cooked_kind(kind)),
            Link::Cooked2 => Ok(self.equal(at, Size::Half, kind)),
            Link::Ppp | Link::PppSerial => Ok(self.equal(at, Size::Half, ppp_kind(kind))),
            Link::Wlan | Link::WlanWithRadio => Ok(self.is_data_frame().and(self.llc_kind(kind))),
            Link::RawIp => Ok(match kind {
                IP => self.masked(self.headers.header, Size::Byte, 0x40, 0xf0),
                IP6 => self.masked(self.headers.header, Size::Byte, 0x60, 0xf0),
                _ => Condition::Always(false),
            }),
            Link::RawIp4 => Ok(Condition::Always(kind == IP)),
            Link::RawIp6 => Ok(Condition::Always(kind == IP6)),
            Link::Null => Ok(self.family(kind, true)),
            Link::Loop => Ok(self.family(kind, false)),
            Link::Unknown => {
                Err("such frames are not decoded: only `len`, `less`, `greater` and `link[...]` can be \
                                  asked of them"
                    .to_owned())
            }
        }
    }

    /// The bottom of a stack of labels, and the version of IP behind it.
    fn behind_labels(&mut self, kind: u32) -> Result<Condition, Refusal> {
        let network = self.headers.network();
        let version = match kind {
            IP => 0x40,
            IP6 => 0x60,
            _ => return Err("behind MPLS labels only IPv4 and IPv6 can be told".to_owned()),
        };
        let bottom = self.masked(network.plus(2_u32.wrapping_neg()), Size::Byte, 1, 1);
        Ok(bottom.and(self.masked(network, Size::Byte, version, 0xf0)))
    }

    fn ethernet_kind(&mut self, kind: u32) -> Condition {
        let at = self.headers.kind;
        let llc = self.headers.payload;
        match kind {
            SAP_IP | SAP_ISO | SAP_NETBEUI => {
                self.has_length().and(self.equal(llc, Size::Half, kind << 8 | kind))
            }
            SAP_IPX => {
                let ethertype = self.equal(at, Size::Half, IPX);
                let snap = self.snap(llc, 0, IPX);
                let sap = self.equal(llc, Size::Byte, SAP_IPX);
                let raw = self.equal(llc, Size::Half, 0xffff);
                ethertype.or(self.has_length().and(snap.or(sap).or(raw)))
            }
            ATALK | AARP => {
                let ethertype = self.equal(at, Size::Half, kind);
                let snap = self.snap(llc, organisation(kind), kind);
                ethertype.or(self.has_length().and(snap))
            }
            ..=LARGEST_LENGTH => self.has_length().and(self.equal(llc, Size::Byte, kind)),
            _ => self.equal(at, Size::Half, kind),
        }
    }

    /// Whether an Ethernet header has a length instead of an EtherType.
    pub(super) fn has_length(&mut self) -> Condition {
        Condition::test(self.load(self.headers.kind, Size::Half), JGT_K, LARGEST_LENGTH).negated()
    }

    fn cooked_kind(&mut self, kind: u32) -> Condition {
        let at = self.headers.kind;
        let llc = self.headers.payload;
        let has_llc = self.equal(at, Size::Half, COOKED_802_2);
        match kind {
            SAP_IP | SAP_ISO | SAP_NETBEUI => has_llc.and(self.equal(llc, Size::Half, kind << 8 | kind)),
            SAP_IPX => {
                let ethertype = self.equal(at, Size::Half, IPX);
                let raw = self.equal(at, Size::Half, COOKED_802_3);
                let sap = self.equal(llc, Size::Byte, SAP_IPX);
                let snap = self.snap(llc, 0, IPX);
                ethertype.or(raw).or(has_llc.and(sap.or(snap)))
            }
            ATALK | AARP => {
                let ethertype = self.equal(at, Size::Half, kind);
                let snap = self.snap(llc, organisation(kind), kind);
                ethertype.or(has_llc.and(snap))
            }
            ..=LARGEST_LENGTH => has_llc.and(self.equal(llc, Size::Byte, kind)),
            _ => self.equal(at, Size::Half, kind),
        }
    }

    /// In frames that always have an 802.2 header.
    fn llc_kind(&mut self, kind: u32) -> Condition {
        let llc = self.headers.payload;
        match kind {
            SAP_IP | SAP_ISO | SAP_NETBEUI => self.equal(llc, Size::Half, kind << 8 | kind),
            ATALK => self.snap(llc, APPLE, ATALK),
            ..=LARGEST_LENGTH => self.equal(llc, Size::Byte, kind),
            _ => self.equal(llc.plus(6), Size::Half, kind),
        }
    }

    /// The address family of loopback frames; `either_order` when it is in the order of the capturing machine.
    ///
    /// Systems differ in the number of IPv6: 10 is Linux, 24 NetBSD and OpenBSD, 28 FreeBSD, 30 Darwin.
    fn family(&mut self, kind: u32, either_order: bool) -> Condition {
        let families: &[u32] = match kind {
            IP => &[2],
            IP6 => &[10, 24, 28, 30],
            _ => &[],
        };
        let at = self.headers.header;
        let orders = |family: &u32| {
            [Some(family.swap_bytes()), Some(*family)].map(|order| order.filter(|_| either_order))
        };
        let values: Vec<u32> = match either_order {
            true => families.iter().flat_map(orders).flatten().collect(),
            false => families.to_vec(),
        };
        Condition::any(values.into_iter().map(|family| self.equal(at, Size::Word, family)))
    }
}

fn organisation(kind: u32) -> u32 {
    if kind == ATALK { APPLE } else { 0 }
}

/// PPP's number of a protocol (IANA "PPP DLL Protocol Numbers").
fn ppp_kind(kind: u32) -> u32 {
    match kind {
        IP => 0x21,
        IP6 => 0x57,
        DECNET => 0x27,
        ATALK => 0x29,
        0x0600 => 0x25,
        SAP_ISO => 0x23,
        SAP_STP => 0x31,
        SAP_IPX => 0x2b,
        other => other,
    }
}
