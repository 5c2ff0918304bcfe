//! The registry of models: versions of one name, the stage each has reached, and the way back from a promotion.
//!
//! At most one version of a name is in production. Promoting another one archives it; a rollback undoes the last
//! promotion to production that has not been rolled back. Both are events, so the registry can tell what was in production when.

use std::collections::BTreeSet;

use serde_json::json;

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, projects, text};

/// What a version of a model is trusted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing yet.
    None,
    /// To be tried beside the one in production.
    Staging,
    /// The one that hunts.
    Production,
    /// Nothing any more.
    Archived,
}

impl Stage {
    /// `none`, `staging`, `production` or `archived`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Archived => "archived",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::None, Self::Staging, Self::Production, Self::Archived]
            .into_iter()
            .find(|stage| stage.word() == word)
    }
}

/// A model file to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// SHA-256 of the file, by which it is kept.
    pub digest: String,
    /// Its length.
    pub bytes: u64,
    /// The digest of the columns it accepts.
    pub schema_digest: String,
    /// The run that made it.
    pub run_id: Option<i64>,
    /// The command line that makes it again.
    pub command: String,
}

/// One version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelVersion {
    /// 1, 2, .. within the model's name.
    pub version: i64,
    /// What it is trusted with.
    pub stage: Stage,
    /// The file.
    pub file: ModelFile,
    /// Who registered it.
    pub author: String,
    /// When, in ns since the UNIX epoch.
    pub created_ns: i64,
}

/// What was done to a version of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelEvent {
    /// Its number within the model's name, from 1.
    pub seq: i64,
    /// `register`, `promote` or `rollback`.
    pub operation: String,
    /// The version.
    pub version: i64,
    /// Its stage before.
    pub from: Stage,
    /// Its stage since.
    pub to: Stage,
    /// The version that was in production before and is not since (or, in a rollback, is again).
    pub replaced: Option<i64>,
    /// The event that it undoes.
    pub undoes: Option<i64>,
    /// Why, in its author's words.
    pub reason: String,
    /// Who did it.
    pub author: String,
    /// When, in ns since the UNIX epoch.
    pub at_ns: i64,
}

const VERSIONS: &str = "SELECT version, stage, digest, bytes, schema_digest, run_id, command, author, created_ns \
                        FROM model_versions";

