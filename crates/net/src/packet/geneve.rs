//! Geneve (RFC 8926).

use super::protocol::TunnelKind;
use super::tunnel::{Carried, Content};

/// The registered port.
pub(super) const PORT: u16 = 6081;
const ETHERNET: u16 = 0x6558;

/// Reads the header: version 0, options of at most 252 bytes that end in the packet, and an ethertype for what
/// follows. Reserved bits are ignored on receipt (section 3.4).
pub(super) fn decode(data: &[u8]) -> Option<Carried> {
    let [version, _, type_high, type_low, network @ .., _] = *data.first_chunk::<8>()?;
    let start = 8 + usize::from(version & 0x3f) * 4;
    if version >> 6 != 0 || start > data.len() {
        return None;
    }
    let content = match u16::from_be_bytes([type_high, type_low]) {
        ETHERNET => Content::Ethernet,
        ethertype => Content::Ethertype(ethertype),
    };
    let [high, middle, low] = network;
    let id = u32::from_be_bytes([0, high, middle, low]);
    Some(Carried { kind: TunnelKind::Geneve, id, content, start })
}
