//! Trees as one array of 8-byte nodes, the mean of whose leaves is the score; and how such a forest is fitted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::bins::{Bins, Cuts};
use super::draw::bootstrap;
use super::grow::{Grown, Growth, grow, shifted};
use super::out_of_bag::{Bag, estimate};
use super::shap::{Explained, Step, explain, path_columns};
use super::tally::{Classes, Criterion, Item, Pair, Weighted};
use super::{check_columns, with_threads};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Model, Train};
use crate::matrix::Matrix;
use crate::rng;

/// Deepest tree: far beyond what data ask for, and a bound on what a walk or an explanation can cost.
pub(crate) const DEPTH_MAX: usize = 1024;

/// A split or a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// Of a split, the left child, and the right one follows it; of a leaf, its number.
    pub(super) target: u32,
    /// Column of a split.
    pub(super) column: u16,
    /// Codes up to this, after adding [`Node::shift`], go left.
    pub(super) cut: u8,
    /// Bit 0: shift; bit 1: leaf.
    pub(super) flags: u8,
}

impl Node {
    const LEAF: u8 = 2;

    pub(super) fn leaf(number: u32) -> Self {
        Self { target: number, column: 0, cut: 255, flags: Self::LEAF }
    }

    pub(super) fn split(left: u32, column: u16, cut: u8, missing_left: bool) -> Self {
        let (flags, cut) = shifted(cut, missing_left);
        Self { target: left, column, cut, flags }
    }

    #[inline]
    pub(super) fn is_leaf(self) -> bool {
        self.flags & Self::LEAF != 0
    }

    /// 1 when missing values go left: then they wrap to the lowest code.
    #[inline]
    pub(super) fn shift(self) -> u8 {
        self.flags & 1
    }

    /// Number of the cut among those of its column.
    #[inline]
    pub(super) fn cut_index(self) -> usize {
        usize::from(self.cut - self.shift())
    }

    /// Whether a value goes right; says the same as its code would.
    #[inline]
    pub(super) fn goes_right(self, cuts: &Cuts, value: f64) -> bool {
        if value.is_nan() {
            self.shift() == 0
        } else {
            value > cuts.value(usize::from(self.column), self.cut_index())
        }
    }
}

/// A fitted classification forest (or tree: a forest of one).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Forest {
    pub(super) cuts: Cuts,
    /// Classes.
    pub(super) outputs: usize,
    /// All trees, one after the other; children come after their parents.
    pub(super) nodes: Vec<Node>,
    /// Training weight of each node.
    pub(super) covers: Vec<f32>,
    /// First node of each tree.
    pub(super) roots: Vec<u32>,
    /// The distinct leaves: the share of each class.
    pub(super) leaves: Vec<f64>,
    /// Share of each column in the decrease of impurity.
    pub(super) importances: Vec<f64>,
    /// What the fit had to say.
    pub(super) notes: Vec<String>,
    /// Columns that any split looks at.
    pub(super) used: Vec<u16>,
    /// Most different columns on one path.
    path_columns: usize,
}

/// The parts of a forest that are kept in a file.
pub(super) struct Parts {
    pub(super) cuts: Cuts,
    pub(super) outputs: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) covers: Vec<f32>,
    pub(super) roots: Vec<u32>,
    pub(super) leaves: Vec<f64>,
    pub(super) importances: Vec<f64>,
    pub(super) notes: Vec<String>,
}

impl Forest {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { cuts, outputs, nodes, covers, roots, leaves, importances, notes } = parts;
        let path_columns = path_columns(&roots, cuts.columns(), |place| {
            let node = nodes[place as usize];
            (!node.is_leaf()).then_some((usize::from(node.column), node.target))
        });
        let mut used: Vec<u16> =
            nodes.iter().filter(|node| !node.is_leaf()).map(|node| node.column).collect();
        used.sort_unstable();
        used.dedup();
        Self { cuts, outputs, nodes, covers, roots, leaves, importances, notes, used, path_columns }
    }

    /// The shares of a leaf.
    #[inline]
    pub(super) fn leaf(&self, number: u32) -> &[f64] {
        &self.leaves[number as usize * self.outputs..][..self.outputs]
    }
}

