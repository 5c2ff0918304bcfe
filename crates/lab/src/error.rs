//! The one error of this crate: each variant says what was expected, what was found, where, what was kept and
//! what to do next.

use std::io;

use cormorant_learn::LearnError;
use cormorant_net::NetError;

use crate::store::StoreError;

/// Why a task stopped without its result.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Someone asked the task to stop. Nothing was written.
    #[error("cancelled; nothing was written")]
    Cancelled,
    /// A capture could not be read at all.
    #[error(transparent)]
    Capture(#[from] NetError),
    /// The learning crate refused the data, the parameters or the model file.
    #[error("{context}: {source}")]
    Learn {
        /// The file or the step that was being worked on.
        context: String,
        /// What the learning crate said.
        source: LearnError,
    },
    /// The lab's store did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system refused to read an input.
    #[error("cannot read {path}: {source}; {advice}")]
    Read {
        /// The input.
        path: String,
        /// What the operating system said.
        source: io::Error,
        /// What to do next.
        advice: &'static str,
    },
    /// The operating system refused to write an output. A file of that name is as it was before.
    #[error("cannot write {path}: {source}; {kept}; {advice}")]
    Write {
        /// The output.
        path: String,
        /// What the operating system said.
        source: io::Error,
        /// What is there now.
        kept: &'static str,
        /// What to do next.
        advice: &'static str,
    },
    /// A cell, column or row of a table is not what it should be.
    #[error("{place}: expected {expected}, found {found}; {advice}")]
    Table {
        /// File, and where known row and column: `flows.csv, row 7, column packets`.
        place: String,
        /// What would have been accepted.
        expected: String,
        /// What stands there.
        found: String,
        /// What to do next.
        advice: String,
    },
    /// Something that was stored is not what it was.
    #[error("{what}: expected {expected}, found {found}; {advice}")]
    Damaged {
        /// What was stored: `object 5a0c..`.
        what: String,
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
        /// What to do next.
        advice: String,
    },
    /// The task was asked for something that cannot be.
    #[error("{what}: expected {expected}, found {found}; {advice}")]
    Request {
        /// The option or argument.
        what: &'static str,
        /// What would have been accepted.
        expected: String,
        /// What was given.
        found: String,
        /// What to do next.
        advice: String,
    },
    /// Our mistake, not the user's.
    #[error("internal error: {0}; please report it with the command line that led here")]
    Internal(String),
}

impl LabError {
    /// Whether the mistake is ours (exit code 2) and not the user's (exit code 1).
    #[must_use]
    pub fn is_bug(&self) -> bool {
        matches!(self, Self::Internal(_))
    }

    /// Whether the reader of standard output went away: no error worth a message.
    #[must_use]
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Puts the file or step in front of what the learning crate said.
    pub(crate) fn learn(context: impl Into<String>) -> impl FnOnce(LearnError) -> Self {
        let context = context.into();
        move |source| match source {
            LearnError::Cancelled => Self::Cancelled,
            source => Self::Learn { context, source },
        }
    }
}
