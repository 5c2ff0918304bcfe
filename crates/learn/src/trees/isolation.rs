//! Isolation trees (Liu, Ting and Zhou 2008): random splits of small samples; what is alone soon is anomalous.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::draw::{below, unit, without_replacement};
use super::file::{Bytes, Shape, ensure, read, roots, write};
use super::shap::{Explained, Step, explain, path_columns};
use super::{COLUMNS_MAX, check_columns, threads_for, with_threads};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Model, Train};
use crate::matrix::Matrix;
use crate::rng;

/// Rows of a block.
const LANES: usize = 64;

/// How an isolation forest is fitted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IsolationFit {
    pub(crate) trees: usize,
    /// Rows drawn without replacement for each tree, at most.
    pub(crate) sample: usize,
}

/// A split or a leaf; a leaf leads to itself for any value, so that every walk may take as many steps as the deepest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Node {
    /// Values up to this go left; +∞ in a leaf.
    threshold: f64,
    /// The left child, and the right one follows it; in a leaf, the node itself.
    left: u32,
    column: u32,
}

/// A fitted isolation forest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct IsolationForest {
    columns: usize,
    /// Rows each tree was grown on.
    sample: usize,
    /// All trees, one after the other; children come after their parents.
    nodes: Vec<Node>,
    /// Rows of the sample in each node.
    rows: Vec<u32>,
    /// Of a leaf, its depth plus [`mean_path`] of its rows; 0 elsewhere.
    lengths: Vec<f64>,
    roots: Vec<u32>,
    /// Splits on the longest path.
    depth: usize,
    path_columns: usize,
}

/// Mean path of an unsuccessful search in a binary search tree of `rows` (Liu et al. 2008, equation 1, with the
/// harmonic number itself for few rows, where its logarithm is off).
pub(crate) fn mean_path(rows: usize) -> f64 {
    if rows < 2 {
        return 0.0;
    }
    let last = (rows - 1) as f64;
    2.0 * harmonic(rows - 1) - 2.0 * last / rows as f64
}

/// 1 + 1/2 + .. + 1/n.
fn harmonic(n: usize) -> f64 {
    const EULER: f64 = 0.577_215_664_901_532_9;
    if n <= 64 {
        return (1..=n).rev().map(|k| 1.0 / k as f64).sum();
    }
    let n = n as f64;
    n.ln() + EULER + 1.0 / (2.0 * n) - 1.0 / (12.0 * n * n) + 1.0 / (120.0 * n.powi(4))
}

impl IsolationFit {
    /// Fits a forest; the same for any number of threads.
    pub(crate) fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<IsolationForest, LearnError> {
        data.check("isolation", false)?;
        check_columns(data)?;
        let x = &*data.x.dense();
        if data.x.rows() < 2 {
            return Err(LearnError::Data("isolation needs at least 2 rows, found 1".to_owned()));
        }
        let sample = self.sample.min(data.x.rows());
        let trees: Result<Vec<Grower<'_>>, LearnError> = with_threads(ctx.threads, || {
            let trees = (0..self.trees as u64).into_par_iter();
            trees
                .map(|tree| {
                    ctx.check().map(|()| Grower::grow(x, sample, rng::stream(ctx.seed, "isolation", tree)))
                })
                .collect()
        });
        let (mut nodes, mut rows, mut roots) = (Vec::new(), Vec::new(), Vec::new());
        for tree in trees? {
            let root = nodes.len() as u32;
            roots.push(root);
            rows.extend(tree.rows);
            nodes.extend(tree.nodes.iter().map(|node| Node { left: node.left + root, ..*node }));
        }
        Ok(IsolationForest::new(data.x.columns(), sample, nodes, rows, roots))
    }
}

/// One tree, its nodes numbered from 0.
struct Grower<'a> {
    x: &'a Matrix,
    rng: ChaCha8Rng,
    /// Columns in the order last drawn.
    order: Vec<u32>,
    nodes: Vec<Node>,
    rows: Vec<u32>,
}

