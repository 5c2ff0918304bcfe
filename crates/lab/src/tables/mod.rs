//! Tables: the one place where the rows of captures, Arrow and the learning crate's tables meet.
//!
//! Rows become Arrow batches without copying a buffer ([`batch`]); batches are written ([`write`]) and read
//! back ([`read`]) in four formats; batches become the learning crate's table ([`learn`]). A column's role and
//! unit travel in Arrow field metadata (`role`, `unit`), what made the table in schema metadata
//! ([`Provenance`]), so that Parquet and Arrow files know what they are. CSV and NDJSON have names only: roles
//! and units then come from the names the program itself gives its columns ([`names`]).

pub mod aliases;
pub(crate) mod batch;
pub(crate) mod cells;
pub(crate) mod csv;
pub(crate) mod learn;
pub(crate) mod names;
pub(crate) mod ndjson;
pub mod provenance;
pub(crate) mod read;
pub(crate) mod stack;
mod view;
pub(crate) mod write;

pub use aliases::Naming;
pub use provenance::Provenance;
