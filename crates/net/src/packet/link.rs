//! Which decoder a link type goes to, and the small ones: raw IP and BSD loopback.

use super::{Fault, Network, ethernet, sll};
use crate::capture::LinkType;

/// Reads the link header: which network protocol follows, where it starts, in which VLAN.
#[inline]
pub(super) fn decode(link: LinkType, data: &[u8]) -> Result<Network, Fault> {
    match link {
        LinkType::ETHERNET => ethernet::decode(data),
        LinkType::LINUX_SLL => sll::decode(data),
        LinkType::LINUX_SLL2 => sll::decode_v2(data),
        LinkType::RAW | LinkType::DLT_RAW | LinkType::DLT_RAW_OPENBSD => raw(data),
        LinkType::IPV4 => Ok(Network { ethertype: ethernet::IPV4, start: 0, vlan: 0 }),
        LinkType::IPV6 => Ok(Network { ethertype: ethernet::IPV6, start: 0, vlan: 0 }),
        LinkType::NULL | LinkType::LOOP => loopback(data),
        _ => Err(Fault::UndecodedLink),
    }
}

/// Raw IP: the first nibble is the IP version.
fn raw(data: &[u8]) -> Result<Network, Fault> {
    let ethertype = match data.first().ok_or(Fault::ShortLink)? >> 4 {
        4 => ethernet::IPV4,
        6 => ethernet::IPV6,
        _ => return Err(Fault::BadIpVersion),
    };
    Ok(Network { ethertype, start: 0, vlan: 0 })
}

/// BSD loopback: a 4-byte address family, in the capturing machine's byte order (`NULL`) or the network's
/// (`LOOP`). Families are small numbers, so the order shows by itself. IPv6 has another number on each system.
fn loopback(data: &[u8]) -> Result<Network, Fault> {
    const AF_INET: u32 = 2;
    const AF_INET6_LINUX: u32 = 10;
    const AF_INET6_WINDOWS: u32 = 23;
    const AF_INET6_NETBSD: u32 = 24;
    const AF_INET6_FREEBSD: u32 = 28;
    const AF_INET6_DARWIN: u32 = 30;
    let family = u32::from_le_bytes(*data.first_chunk().ok_or(Fault::ShortLink)?);
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    let ethertype = match family {
        AF_INET => ethernet::IPV4,
        AF_INET6_LINUX | AF_INET6_WINDOWS | AF_INET6_NETBSD | AF_INET6_FREEBSD | AF_INET6_DARWIN => {
            ethernet::IPV6
        }
        _ => 0,
    };
    Ok(Network { ethertype, start: 4, vlan: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_families_of_either_byte_order() {
        let ipv6 = Ok(Network { ethertype: ethernet::IPV6, start: 4, vlan: 0 });
        assert_eq!(decode(LinkType::NULL, &[30, 0, 0, 0, 0x60]), ipv6);
        assert_eq!(decode(LinkType::LOOP, &[0, 0, 0, 24, 0x60]), ipv6);
        assert_eq!(decode(LinkType::NULL, &[2, 0, 0, 0]).map(|n| n.ethertype), Ok(ethernet::IPV4));
        assert_eq!(decode(LinkType::NULL, &[7, 0, 0, 0]).map(|n| n.ethertype), Ok(0));
        assert_eq!(decode(LinkType::NULL, &[2, 0, 0]), Err(Fault::ShortLink));
    }

    #[test]
    fn raw_ip_goes_by_its_version_nibble() {
        assert_eq!(decode(LinkType::RAW, &[0x45]).map(|n| n.ethertype), Ok(ethernet::IPV4));
        assert_eq!(decode(LinkType(12), &[0x60]).map(|n| n.ethertype), Ok(ethernet::IPV6));
        assert_eq!(decode(LinkType(14), &[0x50]), Err(Fault::BadIpVersion));
        assert_eq!(decode(LinkType::RAW, &[]), Err(Fault::ShortLink));
    }

    #[test]
    fn other_link_types_are_named_as_undecoded() {
        assert_eq!(decode(LinkType(105), &[0; 64]), Err(Fault::UndecodedLink));
    }
}
