//! `lab backup`: a copy of everything in a lab, of one moment, while others go on writing.
//!
//! The rows of all tables are read in one transaction, in a form that any of the three databases can take
//! ([`crate::store`]); then every object that those rows refer to is copied and checked on the way. No object can be
//! removed meanwhile: a sweep waits for its turn. The directory gets its name when all of it is on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::digest::CHUNK_BYTES;
use super::manifest::{FORM, Hashed, Manifest, TableFile};
use super::objects::{Fault, Object, cannot_store};
use super::references::in_row;
use super::{Digest, Lab};
use crate::store::dump::{Dump, Table};
use crate::tables::read::cannot_read;
use crate::{Ctx, LabError};

/// What was copied.
#[derive(Clone, Debug, Serialize)]
pub struct BackupReport {
    /// Where the lab is.
    pub lab: String,
    /// The directory that holds the copy.
    pub output: String,
    /// Rows by table; tables without rows are left out.
    pub rows: BTreeMap<String, u64>,
    /// Objects copied.
    pub objects: u64,
    /// Bytes of the copy.
    pub bytes: u64,
    /// Objects that rows refer to and that could not be copied, because they are damaged or missing.
    pub faults: Vec<Fault>,
}

impl Lab {
    /// Copies everything into a new directory.
    ///
    /// # Errors
    /// [`LabError::Write`], [`LabError::Store`], [`LabError::Cancelled`]; then there is no such directory.
    pub fn backup(&self, output: &Path, now_ns: i64, ctx: &Ctx) -> Result<BackupReport, LabError> {
        if output.exists() {
            return Err(LabError::Request {
                what: "backup",
                expected: "a name that is free".to_owned(),
                found: format!("{}, which exists", output.display()),
                advice: "choose another name, or remove the old backup first".to_owned(),
            });
        }
        let keepers = self.keepers();
        let opened = OpenOptions::new().write(true).create(true).truncate(false).open(&keepers);
        let keepers = opened
            .and_then(|file| file.lock_shared().map(|()| file))
            .map_err(|source| cannot_store(&keepers, source))?;
        let staged = Staged::beside(output)?;
        let report = self.copy_into(&staged.folder, output, now_ns, ctx)?;
        staged.publish(output)?;
        drop(keepers);
        Ok(report)
    }

    fn copy_into(
        &self,
        folder: &Path,
        output: &Path,
        now_ns: i64,
        ctx: &Ctx,
    ) -> Result<BackupReport, LabError> {
        let rows = folder.join("rows");
        make_folder(&rows)?;
        let mut writer = Writer { folder: &rows, open: None, tables: Vec::new(), referred: BTreeSet::new() };
        self.store.dump(&mut writer)?;
        writer.close()?;
        let Writer { tables, referred, .. } = writer;
        sync(&rows)?;
        let (objects, faults) = self.copy_objects(&folder.join("objects"), &referred, ctx)?;
        let bytes = tables.iter().map(|table| table.bytes).chain(objects.iter().map(|object| object.bytes));
        let report = BackupReport {
            lab: self.folder.display().to_string(),
            output: output.display().to_string(),
            rows: tables
                .iter()
                .filter(|table| table.rows > 0)
                .map(|table| (table.name.clone(), table.rows))
                .collect(),
            objects: objects.len() as u64,
            bytes: bytes.sum(),
            faults,
        };
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let schema = self.store.version();
        Manifest { form: FORM, program, made_ns: now_ns, schema, tables, objects }.write(folder)?;
        sync(folder)?;
        Ok(report)
    }

    fn copy_objects(
        &self,
        folder: &Path,
        referred: &BTreeSet<Digest>,
        ctx: &Ctx,
    ) -> Result<(Vec<Object>, Vec<Fault>), LabError> {
        make_folder(folder)?;
        let (mut copied, mut faults) = (Vec::new(), Vec::new());
        for (done, digest) in referred.iter().enumerate() {
            ctx.check().map_err(|_| LabError::Cancelled)?;
            ctx.progress("copying objects", done as u64, referred.len() as u64);
            match self.copy_object(folder, *digest)? {
                Ok(object) => copied.push(object),
                Err(fault) => faults.push(fault),
            }
        }
        for entry in fs::read_dir(folder).map_err(|source| cannot_read(folder, source))? {
            sync(&entry.map_err(|source| cannot_read(folder, source))?.path())?;
        }
        sync(folder)?;
        Ok((copied, faults))
    }

