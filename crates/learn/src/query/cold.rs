//! The first questions of a campaign that knows no malicious or no benign row: there is no classifier to ask yet.
//!
//! Half of them are the rows an isolation forest finds most novel, where attacks are likelier than anywhere else; the other
//! half are those nearest to the centres of a k-means clustering, which stand for what is common. A classifier needs both.

use super::view::ranked;
use super::{Asked, Figure, Group, Query, Strategy, View};
use crate::LearnError;
use crate::cluster::kmeans::KMeans;
use crate::ctx::Ctx;
use crate::estimator::Train;
use crate::models;
use crate::params::Params;
use crate::query::pool::squared_distance;

pub(super) struct Cold {
    pub(super) batch: usize,
}

/// Rows of a mini-batch of k-means.
const ROWS: usize = 1024;

impl Strategy for Cold {
    fn groups(&self) -> &'static [Group] {
        &[Group::All]
    }

    fn ask(
        &self,
        view: &View<'_>,
        group: Group,
        before: &[Query],
        ctx: &Ctx,
    ) -> Result<Vec<Query>, LearnError> {
        let rows = view.askable();
        let batch = self.batch.min(rows.len());
        if batch == 0 {
            return Ok(Vec::new());
        }
        let ctx = &ctx.clone().with_seed(view.seed);
        let mut asked = Asked::new(view, before);
        let novelty = novelty(view, ctx)?;
        let order = ranked(&rows, |place| -novelty[rows[place] as usize]);
        let mut queries: Vec<Query> = Vec::new();
        for row in asked.take(&order, batch.div_ceil(2)) {
            let value = novelty[row as usize];
            let reason = format!(
                "nothing can be learnt yet; an isolation forest finds this row among the most novel ({value:.3}): attacks are rare and odd"
            );
            queries.push(super::strategies::plain(row, group, reason, "novelty", value));
        }
        for (row, distance) in central(view, &rows, batch - queries.len(), &mut asked, ctx)? {
            let reason =
                "nothing can be learnt yet; this row is the middle of a lump of the data: it stands for what is common"
                    .to_owned();
            queries.push(Query {
                row,
                group,
                family: None,
                place: None,
                reason,
                suggestion: None,
                figure: Figure { name: "distance", value: distance },
            });
        }
        Ok(queries)
    }
}

fn novelty(view: &View<'_>, ctx: &Ctx) -> Result<Vec<f64>, LearnError> {
    let spec = models::find("isolation-forest")?;
    let estimator = (spec.build)(&Params::check(spec.name, spec.params, &[].into())?)?;
    let model = estimator.fit(&Train::unlabelled(view.pool.x()), ctx)?;
    Ok(model.score(view.pool.x(), ctx).column(0))
}

/// For each of `count` centres the nearest row that can still be asked, and its distance.
fn central(
    view: &View<'_>,
    rows: &[u32],
    count: usize,
    asked: &mut Asked<'_>,
    ctx: &Ctx,
) -> Result<Vec<(u32, f64)>, LearnError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let x = view.pool.x();
    let clustering = KMeans { batch: Some(ROWS), max_iter: 2, ..KMeans::new(count.min(x.rows())) };
    let clusters = clustering.fit(x, None, ctx)?;
    let mut found = Vec::new();
    for centre in clusters.centres.iter_rows() {
        let distances = view.pool.of_rows(rows, ctx, |_, row| squared_distance(row, centre))?;
        let order = ranked(rows, |place| distances[place]);
        for row in asked.take(&order, 1) {
            let place = rows.binary_search(&row).unwrap_or_default();
            found.push((row, distances[place].sqrt()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    #[test]
    fn a_cold_start_asks_about_the_odd_and_the_common() {
        let lump = |middle: f64, rows: i32| {
            (0..rows).map(move |row| middle + f64::from(row) * 0.2 / f64::from(rows))
        };
        let x: Vec<f64> = lump(0.0, 60).chain(lump(5.0, 40)).chain([30.0]).collect();
        let world = World::new(Matrix::from_values(101, 1, x), vec![0.5; 101], &[]);
        let queries = Cold { batch: 4 }.ask(&world.view(), Group::All, &[], &Ctx::new(0, 2)).unwrap();
        assert_eq!(queries.len(), 4);
        assert_eq!(queries[0].row, 100, "the odd row is the most novel");
        assert!(queries[2..].iter().all(|query| query.figure.name == "distance"));
        assert!(queries.iter().all(|query| query.reason.contains("nothing can be learnt yet")));
        assert_eq!(queries, Cold { batch: 4 }.ask(&world.view(), Group::All, &[], &Ctx::new(9, 1)).unwrap());
    }
}
