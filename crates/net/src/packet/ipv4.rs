//! IPv4 (RFC 791): header, total length, fragments; an authentication header above it is followed.

use std::net::{IpAddr, Ipv4Addr};

use super::{Fault, Fragment, Ip, extensions};
use crate::capture::Frame;

/// Reads the header that starts at `start`.
#[inline]
pub(super) fn decode(frame: &Frame<'_>, start: usize) -> Result<Ip, Fault> {
    let data = frame.data.get(start..).unwrap_or_default();
    let header: &[u8; 20] = data.first_chunk().ok_or(Fault::ShortIp)?;
    let [version, tos, l1, l0, i1, i0, f1, f0, ttl, protocol, _, _, s3, s2, s1, s0, d3, d2, d1, d0] = *header;
    if version >> 4 != 4 {
        return Err(Fault::BadIpVersion);
    }
    let header_bytes = u32::from(version & 0x0f) * 4;
    if header_bytes < 20 {
        return Err(Fault::BadIpHeaderLength);
    }
    let (bytes, fault) = length(u16::from_be_bytes([l1, l0]), header_bytes, frame, start);
    let mut ip = Ip {
        source: IpAddr::V4(Ipv4Addr::new(s3, s2, s1, s0)),
        destination: IpAddr::V4(Ipv4Addr::new(d3, d2, d1, d0)),
        protocol,
        ttl,
        tos,
        fragment: fragment(u16::from_be_bytes([f1, f0]), u16::from_be_bytes([i1, i0]), protocol),
        bytes,
        header_bytes,
        fault,
    };
    if protocol == extensions::AUTHENTICATION && !matches!(ip.fragment, Fragment::Later { .. }) {
        extensions::walk(&mut ip, data);
    }
    Ok(ip)
}

/// The packet's length and whether it contradicts header or frame. 0 stands for a packet that the sending card
/// was to cut (segmentation offload): then the wire tells.
#[inline]
fn length(total: u16, header_bytes: u32, frame: &Frame<'_>, start: usize) -> (u32, Option<Fault>) {
    let on_wire = frame.wire_bytes.saturating_sub(start as u32);
    match u32::from(total) {
        0 => (on_wire, None),
        total if total < header_bytes => (header_bytes, Some(Fault::BadIpLength)),
        total if total > on_wire => (total, Some(Fault::IpLengthBeyondFrame)),
        total => (total, None),
    }
}

/// Flags and offset: bit 13 = more fragments, low 13 bits = offset in units of 8 bytes.
#[inline]
fn fragment(flags: u16, id: u16, protocol: u8) -> Fragment {
    let id = u32::from(id);
    match (flags & 0x1fff, flags & 0x2000) {
        (0, 0) => Fragment::None,
        (0, _) => Fragment::First { id, protocol },
        _ => Fragment::Later { id, protocol },
    }
}