    /// Copies an object; a damaged one is told of and left out.
    fn copy_object(&self, folder: &Path, digest: Digest) -> Result<Result<Object, Fault>, LabError> {
        let name = digest.to_string();
        let fault = |error: LabError| Fault { path: name.clone(), what: error.to_string() };
        let mut file = match self.objects.checked(digest) {
            Ok(file) => file,
            Err(error) => return Ok(Err(fault(error))),
        };
        let within = folder.join(&name[..2]);
        make_folder(&within)?;
        let path = within.join(&name);
        let mut copy = Hashed::create(&path)?;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match file.read(&mut buffer).map_err(|source| cannot_read(&self.objects.path(digest), source))? {
                0 => break,
                length => copy.write(&buffer[..length])?,
            }
        }
        let (found, bytes) = copy.finish()?;
        if found == digest {
            return Ok(Ok(Object { digest, bytes }));
        }
        fs::remove_file(&path).map_err(|source| cannot_store(&path, source))?;
        Ok(Err(Fault { path: name, what: "it changed while it was copied".to_owned() }))
    }
}

/// Writes each table to a file of its own, and notes which objects its rows refer to.
struct Writer<'a> {
    folder: &'a Path,
    /// The table that is being written, and its rows so far.
    open: Option<(Table, Hashed, u64)>,
    tables: Vec<TableFile>,
    referred: BTreeSet<Digest>,
}

impl Writer<'_> {
    fn close(&mut self) -> Result<(), LabError> {
        let Some((Table { name, columns }, file, rows)) = self.open.take() else { return Ok(()) };
        let (digest, bytes) = file.finish()?;
        self.tables.push(TableFile { name, columns, rows, bytes, digest });
        Ok(())
    }
}

impl Dump for Writer<'_> {
    fn table(&mut self, table: &Table) -> Result<(), LabError> {
        self.close()?;
        let file = Hashed::create(&self.folder.join(format!("{}.ndjson", table.name)))?;
        self.open = Some((table.clone(), file, 0));
        Ok(())
    }

    fn row(&mut self, cells: &str) -> Result<(), LabError> {
        let Some((table, file, rows)) = &mut self.open else {
            return Err(LabError::Internal("a row of no table".to_owned()));
        };
        self.referred.extend(in_row(&table.name, &table.columns, cells));
        *rows += 1;
        file.write(cells.as_bytes())?;
        file.write(b"\n")
    }
}

/// A directory beside the place it will take. Dropped before it is published, it is removed.
struct Staged {
    folder: PathBuf,
}

impl Staged {
    fn beside(output: &Path) -> Result<Self, LabError> {
        let name = output.file_name().ok_or_else(|| LabError::Request {
            what: "backup",
            expected: "the name of a directory to be made".to_owned(),
            found: output.display().to_string(),
            advice: "name one, such as backup-2026-11-28".to_owned(),
        })?;
        let name = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
        let staged = Self { folder: output.with_file_name(name) };
        // What a killed process of the same number has left is in nobody's use.
        let _ = fs::remove_dir_all(&staged.folder);
        fs::create_dir(&staged.folder).map_err(|source| cannot_store(&staged.folder, source))?;
        Ok(staged)
    }

    fn publish(self, output: &Path) -> Result<(), LabError> {
        fs::rename(&self.folder, output).map_err(|source| cannot_store(output, source))?;
        let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = sync(parent.unwrap_or(Path::new(".")));
        if synced.is_err() {
            // What may be gone after the next power failure is not called a backup.
            let _ = fs::remove_dir_all(output);
        }
        synced
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Once it is published there is nothing of this name.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn make_folder(path: &Path) -> Result<(), LabError> {
    fs::create_dir_all(path).map_err(|source| cannot_store(path, source))
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> Result<(), LabError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| cannot_store(folder, source))
}
