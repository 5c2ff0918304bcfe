//! Ethernet II and IEEE 802.3 with LLC/SNAP, under any stack of VLAN tags (IEEE 802.1Q, 802.1ad, QinQ).

use super::{Fault, Network};

/// Bytes of destination, source and type.
pub(super) const HEADER_BYTES: usize = 14;
/// Ethertype of IPv4.
pub(super) const IPV4: u16 = 0x0800;
/// Ethertype of IPv6.
pub(super) const IPV6: u16 = 0x86dd;
/// Ethertype of MPLS.
pub(super) const MPLS: u16 = 0x8847;
/// Ethertype of MPLS whose labels the sender of a multicast assigned.
pub(super) const MPLS_MULTICAST: u16 = 0x8848;
/// Ethertype of PPPoE once a session is up.
pub(super) const PPPOE_SESSION: u16 = 0x8864;
/// Below this an ethertype is the length of an IEEE 802.3 frame.
const FIRST_ETHERTYPE: u16 = 0x0600;
/// Tags accepted on one frame. Networks use two; more than this many is an attack on decoders.
const MAX_TAGS: usize = 8;

/// Reads the header, then the tags.
pub(super) fn decode(data: &[u8]) -> Result<Network, Fault> {
    let ethertype = ethertype(data).ok_or(Fault::ShortLink)?;
    decode_tags(data, ethertype, HEADER_BYTES)
}

/// The type in the header; `None` when that was not captured whole.
#[inline]
pub(super) fn ethertype(data: &[u8]) -> Option<u16> {
    let [.., high, low] = *data.first_chunk::<HEADER_BYTES>()?;
    Some(u16::from_be_bytes([high, low]))
}

/// Follows VLAN tags and LLC/SNAP from `ethertype`, whose payload begins at `start`.
pub(super) fn decode_tags(data: &[u8], mut ethertype: u16, mut start: usize) -> Result<Network, Fault> {
    let mut vlan = 0;
    let mut tags = 0;
    while is_tag(ethertype) {
        tags += 1;
        if tags > MAX_TAGS {
            return Err(Fault::TooManyTags);
        }
        let [control_high, control_low, high, low] = *chunk(data, start)?;
        vlan = u16::from_be_bytes([control_high, control_low]) & 0x0fff;
        ethertype = u16::from_be_bytes([high, low]);
        start += 4;
    }
    let (ethertype, start) = match ethertype {
        0..FIRST_ETHERTYPE => decode_llc(data, start).unwrap_or((ethertype, start)),
        _ => (ethertype, start),
    };
    Ok(Network { ethertype, start, vlan })
}

/// Whether an ethertype is that of a VLAN tag.
pub(super) fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300)
}

/// Reads a frame that starts inside the data.
pub(super) fn decode_at(data: &[u8], start: usize) -> Result<Network, Fault> {
    let network = decode(data.get(start..).ok_or(Fault::ShortLink)?)?;
    Ok(Network { start: start + network.start, ..network })
}

/// IEEE 802.2: a SNAP header with an all-zero organisation code holds an ethertype (RFC 1042), and service
/// access point 6 is IPv4. Anything else stays LLC.
pub(super) fn decode_llc(data: &[u8], start: usize) -> Option<(u16, usize)> {
    let rest = data.get(start..)?;
    match *rest.first_chunk::<3>()? {
        [0xaa, 0xaa, 0x03] => match *rest.first_chunk::<8>()? {
            [.., 0, 0, 0, high, low] => Some((u16::from_be_bytes([high, low]), start + 8)),
            _ => None,
        },
        [0x06, 0x06, 0x03] => Some((IPV4, start + 3)),
        _ => None,
    }
}

fn chunk<const N: usize>(data: &[u8], start: usize) -> Result<&[u8; N], Fault> {
    data.get(start..).and_then(|rest| rest.first_chunk()).ok_or(Fault::ShortLink)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twelve address bytes, then `tail`.
    fn frame(tail: &[u8]) -> Vec<u8> {
        [&[0; 12], tail].concat()
    }

    #[test]
    fn plain_and_tagged() {
        let ip = |start, vlan| Ok(Network { ethertype: IPV4, start, vlan });
        assert_eq!(decode(&frame(&[0x08, 0x00])), ip(14, 0));
        assert_eq!(decode(&frame(&[0x81, 0x00, 0x60, 0x2a, 0x08, 0x00])), ip(18, 42));
        // 802.1ad outer 7, 802.1Q inner 9: the inner one counts.
        assert_eq!(decode(&frame(&[0x88, 0xa8, 0x00, 0x07, 0x81, 0x00, 0xe0, 0x09, 0x08, 0x00])), ip(22, 9));
        // a priority tag only
        assert_eq!(decode(&frame(&[0x81, 0x00, 0xe0, 0x00, 0x08, 0x00])), ip(18, 0));
    }

    #[test]
    fn cut_headers_and_endless_tags() {
        assert_eq!(decode(&[0; 13]), Err(Fault::ShortLink));
        assert_eq!(decode(&frame(&[0x81, 0x00, 0x00, 0x01, 0x08])), Err(Fault::ShortLink));
        let tags = |count| frame(&[&[0x81, 0, 0, 1].repeat(count)[..], &[0x08, 0x00]].concat());
        assert_eq!(
            decode(&tags(MAX_TAGS)),
            Ok(Network { ethertype: IPV4, start: 14 + 4 * MAX_TAGS, vlan: 1 })
        );
        assert_eq!(decode(&tags(MAX_TAGS + 1)), Err(Fault::TooManyTags));
    }

    #[test]
    fn snap_carries_an_ethertype_and_spanning_tree_does_not() {
        let snap = frame(&[0x00, 0x08, 0xaa, 0xaa, 0x03, 0, 0, 0, 0x86, 0xdd]);
        assert_eq!(decode(&snap), Ok(Network { ethertype: IPV6, start: 22, vlan: 0 }));
        let spanning_tree = frame(&[0x00, 0x26, 0x42, 0x42, 0x03, 0, 0, 0]);
        assert_eq!(decode(&spanning_tree), Ok(Network { ethertype: 0x26, start: 14, vlan: 0 }));
    }
}
