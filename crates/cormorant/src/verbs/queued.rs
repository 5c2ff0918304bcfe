//! Verbs that can be put into the queue instead of being run at once: what was typed becomes a spec, and a spec
//! becomes the command line that does the same, which every result carries.

use anyhow::{Result, bail};
use clap::ArgMatches;
use cormorant_lab::jobs::Plan;
use serde_json::Value;

use super::{evaluate, extract, flows, import, inspect, lint, score, train};
use crate::edge::Edge;

/// A verb that can be queued.
pub(super) struct Queued {
    /// Its name, which is that of its task.
    pub(super) name: &'static str,
    /// What was typed, as the task wants it.
    pub(super) spec: fn(&ArgMatches, &Edge) -> Result<Value>,
    /// How each part of a spec is typed, in order.
    words: &'static [(&'static str, Form)],
}

/// How a part of a spec is typed.
#[derive(Clone, Copy)]
enum Form {
    /// By itself.
    Bare,
    /// After this option.
    Option(&'static str),
    /// After this option, once for each.
    Each(&'static str),
    /// After this option, as `name=value`, once for each.
    Pairs(&'static str),
    /// As this option without a value.
    Flag(&'static str),
    /// After this option, in minutes instead of seconds.
    Minutes(&'static str),
}

use Form::{Bare, Each, Flag, Minutes, Option, Pairs};

/// Every verb that can be queued.
pub(super) static QUEUED: &[Queued] = &[
    Queued {
        name: "inspect",
        spec: |matches, edge| json(inspect::spec(matches, edge)?),
        words: &[("/captures", Bare), FILTER, PACKETS],
    },
    Queued {
        name: "flows",
        spec: |matches, edge| json(flows::spec(matches, edge)?),
        words: &[("/captures", Bare), FILTER, PACKETS, NAMES, IDLE, ACTIVE, HALF_OPEN, CLOSE, OUTPUT],
    },
    Queued {
        name: "extract",
        spec: |matches, edge| json(extract::spec(matches, edge)?),
        words: &[
            ("/captures", Bare),
            ("/sets", Each("--features")),
            ("/labels", Option("--labels")),
            ("/label_offset_s", Minutes("--label-offset")),
            ("/label", Option("--label")),
            FILTER,
            PACKETS,
            NAMES,
            IDLE,
            ACTIVE,
            HALF_OPEN,
            CLOSE,
            ("/resume", Flag("--resume")),
            OUTPUT,
        ],
    },
    Queued {
        name: "import",
        spec: |matches, edge| json(import::spec(matches, edge)?),
        words: &[
            ("/inputs", Bare),
            ("/format", Option("--as")),
            ("/options/label", Option("--label")),
            ("/options/benign", Each("--benign")),
            ("/options/unlabelled", Each("--unlabelled")),
            ("/options/label_all", Option("--label-all")),
            ("/options/family", Option("--family")),
            ("/options/time", Option("--time")),
            ("/options/group", Option("--group")),
            ("/options/identity", Each("--identity")),
            ("/options/feature", Each("--feature")),
            ("/options/numeric", Each("--numeric")),
            ("/options/drop", Each("--drop")),
            ("/options/delimiter", Option("--delimiter")),
            ("/options/no_header", Flag("--no-header")),
            ("/options/missing", Each("--missing")),
            ("/options/attempted", Option("--attempted")),
            ("/options/skip_bad", Option("--skip-bad")),
            OUTPUT,
        ],
    },
    Queued {
        name: "lint",
        spec: |matches, edge| json(lint::spec(matches, edge)?),
        words: &[("/inputs", Bare), ("/test", Each("--test"))],
    },
    Queued {
        name: "train",
        spec: |matches, edge| json(train::spec(matches, edge)?),
        words: &[
            ("/inputs", Bare),
            ("/labels", Option("--labels")),
            ("/sets", Each("--features")),
            ("/model", Option("--model")),
            ("/params", Pairs("--param")),
            ("/split", Option("--split")),
            ("/threshold", Option("--threshold")),
            ("/prep", Option("--prep")),
            ("/calibrate", Option("--calibrate")),
            ("/cost", Option("--cost")),
            ("/priors", Option("--priors")),
            ("/dedup", Option("--dedup")),
            ("/search", Option("--search")),
            ("/space", Each("--space")),
            ("/objective", Option("--objective")),
            IDLE,
            ACTIVE,
            HALF_OPEN,
            CLOSE,
            OUTPUT,
        ],
    },
    Queued {
        name: "evaluate",
        spec: |matches, edge| json(evaluate::spec(matches, edge)?),
        words: &[
            ("/model", Bare),
            ("/inputs", Bare),
            ("/labels", Option("--labels")),
            THRESHOLD,
            ("/draws", Option("--draws")),
            ("/curves", Option("--curves")),
            ("/shuffles", Option("--shuffle")),
        ],
    },
    Queued {
        name: "score",
        spec: |matches, edge| json(score::spec(matches, edge)?),
        words: &[("/model", Bare), ("/inputs", Bare), FILTER, PACKETS, THRESHOLD, OUTPUT],
    },
];

const FILTER: (&str, Form) = ("/reading/filter", Option("--filter"));
const PACKETS: (&str, Form) = ("/reading/packets", Option("--packets"));
const NAMES: (&str, Form) = ("/names", Option("--names"));
const IDLE: (&str, Form) = ("/flow/idle_s", Option("--idle-timeout"));
const ACTIVE: (&str, Form) = ("/flow/active_s", Option("--active-timeout"));
const HALF_OPEN: (&str, Form) = ("/flow/half_open_s", Option("--half-open-timeout"));
const CLOSE: (&str, Form) = ("/flow/close_s", Option("--close-delay"));
const THRESHOLD: (&str, Form) = ("/threshold", Option("--threshold"));
const OUTPUT: (&str, Form) = ("/output", Option("--output"));

/// The verb of this name.
///
/// # Errors
/// Names those that can be queued.
pub(super) fn find(name: &str) -> Result<&'static Queued> {
    match QUEUED.iter().find(|queued| queued.name == name) {
        Some(queued) => Ok(queued),
        None => {
            let known: Vec<_> = QUEUED.iter().map(|queued| queued.name).collect();
            bail!("`{name}` cannot be put into the queue; these can: {}", known.join(", "))
        }
    }
}

/// The command line that does what a plan says, in a directory that has its inputs.
///
/// # Errors
/// When no verb does it.
pub(super) fn command_line(plan: &Plan) -> Result<String> {
    let queued = find(&plan.task)?;
    let mut words = vec!["cormorant".to_owned(), queued.name.to_owned()];
    for (pointer, form) in queued.words {
        if let Some(value) = plan.spec.pointer(pointer) {
            words.extend(typed(*form, value));
        }
    }
    words.push(format!("--seed={}", plan.seed));
    words.push(format!("--mem={}", plan.mem_bytes));
    Ok(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}

fn typed(form: Form, value: &Value) -> Vec<String> {
    let texts = || match value {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        other => text(other).into_iter().collect::<Vec<_>>(),
    };
    let after = |option: &str| texts().into_iter().map(|text| format!("{option}={text}")).collect();
    match form {
        Bare => texts(),
        Option(option) | Each(option) => after(option),
        Pairs(option) => {
            let pairs = value.as_object().into_iter().flatten();
            pairs.filter_map(|(name, value)| Some(format!("{option}={name}={}", text(value)?))).collect()
        }
        Flag(option) if value == &Value::Bool(true) => vec![option.to_owned()],
        Flag(_) => Vec::new(),
        Minutes(option) => match value.as_i64() {
            None | Some(0) => Vec::new(),
            Some(seconds) => vec![format!("{option}={}m", seconds / 60)],
        },
    }
}

/// A value as it is typed; nothing for what is not said.
fn text(value: &Value) -> std::option::Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn json(spec: impl serde::Serialize) -> Result<Value> {
    Ok(serde_json::to_value(spec)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("--space=trees=1|2"), "'--space=trees=1|2'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("--features=flow"), "--features=flow");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn every_task_of_the_queue_is_a_verb_that_can_be_queued() {
        let tasks: Vec<_> = cormorant_lab::jobs::tasks::TASKS.iter().map(|task| task.name).collect();
        let queued: Vec<_> = QUEUED.iter().map(|queued| queued.name).collect();
        assert_eq!(tasks, queued);
    }
}
