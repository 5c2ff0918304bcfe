//! The integration tests of the learning crate: one binary, a module per topic.

#![allow(clippy::print_stderr, reason = "how many damaged files open is worth knowing")]

mod battery;
mod boosting;
mod corm;
mod counterfactuals;
mod data;
mod judged;
mod lint;
mod metrics;
mod mutate;
mod pipeline;
mod preparations;
mod procedures;
mod query;
mod splits;
mod trees;
