//! Shift, scale and moments of each column, from dense and from sparse rows: the same bits for the same numbers.

use std::ops::Range;

use super::design::{add_up, lanes};
use crate::matrix::{Rows, SparseMatrix};

/// What became of a column.
#[derive(Clone, Copy)]
pub(super) struct Coordinate {
    pub(super) shift: f64,
    /// 0 for a constant column, which has no coordinate.
    pub(super) scale: f64,
    pub(super) place: usize,
    pub(super) sparse: bool,
    pub(super) mean: f64,
    pub(super) deviation: f64,
}

/// A column is kept sparse when this share of its rows holds one value.
const SPARSE_SHARE: f64 = 0.7;
/// Values beyond this are cut to it, so that differences stay finite.
const LARGEST: f64 = 1e300;
/// A column that varies less than this is constant.
const SMALLEST: f64 = 1e-290;
/// Rows looked at for the most frequent value of a column.
const SAMPLED_ROWS: usize = 256;

pub(super) fn cut(value: f64) -> f64 {
    value.clamp(-LARGEST, LARGEST)
}

/// Which columns are shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    /// None: the intercept is penalised.
    No,
    /// Those that are mostly one value, to be sparse, and those that are far from 0 for their spread, which no solver likes.
    Far,
    /// Those and all others that are not sparse.
    All,
}

/// A column whose mean is beyond this many standard deviations is far from 0.
const FAR: f64 = 3.0;

/// Measures finite values. Columns are shifted by their most frequent value or mean, or left where they are.
pub(super) fn measure(x: Rows<'_>, shift: Shift) -> Vec<Coordinate> {
    let count = x.rows() as f64;
    let shifted = shift != Shift::No;
    let modes = if shifted { likely_modes(x) } else { vec![0.0; x.columns()] };
    let (means, hits) = means_and_hits(x, &modes);
    let shift_of = |place: usize| {
        let sparse = hits[place] >= SPARSE_SHARE * count;
        (if sparse || !shifted { modes[place] } else { means[place] }, sparse)
    };
    let shifts: Vec<(f64, bool)> = (0..x.columns()).map(shift_of).collect();
    let visited = Visited::new(shifts.iter().map(|(shift, _)| *shift != 0.0));
    let largest = largest_distances(x, &shifts, &visited);
    let squares = add_up(lanes(x.rows(), |rows| {
        let mut sums = vec![0.0; x.columns()];
        visited.each(x, rows, |_, column, value| {
            let part = (cut(value) - shifts[column].0) / largest[column];
            sums[column] += part * part / count;
        });
        sums
    }));
    let coordinate = |place: usize| {
        let found = coordinate(shifts[place], means[place], largest[place], squares[place]);
        if shift == Shift::Far { found.unless_near() } else { found }
    };
    (0..x.columns()).map(coordinate).collect()
}

impl Coordinate {
    /// The same, but where it is if that is not far from 0 and zeros are nothing to be had.
    fn unless_near(self) -> Self {
        if self.sparse || self.scale == 0.0 || self.mean.abs() > FAR * self.deviation {
            return self;
        }
        Self { shift: 0.0, scale: self.mean.hypot(self.deviation), ..self }
    }
}

fn coordinate((shift, sparse): (f64, bool), mean: f64, largest: f64, square: f64) -> Coordinate {
    let rounding = 4.0 * f64::EPSILON * shift.abs();
    if largest < SMALLEST || largest <= rounding {
        return Coordinate { shift: mean, scale: 0.0, place: 0, sparse, mean, deviation: 0.0 };
    }
    let off = (mean - shift) / largest;
    let deviation = largest * (square - off * off).max(0.0).sqrt();
    Coordinate { shift, scale: largest * square.sqrt(), place: 0, sparse, mean, deviation }
}

/// Which zeros of sparse rows count: those of columns whose shift is not 0. There are few of them, since a column of
/// mostly zeros is not shifted.
pub(super) struct Visited {
    with_zeros: Vec<usize>,
    passes_zeros: Vec<bool>,
}

impl Visited {
    pub(super) fn new(with_zeros: impl Iterator<Item = bool>) -> Self {
        let passes_zeros: Vec<bool> = with_zeros.map(|with| !with).collect();
        let with_zeros = (0..passes_zeros.len()).filter(|&column| !passes_zeros[column]).collect();
        Self { with_zeros, passes_zeros }
    }

    /// Calls `visit(row, column, value)` for each of some rows as [`Visited::row`] does.
    fn each(&self, x: Rows<'_>, rows: Range<usize>, mut visit: impl FnMut(usize, usize, f64)) {
        let mut whole = self.whole(x);
        for row in rows {
            self.row(x, row, &mut whole, |column, value| visit(row, column, value));
        }
    }

    /// What [`Visited::row`] works in: zeros.
    pub(super) fn whole(&self, x: Rows<'_>) -> Vec<f64> {
        let needed = matches!(x, Rows::Sparse(_)) && !self.with_zeros.is_empty();
        if needed { vec![0.0; x.columns()] } else { Vec::new() }
    }

    /// Calls `visit(column, value)` for every value of a dense row, in the order of columns; for a sparse row first for
    /// the columns whose zeros count, then for the entries of the others.
    pub(super) fn row(&self, x: Rows<'_>, row: usize, whole: &mut [f64], mut visit: impl FnMut(usize, f64)) {
        match x {
            Rows::Dense(matrix) => {
                matrix.row(row).iter().enumerate().for_each(|(column, value)| visit(column, *value));
            }
            Rows::Sparse(matrix) => self.sparse_row(matrix, row, whole, visit),
        }
    }

