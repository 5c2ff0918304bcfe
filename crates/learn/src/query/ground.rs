//! What a campaign stands on: its table prepared once for the strategies and for its model, and rows to validate on.
//!
//! Preparation is learnt from all rows of the pool, labelled or not, which needs no label; so it is the same in every
//! iteration.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rayon::prelude::*;

use super::campaign::{CampaignSpec, both_known};
use super::{Annotation, Learner, Pool};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::{Kind, Model, ModelSpec, Train};
use crate::eval::probability::log_loss;
use crate::matrix::Matrix;
use crate::models;
use crate::params::Params;
use crate::prep::{Labels, Preparation, default_steps};
use crate::rng;
use crate::search::{Candidate, Method, Search, SearchSpec};
use crate::table::Table;
use rand::seq::SliceRandom;

/// The model whose preparation the strategies see rows in: numbers, none missing, on one scale.
const PLAIN: &str = "logistic";
/// Folds of the search and of the cross-validation.
pub(super) const FOLDS: usize = 4;
/// Candidates of the search.
const CANDIDATES: usize = 8;

/// Rows to ask about and rows to validate on, prepared.
pub struct Ground {
    pub(super) pool: Pool,
    pub(super) model: &'static ModelSpec,
    /// The pool as the model wants it, where that is not as the strategies do.
    own: Option<Matrix>,
    categorical: Option<Vec<bool>>,
    /// Feature of the table that each column of the model was made from.
    features: Vec<usize>,
    validation: Option<Validation>,
    searched: Mutex<Vec<Searched>>,
}

/// Rows whose labels the campaign never sees.
struct Validation {
    x: Matrix,
    malicious: Vec<bool>,
}

/// A search that was done: for these labels, parameters and seed these hyperparameters.
struct Searched {
    labels: BTreeMap<u32, Annotation>,
    given: BTreeMap<String, String>,
    seed: u64,
    found: Params,
}

impl Ground {
    /// Prepares a table for campaigns with this model; `validation` is a table of the same columns, whose rows without a label are
    /// left out.
    ///
    /// # Errors
    /// [`LearnError::Unknown`] or [`LearnError::Data`] when the model is no classifier, when the tables do not go together or
    /// cannot be prepared.
    pub fn new(
        table: &Table,
        validation: Option<&Table>,
        model: &str,
        alike: f64,
        ctx: &Ctx,
    ) -> Result<Self, LearnError> {
        ctx.check()?;
        let model = models::find(model)?;
        if model.kind != Kind::Classifier {
            return Err(LearnError::Data(format!(
                "{} is no classifier: a campaign's model learns from labels",
                model.name
            )));
        }
        let schema = table.schema();
        if let Some(validation) = validation {
            schema.check(&validation.schema())?;
        }
        let rows: Vec<usize> = (0..table.rows()).collect();
        let plain = default_steps(models::find(PLAIN)?, &schema);
        let (prep, x) = Preparation::fit(&plain, table, &rows, Labels::NONE)?;
        let steps = default_steps(model, &schema);
        let (prep, own) = if steps == plain {
            (prep, None)
        } else {
            let (prep, own) = Preparation::fit(&steps, table, &rows, Labels::NONE)?;
            (prep, Some(own))
        };
        let categorical: Vec<bool> = prep.columns().iter().map(|column| column.categorical).collect();
        let validation = validation.map(|table| {
            let labels = table.labels();
            let rows: Vec<usize> = (0..table.rows()).filter(|&row| labels[row].is_some()).collect();
            let malicious = rows.iter().map(|&row| labels[row] == Some(true)).collect();
            Validation { x: prep.apply(table, rows.into_iter()), malicious }
        });
        Ok(Self {
            pool: Pool::new(x, alike)?,
            model,
            own,
            features: prep.columns().iter().map(|column| column.source).collect(),
            categorical: (model.takes_categories && categorical.contains(&true)).then_some(categorical),
            validation,
            searched: Mutex::new(Vec::new()),
        })
    }

