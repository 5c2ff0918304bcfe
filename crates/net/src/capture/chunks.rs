//! A window of fixed size that moves over a stream: records are parsed where they lie.

use std::io;
use std::ops::Range;

use super::source::Source;

/// Size of the window: larger than any record that is parsed in one piece, small enough for a second-level cache.
pub(super) const WINDOW_BYTES: usize = 512 * 1024;

/// The unread part of the stream that is in memory, `buffer[start..end]`, and where it lies in the stream.
/// `start` may run ahead of `end`: then the bytes between are skipped as they arrive, without being kept.
pub(super) struct Chunks {
    source: Source,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Offset of `buffer[0]` in the uncompressed stream.
    base: u64,
}

impl Chunks {
    pub(super) fn new(source: Source) -> Self {
        Self { source, buffer: vec![0; WINDOW_BYTES].into_boxed_slice(), start: 0, end: 0, base: 0 }
    }

    /// Makes `bytes` (at most the window) unread bytes available if the stream has them, and says how many are.
    #[inline]
    pub(super) fn need(&mut self, bytes: usize) -> io::Result<usize> {
        let unread = self.end.saturating_sub(self.start);
        if unread >= bytes { Ok(unread) } else { self.refill(bytes) }
    }

    /// The unread bytes in memory.
    #[inline]
    pub(super) fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Marks the next `bytes` as read, whether or not they are in memory yet.
    #[inline]
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start = self.start.saturating_add(bytes);
    }

    /// Offset of the first unread byte in the uncompressed stream.
    #[inline]
    pub(super) fn offset(&self) -> u64 {
        self.base.saturating_add(self.start as u64)
    }

    /// Where `within` of the unread bytes lies in the buffer, for [`Chunks::slice`] after [`Chunks::consume`].
    #[inline]
    pub(super) fn place(&self, within: Range<usize>) -> Range<usize> {
        self.start.saturating_add(within.start)..self.start.saturating_add(within.end)
    }

    /// The bytes at a place; valid until the next call of [`Chunks::need`].
    #[inline]
    pub(super) fn slice(&self, place: Range<usize>) -> &[u8] {
        self.buffer.get(place).unwrap_or_default()
    }

    /// Bytes that were marked as read but that the stream did not have, once it has ended.
    pub(super) fn missing(&self) -> usize {
        self.start.saturating_sub(self.end)
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Moves the unread bytes to the front and reads until `bytes` of them are there or the stream ends.
    #[inline(never)]
    fn refill(&mut self, bytes: usize) -> io::Result<usize> {
        self.drop_read();
        while self.end.saturating_sub(self.start) < bytes {
            if self.end == self.buffer.len() {
                self.drop_read();
            }
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => break,
                Ok(read) => self.end += read.min(room.len()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(self.end.saturating_sub(self.start))
    }

    fn drop_read(&mut self) {
        let read = self.start.min(self.end);
        self.buffer.copy_within(read..self.end, 0);
        self.base = self.base.saturating_add(read as u64);
        self.start -= read;
        self.end -= read;
    }
}
