//! Scores with a forest: one row by its values, many rows in blocks by their codes.
//!
//! A block of rows is encoded once; then each tree is walked by all rows of the block together, level by level, so
//! that the processor has independent walks to overlap and a tree is read from memory once per block.

use rayon::prelude::*;

use super::forest::{Forest, Node};
use super::{threads_for, with_threads};
use crate::matrix::Matrix;

/// Rows of a block.
const LANES: usize = 128;

impl Forest {
    /// Mean of the leaves a row falls into.
    pub(super) fn walk_row(&self, row: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for &root in &self.roots {
            let mut node = self.nodes[root as usize];
            while !node.is_leaf() {
                let right = node.goes_right(&self.cuts, row[usize::from(node.column)]);
                node = self.nodes[node.target as usize + usize::from(right)];
            }
            out.iter_mut().zip(self.leaf(node.target)).for_each(|(out, share)| *out += share);
        }
        self.finish(out);
    }

    /// Scores all rows; each gets the very numbers of [`Self::walk_row`].
    pub(super) fn score_blocks(&self, x: &Matrix, threads: usize) -> Matrix {
        let mut out = Matrix::zeros(x.rows(), self.outputs);
        let used = self.used_columns();
        let lines = out.values_mut();
        with_threads(threads_for(x.rows(), threads), || {
            lines.par_chunks_mut(LANES * self.outputs).enumerate().for_each_init(
                || Block::new(self.cuts.columns()),
                |block, (index, lines)| block.score(self, &used, x, index * LANES, lines),
            );
        });
        out
    }

    fn finish(&self, sums: &mut [f64]) {
        let trees = self.roots.len() as f64;
        sums.iter_mut().for_each(|sum| *sum /= trees);
    }

    fn used_columns(&self) -> Vec<usize> {
        let mut used = vec![false; self.cuts.columns()];
        for node in self.nodes.iter().filter(|node| !node.is_leaf()) {
            used[usize::from(node.column)] = true;
        }
        (0..used.len()).filter(|&column| used[column]).collect()
    }
}

/// Room to score a block of rows.
struct Block {
    /// Column after column, [`LANES`] codes each.
    codes: Vec<u8>,
    /// Node each row is at.
    at: [u32; LANES],
    /// The rows still walking.
    walking: [u8; LANES],
}

impl Block {
    fn new(columns: usize) -> Self {
        Self { codes: vec![0; columns * LANES], at: [0; LANES], walking: [0; LANES] }
    }

    /// Scores the rows from `first` on into `out`.
    fn score(&mut self, forest: &Forest, used: &[usize], x: &Matrix, first: usize, out: &mut [f64]) {
        let rows = out.len() / forest.outputs;
        for lane in 0..rows {
            let row = x.row(first + lane);
            for &column in used {
                self.codes[column * LANES + lane] = forest.cuts.code(column, row[column]);
            }
        }
        for &root in &forest.roots {
            self.walk(&forest.nodes, root, rows);
            for (line, &node) in out.chunks_exact_mut(forest.outputs).zip(&self.at) {
                let leaf = forest.leaf(forest.nodes[node as usize].target);
                line.iter_mut().zip(leaf).for_each(|(sum, share)| *sum += share);
            }
        }
        out.chunks_exact_mut(forest.outputs).for_each(|line| forest.finish(line));
    }

    /// Walks every row from `root` to its leaf.
    fn walk(&mut self, nodes: &[Node], root: u32, rows: usize) {
        self.at.fill(root);
        (0u8..).zip(&mut self.walking).for_each(|(lane, slot)| *slot = lane);
        let mut walking = if nodes[root as usize].is_leaf() { 0 } else { rows };
        while walking > 0 {
            let mut still = 0;
            for index in 0..walking {
                let lane = self.walking[index];
                let slot = &mut self.at[usize::from(lane)];
                let node = nodes[*slot as usize];
                let code = self.codes[usize::from(node.column) * LANES + usize::from(lane)];
                let right = code.wrapping_add(node.shift()) > node.cut;
                let leaf = node.is_leaf();
                *slot = if leaf { *slot } else { node.target + u32::from(right) };
                self.walking[still] = lane;
                still += usize::from(!leaf);
            }
            walking = still;
        }
    }
}
