//! Scores with boosted trees, by the values of the rows as they are.
//!
//! Boosted trees are few and small: a row meets fewer thresholds than encoding it would take. A tree is walked by all
//! rows of a block, eight at a time, so that the processor has independent walks to overlap.

use rayon::prelude::*;

use super::super::{threads_for, with_threads};
use super::categories::CategorySets;
use super::model::{Boosted, Node};
use crate::estimator::Model as _;
use crate::matrix::Matrix;

/// Rows that walk together.
const LANES: usize = 8;

/// Rows of a block: their values are to stay in the cache while all trees are walked.
const ROWS: usize = 64;

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
            lines
                .par_chunks_mut(ROWS * outputs)
                .enumerate()
                .for_each(|(block, lines)| self.score_block(x, block * ROWS, lines));
        });
        out
    }

    fn score_block(&self, x: &Matrix, first: usize, out: &mut [f64]) {
        let (classes, outputs) = (self.start.len(), self.outputs());
        let skipped = usize::from(classes == 1);
        out.chunks_exact_mut(outputs).for_each(|line| line[skipped..].copy_from_slice(&self.start));
        let has_sets = !self.sets.ends.is_empty();
        for (tree, &root) in self.roots.iter().enumerate() {
            let place = skipped + tree % classes;
            for (group, lines) in out.chunks_mut(LANES * outputs).enumerate() {
                let row = first + group * LANES;
                if lines.len() == LANES * outputs {
                    let rows: [&[f64]; LANES] = std::array::from_fn(|lane| x.row(row + lane));
                    let values =
                        if has_sets { self.walk::<true>(root, rows) } else { self.walk::<false>(root, rows) };
                    let lines = lines.chunks_exact_mut(outputs);
                    lines.zip(values).for_each(|(line, value)| line[place] += value);
                } else {
                    for (lane, line) in lines.chunks_exact_mut(outputs).enumerate() {
                        line[place] += leaf_value(&self.nodes, &self.sets, root, x.row(row + lane));
                    }
                }
            }
        }
        out.chunks_exact_mut(outputs).for_each(Self::link);
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
