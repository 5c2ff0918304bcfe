//! The executable: reads the command line, calls the lab, prints what it returns.
//!
//! `main` -> [`cli`] (arguments, settings) -> one file of [`verbs`] -> a task of `cormorant-lab` -> [`terminal`].
//! Only here: arguments, terminals, exit codes and the clock. Nothing is computed here that a library could return.

mod cli;
mod clock;
mod config;
mod edge;
mod failure;
mod nearest;
mod progress;
mod samples;
mod terminal;
mod units;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    failure::guarded(|| cli::run(std::env::args_os().collect())).into()
}
