//! One histogram tree engine for every tree model.
//!
//! The way of a fit: [`bins`] turns the matrix into one byte per value, [`grow`] grows a tree on the bytes with the
//! class counts of [`tally`] and the columns of [`draw`], [`forest`] keeps the trees in one array of 8-byte nodes.
//! A forest scores blocks of rows in [`score`] and explains a row in [`shap`]. [`isolation`] has trees of its own
//! kind, whose thresholds are drawn and not searched.
//!
//! Absent by design: raw values during growth (the byte of a value decides exactly as the value does), and any
//! dependence on the number of threads (each tree has its own stream of random numbers).

mod bins;
mod draw;
mod file;
mod forest;
mod grow;
mod isolation;
mod score;
mod shap;
mod tally;

use crate::LearnError;
use crate::estimator::Train;

pub(crate) use forest::{DEPTH_MAX, Forest, ForestFit};
pub(crate) use grow::Growth;
pub(crate) use isolation::{IsolationFit, IsolationForest};
pub(crate) use tally::Criterion;

/// Most columns a forest can have: a node names its column in 16 bits.
const COLUMNS_MAX: usize = u16::MAX as usize;

/// Refuses what a classification tree cannot learn from; missing values (NaN) are fine.
fn check_labelled(data: &Train<'_>) -> Result<(), LearnError> {
    check_values(data, true)?;
    let rows = data.x.rows();
    if data.y.len() != rows {
        return refuse(format!("{rows} rows have {} classes: expected one for each", data.y.len()));
    }
    if data.classes < 2 || data.classes > usize::from(u16::MAX) {
        return refuse(format!("a classifier needs 2 to 65535 classes, found {}", data.classes));
    }
    if let Some(row) = data.y.iter().position(|&class| class as usize >= data.classes) {
        return refuse(format!("row {row} is of class {}, expected 0 to {}", data.y[row], data.classes - 1));
    }
    if data.y.iter().all(|&class| class == data.y[0]) {
        return refuse("all rows are of one class: there is nothing to tell apart".to_owned());
    }
    Ok(())
}

/// Refuses matrices without rows or columns, infinite values (and missing ones unless `missing`) and bad weights.
fn check_values(data: &Train<'_>, missing: bool) -> Result<(), LearnError> {
    let (rows, columns) = (data.x.rows(), data.x.columns());
    if rows == 0 || columns == 0 {
        return refuse(format!("trees need at least one row and one column, found {rows} × {columns}"));
    }
    if columns > COLUMNS_MAX || u32::try_from(rows).is_err() {
        return refuse(format!(
            "trees take up to {COLUMNS_MAX} columns and 2^32 rows, found {rows} × {columns}"
        ));
    }
    let bad = |value: &f64| value.is_infinite() || (value.is_nan() && !missing);
    if let Some(place) = data.x.values().iter().position(bad) {
        let (row, column) = (place / columns, place % columns);
        return refuse(format!(
            "row {row}, column {column} is {}: expected a finite number",
            data.x.values()[place]
        ));
    }
    let Some(weights) = data.weights else { return Ok(()) };
    if weights.len() != rows {
        return refuse(format!("{rows} rows have {} weights: expected one for each", weights.len()));
    }
    if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
        return refuse(format!("row {row} weighs {}: expected a finite number not below 0", weights[row]));
    }
    if weights.iter().all(|&weight| weight == 0.0) {
        return refuse("all rows weigh 0".to_owned());
    }
    Ok(())
}

fn refuse<T>(message: String) -> Result<T, LearnError> {
    Err(LearnError::Data(message))
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
