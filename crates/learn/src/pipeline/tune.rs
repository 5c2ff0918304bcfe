//! The search for hyperparameters within some rows of a problem: every candidate's preparation and model are fitted on the
//! training rows of inner folds alone, so that rows held out outside are never seen.

use rand::seq::SliceRandom;

use super::adjust::Adjust;
use super::hold_out::default_order;
use super::problem::{FittedRows, Problem};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::eval::split::{Fold, Rows, Split};
use crate::params::Params;
use crate::rng;
use crate::search::{Candidate, Judged, Objective, Search, SearchRecord, SearchSpec};

impl Problem<'_> {
    /// Fits on some rows with the hyperparameters given, or with the best found on those rows when a search is asked for.
    pub(super) fn fit_procedure(
        &self,
        rows: &[usize],
        ctx: &Ctx,
    ) -> Result<(FittedRows, Option<SearchRecord>), LearnError> {
        let Some(spec) = &self.search else { return Ok((self.fit(rows, ctx)?, None)) };
        let record = self.tune(spec, rows, ctx)?;
        let estimator = (self.model.build)(&self.checked(&record.best_params())?)?;
        Ok((self.fit_with(&*estimator, rows, ctx)?, Some(record)))
    }

    /// All hyperparameters of a candidate.
    pub(super) fn checked(&self, candidate: &Candidate) -> Result<Params, LearnError> {
        Params::check(self.model.name, self.model.params, candidate)
    }

    fn tune(&self, spec: &SearchSpec, rows: &[usize], ctx: &Ctx) -> Result<SearchRecord, LearnError> {
        let search = Search::new(spec, self.model, &self.given, ctx.seed)?;
        let (split, folds) = self.inner_folds(spec, rows, ctx.seed)?;
        let inner = ctx.single_threaded();
        let judge = |candidate: &Candidate, fold: usize, share: f64| {
            let Fold { train, test } = &folds[fold];
            let train = self.share_of(train, share, ctx.seed);
            let estimator = (self.model.build)(&self.checked(candidate)?)?;
            let fitted = self.fit_with(&*estimator, &train, &inner)?;
            self.judge(spec, &fitted, test, &inner)
        };
        search.run(&split.to_string(), folds.len(), judge, ctx)
    }

    fn judge(
        &self,
        spec: &SearchSpec,
        fitted: &FittedRows,
        test: &[usize],
        ctx: &Ctx,
    ) -> Result<Option<f64>, LearnError> {
        let labelled: Vec<usize> =
            test.iter().copied().filter(|&row| self.rows.labels[row].is_some()).collect();
        let (scores, mut probabilities) = self.score(fitted, &labelled, ctx)?;
        if let Some(expected) = &self.expected {
            let mut adjust = Adjust::default();
            adjust.correct_priors(&self.learnt_shares(), expected);
            adjust.apply_all(&mut probabilities);
        }
        let costs = spec.objective.costs().or(self.costs.as_ref());
        let costs = costs.filter(|_| !self.classes.is_empty());
        let costs = costs.map(|costs| costs.of_classes(&self.classes)).transpose()?;
        let decide = |row: &[f64]| {
            costs.as_ref().map_or_else(|| super::Pipeline::decide(row), |costs| costs.decide(row))
        };
        let known = !self.classes.is_empty();
        let decided: Vec<u32> = probabilities.iter_rows().filter(|_| known).map(decide).collect();
        let classes: Vec<u32> = labelled.iter().filter_map(|&row| self.y.get(row).copied()).collect();
        if let (Objective::Cost(_), Some(costs), Some(expected)) = (&spec.objective, &costs, &self.expected) {
            return costs.expected_cost(&classes, &decided, expected);
        }
        let malicious: Vec<bool> = labelled.iter().map(|&row| self.rows.labels[row] == Some(true)).collect();
        spec.objective.measure(&Judged {
            malicious: &malicious,
            scores: &scores,
            classes: &classes,
            decided: &decided,
            names: &self.classes,
        })
    }

    /// Folds of `rows` by places in the whole problem, without those that leave too little to learn from.
    fn inner_folds(
        &self,
        spec: &SearchSpec,
        rows: &[usize],
        seed: u64,
    ) -> Result<(Split, Vec<Fold>), LearnError> {
        let view = self.rows.take(rows);
        let divide = |split: &Split| -> Result<Vec<Fold>, LearnError> {
            let whole = |places: Vec<usize>| places.into_iter().map(|place| rows[place]).collect();
            let folds = split.folds(&view, seed)?.into_iter();
            let folds = folds.map(|fold| Fold { train: whole(fold.train), test: whole(fold.test) });
            Ok(folds.filter(|fold| self.suffices(&fold.train)).collect())
        };
        let none = || {
            LearnError::Data(format!(
                "search: {} rows are too few to hold some out for judging candidates; give the hyperparameters or another inner split",
                rows.len()
            ))
        };
        if let Some(split) = &spec.split {
            let folds = divide(split)?;
            return if folds.is_empty() { Err(none()) } else { Ok((split.clone(), folds)) };
        }
        let divided = default_order(&view)?.into_iter().find_map(|split: Split| {
            let folds = divide(&split).ok()?;
            (!folds.is_empty()).then_some((split, folds))
        });
        divided.ok_or_else(none)
    }

    /// About this share of the rows, at least one of each class; a smaller share is a part of a larger.
    fn share_of(&self, rows: &[usize], share: f64, seed: u64) -> Vec<usize> {
        if share >= 1.0 {
            return rows.to_vec();
        }
        let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); self.classes.len().max(1)];
        for &row in &self.learnt(rows) {
            of_class[self.y.get(row).map_or(0, |&class| class as usize)].push(row);
        }
        let mut kept = Vec::new();
        for (class, mut members) in of_class.into_iter().enumerate() {
            members.shuffle(&mut rng::stream(seed, "search rows", class as u64));
            members.truncate((share * members.len() as f64).ceil() as usize);
            kept.extend(members);
        }
        kept.sort_unstable();
        kept
    }
}

impl<'a> Rows<'a> {
    /// What a split sees of some rows.
    fn take(&self, rows: &[usize]) -> Self {
        Self {
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
            families: rows.iter().map(|&row| self.families[row]).collect::<Vec<Option<&'a str>>>(),
            groups: self.groups.as_ref().map(|groups| rows.iter().map(|&row| groups[row]).collect()),
            times: self.times.as_ref().map(|times| rows.iter().map(|&row| times[row]).collect()),
        }
    }
}
