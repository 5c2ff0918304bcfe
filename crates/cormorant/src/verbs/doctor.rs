//! `cormorant doctor`: whether this machine can do the job, and what to do where it cannot.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, FromArgMatches};
use cormorant_lab::tasks::doctor::{self, Check, Report, Spec, State};

use super::Verb;
use crate::edge::{Edge, cores};
use crate::failure::Exit;
use crate::terminal::{Look, Page, Span, Tone, span};
use crate::units::bytes;
use crate::{cli, samples};

pub(super) static VERB: Verb = Verb {
    name: "doctor",
    about: "Check this machine and this build, with the remedy for each fault",
    notes: "The exit code is 1 when something failed.",
    example: &["cormorant doctor"],
    args: Typed::augment_args,
    run: |matches, edge| run(Typed::from_arg_matches(matches)?, edge),
};

const LITTLE_DISK_BYTES: u64 = 1 << 30;

#[derive(Args)]
struct Typed {
    /// Directory that outputs will go to [default: the current one]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

fn run(typed: Typed, edge: &Edge) -> Result<Exit> {
    let directory = typed.directory;
    let mut report = doctor::run(&Spec { directory: directory.clone() }, &edge.ctx)?;
    let directory = directory.unwrap_or_else(|| PathBuf::from("."));
    report.checks.splice(0..0, [threads(edge), terminal(), settings(edge), bundled()]);
    report.checks.extend([disk(&directory), live_capture()]);
    report.healthy = report.checks.iter().all(|check| check.state != State::Fail);
    edge.show(&report, |page| draw(page, &report))?;
    Ok(if report.healthy { Exit::Fine } else { Exit::Mistake })
}

fn draw(page: &mut Page, report: &Report) {
    page.heading(format!("cormorant {}", report.version));
    let width = report.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or_default();
    for check in &report.checks {
        page.hanging([verdict(check.state), format!("  {:<width$}  ", check.name).into()], &check.found);
        if let Some(advice) = &check.advice {
            page.hanging([" ".repeat(8 + width).into()], &format!("-> {advice}"));
        }
    }
    page.blank();
    let (tone, words) = if report.healthy {
        (Tone::Good, "Ready.")
    } else {
        (Tone::Bad, "Not ready: see what failed above.")
    };
    page.line([span(tone, words)]);
}

fn verdict(state: State) -> Span {
    match state {
        State::Pass => span(Tone::Good, "ok  "),
        State::Warn => span(Tone::Warn, "note"),
        State::Fail => span(Tone::Bad, "FAIL"),
    }
}

fn threads(edge: &Edge) -> Check {
    let (used, cores) = (edge.ctx.threads, cores());
    let found = format!("{used} threads on {cores} cores");
    let over = used > cores;
    check(
        "threads",
        if over { State::Warn } else { State::Pass },
        found,
        over.then(|| format!("--threads {cores} is as fast")),
    )
}

fn terminal() -> Check {
    let look = Look::of_stdout();
    let found = match (look.terminal, look.colour) {
        (false, _) => "not a terminal: plain text, no colour, no progress".to_owned(),
        (true, colour) => {
            format!("{} columns, {}", look.columns, if colour { "colour" } else { "no colour" })
        }
    };
    let narrow = look.terminal && look.columns < 80;
    check(
        "terminal",
        if narrow { State::Warn } else { State::Pass },
        found,
        narrow.then(|| "tables look best in 80 columns or more".to_owned()),
    )
}

fn settings(edge: &Edge) -> Check {
    let unread = edge.settings.unread_variables(&cli::command());
    let found = edge
        .settings
        .file()
        .map_or_else(|| "no cormorant.toml in use".to_owned(), |path| format!("{} in use", path.display()));
    let advice = (!unread.is_empty()).then(|| unread.join("; "));
    check("settings", if unread.is_empty() { State::Pass } else { State::Warn }, found, advice)
}

/// The demo's traffic is part of the program: whether it begins as captures and label files do.
fn bundled() -> Check {
    let samples = samples::bundled();
    let captures = [&samples.learn_capture, &samples.hunt_capture];
    let whole = captures.iter().all(|bytes| bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]))
        && [&samples.learn_labels, &samples.hunt_labels].iter().all(|bytes| bytes.starts_with(b"start,end,"));
    let found = format!(
        "two captures of {} and {} in the program",
        bytes(captures[0].len() as u64),
        bytes(captures[1].len() as u64)
    );
    let advice =
        (!whole).then(|| "this build is broken: build it again from a whole copy of samples/".to_owned());
    check("bundled traffic", if whole { State::Pass } else { State::Fail }, found, advice)
}

fn disk(directory: &Path) -> Check {
    match rustix::fs::statvfs(directory) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let little = free < LITTLE_DISK_BYTES;
            let advice = little.then(|| {
                "make room, or write outputs elsewhere: a table may be as large as its capture".to_owned()
            });
            check(
                "disk",
                if little { State::Warn } else { State::Pass },
                format!("{} free", bytes(free)),
                advice,
            )
        }
        Err(error) => check("disk", State::Warn, format!("cannot tell what is free: {error}"), None),
    }
}

/// Information only: files and pipes need no right.
fn live_capture() -> Check {
    let may =
        std::fs::read_to_string("/proc/self/status").ok().and_then(|status| may_open_raw_sockets(&status));
    let (found, advice) = match may {
        Some(true) => ("this user may capture from interfaces", None),
        Some(false) => {
            ("this user may not capture from interfaces; files and pipes can be read", Some(ALLOW))
        }
        None => ("interfaces can be captured from on Linux; files and pipes can be read anywhere", None),
    };
    check("live capture", State::Pass, found.to_owned(), advice.map(str::to_owned))
}

const ALLOW: &str = "to allow it: sudo setcap cap_net_raw+ep $(command -v cormorant)";

/// Bit 13 of the effective capabilities is `CAP_NET_RAW` (capabilities(7)).
fn may_open_raw_sockets(status: &str) -> Option<bool> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok().map(|capabilities| capabilities >> 13 & 1 == 1)
}

fn check(name: &str, state: State, found: String, advice: Option<String>) -> Check {
    Check { name: name.to_owned(), state, found, advice }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_their_bit() {
        assert_eq!(may_open_raw_sockets("Name:\tx\nCapEff:\t0000000000002000\n"), Some(true));
        assert_eq!(may_open_raw_sockets("CapEff:\t00000000ffffdfff\n"), Some(false));
        assert_eq!(may_open_raw_sockets("Name:\tx\n"), None);
    }
}
