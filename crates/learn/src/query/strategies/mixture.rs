//! Pelleg and Moore 2004: a mixture with one normal component for each known family, fitted by EM to all rows while labelled
//! ones stay in their family's component; then components take turns to nominate the least likely row they own.
//!
//! Columns of a component are independent. A component that explains its family well owns odd rows only when no other does,
//! which is where small families hide.

use std::collections::BTreeMap;

use super::ALL;
use super::random::shuffled;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::query::gaussians::Gaussians;
use crate::query::pool::{add_up, runs};
use crate::query::view::ranked;
use crate::query::{Annotation, Asked, Figure, Group, Place, Query, Strategy, Suggestion, View};

/// Smallest variance of a component, in units of the columns (which have variance 1 or so).
const FLOOR: f64 = 1e-3;
/// EM is over when the mean log-likelihood of a row rises by less.
const ENOUGH: f64 = 1e-3;

pub(super) struct Mixture {
    pub(super) batch: usize,
    pub(super) steps: usize,
}

impl Strategy for Mixture {
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
        let mut asked = Asked::new(view, before);
        let families = families(view);
        if families.len() < 2 {
            let order = shuffled(view, &rows, "mixture queries", 0);
            let reason = "drawn at random: two families are not known yet";
            let query =
                |row| super::plain(row, group, reason.to_owned(), "probability", view.scores[row as usize]);
            return Ok(asked.take(&order, self.batch).into_iter().map(query).collect());
        }
        let components = fit(view, &families, self.steps, ctx)?;
        let owned = view.pool.of_rows(&rows, ctx, |_, x| {
            let owner = components.likeliest(x);
            (owner, components.joint(x, owner))
        })?;
        let mut nominations: Vec<_> = (0..families.len())
            .map(|family| {
                let places: Vec<usize> = (0..rows.len()).filter(|&place| owned[place].0 == family).collect();
                let members: Vec<u32> = places.iter().map(|&place| rows[place]).collect();
                ranked(&members, |at| owned[places[at]].1).into_iter()
            })
            .collect();
        let mut queries: Vec<Query> = Vec::new();
        let query = |row: u32, family: usize| {
            let place = rows.binary_search(&row).unwrap_or_default();
            let (name, malicious) = &families[family];
            Query {
                row,
                group,
                family: Some(name.clone()),
                place: Some(Place::Edge),
                reason: format!("the least likely row that `{name}` explains better than any other family"),
                suggestion: Some(Suggestion {
                    malicious: *malicious,
                    family: Some(name.clone()),
                    confident: false,
                }),
                figure: Figure { name: "log-likelihood", value: owned[place].1 },
            }
        };
        while queries.len() < self.batch {
            let before = queries.len();
            for (family, nominations) in nominations.iter_mut().enumerate() {
                if queries.len() < self.batch {
                    let row = asked.take_fresh(nominations, 1);
                    queries.extend(row.into_iter().map(|row| query(row, family)));
                }
            }
            if queries.len() == before {
                break;
            }
        }
        // Where all questions are spent, their near duplicates, the least likely first.
        let order = ranked(&rows, |place| owned[place].1);
        let place = |row: u32| rows.binary_search(&row).unwrap_or_default();
        let left = self.batch - queries.len();
        queries.extend(asked.take(&order, left).into_iter().map(|row| query(row, owned[place(row)].0)));
        Ok(queries)
    }
}

/// Known families by name, each with the label most of its rows have.
fn families(view: &View<'_>) -> Vec<(String, bool)> {
    let mut votes: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, Annotation { malicious, family }) in view.labelled(None) {
        *votes.entry(family).or_default() += if *malicious { 1 } else { -1 };
    }
    votes.into_iter().map(|(name, votes)| (name.to_owned(), votes >= 0)).collect()
}

/// Sums over rows of what each component owns of them.
struct Sums {
    likelihood: f64,
    /// Components, then components × columns of values, then of their squares.
    parts: Vec<f64>,
}

/// EM (Dempster, Laird and Rubin 1977) from the labelled rows alone.
fn fit(
    view: &View<'_>,
    families: &[(String, bool)],
    steps: usize,
    ctx: &Ctx,
) -> Result<Gaussians, LearnError> {
    let (count, columns) = (families.len(), view.pool.x().columns());
    let family = |one: &Annotation| families.partition_point(|(name, _)| *name < one.family);
    let fixed: BTreeMap<u32, usize> = view.labelled(None).map(|(row, one)| (row, family(one))).collect();
    let labelled: Vec<(u32, usize)> = fixed.iter().map(|(row, family)| (*row, *family)).collect();
    let mut parts = vec![0.0; count * (1 + 2 * columns)];
    labelled.iter().for_each(|&(row, family)| {
        add(&mut parts, count, family, 1.0, view.pool.x().row(row as usize));
    });
    // A family of few rows does not know its spread: it starts with that of the pool, which is 1 or so.
    let mut components = from_sums(&parts, count, columns, 1.0);
    let mut before = f64::NEG_INFINITY;
    for step in 0..steps {
        ctx.check()?;
        ctx.progress("mixture: steps of EM", step as u64, steps as u64);
        let sums = expectation(view, &components, &fixed, ctx)?;
        components = from_sums(&sums.parts, count, columns, FLOOR);
        if sums.likelihood - before < ENOUGH {
            break;
        }
        before = sums.likelihood;
    }
    Ok(components)
}

