//! The states of jobs, each change one transaction of the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::plan::{Plan, SafeName};
use crate::LabError;
use crate::lab::{Digest, Lab, Object};
use crate::store::row::{Row, values};
use crate::store::{
    Artefact, Engine, Input, Metric, NewRun, Session, Stamp, Store, StoreError, record, runs,
};

/// The longest time before a job whose machine was at fault is taken again.
const LONGEST_PAUSE_NS: i64 = 300_000_000_000;
const SECOND_NS: i64 = 1_000_000_000;
/// The longest reason kept.
const REASON_BYTES: usize = 16 << 10;

/// Where a job is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Waits for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It has a result.
    Done,
    /// It will not be tried again by itself; the reason is kept.
    Parked,
    /// Somebody did not want it any more.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Done, Self::Parked, Self::Cancelled];

    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// What is said of a job beside what it is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The command line that does the same where the inputs are.
    pub command: String,
    /// Jobs with more come first.
    pub priority: i64,
    /// How often it is taken before it is parked.
    pub max_attempts: i64,
}

impl Wish {
    /// Nothing but the command line: jobs come in their order, and are taken three times at most.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self { command: command.to_owned(), priority: 0, max_attempts: 3 }
    }
}

/// A job as the store has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Job {
    /// Its number.
    pub id: i64,
    /// Where it is on its way.
    pub state: State,
    /// The command line that does the same, where the inputs are.
    pub command: String,
    /// What is to be done.
    #[serde(flatten)]
    pub plan: Plan,
    /// Those with more come first.
    pub priority: i64,
    /// How often it was taken.
    pub attempts: i64,
    /// How often it may be.
    pub max_attempts: i64,
    /// Who has it.
    pub worker: Option<String>,
    /// How far it is.
    pub progress: Progress,
    /// Whether somebody asked to cancel it.
    pub cancel: bool,
    /// What came of it.
    pub result: Option<Done>,
    /// Why it is parked, or why it was not done at the first attempt.
    pub reason: Option<String>,
    /// Who added it.
    pub author: String,
    /// When it was added, in ns since 1970-01-01 UTC.
    pub created_ns: i64,
    /// When it was first taken.
    pub started_ns: Option<i64>,
    /// When it came to its end.
    pub finished_ns: Option<i64>,
}

/// How far a job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// What it does.
    pub stage: String,
    /// Units done.
    pub done: u64,
    /// Units in all; 0 when not known.
    pub total: u64,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The task's report, a JSON document.
    pub report: Object,
    /// The files it wrote, by the names its spec gives them.
    pub outputs: BTreeMap<String, Object>,
    /// Version of the program that did it.
    pub program: String,
}

/// A job in a worker's hands.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub job: Job,
    /// How often it had been taken, this time included: whoever has the greatest has the job.
    pub(super) fence: i64,
    /// When it was taken.
    pub(super) taken_ns: i64,
}

/// What a worker is told when it renews its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// Go on.
    Go,
    /// Somebody wants it cancelled.
    Cancel,
    /// It is somebody else's now: whatever comes of it here will not be accepted.
    Lost,
}

/// Jobs of a lab.
#[derive(Clone, Copy)]
pub struct Queue<'a> {
    store: &'a Store,
}

impl<'a> Queue<'a> {
    /// The queue of this lab.
    #[must_use]
    pub fn of(lab: &'a Lab) -> Self {
        Self { store: lab.store() }
    }

    /// Adds a job.
    ///
    /// # Errors
    /// [`LabError::Request`] for a plan that cannot be run, [`LabError::Damaged`] for an input that is not in the lab,
    /// [`LabError::Store`].
    pub fn add(lab: &'a Lab, plan: &Plan, wish: &Wish, stamp: &Stamp) -> Result<Job, LabError> {
        plan.check()?;
        for digest in plan.inputs.values() {
            lab.objects().renew(*digest, stamp.at_ns)?;
        }
        let spec = serde_json::to_string(plan).map_err(|error| LabError::Internal(error.to_string()))?;
        let queue = Self::of(lab);
        let job = queue.store.write(|session| {
            let id = session.insert(
                "INSERT INTO jobs (project_id, task, spec, command, state, priority, attempts, max_attempts, \
                 not_before_ns, lease_owner, lease_until_ns, fence, progress_done, progress_total, progress_words, \
                 cancel, result, error, created_ns, started_ns, finished_ns, author) VALUES (NULL, ?, ?, ?, 'queued', \
                 ?, 0, ?, ?, NULL, NULL, 0, 0, 0, '', 0, NULL, NULL, ?, NULL, NULL, ?)",
                values![
                    &plan.task,
                    &spec,
                    &wish.command,
                    wish.priority,
                    wish.max_attempts,
                    stamp.at_ns,
                    stamp.at_ns,
                    &stamp.author
                ],
            )?;
            record(session, stamp, "job.add", &format!("job {id}"), &json!({ "task": plan.task }))?;
            find(session, id)
        })?;
        Ok(job)
    }

