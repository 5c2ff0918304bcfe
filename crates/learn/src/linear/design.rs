//! The columns of a linear model in coordinates that suit the solver.
//!
//! Each column is shifted by its most frequent value when that makes it sparse (one-hot columns, also after
//! standardising), else by its mean, and divided by its root mean square about the shift ([`super::measure`]). Shifts only
//! move the intercept, scales only the penalty, so the minimum is that of the original problem; where the intercept is
//! penalised there are no shifts. Sums over rows run in a fixed number of lanes added in order: the same bits for any
//! number of threads.

use std::ops::Range;

use rayon::prelude::*;

pub(crate) use super::measure::Shift;
use super::measure::{Coordinate, Visited, cut, measure};
use crate::matrix::Rows;

/// Rows in the solver's coordinates: dense ones (the last is the intercept's 1), then sparse ones.
pub(crate) struct Design {
    rows: usize,
    dense: Vec<f64>,
    dense_width: usize,
    /// Per row where its sparse entries begin; one more at the end.
    starts: Vec<usize>,
    /// Coordinate of each sparse entry, counted from the first sparse one; ascending in a row.
    places: Vec<u32>,
    entries: Vec<f64>,
    sparse_width: usize,
    columns: Vec<Coordinate>,
}

/// Sums run in this many lanes, whatever the number of threads.
const LANES: usize = 16;
/// Numbers that the lanes of one sum may hold together.
const LANES_NUMBERS: usize = 1 << 24;

impl Design {
    /// Arranges finite values.
    pub(crate) fn new(x: Rows<'_>, shift: Shift) -> Self {
        let columns = arrange(measure(x, shift));
        let dense_width = 1 + columns.iter().filter(|c| c.scale > 0.0 && !c.sparse).count();
        let sparse_width = columns.iter().filter(|c| c.scale > 0.0 && c.sparse).count();
        let mut design = Self {
            rows: x.rows(),
            dense: vec![0.0; x.rows() * dense_width],
            dense_width,
            starts: vec![0],
            places: Vec::new(),
            entries: Vec::new(),
            sparse_width,
            columns,
        };
        design.fill(x);
        design
    }

