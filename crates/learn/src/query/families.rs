//! The model of families: a multinomial logistic regression on the labelled rows, asked of every row.

use std::collections::BTreeMap;

use super::Annotation;
use super::pool::Pool;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::linear::design::{Design, Shift};
use crate::linear::objective::{Loss, Objective, Penalty, sigmoid, softmax};
use crate::linear::sums::Sums;
use crate::linear::{Stop, lbfgs};
use crate::params::{ParamKind, ParamSpec};

/// The parameter of strategies that have a model of families.
pub(super) const FAMILY_C: ParamSpec = ParamSpec {
    name: "family_C",
    kind: ParamKind::Float { min: 1e-6, max: 1e6 },
    default: "0.1",
    doc: "Inverse strength of the L2 penalty of the model of families.",
};

/// How near its minimum the model is fitted: it only ranks rows, and someone waits for it.
const ENOUGH: Stop = Stop { gap: 3e-3, steps: 40 };

/// A fitted model of families.
pub(super) struct Families {
    /// Their names in the order of the model's outputs.
    pub(super) names: Vec<String>,
    /// Labelled rows and the place of their family in `names`.
    pub(super) labelled: Vec<(u32, u32)>,
    sums: Sums,
}

/// What the model says of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Guess {
    /// The likeliest family (the first of equals).
    pub(super) family: u32,
    /// Its probability.
    pub(super) probability: f64,
    /// By how much it is likelier than the next.
    pub(super) margin: f64,
    /// Entropy of the probabilities of all families, in nats.
    pub(super) entropy: f64,
}

impl Families {
    /// Whether labelled rows have at least two families, the second with two rows at least: less cannot be learnt from.
    pub(super) fn suffice(families: &[(&str, usize)]) -> bool {
        families.get(1).is_some_and(|&(_, count)| count >= 2)
    }

    /// Fits on labelled rows of two families at least.
    pub(super) fn fit<'a>(
        pool: &Pool,
        labelled: impl Iterator<Item = (u32, &'a Annotation)>,
        c: f64,
        ctx: &Ctx,
    ) -> Result<Self, LearnError> {
        let labelled: Vec<(u32, &str)> = labelled.map(|(row, one)| (row, one.family.as_str())).collect();
        let mut places: BTreeMap<&str, u32> = labelled.iter().map(|&(_, family)| (family, 0)).collect();
        (0..).zip(places.values_mut()).for_each(|(place, value)| *value = place);
        let names = places.keys().map(|&name| name.to_owned()).collect::<Vec<String>>();
        let labelled: Vec<(u32, u32)> =
            labelled.into_iter().map(|(row, family)| (row, places[family])).collect();
        let rows: Vec<usize> = labelled.iter().map(|(row, _)| *row as usize).collect();
        let y: Vec<u32> = labelled.iter().map(|(_, family)| *family).collect();
        let x = pool.x().take_rows(&rows);
        let penalty = Penalty { c, l1: 0.0, l2: 1.0, intercept_scaling: None };
        // A few hundred rows are not worth more than one thread.
        let ctx = ctx.single_threaded();
        let sums = ctx.install(|| -> Result<Sums, LearnError> {
            let design = Design::new((&x).into(), Shift::All);
            let weights = vec![1.0; y.len()];
            let objective = Objective::new(&design, &y, names.len(), &weights, Loss::Logistic, penalty);
            let solution = lbfgs::minimise(&objective, objective.start(), ENOUGH, &ctx)?;
            Ok(Sums::new(&design, &solution.theta))
        })??;
        Ok(Self { names, labelled, sums })
    }

    /// What it says of these rows.
    pub(super) fn guess(&self, pool: &Pool, rows: &[u32], ctx: &Ctx) -> Result<Vec<Guess>, LearnError> {
        pool.of_rows(rows, ctx, |_, x| guess(&self.probabilities(x)))
    }

    /// The probability of each family for a row.
    pub(super) fn probabilities(&self, x: &[f64]) -> Vec<f64> {
        let mut scores = vec![0.0; self.names.len()];
        self.sums.margins(x, &mut scores);
        match scores[..] {
            // Of two families only the margin of the second is given.
            [margin, _] => vec![sigmoid(-margin), sigmoid(margin)],
            _ => {
                softmax(&mut scores);
                scores
            }
        }
    }
}

fn guess(scores: &[f64]) -> Guess {
    let (mut family, mut first, mut second) = (0, f64::NEG_INFINITY, f64::NEG_INFINITY);
    for (place, &score) in (0u32..).zip(scores) {
        if score > first {
            (family, second, first) = (place, first, score);
        } else if score > second {
            second = score;
        }
    }
    Guess { family, probability: first, margin: first - second, entropy: entropy(scores) }
}

/// -Σ p ln p.
pub(super) fn entropy(probabilities: &[f64]) -> f64 {
    -probabilities.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_the_likeliest_and_its_lead() {
        let guess = guess(&[0.2, 0.5, 0.3]);
        assert_eq!((guess.family, guess.probability), (1, 0.5));
        assert!((guess.margin - 0.2).abs() < 1e-15);
        let entropy = -(0.2f64 * 0.2f64.ln() + 0.5 * 0.5f64.ln() + 0.3 * 0.3f64.ln());
        assert!((guess.entropy - entropy).abs() < 1e-15);
    }

    #[test]
    fn two_families_the_second_with_two_rows_suffice() {
        assert!(!Families::suffice(&[("a", 9)]));
        assert!(!Families::suffice(&[("a", 9), ("b", 1)]));
        assert!(Families::suffice(&[("a", 9), ("b", 2)]));
    }
}
