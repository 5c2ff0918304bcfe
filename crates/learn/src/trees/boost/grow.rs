//! Grows one tree leaf by leaf: the leaf whose split gains most is split next (Shi 2007, as in LightGBM).
//!
//! Of two children only the smaller one is counted; the other is what it leaves of the parent. All work on one tile of
//! columns (count, take from the parent, search both children) is one task, so that its bins stay in the cache.

use std::collections::BinaryHeap;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::super::draw::without_replacement;
use super::categories::CategorySets;
use super::codes::{Codes, TILE, Tile};
use super::histogram::{CHUNK, Cell, Lines, Mark, Scale, Scratch};
use super::model::Node;
use super::split::{self, Bounds, Rules, Search, Sides, Split};

/// Values (rows × tiles) below which a node is not worth sharing between threads.
const SHARED_FROM: usize = 16_384;

/// When a tree stops growing, and how many columns a node tries.
#[derive(Clone, Debug)]
pub(crate) struct Growth {
    /// Most leaves.
    pub(crate) max_leaves: usize,
    /// Most splits between root and leaf.
    pub(crate) max_depth: usize,
    /// Columns tried per split.
    pub(crate) columns_per_split: usize,
    pub(crate) rules: Rules,
}

/// A grown tree.
pub(super) struct Grown {
    /// Children come after their parents; a leaf has its value.
    pub(super) nodes: Vec<Node>,
    pub(super) sets: CategorySets,
    /// The leaves: node, and its rows in [`Grower::rows`].
    pub(super) leaves: Vec<(usize, std::ops::Range<usize>)>,
    /// Gain per column of the matrix.
    pub(super) gains: Vec<f64>,
}

/// Grows trees on the same rows, one after the other.
pub(super) struct Grower<'a> {
    codes: &'a Codes,
    growth: &'a Growth,
    columns: usize,
    /// Histograms kept at a time.
    histograms: usize,
    /// The rows of each leaf side by side, ascending.
    pub(super) rows: Vec<u32>,
    spare: Vec<u32>,
    /// Marks of the rows of the node being counted.
    ordered: Vec<Mark>,
    /// Their lines, when they are few.
    copy: Vec<[u8; TILE]>,
}

/// Bins of every tile.
type Histogram = Vec<Vec<Cell>>;

/// A leaf that may yet be split.
struct Leaf {
    node: usize,
    start: usize,
    end: usize,
    depth: usize,
    sum: Cell,
    bounds: Bounds,
    value: f64,
    allowed: Option<Vec<bool>>,
    histogram: Option<Histogram>,
    best: Option<Split>,
}

/// What the leaves are ordered by: gain, then the one made first.
#[derive(PartialEq)]
struct Promise {
    gain: f64,
    leaf: usize,
}

impl Eq for Promise {}

impl PartialOrd for Promise {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Promise {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.gain.total_cmp(&other.gain).then(other.leaf.cmp(&self.leaf))
    }
}

/// What a tree is grown on.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    /// By row of the matrix.
    pub(super) marks: &'a [Mark],
    pub(super) scale: Scale,
}

impl<'a> Grower<'a> {
    /// Grows trees on `codes` of a matrix of `columns` columns; histograms take about `bytes`.
    pub(super) fn new(codes: &'a Codes, growth: &'a Growth, columns: usize, bytes: u64) -> Self {
        let cells: usize = codes.tiles.iter().map(Tile::cells).sum();
        let histograms = (bytes / (size_of::<Cell>() * cells.max(1)) as u64).max(2) as usize;
        let (rows, spare, ordered, copy) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { codes, growth, columns, histograms, rows, spare, ordered, copy }
    }

    /// Grows a tree on `rows` (ascending; all rows when `None`).
    pub(super) fn grow(&mut self, rows: Option<&[u32]>, target: Target<'_>, rng: &mut ChaCha8Rng) -> Grown {
        self.rows.clear();
        match rows {
            Some(rows) => self.rows.extend_from_slice(rows),
            None => self.rows.extend(0..self.codes.rows as u32),
        }
        self.spare.resize(self.rows.len(), 0);
        let sum = target.scale.total(&self.rows, target.marks);
        let bounds = Bounds::NONE;
        let value = self.growth.rules.value(target.scale.sums(sum), bounds);
        let end = self.rows.len();
        let mut root = Leaf {
            node: 0,
            start: 0,
            end,
            depth: 0,
            sum,
            bounds,
            value,
            allowed: self.draw(rng),
            histogram: None,
            best: None,
        };
        if self.may_split(&root) {
            self.measure(&mut root, target);
        }
        self.grow_from(root, target, rng)
    }

