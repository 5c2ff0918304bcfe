//! Trees whose leaves are added up, as 16-byte nodes with the thresholds in them.

use super::super::shap::{Explained, Step, explain, path_columns};
use super::categories::CategorySets;
use super::loss::{sigmoid, softmax};
use super::ruled::Ruled;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Contributions, Model};
use crate::matrix::Matrix;

/// A split or a leaf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Node {
    /// Of a cut, what goes left is up to this; of a set, its number; of a leaf, its value.
    pub(super) value: f64,
    /// The left child, and the right one follows it; 0 for a leaf.
    pub(super) target: u32,
    /// Column of a split.
    pub(super) column: u16,
    /// One of the constants below.
    pub(super) kind: u16,
}

impl Node {
    pub(super) const LEAF: u16 = 0;
    /// A cut with missing values on the right.
    pub(super) const CUT: u16 = 1;
    /// A cut with missing values on the left.
    pub(super) const CUT_MISSING_LEFT: u16 = 2;
    /// Categories of a set are on the left.
    pub(super) const SET: u16 = 3;

    pub(super) fn leaf(value: f64) -> Self {
        Self { value, target: 0, column: 0, kind: Self::LEAF }
    }

    pub(super) fn cut(left: usize, column: usize, threshold: f64, missing_left: bool) -> Self {
        let kind = if missing_left { Self::CUT_MISSING_LEFT } else { Self::CUT };
        Self { value: threshold, target: left as u32, column: column as u16, kind }
    }

    pub(super) fn set(left: usize, column: usize, set: u32) -> Self {
        Self { value: f64::from(set), target: left as u32, column: column as u16, kind: Self::SET }
    }

    /// The same behind `first` other nodes and `first_set` other sets.
    pub(super) fn moved(self, first: u32, first_set: u32) -> Self {
        match self.kind {
            Self::LEAF => self,
            Self::SET => {
                Self { value: self.value + f64::from(first_set), target: self.target + first, ..self }
            }
            _ => Self { target: self.target + first, ..self },
        }
    }

    #[inline]
    pub(super) fn is_leaf(self) -> bool {
        self.kind == Self::LEAF
    }

    /// Whether a value goes right of a split.
    #[inline]
    pub(super) fn goes_right(self, sets: &CategorySets, value: f64) -> bool {
        if self.kind == Self::SET { !sets.has(self.value as usize, value) } else { self.is_below(value) }
    }

    /// Whether a value goes right of a cut; without a branch, for the processor could not foresee it.
    #[inline]
    pub(super) fn is_below(self, value: f64) -> bool {
        (value > self.value) | (value.is_nan() & (self.kind == Self::CUT))
    }
}

/// A fitted classifier of boosted trees.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Boosted {
    pub(super) columns: usize,
    /// Margin of a class before the trees: one for two classes, else one per class.
    pub(super) start: Vec<f64>,
    /// All trees, one after the other, the trees of a round in the order of the classes; children come after their parents.
    pub(super) nodes: Vec<Node>,
    /// Training weight of each node.
    pub(super) covers: Vec<f32>,
    /// First node of each tree.
    pub(super) roots: Vec<u32>,
    pub(super) sets: CategorySets,
    /// Share of each column in the gain.
    pub(super) importances: Vec<f64>,
    pub(super) notes: Vec<String>,
    /// Most different columns on one path.
    pub(super) path_columns: usize,
    /// The small trees once more, for many rows.
    pub(super) ruled: Ruled,
}

impl Boosted {
    /// Finds what is not kept in a file.
    pub(super) fn finished(mut self) -> Self {
        self.path_columns = path_columns(&self.roots, self.columns, |place| {
            let node = self.nodes[place as usize];
            (!node.is_leaf()).then_some((usize::from(node.column), node.target))
        });
        self.ruled = Ruled::new(&self.nodes, &self.roots);
        self
    }

    /// Margins to scores.
    #[inline]
    pub(super) fn link(margins: &mut [f64]) {
        if let [benign, malicious] = margins {
            let margin = *malicious;
            (*benign, *malicious) = (sigmoid(-margin), sigmoid(margin));
        } else {
            softmax(margins);
        }
    }
}

impl Model for Boosted {
    fn columns(&self) -> usize {
        self.columns
    }

    fn outputs(&self) -> usize {
        self.start.len().max(2)
    }

    fn score_row(&self, row: &[f64], out: &mut [f64]) {
        self.walk_row(row, out);
    }

