//! Turns tables into models, scores, evaluations and questions for an expert. Knows nothing of packets.
//!
//! The way of a row: a [`table::Table`] holds typed named columns; a [`pipeline`] prepares them into a
//! [`matrix::Matrix`] and fits a model from [`models::MODELS`]; [`lint`] says what is wrong with a table before; [`eval`] splits and measures; [`corm`] is the
//! file a fitted pipeline is kept in.
//!
//! Absent by design: no clock, no file system, no global random state, no code in model files, and no way to
//! prepare data outside the saved pipeline.

mod calibrate;
pub mod cluster;
pub mod corm;
pub mod ctx;
mod error;
pub mod estimator;
pub mod eval;
mod frequent;
mod linear;
pub mod lint;
pub mod matrix;
pub mod models;
pub mod neighbours;
pub mod params;
pub mod pipeline;
pub mod prep;
pub mod project;
pub mod query;
pub mod rng;
pub mod search;
pub mod table;
pub mod trees;

pub use error::LearnError;
