//! The columns that say which flow a row is: the same for every set, first in every table, never features.

use std::io::Write;
use std::net::IpAddr;

use sha1::{Digest, Sha1};

use super::rows::{ColumnKind, RowColumn, RowField};
use crate::flow::community_id::community_id;
use crate::flow::{Core, Flow};
use crate::packet::Tunnels;

/// Number of identity columns.
pub const COLUMNS: usize = FIELDS.len();

const FIELDS: [(&str, ColumnKind, &str, &str); 15] = [
    (
        "flow_id",
        ColumnKind::Text,
        "",
        "128-bit identifier of this record in hex: the first half of a SHA-1 over key, first_ns and first_packet; the \
         same whenever the same capture is read, whatever the options that do not cut flows",
    ),
    (
        "community_id",
        ColumnKind::Text,
        "",
        "Community ID version 1 (github.com/corelight/community-id-spec), shared with Zeek, Suricata and Wireshark; the \
         same for all records of a 5-tuple",
    ),
    (
        "source",
        ColumnKind::Text,
        "",
        "address that sent the first packet; the address it went to when that was a SYN-ACK, which a client must have asked for",
    ),
    ("destination", ColumnKind::Text, "", "the other address"),
    (
        "source_port",
        ColumnKind::U64,
        "",
        "port of the source; for ICMP the type; 0 for transports without ports. Identity, never a feature",
    ),
    (
        "destination_port",
        ColumnKind::U64,
        "",
        "port of the destination; for ICMP the answering type, or the code of a one-way message; 0 for transports \
         without ports. Identity, never a feature: it names the service and would be learnt by heart",
    ),
    ("protocol", ColumnKind::U64, "", "IANA number of the protocol above IP"),
    ("vlan", ColumnKind::U64, "", "VLAN identifier of the innermost tag; 0 when untagged"),
    ("first_ns", ColumnKind::I64, "ns", "capture time of the first packet since the UNIX epoch"),
    (
        "last_ns",
        ColumnKind::I64,
        "ns",
        "latest capture time of any packet since the UNIX epoch, at least first_ns",
    ),
    ("first_packet", ColumnKind::U64, "", "number of the first packet in the capture, from 1"),
    ("last_packet", ColumnKind::U64, "", "number of the last packet in the capture"),
    (
        "first_offset",
        ColumnKind::U64,
        "bytes",
        "offset of the first packet's record in the uncompressed capture",
    ),
    (
        "expiry_reason",
        ColumnKind::Text,
        "",
        "why the record ended: idle, active, fin, rst, reused (ports, by another connection), emergency (memory nearly full), \
         evicted (memory full) or end (of the capture)",
    ),
    (
        "tunnel",
        ColumnKind::Text,
        "",
        "what the first packet was carried in, when that was another IP packet: the innermost encapsulation, its outer \
         addresses, identifier (VNI, TEID, GRE key) and depth when nested; empty without",
    ),
];

/// The identity columns in their order.
pub fn fields() -> Vec<RowField> {
    let field = |&(name, kind, unit, doc): &(&str, ColumnKind, &'static str, &'static str)| RowField {
        name: name.to_owned(),
        unit,
        doc,
        identity: true,
        kind,
    };
    FIELDS.iter().map(field).collect()
}

/// Appends the identity of flows to the first columns, in the order of [`fields`], but for the last, the tunnel:
/// that is a number until the row comes to where the tunnels of the capture are listed ([`push_tunnel`]).
pub(super) fn push(columns: &mut Columns<'_>, flows: &[Flow<'_>]) {
    text(columns, flows, |flow, out| push_hex(out, flow_id(flow.core)));
    text(columns, flows, |flow, out| {
        out.extend_from_slice(&community_id(&flow.core.key, flow.community_seed));
    });
    text(columns, flows, |flow, out| push_address(out, flow.core.source().0));
    text(columns, flows, |flow, out| push_address(out, flow.core.destination().0));
    unsigned(columns, flows, |flow| flow.core.source().1.into());
    unsigned(columns, flows, |flow| flow.core.destination().1.into());
    unsigned(columns, flows, |flow| flow.core.key.protocol().into());
    unsigned(columns, flows, |flow| flow.core.key.vlan().into());
    signed(columns, flows, |flow| flow.core.first_ns);
    signed(columns, flows, |flow| flow.core.last_ns);
    unsigned(columns, flows, |flow| flow.core.first_packet);
    unsigned(columns, flows, |flow| flow.core.last_packet);
    unsigned(columns, flows, |flow| flow.core.first_offset);
    text(columns, flows, |flow, out| out.extend_from_slice(flow.reason.name().as_bytes()));
    columns.next();
}