    /// Takes the next job for `worker`, until `now_ns + lease_ns`. Jobs whose workers have vanished are put back first, or
    /// parked when that has happened too often.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn take(&self, worker: &str, now_ns: i64, lease_ns: i64) -> Result<Option<Claim>, LabError> {
        // Looking is cheap and keeps nobody waiting; most looks find nothing.
        if !self.store.read(|session| anything(session, now_ns))? {
            return Ok(None);
        }
        let claim = self.store.write(|session| {
            bury(session, now_ns)?;
            let next = session.first(
                &locking(
                    session,
                    "SELECT id FROM jobs WHERE state = 'queued' AND not_before_ns <= ? \
                     ORDER BY priority DESC, id LIMIT 1",
                ),
                values![now_ns],
            )?;
            let Some(next) = next else { return Ok(None) };
            let id = next.int(0)?;
            session.execute(
                "UPDATE jobs SET state = 'running', fence = fence + 1, attempts = attempts + 1, lease_owner = ?, \
                 lease_until_ns = ?, progress_done = 0, progress_total = 0, progress_words = '', \
                 started_ns = COALESCE(started_ns, ?) WHERE id = ?",
                values![worker, now_ns.saturating_add(lease_ns), now_ns, id],
            )?;
            let fence = session.first("SELECT fence FROM jobs WHERE id = ?", values![id])?;
            let fence = fence.map_or(Ok(0), |row| row.int(0))?;
            Ok(Some(Claim { job: find(session, id)?, fence, taken_ns: now_ns }))
        })?;
        Ok(claim)
    }

    /// Renews a lease and says how far the job is.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn renew(
        &self,
        claim: &Claim,
        progress: &Progress,
        now_ns: i64,
        lease_ns: i64,
    ) -> Result<Pulse, LabError> {
        let (done, total) = (counted(progress.done), counted(progress.total));
        let stage: String = progress.stage.chars().take(200).collect();
        let pulse = self.store.write(|session| {
            let met = session.execute(
                "UPDATE jobs SET lease_until_ns = ?, progress_done = ?, progress_total = ?, progress_words = ? \
                 WHERE id = ? AND fence = ? AND state = 'running'",
                values![now_ns.saturating_add(lease_ns), done, total, &stage, claim.job.id, claim.fence],
            )?;
            if met == 0 {
                return Ok(Pulse::Lost);
            }
            let row = session.first("SELECT cancel FROM jobs WHERE id = ?", values![claim.job.id])?;
            let cancel = row.map_or(Ok(false), |row| row.truth(0))?;
            Ok(if cancel { Pulse::Cancel } else { Pulse::Go })
        })?;
        Ok(pulse)
    }

    /// Keeps the result of a job and a run that tells of it, if it is still this worker's; whether it was.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn finish(
        &self,
        claim: &Claim,
        done: &Done,
        metrics: &[Metric],
        now_ns: i64,
    ) -> Result<bool, LabError> {
        let result = serde_json::to_string(done).map_err(|error| LabError::Internal(error.to_string()))?;
        let run = run_of(&claim.job, done)?;
        let (begun, ended) =
            (Stamp::new(&claim.job.author, claim.taken_ns), Stamp::new(&claim.job.author, now_ns));
        let kept = self.store.write(|session| {
            let met = session.execute(
                "UPDATE jobs SET state = 'done', result = ?, error = NULL, lease_owner = NULL, lease_until_ns = NULL, \
                 finished_ns = ? WHERE id = ? AND fence = ? AND state = 'running'",
                values![&result, now_ns, claim.job.id, claim.fence],
            )?;
            if met > 0 {
                let id = runs::start(session, &run, &begun)?;
                runs::finish(session, id, metrics, &artefacts(done), &ended)?;
                return Ok(true);
            }
            // A commit whose answer was lost has done it already.
            let row = session.first("SELECT state, fence FROM jobs WHERE id = ?", values![claim.job.id])?;
            let Some(row) = row else { return Ok(false) };
            Ok(row.text(0)? == State::Done.word() && row.int(1)? == claim.fence)
        })?;
        Ok(kept)
    }

    /// Parks a job with the reason why it will not be tried again by itself, if it is still this worker's; whether it was.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn park(&self, claim: &Claim, reason: &str, now_ns: i64) -> Result<bool, LabError> {
        self.end(claim, State::Parked, Some(reason), now_ns)
    }

    /// The job was cancelled as somebody had asked, if it is still this worker's; whether it was.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn cancelled(&self, claim: &Claim, now_ns: i64) -> Result<bool, LabError> {
        self.end(claim, State::Cancelled, None, now_ns)
    }

    /// Puts a job back for another attempt after a pause that grows with each, or parks it when there were enough; `Ok`
    /// of whether it was still this worker's.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn again(&self, claim: &Claim, reason: &str, now_ns: i64) -> Result<bool, LabError> {
        let Job { attempts, max_attempts, .. } = claim.job;
        if attempts >= max_attempts {
            let reason = format!("given up after {attempts} attempts: {reason}");
            return self.park(claim, &reason, now_ns);
        }
        let doubled = 1_i64.checked_shl(u32::try_from(attempts - 1).unwrap_or(0)).unwrap_or(i64::MAX);
        let pause_ns = doubled.saturating_mul(SECOND_NS).clamp(SECOND_NS, LONGEST_PAUSE_NS);
        self.put_back(claim, attempts, Some(reason), now_ns.saturating_add(pause_ns))
    }

    /// Puts a job back as if it had not been taken: the worker has to end.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn give_back(&self, claim: &Claim, now_ns: i64) -> Result<bool, LabError> {
        self.put_back(claim, claim.job.attempts - 1, None, now_ns)
    }

    fn put_back(
        &self,
        claim: &Claim,
        attempts: i64,
        reason: Option<&str>,
        not_before_ns: i64,
    ) -> Result<bool, LabError> {
        let reason = reason.map(shortened);
        let met = self.store.write(|session| {
            session.execute(
                "UPDATE jobs SET state = 'queued', attempts = ?, not_before_ns = ?, lease_owner = NULL, \
                 lease_until_ns = NULL, error = COALESCE(?, error) WHERE id = ? AND fence = ? AND state = 'running'",
                values![attempts, not_before_ns, &reason, claim.job.id, claim.fence],
            )
        })?;
        Ok(met > 0)
    }

    fn end(&self, claim: &Claim, state: State, reason: Option<&str>, now_ns: i64) -> Result<bool, LabError> {
        let reason = reason.map(shortened);
        let met = self.store.write(|session| {
            session.execute(
                "UPDATE jobs SET state = ?, error = ?, lease_owner = NULL, lease_until_ns = NULL, finished_ns = ? \
                 WHERE id = ? AND fence = ? AND state = 'running'",
                values![state.word(), &reason, now_ns, claim.job.id, claim.fence],
            )
        })?;
        Ok(met > 0)
    }

    /// Asks to cancel a job: at once when nobody has it, else its worker is told with its next renewal.
    ///
    /// # Errors
    /// [`LabError::Store`] when there is no such job, or it has come to its end.
    pub fn cancel(&self, id: i64, stamp: &Stamp) -> Result<Job, LabError> {
        let job = self.store.write(|session| {
            let met = session.execute(
                "UPDATE jobs SET state = 'cancelled', finished_ns = ? WHERE id = ? AND state = 'queued'",
                values![stamp.at_ns, id],
            )? + session
                .execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'", values![id])?;
            let job = find(session, id)?;
            if met == 0 {
                return Err(at_its_end(
                    &job,
                    "a job that is queued or running",
                    "there is nothing to cancel",
                ));
            }
            record(session, stamp, "job.cancel", &format!("job {id}"), &json!({}))?;
            Ok(job)
        })?;
        Ok(job)
    }

    /// Queues a job again that was parked or cancelled, with all its attempts before it.
    ///
    /// # Errors
    /// [`LabError::Store`] when there is no such job, or it is neither.
    pub fn retry(&self, id: i64, stamp: &Stamp) -> Result<Job, LabError> {
        let job = self.store.write(|session| {
            let met = session.execute(
                "UPDATE jobs SET state = 'queued', attempts = 0, cancel = 0, error = NULL, not_before_ns = ?, \
                 finished_ns = NULL WHERE id = ? AND state IN ('parked', 'cancelled')",
                values![stamp.at_ns, id],
            )?;
            let job = find(session, id)?;
            if met == 0 {
                let advice = "a result stays what it is; add the job again for another";
                return Err(at_its_end(&job, "a job that is parked or cancelled", advice));
            }
            record(session, stamp, "job.retry", &format!("job {id}"), &json!({}))?;
            Ok(job)
        })?;
        Ok(job)
    }

    /// The job of this number.
    ///
    /// # Errors
    /// [`LabError::Store`] when there is none.
    pub fn job(&self, id: i64) -> Result<Job, LabError> {
        Ok(self.store.read(|session| find(session, id))?)
    }

    /// The newest jobs, newest first; of one state or of all.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn list(&self, state: Option<State>, limit: u32) -> Result<Vec<Job>, LabError> {
        let limit = i64::from(limit);
        let jobs = self.store.read(|session| {
            let rows = match state {
                Some(state) => session.rows(
                    &format!("{COLUMNS} WHERE state = ? ORDER BY id DESC LIMIT ?"),
                    values![state.word(), limit],
                )?,
                None => session.rows(&format!("{COLUMNS} ORDER BY id DESC LIMIT ?"), values![limit])?,
            };
            rows.iter().map(job).collect()
        })?;
        Ok(jobs)
    }

    /// How many jobs are in each state; states without a job are left out.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn by_state(&self) -> Result<BTreeMap<String, u64>, LabError> {
        let counts = self.store.read(|session| {
            let rows = session.rows("SELECT state, COUNT(*) FROM jobs GROUP BY state", &[])?;
            rows.iter().map(|row| Ok((row.text(0)?, row.count(1)?))).collect()
        })?;
        Ok(counts)
    }

    /// Whether a job waits or runs.
    ///
    /// # Errors
    /// [`LabError::Store`].
    pub fn is_busy(&self) -> Result<bool, LabError> {
        let found = self.store.read(|session| {
            session.first("SELECT id FROM jobs WHERE state IN ('queued', 'running') LIMIT 1", &[])
        })?;
        Ok(found.is_some())
    }
}

