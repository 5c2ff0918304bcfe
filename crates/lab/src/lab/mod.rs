//! A lab on disk: one directory with the database of what is known (`lab.db`) and the files it speaks of, by digest
//! (`objects/`). Everything a project has is in there; a copy made by [`Lab::backup`] is all of it.
//!
//! ```text
//! DIR/lab.db                     rows: datasets, labels, runs, models, jobs (unless --store names a server)
//! DIR/objects/<2 hex>/<digest>   tables, models, reports: each under the SHA-256 of its bytes
//! DIR/objects/incoming/          objects being written
//! DIR/scratch/                   what workers have at hand for the jobs they run
//! ```
//!
//! There is no clock here: whoever calls says what time it is. There is no shutdown: whatever a killed process leaves
//! is dealt with by those who come after it.

mod backup;
pub(crate) mod claims;
mod digest;
mod gc;
mod manifest;
mod objects;
mod references;
mod restore;
mod show;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};

pub use backup::BackupReport;
pub use digest::{Digest, NoDigest};
pub use gc::GcReport;
pub use objects::{Fault, Incoming, Object, Objects, Swept};
pub use restore::RestoreReport;
pub use show::ShowReport;
pub use verify::VerifyReport;

use crate::LabError;
use crate::store::Store;
use objects::cannot_store;

/// An open lab.
pub struct Lab {
    folder: PathBuf,
    store: Store,
    objects: Objects,
}

impl Lab {
    /// Opens the lab in this directory, which is made if it is not there. Its rows are in the store at `url`, or in its
    /// own `lab.db`.
    ///
    /// # Errors
    /// [`LabError::Write`] when the directory cannot be made, [`LabError::Store`] when the store cannot be opened.
    pub fn open(folder: &Path, url: Option<&str>, now_ns: i64) -> Result<Self, LabError> {
        fs::create_dir_all(folder).map_err(|source| cannot_store(folder, source))?;
        let objects = Objects::open(&folder.join("objects"))?;
        let own = || format!("sqlite:{}", folder.join("lab.db").display());
        let store = Store::open(&url.map_or_else(own, str::to_owned), now_ns)?;
        Ok(Self { folder: folder.to_owned(), store, objects })
    }

    /// What is known.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The files it speaks of.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Closes it in order. A lab that is merely dropped, or killed, loses nothing either.
    pub fn close(self) {
        self.store.close();
    }

    /// Where workers keep what they have at hand.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// Held by whoever needs all objects to stay, and by whoever removes some.
    fn keepers(&self) -> PathBuf {
        self.folder.join("keepers.lock")
    }
}
