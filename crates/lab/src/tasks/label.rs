//! `label`: an annotation campaign over a table; here with an oracle that knows the truth, to compare strategies.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cormorant_learn::LearnError;
use cormorant_learn::params::Params;
use cormorant_learn::query::{self, STRATEGIES};
use cormorant_learn::table::Table;
use serde::{Deserialize, Serialize};

use crate::feed::Feed;
use crate::label::compare::summaries;
pub use crate::label::compare::{Mean, Point, Summary};
use crate::label::curves::svg;
pub use crate::label::oracle::{Clock, Found, Iteration, Run};
use crate::label::oracle::{Scene, Truth};
use crate::model::gather;
use crate::output::write_whole;
use crate::reading::Reading;
use crate::{Ctx, LabError};

/// What to ask, how, and of what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Labelled tables.
    pub inputs: Vec<PathBuf>,
    /// Strategies by name; `all` = every one.
    pub strategies: Vec<String>,
    /// Parameters of the strategies as typed; each goes to those that have it.
    #[serde(default)]
    pub ask: BTreeMap<String, String>,
    /// The campaign's model by name.
    pub model: String,
    /// Its parameters as typed.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// Whether its other parameters are searched as labels grow.
    pub search: bool,
    /// Rows closer than this in every prepared column are one question.
    pub alike: f64,
    /// Answers.
    pub budget: u64,
    /// Campaigns of each strategy, with seeds counted from that of the context.
    pub seeds: u64,
    /// Malicious and benign rows labelled at first.
    pub initial: (u64, u64),
    /// Clusters of benign rows that count as families.
    pub benign_families: u64,
    /// Share of all rows that malicious ones are thinned out to.
    #[serde(default)]
    pub malicious_share: Option<f64>,
    /// Share of the rows that are held out for validation.
    pub validation: f64,
    /// Detection rate that is enough.
    pub detection: f64,
    /// False-alarm rate at which it is measured.
    pub false_alarms: f64,
    /// Where to draw learning curves (SVG).
    #[serde(default)]
    pub plot: Option<PathBuf>,
}

/// How the campaigns went.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Labelled rows of the input.
    pub rows: u64,
    /// The campaign's model.
    pub model: String,
    /// Iterations, when there was one campaign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<Vec<Iteration>>,
    /// Strategy by strategy.
    pub strategies: Vec<Summary>,
    /// Every campaign.
    pub runs: Vec<Run>,
    /// What else is worth knowing, in sentences.
    pub notes: Vec<String>,
}

