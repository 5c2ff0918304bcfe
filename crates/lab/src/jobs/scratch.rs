//! Where the files of a job lie while it is done: `scratch/<job>-<number>/`, with `in/` (links to the objects it reads)
//! and `out/` (what it writes).
//!
//! The folder is locked by the worker. When that is killed, the next one to have the job takes the folder over with
//! what a task that can go on has kept in it; a worker that is only thought dead keeps its folder to itself.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::plan::{Plan, SafeName};
use crate::LabError;
use crate::lab::claims::lock_if_free;
use crate::lab::{Lab, Objects};

/// The files of a job that is being done.
pub(crate) struct Scratch {
    folder: PathBuf,
    _lock: File,
}

/// Folders that one job may have at a time: one for each worker that was thought dead and is not.
const FOLDERS: u32 = 64;

impl Scratch {
    /// A folder for this job, with its inputs in it, each compared with its digest.
    ///
    /// # Errors
    /// [`LabError::Damaged`] for an input that is not what it was, [`LabError::Write`].
    pub(super) fn of(lab: &Lab, job: i64, plan: &Plan) -> Result<Self, LabError> {
        let scratch = Self::claim(&lab.scratch(), job)?;
        let (input, output) = (scratch.input(), scratch.output());
        scratch.make(&input, true)?;
        scratch.make(&output, false)?;
        for (name, digest) in &plan.inputs {
            drop(lab.objects().checked(*digest)?);
            scratch.link(lab.objects(), name, *digest)?;
        }
        Ok(scratch)
    }

    fn claim(work: &Path, job: i64) -> Result<Self, LabError> {
        for number in 0..FOLDERS {
            let folder = work.join(format!("{job}-{number}"));
            fs::create_dir_all(&folder).map_err(|source| cannot_work(&folder, source))?;
            let lock = lock_if_free(&folder.join(LOCK)).map_err(|source| cannot_work(&folder, source))?;
            if let Some(lock) = lock {
                return Ok(Self { folder, _lock: lock });
            }
        }
        Err(cannot_work(work, io::ErrorKind::ResourceBusy.into()))
    }

    fn make(&self, folder: &Path, anew: bool) -> Result<(), LabError> {
        if anew && folder.exists() {
            fs::remove_dir_all(folder).map_err(|source| cannot_work(folder, source))?;
        }
        fs::create_dir_all(folder).map_err(|source| cannot_work(folder, source))
    }

    fn link(&self, objects: &Objects, name: &SafeName, digest: crate::lab::Digest) -> Result<(), LabError> {
        let link = self.input().join(name.as_str());
        let target = fs::canonicalize(objects.path(digest)).map_err(|source| cannot_work(&link, source))?;
        std::os::unix::fs::symlink(target, &link).map_err(|source| cannot_work(&link, source))
    }

    /// Where the inputs are.
    pub(super) fn input(&self) -> PathBuf {
        self.folder.join("in")
    }

    /// Where the outputs go.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.join("out")
    }

    /// A text without the ways to these folders: what is said of a job has nothing to do with where it was done.
    pub(super) fn told(&self, text: &str) -> String {
        let folders = [self.input(), self.output()];
        folders
            .iter()
            .fold(text.to_owned(), |text, folder| text.replace(&format!("{}/", folder.display()), ""))
    }

    /// Removes the folder: the job has come to its end.
    pub(super) fn remove(self) {
        remove(&self.folder);
    }
}

const LOCK: &str = "lock";

/// Removes the folders of jobs that no living worker has; how many there were.
pub(crate) fn clear(work: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(work) else { return 0 };
    let left = |folder: &Path| {
        let free = lock_if_free(&folder.join(LOCK));
        free.is_ok_and(|lock| lock.is_some_and(|_lock| remove(folder)))
    };
    entries.flatten().filter(|entry| left(&entry.path())).count() as u64
}

fn remove(folder: &Path) -> bool {
    fs::remove_dir_all(folder).is_ok()
}

fn cannot_work(path: &Path, source: io::Error) -> LabError {
    let advice = cormorant_net::capture::write_advice(&source);
    LabError::Write { path: path.display().to_string(), source, kept: "the job stays in the queue", advice }
}
