//! Honest measurement: who may learn from what ([`split`]), how well it went ([`metrics`], [`classes`], [`curves`],
//! [`probability`], [`ranking`], [`cost`]), how sure that is ([`bootstrap`], [`intervals`]),
//! and what a feature is worth ([`permutation`]).

pub mod bootstrap;
pub mod classes;
pub mod cost;
pub mod curves;
pub mod intervals;
pub mod metrics;
pub mod permutation;
pub mod probability;
pub mod ranking;
pub mod split;