    fn grow_from(&mut self, root: Leaf, target: Target<'_>, rng: &mut ChaCha8Rng) -> Grown {
        let mut grown = Grown {
            nodes: vec![Node::leaf(0.0)],
            sets: CategorySets::default(),
            leaves: Vec::new(),
            gains: vec![0.0; self.columns],
        };
        let mut leaves = vec![root];
        let mut queue: BinaryHeap<Promise> = promise(&leaves, 0).into_iter().collect();
        let mut kept = 1;
        while leaves.len() < self.growth.max_leaves {
            let Some(Promise { leaf, .. }) = queue.pop() else { break };
            let Some(best) = leaves[leaf].best.take() else { break };
            let is_last = leaves.len() + 1 == self.growth.max_leaves;
            let histogram = leaves[leaf].histogram.take();
            kept -= usize::from(histogram.is_some());
            let mut children = self.split(&leaves[leaf], best, &mut grown);
            if !is_last {
                children.iter_mut().for_each(|child| child.allowed = self.draw(rng));
                self.measure_both(&mut children, histogram, target);
                for child in &mut children {
                    if kept < self.histograms && child.best.is_some() {
                        kept += usize::from(child.histogram.is_some());
                    } else {
                        child.histogram = None;
                    }
                }
            }
            let [left, right] = children;
            let other = leaves.len();
            leaves[leaf] = left;
            leaves.push(right);
            queue.extend(promise(&leaves, leaf));
            queue.extend(promise(&leaves, other));
        }
        for leaf in leaves {
            grown.nodes[leaf.node] = Node::leaf(leaf.value);
            grown.leaves.push((leaf.node, leaf.start..leaf.end));
        }
        grown
    }

