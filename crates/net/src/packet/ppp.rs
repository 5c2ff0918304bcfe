//! PPP (RFC 1661) with and without HDLC-like framing (RFC 1662), PPPoE sessions (RFC 2516), and Cisco's HDLC, which
//! serial captures mix with PPP.

use super::{Fault, Network, Protocol, Stop, ethernet};

/// Reads a frame at `start`: address and control (0xff03) unless they were compressed away, then the protocol, whose
/// high byte of zero may be as well (RFC 1661 section 6.5, 6.6; a field's last byte is the odd one).
pub(super) fn decode(data: &[u8], start: usize, vlan: u16) -> Result<Network, Stop> {
    let rest = data.get(start..).unwrap_or_default();
    let framing = if rest.starts_with(&[0xff, 0x03]) { 2 } else { 0 };
    let (protocol, bytes) = match *rest.get(framing..).unwrap_or_default() {
        [low, ..] if low & 1 == 1 => (u16::from(low), 1),
        [high, low, ..] => (u16::from_be_bytes([high, low]), 2),
        _ => return Err(Fault::ShortLink.into()),
    };
    let ethertype = match protocol {
        0x0021 => ethernet::IPV4,
        0x0057 => ethernet::IPV6,
        0x0281 | 0x0283 => ethernet::MPLS,
        0x0023 => return Err(Stop::Holding(Protocol::Osi)),
        0x8000.. => return Err(Stop::Holding(Protocol::PppControl)),
        _ => return Err(Stop::Holding(Protocol::Ppp)),
    };
    Ok(Network { ethertype, start: start + framing + bytes, vlan })
}

/// Reads a PPPoE session header: version and type 1, code 0, session, length; PPP follows without framing.
pub(super) fn decode_session(data: &[u8], network: Network) -> Result<Network, Stop> {
    let rest = data.get(network.start..).unwrap_or_default();
    match *rest.first_chunk::<6>().ok_or(Fault::ShortLink)? {
        [0x11, 0, ..] => decode(data, network.start + 6, network.vlan),
        _ => Err(Stop::Holding(Protocol::PppoeSession)),
    }
}

/// Reads a frame of a serial line that runs either protocol: Cisco's starts with 0x0f (unicast) or 0x8f (broadcast),
/// PPP with 0xff (RFC 1662 section 3.1, RFC 1547 section 4.3.1).
pub(super) fn decode_serial(data: &[u8], start: usize) -> Result<Network, Stop> {
    match data.get(start) {
        Some(0x0f | 0x8f) => decode_cisco(data, start),
        _ => decode(data, start, 0),
    }
}

/// Reads Cisco's header: address, control, ethertype. Its own control protocol has the number that is reverse ARP
/// elsewhere; OSI protocols follow without LLC.
pub(super) fn decode_cisco(data: &[u8], start: usize) -> Result<Network, Stop> {
    let rest = data.get(start..).unwrap_or_default();
    let [_, _, high, low] = *rest.first_chunk().ok_or(Fault::ShortLink)?;
    match u16::from_be_bytes([high, low]) {
        0x8035 => Err(Stop::Holding(Protocol::Slarp)),
        0xfefe => Err(Stop::Holding(Protocol::Osi)),
        ethertype => Ok(Network { ethertype, start: start + 4, vlan: 0 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ethertype: u16, start: usize) -> Result<Network, Stop> {
        Ok(Network { ethertype, start, vlan: 0 })
    }

    #[test]
    fn framing_and_protocol_may_be_compressed() {
        assert_eq!(decode(&[0xff, 0x03, 0x00, 0x21, 0x45], 0, 0), found(ethernet::IPV4, 4));
        assert_eq!(decode(&[0x00, 0x57, 0x60], 0, 0), found(ethernet::IPV6, 2));
        assert_eq!(decode(&[0xff, 0x03, 0x21, 0x45], 0, 0), found(ethernet::IPV4, 3));
        assert_eq!(decode(&[0x57, 0x60], 0, 0), found(ethernet::IPV6, 1));
        assert_eq!(decode(&[0x02, 0x81, 0, 1], 0, 0), found(ethernet::MPLS, 2));
        assert_eq!(decode(&[0xc0, 0x21, 1, 1], 0, 0), Err(Stop::Holding(Protocol::PppControl)));
        assert_eq!(decode(&[0x3d, 0x80], 0, 0), Err(Stop::Holding(Protocol::Ppp)));
        for cut in [&[][..], &[0xff, 0x03], &[0xff, 0x03, 0x00], &[0x00]] {
            assert_eq!(decode(cut, 0, 0), Err(Stop::At(Fault::ShortLink)), "{cut:?}");
        }
    }

    #[test]
    fn sessions_carry_ppp_and_other_codes_do_not() {
        let network = Network { ethertype: ethernet::PPPOE_SESSION, start: 0, vlan: 3 };
        let session = [0x11, 0, 0, 1, 0, 22, 0x00, 0x21, 0x45];
        let ip = Network { ethertype: ethernet::IPV4, start: 8, vlan: 3 };
        assert_eq!(decode_session(&session, network), Ok(ip));
        assert_eq!(
            decode_session(&[0x11, 0xa7, 0, 1, 0, 0], network),
            Err(Stop::Holding(Protocol::PppoeSession))
        );
        assert_eq!(decode_session(&session[..5], network), Err(Stop::At(Fault::ShortLink)));
    }

    #[test]
    fn serial_lines_run_either_protocol() {
        assert_eq!(decode_serial(&[0x0f, 0, 0x08, 0x00, 0x45], 0), found(ethernet::IPV4, 4));
        assert_eq!(decode_serial(&[0xff, 0x03, 0x00, 0x21, 0x45], 0), found(ethernet::IPV4, 4));
        assert_eq!(decode_serial(&[0x8f, 0, 0x80, 0x35], 0), Err(Stop::Holding(Protocol::Slarp)));
        assert_eq!(decode_cisco(&[0x0f, 0, 0xfe, 0xfe, 0x81], 0), Err(Stop::Holding(Protocol::Osi)));
        assert_eq!(decode_cisco(&[0x0f, 0, 0x08], 0), Err(Stop::At(Fault::ShortLink)));
    }
}
