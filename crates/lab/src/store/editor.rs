//! The editor of families: rename, merge, split and swap, each with its undo.
//!
//! No annotation is ever rewritten. A rename or a swap changes the family's row; a merge makes it point at another one, which is
//! followed; a split gives some rows a newer annotation that bears the split's number, so that without the split they are as
//! if they had never been given. Every operation is an event, and its undo is another.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::families::{Families, Family, Label, insert, missing, save};
use super::row::{Row, values};
use super::{Store, checksum, log, projects, text};

/// One operation of the editor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "lowercase")]
pub enum FamilyChange {
    /// A family got another name.
    Rename {
        /// Which.
        family: i64,
        /// Its name before.
        from: String,
        /// Its name since.
        to: String,
    },
    /// Families became one.
    Merge {
        /// Those that went.
        families: Vec<i64>,
        /// The one that stands for them.
        into: i64,
    },
    /// Some rows of a family became a family of their own.
    Split {
        /// The family they were in.
        family: i64,
        /// The one they are in.
        into: i64,
        /// The dataset they are rows of.
        dataset: i64,
        /// How many.
        rows: usize,
    },
    /// A family changed from benign to malicious, or back.
    Swap {
        /// Which.
        family: i64,
        /// Its label before.
        from: Label,
    },
    /// An earlier operation was undone.
    Undo {
        /// Its number.
        event: i64,
    },
}

impl FamilyChange {
    /// Every family that it changes.
    fn touched(&self) -> BTreeSet<i64> {
        match self {
            Self::Rename { family, .. } | Self::Swap { family, .. } => BTreeSet::from([*family]),
            Self::Merge { families, into } => families.iter().chain([into]).copied().collect(),
            Self::Split { family, into, .. } => BTreeSet::from([*family, *into]),
            Self::Undo { .. } => BTreeSet::new(),
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Rename { .. } => "family.rename",
            Self::Merge { .. } => "family.merge",
            Self::Split { .. } => "family.split",
            Self::Swap { .. } => "family.swap",
            Self::Undo { .. } => "family.undo",
        }
    }
}

/// An operation that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyEvent {
    /// Its number, by which it is undone.
    pub id: i64,
    /// What was done.
    pub change: FamilyChange,
    /// Whether it has been undone.
    pub undone: bool,
    /// Who did it.
    pub author: String,
    /// When, in ns since the UNIX epoch.
    pub at_ns: i64,
}

impl Store {
    /// Gives a family another name.
    ///
    /// # Errors
    /// When there is no such family, or another one of its label has the name.
    pub fn rename_family(&self, family: i64, name: &str, stamp: &Stamp) -> Result<FamilyEvent> {
        text::name("the family's name", name)?;
        self.edit(family, stamp, |session, known| {
            let was = known.living(family)?;
            known.free(was.label, name)?;
            save(session, &Family { name: name.to_owned(), ..was.clone() })?;
            Ok(FamilyChange::Rename { family, from: was.name.clone(), to: name.to_owned() })
        })
    }

    /// Makes one family of several: `into` stands for all `families` from now on.
    ///
    /// # Errors
    /// When one of them is unknown, was merged before, or has another label.
    pub fn merge_families(&self, families: &[i64], into: i64, stamp: &Stamp) -> Result<FamilyEvent> {
        let going: Vec<i64> = families.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        if going.is_empty() || going.contains(&into) {
            let found = if going.is_empty() { "none" } else { "the one they are merged into among them" };
            let advice = "name those that go, and one more that stays";
            return Err(StoreError::refused("the families to merge", "one or more others", found, advice));
        }
        self.edit(into, stamp, |session, known| {
            let label = known.living(into)?.label;
            for &family in &going {
                let gone = known.living(family)?;
                if gone.label != label {
                    let found = format!("{} {}", gone.label.word(), gone.name);
                    let advice = "swap the label of one of them first";
                    return Err(StoreError::refused("the families to merge", label.word(), found, advice));
                }
                save(session, &Family { merged_into: Some(into), ..gone.clone() })?;
            }
            Ok(FamilyChange::Merge { families: going.clone(), into })
        })
    }

