//! Selective sampling after Cesa-Bianchi, Gentile and Zaniboni (2006): chance, with odds that fall with the margin.

use rand::RngExt;

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec};
use crate::query::view::ranked;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};
use crate::rng;

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "cesa-bianchi",
    doc: "Rows drawn without replacement with odds b / (b + |p - 0.5|) (Cesa-Bianchi, Gentile and Zaniboni 2006, made for \
          batches): near the boundary more often, far from it now and then.",
    params: &[
        BATCH,
        ParamSpec {
            name: "b",
            kind: ParamKind::Float { min: 1e-9, max: 1e9 },
            default: "0.1",
            doc: "The smaller, the nearer to the boundary; large = at random.",
        },
    ],
    build: |params| Ok(Box::new(CesaBianchi { batch: params.int("batch"), b: params.float("b") })),
};

struct CesaBianchi {
    batch: usize,
    b: f64,
}

impl Strategy for CesaBianchi {
    fn groups(&self) -> &'static [Group] {
        ALL
    }

    /// Draws by the keys of Efraimidis and Spirakis (2006): ln u / odds, the largest first.
    fn ask(
        &self,
        view: &View<'_>,
        group: Group,
        before: &[Query],
        _: &Ctx,
    ) -> Result<Vec<Query>, LearnError> {
        let rows = view.askable();
        let odds = |row: u32| self.b / (self.b + (view.scores[row as usize] - 0.5).abs());
        let mut rng = rng::stream(view.seed, "cesa-bianchi queries", view.iteration);
        let keys: Vec<f64> = rows.iter().map(|&row| (1.0 - rng.random::<f64>()).ln() / odds(row)).collect();
        let order = ranked(&rows, |place| -keys[place]);
        let query = |row: u32| {
            let odds = odds(row);
            let reason = format!("drawn with odds {odds:.2}, which fall with the distance from the boundary");
            plain(row, group, reason, "odds", odds)
        };
        Ok(Asked::new(view, before).take(&order, self.batch).into_iter().map(query).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    #[test]
    fn rows_near_the_boundary_are_drawn_as_much_oftener_as_their_odds_are_higher() {
        // two rows, of which one is drawn: odds 1 and 0.1 / 0.5 = 1/5, so the first comes first in 5 of 6 draws
        let x = Matrix::from_values(2, 1, vec![0.0, 9.0]);
        let mut world = World::new(x, vec![0.5, 0.9], &[]);
        let strategy = CesaBianchi { batch: 1, b: 0.1 };
        let mut first = 0;
        for iteration in 0..3000 {
            let view = View { iteration, ..world.view() };
            let queries = strategy.ask(&view, Group::All, &[], &Ctx::new(0, 1)).unwrap();
            first += usize::from(queries[0].row == 0);
        }
        // five standard deviations of 3000 draws at 5/6 are 102
        assert!((2398..=2602).contains(&first), "{first}");
        world.scores[1] = 0.5;
        assert_eq!(strategy.ask(&world.view(), Group::All, &[], &Ctx::new(0, 1)).unwrap().len(), 1);
    }
}
