//! Where rows go and in which format: a file that appears whole or not at all, or standard output.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::LabError;

/// A table format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet, zstd, with roles, units and the schema digest in the metadata.
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

fn unknown_format(text: &str) -> LabError {
    LabError::Request {
        what: "output",
        expected: "a file that ends in .parquet, .csv, .ndjson or .arrow, or - for CSV on standard output"
            .to_owned(),
        found: format!("`{text}`"),
        advice: "the extension chooses the format".to_owned(),
    }
}
