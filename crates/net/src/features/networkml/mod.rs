//! Rows per host as NetworkML makes them for its models of device roles.

mod dissect;
pub mod host;
mod row;
