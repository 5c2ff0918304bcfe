//! What a verb gets from the edge of the program: the context of its task, and ways to show what came of it.

use std::path::PathBuf;
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use cormorant_lab::Ctx;
use cormorant_lab::extraction::CaptureFault;
use cormorant_lab::lab::Lab;
use cormorant_lab::output::Output;
use cormorant_lab::store::Stamp;
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::Globals;
use crate::clock::{Stopwatch, now_ns};
use crate::config::Settings;
use crate::failure::{Exit, complain};
use crate::progress::{self, Progress};
use crate::terminal::{self, Look, Page, shown_json};

/// The surroundings of a verb.
pub(crate) struct Edge {
    /// The context of the verb's task.
    pub(crate) ctx: Ctx,
    /// Defaults that were set outside the command line.
    pub(crate) settings: Settings,
    /// Since when the verb runs.
    pub(crate) watch: Stopwatch,
    /// Whether one JSON document is wanted instead of text.
    pub(crate) json: bool,
    progress: Progress,
    globals: Globals,
}

impl Edge {
    /// Prepares the surroundings, and lets Ctrl-C stop the task.
    ///
    /// # Errors
    /// When the system refuses to tell of Ctrl-C.
    pub(crate) fn new(globals: Globals, settings: Settings) -> Result<Self> {
        let threads = globals.threads.unwrap_or_else(cores);
        let progress = Progress::new();
        let ctx = progress::context(globals.seed, threads, globals.mem, &progress);
        stop_on_interrupt(&ctx)?;
        Ok(Self { ctx, settings, watch: Stopwatch::start(), json: globals.json, progress, globals })
    }

    /// The lab that `--lab` and `--store` name.
    ///
    /// # Errors
    /// When it cannot be opened, or no directory is named and the user has none.
    pub(crate) fn lab(&self) -> Result<Lab> {
        let folder = match &self.globals.lab {
            Some(folder) => folder.clone(),
            None => {
                data_folder().context("there is no HOME to keep a lab in; name a directory with --lab")?
            }
        };
        Ok(Lab::open(&folder, self.globals.store.as_deref(), now_ns())?)
    }

    /// Who makes a change, and when.
    pub(crate) fn stamp() -> Stamp {
        let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
        Stamp::new(user.filter(|user| !user.is_empty()).unwrap_or_else(|| "local".to_owned()), now_ns())
    }

    /// Prints the report on standard output: as JSON, or as the page that `draw` makes of it.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn show(&self, report: &impl Serialize, draw: impl FnOnce(&mut Page)) -> Result<()> {
        self.progress.clear();
        if self.json {
            let json = serde_json::to_string_pretty(report).context("cannot write the report as JSON")?;
            return write(&(shown_json(&json) + "\n"));
        }
        let mut page = Page::new(Look::of_stdout());
        draw(&mut page);
        write(&page.into_text())
    }

    /// Prints text for another program as it is; as JSON, it is the value of `name`.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn show_verbatim(&self, name: &str, text: &str) -> Result<()> {
        if self.json { self.show(&serde_json::json!({ name: text }), |_| ()) } else { write(text) }
    }

    /// The context of a task that may read an interface, which ends when `seconds` have passed.
    pub(crate) fn context_for(&self, seconds: Option<f64>) -> Ctx {
        match seconds {
            Some(seconds) => progress::ending_after(&self.ctx, seconds, &self.progress),
            None => self.ctx.clone(),
        }
    }

    /// Prints the report of a verb that writes rows or packets: on standard error when those are on standard output.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub(crate) fn show_beside(
        &self,
        stdout_is_taken: bool,
        report: &impl Serialize,
        draw: impl FnOnce(&mut Page),
    ) -> Result<()> {
        if !stdout_is_taken {
            return self.show(report, draw);
        }
        self.progress.clear();
        let mut page = Page::new(Look::of_stderr());
        draw(&mut page);
        terminal::print_error(&page.into_text());
        Ok(())
    }

    /// Where `-o` says the rows go.
    ///
    /// # Errors
    /// When its extension is no format, or when rows and the JSON report both want standard output.
    pub(crate) fn output(&self, text: &str) -> Result<Output> {
        let output = Output::parse(text)?;
        if self.json && output.path().is_none() {
            bail!("-o - and --json both want standard output; give -o a file, or leave --json out");
        }
        Ok(output)
    }

    /// Tells of the captures that are damaged, on standard error, and what the program says of it at its end.
    pub(crate) fn tell(&self, faults: &[CaptureFault]) -> Exit {
        self.progress.clear();
        faults.iter().for_each(|fault| complain(&fault.error));
        if faults.is_empty() { Exit::Fine } else { Exit::Mistake }
    }
}

/// Cores this process may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// The user's data directory, as the XDG base directory specification says.
fn data_folder() -> Option<PathBuf> {
    let absolute = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let data =
        absolute("XDG_DATA_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?;
    Some(data.join("cormorant"))
}

fn write(text: &str) -> Result<()> {
    terminal::print(text).context("cannot write to standard output")
}

/// The first Ctrl-C, or the first polite request of the system, asks the task to stop and to leave nothing
/// half-written; the second does not ask. No thread waits for them: it would keep the privileges that capturing from
/// an interface gives up.
fn stop_on_interrupt(ctx: &Ctx) -> Result<()> {
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, Exit::Stopped as i32, ctx.cancel_flag())
            .and_then(|_| flag::register(signal, ctx.cancel_flag()))
            .context("cannot listen for Ctrl-C")?;
    }
    Ok(())
}
