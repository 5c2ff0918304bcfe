//! Grows one tree on binned rows: depth first, or best first when the number of leaves is limited.
//!
//! Large nodes read codes column by column. A node whose codes fit the first-level cache copies them out, row by
//! row, and its whole subtree is grown on the copy: in a forest grown to purity most of the time goes to such nodes.
//! Best first, the leaf whose split takes most off the impurity of the tree is split next, as in scikit-learn; the
//! nodes then come in no order that a copy, or what is known of constant columns, could follow.

use std::collections::BinaryHeap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::bins::{Bins, MISSING};
use super::draw::ColumnDraw;
use super::forest::Node;
use super::prune::{Worth, prune};
use super::tally::{Best, Column, Item, Tally};

/// Bytes of codes a node may have to be grown on a copy.
const COPY_BYTES: usize = 32 * 1024;

/// When a tree stops growing, and how many columns it tries per split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    /// Deepest level with a split, the root being level 1; 0 gives a single leaf.
    pub(crate) max_depth: usize,
    /// Most leaves.
    pub(crate) max_leaves: usize,
    /// Fewest rows of a node that is split.
    pub(crate) min_split: usize,
    /// Fewest rows of a leaf.
    pub(crate) min_leaf: usize,
    /// Columns drawn per split.
    pub(crate) columns_per_split: usize,
    /// Whether each drawn column is cut once, at random, rather than where that is best.
    pub(crate) random_cuts: bool,
    /// What a leaf costs when the grown tree is pruned, as a share of the tree's weight ([`prune`]).
    pub(crate) ccp_alpha: f64,
}

/// A grown tree; its leaves are numbered in [`Node::target`].
pub(super) struct Grown {
    pub(super) nodes: Vec<Node>,
    /// Training weight per node.
    pub(super) covers: Vec<f32>,
    /// Share of each class, leaf after leaf.
    pub(super) leaves: Vec<f64>,
    /// Decrease of impurity × weight per column.
    pub(super) importances: Vec<f64>,
}

/// Grows a tree on `items` (rows of `bins`, ascending).
pub(super) fn grow<T: Tally>(
    bins: &Bins,
    tally: T,
    items: Vec<Item<T::Mark>>,
    growth: Growth,
    rng: ChaCha8Rng,
) -> Grown {
    let spare = items.clone();
    let draw = ColumnDraw::new(bins.columns(), growth.columns_per_split);
    let importances = vec![0.0; bins.columns()];
    let grown = Grown { nodes: vec![Node::leaf(0)], covers: vec![0.0], leaves: Vec::new(), importances };
    let mut grower = Grower {
        bins,
        tally,
        items,
        spare,
        growth,
        draw,
        cut_rng: rng.clone(),
        rng,
        copy: Vec::new(),
        grown,
        leaves: 0,
        worths: Vec::new(),
    };
    if growth.max_leaves < grower.items.len() {
        grower.run_best_first();
    } else {
        grower.run();
    }
    if growth.ccp_alpha > 0.0 { prune(&grower.grown, &grower.worths, growth.ccp_alpha) } else { grower.grown }
}

struct Grower<'a, T: Tally> {
    bins: &'a Bins,
    tally: T,
    /// The rows of each node side by side.
    items: Vec<Item<T::Mark>>,
    /// Room to part them.
    spare: Vec<Item<T::Mark>>,
    growth: Growth,
    draw: ColumnDraw,
    rng: ChaCha8Rng,
    /// Draws random cuts; apart from `rng`, which is busy drawing columns.
    cut_rng: ChaCha8Rng,
    /// Codes of the small subtree being grown, row by row.
    copy: Vec<u8>,
    grown: Grown,
    leaves: u32,
    /// By node, when the tree is to be pruned.
    worths: Vec<Worth>,
}

/// A node waiting to be split: rows `start..end` of the items.
struct Task<S> {
    node: usize,
    start: usize,
    end: usize,
    depth: usize,
    /// Columns known to be constant.
    constants: usize,
    /// Whether the items point into the copy.
    copied: bool,
    sum: S,
}

/// A leaf that can be split, ordered by what the split takes off the impurity, then by age.
struct Candidate<S> {
    gain: f64,
    task: Task<S>,
    best: Best,
}

impl<S> PartialEq for Candidate<S> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<S> Eq for Candidate<S> {}

impl<S> PartialOrd for Candidate<S> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<S> Ord for Candidate<S> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.gain.total_cmp(&other.gain).then(other.task.node.cmp(&self.task.node))
    }
}