/// One pass over the pool: what each component owns of each row, and the sums that make the next components.
fn expectation(
    view: &View<'_>,
    components: &Gaussians,
    fixed: &BTreeMap<u32, usize>,
    ctx: &Ctx,
) -> Result<Sums, LearnError> {
    let (x, count) = (view.pool.x(), components.families());
    let run = |rows: std::ops::Range<usize>| {
        let mut sums = Sums { likelihood: 0.0, parts: vec![0.0; count * (1 + 2 * x.columns())] };
        let mut joint = vec![0.0; count];
        for row in rows {
            let values = x.row(row);
            if let Some(&family) = fixed.get(&(row as u32)) {
                sums.likelihood += components.joint(values, family);
                add(&mut sums.parts, count, family, 1.0, values);
                continue;
            }
            joint
                .iter_mut()
                .enumerate()
                .for_each(|(family, joint)| *joint = components.joint(values, family));
            let most = joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = joint.iter().map(|joint| (joint - most).exp()).sum();
            sums.likelihood += most + total.ln();
            for (family, joint) in joint.iter().enumerate() {
                let share = (joint - most).exp() / total;
                if share > 1e-9 {
                    add(&mut sums.parts, count, family, share, values);
                }
            }
        }
        sums
    };
    let done = runs(x.rows(), ctx, run)?;
    let likelihood = done.iter().map(|sums| sums.likelihood).sum::<f64>() / x.rows() as f64;
    Ok(Sums { likelihood, parts: add_up(done.into_iter().map(|sums| sums.parts).collect()) })
}

fn add(parts: &mut [f64], count: usize, family: usize, share: f64, values: &[f64]) {
    let columns = values.len();
    parts[family] += share;
    let (first, squares) = parts[count..].split_at_mut(count * columns);
    let places = family * columns..(family + 1) * columns;
    first[places.clone()].iter_mut().zip(values).for_each(|(sum, value)| *sum += share * value);
    squares[places].iter_mut().zip(values).for_each(|(sum, value)| *sum += share * value * value);
}

/// Components from sums; no variance is below `least`.
fn from_sums(parts: &[f64], count: usize, columns: usize, least: f64) -> Gaussians {
    let (totals, values) = parts.split_at(count);
    let (first, squares) = values.split_at(count * columns);
    let total = |place: usize| totals[place / columns].max(1e-300);
    let means: Vec<f64> = first.iter().enumerate().map(|(place, sum)| sum / total(place)).collect();
    let variance =
        |(place, sum): (usize, &f64)| (sum / total(place) - means[place] * means[place]).max(least);
    let variances: Vec<f64> = squares.iter().enumerate().map(variance).collect();
    Gaussians::new(columns, means, &variances, totals, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    /// Thirty rows about 0, thirty about 10, and one at 14; one row of either lump is labelled.
    fn world() -> World {
        let lump = |middle: f64| (0..30).map(move |row| middle + f64::from(row - 15) * 0.05);
        let x: Vec<f64> = lump(0.0).chain(lump(10.0)).chain([14.0]).collect();
        World::new(Matrix::from_values(61, 1, x), vec![0.5; 61], &[(15, false, "near"), (45, true, "far")])
    }

    #[test]
    fn components_settle_on_the_lumps_and_take_turns() {
        let world = world();
        let view = world.view();
        let ctx = Ctx::new(0, 2);
        let components = fit(&view, &families(&view), 50, &ctx).unwrap();
        assert_eq!((components.likeliest(&[0.3]), components.likeliest(&[9.8])), (1, 0), "far, near by name");
        let queries = Mixture { batch: 4, steps: 50 }.ask(&view, Group::All, &[], &ctx).unwrap();
        let names: Vec<_> = queries.iter().map(|query| query.family.as_deref().unwrap()).collect();
        assert_eq!(names, ["far", "near", "far", "near"]);
        assert_eq!(queries[0].row, 60, "the odd row is the least likely that `far` owns");
        assert!(queries[0].suggestion.as_ref().unwrap().malicious);
    }

    #[test]
    fn labelled_rows_stay_in_their_family() {
        let mut world = world();
        // the expert says that a row amid the first lump is of the other family
        world.labels.insert(10, Annotation::new(true, "far"));
        let view = world.view();
        let families = families(&view);
        let ctx = Ctx::new(0, 1);
        let start = fit(&view, &families, 1, &ctx).unwrap();
        let fixed = BTreeMap::from([(10u32, 0usize), (15, 1), (45, 0)]);
        let sums = expectation(&view, &start, &fixed, &ctx).unwrap();
        let free = expectation(&view, &start, &BTreeMap::new(), &ctx).unwrap();
        assert!(
            sums.parts[0] > free.parts[0],
            "it counts in full where its likelihood alone would not put it"
        );
    }
}
