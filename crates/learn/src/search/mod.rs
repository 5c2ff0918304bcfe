//! The search for hyperparameters: candidates from a [`space`], judged on rows held out by an [`objective`], fold by fold.
//!
//! [`Search::run`] knows nothing of tables: it is given a function that fits a candidate on a share of one fold's training
//! rows and measures it on the rows held out. The pipeline gives it one that refits the preparation each time.

mod defaults;
mod objective;
mod record;
mod space;

use rayon::prelude::*;

pub use defaults::{SPACES, default_space};
pub(crate) use objective::Judged;
pub use objective::Objective;
pub use record::{CandidateRecord, SearchRecord};
pub use space::{Candidate, Dimension};

use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::ModelSpec;
use crate::eval::split::Split;
use crate::params::Params;

/// Which candidates are tried, and how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Every combination; ranges give four points each.
    Grid,
    /// So many drawn at random (Bergstra and Bengio 2012).
    Random(usize),
    /// So many drawn at random, on few training rows at first; the better third goes on with three times the rows, until all
    /// rows are used (successive halving, Jamieson and Talwalkar 2016, with η = 3).
    Halving(usize),
}

/// How many times more rows, and fewer candidates, each round of successive halving has.
const ETA: usize = 3;
/// Folds every candidate is measured on before any is discarded.
const SURE_FOLDS: usize = 3;
/// A candidate is discarded when it is worse than the best by this many standard errors of their paired differences.
const HOPELESS: f64 = 4.0;

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Grid => f.write_str("grid"),
            Self::Random(count) => write!(f, "random:{count}"),
            Self::Halving(count) => write!(f, "halving:{count}"),
        }
    }
}

impl std::str::FromStr for Method {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self, LearnError> {
        let count = |text: &str| text.parse().ok().filter(|count| (1..=10_000).contains(count));
        let parsed = match text.split_once(':') {
            None if text == "grid" => Some(Self::Grid),
            None if text == "random" => Some(Self::Random(20)),
            None if text == "halving" => Some(Self::Halving(27)),
            Some(("random", candidates)) => count(candidates).map(Self::Random),
            Some(("halving", candidates)) => count(candidates).map(Self::Halving),
            _ => None,
        };
        parsed.ok_or_else(|| LearnError::Parameter {
            owner: "search".to_owned(),
            name: "method".to_owned(),
            expected: "grid, random:20 or halving:27 (1 to 10000 candidates)".to_owned(),
            found: text.to_owned(),
        })
    }
}

/// Everything that determines a search, beside the data.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSpec {
    /// Which candidates.
    pub method: Method,
    /// Where to look; `None` = the model's line of [`SPACES`].
    pub space: Option<Vec<Dimension>>,
    /// What is made best.
    pub objective: Objective,
    /// How rows are held out within the training rows; `None` = the honest default for them.
    pub split: Option<Split>,
}

impl Default for SearchSpec {
    fn default() -> Self {
        Self { method: Method::Random(20), space: None, objective: Objective::AveragePrecision, split: None }
    }
}

/// A search whose candidates are drawn and checked.
pub(crate) struct Search<'a> {
    pub(crate) spec: &'a SearchSpec,
    pub(crate) candidates: Vec<Candidate>,
}

impl<'a> Search<'a> {
    /// Draws the candidates; each also has the `fixed` parameters, which win.
    pub(crate) fn new(
        spec: &'a SearchSpec,
        model: &ModelSpec,
        fixed: &Candidate,
        seed: u64,
    ) -> Result<Self, LearnError> {
        let space = spec.space.clone().unwrap_or_else(|| default_space(model));
        let space: Vec<Dimension> =
            space.into_iter().filter(|dimension| !fixed.contains_key(dimension.name())).collect();
        let drawn = match spec.method {
            Method::Grid => space::grid(&space, model.params)?,
            Method::Random(count) | Method::Halving(count) => {
                space::random(&space, model.params, count, seed)
            }
        };
        let with_fixed = |mut candidate: Candidate| {
            candidate.extend(fixed.clone());
            Params::check(model.name, model.params, &candidate).map(|_| candidate)
        };
        let candidates: Vec<Candidate> = drawn.into_iter().map(with_fixed).collect::<Result<_, _>>()?;
        Ok(Self { spec, candidates })
    }

