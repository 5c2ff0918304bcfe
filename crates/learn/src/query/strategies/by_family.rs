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
    kind: ParamKind::Choice(&[
        "centre-edge",
        "centre-edge-boundary",
        "edge-boundary",
        "centre",
        "edge",
        "boundary",
        "uncertain",
        "random",
    ]),
    default: "centre-edge",
    doc: "Which rows of a family, in equal parts: `centre` the most and `edge` the least typical, `boundary` those the \
          model is least sure are malicious or benign, `uncertain` those whose family is least certain, `random` any.",
};

/// When a family is known well enough.
pub(super) const CONFIRMED: ParamSpec = ParamSpec {
    name: "confirmed",
    kind: ParamKind::Int { min: 1, max: 1_000_000 },
    default: "1",
    doc: "From so many labelled rows on a family's centre is asked about once an iteration, and the rest of its share is \
          taken elsewhere in it.",
};

/// How queries are taken from families.
pub(super) struct ByFamily {
    /// Queries in all.
    pub(super) queries: usize,
    pub(super) within: Vec<Way>,
    /// Labelled rows from which on a family's centre is asked about once.
    pub(super) confirmed: usize,
    /// C of the model of families.
    pub(super) c: f64,
}

/// Which rows of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Centre,
    Edge,
    Boundary,
    Uncertain,
    Random,
}

impl ByFamily {
    pub(super) fn of(params: &Params, queries: &str) -> Self {
        let way = |word: &str| match word {
            "centre" => Way::Centre,
            "edge" => Way::Edge,
            "boundary" => Way::Boundary,
            "uncertain" => Way::Uncertain,
            _ => Way::Random,
        };
        let within = params.text("within").split('-').map(way).collect();
        let confirmed = params.int("confirmed");
        Self { queries: params.int(queries), within, confirmed, c: params.float("family_C") }
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
        let mut known = vec![0; model.names.len()];
        model.labelled.iter().for_each(|(_, family)| known[*family as usize] += 1);
        let (guesses, typical, names) = (&guesses[..], &typical[..], &model.names[..]);
        let sorted = Sorted { view, group, rows, guesses, typical, names, labels, known };
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

    /// Takes a family's share: each way its part, the last the rest; of a confirmed family's centre one row at most.
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
        let confirmed = sorted.known[family] >= self.confirmed && self.within.len() > 1;
        for (number, &way) in self.within.iter().enumerate() {
            let ways_left = self.within.len() - number;
            let part = match way {
                Way::Centre if confirmed => left.min(1).min(share / self.within.len()),
                _ => left / ways_left,
            };
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
    /// Labelled rows of each family.
    known: Vec<usize>,
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
            Way::Boundary => ranked(&rows, |at| (self.view.scores[rows[at] as usize] - 0.5).abs()),
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
            Way::Boundary => {
                let score = self.view.scores[row as usize];
                (
                    None,
                    format!(
                        "of the rows taken for `{name}` one of the least sure: probability {score:.3} of being malicious"
                    ),
                    Figure { name: "probability", value: score },
                )
            }
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
