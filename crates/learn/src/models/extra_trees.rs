//! Extremely randomised trees (Geurts, Ernst & Wehenkel 2006): a few columns per split, each cut once at random.

use super::decision_tree::{
    CLASS_WEIGHT, CRITERION, MAX_DEPTH, MIN_LEAF, MIN_SPLIT, TreeEstimator, load, max_features,
};
use super::random_forest::{MAX_SAMPLES, TREES, bootstrap};
use crate::LearnError;
use crate::estimator::{Estimator, Kind, ModelSpec};
use crate::params::{ParamSpec, Params};

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
    bootstrap("false"),
    MAX_SAMPLES,
    CLASS_WEIGHT,
];

fn build(params: &Params) -> Result<Box<dyn Estimator>, LearnError> {
    let bootstrap = params.bool("bootstrap").then(|| params.float("max_samples"));
    let trees = params.int("trees");
    Ok(Box::new(TreeEstimator { trees, bootstrap, random_cuts: true, params: params.clone() }))
}
