//! One histogram tree engine for every tree model.
//!
//! The way of a fit: [`bins`] turns the matrix into one byte per value, [`grow`] grows a tree on the bytes with the
//! class counts of [`tally`] and the columns of [`draw`], [`prune`] cuts off what is not worth its leaves, [`forest`]
//! keeps the trees in one array of 8-byte nodes. [`out_of_bag`] says how good a forest is on rows its trees did not see.
//! A forest scores blocks of rows in [`score`] and explains a row in [`shap`]. [`boost`] grows trees on sums of
//! derivatives instead. [`isolation`] has trees of its own kind, whose thresholds are drawn and not searched.
//!
//! Absent by design: raw values during growth (the byte of a value decides exactly as the value does), and any
//! dependence on the number of threads (each tree has its own stream of random numbers).

mod bins;
mod boost;
mod draw;
mod file;
mod forest;
mod grow;
mod isolation;
mod out_of_bag;
mod prune;
mod score;
mod shap;
mod tally;

use crate::LearnError;
use crate::estimator::Train;

pub(crate) use boost::{BoostFit, Boosted, Growth as BoostGrowth, Rules, Stopping};
pub(crate) use forest::{DEPTH_MAX, Forest, ForestFit};
pub(crate) use grow::Growth;
pub(crate) use isolation::{IsolationFit, IsolationForest};
pub(crate) use tally::Criterion;

/// Most columns a forest can have: a node names its column in 16 bits.
const COLUMNS_MAX: usize = u16::MAX as usize;

/// Refuses what has more columns than a node can name.
fn check_columns(data: &Train<'_>) -> Result<(), LearnError> {
    if data.x.columns() <= COLUMNS_MAX {
        return Ok(());
    }
    Err(LearnError::Data(format!(
        "trees take up to {COLUMNS_MAX} columns, found {}; add the preparation step `select`",
        data.x.columns()
    )))
}

/// Threads worth starting to score `rows`.
fn threads_for(rows: usize, threads: usize) -> usize {
    const ROWS_PER_THREAD_MIN: usize = 1024;
    threads.min(rows / ROWS_PER_THREAD_MIN).max(1)
}

/// Runs `work` where rayon has `threads` threads (or as many as the system gives).
fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}
