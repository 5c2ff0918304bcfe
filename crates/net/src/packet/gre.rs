//! Generic routing encapsulation: version 0 (RFC 2784, RFC 2890) with the mirrors of ERSPAN and WCCP redirection on
//! top of it, and the PPP tunnels of PPTP, version 1 (RFC 2637).

use super::ethernet;
use super::protocol::TunnelKind;
use super::tunnel::{Carried, Content};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const TRANSPARENT_BRIDGING: u16 = 0x6558;
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;
const WCCP: u16 = 0x883e;
const PPP: u16 = 0x880b;

/// Reads the header at the start of `data`. `None` when it is cut, carries nothing, or has the source routes of
/// RFC 1701, which nothing sends any more.
pub(super) fn decode(data: &[u8]) -> Option<Carried> {
    let [flags_high, flags_low, protocol_high, protocol_low] = *data.first_chunk()?;
    let flags = u16::from_be_bytes([flags_high, flags_low]);
    let protocol = u16::from_be_bytes([protocol_high, protocol_low]);
    match flags & VERSION {
        0 if flags & ROUTING == 0 => decode_0(data, flags, protocol),
        1 if flags & (CHECKSUM | ROUTING | KEY) == KEY && protocol == PPP => decode_1(data, flags),
        _ => None,
    }
}

/// Version 0: checksum, key and sequence number, 4 bytes each, when their flags are set.
fn decode_0(data: &[u8], flags: u16, protocol: u16) -> Option<Carried> {
    let mut start = if flags & CHECKSUM == 0 { 4 } else { 8 };
    let mut id = 0;
    if flags & KEY != 0 {
        id = u32::from_be_bytes(*data.get(start..)?.first_chunk()?);
        start += 4;
    }
    if flags & SEQUENCE != 0 {
        start += 4;
    }
    let content = data.get(start..).filter(|content| !content.is_empty())?;
    let carried = |content, start| Some(Carried { kind: TunnelKind::Gre, id, content, start });
    match protocol {
        0 => None, // a keepalive, or nothing that was registered
        TRANSPARENT_BRIDGING => carried(Content::Ethernet, start),
        PPP => carried(Content::Ppp, start),
        WCCP => carried(Content::Ethertype(ethernet::IPV4), start + wccp_bytes(content)),
        ERSPAN if flags & SEQUENCE == 0 => {
            Some(Carried { kind: TunnelKind::Erspan, id: 0, content: Content::Ethernet, start })
        }
        ERSPAN => erspan_2(content, start),
        ERSPAN_3 => erspan_3(content, start),
        ethertype => carried(Content::Ethertype(ethertype), start),
    }
}

/// WCCP version 2 puts a redirect header of 4 bytes before the packet, version 1 does not; the version nibble of
/// IPv4 shows which (draft-mclaggan-wccp-v2rev1 section 4.2: the header's first byte has its high bits zero).
fn wccp_bytes(content: &[u8]) -> usize {
    if content.first().is_some_and(|first| first >> 4 == 4) { 0 } else { 4 }
}

/// ERSPAN type II (draft-foschiano-erspan section 4.2): 8 bytes, version 1, session in the low 10 bits of the
/// second pair of bytes. Type I, without a header of its own, is told by the missing GRE sequence number.
fn erspan_2(content: &[u8], start: usize) -> Option<Carried> {
    let [version, _, session_high, session_low, ..] = *content.first_chunk::<8>()?;
    let id = u32::from(u16::from_be_bytes([session_high, session_low]) & 0x03ff);
    (version >> 4 == 1).then_some(Carried {
        kind: TunnelKind::Erspan,
        id,
        content: Content::Ethernet,
        start: start + 8,
    })
}

/// ERSPAN type III (section 4.3): 12 bytes, version 2, and 8 more when the last bit, O, is set. Frame types other
/// than Ethernet (P = 1 with FT = 2, bare IP) are named in the 5 bits FT.
fn erspan_3(content: &[u8], start: usize) -> Option<Carried> {
    let header: &[u8; 12] = content.first_chunk()?;
    let [version, _, session_high, session_low, .., type_high, type_low] = *header;
    let id = u32::from(u16::from_be_bytes([session_high, session_low]) & 0x03ff);
    let content = match type_high >> 2 & 0x1f {
        0 => Content::Ethernet,
        2 => Content::Ip,
        _ => return None,
    };
    let header_bytes = if type_low & 1 == 0 { 12 } else { 20 };
    (version >> 4 == 2).then_some(Carried {
        kind: TunnelKind::Erspan,
        id,
        content,
        start: start + header_bytes,
    })
}

/// Version 1: payload length and call identifier in place of the key; without a sequence number it only
/// acknowledges and carries nothing.
fn decode_1(data: &[u8], flags: u16) -> Option<Carried> {
    let [.., call_high, call_low] = *data.first_chunk::<8>()?;
    let id = u32::from(u16::from_be_bytes([call_high, call_low]));
    let start = if flags & ACKNOWLEDGEMENT == 0 { 12 } else { 16 };
    (flags & SEQUENCE != 0).then_some(Carried { kind: TunnelKind::Pptp, id, content: Content::Ppp, start })
}
