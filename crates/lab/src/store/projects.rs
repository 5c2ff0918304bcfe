//! Projects: what belongs together. A dataset, a family, a campaign or a model belongs to one.

use serde_json::json;

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, text};

/// What belongs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its number.
    pub id: i64,
    /// Its name, unique in the store.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was created, in ns since the UNIX epoch.
    pub created_ns: i64,
}

const COLUMNS: &str = "SELECT id, name, description, created_ns FROM projects";

impl Store {
    /// Creates a project.
    ///
    /// # Errors
    /// When the name is taken or no name.
    pub fn create_project(&self, name: &str, description: &str, stamp: &Stamp) -> Result<Project> {
        text::name("the project's name", name)?;
        text::text("the project's description", description)?;
        self.write(|session| {
            if find(session, name)?.is_some() {
                return Err(StoreError::taken("project", name, "use it, or choose another name"));
            }
            let id = session.insert(
                "INSERT INTO projects (name, description, created_ns, revision) VALUES (?, ?, ?, 0)",
                values![name, description, stamp.at_ns],
            )?;
            record(session, stamp, "project.create", &format!("project {name}"), &json!({}))?;
            Ok(Project {
                id,
                name: name.to_owned(),
                description: description.to_owned(),
                created_ns: stamp.at_ns,
            })
        })
    }

    /// The project of this name.
    ///
    /// # Errors
    /// When there is none.
    pub fn project(&self, name: &str) -> Result<Project> {
        self.read(|session| find(session, name)?.ok_or_else(|| missing(name)))
    }

    /// All projects, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn projects(&self) -> Result<Vec<Project>> {
        self.read(|session| {
            session.rows(&format!("{COLUMNS} ORDER BY name"), &[])?.iter().map(project).collect()
        })
    }
}

/// Takes the project's row for this transaction, so that changes to its families come one after the other.
pub(super) fn hold(session: &mut Session<'_>, id: i64) -> Result<()> {
    match session.execute("UPDATE projects SET revision = revision + 1 WHERE id = ?", values![id])? {
        1 => Ok(()),
        _ => Err(missing(id)),
    }
}

/// The same for the project of a dataset, if there is such a dataset.
pub(super) fn hold_of(session: &mut Session<'_>, dataset: i64) -> Result<()> {
    session.execute(
        "UPDATE projects SET revision = revision + 1 WHERE id = (SELECT project_id FROM datasets WHERE id = ?)",
        values![dataset],
    )?;
    Ok(())
}

fn find(session: &mut Session<'_>, name: &str) -> Result<Option<Project>> {
    session.first(&format!("{COLUMNS} WHERE name = ?"), values![name])?.as_ref().map(project).transpose()
}

fn missing(name: impl ToString) -> StoreError {
    StoreError::missing("project", name, "see the list of projects")
}

fn project(row: &Row) -> Result<Project> {
    Ok(Project { id: row.int(0)?, name: row.text(1)?, description: row.text(2)?, created_ns: row.int(3)? })
}
