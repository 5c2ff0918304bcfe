//! The `nprint` set: the bits of each packet's headers, as in Holland et al., "New Directions in Automated Traffic
//! Analysis" (CCS 2021), with the columns of the authors' tool (github.com/nprint/nprint).
//!
//! Each bit of each header has a column: 1 or 0 as in the packet, -1 where the packet has no such header, its options
//! end before, or the capture was cut. So a field is in the same place in every row.
//!
//! The bits of addresses and ports are left out unless `:addresses` asks for them: no identity is a feature, and a model
//! would learn a network's addresses by heart. What is left still has fields by which a machine may be known
//! (identifications, sequence numbers, checksums, which also cover addresses).
//!
//! Where it differs from that tool: every IP packet has a row, also one above whose IP header nothing is known; IPv6
//! extension headers are stepped over; tunnels are followed to the innermost packet; later fragments have no transport
//! header, as that is in the first; cut or impossible headers are not read beyond what was captured of the packet.

use super::frames::{Extractor, FrameSet, Outbox, SetOption};
use super::packet_identity::{self, Ends};
use super::rows::{ColumnKind, RowField, RowKind};
use super::spec::SetSpec;
use crate::NetError;
use crate::capture::Frame;
use crate::packet::icmp::ICMP;
use crate::packet::{Decoded, Packet, transport_start};

/// The set.
pub static SET: FrameSet = FrameSet {
    name: "nprint",
    doc: "One row per IP packet: each bit of its headers, -1 where there is none (nPrint: Holland et al., CCS 2021). \
          Without options the headers of IPv4, TCP, UDP and ICMP; bits of addresses and ports only if asked for.",
    kind: RowKind::Packet,
    options: &[
        SetOption {
            name: "ipv4",
            value: None,
            doc: "480 bits of IPv4; naming headers leaves the others out",
        },
        SetOption { name: "ipv6", value: None, doc: "320 bits of IPv6, not among the default" },
        SetOption { name: "tcp", value: None, doc: "480 bits of TCP" },
        SetOption { name: "udp", value: None, doc: "64 bits of UDP" },
        SetOption { name: "icmp", value: None, doc: "64 bits of ICMP, that of IPv4" },
        SetOption {
            name: "payload",
            value: Some("BYTES"),
            doc: "bits of this many bytes above the transport; default none",
        },
        SetOption {
            name: "addresses",
            value: None,
            doc: "bits of addresses and ports as well: no identity is kept out",
        },
    ],
    fields: |spec| Ok(Some(fields(&blocks(spec)?))),
    open: |spec, _| Ok(Box::new(Nprint { blocks: blocks(spec)? })),
};

/// Most payload bytes: those of an Ethernet frame.
const MOST_PAYLOAD_BYTES: f64 = 1500.0;

/// A part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Ipv4,
    Ipv6,
    Tcp,
    Udp,
    Icmp,
    Payload,
}

