//! Core set (Sener and Savarese 2018): rows such that no row is far from all labelled ones.

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::query::pool::squared_distance;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "core-set",
    doc: "k-centre greedy (Sener and Savarese 2018, algorithm 1): again and again the row farthest from every labelled or asked \
          one. Covers the pool without asking any model; on traffic that means its oddities.",
    params: &[BATCH],
    build: |params| Ok(Box::new(CoreSet { batch: params.int("batch") })),
};

struct CoreSet {
    batch: usize,
}

impl Strategy for CoreSet {
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
        let x = view.pool.x();
        let centres: Vec<u32> =
            view.labels.keys().copied().chain(before.iter().map(|query| query.row)).collect();
        let mut far = distances(view, &rows, &centres, ctx)?;
        let mut asked = Asked::new(view, before);
        let mut queries = Vec::new();
        while queries.len() < self.batch.min(rows.len()) {
            ctx.check()?;
            let open = |place: usize| !asked.contains(rows[place]);
            let farther = |a: usize, b: usize| if far[b] > far[a] { b } else { a };
            let Some(place) = (0..rows.len()).filter(|&place| open(place)).reduce(farther) else { break };
            let row = rows[place];
            asked.take(&[row], 1);
            let distance = far[place].sqrt();
            let shown = if distance.is_finite() { distance } else { f64::MAX };
            let reason = if distance.is_finite() {
                format!("the farthest row from all that are labelled or asked: distance {shown:.2}")
            } else {
                "the first of all rows: nothing is labelled".to_owned()
            };
            queries.push(plain(row, group, reason, "distance", shown));
            let near =
                view.pool.of_rows(&rows, ctx, |_, other| squared_distance(other, x.row(row as usize)))?;
            far.iter_mut().zip(near).for_each(|(far, near)| *far = far.min(near));
        }
        Ok(queries)
    }
}

/// The squared distance of each row to the nearest centre; infinite without centres.
fn distances(view: &View<'_>, rows: &[u32], centres: &[u32], ctx: &Ctx) -> Result<Vec<f64>, LearnError> {
    let x = view.pool.x();
    let length = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let centres: Vec<(f64, &[f64])> =
        centres.iter().map(|&row| x.row(row as usize)).map(|row| (length(row), row)).collect();
    view.pool.of_rows(rows, ctx, |_, row| {
        let own = length(row);
        centres.iter().fold(f64::INFINITY, |nearest, (length, centre)| {
            // Two rows are at least as far apart as their lengths differ.
            let least = (own - length) * (own - length) * (1.0 - 1e-9);
            if least >= nearest { nearest } else { nearest.min(squared_distance(row, centre)) }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    #[test]
    fn each_row_is_the_farthest_from_all_before() {
        let world = World::new(
            Matrix::from_values(5, 1, vec![0.0, 1.0, 10.0, 6.0, 4.0]),
            vec![0.5; 5],
            &[(0, true, "a")],
        );
        let queries = CoreSet { batch: 3 }.ask(&world.view(), Group::All, &[], &Ctx::new(0, 2)).unwrap();
        // from 0 the farthest is 10; then 6 and 4 are both 4 away, the first wins; then 4 (2 away)
        assert_eq!(queries.iter().map(|query| query.row).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(queries.iter().map(|query| query.figure.value).collect::<Vec<_>>(), [10.0, 4.0, 2.0]);
    }
}