impl<T: Tally> Grower<'_, T> {
    fn root(&self) -> Task<T::Sum> {
        let sum = self.tally.sum(&self.items);
        Task { node: 0, start: 0, end: self.items.len(), depth: 0, constants: 0, copied: false, sum }
    }

    fn run(&mut self) {
        let mut stack = vec![self.root()];
        while let Some(mut task) = stack.pop() {
            self.note(&task);
            if self.ends(&task) {
                self.close(&task);
                continue;
            }
            if !task.copied && (task.end - task.start) * self.bins.columns() <= COPY_BYTES {
                self.copy_out(task.start, task.end);
                task.copied = true;
            }
            match self.search(&mut task) {
                Some(best) => {
                    let [left, right] = self.split(&task, best);
                    stack.push(right);
                    stack.push(left);
                }
                None => self.close(&task),
            }
        }
    }

    fn run_best_first(&mut self) {
        let mut open: BinaryHeap<Candidate<T::Sum>> = self.candidate(self.root()).into_iter().collect();
        let mut leaves = 1;
        while leaves < self.growth.max_leaves {
            let Some(Candidate { task, best, .. }) = open.pop() else { break };
            for child in self.split(&task, best) {
                open.extend(self.candidate(child));
            }
            leaves += 1;
        }
        open.into_sorted_vec().iter().for_each(|candidate| self.close(&candidate.task));
    }

    /// The best split of a node, or `None` when the node stays a leaf.
    fn candidate(&mut self, mut task: Task<T::Sum>) -> Option<Candidate<T::Sum>> {
        self.note(&task);
        task.constants = 0;
        let best = if self.ends(&task) { None } else { self.search(&mut task) };
        let Some(best) = best else {
            self.close(&task);
            return None;
        };
        Some(Candidate { gain: self.tally.impurity(&task.sum) + best.score, task, best })
    }

    /// Keeps what is to be known of a node whether it is split or not.
    fn note(&mut self, task: &Task<T::Sum>) {
        self.grown.covers[task.node] = self.tally.weight(&task.sum) as f32;
        if self.growth.ccp_alpha > 0.0 {
            let mut shares = Vec::new();
            self.tally.shares(&task.sum, &mut shares);
            let worth = Worth {
                weight: self.tally.weight(&task.sum),
                impurity: self.tally.impurity(&task.sum),
                shares,
            };
            self.worths.resize_with(self.grown.nodes.len(), Worth::default);
            self.worths[task.node] = worth;
        }
    }

    fn ends(&self, task: &Task<T::Sum>) -> bool {
        let rows = task.end - task.start;
        task.depth >= self.growth.max_depth
            || rows < self.growth.min_split
            || rows < 2 * self.growth.min_leaf
            || self.tally.is_pure(&task.sum)
    }

    fn close(&mut self, task: &Task<T::Sum>) {
        self.grown.nodes[task.node] = Node::leaf(self.leaves);
        self.tally.shares(&task.sum, &mut self.grown.leaves);
        self.leaves += 1;
    }

    fn copy_out(&mut self, start: usize, end: usize) {
        self.copy.clear();
        for item in &mut self.items[start..end] {
            let row = item.at as usize;
            item.at = self.copy.len() as u32;
            self.copy.extend_from_slice(self.bins.row(row));
        }
    }

    /// The best cut over the drawn columns; notes the columns found to be constant.
    fn search(&mut self, task: &mut Task<T::Sum>) -> Option<Best> {
        self.tally.start(&task.sum);
        let mut best = None;
        let mut draw = self.draw.node(&mut self.rng, task.constants);
        let items = &self.items[task.start..task.end];
        while let Some(index) = draw.next() {
            let codes = codes(self.bins, &self.copy, task.copied, index);
            let column = Column { index, codes, is_binary: self.bins.is_binary(index) };
            let varies = if self.growth.random_cuts {
                let random = RandomCut { bins: self.bins, tally: &self.tally, spare: &mut self.spare };
                random.search(column, items, &mut self.cut_rng, self.growth.min_leaf, &mut best)
            } else {
                self.tally.search(column, items, &task.sum, self.growth.min_leaf, &mut best)
            };
            if varies {
                draw.varies();
            } else {
                draw.constant();
            }
        }
        task.constants = draw.finish();
        best
    }

    fn split(&mut self, task: &Task<T::Sum>, best: Best) -> [Task<T::Sum>; 2] {
        let cut =
            if best.high > best.low { self.bins.middle(best.column, best.low, best.high) } else { best.low };
        let codes = codes(self.bins, &self.copy, task.copied, best.column);
        let items = &mut self.items[task.start..task.end];
        let lefts = part(items, &mut self.spare, codes, cut, best.missing_left == Some(true));
        let missing_left = best.missing_left.unwrap_or(2 * lefts > items.len());
        let middle = task.start + lefts;
        let first = self.grown.nodes.len();
        self.grown.nodes[task.node] = Node::split(first as u32, best.column as u16, cut, missing_left);
        self.grown.nodes.extend([Node::leaf(0); 2]);
        self.grown.covers.extend([0.0; 2]);
        let child = |node, start, end| Task {
            node,
            start,
            end,
            depth: task.depth + 1,
            constants: task.constants,
            copied: task.copied,
            sum: self.tally.sum(&self.items[start..end]),
        };
        let children = [child(first, task.start, middle), child(first + 1, middle, task.end)];
        let [left, right] = [&children[0], &children[1]].map(|child| self.tally.impurity(&child.sum));
        self.grown.importances[best.column] += self.tally.impurity(&task.sum) - left - right;
        children
    }
}

