//! A dataset's log of annotations while it is held: numbers for new events, answers for those that were written before, and
//! the move of rows from one family to another.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::annotations::{Annotated, NewAnnotation, Said, Scope};
use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::events::{AnnotationEvent, COLUMNS, EventKind, PAGE, cells, event, gap};
use super::families::{self, Families, Label};
use super::labels::Fold;
use super::row::{Value, values};
use super::{editor, projects};

/// How many events go into one statement.
const BATCH: usize = 100;
const PLACES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// A dataset's log, held for one transaction.
pub(super) struct Log {
    dataset: i64,
    next: i64,
    /// The next number of each campaign that is met.
    campaigns: BTreeMap<i64, i64>,
    families: Families,
}

impl Log {
    pub(super) fn hold(session: &mut Session<'_>, dataset: i64) -> Result<Self> {
        projects::hold_of(session, dataset)?;
        let found =
            session.first("SELECT project_id, next_seq FROM datasets WHERE id = ?", values![dataset])?;
        let found = found.ok_or_else(|| missing(dataset))?;
        let (project, next) = (found.int(0)?, found.int(1)?);
        let families = Families::of(session, project)?;
        Ok(Self { dataset, next, campaigns: BTreeMap::new(), families })
    }

    /// The answer to an annotation that was written before.
    pub(super) fn again(&self, event: &AnnotationEvent, annotation: &NewAnnotation) -> Result<Annotated> {
        let same = event.row == annotation.row
            && event.campaign == annotation.campaign.map(|(id, _)| id)
            && match &annotation.said {
                Said::Remove => event.kind == EventKind::Remove,
                Said::Skip => event.kind == EventKind::Skip,
                Said::Next => event.kind == EventKind::Next,
                Said::Retract(seq) => event.retracts == Some(*seq),
                Said::Label(label, name) => {
                    event.kind == EventKind::Label
                        && event.label == Some(*label)
                        && event.family.is_some() == name.is_some()
                }
            };
        if same {
            return Ok(Annotated { seq: event.seq, campaign_seq: event.campaign_seq, again: true });
        }
        let found = format!("{} for event {} about row {}", annotation.key, event.seq, event.row);
        let advice = "make a new key for a new annotation";
        Err(StoreError::refused("the annotation's key", "one that was not used for another", found, advice))
    }

    /// The event of a new annotation, numbered.
    pub(super) fn event(
        &mut self,
        session: &mut Session<'_>,
        annotation: &NewAnnotation,
        stamp: &Stamp,
    ) -> Result<AnnotationEvent> {
        let (kind, label, family, retracts) = match &annotation.said {
            Said::Label(label, None) => (EventKind::Label, Some(*label), None, None),
            Said::Label(label, Some(name)) => {
                let family = self.family(session, *label, name, stamp)?;
                (EventKind::Label, Some(*label), Some(family), None)
            }
            Said::Remove => (EventKind::Remove, None, None, None),
            Said::Skip => (EventKind::Skip, None, None, None),
            Said::Next => (EventKind::Next, None, None, None),
            Said::Retract(seq) => {
                self.refuse_unknown(session, *seq, &annotation.row)?;
                (EventKind::Retract, None, None, Some(*seq))
            }
        };
        let (campaign, iteration) = annotation.campaign.unzip();
        let campaign_seq = campaign.map(|campaign| self.number_in(session, campaign)).transpose()?;
        let seq = self.next;
        self.next += 1;
        Ok(AnnotationEvent {
            seq,
            key: annotation.key.clone(),
            kind,
            row: annotation.row.clone(),
            label,
            family,
            retracts,
            split_id: None,
            version: annotation.version,
            campaign,
            campaign_seq,
            iteration,
            author: stamp.author.clone(),
            origin: annotation.origin.clone(),
            note: annotation.note.clone(),
            at_ns: stamp.at_ns,
        })
    }

