//! One iteration of a campaign: the model its labels teach, and the queries of one group after the other.

use super::campaign::{CampaignSpec, State, both_known};
use super::cold::Cold;
use super::ground::{Ground, Taught};
use super::{Group, Query, Strategy, View, find};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Model;
use crate::params::Params;

/// Queries of an iteration of a campaign that knows one label or none.
const COLD_BATCH: usize = 20;

/// An iteration under way.
pub struct Round<'a> {
    ground: &'a Ground,
    spec: &'a CampaignSpec,
    state: &'a State,
    strategy: Box<dyn Strategy>,
    params: Params,
    /// `None` while there is nothing to learn from.
    model: Option<Box<dyn Model>>,
    scores: Vec<f64>,
    queries: Vec<Query>,
    /// Groups that were asked.
    asked: usize,
}

impl<'a> Round<'a> {
    /// Teaches the model what was known when the iteration began. Its hyperparameters were searched in the iteration before
    /// ([`Round::search_ahead`]); where that was not done, it is done now.
    ///
    /// # Errors
    /// [`LearnError`] for a bad spec, of the fit, or [`LearnError::Cancelled`].
    pub fn begin(
        ground: &'a Ground,
        spec: &'a CampaignSpec,
        state: &'a State,
        ctx: &Ctx,
    ) -> Result<Self, LearnError> {
        let strategy = find(&spec.strategy)?;
        let checked = Params::check(strategy.name, strategy.params, &spec.strategy_params)?;
        let params = ground.hyperparameters(spec, &state.searched, ctx)?;
        let mut round = Self {
            ground,
            spec,
            state,
            strategy: Box::new(Cold { batch: COLD_BATCH }),
            params,
            model: None,
            scores: vec![0.5; ground.rows()],
            queries: Vec::new(),
            asked: 0,
        };
        if both_known(&state.at_start) {
            round.strategy = (strategy.build)(&checked)?;
            let (rows, malicious): (Vec<u32>, Vec<bool>) =
                state.at_start.iter().map(|(row, one)| (*row, one.malicious)).unzip();
            let model =
                ground.fit(&round.params, &rows, &malicious, None, &ctx.clone().with_seed(spec.seed))?;
            round.scores = ground.probabilities(&*model, ctx);
            round.model = Some(model);
        }
        Ok(round)
    }

    /// Groups whose queries are yet to come.
    #[must_use]
    pub fn groups_left(&self) -> &'static [Group] {
        &self.strategy.groups()[self.asked..]
    }

    /// Works out the queries of the next group, of all together as many as the budget has left; `None` when there is no other.
    ///
    /// # Errors
    /// [`LearnError`] of the strategy.
    pub fn next_group(&mut self, ctx: &Ctx) -> Result<Option<&[Query]>, LearnError> {
        let Some(&group) = self.groups_left().first() else { return Ok(None) };
        let left = (self.state.left_at_start(self.spec) as usize).saturating_sub(self.queries.len());
        let mut queries = Vec::new();
        if left > 0 {
            let learner = Taught { ground: self.ground, params: &self.params };
            let view = View {
                pool: &self.ground.pool,
                labels: &self.state.at_start,
                left_out: &self.state.left_out_at_start,
                scores: &self.scores,
                learner: &learner,
                seed: self.spec.seed,
                iteration: self.state.iteration,
            };
            queries =
                self.strategy.ask(&view, group, &self.queries, &ctx.clone().with_seed(self.spec.seed))?;
            queries.truncate(left);
        }
        let first = self.queries.len();
        self.queries.extend(queries);
        self.asked += 1;
        Ok(Some(&self.queries[first..]))
    }

    /// Works out what is left of the iteration and returns all its queries.
    ///
    /// # Errors
    /// [`LearnError`] of the strategy.
    pub fn all(&mut self, ctx: &Ctx) -> Result<&[Query], LearnError> {
        while self.next_group(ctx)?.is_some() {}
        Ok(&self.queries)
    }

    /// Searches the hyperparameters of the next iteration, where that is due: something to do while the expert answers.
    ///
    /// # Errors
    /// [`LearnError`] of a fit.
    pub fn search_ahead(&self, ctx: &Ctx) -> Result<(), LearnError> {
        self.ground.hyperparameters(self.spec, &self.state.to_search, ctx).map(|_| ())
    }

    /// The queries worked out so far.
    #[must_use]
    pub fn queries(&self) -> &[Query] {
        &self.queries
    }

    /// The model, unless there is nothing to learn from yet.
    #[must_use]
    pub fn model(&self) -> Option<&dyn Model> {
        self.model.as_deref()
    }

    /// Its hyperparameters.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Per row of the pool its probability of being malicious; a half while there is no model.
    #[must_use]
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// What each feature of the table adds to a row's margin towards malicious, the most telling first; `None` without a model or
    /// where it cannot say.
    #[must_use]
    pub fn contributions(&self, row: u32) -> Option<Vec<(usize, f64)>> {
        self.ground.contributions(self.model()?, row)
    }

    pub(super) fn ground(&self) -> &'a Ground {
        self.ground
    }

    pub(super) fn state(&self) -> &'a State {
        self.state
    }

    pub(super) fn seed(&self) -> u64 {
        self.spec.seed
    }
}
