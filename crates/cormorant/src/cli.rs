//! The command line as a whole: options of every verb, where defaults come from, and the way to the verb.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::builder::Styles;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::config::{Origin, Settings};
use crate::edge::Edge;
use crate::failure::{Exit, complain_in_lines};
use crate::terminal;
use crate::units::parse_bytes;
use crate::verbs::{HELP, VERBS, Verb};

const ABOUT: &str = "Learns to find malicious behaviour in network traffic, and says why";
const AFTER_HELP: &str = "\
Any option takes its default from CORMORANT_<OPTION> or CORMORANT_<VERB>_<OPTION>,
else from cormorant.toml (here, or as --config or CORMORANT_CONFIG name it).
Exit codes: 0 fine, 1 your mistake or unreadable input, 2 our bug, 3 alerts found.

First steps:
  cormorant demo
  cormorant inspect my.pcap";

/// Options of every verb.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every verb")]
pub(crate) struct Globals {
    /// Threads to use; results are the same for any number [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// Memory budget, such as 128MiB
    #[arg(long, global = true, value_name = "BYTES", default_value = "1GiB", value_parser = parse_bytes)]
    pub(crate) mem: u64,
    /// Seed of everything random; the same seed gives the same bytes
    #[arg(long, global = true, value_name = "N", default_value_t = 0, value_parser = seed)]
    pub(crate) seed: u64,
    /// Print one JSON document instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Directory of the lab: datasets, models, labels and jobs [default: cormorant in the user's data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) lab: Option<PathBuf>,
    /// Where the lab's rows are: sqlite:PATH, postgres://.. or mysql://.. [default: lab.db in the lab]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Settings file [default: ./cormorant.toml if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// Arguments that come after another verb, read as if they had been typed alone: with the same defaults.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn parsed(words: &[String], settings: &Settings) -> Result<ArgMatches> {
    let (mut command, _) = settings.apply(command())?;
    let words = std::iter::once("cormorant").chain(words.iter().map(String::as_str));
    Ok(command.try_get_matches_from_mut(words)?)
}

/// Reads the arguments (the program's name first) and runs the verb they name.
///
/// # Errors
/// Whatever keeps the verb from its result, to be told to the user.
pub(crate) fn run(arguments: Vec<OsString>) -> Result<Exit> {
    let settings = Settings::read(&arguments)?;
    let (mut command, origins) = settings.apply(command())?;
    let matches = match command.try_get_matches_from_mut(arguments) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error, &origins),
    };
    let globals = Globals::from_arg_matches(&matches)?;
    match matches.subcommand().and_then(|(name, own)| Some((verb(name)?, own))) {
        Some((verb, own)) => (verb.run)(own, &Edge::new(globals, settings)?),
        None => unreachable!("the parser asks for a verb and knows those of the table only"),
    }
}

/// The whole command line, before settings give it other defaults.
pub(crate) fn command() -> Command {
    Globals::augment_args(Command::new("cormorant"))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .help_template(format!("{HELP}\n\n{AFTER_HELP}"))
        .after_help(AFTER_HELP)
        .styles(Styles::plain())
        .term_width(80)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(VERBS.iter().map(|verb| verb.command()))
}

fn threads(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|threads| *threads > 0).ok_or("expected a whole number of at least 1")
}

fn seed(text: &str) -> Result<u64, &'static str> {
    text.parse().map_err(|_| "expected a whole number of at least 0")
}

fn verb(name: &str) -> Option<&'static Verb> {
    VERBS.iter().find(|verb| verb.name == name).copied()
}

/// Help and version are printed where they belong; everything else is the user's mistake.
fn refuse(error: &clap::Error, origins: &[Origin]) -> Result<Exit> {
    let text = error.render().to_string();
    if !error.use_stderr() {
        terminal::print(&text)?;
        return Ok(Exit::Fine);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        terminal::print_error(&text);
        return Ok(Exit::Mistake);
    }
    complain_in_lines(&match blamed(error, origins) {
        Some(origin) => format!("{}\n\n  The value comes from {}.", text.trim_end(), origin.place),
        None => text,
    });
    Ok(Exit::Mistake)
}

/// The setting behind a value that the parser refused, if it was not typed.
fn blamed<'a>(error: &clap::Error, origins: &'a [Origin]) -> Option<&'a Origin> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let option = text(ContextKind::InvalidArg)?.strip_prefix("--")?.split(' ').next()?;
    let value = text(ContextKind::InvalidValue)?;
    origins.iter().find(|origin| origin.option == option && origin.values.iter().any(|given| given == value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_verb_has_an_example_and_a_sentence() {
        for verb in VERBS {
            assert!(!verb.example.is_empty() && !verb.about.is_empty(), "{}", verb.name);
        }
    }
}