impl Model for Forest {
    fn columns(&self) -> usize {
        self.cuts.columns()
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        self.walk_row(row, out);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        self.score_blocks(x, ctx.threads)
    }

    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        (output < self.outputs)
            .then(|| explain(&Output { forest: self, output }, &self.roots, row, self.path_columns))
    }

    /// Mean decrease of impurity (Breiman 2001).
    fn importances(&self) -> Option<Vec<f64>> {
        Some(self.importances.clone())
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        self.to_bytes()
    }
}

/// One class of a forest, to be explained.
struct Output<'a> {
    forest: &'a Forest,
    output: usize,
}

impl Explained for Output<'_> {
    fn step(&self, place: u32, row: &[f64]) -> Step {
        let forest = self.forest;
        let node = forest.nodes[place as usize];
        if node.is_leaf() {
            return Step::Leaf(forest.leaf(node.target)[self.output]);
        }
        let column = usize::from(node.column);
        let [left, right] = [0, 1].map(|side| f64::from(forest.covers[node.target as usize + side]));
        let goes_right = node.goes_right(&forest.cuts, row[column]);
        Step::Split { column, left: node.target, left_share: left / (left + right), goes_right }
    }
}

/// How a forest is fitted.
#[derive(Clone, Debug)]
pub(crate) struct ForestFit {
    pub(crate) trees: usize,
    /// Rows drawn with replacement for each tree, as a share of all rows; `None`: every tree sees every row.
    pub(crate) bootstrap: Option<f64>,
    /// Whether to measure the forest on the rows that its trees did not draw.
    pub(crate) out_of_bag: bool,
    pub(crate) criterion: Criterion,
    /// Whether every class gets the same total weight.
    pub(crate) balanced: bool,
    pub(crate) growth: Growth,
}

impl ForestFit {
    /// Fits a forest; the same for any number of threads.
    pub(crate) fn fit(&self, data: &Train<'_>, ctx: &Ctx) -> Result<Forest, LearnError> {
        data.check_labelled("trees", true)?;
        check_columns(data)?;
        let x = data.x.dense();
        with_threads(ctx.threads, || {
            let bins = Bins::new(&x);
            ctx.check()?;
            let class_weights = data.class_weights(self.balanced);
            let done = AtomicU64::new(0);
            let grown: Result<Vec<(Grown, Option<Bag>)>, LearnError> = (0..self.trees as u64)
                .into_par_iter()
                .map(|tree| {
                    ctx.check()?;
                    let grown = self.grow(&bins, data, &class_weights, rng::stream(ctx.seed, "forest", tree));
                    ctx.progress(
                        "growing trees",
                        done.fetch_add(1, Ordering::Relaxed) + 1,
                        self.trees as u64,
                    );
                    Ok(grown)
                })
                .collect();
            let grown = grown?;
            let measured = self.out_of_bag.then(|| estimate(&bins, data, &grown, ctx)).transpose()?;
            let trees = grown.into_iter().map(|(tree, _)| tree).collect();
            assemble(bins.cuts, data.classes, trees, measured.into_iter().collect())
        })
    }

    /// A tree, and the rows it drew when they are to be known.
    fn grow(
        &self,
        bins: &Bins,
        data: &Train<'_>,
        class_weights: &[f64],
        mut rng: ChaCha8Rng,
    ) -> (Grown, Option<Bag>) {
        let draws = self.bootstrap.map(|share| ((share * bins.rows() as f64).round() as usize).max(1));
        let copies = draws.map(|draws| bootstrap(&mut rng, bins.rows(), draws));
        let weight = |row: usize| {
            let copies = copies.as_ref().map_or(1.0, |copies| f64::from(copies[row]));
            copies * data.weights.map_or(1.0, |weights| weights[row])
        };
        let bag = copies.as_deref().filter(|_| self.out_of_bag).map(Bag::new);
        let grown = if data.classes == 2 && are_counts((0..bins.rows()).map(weight)) {
            let tally = Pair::new([class_weights[0], class_weights[1]], self.criterion);
            let items = items(bins.rows(), weight, |row, weight| Pair::mark(data.y[row], weight as u16));
            grow(bins, tally, items, self.growth, rng)
        } else {
            let tally = Classes::new(data.classes, self.criterion);
            let items = items(bins.rows(), weight, |row, weight| {
                let class = data.y[row];
                Weighted { class, weight: weight * class_weights[class as usize] }
            });
            grow(bins, tally, items, self.growth, rng)
        };
        (grown, bag)
    }
}

