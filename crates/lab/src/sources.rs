//! Finds inputs: capture files, interfaces, directories of them, patterns, standard input, bytes in memory; and tells captures
//! from tables.

use std::fs::{self, Metadata};
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cormorant_net::NetError;
use cormorant_net::capture::{Capture, interfaces};
use cormorant_net::filter::Filter;

use crate::plain::plain;
use crate::reading::Reading;
use crate::tables::read::cannot_read;
use crate::{Ctx, LabError};

/// Captures in the order their rows will have.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Each capture.
    pub(crate) captures: Vec<Source>,
    /// Whether rows say which capture they are from: unless there is only one.
    pub(crate) named: bool,
    /// What else is worth knowing, in sentences.
    pub(crate) notes: Vec<String>,
}

/// One capture.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What its rows call it: the path as given, or relative to the one directory that was given.
    pub(crate) name: String,
    place: Place,
    /// Its size as stored, 0 when not known.
    pub(crate) bytes: u64,
    reading: Reading,
    filter: Option<Filter>,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Stdin,
    Memory(Arc<[u8]>),
    /// Already being captured from; taken by whoever reads it.
    Interface(Arc<Mutex<Option<Capture>>>),
}

impl Sources {
    /// The captures these paths name. A directory stands for all captures below it, sorted by path, and a pattern
    /// for what it matches.
    ///
    /// # Errors
    /// [`LabError::Read`] for a path that cannot be read, [`LabError::Request`] when there is no capture at all.
    pub(crate) fn find(paths: &[PathBuf], reading: &Reading, ctx: &Ctx) -> Result<Self, LabError> {
        let filter = reading.compiled()?;
        if let Some(name) = paths.iter().find_map(|path| interface_of(path)) {
            return Self::interface(&name, paths, reading, filter, ctx);
        }
        let named = paths.len() > 1 || paths.iter().any(|path| is_pattern(path));
        let mut sources = Self { captures: Vec::new(), named, notes: Vec::new() };
        let relative = paths.len() == 1 && !paths.iter().any(|path| is_pattern(path));
        for path in &expand(paths)? {
            if path.is_dir() {
                sources.named = true;
                sources.add_directory(path, relative, ctx)?;
            } else {
                sources.captures.push(Source::file(path, ctx)?);
            }
        }
        if sources.captures.is_empty() {
            return Err(no_capture(paths));
        }
        reading.check(paths, sources.captures.len())?;
        for source in &mut sources.captures {
            source.reading = reading.clone();
            source.filter.clone_from(&filter);
        }
        Ok(sources)
    }

    /// An interface, from now on. It is read alone: another capture's turn would never come.
    fn interface(
        name: &str,
        paths: &[PathBuf],
        reading: &Reading,
        filter: Option<Filter>,
        ctx: &Ctx,
    ) -> Result<Self, LabError> {
        if paths.len() > 1 {
            return Err(LabError::Request {
                what: "input",
                expected: "one interface and nothing else".to_owned(),
                found: format!("{} inputs, of which {name} is an interface", paths.len()),
                advice: "run once for each, or name the interface `any`".to_owned(),
            });
        }
        reading.check(paths, 1)?;
        let capture = reading.listen(name, filter, ctx.threads, ctx.end_in_order())?;
        let source = Source {
            name: name.to_owned(),
            place: Place::Interface(Arc::new(Mutex::new(Some(capture)))),
            bytes: 0,
            reading: reading.clone(),
            filter: None,
        };
        Ok(Self { captures: vec![source], named: false, notes: Vec::new() })
    }

    /// One capture in memory.
    pub(crate) fn memory(name: &str, bytes: Arc<[u8]>) -> Self {
        let length = bytes.len() as u64;
        let source = Source::new(name.to_owned(), Place::Memory(bytes), length);
        Self { captures: vec![source], named: false, notes: Vec::new() }
    }

