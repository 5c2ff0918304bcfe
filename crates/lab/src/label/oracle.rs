//! A campaign whose expert is the truth: rows and families known beforehand, answered query by query.
//!
//! The protocol is that of Beaugnon, Chifflier and Bach (RAID 2017): malicious rows thinned out to a share, a tenth of all rows held out
//! for validation, a few labelled rows of the most common families to begin with.

use std::collections::{BTreeMap, BTreeSet};

use cormorant_learn::LearnError;
use cormorant_learn::cluster::kmeans::KMeans;
use cormorant_learn::models;
use cormorant_learn::prep::{Labels, Preparation, default_steps};
use cormorant_learn::query::campaign::{CampaignSpec, Event, Ground, Round, State};
use cormorant_learn::query::monitor::{self, ByLabel, SuggestionAccuracy};
use cormorant_learn::query::{Annotation, OTHER};
use cormorant_learn::rng;
use cormorant_learn::table::Table;
use serde::Serialize;

use crate::Ctx;
use crate::tasks::label::Spec;

/// Seconds since some moment: the library knows no clock.
pub type Clock<'a> = &'a (dyn Fn() -> f64 + Sync);

/// A table of which everything is known.
pub(crate) struct Truth {
    table: Table,
    /// Per row.
    annotations: Vec<Annotation>,
}

/// One iteration of a simulated campaign: what it began with and what came of its queries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Iteration {
    /// From 1.
    pub iteration: u64,
    /// Labelled rows.
    pub labels: u64,
    /// The same by label.
    pub labelled: ByLabel,
    /// Families found.
    pub families: ByLabel,
    /// Area under the ROC curve on validation rows.
    pub auc: Option<f64>,
    /// F1 on validation rows, alerts from a probability of a half on.
    pub f1: Option<f64>,
    /// Share of the alerts that are malicious.
    pub precision: Option<f64>,
    /// Share of the malicious rows that are alerts.
    pub recall: Option<f64>,
    /// Share of the malicious rows found at the false-alarm rate of the target.
    pub detection: Option<f64>,
    /// Seconds from the last answer until all queries were there.
    pub seconds: f64,
    /// Seconds until those of the first group were.
    pub seconds_to_first: f64,
    /// Seconds that the search for the next iteration's hyperparameters took, while an expert would answer.
    pub seconds_ahead: f64,
    /// How right the suggestions were.
    pub suggestions: SuggestionAccuracy,
    /// Labels in all that the target may take, as far as one can tell.
    pub labels_needed: Option<f64>,
    /// Why to stop, if so.
    pub advice: Option<String>,
}

/// A family of the pool and when it was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name.
    pub family: String,
    /// Its label.
    pub malicious: bool,
    /// Rows of the pool.
    pub rows: u64,
    /// Labels when its first row was labelled; `None` = never.
    pub labels: Option<u64>,
}

/// A simulated campaign.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Strategy.
    pub strategy: String,
    /// Seed.
    pub seed: u64,
    /// Rows asked about and rows validated on.
    pub pool: u64,
    /// Rows of the validation.
    pub validation: u64,
    /// Families of the pool, the largest first.
    pub families: Vec<Found>,
    /// Iterations in order; the last asks nothing and has all labels.
    pub iterations: Vec<Iteration>,
}

impl Truth {
    /// The labelled rows of a table with their families: those of the table for malicious rows, clusters for benign ones.
    ///
    /// # Errors
    /// [`LearnError`] when rows of a label are missing or cannot be clustered.
    pub(crate) fn new(table: &Table, benign_families: usize, ctx: &Ctx) -> Result<Self, LearnError> {
        let labels = table.labels();
        let rows: Vec<usize> = (0..table.rows()).filter(|&row| labels[row].is_some()).collect();
        let table = table.take_rows(&rows);
        let malicious: Vec<bool> = table.labels().iter().map(|label| *label == Some(true)).collect();
        if malicious.iter().all(|label| *label == malicious[0]) {
            return Err(LearnError::Data(
                "an oracle needs malicious and benign rows; all labels are the same".into(),
            ));
        }
        let clusters = clusters(&table, &malicious, benign_families, ctx)?;
        let families = table.families();
        let annotation = |row: usize| match malicious[row] {
            true => Annotation::new(true, families[row].unwrap_or(OTHER)),
            false => Annotation::new(false, &format!("normal-{}", clusters[row])),
        };
        let annotations = (0..table.rows()).map(annotation).collect();
        Ok(Self { table, annotations })
    }
}

/// Per row its cluster among the benign rows, from 1; 0 for malicious rows.
fn clusters(table: &Table, malicious: &[bool], count: usize, ctx: &Ctx) -> Result<Vec<u32>, LearnError> {
    let rows: Vec<usize> = (0..table.rows()).filter(|&row| !malicious[row]).collect();
    let steps = default_steps(models::find("logistic")?, &table.schema());
    let (_, x) = Preparation::fit(&steps, table, &rows, Labels::NONE)?;
    ctx.progress("grouping benign rows into families", 0, 1);
    let found = KMeans::new(count.min(rows.len())).fit(&x, None, ctx)?;
    let mut clusters = vec![0; table.rows()];
    rows.iter().zip(found.labels).for_each(|(&row, cluster)| clusters[row] = cluster + 1);
    Ok(clusters)
}