impl Store {
    /// Registers a model file under a name; the next version, or the one that already is this very file.
    ///
    /// # Errors
    /// When there is no such project, the digest is none, or it has no command line.
    pub fn register_model(
        &self,
        project: i64,
        name: &str,
        file: &ModelFile,
        stamp: &Stamp,
    ) -> Result<ModelVersion> {
        text::name("the model's name", name)?;
        text::digest("the model's digest", &file.digest)?;
        text::digest("the schema's digest", &file.schema_digest)?;
        text::command(&file.command)?;
        let bytes = text::count("the file's length", file.bytes)?;
        self.write(|session| {
            projects::hold(session, project)?;
            let model = model_or_new(session, project, name, stamp)?;
            let same = format!("{VERSIONS} WHERE model_id = ? AND digest = ?");
            if let Some(row) = session.first(&same, values![model, &file.digest])? {
                return version_of(&row);
            }
            let last = session.first("SELECT MAX(version) FROM model_versions WHERE model_id = ?", values![model])?;
            let version = last.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0) + 1;
            session.insert(
                "INSERT INTO model_versions (model_id, version, stage, digest, bytes, schema_digest, run_id, command, \
                 author, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values![
                    model, version, Stage::None.word(), &file.digest, bytes, &file.schema_digest, file.run_id,
                    &file.command, &stamp.author, stamp.at_ns,
                ],
            )?;
            let event = ModelEvent::new("register", version, (Stage::None, Stage::None), "", stamp);
            write_event(session, model, name, event, stamp)?;
            let (author, created_ns) = (stamp.author.clone(), stamp.at_ns);
            Ok(ModelVersion { version, stage: Stage::None, file: file.clone(), author, created_ns })
        })
    }

    /// The names of a project's models, sorted.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn models(&self, project: i64) -> Result<Vec<String>> {
        self.read(|session| {
            let rows = session
                .rows("SELECT name FROM models WHERE project_id = ? ORDER BY name", values![project])?;
            rows.iter().map(|row| row.text(0)).collect()
        })
    }

    /// The versions of a model, first to last.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn model_versions(&self, project: i64, name: &str) -> Result<Vec<ModelVersion>> {
        self.read(|session| {
            let model = model(session, project, name)?;
            versions(session, model)
        })
    }

    /// The version that is in production, if one is.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn model_in_production(&self, project: i64, name: &str) -> Result<Option<ModelVersion>> {
        let versions = self.model_versions(project, name)?;
        Ok(versions.into_iter().find(|version| version.stage == Stage::Production))
    }

    /// What was done to a model, first to last.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn model_events(&self, project: i64, name: &str) -> Result<Vec<ModelEvent>> {
        self.read(|session| {
            let model = model(session, project, name)?;
            events(session, model)
        })
    }

    /// Gives a version another stage. The version that was in production before is archived.
    ///
    /// # Errors
    /// When there is no such version, or it has the stage.
    pub fn promote_model(
        &self,
        project: i64,
        name: &str,
        version: i64,
        to: Stage,
        reason: &str,
        stamp: &Stamp,
    ) -> Result<ModelEvent> {
        text::text("the reason", reason)?;
        self.write(|session| {
            projects::hold(session, project)?;
            let model = model(session, project, name)?;
            let versions = versions(session, model)?;
            let from = find(&versions, name, version)?.stage;
            if from == to {
                let found = format!("{}, which it has", to.word());
                return Err(StoreError::refused("the stage", "another one", found, "there is nothing to do"));
            }
            let standing = versions.iter().find(|other| other.stage == Stage::Production);
            let replaced = standing.filter(|_| to == Stage::Production).map(|standing| standing.version);
            if let Some(replaced) = replaced {
                set_stage(session, model, replaced, Stage::Archived)?;
            }
            set_stage(session, model, version, to)?;
            let event =
                ModelEvent { replaced, ..ModelEvent::new("promote", version, (from, to), reason, stamp) };
            write_event(session, model, name, event, stamp)
        })
    }

    /// Undoes the last promotion to production: the version that was there before is there again.
    ///
    /// # Errors
    /// When there is nothing to go back to.
    pub fn roll_back_model(
        &self,
        project: i64,
        name: &str,
        reason: &str,
        stamp: &Stamp,
    ) -> Result<ModelEvent> {
        text::text("the reason", reason)?;
        self.write(|session| {
            projects::hold(session, project)?;
            let model = model(session, project, name)?;
            let last = last_promotion(&events(session, model)?, name)?;
            let versions = versions(session, model)?;
            // Since then the version may have been archived by hand; whatever hunts now makes room.
            for standing in versions.iter().filter(|version| version.stage == Stage::Production) {
                set_stage(session, model, standing.version, Stage::Archived)?;
            }
            let from = find(&versions, name, last.version)?.stage;
            set_stage(session, model, last.version, last.from)?;
            if let Some(before) = last.replaced {
                set_stage(session, model, before, Stage::Production)?;
            }
            let event = ModelEvent::new("rollback", last.version, (from, last.from), reason, stamp);
            let event = ModelEvent { replaced: last.replaced, undoes: Some(last.seq), ..event };
            write_event(session, model, name, event, stamp)
        })
    }
}

impl ModelEvent {
    fn new(operation: &str, version: i64, (from, to): (Stage, Stage), reason: &str, stamp: &Stamp) -> Self {
        Self {
            seq: 0,
            operation: operation.to_owned(),
            version,
            from,
            to,
            replaced: None,
            undoes: None,
            reason: reason.to_owned(),
            author: stamp.author.clone(),
            at_ns: stamp.at_ns,
        }
    }
}

/// The last promotion to production that still counts.
fn last_promotion(events: &[ModelEvent], name: &str) -> Result<ModelEvent> {
    let undone: BTreeSet<i64> = events.iter().filter_map(|event| event.undoes).collect();
    let counts = |event: &&ModelEvent| {
        event.operation == "promote" && event.to == Stage::Production && !undone.contains(&event.seq)
    };
    let advice = "promote a version first";
    events
        .iter()
        .rev()
        .find(counts)
        .cloned()
        .ok_or_else(|| StoreError::missing("promotion of model", name, advice))
}

