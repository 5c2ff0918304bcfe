//! Exact path-dependent TreeSHAP: what each column added to a score.
//!
//! The values are those of Lundberg et al. 2018 (Algorithm 2): Shapley values of the game in which a column that is
//! left out sends the row both ways, in proportion to the training weights. They are computed in one walk per tree,
//! in the manner of Linear TreeShap (Yu et al. 2022) but by quadrature. A leaf of value `v` below the columns `j` is
//! worth `v · Π (t·oⱼ + (1-t)·zⱼ)` when each column is in with probability `t` (Owen's multilinear extension; `oⱼ` is
//! 1 when the row meets all conditions on `j`, else 0; `zⱼ` is the share of training weight that meets them). The
//! Shapley value of `i` is the integral of the derivative, `∫ v·(oᵢ-zᵢ)·Π_{j≠i}(t·oⱼ + (1-t)·zⱼ) dt`: a polynomial
//! of lower degree than there are columns on the path, so Gauss-Legendre with half as many points is exact.

use crate::estimator::Contributions;

/// A tree as one row meets it.
pub(super) trait Explained {
    /// The split at `node`, or the value of the leaf.
    fn step(&self, node: u32, row: &[f64]) -> Step;
}

/// A node as one row meets it.
pub(super) enum Step {
    /// The right child follows `left`; `left_share` of the training weight went left.
    Split { column: usize, left: u32, left_share: f64, goes_right: bool },
    /// Value.
    Leaf(f64),
}

/// Contributions to the mean over the trees at `roots`; no path has more than `path_columns` different columns.
pub(super) fn explain(
    tree: &impl Explained,
    roots: &[u32],
    row: &[f64],
    path_columns: usize,
) -> Contributions {
    let rule = gauss_legendre(path_columns.div_ceil(2).max(1));
    let points = rule.len();
    let mut walk = Walk {
        tree,
        row,
        products: vec![1.0; points],
        sums: vec![0.0; points],
        conditions: vec![Condition { met: 1.0, share: 1.0 }; row.len()],
        values: vec![0.0; row.len()],
        baseline: 0.0,
        rule,
    };
    for &root in roots {
        walk.visit(root, 0, 1.0);
    }
    let trees = roots.len() as f64;
    walk.values.iter_mut().for_each(|value| *value /= trees);
    Contributions { baseline: walk.baseline / trees, values: walk.values }
}

/// All conditions on one column above a node.
#[derive(Clone, Copy)]
struct Condition {
    /// 1 when the row meets them, else 0.
    met: f64,
    /// Share of training weight that meets them.
    share: f64,
}

impl Condition {
    /// Worth of the column when it is in with probability `t`.
    #[inline]
    fn at(self, t: f64) -> f64 {
        t * self.met + (1.0 - t) * self.share
    }
}

struct Walk<'a, T> {
    tree: &'a T,
    row: &'a [f64],
    /// Points and weights of the quadrature over [0, 1].
    rule: Vec<(f64, f64)>,
    /// Level after level, at each point: the product over all columns above the node.
    products: Vec<f64>,
    /// Level after level, at each point: the sum over the node's leaves of value × product.
    sums: Vec<f64>,
    /// By column.
    conditions: Vec<Condition>,
    values: Vec<f64>,
    baseline: f64,
}

impl<T: Explained> Walk<'_, T> {
    /// Fills the sums of `level` for the leaves below `node`, which `reach` of the training weight reached.
    fn visit(&mut self, node: u32, level: usize, reach: f64) {
        let points = self.rule.len();
        let here = level * points..(level + 1) * points;
        match self.tree.step(node, self.row) {
            Step::Leaf(value) => {
                self.baseline += value * reach;
                let sums = self.sums[here.clone()].iter_mut();
                sums.zip(&self.products[here]).for_each(|(sum, product)| *sum = value * product);
            }
            Step::Split { column, left, left_share, goes_right } => {
                self.products.resize(self.products.len().max((level + 2) * points), 0.0);
                self.sums.resize(self.products.len(), 0.0);
                self.sums[here].fill(0.0);
                self.edge(column, left, !goes_right, left_share, level, reach);
                self.edge(column, left + 1, goes_right, 1.0 - left_share, level, reach);
            }
        }
    }

    /// Visits a child under one more condition and credits the column with it.
    fn edge(&mut self, column: usize, child: u32, agrees: bool, share: f64, level: usize, reach: f64) {
        let points = self.rule.len();
        let before = self.conditions[column];
        let now = Condition { met: if agrees { before.met } else { 0.0 }, share: before.share * share };
        let (above, below) = self.products.split_at_mut((level + 1) * points);
        for ((below, above), (t, _)) in below.iter_mut().zip(&above[level * points..]).zip(&self.rule) {
            *below = above * now.at(*t) / before.at(*t);
        }
        self.conditions[column] = now;
        self.visit(child, level + 1, reach * share);
        self.conditions[column] = before;
        let (above, below) = self.sums.split_at_mut((level + 1) * points);
        let mut credit = 0.0;
        for ((above, below), (t, weight)) in above[level * points..].iter_mut().zip(below).zip(&self.rule) {
            let gain = (now.met - now.share) / now.at(*t) - (before.met - before.share) / before.at(*t);
            credit += weight * *below * gain;
            *above += *below;
        }
        self.values[column] += credit;
    }
}

