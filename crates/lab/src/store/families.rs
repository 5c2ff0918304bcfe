//! Families: what kinds of malicious (or benign) behaviour a project knows, and which of them stands for a name.
//!
//! A family has a number, and annotations point at that; its name and label are looked up when somebody asks. One that was merged
//! into another keeps its name, so that it can still be annotated by it. `editor` changes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::audit::Stamp;
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, checksum};

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

    /// For the number of each family of a project the family that stands for it now: itself, or the one it was merged into.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn standing_families(&self, project: i64) -> Result<BTreeMap<i64, Family>> {
        self.read(|session| {
            let known = Families::of(session, project)?;
            known.by_id.keys().map(|&id| Ok((id, known.standing(id)?.clone()))).collect()
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
}

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

    pub(super) fn any(&self, id: i64) -> Result<&Family> {
        self.by_id.get(&id).ok_or_else(|| missing(id))
    }

    /// A family that stands for itself.
    pub(super) fn living(&self, id: i64) -> Result<&Family> {
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

    pub(super) fn free(&self, label: Label, name: &str) -> Result<()> {
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

/// Writes what may change about a family.
pub(super) fn save(session: &mut Session<'_>, family: &Family) -> Result<()> {
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

pub(super) fn missing(name: impl ToString) -> StoreError {
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
