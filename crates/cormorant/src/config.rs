//! Defaults for any option, from `CORMORANT_*` variables and `cormorant.toml`.
//!
//! Precedence: what is typed, then the environment, then the file, then the built-in default. The argument parser
//! keeps it: this module only tells each option of the command where its default comes from.
//!
//! A plain name (`threads = 2`, `CORMORANT_THREADS=2`) speaks to every verb that has such an option; a verb's own
//! table or name (`[train]` with `model = "logistic"`, `CORMORANT_TRAIN_MODEL`) speaks to that verb and wins.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::builder::BoolishValueParser;
use clap::{Arg, ArgAction, Command};
use toml::{Table, Value};

use crate::nearest::advice;

/// The file that is read when none is named.
const FILE_NAME: &str = "cormorant.toml";
const PREFIX: &str = "CORMORANT_";
/// Options that cannot be configured: the file cannot name itself, and help is no setting.
const NOT_SETTINGS: [&str; 3] = ["config", "help", "version"];

/// Every default that was set outside the command line.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    file: Option<(PathBuf, Table)>,
    variables: BTreeMap<String, String>,
}

/// A default that was put on an option: which, what, and who said so.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Long name of the option.
    pub(crate) option: String,
    /// Its values.
    pub(crate) values: Vec<String>,
    /// Where they come from, in words.
    pub(crate) place: String,
}

impl Settings {
    /// Reads the variables of this process, and the file that `arguments`, `CORMORANT_CONFIG` or the current directory names.
    ///
    /// # Errors
    /// When the file cannot be read or is not TOML.
    pub(crate) fn read(arguments: &[OsString]) -> Result<Self> {
        let variables: BTreeMap<_, _> =
            std::env::vars_os().filter_map(|(name, value)| variable(&name, &value)).collect();
        let named = named_file(arguments).or_else(|| variables.get("CORMORANT_CONFIG").map(PathBuf::from));
        let file = match named {
            Some(path) => Some(load(&path)?),
            None if Path::new(FILE_NAME).exists() => Some(load(Path::new(FILE_NAME))?),
            None => None,
        };
        Ok(Self { file, variables })
    }

    /// The command with these defaults, and where each came from.
    ///
    /// # Errors
    /// When the file holds a key that no option has, or a value that no option can take.
    pub(crate) fn apply(&self, command: Command) -> Result<(Command, Vec<Origin>)> {
        self.refuse_unknown(&command)?;
        let mut origins = Vec::new();
        let mut wrong = None;
        let command = command.mut_args(|arg| self.with_default(arg, None, &mut origins, &mut wrong));
        let command = command.mut_subcommands(|verb| {
            let name = verb.get_name().to_owned();
            let verb = verb.mut_args(|arg| self.with_default(arg, Some(&name), &mut origins, &mut wrong));
            verb.mut_subcommands(|own| {
                own.mut_args(|arg| self.with_default(arg, Some(&name), &mut origins, &mut wrong))
            })
        });
        wrong.map_or(Ok((command, origins)), Err)
    }

    /// The file in use, if any.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Variables of ours that no option of `command` reads, each with what may have been meant.
    pub(crate) fn unread_variables(&self, command: &Command) -> Vec<String> {
        let known = variable_names(command);
        let unread = self.variables.keys().filter(|name| !known.contains(*name));
        unread
            .map(|name| {
                format!("{name} is read by no option{}", advice(name, known.iter().map(String::as_str)))
            })
            .collect()
    }

    fn with_default(
        &self,
        arg: Arg,
        verb: Option<&str>,
        origins: &mut Vec<Origin>,
        wrong: &mut Option<anyhow::Error>,
    ) -> Arg {
        let Some(option) = setting(&arg).map(str::to_owned) else { return arg };
        let found = self
            .set_in_environment(&option, verb)
            .map_or_else(|| self.set_in_file(&arg, &option, verb), |found| Ok(Some(found)));
        match found {
            Ok(Some(origin)) => {
                let arg = lend(arg, &origin);
                origins.push(origin);
                arg
            }
            Ok(None) => arg,
            Err(error) => {
                *wrong = Some(error);
                arg
            }
        }
    }