/// The rows of one seed: a pool, its truth, and what is known of it at first.
pub(crate) struct Scene {
    ground: Ground,
    truth: Vec<Annotation>,
    initial: BTreeMap<u32, Annotation>,
    validation: u64,
    seed: u64,
}

impl Scene {
    /// Draws pool, validation rows and first labels for a seed.
    ///
    /// # Errors
    /// [`LearnError`] of the preparation.
    pub(crate) fn new(truth: &Truth, spec: &Spec, seed: u64, ctx: &Ctx) -> Result<Self, LearnError> {
        let kept = thinned(&truth.annotations, spec.malicious_share, seed);
        let held_out = (kept.len() as f64 * spec.validation).round() as usize;
        let (validation, pool) = kept.split_at(held_out);
        let (mut validation, mut pool) = (validation.to_vec(), pool.to_vec());
        validation.sort_unstable();
        pool.sort_unstable();
        let annotations: Vec<Annotation> = pool.iter().map(|&row| truth.annotations[row].clone()).collect();
        let of_validation = (!validation.is_empty()).then(|| truth.table.take_rows(&validation));
        let ground =
            Ground::new(&truth.table.take_rows(&pool), of_validation.as_ref(), &spec.model, spec.alike, ctx)?;
        let mut initial = BTreeMap::new();
        for (malicious, count) in [(true, spec.initial.0), (false, spec.initial.1)] {
            for row in first_rows(&annotations, malicious, count as usize, seed) {
                initial.insert(row as u32, annotations[row].clone());
            }
        }
        Ok(Self { ground, truth: annotations, initial, validation: validation.len() as u64, seed })
    }

    /// Lets a strategy ask until the budget is spent.
    ///
    /// # Errors
    /// [`LearnError`] of the strategy or the model.
    pub(crate) fn run(
        &self,
        strategy: &str,
        spec: &Spec,
        clock: Clock<'_>,
        ctx: &Ctx,
    ) -> Result<Run, LearnError> {
        let campaign = CampaignSpec {
            strategy_params: spec.params_of(strategy)?,
            model: spec.model.clone(),
            model_params: spec.params.clone(),
            search: spec.search,
            initial: self.initial.clone(),
            alike: spec.alike,
            ..CampaignSpec::new(strategy, spec.budget, self.seed)
        };
        let mut log: Vec<Event> = Vec::new();
        let mut iterations = Vec::new();
        let mut seen = Seen::new(self);
        loop {
            ctx.progress(&format!("{strategy}, seed {}", self.seed), log.len() as u64, spec.budget);
            let state = State::replay(&campaign, &log, self.ground.rows())?;
            let over = state.over(&campaign, self.ground.rows()).is_some();
            let (iteration, answers) = self.iterate(&campaign, &state, &iterations, spec, clock, ctx)?;
            seen.count(&iteration, &state.labels);
            iterations.push(iteration);
            if over {
                break;
            }
            log.extend(answers);
            log.push(Event::Next);
        }
        let families = seen.families();
        let pool = self.ground.rows() as u64;
        Ok(Run {
            strategy: strategy.to_owned(),
            seed: self.seed,
            pool,
            validation: self.validation,
            families,
            iterations,
        })
    }

    fn iterate(
        &self,
        campaign: &CampaignSpec,
        state: &State,
        before: &[Iteration],
        spec: &Spec,
        clock: Clock<'_>,
        ctx: &Ctx,
    ) -> Result<(Iteration, Vec<Event>), LearnError> {
        let begun = clock();
        let mut round = Round::begin(&self.ground, campaign, state, ctx)?;
        round.next_group(ctx)?;
        let first = clock() - begun;
        round.all(ctx)?;
        let seconds = clock() - begun;
        round.search_ahead(ctx)?;
        let seconds_ahead = clock() - begun - seconds;
        let answers: Vec<Event> = round
            .queries()
            .iter()
            .map(|query| Event::Answer {
                row: query.row,
                annotation: self.truth[query.row as usize].clone(),
                by: "oracle".to_owned(),
            })
            .collect();
        let known = round.queries().iter().map(|query| (query.row, self.truth[query.row as usize].clone()));
        let suggestions = monitor::suggestions(round.queries(), &known.collect());
        let validation = round.validation(spec.false_alarms, 0, ctx)?;
        let mut iteration = Iteration {
            iteration: state.iteration,
            labels: state.at_start.len() as u64,
            labelled: monitor::labels(&state.at_start),
            families: monitor::families(&state.at_start),
            auc: validation.and_then(|one| one.auc).map(|auc| auc.value),
            f1: validation.and_then(|one| one.f1).map(|f1| f1.value),
            precision: validation.and_then(|one| one.precision),
            recall: validation.and_then(|one| one.recall),
            detection: validation.and_then(|one| one.detection),
            seconds,
            seconds_to_first: first,
            seconds_ahead,
            suggestions,
            labels_needed: None,
            advice: None,
        };
        look_ahead(before, &mut iteration, spec.detection);
        Ok((iteration, answers))
    }
}