    /// Takes some rows out of a family into a new one of the same label.
    ///
    /// # Errors
    /// When one of the rows is not in the family, or the new name is taken.
    pub fn split_family(
        &self,
        family: i64,
        dataset: i64,
        rows: &[String],
        name: &str,
        stamp: &Stamp,
    ) -> Result<FamilyEvent> {
        text::name("the family's name", name)?;
        let rows: BTreeSet<&str> = rows.iter().map(String::as_str).collect();
        self.edit(family, stamp, |session, known| {
            let label = known.living(family)?.label;
            known.free(label, name)?;
            let moved = log::in_family(session, dataset, family, known, &rows)?;
            let into = insert(session, known.project, label, name, stamp)?.id;
            let change = FamilyChange::Split { family, into, dataset, rows: moved.len() };
            let event = write_event(session, known.project, &change, None, stamp)?;
            log::move_rows(session, dataset, &moved, (label, into), event, stamp)?;
            Ok(change)
        })
    }

    /// Makes a benign family malicious, or a malicious one benign, with all that was annotated as it.
    ///
    /// # Errors
    /// When there is no such family, or one of the other label has its name (merge them then).
    pub fn swap_family(&self, family: i64, stamp: &Stamp) -> Result<FamilyEvent> {
        self.edit(family, stamp, |session, known| {
            let was = known.living(family)?;
            known.free(was.label.swapped(), &was.name)?;
            save(session, &Family { label: was.label.swapped(), ..was.clone() })?;
            Ok(FamilyChange::Swap { family, from: was.label })
        })
    }

    /// Undoes an operation: everything is as if it had not been made.
    ///
    /// # Errors
    /// When it was undone before, when a later operation on one of its families has to be undone first, or when rows were
    /// annotated since with a family that would go.
    pub fn undo_family_event(&self, event: i64, stamp: &Stamp) -> Result<FamilyEvent> {
        self.write(|session| {
            let found = session.first("SELECT project_id FROM family_events WHERE id = ?", values![event])?;
            let project = found.ok_or_else(|| StoreError::missing("operation", event, HISTORY))?.int(0)?;
            projects::hold(session, project)?;
            let history = history(session, project)?;
            let undone = undoable(&history, event)?;
            let known = Families::of(session, project)?;
            revert(session, &known, event, &undone.change)?;
            let change = FamilyChange::Undo { event };
            let id = write_event(session, project, &change, Some(event), stamp)?;
            Ok(event_of(id, change, stamp))
        })
    }

    /// Every operation on the families of a project, first to last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn family_history(&self, project: i64) -> Result<Vec<FamilyEvent>> {
        self.read(|session| history(session, project))
    }

    /// One operation: the project's families are held, `work` changes them, and an event tells of it.
    fn edit(
        &self,
        family: i64,
        stamp: &Stamp,
        work: impl Fn(&mut Session<'_>, &Families) -> Result<FamilyChange>,
    ) -> Result<FamilyEvent> {
        self.write(|session| {
            let found = session.first("SELECT project_id FROM families WHERE id = ?", values![family])?;
            let project = found.ok_or_else(|| missing(family))?.int(0)?;
            projects::hold(session, project)?;
            let known = Families::of(session, project)?;
            let change = work(session, &known)?;
            let id = match &change {
                // It wrote its event itself, because the rows it moves bear the event's number.
                FamilyChange::Split { .. } => last_event(session, project)?,
                change => write_event(session, project, change, None, stamp)?,
            };
            Ok(event_of(id, change, stamp))
        })
    }
}

const HISTORY: &str = "see the history of the project's families";

/// The operations that have been undone: their annotations do not count.
pub(super) fn undone(session: &mut Session<'_>, project: i64) -> Result<BTreeSet<i64>> {
    Ok(history(session, project)?.into_iter().filter(|event| event.undone).map(|event| event.id).collect())
}

/// Whether the operation may be undone now.
fn undoable(history: &[FamilyEvent], event: i64) -> Result<FamilyEvent> {
    let found = history.iter().find(|known| known.id == event);
    let undone = found.ok_or_else(|| StoreError::missing("operation", event, HISTORY))?;
    let refused = |found: String, advice| {
        Err(StoreError::refused("the operation to undo", "one that can be undone", found, advice))
    };
    if matches!(undone.change, FamilyChange::Undo { .. }) {
        return refused(format!("{event}, itself an undo"), "make the operation again");
    }
    if undone.undone {
        return refused(format!("{event}, which was undone before"), HISTORY);
    }
    let touched = undone.change.touched();
    let builds = |later: &&FamilyEvent| {
        later.id > event && !later.undone && !later.change.touched().is_disjoint(&touched)
    };
    match history.iter().rfind(builds) {
        Some(later) => refused(
            format!("{event}, on whose families {} builds", later.id),
            "undo the later operation first",
        ),
        None => Ok(undone.clone()),
    }
}

