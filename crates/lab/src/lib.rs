//! Runs the tasks: captures to tables, tables to models, models to ranked verdicts.
//!
//! The way of a task: [`sources`] finds the inputs, [`extraction`] turns captures into Arrow batches with
//! [`labels`] joined on, [`tables`] writes and reads them, the learning crate fits and scores, and [`reasons`]
//! says in words why a row was scored as it was. Each verb of the program is one file of [`tasks`]: plain data
//! in (`Spec`), plain data out (`Report`, which is the verb's `--json`). [`store`] remembers what should last.
//!
//! Absent by design: no clock, no printing (rows asked for on standard output are the exception), no async
//! (one file of the store drives an asynchronous database driver), and no learning or packet decoding of its own.

pub mod catalogue;
pub mod extraction;
pub mod jobs;
pub mod lab;
pub mod labels;
pub mod output;
pub mod reading;
pub mod reasons;
pub mod reference;
pub mod store;
pub mod tables;
pub mod tasks;
pub mod time;
pub mod traffic;

mod alerts;
mod error;
mod feed;
mod grade;
mod import;
mod label;
mod model;
mod parts;
mod plain;
mod sources;

pub use catalogue::catalogue;
pub use cormorant_learn::ctx::{Ctx, ProgressSink};
pub use error::LabError;
pub use sources::interface_of;
