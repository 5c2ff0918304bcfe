//! Families: what kinds of malicious (or benign) behaviour a project knows, and the editor that renames, merges, splits
//! and swaps them, with undo.
//!
//! An annotation points at a family's number and is never rewritten. A rename or a swap changes the family's row; a merge
//! makes it point at another one, which is followed; a split gives some rows a newer annotation that bears the
//! split's number, so that without the split they are as if they had never been given. Every operation is an event,
//! its undo is another, and a name stays with the family that has it: one that was merged away can still be
//! annotated by its old name.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::annotations;
use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, checksum, projects, text};

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Nothing to hunt for.
    Benign,
    /// What is hunted.
    Malicious,
}

impl Label {
    /// The other one.
    #[must_use]
    pub fn swapped(self) -> Self {
        match self {
            Self::Benign => Self::Malicious,
            Self::Malicious => Self::Benign,
        }
    }

    /// `benign` or `malicious`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Benign => "benign",
            Self::Malicious => "malicious",
        }
    }

    /// 1 is malicious, as in every table.
    pub(super) fn number(self) -> i64 {
        i64::from(self == Self::Malicious)
    }

    pub(super) fn of(malicious: bool) -> Self {
        if malicious { Self::Malicious } else { Self::Benign }
    }
}

/// A kind of behaviour. Two of one name may exist, one of each label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Its number.
    pub id: i64,
    /// The project it belongs to.
    pub project_id: i64,
    /// Whether it is malicious.
    pub label: Label,
    /// Its name.
    pub name: String,
    /// The family it was merged into, which stands for it.
    pub merged_into: Option<i64>,
    /// When it was first named, in ns since the UNIX epoch.
    pub created_ns: i64,
}

impl Family {
    /// All that its checksum is of.
    fn everything(&self) -> Json {
        json!([self.id, self.project_id, self.label, self.name, self.merged_into, self.created_ns])
    }
}

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

const COLUMNS: &str = "SELECT id, project_id, label, name, merged_into, created_ns, checksum FROM families";

impl Store {
    /// The families of a project that stand for themselves, by label and name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn families(&self, project: i64) -> Result<Vec<Family>> {
        self.read(|session| {
            let mut known: Vec<_> = Families::of(session, project)?.by_id.into_values().collect();
            known.retain(|family| family.merged_into.is_none());
            known.sort_unstable_by(|a, b| (a.label, &a.name).cmp(&(b.label, &b.name)));
            Ok(known)
        })
    }

    /// The family of this label and name, or the one that it was merged into.
    ///
    /// # Errors
    /// When there is none.
    pub fn family(&self, project: i64, label: Label, name: &str) -> Result<Family> {
        self.read(|session| {
            let known = Families::of(session, project)?;
            known.find(label, name)?.cloned().ok_or_else(|| missing(name))
        })
    }

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
            let moved = annotations::in_family(session, dataset, family, known, &rows)?;
            let into = insert(session, known.project, label, name, stamp)?.id;
            let change = FamilyChange::Split { family, into, dataset, rows: moved.len() };
            let event = write_event(session, known.project, &change, None, stamp)?;
            annotations::move_rows(session, dataset, &moved, (label, into), event, stamp)?;
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

/// The families of a project, as a label needs them.
#[derive(Debug, Default)]
pub(super) struct Families {
    pub(super) project: i64,
    by_id: BTreeMap<i64, Family>,
}

impl Families {
    pub(super) fn of(session: &mut Session<'_>, project: i64) -> Result<Self> {
        let rows =
            session.rows(&format!("{COLUMNS} WHERE project_id = ? AND retired = 0"), values![project])?;
        let families = rows.iter().map(family).collect::<Result<Vec<_>>>()?;
        Ok(Self { project, by_id: families.into_iter().map(|family| (family.id, family)).collect() })
    }

    /// The family that stands for this one.
    pub(super) fn standing(&self, id: i64) -> Result<&Family> {
        let mut at = self.any(id)?;
        // A merge is into a family that stands for itself, so a way of more steps than families would be a damaged store.
        for _ in 0..self.by_id.len() {
            match at.merged_into {
                None => return Ok(at),
                Some(next) => at = self.any(next)?,
            }
        }
        Err(StoreError::refused(
            "the family",
            "a merge that ends",
            format!("a circle at {id}"),
            "restore a backup",
        ))
    }

    /// The family that stands for the one of this label and name.
    pub(super) fn find(&self, label: Label, name: &str) -> Result<Option<&Family>> {
        let named = self.by_id.values().find(|family| family.label == label && family.name == name);
        let Some(named) = named else { return Ok(None) };
        let standing = self.standing(named.id)?;
        if standing.label != label {
            let found = format!("{name}, now part of the {} family {}", standing.label.word(), standing.name);
            let expected = format!("a {} family", label.word());
            return Err(StoreError::refused("the family", expected, found, "choose another name"));
        }
        Ok(Some(standing))
    }

    pub(super) fn add(&mut self, family: Family) {
        self.by_id.insert(family.id, family);
    }

    fn any(&self, id: i64) -> Result<&Family> {
        self.by_id.get(&id).ok_or_else(|| missing(id))
    }

    /// A family that stands for itself.
    fn living(&self, id: i64) -> Result<&Family> {
        let family = self.any(id)?;
        match family.merged_into {
            None => Ok(family),
            Some(into) => {
                let found = format!("{}, merged into family {into}", family.name);
                Err(StoreError::refused(
                    "the family",
                    "one that was not merged",
                    found,
                    "undo the merge first",
                ))
            }
        }
    }

    fn free(&self, label: Label, name: &str) -> Result<()> {
        match self.by_id.values().find(|family| family.label == label && family.name == name) {
            None => Ok(()),
            Some(_) => Err(StoreError::taken("family", name, "merge the two, or choose another name")),
        }
    }
}

/// Adds a family to a project that is held.
pub(super) fn insert(
    session: &mut Session<'_>,
    project_id: i64,
    label: Label,
    name: &str,
    stamp: &Stamp,
) -> Result<Family> {
    let id = session.insert(
        "INSERT INTO families (project_id, label, name, merged_into, retired, created_ns, checksum) \
         VALUES (?, ?, ?, ?, 0, ?, 0)",
        values![project_id, label.number(), name, None::<i64>, stamp.at_ns],
    )?;
    let (name, created_ns) = (name.to_owned(), stamp.at_ns);
    let family = Family { id, project_id, label, name, merged_into: None, created_ns };
    // Its number is part of its checksum.
    save(session, &family)?;
    Ok(family)
}

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
            annotations::refuse_others(session, *into, event)?;
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

/// Writes what may change about a family.
fn save(session: &mut Session<'_>, family: &Family) -> Result<()> {
    session.execute(
        "UPDATE families SET label = ?, name = ?, merged_into = ?, checksum = ? WHERE id = ?",
        values![
            family.label.number(),
            &family.name,
            family.merged_into,
            checksum::of(&family.everything()),
            family.id,
        ],
    )?;
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

fn missing(name: impl ToString) -> StoreError {
    StoreError::missing("family", name, "see the list of the project's families")
}

fn family(row: &Row) -> Result<Family> {
    let family = Family {
        id: row.int(0)?,
        project_id: row.int(1)?,
        label: Label::of(row.truth(2)?),
        name: row.text(3)?,
        merged_into: row.opt_int(4)?,
        created_ns: row.int(5)?,
    };
    checksum::check(row, 6, &family.everything(), || format!("family {}", family.id))?;
    Ok(family)
}
