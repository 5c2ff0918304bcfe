//! Receives frames from a Linux interface through a ring shared with the kernel (AF_PACKET, TPACKET_V3).
//!
//! The one place with `unsafe`: system calls and the shared memory, nothing else. What a frame means is none of its
//! business; `cormorant-net` asks it for frames and counters. The way of a frame: [`Interface`] says what there is
//! to listen to, a [`Ring`] listens, [`block`] finds the frames in what the kernel wrote, all of it checked, and
//! lends them until the next call. [`Injector`] is the other direction, for tests and measurements. What opening
//! needed is given up by [`drop_privileges`].
//!
//! On other systems everything here compiles and answers [`Error::Unsupported`].

pub mod block;
mod error;

#[cfg(target_os = "linux")]
#[path = "linux/mod.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "elsewhere.rs"]
mod system;

pub use error::Error;
pub use system::{Injector, Interface, Ring, drop_privileges, owner_behind_sudo};

/// How a ring is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingOptions {
    /// Bytes the kernel copies of each frame.
    pub snaplen_bytes: u32,
    /// Memory of the ring; rounded to blocks, of which there are always at least two.
    pub ring_bytes: usize,
    /// Whether to ask the interface for frames that are addressed to others.
    pub promiscuous: bool,
    /// Milliseconds after which the kernel hands over a block that is not full: the longest a lone frame waits.
    pub retire_ms: u32,
}

/// One instruction of a classic BPF program, as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// What was counted for a ring since it was opened. `received = yielded + dropped` once the ring is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that passed the kernel's program, whether or not there was room for them.
    pub received: u64,
    /// Those of them for which the ring had no room.
    pub dropped: u64,
    /// Times the ring ran full.
    pub freezes: u64,
    /// Frames that were read from the ring.
    pub yielded: u64,
}

impl Counts {
    /// Whether every frame there was room for has been read, even those that the kernel has not handed over yet.
    pub fn is_drained(&self) -> bool {
        self.yielded + self.dropped >= self.received
    }

    /// The counts of two rings together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            dropped: self.dropped + other.dropped,
            freezes: self.freezes + other.freezes,
            yielded: self.yielded + other.yielded,
        }
    }
}

/// Who a process becomes when it gives up being root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub user: u32,
    /// Group id; supplementary groups are given up.
    pub group: u32,
}
