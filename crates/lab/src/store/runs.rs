//! Runs: one execution of a task each, with all that is needed to do it again and all that came out of it.

use serde_json::{Value as Json, json};

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::{Result, StoreError};
use super::row::{Row, values};
use super::{Store, text};

/// What a run is going to do.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRun {
    /// The project it is done for.
    pub project: Option<i64>,
    /// The job that does it.
    pub job: Option<i64>,
    /// The task: `extract`, `train`, ..
    pub task: String,
    /// Everything the task was told, a JSON document.
    pub spec: Json,
    /// The command line that does it again.
    pub command: String,
    /// The seed.
    pub seed: u64,
    /// The program that does it, with its version.
    pub program: String,
    /// The files it reads.
    pub inputs: Vec<Input>,
}

/// A file that a run read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name, as it was given.
    pub name: String,
    /// SHA-256 of what was in it.
    pub digest: String,
}

/// A number that came out of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// What it was measured on: `test`, `fold 3`, ..
    pub part: String,
    /// Its plain name: `auc`, `f1`, ..
    pub name: String,
    /// Its value; `None` where it is not defined.
    pub value: Option<f64>,
}

/// A file that came out of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact {
    /// Its name, for people.
    pub name: String,
    /// `table`, `model`, `report`, ..
    pub kind: String,
    /// SHA-256 of the file, by which it is kept.
    pub digest: String,
    /// Its length.
    pub bytes: u64,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It was started.
    Running,
    /// It came to its end.
    Done,
    /// It did not.
    Failed,
}

impl RunState {
    fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Running, Self::Done, Self::Failed].into_iter().find(|state| state.word() == word)
    }
}

/// A run, as the store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number.
    pub id: i64,
    /// What it was to do.
    pub about: NewRun,
    /// How far it is.
    pub state: RunState,
    /// Why it failed.
    pub error: Option<String>,
    /// The numbers that came out of it, in the order they were given.
    pub metrics: Vec<Metric>,
    /// The files that came out of it, in the order they were given.
    pub artefacts: Vec<Artefact>,
    /// Who started it.
    pub author: String,
    /// When it was started, in ns since the UNIX epoch.
    pub started_ns: i64,
    /// When it ended.
    pub finished_ns: Option<i64>,
}

const COLUMNS: &str = "SELECT id, project_id, job_id, task, spec, command, seed, program, state, error, author, \
                       started_ns, finished_ns FROM runs";

impl Store {
    /// Starts a run; its number.
    ///
    /// # Errors
    /// When it has no command line, or a digest is none.
    pub fn start_run(&self, run: &NewRun, stamp: &Stamp) -> Result<i64> {
        self.write(|session| start(session, run, stamp))
    }

    /// Ends a run with what came out of it.
    ///
    /// # Errors
    /// When it is not running, a metric is given twice or is not finite, or a digest is none.
    pub fn finish_run(
        &self,
        run: i64,
        metrics: &[Metric],
        artefacts: &[Artefact],
        stamp: &Stamp,
    ) -> Result<()> {
        self.write(|session| finish(session, run, metrics, artefacts, stamp))
    }

    /// Ends a run that did not come to its end.
    ///
    /// # Errors
    /// When it is not running.
    pub fn fail_run(&self, run: i64, error: &str, stamp: &Stamp) -> Result<()> {
        text::text("the error", error)?;
        self.write(|session| {
            end(session, run, RunState::Failed, Some(error), stamp)?;
            record(session, stamp, "run.fail", &format!("run {run}"), &json!({"error": error}))
        })
    }

    /// A run with all that belongs to it.
    ///
    /// # Errors
    /// When there is none of this number.
    pub fn run(&self, id: i64) -> Result<Run> {
        self.read(|session| {
            let row = session.first(&format!("{COLUMNS} WHERE id = ?"), values![id])?;
            whole(session, &row.ok_or_else(|| missing(id))?)
        })
    }

    /// At most `limit` runs of a project (`None`: of none), before run `before` (`i64::MAX`: from the last), newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn runs(&self, project: Option<i64>, before: i64, limit: u32) -> Result<Vec<Run>> {
        self.read(|session| {
            let of = if project.is_some() { "project_id = ?" } else { "project_id IS NULL" };
            let statement = format!("{COLUMNS} WHERE {of} AND id < ? ORDER BY id DESC LIMIT ?");
            let limit = i64::from(limit);
            let rows = match project {
                Some(project) => session.rows(&statement, values![project, before, limit])?,
                None => session.rows(&statement, values![before, limit])?,
            };
            rows.iter().map(|row| whole(session, row)).collect()
        })
    }
}

/// As [`Store::start_run`], within a transaction that does more.
pub(crate) fn start(session: &mut Session<'_>, run: &NewRun, stamp: &Stamp) -> Result<i64> {
    text::name("the task", &run.task)?;
    text::name("the program", &run.program)?;
    text::command(&run.command)?;
    let spec = run.spec.to_string();
    text::text("the spec", &spec)?;
    for input in &run.inputs {
        text::text("the input's name", &input.name)?;
        text::digest("the input's digest", &input.digest)?;
    }
    let id = session.insert(
        "INSERT INTO runs (project_id, job_id, task, spec, command, seed, program, state, error, author, started_ns, \
         finished_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        values![
            run.project, run.job, &run.task, &spec, &run.command, run.seed.cast_signed(), &run.program,
            RunState::Running.word(), None::<&str>, &stamp.author, stamp.at_ns, None::<i64>,
        ],
    )?;
    for (position, input) in (0_i64..).zip(&run.inputs) {
        session.execute(
            "INSERT INTO run_inputs (run_id, position, name, digest) VALUES (?, ?, ?, ?)",
            values![id, position, &input.name, &input.digest],
        )?;
    }
    record(session, stamp, "run.start", &format!("run {id}"), &json!({"task": run.task}))?;
    Ok(id)
}

