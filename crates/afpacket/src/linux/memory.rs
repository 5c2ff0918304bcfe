//! The memory shared with the kernel: mapped once, lent block by block while a block is ours.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;

/// Offset of `block_status` in `tpacket_block_desc`.
const STATUS_AT: usize = 8;

/// A ring of blocks, each either the kernel's to fill or ours to read, as its status word says.
pub(super) struct Memory {
    start: NonNull<u8>,
    block_bytes: usize,
    blocks: usize,
}

// SAFETY: the mapping belongs to this value alone, and nothing about it is tied to the thread that made it.
unsafe impl Send for Memory {}

impl Memory {
    /// Maps the ring that was set up on a socket, of `blocks` blocks of `block_bytes` each.
    pub(super) fn map(socket: BorrowedFd<'_>, block_bytes: usize, blocks: usize) -> Result<Self, Error> {
        let (protection, length) = (libc::PROT_READ | libc::PROT_WRITE, block_bytes * blocks);
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe {
            libc::mmap(ptr::null_mut(), length, protection, libc::MAP_SHARED, socket.as_raw_fd(), 0)
        };
        let mapped = NonNull::new(start.cast()).filter(|_| start != libc::MAP_FAILED);
        mapped
            .map(|start| Self { start, block_bytes, blocks })
            .ok_or_else(|| Error::System { what: "cannot map the ring", source: io::Error::last_os_error() })
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// A block's bytes if it is ours: they stay as they are until [`Memory::give_back`], for which no borrow may be left.
    #[inline]
    pub(super) fn block(&self, block: usize) -> Option<&[u8]> {
        // Acquire: what the kernel wrote before it changed the status is seen after.
        if self.status(block)?.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        let start = self.start.as_ptr().wrapping_add(block * self.block_bytes);
        // SAFETY: `block_bytes` bytes of the mapping, as `status` has checked the number; the kernel leaves a block
        // alone while its status is ours, and only `give_back`, which borrows mutably, changes that.
        Some(unsafe { std::slice::from_raw_parts(start, self.block_bytes) })
    }

    /// Lets the kernel fill a block again.
    pub(super) fn give_back(&mut self, block: usize) {
        if let Some(status) = self.status(block) {
            // Release: everything read from the block was read before.
            status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        }
    }

    #[inline]
    fn status(&self, block: usize) -> Option<&AtomicU32> {
        let word = self.start.as_ptr().wrapping_add(block * self.block_bytes + STATUS_AT).cast();
        // SAFETY: an aligned word of the mapping, which both sides only access atomically.
        (block < self.blocks).then(|| unsafe { AtomicU32::from_ptr(word) })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which nothing borrows any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.block_bytes * self.blocks) };
    }
}