/// What the iterations so far say of labels still needed and of stopping.
fn look_ahead(before: &[Iteration], now: &mut Iteration, target: f64) {
    let all = || before.iter().chain([&*now]);
    let curve: Vec<(u64, f64)> = all().filter_map(|one| Some((one.labels, one.detection?))).collect();
    let milestones: Vec<monitor::Milestone> = all()
        .map(|one| monitor::Milestone {
            labels: one.labels,
            families: one.families.malicious + one.families.benign,
            confirmed: one.suggestions.shown_families.accuracy(),
            detection: one.detection,
        })
        .collect();
    now.labels_needed = monitor::labels_needed(&curve, target).map(|estimate| estimate.labels);
    now.advice = monitor::advice(&milestones, target);
}

/// Rows in an order drawn for the seed, of which benign ones are all kept and malicious ones as many as make `share` of all.
fn thinned(truth: &[Annotation], share: Option<f64>, seed: u64) -> Vec<usize> {
    let mut malicious: Vec<usize> = (0..truth.len()).filter(|&row| truth[row].malicious).collect();
    let mut rows: Vec<usize> = (0..truth.len()).filter(|&row| !truth[row].malicious).collect();
    if let Some(share) = share {
        rng::shuffle(&mut malicious, seed, "oracle: malicious rows", 0);
        malicious.truncate((rows.len() as f64 * share / (1.0 - share)).round() as usize);
    }
    rows.extend(malicious);
    rng::shuffle(&mut rows, seed, "oracle: pool and validation", 0);
    rows
}

/// Rows of a family that start a campaign, about.
const OF_EACH: usize = 3;

/// So many rows of a label, dealt to its most common families, about [`OF_EACH`] to each.
fn first_rows(truth: &[Annotation], malicious: bool, count: usize, seed: u64) -> Vec<usize> {
    let mut families: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    let rows = truth.iter().enumerate().filter(|(_, one)| one.malicious == malicious);
    rows.for_each(|(row, one)| families.entry(&one.family).or_default().push(row));
    let mut families: Vec<Vec<usize>> = families.into_values().collect();
    families.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
    families.truncate(count.div_ceil(OF_EACH));
    for (place, rows) in families.iter_mut().enumerate() {
        rng::shuffle(rows, seed, "oracle: first labels", (place as u64) << 1 | u64::from(malicious));
    }
    let mut dealt = Vec::new();
    for turn in 0..families.iter().map(Vec::len).max().unwrap_or(0) {
        dealt.extend(families.iter().filter_map(|rows| rows.get(turn)).copied());
    }
    dealt.truncate(count);
    dealt
}

/// When each family was found.
struct Seen {
    rows: BTreeMap<(bool, String), u64>,
    found: BTreeMap<(bool, String), u64>,
}

impl Seen {
    fn new(scene: &Scene) -> Self {
        let mut rows = BTreeMap::new();
        for one in &scene.truth {
            *rows.entry((one.malicious, one.family.clone())).or_default() += 1;
        }
        Self { rows, found: BTreeMap::new() }
    }

    fn count(&mut self, iteration: &Iteration, labels: &BTreeMap<u32, Annotation>) {
        let families: BTreeSet<(bool, &str)> =
            labels.values().map(|one| (one.malicious, one.family.as_str())).collect();
        for (malicious, family) in families {
            self.found.entry((malicious, family.to_owned())).or_insert(iteration.labels);
        }
    }

    fn families(self) -> Vec<Found> {
        let found = |((malicious, family), rows): ((bool, String), u64)| {
            let labels = self.found.get(&(malicious, family.clone())).copied();
            Found { family, malicious, rows, labels }
        };
        let mut families: Vec<Found> = self.rows.into_iter().map(found).collect();
        families.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.family.cmp(&b.family)));
        families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> Vec<Annotation> {
        let family = |row: usize| match row {
            0..50 => Annotation::new(false, "web"),
            50..90 => Annotation::new(false, "dns"),
            90..120 => Annotation::new(true, "scan"),
            120..130 => Annotation::new(true, "worm"),
            _ => Annotation::new(true, "rare"),
        };
        (0..131).map(family).collect()
    }

    #[test]
    fn malicious_rows_are_thinned_out_to_their_share() {
        let truth = truth();
        let kept = thinned(&truth, Some(0.1), 3);
        assert_eq!(kept.iter().filter(|&&row| truth[row].malicious).count(), 10);
        assert_eq!(kept.len(), 100);
        assert_ne!(kept, thinned(&truth, Some(0.1), 4));
        assert_eq!(thinned(&truth, None, 3).len(), 131);
    }

    #[test]
    fn a_campaign_begins_with_rows_of_the_most_common_families() {
        let truth = truth();
        let rows = first_rows(&truth, true, 5, 0);
        let of = |family: &str| rows.iter().filter(|&&row| truth[row].family == family).count();
        assert_eq!((rows.len(), of("scan"), of("worm")), (5, 3, 2));
        assert_eq!(first_rows(&truth, false, 500, 0).len(), 90);
    }
}