    /// Bytes of all captures as stored; 0 when that of any is not known.
    pub(crate) fn bytes(&self) -> u64 {
        if self.captures.iter().any(|source| source.bytes == 0) {
            return 0;
        }
        self.captures.iter().map(|source| source.bytes).sum()
    }

    /// Whether they are an interface.
    pub(crate) fn is_live(&self) -> bool {
        self.captures.iter().any(|source| matches!(source.place, Place::Interface(_)))
    }

    fn add_directory(&mut self, root: &Path, relative: bool, ctx: &Ctx) -> Result<(), LabError> {
        let mut files = Vec::new();
        collect_files(root, &mut files)?;
        files.sort();
        let mut others = 0u64;
        for file in files {
            if !is_capture(&file)? {
                others += 1;
                continue;
            }
            let shown = if relative { file.strip_prefix(root).unwrap_or(&file) } else { ctx.name_of(&file) };
            let name = plain(&shown.to_string_lossy()).into_owned();
            self.captures.push(Source { name, ..Source::file(&file, ctx)? });
        }
        if others > 0 {
            self.notes.push(format!("{}: {others} files that are no captures were skipped", root.display()));
        }
        Ok(())
    }
}

impl Source {
    fn new(name: String, place: Place, bytes: u64) -> Self {
        Self { name, place, bytes, reading: Reading::default(), filter: None }
    }

    fn file(path: &Path, ctx: &Ctx) -> Result<Self, LabError> {
        if path == Path::new("-") {
            return Ok(Self::new("-".to_owned(), Place::Stdin, 0));
        }
        let bytes = metadata(path)?.len();
        let name = plain(&ctx.name_of(path).to_string_lossy()).into_owned();
        Ok(Self::new(name, Place::File(path.to_owned()), bytes))
    }

    /// Its file, when it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File(path) => Some(path),
            Place::Stdin | Place::Memory(_) | Place::Interface(_) => None,
        }
    }

    /// Starts reading it, as was asked for.
    ///
    /// # Errors
    /// What the net crate says of a file that is no capture, or of the file that is to keep its packets.
    pub(crate) fn open(&self) -> Result<Capture, NetError> {
        let mut capture = match &self.place {
            Place::File(path) => Capture::open(path),
            Place::Stdin => Capture::from_reader("standard input", Box::new(io::stdin())),
            Place::Memory(bytes) => {
                Capture::from_reader(&self.name, Box::new(Cursor::new(Arc::clone(bytes))))
            }
            Place::Interface(open) => return self.take(open),
        }?;
        if let Some(filter) = &self.filter {
            capture.set_filter(filter.clone());
        }
        self.reading.begin(&mut capture)?;
        Ok(capture)
    }

    /// The capture from an interface, which there is once.
    fn take(&self, open: &Mutex<Option<Capture>>) -> Result<Capture, NetError> {
        let taken = open.lock().ok().and_then(|mut capture| capture.take());
        let mut capture = taken.ok_or_else(|| NetError::Live {
            name: self.name.clone(),
            what: "it was read already".to_owned(),
            packets: 0,
            advice: "name it once",
        })?;
        self.reading.begin(&mut capture)?;
        Ok(capture)
    }
}

/// The interface that an input names: what is no file, but has the name of one.
#[must_use]
pub fn interface_of(path: &Path) -> Option<String> {
    let name = path.to_str()?;
    let known = || name == ANY || interfaces().iter().any(|interface| interface.name == name);
    (name != "-" && !path.exists() && known()).then(|| name.to_owned())
}

/// All interfaces at once.
const ANY: &str = "any";

/// What the system knows of a path; where there is nothing, the interfaces that could have been meant.
fn metadata(path: &Path) -> Result<Metadata, LabError> {
    fs::metadata(path).map_err(|source| match (source.kind(), path.to_str()) {
        (io::ErrorKind::NotFound, Some(name)) if !name.contains(['/', '.']) => no_such(name),
        _ => cannot_read(path, source),
    })
}

