//! Rows per host as NetworkML makes them for its models of device roles: those of its newest version in [`host`], those
//! of version 0.4 in [`session`].

mod dissect;
pub mod host;
mod original;
mod printed;
mod private;
mod row;
pub mod session;
mod tally;
mod windows;
