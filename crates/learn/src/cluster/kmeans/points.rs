//! The rows that are grouped, and their distances to centres.
//!
//! Distances do not change when everything is shifted. Where most values of most columns are the same (one-hot columns,
//! also after standardising), rows are kept about these values and without zeros: a distance then costs as many
//! products as the row has entries.

use std::borrow::Cow;
use std::ops::Range;

use crate::frequent::{about, most_frequent};
use crate::matrix::{Matrix, SparseMatrix};

/// Rows and their weights.
pub(super) struct Points<'a> {
    rows: Layout<'a>,
    pub(super) weights: &'a [f64],
    /// Distance of each row to the origin of the coordinates.
    norms: Vec<f64>,
    /// What was taken from each column.
    shifts: Vec<f64>,
}

enum Layout<'a> {
    Dense(Cow<'a, Matrix>),
    Sparse(SparseMatrix),
}

/// Rows are kept without zeros when at most this share of their values are something else.
const SPARSE_SHARE: f64 = 0.4;
/// Rows are cut into so many runs whose sums are added in order.
const LANES: usize = 16;

/// The runs that sums over so many rows are made of.
pub(super) fn lanes(rows: usize) -> Vec<Range<usize>> {
    (0..LANES).map(|lane| lane * rows / LANES..(lane + 1) * rows / LANES).collect()
}

/// The squared distance of two rows.
pub(super) fn squared(a: &[f64], b: &[f64]) -> f64 {
    const WIDTH: usize = 8;
    let mut sums = [0.0; WIDTH];
    let (a, b) = (a.chunks_exact(WIDTH), b.chunks_exact(WIDTH));
    let rest = a.remainder().iter().zip(b.remainder()).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    for (a, b) in a.zip(b) {
        for lane in 0..WIDTH {
            let apart = a[lane] - b[lane];
            sums[lane] += apart * apart;
        }
    }
    sums.iter().sum::<f64>() + rest
}

impl<'a> Points<'a> {
    pub(super) fn new(x: &'a Matrix, weights: &'a [f64]) -> Self {
        let frequent = most_frequent(x);
        let away = x.iter_rows().flat_map(|row| row.iter().zip(&frequent)).filter(|(x, f)| Some(**x) != **f);
        let sparse = (away.count() as f64) <= SPARSE_SHARE * x.values().len() as f64;
        let means = means(x, weights);
        let (rows, shifts) = if sparse {
            let shifts: Vec<f64> = frequent.iter().zip(&means).map(|(f, mean)| f.unwrap_or(*mean)).collect();
            (Layout::Sparse(about(x, &shifts)), shifts)
        } else {
            (Layout::Dense(Cow::Borrowed(x)), vec![0.0; x.columns()])
        };
        let mut points = Self { rows, weights, norms: Vec::new(), shifts };
        let norm = |row| {
            let mut sum = 0.0;
            points.each(row, |_, x| sum += x * x);
            sum.sqrt()
        };
        points.norms = (0..x.rows()).map(norm).collect();
        points
    }

    pub(super) fn rows(&self) -> usize {
        self.weights.len()
    }

    pub(super) fn columns(&self) -> usize {
        self.shifts.len()
    }

    pub(super) fn norm(&self, row: usize) -> f64 {
        self.norms[row]
    }

    #[cfg(test)]
    pub(super) fn is_sparse(&self) -> bool {
        matches!(self.rows, Layout::Sparse(_))
    }

    /// Calls with place and value of all entries of a row.
    pub(super) fn each(&self, row: usize, mut call: impl FnMut(usize, f64)) {
        match &self.rows {
            Layout::Dense(x) => x.row(row).iter().enumerate().for_each(|(place, &x)| call(place, x)),
            Layout::Sparse(x) => {
                let (places, values) = x.row(row);
                places.iter().zip(values).for_each(|(&place, &x)| call(place as usize, x));
            }
        }
    }

    /// One row with its zeros.
    pub(super) fn row(&self, row: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.columns()];
        self.each(row, |place, x| out[place] = x);
        out
    }

    /// Centres in the columns they were fitted on.
    pub(super) fn to_columns(&self, centres: &[f64]) -> Vec<f64> {
        centres.iter().enumerate().map(|(place, x)| x + self.shifts[place % self.columns()]).collect()
    }

    /// Mean over the columns of their weighted variance.
    pub(super) fn mean_variance(&self) -> f64 {
        let total: f64 = self.weights.iter().sum();
        let mut means = vec![0.0; self.columns()];
        let mut squares = 0.0;
        for (row, weight) in self.weights.iter().enumerate() {
            self.each(row, |place, x| means[place] += weight / total * x);
        }
        let centre = Centres::new(self, &means);
        for (row, weight) in self.weights.iter().enumerate() {
            squares += weight / total * self.to_one(row, 0, &centre);
        }
        squares / self.columns() as f64
    }

    /// Squared distances of a row to all centres.
    pub(super) fn to_all(&self, row: usize, centres: &Centres<'_>, out: &mut [f64]) {
        match &self.rows {
            Layout::Dense(x) => {
                let of = centres.values.chunks_exact(self.columns());
                out.iter_mut().zip(of).for_each(|(out, centre)| *out = squared(x.row(row), centre));
            }
            Layout::Sparse(x) => {
                let (places, values) = x.row(row);
                let k = out.len();
                out.fill(0.0);
                for (&place, &x) in places.iter().zip(values) {
                    let across = &centres.across[place as usize * k..][..k];
                    out.iter_mut().zip(across).for_each(|(out, centre)| *out += x * centre);
                }
                let own = self.norms[row] * self.norms[row];
                out.iter_mut()
                    .zip(&centres.squares)
                    .for_each(|(out, c)| *out = (own - 2.0 * *out + c).max(0.0));
            }
        }
    }

    /// Squared distance of a row to one centre.
    pub(super) fn to_one(&self, row: usize, centre: usize, centres: &Centres<'_>) -> f64 {
        let of = &centres.values[centre * self.columns()..(centre + 1) * self.columns()];
        match &self.rows {
            Layout::Dense(x) => squared(x.row(row), of),
            Layout::Sparse(x) => {
                let (places, values) = x.row(row);
                let product: f64 = places.iter().zip(values).map(|(&place, x)| x * of[place as usize]).sum();
                (self.norms[row] * self.norms[row] - 2.0 * product + centres.squares[centre]).max(0.0)
            }
        }
    }
}

/// Centres as distances need them.
pub(super) struct Centres<'a> {
    pub(super) values: &'a [f64],
    /// Columns × k, for sparse rows.
    across: Vec<f64>,
    squares: Vec<f64>,
}

impl<'a> Centres<'a> {
    pub(super) fn new(points: &Points<'_>, values: &'a [f64]) -> Self {
        let columns = points.columns();
        let k = values.len() / columns;
        let across = match points.rows {
            Layout::Dense(_) => Vec::new(),
            Layout::Sparse(_) => (0..columns * k).map(|at| values[at % k * columns + at / k]).collect(),
        };
        let squares = values.chunks_exact(columns).map(|of| of.iter().map(|x| x * x).sum()).collect();
        Self { values, across, squares }
    }

    /// Distance of the farthest centre to the origin.
    pub(super) fn largest_norm(&self) -> f64 {
        self.squares.iter().copied().fold(0.0, f64::max).sqrt()
    }
}

fn means(x: &Matrix, weights: &[f64]) -> Vec<f64> {
    let total: f64 = weights.iter().sum();
    let mut means = vec![0.0; x.columns()];
    for (row, weight) in x.iter_rows().zip(weights) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += weight / total * x);
    }
    means
}
