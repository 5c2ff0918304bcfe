//! `hunt`: the flows of a capture ranked by how malicious a model finds them, each with its reasons in words.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, Counts};
use crate::labels::LabelCounts;

/// Which traffic, with which model.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Captures and directories of captures, or tables.
    pub inputs: Vec<PathBuf>,
    /// The model file.
    pub model: PathBuf,
    /// Labels to grade the alerts with.
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// Alerts to explain, strongest first.
    pub top: usize,
    /// Another threshold than the model's own.
    #[serde(default)]
    pub threshold: Option<f64>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Name of the learning algorithm.
    pub model: String,
    /// SHA-256 of the model file in hex.
    pub model_sha256: String,
    /// Scores at or above it are alerts.
    pub threshold: f64,
    /// Flows scored.
    pub flows: u64,
    /// Flows at or above the threshold.
    pub alerts_total: u64,
    /// The strongest of them with their reasons, at most `top`.
    pub alerts: Vec<Alert>,
    /// What the labels say of it, when there are any.
    pub grade: Option<Grade>,
    /// What was counted, when the inputs were captures.
    pub counts: Option<Counts>,
    /// How labels met rows, when a label file was given.
    pub labels: Option<LabelCounts>,
    /// Captures that ended with a fault; their flows before it were judged.
    pub faults: Vec<CaptureFault>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

/// One flow at or above the threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// 1 = strongest.
    pub rank: usize,
    /// Higher = more malicious.
    pub score: f64,
    /// The capture the flow is in.
    pub capture: String,
    /// Time of its first packet, RFC 3339 in UTC.
    pub time: String,
    /// The same in ns since the UNIX epoch.
    pub first_ns: i64,
    /// Time of its last packet in ns since the UNIX epoch.
    pub last_ns: i64,
    /// Address that sent the first packet.
    pub source: String,
    /// Its port.
    pub source_port: u64,
    /// Address that received the first packet.
    pub destination: String,
    /// Its port.
    pub destination_port: u64,
    /// `tcp`, `udp`, `icmp`, `icmp6`, or the IANA protocol number.
    pub protocol: String,
    /// Community id, version 1.
    pub community_id: String,
    /// The flow's own id, as in its row.
    pub flow_id: String,
    /// Number of its first packet within the capture.
    pub first_packet: u64,
    /// Number of its last packet within the capture.
    pub last_packet: u64,
    /// Likeliest family, when the model tells families apart.
    pub family: Option<FamilyGuess>,
    /// What spoke for the verdict, strongest first.
    pub reasons: Vec<Reason>,
    /// What the labels say of this flow, when there are any and they agree.
    pub truth: Option<Truth>,
}

/// A family and how likely the model finds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyGuess {
    /// Family.
    pub family: String,
    /// Its probability, 0 to 1.
    pub probability: f64,
}

/// One thing that spoke for a verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The reason in words.
    pub text: String,
    /// Feature column.
    pub feature: String,
    /// Its value in this flow; `null` when missing.
    pub value: Option<f64>,
    /// Unit of the value.
    pub unit: String,
    /// Share of benign training flows with a lower value, 0 to 100.
    pub percentile: Option<f64>,
    /// What it added to the model's margin.
    pub contribution: f64,
}

/// What the labels say of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// `benign` or `malicious`.
    pub label: String,
    /// Family or activity; empty when the labels name none.
    pub family: String,
    /// Note of the rule, e.g. `decoy-of:beacon`.
    pub note: String,
}

/// The alerts held against the labels.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grade {
    /// Flows with a label.
    pub flows_labelled: u64,
    /// Malicious flows at or above the threshold.
    pub hits: u64,
    /// Malicious flows below it.
    pub missed: u64,
    /// Benign flows at or above it.
    pub false_alarms: u64,
    /// Benign flows below it.
    pub passed: u64,
    /// Each malicious family.
    pub families: Vec<FamilyGrade>,
    /// Benign activities that look like a family, from the rules' notes `decoy-of:family`.
    pub decoys: Vec<DecoyGrade>,
    /// Every metric by its plain name.
    pub metrics: serde_json::Value,
}

/// How a family was detected.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FamilyGrade {
    /// Family.
    pub family: String,
    /// Flows of it.
    pub flows: u64,
    /// Flows at or above the threshold.
    pub hits: u64,
    /// Flows below it.
    pub missed: u64,
    /// Whether the model learnt from this family.
    pub seen: bool,
}

/// How a benign activity that looks like a family fared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecoyGrade {
    /// The benign activity.
    pub activity: String,
    /// The family it looks like.
    pub decoy_of: String,
    /// Flows of it.
    pub flows: u64,
    /// Flows at or above the threshold: false alarms.
    pub false_alarms: u64,
}
