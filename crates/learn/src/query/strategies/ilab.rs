//! ILAB (Beaugnon, Chifflier and Bach 2017): uncertain rows for the boundary, then both ends of every malicious and of
//! every benign family.

use super::by_family::{ByFamily, WITHIN};
use super::plain;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec};
use crate::query::families::FAMILY_C;
use crate::query::view::ranked;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "ilab",
    doc: "Three groups (Beaugnon, Chifflier and Bach, RAID 2017): rows nearest to the boundary; then, of the rows taken for \
          malicious and of those taken for benign, the most and the least typical of every family. The typical are cheap to \
          confirm; the others are where unknown families hide.",
    params: &[
        ParamSpec {
            name: "uncertain",
            kind: ParamKind::Int { min: 0, max: 100_000 },
            default: "10",
            doc: "Uncertain rows in an iteration.",
        },
        ParamSpec {
            name: "annotations",
            kind: ParamKind::Int { min: 0, max: 100_000 },
            default: "45",
            doc: "Rows in an iteration taken for malicious, and as many taken for benign.",
        },
        WITHIN,
        FAMILY_C,
    ],
    build: |params| {
        let families = ByFamily::of(params, "annotations");
        Ok(Box::new(Ilab { uncertain: params.int("uncertain"), families }))
    },
};

struct Ilab {
    uncertain: usize,
    families: ByFamily,
}

impl Strategy for Ilab {
    fn groups(&self) -> &'static [Group] {
        &[Group::Uncertain, Group::Malicious, Group::Benign]
    }

    fn ask(
        &self,
        view: &View<'_>,
        group: Group,
        before: &[Query],
        ctx: &Ctx,
    ) -> Result<Vec<Query>, LearnError> {
        let rows = view.askable();
        let of_label = |malicious: bool| -> Vec<u32> {
            rows.iter().copied().filter(|&row| is_malicious(view, row) == malicious).collect()
        };
        match group {
            Group::Malicious => self.families.ask(view, (group, Some(true)), &of_label(true), before, ctx),
            Group::Benign => self.families.ask(view, (group, Some(false)), &of_label(false), before, ctx),
            Group::Uncertain | Group::All => Ok(self.uncertain(view, &rows, before)),
        }
    }
}

/// Which group a row is in: every probability from 0 to 1 is in one of them, 0 and 0.5 in the benign one.
fn is_malicious(view: &View<'_>, row: u32) -> bool {
    view.scores[row as usize] > 0.5
}

impl Ilab {
    fn uncertain(&self, view: &View<'_>, rows: &[u32], before: &[Query]) -> Vec<Query> {
        let order = ranked(rows, |place| (view.scores[rows[place] as usize] - 0.5).abs());
        let query = |row: u32| {
            let score = view.scores[row as usize];
            let reason = format!("the model cannot decide: probability {score:.3} of being malicious");
            plain(row, Group::Uncertain, reason, "probability", score)
        };
        Asked::new(view, before).take(&order, self.uncertain).into_iter().map(query).collect()
    }
}
