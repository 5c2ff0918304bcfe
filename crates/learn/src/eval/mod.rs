//! Honest measurement: who may learn from what ([`split`]), how well it went ([`metrics`], [`classes`], [`curves`],
//! [`probability`], [`ranking`], [`cost`]), and how sure that is ([`bootstrap`]).

pub mod bootstrap;
pub mod classes;
pub mod cost;
pub mod curves;
pub mod metrics;
pub mod probability;
pub mod ranking;
pub mod split;
