//! What a strategy sees of a campaign, and how rows are taken from a ranking.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{Annotation, Pool, Query};
use crate::LearnError;
use crate::ctx::Ctx;

/// The campaign's model as something to be taught: which rows are malicious, and what it then says of all rows.
pub trait Learner: Sync {
    /// The probability of being malicious of every row of the pool, after learning from rows with labels and weights.
    ///
    /// # Errors
    /// [`LearnError`] of the fit.
    fn probabilities(
        &self,
        rows: &[u32],
        malicious: &[bool],
        weights: &[f64],
        ctx: &Ctx,
    ) -> Result<Vec<f64>, LearnError>;
}

/// All that queries may depend on.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The rows, labelled ones among them.
    pub pool: &'a Pool,
    /// What is known of them.
    pub labels: &'a BTreeMap<u32, Annotation>,
    /// Rows without a label that are not to be asked about (again).
    pub left_out: &'a BTreeSet<u32>,
    /// Per row of the pool the probability of being malicious, by the model the labels taught.
    pub scores: &'a [f64],
    /// That model.
    pub learner: &'a dyn Learner,
    /// The campaign's seed.
    pub seed: u64,
    /// Number of the iteration, from 1.
    pub iteration: u64,
}

impl View<'_> {
    /// Rows that can be asked about, ascending.
    #[must_use]
    pub fn askable(&self) -> Vec<u32> {
        let rows = 0..self.pool.rows() as u32;
        rows.filter(|row| !self.labels.contains_key(row) && !self.left_out.contains(row)).collect()
    }

    /// Labelled rows whose label is `malicious`, or all of them.
    pub(super) fn labelled(&self, malicious: Option<bool>) -> impl Iterator<Item = (u32, &Annotation)> {
        let labels = self.labels.iter().map(|(row, annotation)| (*row, annotation));
        labels.filter(move |(_, annotation)| malicious.is_none_or(|wanted| annotation.malicious == wanted))
    }

    /// Families among the labelled rows, the most frequent first, then by name.
    pub(super) fn families(&self, malicious: Option<bool>) -> Vec<(&str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        self.labelled(malicious).for_each(|(_, one)| *counts.entry(&one.family).or_default() += 1);
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(name, count)| (std::cmp::Reverse(count), name));
        counts
    }
}

/// Which questions are spent: asked in this iteration, or answered before.
///
/// Rows of one cell of the pool are one question. It is spent once a row of the cell has been asked in this iteration, or has
/// been answered, unless answers within the cell disagree. Rows of spent cells are passed over as long as others are left, and then
/// taken in the order of the ranking.
pub struct Asked<'a> {
    cells: &'a [u32],
    spent: HashSet<u32>,
    rows: HashSet<u32>,
}

impl<'a> Asked<'a> {
    /// What the labels and the queries of the groups before answer.
    #[must_use]
    pub fn new(view: &View<'a>, before: &[Query]) -> Self {
        let cells = view.pool.cells();
        let mut answers: HashMap<u32, (&Annotation, bool)> = HashMap::new();
        for (&row, annotation) in view.labels {
            let (first, agree) = answers.entry(cells[row as usize]).or_insert((annotation, true));
            *agree &= *first == annotation;
        }
        let spent = answers.into_iter().filter(|(_, (_, agree))| *agree).map(|(cell, _)| cell).collect();
        let mut asked = Self { cells, spent, rows: HashSet::new() };
        before.iter().for_each(|query| asked.put(query.row));
        asked
    }

    fn put(&mut self, row: u32) {
        self.spent.insert(self.cells[row as usize]);
        self.rows.insert(row);
    }

    /// Whether a row was asked in this iteration.
    pub(super) fn contains(&self, row: u32) -> bool {
        self.rows.contains(&row)
    }

    /// Number of questions among these rows that are not spent.
    pub(super) fn fresh(&self, rows: impl IntoIterator<Item = u32>) -> usize {
        let cells = rows.into_iter().map(|row| self.cells[row as usize]);
        cells.filter(|cell| !self.spent.contains(cell)).collect::<HashSet<u32>>().len()
    }

    /// Takes the first `most` rows of a ranking whose questions are not spent.
    pub(super) fn take_fresh(&mut self, ranking: impl IntoIterator<Item = u32>, most: usize) -> Vec<u32> {
        let mut taken = Vec::new();
        let mut ranking = ranking.into_iter();
        while taken.len() < most {
            let Some(row) = ranking.next() else { break };
            if !self.spent.contains(&self.cells[row as usize]) && !self.rows.contains(&row) {
                self.put(row);
                taken.push(row);
            }
        }
        taken
    }

