//! A worker: takes a job, does it, hands in what came of it, and begins again.
//!
//! While the task runs, a thread of its own renews the lease and hears whether the job is still wanted. A worker needs
//! no end in order: it may be killed at any moment, and whoever takes the job next does it again to the same bytes.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::plan::Plan;
use super::queue::{Claim, Done, Progress, Pulse, Queue};
use super::scratch::Scratch;
use super::tasks::Task;
use crate::lab::Lab;
use crate::store::Metric;
use crate::{Ctx, LabError};

/// What time it is, in ns since 1970-01-01 UTC: from whoever has a clock.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How long a job stays a worker's that is not heard of.
const LEASE_NS: i64 = 30_000_000_000;
/// Leases are renewed this often, which is also how long it takes until a cancelled job is told to stop.
const RENEWALS_PER_LEASE: u32 = 15;
/// How long an idle worker waits before it looks again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long it waits before it asks a store again that did not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// When a worker ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When it is stopped.
    Stopped,
    /// When no job waits or runs.
    Drained,
    /// After one job.
    Once,
}

/// What a worker tells of.
#[derive(Debug)]
pub enum Event<'a> {
    /// It has taken this job.
    Taken(&'a Claim),
    /// The job has a result.
    Done(&'a Claim, &'a Done),
    /// The job is parked, or will be tried again, for this reason.
    Failed(&'a Claim, &'a str),
    /// Somebody cancelled it.
    Cancelled(&'a Claim),
    /// It was somebody else's by then, or the worker had to end: nothing was kept.
    Dropped(&'a Claim),
    /// The queue cannot be asked; it will try again.
    Trouble(&'a LabError),
}

/// What a worker has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Jobs taken.
    pub taken: u64,
    /// Jobs done.
    pub done: u64,
    /// Jobs parked or put back for another attempt.
    pub failed: u64,
    /// Jobs that somebody cancelled.
    pub cancelled: u64,
    /// Jobs whose result was not kept.
    pub dropped: u64,
}

/// Does jobs of a lab, one at a time.
pub struct Worker<'a> {
    lab: &'a Lab,
    name: String,
    threads: usize,
    lease_ns: i64,
    clock: Clock,
    stop: Arc<AtomicBool>,
}

/// How a job came to its end in this worker's hands.
enum End {
    /// With the numbers that its report has.
    Done(Done, Vec<Metric>),
    Cancelled,
    /// Not this worker's any more, or it has to end.
    Dropped,
    /// The task cannot be done.
    Parked(String),
    /// The machine was at fault.
    Again(String),
}

impl<'a> Worker<'a> {
    /// A worker called `name`, which computes with so many threads and ends soon after `stop` is set.
    #[must_use]
    pub fn new(lab: &'a Lab, name: &str, threads: usize, clock: Clock, stop: Arc<AtomicBool>) -> Self {
        Self { lab, name: name.to_owned(), threads, lease_ns: LEASE_NS, clock, stop }
    }

    /// The same with another lease.
    #[must_use]
    pub fn with_lease(mut self, lease_ns: i64) -> Self {
        self.lease_ns = lease_ns.max(1_000_000);
        self
    }

    /// Does jobs until it is time to end. A worker that is to go on until it is stopped waits for a store that does not
    /// answer.
    ///
    /// # Errors
    /// [`LabError::Store`] when the queue cannot be asked by one that is not.
    pub fn run(&self, until: Until, tell: &mut dyn FnMut(&Event<'_>)) -> Result<Tally, LabError> {
        let mut tally = Tally::default();
        while !self.stopped() {
            match self.step(until, &mut tally, tell) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if until == Until::Stopped => {
                    tell(&Event::Trouble(&error));
                    thread::sleep(PATIENCE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(tally)
    }

    /// Does the next job, or waits for one; whether to go on.
    fn step(
        &self,
        until: Until,
        tally: &mut Tally,
        tell: &mut dyn FnMut(&Event<'_>),
    ) -> Result<bool, LabError> {
        let claim = self.queue().take(&self.name, self.now(), self.lease_ns)?;
        match (claim, until) {
            (Some(claim), _) => {
                tally.taken += 1;
                self.work(&claim, tally, tell)?;
                Ok(until != Until::Once)
            }
            (None, Until::Once) => Ok(false),
            (None, Until::Drained) if !self.queue().is_busy()? => Ok(false),
            (None, _) => {
                thread::sleep(PAUSE);
                Ok(true)
            }
        }
    }

    fn work(
        &self,
        claim: &Claim,
        tally: &mut Tally,
        tell: &mut dyn FnMut(&Event<'_>),
    ) -> Result<(), LabError> {
        tell(&Event::Taken(claim));
        let (end, scratch) = self.attempt(claim);
        let (queue, now) = (self.queue(), self.now());
        let kept = match &end {
            End::Done(done, metrics) => queue.finish(claim, done, metrics, now)?,
            End::Cancelled => queue.cancelled(claim, now)?,
            End::Parked(reason) => queue.park(claim, reason, now)?,
            End::Again(reason) => queue.again(claim, reason, now)?,
            End::Dropped => queue.give_back(claim, now).map(|_| false)?,
        };
        match &end {
            _ if !kept => {
                tally.dropped += 1;
                tell(&Event::Dropped(claim));
            }
            End::Done(done, _) => {
                tally.done += 1;
                tell(&Event::Done(claim, done));
            }
            End::Parked(reason) | End::Again(reason) => {
                tally.failed += 1;
                tell(&Event::Failed(claim, reason));
            }
            End::Cancelled | End::Dropped => {
                tally.cancelled += 1;
                tell(&Event::Cancelled(claim));
            }
        }
        // What a task that can go on has kept is for the next attempt.
        let goes_on = matches!(end, End::Again(_)) || self.stopped();
        if let Some(scratch) = scratch.filter(|_| !goes_on) {
            scratch.remove();
        }
        Ok(())
    }

    fn attempt(&self, claim: &Claim) -> (End, Option<Scratch>) {
        let plan = &claim.job.plan;
        let prepared = plan.check().and_then(|task| Ok((task, Scratch::of(self.lab, claim.job.id, plan)?)));
        let (task, scratch) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return (failed(&error, &error.to_string()), None),
        };
        let end = self.run_task(claim, task, &scratch);
        (end, Some(scratch))
    }

    /// Runs the task beside a thread that renews the lease.
    fn run_task(&self, claim: &Claim, task: &Task, scratch: &Scratch) -> End {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let seen = Arc::clone(&progress);
        let plan = &claim.job.plan;
        let mut ctx = Ctx::new(plan.seed, self.threads).with_folder(&scratch.input()).with_progress(
            Arc::new(move |stage: &str, done, total| {
                let mut progress = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if progress.stage != stage {
                    stage.clone_into(&mut progress.stage);
                }
                (progress.done, progress.total) = (done, total);
            }),
        );
        ctx.mem_bytes = plan.mem_bytes;
        let (finished, over) = mpsc::channel::<()>();
        let (result, pulse) = thread::scope(|scope| {
            let (progress, ctx) = (&progress, &ctx);
            let heart = scope.spawn(move || self.keep(claim, progress, ctx, &over));
            let work = AssertUnwindSafe(|| do_task(self.lab, task, plan, scratch, ctx, self.now()));
            let result = catch_unwind(work);
            drop(finished);
            (result, heart.join().unwrap_or(Pulse::Go))
        });
        match (result, pulse) {
            (_, Pulse::Lost) => End::Dropped,
            (Ok(Ok((done, metrics))), _) => End::Done(done, metrics),
            (Ok(Err(LabError::Cancelled)), Pulse::Cancel) => End::Cancelled,
            (Ok(Err(LabError::Cancelled)), Pulse::Go) => End::Dropped,
            (Ok(Err(error)), _) => failed(&error, &scratch.told(&error.to_string())),
            (Err(panic), _) => End::Parked(format!(
                "this is a bug in cormorant: the task panicked: {}",
                scratch.told(said(panic.as_ref()))
            )),
        }
    }

    /// Renews the lease until the task is over; stops the task when it is not wanted here any more.
    fn keep(&self, claim: &Claim, progress: &Mutex<Progress>, ctx: &Ctx, over: &mpsc::Receiver<()>) -> Pulse {
        let lease = Duration::from_nanos(u64::try_from(self.lease_ns).unwrap_or(1));
        let every = (lease / RENEWALS_PER_LEASE).min(Duration::from_millis(500));
        let mut since_renewal = Duration::ZERO;
        let renew_every = lease / RENEWALS_PER_LEASE;
        loop {
            match over.recv_timeout(every) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Pulse::Go,
            }
            if self.stopped() {
                ctx.cancel_flag().store(true, Ordering::Relaxed);
            }
            since_renewal += every;
            if since_renewal < renew_every {
                continue;
            }
            since_renewal = Duration::ZERO;
            let now = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // A store that does not answer may do so before the lease has run out.
            match self.queue().renew(claim, &now, self.now(), self.lease_ns) {
                Ok(Pulse::Go) | Err(_) => {}
                Ok(pulse) => {
                    ctx.cancel_flag().store(true, Ordering::Relaxed);
                    return pulse;
                }
            }
        }
    }

    fn queue(&self) -> Queue<'a> {
        Queue::of(self.lab)
    }

    fn now(&self) -> i64 {
        (self.clock)()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The pure function: spec and inputs to report and outputs, all of them objects of the lab.
fn do_task(
    lab: &Lab,
    task: &Task,
    plan: &Plan,
    scratch: &Scratch,
    ctx: &Ctx,
    now_ns: i64,
) -> Result<(Done, Vec<Metric>), LabError> {
    let mut spec = plan.spec.clone();
    for place in task.inputs_of(&mut spec) {
        move_to(&scratch.input(), place);
    }
    let mut outputs: Vec<(String, PathBuf)> = Vec::new();
    for place in task.outputs_of(&mut spec) {
        let name = place.as_str().unwrap_or_default().to_owned();
        outputs.push((name, move_to(&scratch.output(), place)));
    }
    let report = (task.run)(spec, ctx)?;
    let metrics = metrics(task, &report);
    let put = |(name, path): &(String, PathBuf)| Ok((name.clone(), lab.objects().put_file(path, now_ns)?));
    let outputs = outputs.iter().map(put).collect::<Result<BTreeMap<_, _>, LabError>>()?;
    let report = serde_json::to_string(&told(report, scratch))
        .map_err(|error| LabError::Internal(error.to_string()))?;
    let report = lab.objects().put_bytes(report.as_bytes(), now_ns)?;
    Ok((Done { report, outputs, program: env!("CARGO_PKG_VERSION").to_owned() }, metrics))
}

/// The numbers of a report by their plain names: what runs are compared by.
fn metrics(task: &Task, report: &Value) -> Vec<Metric> {
    let part = if task.name == "train" { "held out" } else { "test" };
    let numbers = report.get("metrics").and_then(Value::as_object).into_iter().flatten();
    let metric = |(name, value): (&String, &Value)| {
        value.as_f64().filter(|value| value.is_finite()).map(|value| Metric {
            part: part.to_owned(),
            name: name.clone(),
            value: Some(value),
        })
    };
    numbers.filter_map(metric).collect()
}

fn move_to(folder: &Path, place: &mut Value) -> PathBuf {
    let path = folder.join(place.as_str().unwrap_or_default());
    *place = Value::from(path.to_string_lossy());
    path
}

/// A report without the ways to the folder it was made in.
fn told(report: Value, scratch: &Scratch) -> Value {
    match report {
        Value::String(text) => Value::String(scratch.told(&text)),
        Value::Array(items) => items.into_iter().map(|item| told(item, scratch)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, told(value, scratch))).collect()
        }
        other => other,
    }
}

/// A task is a pure function, so it would fail again, unless it was the machine that failed.
fn failed(error: &LabError, said: &str) -> End {
    let again = match error {
        LabError::Write { .. } => true,
        LabError::Read { source, .. } => source.kind() != std::io::ErrorKind::NotFound,
        LabError::Store(error) => error.may_pass(),
        _ => false,
    };
    if again { End::Again(said.to_owned()) } else { End::Parked(said.to_owned()) }
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}
