//! What became of the packets of a capture before anything was made of them: passed over, lost, kept in a file.

use std::collections::BTreeMap;

use cormorant_net::NetError;
use cormorant_net::capture::{self, Capture, InterfaceCounts, Recorded};
use serde::{Deserialize, Serialize};

use crate::plain::plain;

/// Packets that were not read although they were there. Of an interface,
/// `packets_received = packets + packets_filtered + packets_dropped["buffer-full"] + packets_dropped["unread"]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Packets that did not match the filter.
    pub packets_filtered: u64,
    /// Packets that interfaces received, where that is known.
    pub packets_received: Option<u64>,
    /// Packets lost: `buffer-full` for want of memory or of time to read them, `interface` before the capture saw
    /// them, `unread` because the capture ended while they waited.
    pub packets_dropped: BTreeMap<String, u64>,
}

/// An interface that can be captured from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalInterface {
    /// Its name.
    pub name: String,
    /// Link type of its frames.
    pub link: &'static str,
    /// Whether it is up: only then are there packets.
    pub up: bool,
}

/// The interfaces of this machine, in the system's order.
#[must_use]
pub fn interfaces() -> Vec<LocalInterface> {
    let shown = |found: capture::LocalInterface| LocalInterface {
        name: plain(&found.name).into_owned(),
        link: found.link.name(),
        up: found.up,
    };
    capture::interfaces().into_iter().map(shown).collect()
}

/// How a capture ended.
pub(crate) struct Ending {
    pub(crate) unread: Unread,
    /// The file that kept its packets.
    pub(crate) recorded: Option<Recorded>,
    /// What became of completing that file.
    pub(crate) fault: Option<NetError>,
}

impl Ending {
    /// Asks a capture, of which `packets` were read, and completes the file that keeps them.
    pub(crate) fn of(capture: &mut Capture, packets: u64) -> Self {
        let (recorded, fault) = match capture.end_recording() {
            Ok(recorded) => (recorded, None),
            Err(fault) => (None, Some(fault)),
        };
        Self { unread: Unread::of(capture, packets), recorded, fault }
    }
}

impl Unread {
    fn of(capture: &Capture, packets: u64) -> Self {
        let total = |count: fn(&InterfaceCounts) -> Option<u64>| {
            let counts = capture.interfaces().iter().filter_map(|interface| count(&interface.counts));
            counts.reduce(u64::saturating_add)
        };
        let (packets_filtered, packets_received) = (capture.filtered(), total(|counts| counts.received));
        let full = total(|counts| counts.dropped_by_capture).unwrap_or_default();
        // What a file says of itself was counted when it was made; only the end of a live capture is ours.
        let received = packets_received.filter(|_| capture.is_live());
        let unread = received.map_or(0, |all| all.saturating_sub(packets + packets_filtered + full));
        let lost = total(|counts| counts.dropped_by_interface).unwrap_or_default();
        let reasons = [("buffer-full", full), ("interface", lost), ("unread", unread)];
        let dropped = reasons.into_iter().filter(|(_, packets)| *packets > 0);
        let packets_dropped = dropped.map(|(reason, packets)| (reason.to_owned(), packets)).collect();
        Self { packets_filtered, packets_received, packets_dropped }
    }

    /// Adds what happened to another capture.
    pub(crate) fn add(&mut self, other: Self) {
        self.packets_filtered += other.packets_filtered;
        if let Some(received) = other.packets_received {
            *self.packets_received.get_or_insert(0) += received;
        }
        for (reason, packets) in other.packets_dropped {
            *self.packets_dropped.entry(reason).or_default() += packets;
        }
    }
}
