//! Keeps the frames of a capture in files while it is read, so that what was seen live can be read again.
//!
//! A recording is one pcapng file, a stream, or files that follow each other and are each complete. Frames are on
//! disk a second later at the latest, in whole blocks: a process that is killed leaves files that can be read.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::write::PcapngWriter;
use super::{Interface, InterfaceCounts, Record};
use crate::NetError;

/// When a file of a recording is full, and how many are kept. The default is one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// A file ends before the frame that would make it longer than this.
    pub file_bytes: Option<u64>,
    /// A file ends before the frame that comes this long after its first one.
    pub file_ns: Option<i64>,
    /// The oldest file is deleted when there would be more than this.
    pub keep_files: Option<usize>,
}

/// What was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The files, oldest first, without those that were deleted; of very many the last [`MOST_LISTED`].
    pub files: VecDeque<PathBuf>,
    /// Files written, the deleted ones included; 0 for a stream.
    pub files_written: u64,
    /// Frames written, those in deleted files included.
    pub frames: u64,
    /// Bytes written, those of deleted files included.
    pub bytes: u64,
}

/// Files listed of a recording.
pub const MOST_LISTED: usize = 1_000;

/// Frames wait at most this long for their place on disk: as packet time goes on, or until the interface is quiet.
const FLUSH_NS: u64 = 1_000_000_000;
/// A statistics block with every counter.
const STATISTICS_BYTES: u64 = 76;

/// Frames on their way to files.
#[derive(Debug)]
pub struct Recording {
    target: Target,
    rotation: Rotation,
    filter: Option<String>,
    part: Part,
    /// What the interfaces had counted when the current file began.
    counted: Vec<InterfaceCounts>,
    last_ns: i64,
    flushed_ns: i64,
    /// The files before the current one.
    earlier: Recorded,
    ended: bool,
}

#[derive(Debug)]
enum Target {
    Stream(String),
    File(PathBuf),
}

/// The file being written.
#[derive(Debug)]
struct Part {
    writer: PcapngWriter<Out>,
    first_ns: Option<i64>,
    /// Frames by interface.
    frames: Vec<u64>,
}

enum Out {
    File(File),
    Stream(Box<dyn Write + Send>),
}

impl Recording {
    /// Begins a recording in a file, which is overwritten; with a rotation in `X-000001.pcapng`, `X-000002.pcapng`
    /// and so on when `path` is `X.pcapng`. `filter` is what each file says its frames passed.
    ///
    /// # Errors
    /// [`NetError::Recording`] when the first file cannot be made.
    pub fn create(path: &Path, rotation: Rotation, filter: Option<String>) -> Result<Self, NetError> {
        let first = if rotation.is_none() { path.to_owned() } else { numbered(path, 1) };
        let file = File::create(&first).map_err(|source| refused(&first.display(), source, 0))?;
        let mut recording = Self::new(Target::File(path.to_owned()), Out::File(file), rotation, filter);
        recording.earlier.add(first, rotation.keep_files);
        Ok(recording)
    }

    /// Begins a recording in a stream, such as standard output. `name` is what errors call it.
    pub fn stream(name: &str, out: Box<dyn Write + Send>, filter: Option<String>) -> Self {
        Self::new(Target::Stream(name.to_owned()), Out::Stream(out), Rotation::default(), filter)
    }

    fn new(target: Target, out: Out, rotation: Rotation, filter: Option<String>) -> Self {
        Self {
            target,
            rotation,
            filter,
            part: Part::new(out),
            counted: Vec::new(),
            last_ns: 0,
            flushed_ns: i64::MIN,
            earlier: Recorded::default(),
            ended: false,
        }
    }

    /// Writes a frame and returns its offset in its file. `interfaces` are those of the capture so far.
    #[inline]
    pub(super) fn keep(
        &mut self,
        record: &Record,
        data: &[u8],
        interfaces: &[Interface],
    ) -> Result<u64, NetError> {
        if self.is_full(record.ts_ns, data.len() as u64) {
            self.begin_next(interfaces)?;
        }
        self.write(record, data, interfaces).map_err(|source| self.fail(source))
    }

