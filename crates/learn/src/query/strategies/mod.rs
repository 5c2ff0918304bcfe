//! The strategies: one file each, one line in [`STRATEGIES`].

mod aladin;
mod by_family;
mod cesa_bianchi;
mod committee;
mod core_set;
mod density;
mod gornitz;
mod ilab;
mod mixture;
mod random;
mod rcd;
mod top_n;
mod uncertainty;

use crate::params::{ParamKind, ParamSpec};
use crate::query::{Figure, Group, Query, StrategySpec};

/// Every strategy the program has.
pub static STRATEGIES: &[&StrategySpec] = &[
    &ilab::SPEC,
    &rcd::SPEC,
    &aladin::SPEC,
    &gornitz::SPEC,
    &cesa_bianchi::SPEC,
    &uncertainty::SPEC,
    &committee::SPEC,
    &density::SPEC,
    &core_set::SPEC,
    &top_n::SPEC,
    &random::SPEC,
];

/// Queries of an iteration, for strategies with one group.
const BATCH: ParamSpec = ParamSpec {
    name: "batch",
    kind: ParamKind::Int { min: 1, max: 100_000 },
    default: "100",
    doc: "Queries in an iteration.",
};

/// The group of strategies that have one.
const ALL: &[Group] = &[Group::All];

/// A query without family or suggestion.
pub(in crate::query) fn plain(
    row: u32,
    group: Group,
    reason: String,
    name: &'static str,
    value: f64,
) -> Query {
    Query { row, group, family: None, place: None, reason, suggestion: None, figure: Figure { name, value } }
}
