//! Sums over the rows of each class, the same bits for any number of threads.

use rayon::prelude::*;

use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Train;
use crate::matrix::{Matrix, Rows, SparseMatrix};

/// Rows are cut into this many runs whose sums are added in order, whatever the number of threads.
const LANES: usize = 16;
/// Above so many sums (classes × columns) there is one run only, for the sake of memory.
const MOST_SUMS: usize = 1 << 20;
/// Rows between two looks at whether the fit is cancelled.
const ROWS: usize = 4096;

/// Adds up rows per class: `add(class, weight, row, sums)` adds one row to the sums of its class, one per column.
/// Returns classes × columns. Call inside [`Ctx::install`].
pub(in crate::models) fn dense(
    x: &Matrix,
    data: &Train<'_>,
    ctx: &Ctx,
    add: impl Fn(usize, f64, &[f64], &mut [f64]) + Sync,
) -> Result<Vec<f64>, LearnError> {
    in_lanes(data, ctx, |row, class, weight, sums| add(class, weight, x.row(row), sums))
}

/// The sums of weight × `value(x)` per class and column, where `value(0)` must be 0. Call inside [`Ctx::install`].
pub(in crate::models) fn values(
    data: &Train<'_>,
    ctx: &Ctx,
    value: impl Fn(f64) -> f64 + Sync,
) -> Result<Vec<f64>, LearnError> {
    match data.x {
        Rows::Dense(x) => dense(x, data, ctx, |_, weight, row, sums| {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += weight * value(x));
        }),
        Rows::Sparse(x) => sparse(x, data, ctx, value),
    }
}

fn sparse(
    x: &SparseMatrix,
    data: &Train<'_>,
    ctx: &Ctx,
    value: impl Fn(f64) -> f64 + Sync,
) -> Result<Vec<f64>, LearnError> {
    in_lanes(data, ctx, |row, _, weight, sums| {
        let (columns, values) = x.row(row);
        for (&column, &x) in columns.iter().zip(values) {
            sums[column as usize] += weight * value(x);
        }
    })
}

fn in_lanes(
    data: &Train<'_>,
    ctx: &Ctx,
    add: impl Fn(usize, usize, f64, &mut [f64]) + Sync,
) -> Result<Vec<f64>, LearnError> {
    let (rows, columns) = (data.x.rows(), data.x.columns());
    let sums = data.classes * columns;
    let lanes = if sums > MOST_SUMS { 1 } else { LANES };
    let lane = |lane: usize| {
        let mut totals = vec![0.0; sums];
        for row in lane * rows / lanes..(lane + 1) * rows / lanes {
            if row % ROWS == 0 {
                ctx.check()?;
            }
            let (class, weight) = (data.y[row] as usize, data.weights.map_or(1.0, |weights| weights[row]));
            add(row, class, weight, &mut totals[class * columns..(class + 1) * columns]);
        }
        Ok(totals)
    };
    let lanes: Vec<Vec<f64>> = (0..lanes).into_par_iter().map(lane).collect::<Result<_, LearnError>>()?;
    let mut lanes = lanes.into_iter();
    let mut totals = lanes.next().unwrap_or_default();
    for lane in lanes {
        totals.iter_mut().zip(lane).for_each(|(total, part)| *total += part);
    }
    Ok(totals)
}
