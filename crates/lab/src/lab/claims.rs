//! Files and folders that are in use by a process that lives: each is locked by its owner, and the system unlocks it
//! when that process ends, however it ends. What nobody has locked was left by the dead and may be removed.
//!
//! No clock is asked and no process number is trusted: both lie after a restart.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes a file of a name of its own in `folder`, opened for writing and locked.
///
/// # Errors
/// What the operating system says.
pub(super) fn new_file(folder: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let path = folder.join(unused_name());
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => {
                file.lock()?;
                // Between its making and its locking it may have been taken for one of the dead and removed.
                if path.exists() {
                    return Ok((path, file));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes the files in `folder` that no living process has locked; how many there were.
pub(super) fn remove_files_of_the_dead(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let left = |path: &Path| File::open(path).is_ok_and(|file| file.try_lock().is_ok() && remove(path));
    entries.flatten().filter(|entry| left(&entry.path())).count() as u64
}

/// The lock of this file, if nobody else has it. It is given back when the file is dropped.
///
/// # Errors
/// What the operating system says.
pub(crate) fn lock_if_free(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn remove(path: &Path) -> bool {
    fs::remove_file(path).is_ok()
}

fn unused_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}.part", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_living_stay_and_those_of_the_dead_go() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, file) = new_file(folder.path()).unwrap();
        fs::write(folder.path().join("999999-0.part"), "half").unwrap();
        assert_eq!(remove_files_of_the_dead(folder.path()), 1);
        assert!(mine.exists());
        drop(file);
        assert_eq!(remove_files_of_the_dead(folder.path()), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_is_had_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock_if_free(&path).unwrap();
        assert!(held.is_some() && lock_if_free(&path).unwrap().is_none());
        drop(held);
        assert!(lock_if_free(&path).unwrap().is_some());
    }
}
