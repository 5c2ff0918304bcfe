//! What is wrong with a store that can be opened: what its engine finds in its own structures, and rows that are not what
//! was written.
//!
//! A label carries a checksum, so a bit of it that has changed is found whatever the engine thinks of it. Other rows
//! are checked as far as they have a form: a word that is none, a document that cannot be read. A number that became
//! another number in a row without a checksum is not found; `docs/lab.md` says which numbers those are.

use super::driver::Session;
use super::row::values;
use super::{Engine, Result, Store, StoreError, events};

/// Rows read at a time.
const ROWS_AT_ONCE: i64 = 1000;
/// No more are told of: a store that is damaged all over is restored and not mended.
const MOST: usize = 100;

impl Store {
    /// What is wrong, each in a sentence; nothing where all is well.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub fn faults(&self) -> Result<Vec<String>> {
        let engine = self.read(|session| match session.engine() {
            Engine::Sqlite => of_sqlite(session),
            Engine::MySql => of_mysql(session),
            // A page's checksum is compared by the server whenever it reads one, if it was set up with them.
            Engine::Postgres => Ok(Vec::new()),
        });
        let mut faults = told(engine)?;
        // A damaged structure would only say the same again in other words.
        if faults.is_empty() {
            faults.extend(told(self.read(of_labels))?);
        }
        // Families carry checksums too, and the numbers of events have no gap: an event that is gone leaves one.
        if faults.is_empty() {
            faults.extend(told(self.verify().map(|_| Vec::new()))?);
        }
        faults.truncate(MOST);
        Ok(faults)
    }
}

/// What is damaged is a finding here, and no reason to stop.
fn told(found: Result<Vec<String>>) -> Result<Vec<String>> {
    match found {
        Err(error @ StoreError::Damaged { .. }) => Ok(vec![error.to_string()]),
        other => other,
    }
}

fn of_sqlite(session: &mut Session<'_>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for row in session.rows("PRAGMA integrity_check", &[])? {
        let said = row.text(0)?;
        if said != "ok" {
            faults.push(format!("the database is damaged: {said}; restore a backup"));
        }
    }
    for row in session.rows("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check", &[])? {
        let (table, id, parent) = (row.text(0)?, row.opt_int(1)?.unwrap_or(0), row.text(2)?);
        faults.push(format!(
            "row {id} of {table} refers to a row of {parent} that is not there; restore a backup"
        ));
    }
    Ok(faults)
}

fn of_mysql(session: &mut Session<'_>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for table in super::dump::table_names() {
        for row in session.rows(&format!("CHECK TABLE {table}"), &[])? {
            let (kind, said) = (row.text(2)?, row.text(3)?);
            if kind == "error" || (kind == "status" && said != "OK") {
                faults.push(format!("table {table} is damaged: {said}; restore a backup"));
            }
        }
    }
    Ok(faults)
}

/// Every event of every label, compared with its checksum.
fn of_labels(session: &mut Session<'_>) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let (mut dataset, mut seq) = (i64::MIN, i64::MIN);
    let page = format!(
        "{} WHERE dataset_id > ? OR (dataset_id = ? AND seq > ?) ORDER BY dataset_id, seq LIMIT {ROWS_AT_ONCE}",
        events::COLUMNS
    );
    loop {
        let rows = session.rows(&page, values![dataset, dataset, seq])?;
        for row in &rows {
            (dataset, seq) = (row.int(0)?, row.int(1)?);
            if let Err(error) = events::event(row) {
                faults.push(error.to_string());
            }
        }
        if (rows.len() as i64) < ROWS_AT_ONCE || faults.len() >= MOST {
            return Ok(faults);
        }
    }
}
