//! ILAB (Beaugnon, Chifflier and Bach 2017): uncertain rows for the boundary, then both ends of every malicious and of
//! every benign family.

use super::by_family::{ByFamily, CONFIRMED, WITHIN};
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
        CONFIRMED,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    #[test]
    fn rows_of_probability_0_are_asked_as_benign_ones() {
        let x = Matrix::from_values(6, 1, (0..6).map(f64::from).collect());
        let world = World::new(x, vec![0.0, 0.0, 0.5, 0.6, 1.0, 1.0], &[]);
        let within = vec![super::super::by_family::Way::Centre];
        let ilab = Ilab { uncertain: 0, families: ByFamily { queries: 9, within, confirmed: 10, c: 1.0 } };
        let rows = |group| {
            let queries = ilab.ask(&world.view(), group, &[], &Ctx::new(0, 1)).unwrap();
            let mut rows: Vec<u32> = queries.iter().map(|query| query.row).collect();
            rows.sort_unstable();
            rows
        };
        assert_eq!((rows(Group::Benign), rows(Group::Malicious)), (vec![0, 1, 2], vec![3, 4, 5]));
    }

    #[test]
    fn uncertain_rows_are_the_nearest_to_a_half() {
        let x = Matrix::from_values(4, 1, (0..4).map(f64::from).collect());
        let world = World::new(x, vec![0.1, 0.45, 0.52, 0.9], &[]);
        let ilab = Ilab {
            uncertain: 2,
            families: ByFamily { queries: 0, within: Vec::new(), confirmed: 10, c: 1.0 },
        };
        let queries = ilab.ask(&world.view(), Group::Uncertain, &[], &Ctx::new(0, 1)).unwrap();
        assert_eq!(queries.iter().map(|query| query.row).collect::<Vec<_>>(), [2, 1]);
        assert!(queries.iter().all(|query| query.suggestion.is_none()));
    }
}