    /// The family of this name, which becomes known when it is not.
    fn family(&mut self, session: &mut Session<'_>, label: Label, name: &str, stamp: &Stamp) -> Result<i64> {
        if let Some(family) = self.families.find(label, name)? {
            return Ok(family.id);
        }
        let family = families::insert(session, self.families.project, label, name, stamp)?;
        let id = family.id;
        self.families.add(family);
        Ok(id)
    }

    fn number_in(&mut self, session: &mut Session<'_>, campaign: i64) -> Result<i64> {
        let next = match self.campaigns.get(&campaign) {
            Some(next) => *next,
            None => {
                let statement = "SELECT next_seq FROM campaigns WHERE id = ? AND dataset_id = ?";
                let found = session.first(statement, values![campaign, self.dataset])?;
                let advice = "see the list of the dataset's campaigns";
                found.ok_or_else(|| StoreError::missing("campaign", campaign, advice))?.int(0)?
            }
        };
        self.campaigns.insert(campaign, next + 1);
        Ok(next)
    }

    fn refuse_unknown(&self, session: &mut Session<'_>, seq: i64, row: &str) -> Result<()> {
        let statement = "SELECT row_id FROM annotation_events WHERE dataset_id = ? AND seq = ?";
        let found = session.first(statement, values![self.dataset, seq])?;
        match found.map(|found| found.text(0)).transpose()? {
            Some(found) if found == row => Ok(()),
            Some(found) => {
                let found = format!("event {seq} about row {found}");
                let expected = format!("an event about row {row}");
                Err(StoreError::refused("the event to retract", expected, found, "name its own row"))
            }
            None => Err(StoreError::missing("annotation", seq, "see the row's events")),
        }
    }

    /// Writes the events and the numbers that come next.
    pub(super) fn append(
        &self,
        session: &mut Session<'_>,
        events: &[AnnotationEvent],
        stamp: &Stamp,
    ) -> Result<()> {
        let Some(first) = events.first() else { return Ok(()) };
        for events in events.chunks(BATCH) {
            let values: Vec<Value> = events.iter().flat_map(|event| cells(self.dataset, event)).collect();
            session.execute(
                &format!(
                    "INSERT INTO annotation_events (dataset_id, seq, event_key, kind, row_id, label, family_id, \
                     retracts, split_id, version_id, campaign_id, campaign_seq, iteration, author, origin, note, \
                     at_ns, checksum) VALUES {}",
                    vec![PLACES; events.len()].join(", ")
                ),
                &values,
            )?;
        }
        session.execute("UPDATE datasets SET next_seq = ? WHERE id = ?", values![self.next, self.dataset])?;
        for (&campaign, &next) in &self.campaigns {
            session.execute("UPDATE campaigns SET next_seq = ? WHERE id = ?", values![next, campaign])?;
        }
        let detail = json!({"seq": first.seq, "events": events.len()});
        record(session, stamp, "annotation.add", &format!("dataset {}", self.dataset), &detail)
    }
}

/// The events whose labels say that these rows are in `family` now; an error when one of the rows is not.
pub(super) fn in_family(
    session: &mut Session<'_>,
    dataset: i64,
    family: i64,
    families: &Families,
    rows: &BTreeSet<&str>,
) -> Result<Vec<AnnotationEvent>> {
    let project = project_of(session, dataset)?;
    let wrong = |found: String| {
        let expected = format!("rows that are annotated as family {family}");
        Err(StoreError::refused("the rows to split off", expected, found, "take rows from the family's list"))
    };
    if project != families.project {
        return wrong(format!("dataset {dataset} of another project"));
    }
    let mut held = Vec::new();
    for event in fold(session, dataset, project, Scope::All)?.events() {
        let standing = event.family.map(|id| families.standing(id)).transpose()?;
        if rows.contains(event.row.as_str()) && standing.is_some_and(|standing| standing.id == family) {
            held.push(event);
        }
    }
    let found: BTreeSet<&str> = held.iter().map(|event| event.row.as_str()).collect();
    match rows.difference(&found).next() {
        Some(other) => wrong(format!("row {other}, which is not")),
        None if rows.is_empty() => wrong("no row".to_owned()),
        None => Ok(held),
    }
}

