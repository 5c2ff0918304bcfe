//! VXLAN (RFC 7348) and its generic protocol extension (draft-ietf-nvo3-vxlan-gpe).

use super::ethernet;
use super::protocol::TunnelKind;
use super::tunnel::{Carried, Content};

/// The registered port.
pub(super) const PORT: u16 = 4789;
/// The port that Linux took before one was registered, and still takes unless told otherwise.
pub(super) const LINUX_PORT: u16 = 8472;
/// The port of the generic protocol extension.
pub(super) const GPE_PORT: u16 = 4790;

/// Reads the 8-byte header: the flag that the network identifier is valid must be set. Whatever else is in it is
/// reserved, so ignored on receipt (section 5), and in use already: by group policies, for one.
pub(super) fn decode(data: &[u8]) -> Option<Carried> {
    let [flags, _, _, _, network @ .., _] = *data.first_chunk::<8>()?;
    (flags & 0x08 != 0).then_some(carried(network, Content::Ethernet))
}

/// The header of the generic extension: version 0, flags I and P, and a number for what follows.
pub(super) fn decode_generic(data: &[u8]) -> Option<Carried> {
    let [flags, _, _, next, network @ .., _] = *data.first_chunk::<8>()?;
    let content = match next {
        1 => Content::Ethertype(ethernet::IPV4),
        2 => Content::Ethertype(ethernet::IPV6),
        3 => Content::Ethernet,
        5 => Content::Ethertype(ethernet::MPLS),
        _ => return None,
    };
    (flags & 0x3c == 0x0c).then_some(carried(network, content))
}

fn carried([high, middle, low]: [u8; 3], content: Content) -> Carried {
    let id = u32::from_be_bytes([0, high, middle, low]);
    Carried { kind: TunnelKind::Vxlan, id, content, start: 8 }
}