/// One cut of a column, drawn at random (Geurts, Ernst & Wehenkel 2006, "Pick a random split").
struct RandomCut<'a, T: Tally> {
    bins: &'a Bins,
    tally: &'a T,
    /// Room for the rows of both sides.
    spare: &'a mut [Item<T::Mark>],
}

impl<T: Tally> RandomCut<'_, T> {
    /// Draws uniformly between the lowest and the highest value, tries missing values on either side, and keeps the
    /// better in `best` when it beats that. Whether the column varies.
    fn search(
        mut self,
        column: Column<'_>,
        items: &[Item<T::Mark>],
        rng: &mut ChaCha8Rng,
        leaf_rows: usize,
        best: &mut Option<Best>,
    ) -> bool {
        let codes = || items.iter().map(|item| column.codes[item.at as usize]);
        let (mut low, mut high, mut missing) = (MISSING, 0, false);
        for code in codes() {
            if code == MISSING {
                missing = true;
            } else {
                (low, high) = (low.min(code), high.max(code));
            }
        }
        if low > high || (low == high && !missing) {
            return false;
        }
        let cut =
            if low == high { high } else { self.bins.random_cut(column.index, low, high, rng.random()) };
        for missing_left in [false, true].into_iter().take(if missing && low < high { 2 } else { 1 }) {
            let (lefts, score) = self.part(items, column.codes, cut, missing_left);
            let enough = lefts.min(items.len() - lefts) >= leaf_rows.max(1);
            if enough && best.is_none_or(|best| score > best.score) {
                let missing_left = missing.then_some(missing_left);
                *best = Some(Best { score, column: column.index, low: cut, high: cut, missing_left });
            }
        }
        true
    }

    /// How many rows go left, and minus the weighted impurity of both sides.
    fn part(&mut self, items: &[Item<T::Mark>], codes: &[u8], cut: u8, missing_left: bool) -> (usize, f64) {
        let (shift, cut) = shifted(cut, missing_left);
        let (mut lefts, mut rights) = (0, items.len());
        for &item in items {
            if codes[item.at as usize].wrapping_add(shift) <= cut {
                self.spare[lefts] = item;
                lefts += 1;
            } else {
                rights -= 1;
                self.spare[rights] = item;
            }
        }
        let sides = [&self.spare[..lefts], &self.spare[lefts..items.len()]];
        let [left, right] = sides.map(|side| self.tally.impurity(&self.tally.sum(side)));
        (lefts, -(left + right))
    }
}

/// The codes of a column, to be indexed by [`Item::at`].
fn codes<'a>(bins: &'a Bins, copy: &'a [u8], copied: bool, column: usize) -> &'a [u8] {
    if copied { &copy[column..] } else { &bins.by_column()[column * bins.rows()..][..bins.rows()] }
}

/// Moves the rows of the left side before those of the right side, both in their old order; how many are left.
fn part<M: Copy>(
    items: &mut [Item<M>],
    spare: &mut [Item<M>],
    codes: &[u8],
    cut: u8,
    missing_left: bool,
) -> usize {
    let (shift, cut) = shifted(cut, missing_left);
    let (mut lefts, mut rights) = (0, 0);
    for index in 0..items.len() {
        let item = items[index];
        let left = codes[item.at as usize].wrapping_add(shift) <= cut;
        items[lefts] = item;
        spare[rights] = item;
        lefts += usize::from(left);
        rights += usize::from(!left);
    }
    items[lefts..].copy_from_slice(&spare[..rights]);
    lefts
}

/// What to add to codes and cut so that one comparison also sends missing values ([`MISSING`], the highest code) left.
pub(super) fn shifted(cut: u8, missing_left: bool) -> (u8, u8) {
    debug_assert!(cut < MISSING);
    (u8::from(missing_left), cut + u8::from(missing_left))
}
