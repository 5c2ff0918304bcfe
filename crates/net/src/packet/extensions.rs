//! Headers between IP and the transport: the IPv6 extension headers (RFC 8200 section 4) and the authentication
//! header (RFC 4302), which IPv4 can carry as well.

use super::{Fault, Fragment, Ip};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
/// IANA number of the authentication header.
pub(super) const AUTHENTICATION: u8 = 51;
/// IANA number that says "nothing follows".
pub(super) const NO_NEXT: u8 = 59;
const DESTINATION: u8 = 60;
const HOST_IDENTITY: u8 = 139;
const SHIM6: u8 = 140;
/// Extension headers followed in one packet; RFC 8200 section 4.1 recommends at most seven.
const MAX_EXTENSIONS: usize = 16;

/// Whether an IANA number names a header to walk over.
#[inline]
pub(super) fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION | HOST_IDENTITY | SHIM6)
}

/// Follows the chain from `ip.protocol` over `data`, which starts at the IP header: leaves the transport's
/// number in `ip.protocol`, adds up `ip.header_bytes`, notes fragments, and stops at a later fragment.
pub(super) fn walk(ip: &mut Ip, data: &[u8]) {
    let end = data.len().min(ip.bytes as usize);
    let data = data.get(..end).unwrap_or_default();
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(ip.protocol) || matches!(ip.fragment, Fragment::Later { .. }) {
            return;
        }
        let Some(header) = data.get(ip.header_bytes as usize..).and_then(|rest| rest.first_chunk::<8>()) else {
            ip.fault = Some(Fault::ShortExtension);
            return;
        };
        step(ip, header);
    }
    if is_extension(ip.protocol) && !matches!(ip.fragment, Fragment::Later { .. }) {
        ip.fault = Some(Fault::TooManyExtensions);
    }
}

/// One header: every kind has the next number first and is at least 8 bytes long.
fn step(ip: &mut Ip, header: &[u8; 8]) {
    let [next, length, offset_high, offset_low, id @ ..] = *header;
    ip.header_bytes += match ip.protocol {
        FRAGMENT => 8,
        AUTHENTICATION => (u32::from(length) + 2) * 4,
        _ => (u32::from(length) + 1) * 8,
    };
    if ip.protocol == FRAGMENT {
        let offset = u16::from_be_bytes([offset_high, offset_low]);
        let id = u32::from_be_bytes(id);
        ip.fragment = match (offset & 0xfff8, offset & 1) {
            (0, 0) => Fragment::None, // an atomic fragment (RFC 6946): the whole packet
            (0, _) => Fragment::First { id, protocol: next },
            _ => Fragment::Later { id, protocol: next },
        };
    }
    ip.protocol = next;
}

