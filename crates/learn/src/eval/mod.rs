//! Honest measurement: who may learn from what ([`split`]), and how well it went ([`metrics`]).

pub mod classes;
pub mod metrics;
pub mod split;
