//! The files of an import: named ones, those below a directory, a pattern's, standard input; compressed or not.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use super::npz::{Lines, Sparse};
use crate::plain::plain;
use crate::sources::expand;
use crate::tables::read::cannot_read;
use crate::{Ctx, LabError};

/// What files of a directory are tables, by their extension without that of a compression.
const EXTENSIONS: [&str; 7] = ["csv", "tsv", "txt", "data", "parquet", "pq", "npz"];
const BUFFER_BYTES: usize = 256 << 10;

/// One file, or standard input.
#[derive(Clone)]
pub(super) struct Input {
    /// As messages call it.
    pub(super) name: String,
    place: Place,
}

#[derive(Clone)]
enum Place {
    File(PathBuf),
    /// Read twice like a file, so it is kept.
    Memory(Arc<[u8]>),
    /// A sparse matrix with the header and the ids of its rows.
    Sparse {
        header: Arc<str>,
        ids: Arc<Vec<String>>,
        matrix: Arc<Sparse>,
    },
}

/// The files that paths name, in order, and sentences on those passed over.
///
/// # Errors
/// [`LabError::Read`], or [`LabError::Request`] when there is nothing or standard input outgrows the memory budget.
pub(super) fn find(paths: &[PathBuf], ctx: &Ctx) -> Result<(Vec<Input>, Vec<String>), LabError> {
    let (mut inputs, mut notes) = (Vec::new(), Vec::new());
    for path in expand(paths)? {
        if path == Path::new("-") {
            inputs.push(standard_input(ctx)?);
        } else if path.is_dir() {
            let mut files = Vec::new();
            let others = below(&path, &mut files)?;
            files.sort();
            inputs.extend(files.into_iter().map(Input::file));
            if others > 0 {
                notes.push(format!(
                    "{}: {others} files whose names end in none of .{} were not read",
                    plain(&path.display().to_string()),
                    EXTENSIONS.join(", ."),
                ));
            }
        } else {
            inputs.push(Input::file(path));
        }
    }
    if inputs.is_empty() {
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        return Err(LabError::Request {
            what: "input",
            expected: "at least one table".to_owned(),
            found: format!("none in {}", shown.join(", ")),
            advice: format!("of a directory, files are read that end in .{}", EXTENSIONS.join(", .")),
        });
    }
    Ok((inputs, notes))
}

impl Input {
    fn file(path: PathBuf) -> Self {
        Self { name: path.display().to_string(), place: Place::File(path) }
    }

    /// Bytes that are at hand.
    pub(super) fn memory(name: &str, bytes: &[u8]) -> Self {
        Self { name: name.to_owned(), place: Place::Memory(bytes.into()) }
    }

    /// A sparse matrix as lines of text: the header, and each row behind its id.
    pub(super) fn sparse(name: &str, header: &str, ids: Vec<String>, matrix: Sparse) -> Self {
        let place = Place::Sparse { header: header.into(), ids: Arc::new(ids), matrix: Arc::new(matrix) };
        Self { name: name.to_owned(), place }
    }

    /// The path, where there is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Memory(_) | Place::Sparse { .. } => None,
        }
    }

    /// The file's own name, without directories and the extension of a compression.
    pub(super) fn stem(&self) -> &str {
        let name = self.name.rsplit(['/', '\\']).next().unwrap_or(&self.name);
        uncompressed(name)
    }

    /// Opens it from the start; gzip and zstd are undone, a byte order mark is passed over.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Table`] for UTF-16.
    pub(super) fn open(&self) -> Result<Box<dyn Read + Send>, LabError> {
        let cannot = |source| cannot_read(Path::new(&self.name), source);
        let mut raw: Box<dyn BufRead + Send> = match &self.place {
            Place::File(path) => {
                Box::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path).map_err(cannot)?))
            }
            Place::Memory(bytes) => Box::new(Cursor::new(Arc::clone(bytes))),
            Place::Sparse { header, ids, matrix } => {
                let lines = Lines::new(header, Arc::clone(ids), Arc::clone(matrix));
                Box::new(BufReader::with_capacity(BUFFER_BYTES, lines))
            }
        };
        let start = raw.fill_buf().map_err(cannot)?;
        let mut plain: Box<dyn BufRead + Send> = match start {
            [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = zstd::stream::read::Decoder::with_buffer(raw).map_err(cannot)?;
                Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
            }
            _ => raw,
        };
        // What is damaged already at its start is said by whoever reads on.
        let start = plain.fill_buf().unwrap_or_default();
        match start {
            [0xef, 0xbb, 0xbf, ..] => plain.consume(3),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Err(LabError::Table {
                    place: self.name.clone(),
                    expected: "text in UTF-8".to_owned(),
                    found: "UTF-16".to_owned(),
                    advice: "convert it first: iconv -f UTF-16 -t UTF-8".to_owned(),
                });
            }
            _ => {}
        }
        Ok(Box::new(plain))
    }
}

fn uncompressed(name: &str) -> &str {
    [".gz", ".zst"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// Files that are tables by their names; returns how many others there are. Hidden ones are neither.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<usize, LabError> {
    let mut others = 0;
    for entry in fs::read_dir(folder).map_err(|source| cannot_read(folder, source))? {
        let entry = entry.map_err(|source| cannot_read(folder, source))?;
        let kind = entry.file_type().map_err(|source| cannot_read(&entry.path(), source))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            others += below(&entry.path(), files)?;
            continue;
        }
        let extension = uncompressed(&name).rsplit_once('.').map_or("", |(_, extension)| extension);
        if EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)) {
            files.push(entry.path());
        } else {
            others += 1;
        }
    }
    Ok(others)
}

fn standard_input(ctx: &Ctx) -> Result<Input, LabError> {
    let name = "standard input";
    let mut bytes = Vec::new();
    let mut bounded = io::stdin().lock().take(ctx.mem_bytes.saturating_add(1));
    bounded.read_to_end(&mut bytes).map_err(|source| cannot_read(Path::new(name), source))?;
    if bytes.len() as u64 > ctx.mem_bytes {
        return Err(LabError::Request {
            what: "input",
            expected: format!("at most {} bytes on standard input, which is kept in memory", ctx.mem_bytes),
            found: "more".to_owned(),
            advice: "name a file instead, compress it, or raise --mem".to_owned(),
        });
    }
    Ok(Input { name: name.to_owned(), place: Place::Memory(bytes.into()) })
}
