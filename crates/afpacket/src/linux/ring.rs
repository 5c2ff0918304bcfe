//! A ring of blocks that the kernel fills with frames and that are read in place, without a system call per frame.

use std::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::SocketType;

use super::interface::Interface;
use super::memory::Memory;
use super::socket;
use crate::block::{self, Address, Place, Walk};
use crate::{Counts, Error, Instruction, RingOptions};

/// Largest block: holds a frame of 256 KiB, and two of them are as little memory as anybody would give.
const LARGEST_BLOCK_BYTES: usize = 1 << 20;
/// Smallest block: holds a frame of 64 KiB.
const SMALLEST_BLOCK_BYTES: usize = 128 << 10;
/// Blocks that a ring has at least, down to the smallest block.
const BLOCKS: usize = 16;
/// The unit in which a ring is counted; of no effect in version 3.
const FRAME_BYTES: usize = 2048;
/// Blocks given back between two readings of the kernel's counters, which are 32 bits wide.
const COUNTED_BLOCKS: u32 = 256;
/// `BPF_RET | BPF_K`: accept as many bytes as the operand says.
const RETURN: u16 = 0x06;

/// A packet socket with its ring.
pub struct Ring {
    // Dropped before the socket whose memory it is.
    memory: Memory,
    socket: OwnedFd,
    interface: Interface,
    snaplen_bytes: u32,
    block: usize,
    walk: Option<Walk>,
    place: Place,
    counts: Counts,
    uncounted_blocks: u32,
    went_down: bool,
}

impl Ring {
    /// Opens a ring that receives nothing before [`Ring::start`]. With `cooked`, frames come without their link
    /// layer, which is then told by [`Ring::address`] alone.
    ///
    /// # Errors
    /// [`Error::NotPermitted`], [`Error::Down`], or what the system says, such as that memory is short.
    pub fn open(interface: &Interface, options: &RingOptions, cooked: bool) -> Result<Self, Error> {
        if !interface.up {
            return Err(Error::Down { name: interface.name.clone() });
        }
        let socket = socket::open(if cooked { SocketType::DGRAM } else { SocketType::RAW })?;
        let memory = shared_memory(socket.as_fd(), options)?;
        // From binding to `start` no frame passes, so that the rings of a group start without each other's frames.
        socket::attach(socket.as_fd(), &[accept(0)])?;
        // All interfaces together cannot be asked.
        if options.promiscuous && interface.index != 0 {
            see_all(socket.as_fd(), interface)?;
        }
        if interface.is_loopback() {
            // It would show each frame twice: sent and received. As in libpcap, the received one counts.
            let what = "cannot ask for received frames only";
            set(socket.as_fd(), libc::PACKET_IGNORE_OUTGOING, &1, what)?;
        }
        socket::bind(socket.as_fd(), interface.index)?;
        Ok(Self {
            memory,
            socket,
            interface: interface.clone(),
            snaplen_bytes: options.snaplen_bytes,
            block: 0,
            walk: None,
            place: Place::default(),
            counts: Counts::default(),
            uncounted_blocks: 0,
            went_down: false,
        })
    }

    /// Shares an interface's frames among rings, both directions of a flow to the same one. The kernel's
    /// reassembly before hashing is not asked for: it would hide the fragments, and as the hash of fragments
    /// leaves ports out, those of a datagram stay together anyway. The first call gets the group's number.
    ///
    /// # Errors
    /// What the system says.
    pub fn join(&self, group: Option<u16>) -> Result<u16, Error> {
        let unique = if group.is_some() { 0 } else { libc::PACKET_FANOUT_FLAG_UNIQUEID };
        let kind = (libc::PACKET_FANOUT_HASH | unique) << 16;
        let what = "cannot share the interface among rings";
        set(self.socket.as_fd(), libc::PACKET_FANOUT, &(kind | u32::from(group.unwrap_or(0))), what)?;
        let joined = socket::get(self.socket.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, 0_u32, what)?;
        Ok(joined as u16)
    }