fn no_such(name: &str) -> LabError {
    let names: Vec<_> = interfaces().into_iter().map(|interface| interface.name).collect();
    LabError::Request {
        what: "input",
        expected: "a file or an interface".to_owned(),
        found: format!("neither of the name `{}`", plain(name)),
        advice: match names.is_empty() {
            true => "check the path".to_owned(),
            false => format!("interfaces are: {}, {ANY}", names.join(", ")),
        },
    }
}

/// These paths with each pattern (`*`, `**`, `?`, `[a-z]`) replaced by what it matches, sorted. What exists under
/// the very name is no pattern.
///
/// # Errors
/// [`LabError::Request`] for a pattern that is none or matches nothing, [`LabError::Read`] for a folder on its way.
pub(crate) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, LabError> {
    let mut expanded = Vec::new();
    for path in paths {
        match path.to_str().filter(|_| is_pattern(path)) {
            Some(pattern) => expanded.extend(matches(pattern)?),
            None => expanded.push(path.clone()),
        }
    }
    Ok(expanded)
}

fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte)) && !path.exists()
}

fn matches(pattern: &str) -> Result<Vec<PathBuf>, LabError> {
    let wrong = |expected: &str, found: String| LabError::Request {
        what: "input",
        expected: expected.to_owned(),
        found,
        advice: "check the pattern, or name the files".to_owned(),
    };
    // As a shell: hidden files are asked for by their dot.
    let options = glob::MatchOptions { require_literal_leading_dot: true, ..Default::default() };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| wrong("a file or a pattern of file names", format!("{pattern}: {error}")))?;
    let paths = found.collect::<Result<Vec<PathBuf>, _>>().map_err(|error| {
        let path = error.path().to_path_buf();
        cannot_read(&path, error.into())
    })?;
    if paths.is_empty() {
        return Err(wrong("files that match", format!("none for {pattern}")));
    }
    Ok(paths)
}

/// What inputs of a task that takes both are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKind {
    /// Captures, directories of captures, or standard input.
    Captures,
    /// Table files.
    Tables,
}

/// Whether these are captures or tables, by their first bytes.
///
/// # Errors
/// [`LabError::Read`], or [`LabError::Request`] when they are some of each or nothing.
pub(crate) fn input_kind(paths: &[PathBuf]) -> Result<InputKind, LabError> {
    let mut kinds = Vec::new();
    for path in &expand(paths)? {
        let capture =
            path == Path::new("-") || interface_of(path).is_some() || !is_file(path)? || is_capture(path)?;
        kinds.push(if capture { InputKind::Captures } else { InputKind::Tables });
    }
    match kinds.first() {
        Some(&kind) if kinds.iter().all(|other| *other == kind) => Ok(kind),
        Some(_) => Err(LabError::Request {
            what: "input",
            expected: "captures only, or tables only".to_owned(),
            found: "some of each".to_owned(),
            advice: "extract the captures first".to_owned(),
        }),
        None => Err(no_capture(paths)),
    }
}

/// A pipe can be read only once, so its start is not looked at: directories, pipes and devices hold captures.
fn is_file(path: &Path) -> Result<bool, LabError> {
    metadata(path).map(|found| found.is_file())
}

/// Whether a file is a capture, be it a damaged one. Compressed files are looked into.
fn is_capture(path: &Path) -> Result<bool, LabError> {
    match Capture::open(path) {
        Ok(_) | Err(NetError::Damaged { .. }) => Ok(true),
        Err(NetError::Io { source, .. }) => Err(cannot_read(path, source)),
        Err(_) => Ok(false),
    }
}

