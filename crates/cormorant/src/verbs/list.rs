//! `cormorant list`: what can be named in other verbs, from the tables of the libraries.

use anyhow::{Result, bail};
use clap::{Args, FromArgMatches, ValueEnum};
use cormorant_lab::catalogue;
use cormorant_lab::catalogue::{Column, FeatureSet, Model, Param, Preparation, Strategy};
use cormorant_lab::reference::features_page;
use cormorant_lab::traffic::{LocalInterface, interfaces};
use serde::Serialize;

use super::Verb;
use crate::edge::Edge;
use crate::failure::Exit;
use crate::nearest::advice;
use crate::terminal::{Grid, Page, Tone, span};

pub(super) static VERB: Verb = Verb {
    name: "list",
    about: "List feature sets, models, strategies, formats, splits, preparation steps or interfaces",
    notes: "With a name as well: everything about that one, such as a set's columns.",
    example: &[
        "cormorant list models",
        "cormorant list models random-forest",
        "cormorant list features flow",
    ],
    args: Typed::augment_args,
    run: |matches, edge| run(&Typed::from_arg_matches(matches)?, edge),
};

#[derive(Args)]
struct Typed {
    /// What to list
    what: What,
    /// One of them, in full
    name: Option<String>,
    /// Every feature set and column as a Markdown page
    #[arg(long, conflicts_with = "name")]
    markdown: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Features,
    Models,
    Strategies,
    Formats,
    Splits,
    Preparations,
    Interfaces,
}

/// A line of a list: what is typed, and what it stands for.
type Line = (String, &'static str);

fn run(typed: &Typed, edge: &Edge) -> Result<Exit> {
    let all = catalogue();
    if typed.markdown && matches!(typed.what, What::Features) {
        edge.show_verbatim("page", &features_page(&all))?;
        return Ok(Exit::Fine);
    }
    let name = typed.name.as_deref();
    match typed.what {
        What::Features => one_or_all(edge, &all.features, name, |set| (sized(set), set.doc), columns),
        What::Models => {
            one_or_all(edge, &all.models, name, |model| (model.name.to_owned(), model.doc), model)
        }
        What::Preparations => {
            one_or_all(edge, &all.preparations, name, |step| (step.name.to_owned(), step.doc), preparation)
        }
        What::Splits => {
            one_or_all(edge, &all.splits, name, |split| (split.example.to_owned(), split.doc), |_, _| ())
        }
        What::Formats => {
            one_or_all(edge, &all.formats, name, |format| (format.name.to_owned(), format.doc), |_, _| ())
        }
        What::Interfaces => {
            one_or_all(edge, &interfaces(), name, |one| (one.name.clone(), state(one)), |_, _| ())
        }
        What::Strategies => {
            one_or_all(edge, &all.strategies, name, |one| (one.name.to_owned(), one.doc), strategy)
        }
    }
}

fn state(interface: &LocalInterface) -> &'static str {
    if interface.up { interface.link } else { "down" }
}

/// Shows one entry in full when a name is given, else a line of each.
fn one_or_all<T: Serialize>(
    edge: &Edge,
    entries: &[T],
    name: Option<&str>,
    line: impl Fn(&T) -> Line,
    more: impl Fn(&mut Page, &T),
) -> Result<Exit> {
    match name {
        None => edge.show(&entries, |page| lines(page, entries.iter().map(line)))?,
        Some(name) => {
            let entry = named(entries, name, &line)?;
            edge.show(entry, |page| {
                lines(page, [line(entry)].into_iter());
                more(page, entry);
            })?;
        }
    }
    Ok(Exit::Fine)
}

fn named<'a, T>(entries: &'a [T], name: &str, line: &impl Fn(&T) -> Line) -> Result<&'a T> {
    let names: Vec<String> = entries.iter().map(|entry| bare(&line(entry).0).to_owned()).collect();
    match names.iter().position(|known| known == name) {
        Some(place) => Ok(&entries[place]),
        None if names.is_empty() => bail!("there is none of these yet, so no `{name}` either"),
        None => bail!(
            "`{name}` is not in the list{}; there are: {}",
            advice(name, names.iter().map(String::as_str)),
            names.join(", ")
        ),
    }
}

/// The name without an example's argument (`time:0.3`) or a size (`flow (86)`).
fn bare(typed: &str) -> &str {
    typed.split([':', ' ']).next().unwrap_or(typed)
}

fn sized(set: &FeatureSet) -> String {
    format!("{} ({})", set.name, set.features)
}

fn lines(page: &mut Page, lines: impl Iterator<Item = Line>) {
    let lines: Vec<_> = lines.collect();
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    for (name, doc) in &lines {
        page.hanging([span(Tone::Strong, format!("{name:<width$}  "))], doc);
    }
    if lines.is_empty() {
        page.prose(0, Tone::Plain, "None in this version.");
    }
}

fn columns(page: &mut Page, set: &FeatureSet) {
    page.prose(0, Tone::Faint, &format!("One row per {}.", set.row));
    if !set.options.is_empty() {
        page.heading("Options, after the name");
    }
    for option in &set.options {
        page.hanging([span(Tone::Strong, format!("  {}  ", option.example))], option.doc);
    }
    page.heading("Columns");
    match set.columns.is_empty() {
        true => page.prose(0, Tone::Plain, "They depend on the capture and on the options."),
        false => page.grid(&definitions(&set.columns)),
    }
    if !set.identity.is_empty() {
        page.heading("Before them, never features");
        page.grid(&definitions(&set.identity));
    }
}

fn definitions(columns: &[Column]) -> Grid {
    let mut grid = Grid::new(&["column", "unit", "definition"]);
    for column in columns {
        grid.row([column.name.clone().into(), column.unit.into(), column.doc.into()]);
    }
    grid
}

fn model(page: &mut Page, model: &Model) {
    page.prose(0, Tone::Faint, &format!("A {}.", model.kind));
    parameters(page, &model.params);
}

fn strategy(page: &mut Page, strategy: &Strategy) {
    parameters(page, &strategy.params);
}

fn preparation(page: &mut Page, step: &Preparation) {
    parameters(page, &step.params);
}

fn parameters(page: &mut Page, params: &[Param]) {
    if params.is_empty() {
        return;
    }
    page.heading("Parameters");
    for param in params {
        page.line([span(Tone::Strong, format!("  {}", param.name)), format!(" = {}", param.default).into()]);
        page.prose(6, Tone::Plain, &format!("{} ({})", param.doc.trim_end_matches('.'), param.accepts));
    }
}