    /// Takes the first `most` rows of a ranking: those whose questions are not spent, then the others.
    pub fn take(&mut self, ranking: &[u32], most: usize) -> Vec<u32> {
        let mut taken = self.take_fresh(ranking.iter().copied(), most);
        for &row in ranking {
            if taken.len() >= most {
                break;
            }
            if !self.rows.contains(&row) {
                self.put(row);
                taken.push(row);
            }
        }
        taken
    }
}

/// Rows by ascending value, equal ones by row; values that are not numbers come last.
pub(super) fn ranked(rows: &[u32], value: impl Fn(usize) -> f64) -> Vec<u32> {
    let mut keyed: Vec<(f64, u32)> =
        rows.iter().enumerate().map(|(place, &row)| (value(place), row)).collect();
    keyed.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    keyed.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::{Figure, Group};

    /// Says half of everything.
    pub(in crate::query) struct Undecided(pub(in crate::query) usize);

    impl Learner for Undecided {
        fn probabilities(&self, _: &[u32], _: &[bool], _: &[f64], _: &Ctx) -> Result<Vec<f64>, LearnError> {
            Ok(vec![0.5; self.0])
        }
    }

    /// A pool of one column, what is known of it and scores: enough for a view.
    pub(in crate::query) struct World {
        pub(in crate::query) pool: Pool,
        pub(in crate::query) labels: BTreeMap<u32, Annotation>,
        pub(in crate::query) left_out: BTreeSet<u32>,
        pub(in crate::query) scores: Vec<f64>,
        pub(in crate::query) learner: Undecided,
    }

    impl World {
        pub(in crate::query) fn new(x: Matrix, scores: Vec<f64>, labels: &[(u32, bool, &str)]) -> Self {
            let rows = x.rows();
            let labels =
                labels.iter().map(|&(row, malicious, family)| (row, Annotation::new(malicious, family)));
            Self {
                pool: Pool::new(x, 0.1).unwrap(),
                labels: labels.collect(),
                left_out: BTreeSet::new(),
                scores,
                learner: Undecided(rows),
            }
        }

        pub(in crate::query) fn view(&self) -> View<'_> {
            View {
                pool: &self.pool,
                labels: &self.labels,
                left_out: &self.left_out,
                scores: &self.scores,
                learner: &self.learner,
                seed: 7,
                iteration: 1,
            }
        }
    }

    fn asked_of(row: u32) -> Query {
        Query {
            row,
            group: Group::All,
            family: None,
            place: None,
            reason: String::new(),
            suggestion: None,
            figure: Figure { name: "", value: 0.0 },
        }
    }

    #[test]
    fn near_duplicates_are_passed_over_until_nothing_else_is_left() {
        let x = Matrix::from_values(6, 1, vec![0.0, 0.01, 0.02, 5.0, 5.01, 9.0]);
        let world = World::new(x, vec![0.5; 6], &[(0, true, "a")]);
        let view = world.view();
        let mut asked = Asked::new(&view, &[asked_of(3)]);
        assert_eq!(asked.fresh([1, 2, 4, 5]), 1);
        assert_eq!(asked.take(&[1, 4, 2, 5], 1), [5], "1 and 2 are like the answered 0, 4 like the asked 3");
        assert_eq!(
            asked.take(&[3, 1, 4, 2, 5], 2),
            [1, 4],
            "then in the order of the ranking, and no row twice"
        );
        assert_eq!(asked.take(&[3, 1, 4, 2, 5], 9), [2]);
    }

    #[test]
    fn a_cell_whose_answers_disagree_is_asked_again() {
        let x = Matrix::from_values(3, 1, vec![0.0, 0.01, 0.02]);
        let world = World::new(x, vec![0.5; 3], &[(0, true, "a"), (1, true, "b")]);
        assert_eq!(Asked::new(&world.view(), &[]).fresh([2]), 1);
    }

    #[test]
    fn families_are_counted_by_label() {
        let x = Matrix::from_values(5, 1, vec![0.0; 5]);
        let labels = [(0, true, "b"), (1, true, "a"), (2, false, "c"), (3, true, "b")];
        let world = World::new(x, vec![0.5; 5], &labels);
        assert_eq!(world.view().families(Some(true)), [("b", 2), ("a", 1)]);
        assert_eq!(world.view().families(None), [("b", 2), ("a", 1), ("c", 1)]);
        assert_eq!(world.view().askable(), [4]);
    }
}
