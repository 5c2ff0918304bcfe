//! The one error of this crate: each variant says what was expected, what was found, where, what was kept and
//! what to do next.

use std::io;

use crate::filter::FilterError;

/// Why a capture could not be opened, read further, or turned into rows.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The operating system refused to open or read the input.
    #[error("cannot read {name}: {source}; {advice}")]
    Io {
        /// File name, or what the caller called the stream.
        name: String,
        /// What the operating system said.
        source: io::Error,
        /// What to do next.
        advice: &'static str,
    },
    /// The input is no capture at all: nothing was read from it.
    #[error("{name} is not a capture: expected {expected}, found {found}; {advice}")]
    NotACapture {
        /// File name, or what the caller called the stream.
        name: String,
        /// What a capture starts with.
        expected: &'static str,
        /// What the input starts with.
        found: String,
        /// What to do next.
        advice: &'static str,
    },
    /// The capture is damaged, cut or still being written. Every packet before the fault was yielded.
    #[error(
        "{name} is damaged at byte {offset}: expected {expected}, found {found}; {packets} packets before it were kept; {advice}"
    )]
    Damaged {
        /// File name, or what the caller called the stream.
        name: String,
        /// Byte offset of the damaged record in the uncompressed capture.
        offset: u64,
        /// What should have stood there.
        expected: String,
        /// What stood there.
        found: String,
        /// Packets yielded before the fault.
        packets: u64,
        /// What to do next.
        advice: &'static str,
    },
    /// An interface could not be opened, or failed while frames were taken from it.
    #[error("cannot capture from {name}: {what}; {packets} packets before it were kept; {advice}")]
    Live {
        /// Interface name.
        name: String,
        /// What failed and what the operating system said.
        what: String,
        /// Packets yielded before the fault.
        packets: u64,
        /// What to do next.
        advice: &'static str,
    },
    /// The frames of a capture could not be recorded further; reading ended there.
    #[error("cannot write {name}: {source}; {packets} packets before it were kept; {advice}")]
    Recording {
        /// File name, or what the caller called the stream.
        name: String,
        /// What the operating system said.
        source: io::Error,
        /// Packets in the recording's files.
        packets: u64,
        /// What to do next.
        advice: &'static str,
    },
    /// The process could not give up the privileges that capturing needed.
    #[error("cannot give up privileges: {what}; {advice}")]
    Privileges {
        /// What failed and what the operating system said.
        what: String,
        /// What to do next.
        advice: &'static str,
    },
    /// The caller's progress callback asked to stop.
    #[error("reading {name} was cancelled after {packets} packets")]
    Cancelled {
        /// File name, or what the caller called the stream.
        name: String,
        /// Packets read so far.
        packets: u64,
    },
    /// No feature set has this name.
    #[error("there is no feature set {name:?}; known are: {known}; `cormorant list features` explains them")]
    UnknownFeatureSet {
        /// What was asked for.
        name: String,
        /// Every name there is.
        known: String,
    },
    /// An option of a feature set does not exist or has a wrong value.
    #[error("{text}: the option {option:?} cannot be taken; {advice}")]
    SetOption {
        /// The set and its options as typed.
        text: String,
        /// The option that is wrong.
        option: String,
        /// What the set takes.
        advice: String,
    },
    /// Feature sets with rows of different kinds were asked for.
    #[error(
        "{set} has rows of its own, one per {row}, and cannot share a table with other sets; extract it alone"
    )]
    MixedRows {
        /// The set that stands alone.
        set: &'static str,
        /// What its rows are.
        row: &'static str,
    },
    /// A set that must hold a whole capture has used up its memory.
    #[error(
        "{set} holds the whole capture in memory, and {packets} packets have used up {mem_bytes} bytes; no row was written; raise --mem or cut the capture"
    )]
    TooLong {
        /// The set.
        set: &'static str,
        /// Packets taken before.
        packets: u64,
        /// What it may use.
        mem_bytes: u64,
    },
    /// A set cannot make rows of this capture, or not with these options.
    #[error("{text}: {found}; no row was written; {advice}")]
    Unfit {
        /// The set and its options as typed.
        text: String,
        /// What stands in the way.
        found: &'static str,
        /// What to do next.
        advice: &'static str,
    },
    /// A feature set was asked for twice.
    #[error("the feature set {name} is named twice; name it once")]
    DuplicateSet {
        /// The set.
        name: &'static str,
    },
    /// Two of the feature sets asked for share a column.
    #[error("the column {name} comes from two of the feature sets; ask for one of them")]
    DuplicateColumn {
        /// The column both have.
        name: String,
    },
    /// The filter does not fit a link type of the capture.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// With this timeout no flow could last.
    #[error(
        "the {what} is {found_ns} ns: expected more than 0; nothing was read; leave it out for the default"
    )]
    Timeout {
        /// Which one.
        what: &'static str,
        /// What was asked for.
        found_ns: i64,
    },
    /// Whoever takes the rows could not: the writer's own error.
    #[error(transparent)]
    Sink(Box<dyn std::error::Error + Send + Sync>),
}
