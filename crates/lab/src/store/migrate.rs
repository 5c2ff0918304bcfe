//! Brings a store to the schema of this program: numbered steps forward, and back again when one of them fails.
//!
//! On SQLite and PostgreSQL all of it is one transaction. MariaDB commits before and after every statement that
//! defines a table; there each step is written down before it is taken, and a failure (or, at the next opening, the
//! trace of a process that died) is undone by the steps' opposites, last one first. The code is the same for all.

use super::driver::{Driver, Session};
use super::engine::{Engine, Purpose};
use super::error::{Result, StoreError};
use super::row::{Value, values};

/// One statement and what undoes it, in the neutral words of `Engine::definition`.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// What is done.
    pub up: &'static str,
    /// What undoes it, also when it was not done.
    pub down: &'static str,
}

/// The way from one schema version to the next.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The version that is reached; the first is 1 and there is no gap.
    pub version: i64,
    /// What it is for.
    pub name: &'static str,
    /// How it is reached.
    pub steps: &'static [Step],
}

/// The tables that migrations themselves need. They come first and are never undone.
const FOUNDATION: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS schema_versions (version {int} NOT NULL PRIMARY KEY, name {name} NOT NULL, \
     program {name} NOT NULL, applied_ns {int} NOT NULL){table}",
    "CREATE TABLE IF NOT EXISTS schema_steps (version {int} NOT NULL, step {int} NOT NULL, \
     PRIMARY KEY (version, step)){table}",
];

/// Brings the store to the last of `migrations`; the version it has then.
pub(super) fn migrate(driver: &Driver, migrations: &[Migration], now: i64) -> Result<i64> {
    let newest = migrations.last().map_or(0, |migration| migration.version);
    let found = version_at_rest(driver)?;
    if found == Some(newest) {
        return Ok(newest);
    }
    refuse_newer(driver, newest, found.unwrap_or(0))?;
    let mut session = driver.begin(Purpose::Write)?;
    hold(&mut session)?;
    let done = bring(&mut session, migrations, now);
    match done {
        Ok(version) => {
            release(&mut session)?;
            driver.finish(session)?;
            Ok(version)
        }
        Err(error) => {
            // The reason why it failed says more than that the lock is held until the connection ends.
            release(&mut session).ok();
            Err(error)
        }
    }
}

/// The version when nothing is half done; `None` when there is work to do or to undo.
fn version_at_rest(driver: &Driver) -> Result<Option<i64>> {
    let mut session = driver.begin(Purpose::Read)?;
    if !has_table(&mut session, "schema_versions")? || !has_table(&mut session, "schema_steps")? {
        return Ok(None);
    }
    let half_done = session.first("SELECT version FROM schema_steps", &[])?.is_some();
    let version = version(&mut session)?;
    Ok((!half_done).then_some(version))
}

/// Takes every step that is missing. Whoever waited for the lock finds the work done.
fn bring(session: &mut Session<'_>, migrations: &[Migration], now: i64) -> Result<i64> {
    for statement in FOUNDATION {
        session.define(statement)?;
    }
    undo_half_done(session, migrations)?;
    let mut reached = version(session)?;
    for migration in migrations {
        if migration.version <= reached {
            continue;
        }
        take(session, migration, reached)?;
        session.execute("DELETE FROM schema_steps WHERE version = ?", values![migration.version])?;
        session.execute(
            "INSERT INTO schema_versions (version, name, program, applied_ns) VALUES (?, ?, ?, ?)",
            values![migration.version, migration.name, env!("CARGO_PKG_VERSION"), now],
        )?;
        reached = migration.version;
    }
    Ok(reached)
}