impl<'a> Grower<'a> {
    fn grow(x: &'a Matrix, sample: usize, mut rng: ChaCha8Rng) -> Self {
        let mut members = without_replacement(&mut rng, x.rows(), sample);
        let order = (0..x.columns() as u32).collect();
        let mut grower = Self { x, rng, order, nodes: vec![Node::leaf(0)], rows: vec![sample as u32] };
        let limit = sample.next_power_of_two().trailing_zeros();
        grower.split(0, &mut members, limit);
        grower
    }

    /// Splits a node of these rows at random, and its children in turn up to `limit` levels.
    fn split(&mut self, node: usize, members: &mut [u32], limit: u32) {
        if limit == 0 || members.len() < 2 {
            return;
        }
        let Some((column, low, high)) = self.draw_column(members) else { return };
        let share = unit(&mut self.rng);
        let threshold = low * (1.0 - share) + high * share;
        let threshold = if threshold < high { threshold.max(low) } else { low };
        members.sort_unstable_by_key(|&row| (self.x.row(row as usize)[column] > threshold, row));
        let lefts = members.partition_point(|&row| self.x.row(row as usize)[column] <= threshold);
        let (lefts, rights) = members.split_at_mut(lefts);
        let left = self.nodes.len();
        self.nodes[node] = Node { threshold, left: left as u32, column: column as u32 };
        for (place, side) in [(left, &*lefts), (left + 1, &*rights)] {
            self.nodes.push(Node::leaf(place as u32));
            self.rows.push(side.len() as u32);
        }
        self.split(left, lefts, limit - 1);
        self.split(left + 1, rights, limit - 1);
    }

    /// A column that is not constant in these rows, all such columns equally likely, and its range.
    fn draw_column(&mut self, members: &[u32]) -> Option<(usize, f64, f64)> {
        for rest in (1..=self.order.len()).rev() {
            self.order.swap(below(&mut self.rng, rest as u64) as usize, rest - 1);
            let column = self.order[rest - 1] as usize;
            let values = members.iter().map(|&row| self.x.row(row as usize)[column]);
            let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
            if low < high {
                return Some((column, low, high));
            }
        }
        None
    }
}

impl Node {
    fn leaf(place: u32) -> Self {
        Self { threshold: f64::INFINITY, left: place, column: 0 }
    }

    #[inline]
    fn next(self, value: f64) -> u32 {
        self.left + u32::from(value > self.threshold)
    }

    fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.threshold.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.left.to_le_bytes());
        bytes[12..].copy_from_slice(&self.column.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; 16]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3, c0, c1, c2, c3] = *bytes;
        Self {
            threshold: f64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            left: u32::from_le_bytes([l0, l1, l2, l3]),
            column: u32::from_le_bytes([c0, c1, c2, c3]),
        }
    }
}

impl IsolationForest {
    fn new(columns: usize, sample: usize, nodes: Vec<Node>, rows: Vec<u32>, roots: Vec<u32>) -> Self {
        let is_leaf = |place: usize| nodes[place].left as usize == place;
        let mut depths = vec![0u32; nodes.len()];
        for place in (0..nodes.len()).filter(|&place| !is_leaf(place)) {
            let left = nodes[place].left as usize;
            let depth = depths[place] + 1;
            depths[left..left + 2].fill(depth);
        }
        let length = |place: usize| f64::from(depths[place]) + mean_path(rows[place] as usize);
        let lengths =
            (0..nodes.len()).map(|place| if is_leaf(place) { length(place) } else { 0.0 }).collect();
        let path_columns = path_columns(&roots, columns, |place| {
            let node = nodes[place as usize];
            (node.left != place).then_some((node.column as usize, node.left))
        });
        let depth = depths.iter().max().map_or(0, |&depth| depth as usize);
        Self { columns, sample, nodes, rows, lengths, roots, depth, path_columns }
    }

    /// Mean path length to anomaly score (Liu et al. 2008, equation 2).
    fn finish(&self, lengths: f64) -> f64 {
        (-(lengths / self.roots.len() as f64) / mean_path(self.sample)).exp2()
    }

