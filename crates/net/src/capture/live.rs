//! Captures from an interface of this machine.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Capture, Interface, Step};
use crate::NetError;

/// How an interface is captured from. Start from the default, so that more options can be added.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Bytes kept of each frame.
    pub snaplen_bytes: u32,
    /// Memory shared with the kernel, for all rings together: what bridges a pause of the reader.
    pub ring_bytes: usize,
    /// Whether to ask for frames that are addressed to others.
    pub promiscuous: bool,
    /// Rings, each drained by a thread of its own when there are several.
    pub threads: usize,
    /// When set, the capture yields what the rings still hold and ends.
    pub stop: Arc<AtomicBool>,
}

impl Default for LiveOptions {
    fn default() -> Self {
        Self {
            snaplen_bytes: super::LARGEST_FRAME_BYTES,
            ring_bytes: 16 << 20,
            promiscuous: true,
            threads: 1,
            stop: Arc::default(),
        }
    }
}

impl Capture {
    /// Opens an interface of this machine and captures from now on.
    ///
    /// # Errors
    /// [`NetError::Live`] when there is no such interface, when it is down, or when the process may not.
    pub fn open_interface(name: &str, _options: &LiveOptions) -> Result<Self, NetError> {
        Err(NetError::Live {
            name: name.to_owned(),
            what: "this build cannot capture from interfaces".to_owned(),
            packets: 0,
            advice: "read a capture file instead",
        })
    }
}

/// An interface being captured from.
pub(super) enum Live {}

impl Live {
    pub(super) fn step(&mut self, _interfaces: &mut [Interface]) -> Result<Step, NetError> {
        match *self {}
    }

    pub(super) fn slice(&self, _place: Range<usize>) -> &[u8] {
        match *self {}
    }

    pub(super) fn received_bytes(&self) -> u64 {
        match *self {}
    }
}
