//! Teredo: IPv6 over UDP through address translators (RFC 4380).

use super::ethernet;
use super::protocol::TunnelKind;
use super::tunnel::{Carried, Content};

/// The port of servers and relays; clients talk from any port.
pub(super) const PORT: u16 = 3544;

/// Finds the IPv6 packet in `bytes` bytes of payload, behind an authentication and an origin indication if there
/// are any (section 5.1.1). It must be IPv6 of at most that length, and one of its addresses must be Teredo's or
/// link-local, as those of all packets between a client and its server, relay or peer are.
pub(super) fn decode(data: &[u8], bytes: u32) -> Option<Carried> {
    let start = after_origin(data, after_authentication(data)?);
    let header: &[u8; 40] = data.get(start..)?.first_chunk()?;
    let [version, _, _, _, length_high, length_low, _, _, addresses @ ..] = *header;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let fits = start + 40 + length <= bytes as usize;
    let [source, destination] = [addresses.first_chunk()?, addresses.get(16..)?.first_chunk()?];
    (version >> 4 == 6 && fits && (is_teredo(source) || is_teredo(destination))).then_some(Carried {
        kind: TunnelKind::Teredo,
        id: 0,
        content: Content::Ethertype(ethernet::IPV6),
        start,
    })
}

/// Authentication: 0x0001, two lengths, client identifier, authentication value, nonce (8), confirmation (1).
fn after_authentication(data: &[u8]) -> Option<usize> {
    match *data.first_chunk::<4>()? {
        [0, 1, identifier, value] => Some(4 + usize::from(identifier) + usize::from(value) + 9),
        _ => Some(0),
    }
}

/// Origin: 0x0000, port (2), IPv4 address (4).
fn after_origin(data: &[u8], start: usize) -> usize {
    match data.get(start..).and_then(|rest| rest.first_chunk::<2>()) {
        Some([0, 0]) => start + 8,
        _ => start,
    }
}

/// 2001::/32, the prefix of experiments before it (3ffe:831f::/32), or fe80::/10.
fn is_teredo(address: &[u8; 4]) -> bool {
    match *address {
        [0x20, 0x01, 0, 0] | [0x3f, 0xfe, 0x83, 0x1f] => true,
        [high, low, ..] => high == 0xfe && low & 0xc0 == 0x80,
    }
}
