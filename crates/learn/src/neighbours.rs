//! The nearest of many points: a k-d tree whose answers are those of comparing with every point, ties by the point's number.
//!
//! Points are parted at the mean of the column that varies most (at the median where that is too uneven). A query walks down the nearer side first and takes the
//! farther one only when its cell can hold something nearer, by the distance to the cell that Arya and Mount (1993) keep up
//! to date column by column. Distances are summed column after column, the same for every order of visits.

use crate::LearnError;
use crate::ctx::Ctx;
use crate::matrix::Matrix;

/// How far two points are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Root of the summed squares.
    Euclidean,
    /// Sum of the differences.
    Manhattan,
}

/// Points of a leaf, unless all but equal.
const LEAF: usize = 16;
/// The smaller side of a cut at the mean has at least this part of the points.
const UNEVEN: usize = 32;
/// Values are scaled and cut so that no square overflows.
const LARGEST: f64 = 1e140;
/// Columns between two looks at whether a point is too far already.
const STRIDE: usize = 8;

/// A point and how far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its row.
    pub row: u32,
    /// Its distance, in units of the columns.
    pub distance: f64,
}

/// Points that are asked for their nearest again and again.
pub struct Neighbours {
    metric: Metric,
    columns: usize,
    /// What every value is multiplied by.
    scale: f64,
    /// Leaf by leaf, row by row.
    points: Vec<f64>,
    /// Row of each point.
    rows: Vec<u32>,
    nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
enum Node {
    Leaf {
        start: u32,
        end: u32,
    },
    /// The left child follows; `low` is the highest value on the left in this column, `high` the lowest on the right.
    Split {
        column: u32,
        low: f64,
        high: f64,
        right: u32,
    },
}

/// The nearest found so far, nearest first.
struct Found {
    most: usize,
    /// Distances before the root is taken, and rows.
    nearest: Vec<(f64, u32)>,
}

impl Found {
    /// Beyond this nothing is of use.
    fn worst(&self) -> f64 {
        if self.nearest.len() < self.most { f64::INFINITY } else { self.nearest[self.most - 1].0 }
    }

    fn take(&mut self, far: f64, row: u32) {
        let place = self.nearest.partition_point(|&(other, at)| other < far || (other == far && at < row));
        if place < self.most {
            self.nearest.truncate(self.most - 1);
            self.nearest.insert(place, (far, row));
        }
    }
}

impl Neighbours {
    /// Arranges the rows of a matrix of finite values.
    ///
    /// # Errors
    /// [`LearnError::Cancelled`].
    pub fn new(x: &Matrix, metric: Metric, ctx: &Ctx) -> Result<Self, LearnError> {
        let largest = x.values().iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let scale = if largest > 1e100 { 1e100 / largest } else { 1.0 };
        let mut order: Vec<u32> = (0..x.rows() as u32).collect();
        let mut nodes = Vec::new();
        grow(x, scale, &mut order, 0, &mut nodes, ctx)?;
        let values = order.iter().flat_map(|&row| x.row(row as usize)).map(|value| value * scale);
        Ok(Self { metric, columns: x.columns(), scale, points: values.collect(), rows: order, nodes })
    }

    /// The `most` nearest points, nearest first; of equally near ones those of lower rows.
    #[must_use]
    pub fn nearest(&self, point: &[f64], most: usize) -> Vec<Neighbour> {
        let cut =
            |value: &f64| if value.is_nan() { 0.0 } else { (value * self.scale).clamp(-LARGEST, LARGEST) };
        let query: Vec<f64> = point.iter().map(cut).collect();
        let mut found = Found { most, nearest: Vec::with_capacity(most + 1) };
        if most > 0 && !self.rows.is_empty() {
            let mut offsets = vec![0.0; self.columns];
            self.visit(0, &query, 0.0, &mut offsets, &mut found);
        }
        let root = |far: f64| match self.metric {
            Metric::Euclidean => far.sqrt() / self.scale,
            Metric::Manhattan => far / self.scale,
        };
        found.nearest.into_iter().map(|(far, row)| Neighbour { row, distance: root(far) }).collect()
    }

    /// Looks into a node whose cell is `far` from the query, `offsets` away in each column.
    fn visit(&self, node: usize, query: &[f64], far: f64, offsets: &mut [f64], found: &mut Found) {
        match self.nodes[node] {
            Node::Leaf { start, end } => {
                for place in start as usize..end as usize {
                    if let Some(far) = self.within(place, query, found.worst()) {
                        found.take(far, self.rows[place]);
                    }
                }
            }
            Node::Split { column, low, high, right } => {
                let column = column as usize;
                let value = query[column];
                let (to_left, to_right) = ((value - low).max(0.0), (high - value).max(0.0));
                let (left, right) = (node + 1, right as usize);
                let sides = if to_left <= to_right {
                    [(left, to_left), (right, to_right)]
                } else {
                    [(right, to_right), (left, to_left)]
                };
                let before = offsets[column];
                for (child, offset) in sides {
                    let offset = offset.max(before);
                    let beyond = far + (self.part(offset) - self.part(before));
                    // Rounding may make a cell look farther than it is.
                    if beyond * (1.0 - 1e-9) <= found.worst() {
                        offsets[column] = offset;
                        self.visit(child, query, beyond, offsets, found);
                    }
                }
                offsets[column] = before;
            }
        }
    }

    fn part(&self, difference: f64) -> f64 {
        match self.metric {
            Metric::Euclidean => difference * difference,
            Metric::Manhattan => difference.abs(),
        }
    }

