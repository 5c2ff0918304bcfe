//! `lab show`: what is in a lab.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Lab;
use crate::LabError;

/// What is in a lab.
#[derive(Clone, Debug, Serialize)]
pub struct ShowReport {
    /// Where it is.
    pub lab: String,
    /// Where its rows are.
    pub store: String,
    /// Version of the store's schema.
    pub schema: i64,
    /// Rows by table; tables without rows are left out.
    pub rows: BTreeMap<String, u64>,
    /// Jobs by state.
    pub jobs: BTreeMap<String, u64>,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
}

impl ShowReport {
    /// Whether nothing was ever put there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.objects == 0
    }
}

impl Lab {
    /// Counts what is there.
    ///
    /// # Errors
    /// [`LabError::Store`], [`LabError::Read`].
    pub fn show(&self) -> Result<ShowReport, LabError> {
        let (objects, _) = self.objects.list()?;
        let rows = self.store.row_counts()?.into_iter().filter(|(_, rows)| *rows > 0);
        Ok(ShowReport {
            lab: self.folder.display().to_string(),
            store: self.store.place().to_owned(),
            schema: self.store.version(),
            rows: rows.map(|(name, rows)| (name.to_owned(), rows)).collect(),
            jobs: crate::jobs::Queue::of(self).by_state()?,
            objects: objects.len() as u64,
            object_bytes: objects.iter().map(|object| object.bytes).sum(),
        })
    }
}