/// A field as the tool names it, and its width in bits.
type Field = (&'static str, usize);

/// The headers with their options' names, in the order of the columns.
const HEADERS: [(Part, &str, &[Field]); 5] = [
    (Part::Ipv4, "ipv4", &IPV4),
    (Part::Ipv6, "ipv6", &IPV6),
    (Part::Tcp, "tcp", &TCP),
    (Part::Udp, "udp", &UDP),
    (Part::Icmp, "icmp", &ICMP_FIELDS),
];
/// RFC 791.
const IPV4: [Field; 15] = [
    ("ipv4_ver", 4),
    ("ipv4_hl", 4),
    ("ipv4_tos", 8),
    ("ipv4_tl", 16),
    ("ipv4_id", 16),
    ("ipv4_rbit", 1),
    ("ipv4_dfbit", 1),
    ("ipv4_mfbit", 1),
    ("ipv4_foff", 13),
    ("ipv4_ttl", 8),
    ("ipv4_proto", 8),
    ("ipv4_cksum", 16),
    ("ipv4_src", 32),
    ("ipv4_dst", 32),
    ("ipv4_opt", 320),
];
/// RFC 8200.
const IPV6: [Field; 8] = [
    ("ipv6_ver", 4),
    ("ipv6_tc", 8),
    ("ipv6_fl", 20),
    ("ipv6_len", 16),
    ("ipv6_nh", 8),
    ("ipv6_hl", 8),
    ("ipv6_src", 128),
    ("ipv6_dst", 128),
];
/// RFC 9293.
const TCP: [Field; 19] = [
    ("tcp_sprt", 16),
    ("tcp_dprt", 16),
    ("tcp_seq", 32),
    ("tcp_ackn", 32),
    ("tcp_doff", 4),
    ("tcp_res", 3),
    ("tcp_ns", 1),
    ("tcp_cwr", 1),
    ("tcp_ece", 1),
    ("tcp_urg", 1),
    ("tcp_ackf", 1),
    ("tcp_psh", 1),
    ("tcp_rst", 1),
    ("tcp_syn", 1),
    ("tcp_fin", 1),
    ("tcp_wsize", 16),
    ("tcp_cksum", 16),
    ("tcp_urp", 16),
    ("tcp_opt", 320),
];
/// RFC 768.
const UDP: [Field; 4] = [("udp_sport", 16), ("udp_dport", 16), ("udp_len", 16), ("udp_cksum", 16)];
/// RFC 792.
const ICMP_FIELDS: [Field; 4] = [("icmp_type", 8), ("icmp_code", 8), ("icmp_cksum", 16), ("icmp_roh", 32)];
/// Fields that are identity.
const IDENTITY: [&str; 8] =
    ["ipv4_src", "ipv4_dst", "ipv6_src", "ipv6_dst", "tcp_sprt", "tcp_dprt", "udp_sport", "udp_dport"];

const DOC: &str = "bit of this field of the packet's header (the name's end counts from 0, most significant first); -1 \
                   without that header, behind its end, and where the capture was cut (nPrint: Holland et al., CCS 2021)";

/// Consecutive bits of a part that have columns.
#[derive(Clone, Copy, Debug)]
struct Block {
    part: Part,
    name: &'static str,
    first_bit: usize,
    bits: usize,
}

/// What the options choose.
fn blocks(spec: &SetSpec) -> Result<Vec<Block>, NetError> {
    let named = HEADERS.iter().any(|(_, name, _)| spec.has(name));
    let chosen = |part: Part, name: &str| if named { spec.has(name) } else { part != Part::Ipv6 };
    let mut blocks = Vec::new();
    for (part, _, fields) in HEADERS.iter().filter(|(part, name, _)| chosen(*part, name)) {
        let mut first_bit = 0;
        for &(name, bits) in *fields {
            if spec.has("addresses") || !IDENTITY.contains(&name) {
                blocks.push(Block { part: *part, name, first_bit, bits });
            }
            first_bit += bits;
        }
    }
    let bytes = payload_bytes(spec)?;
    if bytes > 0 {
        blocks.push(Block { part: Part::Payload, name: "payload_bit", first_bit: 0, bits: 8 * bytes });
    }
    Ok(blocks)
}

fn payload_bytes(spec: &SetSpec) -> Result<usize, NetError> {
    let bytes = spec.number("payload", 0.0, MOST_PAYLOAD_BYTES)?.unwrap_or_default();
    if bytes.fract() == 0.0 {
        return Ok(bytes as usize);
    }
    Err(NetError::SetOption {
        text: spec.text().to_owned(),
        option: "payload".to_owned(),
        advice: format!("it takes a whole number of bytes, as in `:payload={}`", bytes.ceil()),
    })
}

fn fields(blocks: &[Block]) -> Vec<RowField> {
    let mut fields = packet_identity::fields();
    for block in blocks {
        fields.extend((0..block.bits).map(|bit| RowField {
            name: format!("{}_{bit}", block.name),
            unit: "1",
            doc: DOC,
            identity: false,
            kind: ColumnKind::I64,
        }));
    }
    fields
}

/// Writes the bits of one packet after the other.
struct Nprint {
    blocks: Vec<Block>,
}

impl Extractor for Nprint {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        decoded: &Decoded,
        out: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError> {
        let Some(packet) = &decoded.packet else {
            return Ok(Some(decoded.protocol.name()));
        };
        let parts = Parts::of(frame, decoded, packet);
        out.row(|row| {
            packet_identity::write(row, frame, &Ends::of(packet));
            for block in &self.blocks {
                let bytes = parts.bytes(block.part);
                (block.first_bit..block.first_bit + block.bits).for_each(|bit| row.i64(bit_of(bytes, bit)));
            }
        })?;
        Ok(None)
    }

    fn finish(&mut self, _: &mut Outbox<'_>) -> Result<(), NetError> {
        Ok(())
    }
}

/// The bit at this place, counted from the most significant of the first byte; -1 behind the end.
#[inline]
fn bit_of(bytes: &[u8], bit: usize) -> i64 {
    bytes.get(bit / 8).map_or(-1, |byte| i64::from(byte >> (7 - bit % 8) & 1))
}

/// What a packet has, as far as it was captured.
struct Parts<'a> {
    /// The IP header without extension headers.
    ip: &'a [u8],
    is_ipv4: bool,
    /// The transport header; empty when there is none.
    transport: &'a [u8],
    protocol: u8,
    payload: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(frame: &Frame<'a>, decoded: &Decoded, packet: &Packet) -> Parts<'a> {
        let data = frame.data.get(decoded.ip_start as usize..).unwrap_or_default();
        let (start, end) = packet.payload;
        Parts {
            ip: first(data, ip_header_bytes(data, packet)),
            is_ipv4: packet.source.is_ipv4(),
            transport: transport(frame, decoded, packet).unwrap_or_default(),
            protocol: packet.protocol,
            payload: frame.data.get(start as usize..end as usize).unwrap_or_default(),
        }
    }

    fn bytes(&self, part: Part) -> &'a [u8] {
        let (bytes, present) = match part {
            Part::Ipv4 => (self.ip, self.is_ipv4),
            Part::Ipv6 => (self.ip, !self.is_ipv4),
            Part::Tcp => (self.transport, self.protocol == 6),
            Part::Udp => (self.transport, self.protocol == 17),
            Part::Icmp => (self.transport, self.protocol == ICMP),
            Part::Payload => (self.payload, true),
        };
        if present { bytes } else { &[] }
    }
}

fn first(data: &[u8], bytes: usize) -> &[u8] {
    data.get(..bytes.min(data.len())).unwrap_or_default()
}

fn ip_header_bytes(data: &[u8], packet: &Packet) -> usize {
    match data.first() {
        Some(byte) if packet.source.is_ipv4() => usize::from(byte & 15) * 4,
        _ => 40,
    }
}

/// The captured part of the transport header, within the packet's own length.
fn transport<'a>(frame: &Frame<'a>, decoded: &Decoded, packet: &Packet) -> Option<&'a [u8]> {
    let end = frame.data.len().min((decoded.ip_start as usize).saturating_add(packet.ip_bytes as usize));
    let data = frame.data.get(transport_start(frame, decoded)?..end)?;
    let bytes = match (packet.protocol, packet.tcp) {
        (6, Some(tcp)) => tcp.header_bytes.into(),
        (6, None) => 20,
        _ => 8,
    };
    Some(first(data, bytes))
}
