//! Which decoder a link type goes to, and the small ones: raw IP, BSD loopback and per-packet information.

use super::{Fault, Network, Stop, ethernet, ppp, sll, wlan};
use crate::capture::LinkType;

/// Reads the link header: which network protocol follows, where it starts, in which VLAN.
pub(super) fn decode(link: LinkType, data: &[u8]) -> Result<Network, Stop> {
    match link {
        LinkType::ETHERNET => Ok(ethernet::decode(data)?),
        LinkType::LINUX_SLL => Ok(sll::decode(data)?),
        LinkType::LINUX_SLL2 => Ok(sll::decode_v2(data)?),
        LinkType::RAW | LinkType::DLT_RAW | LinkType::DLT_RAW_OPENBSD => Ok(raw(data, 0, 0)?),
        LinkType::IPV4 => Ok(Network { ethertype: ethernet::IPV4, start: 0, vlan: 0 }),
        LinkType::IPV6 => Ok(Network { ethertype: ethernet::IPV6, start: 0, vlan: 0 }),
        LinkType::NULL | LinkType::LOOP => Ok(loopback(data)?),
        LinkType::PPI => information(data),
        link => decode_rarer(link, data),
    }
}

/// Serial lines and radio.
fn decode_rarer(link: LinkType, data: &[u8]) -> Result<Network, Stop> {
    match link {
        LinkType::PPP => ppp::decode(data, 0, 0),
        LinkType::PPP_HDLC => ppp::decode_serial(data, 0),
        LinkType::PPP_WITH_DIR => ppp::decode(data, 1, 0),
        LinkType::PPP_ETHER => {
            ppp::decode_session(data, Network { ethertype: ethernet::PPPOE_SESSION, start: 0, vlan: 0 })
        }
        LinkType::C_HDLC => ppp::decode_cisco(data, 0),
        LinkType::C_HDLC_WITH_DIR => ppp::decode_cisco(data, 1),
        LinkType::IEEE802_11 => wlan::decode(data, 0),
        LinkType::IEEE802_11_RADIOTAP => wlan::decode_radiotap(data),
        LinkType::IEEE802_11_PRISM => wlan::decode_prism(data),
        LinkType::IEEE802_11_AVS => wlan::decode_avs(data),
        _ => Err(Fault::UndecodedLink.into()),
    }
}

/// Raw IP at `start`: the first nibble is the IP version.
pub(super) fn raw(data: &[u8], start: usize, vlan: u16) -> Result<Network, Fault> {
    let ethertype = match data.get(start).ok_or(Fault::ShortLink)? >> 4 {
        4 => ethernet::IPV4,
        6 => ethernet::IPV6,
        _ => return Err(Fault::BadIpVersion),
    };
    Ok(Network { ethertype, start, vlan })
}

/// Per-packet information (PPI 1.0.7): version, flags, length of all of it, link type of the frame behind it, each
/// little-endian. It never nests.
fn information(data: &[u8]) -> Result<Network, Stop> {
    let [version, _, length_low, length_high, link @ ..] =
        *data.first_chunk::<8>().ok_or(Fault::ShortLink)?;
    let header_bytes = usize::from(u16::from_le_bytes([length_low, length_high]));
    let link = LinkType(u32::from_le_bytes(link));
    if version != 0 || header_bytes < 8 || link == LinkType::PPI {
        return Err(Fault::BadRadioHeader.into());
    }
    let network = decode(link, data.get(header_bytes..).ok_or(Fault::ShortLink)?)?;
    Ok(Network { start: header_bytes + network.start, ..network })
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
        assert_eq!(decode(LinkType::NULL, &[2, 0, 0]), Err(Stop::At(Fault::ShortLink)));
    }

    #[test]
    fn raw_ip_goes_by_its_version_nibble() {
        assert_eq!(decode(LinkType::RAW, &[0x45]).map(|n| n.ethertype), Ok(ethernet::IPV4));
        assert_eq!(decode(LinkType(12), &[0x60]).map(|n| n.ethertype), Ok(ethernet::IPV6));
        assert_eq!(decode(LinkType(14), &[0x50]), Err(Stop::At(Fault::BadIpVersion)));
        assert_eq!(decode(LinkType::RAW, &[]), Err(Stop::At(Fault::ShortLink)));
    }

    #[test]
    fn other_link_types_are_named_as_undecoded() {
        assert_eq!(decode(LinkType(147), &[0; 64]), Err(Stop::At(Fault::UndecodedLink)));
    }

    #[test]
    fn every_serial_and_radio_link_type_has_its_decoder() {
        let ip = |start| Ok(Network { ethertype: ethernet::IPV4, start, vlan: 0 });
        assert_eq!(decode(LinkType(9), &[0xff, 0x03, 0, 0x21, 0x45]), ip(4));
        assert_eq!(decode(LinkType(50), &[0x0f, 0, 0x08, 0, 0x45]), ip(4));
        assert_eq!(decode(LinkType(51), &[0x11, 0, 0, 1, 0, 3, 0, 0x21, 0x45]), ip(8));
        assert_eq!(decode(LinkType(104), &[0x0f, 0, 0x08, 0, 0x45]), ip(4));
        assert_eq!(decode(LinkType(204), &[1, 0xff, 0x03, 0, 0x21, 0x45]), ip(5));
        assert_eq!(decode(LinkType(205), &[0, 0x0f, 0, 0x08, 0, 0x45]), ip(5));
        for (link, header) in [(105, 0), (119, 144), (127, 8), (163, 64)] {
            let mut data = vec![0; header];
            data.iter_mut().zip([0, 0, 8, 0]).for_each(|(byte, value)| *byte = value);
            if link == 163 {
                data[7] = 64;
            }
            data.extend([&[0x08, 0x01][..], &[0; 22], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]].concat());
            assert_eq!(decode(LinkType(link), &data), ip(header + 32), "{link}");
        }
    }

    #[test]
    fn per_packet_information_names_the_link_type_behind_it() {
        let ethernet = [&[0; 12][..], &[0x08, 0x00, 0x45]].concat();
        let data = [&[0, 0, 12, 0, 1, 0, 0, 0, 9, 9, 9, 9][..], &ethernet].concat();
        assert_eq!(
            decode(LinkType::PPI, &data),
            Ok(Network { ethertype: ethernet::IPV4, start: 26, vlan: 0 })
        );
        let nested = [0, 0, 8, 0, 192, 0, 0, 0, 0];
        assert_eq!(decode(LinkType::PPI, &nested), Err(Stop::At(Fault::BadRadioHeader)));
    }
}
