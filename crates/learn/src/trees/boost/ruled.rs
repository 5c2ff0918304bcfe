//! Small trees as the leaves that their cuts rule out, to score blocks of rows without a walk.
//!
//! The leaves of a tree are numbered from left to right, a bit each. A cut that sends a row to the right rules out the
//! leaves on its left, whether or not the row ever comes to it; when all cuts of the tree have been asked, the first leaf
//! that is left is the one the row falls into (QuickScorer: Lucchese et al. 2015). No question waits for the answer to
//! another, and one cut is asked of many rows at once (V-QuickScorer: Lucchese et al. 2016).

use std::ops::Range;

use super::model::Node;

/// Rows that are asked together.
pub(super) const LANES: usize = 16;

/// Most leaves of a tree that is kept in this form: beyond, asking every cut costs more than to walk past a few.
const LEAVES_MAX: usize = 64;

/// A cut and what it rules out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    threshold: f64,
    /// A bit for each leaf on its left.
    lefts: u64,
    /// Place of its column among [`Ruled::columns`].
    slot: u32,
}

/// One tree: its cuts among all cuts, those with missing values on the right apart, and its leaves among all leaves.
#[derive(Clone, Debug, PartialEq)]
struct Tree {
    missing_right: Range<usize>,
    missing_left: Range<usize>,
    leaves: Range<usize>,
}

/// The trees of a model that are small and have no splits by sets.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Ruled {
    /// The columns that their cuts look at, ascending.
    columns: Vec<u16>,
    cuts: Vec<Cut>,
    /// Values of the leaves, tree by tree from left to right.
    leaves: Vec<f64>,
    /// By tree of the model; `None` for those that are not of this kind.
    trees: Vec<Option<Tree>>,
}

/// Values of [`LANES`] rows, column after column of [`Ruled::columns`].
pub(super) type Group = [[f64; LANES]];

impl Ruled {
    /// Numbers the leaves of trees that start at `roots`.
    pub(super) fn new(nodes: &[Node], roots: &[u32]) -> Self {
        let ends = roots.iter().skip(1).map(|&end| end as usize).chain([nodes.len()]);
        let trees = || roots.iter().map(|&root| root as usize).zip(ends.clone());
        let small = |&(root, end): &(usize, usize)| {
            let fits = |node: &Node| node.kind != Node::SET;
            end - root < 2 * LEAVES_MAX && nodes[root..end].iter().all(fits)
        };
        let mut columns: Vec<u16> = trees()
            .filter(small)
            .flat_map(|(root, end)| &nodes[root..end])
            .filter(|node| !node.is_leaf())
            .map(|node| node.column)
            .collect();
        columns.sort_unstable();
        columns.dedup();
        let mut ruled = Self { columns, cuts: Vec::new(), leaves: Vec::new(), trees: Vec::new() };
        for tree in trees() {
            let kept = small(&tree).then(|| ruled.tree(&nodes[..tree.1], tree.0));
            ruled.trees.push(kept);
        }
        ruled
    }

    /// Takes the tree from node `root` to the last.
    fn tree(&mut self, nodes: &[Node], root: usize) -> Tree {
        let mut below = vec![1usize; nodes.len() - root]; // leaves below each node
        let splits = || (root..nodes.len()).filter(|&place| !nodes[place].is_leaf());
        let left = |place: usize| nodes[place].target as usize - root;
        for place in splits().rev() {
            below[place - root] = below[left(place)] + below[left(place) + 1];
        }
        let mut first = vec![0usize; nodes.len() - root]; // and the first of them
        for place in splits() {
            first[left(place)] = first[place - root];
            first[left(place) + 1] = first[place - root] + below[left(place)];
        }
        let of_kind = |ruled: &mut Self, kind: u16| {
            let start = ruled.cuts.len();
            for place in splits().filter(|&place| nodes[place].kind == kind) {
                let Node { value: threshold, column, .. } = nodes[place];
                let slot = ruled.columns.partition_point(|&known| known < column) as u32;
                let lefts = ((1 << below[left(place)]) - 1) << first[place - root];
                ruled.cuts.push(Cut { threshold, lefts, slot });
            }
            start..ruled.cuts.len()
        };
        let (missing_right, missing_left) = (of_kind(self, Node::CUT), of_kind(self, Node::CUT_MISSING_LEFT));
        let leaves = self.leaves.len()..self.leaves.len() + below[0];
        self.leaves.resize(leaves.end, 0.0);
        for place in (root..nodes.len()).filter(|&place| nodes[place].is_leaf()) {
            self.leaves[leaves.start + first[place - root]] = nodes[place].value;
        }
        Tree { missing_right, missing_left, leaves }
    }