    /// Rows that can be asked about.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.pool.rows()
    }

    /// The rows as strategies see them.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The rows as the model sees them.
    fn x(&self) -> &Matrix {
        self.own.as_ref().unwrap_or(self.pool.x())
    }

    /// Truth and the model's probabilities of the validation rows; `None` without such rows.
    pub(super) fn validate(&self, model: &dyn Model, ctx: &Ctx) -> Option<(&[bool], Vec<f64>)> {
        let validation = self.validation.as_ref().filter(|validation| !validation.malicious.is_empty())?;
        Some((&validation.malicious, model.score(&validation.x, ctx).column(1)))
    }

    /// Teaches the model some rows.
    pub(super) fn fit(
        &self,
        params: &Params,
        rows: &[u32],
        malicious: &[bool],
        weights: Option<&[f64]>,
        ctx: &Ctx,
    ) -> Result<Box<dyn Model>, LearnError> {
        let places: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
        let x = self.x().take_rows(&places);
        let y: Vec<u32> = malicious.iter().map(|&malicious| u32::from(malicious)).collect();
        let data = Train { weights, categorical: self.categorical.as_deref(), ..Train::labelled(&x, &y, 2) };
        (self.model.build)(params)?.fit(&data, ctx)
    }

    /// What each feature of the table adds to a row's margin towards malicious, the most telling first; `None` where the model
    /// cannot say.
    pub(super) fn contributions(&self, model: &dyn Model, row: u32) -> Option<Vec<(usize, f64)>> {
        let by_column = model.contributions(self.x().row(row as usize), 1)?;
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for (&feature, value) in self.features.iter().zip(by_column.values) {
            *sums.entry(feature).or_default() += value;
        }
        let mut sums: Vec<(usize, f64)> = sums.into_iter().collect();
        sums.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        Some(sums)
    }

    /// What a model says of every row of the pool.
    pub(super) fn probabilities(&self, model: &dyn Model, ctx: &Ctx) -> Vec<f64> {
        model.score(self.x(), ctx).column(1)
    }

    /// The hyperparameters for these labels: those given, and the others at their defaults or as searched on `labels`.
    pub(super) fn hyperparameters(
        &self,
        spec: &CampaignSpec,
        labels: &BTreeMap<u32, Annotation>,
        ctx: &Ctx,
    ) -> Result<Params, LearnError> {
        let default = || Params::check(self.model.name, self.model.params, &spec.model_params);
        if !spec.search || !both_known(labels) {
            return default();
        }
        let is_same = |one: &&Searched| {
            one.seed == spec.seed && one.given == spec.model_params && one.labels == *labels
        };
        let known = |searched: &Vec<Searched>| searched.iter().find(is_same).map(|one| one.found.clone());
        if let Some(found) = self.searched.lock().ok().and_then(|searched| known(&searched)) {
            return Ok(found);
        }
        let found = match self.search(spec, labels, ctx)? {
            Some(found) => found,
            None => default()?,
        };
        if let Ok(mut searched) = self.searched.lock() {
            let (labels, given) = (labels.clone(), spec.model_params.clone());
            searched.push(Searched { labels, given, seed: spec.seed, found: found.clone() });
        }
        Ok(found)
    }

    /// The candidate of the least log loss on rows held out (the first of equals): every combination of the model's default
    /// space where they are few, else some drawn at random. `None` when there are too few labels or nothing to search.
    fn search(
        &self,
        spec: &CampaignSpec,
        labels: &BTreeMap<u32, Annotation>,
        ctx: &Ctx,
    ) -> Result<Option<Params>, LearnError> {
        let folds = folds(labels, spec.seed);
        if folds.len() < 2 {
            return Ok(None);
        }
        let candidates = |method| -> Result<Vec<Candidate>, LearnError> {
            let search = SearchSpec { method, ..SearchSpec::default() };
            Ok(Search::new(&search, self.model, &spec.model_params, spec.seed)?.candidates)
        };
        let all = candidates(Method::Grid)?;
        let candidates = if all.len() <= CANDIDATES { all } else { candidates(Method::Random(CANDIDATES))? };
        let params: Vec<Params> = candidates
            .iter()
            .map(|candidate| Params::check(self.model.name, self.model.params, candidate))
            .collect::<Result<_, _>>()?;
        let loss = |params: &Params| -> Result<f64, LearnError> {
            let (truth, scores) = self.held_out(params, labels, &folds, &ctx.single_threaded())?;
            Ok(log_loss(&truth, &scores).unwrap_or(f64::INFINITY))
        };
        let losses: Vec<f64> =
            ctx.install(|| params.par_iter().map(loss).collect::<Result<_, LearnError>>())??;
        let better = |best: usize, place: usize| if losses[place] < losses[best] { place } else { best };
        Ok((0..losses.len()).reduce(better).map(|best| params[best].clone()))
    }

    /// Truth and probabilities of labelled rows by models that were not taught them, fold after fold.
    pub(super) fn held_out(
        &self,
        params: &Params,
        labels: &BTreeMap<u32, Annotation>,
        folds: &[Vec<u32>],
        ctx: &Ctx,
    ) -> Result<(Vec<bool>, Vec<f64>), LearnError> {
        let (mut truth, mut scores) = (Vec::new(), Vec::new());
        for fold in folds {
            ctx.check()?;
            let (rows, malicious): (Vec<u32>, Vec<bool>) = labels
                .iter()
                .filter(|(row, _)| fold.binary_search(row).is_err())
                .map(|(row, one)| (*row, one.malicious))
                .unzip();
            let model = self.fit(params, &rows, &malicious, None, ctx)?;
            let places: Vec<usize> = fold.iter().map(|&row| row as usize).collect();
            scores.extend(model.score(&self.x().take_rows(&places), ctx).column(1));
            truth.extend(fold.iter().map(|row| labels[row].malicious));
        }
        Ok((truth, scores))
    }
}