const COLUMNS: &str = "SELECT id, task, spec, command, state, priority, attempts, max_attempts, lease_owner, \
     progress_words, progress_done, progress_total, cancel, result, error, author, created_ns, started_ns, finished_ns \
     FROM jobs";

/// The run that tells of a job's result: which command, of which inputs, and by whom.
fn run_of(job: &Job, done: &Done) -> Result<NewRun, LabError> {
    let input =
        |(name, digest): (&SafeName, &Digest)| Input { name: name.to_string(), digest: digest.to_string() };
    Ok(NewRun {
        project: None,
        job: Some(job.id),
        task: job.plan.task.clone(),
        spec: serde_json::to_value(&job.plan).map_err(|error| LabError::Internal(error.to_string()))?,
        command: job.command.clone(),
        seed: job.plan.seed,
        program: format!("cormorant {}", done.program),
        inputs: job.plan.inputs.iter().map(input).collect(),
    })
}

fn artefacts(done: &Done) -> Vec<Artefact> {
    let artefact = |name: &str, kind: &str, file: Object| Artefact {
        name: name.to_owned(),
        kind: kind.to_owned(),
        digest: file.digest.to_string(),
        bytes: file.bytes,
    };
    let kind = |name: &str| if name.ends_with(".corm") { "model" } else { "table" };
    let outputs = done.outputs.iter().map(|(name, file)| artefact(name, kind(name), *file));
    outputs.chain([artefact("report.json", "report", done.report)]).collect()
}

