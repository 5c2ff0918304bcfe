//! Isolation forest (Liu, Ting and Zhou 2008): rows that random splits separate from the others soon are anomalous.

use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::trees::{IsolationFit, IsolationForest};

/// The isolation forest.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "isolation-forest",
    kind: Kind::Novelty,
    doc: "Trees of random splits on small samples; the score is 2^(-mean path length / that of an average row) \
          (Liu, Ting and Zhou 2008). Contributions add up to the logarithm (to base 2) of the score.",
    takes_missing: false,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: false,
    params: &[
        ParamSpec {
            name: "trees",
            kind: ParamKind::Int { min: 1, max: 10_000 },
            default: "100",
            doc: "Number of trees.",
        },
        ParamSpec {
            name: "max_samples",
            kind: ParamKind::Int { min: 2, max: 65_536 },
            default: "256",
            doc: "Rows drawn without replacement for each tree, at most.",
        },
    ],
    build: |params: &Params| {
        let fit = IsolationFit { trees: params.int("trees"), sample: params.int("max_samples") };
        Ok(Box::new(fit))
    },
    load: |bytes| Ok(Box::new(IsolationForest::load(bytes)?)),
};

impl Estimator for IsolationFit {
    fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Box<dyn Model>, LearnError> {
        Ok(Box::new(IsolationFit::fit(self, data, ctx)?))
    }
}
