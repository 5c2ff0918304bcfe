//! Linux cooked captures, versions 1 and 2 (`tcpdump -i any`).

use super::{Fault, Network, ethernet};

/// Version 1, 16 bytes: packet type, ARPHRD type, address length, address (8), protocol.
pub(super) fn decode(data: &[u8]) -> Result<Network, Fault> {
    let header: &[u8; 16] = data.first_chunk().ok_or(Fault::ShortLink)?;
    let [_, _, type_high, type_low, .., high, low] = *header;
    let ethertype = protocol(u16::from_be_bytes([type_high, type_low]), u16::from_be_bytes([high, low]));
    ethernet::decode_tags(data, ethertype, 16)
}

/// Version 2, 20 bytes: protocol, reserved, interface, ARPHRD type, packet type, address length, address (8).
pub(super) fn decode_v2(data: &[u8]) -> Result<Network, Fault> {
    let header: &[u8; 20] = data.first_chunk().ok_or(Fault::ShortLink)?;
    let [high, low, _, _, _, _, _, _, type_high, type_low, ..] = *header;
    let ethertype = protocol(u16::from_be_bytes([type_high, type_low]), u16::from_be_bytes([high, low]));
    ethernet::decode_tags(data, ethertype, 20)
}

/// The protocol field is an ethertype except on devices whose frames have their own numbering
/// (tcpdump.org, LINKTYPE_LINUX_SLL): those become 0, unknown.
fn protocol(arphrd: u16, protocol: u16) -> u16 {
    const FRAME_RELAY: u16 = 770;
    const IEEE_802_11: std::ops::RangeInclusive<u16> = 801..=803;
    const NETLINK: u16 = 824;
    if arphrd == FRAME_RELAY || arphrd == NETLINK || IEEE_802_11.contains(&arphrd) { 0 } else { protocol }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_and_their_vlan_tags() {
        let v1 = [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x86, 0xdd];
        assert_eq!(decode(&v1), Ok(Network { ethertype: ethernet::IPV6, start: 16, vlan: 0 }));
        let tagged = [0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x81, 0x00, 0x00, 0x05, 0x08, 0x00];
        assert_eq!(decode(&tagged), Ok(Network { ethertype: ethernet::IPV4, start: 20, vlan: 5 }));
        let v2 = [0x08, 0x00, 0, 0, 0, 0, 0, 2, 0, 1, 4, 6, 1, 2, 3, 4, 5, 6, 0, 0];
        assert_eq!(decode_v2(&v2), Ok(Network { ethertype: ethernet::IPV4, start: 20, vlan: 0 }));
        assert_eq!(decode_v2(&v2[..19]), Err(Fault::ShortLink));
    }

    #[test]
    fn netlink_protocols_are_no_ethertypes() {
        let netlink = [0, 0, 0x03, 0x38, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x08, 0x00];
        assert_eq!(decode(&netlink).map(|network| network.ethertype), Ok(0));
    }
}
