//! ALADIN (Stokes and others 2008): family by family, the least certain row and the most anomalous one by turns.

use std::collections::BTreeMap;

use super::random::shuffled;
use super::{ALL, BATCH};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::query::families::{FAMILY_C, Families, Guess};
use crate::query::gaussians::Gaussians;
use crate::query::view::ranked;
use crate::query::{Asked, Figure, Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "aladin",
    doc: "For every family by turns the row whose family is least certain to a logistic regression, and the row that is \
          least likely to a naive Bayes fitted to what the regression says of all rows (Stokes, Platt, Kravis and \
          Shilman 2008).",
    params: &[BATCH, FAMILY_C],
    build: |params| Ok(Box::new(Aladin { batch: params.int("batch"), c: params.float("family_C") })),
};

struct Aladin {
    batch: usize,
    c: f64,
}

impl Strategy for Aladin {
    fn groups(&self) -> &'static [Group] {
        ALL
    }

    fn ask(
        &self,
        view: &View<'_>,
        group: Group,
        before: &[Query],
        ctx: &Ctx,
    ) -> Result<Vec<Query>, LearnError> {
        let rows = view.askable();
        if view.families(None).len() < 2 {
            let order = shuffled(view, &rows, "aladin queries", 0);
            let reason = "drawn at random: two families are not known yet";
            let query =
                |row| super::plain(row, group, reason.to_owned(), "probability", view.scores[row as usize]);
            return Ok(Asked::new(view, before).take(&order, self.batch).into_iter().map(query).collect());
        }
        let judged = Judged::new(view, &rows, self.c, ctx)?;
        let picks = if self.batch <= judged.model.names.len() {
            judged.overall(view, before, self.batch)
        } else {
            judged.by_turns(view, before, self.batch, ctx)?
        };
        Ok(picks.into_iter().map(|pick| judged.query(group, pick)).collect())
    }
}

/// Why a row was taken.
#[derive(Clone, Copy, PartialEq)]
enum Cause {
    Uncertain,
    Anomalous,
    /// No row was taken for the family any more.
    Likeliest,
}

/// A row, why, and for which family.
type Pick = (u32, Cause, u32);

/// What both models say of each row.
struct Judged<'a> {
    rows: &'a [u32],
    model: Families,
    guesses: Vec<Guess>,
    /// Family by naive Bayes, and how likely the row is in it.
    bayes: Vec<(u32, f64)>,
}

impl<'a> Judged<'a> {
    fn new(view: &View<'_>, rows: &'a [u32], c: f64, ctx: &Ctx) -> Result<Self, LearnError> {
        let model = Families::fit(view.pool, view.labelled(None), c, ctx)?;
        let guesses = model.guess(view.pool, rows, ctx)?;
        let (mut all, mut families): (Vec<u32>, Vec<u32>) = model.labelled.iter().copied().unzip();
        all.extend_from_slice(rows);
        families.extend(guesses.iter().map(|guess| guess.family));
        let gaussians = Gaussians::fit(view.pool, &all, &families, model.names.len(), ctx)?;
        let bayes = view.pool.of_rows(rows, ctx, |_, x| {
            let family = gaussians.likeliest(x);
            (family as u32, gaussians.typical(x, family))
        })?;
        Ok(Self { rows, model, guesses, bayes })
    }

    /// Batches no larger than the number of families: the most anomalous rows in odd iterations, the least certain in even.
    fn overall(&self, view: &View<'_>, before: &[Query], batch: usize) -> Vec<Pick> {
        let odd = view.iteration % 2 == 1;
        let order =
            ranked(self.rows, |place| if odd { self.bayes[place].1 } else { self.guesses[place].margin });
        let pick = |row| {
            let place = self.place(row);
            let cause = if odd { Cause::Anomalous } else { Cause::Uncertain };
            (row, cause, if odd { self.bayes[place].0 } else { self.guesses[place].family })
        };
        Asked::new(view, before).take(&order, batch).into_iter().map(pick).collect()
    }

