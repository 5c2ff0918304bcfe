//! The verbs, one file each: how it is typed, what it runs, how its report is shown; and one line in [`VERBS`].

mod capture;
mod completions;
mod demo;
mod doctor;
mod evaluate;
mod explain;
mod extract;
mod flows;
mod hunt;
mod import;
mod inputs;
mod inspect;
mod jobs;
mod lab;
mod label;
mod lint;
mod list;
mod man;
mod parts;
mod questions;
mod queued;
mod score;
mod train;
mod work;

use anyhow::Result;
use clap::{ArgMatches, Command};

use crate::edge::Edge;
use crate::failure::Exit;

/// All the program knows of a verb.
pub(crate) struct Verb {
    /// How it is typed.
    pub(crate) name: &'static str,
    /// What it does, in a sentence.
    pub(crate) about: &'static str,
    /// What else to know; may be empty.
    pub(crate) notes: &'static str,
    /// Commands that run as printed, one after the other, where the project's `samples/` is.
    pub(crate) example: &'static [&'static str],
    /// Adds its arguments to a command.
    pub(crate) args: fn(Command) -> Command,
    /// Runs it.
    pub(crate) run: fn(&ArgMatches, &Edge) -> Result<Exit>,
}

/// Every verb, in the order of `--help`.
pub(crate) static VERBS: &[&Verb] = &[
    &demo::VERB,
    &capture::VERB,
    &inspect::VERB,
    &flows::VERB,
    &extract::VERB,
    &import::VERB,
    &lint::VERB,
    &train::VERB,
    &evaluate::VERB,
    &score::VERB,
    &explain::VERB,
    &hunt::VERB,
    &lab::VERB,
    &jobs::VERB,
    &work::VERB,
    &label::VERB,
    &list::VERB,
    &doctor::VERB,
    &completions::VERB,
    &man::VERB,
];

impl Verb {
    /// Its part of the command line. Notes and example stand in the template, where they are not wrapped, so that an
    /// example can be copied; `after_help` is for the manual page.
    pub(crate) fn command(&self) -> Command {
        let example = self.example.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n");
        let notes = if self.notes.is_empty() { String::new() } else { format!("{}\n\n", self.notes) };
        let after = format!("{notes}Example:\n{example}");
        // The arguments come first: they would put their own text in the place of `about`.
        (self.args)(Command::new(self.name))
            .about(self.about)
            .help_template(format!("{HELP}\n\n{after}"))
            .after_help(after)
    }
}

/// A command with verbs of its own below it.
fn nested(command: Command, verbs: &[&Verb]) -> Command {
    command
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(verbs.iter().map(|verb| verb.command()))
}

/// Runs the one that was typed.
fn run_nested(verbs: &[&Verb], matches: &ArgMatches, edge: &Edge) -> Result<Exit> {
    let typed = matches
        .subcommand()
        .and_then(|(name, own)| verbs.iter().find(|verb| verb.name == name).map(|verb| (verb, own)));
    match typed {
        Some((verb, own)) => (verb.run)(own, edge),
        None => unreachable!("the parser asks for one of them and knows no other"),
    }
}

/// What stands in every help above the text of its own.
pub(crate) const HELP: &str = "{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}";