    /// The columns that a node may use.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Option<Vec<bool>> {
        (self.growth.columns_per_split < self.columns).then(|| {
            let mut allowed = vec![false; self.columns];
            for column in without_replacement(rng, self.columns, self.growth.columns_per_split) {
                allowed[column as usize] = true;
            }
            allowed
        })
    }

    fn may_split(&self, leaf: &Leaf) -> bool {
        let rows = (leaf.end - leaf.start) as u64;
        leaf.depth < self.growth.max_depth && rows >= 2 * self.growth.rules.min_rows
    }

    /// Counts a leaf from its rows and finds its best split.
    fn measure(&mut self, leaf: &mut Leaf, target: Target<'_>) {
        self.gather(leaf, target);
        let node = leaf.to_split();
        let (codes, rules) = (self.codes, &self.growth.rules);
        let task = |scratch: &mut Scratch, tile: usize| {
            let cells =
                scratch.count(&codes.tiles[tile], self.lines(leaf, tile), &self.ordered, target.scale);
            let best = search(codes, &codes.tiles[tile], &cells, rules, target.scale, node);
            (cells, best)
        };
        let tiles = 0..codes.tiles.len();
        let found: Vec<_> = if self.is_shared(leaf) {
            tiles.into_par_iter().map_init(Scratch::new, |scratch, tile| task(scratch, tile)).collect()
        } else {
            let mut scratch = Scratch::new();
            tiles.map(|tile| task(&mut scratch, tile)).collect()
        };
        let (histogram, bests): (Histogram, Vec<_>) = found.into_iter().unzip();
        leaf.best = best_of(bests);
        leaf.histogram = Some(histogram);
    }

    /// Finds the best splits of two children of a node with this histogram.
    fn measure_both(&mut self, children: &mut [Leaf; 2], parent: Option<Histogram>, target: Target<'_>) {
        let may_split = [&children[0], &children[1]].map(|child| self.may_split(child));
        let Some(mut parent) = parent else {
            for (child, _) in children.iter_mut().zip(may_split).filter(|(_, may_split)| *may_split) {
                self.measure(child, target);
            }
            return;
        };
        if may_split == [false; 2] {
            return;
        }
        let small = usize::from(children[1].end - children[1].start < children[0].end - children[0].start);
        self.gather(&children[small], target);
        let counted = &children[small];
        let nodes = [counted, &children[1 - small]].map(Leaf::to_split);
        let may_split = [may_split[small], may_split[1 - small]];
        let (codes, rules) = (self.codes, &self.growth.rules);
        let task = |scratch: &mut Scratch, (place, rest): (usize, &mut Vec<Cell>)| {
            let tile = &codes.tiles[place];
            let cells = scratch.count(tile, self.lines(counted, place), &self.ordered, target.scale);
            rest.iter_mut().zip(&cells).for_each(|(rest, cell)| *rest -= *cell);
            let find = |cells: &[Cell], side: usize| {
                may_split[side]
                    .then(|| search(codes, tile, cells, rules, target.scale, nodes[side]))
                    .flatten()
            };
            let bests = [find(&cells, 0), find(rest, 1)];
            (cells, bests)
        };
        let found: Vec<_> = if self.is_shared(counted) {
            let tiles = parent.par_iter_mut().enumerate();
            tiles.map_init(Scratch::new, |scratch, tile| task(scratch, tile)).collect()
        } else {
            let mut scratch = Scratch::new();
            parent.iter_mut().enumerate().map(|tile| task(&mut scratch, tile)).collect()
        };
        let (histogram, bests): (Histogram, Vec<[Option<Split>; 2]>) = found.into_iter().unzip();
        children[small].best = best_of(bests.iter().map(|bests| bests[0]));
        children[1 - small].best = best_of(bests.iter().map(|bests| bests[1]));
        children[small].histogram = Some(histogram);
        children[1 - small].histogram = Some(parent);
    }

    /// Puts the marks of a leaf's rows in order, and their lines if it is worth it.
    fn gather(&mut self, leaf: &Leaf, target: Target<'_>) {
        let rows = &self.rows[leaf.start..leaf.end];
        self.ordered.resize(rows.len(), Mark::default());
        let pick = |(marks, rows): (&mut [Mark], &[u32])| {
            marks.iter_mut().zip(rows).for_each(|(mark, &row)| *mark = target.marks[row as usize]);
        };
        self.ordered.par_chunks_mut(CHUNK).zip(rows.par_chunks(CHUNK)).for_each(pick);
        if self.is_copied(leaf) {
            self.codes.copy_out(rows, &mut self.copy);
        }
    }

    /// Whether the rows of a leaf are so far apart that a cache line has few of them in one tile, but whole rows.
    fn is_copied(&self, leaf: &Leaf) -> bool {
        (leaf.end - leaf.start) * 4 < self.codes.rows && self.codes.tiles.len() > 1
    }

    /// Whether there is enough to do for all threads.
    fn is_shared(&self, leaf: &Leaf) -> bool {
        (leaf.end - leaf.start) * self.codes.tiles.len() >= SHARED_FROM
    }

    /// The lines of a gathered leaf.
    fn lines(&self, leaf: &Leaf, tile: usize) -> Lines<'_> {
        let lines = self.codes.tiles[tile].lines();
        let rows = &self.rows[leaf.start..leaf.end];
        if self.is_copied(leaf) {
            Lines::Copied { copy: &self.copy, tile, tiles: self.codes.tiles.len() }
        } else if rows.len() == self.codes.rows {
            Lines::All(lines)
        } else {
            Lines::Of { lines, rows }
        }
    }

    /// Makes a leaf a split, and its children leaves.
    fn split(&mut self, leaf: &Leaf, best: Split, grown: &mut Grown) -> [Leaf; 2] {
        let column = &self.codes.columns[best.column];
        let lefts = self.part(leaf, best);
        let middle = leaf.start + lefts;
        let first = grown.nodes.len();
        grown.nodes[leaf.node] = match best.sides {
            Sides::Cut { low, high, missing_left } => {
                let cuts = &self.codes.cuts;
                let cut = if high > low { cuts.middle(column.index, low, high) } else { low };
                let missing_left = missing_left.unwrap_or(2 * lefts > leaf.end - leaf.start);
                Node::cut(first, column.index, cuts.value(column.index, usize::from(cut)), missing_left)
            }
            Sides::Set(slots) => {
                let categories = column.categories.iter().flat_map(|categories| categories.of_slots(slots));
                Node::set(first, column.index, grown.sets.push(categories))
            }
        };
        grown.nodes.extend([Node::leaf(0.0); 2]);
        grown.gains[column.index] += best.gain;
        let [mut below, mut above] = [leaf.bounds; 2];
        let middle_value = f64::midpoint(best.values[0], best.values[1]);
        match self.growth.rules.monotone.get(column.index) {
            Some(1) => (below.high, above.low) = (middle_value, middle_value),
            Some(-1) => (below.low, above.high) = (middle_value, middle_value),
            _ => {}
        }
        let child = |node, start, end, sum, bounds, value| Leaf {
            node,
            start,
            end,
            depth: leaf.depth + 1,
            sum,
            bounds,
            value,
            allowed: None,
            histogram: None,
            best: None,
        };
        [
            child(first, leaf.start, middle, best.left, below, best.values[0]),
            child(first + 1, middle, leaf.end, leaf.sum - best.left, above, best.values[1]),
        ]
    }

    /// Moves the rows that go left before the others, both in their old order; how many go left.
    fn part(&mut self, leaf: &Leaf, best: Split) -> usize {
        let column = &self.codes.columns[best.column];
        let goes_left = |code: usize| {
            let slot = column.slot(code as u8);
            match best.sides {
                Sides::Cut { missing_left, .. } if column.missing && slot == column.values => {
                    missing_left == Some(true)
                }
                Sides::Cut { low, .. } => slot <= usize::from(low),
                Sides::Set(slots) => slot < column.values && slots.has(slot),
            }
        };
        let table: [bool; 256] = std::array::from_fn(goes_left);
        let (lines, lane) = (self.codes.tiles[column.place.tile].lines(), column.place.lane);
        let rows = &mut self.rows[leaf.start..leaf.end];
        let spare = &mut self.spare[..rows.len()];
        let chunks = rows.par_chunks_mut(CHUNK).zip(spare.par_chunks_mut(CHUNK));
        let lefts: Vec<usize> =
            chunks.map(|(rows, spare)| part_chunk(rows, spare, lines, lane, &table)).collect();
        let mut to = 0;
        for (chunk, &lefts) in lefts.iter().enumerate() {
            rows.copy_within(chunk * CHUNK..chunk * CHUNK + lefts, to);
            to += lefts;
        }
        let all = to;
        for (chunk, &lefts) in lefts.iter().enumerate() {
            let rights = CHUNK.min(rows.len() - chunk * CHUNK) - lefts;
            rows[to..to + rights].copy_from_slice(&spare[chunk * CHUNK..][..rights]);
            to += rights;
        }
        all
    }
}

