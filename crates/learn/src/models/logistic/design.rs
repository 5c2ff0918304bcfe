//! The columns of a logistic regression in coordinates that suit the solver.
//!
//! Each column is shifted by its most frequent value when that makes it sparse (one-hot columns, also after
//! standardising), else by its mean, and divided by its root mean square about the shift. Shifts only move the
//! intercept, scales only the penalty, so the minimum is that of the original problem. Sums over rows run in a fixed
//! number of lanes added in order: the same bits for any number of threads.

use std::ops::Range;

use rayon::prelude::*;

use crate::LearnError;
use crate::matrix::Matrix;

/// Rows in the solver's coordinates: dense ones (the last is the intercept's 1), then sparse ones.
pub(super) struct Design {
    rows: usize,
    dense: Vec<f64>,
    dense_width: usize,
    /// Per row where its sparse entries begin; one more at the end.
    starts: Vec<usize>,
    /// Coordinate of each sparse entry, counted from the first sparse one.
    places: Vec<u32>,
    entries: Vec<f64>,
    sparse_width: usize,
    columns: Vec<Coordinate>,
}

/// What became of a column.
#[derive(Clone, Copy)]
struct Coordinate {
    shift: f64,
    /// 0 for a constant column, which has no coordinate.
    scale: f64,
    place: usize,
    sparse: bool,
    mean: f64,
    deviation: f64,
}

/// Sums run in this many lanes, whatever the number of threads.
const LANES: usize = 16;
/// A column is kept sparse when this share of its rows holds one value.
const SPARSE_SHARE: f64 = 0.7;
/// Values beyond this are cut to it, so that differences stay finite.
const LARGEST: f64 = 1e300;
/// A column that varies less than this is constant.
const SMALLEST: f64 = 1e-290;

impl Design {
    /// Arranges finite values.
    pub(super) fn new(x: &Matrix) -> Result<Self, LearnError> {
        let columns = arrange(measure(x));
        let dense_width = 1 + columns.iter().filter(|c| c.scale > 0.0 && !c.sparse).count();
        let sparse_width = columns.iter().filter(|c| c.scale > 0.0 && c.sparse).count();
        if u32::try_from(sparse_width).is_err() {
            return Err(LearnError::Data(format!("logistic: {sparse_width} columns are too many")));
        }
        let mut design = Self {
            rows: x.rows(),
            dense: Vec::with_capacity(x.rows() * dense_width),
            dense_width,
            starts: vec![0],
            places: Vec::new(),
            entries: Vec::new(),
            sparse_width,
            columns,
        };
        x.iter_rows().for_each(|row| design.push(row));
        Ok(design)
    }

    fn push(&mut self, row: &[f64]) {
        for (column, value) in self.columns.iter().zip(row).filter(|(column, _)| column.scale > 0.0) {
            let value = (cut(*value) - column.shift) / column.scale;
            if !column.sparse {
                self.dense.push(value);
            } else if value != 0.0 {
                self.places.push((column.place - self.dense_width) as u32);
                self.entries.push(value);
            }
        }
        self.dense.push(1.0);
        self.starts.push(self.entries.len());
    }

    /// Every `step`-th row.
    pub(super) fn every(&self, step: usize) -> Self {
        let mut fewer = Self {
            rows: self.rows.div_ceil(step),
            dense: Vec::new(),
            starts: vec![0],
            places: Vec::new(),
            entries: Vec::new(),
            columns: self.columns.clone(),
            ..*self
        };
        for row in (0..self.rows).step_by(step) {
            fewer.dense.extend_from_slice(self.dense_row(row));
            fewer.places.extend_from_slice(&self.places[self.starts[row]..self.starts[row + 1]]);
            fewer.entries.extend_from_slice(&self.entries[self.starts[row]..self.starts[row + 1]]);
            fewer.starts.push(fewer.entries.len());
        }
        fewer
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Coordinates of a row, intercept included.
    pub(super) fn coordinates(&self) -> usize {
        self.dense_width + self.sparse_width
    }

    /// The place of the intercept among the coordinates.
    pub(super) fn intercept(&self) -> usize {
        self.dense_width - 1
    }

    /// Per coordinate 1 / scale², the factor of its penalty; 0 for the intercept.
    pub(super) fn penalty_factors(&self) -> Vec<f64> {
        let mut factors = vec![0.0; self.coordinates()];
        for column in self.columns.iter().filter(|column| column.scale > 0.0) {
            factors[column.place] = (1.0 / column.scale / column.scale).min(1e60);
        }
        factors
    }

    /// Weights per column and the intercept of the original problem.
    pub(super) fn to_columns(&self, theta: &[f64]) -> (Vec<f64>, f64) {
        let weight = |c: &Coordinate| if c.scale > 0.0 { theta[c.place] / c.scale } else { 0.0 };
        let weights: Vec<f64> = self.columns.iter().map(weight).collect();
        let shifted: f64 =
            weights.iter().zip(&self.columns).map(|(weight, column)| weight * column.shift).sum();
        (weights, theta[self.intercept()] - shifted)
    }

    /// Mean and standard deviation of each column.
    pub(super) fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        self.columns.iter().map(|column| (column.mean, column.deviation)).unzip()
    }

