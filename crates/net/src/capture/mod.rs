//! Reads capture files: yields each captured frame with its place and time, and ends with at most one error.

mod link;

pub use link::LinkType;

/// One captured frame as the reader yields it, borrowed from the reader's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// 1-based number within this capture.
    pub number: u64,
    /// Capture time in nanoseconds since the UNIX epoch.
    pub ts_ns: i64,
    /// Byte offset of the record in the uncompressed capture.
    pub offset: u64,
    /// Length of the frame on the wire; at least `data.len()`.
    pub wire_bytes: u32,
    /// What the frame's first byte is the start of.
    pub link: LinkType,
    /// Index into [`Capture::interfaces`]; 0 for pcap.
    pub interface: u32,
    /// The captured bytes, fewer than `wire_bytes` when a snapshot length cut them.
    pub data: &'a [u8],
}