    /// `whole` is a row of zeros and is left so.
    fn sparse_row(
        &self,
        matrix: &SparseMatrix,
        row: usize,
        whole: &mut [f64],
        mut visit: impl FnMut(usize, f64),
    ) {
        let (places, values) = matrix.row(row);
        let entries = || places.iter().map(|place| *place as usize).zip(values.iter().copied());
        if !self.with_zeros.is_empty() {
            entries().for_each(|(column, value)| whole[column] = value);
            self.with_zeros.iter().for_each(|&column| visit(column, whole[column]));
            entries().for_each(|(column, _)| whole[column] = 0.0);
        }
        entries()
            .filter(|(column, _)| self.passes_zeros[*column])
            .for_each(|(column, value)| visit(column, value));
    }
}

/// Mean of each column, and how many rows hold its likely mode.
fn means_and_hits(x: Rows<'_>, modes: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (width, count) = (x.columns(), x.rows() as f64);
    let entries = Visited::new(modes.iter().map(|_| false));
    let sums = add_up(lanes(x.rows(), |rows| {
        let mut sums = vec![0.0; 3 * width];
        let (means, rest) = sums.split_at_mut(width);
        let (hits, seen) = rest.split_at_mut(width);
        entries.each(x, rows, |_, column, value| {
            means[column] += cut(value) / count;
            hits[column] += f64::from(u8::from(cut(value) == modes[column]));
            seen[column] += 1.0;
        });
        sums
    }));
    let unseen_hits =
        |column: usize| if modes[column] == 0.0 { count - sums[2 * width + column] } else { 0.0 };
    let hits = (0..width).map(|column| sums[width + column] + unseen_hits(column)).collect();
    (sums[..width].to_vec(), hits)
}

/// Largest distance from the shift, per column; at least the smallest positive number, to divide by.
fn largest_distances(x: Rows<'_>, shifts: &[(f64, bool)], visited: &Visited) -> Vec<f64> {
    let parts = lanes(x.rows(), |rows| {
        let mut largest = vec![f64::MIN_POSITIVE; shifts.len()];
        visited.each(x, rows, |_, column, value| {
            largest[column] = largest[column].max((cut(value) - shifts[column].0).abs());
        });
        largest
    });
    let larger = |a: Vec<f64>, b: Vec<f64>| a.into_iter().zip(b).map(|(a, b)| a.max(b)).collect();
    parts.into_iter().reduce(larger).unwrap_or_default()
}

/// The most frequent value of each column among a few hundred evenly spaced rows.
fn likely_modes(x: Rows<'_>) -> Vec<f64> {
    let sampled: Vec<usize> = (0..x.rows()).step_by((x.rows() / SAMPLED_ROWS).max(1)).collect();
    match x {
        Rows::Dense(matrix) => {
            let values = |column: usize| sampled.iter().map(|&row| cut(matrix.row(row)[column])).collect();
            (0..matrix.columns()).map(|column| mode(values(column))).collect()
        }
        Rows::Sparse(matrix) => sparse_modes(matrix, &sampled),
    }
}

fn sparse_modes(matrix: &SparseMatrix, sampled: &[usize]) -> Vec<f64> {
    let row = |&row: &usize| {
        let (places, values) = matrix.row(row);
        places.iter().copied().zip(values.iter().copied().map(cut))
    };
    let mut entries: Vec<(u32, f64)> = sampled.iter().flat_map(row).collect();
    entries.sort_by_key(|(column, _)| *column);
    let mut modes = vec![0.0; matrix.columns()];
    for of_column in entries.chunk_by(|a, b| a.0 == b.0) {
        let mut values: Vec<f64> = of_column.iter().map(|(_, value)| *value).collect();
        values.resize(sampled.len(), 0.0);
        modes[of_column[0].0 as usize] = mode(values);
    }
    modes
}

fn mode(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let longest = values.chunk_by(|a, b| a == b).max_by_key(|run| run.len());
    // 0 has two signs, and either would do for the other's rows.
    longest.map_or(0.0, |run| if run[0] == 0.0 { 0.0 } else { run[0] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    #[test]
    fn sparse_rows_measure_as_dense_ones_bit_for_bit() {
        let value = |place: u32| match (place / 5 % 7 + place % 5 * 3, place % 5) {
            (mix, 0) => f64::from(mix) * 0.37,
            (mix, 1) => f64::from(u32::from(mix % 4 == 1)),
            (mix, 2) => {
                if mix % 9 == 0 {
                    0.0
                } else {
                    2.5
                }
            }
            (mix, 3) => -f64::from(mix % 3),
            _ => 7.0,
        };
        let dense = Matrix::from_values(400, 5, (0..2000).map(value).collect());
        let sparse = SparseMatrix::from_dense(&dense);
        for shift in [Shift::All, Shift::Far, Shift::No] {
            let (a, b) = (measure((&dense).into(), shift), measure((&sparse).into(), shift));
            for (a, b) in a.iter().zip(&b) {
                let bits = |c: &Coordinate| [c.shift, c.scale, c.mean, c.deviation].map(f64::to_bits);
                assert_eq!((bits(a), a.sparse), (bits(b), b.sparse));
            }
            assert_eq!(
                a[4].scale == 0.0,
                shift != Shift::No,
                "a constant column is nothing beside a free intercept"
            );
        }
    }
}
