//! The strongest alerts of a hunt, one per group of alerts that belong together: kept while rows stream by,
//! explained at the end.

mod groups;

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Int64Type, UInt64Type};
use cormorant_learn::pipeline::{Pipeline, Scores};
use cormorant_learn::table::{BENIGN, MALICIOUS, Role, Table};
use serde::Serialize;

use groups::{Ends, Groups};

use crate::LabError;
use crate::extraction::Chunk;
use crate::labels::Verdict;
use crate::model::Loaded;
use crate::plain::plain;
use crate::reasons::{Reason, reasons};
use crate::tables::learn::words;
use crate::tables::names;
use crate::time::rfc3339;

/// One flow at or above the threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// 1 = strongest.
    pub rank: usize,
    /// Higher = more malicious.
    pub score: f64,
    /// The capture or table the flow is in.
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
    /// Further alerts that belong to this one: same source, and same destination or same service.
    pub similar: u64,
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

/// The strongest alerts so far.
pub(crate) struct Ranking<'a> {
    model: &'a Loaded,
    top: usize,
    groups: Groups,
    /// Flows seen.
    pub(crate) flows: u64,
    /// Flows at or above the threshold.
    pub(crate) alerts_total: u64,
}

/// A row that may be among the strongest in the end.
struct Candidate {
    score: f64,
    /// Its place among all rows: of equal scores the earlier row is the stronger.
    place: u64,
    identity: RecordBatch,
    features: Table,
    capture: String,
    classes: Vec<f64>,
    verdict: Option<Verdict>,
}

impl<'a> Ranking<'a> {
    /// No alert yet; `top` will be explained.
    pub(crate) fn new(model: &'a Loaded, top: usize) -> Self {
        Self { model, top, groups: Groups::default(), flows: 0, alerts_total: 0 }
    }

    /// Takes scored rows.
    ///
    /// # Errors
    /// [`LabError::Internal`] when scores and rows differ in number.
    pub(crate) fn add(&mut self, chunks: &[Chunk], table: &Table, scores: &Scores) -> Result<(), LabError> {
        let mut start = 0;
        for chunk in chunks {
            let rows = chunk.rows.num_rows();
            for row in 0..rows {
                let score = scores.malicious[start + row];
                if self.model.pipeline.is_alert(score) {
                    self.alerts_total += 1;
                    self.keep(chunk, row, start + row, table, scores)?;
                }
                self.flows += 1;
            }
            start += rows;
        }
        Ok(())
    }

    fn keep(
        &mut self,
        chunk: &Chunk,
        row: usize,
        at: usize,
        table: &Table,
        scores: &Scores,
    ) -> Result<(), LabError> {
        let cells = Row { batch: &chunk.rows, row };
        let ends = Ends {
            source: cells.text("source"),
            destination: cells.text("destination"),
            service: (cells.unsigned("protocol"), cells.unsigned("destination_port")),
        };
        let (score, place) = (scores.malicious[at], self.flows);
        self.groups.add(ends, score, || {
            let picked = UInt32Array::from(vec![row as u32]);
            Ok(Candidate {
                score,
                place,
                identity: take_record_batch(&chunk.rows, &picked)
                    .map_err(|error| LabError::Internal(error.to_string()))?,
                features: table.take_rows(&[at]),
                capture: chunk.capture.to_string(),
                classes: scores.classes.row(at).to_vec(),
                verdict: chunk.verdicts.get(row).cloned().flatten(),
            })
        })
    }

    /// The strongest alerts with their reasons.
    ///
    /// # Errors
    /// [`LabError::Learn`].
    pub(crate) fn explain(self) -> Result<Vec<Alert>, LabError> {
        let Self { model, top, groups, .. } = self;
        let ranked = groups.ranked();
        let alerts = ranked.iter().take(top).enumerate();
        alerts
            .map(|(place, group)| {
                let strongest = alert(model, place + 1, &group.strongest)?;
                Ok(Alert { similar: group.alerts - 1, ..strongest })
            })
            .collect()
    }
}

