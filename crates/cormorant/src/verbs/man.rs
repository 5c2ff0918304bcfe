//! `cormorant man`: the manual pages, made from the same tables as `--help`.

use anyhow::{Context, Result, bail};
use clap::{Args, FromArgMatches};
use clap_mangen::Man;

use super::{VERBS, Verb};
use crate::cli;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::nearest::advice;

pub(super) static VERB: Verb = Verb {
    name: "man",
    about: "Print the manual page of the program or of one verb",
    notes: "Read it with: cormorant man | man -l -",
    example: &["cormorant man > cormorant.1", "cormorant man hunt > cormorant-hunt.1"],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// A verb; without it, the page of the whole program
    verb: Option<String>,
}

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let mut command = cli::command();
    command.build();
    if let Some(name) = &typed.verb {
        let names = VERBS.iter().map(|verb| verb.name);
        let Some(verb) = command.find_subcommand(name) else {
            bail!("there is no verb `{name}`{}; `cormorant --help` lists them", advice(name, names));
        };
        command = verb.clone().name(format!("cormorant-{name}"));
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page).context("cannot make the manual page")?;
    edge.show_verbatim("page", &String::from_utf8_lossy(&page))?;
    Ok(Exit::Fine)
}
