//! The columns that say which packet a row is: the same for every set with one row per packet, first in its table,
//! never features.

use std::io::Write;
use std::net::IpAddr;

use super::identity::push_address;
use super::rows::{ColumnKind, RowField, RowWriter};
use crate::capture::Frame;
use crate::packet::Packet;

const FIELDS: [(&str, ColumnKind, &str, &str); 8] = [
    ("packet", ColumnKind::U64, "", "number of the packet in the capture, from 1"),
    ("first_ns", ColumnKind::I64, "ns", "capture time of the packet since the UNIX epoch"),
    ("source", ColumnKind::Text, "", "address of the sender: that of IP, of ARP, or else of the link layer"),
    ("destination", ColumnKind::Text, "", "address of the receiver, likewise"),
    (
        "source_port",
        ColumnKind::U64,
        "",
        "port of the sender; for ICMP the type; 0 without ports. Identity, never a feature",
    ),
    (
        "destination_port",
        ColumnKind::U64,
        "",
        "port of the receiver; for ICMP the answering type, or the code of a one-way message; 0 without ports. \
         Identity, never a feature",
    ),
    ("protocol", ColumnKind::U64, "", "IANA number of the protocol above IP; 0 without IP"),
    ("offset", ColumnKind::U64, "bytes", "offset of the packet's record in the uncompressed capture"),
];

/// Who a frame is from or to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Of IP, or of IPv4 in ARP.
    Ip(IpAddr),
    /// Of the link layer.
    Mac([u8; 6]),
}

/// Both ends of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) source: Address,
    pub(super) destination: Address,
    /// Ports as [`Packet`] has them; 0 without IP.
    pub(super) ports: (u16, u16),
    /// IANA number above IP; 0 without IP.
    pub(super) protocol: u8,
}

impl Ends {
    /// Those of an IP packet.
    pub(super) fn of(packet: &Packet) -> Ends {
        Ends {
            source: Address::Ip(packet.source),
            destination: Address::Ip(packet.destination),
            ports: (packet.source_port, packet.destination_port),
            protocol: packet.protocol,
        }
    }

    /// Those of a frame without IP.
    pub(super) fn without_ip(source: Address, destination: Address) -> Ends {
        Ends { source, destination, ports: (0, 0), protocol: 0 }
    }
}

/// The identity columns in their order.
pub(super) fn fields() -> Vec<RowField> {
    let field = |&(name, kind, unit, doc): &(&str, ColumnKind, &'static str, &'static str)| RowField {
        name: name.to_owned(),
        unit,
        doc,
        identity: true,
        kind,
    };
    FIELDS.iter().map(field).collect()
}

/// Writes the identity of a packet, in the order of [`fields`].
pub(super) fn write(row: &mut RowWriter<'_>, frame: &Frame<'_>, ends: &Ends) {
    row.u64(frame.number);
    row.i64(frame.ts_ns);
    row.text_with(|out| push(out, ends.source));
    row.text_with(|out| push(out, ends.destination));
    row.u64(ends.ports.0.into());
    row.u64(ends.ports.1.into());
    row.u64(ends.protocol.into());
    row.u64(frame.offset);
}

fn push(out: &mut Vec<u8>, address: Address) {
    match address {
        Address::Ip(address) => push_address(out, address),
        Address::Mac([a, b, c, d, e, f]) => {
            // Writing to a vector cannot fail.
            let _ = write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        }
    }
}
