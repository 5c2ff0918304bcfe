//! `cormorant completions`: the script that lets a shell complete our verbs and options.

use anyhow::{Context, Result};
use clap::{Args, FromArgMatches};
use clap_complete::Shell;

use super::Verb;
use crate::cli;
use crate::edge::Edge;
use crate::failure::Exit;

pub(super) static VERB: Verb = Verb {
    name: "completions",
    about: "Print the completion script of a shell",
    notes: "In the start-up file of bash: source <(cormorant completions bash)",
    example: &["cormorant completions bash > cormorant.bash"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// The shell that will read it
    shell: Shell,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(typed.shell, &mut cli::command(), "cormorant", &mut script);
    let script = String::from_utf8(script).context("the completion script is not text")?;
    edge.show_verbatim("script", &script)?;
    Ok(Exit::Fine)
}