fn find(session: &mut Session<'_>, id: i64) -> Result<Job, StoreError> {
    let row = session.first(&format!("{COLUMNS} WHERE id = ?"), values![id])?;
    row.as_ref()
        .map(job)
        .transpose()?
        .ok_or_else(|| StoreError::missing("job", id, "`cormorant jobs list` shows those there are"))
}

fn job(row: &Row) -> Result<Job, StoreError> {
    let document =
        |at| serde_json::from_value::<Plan>(row.json(at)?).map_err(|error| unlike(row, "plan", &error));
    let result = match row.opt_text(13)? {
        Some(text) => Some(serde_json::from_str(&text).map_err(|error| unlike(row, "result", &error))?),
        None => None,
    };
    Ok(Job {
        id: row.int(0)?,
        plan: document(2)?,
        command: row.text(3)?,
        state: row.word(4, State::of)?,
        priority: row.int(5)?,
        attempts: row.int(6)?,
        max_attempts: row.int(7)?,
        worker: row.opt_text(8)?,
        progress: Progress { stage: row.text(9)?, done: row.count(10)?, total: row.count(11)? },
        cancel: row.truth(12)?,
        result,
        reason: row.opt_text(14)?,
        author: row.text(15)?,
        created_ns: row.int(16)?,
        started_ns: row.opt_int(17)?,
        finished_ns: row.opt_int(18)?,
    })
}

