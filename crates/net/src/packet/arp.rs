//! ARP (RFC 826): who asks for whom. It is no packet of a flow; only feature sets that count every frame look into it.

use std::net::Ipv4Addr;

use super::{ethernet, link};
use crate::capture::Frame;

const ARP: u16 = 0x0806;

/// The IPv4 addresses of sender and target; `None` when the frame is no ARP about IPv4, or is cut.
pub(crate) fn addresses(frame: &Frame<'_>) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let network = link::decode(frame.link, frame.data).ok()?;
    let data = frame.data.get(network.start..)?;
    let [_, _, p1, p0, hardware_bytes, 4, _, _] = *data.first_chunk::<8>()? else { return None };
    if (network.ethertype, u16::from_be_bytes([p1, p0])) != (ARP, ethernet::IPV4) {
        return None;
    }
    let hardware_bytes = usize::from(hardware_bytes);
    let address = |start: usize| Some(Ipv4Addr::from_octets(*data.get(start..)?.first_chunk()?));
    Some((address(8 + hardware_bytes)?, address(12 + 2 * hardware_bytes)?))
}
