//! Separated text row by row, each with the line it stands on; no row outgrows a bound.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use super::Input;
use crate::LabError;

/// A longer row is refused: one quote that nobody closes would else take in the whole file.
const LONGEST_ROW_BYTES: u64 = 16 << 20;

/// A file of rows, being read.
pub(super) struct Records {
    name: String,
    reader: Reader<Bounded>,
    record: ByteRecord,
    taken: Arc<AtomicU64>,
}

/// Counts the bytes taken since the last row ended.
struct Bounded {
    inner: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        let taken = self.taken.fetch_add(bytes as u64, Ordering::Relaxed);
        if taken > LONGEST_ROW_BYTES {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a row that does not end"));
        }
        Ok(bytes)
    }
}

impl Records {
    /// Opens an input whose fields end at `delimiter`.
    ///
    /// # Errors
    /// As [`Input::open`].
    pub(super) fn open(input: &Input, delimiter: u8) -> Result<Self, LabError> {
        let taken = Arc::new(AtomicU64::new(0));
        let bounded = Bounded { inner: input.open()?, taken: Arc::clone(&taken) };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .buffer_capacity(64 << 10)
            .from_reader(bounded);
        Ok(Self { name: input.name.clone(), reader, record: ByteRecord::new(), taken })
    }

    /// The next row and the line it begins on, `None` at the end. Empty lines are no rows.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Table`] for a damaged file or a row that does not end.
    pub(super) fn next_row(&mut self) -> Result<Option<(u64, &ByteRecord)>, LabError> {
        self.taken.store(0, Ordering::Relaxed);
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) => {
                let line = self.record.position().map_or(0, ::csv::Position::line);
                Ok(Some((line, &self.record)))
            }
            Ok(false) => Ok(None),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(&self, error: ::csv::Error) -> LabError {
        let line = self.reader.position().line();
        let refuse = |expected: &str, found: String, advice: &str| LabError::Table {
            place: format!("{}, line {line}", self.name),
            expected: expected.to_owned(),
            found,
            advice: advice.to_owned(),
        };
        match error.into_kind() {
            ::csv::ErrorKind::Io(source) if source.kind() == io::ErrorKind::FileTooLarge => refuse(
                &format!("a row of at most {LONGEST_ROW_BYTES} bytes"),
                "a longer one".to_owned(),
                "close the quote that is open since this line, or check the file's format",
            ),
            ::csv::ErrorKind::Io(source) => refuse(
                "a whole file",
                source.to_string(),
                "the file is cut or damaged from here on: get it again",
            ),
            other => refuse("separated values", format!("{other:?}"), "check the file's format"),
        }
    }
}
