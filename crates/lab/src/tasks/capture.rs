//! `capture`: packets of an interface, or of another capture, to files of their own.

use std::path::PathBuf;

use cormorant_net::NetError;
use cormorant_net::capture::{Capture, Next};
use serde::{Deserialize, Serialize};

use crate::extraction::{CaptureFault, capturing};
use crate::reading::Reading;
use crate::sources::Sources;
use crate::traffic::{Ending, Unread};
use crate::{Ctx, LabError};

/// What to capture, and where to; `reading.keep` says where the packets go.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// An interface, `any` for all of them, a capture file, or `-` for standard input.
    pub source: PathBuf,
    /// Which packets, and the files they go to.
    pub reading: Reading,
}

/// What was captured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The interface or the file.
    pub source: String,
    /// Packets written.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
    /// Bytes of these packets that were captured.
    pub captured_bytes: u64,
    /// What the packets do not include.
    #[serde(flatten)]
    pub unread: Unread,
    /// Earliest packet time in ns since the UNIX epoch.
    pub first_ns: Option<i64>,
    /// Latest packet time in ns since the UNIX epoch.
    pub last_ns: Option<i64>,
    /// The files, oldest first, without those that were deleted; of very many only the last.
    pub files: Vec<PathBuf>,
    /// Files written, the deleted ones included.
    pub files_written: u64,
    /// Bytes of all files.
    pub file_bytes: u64,
    /// What ended the capture early, if anything. What was written before stands.
    pub faults: Vec<CaptureFault>,
}

/// Packets between two looks at whether to go on.
const WATCH_EVERY: u64 = 8_192;

/// Writes packets until the source ends, or until it is told to.
///
/// # Errors
/// [`LabError`] when the source cannot be opened or the file not be made, when a reader of standard output has left,
/// or [`LabError::Cancelled`].
pub fn run(spec: &Spec, ctx: &Ctx) -> Result<Report, LabError> {
    let sources = Sources::find(std::slice::from_ref(&spec.source), &spec.reading, ctx)?;
    let [source] = sources.captures.as_slice() else {
        return Err(LabError::Request {
            what: "source",
            expected: "an interface or one capture".to_owned(),
            found: format!("{} captures in {}", sources.captures.len(), spec.source.display()),
            advice: "name one of them".to_owned(),
        });
    };
    let mut capture = source.open()?;
    let mut report = Report { source: source.name.clone(), ..Report::default() };
    let fault = report.read(&mut capture, sources.bytes(), ctx)?;
    let ending = Ending::of(&mut capture, report.packets);
    // Fewer than were read when the disk became full.
    report.packets = ending.recorded.as_ref().map_or(report.packets, |recorded| recorded.frames);
    let recorded = ending.recorded.unwrap_or_default();
    report.unread = ending.unread;
    report.files = recorded.files.into();
    report.files_written = recorded.files_written;
    report.file_bytes = recorded.bytes;
    match fault.or(ending.fault) {
        Some(fault) if is_broken_pipe(&fault) => return Err(fault.into()),
        Some(fault) => {
            let (capture, packets) = (report.source.clone(), report.packets);
            report.faults.push(CaptureFault { capture, packets, error: fault.to_string() });
        }
        None => {}
    }
    Ok(report)
}

impl Report {
    /// Reads a capture to its end, which writes its packets, and returns the fault that ended it.
    fn read(&mut self, capture: &mut Capture, total: u64, ctx: &Ctx) -> Result<Option<NetError>, LabError> {
        loop {
            let look = match capture.next() {
                Ok(Next::Frame(frame)) => {
                    self.packets += 1;
                    self.bytes += u64::from(frame.wire_bytes);
                    self.captured_bytes += frame.data.len() as u64;
                    self.first_ns = Some(self.first_ns.map_or(frame.ts_ns, |first| first.min(frame.ts_ns)));
                    self.last_ns = Some(self.last_ns.map_or(frame.ts_ns, |last| last.max(frame.ts_ns)));
                    self.packets.is_multiple_of(WATCH_EVERY)
                }
                Ok(Next::Quiet) => true,
                Ok(Next::End) => return Ok(None),
                Err(fault) => return Ok(Some(fault)),
            };
            if look {
                match capture.is_live() {
                    true => capturing(ctx, self.packets, capture.dropped()),
                    false => ctx.progress("reading captures", capture.consumed_bytes(), total),
                }
                ctx.check().map_err(|_| LabError::Cancelled)?;
            }
        }
    }
}

fn is_broken_pipe(fault: &NetError) -> bool {
    matches!(fault, NetError::Recording { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
}
