//! Queries family by family: which family a row is of, how typical of it, and both ends of that ranking.
//!
//! A multinomial logistic regression on the labelled rows says which family each row is of; a normal distribution with
//! independent columns, fitted to the rows of each family, says how typical of it they are (Beaugnon, Chifflier and Bach 2017).

use std::collections::BTreeMap;

use super::random::shuffled;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec, Params};
use crate::query::allocate::allocate;
use crate::query::families::{Families, Guess};
use crate::query::gaussians::Gaussians;
use crate::query::view::ranked;
use crate::query::{Asked, Figure, Group, Place, Query, Suggestion, View};
use crate::rng;

/// Where in each family queries are taken.
pub(super) const WITHIN: ParamSpec = ParamSpec {
    name: "within",
    kind: ParamKind::Choice(&["centre-edge", "centre", "edge", "uncertain", "random"]),
    default: "centre-edge",
    doc: "Which rows of a family: half the most and half the least typical, one of these, those whose family is least \
          certain, or any.",
};

/// How queries are taken from families.
pub(super) struct ByFamily {
    /// Queries in all.
    pub(super) queries: usize,
    pub(super) within: Vec<Way>,
    /// C of the model of families.
    pub(super) c: f64,
}

/// Which rows of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Centre,
    Edge,
    Uncertain,
    Random,
}

impl ByFamily {
    pub(super) fn of(params: &Params, queries: &str) -> Self {
        let within = match params.text("within") {
            "centre" => vec![Way::Centre],
            "edge" => vec![Way::Edge],
            "uncertain" => vec![Way::Uncertain],
            "random" => vec![Way::Random],
            _ => vec![Way::Centre, Way::Edge],
        };
        Self { queries: params.int(queries), within, c: params.float("family_C") }
    }

    /// Queries among `rows`, with families from the rows labelled `label` (`None` = all labelled rows).
    pub(super) fn ask(
        &self,
        view: &View<'_>,
        (group, label): (Group, Option<bool>),
        rows: &[u32],
        before: &[Query],
        ctx: &Ctx,
    ) -> Result<Vec<Query>, LearnError> {
        let families = view.families(label);
        if !Families::suffice(&families) {
            return Ok(self.at_random(view, (group, label), rows, before));
        }
        let model = Families::fit(view.pool, view.labelled(label), self.c, ctx)?;
        let guesses = model.guess(view.pool, rows, ctx)?;
        let typical = typical(view, &model, rows, &guesses, ctx)?;
        let labels = match label {
            Some(label) => vec![label; model.names.len()],
            None => majorities(view, &model.names),
        };
        let sorted =
            Sorted { view, group, rows, guesses: &guesses, typical: &typical, names: &model.names, labels };
        Ok(self.select(&sorted, before))
    }

    /// Without two known families, rows of the group at random.
    fn at_random(
        &self,
        view: &View<'_>,
        (group, label): (Group, Option<bool>),
        rows: &[u32],
        before: &[Query],
    ) -> Vec<Query> {
        let order = shuffled(view, rows, "family queries", group as u64);
        let known = match label {
            Some(true) => "malicious families",
            Some(false) => "benign families",
            None => "families",
        };
        let query = |row: u32| Query {
            row,
            group,
            family: None,
            place: None,
            reason: format!("drawn at random: two {known}, the second with two rows, are not known yet"),
            suggestion: label.map(|malicious| Suggestion { malicious, family: None, confident: false }),
            figure: Figure { name: "probability", value: view.scores[row as usize] },
        };
        Asked::new(view, before).take(&order, self.queries).into_iter().map(query).collect()
    }

    /// Equal shares of the queries to every family, counted in questions that are not spent; what these cannot fill is
    /// filled with the others.
    fn select(&self, sorted: &Sorted<'_>, before: &[Query]) -> Vec<Query> {
        let mut asked = Asked::new(sorted.view, before);
        let members = sorted.members();
        let mut queries = Vec::new();
        for fresh in [true, false] {
            let room: Vec<usize> = members
                .iter()
                .map(|places| {
                    let rows = places.iter().map(|&place| sorted.rows[place]);
                    if fresh { asked.fresh(rows) } else { rows.filter(|&row| !asked.contains(row)).count() }
                })
                .collect();
            let index = sorted.view.iteration << 8 | (sorted.group as u64) << 1 | u64::from(fresh);
            let mut rng = rng::stream(sorted.view.seed, "family shares", index);
            let shares = allocate(&room, self.queries - queries.len(), &mut rng);
            for (family, share) in shares.into_iter().enumerate() {
                self.take(sorted, family, &members[family], share, fresh, &mut asked, &mut queries);
            }
        }
        queries
    }

