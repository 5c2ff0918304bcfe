//! What the system knows of an interface before anybody listens to it.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netdevice};

use super::socket::{self, Query};
use crate::Error;

/// An interface of this network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its `ARPHRD_` number: what its frames start with.
    pub hardware: u16,
    /// Whether it is up.
    pub up: bool,
}

impl Interface {
    /// Looks an interface up; `any` stands for all of them together, with index 0. Needs no privilege.
    ///
    /// # Errors
    /// [`Error::NotFound`], or what the system says.
    pub fn find(name: &str) -> Result<Self, Error> {
        if name == "any" {
            return Ok(Self { name: name.to_owned(), index: 0, hardware: libc::ARPHRD_VOID, up: true });
        }
        let kind = (AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC);
        let asking = rustix::net::socket_with(kind.0, kind.1, kind.2, None).map_err(|e| Error::System {
            what: "cannot open a socket to ask about interfaces",
            source: e.into(),
        })?;
        let failed = |source: std::io::Error| match source.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO | libc::EINVAL | libc::ENAMETOOLONG) => {
                Error::NotFound { name: name.to_owned() }
            }
            _ => Error::System { what: "cannot ask about the interface", source },
        };
        let index = netdevice::name_to_index(&asking, name).map_err(|e| failed(e.into()))?;
        let flags = socket::query(asking.as_fd(), name, Query::Flags).map_err(failed)?;
        let hardware = socket::query(asking.as_fd(), name, Query::Hardware).map_err(failed)?;
        Ok(Self { name: name.to_owned(), index, hardware, up: i32::from(flags) & libc::IFF_UP != 0 })
    }

    /// Whether it is the loopback, on which every frame is sent and received by the same machine.
    pub fn is_loopback(&self) -> bool {
        self.hardware == libc::ARPHRD_LOOPBACK
    }

    /// Frames the interface itself has lost since it exists: no memory for them, or no room in its queue. `None`
    /// where the system does not say.
    pub fn lost(&self) -> Option<u64> {
        let folder = std::path::Path::new("/sys/class/net").join(&self.name);
        let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        // The folder may show another network namespace than ours.
        if number("ifindex")? != u64::from(self.index) {
            return None;
        }
        Some(number("statistics/rx_missed_errors")? + number("statistics/rx_fifo_errors")?)
    }

    /// Whether it is still there, under whatever name.
    pub(super) fn exists(&self, asking: BorrowedFd<'_>) -> bool {
        !matches!(netdevice::index_to_name(asking, self.index), Err(Errno::NODEV | Errno::NXIO))
    }
}
