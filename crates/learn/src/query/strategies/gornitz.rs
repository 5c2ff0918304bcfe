//! Görnitz, Kloft and Brefeld 2009: rows near the surface of a ball around normal rows, with malicious or unknown neighbours.

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec};
use crate::query::pool::NEIGHBOURS;
use crate::query::sssvdd::Sssvdd;
use crate::query::view::ranked;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "gornitz",
    doc: "Rows near the surface of a ball that holds benign and unlabelled rows and shuts malicious ones out (semi-supervised \
          SVDD), above all those whose 10 nearest neighbours are malicious or unknown (Görnitz, Kloft and Brefeld 2009).",
    params: &[
        BATCH,
        ParamSpec {
            name: "delta",
            kind: ParamKind::Float { min: 0.0, max: 1.0 },
            default: "0.5",
            doc: "Weight of the distance to the surface; the rest is that of the neighbours.",
        },
        ParamSpec {
            name: "nu_u",
            kind: ParamKind::Float { min: 0.0, max: 1e6 },
            default: "1",
            doc: "Weight of unlabelled rows on the wrong side, all together.",
        },
        ParamSpec {
            name: "nu_l",
            kind: ParamKind::Float { min: 0.0, max: 1e6 },
            default: "1",
            doc: "Weight of labelled rows on the wrong side, all together; at least kappa.",
        },
        ParamSpec {
            name: "kappa",
            kind: ParamKind::Float { min: 0.0, max: 1e6 },
            default: "1",
            doc: "Weight of the margin between benign and malicious rows.",
        },
    ],
    build: |params| {
        let ball = Sssvdd::new(params.float("nu_u"), params.float("nu_l"), params.float("kappa"))?;
        Ok(Box::new(Gornitz { batch: params.int("batch"), delta: params.float("delta"), ball }))
    },
};

struct Gornitz {
    batch: usize,
    delta: f64,
    ball: Sssvdd,
}

impl Strategy for Gornitz {
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
        let labels: Vec<(u32, bool)> = view.labelled(None).map(|(row, one)| (row, one.malicious)).collect();
        let ball = self.ball.fit(view.pool, &labels, ctx)?;
        let from_surface = view.pool.of_rows(&rows, ctx, |_, x| ball.score(x).abs())?;
        let farthest = from_surface.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let benign = benign_neighbours(view, &rows, ctx)?;
        let value =
            |place: usize| self.delta * from_surface[place] / farthest + (1.0 - self.delta) * benign[place];
        let order = ranked(&rows, value);
        let query = |row: u32| {
            let value = rows.binary_search(&row).map_or(0.0, value);
            let reason = format!(
                "near the surface of the ball of normal rows, or with malicious or unknown neighbours: {value:.4}"
            );
            plain(row, group, reason, "distance and benign neighbours", value)
        };
        Ok(Asked::new(view, before).take(&order, self.batch).into_iter().map(query).collect())
    }
}

/// Σ over the neighbours of (y + 1) / 2k, where y is -1 for malicious, 1 for benign and 0 for unlabelled rows.
fn benign_neighbours(view: &View<'_>, rows: &[u32], ctx: &Ctx) -> Result<Vec<f64>, LearnError> {
    let kept = NEIGHBOURS.min(view.pool.rows() - 1);
    if kept == 0 {
        return Ok(vec![0.0; rows.len()]);
    }
    let near = view.pool.neighbours(ctx)?;
    let part = |row: &u32| match view.labels.get(row) {
        None => 1.0,
        Some(one) if one.malicious => 0.0,
        Some(_) => 2.0,
    };
    let of = |&row: &u32| {
        let near = &near[row as usize * kept..(row as usize + 1) * kept];
        near.iter().map(part).sum::<f64>() / (2 * kept) as f64
    };
    Ok(rows.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    #[test]
    fn neighbours_count_by_their_label() {
        // each of four rows has the three others as neighbours
        let x = Matrix::from_values(4, 1, vec![0.0, 1.0, 2.0, 3.0]);
        let world = World::new(x, vec![0.5; 4], &[(0, true, "a"), (1, false, "b")]);
        let found = benign_neighbours(&world.view(), &[2, 3], &Ctx::new(0, 1)).unwrap();
        // (0 + 2 + 1) / 6
        assert_eq!(found, [0.5, 0.5]);
    }
}