    /// Takes a family's share: each way its part, the last the rest.
    #[allow(clippy::too_many_arguments)]
    fn take(
        &self,
        sorted: &Sorted<'_>,
        family: usize,
        members: &[usize],
        share: usize,
        fresh: bool,
        asked: &mut Asked<'_>,
        queries: &mut Vec<Query>,
    ) {
        let mut left = share;
        for (number, &way) in self.within.iter().enumerate() {
            let part = if number + 1 == self.within.len() { left } else { share / self.within.len() };
            if part == 0 {
                continue;
            }
            let ranking = sorted.ranking(way, members, family);
            let taken = if fresh { asked.take_fresh(ranking, part) } else { asked.take(&ranking, part) };
            left -= taken.len();
            queries.extend(taken.into_iter().map(|row| sorted.query(row, family, way)));
        }
    }
}

/// The rows of a group with their families.
struct Sorted<'a> {
    view: &'a View<'a>,
    group: Group,
    /// Ascending.
    rows: &'a [u32],
    guesses: &'a [Guess],
    typical: &'a [f64],
    names: &'a [String],
    /// Label of each family.
    labels: Vec<bool>,
}

impl Sorted<'_> {
    /// Places in `rows` of the members of each family.
    fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.names.len()];
        self.guesses.iter().enumerate().for_each(|(place, guess)| members[guess.family as usize].push(place));
        members
    }

    fn ranking(&self, way: Way, members: &[usize], family: usize) -> Vec<u32> {
        let rows: Vec<u32> = members.iter().map(|&place| self.rows[place]).collect();
        match way {
            Way::Centre => ranked(&rows, |at| -self.typical[members[at]]),
            Way::Edge => ranked(&rows, |at| self.typical[members[at]]),
            Way::Uncertain => ranked(&rows, |at| -self.guesses[members[at]].entropy),
            Way::Random => {
                shuffled(self.view, &rows, "rows of a family", (family as u64) << 2 | self.group as u64)
            }
        }
    }

    fn query(&self, row: u32, family: usize, way: Way) -> Query {
        let place = self.rows.binary_search(&row).unwrap_or_default();
        let name = &self.names[family];
        let typical = self.typical[place];
        let entropy = self.guesses[place].entropy;
        let (stands, reason, figure) = match way {
            Way::Centre => (
                Some(Place::Centre),
                format!("taken for `{name}`, and among its most typical rows: a yes confirms the family"),
                Figure { name: "log-likelihood", value: typical },
            ),
            Way::Edge => (
                Some(Place::Edge),
                format!(
                    "taken for `{name}`, but among its least typical rows: it may be of a family not known yet"
                ),
                Figure { name: "log-likelihood", value: typical },
            ),
            Way::Uncertain => (
                None,
                format!("taken for `{name}`, but nearly as likely of another family"),
                Figure { name: "entropy", value: entropy },
            ),
            Way::Random => (
                None,
                format!("drawn at random among rows taken for `{name}`"),
                Figure { name: "log-likelihood", value: typical },
            ),
        };
        let suggestion = Suggestion {
            malicious: self.labels[family],
            family: Some(name.clone()),
            confident: way == Way::Centre,
        };
        Query {
            row,
            group: self.group,
            family: Some(name.clone()),
            place: stands,
            reason,
            suggestion: Some(suggestion),
            figure,
        }
    }
}

/// How typical of its family each row is, by distributions fitted to these rows and the labelled ones, which stay in the
/// family the expert said.
fn typical(
    view: &View<'_>,
    model: &Families,
    rows: &[u32],
    guesses: &[Guess],
    ctx: &Ctx,
) -> Result<Vec<f64>, LearnError> {
    let (mut all, mut families): (Vec<u32>, Vec<u32>) = model.labelled.iter().copied().unzip();
    all.extend_from_slice(rows);
    families.extend(guesses.iter().map(|guess| guess.family));
    let gaussians = Gaussians::fit(view.pool, &all, &families, model.names.len(), ctx)?;
    let place = |row: u32| rows.binary_search(&row).unwrap_or_default();
    view.pool.of_rows(rows, ctx, |row, x| gaussians.typical(x, guesses[place(row)].family as usize))
}

/// The label that most labelled rows of each family have; malicious when as many have either.
fn majorities(view: &View<'_>, names: &[String]) -> Vec<bool> {
    let mut votes: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, one) in view.labelled(None) {
        *votes.entry(&one.family).or_default() += if one.malicious { 1 } else { -1 };
    }
    names.iter().map(|name| votes.get(name.as_str()).is_some_and(|&votes| votes >= 0)).collect()
}