    fn fill(&mut self, x: Rows<'_>) {
        let visited =
            Visited::new(self.columns.iter().map(|column| column.scale > 0.0 && column.shift != 0.0));
        let (mut entries, mut whole): (Vec<(u32, f64)>, _) = (Vec::new(), visited.whole(x));
        for row in 0..self.rows {
            self.dense[(row + 1) * self.dense_width - 1] = 1.0;
            visited.row(x, row, &mut whole, |column, value| {
                let column = &self.columns[column];
                if column.scale == 0.0 {
                    return;
                }
                let value = (cut(value) - column.shift) / column.scale;
                if !column.sparse {
                    self.dense[row * self.dense_width + column.place] = value;
                } else if value != 0.0 {
                    entries.push(((column.place - self.dense_width) as u32, value));
                }
            });
            if !entries.is_sorted_by_key(|(place, _)| *place) {
                entries.sort_unstable_by_key(|(place, _)| *place);
            }
            self.places.extend(entries.iter().map(|(place, _)| *place));
            self.entries.extend(entries.drain(..).map(|(_, value)| value));
            self.starts.push(self.entries.len());
        }
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
    pub(crate) fn coordinates(&self) -> usize {
        self.dense_width + self.sparse_width
    }

    /// The place of the intercept among the coordinates.
    pub(super) fn intercept(&self) -> usize {
        self.dense_width - 1
    }

    /// Per coordinate what its column was divided by; 1 for the intercept.
    pub(super) fn scales(&self) -> Vec<f64> {
        let mut scales = vec![1.0; self.coordinates()];
        for column in self.columns.iter().filter(|column| column.scale > 0.0) {
            scales[column.place] = column.scale;
        }
        scales
    }

    /// Per coordinate how far a unit of slope moves a weight whose penalty is ½ w²: the square of its scale, within 1e±60 to
    /// stay finite for absurd columns; 0 for the intercept.
    pub(super) fn pulls(&self) -> Vec<f64> {
        let mut pulls: Vec<f64> =
            self.scales().iter().map(|scale| (scale * scale).clamp(1e-60, 1e60)).collect();
        pulls[self.intercept()] = 0.0;
        pulls
    }

    /// Weights per column and the intercept of the original problem.
    pub(crate) fn to_columns(&self, theta: &[f64]) -> (Vec<f64>, f64) {
        let weight = |c: &Coordinate| if c.scale > 0.0 { theta[c.place] / c.scale } else { 0.0 };
        let weights: Vec<f64> = self.columns.iter().map(weight).collect();
        let shifted: f64 =
            weights.iter().zip(&self.columns).map(|(weight, column)| weight * column.shift).sum();
        (weights, theta[self.intercept()] - shifted)
    }

    /// Mean and standard deviation of each column.
    pub(crate) fn moments(&self) -> (Vec<f64>, Vec<f64>) {
        self.columns.iter().map(|column| (column.mean, column.deviation)).unzip()
    }

    /// The design with some coordinates only, ascending and the intercept among them.
    pub(super) fn restricted(&self, kept: &[usize]) -> Self {
        let dense: Vec<usize> = kept.iter().copied().filter(|&place| place < self.dense_width).collect();
        let mut places = vec![u32::MAX; self.sparse_width];
        for (new, place) in (0..).zip(&kept[dense.len()..]) {
            places[place - self.dense_width] = new;
        }
        let mut fewer = Self {
            rows: self.rows,
            dense: Vec::with_capacity(self.rows * dense.len()),
            dense_width: dense.len(),
            starts: vec![0],
            places: Vec::new(),
            entries: Vec::new(),
            sparse_width: kept.len() - dense.len(),
            columns: Vec::new(),
        };
        for row in 0..self.rows {
            let values = self.dense_row(row);
            fewer.dense.extend(dense.iter().map(|&place| values[place]));
            for (place, value) in self.sparse_row(row).filter(|(place, _)| places[*place] != u32::MAX) {
                fewer.places.push(places[place]);
                fewer.entries.push(value);
            }
            fewer.starts.push(fewer.entries.len());
        }
        fewer
    }

    /// Runs `work` on each lane of rows and returns the results in order.
    pub(super) fn lanes<T: Send>(&self, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
        lanes(self.rows, work)
    }

    /// The same with as few lanes as keep sums of `numbers` numbers each within bounds.
    pub(super) fn few_lanes<T: Send>(
        &self,
        numbers: usize,
        work: impl Fn(Range<usize>) -> T + Sync,
    ) -> Vec<T> {
        self.few_lanes_of(self.rows, numbers, work)
    }

    /// The same over some rows, given by their places among them.
    pub(super) fn few_lanes_of<T: Send>(
        &self,
        rows: usize,
        numbers: usize,
        work: impl Fn(Range<usize>) -> T + Sync,
    ) -> Vec<T> {
        lanes_of(rows, (LANES_NUMBERS / numbers.max(1)).clamp(1, LANES), work)
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

    /// Sum over some rows of row × factor for each output, the factors being what `of(place among the rows, margins)` makes
    /// of the row's margins with `vector`: a product with a Hessian in one go through the rows.
    pub(super) fn through_rows(
        &self,
        rows: &[usize],
        vector: &[f64],
        outputs: usize,
        of: impl Fn(usize, &mut [f64]) + Sync,
    ) -> Vec<f64> {
        let width = self.coordinates();
        self.sum_of_rows(rows, outputs * width, |place, sums, parts| {
            let row = rows[place];
            parts.clear();
            parts.extend(vector.chunks_exact(width).map(|vector| self.row_dot(row, vector)));
            of(place, parts);
            for (part, sums) in parts.iter().zip(sums.chunks_exact_mut(width)) {
                self.add_row(row, *part, sums);
            }
        })
    }

    /// Sum of some rows times their factors.
    pub(super) fn weighted_sum_of(&self, rows: &[usize], factor: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        let add =
            |place: usize, sums: &mut [f64], _: &mut _| self.add_row(rows[place], factor(rows[place]), sums);
        self.sum_of_rows(rows, self.coordinates(), add)
    }

    /// Per coordinate Σ weight × value² over some rows; weights by place among them.
    pub(super) fn squares_of_rows(&self, rows: &[usize], weight: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
        self.sum_of_rows(rows, self.coordinates(), |place, sums, _| {
            let weight = weight(place);
            self.row(rows[place]).for_each(|(at, value)| sums[at] += weight * value * value);
        })
    }

    /// Adds up over some rows in as many lanes as are worth their sums of `numbers` numbers.
    fn sum_of_rows(
        &self,
        rows: &[usize],
        numbers: usize,
        add: impl Fn(usize, &mut [f64], &mut Vec<f64>) + Sync,
    ) -> Vec<f64> {
        let entries = rows.len() * (self.dense_width + self.entries.len() / self.rows.max(1));
        let worth = entries / (4 * numbers.max(1));
        let lane = |places: Range<usize>| {
            let (mut sums, mut parts) = (vec![0.0; numbers], Vec::new());
            places.for_each(|place| add(place, &mut sums, &mut parts));
            sums
        };
        add_up(lanes_of(rows.len(), worth.clamp(1, LANES), lane))
    }

    /// Adds Σ weight × row rowᵀ over some rows and their weights to the lower triangle of `gram`, whose rows are `stride`
    /// apart; rows of weight 0 are passed over.
    pub(super) fn add_gram(&self, rows: impl Iterator<Item = (usize, f64)>, gram: &mut [f64], stride: usize) {
        let weighed: Vec<(usize, f64)> = rows.filter(|(_, weight)| *weight != 0.0).collect();
        let (fours, rest) = weighed.as_chunks::<4>();
        fours.iter().for_each(|four| self.add_dense_four(four, gram, stride));
        rest.iter().for_each(|&(row, weight)| self.add_dense_one(row, weight, gram, stride));
        weighed.iter().for_each(|&(row, weight)| self.add_sparse(row, weight, gram, stride));
    }

    /// Four rows at a time: one load and store of the triangle for four products.
    fn add_dense_four(&self, four: &[(usize, f64); 4], gram: &mut [f64], stride: usize) {
        let [a, b, c, d] = four.map(|(row, _)| self.dense_row(row));
        let [wa, wb, wc, wd] = four.map(|(_, weight)| weight);
        for place in 0..self.dense_width {
            let [wa, wb, wc, wd] = [wa * a[place], wb * b[place], wc * c[place], wd * d[place]];
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

    /// Sparse entries of a row, with places counted from the first sparse coordinate.
    fn sparse_row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let entries = self.starts[row]..self.starts[row + 1];
        let places = self.places[entries.clone()].iter().map(|place| *place as usize);
        places.zip(self.entries[entries].iter().copied())
    }

    /// Every coordinate of a row that need not be 0.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> {
        let sparse = self.sparse_row(row).map(|(place, value)| (self.dense_width + place, value));
        self.dense_row(row).iter().copied().enumerate().chain(sparse)
    }

    pub(crate) fn row_dot(&self, row: usize, theta: &[f64]) -> f64 {
        let (dense, sparse) = theta.split_at(self.dense_width);
        let of_sparse: f64 = self.sparse_row(row).map(|(place, value)| sparse[place] * value).sum();
        dot(self.dense_row(row), dense) + of_sparse
    }

    /// Adds a row times a factor and, coordinate by coordinate, a pull.
    pub(super) fn add_pulled_row(&self, row: usize, factor: f64, pull: &[f64], sums: &mut [f64]) {
        let (dense, sparse) = sums.split_at_mut(self.dense_width);
        let (dense_pull, sparse_pull) = pull.split_at(self.dense_width);
        for ((sum, value), pull) in dense.iter_mut().zip(self.dense_row(row)).zip(dense_pull) {
            *sum += factor * value * pull;
        }
        for (place, value) in self.sparse_row(row) {
            sparse[place] += factor * value * sparse_pull[place];
        }
    }

    /// Adds a row times a factor.
    pub(super) fn add_row(&self, row: usize, factor: f64, sums: &mut [f64]) {
        let (dense, sparse) = sums.split_at_mut(self.dense_width);
        axpy(factor, self.dense_row(row), dense);
        for entry in self.starts[row]..self.starts[row + 1] {
            sparse[self.places[entry] as usize] += factor * self.entries[entry];
        }
    }
}

/// Σ a × b in eight running sums.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
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

pub(super) fn lanes<T: Send>(rows: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    lanes_of(rows, LANES, work)
}

fn lanes_of<T: Send>(rows: usize, lanes: usize, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let lane = |lane: usize| work(lane * rows / lanes..(lane + 1) * rows / lanes);
    (0..lanes).into_par_iter().map(lane).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::{Matrix, SparseMatrix};

    /// Half of the first column's values are 0 and it is not shifted: its zeros must not be passed over as entries that
    /// are something else.
    #[test]
    fn sparse_rows_have_the_sums_of_dense_ones_shifted_or_not() {
        let value = |place: u32| f64::from(place / 2 % 2 * (1 + place % 3) + place % 2 * (place % 11));
        let dense = Matrix::from_values(60, 2, (0..120).map(value).collect());
        let sparse = SparseMatrix::from_dense(&dense);
        for shift in [Shift::No, Shift::Far, Shift::All] {
            let margins = |x: Rows<'_>| Design::new(x, shift).margins(&[0.5, -2.0, 0.25]);
            assert_eq!(margins((&dense).into()), margins((&sparse).into()), "{shift:?}");
        }
    }
}
