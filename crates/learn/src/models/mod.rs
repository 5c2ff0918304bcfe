//! The learning algorithms: one file each, one line in [`MODELS`].

mod bernoulli_nb;
mod decision_tree;
mod extra_trees;
mod gaussian_nb;
mod gradient_boosting;
mod isolation_forest;
mod k_neighbours;
mod linear_svm;
mod logistic;
mod mlp;
mod multinomial_nb;
mod naive_bayes;
mod random_forest;
mod svm;

use crate::LearnError;
use crate::estimator::ModelSpec;

/// Every model the program has.
pub static MODELS: &[&ModelSpec] = &[
    &logistic::SPEC,
    &linear_svm::SPEC,
    &svm::SPEC,
    &gaussian_nb::SPEC,
    &bernoulli_nb::SPEC,
    &multinomial_nb::SPEC,
    &k_neighbours::SPEC,
    &decision_tree::SPEC,
    &random_forest::SPEC,
    &extra_trees::SPEC,
    &gradient_boosting::SPEC,
    &mlp::SPEC,
    &isolation_forest::SPEC,
];

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