    /// Families by turns, and for each the two causes by turns.
    fn by_turns(
        &self,
        view: &View<'_>,
        before: &[Query],
        batch: usize,
        ctx: &Ctx,
    ) -> Result<Vec<Pick>, LearnError> {
        let mut asked = Asked::new(view, before);
        let count = self.model.names.len();
        let of_family = |family: u32, of: &dyn Fn(usize) -> (u32, f64)| {
            let places: Vec<usize> = (0..self.rows.len()).filter(|&place| of(place).0 == family).collect();
            let members: Vec<u32> = places.iter().map(|&place| self.rows[place]).collect();
            ranked(&members, |at| of(places[at]).1).into_iter()
        };
        let uncertain = |place: usize| (self.guesses[place].family, self.guesses[place].margin);
        let anomalous = |place: usize| self.bayes[place];
        let mut uncertain: Vec<_> = (0..count as u32).map(|family| of_family(family, &uncertain)).collect();
        let mut anomalous: Vec<_> = (0..count as u32).map(|family| of_family(family, &anomalous)).collect();
        let mut likeliest: BTreeMap<usize, std::vec::IntoIter<u32>> = BTreeMap::new();
        let mut taken = vec![(0usize, 0usize); count];
        let mut picks = Vec::new();
        let mut idle = 0;
        for family in (0..count).cycle() {
            if picks.len() >= batch || idle >= count {
                break;
            }
            let (of_uncertain, of_anomalous) = taken[family];
            let (row, cause) = if of_uncertain <= of_anomalous {
                taken[family].0 += 1;
                (asked.take_fresh(&mut uncertain[family], 1), Cause::Uncertain)
            } else {
                taken[family].1 += 1;
                (asked.take_fresh(&mut anomalous[family], 1), Cause::Anomalous)
            };
            let (row, cause) = if row.is_empty() {
                if let std::collections::btree_map::Entry::Vacant(entry) = likeliest.entry(family) {
                    let chance =
                        view.pool.of_rows(self.rows, ctx, |_, x| self.model.probabilities(x)[family])?;
                    entry.insert(ranked(self.rows, |place| -chance[place]).into_iter());
                }
                let row = likeliest.get_mut(&family).map(|rows| asked.take_fresh(rows, 1));
                (row.unwrap_or_default(), Cause::Likeliest)
            } else {
                (row, cause)
            };
            idle = if row.is_empty() { idle + 1 } else { 0 };
            picks.extend(row.into_iter().map(|row| (row, cause, family as u32)));
        }
        // Where all questions are spent, their near duplicates, the least certain first.
        let order = ranked(self.rows, |place| self.guesses[place].margin);
        let left = batch - picks.len();
        let again = asked.take(&order, left).into_iter();
        picks.extend(again.map(|row| (row, Cause::Uncertain, self.guesses[self.place(row)].family)));
        Ok(picks)
    }

    fn place(&self, row: u32) -> usize {
        self.rows.binary_search(&row).unwrap_or_default()
    }

    fn query(&self, group: Group, (row, cause, family): Pick) -> Query {
        let place = self.place(row);
        let name = &self.model.names[family as usize];
        let guess = self.guesses[place];
        let (reason, figure) = match cause {
            Cause::Uncertain => (
                format!("taken for `{name}` with the least lead over the next family: {:.3}", guess.margin),
                Figure { name: "lead of the likeliest family", value: guess.margin },
            ),
            Cause::Anomalous => (
                format!("the least likely row that naive Bayes takes for `{name}`"),
                Figure { name: "log-likelihood", value: self.bayes[place].1 },
            ),
            Cause::Likeliest => (
                format!("no row is taken for `{name}` any more; this one is the likeliest to be"),
                Figure { name: "probability of its family", value: guess.probability },
            ),
        };
        Query { row, group, family: Some(name.clone()), place: None, reason, suggestion: None, figure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;
    use std::collections::BTreeSet;

    fn world() -> World {
        let x: Vec<f64> =
            (0..120).map(|row| f64::from(row % 40) * 0.11 + f64::from(row / 40) * 20.0).collect();
        let labels: Vec<(u32, bool, &str)> = [
            (0, true, "a"),
            (1, true, "a"),
            (41, false, "b"),
            (42, false, "b"),
            (80, false, "c"),
            (81, false, "c"),
        ]
        .into();
        World::new(Matrix::from_values(120, 1, x), vec![0.5; 120], &labels)
    }

    #[test]
    fn a_batch_above_the_number_of_families_is_asked_in_full() {
        let world = world();
        let queries =
            Aladin { batch: 30, c: 1.0 }.ask(&world.view(), Group::All, &[], &Ctx::new(0, 1)).unwrap();
        let rows: BTreeSet<u32> = queries.iter().map(|query| query.row).collect();
        assert_eq!((queries.len(), rows.len()), (30, 30));
        let of = |name: &str| queries.iter().filter(|query| query.family.as_deref() == Some(name)).count();
        assert_eq!((of("a"), of("b"), of("c")), (10, 10, 10), "families by turns");
        let uncertain = queries.iter().filter(|query| query.figure.name.starts_with("lead")).count();
        assert!((12..=18).contains(&uncertain), "and the causes by turns: {uncertain}");
    }

    #[test]
    fn small_batches_take_one_cause_by_turns_of_iterations() {
        let world = world();
        for (iteration, name) in [(1, "log-likelihood"), (2, "lead of the likeliest family")] {
            let view = View { iteration, ..world.view() };
            let queries = Aladin { batch: 3, c: 1.0 }.ask(&view, Group::All, &[], &Ctx::new(0, 1)).unwrap();
            assert!(queries.len() == 3 && queries.iter().all(|query| query.figure.name == name));
        }
    }
}
