//! The lab's memory: projects, datasets, labels, runs, campaigns, models, users and who did what, in SQLite (one
//! file, the default), PostgreSQL or MariaDB.
//!
//! [`Store::open`] connects and migrates. Every function blocks and is one transaction: when it returns `Ok`, the change
//! is on disk; when it returns an error, nothing was changed ([`StoreError::Unknown`] alone leaves that open). Each
//! change takes a [`Stamp`], who makes it and when: there is no clock here. Each is a line of the audit log.
//!
//! One file a topic; `schema` has the tables, `migrate` brings them up to date, `driver` alone knows the
//! databases' driver, `engine` how they differ.
//! `docs/store.md` describes the tables and what differs between the three.

mod annotations;
mod audit;
mod campaigns;
mod checksum;
mod datasets;
mod driver;
pub(crate) mod dump;
mod editor;
mod engine;
mod error;
mod events;
mod families;
mod faults;
mod labels;
mod log;
mod migrate;
mod models;
mod projects;
pub(crate) mod row;
pub(crate) mod runs;
mod schema;
mod text;
mod users;
mod verify;

use std::thread;
use std::time::Duration;

pub use annotations::{Annotated, NewAnnotation, Said, Scope};
pub(crate) use audit::record;
pub use audit::{AuditEntry, Stamp};
pub use campaigns::{Campaign, CampaignState, NewCampaign};
pub use datasets::{Dataset, DatasetVersion, Feature, TableFile};
pub(crate) use driver::Session;
pub use editor::{FamilyChange, FamilyEvent};
pub use engine::Engine;
pub use error::{Result, StoreError};
pub use events::{AnnotationEvent, EventKind};
pub use families::{Family, Label};
pub use labels::RowLabel;
pub use migrate::{Migration, Step};
pub use models::{ModelEvent, ModelFile, ModelVersion, Stage};
pub use projects::Project;
pub use runs::{Artefact, Input, Metric, NewRun, Run, RunState};
pub use schema::MIGRATIONS;
pub use users::{Role, Token, User};
pub use verify::Verified;

/// How often a change is tried when others are in its way.
const TRIES: u32 = 8;

/// An open store. It may be shared by threads, and many processes may have it open.
pub struct Store {
    driver: driver::Driver,
    version: i64,
}

impl Store {
    /// Opens the store at `sqlite:PATH`, `postgres://..` or `mysql://..`, and brings its schema up to date.
    ///
    /// `now` is written beside the schema's version.
    ///
    /// # Errors
    /// When it cannot be reached, was written by a newer program, or a migration failed (it is then as it was).
    pub fn open(url: &str, now: i64) -> Result<Self> {
        Self::open_with(url, MIGRATIONS, now)
    }

    /// Opens a store with a schema of the caller's: tests migrate, and fail to, with it.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with(url: &str, migrations: &[Migration], now: i64) -> Result<Self> {
        let driver = driver::Driver::connect(url)?;
        let version = again(|| migrate::migrate(&driver, migrations, now))?;
        Ok(Self { driver, version })
    }

    /// Which database it lives in.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.driver.engine()
    }

    /// The version of its schema.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.version
    }

    /// Its address without the password.
    #[must_use]
    pub fn place(&self) -> &str {
        self.driver.place()
    }

    /// Closes it in order. A store that is merely dropped (or killed) loses nothing either; its SQLite file then has its
    /// log beside it until the next opening.
    pub fn close(self) {
        self.driver.close();
    }

    /// Reads one consistent state.
    ///
    /// `work` may run again, as in [`Store::write`].
    pub(crate) fn read<T>(&self, mut work: impl FnMut(&mut Session<'_>) -> Result<T>) -> Result<T> {
        again(|| work(&mut self.driver.begin(engine::Purpose::Read)?))
    }

    /// Changes the store in one transaction: all of it, or nothing when `work` or the commit fails.
    ///
    /// `work` runs again when others were in its way, so it must not keep anything from one run to the next.
    pub(crate) fn write<T>(&self, mut work: impl FnMut(&mut Session<'_>) -> Result<T>) -> Result<T> {
        again(|| {
            let mut session = self.driver.begin(engine::Purpose::Write)?;
            let done = work(&mut session)?;
            self.driver.finish(session)?;
            Ok(done)
        })
    }
}

/// Does what others may be in the way of, a few times, with growing pauses.
fn again<T>(mut work: impl FnMut() -> Result<T>) -> Result<T> {
    for tried in 1..TRIES {
        match work() {
            Err(StoreError::Contended { .. }) => thread::sleep(Duration::from_millis(1 << tried)),
            done => return done,
        }
    }
    work()
}
