//! The plain counters of a flow: the columns when no feature set is asked for (`cormorant flows`).

use super::{Column, FeatureSet, Needs};

/// The plain counters. Not listed among the feature sets: `flow` holds the same columns and more.
pub static SET: FeatureSet = FeatureSet {
    name: "core",
    doc: "Duration, packets and bytes of both directions: what a flow record always has.",
    needs: Needs::CORE,
    rules: None,
    columns: &[
        DURATION,
        PACKETS,
        FWD_PACKETS,
        BWD_PACKETS,
        BYTES,
        FWD_BYTES,
        BWD_BYTES,
        FWD_PAYLOAD,
        BWD_PAYLOAD,
    ],
};

pub(super) const DURATION: Column =
    column!(F64, "duration_s", "s", "from the first packet to the latest: last_ns - first_ns", |flow| {
        seconds(flow.core.duration_ns())
    });
pub(super) const PACKETS: Column =
    column!(U64, "packets", "packets", "packets of both directions", |flow| flow.core.all_packets());
pub(super) const FWD_PACKETS: Column = column!(
    U64,
    "fwd_packets",
    "packets",
    "packets in the direction of the first one, or against it when that was a SYN-ACK: from the client",
    |flow| forward(flow.core.packets),
);
pub(super) const BWD_PACKETS: Column =
    column!(U64, "bwd_packets", "packets", "packets of the other direction", |flow| backward(
        flow.core.packets
    ));
pub(super) const BYTES: Column = column!(
    U64,
    "bytes",
    "bytes",
    "sum over the packets of IP header and everything above it, by the IP header's length field: no link layer, no \
     padding, whatever the snapshot length (NFStream's bidirectional_bytes in accounting mode 1)",
    |flow| forward(flow.core.bytes) + backward(flow.core.bytes),
);
pub(super) const FWD_BYTES: Column =
    column!(U64, "fwd_bytes", "bytes", "bytes of forward packets", |flow| forward(flow.core.bytes));
pub(super) const BWD_BYTES: Column =
    column!(U64, "bwd_bytes", "bytes", "bytes of backward packets", |flow| backward(flow.core.bytes));
pub(super) const FWD_PAYLOAD: Column = column!(
    U64,
    "fwd_payload_bytes",
    "bytes",
    "bytes above the transport header in forward packets, by the IP length, captured or not; retransmissions count \
     again",
    |flow| forward(flow.core.payload_bytes),
);
pub(super) const BWD_PAYLOAD: Column = column!(
    U64,
    "bwd_payload_bytes",
    "bytes",
    "bytes above the transport header in backward packets, as in fwd_payload_bytes",
    |flow| backward(flow.core.payload_bytes),
);

/// The forward member of a pair of counters.
pub(super) fn forward([forward, _]: [u64; 2]) -> u64 {
    forward
}

/// The backward member of a pair of counters.
pub(super) fn backward([_, backward]: [u64; 2]) -> u64 {
    backward
}

/// Nanoseconds as seconds.
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
