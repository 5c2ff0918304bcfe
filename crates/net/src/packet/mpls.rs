//! MPLS label stacks (RFC 3032) over IP and over Ethernet pseudowires (RFC 4448).

use super::{Fault, Network, Protocol, Stop, ethernet};

/// Labels in one stack. Networks use three or four.
const MAX_LABELS: usize = 16;

/// Reads the label stack at `network.start`. Nothing in it says what follows, so the first nibble behind it decides,
/// as routers do when they balance load (RFC 4928 section 2) and much as Wireshark does:
/// - 4 or 6 with an IP header whose lengths are possible: IP;
/// - 1: an associated channel (RFC 4385 section 5), which carries no traffic of hosts;
/// - whatever looks like Ethernet: a pseudowire without control word. This comes before the next rule, which would
///   take the place of a VLAN tag for that of the type;
/// - 0 with something that looks like Ethernet 4 bytes on: a pseudowire with its control word (section 3).
///
/// Anything else stays MPLS.
pub(super) fn decode(data: &[u8], network: Network) -> Result<Network, Stop> {
    let start = after_labels(data, network.start)?;
    let rest = data.get(start..).unwrap_or_default();
    let nibble = rest.first().ok_or(Fault::ShortLink)? >> 4;
    match nibble {
        4 if is_ipv4(rest) => Ok(Network { ethertype: ethernet::IPV4, start, ..network }),
        6 if is_ipv6(rest) => Ok(Network { ethertype: ethernet::IPV6, start, ..network }),
        1 => Err(Stop::Holding(Protocol::Mpls)),
        _ if is_ethernet(Some(rest)) => Ok(ethernet::decode_at(data, start)?),
        0 if is_ethernet(rest.get(4..)) => Ok(ethernet::decode_at(data, start + 4)?),
        _ => Err(Stop::Holding(Protocol::Mpls)),
    }
}

/// Where the stack ends: behind the label whose bottom bit is set.
fn after_labels(data: &[u8], start: usize) -> Result<usize, Fault> {
    for count in 1..=MAX_LABELS {
        let end = start + 4 * count;
        let [_, _, bottom, _] =
            data.get(end - 4..).and_then(|rest| rest.first_chunk()).ok_or(Fault::ShortLink)?;
        if bottom & 1 == 1 {
            return Ok(end);
        }
    }
    Err(Fault::TooManyTags)
}

fn is_ipv4(data: &[u8]) -> bool {
    data.first_chunk().is_none_or(|&[version, _, high, low]| {
        let (header, total) = (u16::from(version & 0x0f) * 4, u16::from_be_bytes([high, low]));
        header >= 20 && (total == 0 || total >= header)
    })
}

/// A MAC address may begin with 6 as well; that of a frame with a plausible type wins when IPv6's next header does
/// not lead to a known protocol.
fn is_ipv6(data: &[u8]) -> bool {
    let known = data.get(6).is_none_or(|&next| Protocol::of_ip(next) != Protocol::OtherIp || next < 61);
    known || !is_ethernet(Some(data))
}

/// Whether the bytes have a type that is known where Ethernet has it, or a length that fits and LLC behind.
fn is_ethernet(data: Option<&[u8]>) -> bool {
    let Some(&[high, low, destination, source]) =
        data.and_then(|data| data.get(12..)).and_then(|rest| rest.first_chunk())
    else {
        return false;
    };
    let ethertype = u16::from_be_bytes([high, low]);
    if ethernet::is_tag(ethertype) {
        return true;
    }
    match Protocol::of_ethertype(ethertype) {
        Protocol::Unknown => false,
        Protocol::Llc => {
            usize::from(ethertype) + 14 <= data.map_or(0, <[u8]>::len)
                && destination == source
                && destination != 0
        }
        Protocol::Ipv4 => destination >> 4 == 4,
        Protocol::Ipv6 => destination >> 4 == 6,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ipv4, ipv6};
    use super::*;

    const LABEL: [u8; 4] = [0, 1, 0x30, 64];
    const BOTTOM: [u8; 4] = [0, 1, 0x31, 64];

    fn decode_stack(labels: usize, content: &[u8]) -> Result<Network, Stop> {
        let data = [&LABEL.repeat(labels)[..], &BOTTOM, content].concat();
        decode(&data, Network { ethertype: ethernet::MPLS, start: 0, vlan: 7 })
    }

    fn frame(first: u8, tail: &[u8]) -> Vec<u8> {
        [&[first; 12], tail].concat()
    }

    #[test]
    fn ip_by_its_nibble_behind_any_stack() {
        let found = |ethertype, start| Ok(Network { ethertype, start, vlan: 7 });
        assert_eq!(decode_stack(0, &ipv4(17, 28, 0, &[0; 8])), found(ethernet::IPV4, 4));
        assert_eq!(decode_stack(2, &ipv6(17, 8, &[0; 8])), found(ethernet::IPV6, 12));
        assert_eq!(decode_stack(15, &ipv4(17, 28, 0, &[0; 8])), found(ethernet::IPV4, 64));
        assert_eq!(decode_stack(16, &ipv4(17, 28, 0, &[0; 8])), Err(Stop::At(Fault::TooManyTags)));
    }

    #[test]
    fn pseudowires_with_and_without_control_word() {
        let ip = [&[0x08, 0x00][..], &ipv4(17, 28, 0, &[0; 8])].concat();
        let found = |start, vlan| Ok(Network { ethertype: ethernet::IPV4, start, vlan });
        assert_eq!(decode_stack(0, &[&[0, 0, 0, 9][..], &frame(0x02, &ip)].concat()), found(22, 0));
        for first in [0x02, 0x44, 0x6c] {
            assert_eq!(decode_stack(0, &frame(first, &ip)), found(18, 0), "{first}");
        }
        let tagged = [&[0x81, 0x00, 0x00, 0x05][..], &ip].concat();
        assert_eq!(decode_stack(0, &frame(0x00, &tagged)), found(22, 5));
    }

    #[test]
    fn what_cannot_be_told_stays_mpls() {
        let mpls = Err(Stop::Holding(Protocol::Mpls));
        assert_eq!(decode_stack(0, &[0x10, 0, 0, 0x21, 0, 0, 0, 0]), mpls);
        assert_eq!(decode_stack(0, &[0xff; 30]), mpls);
        assert_eq!(decode_stack(0, &[]), Err(Stop::At(Fault::ShortLink)));
        assert_eq!(
            decode(&LABEL, Network { ethertype: 0, start: 0, vlan: 0 }),
            Err(Stop::At(Fault::ShortLink))
        );
    }
}
