//! The plain counters of a flow: the columns when no feature set is asked for (`cormorant flows`).

use super::{Column, ColumnKind, FeatureSet, Get, Needs, Value};
use crate::flow::Flow;

/// The plain counters. Not listed among the feature sets: `flow` holds the same columns and more.
pub static SET: FeatureSet = FeatureSet {
    name: "core",
    doc: "Duration, packets and bytes of both directions: what a flow record always has.",
    needs: Needs::CORE,
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

pub(super) const DURATION: Column = Column {
    name: "duration_s",
    unit: "s",
    doc: "from the first packet to the latest: last_ns - first_ns",
    kind: ColumnKind::F64,
    width: 1,
    get: Get::Flow(|flow, _| Value::F64(seconds(flow.core.duration_ns()))),
};
pub(super) const PACKETS: Column = counter("packets", "packets", "packets of both directions", |flow, _| {
    Value::U64(flow.core.all_packets())
});
pub(super) const FWD_PACKETS: Column = counter(
    "fwd_packets",
    "packets",
    "packets in the direction of the first one, or against it when that was a SYN-ACK: from the client",
    |flow, _| Value::U64(forward(flow.core.packets)),
);
pub(super) const BWD_PACKETS: Column =
    counter("bwd_packets", "packets", "packets of the other direction", |flow, _| {
        Value::U64(backward(flow.core.packets))
    });
pub(super) const BYTES: Column = counter(
    "bytes",
    "bytes",
    "sum over the packets of IP header and everything above it, by the IP header's length field: no link layer, no \
     padding, whatever the snapshot length (NFStream's bidirectional_bytes in accounting mode 1)",
    |flow, _| Value::U64(flow.core.bytes.iter().sum()),
);
pub(super) const FWD_BYTES: Column =
    counter("fwd_bytes", "bytes", "bytes of forward packets", |flow, _| Value::U64(forward(flow.core.bytes)));
pub(super) const BWD_BYTES: Column = counter("bwd_bytes", "bytes", "bytes of backward packets", |flow, _| {
    Value::U64(backward(flow.core.bytes))
});
pub(super) const FWD_PAYLOAD: Column = counter(
    "fwd_payload_bytes",
    "bytes",
    "bytes above the transport header in forward packets, by the IP length, captured or not; retransmissions count \
     again",
    |flow, _| Value::U64(forward(flow.core.payload_bytes)),
);
pub(super) const BWD_PAYLOAD: Column = counter(
    "bwd_payload_bytes",
    "bytes",
    "bytes above the transport header in backward packets, as in fwd_payload_bytes",
    |flow, _| Value::U64(backward(flow.core.payload_bytes)),
);

const fn counter(
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
    get: fn(&Flow<'_>, usize) -> Value,
) -> Column {
    Column { name, unit, doc, kind: ColumnKind::U64, width: 1, get: Get::Flow(get) }
}

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
