//! Uncertainty sampling (Lewis and Gale 1994): the rows the model knows least about.

use super::{ALL, BATCH, plain};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::params::{ParamKind, ParamSpec};
use crate::query::families::{FAMILY_C, Families, Guess};
use crate::query::view::ranked;
use crate::query::{Asked, Group, Query, Strategy, StrategySpec, View};

pub(super) static SPEC: StrategySpec = StrategySpec {
    name: "uncertainty",
    doc: "The rows the model is least sure of (Lewis and Gale 1994): by the probability of the likeliest class, the lead \
          over the second, or the entropy of all (Settles 2009, section 3.1). Of two classes the three say the same; of \
          families they do not. Good for the boundary, blind to what lies far from it.",
    params: &[
        BATCH,
        ParamSpec {
            name: "measure",
            kind: ParamKind::Choice(&["least-confident", "margin", "entropy"]),
            default: "least-confident",
            doc: "What is least: probability of the likeliest class, or its lead; or most: entropy.",
        },
        ParamSpec {
            name: "over",
            kind: ParamKind::Choice(&["label", "family"]),
            default: "label",
            doc: "Whose probabilities: malicious and benign by the campaign's model, or all families by a model of families.",
        },
        FAMILY_C,
    ],
    build: |params| {
        let measure = match params.text("measure") {
            "margin" => Measure::Margin,
            "entropy" => Measure::Entropy,
            _ => Measure::LeastConfident,
        };
        Ok(Box::new(Uncertainty {
            batch: params.int("batch"),
            measure,
            families: (params.text("over") == "family").then(|| params.float("family_C")),
        }))
    },
};

#[derive(Clone, Copy)]
enum Measure {
    LeastConfident,
    Margin,
    Entropy,
}

impl Measure {
    /// How sure a guess is: the less, the sooner it is asked.
    fn of(self, guess: Guess) -> f64 {
        match self {
            Self::LeastConfident => guess.probability,
            Self::Margin => guess.margin,
            Self::Entropy => -guess.entropy,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::LeastConfident => "probability of the likeliest class",
            Self::Margin => "lead of the likeliest class",
            Self::Entropy => "negative entropy",
        }
    }
}

struct Uncertainty {
    batch: usize,
    measure: Measure,
    /// C of the model of families, when they are what is uncertain.
    families: Option<f64>,
}

impl Strategy for Uncertainty {
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
        let known = view.families(None).len() >= 2;
        let guesses = match self.families {
            Some(c) if known => {
                Families::fit(view.pool, view.labelled(None), c, ctx)?.guess(view.pool, &rows, ctx)?
            }
            _ => rows.iter().map(|&row| of_two(view.scores[row as usize])).collect(),
        };
        let sure: Vec<f64> = guesses.into_iter().map(|guess| self.measure.of(guess)).collect();
        let order = ranked(&rows, |place| sure[place]);
        let name = self.measure.name();
        let query = |row: u32| {
            let value = rows.binary_search(&row).map_or(f64::MAX, |place| sure[place]);
            let reason = format!("among the rows the model is least sure of: {name} {value:.3}");
            plain(row, group, reason, name, value)
        };
        Ok(Asked::new(view, before).take(&order, self.batch).into_iter().map(query).collect())
    }
}

/// The guess of a model of two classes.
fn of_two(malicious: f64) -> Guess {
    let probability = malicious.max(1.0 - malicious);
    Guess {
        family: u32::from(malicious > 0.5),
        probability,
        margin: 2.0 * probability - 1.0,
        entropy: crate::query::families::entropy(&[malicious, 1.0 - malicious]),
    }
}