    /// Frames recorded so far.
    #[inline]
    pub(super) fn frames(&self) -> u64 {
        self.earlier.frames + self.part.writer.frames()
    }

    #[inline]
    fn write(&mut self, record: &Record, data: &[u8], interfaces: &[Interface]) -> io::Result<u64> {
        self.part.describe(interfaces, self.filter.as_deref())?;
        let offset = self.part.frame(record, data)?;
        self.last_ns = record.ts_ns;
        if record.ts_ns.abs_diff(self.flushed_ns) >= FLUSH_NS {
            self.flushed_ns = record.ts_ns;
            self.part.writer.flush()?;
        }
        Ok(offset)
    }

    /// Puts on disk what waits for more: the interface is quiet.
    ///
    /// # Errors
    /// [`NetError::Recording`].
    pub(super) fn flush(&mut self) -> Result<(), NetError> {
        self.part.writer.flush().map_err(|source| self.fail(source))
    }

    /// Ends the last file with what the interfaces have counted. After an error of [`Recording::keep`] it only says
    /// what was kept.
    ///
    /// # Errors
    /// [`NetError::Recording`].
    pub(super) fn finish(mut self, interfaces: &[Interface]) -> Result<Recorded, NetError> {
        if !self.ended {
            self.end_part(interfaces).map_err(|source| self.fail(source))?;
            self.ended = true;
        }
        self.count_part();
        Ok(std::mem::take(&mut self.earlier))
    }

    /// Whether a frame belongs into the next file. Every file has one frame at least.
    #[inline]
    fn is_full(&self, ts_ns: i64, bytes: u64) -> bool {
        let Some(first_ns) = self.part.first_ns else { return false };
        let Rotation { file_bytes, file_ns, .. } = self.rotation;
        let long = file_ns.is_some_and(|longest| ts_ns.saturating_sub(first_ns) >= longest);
        let with_it =
            || self.part.writer.offset() + 32 + bytes.next_multiple_of(4) + self.part.ending_bytes();
        long || file_bytes.is_some_and(|largest| with_it() > largest)
    }

    #[cold]
    fn begin_next(&mut self, interfaces: &[Interface]) -> Result<(), NetError> {
        let Target::File(path) = &self.target else { return Ok(()) };
        let next = numbered(path, self.earlier.files_written + 1);
        self.end_part(interfaces).map_err(|source| self.fail(source))?;
        let file = File::create(&next).map_err(|source| {
            self.ended = true;
            refused(&next.display(), source, self.earlier.frames + self.part.writer.written_frames())
        })?;
        self.count_part();
        self.part = Part::new(Out::File(file));
        self.earlier.add(next, self.rotation.keep_files);
        Ok(())
    }

    /// Each file has the counters of its own time, so that those of all files add up.
    fn end_part(&mut self, interfaces: &[Interface]) -> io::Result<()> {
        self.part.describe(interfaces, self.filter.as_deref())?;
        for (index, interface) in (0..).zip(interfaces) {
            let before = self.counted.get(index as usize).copied().unwrap_or_default();
            let frames = self.part.frames.get(index as usize).copied().unwrap_or_default();
            self.part.writer.statistics(index, self.last_ns, &since(&interface.counts, &before), frames)?;
        }
        self.counted = interfaces.iter().map(|interface| interface.counts).collect();
        self.part.writer.flush()
    }

    fn count_part(&mut self) {
        self.earlier.frames += self.part.writer.written_frames();
        self.earlier.bytes += self.part.writer.written_bytes();
    }

