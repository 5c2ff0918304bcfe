//! The `nfstream` set: the columns of NFStream 6.6, under its names, over flows cut by its rules.
//!
//! Source of every definition: NFStream 6.6, `engine/lib_engine.c` and `flow.py`, with `accounting_mode` 0,
//! `statistical_analysis` and `splt_analysis` 20. Conventions, for every column:
//! - A flow ends by the idle timeout (120 s) and the active timeout (1800 s) alone: [`FlowRules::Timeouts`].
//! - `src2dst` is the direction of the flow's first packet, whatever that is; `dst2src` the other.
//! - Sizes (`ps`) are those of frames on the wire, link layer and padding included.
//! - Times are whole milliseconds (parts dropped) of the capture's clock: no packet is earlier than one before it, in
//!   whatever flow. Gaps (`piat_ms`) are taken between those.
//! - Standard deviations are the sample's. NFStream sums with Welford's method, here sums are exact: they differ in the
//!   last digits, and where NFStream has nearly 0 this has 0.
//! - Places after the last packet of a sequence hold -1.
//!
//! Left out are application names and what is guessed from payload, MAC addresses, columns of processes, and times since
//! the epoch (`..._first_seen_ms`, `..._last_seen_ms`): which flow a row is and when it was is said by the identity
//! columns, here as in all sets ([`super::identity`]).
//!
//! What NFStream does otherwise and this set does not follow:
//! - ICMP has no ports there: everything between two addresses is one flow. Here type and code tell flows apart.
//!   Nor have SCTP, DCCP and UDP-Lite ports there.
//! - Tunnels: NFStream opens IP in IP, GTP-U, TZSP and CAPWAP; here GRE, VXLAN, Geneve, Teredo and others too, but
//!   neither TZSP nor CAPWAP.
//! - NFStream passes over packets it finds too short: fewer than 28 captured bytes, IPv6 that the snapshot length cut, IPv4 whose length field is 0. It
//!   takes frames of any ethertype for IP if the first four bits look like it, and has no VLAN for 802.1ad.
//! - NFStream keeps lengths in 16 bits: frames from 64 KiB on (offload) wrap around there.
//! - NFStream's clock follows only packets with IP; one stamp from the future stops it for good, ours goes on after a
//!   while ([`crate::flow::Clock`]).
//! - NFStream's keys know no IP version: an IPv6 address whose bits but the first 32 are 0 is that IPv4 address.
//! - Times beyond the year 2116 are one time here, milliseconds like others there.
//! - Memory is bounded here: a full table lets flows go early (`expiry_reason` says so).

use super::{Column, FeatureSet, Needs};
use crate::flow::{Direction, Flow, FlowRules, SPLT_PACKETS, WirePacket};
use crate::packet::TcpFlags;

/// NFStream's statistics and its first 20 packets.
pub static SET: FeatureSet = FeatureSet {
    name: "nfstream",
    doc: "NFStream 6.6's columns under its names: statistics of frame sizes, gaps in milliseconds and TCP flags of both \
          directions, and its first 20 packets (SPLT), for models and papers that use them. Cuts flows as NFStream does, \
          by the idle and the active timeout alone: neither FIN, RST nor a new connection on the same ports ends a \
          flow, and forward is the first packet's direction. Sets asked for beside it describe the same flows; \
          behind `splt` its splt_direction is called nfstream_splt_direction. ICMP flows are told apart by type, \
          which NFStream does not.",
    needs: Needs::WIRE,
    rules: Some(FlowRules::Timeouts),
    columns: COLUMNS,
};

