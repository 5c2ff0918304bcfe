//! How the program ends: exit codes, errors in words, and what happens when it is our fault.

use std::any::Any;
use std::io;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;

use cormorant_lab::LabError;

use crate::terminal::{Look, Page, Tone, print_error, shown_lines, span};

/// What the process tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and nothing to worry about.
    Fine = 0,
    /// The user's mistake, or an input that cannot be read (to its end).
    Mistake = 1,
    /// A bug of ours.
    Bug = 2,
    /// Done, and there are alerts.
    Alerts = 3,
    /// Stopped with Ctrl-C, as a shell reports it.
    Stopped = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the program: errors become a message and a code, a panic becomes [`Exit::Bug`].
pub(crate) fn guarded(run: impl FnOnce() -> anyhow::Result<Exit>) -> Exit {
    panic::set_hook(Box::new(confess));
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(exit)) => exit,
        Ok(Err(error)) => explain(&error),
        Err(_) => Exit::Bug,
    }
}

/// Prints `error: ...`, wrapped to the terminal.
pub(crate) fn complain(message: &str) {
    let mut page = Page::new(Look::of_stderr());
    page.hanging([span(Tone::Bad, "error: ")], message);
    print_error(&page.into_text());
}

/// Prints a message that brings its own lines (the argument parser's usage hints).
pub(crate) fn complain_in_lines(message: &str) {
    let text = shown_lines(message.trim_end());
    let rest = text.strip_prefix("error: ").unwrap_or(&text);
    let mut page = Page::new(Look::of_stderr());
    let mut lines = rest.lines();
    page.line([span(Tone::Bad, "error: "), lines.next().unwrap_or_default().into()]);
    lines.for_each(|line| page.line([line.into()]));
    print_error(&page.into_text());
}

fn explain(error: &anyhow::Error) -> Exit {
    let ours = error.downcast_ref::<LabError>();
    if reader_has_left(error) || ours.is_some_and(LabError::is_broken_pipe) {
        return Exit::Fine;
    }
    complain(&in_words(error));
    match ours {
        Some(LabError::Cancelled) => Exit::Stopped,
        Some(error) if error.is_bug() => Exit::Bug,
        _ => Exit::Mistake,
    }
}

/// The error and its causes in one line, leaving out a cause that the text before already tells.
fn in_words(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text += if text.is_empty() { "" } else { ": " };
            text += &cause;
        }
    }
    text
}

/// Whether this is `cormorant .. | head`: the reader of our output went away, having seen enough.
fn reader_has_left(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(broken))
}

fn confess(info: &PanicHookInfo<'_>) {
    let place =
        info.location().map(|place| format!(" at {}:{}", place.file(), place.line())).unwrap_or_default();
    complain(&format!("this is a bug in cormorant, not your mistake: {}{place}", said(info.payload())));
    print_error(&format!(
        "  Please report it with the command you ran, the input if you may share it, and this:\n  cormorant {}, {} {}\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    ));
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_our_bug_and_an_error_is_not() {
        assert_eq!(guarded(|| panic!("on purpose, by a test")), Exit::Bug);
        assert_eq!(guarded(|| Err(anyhow::anyhow!("no such thing, by a test"))), Exit::Mistake);
        assert_eq!(guarded(|| Ok(Exit::Alerts)), Exit::Alerts);
        let _ = panic::take_hook();
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let left = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(guarded(|| Err(anyhow::Error::new(left).context("cannot write rows"))), Exit::Fine);
        let _ = panic::take_hook();
    }

    #[test]
    fn a_cause_is_told_once() {
        let cause = anyhow::anyhow!("disk full");
        assert_eq!(in_words(&cause.context("cannot write x: disk full")), "cannot write x: disk full");
        assert_eq!(
            in_words(&anyhow::anyhow!("disk full").context("cannot write x")),
            "cannot write x: disk full"
        );
    }
}
