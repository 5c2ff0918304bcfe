//! From a log of annotations to the labels that hold now. Nothing is stored twice: the log is folded, last event first.
//!
//! An event that a later one retracts, or that a split made which was undone, is as if it had never been. Of what remains, the
//! last event of a row is its label; if that event removed the label, the row has none.

use std::collections::{BTreeMap, BTreeSet};

use super::error::Result;
use super::events::{AnnotationEvent, EventKind};
use super::families::{Families, Label};

/// A row's label as it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLabel {
    /// The row's id in its table.
    pub row: String,
    /// Benign or malicious: the family's label where there is a family.
    pub label: Label,
    /// The family that stands for the one that was annotated: number and name.
    pub family: Option<(i64, String)>,
    /// The event that says so.
    pub seq: i64,
    /// Who said so.
    pub author: String,
    /// When, in ns since the UNIX epoch.
    pub at_ns: i64,
}

/// What remains of a log while it is read from its end to its beginning.
#[derive(Default)]
pub(super) struct Fold {
    void: BTreeSet<i64>,
    last: BTreeMap<String, Option<AnnotationEvent>>,
}

impl Fold {
    /// Takes the next event; each must be older than the one before.
    pub(super) fn take(&mut self, event: AnnotationEvent, undone: &BTreeSet<i64>) {
        let undone = event.split_id.is_some_and(|split| undone.contains(&split));
        if undone || self.void.contains(&event.seq) {
            return;
        }
        match event.kind {
            EventKind::Retract => self.void.extend(event.retracts),
            EventKind::Skip | EventKind::Next => {}
            EventKind::Remove => {
                self.last.entry(event.row.clone()).or_insert(None);
            }
            EventKind::Label => {
                self.last.entry(event.row.clone()).or_insert(Some(event));
            }
        }
    }

    /// The event that holds, of each row that has a label; rows in order of their ids' bytes.
    pub(super) fn events(self) -> impl Iterator<Item = AnnotationEvent> {
        self.last.into_values().flatten()
    }

    /// The labels that hold, in order of the rows' ids.
    pub(super) fn labels(self, families: &Families) -> Result<Vec<RowLabel>> {
        self.events().map(|event| label(event, families)).collect()
    }
}

fn label(event: AnnotationEvent, families: &Families) -> Result<RowLabel> {
    let standing = event.family.map(|id| families.standing(id)).transpose()?;
    Ok(RowLabel {
        label: standing.map_or_else(|| event.label.unwrap_or(Label::Malicious), |family| family.label),
        family: standing.map(|family| (family.id, family.name.clone())),
        row: event.row,
        seq: event.seq,
        author: event.author,
        at_ns: event.at_ns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: i64, row: &str, kind: EventKind) -> AnnotationEvent {
        AnnotationEvent {
            seq,
            row: row.to_owned(),
            kind,
            label: Some(Label::Benign),
            ..AnnotationEvent::blank()
        }
    }

    fn retract(seq: i64, retracts: i64) -> AnnotationEvent {
        AnnotationEvent { retracts: Some(retracts), ..event(seq, "", EventKind::Retract) }
    }

    fn split(seq: i64, row: &str, split: i64) -> AnnotationEvent {
        AnnotationEvent { split_id: Some(split), ..event(seq, row, EventKind::Label) }
    }

    /// Which event holds for each row.
    fn fold(events: &[AnnotationEvent], undone: &[i64]) -> Vec<(String, i64)> {
        let undone = undone.iter().copied().collect();
        let mut fold = Fold::default();
        events.iter().rev().cloned().for_each(|event| fold.take(event, &undone));
        fold.events().map(|event| (event.row, event.seq)).collect()
    }

    fn is(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
        expected.iter().map(|(row, seq)| ((*row).to_owned(), *seq)).collect()
    }

    #[test]
    fn the_last_word_holds() {
        use EventKind::{Label, Remove};
        let log = [event(1, "b", Label), event(2, "a", Label), event(3, "b", Label), event(4, "a", Remove)];
        assert_eq!(fold(&log, &[]), is(&[("b", 3)]));
        assert_eq!(fold(&log[..3], &[]), is(&[("a", 2), ("b", 3)]));
    }

    #[test]
    fn what_is_retracted_never_was() {
        let log = [event(1, "a", EventKind::Label), event(2, "a", EventKind::Remove), retract(3, 2)];
        assert_eq!(fold(&log[..2], &[]), is(&[]));
        assert_eq!(fold(&log, &[]), is(&[("a", 1)]));
        // A retraction that is itself retracted never was either.
        let log = [&log[..], &[retract(4, 3)]].concat();
        assert_eq!(fold(&log, &[]), is(&[]));
    }

    #[test]
    fn an_undone_split_moved_nothing() {
        let log = [event(1, "a", EventKind::Label), split(2, "a", 7), event(3, "b", EventKind::Label)];
        assert_eq!(fold(&log, &[]), is(&[("a", 2), ("b", 3)]));
        assert_eq!(fold(&log, &[7]), is(&[("a", 1), ("b", 3)]));
    }
}