/// Whether weights are whole numbers small enough for [`Pair`].
fn are_counts(mut weights: impl ExactSizeIterator<Item = f64>) -> bool {
    let rows = weights.len();
    let total = weights.try_fold(0.0, |total, weight| {
        (weight.fract() == 0.0 && weight <= f64::from(u16::MAX)).then_some(total + weight)
    });
    rows <= Pair::COPIES_MAX && total.is_some_and(|total| total <= Pair::COPIES_MAX as f64)
}

/// The rows that weigh something.
fn items<M>(rows: usize, weight: impl Fn(usize) -> f64, mark: impl Fn(usize, f64) -> M) -> Vec<Item<M>> {
    let weighted = (0..rows).map(|row| (row, weight(row))).filter(|&(_, weight)| weight > 0.0);
    weighted.map(|(row, weight)| Item { at: row as u32, mark: mark(row, weight) }).collect()
}

/// Puts grown trees into one array, with each distinct leaf kept once.
fn assemble(cuts: Cuts, outputs: usize, trees: Vec<Grown>, notes: Vec<String>) -> Result<Forest, LearnError> {
    let size: usize = trees.iter().map(|tree| tree.nodes.len()).sum();
    if u32::try_from(size).is_err() {
        return Err(LearnError::Data(format!("the trees have {size} nodes: limit their depth or number")));
    }
    let importances = mean_importances(&trees, cuts.columns());
    let (mut nodes, mut covers) = (Vec::with_capacity(size), Vec::with_capacity(size));
    let mut roots = Vec::with_capacity(trees.len());
    let mut leaves = Leaves { outputs, values: Vec::new(), numbers: HashMap::new() };
    for tree in trees {
        let first = nodes.len() as u32;
        roots.push(first);
        nodes.extend(tree.nodes.iter().map(|&node| {
            let target = if node.is_leaf() {
                leaves.number(&tree.leaves[node.target as usize * outputs..][..outputs])
            } else {
                node.target + first
            };
            Node { target, ..node }
        }));
        covers.extend(tree.covers.iter().map(|cover| cover.clamp(f32::MIN_POSITIVE, f32::MAX)));
    }
    Ok(Forest::new(Parts { cuts, outputs, nodes, covers, roots, leaves: leaves.values, importances, notes }))
}

/// The distinct leaves of a forest; most leaves of a forest grown to purity are one of a few.
struct Leaves {
    outputs: usize,
    values: Vec<f64>,
    numbers: HashMap<Vec<u64>, u32>,
}

impl Leaves {
    fn number(&mut self, shares: &[f64]) -> u32 {
        let key: Vec<u64> = shares.iter().map(|share| share.to_bits()).collect();
        let next = (self.values.len() / self.outputs) as u32;
        let number = *self.numbers.entry(key).or_insert(next);
        if number == next {
            self.values.extend_from_slice(shares);
        }
        number
    }
}

/// Each tree's importances scaled to sum 1, averaged, scaled to sum 1.
fn mean_importances(trees: &[Grown], columns: usize) -> Vec<f64> {
    let mut mean = vec![0.0; columns];
    for tree in trees {
        let total: f64 = tree.importances.iter().sum();
        if total > 0.0 {
            mean.iter_mut().zip(&tree.importances).for_each(|(mean, gain)| *mean += gain.max(0.0) / total);
        }
    }
    let total: f64 = mean.iter().sum();
    if total > 0.0 {
        mean.iter_mut().for_each(|share| *share /= total);
    }
    mean
}