/// As [`Store::finish_run`], within a transaction that does more.
pub(crate) fn finish(
    session: &mut Session<'_>,
    run: i64,
    metrics: &[Metric],
    artefacts: &[Artefact],
    stamp: &Stamp,
) -> Result<()> {
    check(metrics, artefacts)?;
    end(session, run, RunState::Done, None, stamp)?;
    for (position, metric) in (0_i64..).zip(metrics) {
        session.execute(
            "INSERT INTO run_metrics (run_id, position, part, name, value) VALUES (?, ?, ?, ?, ?)",
            values![run, position, &metric.part, &metric.name, metric.value.map(positive_zero)],
        )?;
    }
    for (position, artefact) in (0_i64..).zip(artefacts) {
        let bytes = text::count("the artefact's length", artefact.bytes)?;
        session.execute(
            "INSERT INTO run_artefacts (run_id, position, name, kind, digest, bytes) VALUES (?, ?, ?, ?, ?, ?)",
            values![run, position, &artefact.name, &artefact.kind, &artefact.digest, bytes],
        )?;
    }
    let detail = json!({"metrics": metrics.len(), "artefacts": artefacts.len()});
    record(session, stamp, "run.finish", &format!("run {run}"), &detail)
}

fn end(
    session: &mut Session<'_>,
    run: i64,
    state: RunState,
    error: Option<&str>,
    stamp: &Stamp,
) -> Result<()> {
    let met = session.execute(
        "UPDATE runs SET state = ?, error = ?, finished_ns = ? WHERE id = ? AND state = ?",
        values![state.word(), error, stamp.at_ns, run, RunState::Running.word()],
    )?;
    if met == 1 {
        return Ok(());
    }
    let found = session.first("SELECT state FROM runs WHERE id = ?", values![run])?;
    let found = found.ok_or_else(|| missing(run))?.text(0)?;
    let advice = "start another run: what came out of one never changes";
    Err(StoreError::refused("the run to end", "one that is running", format!("run {run}, {found}"), advice))
}

/// SQLite keeps a whole number as an integer, which has no sign when it is 0; so no database does.
fn positive_zero(value: f64) -> f64 {
    value + 0.0
}

fn check(metrics: &[Metric], artefacts: &[Artefact]) -> Result<()> {
    for metric in metrics {
        text::identifier("the metric's part", &metric.part)?;
        text::identifier("the metric's name", &metric.name)?;
        if metric.value.is_some_and(|value| !value.is_finite()) {
            let found = format!("{} = {:?}", metric.name, metric.value);
            let advice = "leave it out where it is not defined";
            return Err(StoreError::refused("the metric", "a finite number", found, advice));
        }
    }
    let mut names: Vec<_> = metrics.iter().map(|metric| (&metric.part, &metric.name)).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let found = format!("{} of {} twice", twice[0].1, twice[0].0);
        return Err(StoreError::refused(
            "the metrics",
            "one of each name and part",
            found,
            "rename one of them",
        ));
    }
    for artefact in artefacts {
        text::text("the artefact's name", &artefact.name)?;
        text::name("the artefact's kind", &artefact.kind)?;
        text::digest("the artefact's digest", &artefact.digest)?;
    }
    Ok(())
}

fn whole(session: &mut Session<'_>, row: &Row) -> Result<Run> {
    let id = row.int(0)?;
    let inputs = session
        .rows("SELECT name, digest FROM run_inputs WHERE run_id = ? ORDER BY position", values![id])?
        .iter()
        .map(|row| Ok(Input { name: row.text(0)?, digest: row.text(1)? }))
        .collect::<Result<_>>()?;
    let metrics = session
        .rows("SELECT part, name, value FROM run_metrics WHERE run_id = ? ORDER BY position", values![id])?
        .iter()
        .map(|row| Ok(Metric { part: row.text(0)?, name: row.text(1)?, value: row.opt_real(2)? }))
        .collect::<Result<_>>()?;
    let artefacts = session
        .rows(
            "SELECT name, kind, digest, bytes FROM run_artefacts WHERE run_id = ? ORDER BY position",
            values![id],
        )?
        .iter()
        .map(|row| {
            let (name, kind, digest) = (row.text(0)?, row.text(1)?, row.text(2)?);
            Ok(Artefact { name, kind, digest, bytes: row.count(3)? })
        })
        .collect::<Result<_>>()?;
    Ok(Run {
        id,
        about: NewRun {
            project: row.opt_int(1)?,
            job: row.opt_int(2)?,
            task: row.text(3)?,
            spec: row.json(4)?,
            command: row.text(5)?,
            seed: row.int(6)?.cast_unsigned(),
            program: row.text(7)?,
            inputs,
        },
        state: row.word(8, RunState::of)?,
        error: row.opt_text(9)?,
        metrics,
        artefacts,
        author: row.text(10)?,
        started_ns: row.int(11)?,
        finished_ns: row.opt_int(12)?,
    })
}

fn missing(id: i64) -> StoreError {
    StoreError::missing("run", id, "see the list of runs")
}