    fn set_in_environment(&self, option: &str, verb: Option<&str>) -> Option<Origin> {
        let names =
            verb.map(|verb| variable_name(&[verb, option])).into_iter().chain([variable_name(&[option])]);
        names.filter_map(|name| self.variables.get_key_value(&name)).next().map(|(name, value)| Origin {
            option: option.to_owned(),
            values: vec![value.clone()],
            place: format!("the environment variable {name}"),
        })
    }

    fn set_in_file(&self, arg: &Arg, option: &str, verb: Option<&str>) -> Result<Option<Origin>> {
        let Some((path, table)) = &self.file else { return Ok(None) };
        let own = verb
            .and_then(|verb| table.get(verb))
            .and_then(Value::as_table)
            .and_then(|table| entry(table, option));
        let Some(value) = own.or_else(|| entry(table, option)) else { return Ok(None) };
        let place = format!("`{option}` in {}", path.display());
        let values = texts(value, repeats(arg)).with_context(|| place.clone())?;
        Ok(Some(Origin { option: option.to_owned(), values, place }))
    }

    /// # Errors
    /// Names the first key of the file that no option has, with the nearest that exists.
    fn refuse_unknown(&self, command: &Command) -> Result<()> {
        let Some((path, table)) = &self.file else { return Ok(()) };
        for (key, value) in table {
            match (command.find_subcommand(key), value.as_table()) {
                (Some(verb), Some(own)) => {
                    let known = settings_of(verb).collect();
                    own.keys().try_for_each(|key| refuse(path, Some(verb.get_name()), key, &known))?;
                }
                _ => refuse(path, None, key, &every_setting(command))?,
            }
        }
        Ok(())
    }
}

fn refuse(path: &Path, verb: Option<&str>, key: &str, known: &BTreeSet<String>) -> Result<()> {
    if known.contains(&key.replace('_', "-")) {
        return Ok(());
    }
    let (table, see) =
        verb.map_or((String::new(), String::new()), |verb| (format!(" in [{verb}]"), format!(" {verb}")));
    let hint = advice(key, known.iter().map(String::as_str));
    bail!("{}{table}: there is no option `{key}`{hint}; `cormorant{see} --help` lists them", path.display())
}

/// Puts the default on the option. Flags then take words, repeated options take lists, required ones become optional.
fn lend(arg: Arg, origin: &Origin) -> Arg {
    let flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let arg = if flag { arg.value_parser(BoolishValueParser::new()) } else { arg };
    arg.required(false).default_values(origin.values.clone())
}

fn entry<'a>(table: &'a Table, option: &str) -> Option<&'a Value> {
    table.get(option).or_else(|| table.get(&option.replace('-', "_"))).filter(|value| !value.is_table())
}

fn texts(value: &Value, repeats: bool) -> Result<Vec<String>> {
    match value {
        Value::Array(items) if repeats => items.iter().map(text).collect(),
        value => Ok(vec![text(value)?]),
    }
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Ok(value.to_string()),
        other => Err(anyhow!("expected text, a number or true/false, found {}", other.type_str())),
    }
}

fn load(path: &Path) -> Result<(PathBuf, Table)> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        anyhow!(
            "cannot read the settings in {}: {error}; check --config and CORMORANT_CONFIG",
            path.display()
        )
    })?;
    let table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        anyhow!(
            "{}, line {line}: {}; it should hold lines such as `threads = 2`",
            path.display(),
            error.message()
        )
    })?;
    Ok((path.to_owned(), table))
}

/// `--config FILE` or `--config=FILE`, found before the arguments are parsed because parsing needs what it holds.
fn named_file(arguments: &[OsString]) -> Option<PathBuf> {
    let mut arguments = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = arguments.next() {
        if argument == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        if let Some(path) = argument.to_str().and_then(|text| text.strip_prefix("--config=")) {
            return Some(PathBuf::from(path));
        }
    }
    None
}

fn variable(name: &OsStr, value: &OsStr) -> Option<(String, String)> {
    let name = name.to_str().filter(|name| name.starts_with(PREFIX))?;
    let value = value.to_str().filter(|value| !value.is_empty())?;
    Some((name.to_owned(), value.to_owned()))
}

fn variable_name(parts: &[&str]) -> String {
    format!("{PREFIX}{}", parts.join("_").replace('-', "_").to_uppercase())
}

