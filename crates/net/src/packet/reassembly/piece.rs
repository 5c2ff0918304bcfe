//! One fragment as reassembly sees it: which datagram it belongs to, where its bytes go, and the headers before them.

use std::net::IpAddr;

use super::super::{Decoded, Packet, Tunnel, extensions};

/// What tells datagrams apart (RFC 791 section 3.2, RFC 8200 section 4.5), and the place they were seen in: equal
/// addresses in two VLANs, virtual networks or tunnels are different hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// 0 for IPv6: the pieces of a packet may name different protocols there.
    protocol: u8,
    vlan: u16,
    network: u32,
    tunnel: Option<Tunnel>,
}

/// A fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    pub(super) key: Key,
    /// Where its bytes start and end in the part of the datagram that was cut up.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Whether no fragment lies behind it.
    pub(super) last: bool,
    /// What was captured of its bytes.
    pub(super) data: &'a [u8],
    headers: Headers<'a>,
}

/// What comes before the bytes of a piece, and how it reads without the fragmentation.
#[derive(Clone, Copy, Debug)]
struct Headers<'a> {
    bytes: &'a [u8],
    /// IPv6 alone: where the number 44 stands, and the number to put there.
    next: Option<(usize, u8)>,
}

/// What the header that fragments says.
struct Place<'a> {
    headers: Headers<'a>,
    id: u32,
    protocol: u8,
    /// Where the piece's bytes begin, counted from the IP header.
    data_start: usize,
    /// Offset in bytes, a multiple of eight.
    offset: u32,
    more: bool,
}

impl<'a> Piece<'a> {
    /// Reads the headers of a decoded fragment again; `None` when they were not captured as a whole.
    pub(super) fn of(data: &'a [u8], decoded: &Decoded) -> Option<Piece<'a>> {
        let packet = decoded.packet.as_ref()?;
        let data = data.get(decoded.ip_start as usize..)?;
        let place = if packet.source.is_ipv4() { place_v4(data)? } else { place_v6(data)? };
        let ip_bytes = packet.ip_bytes as usize;
        let captured = data.get(place.data_start..ip_bytes.min(data.len())).unwrap_or_default();
        let bytes = ip_bytes.saturating_sub(place.data_start) as u32;
        Some(Piece {
            key: key(packet, decoded.tunnel, &place),
            start: place.offset,
            end: place.offset.saturating_add(bytes),
            last: !place.more,
            data: captured,
            headers: place.headers,
        })
    }

    /// Bytes it has, captured or not.
    pub(super) fn bytes(&self) -> u32 {
        self.end - self.start
    }

    /// Whether all its bytes were captured.
    pub(super) fn is_whole(&self) -> bool {
        self.data.len() == self.bytes() as usize
    }

    /// The headers before the bytes, as an unfragmented datagram has them but for its length.
    pub(super) fn headers(&self) -> Vec<u8> {
        let mut headers = self.headers.bytes.to_vec();
        match self.headers.next {
            Some((at, next)) => headers.get_mut(at).into_iter().for_each(|byte| *byte = next),
            None => headers.get_mut(6..8).into_iter().for_each(|flags| flags.fill(0)),
        }
        headers
    }
}

fn key(packet: &Packet, tunnel: Option<Tunnel>, place: &Place<'_>) -> Key {
    Key {
        source: packet.source,
        destination: packet.destination,
        id: place.id,
        protocol: if packet.source.is_ipv4() { place.protocol } else { 0 },
        vlan: packet.vlan,
        network: packet.network,
        tunnel,
    }
}

/// RFC 791 section 3.1: identification, flags and offset in the second row of the header.
fn place_v4(data: &[u8]) -> Option<Place<'_>> {
    let [version, _, _, _, i1, i0, f1, f0, _, protocol] = *data.first_chunk()?;
    let data_start = usize::from(version & 0x0f) * 4;
    let flags = u16::from_be_bytes([f1, f0]);
    Some(Place {
        headers: Headers { bytes: data.get(..data_start)?, next: None },
        id: u32::from(u16::from_be_bytes([i1, i0])),
        protocol,
        data_start,
        offset: u32::from(flags & 0x1fff) * 8,
        more: flags & 0x2000 != 0,
    })
}

/// RFC 8200 section 4.5: the extension headers before the fragment header belong to every piece, that header itself
/// to none. One that says "the whole packet" (RFC 6946) is a header like any other.
fn place_v6(data: &[u8]) -> Option<Place<'_>> {
    let mut named_at = 6;
    let mut at = 40;
    for _ in 0..=extensions::MAX_EXTENSIONS {
        let kind = *data.get(named_at)?;
        if !extensions::is_extension(kind) {
            return None;
        }
        let [next, length, o1, o0, i3, i2, i1, i0] = *data.get(at..)?.first_chunk()?;
        let offset = u16::from_be_bytes([o1, o0]);
        if kind == extensions::FRAGMENT && offset & 0xfff9 != 0 {
            return Some(Place {
                headers: Headers { bytes: data.get(..at)?, next: Some((named_at, next)) },
                id: u32::from_be_bytes([i3, i2, i1, i0]),
                protocol: next,
                data_start: at + 8,
                offset: u32::from(offset & 0xfff8),
                more: offset & 1 != 0,
            });
        }
        named_at = at;
        at += extensions::header_bytes(kind, length) as usize;
    }
    None
}
