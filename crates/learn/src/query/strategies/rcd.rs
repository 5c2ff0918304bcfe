//! Rare category detection: families of all labels together, by SecuML's two models or by Pelleg and Moore's mixture.

use super::by_family::{ByFamily, CONFIRMED, WITHIN};
use super::mixture::Mixture;
use super::{ALL, BATCH};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec};
use crate::query::families::FAMILY_C;
use crate::query::{Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "rcd",
    doc: "Rare category detection: every family nominates rows, whatever its label. `logistic` assigns rows by a logistic \
          regression and takes both ends of each family by a naive Bayes likelihood; `mixture` is Pelleg and Moore 2004: a \
          mixture of normal distributions fitted by EM with labelled rows held in their family, of which each in turn \
          nominates the least likely row it owns.",
    params: &[
        BATCH,
        ParamSpec {
            name: "families",
            kind: ParamKind::Choice(&["logistic", "mixture"]),
            default: "logistic",
            doc: "What says which family a row is of.",
        },
        WITHIN,
        CONFIRMED,
        FAMILY_C,
        ParamSpec {
            name: "max_iter",
            kind: ParamKind::Int { min: 1, max: 10_000 },
            default: "20",
            doc: "Most steps of EM.",
        },
    ],
    build: |params| {
        if params.text("families") == "mixture" {
            return Ok(Box::new(Mixture { batch: params.int("batch"), steps: params.int("max_iter") }));
        }
        Ok(Box::new(Rcd { families: ByFamily::of(params, "batch") }))
    },
};

struct Rcd {
    families: ByFamily,
}

impl Strategy for Rcd {
    fn groups(&self) -> &'static [Group] {
        ALL
    }

    fn ask(
        &self,
        view: &View<'_>,
        group: Group,
        before: &[Query],
        ctx: &Ctx,
    ) -> Result<Vec<Query>, LearnError> {
        self.families.ask(view, (group, None), &view.askable(), before, ctx)
    }
}
