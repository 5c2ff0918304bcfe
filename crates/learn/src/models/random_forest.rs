//! Random forest (Breiman 2001): trees on bootstrap samples with a few columns tried per split, probabilities averaged.

use super::decision_tree::{TreeEstimator, load, of_trees};
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
    params: &of_forests("true"),
    build: |params| build(SPEC.name, params, false),
    load,
};

/// The parameters of a forest: those of its trees, and how many there are on which rows.
pub(super) const fn of_forests(bootstrap: &'static str) -> [ParamSpec; 12] {
    let [criterion, max_depth, max_leaves, min_split, min_leaf, max_features, ccp_alpha, class_weight] =
        of_trees("sqrt");
    [
        ParamSpec {
            name: "trees",
            kind: ParamKind::Int { min: 1, max: 10_000 },
            default: "100",
            doc: "Number of trees.",
        },
        criterion,
        max_depth,
        max_leaves,
        min_split,
        min_leaf,
        max_features,
        ParamSpec {
            name: "bootstrap",
            kind: ParamKind::Bool,
            default: bootstrap,
            doc: "Whether each tree sees rows drawn with replacement rather than all rows.",
        },
        ParamSpec {
            name: "max_samples",
            kind: ParamKind::Float { min: 1e-6, max: 1.0 },
            default: "1",
            doc: "Rows drawn for each tree, as a share of all rows.",
        },
        ParamSpec {
            name: "oob_score",
            kind: ParamKind::Bool,
            default: "false",
            doc: "Whether to measure the forest on the rows that its trees did not draw; needs `bootstrap`.",
        },
        ccp_alpha,
        class_weight,
    ]
}

/// A forest of this name.
pub(super) fn build(
    name: &str,
    params: &Params,
    random_cuts: bool,
) -> Result<Box<dyn Estimator>, LearnError> {
    let (trees, out_of_bag) = (params.int("trees"), params.bool("oob_score"));
    let bootstrap = params.bool("bootstrap").then(|| params.float("max_samples"));
    if out_of_bag && bootstrap.is_none() {
        return Err(LearnError::Parameter {
            owner: name.to_owned(),
            name: "oob_score".to_owned(),
            expected: "false where `bootstrap` is false: every tree sees every row".to_owned(),
            found: "true".to_owned(),
        });
    }
    Ok(Box::new(TreeEstimator { trees, bootstrap, out_of_bag, random_cuts, params: params.clone() }))
}