/// Points and weights that integrate polynomials of degree below 2 × `points` exactly over [0, 1].
fn gauss_legendre(points: usize) -> Vec<(f64, f64)> {
    let order = points as f64;
    let point = |index: usize| {
        let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / (order + 0.5)).cos();
        for _ in 0..100 {
            let (value, slope) = legendre(points, x);
            let step = value / slope;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        let (_, slope) = legendre(points, x);
        ((x + 1.0) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..points).map(point).collect()
}

/// Value and slope of the Legendre polynomial of a degree at |x| < 1.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for k in 2..=degree {
        let k = k as f64;
        (before, value) = (value, ((2.0 * k - 1.0) * x * value - (k - 1.0) * before) / k);
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}

/// Most different columns on a path from a root; `split` gives column and left child of a split.
pub(super) fn path_columns(
    roots: &[u32],
    columns: usize,
    split: impl Fn(u32) -> Option<(usize, u32)>,
) -> usize {
    let mut most = 0;
    let mut times = vec![0u32; columns];
    for &root in roots {
        // A node is met on the way down and, if it is a split, on the way up.
        let mut stack = vec![(root, None)];
        let mut different = 0;
        while let Some((node, above)) = stack.pop() {
            match above {
                Some(column) => {
                    let column: usize = column;
                    times[column] -= 1;
                    different -= usize::from(times[column] == 0);
                }
                None => {
                    let Some((column, left)) = split(node) else { continue };
                    different += usize::from(times[column] == 0);
                    times[column] += 1;
                    most = most.max(different);
                    stack.extend([(node, Some(column)), (left, None), (left + 1, None)]);
                }
            }
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::super::draw::{below, unit};
    use super::*;
    use crate::rng;

    /// Columns, left children and left shares of splits; values of leaves.
    struct Toy(Vec<(Split, f64)>);

    type Split = Option<(usize, u32, f64)>;

    impl Explained for Toy {
        fn step(&self, node: u32, row: &[f64]) -> Step {
            match self.0[node as usize] {
                (Some((column, left, left_share)), threshold) => {
                    Step::Split { column, left, left_share, goes_right: row[column] > threshold }
                }
                (None, value) => Step::Leaf(value),
            }
        }
    }

    /// A random tree in which columns come again on a path.
    fn toy(rng: &mut ChaCha8Rng, columns: usize, splits: usize) -> Toy {
        let mut nodes = vec![(None, unit(rng))];
        for _ in 0..splits {
            let leaves: Vec<usize> = (0..nodes.len()).filter(|&node| nodes[node].0.is_none()).collect();
            let node = leaves[below(rng, leaves.len() as u64) as usize];
            let column = below(rng, columns as u64) as usize;
            nodes[node] = (Some((column, nodes.len() as u32, 0.05 + 0.9 * unit(rng))), unit(rng));
            nodes.extend([(None, unit(rng)), (None, unit(rng))]);
        }
        Toy(nodes)
    }

    /// What the tree says when only the columns in `known` (a bit set) are known.
    fn game(tree: &Toy, node: u32, row: &[f64], known: usize) -> f64 {
        match tree.step(node, row) {
            Step::Leaf(value) => value,
            Step::Split { column, left, goes_right, .. } if known >> column & 1 == 1 => {
                game(tree, left + u32::from(goes_right), row, known)
            }
            Step::Split { left, left_share, .. } => {
                left_share * game(tree, left, row, known)
                    + (1.0 - left_share) * game(tree, left + 1, row, known)
            }
        }
    }

    /// Shapley's formula over all subsets.
    fn shapley(tree: &Toy, row: &[f64], column: usize) -> f64 {
        let columns = row.len();
        let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
        (0..1usize << columns)
            .filter(|set| set >> column & 1 == 0)
            .map(|set| {
                let size = set.count_ones();
                let weight =
                    factorial(size) * factorial(columns as u32 - size - 1) / factorial(columns as u32);
                weight * (game(tree, 0, row, set | 1 << column) - game(tree, 0, row, set))
            })
            .sum()
    }

    #[test]
    fn equals_shapley_values_over_all_subsets() {
        let mut rng = rng::stream(7, "shap test", 0);
        for case in 0..200 {
            let columns = 1 + case % 8;
            let tree = toy(&mut rng, columns, case % 25);
            let row: Vec<f64> = (0..columns).map(|_| unit(&mut rng)).collect();
            let most = path_columns(&[0], columns, |node| {
                tree.0[node as usize].0.map(|(column, left, _)| (column, left))
            });
            let found = explain(&tree, &[0], &row, most);
            assert!((found.baseline - game(&tree, 0, &row, 0)).abs() < 1e-12, "baseline of case {case}");
            for (column, value) in found.values.iter().enumerate() {
                let expected = shapley(&tree, &row, column);
                assert!(
                    (value - expected).abs() < 1e-11,
                    "case {case}, column {column}: {value} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn quadrature_is_exact_below_twice_its_points() {
        for points in 1..40 {
            let rule = gauss_legendre(points);
            for degree in 0..2 * points {
                let sum: f64 = rule.iter().map(|(t, weight)| weight * t.powi(degree as i32)).sum();
                let exact = 1.0 / (degree as f64 + 1.0);
                assert!((sum - exact).abs() < 1e-13, "{points} points, degree {degree}: {sum}");
            }
        }
    }

    #[test]
    fn path_columns_counts_each_column_once_per_path() {
        let split = |node: u32| {
            [Some((0, 1)), Some((0, 3)), Some((1, 5)), None, None, Some((2, 7)), None, None, None]
                [node as usize]
        };
        assert_eq!(path_columns(&[0], 3, split), 3);
        assert_eq!(path_columns(&[1], 3, split), 1);
    }
}
