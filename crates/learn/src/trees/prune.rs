//! Minimal cost-complexity pruning (Breiman et al. 1984, section 3.3): of all trees that cutting branches off leaves,
//! the smallest of those whose impurity plus alpha times the number of leaves is least.
//!
//! Cutting the weakest link again and again leads to it (their theorem 3.10); so does one pass from the leaves up: a
//! branch stays when it costs less than its root would as a leaf.

use super::forest::Node;
use super::grow::Grown;

/// What a node is worth as a leaf.
#[derive(Clone, Debug, Default)]
pub(super) struct Worth {
    /// Weight of its rows.
    pub(super) weight: f64,
    /// Impurity × weight.
    pub(super) impurity: f64,
    /// Share of each class.
    pub(super) shares: Vec<f64>,
}

/// How far sums of impurities may be off, as a share of the root's: a branch that gains less gains nothing.
const TOLERANCE: f64 = 1e-12;

/// Prunes a tree; a leaf costs `alpha` times the weight of the tree.
pub(super) fn prune(grown: &Grown, worths: &[Worth], alpha: f64) -> Grown {
    let nodes = &grown.nodes;
    let leaf_cost = alpha * worths[0].weight;
    let slack = TOLERANCE * worths[0].impurity;
    let mut costs: Vec<f64> = worths.iter().map(|worth| worth.impurity + leaf_cost).collect();
    let mut is_split = vec![false; nodes.len()];
    for (place, node) in nodes.iter().enumerate().rev().filter(|(_, node)| !node.is_leaf()) {
        let branch = costs[node.target as usize] + costs[node.target as usize + 1];
        if branch + slack < costs[place] {
            (costs[place], is_split[place]) = (branch, true);
        }
    }
    let mut pruned = Grown {
        nodes: vec![Node::leaf(0)],
        covers: vec![grown.covers[0]],
        leaves: Vec::new(),
        importances: vec![0.0; grown.importances.len()],
    };
    let mut rest = vec![(0, 0)]; // place in the grown tree, and in the pruned one
    let mut leaves = 0;
    while let Some((from, to)) = rest.pop() {
        if !is_split[from] {
            pruned.nodes[to] = Node::leaf(leaves);
            pruned.leaves.extend_from_slice(&worths[from].shares);
            leaves += 1;
            continue;
        }
        let (node, first) = (nodes[from], pruned.nodes.len());
        let left = node.target as usize;
        pruned.nodes[to] = Node { target: first as u32, ..node };
        pruned.nodes.extend([Node::leaf(0); 2]);
        pruned.covers.extend_from_slice(&grown.covers[left..left + 2]);
        pruned.importances[usize::from(node.column)] +=
            worths[from].impurity - worths[left].impurity - worths[left + 1].impurity;
        rest.extend([(left + 1, first + 1), (left, first)]);
    }
    pruned
}

#[cfg(test)]
mod tests {
    use super::super::forest::{DEPTH_MAX, Forest, ForestFit};
    use super::super::grow::Growth;
    use super::super::tally::Criterion;
    use super::*;
    use crate::ctx::Ctx;
    use crate::estimator::Train;
    use crate::matrix::Matrix;

    /// Root of impurity 10, its left child 4 (split to 1 and 1), its right child 2 (split to 0.5 and 1).
    fn tree() -> (Grown, Vec<Worth>) {
        let nodes = vec![
            Node::split(1, 0, 0, false),
            Node::split(3, 1, 0, false),
            Node::split(5, 2, 0, true),
            Node::leaf(0),
            Node::leaf(1),
            Node::leaf(2),
            Node::leaf(3),
        ];
        let worths = [10.0, 4.0, 2.0, 1.0, 1.0, 0.5, 1.0];
        let worth =
            |(place, &impurity): (usize, &f64)| Worth { weight: 100.0, impurity, shares: vec![place as f64] };
        let leaves = vec![3.0, 4.0, 5.0, 6.0];
        let grown = Grown {
            nodes,
            covers: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
            leaves,
            importances: vec![0.0; 3],
        };
        (grown, worths.iter().enumerate().map(worth).collect())
    }

    #[test]
    fn the_weakest_links_go_first() {
        let (grown, worths) = tree();
        let leaves = |alpha: f64| prune(&grown, &worths, alpha).leaves;
        // Links: right (2 - 1.5) / 1 = 0.5, left (4 - 2) / 1 = 2, then the root (10 - 6) / 1 = 4; weight 100.
        assert_eq!(leaves(0.0049), [3.0, 4.0, 5.0, 6.0]);
        assert_eq!(leaves(0.005), [3.0, 4.0, 2.0], "a link is cut when it costs just as much");
        assert_eq!(leaves(0.0199), [3.0, 4.0, 2.0]);
        assert_eq!(leaves(0.0201), [1.0, 2.0]);
        assert_eq!(leaves(0.0401), [0.0]);
    }