    /// Columns of a [`Group`].
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Whether a tree is kept here.
    pub(super) fn has(&self, tree: usize) -> bool {
        self.trees[tree].is_some()
    }

    /// Copies a row to its lane.
    pub(super) fn load(&self, row: &[f64], lane: usize, group: &mut Group) {
        for (to, &column) in group.iter_mut().zip(&self.columns) {
            to[lane % LANES] = row[usize::from(column)];
        }
    }

    /// Adds the values of the leaves that the rows of each group fall into to their margins.
    ///
    /// # Panics
    /// When the tree is not kept here.
    pub(super) fn add_to(&self, tree: usize, groups: &[[f64; LANES]], margins: &mut [[f64; LANES]]) {
        let Some(tree) = &self.trees[tree] else { panic!("tree {tree} is to be walked") };
        let (rights, lefts) = (&self.cuts[tree.missing_right.clone()], &self.cuts[tree.missing_left.clone()]);
        let leaves = &self.leaves[tree.leaves.clone()];
        for (place, margins) in margins.iter_mut().enumerate() {
            let group = &groups[place * self.columns.len()..][..self.columns.len()];
            let mut open = [u64::MAX; LANES];
            rule_out(
                rights,
                group,
                &mut open,
                |value, threshold, kept| if value <= threshold { u64::MAX } else { kept },
            );
            rule_out(
                lefts,
                group,
                &mut open,
                |value, threshold, kept| if value > threshold { kept } else { u64::MAX },
            );
            for (margin, open) in margins.iter_mut().zip(open) {
                *margin += leaves[open.trailing_zeros() as usize];
            }
        }
    }
}

/// Takes what the cuts rule out from the leaves that are open to each row. `opens` says which a cut leaves to a value:
/// all, or what it has on its right.
///
/// Never inlined: as part of a larger function the compiler would take the lanes one by one.
#[inline(never)]
fn rule_out(cuts: &[Cut], group: &Group, open: &mut [u64; LANES], opens: impl Fn(f64, f64, u64) -> u64) {
    for cut in cuts {
        let rights = !cut.lefts;
        for (open, value) in open.iter_mut().zip(&group[cut.slot as usize]) {
            *open &= opens(*value, cut.threshold, rights);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (column 7 <= 1, missing right: (column 3 <= 5, missing left: 10 | 20) | 30)
    fn tree() -> Vec<Node> {
        let cuts = [Node::cut(1, 7, 1.0, false), Node::cut(3, 3, 5.0, true)];
        vec![cuts[0], cuts[1], Node::leaf(30.0), Node::leaf(10.0), Node::leaf(20.0)]
    }

    #[test]
    fn the_first_leaf_that_is_left_is_the_one_that_a_walk_reaches() {
        let ruled = Ruled::new(&tree(), &[0]);
        assert_eq!(ruled.columns, [3, 7]);
        assert_eq!(
            ruled.cuts.iter().map(|cut| (cut.lefts, cut.slot)).collect::<Vec<_>>(),
            [(0b011, 1), (0b001, 0)]
        );
        let rows = [
            (1.0, 5.0, 10.0),
            (1.0, 5.1, 20.0),
            (1.1, 5.0, 30.0),
            (1.1, 9.0, 30.0),
            (f64::NAN, 5.0, 30.0),
            (1.0, f64::NAN, 10.0),
            (-f64::INFINITY, f64::INFINITY, 20.0),
        ];
        let mut group = [[0.0; LANES]; 2];
        for (lane, (seventh, third, _)) in rows.iter().enumerate() {
            let mut row = [f64::NAN; 8];
            (row[7], row[3]) = (*seventh, *third);
            ruled.load(&row, lane, &mut group);
        }
        let mut margins = [[0.5; LANES]];
        ruled.add_to(0, &group, &mut margins);
        assert!(rows.iter().zip(margins[0]).all(|(row, margin)| margin == 0.5 + row.2), "{margins:?}");
    }

    #[test]
    fn trees_that_are_large_or_have_sets_are_left_to_walks() {
        let mut nodes = tree();
        let first = nodes.len();
        for left in 0..64 {
            nodes.extend([Node::cut(first + 2 * left + 1, 0, left as f64, true), Node::leaf(1.0)]);
        }
        nodes.push(Node::leaf(2.0));
        let set = nodes.len();
        nodes.extend([Node::set(set + 1, 0, 0), Node::leaf(1.0), Node::leaf(2.0)]);
        let ruled = Ruled::new(&nodes, &[0, first as u32, set as u32]);
        assert_eq!([0, 1, 2].map(|tree| ruled.has(tree)), [true, false, false]);
    }
}
