//! The one error of this crate: what was tried, what the system said, what to do next.

use std::io;

/// Why an interface cannot be opened or listened to any longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no interface of this name, here or in this network namespace.
    #[error("there is no interface {name:?}")]
    NotFound {
        /// What was asked for.
        name: String,
    },
    /// The interface is there but down.
    #[error("the interface {name} is down")]
    Down {
        /// Its name.
        name: String,
    },
    /// The process may not open packet sockets.
    #[error("capturing needs the capability CAP_NET_RAW, which this process does not have")]
    NotPermitted,
    /// The interface went away while it was listened to. Every frame before that was yielded.
    #[error("the interface {name} went away")]
    Gone {
        /// Its name.
        name: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel wrote what this crate does not understand.
    #[error("the ring holds what the kernel never writes: {0}")]
    Ring(#[from] crate::block::BadBlock),
    /// A thread that was started earlier kept what this one gave up.
    #[error("{threads} threads started earlier still hold capabilities")]
    NotAllThreads {
        /// How many.
        threads: usize,
    },
    /// Not on this system.
    #[error("frames can only be captured on Linux")]
    Unsupported,
}

impl Error {
    /// What to do next.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "`ip link` lists the interfaces there are",
            Self::Down { .. } => "`ip link set NAME up` brings it up",
            Self::NotPermitted => {
                "run `sudo setcap cap_net_raw=ep` on the program once, or start it with sudo: it keeps no privilege after opening"
            }
            Self::Gone { .. } => "what was captured before is complete; capture again once it is back",
            Self::System { .. } => "ask for a smaller ring, or see packet(7) for what the system said",
            Self::Ring(_) => "please report this with the kernel's version",
            Self::NotAllThreads { .. } => {
                "please report this: privileges must be given up before threads start"
            }
            Self::Unsupported => "read a capture file instead",
        }
    }
}