fn alert(model: &Loaded, rank: usize, candidate: &Candidate) -> Result<Alert, LabError> {
    let explanation =
        model.pipeline.explain(&candidate.features, 0).map_err(LabError::learn("explaining an alert"))?;
    let row = Row { batch: &candidate.identity, row: 0 };
    let first_ns = row.signed(names::FIRST_NS);
    let capture = row.text(names::CAPTURE);
    Ok(Alert {
        rank,
        score: candidate.score,
        capture: if capture.is_empty() { candidate.capture.clone() } else { capture },
        time: rfc3339(first_ns),
        first_ns,
        last_ns: row.signed("last_ns"),
        source: row.text("source"),
        source_port: row.unsigned("source_port"),
        destination: row.text("destination"),
        destination_port: row.unsigned("destination_port"),
        protocol: protocol_name(row.unsigned("protocol")),
        community_id: row.text("community_id"),
        flow_id: row.text("flow_id"),
        first_packet: row.unsigned("first_packet"),
        last_packet: row.unsigned("last_packet"),
        similar: 0,
        family: family_guess(&model.pipeline, &candidate.classes),
        reasons: reasons(&explanation, model.reference(), MOST_REASONS),
        truth: candidate.verdict.as_ref().map(truth_of).or_else(|| truth_in(&candidate.identity)),
    })
}

const MOST_REASONS: usize = 4;

/// The likeliest class that is not benign, when the model knows more than one.
fn family_guess(pipeline: &Pipeline, classes: &[f64]) -> Option<FamilyGuess> {
    let malicious = pipeline.classes().iter().zip(classes).filter(|(class, _)| *class != BENIGN);
    if pipeline.classes().len() < 3 {
        return None;
    }
    let (family, probability) = malicious.max_by(|a, b| a.1.total_cmp(b.1))?;
    (family != MALICIOUS)
        .then(|| FamilyGuess { family: plain(family).into_owned(), probability: *probability })
}

fn truth_of(verdict: &Verdict) -> Truth {
    Truth {
        label: verdict.label.to_owned(),
        family: verdict.family.to_string(),
        note: verdict.note.to_string(),
    }
}

/// What the row's own label column says.
fn truth_in(row: &RecordBatch) -> Option<Truth> {
    let word = |role| words(&row.schema(), std::slice::from_ref(row), role).pop().flatten();
    let family = word(Role::Family).map(|family| plain(&family).into_owned()).unwrap_or_default();
    word(Role::Label).map(|label| Truth { label, family, note: String::new() })
}

fn protocol_name(number: u64) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmp6".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

/// Cells of one row by name; empty or 0 where a table does not have them.
struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn text(&self, name: &str) -> String {
        let array = self.batch.column_by_name(name).and_then(|array| array.as_string_opt::<i32>());
        array
            .filter(|array| array.is_valid(self.row))
            .map_or_else(String::new, |array| plain(array.value(self.row)).into_owned())
    }

    fn signed(&self, name: &str) -> i64 {
        let array = self.batch.column_by_name(name).and_then(|array| array.as_primitive_opt::<Int64Type>());
        array.filter(|array| array.is_valid(self.row)).map_or(0, |array| array.value(self.row))
    }

    fn unsigned(&self, name: &str) -> u64 {
        let column = self.batch.column_by_name(name);
        let unsigned = column.and_then(|array| array.as_primitive_opt::<UInt64Type>());
        match unsigned.filter(|array| array.is_valid(self.row)) {
            Some(array) => array.value(self.row),
            None => self.signed(name).unsigned_abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;

    use super::*;

    /// A candidate of this strength, with nothing else in it.
    pub(super) fn candidate(score: f64, place: u64) -> Candidate {
        Candidate {
            score,
            place,
            identity: RecordBatch::new_empty(Arc::new(Schema::empty())),
            features: Table::default(),
            capture: String::new(),
            classes: Vec::new(),
            verdict: None,
        }
    }
}
