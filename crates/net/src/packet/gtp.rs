//! GTP-U, the user plane of mobile networks (3GPP TS 29.281).

use super::protocol::TunnelKind;
use super::tunnel::{Carried, Content};

/// The registered port.
pub(super) const PORT: u16 = 2152;
const G_PDU: u8 = 255;
/// Extension headers followed; the standard defines six kinds.
const MAX_EXTENSIONS: usize = 8;

/// Reads the header of a G-PDU, `bytes` long with all that follows: version 1, protocol type 1, the spare bit zero,
/// and a length that is exactly the rest (section 5.1). Any of the flags E, S, PN adds 4 bytes, of which the last
/// names an extension header.
pub(super) fn decode(data: &[u8], bytes: u32) -> Option<Carried> {
    let [flags, kind, length_high, length_low, id @ ..] = *data.first_chunk::<8>()?;
    let length = u32::from(u16::from_be_bytes([length_high, length_low]));
    if flags & 0xf8 != 0x30 || kind != G_PDU || length.checked_add(8) != Some(bytes) {
        return None;
    }
    let start = if flags & 0x07 == 0 { 8 } else { follow_extensions(data, flags & 0x04 != 0)? };
    Some(Carried { kind: TunnelKind::Gtp, id: u32::from_be_bytes(id), content: Content::Ip, start })
}

/// Where the chain of extension headers ends. Each has its length in units of 4 bytes first and the type of the
/// next one last (section 5.2.1); a length of 0 is impossible.
fn follow_extensions(data: &[u8], extended: bool) -> Option<usize> {
    let mut start = 12;
    let mut next = if extended { *data.get(start - 1)? } else { 0 };
    for _ in 0..MAX_EXTENSIONS {
        if next == 0 {
            return Some(start);
        }
        start += match usize::from(*data.get(start)?) {
            0 => return None,
            units => units * 4,
        };
        next = *data.get(start - 1)?;
    }
    (next == 0).then_some(start)
}
