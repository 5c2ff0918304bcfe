//! How captures are read: which of their packets, where these are kept as well, and how an interface is listened to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cormorant_net::NetError;
use cormorant_net::capture::{Capture, LiveOptions, Recording, Rotation, drop_privileges};
use cormorant_net::filter::Filter;
use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::output::STDOUT;

/// How captures are read. The default is all of their packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Only packets that match this expression of libpcap's filter language.
    pub filter: Option<String>,
    /// At most this many packets, after the filter.
    pub packets: Option<u64>,
    /// A pcapng file that keeps the packets, or `-` for standard output.
    pub keep: Option<PathBuf>,
    /// When that file is full and another one goes on.
    pub rotation: KeepRotation,
    /// Bytes taken of each frame of an interface; all without.
    pub snaplen_bytes: Option<u32>,
    /// Memory for frames of an interface that are not read yet.
    pub ring_bytes: Option<usize>,
    /// Whether an interface is left as it is instead of being asked for frames addressed to others.
    pub not_promiscuous: bool,
    /// User to become once an interface is open.
    pub user: Option<String>,
}

/// When a file that keeps packets is full. The default is never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepRotation {
    /// Bytes a file has at most.
    pub file_bytes: Option<u64>,
    /// Seconds of packet time a file holds.
    pub file_s: Option<u64>,
    /// Files kept: the oldest is deleted when there would be more.
    pub files: Option<usize>,
}

impl Reading {
    /// The filter, understood.
    ///
    /// # Errors
    /// What is wrong with the expression, and where.
    pub(crate) fn compiled(&self) -> Result<Option<Filter>, LabError> {
        let compile = |text: &String| Filter::compile(text).map_err(|error| NetError::from(error).into());
        self.filter.as_ref().map(compile).transpose()
    }

    /// Opens an interface, and gives up for good what that needed: from here on the process may do what a plain
    /// user may. Call it before outputs are opened, which then are this user's, and before threads are started.
    ///
    /// # Errors
    /// When there is no such interface, when it is down, or when the user may not.
    pub(crate) fn listen(
        &self,
        interface: &str,
        filter: Option<Filter>,
        threads: usize,
        stop: Arc<AtomicBool>,
    ) -> Result<Capture, LabError> {
        let defaults = LiveOptions::default();
        let options = LiveOptions {
            snaplen_bytes: self.snaplen_bytes.unwrap_or(defaults.snaplen_bytes),
            ring_bytes: self.ring_bytes.unwrap_or(defaults.ring_bytes),
            promiscuous: !self.not_promiscuous,
            threads,
            filter,
            stop,
        };
        let capture = Capture::open_interface(interface, &options)?;
        drop_privileges(self.user.as_deref())?;
        Ok(capture)
    }

    /// Limits a capture to its first packets and starts to keep them, as far as that is asked for.
    ///
    /// # Errors
    /// When the file that keeps them cannot be made.
    pub(crate) fn begin(&self, capture: &mut Capture) -> Result<(), NetError> {
        if let Some(packets) = self.packets {
            capture.limit(packets);
        }
        if let Some(path) = &self.keep {
            capture.record(self.recording(path)?);
        }
        Ok(())
    }

    fn recording(&self, path: &Path) -> Result<Recording, NetError> {
        let filter = self.filter.clone();
        if path == Path::new("-") {
            return Ok(Recording::stream(STDOUT, Box::new(io::stdout()), filter));
        }
        let KeepRotation { file_bytes, file_s, files } = self.rotation;
        let file_ns =
            file_s.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(NS_PER_S));
        Recording::create(path, Rotation { file_bytes, file_ns, keep_files: files }, filter)
    }

    /// Checks what can be asked of these inputs.
    ///
    /// # Errors
    /// [`LabError::Request`] when several captures are to be limited or kept, or a file is to keep itself.
    pub(crate) fn check(&self, inputs: &[PathBuf], captures: usize) -> Result<(), LabError> {
        let request = |what, expected: &str, found: String, advice: &str| {
            Err(LabError::Request { what, expected: expected.to_owned(), found, advice: advice.to_owned() })
        };
        if captures > 1 && (self.packets.is_some() || self.keep.is_some()) {
            let what = if self.keep.is_some() { "keeping packets" } else { "number of packets" };
            return request(what, "one capture", format!("{captures}"), "name one of them");
        }
        let Some(keep) = self.keep.as_deref().filter(|keep| *keep != Path::new("-")) else { return Ok(()) };
        if !keep.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("pcapng")) {
            let found = format!("`{}`", keep.display());
            return request(
                "file to keep packets in",
                "a file that ends in .pcapng",
                found,
                "`editcap -F pcap` makes others of it",
            );
        }
        if inputs.iter().any(|input| is_same_file(input, keep)) {
            let found = format!("`{}`, which is being read", keep.display());
            return request("file to keep packets in", "another file than the input", found, "name another");
        }
        Ok(())
    }
}

const NS_PER_S: i64 = 1_000_000_000;

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