    /// Adds the path lengths of the rows from `first` on to `out`, tree by tree.
    fn score_block(&self, x: &Matrix, first: usize, out: &mut [f64]) {
        let values = &x.values()[first * self.columns..][..out.len() * self.columns];
        let mut at = [0u32; LANES];
        for &root in &self.roots {
            at.fill(root);
            for _ in 0..self.depth {
                for (at, row) in at.iter_mut().zip(values.chunks_exact(self.columns)) {
                    let node = self.nodes[*at as usize];
                    *at = node.next(row[node.column as usize]);
                }
            }
            out.iter_mut().zip(at).for_each(|(sum, at)| *sum += self.lengths[at as usize]);
        }
        out.iter_mut().for_each(|sum| *sum = self.finish(*sum));
    }

    /// What [`Model::save`] wrote.
    ///
    /// # Errors
    /// [`LearnError::File`] naming the first claim that does not hold.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, LearnError> {
        let file: IsolationFile = read(bytes)?;
        ensure((1..=COLUMNS_MAX).contains(&file.columns), || format!("{} columns", file.columns))?;
        ensure(file.sample >= 2, || format!("a sample of {} rows", file.sample))?;
        ensure(file.nodes.0.len().is_multiple_of(16) && file.rows.0.len() * 4 == file.nodes.0.len(), || {
            format!("{} bytes of nodes and {} of row counts", file.nodes.0.len(), file.rows.0.len())
        })?;
        let nodes: Vec<Node> = file.nodes.0.as_chunks().0.iter().map(Node::from_bytes).collect();
        let rows: Vec<u32> =
            file.rows.0.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
        let roots = roots(&file.trees, nodes.len())?;
        for (&root, &size) in roots.iter().zip(&file.trees) {
            let tree = root as usize..root as usize + size as usize;
            let whole = rows[tree.start] as usize == file.sample;
            ensure(whole, || format!("a tree grown on {} rows, not {}", rows[tree.start], file.sample))?;
            check_tree(&nodes, &rows, tree, file.columns)?;
        }
        Ok(Self::new(file.columns, file.sample, nodes, rows, roots))
    }
}

/// Checks that a range of nodes is one tree over existing columns whose children share their parent's rows.
fn check_tree(nodes: &[Node], rows: &[u32], tree: Range<usize>, columns: usize) -> Result<(), LearnError> {
    let mut shape = Shape::new(tree.clone());
    for place in tree {
        let node = nodes[place];
        let left = node.left as usize;
        let fits = if left == place {
            node == Node::leaf(node.left) && rows[place] > 0
        } else {
            node.threshold.is_finite()
                && (node.column as usize) < columns
                && shape.parent(place, left)
                && u64::from(rows[left]) + u64::from(rows[left + 1]) == u64::from(rows[place])
        };
        ensure(fits, || format!("node {place} is neither a leaf nor a split that exists: {node:?}"))?;
    }
    shape.finish()
}

#[derive(Serialize, Deserialize)]
struct IsolationFile {
    columns: usize,
    sample: usize,
    /// Number of nodes of each tree.
    trees: Vec<u32>,
    /// 16 little-endian bytes each: threshold `f64`, left `u32`, column `u32`.
    nodes: Bytes,
    /// Rows in each node, `u32`.
    rows: Bytes,
}

/// Explains minus the mean path length over [`mean_path`], which is the logarithm (to base 2) of the score.
impl Explained for IsolationForest {
    fn step(&self, place: u32, row: &[f64]) -> Step {
        let node = self.nodes[place as usize];
        if node.left == place {
            return Step::Leaf(-self.lengths[place as usize] / mean_path(self.sample));
        }
        let column = node.column as usize;
        let left_share = f64::from(self.rows[node.left as usize]) / f64::from(self.rows[place as usize]);
        Step::Split { column, left: node.left, left_share, goes_right: row[column] > node.threshold }
    }
}

impl Model for IsolationForest {
    fn columns(&self) -> usize {
        self.columns
    }