fn find<'v>(versions: &'v [ModelVersion], name: &str, version: i64) -> Result<&'v ModelVersion> {
    let found = versions.iter().find(|known| known.version == version);
    found.ok_or_else(|| {
        StoreError::missing("version", format!("{version} of model {name}"), "see the list of its versions")
    })
}

fn model(session: &mut Session<'_>, project: i64, name: &str) -> Result<i64> {
    let found =
        session.first("SELECT id FROM models WHERE project_id = ? AND name = ?", values![project, name])?;
    found.ok_or_else(|| StoreError::missing("model", name, "see the list of the project's models"))?.int(0)
}

fn model_or_new(session: &mut Session<'_>, project: i64, name: &str, stamp: &Stamp) -> Result<i64> {
    match model(session, project, name) {
        Err(StoreError::Missing { .. }) => session.insert(
            "INSERT INTO models (project_id, name, description, created_ns, next_seq) VALUES (?, ?, '', ?, 1)",
            values![project, name, stamp.at_ns],
        ),
        found => found,
    }
}

fn set_stage(session: &mut Session<'_>, model: i64, version: i64, stage: Stage) -> Result<()> {
    let statement = "UPDATE model_versions SET stage = ? WHERE model_id = ? AND version = ?";
    session.execute(statement, values![stage.word(), model, version])?;
    Ok(())
}

fn write_event(
    session: &mut Session<'_>,
    model: i64,
    name: &str,
    event: ModelEvent,
    stamp: &Stamp,
) -> Result<ModelEvent> {
    let next = session.first("SELECT next_seq FROM models WHERE id = ?", values![model])?;
    let seq = next.map_or(Ok(1), |row| row.int(0))?;
    session.execute("UPDATE models SET next_seq = ? WHERE id = ?", values![seq + 1, model])?;
    session.insert(
        "INSERT INTO model_events (model_id, seq, operation, version, from_stage, to_stage, replaced, undoes, reason, \
         author, at_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            model, seq, &event.operation, event.version, event.from.word(), event.to.word(), event.replaced,
            event.undoes, &event.reason, &event.author, event.at_ns,
        ],
    )?;
    let action = match event.operation.as_str() {
        "register" => "model.register",
        "promote" => "model.promote",
        _ => "model.rollback",
    };
    let detail = json!({"version": event.version, "to": event.to.word(), "replaced": event.replaced});
    record(session, stamp, action, &format!("model {name}"), &detail)?;
    Ok(ModelEvent { seq, ..event })
}

fn versions(session: &mut Session<'_>, model: i64) -> Result<Vec<ModelVersion>> {
    let rows = session.rows(&format!("{VERSIONS} WHERE model_id = ? ORDER BY version"), values![model])?;
    rows.iter().map(version_of).collect()
}

fn events(session: &mut Session<'_>, model: i64) -> Result<Vec<ModelEvent>> {
    let rows = session.rows(
        "SELECT seq, operation, version, from_stage, to_stage, replaced, undoes, reason, author, at_ns \
         FROM model_events WHERE model_id = ? ORDER BY seq",
        values![model],
    )?;
    rows.iter().map(event_of).collect()
}

fn version_of(row: &Row) -> Result<ModelVersion> {
    Ok(ModelVersion {
        version: row.int(0)?,
        stage: row.word(1, Stage::of)?,
        file: ModelFile {
            digest: row.text(2)?,
            bytes: row.count(3)?,
            schema_digest: row.text(4)?,
            run_id: row.opt_int(5)?,
            command: row.text(6)?,
        },
        author: row.text(7)?,
        created_ns: row.int(8)?,
    })
}

fn event_of(row: &Row) -> Result<ModelEvent> {
    Ok(ModelEvent {
        seq: row.int(0)?,
        operation: row.text(1)?,
        version: row.int(2)?,
        from: row.word(3, Stage::of)?,
        to: row.word(4, Stage::of)?,
        replaced: row.opt_int(5)?,
        undoes: row.opt_int(6)?,
        reason: row.text(7)?,
        author: row.text(8)?,
        at_ns: row.int(9)?,
    })
}