fn variable_names(command: &Command) -> BTreeSet<String> {
    let own = command
        .get_subcommands()
        .flat_map(|verb| settings_of(verb).map(|option| variable_name(&[verb.get_name(), &option])));
    let plain = every_setting(command).into_iter().map(|option| variable_name(&[&option]));
    own.chain(plain).chain([format!("{PREFIX}CONFIG")]).collect()
}

fn every_setting(command: &Command) -> BTreeSet<String> {
    settings_of(command).chain(command.get_subcommands().flat_map(settings_of)).collect()
}

/// Options of a verb, and of those below it.
fn settings_of(command: &Command) -> impl Iterator<Item = String> {
    let own = command.get_subcommands().flat_map(Command::get_arguments);
    command.get_arguments().chain(own).filter_map(setting).map(str::to_owned)
}

fn setting(arg: &Arg) -> Option<&str> {
    arg.get_long().filter(|long| !NOT_SETTINGS.contains(long))
}

fn repeats(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) || arg.get_value_delimiter().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(file: &str, variables: &[(&str, &str)]) -> Settings {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings { file: Some((PathBuf::from("cormorant.toml"), file.parse().unwrap())), variables }
    }

    fn command() -> Command {
        let train = Command::new("train")
            .arg(Arg::new("model").long("model").required(true))
            .arg(Arg::new("param").long("param").action(ArgAction::Append));
        let threads = Arg::new("threads")
            .long("threads")
            .global(true)
            .value_parser(clap::value_parser!(u32))
            .default_value("9");
        let json = Arg::new("json").long("json").global(true).action(ArgAction::SetTrue);
        Command::new("cormorant").args([threads, json]).subcommand(train)
    }

    fn threads(settings: &Settings, arguments: &[&str]) -> u32 {
        let (command, _) = settings.apply(command()).unwrap();
        let matches = command.try_get_matches_from(arguments).unwrap();
        *matches.get_one::<u32>("threads").unwrap()
    }

    #[test]
    fn typed_beats_environment_beats_file_beats_default() {
        let typed = ["cormorant", "--threads", "1", "train", "--model", "x"];
        let bare = ["cormorant", "train", "--model", "x"];
        let both = settings("threads = 3", &[("CORMORANT_THREADS", "2")]);
        assert_eq!(threads(&both, &typed), 1);
        assert_eq!(threads(&both, &["cormorant", "train", "--model", "x", "--threads", "1"]), 1);
        assert_eq!(threads(&both, &bare), 2);
        assert_eq!(threads(&settings("threads = 3", &[]), &bare), 3);
        assert_eq!(threads(&settings("", &[]), &bare), 9);
    }

    #[test]
    fn a_verbs_own_value_wins_and_satisfies_what_is_required() {
        let settings =
            settings("model = 'a'\njson = true\n[train]\nmodel = 'b'\nparam = ['x=1', 'y=2']", &[]);
        let (command, _) = settings.apply(command()).unwrap();
        let matches = command.try_get_matches_from(["cormorant", "train"]).unwrap();
        let train = matches.subcommand_matches("train").unwrap();
        assert_eq!(train.get_one::<String>("model").unwrap(), "b");
        assert_eq!(train.get_many::<String>("param").unwrap().collect::<Vec<_>>(), ["x=1", "y=2"]);
        assert!(matches.get_flag("json"));
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest() {
        let message = |file| settings(file, &[]).apply(command()).unwrap_err().to_string();
        assert!(message("thread = 3").contains("no option `thread` (did you mean `threads`?)"));
        assert!(
            message("[train]\nmodle = 'x'")
                .contains("in [train]: there is no option `modle` (did you mean `model`?)")
        );
        assert!(message("[tarin]\nmodel = 'x'").contains("no option `tarin`"));
        assert!(message("threads = [1, 2]").contains("`threads` in cormorant.toml"));
    }

    #[test]
    fn variables_nobody_reads_are_told() {
        let settings = settings(
            "",
            &[("CORMORANT_TRAIN_MODEL", "x"), ("CORMORANT_TREADS", "1"), ("CORMORANT_CONFIG", "y")],
        );
        assert_eq!(
            settings.unread_variables(&command()),
            ["CORMORANT_TREADS is read by no option (did you mean `CORMORANT_THREADS`?)"]
        );
    }
}