impl Spec {
    /// The parameters of a strategy among those typed.
    ///
    /// # Errors
    /// [`LearnError::Unknown`] for a strategy that does not exist.
    pub(crate) fn params_of(&self, strategy: &str) -> Result<BTreeMap<String, String>, LearnError> {
        let spec = query::find(strategy)?;
        let has = |name: &str| spec.params.iter().any(|param| param.name == name);
        Ok(self
            .ask
            .iter()
            .filter(|(name, _)| has(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect())
    }

    /// The strategies by name, each once.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in &self.strategies {
            let all = STRATEGIES.iter().map(|spec| spec.name.to_owned());
            let these: Vec<String> = if name == "all" { all.collect() } else { vec![name.clone()] };
            names.extend(these);
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// Wrong names and values are refused before any table is read.
    fn check(&self) -> Result<Vec<String>, LabError> {
        let names = self.names();
        for name in &names {
            let spec = query::find(name).map_err(LabError::learn("option --strategy"))?;
            let params = self.params_of(name).map_err(LabError::learn("option --strategy"))?;
            let checked =
                Params::check(spec.name, spec.params, &params).map_err(LabError::learn("option --ask"))?;
            (spec.build)(&checked).map_err(LabError::learn("option --ask"))?;
        }
        let known = |name: &str| {
            let mut specs = names.iter().filter_map(|strategy| query::find(strategy).ok());
            specs.any(|spec| spec.params.iter().any(|param| param.name == name))
        };
        if let Some(name) = self.ask.keys().find(|name| !known(name)) {
            return Err(LabError::Request {
                what: "--ask",
                expected: "a parameter of a strategy".to_owned(),
                found: format!("`{}`", crate::plain::plain(name)),
                advice: "see `cormorant list strategies NAME`".to_owned(),
            });
        }
        let model = cormorant_learn::models::find(&self.model).map_err(LabError::learn("option --model"))?;
        Params::check(model.name, model.params, &self.params).map_err(LabError::learn("option -p"))?;
        let between = |what, value: f64, expected: &str| -> Result<(), LabError> {
            if value > 0.0 && value < 1.0 {
                return Ok(());
            }
            Err(LabError::Request {
                what,
                expected: expected.to_owned(),
                found: value.to_string(),
                advice: "give a share above 0 and below 1".to_owned(),
            })
        };
        between("--validation", self.validation, "a share of the rows")?;
        between("--detection", self.detection, "a detection rate")?;
        between("--false-alarms", self.false_alarms, "a false-alarm rate")?;
        self.malicious_share
            .map_or(Ok(()), |share| between("--malicious-share", share, "a share of the rows"))?;
        Ok(names)
    }
}

/// Runs every strategy with every seed against the truth. `clock` gives seconds since some moment.
///
/// # Errors
/// [`LabError`] of an input, of a name or value, of data that cannot be learnt from, or of the picture.
pub fn run(spec: &Spec, clock: Clock<'_>, ctx: &Ctx) -> Result<Report, LabError> {
    let names = spec.check()?;
    let (table, notes) = read(&spec.inputs, ctx)?;
    let refused = || LabError::learn("the oracle");
    let truth = Truth::new(&table, spec.benign_families as usize, ctx).map_err(refused())?;
    let runs = campaigns(&truth, &names, spec, clock, ctx)?;
    let strategies = summaries(&names, &runs);
    if let Some(path) = &spec.plot {
        write_whole(path, svg(&strategies).as_bytes())?;
    }
    let labelled = table.labels().iter().filter(|label| label.is_some()).count() as u64;
    let iterations = match &runs[..] {
        [run] => Some(run.iterations.clone()),
        _ => None,
    };
    Ok(Report { rows: labelled, model: spec.model.clone(), iterations, strategies, runs, notes })
}

/// Seeds are shared among as many workers as there are threads; what is left of the threads is each worker's own. Results do not
/// depend on either.
fn campaigns(
    truth: &Truth,
    names: &[String],
    spec: &Spec,
    clock: Clock<'_>,
    ctx: &Ctx,
) -> Result<Vec<Run>, LabError> {
    let workers = ctx.threads.min(spec.seeds as usize).max(1);
    let mut inner = ctx.clone();
    inner.threads = (ctx.threads / workers).max(1);
    let next = AtomicU64::new(0);
    let done: Mutex<Vec<(u64, Result<Vec<Run>, LearnError>)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= spec.seeds {
                        break;
                    }
                    let seed = ctx.seed.wrapping_add(number);
                    let ctx = inner.clone().with_seed(seed);
                    let runs = Scene::new(truth, spec, seed, &ctx).and_then(|scene| {
                        names
                            .iter()
                            .map(|name| scene.run(name, spec, clock, &ctx))
                            .collect::<Result<Vec<_>, _>>()
                    });
                    let failed = runs.is_err();
                    done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, runs));
                    if failed {
                        next.store(spec.seeds, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    let mut runs = Vec::new();
    for (number, of_seed) in done {
        runs.extend(of_seed.map_err(LabError::learn(format!("campaign {}", number + 1)))?);
    }
    Ok(runs)
}

fn read(inputs: &[PathBuf], ctx: &Ctx) -> Result<(Table, Vec<String>), LabError> {
    let tables_only = || {
        Err(LabError::Request {
            what: "input",
            expected: "tables".to_owned(),
            found: "captures".to_owned(),
            advice: "make a table of them with `cormorant extract`".to_owned(),
        })
    };
    let feed = Feed::open(inputs, &Reading::default(), None, ctx, tables_only)?;
    let (table, arrived) = gather(feed, ctx)?;
    Ok((table, arrived.notes))
}
