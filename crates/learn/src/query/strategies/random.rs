//! Random sampling: rows drawn without replacement, every one with the same chance.

use rand::seq::SliceRandom;

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};
use crate::rng;

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "random",
    doc: "Rows drawn at random: what every other strategy has to beat, and the only one whose answers say how common \
          a family is.",
    params: &[BATCH],
    build: |params| Ok(Box::new(Random { batch: params.int("batch") })),
};

struct Random {
    batch: usize,
}

impl Strategy for Random {
    fn groups(&self) -> &'static [Group] {
        ALL
    }

    fn ask(
        &self,
        view: &View<'_>,
        group: Group,
        before: &[Query],
        _: &Ctx,
    ) -> Result<Vec<Query>, LearnError> {
        let order = shuffled(view, &view.askable(), "random queries", 0);
        let taken = Asked::new(view, before).take(&order, self.batch);
        let score = |row: u32| view.scores[row as usize];
        let query = |row| plain(row, group, "drawn at random".to_owned(), "probability", score(row));
        Ok(taken.into_iter().map(query).collect())
    }
}

/// The rows in an order drawn for this iteration; `index` tells draws of one purpose apart.
pub(super) fn shuffled(view: &View<'_>, rows: &[u32], purpose: &str, index: u64) -> Vec<u32> {
    let mut rows = rows.to_vec();
    rows.shuffle(&mut rng::stream(view.seed, purpose, view.iteration << 8 | index));
    rows
}
