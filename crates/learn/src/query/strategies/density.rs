//! Information density (Settles and Craven 2008): uncertain rows that many others resemble.

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec};
use crate::query::families::entropy;
use crate::query::pool::{add_up, runs};
use crate::query::view::ranked;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "density",
    doc: "Uncertain rows that resemble many others (information density, Settles and Craven 2008): the entropy of the label times \
          the mean cosine similarity to the pool, brought to 0..1, to a power. Leaves oddities alone.",
    params: &[
        BATCH,
        ParamSpec {
            name: "beta",
            kind: ParamKind::Float { min: 0.0, max: 100.0 },
            default: "1",
            doc: "Power of the similarity; 0 = uncertainty alone.",
        },
    ],
    build: |params| Ok(Box::new(Density { batch: params.int("batch"), beta: params.float("beta") })),
};

struct Density {
    batch: usize,
    beta: f64,
}

impl Strategy for Density {
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
        let similar = mean_similarity(view, &rows, ctx)?;
        let value = |place: usize| {
            let p = view.scores[rows[place] as usize];
            entropy(&[p, 1.0 - p]) * ((1.0 + similar[place]) / 2.0).clamp(0.0, 1.0).powf(self.beta)
        };
        let order = ranked(&rows, |place| -value(place));
        let query = |row: u32| {
            let value = rows.binary_search(&row).map_or(0.0, value);
            let reason = format!("uncertain, and like many other rows: information density {value:.3}");
            plain(row, group, reason, "information density", value)
        };
        Ok(Asked::new(view, before).take(&order, self.batch).into_iter().map(query).collect())
    }
}

/// The mean over the pool of the cosine between a row and each row: the dot product with the mean of all directions.
fn mean_similarity(view: &View<'_>, rows: &[u32], ctx: &Ctx) -> Result<Vec<f64>, LearnError> {
    let x = view.pool.x();
    let length = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>().sqrt();
    let parts = runs(x.rows(), ctx, |range| {
        let mut sums = vec![0.0; x.columns()];
        for row in range.map(|row| x.row(row)) {
            let length = length(row);
            if length > 0.0 {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / length);
            }
        }
        sums
    })?;
    let middle: Vec<f64> = add_up(parts).into_iter().map(|sum| sum / x.rows() as f64).collect();
    view.pool.of_rows(rows, ctx, |_, row| {
        let along: f64 = row.iter().zip(&middle).map(|(a, b)| a * b).sum();
        let length = length(row);
        if length > 0.0 { along / length } else { 0.0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    #[test]
    fn the_mean_similarity_is_that_of_all_pairs() {
        let values = vec![1.0, 2.0, -3.0, 0.5, 4.0, 4.0, 0.0, 0.0];
        let world = World::new(Matrix::from_values(4, 2, values), vec![0.5; 4], &[]);
        let found = mean_similarity(&world.view(), &[0, 1, 2], &Ctx::new(0, 1)).unwrap();
        let x = world.pool.x();
        for (row, found) in found.into_iter().enumerate() {
            let cosine = |other: usize| {
                let (a, b) = (x.row(row), x.row(other));
                let lengths = a[0].hypot(a[1]) * b[0].hypot(b[1]);
                if lengths > 0.0 { (a[0] * b[0] + a[1] * b[1]) / lengths } else { 0.0 }
            };
            let naive = (0..4).map(cosine).sum::<f64>() / 4.0;
            assert!((naive - found).abs() < 1e-12, "{naive} {found}");
        }
    }
}
