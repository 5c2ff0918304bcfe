//! Sends frames as they are, for tests and measurements.

use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketType};

use super::interface::Interface;
use super::socket;
use crate::Error;

/// Frames handed to the kernel in one call.
const BATCH: usize = 64;

/// Sends whole frames, link layer included, on an interface.
pub struct Injector {
    socket: OwnedFd,
}

impl Injector {
    /// Opens an interface for sending.
    ///
    /// # Errors
    /// As [`super::Ring::open`].
    pub fn open(interface: &Interface) -> Result<Self, Error> {
        if !interface.up {
            return Err(Error::Down { name: interface.name.clone() });
        }
        let socket = socket::open(SocketType::RAW)?;
        // Bound to receive, but never read: nothing is to be queued.
        socket::attach(socket.as_fd(), &[crate::Instruction { code: 0x06, jt: 0, jf: 0, k: 0 }])?;
        socket::bind(socket.as_fd(), interface.index)?;
        Ok(Self { socket })
    }

    /// Sends the frames in their order; the interface drops none of them silently, but what is behind it may.
    ///
    /// # Errors
    /// What the system says of the first frame that it does not take, such as one longer than the MTU.
    pub fn send(&self, frames: &[&[u8]]) -> Result<(), Error> {
        frames.chunks(BATCH).try_for_each(|batch| self.send_batch(batch))
    }

    fn send_batch(&self, frames: &[&[u8]]) -> Result<(), Error> {
        let slices: Vec<_> = frames.iter().map(|frame| [IoSlice::new(frame)]).collect();
        let mut controls: Vec<_> = frames.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<_> =
            slices.iter().zip(&mut controls).map(|(slice, control)| MMsgHdr::new(slice, control)).collect();
        let mut rest = messages.as_mut_slice();
        while !rest.is_empty() {
            match rustix::net::sendmmsg(&self.socket, rest, SendFlags::empty()) {
                Ok(sent) => rest = rest.get_mut(sent..).unwrap_or_default(),
                Err(Errno::NOBUFS | Errno::AGAIN | Errno::INTR) => {}
                Err(e) => return Err(Error::System { what: "cannot send a frame", source: e.into() }),
            }
        }
        Ok(())
    }
}
