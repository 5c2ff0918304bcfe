//! The `context` set: what else a flow's source and destination have been doing, from the rows before it.
//!
//! One knock on a port is nothing; the two-hundredth is a scan. KDD'99 put such counts beside the statistics of a
//! connection ("time-based" over 2 s and "host-based" over the last 100 connections; Lee & Stolfo, "A framework for
//! constructing features and models for intrusion detection systems", ACM TISSEC 3(4), 2000, section 5), and RITA
//! finds beacons by how even the gaps between connections are. This set unites both.
//!
//! **The neighbours of a flow** are, per column, the flows of the same source (or to the same destination) among the
//! last [`NEIGHBOURS`] that left the flow table before it, if they began within [`REACH_NS`] of it; the flow itself
//! always counts as one. A row so depends on rows before it and on none after: live and replayed traffic agree. A
//! source is who sent a flow's first packet. Each capture starts anew.

use super::{Column, ColumnKind, FeatureSet, Get, Needs, Value};

/// Flows remembered per host: as many as KDD'99's host-based features look back on.
pub const NEIGHBOURS: usize = 100;
/// How far apart two flows may have begun and still be neighbours: 300 s.
pub const REACH_NS: u64 = 300_000_000_000;

/// What the recent flows of a flow's hosts say. All counts include the flow itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Context {
    /// Flows of the source.
    pub source_flows: u64,
    /// Destination addresses of these.
    pub source_destinations: u64,
    /// (Protocol, destination port) pairs of these.
    pub source_ports: u64,
    /// Those of these that were never established.
    pub source_unestablished: u64,
    /// Time from the earliest start to the latest of these.
    pub source_span_ns: u64,
    /// Flows from the source to the destination.
    pub pair_flows: u64,
    /// (Protocol, destination port) pairs of these.
    pub pair_ports: u64,
    /// The service: flows from the source to the same destination, protocol and port.
    pub service: Service,
    /// Flows to the destination.
    pub destination_flows: u64,
    /// Source addresses of these.
    pub destination_sources: u64,
    /// Those of these that were never established.
    pub destination_unestablished: u64,
}

/// The flows of one source to one service.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Service {
    /// Flows.
    pub flows: u64,
    /// Payload bytes that the source sent in them.
    pub sent_bytes: u64,
    /// Payload bytes that it received.
    pub received_bytes: u64,
    /// Mean gap between consecutive starts, in seconds; NaN with fewer than 2 flows.
    pub gap_mean_s: f64,
    /// Standard deviation of these gaps by their mean (divisor n); NaN with fewer than 3 flows or without any gap.
    pub gap_variation: f64,
    /// Standard deviation of the sent bytes per flow by their mean (divisor n); NaN with fewer than 2 flows or nothing sent.
    pub sent_variation: f64,
}

/// The set.
pub static SET: FeatureSet = FeatureSet {
    name: "context",
    doc: "What else the flow's hosts did lately: flows, destinations, ports and failures of the source, the rhythm and volume of its \
          flows to this service, and who else talks to the destination; over the last 100 flows of each host that began within \
          300 s. Finds what no single flow shows: scans, sweeps, guessing, beacons. Give it beside `flow`.",
    needs: Needs::CONTEXT,
    rules: None,
    columns: &[
        count("source_flows", "flows", "recent flows of the source, this one included", |c| {
            Value::U64(c.source_flows)
        }),
        count("source_destinations", "hosts", "distinct destination addresses among source_flows", |c| {
            Value::U64(c.source_destinations)
        }),
        count("source_ports", "ports", "distinct (protocol, destination port) among source_flows", |c| {
            Value::U64(c.source_ports)
        }),
        real(
            "source_unestablished_share",
            "1",
            "share of source_flows that were never established: unanswered, refused or half-open",
            |c| Value::F64(share(c.source_unestablished, c.source_flows)),
        ),
        real(
            "source_flows_per_s",
            "1/s",
            "source_flows - 1 by the time from the first start to the last; 0 when that time is 0",
            |c| Value::F64(per_second(c.source_flows.saturating_sub(1), c.source_span_ns)),
        ),
        count(
            "pair_flows",
            "flows",
            "recent flows from the source to the destination, this one included",
            |c| Value::U64(c.pair_flows),
        ),
        count("pair_ports", "ports", "distinct (protocol, destination port) among pair_flows", |c| {
            Value::U64(c.pair_ports)
        }),
        count(
            "service_flows",
            "flows",
            "recent flows from the source to the same destination, protocol and port",
            |c| Value::U64(c.service.flows),
        ),
        count("service_sent_bytes", "bytes", "payload bytes that the source sent in service_flows", |c| {
            Value::U64(c.service.sent_bytes)
        }),
        count(
            "service_received_bytes",
            "bytes",
            "payload bytes that the source received in service_flows",
            |c| Value::U64(c.service.received_bytes),
        ),
        real(
            "service_gap_mean_s",
            "s",
            "mean time between consecutive starts of service_flows; NaN with fewer than 2",
            |c| Value::F64(c.service.gap_mean_s),
        ),
        real(
            "service_gap_variation",
            "1",
            "standard deviation of these times by their mean: 0 = as even as a clock; NaN with fewer than 3 flows",
            |c| Value::F64(c.service.gap_variation),
        ),
        real(
            "service_sent_variation",
            "1",
            "standard deviation by mean of the bytes sent per flow: 0 = always the same; NaN with fewer than 2 flows",
            |c| Value::F64(c.service.sent_variation),
        ),
        count("destination_flows", "flows", "recent flows to the destination, this one included", |c| {
            Value::U64(c.destination_flows)
        }),
        count("destination_sources", "hosts", "distinct source addresses among destination_flows", |c| {
            Value::U64(c.destination_sources)
        }),
        real(
            "destination_unestablished_share",
            "1",
            "share of destination_flows that were never established",
            |c| Value::F64(share(c.destination_unestablished, c.destination_flows)),
        ),
    ],
};

const fn count(
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
    get: fn(&Context) -> Value,
) -> Column {
    Column { name, unit, doc, kind: ColumnKind::U64, width: 1, get: Get::Context(get) }
}

const fn real(
    name: &'static str,
    unit: &'static str,
    doc: &'static str,
    get: fn(&Context) -> Value,
) -> Column {
    Column { name, unit, doc, kind: ColumnKind::F64, width: 1, get: Get::Context(get) }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn per_second(events: u64, span_ns: u64) -> f64 {
    if span_ns == 0 { 0.0 } else { events as f64 * 1e9 / span_ns as f64 }
}
