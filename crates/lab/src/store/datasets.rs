//! Datasets and their versions: a version is a table file, known by its digest, and what its columns mean.

use serde_json::{Value as Json, json};

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, projects, text};

/// A table that changes over time, under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Its number.
    pub id: i64,
    /// The project it belongs to.
    pub project_id: i64,
    /// Its name, unique in the project.
    pub name: String,
    /// What it holds.
    pub description: String,
    /// When it was created, in ns since the UNIX epoch.
    pub created_ns: i64,
}

/// One state of a dataset: a table file that never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetVersion {
    /// Its number in the store.
    pub id: i64,
    /// The dataset it is a version of.
    pub dataset_id: i64,
    /// 1, 2, .. within the dataset.
    pub version: i64,
    /// What the table is.
    pub table: TableFile,
    /// Who committed it.
    pub author: String,
    /// When, in ns since the UNIX epoch.
    pub created_ns: i64,
}

/// A table file and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct TableFile {
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
    /// The digest of its columns, as models know it.
    pub schema_digest: String,
    /// Captures, labels and options it was made from, a JSON document.
    pub provenance: Json,
    /// The command line that makes it again.
    pub command: String,
    /// The run that made it, if one did.
    pub run_id: Option<i64>,
}

/// What one column of a version means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// The column's name.
    pub name: String,
    /// `identity`, `feature`, `label`, ..
    pub role: String,
    /// The type of its values.
    pub kind: String,
    /// The unit of its values, or nothing.
    pub unit: String,
    /// What it measures, for people.
    pub description: String,
}

const DATASET: &str = "SELECT id, project_id, name, description, created_ns FROM datasets";
const VERSION: &str = "SELECT id, dataset_id, version, digest, bytes, row_count, schema_digest, provenance, command, \
                       run_id, author, created_ns FROM dataset_versions";

impl Store {
    /// Creates a dataset without versions.
    ///
    /// # Errors
    /// When there is no such project, or the name is taken.
    pub fn create_dataset(
        &self,
        project: i64,
        name: &str,
        description: &str,
        stamp: &Stamp,
    ) -> Result<Dataset> {
        text::name("the dataset's name", name)?;
        text::text("the dataset's description", description)?;
        self.write(|session| {
            projects::hold(session, project)?;
            if by_name(session, project, name)?.is_some() {
                return Err(StoreError::taken("dataset", name, "commit a version to it, or choose another name"));
            }
            let id = session.insert(
                "INSERT INTO datasets (project_id, name, description, created_ns, next_seq) VALUES (?, ?, ?, ?, 1)",
                values![project, name, description, stamp.at_ns],
            )?;
            record(session, stamp, "dataset.create", &format!("dataset {name}"), &json!({"id": id}))?;
            let (name, description) = (name.to_owned(), description.to_owned());
            Ok(Dataset { id, project_id: project, name, description, created_ns: stamp.at_ns })
        })
    }

    /// The dataset of this name in a project.
    ///
    /// # Errors
    /// When there is none.
    pub fn dataset(&self, project: i64, name: &str) -> Result<Dataset> {
        self.read(|session| {
            by_name(session, project, name)?
                .ok_or_else(|| StoreError::missing("dataset", name, "see the list of the project's datasets"))
        })
    }

