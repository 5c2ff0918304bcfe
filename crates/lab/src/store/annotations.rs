//! Annotations: an append-only log per dataset of who said what about which row, and when.
//!
//! Acknowledged is committed: [`Store::annotate`] returns after the commit. Each annotation has a key of its maker's; sent
//! again after a lost answer, it is found and not written twice. Events are numbered without a gap within their
//! dataset, and within their campaign, and each carries a checksum of itself, so that a damaged one is never a label.

use std::collections::BTreeSet;

use super::audit::Stamp;
use super::error::{Result, StoreError};
use super::events::{AnnotationEvent, COLUMNS, event};
use super::families::{Families, Label};
use super::labels::RowLabel;
use super::log::{Log, fold, known, project_of};
use super::row::values;
use super::{Store, text};

/// What is said about a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It is benign or malicious, and of this family where one is named; a family that is not known becomes so.
    Label(Label, Option<String>),
    /// It has no label any more.
    Remove,
    /// The event of this number was a mistake: as if it had never been.
    Retract(i64),
    /// Its author cannot tell; a campaign asks no more.
    Skip,
    /// The campaign's iteration is over. It is about no row, whose id is empty.
    Next,
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
    pub(super) fn holds(self, event: &AnnotationEvent) -> bool {
        match self {
            Self::All => true,
            Self::Campaign(id) => event.campaign == Some(id),
            Self::NoCampaign => event.campaign.is_none(),
        }
    }
}

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

fn check(annotations: &[NewAnnotation]) -> Result<()> {
    let mut keys = BTreeSet::new();
    for annotation in annotations {
        text::identifier("the annotation's key", &annotation.key)?;
        match (&annotation.said, annotation.campaign) {
            (Said::Next, Some(_)) if annotation.row.is_empty() => {}
            (Said::Next, _) => {
                let (expected, found) = ("a campaign and no row", format!("row {}", annotation.row));
                return Err(StoreError::refused(
                    "the end of an iteration",
                    expected,
                    found,
                    "name the campaign",
                ));
            }
            _ => text::identifier("the row's id", &annotation.row)?,
        }
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