    fn score(&self, x: &Matrix, ctx: &Ctx) -> Matrix {
        self.score_blocks(x, ctx.threads)
    }

    /// In log-odds for two classes; for more, in the class's margin, whose softmax over classes is the score.
    fn contributions(&self, row: &[f64], output: usize) -> Option<Contributions> {
        if output >= self.outputs() {
            return None;
        }
        let (class, sign) = match self.start.len() {
            1 => (0, if output == 1 { 1.0 } else { -1.0 }),
            _ => (output, 1.0),
        };
        let roots: Vec<u32> = self.roots.iter().skip(class).step_by(self.start.len()).copied().collect();
        let mut found = Contributions { baseline: 0.0, values: vec![0.0; self.columns] };
        if !roots.is_empty() {
            found = explain(self, &roots, row, self.path_columns);
        }
        let factor = sign * roots.len() as f64; // explained is the mean of the trees
        found.values.iter_mut().for_each(|value| *value *= factor);
        found.baseline = sign * self.start[class] + factor * found.baseline;
        Some(found)
    }

    /// Share of the gain of all splits.
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

impl Explained for Boosted {
    fn step(&self, place: u32, row: &[f64]) -> Step {
        let node = self.nodes[place as usize];
        if node.is_leaf() {
            return Step::Leaf(node.value);
        }
        let column = usize::from(node.column);
        let [left, right] = [0, 1].map(|side| f64::from(self.covers[node.target as usize + side]));
        let goes_right = node.goes_right(&self.sets, row[column]);
        Step::Split { column, left: node.target, left_share: left / (left + right), goes_right }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BoostFit, Growth, Rules};
    use super::*;
    use crate::estimator::Train;

    /// What a tree says when only the columns in `known` (a bit set) are known.
    fn game(model: &Boosted, place: u32, row: &[f64], known: usize) -> f64 {
        match model.step(place, row) {
            Step::Leaf(value) => value,
            Step::Split { column, left, goes_right, .. } if known >> column & 1 == 1 => {
                game(model, left + u32::from(goes_right), row, known)
            }
            Step::Split { left, left_share, .. } => {
                left_share * game(model, left, row, known)
                    + (1.0 - left_share) * game(model, left + 1, row, known)
            }
        }
    }

    #[test]
    fn contributions_are_shapley_values_of_the_margin() {
        let values: Vec<f64> = (0..300 * 4).map(|place| f64::from(place * place % 37)).collect();
        let x = Matrix::from_values(300, 4, values);
        let y: Vec<u32> = x.iter_rows().map(|row| ((row[0] + row[1] * row[2]) as u32) % 3).collect();
        let rules = Rules {
            min_rows: 5,
            min_hessian: 1e-3,
            l1: 0.0,
            l2: 0.0,
            category_l2: 0.0,
            category_smooth: 0.0,
            monotone: Vec::new(),
        };
        let growth = Growth { max_leaves: 8, max_depth: 6, columns_per_split: 4, rules };
        let (rounds, learning_rate, bins) = (3, 0.4, 64);
        let fit =
            BoostFit { rounds, learning_rate, bins, subsample: 1.0, balanced: false, stopping: None, growth };
        let categorical = [false, false, false, true];
        let data = Train { categorical: Some(&categorical), ..Train::labelled(&x, &y, 3) };
        let model = fit.fit(&data, &Ctx::new(1, 1)).unwrap();
        let shapley_weight = [1.0 / 4.0, 1.0 / 12.0, 1.0 / 12.0, 1.0 / 4.0]; // |S|! (3 - |S|)! / 4!
        for (row, output) in (0..30).map(|row| (row * 10, row % 3)) {
            let row = x.row(row);
            let margin = |known: usize| {
                let trees = model.roots.iter().skip(output).step_by(3);
                model.start[output] + trees.map(|&root| game(&model, root, row, known)).sum::<f64>()
            };
            let found = model.contributions(row, output).unwrap();
            assert!((found.baseline - margin(0)).abs() < 1e-9);
            for (column, value) in found.values.iter().enumerate() {
                let without = (0..16usize).filter(|set| set >> column & 1 == 0);
                let expected: f64 = without
                    .map(|set| {
                        shapley_weight[set.count_ones() as usize] * (margin(set | 1 << column) - margin(set))
                    })
                    .sum();
                assert!((value - expected).abs() < 1e-9, "column {column}: {value} is not {expected}");
            }
        }
    }
}