/// Takes the steps of one migration, or none of them.
fn take(session: &mut Session<'_>, migration: &Migration, kept: i64) -> Result<()> {
    for (number, step) in (1..).zip(migration.steps) {
        session.execute(
            "INSERT INTO schema_steps (version, step) VALUES (?, ?)",
            values![migration.version, number],
        )?;
        if let Err(error) = session.try_define(step.up) {
            undo(session, migration, number)?;
            return Err(StoreError::Migration {
                place: session.place().to_owned(),
                version: migration.version,
                name: migration.name.to_owned(),
                step: number,
                said: error.to_string(),
                kept,
                advice: "go on with the program that wrote it, and report this",
            });
        }
    }
    Ok(())
}

/// Undoes what a process that died in the middle has left behind.
fn undo_half_done(session: &mut Session<'_>, migrations: &[Migration]) -> Result<()> {
    let steps =
        session.rows("SELECT version, step FROM schema_steps ORDER BY version DESC, step DESC", &[])?;
    let Some(last) = steps.first() else { return Ok(()) };
    let (version, step) = (last.int(0)?, last.int(1)?);
    let Some(migration) = migrations.iter().find(|migration| migration.version == version) else {
        let expected = migrations.last().map_or(0, |migration| migration.version);
        return Err(StoreError::Newer { place: session.place().to_owned(), expected, found: version });
    };
    undo(session, migration, step)
}

/// Undoes steps `last`, .., 1. The last one may not have been done at all.
///
/// Where a transaction undoes tables there is nothing to do: it is about to be rolled back.
fn undo(session: &mut Session<'_>, migration: &Migration, last: i64) -> Result<()> {
    if session.engine().undoes_tables() {
        return Ok(());
    }
    let taken = usize::try_from(last).unwrap_or(0).min(migration.steps.len());
    for (at, step) in migration.steps[..taken].iter().enumerate().rev() {
        if at + 1 < taken {
            session.define(step.down)?;
        } else {
            session.try_define(step.down).ok();
        }
    }
    session.execute("DELETE FROM schema_steps WHERE version = ?", values![migration.version])?;
    // Whoever undoes may go on to fail; what has been undone stays undone.
    session.define("COMMIT")
}

fn version(session: &mut Session<'_>) -> Result<i64> {
    let row = session.first("SELECT MAX(version) FROM schema_versions", &[])?;
    Ok(row.map_or(Ok(None), |row| row.opt_int(0))?.unwrap_or(0))
}

fn refuse_newer(driver: &Driver, expected: i64, found: i64) -> Result<()> {
    if found <= expected {
        return Ok(());
    }
    Err(StoreError::Newer { place: driver.place().to_owned(), expected, found })
}

/// Whether there is a table of this name.
fn has_table(session: &mut Session<'_>, name: &str) -> Result<bool> {
    let statement = match session.engine() {
        Engine::Sqlite => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
        Engine::Postgres => {
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = ?"
        }
        Engine::MySql => {
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
        }
    };
    Ok(session.first(statement, &[Value::from(name)])?.map_or(Ok(0), |row| row.int(0))? > 0)
}

/// Keeps other processes from migrating until [`release`] or the end of the connection.
fn hold(session: &mut Session<'_>) -> Result<()> {
    match session.engine() {
        // BEGIN IMMEDIATE holds it already.
        Engine::Sqlite => Ok(()),
        Engine::Postgres => {
            session.rows("SELECT CAST(pg_advisory_xact_lock(4850244) AS TEXT)", &[]).map(|_| ())
        }
        Engine::MySql => {
            let held = session.first("SELECT GET_LOCK(CONCAT('cormorant ', DATABASE()), 60)", &[])?;
            match held.map_or(Ok(None), |row| row.opt_int(0))? {
                Some(1) => Ok(()),
                _ => Err(StoreError::Contended {
                    place: session.place().to_owned(),
                    said: "another process has been migrating it for a minute".to_owned(),
                }),
            }
        }
    }
}

/// Lets other processes migrate.
fn release(session: &mut Session<'_>) -> Result<()> {
    match session.engine() {
        Engine::Sqlite | Engine::Postgres => Ok(()),
        Engine::MySql => {
            session.rows("SELECT RELEASE_LOCK(CONCAT('cormorant ', DATABASE()))", &[]).map(|_| ())
        }
    }
}