/// Labelled rows dealt to at most [`FOLDS`] folds, malicious and benign apart; none when a label has fewer than two rows. Rows of a
/// fold ascend.
pub(super) fn folds(labels: &BTreeMap<u32, Annotation>, seed: u64) -> Vec<Vec<u32>> {
    let of_label = |malicious: bool| -> Vec<u32> {
        let rows = labels.iter().filter(|(_, one)| one.malicious == malicious);
        let mut rows: Vec<u32> = rows.map(|(row, _)| *row).collect();
        rows.shuffle(&mut rng::stream(seed, "campaign folds", u64::from(malicious)));
        rows
    };
    let by_label = [of_label(false), of_label(true)];
    let count = by_label.iter().map(Vec::len).min().unwrap_or(0).min(FOLDS);
    if count < 2 {
        return Vec::new();
    }
    let mut folds = vec![Vec::new(); count];
    for (place, row) in by_label.iter().flat_map(|rows| rows.iter().enumerate()) {
        folds[place % count].push(*row);
    }
    folds.iter_mut().for_each(|fold| fold.sort_unstable());
    folds
}

/// The campaign's model with its hyperparameters, for strategies that teach it themselves.
pub(super) struct Taught<'a> {
    pub(super) ground: &'a Ground,
    pub(super) params: &'a Params,
}

impl Learner for Taught<'_> {
    fn probabilities(
        &self,
        rows: &[u32],
        malicious: &[bool],
        weights: &[f64],
        ctx: &Ctx,
    ) -> Result<Vec<f64>, LearnError> {
        let model = self.ground.fit(self.params, rows, malicious, Some(weights), ctx)?;
        Ok(self.ground.probabilities(&*model, ctx))
    }
}
