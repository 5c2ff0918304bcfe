//! What an extraction that was cut short had finished: the rows of whole captures, kept beside its output until that is
//! there, so that the next run goes on instead of beginning anew.
//!
//! A part is an Arrow file of one capture's rows and a JSON document of what was counted, both named by a digest of all
//! that determines the rows: the program's version, the spec, and the capture's path, size and time of change. The
//! document is written last and whole, so a part either counts or is not there.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::LabError;
use crate::extraction::Outcome;
use crate::output::{Format, Output, write_error, write_whole};
use crate::sources::Source;
use crate::tables::read::{arrow_batches, cannot_read};
use crate::tables::write::TableWriter;

/// The folder of parts of one output, and the part being written.
pub(crate) struct Parts {
    folder: PathBuf,
    schema: SchemaRef,
    /// All that determines rows but the capture.
    recipe: String,
    open: Option<(String, TableWriter)>,
}

/// What is known of a finished capture beside its rows.
#[derive(Serialize, Deserialize)]
struct Finished {
    capture: String,
    outcome: Outcome,
}

impl Parts {
    /// The parts beside this output, for rows of this schema made by this recipe.
    ///
    /// # Errors
    /// [`LabError::Request`] for standard output, [`LabError::Write`] when the folder cannot be made.
    pub(crate) fn beside(output: &Output, schema: SchemaRef, recipe: String) -> Result<Self, LabError> {
        let Some(path) = output.path() else {
            return Err(refused("a file to go on with", "standard output"));
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = path.with_file_name(format!(".{name}.parts"));
        fs::create_dir_all(&folder).map_err(|source| write_error(&folder, source))?;
        Ok(Self { folder, schema, recipe, open: None })
    }

    /// What was counted when this capture was finished, if it was.
    ///
    /// # Errors
    /// [`LabError::Request`] for a capture that is no file.
    pub(crate) fn finished(&self, source: &Source) -> Result<Option<Outcome>, LabError> {
        let key = self.key(source)?;
        let Ok(bytes) = fs::read(self.path(&key, "json")) else { return Ok(None) };
        let finished = serde_json::from_slice::<Finished>(&bytes).ok();
        Ok(finished.filter(|_| self.path(&key, "arrow").is_file()).map(|finished| finished.outcome))
    }

    /// Takes rows of a capture that is being read. Captures come one after the other.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(crate) fn write(&mut self, source: &Source, rows: &RecordBatch) -> Result<(), LabError> {
        let key = self.key(source)?;
        self.part(key)?.write(rows)
    }

    /// The capture has ended: its part counts from here on.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(crate) fn finish(&mut self, source: &Source, outcome: &Outcome) -> Result<(), LabError> {
        let key = self.key(source)?;
        self.part(key.clone())?;
        if let Some((_, writer)) = self.open.take() {
            writer.finish()?;
        }
        let finished = Finished { capture: source.name.clone(), outcome: outcome.clone() };
        let json =
            serde_json::to_vec_pretty(&finished).map_err(|error| LabError::Internal(error.to_string()))?;
        write_whole(&self.path(&key, "json"), &json)
    }

    /// Hands on the rows of a finished capture.
    ///
    /// # Errors
    /// [`LabError`] of the part, or of `take`.
    pub(crate) fn read(
        &self,
        source: &Source,
        take: &mut dyn FnMut(RecordBatch) -> Result<(), LabError>,
    ) -> Result<(), LabError> {
        let (_, batches) = arrow_batches(&self.path(&self.key(source)?, "arrow"))?;
        batches.into_iter().try_for_each(|rows| take(rows?))
    }

    /// The output is there: the parts are no longer needed.
    ///
    /// # Errors
    /// [`LabError::Write`].
    pub(crate) fn remove(self) -> Result<(), LabError> {
        fs::remove_dir_all(&self.folder).map_err(|source| write_error(&self.folder, source))
    }

    fn part(&mut self, key: String) -> Result<&mut TableWriter, LabError> {
        let begun = self.open.take().filter(|(open, _)| *open == key);
        let writer = match begun {
            Some((_, writer)) => writer,
            None => {
                TableWriter::create(&Output::File(self.path(&key, "arrow"), Format::Arrow), &self.schema)?
            }
        };
        Ok(&mut self.open.insert((key, writer)).1)
    }

    fn path(&self, key: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{key}.{extension}"))
    }

    fn key(&self, source: &Source) -> Result<String, LabError> {
        let Some(path) = source.path() else {
            return Err(refused("capture files, which can be read again", &source.name));
        };
        let mut digest = Sha256::new();
        for part in [&self.recipe, &source.name, &state(path)?] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Ok(digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The file as it is now: a capture that has changed is another one.
fn state(path: &Path) -> Result<String, LabError> {
    let found = fs::metadata(path).map_err(|source| cannot_read(path, source))?;
    let changed = found.modified().ok();
    Ok(format!("{} {} {changed:?}", path.display(), found.len()))
}

fn refused(expected: &str, found: &str) -> LabError {
    LabError::Request {
        what: "--resume",
        expected: expected.to_owned(),
        found: found.to_owned(),
        advice: "leave --resume out".to_owned(),
    }
}
