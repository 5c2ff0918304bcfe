//! Random forest (Breiman 2001): trees on bootstrap samples with a few columns tried per split, probabilities averaged.

use super::decision_tree::{
    CLASS_WEIGHT, CRITERION, MAX_DEPTH, MIN_LEAF, MIN_SPLIT, TreeEstimator, load, max_features,
};
use crate::LearnError;
use crate::estimator::{Estimator, Kind, ModelSpec};
use crate::params::{ParamKind, ParamSpec, Params};

/// The random forest.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "random-forest",
    kind: Kind::Classifier,
    doc: "Trees grown on bootstrap samples with a random few columns tried per split; the score is the mean of the \
          trees' class shares (Breiman 2001; defaults as in scikit-learn). Missing values are learnt from.",
    takes_missing: true,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: false,
    params: PARAMS,
    build,
    load,
};

const PARAMS: &[ParamSpec] = &[
    TREES,
    CRITERION,
    MAX_DEPTH,
    MIN_SPLIT,
    MIN_LEAF,
    max_features("sqrt"),
    bootstrap("true"),
    MAX_SAMPLES,
    CLASS_WEIGHT,
];

pub(super) const TREES: ParamSpec = ParamSpec {
    name: "trees",
    kind: ParamKind::Int { min: 1, max: 10_000 },
    default: "100",
    doc: "Number of trees.",
};

pub(super) const MAX_SAMPLES: ParamSpec = ParamSpec {
    name: "max_samples",
    kind: ParamKind::Float { min: 1e-6, max: 1.0 },
    default: "1",
    doc: "Rows drawn for each tree, as a share of all rows.",
};

pub(super) const fn bootstrap(default: &'static str) -> ParamSpec {
    ParamSpec {
        name: "bootstrap",
        kind: ParamKind::Bool,
        default,
        doc: "Whether each tree sees rows drawn with replacement rather than all rows.",
    }
}

fn build(params: &Params) -> Result<Box<dyn Estimator>, LearnError> {
    let bootstrap = params.bool("bootstrap").then(|| params.float("max_samples"));
    let trees = params.int("trees");
    Ok(Box::new(TreeEstimator { trees, bootstrap, random_cuts: false, params: params.clone() }))
}