    /// Starts reception of the frames that `program` accepts, all if it is empty. A program that the kernel does
    /// not take is left out: it only saves work, and whoever asks for it gives the verdict again.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(&self, program: &[Instruction]) -> Result<(), Error> {
        if !program.is_empty() && socket::attach(self.socket.as_fd(), program).is_ok() {
            return Ok(());
        }
        socket::attach(self.socket.as_fd(), &[accept(self.snaplen_bytes)])
    }

    /// Ends reception; what the ring holds can still be read.
    ///
    /// # Errors
    /// What the system says.
    pub fn stop(&self) -> Result<(), Error> {
        socket::attach(self.socket.as_fd(), &[accept(0)])
    }

    /// Goes on to the next frame the ring holds; false when there is none yet. Never waits.
    ///
    /// # Errors
    /// [`Error::Ring`] when a block is not what the kernel writes; the walk goes on behind it.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, Error> {
        loop {
            let Some(block) = self.memory.block(self.block) else { return Ok(false) };
            let step = self.walk.map_or_else(|| Walk::begin(block), Ok).and_then(|mut walk| {
                let place = walk.next(block)?;
                Ok(place.map(|place| (walk, place)))
            });
            match step {
                Ok(Some((walk, place))) => {
                    self.place = place;
                    self.walk = Some(walk);
                    self.counts.yielded += 1;
                    return Ok(true);
                }
                Ok(None) => self.leave_block(),
                Err(bad) => {
                    self.leave_block();
                    return Err(bad.into());
                }
            }
        }
    }

    /// The frame that [`Ring::advance`] went on to: where it lies, and its bytes.
    #[inline]
    pub fn frame(&self) -> (&Place, &[u8]) {
        let block = self.memory.block(self.block).unwrap_or_default();
        (&self.place, block.get(self.place.data.clone()).unwrap_or_default())
    }

    /// What the kernel says of that frame's link layer.
    pub fn address(&self) -> Option<Address> {
        block::address(self.memory.block(self.block)?.get(self.place.address.clone())?)
    }

    /// Waits until the kernel hands over a block, for at most so many milliseconds; false when none came.
    ///
    /// # Errors
    /// [`Error::Gone`] when the interface went away. When it only went down, frames may come again.
    pub fn wait(&mut self, milliseconds: u32) -> Result<bool, Error> {
        let timeout = Timespec {
            tv_sec: i64::from(milliseconds / 1000),
            tv_nsec: i64::from(milliseconds % 1000) * 1_000_000,
        };
        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::System { what: "cannot wait for frames", source: e.into() }),
        }
        if polled[0].revents().contains(PollFlags::ERR) {
            let what = "cannot ask what is wrong with the socket";
            // Reading the error clears it.
            socket::get(self.socket.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR, 0 as c_int, what)?;
            self.went_down = true;
        }
        if self.memory.block(self.block).is_some() {
            return Ok(true);
        }
        if self.went_down && !self.interface.exists(self.socket.as_fd()) && self.counts().is_drained() {
            return Err(Error::Gone { name: self.interface.name.clone() });
        }
        Ok(false)
    }

    /// What was counted since the ring was opened.
    pub fn counts(&mut self) -> Counts {
        let zero = libc::tpacket_stats_v3 { tp_packets: 0, tp_drops: 0, tp_freeze_q_cnt: 0 };
        let (option, what) = (libc::PACKET_STATISTICS, "cannot read the counters of the ring");
        // Reading sets them back. It fails for no packet socket there is; then what is known stands.
        if let Ok(more) = socket::get(self.socket.as_fd(), libc::SOL_PACKET, option, zero, what) {
            self.counts.received += u64::from(more.tp_packets);
            self.counts.dropped += u64::from(more.tp_drops);
            self.counts.freezes += u64::from(more.tp_freeze_q_cnt);
        }
        self.uncounted_blocks = 0;
        self.counts
    }

    /// Gives the block back that was walked to its end, and looks at the counters before they can overflow.
    fn leave_block(&mut self) {
        self.walk = None;
        self.memory.give_back(self.block);
        self.block = (self.block + 1) % self.memory.blocks();
        self.uncounted_blocks += 1;
        if self.uncounted_blocks >= COUNTED_BLOCKS {
            self.counts();
        }
    }
}

/// Sets the ring up: the version first, as it decides what the request means.
fn shared_memory(socket: BorrowedFd<'_>, options: &RingOptions) -> Result<Memory, Error> {
    set(
        socket,
        libc::PACKET_VERSION,
        &(libc::tpacket_versions::TPACKET_V3 as c_int),
        "cannot ask for TPACKET_V3",
    )?;
    let share = (options.ring_bytes / BLOCKS).max(1).next_power_of_two();
    let block_bytes = share.clamp(SMALLEST_BLOCK_BYTES, LARGEST_BLOCK_BYTES);
    let blocks = (options.ring_bytes / block_bytes).max(2);
    let request = libc::tpacket_req3 {
        tp_block_size: block_bytes as u32,
        tp_block_nr: blocks as u32,
        tp_frame_size: FRAME_BYTES as u32,
        tp_frame_nr: (block_bytes / FRAME_BYTES * blocks) as u32,
        tp_retire_blk_tov: options.retire_ms,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    set(socket, libc::PACKET_RX_RING, &request, "cannot allocate the ring")?;
    Memory::map(socket, block_bytes, blocks)
}

/// Puts the interface into promiscuous mode as long as the socket is open.
fn see_all(socket: BorrowedFd<'_>, interface: &Interface) -> Result<(), Error> {
    let membership = libc::packet_mreq {
        mr_ifindex: interface.index as c_int,
        mr_type: libc::PACKET_MR_PROMISC as u16,
        mr_alen: 0,
        mr_address: [0; 8],
    };
    set(socket, libc::PACKET_ADD_MEMBERSHIP, &membership, "cannot ask for everybody's frames")
}

fn set<T: socket::Plain>(
    socket: BorrowedFd<'_>,
    option: c_int,
    value: &T,
    what: &'static str,
) -> Result<(), Error> {
    socket::set(socket, libc::SOL_PACKET, option, value, what)
}

/// The program that accepts every frame, cut to so many bytes; none of it for 0.
fn accept(bytes: u32) -> Instruction {
    Instruction { code: RETURN, jt: 0, jf: 0, k: bytes }
}
