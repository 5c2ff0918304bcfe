//! `lab restore`: a lab as it was when a backup of it was made.
//!
//! First everything in the backup is read and compared with its list; only then is anything written. Objects come
//! first, which changes nothing for anybody, then all rows in one transaction: whoever is killed on the way leaves the
//! lab as it was.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::manifest::{Manifest, TableFile, damaged};
use super::{Digest, Lab};
use crate::store::dump::{Table, table_names};
use crate::store::{Stamp, StoreError};
use crate::tables::read::cannot_read;
use crate::{Ctx, LabError};

/// What was restored.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// Where the lab is.
    pub lab: String,
    /// Where its rows are.
    pub store: String,
    /// The backup.
    pub from: String,
    /// When it was made, in ns since 1970-01-01 UTC.
    pub made_ns: i64,
    /// Rows by table; tables without rows are left out.
    pub rows: BTreeMap<String, u64>,
    /// Objects in it.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
}

impl Lab {
    /// Puts the rows and objects of a backup in the place of this lab's rows. A lab that has rows is refused unless
    /// `replace` says that they may go. Objects that are there stay; a sweep removes what nothing refers to.
    ///
    /// # Errors
    /// [`LabError::Damaged`], [`LabError::Request`], [`LabError::Store`], [`LabError::Write`]; the rows are then as they
    /// were.
    pub fn restore(
        &self,
        from: &Path,
        replace: bool,
        stamp: &Stamp,
        ctx: &Ctx,
    ) -> Result<RestoreReport, LabError> {
        let manifest = Manifest::read(from)?;
        self.refuse_to_overwrite(replace)?;
        self.refuse_another_schema(&manifest)?;
        check(from, &manifest, ctx)?;
        for (done, object) in manifest.objects.iter().enumerate() {
            ctx.check().map_err(|_| LabError::Cancelled)?;
            ctx.progress("restoring objects", done as u64, manifest.objects.len() as u64);
            let path = object_path(from, object.digest);
            let stored = self.objects.put_file(&path, stamp.at_ns)?;
            if stored.digest != object.digest {
                return Err(damaged(&path, "the digest that is its name", &stored.digest.to_string()));
            }
        }
        let tables: Vec<Table> = manifest
            .tables
            .iter()
            .map(|table| Table { name: table.name.clone(), columns: table.columns.clone() })
            .collect();
        self.store.load(&tables, &|table, row| lines(from, &table.name, row), stamp, "lab.restore")?;
        Ok(RestoreReport {
            lab: self.folder.display().to_string(),
            store: self.store.place().to_owned(),
            from: from.display().to_string(),
            made_ns: manifest.made_ns,
            rows: manifest
                .tables
                .iter()
                .filter(|table| table.rows > 0)
                .map(|table| (table.name.clone(), table.rows))
                .collect(),
            objects: manifest.objects.len() as u64,
            object_bytes: manifest.objects.iter().map(|object| object.bytes).sum(),
        })
    }

    fn refuse_to_overwrite(&self, replace: bool) -> Result<(), LabError> {
        let rows: u64 = self.store.row_counts()?.iter().map(|(_, rows)| rows).sum();
        if rows == 0 || replace {
            return Ok(());
        }
        Err(LabError::Request {
            what: "lab restore",
            expected: "an empty lab".to_owned(),
            found: format!("{rows} rows in {}", self.store.place()),
            advice: "restore into another directory with --lab, or let these rows go with --replace"
                .to_owned(),
        })
    }

    fn refuse_another_schema(&self, manifest: &Manifest) -> Result<(), LabError> {
        if manifest.schema == self.store.version() {
            return Ok(());
        }
        Err(LabError::Request {
            what: "backup",
            expected: format!("rows of schema version {}", self.store.version()),
            found: format!("version {}, made by cormorant {}", manifest.schema, manifest.program),
            advice: "restore it with the program that made it; a newer one then brings that lab up to date"
                .to_owned(),
        })
    }
}

/// Compares everything in the backup with its list.
fn check(from: &Path, manifest: &Manifest, ctx: &Ctx) -> Result<(), LabError> {
    let known: Vec<_> = table_names().collect();
    for table in &manifest.tables {
        if !known.contains(&table.name.as_str()) {
            return Err(damaged(&from.join("rows"), "tables of this program", &table.name));
        }
        check_file(&rows_path(from, &table.name), table.digest, table.bytes)?;
        check_rows(from, table)?;
    }
    for (done, object) in manifest.objects.iter().enumerate() {
        ctx.check().map_err(|_| LabError::Cancelled)?;
        ctx.progress("checking objects", done as u64, manifest.objects.len() as u64);
        check_file(&object_path(from, object.digest), object.digest, object.bytes)?;
    }
    Ok(())
}

fn check_file(path: &Path, digest: Digest, bytes: u64) -> Result<(), LabError> {
    let read = |source| cannot_read(path, source);
    let mut file = File::open(path).map_err(read)?;
    let (found, size) = Digest::of_stream(&mut file).map_err(read)?;
    if (found, size) == (digest, bytes) {
        return Ok(());
    }
    let expected = format!("{bytes} bytes with the digest {digest}");
    Err(damaged(path, &expected, &format!("{size} bytes with the digest {found}")))
}

fn check_rows(from: &Path, table: &TableFile) -> Result<(), LabError> {
    let mut rows = 0;
    lines(from, &table.name, &mut |_| {
        rows += 1;
        Ok(())
    })?;
    if rows == table.rows {
        return Ok(());
    }
    Err(damaged(&rows_path(from, &table.name), &format!("{} rows", table.rows), &rows.to_string()))
}

fn lines(
    from: &Path,
    table: &str,
    row: &mut dyn FnMut(&str) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let path = rows_path(from, table);
    let failed = |error: std::io::Error| StoreError::Database {
        place: path.display().to_string(),
        said: format!("cannot be read: {error}"),
    };
    let file = File::open(&path).map_err(failed)?;
    for line in BufReader::new(file).lines() {
        row(&line.map_err(failed)?)?;
    }
    Ok(())
}

fn rows_path(from: &Path, table: &str) -> PathBuf {
    from.join("rows").join(format!("{table}.ndjson"))
}

fn object_path(from: &Path, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    from.join("objects").join(&name[..2]).join(name)
}