/// Annotates rows anew for a split: same row, same campaign, another family.
pub(super) fn move_rows(
    session: &mut Session<'_>,
    dataset: i64,
    held: &[AnnotationEvent],
    (label, into): (Label, i64),
    split: i64,
    stamp: &Stamp,
) -> Result<()> {
    let mut log = Log::hold(session, dataset)?;
    let mut events = Vec::with_capacity(held.len());
    for event in held {
        let campaign_seq = event.campaign.map(|campaign| log.number_in(session, campaign)).transpose()?;
        events.push(AnnotationEvent {
            seq: log.next,
            key: format!("split {split} event {}", event.seq),
            label: Some(label),
            family: Some(into),
            split_id: Some(split),
            campaign_seq,
            author: stamp.author.clone(),
            origin: "split".to_owned(),
            note: None,
            at_ns: stamp.at_ns,
            ..event.clone()
        });
        log.next += 1;
    }
    log.append(session, &events, stamp)
}

/// An error when annotations other than a split's own name a family that is about to go.
pub(super) fn refuse_others(session: &mut Session<'_>, family: i64, split: i64) -> Result<()> {
    let others = session.first(
        "SELECT COUNT(*) FROM annotation_events WHERE family_id = ? AND (split_id IS NULL OR split_id <> ?)",
        values![family, split],
    )?;
    match others.map_or(Ok(0), |row| row.int(0))? {
        0 => Ok(()),
        count => {
            let found = format!("{count} annotations of the new family made since");
            let expected = "a split whose new family was not annotated since";
            Err(StoreError::refused(
                "the operation to undo",
                expected,
                found,
                "merge the two families instead",
            ))
        }
    }
}

/// The events that were written with one of these keys.
pub(super) fn known(
    session: &mut Session<'_>,
    dataset: i64,
    annotations: &[NewAnnotation],
) -> Result<BTreeMap<String, AnnotationEvent>> {
    let mut known = BTreeMap::new();
    for annotations in annotations.chunks(BATCH) {
        let keys = annotations.iter().map(|annotation| Value::from(&annotation.key));
        let values: Vec<Value> = [Value::from(dataset)].into_iter().chain(keys).collect();
        let places = vec!["?"; annotations.len()].join(", ");
        let statement = format!("{COLUMNS} WHERE dataset_id = ? AND event_key IN ({places})");
        for row in session.rows(&statement, &values)? {
            let event = event(&row)?;
            known.insert(event.key.clone(), event);
        }
    }
    Ok(known)
}

/// Reads a log from its end to its beginning.
pub(super) fn fold(session: &mut Session<'_>, dataset: i64, project: i64, scope: Scope) -> Result<Fold> {
    let undone = editor::undone(session, project)?;
    let mut fold = Fold::default();
    let next = session.first("SELECT next_seq FROM datasets WHERE id = ?", values![dataset])?;
    let mut before = next.ok_or_else(|| missing(dataset))?.int(0)?;
    loop {
        let page = format!("{COLUMNS} WHERE dataset_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?");
        let rows = session.rows(&page, values![dataset, before, PAGE])?;
        for row in &rows {
            let event = event(row)?;
            if event.seq != before - 1 {
                return Err(gap(session, dataset, before - 1, event.seq));
            }
            before = event.seq;
            if scope.holds(&event) {
                fold.take(event, &undone);
            }
        }
        if rows.is_empty() {
            return if before == 1 { Ok(fold) } else { Err(gap(session, dataset, before - 1, 0)) };
        }
    }
}

/// The project that a dataset belongs to.
pub(super) fn project_of(session: &mut Session<'_>, dataset: i64) -> Result<i64> {
    let found = session.first("SELECT project_id FROM datasets WHERE id = ?", values![dataset])?;
    found.ok_or_else(|| missing(dataset))?.int(0)
}

fn missing(dataset: i64) -> StoreError {
    StoreError::missing("dataset", dataset, "see the list of the project's datasets")
}