    /// The distance of a point before the root, or `None` when it is beyond `worst`.
    fn within(&self, place: usize, query: &[f64], worst: f64) -> Option<f64> {
        let point = &self.points[place * self.columns..(place + 1) * self.columns];
        let mut sum = 0.0;
        for (point, query) in point.chunks(STRIDE).zip(query.chunks(STRIDE)) {
            for (a, b) in point.iter().zip(query) {
                sum += self.part(a - b);
            }
            if sum > worst {
                return None;
            }
        }
        Some(sum)
    }
}

/// Parts the rows of `order`, which stand from `start` on; children follow their node.
fn grow(
    x: &Matrix,
    scale: f64,
    order: &mut [u32],
    start: usize,
    nodes: &mut Vec<Node>,
    ctx: &Ctx,
) -> Result<(), LearnError> {
    ctx.check()?;
    let widest = if order.len() > LEAF { widest(x, order) } else { None };
    let Some((column, mean)) = widest else {
        nodes.push(Node::Leaf { start: start as u32, end: (start + order.len()) as u32 });
        return Ok(());
    };
    let value = |row: u32| x.row(row as usize)[column];
    // Equal values stay on one side, so that cells do not touch; but never so unevenly that the tree grows deep.
    let below = order.iter().filter(|&&row| value(row) <= mean).count();
    let balanced = below.min(order.len() - below) * UNEVEN >= order.len();
    let middle = if balanced { below } else { order.len() / 2 };
    if balanced {
        order.sort_unstable_by_key(|&row| (value(row) > mean, row));
    } else {
        order.select_nth_unstable_by(middle, |&a, &b| value(a).total_cmp(&value(b)).then(a.cmp(&b)));
    }
    let (left, right) = order.split_at_mut(middle);
    let low = left.iter().map(|&row| value(row)).fold(f64::NEG_INFINITY, f64::max) * scale;
    let high = right.iter().map(|&row| value(row)).fold(f64::INFINITY, f64::min) * scale;
    let node = nodes.len();
    nodes.push(Node::Split { column: column as u32, low, high, right: 0 });
    grow(x, scale, left, start, nodes, ctx)?;
    let place = nodes.len() as u32;
    if let Node::Split { right, .. } = &mut nodes[node] {
        *right = place;
    }
    grow(x, scale, right, start + middle, nodes, ctx)
}

/// The column that varies most, and its mean; `None` when all rows are the same.
fn widest(x: &Matrix, order: &[u32]) -> Option<(usize, f64)> {
    // Moments of values divided by the largest, so that no square overflows.
    let largest = order.iter().flat_map(|&row| x.row(row as usize)).fold(0.0, |max: f64, v| max.max(v.abs()));
    let count = order.len() as f64;
    let first = x.row(order[0] as usize);
    let mut moments = vec![(0.0, 0.0); x.columns()];
    for &row in order {
        for ((sums, &value), &first) in moments.iter_mut().zip(x.row(row as usize)).zip(first) {
            let value = value / largest - first / largest;
            sums.0 += value;
            sums.1 += value * value;
        }
    }
    let variance = |column: usize| moments[column].1 / count - (moments[column].0 / count).powi(2);
    let wider = |best: usize, column: usize| if variance(column) > variance(best) { column } else { best };
    let best = (0..moments.len()).reduce(wider)?;
    let mean = (moments[best].0 / count + first[best] / largest) * largest;
    (variance(best) > 1e-18).then_some((best, mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;
    use rand::RngExt;

    /// What comparing with every point gives.
    fn naive(x: &Matrix, point: &[f64], most: usize, metric: Metric) -> Vec<u32> {
        let far = |row: usize| -> f64 {
            let differences = x.row(row).iter().zip(point).map(|(a, b)| (a - b).abs());
            differences.map(|d| if metric == Metric::Euclidean { d * d } else { d }).sum()
        };
        let mut all: Vec<(f64, u32)> = (0..x.rows()).map(|row| (far(row), row as u32)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.into_iter().take(most).map(|(_, row)| row).collect()
    }

    #[test]
    fn the_nearest_are_those_of_comparing_with_every_point() {
        let mut rng = rng::stream(5, "neighbours", 0);
        for (rows, columns) in [(1, 1), (17, 2), (400, 3), (500, 20)] {
            // Whole numbers, so that there are many ties.
            let values = (0..rows * columns).map(|_| f64::from(rng.random_range(0..6)));
            let x = Matrix::from_values(rows, columns, values.collect());
            for metric in [Metric::Euclidean, Metric::Manhattan] {
                let tree = Neighbours::new(&x, metric, &Ctx::new(0, 1)).unwrap();
                for _ in 0..40 {
                    let point: Vec<f64> = (0..columns).map(|_| f64::from(rng.random_range(-1..8))).collect();
                    let found: Vec<u32> = tree.nearest(&point, 7).iter().map(|near| near.row).collect();
                    assert_eq!(found, naive(&x, &point, 7, metric), "{rows} × {columns} {metric:?}");
                }
            }
        }
    }

    #[test]
    fn distances_are_in_units_of_the_columns_however_large() {
        let x = Matrix::from_values(2, 2, vec![0.0, 0.0, 3e200, 4e200]);
        let tree = Neighbours::new(&x, Metric::Euclidean, &Ctx::new(0, 1)).unwrap();
        let near = tree.nearest(&[0.0, 0.0], 2);
        assert_eq!(near[0], Neighbour { row: 0, distance: 0.0 });
        assert!((near[1].distance / 5e200 - 1.0).abs() < 1e-12, "{near:?}");
        assert!(tree.nearest(&[f64::MAX, f64::NAN], 2).iter().all(|near| near.distance.is_finite()));
    }
}
