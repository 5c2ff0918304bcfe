//! `lab gc`: removes the objects that nothing refers to any more.

use std::fs::{OpenOptions, TryLockError};

use serde::Serialize;

use super::Lab;
use super::objects::{Swept, cannot_store};
use super::references::references;
use crate::jobs::scratch;
use crate::{Ctx, LabError};

/// What was removed.
#[derive(Clone, Debug, Serialize)]
pub struct GcReport {
    /// Where the lab is.
    pub lab: String,
    /// What became of the objects.
    #[serde(flatten)]
    pub swept: Swept,
    /// Half-written files of processes that were killed.
    pub leftovers: u64,
}

impl Lab {
    /// Removes the objects that no row refers to and that were put or renewed more than `grace_ns` ago, and what killed
    /// processes have left.
    ///
    /// # Errors
    /// [`LabError::Request`] while a backup is being made, [`LabError::Store`], [`LabError::Write`]; what was removed by
    /// then stays removed.
    pub fn gc(&self, now_ns: i64, grace_ns: i64, ctx: &Ctx) -> Result<GcReport, LabError> {
        let path = self.keepers();
        let keepers = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let keepers = keepers.map_err(|source| cannot_store(&path, source))?;
        match keepers.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(source)) => return Err(cannot_store(&path, source)),
        }
        let leftovers = self.objects.clear() + scratch::clear(&self.scratch());
        let referred_to = references(&self.store, now_ns)?;
        let swept = self.objects.sweep(&|digest| referred_to.contains(&digest), now_ns, grace_ns, ctx)?;
        Ok(GcReport { lab: self.folder.display().to_string(), swept, leftovers })
    }
}

fn in_use() -> LabError {
    LabError::Request {
        what: "lab gc",
        expected: "a lab of which no backup is being made and that nobody else is cleaning".to_owned(),
        found: "another process at it".to_owned(),
        advice: "nothing was removed; try again when that is done".to_owned(),
    }
}
