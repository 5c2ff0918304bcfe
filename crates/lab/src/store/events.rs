//! One event of a dataset's log of annotations: as it is written, as it is read, and the checksum between.

use serde_json::{Value as Json, json};

use super::checksum;
use super::driver::Session;
use super::error::{Result, StoreError};
use super::families::Label;
use super::row::{Row, Value, values};

/// How many events are read at once.
pub(super) const PAGE: i64 = 10_000;

/// What an event of the log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Gives the row a label.
    Label,
    /// Takes it.
    Remove,
    /// Makes another event void.
    Retract,
    /// Leaves the row without an answer.
    Skip,
    /// Ends an iteration of a campaign.
    Next,
}

impl EventKind {
    fn word(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Remove => "remove",
            Self::Retract => "retract",
            Self::Skip => "skip",
            Self::Next => "next",
        }
    }

    fn of(word: &str) -> Option<Self> {
        let all = [Self::Label, Self::Remove, Self::Retract, Self::Skip, Self::Next];
        all.into_iter().find(|kind| kind.word() == word)
    }
}

/// One event of the log, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationEvent {
    /// Its number in the dataset's log, from 1.
    pub seq: i64,
    /// Its maker's key.
    pub key: String,
    /// What it does.
    pub kind: EventKind,
    /// The row's id.
    pub row: String,
    /// The label as it was said; a family's label may have been swapped since.
    pub label: Option<Label>,
    /// The family as it was said; it may have been merged since.
    pub family: Option<i64>,
    /// The event that it makes void.
    pub retracts: Option<i64>,
    /// The split of a family that made it.
    pub split_id: Option<i64>,
    /// The version of the dataset that was looked at.
    pub version: Option<i64>,
    /// The campaign that asked.
    pub campaign: Option<i64>,
    /// Its number in the campaign's log, from 1.
    pub campaign_seq: Option<i64>,
    /// The campaign's iteration.
    pub iteration: Option<i64>,
    /// Who said it.
    pub author: String,
    /// How it came about.
    pub origin: String,
    /// What its author wanted to be known.
    pub note: Option<String>,
    /// When, in ns since the UNIX epoch.
    pub at_ns: i64,
}

/// The columns that an event is read from.
pub(super) const COLUMNS: &str = "SELECT dataset_id, seq, event_key, kind, row_id, label, family_id, retracts, split_id, \
                       version_id, campaign_id, campaign_seq, iteration, author, origin, note, at_ns, checksum \
                       FROM annotation_events";

/// The next events of a log, in order.
pub(super) fn page_after(
    session: &mut Session<'_>,
    dataset: i64,
    after: i64,
) -> Result<Vec<AnnotationEvent>> {
    let page = format!("{COLUMNS} WHERE dataset_id = ? AND seq > ? ORDER BY seq LIMIT ?");
    session.rows(&page, values![dataset, after, PAGE])?.iter().map(event).collect()
}

/// A number is missing in a log: an index that lost its way, or a row that went.
pub(super) fn gap(session: &Session<'_>, dataset: i64, expected: i64, found: i64) -> StoreError {
    StoreError::Damaged {
        place: session.place().to_owned(),
        what: format!("the log of dataset {dataset}"),
        expected: format!("event {expected}"),
        found: if found == 0 { "none".to_owned() } else { format!("event {found}") },
    }
}

impl AnnotationEvent {
    /// An event that says nothing, for tests that say only what they are about.
    #[cfg(test)]
    pub(super) fn blank() -> Self {
        Self {
            seq: 0,
            key: String::new(),
            kind: EventKind::Remove,
            row: String::new(),
            label: None,
            family: None,
            retracts: None,
            split_id: None,
            version: None,
            campaign: None,
            campaign_seq: None,
            iteration: None,
            author: String::new(),
            origin: String::new(),
            note: None,
            at_ns: 0,
        }
    }

    /// All that its checksum is of.
    fn everything(&self, dataset: i64) -> Json {
        json!([
            dataset,
            self.seq,
            self.key,
            self.kind.word(),
            self.row,
            self.label,
            self.family,
            self.retracts,
            self.split_id,
            self.version,
            self.campaign,
            self.campaign_seq,
            self.iteration,
            self.author,
            self.origin,
            self.note,
            self.at_ns,
        ])
    }
}

/// The values of an event, in the order of [`COLUMNS`].
pub(super) fn cells(dataset: i64, event: &AnnotationEvent) -> [Value; 18] {
    [
        dataset.into(),
        event.seq.into(),
        (&event.key).into(),
        event.kind.word().into(),
        (&event.row).into(),
        event.label.map(Label::number).into(),
        event.family.into(),
        event.retracts.into(),
        event.split_id.into(),
        event.version.into(),
        event.campaign.into(),
        event.campaign_seq.into(),
        event.iteration.into(),
        (&event.author).into(),
        (&event.origin).into(),
        (&event.note).into(),
        event.at_ns.into(),
        checksum::of(&event.everything(dataset)).into(),
    ]
}

/// The event that stands in a row, if it is what was written.
pub(super) fn event(row: &Row) -> Result<AnnotationEvent> {
    let dataset = row.int(0)?;
    let event = AnnotationEvent {
        seq: row.int(1)?,
        key: row.text(2)?,
        kind: row.word(3, EventKind::of)?,
        row: row.text(4)?,
        label: row.opt_int(5)?.map(|label| Label::of(label == 1)),
        family: row.opt_int(6)?,
        retracts: row.opt_int(7)?,
        split_id: row.opt_int(8)?,
        version: row.opt_int(9)?,
        campaign: row.opt_int(10)?,
        campaign_seq: row.opt_int(11)?,
        iteration: row.opt_int(12)?,
        author: row.text(13)?,
        origin: row.text(14)?,
        note: row.opt_text(15)?,
        at_ns: row.int(16)?,
    };
    checksum::check(row, 17, &event.everything(dataset), || {
        format!("annotation {} of dataset {dataset}", event.seq)
    })?;
    Ok(event)
}
