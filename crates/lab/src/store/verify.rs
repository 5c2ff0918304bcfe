//! Reads everything that can be checked, and says what does not hold.

use super::driver::Session;
use super::engine::Engine;
use super::error::{Result, StoreError};
use super::families::Families;
use super::{Store, editor, events};

/// What was read and held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Datasets.
    pub datasets: u64,
    /// Annotations, each with its checksum.
    pub annotations: u64,
}

impl Store {
    /// Checks the database file (SQLite), that every reference leads somewhere, that every annotation, family and operation
    /// on families is what was written, and that no number is missing in a log.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing that does not hold.
    pub fn verify(&self) -> Result<Verified> {
        self.read(|session| {
            if session.engine() == Engine::Sqlite {
                check_file(session)?;
            }
            for project in session.rows("SELECT id FROM projects ORDER BY id", &[])? {
                let project = project.int(0)?;
                Families::of(session, project)?;
                editor::history(session, project)?;
            }
            let datasets = session.rows("SELECT id, next_seq FROM datasets ORDER BY id", &[])?;
            let mut annotations = 0;
            for dataset in &datasets {
                annotations += check_log(session, dataset.int(0)?, dataset.int(1)?)?;
            }
            Ok(Verified { datasets: datasets.len() as u64, annotations })
        })
    }
}

/// SQLite's own checks. Servers have theirs, which need more rights than the store has.
fn check_file(session: &mut Session<'_>) -> Result<()> {
    let place = session.place().to_owned();
    let damaged = |what: &str, expected: &str, found: String| StoreError::Damaged {
        place: place.clone(),
        what: what.to_owned(),
        expected: expected.to_owned(),
        found,
    };
    let checked =
        session.first("PRAGMA integrity_check(1)", &[])?.map_or(Ok(String::new()), |row| row.text(0))?;
    if checked != "ok" {
        return Err(damaged("the database file", "ok from SQLite's check", checked));
    }
    match session.first("PRAGMA foreign_key_check", &[])? {
        Some(row) => {
            Err(damaged("a reference", "a row that it leads to", format!("none, from {}", row.text(0)?)))
        }
        None => Ok(()),
    }
}

/// Every number from 1 to the last one given is there once.
fn check_log(session: &mut Session<'_>, dataset: i64, next: i64) -> Result<u64> {
    let mut expected = 1;
    loop {
        let page = events::page_after(session, dataset, expected - 1)?;
        if page.is_empty() {
            break;
        }
        for event in page {
            if event.seq != expected {
                return Err(events::gap(session, dataset, expected, event.seq));
            }
            expected += 1;
        }
    }
    if expected != next {
        return Err(events::gap(session, dataset, expected, 0));
    }
    Ok(u64::try_from(expected - 1).unwrap_or(0))
}
