//! The one error of the store: each variant says what was expected, what was found, where, and what to do next.

/// What the store's functions return.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store did not do what it was asked. Unless a variant says otherwise, nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The address of a store cannot be understood.
    #[error("store {url}: expected sqlite:PATH, postgres://.. or mysql://.., found {found}; {advice}")]
    Address {
        /// The address without its password.
        url: String,
        /// What is wrong with it.
        found: String,
        /// What to do next.
        advice: &'static str,
    },
    /// The store is there but cannot be opened, or its server does not answer.
    #[error("store {place}: cannot be opened: {said}; {advice}")]
    Unreachable {
        /// The address without its password.
        place: String,
        /// What the database said.
        said: String,
        /// What to do next.
        advice: &'static str,
    },
    /// The store was written by a newer program.
    #[error(
        "store {place}: expected schema version {expected} or older, found {found}; open it with the program \
         that wrote it, or a newer one"
    )]
    Newer {
        /// The address without its password.
        place: String,
        /// The newest version that this program knows.
        expected: i64,
        /// The version of the store.
        found: i64,
    },
    /// A migration failed and was undone: the store is at its old version.
    #[error(
        "store {place}: migration {version} ({name}) failed at step {step}: {said}; the store is as it was \
         at version {kept}; {advice}"
    )]
    Migration {
        /// The address without its password.
        place: String,
        /// The version that was to be reached.
        version: i64,
        /// What the migration is for.
        name: String,
        /// Which of its steps failed, from 1.
        step: i64,
        /// What the database said.
        said: String,
        /// The version the store has now.
        kept: i64,
        /// What to do next.
        advice: &'static str,
    },
    /// Something that was named is not in the store.
    #[error("no {what} {name} in the store; {advice}")]
    Missing {
        /// `project`, `dataset`, ..
        what: &'static str,
        /// Its name or number.
        name: String,
        /// What to do next.
        advice: &'static str,
    },
    /// A name is taken.
    #[error("{what} {name} is already in the store; {advice}")]
    Taken {
        /// `project`, `dataset`, ..
        what: &'static str,
        /// Its name or number.
        name: String,
        /// What to do next.
        advice: &'static str,
    },
    /// The store was asked for something that cannot be.
    #[error("{what}: expected {expected}, found {found}; {advice}")]
    Refused {
        /// What was asked for, or its part that is wrong.
        what: &'static str,
        /// What would have been accepted.
        expected: String,
        /// What was given.
        found: String,
        /// What to do next.
        advice: &'static str,
    },
    /// The disk is full, over quota or failing. Nothing was changed, and the next try may succeed.
    #[error(
        "store {place}: could not write: {said}; nothing was changed; free space on its disk and try again"
    )]
    Disk {
        /// The address without its password.
        place: String,
        /// What the database said.
        said: String,
    },
    /// Others held the store for too long, again and again.
    #[error("store {place}: in use by others: {said}; nothing was changed; try again")]
    Contended {
        /// The address without its password.
        place: String,
        /// What the database said.
        said: String,
    },
    /// The connection broke while a change was being committed: it may or may not be in the store.
    #[error(
        "store {place}: lost while committing: {said}; the change may be in the store or not; send it again \
         (an annotation keeps its key, so it is never counted twice)"
    )]
    Unknown {
        /// The address without its password.
        place: String,
        /// What the database said.
        said: String,
    },
    /// The store holds something that this program has not written.
    #[error("store {place}: {what} is damaged: expected {expected}, found {found}; restore a backup")]
    Damaged {
        /// The address without its password.
        place: String,
        /// Which row of which table, or which column.
        what: String,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The database refused for a reason of its own.
    #[error("store {place}: {said}; nothing was changed; see the database's own log")]
    Database {
        /// The address without its password.
        place: String,
        /// What the database said.
        said: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed when it is made again.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Disk { .. } | Self::Unknown { .. })
    }

    pub(crate) fn missing(what: &'static str, name: impl ToString, advice: &'static str) -> Self {
        Self::Missing { what, name: name.to_string(), advice }
    }

    pub(crate) fn taken(what: &'static str, name: impl ToString, advice: &'static str) -> Self {
        Self::Taken { what, name: name.to_string(), advice }
    }

    pub(crate) fn refused(
        what: &'static str,
        expected: impl ToString,
        found: impl ToString,
        advice: &'static str,
    ) -> Self {
        Self::Refused { what, expected: expected.to_string(), found: found.to_string(), advice }
    }
}
