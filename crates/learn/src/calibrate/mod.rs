//! Turns margins of a classifier into probabilities, from rows it did not learn from: [`platt`] fits a sigmoid,
//! [`isotonic`] the nearest function that never falls.

mod isotonic;
mod platt;

pub(crate) use isotonic::Isotonic;
pub(crate) use platt::Platt;