    /// Cuts the file after its last whole block and says what was kept.
    #[cold]
    fn fail(&mut self, source: io::Error) -> NetError {
        self.ended = true;
        if let Out::File(file) = self.part.writer.get_ref() {
            // A pipe or device cannot be cut, and then there is nothing to keep in order either.
            let _ = file.set_len(self.part.writer.written_bytes());
        }
        let frames = self.earlier.frames + self.part.writer.written_frames();
        match (&self.target, self.earlier.files.back()) {
            (Target::Stream(name), _) => refused(name, source, frames),
            (Target::File(_), Some(file)) => refused(&file.display(), source, frames),
            (Target::File(path), None) => refused(&path.display(), source, frames),
        }
    }
}

/// A recording that is given up keeps what it has.
impl Drop for Recording {
    fn drop(&mut self) {
        if !self.ended {
            // Nobody is left to be told.
            let _ = self.flush();
        }
    }
}

impl Rotation {
    fn is_none(&self) -> bool {
        self.file_bytes.is_none() && self.file_ns.is_none()
    }
}

impl Recorded {
    /// Lists a new file, and deletes the oldest when that makes one too many.
    fn add(&mut self, file: PathBuf, keep_files: Option<usize>) {
        self.files_written += 1;
        self.files.push_back(file);
        let most = keep_files.map_or(MOST_LISTED, |files| files.max(1));
        if self.files.len() > most
            && let Some(oldest) = self.files.pop_front()
            && keep_files.is_some()
        {
            // Whoever moved it away wants to have it.
            let _ = fs::remove_file(oldest);
        }
    }
}

impl Part {
    fn new(out: Out) -> Self {
        Self { writer: PcapngWriter::new(out), first_ns: None, frames: Vec::new() }
    }

    /// Describes the interfaces that the file does not know yet, so that their numbers are those of the capture.
    #[inline]
    fn describe(&mut self, interfaces: &[Interface], filter: Option<&str>) -> io::Result<()> {
        let new = interfaces.get(self.frames.len()..).unwrap_or_default();
        for interface in new {
            self.writer.interface(interface, filter)?;
            self.frames.push(0);
        }
        Ok(())
    }

    #[inline]
    fn frame(&mut self, record: &Record, data: &[u8]) -> io::Result<u64> {
        let offset = self.writer.frame(record.interface, record.ts_ns, record.wire_bytes, data)?;
        self.first_ns.get_or_insert(record.ts_ns);
        if let Some(frames) = self.frames.get_mut(record.interface as usize) {
            *frames += 1;
        }
        Ok(offset)
    }

    /// What its end will add to its length.
    fn ending_bytes(&self) -> u64 {
        STATISTICS_BYTES * self.frames.len() as u64
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File(_) => "File",
            Self::Stream(_) => "Stream",
        })
    }
}

/// `dir/X.pcapng` and 7 → `dir/X-000007.pcapng`.
fn numbered(path: &Path, number: u64) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().map(|text| format!(".{}", text.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}-{number:06}{extension}"))
}

/// What was counted between two moments.
fn since(now: &InterfaceCounts, before: &InterfaceCounts) -> InterfaceCounts {
    let less = |now: Option<u64>, before: Option<u64>| Some(now?.saturating_sub(before.unwrap_or_default()));
    InterfaceCounts {
        received: less(now.received, before.received),
        dropped_by_interface: less(now.dropped_by_interface, before.dropped_by_interface),
        dropped_by_capture: less(now.dropped_by_capture, before.dropped_by_capture),
    }
}

fn refused(name: &dyn std::fmt::Display, source: io::Error, packets: u64) -> NetError {
    let advice = write_advice(&source);
    NetError::Recording { name: name.to_string(), source, packets, advice }
}

/// What to do when the operating system refuses an output.
pub fn write_advice(refusal: &io::Error) -> &'static str {
    match refusal.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "create the directory first",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "choose a directory you may write to"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space or choose another disk",
        io::ErrorKind::IsADirectory => "name a file, not a directory",
        io::ErrorKind::InvalidInput => "write another kind of output",
        _ => "check the disk and try again",
    }
}
