//! Captures to rows: the one pure call that every task which reads traffic makes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was counted while captures became rows. Every packet is accounted for:
/// `packets = packets_in_flows + sum(packets_without_flow)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Packets read.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
    /// Packets that belong to a flow.
    pub packets_in_flows: u64,
    /// Packets that belong to none, by reason.
    pub packets_without_flow: BTreeMap<String, u64>,
    /// Flows, which are the rows.
    pub flows: u64,
    /// Flows by what ended them.
    pub flows_by_expiry: BTreeMap<String, u64>,
    /// Packets decoded only in part, by what stopped decoding.
    pub decode_faults: BTreeMap<String, u64>,
    /// Frames of link types that are not decoded, by link type.
    pub undecoded_links: BTreeMap<String, u64>,
    /// Packets that carry an earlier time than one before them.
    pub packets_out_of_order: u64,
}

/// One capture that ended with a fault. Its rows before the fault were kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CaptureFault {
    /// The capture, as its rows name it.
    pub capture: String,
    /// Packets read before the fault.
    pub packets: u64,
    /// What is wrong, where, and what to do.
    pub error: String,
}

/// When a flow ends. The defaults are NFStream's timeouts and Zeek's delay after a TCP close.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowOptions {
    /// Seconds without a packet that end a flow.
    pub idle_s: f64,
    /// Seconds after which a long flow is cut and continues as a new row.
    pub active_s: f64,
}

impl Default for FlowOptions {
    fn default() -> Self {
        Self { idle_s: 120.0, active_s: 1800.0 }
    }
}

/// How the labels met the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LabelCounts {
    /// Rules read.
    pub rules: u64,
    /// Rules that matched no row.
    pub rules_unused: u64,
    /// Rows with exactly one label and family.
    pub matched: u64,
    /// Rows no rule speaks of; left without a label.
    pub unmatched: u64,
    /// Rows that rules of different label or family claim; left without a label.
    pub ambiguous: u64,
    /// Matched rows by label, then family (empty when the rule names none).
    pub families: BTreeMap<String, BTreeMap<String, u64>>,
}
