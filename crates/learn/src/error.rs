//! The one error of this crate: each variant says what was expected, what was found and what to do.

/// Why a table, a fit, a score or a model file was refused.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// Someone asked the computation to stop.
    #[error("cancelled")]
    Cancelled,
    /// A hyperparameter is unknown, of the wrong type or out of range.
    #[error("{owner} has no valid value for `{name}`: expected {expected}, found `{found}`")]
    Parameter {
        /// Model or preparation step.
        owner: String,
        /// Parameter.
        name: String,
        /// What would have been accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A plug-in of this name does not exist.
    #[error("no {kind} is called `{name}`; there are: {known}")]
    Unknown {
        /// "model", "preparation step", "split", ..
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// Comma-separated names that exist.
        known: String,
    },
    /// The data cannot be learnt from or scored.
    #[error("{0}")]
    Data(String),
    /// The table's feature columns are not those the model was trained on.
    #[error("the table does not fit the model: {0}")]
    Schema(String),
    /// A model file is damaged, too large or of an unknown version.
    #[error("model file: {0}")]
    File(String),
}
