//! The rows a campaign asks about, in prepared coordinates, and what can be said of them without any label.
//!
//! Everything is worked out once, when first asked for, and is the same whoever asks.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::OnceLock;

use rayon::prelude::*;

use crate::LearnError;
use crate::ctx::Ctx;
use crate::matrix::Matrix;
use crate::neighbours::{Metric, Neighbours};

/// Prepared rows: finite numbers, columns on one scale.
pub struct Pool {
    x: Matrix,
    /// Rows closer than this in every column count as the same question, in units of the columns.
    alike: f64,
    cells: OnceLock<Vec<u32>>,
    neighbours: OnceLock<Vec<u32>>,
}

/// Neighbours kept of each row (Görnitz and others 2009 use 10).
pub(super) const NEIGHBOURS: usize = 10;

/// Rows are worked on in this many runs, whatever the number of threads, and sums are added run by run.
const RUNS: usize = 16;

impl Pool {
    /// Takes prepared rows; `alike` is the edge of the cells in which rows count as the same question (0 = equal rows only).
    ///
    /// # Errors
    /// [`LearnError::Data`] for no rows, more than 2^32 of them, or values that are not finite.
    pub fn new(x: Matrix, alike: f64) -> Result<Self, LearnError> {
        if x.rows() == 0 || x.columns() == 0 || u32::try_from(x.rows()).is_err() {
            return Err(LearnError::Data(format!(
                "pool: expected 1 to 2^32 rows with at least one column, found {} × {}",
                x.rows(),
                x.columns()
            )));
        }
        if let Some(place) = x.values().iter().position(|value| !value.is_finite()) {
            return Err(LearnError::Data(format!(
                "pool: row {}, column {} is missing or not finite; add the preparation step `impute`",
                place / x.columns(),
                place % x.columns()
            )));
        }
        if !(alike >= 0.0 && alike.is_finite()) {
            return Err(LearnError::Data(format!(
                "pool: alike is {alike}: expected a finite number not below 0"
            )));
        }
        Ok(Self { x, alike, cells: OnceLock::new(), neighbours: OnceLock::new() })
    }

    /// The prepared rows.
    #[must_use]
    pub fn x(&self) -> &Matrix {
        &self.x
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.x.rows()
    }

    /// Per row the number of its cell: rows of one cell differ by less than `alike` in every column. The grid is fixed, so
    /// two rows on either side of one of its planes are in two cells however near they are.
    pub(super) fn cells(&self) -> &[u32] {
        self.cells.get_or_init(|| {
            let mut numbers: HashMap<u64, u32> = HashMap::new();
            let number = |row: usize| {
                let next = numbers.len() as u32;
                *numbers.entry(self.code(row)).or_insert(next)
            };
            (0..self.rows()).map(number).collect()
        })
    }

    /// A hash of the cell's coordinates; should two cells share one, a question is put off, no more.
    fn code(&self, row: usize) -> u64 {
        let place = |value: f64| match self.alike {
            // 0 and -0 are one value
            0.0 => (value + 0.0).to_bits(),
            alike => (value / alike).floor() as i64 as u64,
        };
        self.x.row(row).iter().fold(0x9e37_79b9_7f4a_7c15, |hash: u64, &value| mix(hash ^ place(value)))
    }

    /// The [`NEIGHBOURS`] nearest other rows of each row (fewer in a smaller pool), row after row.
    pub(super) fn neighbours(&self, ctx: &Ctx) -> Result<&[u32], LearnError> {
        if let Some(known) = self.neighbours.get() {
            return Ok(known);
        }
        let tree = Neighbours::new(&self.x, Metric::Euclidean, ctx)?;
        let kept = NEIGHBOURS.min(self.rows() - 1);
        let of = |row: usize| -> Result<Vec<u32>, LearnError> {
            ctx.check()?;
            let near = tree.nearest(self.x.row(row), kept + 1).into_iter().map(|near| near.row);
            Ok(near.filter(|&near| near as usize != row).take(kept).collect())
        };
        let lists: Vec<Vec<u32>> =
            ctx.install(|| (0..self.rows()).into_par_iter().map(of).collect::<Result<_, LearnError>>())??;
        Ok(self.neighbours.get_or_init(|| lists.concat()))
    }

    /// Something of each of the named rows, in their order.
    pub(super) fn of_rows<T: Send>(
        &self,
        rows: &[u32],
        ctx: &Ctx,
        of: impl Fn(u32, &[f64]) -> T + Sync,
    ) -> Result<Vec<T>, LearnError> {
        let run = |rows: Range<usize>, all: &[u32]| -> Vec<T> {
            all[rows].iter().map(|&row| of(row, self.x.row(row as usize))).collect()
        };
        Ok(runs(rows.len(), ctx, |range| run(range, rows))?.into_iter().flatten().collect())
    }
}

/// Works on a fixed number of runs of `rows` places and returns the results in order.
pub(super) fn runs<T: Send>(
    rows: usize,
    ctx: &Ctx,
    work: impl Fn(Range<usize>) -> T + Sync,
) -> Result<Vec<T>, LearnError> {
    ctx.check()?;
    let run = |run: usize| work(run * rows / RUNS..(run + 1) * rows / RUNS);
    if ctx.threads < 2 {
        return Ok((0..RUNS).map(run).collect());
    }
    ctx.install(|| (0..RUNS).into_par_iter().map(run).collect())
}

/// Adds lists of equal length in order.
pub(super) fn add_up(parts: Vec<Vec<f64>>) -> Vec<f64> {
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_default();
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// Σ (a - b)² in eight running sums.
pub(super) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (blocks_a, blocks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 =
        blocks_a.remainder().iter().zip(blocks_b.remainder()).map(|(a, b)| (a - b) * (a - b)).sum();
    for (a, b) in blocks_a.zip(blocks_b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (a - b) * (a - b);
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(alike: f64) -> Pool {
        let values = vec![0.01, 0.02, 0.04, 0.03, 0.01, 0.2, -0.0, 0.0, 0.0, 0.0];
        Pool::new(Matrix::from_values(5, 2, values), alike).unwrap()
    }

    #[test]
    fn rows_of_one_cell_are_alike() {
        assert_eq!(pool(0.1).cells(), [0, 0, 1, 2, 2].map(|cell| if cell == 2 { 0 } else { cell }));
        assert_eq!(pool(0.0).cells(), [0, 1, 2, 3, 3], "0 and -0 are equal");
    }

    #[test]
    fn neighbours_leave_the_row_itself_out() {
        let pool = pool(0.1);
        let near = pool.neighbours(&Ctx::new(0, 2)).unwrap();
        assert_eq!(near.len(), 5 * 4);
        assert_eq!(near[3 * 4], 4, "an equal row is nearest, not the row itself");
        assert_eq!(near[4 * 4], 3);
    }

    #[test]
    fn bad_pools_are_refused() {
        assert!(Pool::new(Matrix::zeros(0, 3), 0.1).is_err());
        assert!(Pool::new(Matrix::from_values(1, 1, vec![f64::NAN]), 0.1).is_err());
        assert!(Pool::new(Matrix::zeros(1, 1), f64::NAN).is_err());
    }
}
