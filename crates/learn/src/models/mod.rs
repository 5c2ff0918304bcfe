//! The learning algorithms: one file each, one line in [`MODELS`].

mod decision_tree;
mod isolation_forest;
mod logistic;
mod random_forest;
mod svm;

use crate::LearnError;
use crate::estimator::ModelSpec;

/// Every model the program has.
pub static MODELS: &[&ModelSpec] =
    &[&logistic::SPEC, &decision_tree::SPEC, &random_forest::SPEC, &isolation_forest::SPEC, &svm::SPEC];

/// The model of this name.
///
/// # Errors
/// [`LearnError::Unknown`] with the names that exist.
pub fn find(name: &str) -> Result<&'static ModelSpec, LearnError> {
    MODELS.iter().find(|spec| spec.name == name).copied().ok_or_else(|| LearnError::Unknown {
        kind: "model",
        name: name.to_owned(),
        known: MODELS.iter().map(|spec| spec.name).collect::<Vec<_>>().join(", "),
    })
}
