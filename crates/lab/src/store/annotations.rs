//! Annotations: an append-only log per dataset of who said what about which row, and when.
//!
//! Acknowledged is committed: [`Store::annotate`] returns after the commit. Each annotation has a key of its maker's; sent
//! again after a lost answer, it is found and not written twice. Events are numbered without a gap within their
//! dataset, and within their campaign, and each carries a checksum of itself, so that a damaged one is never a label.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::families::{self, Families, Label};
use super::labels::{Fold, RowLabel};
use super::row::{Row, Value, values};
use super::{Store, checksum, projects, text};

/// How many events go into one statement, and how many are read at once.
const BATCH: usize = 100;
const PAGE: i64 = 10_000;

/// What is said about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is benign or malicious, and of this family where one is named; a family that is not known becomes so.
    Label(Label, Option<String>),
    /// It has no label any more.
    Remove,
    /// The event of this number was a mistake: as if it had never been.
    Retract(i64),
}

/// An annotation to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAnnotation {
    /// Made by whoever annotates, once per annotation; unique in the dataset.
    pub key: String,
    /// The row's id in its table.
    pub row: String,
    /// What is said about it.
    pub said: Said,
    /// The version of the dataset that was looked at.
    pub version: Option<i64>,
    /// The campaign that asked, and in which iteration.
    pub campaign: Option<(i64, i64)>,
    /// How it came about: `expert`, `oracle`, `import`, ..
    pub origin: String,
    /// What its author wants to be known beside it.
    pub note: Option<String>,
}

/// The answer to an annotation that is now on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotated {
    /// Its number in the dataset's log.
    pub seq: i64,
    /// Its number in the campaign's log.
    pub campaign_seq: Option<i64>,
    /// Whether it was there before, from an earlier try.
    pub again: bool,
}

/// What an event of the log does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// Gives the row a label.
    Label,
    /// Takes it.
    Remove,
    /// Makes another event void.
    Retract,
}

impl EventKind {
    fn word(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Remove => "remove",
            Self::Retract => "retract",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Label, Self::Remove, Self::Retract].into_iter().find(|kind| kind.word() == word)
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

/// Whose annotations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Only those that a campaign asked for.
    Campaign(i64),
    /// Only those that no campaign asked for.
    NoCampaign,
}

impl Scope {
    fn holds(self, event: &AnnotationEvent) -> bool {
        match self {
            Self::All => true,
            Self::Campaign(id) => event.campaign == Some(id),
            Self::NoCampaign => event.campaign.is_none(),
        }
    }
}

const COLUMNS: &str = "SELECT dataset_id, seq, event_key, kind, row_id, label, family_id, retracts, split_id, \
                       version_id, campaign_id, campaign_seq, iteration, author, origin, note, at_ns, checksum \
                       FROM annotation_events";
const PLACES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

impl Store {
    /// Writes one annotation. When this returns, it is on disk.
    ///
    /// # Errors
    /// When there is no such dataset or campaign, or the key was used for another annotation.
    pub fn annotate(&self, dataset: i64, annotation: &NewAnnotation, stamp: &Stamp) -> Result<Annotated> {
        let written = self.annotate_all(dataset, std::slice::from_ref(annotation), stamp)?;
        written
            .first()
            .copied()
            .ok_or_else(|| StoreError::missing("annotation", &annotation.key, "send it again"))
    }

    /// Writes annotations, all of them or none. When this returns, they are on disk.
    ///
    /// # Errors
    /// As [`Store::annotate`]; when two of them have one key.
    pub fn annotate_all(
        &self,
        dataset: i64,
        annotations: &[NewAnnotation],
        stamp: &Stamp,
    ) -> Result<Vec<Annotated>> {
        check(annotations)?;
        self.write(|session| {
            let mut log = Log::hold(session, dataset)?;
            let known = known(session, dataset, annotations)?;
            let mut events = Vec::new();
            let mut answers = Vec::with_capacity(annotations.len());
            for annotation in annotations {
                let answer = match known.get(&annotation.key) {
                    Some(event) => log.again(event, annotation)?,
                    None => {
                        let event = log.event(session, annotation, stamp)?;
                        let answer =
                            Annotated { seq: event.seq, campaign_seq: event.campaign_seq, again: false };
                        events.push(event);
                        answer
                    }
                };
                answers.push(answer);
            }
            log.append(session, &events, stamp)?;
            Ok(answers)
        })
    }

    /// At most `limit` events of a dataset's log after event `after` (0: from the first), in order.
    ///
    /// # Errors
    /// When the store cannot be read, or an event is not what was written.
    pub fn annotation_events(&self, dataset: i64, after: i64, limit: u32) -> Result<Vec<AnnotationEvent>> {
        self.page("WHERE dataset_id = ? AND seq > ? ORDER BY seq LIMIT ?", dataset, after, limit)
    }

