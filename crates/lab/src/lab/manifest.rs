//! What a backup says of itself: every file in it with size and digest, and a seal over that list.
//!
//! `manifest.json` holds the list, `manifest.sha256` its digest in the form of `sha256sum`: `sha256sum -c` checks it
//! without this program.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Digest;
use super::digest::Hasher;
use super::objects::{Object, cannot_store};
use crate::LabError;
use crate::tables::read::cannot_read;

/// The form of the backup; another number is another form.
pub(super) const FORM: u32 = 1;
/// The list of what is there.
const LIST: &str = "manifest.json";
/// Its seal.
const SEAL: &str = "manifest.sha256";
/// No list is longer: a file that is no list is not read to its end.
const LIST_BYTES: u64 = 1 << 30;

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// [`FORM`].
    pub(super) form: u32,
    /// Version of the program that made it.
    pub(super) program: String,
    /// When, in ns since 1970-01-01 UTC.
    pub(super) made_ns: i64,
    /// Version of the schema of the rows.
    pub(super) schema: i64,
    /// The tables, those first that others refer to.
    pub(super) tables: Vec<TableFile>,
    /// The objects.
    pub(super) objects: Vec<Object>,
}

/// The rows of a table: `rows/<name>.ndjson`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct TableFile {
    /// Its name.
    pub(super) name: String,
    /// Its columns, in the order of the cells.
    pub(super) columns: Vec<String>,
    /// Its rows.
    pub(super) rows: u64,
    /// Size of the file.
    pub(super) bytes: u64,
    /// SHA-256 of the file.
    pub(super) digest: Digest,
}

impl Manifest {
    /// Writes list and seal into a backup.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(super) fn write(&self, folder: &Path) -> Result<(), LabError> {
        let list = serde_json::to_vec_pretty(self).map_err(|error| LabError::Internal(error.to_string()))?;
        let seal = seal_of(&Digest::of(&list).to_string());
        for (name, bytes) in [(LIST, list.as_slice()), (SEAL, seal.as_bytes())] {
            let mut file = Hashed::create(&folder.join(name))?;
            file.write(bytes)?;
            file.finish()?;
        }
        Ok(())
    }

    /// Reads the list of a backup, and checks it against its seal.
    ///
    /// # Errors
    /// [`LabError::Read`], [`LabError::Damaged`], or [`LabError::Request`] for what is no backup of this form.
    pub(super) fn read(folder: &Path) -> Result<Self, LabError> {
        let (list, seal) = (folder.join(LIST), folder.join(SEAL));
        let size = fs::metadata(&list).map_err(|source| no_backup(folder, &list, source))?.len();
        if size > LIST_BYTES {
            return Err(damaged(&list, "a list of at most 1 GiB", &format!("{size} bytes")));
        }
        let bytes = fs::read(&list).map_err(|source| cannot_read(&list, source))?;
        let seal = fs::read_to_string(&seal).map_err(|source| no_backup(folder, &seal, source))?;
        let found = Digest::of(&bytes).to_string();
        if seal != seal_of(&found) {
            return Err(damaged(&list, "the digest in manifest.sha256", &found));
        }
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|error| damaged(&list, "the list of a backup", &error.to_string()))?;
        if manifest.form != FORM {
            return Err(LabError::Request {
                what: "backup",
                expected: format!("one of form {FORM}"),
                found: format!("form {}, made by cormorant {}", manifest.form, manifest.program),
                advice: "restore it with the program that made it".to_owned(),
            });
        }
        Ok(manifest)
    }
}

/// A line as `sha256sum` writes it.
fn seal_of(digest: &str) -> String {
    format!("{digest}  {LIST}\n")
}

/// A file being written, durable when it is finished, and its digest.
pub(super) struct Hashed {
    path: PathBuf,
    file: BufWriter<File>,
    hash: Hasher,
}

impl Hashed {
    /// Makes the file.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(super) fn create(path: &Path) -> Result<Self, LabError> {
        let file = File::create_new(path).map_err(|source| cannot_store(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(256 << 10, file),
            hash: Hasher::default(),
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), LabError> {
        self.hash.update(bytes);
        self.file.write_all(bytes).map_err(|source| cannot_store(&self.path, source))
    }

    /// Makes it durable; its digest and size.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(super) fn finish(mut self) -> Result<(Digest, u64), LabError> {
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|source| cannot_store(&self.path, source))?;
        Ok(self.hash.finish())
    }
}

/// A part of a backup that is not what the list says.
pub(super) fn damaged(path: &Path, expected: &str, found: &str) -> LabError {
    LabError::Damaged {
        what: path.display().to_string(),
        expected: expected.to_owned(),
        found: found.to_owned(),
        advice: "the backup is damaged and nothing was restored; take another copy of it".to_owned(),
    }
}

fn no_backup(folder: &Path, path: &Path, source: std::io::Error) -> LabError {
    if source.kind() != std::io::ErrorKind::NotFound {
        return cannot_read(path, source);
    }
    LabError::Request {
        what: "backup",
        expected: "a directory that `cormorant lab backup` made".to_owned(),
        found: format!(
            "{}, which has no {}",
            folder.display(),
            path.file_name().unwrap_or_default().to_string_lossy()
        ),
        advice: "check the path".to_owned(),
    }
}
