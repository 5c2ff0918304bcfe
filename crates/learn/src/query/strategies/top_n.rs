//! The rows most likely to be malicious: what an analyst does who works off a ranked list.

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::query::view::ranked;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "top-n",
    doc: "The rows most likely to be malicious, as one works off a ranked list. Finds more of what is known and little else.",
    params: &[BATCH],
    build: |params| Ok(Box::new(TopN { batch: params.int("batch") })),
};

struct TopN {
    batch: usize,
}

impl Strategy for TopN {
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
        let rows = view.askable();
        let order = ranked(&rows, |place| -view.scores[rows[place] as usize]);
        let query = |row: u32| {
            let score = view.scores[row as usize];
            let reason = format!("among the likeliest to be malicious: probability {score:.3}");
            plain(row, group, reason, "probability", score)
        };
        Ok(Asked::new(view, before).take(&order, self.batch).into_iter().map(query).collect())
    }
}
