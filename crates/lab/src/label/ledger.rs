//! Where the log of a campaign is kept: what was answered is on disk before the next question is asked.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cormorant_learn::query::campaign::{CampaignSpec, Event};

use crate::LabError;
use crate::output::write_error;
use crate::tables::read::cannot_read;

/// Keeps a campaign: its spec once, then its events in order.
pub(crate) trait Ledger {
    /// What is kept so far; `None` when nothing is.
    ///
    /// # Errors
    /// [`LabError`] when it cannot be read or is damaged.
    fn read(&mut self) -> Result<Option<(CampaignSpec, Vec<Event>)>, LabError>;

    /// Keeps the spec of a new campaign.
    ///
    /// # Errors
    /// [`LabError::Write`].
    fn begin(&mut self, spec: &CampaignSpec) -> Result<(), LabError>;

    /// Keeps an event; when this returns it survives a crash of the program and of the machine.
    ///
    /// # Errors
    /// [`LabError::Write`].
    fn append(&mut self, event: &Event) -> Result<(), LabError>;
}

/// A file of JSON lines: the spec, then one event a line.
pub(crate) struct FileLedger {
    path: PathBuf,
    file: File,
}

impl FileLedger {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// [`LabError::Write`] when the system refuses.
    pub(crate) fn open(path: &Path) -> Result<Self, LabError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Ok(Self { path: path.to_owned(), file: file.map_err(|source| write_error(path, source))? })
    }

    fn line(&mut self, text: String) -> Result<(), LabError> {
        let line = text + "\n";
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|source| write_error(&self.path, source))
    }

    fn damaged(&self, line: usize, error: &serde_json::Error) -> LabError {
        LabError::Table {
            place: format!("{}, line {line}", self.path.display()),
            expected: if line == 1 { "the spec of a campaign" } else { "an event of a campaign" }.to_owned(),
            found: error.to_string(),
            advice: "it is no campaign of this program, or was edited".to_owned(),
        }
    }
}

impl Ledger for FileLedger {
    /// A last line without an end was cut off by a crash before it was acknowledged: it is dropped.
    fn read(&mut self) -> Result<Option<(CampaignSpec, Vec<Event>)>, LabError> {
        let text = std::fs::read_to_string(&self.path).map_err(|source| cannot_read(&self.path, source))?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let cut = self.file.set_len(whole as u64).and_then(|()| self.file.seek(SeekFrom::End(0)));
        cut.map_err(|source| write_error(&self.path, source))?;
        let mut lines = text[..whole].lines().enumerate();
        let Some((_, first)) = lines.next() else { return Ok(None) };
        let spec = serde_json::from_str(first).map_err(|error| self.damaged(1, &error))?;
        let event = |(place, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| self.damaged(place + 1, &error))
        };
        Ok(Some((spec, lines.map(event).collect::<Result<_, _>>()?)))
    }

    fn begin(&mut self, spec: &CampaignSpec) -> Result<(), LabError> {
        let text = serde_json::to_string(spec).map_err(|error| LabError::Internal(error.to_string()))?;
        self.line(text)
    }

    fn append(&mut self, event: &Event) -> Result<(), LabError> {
        let text = serde_json::to_string(event).map_err(|error| LabError::Internal(error.to_string()))?;
        self.line(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cormorant_learn::query::Annotation;

    #[test]
    fn what_was_kept_is_read_back_without_a_line_that_was_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("campaign.ndjson");
        let mut ledger = FileLedger::open(&path).unwrap();
        assert_eq!(ledger.read().unwrap(), None);
        let spec = CampaignSpec::new("ilab", 100, 3);
        ledger.begin(&spec).unwrap();
        let answer = Event::Answer { row: 4, annotation: Annotation::new(true, "scan"), by: "a".to_owned() };
        ledger.append(&answer).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], b"{\"event\":\"ne"].concat()).unwrap();
        let mut ledger = FileLedger::open(&path).unwrap();
        assert_eq!(ledger.read().unwrap(), Some((spec.clone(), vec![answer.clone()])));
        ledger.append(&Event::Next).unwrap();
        assert_eq!(FileLedger::open(&path).unwrap().read().unwrap(), Some((spec, vec![answer, Event::Next])));
        std::fs::write(&path, "{}\n").unwrap();
        let message = FileLedger::open(&path).unwrap().read().unwrap_err().to_string();
        assert!(message.contains("line 1"), "{message}");
    }
}