fn unlike(row: &Row, what: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Damaged {
        place: row.place().to_owned(),
        what: format!("the {what} of job {}", row.int(0).unwrap_or(0)),
        expected: "a document that this program wrote".to_owned(),
        found: error.to_string(),
    }
}

/// Whether there is a job to take, or a worker that has vanished.
fn anything(session: &mut Session<'_>, now_ns: i64) -> Result<bool, StoreError> {
    let found = session.first(
        "SELECT id FROM jobs WHERE (state = 'queued' AND not_before_ns <= ?) \
         OR (state = 'running' AND lease_until_ns < ?) LIMIT 1",
        values![now_ns, now_ns],
    )?;
    Ok(found.is_some())
}

/// Jobs whose leases ran out: their workers were killed, or their machines are gone.
fn bury(session: &mut Session<'_>, now_ns: i64) -> Result<(), StoreError> {
    let statement = locking(
        session,
        "SELECT id, attempts, max_attempts, lease_owner, cancel FROM jobs \
         WHERE state = 'running' AND lease_until_ns < ? ORDER BY id",
    );
    for row in session.rows(&statement, values![now_ns])? {
        let (id, attempts, worker) = (row.int(0)?, row.int(1)?, row.opt_text(3)?.unwrap_or_default());
        let reason = format!("worker {worker} vanished while it ran this (attempt {attempts})");
        let (state, reason) = if row.truth(4)? {
            (State::Cancelled, None)
        } else if attempts >= row.int(2)? {
            (
                State::Parked,
                Some(format!(
                    "given up after {attempts} attempts: {reason}; it may be this job that kills its workers"
                )),
            )
        } else {
            (State::Queued, Some(reason))
        };
        let finished = (state != State::Queued).then_some(now_ns);
        session.execute(
            "UPDATE jobs SET state = ?, error = COALESCE(?, error), lease_owner = NULL, lease_until_ns = NULL, \
             finished_ns = ? WHERE id = ?",
            values![state.word(), &reason, finished, id],
        )?;
    }
    Ok(())
}

/// Rows that another worker is at are passed over. A writer to SQLite is alone.
fn locking(session: &Session<'_>, select: &str) -> String {
    match session.engine() {
        Engine::Sqlite => select.to_owned(),
        Engine::Postgres | Engine::MySql => format!("{select} FOR UPDATE SKIP LOCKED"),
    }
}

fn at_its_end(job: &Job, expected: &str, advice: &'static str) -> StoreError {
    StoreError::refused("job", expected, format!("job {}, which is {}", job.id, job.state.word()), advice)
}

fn counted(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// No database keeps the character U+0000, and nobody reads more.
fn shortened(reason: &str) -> String {
    let mut text = reason.replace('\0', "\\0");
    if text.len() > REASON_BYTES {
        let end = (0..=REASON_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text += "..";
    }
    text
}
