//! Extremely randomised trees (Geurts, Ernst & Wehenkel 2006): a few columns per split, each cut once at random.

use super::decision_tree::load;
use super::random_forest::{build, of_forests};
use crate::estimator::{Kind, ModelSpec};

/// The extra-trees forest.
pub(super) static SPEC: ModelSpec = ModelSpec {
    name: "extra-trees",
    kind: Kind::Classifier,
    doc: "Trees that see all rows and cut each of a random few columns once, uniformly between its lowest and highest \
          value in the node, keeping the best of these cuts; the score is the mean of the trees' class shares (Geurts, \
          Ernst & Wehenkel 2006; defaults as in scikit-learn). Missing values go to the side that gains more.",
    takes_missing: true,
    takes_sparse: false,
    takes_categories: false,
    wants_scaling: false,
    params: &of_forests("false"),
    build: |params| build(SPEC.name, params, true),
    load,
};
