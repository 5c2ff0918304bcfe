//! Scores with a forest: one row by its values, many rows in blocks by their codes.
//!
//! A block of rows is encoded once; then each tree is walked by all rows of the block together, level by level, so
//! that the processor has independent walks to overlap and a tree is read from memory once per block.

use rayon::prelude::*;

use super::forest::{Forest, Node};
use super::{threads_for, with_threads};
use crate::matrix::Matrix;

/// Trees from which on it pays to encode a row before it walks them.
const TREES_WORTH_CODES: usize = 8;

/// Columns whose codes fit on the stack, so that scoring a row allocates nothing.
const COLUMNS_ON_STACK: usize = 1024;

/// Rows that walk a tree together, or trees that a row walks together.
const LANES: usize = 8;

/// Rows of a block.
const ROWS: usize = LANES * GROUPS;

/// Groups of [`LANES`] rows in a block: a tree is read from memory once for all of them.
const GROUPS: usize = 32;

impl Forest {
    /// Mean of the leaves a row falls into.
    pub(super) fn walk_row(&self, row: &[f64], out: &mut [f64]) {
        if self.roots.len() < TREES_WORTH_CODES || self.cuts.columns() > COLUMNS_ON_STACK {
            return self.walk_values(row, out);
        }
        let mut codes = [0u8; COLUMNS_ON_STACK];
        for column in self.used.iter().map(|&column| usize::from(column)) {
            codes[column] = self.cuts.code(column, row[column]);
        }
        out.fill(0.0);
        let trees = self.roots.chunks_exact(LANES);
        let rest = trees.remainder();
        for roots in trees {
            let mut at = [0u32; LANES];
            at.copy_from_slice(roots);
            for leaf in walk_trees(&self.nodes, at, &codes) {
                self.add(leaf, out);
            }
        }
        for &root in rest {
            let [leaf] = walk_trees(&self.nodes, [root], &codes);
            self.add(leaf, out);
        }
        self.finish(out);
    }

    fn add(&self, leaf: u32, out: &mut [f64]) {
        out.iter_mut().zip(self.leaf(leaf)).for_each(|(out, share)| *out += share);
    }

    /// The same by the row's own values: quicker where a row meets few splits.
    fn walk_values(&self, row: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for &root in &self.roots {
            let mut node = self.nodes[root as usize];
            while !node.is_leaf() {
                let right = node.goes_right(&self.cuts, row[usize::from(node.column)]);
                node = self.nodes[node.target as usize + usize::from(right)];
            }
            self.add(node.target, out);
        }
        self.finish(out);
    }

    /// Scores all rows; each gets the very numbers of [`Self::walk_row`].
    pub(super) fn score_blocks(&self, x: &Matrix, threads: usize) -> Matrix {
        let mut out = Matrix::zeros(x.rows(), self.outputs);
        if self.roots.len() < TREES_WORTH_CODES {
            with_threads(threads_for(x.rows(), threads), || {
                out.values_mut().par_chunks_mut(ROWS * self.outputs).enumerate().for_each(
                    |(block, lines)| {
                        for (row, line) in lines.chunks_exact_mut(self.outputs).enumerate() {
                            self.walk_values(x.row(block * ROWS + row), line);
                        }
                    },
                );
            });
            return out;
        }
        let lines = out.values_mut();
        with_threads(threads_for(x.rows(), threads), || {
            lines.par_chunks_mut(ROWS * self.outputs).enumerate().for_each_init(
                || Block::new(self.cuts.columns()),
                |block, (index, lines)| block.score(self, x, index * ROWS, lines),
            );
        });
        out
    }

    fn finish(&self, sums: &mut [f64]) {
        let trees = self.roots.len() as f64;
        sums.iter_mut().for_each(|sum| *sum /= trees);
    }
}

/// Room to score a block of rows.
struct Block {
    /// Group after group, column after column: the codes of the group's rows.
    codes: Vec<[u8; LANES]>,
}

impl Block {
    fn new(columns: usize) -> Self {
        Self { codes: vec![[0; LANES]; columns * GROUPS] }
    }

    /// Scores the rows from `first` on into `out`.
    fn score(&mut self, forest: &Forest, x: &Matrix, first: usize, out: &mut [f64]) {
        let columns = forest.cuts.columns();
        for row in 0..out.len() / forest.outputs {
            let group = &mut self.codes[row / LANES * columns..][..columns];
            let values = x.row(first + row);
            for column in forest.used.iter().map(|&column| usize::from(column)) {
                group[column][row % LANES] = forest.cuts.code(column, values[column]);
            }
        }
        for &root in &forest.roots {
            let groups = out.chunks_mut(LANES * forest.outputs).zip(self.codes.chunks_exact(columns));
            for (lines, codes) in groups {
                let reached = walk(&forest.nodes, root, codes);
                for (line, leaf) in lines.chunks_exact_mut(forest.outputs).zip(reached) {
                    line.iter_mut().zip(forest.leaf(leaf)).for_each(|(sum, share)| *sum += share);
                }
            }
        }
        out.chunks_exact_mut(forest.outputs).for_each(|line| forest.finish(line));
    }
}

/// The leaves that the rows of a group reach from `root`; a row that is there waits for the others.
#[inline]
fn walk(nodes: &[Node], root: u32, codes: &[[u8; LANES]]) -> [u32; LANES] {
    let mut at = [root; LANES];
    loop {
        let mut walking = false;
        for (lane, at) in at.iter_mut().enumerate() {
            let node = nodes[*at as usize];
            let right = codes[usize::from(node.column)][lane].wrapping_add(node.shift()) > node.cut;
            let next = node.target + u32::from(right);
            *at = if node.is_leaf() { *at } else { next };
            walking |= !node.is_leaf();
        }
        if !walking {
            return at.map(|at| nodes[at as usize].target);
        }
    }
}

/// The leaves that a row of these codes reaches in several trees; in a tree where it is there it waits for the others.
#[inline]
pub(super) fn walk_trees<const TREES: usize>(
    nodes: &[Node],
    mut at: [u32; TREES],
    codes: &[u8],
) -> [u32; TREES] {
    loop {
        let mut walking = false;
        for at in &mut at {
            let node = nodes[*at as usize];
            let right = codes[usize::from(node.column)].wrapping_add(node.shift()) > node.cut;
            *at = if node.is_leaf() { *at } else { node.target + u32::from(right) };
            walking |= !node.is_leaf();
        }
        if !walking {
            return at.map(|at| nodes[at as usize].target);
        }
    }
}