    fn outputs(&self) -> usize {
        1
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        let length = |&root: &u32| {
            let mut place = root;
            for _ in 0..self.depth {
                let node = self.nodes[place as usize];
                place = node.next(row[node.column as usize]);
            }
            self.lengths[place as usize]
        };
        out[0] = self.finish(self.roots.iter().map(length).fold(0.0, |sum, length| sum + length));
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        let mut out = Matrix::zeros(x.rows(), 1);
        let lines = out.values_mut();
        with_threads(threads_for(x.rows(), ctx.threads), || {
            let blocks = lines.par_chunks_mut(LANES).enumerate();
            blocks.for_each(|(block, lines)| self.score_block(x, block * LANES, lines));
        });
        out
    }

    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        (output == 0).then(|| explain(self, &self.roots, row, self.path_columns))
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        let ends = self.roots.iter().skip(1).copied().chain([self.nodes.len() as u32]);
        write(&IsolationFile {
            columns: self.columns,
            sample: self.sample,
            trees: self.roots.iter().zip(ends).map(|(root, end)| end - root).collect(),
            nodes: Bytes(self.nodes.iter().flat_map(|node| node.to_bytes()).collect()),
            rows: Bytes(self.rows.iter().flat_map(|rows| rows.to_le_bytes()).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_paths_are_those_of_binary_search_trees() {
        assert_eq!([mean_path(0), mean_path(1), mean_path(2)], [0.0, 0.0, 1.0]);
        assert!((mean_path(3) - 5.0 / 3.0).abs() < 1e-15);
        // By the recurrence: a root that is each of the i keys with equal chance, i + 1 places to end in.
        let mut total = 0.0;
        for rows in 2..400usize {
            total += 2.0 / (rows - 1) as f64;
            let exact = total - 2.0 * (rows - 1) as f64 / rows as f64;
            assert!(
                (mean_path(rows) - exact).abs() < 1e-12,
                "{rows} rows: {} is not {exact}",
                mean_path(rows)
            );
        }
        assert!((mean_path(256) - 10.2487).abs() < 1e-3);
    }

    fn plane(rows: usize) -> Matrix {
        let mut rng = rng::stream(8, "test", 0);
        let mut values: Vec<f64> =
            (0..rows * 3).map(|place| if place % 3 == 2 { 1.0 } else { unit(&mut rng) }).collect();
        values[0] = 9.0;
        Matrix::from_values(rows, 3, values)
    }

    fn fitted(x: &Matrix) -> IsolationForest {
        IsolationFit { trees: 50, sample: 64 }.fit(&Train::unlabelled(x), &Ctx::new(1, 2)).unwrap()
    }

    /// Path length by the paper's recursion.
    fn path(forest: &IsolationForest, place: usize, row: &[f64], depth: usize) -> f64 {
        let node = forest.nodes[place];
        if node.left as usize == place {
            return depth as f64 + mean_path(forest.rows[place] as usize);
        }
        let right = usize::from(row[node.column as usize] > node.threshold);
        path(forest, node.left as usize + right, row, depth + 1)
    }

    #[test]
    fn scores_follow_the_papers_formula() {
        let x = plane(500);
        let forest = fitted(&x);
        assert!(forest.depth <= 6, "the height limit is log2 of the sample");
        assert!(forest.nodes.iter().all(|node| node.column < 2), "the constant column is never split");
        let scores = forest.score(&x, &Ctx::new(0, 3));
        for row in 0..500 {
            let total: f64 =
                forest.roots.iter().map(|&root| path(&forest, root as usize, x.row(row), 0)).sum();
            let expected = (-total / 50.0 / mean_path(64)).exp2();
            assert!((scores.row(row)[0] - expected).abs() < 1e-12);
            assert!((0.0..1.0).contains(&expected));
        }
        let above = (1..500).filter(|&row| scores.row(row)[0] > scores.row(0)[0]).count();
        assert!(above < 25, "row 0 lies far outside, yet {above} rows have higher scores");
    }

    #[test]
    fn contributions_add_up_to_the_logarithm_of_the_score() {
        let x = plane(300);
        let forest = fitted(&x);
        let scores = forest.score(&x, &Ctx::new(0, 1));
        for row in 0..20 {
            let why = forest.contributions(x.row(row), 0).unwrap();
            let total = why.baseline + why.values.iter().sum::<f64>();
            assert!((total - scores.row(row)[0].log2()).abs() < 1e-12);
            assert_eq!(why.values[2], 0.0);
        }
        let why = forest.contributions(x.row(0), 0).unwrap();
        assert!(why.values[0] > why.values[1], "what is odd about row 0 is its first column");
    }
}
