//! `lab verify`: whether everything in a lab is what it was when it was put there.

use serde::Serialize;

use super::Lab;
use super::objects::Fault;
use super::references::references;
use crate::{Ctx, LabError};

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// Where the lab is.
    pub lab: String,
    /// Where its rows are.
    pub store: String,
    /// Version of the store's schema.
    pub schema: i64,
    /// Rows of all tables.
    pub rows: u64,
    /// Objects read.
    pub objects: u64,
    /// Their bytes.
    pub object_bytes: u64,
    /// What is not as it was. Empty: all is well.
    pub faults: Vec<Fault>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

impl Lab {
    /// Reads every object and every row: objects are compared with their names, rows with their checksums where they
    /// have one, the database's own structure is checked by the database, and what rows refer to must be there.
    ///
    /// # Errors
    /// [`LabError::Store`], [`LabError::Read`], [`LabError::Cancelled`]: what could not be looked at. What was looked at
    /// and is wrong is in the report.
    pub fn verify(&self, now_ns: i64, ctx: &Ctx) -> Result<VerifyReport, LabError> {
        let (objects, mut faults) = self.objects.verify(ctx)?;
        let fault = |what: String| Fault { path: self.store.place().to_owned(), what };
        faults.extend(self.store.faults()?.into_iter().map(fault));
        for digest in references(&self.store, now_ns)? {
            let known = objects.binary_search_by(|object| object.digest.cmp(&digest)).is_ok();
            if !known && !self.objects.has(digest) {
                let what =
                    format!("object {digest} is missing: a row refers to it; restore it from a backup");
                faults.push(fault(what));
            }
        }
        Ok(VerifyReport {
            lab: self.folder.display().to_string(),
            store: self.store.place().to_owned(),
            schema: self.store.version(),
            rows: self.store.row_counts()?.iter().map(|(_, rows)| rows).sum(),
            objects: objects.len() as u64,
            object_bytes: objects.iter().map(|object| object.bytes).sum(),
            faults,
        })
    }
}
