//! Query by committee (Seung, Opper and Sompolinsky 1992; Freund and others 1997): rows about which models disagree that
//! were taught by different samples of the labels.

use rand::RngExt;

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec};
use crate::query::families::entropy;
use crate::query::view::ranked;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};
use crate::rng;

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "committee",
    doc: "Rows about which models disagree that were taught by bootstrap samples of the labels (query by committee): the \
          entropy of their votes (Dagan and Engelson 1995), or the mean divergence of their probabilities from the mean \
          (McCallum and Nigam 1998).",
    params: &[
        BATCH,
        ParamSpec {
            name: "members",
            kind: ParamKind::Int { min: 2, max: 100 },
            default: "5",
            doc: "Models of the committee.",
        },
        ParamSpec {
            name: "disagreement",
            kind: ParamKind::Choice(&["votes", "divergence"]),
            default: "votes",
            doc: "`votes` = entropy of the votes, `divergence` = mean Kullback-Leibler divergence from the mean.",
        },
    ],
    build: |params| {
        Ok(Box::new(Committee {
            batch: params.int("batch"),
            members: params.int("members"),
            votes: params.text("disagreement") == "votes",
        }))
    },
};

struct Committee {
    batch: usize,
    members: usize,
    votes: bool,
}

impl Strategy for Committee {
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
        let (labelled, malicious): (Vec<u32>, Vec<bool>) =
            view.labelled(None).map(|(row, one)| (row, one.malicious)).unzip();
        let member = |member: usize| {
            let weights = bootstrap(view, &malicious, member as u64);
            view.learner.probabilities(&labelled, &malicious, &weights, ctx)
        };
        let members: Vec<Vec<f64>> = (0..self.members).map(member).collect::<Result<_, _>>()?;
        let rows = view.askable();
        let disagreement: Vec<f64> = rows
            .iter()
            .map(|&row| {
                let of_row: Vec<f64> = members.iter().map(|scores| scores[row as usize]).collect();
                if self.votes { vote_entropy(&of_row) } else { divergence(&of_row) }
            })
            .collect();
        // Many rows share one count of votes; of those the ones nearest to the boundary come first.
        let tie = |row: u32| 1e-9 * (view.scores[row as usize] - 0.5).abs();
        let order = ranked(&rows, |place| tie(rows[place]) - disagreement[place]);
        let query = |row: u32| {
            let value = rows.binary_search(&row).map_or(0.0, |place| disagreement[place]);
            let name = if self.votes { "entropy of the votes" } else { "mean divergence" };
            let reason =
                format!("models taught by samples of the labels disagree about it: {name} {value:.3}");
            plain(row, group, reason, name, value)
        };
        Ok(Asked::new(view, before).take(&order, self.batch).into_iter().map(query).collect())
    }
}

/// How often each labelled row is drawn, as many of each label as there are.
fn bootstrap(view: &View<'_>, malicious: &[bool], member: u64) -> Vec<f64> {
    let mut rng = rng::stream(view.seed, "committee", view.iteration << 8 | member);
    let mut counts = vec![0.0; malicious.len()];
    for label in [false, true] {
        let of_label: Vec<usize> = (0..malicious.len()).filter(|&place| malicious[place] == label).collect();
        for _ in 0..of_label.len() {
            counts[of_label[rng.random_range(0..of_label.len())]] += 1.0;
        }
    }
    counts
}

/// The entropy of the votes, as a share of the highest there is.
fn vote_entropy(probabilities: &[f64]) -> f64 {
    let share = probabilities.iter().filter(|p| **p > 0.5).count() as f64 / probabilities.len() as f64;
    entropy(&[share, 1.0 - share]) / std::f64::consts::LN_2
}

/// Mean over members of Σ p ln(p / mean): the entropy of the mean less the mean entropy.
fn divergence(probabilities: &[f64]) -> f64 {
    let count = probabilities.len() as f64;
    let of = |p: f64| entropy(&[p, 1.0 - p]);
    let mean = probabilities.iter().sum::<f64>() / count;
    (of(mean) - probabilities.iter().map(|&p| of(p)).sum::<f64>() / count).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;
    use crate::query::view::tests::World;

    #[test]
    fn disagreement_by_hand() {
        assert_eq!((vote_entropy(&[0.9, 0.1]), vote_entropy(&[0.9, 0.6])), (1.0, 0.0));
        assert_eq!(divergence(&[0.3, 0.3]), 0.0);
        // members sure of opposite labels: each is ln 2 from the mean
        assert!((divergence(&[1.0, 0.0]) - 2f64.ln()).abs() < 1e-12);
        let naive = |p: f64, mean: f64| p * (p / mean).ln() + (1.0 - p) * ((1.0 - p) / (1.0 - mean)).ln();
        let by_hand = (naive(0.2, 0.5) + naive(0.8, 0.5)) / 2.0;
        assert!((divergence(&[0.2, 0.8]) - by_hand).abs() < 1e-12);
    }

    #[test]
    fn samples_keep_as_many_of_each_label() {
        let world = World::new(Matrix::zeros(1, 1), vec![0.5], &[]);
        let malicious = [true, false, false, true, false];
        let counts = bootstrap(&world.view(), &malicious, 3);
        let of = |label: bool| {
            (0..5).filter(|&place| malicious[place] == label).map(|place| counts[place]).sum::<f64>()
        };
        assert_eq!((of(true), of(false)), (2.0, 3.0));
    }
}