    /// The datasets of a project, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn datasets(&self, project: i64) -> Result<Vec<Dataset>> {
        self.read(|session| {
            let rows =
                session.rows(&format!("{DATASET} WHERE project_id = ? ORDER BY name"), values![project])?;
            rows.iter().map(dataset).collect()
        })
    }

    /// Commits a version: the next one, or the one that already holds this very table.
    ///
    /// `features` describes every column, in the table's order.
    ///
    /// # Errors
    /// When there is no such dataset, a column is described twice, or the digest is none.
    pub fn commit_version(
        &self,
        dataset: i64,
        table: &TableFile,
        features: &[Feature],
        stamp: &Stamp,
    ) -> Result<DatasetVersion> {
        check(table, features)?;
        let (bytes, rows) =
            (text::count("the file's length", table.bytes)?, text::count("the rows", table.rows)?);
        self.write(|session| {
            let name = hold(session, dataset)?;
            let same = format!("{VERSION} WHERE dataset_id = ? AND digest = ?");
            if let Some(row) = session.first(&same, values![dataset, &table.digest])? {
                return version(&row);
            }
            let last = session
                .first("SELECT MAX(version) FROM dataset_versions WHERE dataset_id = ?", values![dataset])?;
            let number = last.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0) + 1;
            let id = session.insert(
                "INSERT INTO dataset_versions (dataset_id, version, digest, bytes, row_count, schema_digest, \
                 provenance, command, run_id, author, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values![
                    dataset,
                    number,
                    &table.digest,
                    bytes,
                    rows,
                    &table.schema_digest,
                    table.provenance.to_string(),
                    &table.command,
                    table.run_id,
                    &stamp.author,
                    stamp.at_ns,
                ],
            )?;
            describe(session, id, features)?;
            let detail = json!({"version": number, "digest": table.digest, "rows": table.rows});
            record(session, stamp, "dataset.commit", &format!("dataset {name}"), &detail)?;
            Ok(DatasetVersion {
                id,
                dataset_id: dataset,
                version: number,
                table: table.clone(),
                author: stamp.author.clone(),
                created_ns: stamp.at_ns,
            })
        })
    }

    /// The versions of a dataset, first to last.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn versions(&self, dataset: i64) -> Result<Vec<DatasetVersion>> {
        self.read(|session| {
            let rows = session
                .rows(&format!("{VERSION} WHERE dataset_id = ? ORDER BY version"), values![dataset])?;
            rows.iter().map(version).collect()
        })
    }

    /// What the columns of a version mean, in the table's order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn features(&self, version: i64) -> Result<Vec<Feature>> {
        self.read(|session| {
            let rows = session.rows(
                "SELECT name, role, type, unit, description FROM features WHERE version_id = ? ORDER BY position",
                values![version],
            )?;
            rows.iter().map(feature).collect()
        })
    }

    /// Says in other words what a column means.
    ///
    /// # Errors
    /// When the version has no such column.
    pub fn describe_feature(&self, version: i64, name: &str, description: &str, stamp: &Stamp) -> Result<()> {
        text::text("the column's description", description)?;
        self.write(|session| {
            let met = session.execute(
                "UPDATE features SET description = ? WHERE version_id = ? AND name = ?",
                values![description, version, name],
            )?;
            if met == 0 {
                return Err(StoreError::missing("column", name, "see the list of the version's columns"));
            }
            let subject = format!("column {name} of dataset version {version}");
            record(session, stamp, "feature.describe", &subject, &json!({"description": description}))
        })
    }
}

/// Holds the project of a dataset; the dataset's name.
fn hold(session: &mut Session<'_>, dataset: i64) -> Result<String> {
    let found = session.first("SELECT project_id, name FROM datasets WHERE id = ?", values![dataset])?;
    let advice = "see the list of the project's datasets";
    let row = found.ok_or_else(|| StoreError::missing("dataset", dataset, advice))?;
    projects::hold(session, row.int(0)?)?;
    row.text(1)
}

fn check(table: &TableFile, features: &[Feature]) -> Result<()> {
    text::digest("the table's digest", &table.digest)?;
    text::digest("the schema's digest", &table.schema_digest)?;
    text::text("the provenance", &table.provenance.to_string())?;
    text::command(&table.command)?;
    for feature in features {
        text::identifier("the column's name", &feature.name)?;
        text::identifier("the column's role", &feature.role)?;
        text::identifier("the column's type", &feature.kind)?;
        text::text("the column's description", &feature.description)?;
    }
    let mut names: Vec<_> = features.iter().map(|feature| &feature.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => {
            Err(StoreError::refused("the columns", "one of each name", twice[0], "rename one of them"))
        }
        None => Ok(()),
    }
}

fn describe(session: &mut Session<'_>, version: i64, features: &[Feature]) -> Result<()> {
    for (position, feature) in (0_i64..).zip(features) {
        session.execute(
            "INSERT INTO features (version_id, position, name, role, type, unit, description) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
            values![
                version,
                position,
                &feature.name,
                &feature.role,
                &feature.kind,
                &feature.unit,
                &feature.description,
            ],
        )?;
    }
    Ok(())
}

fn by_name(session: &mut Session<'_>, project: i64, name: &str) -> Result<Option<Dataset>> {
    let found =
        session.first(&format!("{DATASET} WHERE project_id = ? AND name = ?"), values![project, name])?;
    found.as_ref().map(dataset).transpose()
}

fn dataset(row: &Row) -> Result<Dataset> {
    Ok(Dataset {
        id: row.int(0)?,
        project_id: row.int(1)?,
        name: row.text(2)?,
        description: row.text(3)?,
        created_ns: row.int(4)?,
    })
}

fn version(row: &Row) -> Result<DatasetVersion> {
    Ok(DatasetVersion {
        id: row.int(0)?,
        dataset_id: row.int(1)?,
        version: row.int(2)?,
        table: TableFile {
            digest: row.text(3)?,
            bytes: row.count(4)?,
            rows: row.count(5)?,
            schema_digest: row.text(6)?,
            provenance: row.json(7)?,
            command: row.text(8)?,
            run_id: row.opt_int(9)?,
        },
        author: row.text(10)?,
        created_ns: row.int(11)?,
    })
}

fn feature(row: &Row) -> Result<Feature> {
    Ok(Feature {
        name: row.text(0)?,
        role: row.text(1)?,
        kind: row.text(2)?,
        unit: row.text(3)?,
        description: row.text(4)?,
    })
}