    /// Measures the candidates on `folds` folds with `judge(candidate, fold, share of the fold's training rows)`, which must
    /// give the same value whenever it is asked. The same result for any number of threads; the first of equals wins.
    pub(crate) fn run(
        &self,
        split: &str,
        folds: usize,
        judge: impl Fn(&Candidate, usize, f64) -> Result<Option<f64>, LearnError> + Sync,
        ctx: &Ctx,
    ) -> Result<SearchRecord, LearnError> {
        let mut records: Vec<CandidateRecord> =
            self.candidates.iter().map(|params| CandidateRecord::new(params.clone())).collect();
        let mut alive: Vec<usize> = (0..records.len()).collect();
        let rounds = self.rounds();
        for round in 0..rounds {
            let share = (1.0 / ETA as f64).powi((rounds - 1 - round) as i32);
            alive.iter().for_each(|&place| records[place].begin_round(share));
            self.race(&mut records, &mut alive, folds, &judge, ctx)?;
            ctx.progress("searching hyperparameters", round as u64 + 1, rounds as u64);
            if round + 1 < rounds {
                self.sort(&records, &mut alive);
                alive.truncate(alive.len().div_ceil(ETA));
                alive.sort_unstable();
            }
        }
        self.sort(&records, &mut alive);
        let best = alive.iter().copied().find(|&place| records[place].mean.is_some());
        let best = best.ok_or_else(|| {
            LearnError::Data(format!(
                "search: {} is not defined on any fold of split {split} (a fold may hold no malicious or no benign rows)",
                self.spec.objective
            ))
        })?;
        Ok(SearchRecord {
            method: self.spec.method.to_string(),
            objective: self.spec.objective.to_string(),
            split: split.to_owned(),
            folds: folds as u64,
            best: best as u64,
            candidates: records,
        })
    }

    /// Rounds of successive halving, until fewer than [`ETA`] candidates are left; one for other methods.
    fn rounds(&self) -> usize {
        match self.spec.method {
            Method::Halving(_) => {
                let mut rounds = 1;
                let mut left = self.candidates.len();
                while left >= ETA {
                    left = left.div_ceil(ETA);
                    rounds += 1;
                }
                rounds
            }
            Method::Grid | Method::Random(_) => 1,
        }
    }

    /// Measures fold after fold, all candidates alive side by side, and discards those without hope in between.
    fn race(
        &self,
        records: &mut [CandidateRecord],
        alive: &mut Vec<usize>,
        folds: usize,
        judge: &(impl Fn(&Candidate, usize, f64) -> Result<Option<f64>, LearnError> + Sync),
        ctx: &Ctx,
    ) -> Result<(), LearnError> {
        let mut done = 0;
        while done < folds {
            ctx.check()?;
            let until = if done == 0 { SURE_FOLDS.min(folds) } else { done + 1 };
            let work: Vec<(usize, usize)> =
                alive.iter().flat_map(|&place| (done..until).map(move |fold| (place, fold))).collect();
            let one = |&(place, fold): &(usize, usize)| {
                ctx.check()?;
                judge(&self.candidates[place], fold, records[place].share)
            };
            let values: Vec<Option<f64>> =
                ctx.install(|| work.par_iter().map(one).collect::<Result<_, LearnError>>())??;
            for (&(place, _), value) in work.iter().zip(values) {
                records[place].values.push(value);
            }
            alive.iter().for_each(|&place| records[place].summarise());
            done = until;
            if done < folds {
                self.discard(records, alive);
            }
        }
        Ok(())
    }

    fn discard(&self, records: &mut [CandidateRecord], alive: &mut Vec<usize>) {
        let mut order = alive.clone();
        self.sort(records, &mut order);
        let Some(&best) = order.first() else { return };
        let best_values = records[best].values.clone();
        alive.retain(|&place| {
            let hopeless = place != best && self.is_hopeless(&best_values, &records[place].values);
            records[place].discarded = hopeless;
            !hopeless
        });
    }

