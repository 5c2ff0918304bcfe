//! Scores with boosted trees, by the values of the rows as they are.
//!
//! Boosted trees are few and small: a row meets fewer thresholds than encoding it would take. One row walks the trees.
//! Of many rows, blocks are taken through one tree after the other: through a small one by [`ruled`](super::ruled), through
//! any other by walks side by side, so that the processor has independent ones to overlap.

use std::ops::Range;

use rayon::prelude::*;

use super::super::{threads_for, with_threads};
use super::categories::CategorySets;
use super::model::{Boosted, Node};
use super::ruled::LANES;
use crate::estimator::Model as _;
use crate::matrix::Matrix;

/// Groups of rows in a block: their values are to stay in the cache while all trees are asked.
const GROUPS: usize = 4;

/// Rows of a block.
const ROWS: usize = GROUPS * LANES;

/// The value of the leaf that a row falls into.
#[inline]
pub(super) fn leaf_value(nodes: &[Node], sets: &CategorySets, root: u32, row: &[f64]) -> f64 {
    let mut node = nodes[root as usize];
    while !node.is_leaf() {
        let right = node.goes_right(sets, row[usize::from(node.column)]);
        node = nodes[node.target as usize + usize::from(right)];
    }
    node.value
}

impl Boosted {
    /// Scores one row.
    pub(super) fn walk_row(&self, row: &[f64], out: &mut [f64]) {
        let outputs = self.start.len();
        let margins = &mut out[usize::from(outputs == 1)..];
        margins.copy_from_slice(&self.start);
        for (tree, &root) in self.roots.iter().enumerate() {
            margins[tree % outputs] += leaf_value(&self.nodes, &self.sets, root, row);
        }
        Self::link(out);
    }

    /// Scores all rows; each gets the very numbers of [`Self::walk_row`].
    pub(super) fn score_blocks(&self, x: &Matrix, threads: usize) -> Matrix {
        let outputs = self.outputs();
        let mut out = Matrix::zeros(x.rows(), outputs);
        let lines = out.values_mut();
        with_threads(threads_for(x.rows(), threads), || {
            lines.par_chunks_mut(ROWS * outputs).enumerate().for_each_init(
                || Block::new(self),
                |block, (index, lines)| block.score(x, index * ROWS, lines),
            );
        });
        out
    }
}

/// Room to score a block of rows.
struct Block<'a> {
    model: &'a Boosted,
    /// Group after group, what [`Ruled`](super::ruled::Ruled) looks at.
    values: Vec<[f64; LANES]>,
    /// Class after class, group after group.
    margins: Vec<[f64; LANES]>,
}

impl<'a> Block<'a> {
    fn new(model: &'a Boosted) -> Self {
        let values = vec![[0.0; LANES]; GROUPS * model.ruled.width()];
        Self { model, values, margins: vec![[0.0; LANES]; GROUPS * model.start.len()] }
    }

    /// Scores the rows from `first` on into `out`.
    fn score(&mut self, x: &Matrix, first: usize, out: &mut [f64]) {
        let Boosted { ruled, start, .. } = self.model;
        let outputs = self.model.outputs();
        let rows = out.len() / outputs;
        let groups = rows.div_ceil(LANES);
        for row in 0..rows {
            let group = &mut self.values[row / LANES * ruled.width()..][..ruled.width()];
            ruled.load(x.row(first + row), row % LANES, group);
        }
        for (margins, &start) in self.margins.chunks_exact_mut(GROUPS).zip(start) {
            margins.fill([start; LANES]);
        }
        for tree in 0..self.model.roots.len() {
            let class = tree % start.len();
            let margins = &mut self.margins[class * GROUPS..][..groups];
            if ruled.has(tree) {
                ruled.add_to(tree, &self.values, margins);
            } else {
                self.model.walk_groups(self.model.roots[tree], x, first..first + rows, margins);
            }
        }
        let skipped = usize::from(start.len() == 1);
        for (row, line) in out.chunks_exact_mut(outputs).enumerate() {
            for (margin, margins) in line[skipped..].iter_mut().zip(self.margins.chunks_exact(GROUPS)) {
                *margin = margins[row / LANES][row % LANES];
            }
            Boosted::link(line);
        }
    }
}

impl Boosted {
    /// Adds the values of the leaves that some rows fall into.
    fn walk_groups(&self, root: u32, x: &Matrix, rows: Range<usize>, margins: &mut [[f64; LANES]]) {
        let has_sets = !self.sets.ends.is_empty();
        for (group, margins) in margins.iter_mut().enumerate() {
            let row = |lane: usize| x.row((rows.start + group * LANES + lane).min(rows.end - 1));
            let lines: [&[f64]; LANES] = std::array::from_fn(row);
            let values =
                if has_sets { self.walk::<true>(root, lines) } else { self.walk::<false>(root, lines) };
            margins.iter_mut().zip(values).for_each(|(margin, value)| *margin += value);
        }
    }

    /// The values of the leaves that rows reach; a row that is there waits for the others. `SETS`: whether there can be
    /// splits by sets.
    #[inline]
    fn walk<const SETS: bool>(&self, root: u32, rows: [&[f64]; LANES]) -> [f64; LANES] {
        let mut at = [root; LANES];
        loop {
            let mut walking = false;
            for (at, row) in at.iter_mut().zip(rows) {
                let node = self.nodes[*at as usize];
                let value = row[usize::from(node.column)];
                let right = if SETS { node.goes_right(&self.sets, value) } else { node.is_below(value) };
                let next = node.target + u32::from(right);
                *at = if node.is_leaf() { *at } else { next };
                walking |= !node.is_leaf();
            }
            if !walking {
                return at.map(|at| self.nodes[at as usize].value);
            }
        }
    }
}
