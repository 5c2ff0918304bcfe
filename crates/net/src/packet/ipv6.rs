//! IPv6 (RFC 8200): the fixed header; extension headers are followed by [`extensions`].

use std::net::{IpAddr, Ipv6Addr};

use super::{Fault, Fragment, Ip, extensions};
use crate::capture::Frame;

const HEADER_BYTES: u32 = 40;

/// Reads the header that starts at `start`, and its extension headers.
#[inline]
pub(super) fn decode(frame: &Frame<'_>, start: usize) -> Result<Ip, Fault> {
    let data = frame.data.get(start..).unwrap_or_default();
    let header: &[u8; 40] = data.first_chunk().ok_or(Fault::ShortIp)?;
    let [v1, v0, _, _, l1, l0, protocol, ttl, addresses @ ..] = header;
    let (Some(source), Some(destination)) = (addresses.first_chunk::<16>(), addresses.last_chunk::<16>()) else {
        return Err(Fault::ShortIp);
    };
    if v1 >> 4 != 6 {
        return Err(Fault::BadIpVersion);
    }
    let (bytes, fault) = length(u16::from_be_bytes([*l1, *l0]), *protocol, frame, start);
    let mut ip = Ip {
        source: IpAddr::V6(Ipv6Addr::from_octets(*source)),
        destination: IpAddr::V6(Ipv6Addr::from_octets(*destination)),
        protocol: *protocol,
        ttl: *ttl,
        tos: v1 << 4 | v0 >> 4,
        fragment: Fragment::None,
        bytes,
        header_bytes: HEADER_BYTES,
        fault,
    };
    if extensions::is_extension(*protocol) {
        extensions::walk(&mut ip, data);
    }
    Ok(ip)
}

/// The packet's length and whether it contradicts the frame. A payload length of 0 with something above the
/// header is a jumbogram (RFC 2675) or segmentation offload: then the wire tells.
#[inline]
fn length(payload: u16, protocol: u8, frame: &Frame<'_>, start: usize) -> (u32, Option<Fault>) {
    let on_wire = frame.wire_bytes.saturating_sub(start as u32);
    match HEADER_BYTES + u32::from(payload) {
        HEADER_BYTES if protocol != extensions::NO_NEXT => (on_wire.max(HEADER_BYTES), None),
        total if total > on_wire => (total, Some(Fault::IpLengthBeyondFrame)),
        total => (total, None),
    }
}

