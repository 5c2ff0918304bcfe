//! How far a task is: one line on standard error with stage, bar, rate and time left. Silent unless that is a terminal.

use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cormorant_lab::{Ctx, ProgressSink};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::clock::Stopwatch;
use crate::terminal::{Look, shown};
use crate::units;

const REDRAW: Duration = Duration::from_millis(120);
const STAGE_COLUMNS: usize = 26;

/// The line, and the stage it shows.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    stage: Arc<Mutex<String>>,
}

impl Progress {
    /// A line on standard error when that is a terminal, else nothing.
    pub(crate) fn new() -> Self {
        let terminal = Look::of_stderr().terminal;
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bar: ProgressBar::with_draw_target(None, target), stage: Arc::default() }
    }

    /// What a task calls to say how far it is.
    pub(crate) fn sink(&self) -> ProgressSink {
        let line = self.clone();
        Arc::new(move |stage, done, total| line.set(stage, done, total))
    }

    /// Removes the line, before anything else is printed.
    pub(crate) fn clear(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
    }

    fn set(&self, stage: &str, done: u64, total: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.enter(stage, total);
        self.bar.set_position(done);
    }

    /// Starts the line anew when the stage changes, so that rate and time left are this stage's own.
    fn enter(&self, stage: &str, total: u64) {
        let mut current = self.stage.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if kind(&current) != kind(stage) || self.bar.is_finished() {
            self.bar.set_style(style(stage, total));
            self.bar.reset();
            self.bar.enable_steady_tick(REDRAW);
        }
        if *current != stage {
            stage.clone_into(&mut current);
            self.bar.set_message(fitted(stage));
        }
        if total > 0 && self.bar.length() != Some(total) {
            self.bar.set_length(total);
        }
    }
}

/// The context of a task: what the user asked for, and this line as its progress.
pub(crate) fn context(seed: u64, threads: usize, mem_bytes: u64, progress: &Progress) -> Ctx {
    let mut ctx = Ctx::new(seed, threads).with_progress(progress.sink());
    ctx.mem_bytes = mem_bytes;
    ctx
}

/// The same context, in which a source without an end is told to end `seconds` after its first sign of life.
pub(crate) fn ending_after(ctx: &Ctx, seconds: f64, progress: &Progress) -> Ctx {
    let (line, watched, started) = (progress.sink(), ctx.clone(), OnceLock::new());
    ctx.clone().with_progress(Arc::new(move |stage, done, total| {
        line(stage, done, total);
        let started: &Stopwatch = started.get_or_init(Stopwatch::start);
        if watched.ends_in_order() && started.seconds() >= seconds {
            watched.cancel_flag().store(true, Ordering::Relaxed);
        }
    }))
}

/// Reading captures is counted in bytes; all other stages count what they name.
fn style(stage: &str, total: u64) -> ProgressStyle {
    let bytes = counts_bytes(stage);
    let template = if total > 0 {
        "{msg} {bar:20} {percent:>3} %  {pace}  {left}"
    } else {
        "{msg} {spinner} {amount}  {pace}"
    };
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
        .with_key("pace", move |state: &ProgressState, text: &mut dyn Write| {
            let _ = text.write_str(&pace(state.per_sec(), bytes));
        })
        .with_key("amount", move |state: &ProgressState, text: &mut dyn Write| {
            let _ = text.write_str(&amount(state.pos(), bytes));
        })
        .with_key("left", |state: &ProgressState, text: &mut dyn Write| {
            let _ = text.write_str(&left(state));
        })
}

fn amount(done: u64, counts_bytes: bool) -> String {
    if counts_bytes { units::bytes(done) } else { units::count(done) }
}

fn pace(per_s: f64, counts_bytes: bool) -> String {
    match counts_bytes {
        _ if per_s < 1e-3 => String::new(),
        true => format!("{}/s", units::bytes(per_s as u64)),
        false => format!("{}/s", units::rate(per_s as u64, 1.0)),
    }
}

fn left(state: &ProgressState) -> String {
    let seconds = state.eta().as_secs_f64();
    if state.per_sec() < 1e-3 { String::new() } else { format!("{} left", units::duration(seconds)) }
}

/// The stage without what is said about it after a comma: `capturing, 7 dropped`.
fn kind(stage: &str) -> &str {
    stage.split(',').next().unwrap_or(stage)
}

fn counts_bytes(stage: &str) -> bool {
    stage == "reading captures"
}

fn fitted(stage: &str) -> String {
    let text: String = shown(stage).chars().take(STAGE_COLUMNS).collect();
    format!("{text:<STAGE_COLUMNS$}")
}