    /// Runs `work` on each lane of rows and returns the results in order.
    pub(super) fn lanes<T: Send>(&self, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
        lanes(self.rows, work)
    }

    /// For each row and output the sum over coordinates of theta × value; rows × outputs.
    pub(super) fn margins(&self, theta: &[f64]) -> Vec<f64> {
        let width = self.coordinates();
        let lane = |rows: Range<usize>| {
            let mut out = Vec::with_capacity(rows.len() * theta.len() / width);
            for row in rows {
                out.extend(theta.chunks_exact(width).map(|theta| self.row_dot(row, theta)));
            }
            out
        };
        self.lanes(lane).concat()
    }

    /// Sum over rows of factor × row, for each output; `factors` is rows × outputs.
    pub(super) fn weighted_sum(&self, factors: &[f64], outputs: usize) -> Vec<f64> {
        let width = self.coordinates();
        let lane = |rows: Range<usize>| {
            let mut sums = vec![0.0; outputs * width];
            for row in rows {
                for (factor, sum) in factors[row * outputs..].iter().zip(sums.chunks_exact_mut(width)) {
                    self.add_row(row, *factor, sum);
                }
            }
            sums
        };
        add_up(self.lanes(lane))
    }

    /// Adds Σ weight × row rowᵀ over some rows to the lower triangle of `gram`, whose rows are `stride` apart.
    pub(super) fn add_gram(&self, rows: Range<usize>, weights: &[f64], gram: &mut [f64], stride: usize) {
        let four = rows.len() / 4 * 4;
        for first in (rows.start..rows.start + four).step_by(4) {
            self.add_dense_four(first, &weights[first - rows.start..], gram, stride);
        }
        for row in rows.start + four..rows.end {
            self.add_dense_one(row, weights[row - rows.start], gram, stride);
        }
        for row in rows.clone() {
            self.add_sparse(row, weights[row - rows.start], gram, stride);
        }
    }

    /// Four rows at a time: one load and store of the triangle for four products.
    fn add_dense_four(&self, first: usize, weights: &[f64], gram: &mut [f64], stride: usize) {
        let width = self.dense_width;
        let block = &self.dense[first * width..(first + 4) * width];
        let (a, rest) = block.split_at(width);
        let (b, rest) = rest.split_at(width);
        let (c, d) = rest.split_at(width);
        for place in 0..width {
            let [wa, wb, wc, wd] =
                [weights[0] * a[place], weights[1] * b[place], weights[2] * c[place], weights[3] * d[place]];
            let out = &mut gram[place * stride..=place * stride + place];
            let values = a.iter().zip(b).zip(c).zip(d);
            for (sum, (((a, b), c), d)) in out.iter_mut().zip(values) {
                *sum += (wa * a + wb * b) + (wc * c + wd * d);
            }
        }
    }

    fn add_dense_one(&self, row: usize, weight: f64, gram: &mut [f64], stride: usize) {
        let values = self.dense_row(row);
        for (place, value) in values.iter().enumerate() {
            axpy(weight * value, &values[..=place], &mut gram[place * stride..=place * stride + place]);
        }
    }

    fn add_sparse(&self, row: usize, weight: f64, gram: &mut [f64], stride: usize) {
        let (from, to) = (self.starts[row], self.starts[row + 1]);
        let dense = self.dense_row(row);
        for entry in from..to {
            let place = self.dense_width + self.places[entry] as usize;
            let out = &mut gram[place * stride..=place * stride + place];
            let weighted = weight * self.entries[entry];
            axpy(weighted, dense, &mut out[..self.dense_width]);
            for other in from..=entry {
                out[self.dense_width + self.places[other] as usize] += weighted * self.entries[other];
            }
        }
    }

    fn dense_row(&self, row: usize) -> &[f64] {
        &self.dense[row * self.dense_width..(row + 1) * self.dense_width]
    }

    fn row_dot(&self, row: usize, theta: &[f64]) -> f64 {
        let (dense, sparse) = theta.split_at(self.dense_width);
        let entries = self.starts[row]..self.starts[row + 1];
        let pairs = self.places[entries.clone()].iter().zip(&self.entries[entries]);
        dot(self.dense_row(row), dense)
            + pairs.map(|(place, value)| sparse[*place as usize] * value).sum::<f64>()
    }