/// Appends to the last identity column.
pub(super) fn push_tunnel(columns: &mut [RowColumn], tunnel: u32, tunnels: &Tunnels) {
    if let Some(RowColumn::Text(column)) = columns.get_mut(COLUMNS - 1) {
        tunnels.write(tunnel, &mut column.bytes);
        column.close();
    }
}

type Columns<'a> = std::slice::IterMut<'a, RowColumn>;

fn text(columns: &mut Columns<'_>, flows: &[Flow<'_>], write: impl Fn(&Flow<'_>, &mut Vec<u8>)) {
    if let Some(RowColumn::Text(column)) = columns.next() {
        for flow in flows {
            write(flow, &mut column.bytes);
            column.close();
        }
    }
}

fn unsigned(columns: &mut Columns<'_>, flows: &[Flow<'_>], value: impl Fn(&Flow<'_>) -> u64) {
    if let Some(RowColumn::U64(values)) = columns.next() {
        values.extend(flows.iter().map(value));
    }
}

fn signed(columns: &mut Columns<'_>, flows: &[Flow<'_>], value: impl Fn(&Flow<'_>) -> i64) {
    if let Some(RowColumn::I64(values)) = columns.next() {
        values.extend(flows.iter().map(value));
    }
}

/// The first half of SHA-1 over the five words of the key, `first_ns` and `first_packet`, all big-endian. The
/// virtual network need not enter: no two flows have the same first packet.
fn flow_id(core: &Core) -> [u8; 16] {
    let mut input = [0; 56];
    let [a, b, c, d, e] = core.key.words();
    let words = [a, b, c, d, e, core.first_ns as u64, core.first_packet];
    for (target, word) in input.chunks_exact_mut(8).zip(words) {
        target.copy_from_slice(&word.to_be_bytes());
    }
    let digest: [u8; 20] = Sha1::digest(input).into();
    digest.first_chunk().copied().unwrap_or_default()
}

fn push_hex(out: &mut Vec<u8>, id: [u8; 16]) {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let digits = id.map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    out.extend_from_slice(digits.as_flattened());
}

pub(super) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => push_v4(out, address.octets()),
        IpAddr::V6(address) => {
            // Writing to a vector cannot fail.
            let _ = write!(out, "{address}");
        }
    }
}

/// Dotted decimals without the formatting machinery, which would cost more than all statistics of the row.
fn push_v4(out: &mut Vec<u8>, octets: [u8; 4]) {
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        if octet >= 100 {
            out.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            out.push(b'0' + octet / 10 % 10);
        }
        out.push(b'0' + octet % 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn addresses_read_as_the_standard_library_writes_them() {
        for bits in [0, 0x0102_0304, 0x0a63_6409, 0xc0a8_0001, 0xffff_ffff, 0x7b0c_0163] {
            let mut out = Vec::new();
            push_address(&mut out, Ipv4Addr::from_bits(bits).into());
            assert_eq!(String::from_utf8(out).expect("ASCII"), Ipv4Addr::from_bits(bits).to_string());
        }
    }

    #[test]
    fn identifiers_are_32_hex_digits() {
        let mut out = Vec::new();
        push_hex(&mut out, 0x0f1e_2d3c_u128.to_be_bytes());
        assert_eq!(out, format!("{:032x}", 0x0f1e_2d3c).as_bytes());
    }
}