    /// At most `limit` answers to a campaign after answer `after` (0: from the first), in order: the campaign's log.
    ///
    /// # Errors
    /// As [`Store::annotation_events`].
    pub fn campaign_events(&self, campaign: i64, after: i64, limit: u32) -> Result<Vec<AnnotationEvent>> {
        self.page(
            "WHERE campaign_id = ? AND campaign_seq > ? ORDER BY campaign_seq LIMIT ?",
            campaign,
            after,
            limit,
        )
    }

    /// Every event about one row, in order.
    ///
    /// # Errors
    /// As [`Store::annotation_events`].
    pub fn row_events(&self, dataset: i64, row: &str) -> Result<Vec<AnnotationEvent>> {
        self.read(|session| {
            let about = format!("{COLUMNS} WHERE dataset_id = ? AND row_id = ? ORDER BY seq");
            session.rows(&about, values![dataset, row])?.iter().map(event).collect()
        })
    }

    /// The labels that hold now, in order of the rows' ids.
    ///
    /// # Errors
    /// As [`Store::annotation_events`].
    pub fn labels(&self, dataset: i64, scope: Scope) -> Result<Vec<RowLabel>> {
        self.read(|session| {
            let project = project_of(session, dataset)?;
            let families = Families::of(session, project)?;
            fold(session, dataset, project, scope)?.labels(&families)
        })
    }

    fn page(&self, which: &str, of: i64, after: i64, limit: u32) -> Result<Vec<AnnotationEvent>> {
        self.read(|session| {
            let rows = session.rows(&format!("{COLUMNS} {which}"), values![of, after, i64::from(limit)])?;
            rows.iter().map(event).collect()
        })
    }
}

/// A dataset's log, held for one transaction.
struct Log {
    dataset: i64,
    next: i64,
    /// The next number of each campaign that is met.
    campaigns: BTreeMap<i64, i64>,
    families: Families,
}

impl Log {
    fn hold(session: &mut Session<'_>, dataset: i64) -> Result<Self> {
        projects::hold_of(session, dataset)?;
        let found =
            session.first("SELECT project_id, next_seq FROM datasets WHERE id = ?", values![dataset])?;
        let found = found.ok_or_else(|| missing(dataset))?;
        let (project, next) = (found.int(0)?, found.int(1)?);
        let families = Families::of(session, project)?;
        Ok(Self { dataset, next, campaigns: BTreeMap::new(), families })
    }

    /// The answer to an annotation that was written before.
    fn again(&self, event: &AnnotationEvent, annotation: &NewAnnotation) -> Result<Annotated> {
        let same = event.row == annotation.row
            && event.campaign == annotation.campaign.map(|(id, _)| id)
            && match &annotation.said {
                Said::Remove => event.kind == EventKind::Remove,
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
    fn event(
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
    fn append(&self, session: &mut Session<'_>, events: &[AnnotationEvent], stamp: &Stamp) -> Result<()> {
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

fn check(annotations: &[NewAnnotation]) -> Result<()> {
    let mut keys = BTreeSet::new();
    for annotation in annotations {
        text::identifier("the annotation's key", &annotation.key)?;
        text::identifier("the row's id", &annotation.row)?;
        text::name("the annotation's origin", &annotation.origin)?;
        text::text("the note", annotation.note.as_deref().unwrap_or_default())?;
        if let Said::Label(_, Some(family)) = &annotation.said {
            text::name("the family's name", family)?;
        }
        if !keys.insert(&annotation.key) {
            let advice = "make a key for each annotation";
            return Err(StoreError::refused("the keys", "one for each annotation", &annotation.key, advice));
        }
    }
    Ok(())
}

/// The events that were written with one of these keys.
fn known(
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

/// The next events of a log, in order.
pub(super) fn page_after(
    session: &mut Session<'_>,
    dataset: i64,
    after: i64,
) -> Result<Vec<AnnotationEvent>> {
    let page = format!("{COLUMNS} WHERE dataset_id = ? AND seq > ? ORDER BY seq LIMIT ?");
    session.rows(&page, values![dataset, after, PAGE])?.iter().map(event).collect()
}

/// Reads a log from its end to its beginning.
fn fold(session: &mut Session<'_>, dataset: i64, project: i64, scope: Scope) -> Result<Fold> {
    let undone = families::undone(session, project)?;
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

/// A number is missing in a log: an index that lost its way, or a row that went.
pub(super) fn gap(session: &Session<'_>, dataset: i64, expected: i64, found: i64) -> StoreError {
    StoreError::Damaged {
        place: session.place().to_owned(),
        what: format!("the log of dataset {dataset}"),
        expected: format!("event {expected}"),
        found: if found == 0 { "none".to_owned() } else { format!("event {found}") },
    }
}

fn project_of(session: &mut Session<'_>, dataset: i64) -> Result<i64> {
    let found = session.first("SELECT project_id FROM datasets WHERE id = ?", values![dataset])?;
    found.ok_or_else(|| missing(dataset))?.int(0)
}

fn missing(dataset: i64) -> StoreError {
    StoreError::missing("dataset", dataset, "see the list of the project's datasets")
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

fn cells(dataset: i64, event: &AnnotationEvent) -> [Value; 18] {
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

fn event(row: &Row) -> Result<AnnotationEvent> {
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