fn revert(session: &mut Session<'_>, known: &Families, event: i64, change: &FamilyChange) -> Result<()> {
    match change {
        FamilyChange::Rename { family, from, .. } => {
            let was = known.living(*family)?;
            known.free(was.label, from)?;
            save(session, &Family { name: from.clone(), ..was.clone() })?;
        }
        FamilyChange::Merge { families, .. } => {
            for family in families {
                save(session, &Family { merged_into: None, ..known.any(*family)?.clone() })?;
            }
        }
        FamilyChange::Split { into, .. } => {
            log::refuse_others(session, *into, event)?;
            // No family can be named like this, so the name is free again.
            let gone = format!("\u{1}{into}");
            session
                .execute("UPDATE families SET retired = 1, name = ? WHERE id = ?", values![gone, *into])?;
        }
        FamilyChange::Swap { family, from } => {
            let was = known.living(*family)?;
            known.free(*from, &was.name)?;
            save(session, &Family { label: *from, ..was.clone() })?;
        }
        FamilyChange::Undo { .. } => {}
    }
    Ok(())
}

fn write_event(
    session: &mut Session<'_>,
    project: i64,
    change: &FamilyChange,
    undoes: Option<i64>,
    stamp: &Stamp,
) -> Result<i64> {
    let detail = serde_json::to_value(change).unwrap_or_default();
    let last = session.first("SELECT MAX(seq) FROM family_events WHERE project_id = ?", values![project])?;
    let seq = last.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0) + 1;
    record(session, stamp, change.action(), &format!("families of project {project}"), &detail)?;
    let detail = detail.to_string();
    let checksum = checksum::of(&everything(project, seq, &detail, &stamp.author, stamp.at_ns));
    session.insert(
        "INSERT INTO family_events (project_id, seq, operation, detail, undoes, author, at_ns, checksum) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values![project, seq, change.action(), &detail, undoes, &stamp.author, stamp.at_ns, checksum],
    )
}

/// All that the checksum of an operation is of.
fn everything(project: i64, seq: i64, detail: &str, author: &str, at_ns: i64) -> Json {
    json!([project, seq, detail, author, at_ns])
}

fn last_event(session: &mut Session<'_>, project: i64) -> Result<i64> {
    let last = session.first("SELECT MAX(id) FROM family_events WHERE project_id = ?", values![project])?;
    last.ok_or_else(|| StoreError::missing("operation", "of this project", HISTORY))?.int(0)
}

/// Every operation on the families of a project, in order.
pub(super) fn history(session: &mut Session<'_>, project: i64) -> Result<Vec<FamilyEvent>> {
    let rows = session.rows(
        "SELECT id, detail, author, at_ns, seq, checksum FROM family_events WHERE project_id = ? ORDER BY seq",
        values![project],
    )?;
    let mut events = rows.iter().map(|row| event(row, project)).collect::<Result<Vec<_>>>()?;
    let undoes = |event: &FamilyEvent| match event.change {
        FamilyChange::Undo { event } => Some(event),
        _ => None,
    };
    let undone: BTreeSet<i64> = events.iter().filter_map(undoes).collect();
    for event in &mut events {
        event.undone = undone.contains(&event.id);
    }
    Ok(events)
}

fn event(row: &Row, project: i64) -> Result<FamilyEvent> {
    let (id, detail, author, at_ns) = (row.int(0)?, row.text(1)?, row.text(2)?, row.int(3)?);
    let everything = everything(project, row.int(4)?, &detail, &author, at_ns);
    checksum::check(row, 5, &everything, || format!("operation {id} on families of project {project}"))?;
    let change = row.word(1, |text| serde_json::from_str(text).ok())?;
    Ok(FamilyEvent { id, change, undone: false, author, at_ns })
}

fn event_of(id: i64, change: FamilyChange, stamp: &Stamp) -> FamilyEvent {
    FamilyEvent { id, change, undone: false, author: stamp.author.clone(), at_ns: stamp.at_ns }
}