static COLUMNS: &[Column] = &[
    column!(
        U64,
        "bidirectional_duration_ms",
        "ms",
        "from the first frame to the last, times as the set has them",
        |f| f.wire.both.duration_ms()
    ),
    column!(
        U64,
        "bidirectional_packets",
        "packets",
        "frames of both directions, later fragments left out",
        |f| f.wire.both.size.count()
    ),
    column!(U64, "bidirectional_bytes", "bytes", "sum of frame lengths on the wire, both directions", |f| f
        .wire
        .both
        .size
        .sum()),
    column!(
        U64,
        "src2dst_duration_ms",
        "ms",
        "as bidirectional_duration_ms, frames of the direction of the first packet; 0 without any",
        |f| f.wire.forward.duration_ms()
    ),
    column!(
        U64,
        "src2dst_packets",
        "packets",
        "frames of the direction of the first packet, later fragments left out",
        |f| f.wire.forward.size.count()
    ),
    column!(
        U64,
        "src2dst_bytes",
        "bytes",
        "sum of frame lengths on the wire, the direction of the first packet",
        |f| f.wire.forward.size.sum()
    ),
    column!(
        U64,
        "dst2src_duration_ms",
        "ms",
        "as bidirectional_duration_ms, frames of the other direction; 0 without any",
        |f| f.wire.backward.duration_ms()
    ),
    column!(
        U64,
        "dst2src_packets",
        "packets",
        "frames of the other direction, later fragments left out",
        |f| f.wire.backward.size.count()
    ),
    column!(U64, "dst2src_bytes", "bytes", "sum of frame lengths on the wire, the other direction", |f| f
        .wire
        .backward
        .size
        .sum()),
    column!(
        U64,
        "bidirectional_min_ps",
        "bytes",
        "smallest frame length on the wire, both directions; 0 without any",
        |f| f.wire.both.size.min()
    ),
    column!(
        F64,
        "bidirectional_mean_ps",
        "bytes",
        "mean frame length on the wire, both directions; 0 without any",
        |f| f.wire.both.size.mean()
    ),
    column!(
        F64,
        "bidirectional_stddev_ps",
        "bytes",
        "sample standard deviation (divisor n - 1; 0 with fewer than two) of the frame length on the wire, both directions",
        |f| f.wire.both.size.std()
    ),
    column!(
        U64,
        "bidirectional_max_ps",
        "bytes",
        "largest frame length on the wire, both directions; 0 without any",
        |f| f.wire.both.size.max()
    ),
    column!(
        U64,
        "src2dst_min_ps",
        "bytes",
        "smallest frame length on the wire, the direction of the first packet; 0 without any",
        |f| f.wire.forward.size.min()
    ),
    column!(
        F64,
        "src2dst_mean_ps",
        "bytes",
        "mean frame length on the wire, the direction of the first packet; 0 without any",
        |f| f.wire.forward.size.mean()
    ),
    column!(
        F64,
        "src2dst_stddev_ps",
        "bytes",
        "sample standard deviation (divisor n - 1; 0 with fewer than two) of the frame length on the wire, the direction of the first packet",
        |f| f.wire.forward.size.std()
    ),
    column!(
        U64,
        "src2dst_max_ps",
        "bytes",
        "largest frame length on the wire, the direction of the first packet; 0 without any",
        |f| f.wire.forward.size.max()
    ),
    column!(
        U64,
        "dst2src_min_ps",
        "bytes",
        "smallest frame length on the wire, the other direction; 0 without any",
        |f| f.wire.backward.size.min()
    ),
    column!(
        F64,
        "dst2src_mean_ps",
        "bytes",
        "mean frame length on the wire, the other direction; 0 without any",
        |f| f.wire.backward.size.mean()
    ),
    column!(
        F64,
        "dst2src_stddev_ps",
        "bytes",
        "sample standard deviation (divisor n - 1; 0 with fewer than two) of the frame length on the wire, the other direction",
        |f| f.wire.backward.size.std()
    ),
    column!(
        U64,
        "dst2src_max_ps",
        "bytes",
        "largest frame length on the wire, the other direction; 0 without any",
        |f| f.wire.backward.size.max()
    ),
    column!(
        U64,
        "bidirectional_min_piat_ms",
        "ms",
        "smallest gap between consecutive frames, both directions; 0 without any",
        |f| f.wire.both.piat_ms.min()
    ),
    column!(
        F64,
        "bidirectional_mean_piat_ms",
        "ms",
        "mean gap between consecutive frames, both directions; 0 without any",
        |f| f.wire.both.piat_ms.mean()
    ),
    column!(
        F64,
        "bidirectional_stddev_piat_ms",
        "ms",
        "sample standard deviation (divisor n - 1; 0 with fewer than two) of the gap between consecutive frames, both directions",
        |f| f.wire.both.piat_ms.std()
    ),
    column!(
        U64,
        "bidirectional_max_piat_ms",
        "ms",
        "largest gap between consecutive frames, both directions; 0 without any",
        |f| f.wire.both.piat_ms.max()
    ),
    column!(
        U64,
        "src2dst_min_piat_ms",
        "ms",
        "smallest gap between consecutive frames, the direction of the first packet; 0 without any",
        |f| f.wire.forward.piat_ms.min()
    ),
    column!(
        F64,
        "src2dst_mean_piat_ms",
        "ms",
        "mean gap between consecutive frames, the direction of the first packet; 0 without any",
        |f| f.wire.forward.piat_ms.mean()
    ),
    column!(
        F64,
        "src2dst_stddev_piat_ms",
        "ms",
        "sample standard deviation (divisor n - 1; 0 with fewer than two) of the gap between consecutive frames, the direction of the first packet",
        |f| f.wire.forward.piat_ms.std()
    ),
    column!(
        U64,
        "src2dst_max_piat_ms",
        "ms",
        "largest gap between consecutive frames, the direction of the first packet; 0 without any",
        |f| f.wire.forward.piat_ms.max()
    ),
    column!(
        U64,
        "dst2src_min_piat_ms",
        "ms",
        "smallest gap between consecutive frames, the other direction; 0 without any",
        |f| f.wire.backward.piat_ms.min()
    ),
    column!(
        F64,
        "dst2src_mean_piat_ms",
        "ms",
        "mean gap between consecutive frames, the other direction; 0 without any",
        |f| f.wire.backward.piat_ms.mean()
    ),
    column!(
        F64,
        "dst2src_stddev_piat_ms",
        "ms",
        "sample standard deviation (divisor n - 1; 0 with fewer than two) of the gap between consecutive frames, the other direction",
        |f| f.wire.backward.piat_ms.std()
    ),
    column!(
        U64,
        "dst2src_max_piat_ms",
        "ms",
        "largest gap between consecutive frames, the other direction; 0 without any",
        |f| f.wire.backward.piat_ms.max()
    ),
    column!(U64, "bidirectional_syn_packets", "packets", "TCP segments with SYN, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::SYN)),
    column!(U64, "bidirectional_cwr_packets", "packets", "TCP segments with CWR, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::CWR)),
    column!(U64, "bidirectional_ece_packets", "packets", "TCP segments with ECE, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::ECE)),
    column!(U64, "bidirectional_urg_packets", "packets", "TCP segments with URG, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::URG)),
    column!(U64, "bidirectional_ack_packets", "packets", "TCP segments with ACK, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::ACK)),
    column!(U64, "bidirectional_psh_packets", "packets", "TCP segments with PSH, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::PSH)),
    column!(U64, "bidirectional_rst_packets", "packets", "TCP segments with RST, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::RST)),
    column!(U64, "bidirectional_fin_packets", "packets", "TCP segments with FIN, both directions", |f| f
        .wire
        .both
        .flagged(TcpFlags::FIN)),
    column!(
        U64,
        "src2dst_syn_packets",
        "packets",
        "TCP segments with SYN, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::SYN)
    ),
    column!(
        U64,
        "src2dst_cwr_packets",
        "packets",
        "TCP segments with CWR, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::CWR)
    ),
    column!(
        U64,
        "src2dst_ece_packets",
        "packets",
        "TCP segments with ECE, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::ECE)
    ),
    column!(
        U64,
        "src2dst_urg_packets",
        "packets",
        "TCP segments with URG, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::URG)
    ),
    column!(
        U64,
        "src2dst_ack_packets",
        "packets",
        "TCP segments with ACK, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::ACK)
    ),
    column!(
        U64,
        "src2dst_psh_packets",
        "packets",
        "TCP segments with PSH, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::PSH)
    ),
    column!(
        U64,
        "src2dst_rst_packets",
        "packets",
        "TCP segments with RST, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::RST)
    ),
    column!(
        U64,
        "src2dst_fin_packets",
        "packets",
        "TCP segments with FIN, the direction of the first packet",
        |f| f.wire.forward.flagged(TcpFlags::FIN)
    ),
    column!(U64, "dst2src_syn_packets", "packets", "TCP segments with SYN, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::SYN)),
    column!(U64, "dst2src_cwr_packets", "packets", "TCP segments with CWR, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::CWR)),
    column!(U64, "dst2src_ece_packets", "packets", "TCP segments with ECE, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::ECE)),
    column!(U64, "dst2src_urg_packets", "packets", "TCP segments with URG, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::URG)),
    column!(U64, "dst2src_ack_packets", "packets", "TCP segments with ACK, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::ACK)),
    column!(U64, "dst2src_psh_packets", "packets", "TCP segments with PSH, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::PSH)),
    column!(U64, "dst2src_rst_packets", "packets", "TCP segments with RST, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::RST)),
    column!(U64, "dst2src_fin_packets", "packets", "TCP segments with FIN, the other direction", |f| f
        .wire
        .backward
        .flagged(TcpFlags::FIN)),
    column!(
        I64 * SPLT_PACKETS,
        "splt_direction",
        "1",
        "0 when the n-th frame is src2dst, 1 when dst2src, -1 when there is none",
        |f, index| place(f, index).map_or(-1, |packet| i64::from(packet.direction == Direction::Backward))
    ),
    column!(
        I64 * SPLT_PACKETS,
        "splt_ps",
        "bytes",
        "length of the n-th frame on the wire; -1 when there is none",
        |f, index| place(f, index).map_or(-1, |packet| i64::from(packet.bytes))
    ),
    column!(
        I64 * SPLT_PACKETS,
        "splt_piat_ms",
        "ms",
        "gap between the n-th frame and the one before it; 0 for the first, -1 when there is none",
        |f, index| place(f, index).map_or(-1, |packet| i64::try_from(packet.piat_ms).unwrap_or(i64::MAX))
    ),
];

fn place<'a>(flow: &Flow<'a>, index: usize) -> Option<&'a WirePacket> {
    flow.wire.packet(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_columns_as_nfstream_has() {
        let values: usize = COLUMNS.iter().map(|column| column.width).sum();
        assert_eq!((COLUMNS.len(), values), (9 + 24 + 24 + 3, 9 + 24 + 24 + 60));
    }
}
