//! Where rows go and in which format: a file that appears whole or not at all, or standard output.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::LabError;

/// A table format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet, compressed, with roles, units and the schema digest in the metadata.
    Parquet,
    /// Comma-separated values with one header line (RFC 4180).
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// The Arrow IPC file format, known as Feather version 2.
    Arrow,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Parquet, Self::Csv, Self::Ndjson, Self::Arrow];

    /// Its name, which is also the extension of its files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Arrow => "arrow",
        }
    }
}

/// A destination for rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Output {
    /// A file, written beside its place and renamed at the end.
    File(PathBuf, Format),
    /// Standard output, as CSV.
    Stdout,
}

impl Output {
    /// The destination that `-o` names: a path whose extension is a format, or `-` for CSV on standard output.
    ///
    /// # Errors
    /// [`LabError::Request`] for an extension that is no format.
    pub fn parse(text: &str) -> Result<Self, LabError> {
        if text == "-" {
            return Ok(Self::Stdout);
        }
        let path = PathBuf::from(text);
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let format = match extension.to_ascii_lowercase().as_str() {
            "parquet" | "pq" => Format::Parquet,
            "csv" => Format::Csv,
            "ndjson" | "jsonl" => Format::Ndjson,
            "arrow" | "feather" | "ipc" => Format::Arrow,
            _ => return Err(unknown_format(text)),
        };
        Ok(Self::File(path, format))
    }

    /// The format the rows will have.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::File(_, format) => *format,
            Self::Stdout => Format::Csv,
        }
    }

    /// The path, `None` for standard output.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path, _) => Some(path),
            Self::Stdout => None,
        }
    }
}

impl From<Output> for String {
    fn from(output: Output) -> Self {
        output.path().map_or_else(|| "-".to_owned(), |path| path.display().to_string())
    }
}

impl TryFrom<String> for Output {
    type Error = LabError;

    fn try_from(text: String) -> Result<Self, LabError> {
        Self::parse(&text)
    }
}

/// Bytes on their way to an [`Output`]. Dropped before [`Sink::commit`], it leaves nothing behind.
pub(crate) enum Sink {
    /// A new file beside the place it will take.
    Staged {
        /// The new file.
        file: BufWriter<File>,
        /// Its name until the end.
        temporary: PathBuf,
        /// The name it takes at the end.
        target: PathBuf,
    },
    /// Standard output, or something that cannot be replaced by renaming (a device, a named pipe).
    Direct(BufWriter<Box<dyn Write + Send>>),
}

impl Sink {
    /// Opens the destination.
    ///
    /// # Errors
    /// [`LabError::Write`] when the directory is missing or may not be written to.
    pub(crate) fn open(output: &Output) -> Result<Self, LabError> {
        match output {
            Output::Stdout => {
                Ok(Self::Direct(BufWriter::with_capacity(BUFFER_BYTES, Box::new(io::stdout()))))
            }
            Output::File(path, _) => Self::file(path),
        }
    }

    /// Opens a file to be written whole.
    ///
    /// # Errors
    /// As [`Sink::open`].
    pub(crate) fn file(path: &Path) -> Result<Self, LabError> {
        let refused = |source| write_error(path, source);
        // A symbolic link is followed, so that the file it points to is replaced and not the link.
        let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&target) {
            Ok(found) if found.is_dir() => return Err(refused(io::ErrorKind::IsADirectory.into())),
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(&target).map_err(refused)?;
                return Ok(Self::Direct(BufWriter::with_capacity(BUFFER_BYTES, Box::new(file))));
            }
            _ => {}
        }
        let (temporary, file) = create_beside(&target).map_err(refused)?;
        Ok(Self::Staged { file: BufWriter::with_capacity(BUFFER_BYTES, file), temporary, target })
    }

    /// Makes what was written durable and gives it its name; returns how many bytes the file has (0 for a stream).
    ///
    /// # Errors
    /// What the operating system said; the old file is untouched.
    pub(crate) fn commit(&mut self) -> io::Result<u64> {
        match self {
            Self::Direct(stream) => stream.flush().map(|()| 0),
            Self::Staged { file, temporary, target } => {
                file.flush()?;
                file.get_ref().sync_all()?;
                let bytes = file.get_ref().metadata()?.len();
                fs::rename(&*temporary, &*target)?;
                sync_directory(target)?;
                Ok(bytes)
            }
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Staged { file, .. } => file.write(bytes),
            Self::Direct(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Staged { file, .. } => file.flush(),
            Self::Direct(stream) => stream.flush(),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::Staged { temporary, .. } = self {
            // After a commit the name is gone and this does nothing.
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Writes a whole file, or leaves things as they were.
///
/// # Errors
/// [`LabError::Write`].
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), LabError> {
    let mut sink = Sink::file(path)?;
    sink.write_all(bytes).and_then(|()| sink.commit()).map_err(|source| write_error(path, source))?;
    Ok(())
}

/// What the operating system said about an output, with what to do about it.
pub(crate) fn write_error(path: &Path, source: io::Error) -> LabError {
    let advice = cormorant_net::capture::write_advice(&source);
    let kept = if path == Path::new(STDOUT) {
        "what was written before stands"
    } else {
        "no file was made, and one of that name is as it was"
    };
    LabError::Write { path: path.display().to_string(), source, kept, advice }
}

fn create_beside(target: &Path) -> io::Result<(PathBuf, File)> {
    let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_string_lossy();
    for attempt in 0..100 {
        let temporary = target.with_file_name(format!(".{name}.{}-{attempt}.part", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// A rename is durable once the directory that holds the name is.
fn sync_directory(target: &Path) -> io::Result<()> {
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// What messages call standard output.
pub(crate) const STDOUT: &str = "standard output";

const BUFFER_BYTES: usize = 256 << 10;

fn unknown_format(text: &str) -> LabError {
    LabError::Request {
        what: "output",
        expected: "a file that ends in .parquet, .csv, .ndjson or .arrow, or - for CSV on standard output"
            .to_owned(),
        found: format!("`{text}`"),
        advice: "the extension chooses the format".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_chooses_the_format() {
        for (text, format) in
            [("a.parquet", Format::Parquet), ("b/c.CSV", Format::Csv), ("d.jsonl", Format::Ndjson)]
        {
            assert_eq!(Output::parse(text).unwrap().format(), format);
        }
        assert_eq!(Output::parse("-").unwrap(), Output::Stdout);
        let message = Output::parse("rows.xlsx").unwrap_err().to_string();
        assert!(message.contains(".parquet") && message.contains("`rows.xlsx`"), "{message}");
    }

    #[test]
    fn an_output_that_is_not_committed_leaves_nothing_and_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(&path, "old").unwrap();
        let mut sink = Sink::file(&path).unwrap();
        sink.write_all(b"half").unwrap();
        drop(sink);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_committed_output_replaces_the_old_file_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        fs::write(&path, "old").unwrap();
        let link = folder.path().join("link.csv");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write_whole(&link, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_missing_directory_is_named_with_what_to_do() {
        let message = Sink::file(Path::new("/no/such/place/rows.csv")).err().unwrap().to_string();
        assert!(
            message.contains("/no/such/place/rows.csv") && message.contains("create the directory first"),
            "{message}"
        );
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        write_whole(Path::new("/dev/null"), b"gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_full_disk_says_so() {
        let Ok(mut sink) = Sink::file(Path::new("/dev/full")) else { return };
        let error = sink.write_all(b"row").and_then(|()| sink.commit()).unwrap_err();
        let message = write_error(Path::new("rows.csv"), error).to_string();
        assert!(message.contains("free some space"), "{message}");
    }
}