    #[test]
    fn what_is_left_is_a_tree_of_its_own() {
        let (grown, worths) = tree();
        let pruned = prune(&grown, &worths, 0.01);
        let expected = [
            Node::split(1, 0, 0, false),
            Node::split(3, 1, 0, false),
            Node::leaf(2),
            Node::leaf(0),
            Node::leaf(1),
        ];
        assert_eq!(pruned.nodes, expected);
        assert_eq!(pruned.covers, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(pruned.importances, [4.0, 2.0, 0.0]);
    }

    /// 300 rows of three whole numbers below 256, whose sum and a fourth number decide on one of three classes.
    fn problem() -> (Matrix, Vec<u32>) {
        let (mut state, mut values, mut y) = (7u64, Vec::new(), Vec::new());
        for _ in 0..300 {
            let row: [u32; 4] = std::array::from_fn(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as u32 % 256
            });
            values.extend(row[..3].iter().map(|&value| f64::from(value)));
            y.push(((row[0] + 2 * row[1] + row[3]) / 352).min(2));
        }
        (Matrix::from_values(300, 3, values), y)
    }

    fn tree_of(criterion: Criterion, max_leaves: usize, ccp_alpha: f64, balanced: bool) -> Forest {
        let (max_depth, columns_per_split) = (DEPTH_MAX, 3);
        let growth = Growth {
            max_depth,
            max_leaves,
            min_split: 2,
            min_leaf: 1,
            columns_per_split,
            random_cuts: false,
            ccp_alpha,
        };
        let (x, y) = problem();
        let fit = ForestFit { trees: 1, bootstrap: None, out_of_bag: false, criterion, balanced, growth };
        fit.fit(&Train::labelled(&x, &y, 3), &Ctx::new(1, 1)).unwrap()
    }

    /// Weights of the leaves, ascending.
    fn leaves(forest: &Forest) -> Vec<usize> {
        let leaves = forest.nodes.iter().zip(&forest.covers).filter(|(node, _)| node.is_leaf());
        let mut rows: Vec<usize> = leaves.map(|(_, cover)| cover.round() as usize).collect();
        rows.sort_unstable();
        rows
    }

    // The figures are those of scikit-learn 1.9.1, the same for any of its random states.
    #[test]
    fn trees_are_pruned_to_the_sizes_of_scikit_learn() {
        let gini = [
            (0.0, 64),
            (0.002, 64),
            (0.004, 39),
            (0.006, 19),
            (0.01, 8),
            (0.02, 5),
            (0.04, 4),
            (0.1, 2),
            (0.3, 1),
        ];
        for (alpha, expected) in gini {
            assert_eq!(
                leaves(&tree_of(Criterion::Gini, usize::MAX, alpha, false)).len(),
                expected,
                "{alpha}"
            );
        }
        for (bits, expected) in [(0.02, 10), (0.04, 6), (0.1, 4), (0.3, 2)] {
            let alpha = bits * std::f64::consts::LN_2;
            assert_eq!(
                leaves(&tree_of(Criterion::Entropy, usize::MAX, alpha, false)).len(),
                expected,
                "{bits}"
            );
        }
        for (most, alpha, expected) in [(9, 0.003, 9), (14, 0.003, 14), (14, 0.01, 11)] {
            assert_eq!(
                leaves(&tree_of(Criterion::Gini, most, alpha, true)).len(),
                expected,
                "{most}, {alpha}"
            );
        }
    }

    #[test]
    fn the_best_split_comes_first_as_in_scikit_learn() {
        let expected: [&[usize]; 4] = [
            &[89, 211],
            &[65, 89, 146],
            &[6, 8, 11, 14, 22, 23, 42, 45, 129],
            &[1, 1, 1, 1, 3, 3, 3, 5, 8, 8, 10, 13, 14, 17, 21, 22, 23, 42, 42, 62],
        ];
        for expected in expected {
            assert_eq!(leaves(&tree_of(Criterion::Gini, expected.len(), 0.0, false)), expected);
        }
        for expected in [&[54, 112, 134][..], &[14, 17, 17, 20, 32, 45, 49, 52, 54]] {
            assert_eq!(leaves(&tree_of(Criterion::Entropy, expected.len(), 0.0, false)), expected);
        }
    }
}