    fn add_row(&self, row: usize, factor: f64, sums: &mut [f64]) {
        let (dense, sparse) = sums.split_at_mut(self.dense_width);
        axpy(factor, self.dense_row(row), dense);
        for entry in self.starts[row]..self.starts[row + 1] {
            sparse[self.places[entry] as usize] += factor * self.entries[entry];
        }
    }
}

/// Σ a × b in eight running sums.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (blocks_a, blocks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = blocks_a.remainder().iter().zip(blocks_b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in blocks_a.zip(blocks_b) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// y += factor × x.
pub(super) fn axpy(factor: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x);
}

/// Adds partial sums in order.
pub(super) fn add_up(parts: Vec<Vec<f64>>) -> Vec<f64> {
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_default();
    parts.for_each(|part| axpy(1.0, &part, &mut sums));
    sums
}

fn lanes<T: Send>(rows: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let lane = |lane: usize| work(lane * rows / LANES..(lane + 1) * rows / LANES);
    (0..LANES).into_par_iter().map(lane).collect()
}

fn cut(value: f64) -> f64 {
    value.clamp(-LARGEST, LARGEST)
}

/// Shift, scale and moments of each column.
fn measure(x: &Matrix) -> Vec<Coordinate> {
    let width = x.columns();
    let count = x.rows() as f64;
    let modes = likely_modes(x);
    let sums = add_up(lanes(x.rows(), |rows| {
        let mut sums = vec![0.0; 2 * width];
        let (means, hits) = sums.split_at_mut(width);
        for row in rows {
            for (((mean, hit), value), mode) in means.iter_mut().zip(&mut *hits).zip(x.row(row)).zip(&modes) {
                *mean += cut(*value) / count;
                *hit += f64::from(u8::from(cut(*value) == *mode));
            }
        }
        sums
    }));
    let (means, hits) = sums.split_at(width);
    let shift = |place: usize| {
        let sparse = hits[place] >= SPARSE_SHARE * count;
        (if sparse { modes[place] } else { means[place] }, sparse)
    };
    let shifts: Vec<(f64, bool)> = (0..width).map(shift).collect();
    let largest = largest_distances(x, &shifts);
    let squares = add_up(lanes(x.rows(), |rows| {
        let mut sums = vec![0.0; width];
        for row in rows {
            let columns = x.row(row).iter().zip(&shifts).zip(&largest);
            for (sum, ((value, (shift, _)), largest)) in sums.iter_mut().zip(columns) {
                let part = (cut(*value) - shift) / largest;
                *sum += part * part / count;
            }
        }
        sums
    }));
    (0..width).map(|place| coordinate(shifts[place], means[place], largest[place], squares[place])).collect()
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

/// Largest distance from the shift, per column; at least the smallest positive number, to divide by.
fn largest_distances(x: &Matrix, shifts: &[(f64, bool)]) -> Vec<f64> {
    let parts = lanes(x.rows(), |rows| {
        let mut largest = vec![f64::MIN_POSITIVE; shifts.len()];
        for row in rows {
            for ((largest, value), (shift, _)) in largest.iter_mut().zip(x.row(row)).zip(shifts) {
                *largest = largest.max((cut(*value) - shift).abs());
            }
        }
        largest
    });
    let larger = |a: Vec<f64>, b: Vec<f64>| a.into_iter().zip(b).map(|(a, b)| a.max(b)).collect();
    parts.into_iter().reduce(larger).unwrap_or_default()
}

/// The most frequent value of each column among a few hundred evenly spaced rows.
fn likely_modes(x: &Matrix) -> Vec<f64> {
    let sampled: Vec<usize> = (0..x.rows()).step_by((x.rows() / 256).max(1)).collect();
    let mode = |column: usize| {
        let mut values: Vec<f64> = sampled.iter().map(|&row| cut(x.row(row)[column])).collect();
        values.sort_unstable_by(f64::total_cmp);
        let longest = values.chunk_by(|a, b| a == b).max_by_key(|run| run.len());
        longest.map_or(0.0, |run| run[0])
    };
    (0..x.columns()).map(mode).collect()
}

/// Gives places: dense columns from 0, then the intercept, then sparse columns.
fn arrange(mut columns: Vec<Coordinate>) -> Vec<Coordinate> {
    let mut next = 0;
    for sparse in [false, true] {
        for column in columns.iter_mut().filter(|column| column.scale > 0.0 && column.sparse == sparse) {
            column.place = next;
            next += 1;
        }
        next += 1;
    }
    columns
}
