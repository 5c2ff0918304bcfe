//! Headers between the link layer's ethertype and IP: labels, sessions, service chains, and the tags that switches
//! put on frames inside their own fabric.

use super::{Fault, Network, Protocol, Stop, ethernet, mpls, ppp};

/// Headers followed in one frame; networks stack two or three.
const MAX_SHIMS: usize = 8;

const FABRIC_PATH: u16 = 0x8903;
const CISCO_METADATA: u16 = 0x8909;
const VN_TAG: u16 = 0x8926;
const E_TAG: u16 = 0x893f;
const NSH: u16 = 0x894f;

/// Goes on to IP, or to the first thing that does not lead there.
pub(super) fn follow(data: &[u8], mut network: Network) -> Result<Network, Stop> {
    for _ in 0..=MAX_SHIMS {
        let start = network.start;
        network = match network.ethertype {
            ethernet::IPV4 | ethernet::IPV6 => return Ok(network),
            ethernet::MPLS | ethernet::MPLS_MULTICAST => mpls::decode(data, network)?,
            ethernet::PPPOE_SESSION => ppp::decode_session(data, network)?,
            FABRIC_PATH => ethernet::decode_at(data, start + 2)?,
            CISCO_METADATA => decode_metadata(data, network)?,
            VN_TAG => after(data, network, 6)?,
            E_TAG => after(data, network, 8)?,
            NSH => decode_service(data, network)?,
            tag if ethernet::is_tag(tag) => ethernet::decode_tags(data, tag, start)?,
            other => return Err(Stop::Holding(Protocol::of_ethertype(other))),
        };
    }
    Err(Fault::TooManyTags.into())
}

/// A header of fixed length whose last two bytes are the next ethertype: IEEE 802.1BR E-tag and VN-tag.
fn after(data: &[u8], network: Network, bytes: usize) -> Result<Network, Fault> {
    let start = network.start + bytes;
    let [high, low] = *data.get(start - 2..).and_then(|rest| rest.first_chunk()).ok_or(Fault::ShortLink)?;
    Ok(Network { ethertype: u16::from_be_bytes([high, low]), start, ..network })
}

/// Cisco's metadata, version 1 with one option, the security group:
/// 6 bytes, with the next ethertype behind them on Ethernet and before them in GRE.
fn decode_metadata(data: &[u8], network: Network) -> Result<Network, Stop> {
    let rest = data.get(network.start..).unwrap_or_default();
    let ethertype = match *rest.first_chunk::<8>().ok_or(Fault::ShortLink)? {
        [1, 1, .., high, low] | [high, low, 1, 1, ..] => u16::from_be_bytes([high, low]),
        _ => return Err(Stop::Holding(Protocol::Unknown)),
    };
    Ok(Network { ethertype, start: network.start + 8, ..network })
}

/// Network service header (RFC 8300 section 2.2): its length in words of 4 bytes, and a number for what follows.
fn decode_service(data: &[u8], network: Network) -> Result<Network, Stop> {
    let rest = data.get(network.start..).unwrap_or_default();
    let [version, length, _, next] = *rest.first_chunk().ok_or(Fault::ShortLink)?;
    let start = network.start + usize::from(length & 0x3f) * 4;
    match (version >> 6, next) {
        (0, 1) => Ok(Network { ethertype: ethernet::IPV4, start, ..network }),
        (0, 2) => Ok(Network { ethertype: ethernet::IPV6, start, ..network }),
        (0, 3) => Ok(ethernet::decode_at(data, start)?),
        (0, 5) => Ok(Network { ethertype: ethernet::MPLS, start, ..network }),
        _ => Err(Stop::Holding(Protocol::Unknown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(ethertype: u16) -> Network {
        Network { ethertype, start: 0, vlan: 4 }
    }

    #[test]
    fn labels_sessions_and_tags_lead_to_ip_within_a_bound() {
        // PPPoE, in it MPLS, in it an Ethernet pseudowire with a tag.
        let data = [
            &[0x11, 0, 0, 1, 0, 40, 0x02, 0x81][..],
            &[0, 1, 1, 64],
            &[2; 12],
            &[0x81, 0, 0, 9, 0x08, 0, 0x45],
        ];
        let found = Network { ethertype: ethernet::IPV4, start: 30, vlan: 9 };
        assert_eq!(follow(&data.concat(), start(ethernet::PPPOE_SESSION)), Ok(found));
        let session = [0x11, 0, 0, 1, 0, 40, 0x02, 0x81, 0, 1, 1, 64];
        let nested = [&session[..], &[2; 12], &[0x88, 0x64]].concat().repeat(9);
        assert_eq!(follow(&nested, start(ethernet::PPPOE_SESSION)), Err(Stop::At(Fault::TooManyTags)));
    }

    #[test]
    fn tags_of_fabrics_and_service_chains() {
        let ip = |start, vlan| Ok(Network { ethertype: ethernet::IPV4, start, vlan });
        let frame = [&[2; 12][..], &[0x08, 0x00, 0x45]].concat();
        assert_eq!(follow(&[&[0x40, 0x20], &frame[..]].concat(), start(FABRIC_PATH)), ip(16, 0));
        assert_eq!(follow(&[1, 1, 0, 1, 0, 7, 8, 0, 0x45], start(CISCO_METADATA)), ip(8, 4));
        assert_eq!(follow(&[8, 0, 1, 1, 0, 1, 0, 7, 0x45], start(CISCO_METADATA)), ip(8, 4));
        assert_eq!(follow(&[0x80, 1, 0, 2, 8, 0, 0x45], start(VN_TAG)), ip(6, 4));
        assert_eq!(follow(&[0x10, 0, 0, 0xd3, 0, 0, 8, 0, 0x45], start(E_TAG)), ip(8, 4));
        let chain = [&[0x0f, 0xc2, 2, 1][..], &[0, 0, 1, 255], &[0x45]].concat();
        assert_eq!(follow(&chain, start(NSH)), ip(8, 4));
        let chain = [&[0x0f, 0xc2, 2, 3][..], &[0, 0, 1, 255], &frame].concat();
        assert_eq!(follow(&chain, start(NSH)), ip(22, 0));
        assert_eq!(follow(&[1, 1, 0, 1, 0, 7, 8], start(CISCO_METADATA)), Err(Stop::At(Fault::ShortLink)));
    }
}