/// The captures below a directory, sorted by path.
///
/// # Errors
/// [`LabError::Read`].
pub(crate) fn collect_captures(folder: &Path, captures: &mut Vec<PathBuf>) -> Result<(), LabError> {
    let mut files = Vec::new();
    collect_files(folder, &mut files)?;
    files.sort();
    for file in files {
        if is_capture(&file)? {
            captures.push(file);
        }
    }
    Ok(())
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), LabError> {
    let entries = fs::read_dir(folder).map_err(|source| cannot_read(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| cannot_read(folder, source))?;
        let kind = entry.file_type().map_err(|source| cannot_read(&entry.path(), source))?;
        if kind.is_dir() {
            collect_files(&entry.path(), files)?;
        } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
            files.push(entry.path());
        }
    }
    Ok(())
}

fn no_capture(paths: &[PathBuf]) -> LabError {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    LabError::Request {
        what: "input",
        expected: "a pcap or pcapng file, plain or compressed, or a directory or pattern that holds some"
            .to_owned(),
        found: if shown.is_empty() { "nothing".to_owned() } else { format!("none in {}", shown.join(", ")) },
        advice: "check the path".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PCAP: [u8; 24] =
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 1, 0, 0, 0];

    fn found(paths: &[PathBuf]) -> Result<Sources, LabError> {
        Sources::find(paths, &Reading::default(), &Ctx::new(0, 1))
    }

    #[test]
    fn a_directory_stands_for_the_captures_below_it_sorted() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["z.pcap", "b/y.pcap", "a.cap"] {
            fs::write(folder.path().join(name), PCAP).unwrap();
        }
        fs::write(folder.path().join("readme.txt"), "no capture").unwrap();
        let sources = found(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = sources.captures.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["a.cap", "b/y.pcap", "z.pcap"]);
        assert!(sources.named && sources.notes[0].contains("1 files that are no captures"));
        assert_eq!(sources.bytes(), 72);
    }

    #[test]
    fn a_pattern_stands_for_what_it_matches() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("day1")).unwrap();
        for name in ["b.pcap", "a.pcap", ".hidden.pcap", "day1/c.pcap", "[x].pcap", "d.txt"] {
            fs::write(folder.path().join(name), PCAP).unwrap();
        }
        let found = |pattern: &str| {
            let sources = found(&[folder.path().join(pattern)])?;
            let names = sources.captures.iter().map(|source| {
                let name = Path::new(&source.name);
                name.strip_prefix(folder.path()).unwrap().display().to_string()
            });
            Ok::<_, LabError>((names.collect::<Vec<_>>().join(" "), sources.named))
        };
        assert_eq!(found("*.pcap").unwrap(), ("[x].pcap a.pcap b.pcap".to_owned(), true));
        assert_eq!(found("**/[a-c].pcap").unwrap(), ("a.pcap b.pcap day1/c.pcap".to_owned(), true));
        assert_eq!(found("d*").unwrap(), ("d.txt day1/c.pcap".to_owned(), true));
        assert_eq!(found("[x].pcap").unwrap(), ("[x].pcap".to_owned(), false));
        let none = found("?.cap").unwrap_err().to_string();
        assert!(none.contains("?.cap") && none.contains("check the pattern"), "{none}");
        assert!(found("[.pcap").unwrap_err().to_string().contains("[.pcap"));
        assert_eq!(input_kind(&[folder.path().join("*.pcap")]).unwrap(), InputKind::Captures);
    }

    #[test]
    fn one_file_needs_no_name_and_control_characters_do_not_get_into_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a\x1b[2J.pcap");
        fs::write(&path, PCAP).unwrap();
        let sources = found(std::slice::from_ref(&path)).unwrap();
        assert!(!sources.named && sources.captures[0].name.ends_with("a\\x1b[2J.pcap"));
        assert_eq!(input_kind(&[path]).unwrap(), InputKind::Captures);
    }

    #[test]
    fn what_is_not_there_is_named() {
        let message = found(&["/no/such.pcap".into()]).unwrap_err().to_string();
        assert!(message.contains("/no/such.pcap"), "{message}");
        let folder = tempfile::tempdir().unwrap();
        assert!(found(&[folder.path().to_owned()]).unwrap_err().to_string().contains("none in"));
    }
}