impl Leaf {
    fn to_split(&self) -> split::Node<'_> {
        split::Node {
            sum: self.sum,
            bounds: self.bounds,
            value: self.value,
            allowed: self.allowed.as_deref(),
        }
    }
}

fn promise(leaves: &[Leaf], leaf: usize) -> Option<Promise> {
    leaves[leaf].best.map(|best| Promise { gain: best.gain, leaf })
}

/// Moves the left rows of a chunk to its start and the others to the start of `spare`; how many are left.
fn part_chunk(
    rows: &mut [u32],
    spare: &mut [u32],
    lines: &[[u8; TILE]],
    lane: usize,
    table: &[bool; 256],
) -> usize {
    let (mut lefts, mut rights) = (0, 0);
    for index in 0..rows.len() {
        let row = rows[index];
        let left = table[usize::from(lines[row as usize][lane % TILE])];
        rows[lefts] = row;
        spare[rights] = row;
        lefts += usize::from(left);
        rights += usize::from(!left);
    }
    lefts
}

/// The best split over the columns of a tile.
fn search(
    codes: &Codes,
    tile: &Tile,
    cells: &[Cell],
    rules: &Rules,
    scale: Scale,
    node: split::Node<'_>,
) -> Option<Split> {
    let mut search = Search::new(rules, scale, node);
    let mut room = Vec::new();
    for place in tile.columns.clone() {
        let column = &codes.columns[place];
        let lane = column.place.lane;
        search.column(place, column, &cells[tile.start(lane)..tile.start(lane + 1)], &mut room);
    }
    search.best
}

/// The split that gains most; of equals the first.
fn best_of(splits: impl IntoIterator<Item = Option<Split>>) -> Option<Split> {
    splits.into_iter().flatten().reduce(|best, split| if split.gain > best.gain { split } else { best })
}