    /// Whether the paired differences to the best leave no doubt.
    fn is_hopeless(&self, best: &[Option<f64>], other: &[Option<f64>]) -> bool {
        let sign = if self.spec.objective.more_is_better() { 1.0 } else { -1.0 };
        let differences: Vec<f64> =
            best.iter().zip(other).filter_map(|(a, b)| Some(sign * ((*a)? - (*b)?))).collect();
        let count = differences.len() as f64;
        if differences.len() < SURE_FOLDS {
            return false;
        }
        let mean = differences.iter().sum::<f64>() / count;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (count - 1.0);
        // Equal differences would make any gap certain; a gap below 0.001 is not worth discarding for.
        mean > 1e-3 && mean > HOPELESS * (variance / count).sqrt()
    }

    /// Best first, the first of equals first; those without a value last.
    fn sort(&self, records: &[CandidateRecord], places: &mut [usize]) {
        let sign = if self.spec.objective.more_is_better() { 1.0 } else { -1.0 };
        let value = |place: usize| records[place].mean.map_or(f64::NEG_INFINITY, |mean| sign * mean);
        places.sort_by(|&a, &b| value(b).total_cmp(&value(a)).then(a.cmp(&b)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;

    fn spec(method: &str, space: &[&str]) -> SearchSpec {
        SearchSpec {
            method: method.parse().unwrap(),
            space: Some(space.iter().map(|text| text.parse().unwrap()).collect()),
            ..SearchSpec::default()
        }
    }

    fn run(spec: &SearchSpec, folds: usize, threads: usize) -> SearchRecord {
        let model = models::find("logistic").unwrap();
        let search = Search::new(spec, model, &Candidate::new(), 3).unwrap();
        // best at C = 1; fold and share move every candidate alike
        let judge = |candidate: &Candidate, fold: usize, share: f64| {
            let c: f64 = candidate["C"].parse().unwrap();
            Ok(Some(0.9 - 0.1 * c.log10().abs() + 0.001 * fold as f64 + 0.01 * share))
        };
        search.run("k-fold", folds, judge, &Ctx::new(0, threads)).unwrap()
    }

    #[test]
    fn the_best_of_a_grid_wins_and_the_hopeless_are_dropped() {
        let found = run(&spec("grid", &["C=0.01|0.1|1|10"]), 6, 1);
        assert_eq!(found.best_params()["C"], "1");
        assert!(found.candidates[0].discarded && found.candidates[0].values.len() == 3);
        assert_eq!(found.candidates[2].values.len(), 6);
        let mean = 0.9 + 0.0025 + 0.01;
        assert!((found.candidates[2].mean.unwrap() - mean).abs() < 1e-12);
        assert_eq!(found, run(&spec("grid", &["C=0.01|0.1|1|10"]), 6, 3));
    }

    #[test]
    fn halving_gives_all_rows_to_few() {
        // two folds are too few to discard anyone in between
        let found = run(&spec("halving:9", &["C=1e-3..1e3:log"]), 2, 2);
        assert_eq!(found.candidates.len(), 9);
        let with =
            |share: f64| found.candidates.iter().filter(|one| (one.share - share).abs() < 1e-12).count();
        assert_eq!((with(1.0), with(1.0 / 3.0), with(1.0 / 9.0)), (1, 2, 6));
        let distance = |one: &CandidateRecord| one.params["C"].parse::<f64>().unwrap().log10().abs();
        let best = &found.candidates[found.best as usize];
        assert!(found.candidates.iter().all(|one| distance(one) >= distance(best)));
        assert_eq!(best.share, 1.0);
    }

    #[test]
    fn methods_are_read_as_they_are_written() {
        for text in ["grid", "random:7", "halving:27"] {
            assert_eq!(text.parse::<Method>().unwrap().to_string(), text);
        }
        for bad in ["", "random:0", "halving:x", "grid:3", "bayes"] {
            assert!(bad.parse::<Method>().is_err(), "{bad}");
        }
        let model = models::find("logistic").unwrap();
        let stray = spec("grid", &["depth=1|2"]);
        assert!(Search::new(&stray, model, &Candidate::new(), 0).is_err());
    }
}
