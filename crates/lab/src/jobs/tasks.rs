//! The tasks that the queue can run: pure functions of spec, inputs and seed, each a file of [`crate::tasks`]. The same
//! functions are the verbs of the command line.

use std::path::PathBuf;

use cormorant_learn::eval::cost::CostMatrix;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::plan::refused;
use crate::sources::expand;
use crate::tasks::{evaluate, extract, flows, import, inspect, lint, score, train};
use crate::{Ctx, LabError};

/// A task that can be queued.
pub struct Task {
    /// Its name, which is that of the verb.
    pub name: &'static str,
    /// Where its spec names input files: JSON pointers, in which `*` stands for every place of a list.
    inputs: &'static [&'static str],
    /// Where it may name an input file or say a word of its own; it is a file where there is one.
    perhaps: &'static [&'static str],
    /// Where it names the files it writes.
    outputs: &'static [&'static str],
    /// Whether a spec can be run by a worker.
    pub(super) check: fn(&Value) -> Result<(), LabError>,
    /// Runs it; its report.
    pub(super) run: fn(Value, &Ctx) -> Result<Value, LabError>,
}

/// Every task that the queue can run.
pub static TASKS: &[Task] = &[
    Task {
        name: "inspect",
        inputs: &["/captures/*"],
        perhaps: &[],
        outputs: &[],
        check: |spec| only_reads(parsed::<inspect::Spec>(spec)?.reading.keep.as_ref()),
        run: |spec, ctx| report(&inspect::run(&parsed(&spec)?, ctx)?),
    },
    Task {
        name: "flows",
        inputs: &["/captures/*"],
        perhaps: &[],
        outputs: &["/output"],
        check: |spec| only_reads(parsed::<flows::Spec>(spec)?.reading.keep.as_ref()),
        run: |spec, ctx| report(&flows::run(&parsed(&spec)?, ctx)?),
    },
    Task {
        name: "extract",
        inputs: &["/captures/*", "/labels"],
        perhaps: &[],
        outputs: &["/output"],
        check: |spec| only_reads(parsed::<extract::Spec>(spec)?.reading.keep.as_ref()),
        run: |spec, ctx| {
            let mut told = extract::run(&parsed(&spec)?, ctx)?;
            told.notes.retain(|note| !note.starts_with(extract::RESUMED));
            report(&told)
        },
    },
    Task {
        name: "import",
        inputs: &["/inputs/*"],
        perhaps: &[],
        outputs: &["/output"],
        check: |spec| parsed::<import::Spec>(spec).map(|_| ()),
        run: |spec, ctx| report(&import::run(&parsed(&spec)?, ctx)?),
    },
    Task {
        name: "lint",
        inputs: &["/inputs/*", "/test/*"],
        perhaps: &[],
        outputs: &[],
        check: |spec| parsed::<lint::Spec>(spec).map(|_| ()),
        run: |spec, ctx| report(&lint::run(&parsed(&spec)?, ctx)?),
    },
    Task {
        name: "train",
        inputs: &["/inputs/*", "/labels"],
        perhaps: &["/cost"],
        outputs: &["/output"],
        check: |spec| known_costs(parsed::<train::Spec>(spec)?.cost.as_deref()),
        run: |spec, ctx| report(&train::run(&parsed(&spec)?, ctx)?),
    },
    Task {
        name: "evaluate",
        inputs: &["/model", "/inputs/*", "/labels"],
        perhaps: &[],
        outputs: &["/curves"],
        check: |spec| parsed::<evaluate::Spec>(spec).map(|_| ()),
        run: |spec, ctx| report(&evaluate::run(&parsed(&spec)?, ctx)?),
    },
    Task {
        name: "score",
        inputs: &["/model", "/inputs/*"],
        perhaps: &[],
        outputs: &["/output"],
        check: |spec| only_reads(parsed::<score::Spec>(spec)?.reading.keep.as_ref()),
        run: |spec, ctx| report(&score::run(&parsed(&spec)?, ctx)?),
    },
];

/// The task of this name.
///
/// # Errors
/// [`LabError::Request`] naming those there are.
pub fn find(name: &str) -> Result<&'static Task, LabError> {
    TASKS.iter().find(|task| task.name == name).ok_or_else(|| {
        let known: Vec<_> = TASKS.iter().map(|task| task.name).collect();
        refused(
            &format!("a task that makes files of files: {}", known.join(", ")),
            format!("`{}`", crate::plain::plain(name)),
            "run it as a verb of its own",
        )
    })
}

impl Task {
    /// Every place where the spec names an input file.
    pub(super) fn inputs_of<'v>(&self, spec: &'v mut Value) -> Vec<&'v mut Value> {
        let words: Vec<Vec<String>> = self.perhaps.iter().map(|pointer| texts(spec, pointer)).collect();
        let perhaps =
            self.perhaps.iter().zip(words).filter(|(_, texts)| texts.iter().any(|text| is_file(text)));
        let pointers: Vec<&str> =
            self.inputs.iter().copied().chain(perhaps.map(|(pointer, _)| *pointer)).collect();
        places(spec, &pointers)
    }

    /// Every place where the spec names a file to be written.
    pub(super) fn outputs_of<'v>(&self, spec: &'v mut Value) -> Vec<&'v mut Value> {
        places(spec, self.outputs)
    }

    /// Replaces each directory and pattern among the inputs by the files it stands for, sorted.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Request`] for an input that is no file, such as an interface.
    pub(super) fn spread(&self, spec: &mut Value) -> Result<(), LabError> {
        for list in self.inputs.iter().filter_map(|pointer| pointer.strip_suffix("/*")) {
            let Some(Value::Array(items)) = spec.pointer_mut(list) else { continue };
            let paths: Vec<PathBuf> = items.iter().filter_map(Value::as_str).map(PathBuf::from).collect();
            let mut files = Vec::new();
            for path in expand(&paths)? {
                if path.is_dir() {
                    crate::sources::collect_captures(&path, &mut files)?;
                } else if path.is_file() {
                    files.push(path);
                } else {
                    let found = format!("{}, which is none", path.display());
                    return Err(refused("files as inputs", found, "record or download it first"));
                }
            }
            *items = files.iter().map(|file| Value::from(file.to_string_lossy())).collect();
        }
        Ok(())
    }
}

/// What the words of a place mean that are no file: those with an extension or a folder are files.
fn is_file(text: &str) -> bool {
    text.contains(['.', '/'])
}

fn texts(spec: &mut Value, pointer: &str) -> Vec<String> {
    places(spec, &[pointer]).into_iter().filter_map(|place| place.as_str().map(str::to_owned)).collect()
}

/// Every text that these pointers lead to.
fn places<'v>(spec: &'v mut Value, pointers: &[&str]) -> Vec<&'v mut Value> {
    let Value::Object(fields) = spec else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in fields {
        let alone = pointers.iter().any(|pointer| pointer.strip_prefix('/') == Some(name));
        let listed = pointers
            .iter()
            .filter_map(|pointer| pointer.strip_prefix('/')?.strip_suffix("/*"))
            .any(|list| list == name);
        match value {
            Value::String(_) if alone => found.push(value),
            Value::Array(items) if listed => found.extend(items.iter_mut().filter(|item| item.is_string())),
            _ => {}
        }
    }
    found
}

fn parsed<S: DeserializeOwned>(spec: &Value) -> Result<S, LabError> {
    S::deserialize(spec).map_err(|error| {
        refused(
            "a spec of this task",
            error.to_string(),
            "see what `cormorant jobs show --json` has for another job",
        )
    })
}

fn report(report: &impl Serialize) -> Result<Value, LabError> {
    serde_json::to_value(report).map_err(|error| LabError::Internal(error.to_string()))
}

/// A worker keeps nothing of the packets but what it was asked for.
fn only_reads(keep: Option<&PathBuf>) -> Result<(), LabError> {
    match keep {
        None => Ok(()),
        Some(keep) => Err(refused(
            "a spec that writes its output only",
            format!("packets to be kept in {}", keep.display()),
            "leave --write out",
        )),
    }
}

/// A word of costs is no way to a file that is no input.
fn known_costs(cost: Option<&str>) -> Result<(), LabError> {
    match cost {
        Some(word) if !is_file(word) && CostMatrix::named(word).is_none() => Err(refused(
            "costs that are known by a word, or a file whose name has an extension",
            format!("`{}`", crate::plain::plain(word)),
            "call the file something like costs.csv",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_found_where_a_spec_names_them() {
        let mut spec = json!({
            "inputs": ["a.parquet", "b.parquet"], "labels": null, "cost": "kdd99", "output": "m.corm", "sets": ["flow"],
        });
        let train = find("train").unwrap();
        let names = |places: Vec<&mut Value>| places.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(train.inputs_of(&mut spec)), ["\"a.parquet\"", "\"b.parquet\""]);
        assert_eq!(names(train.outputs_of(&mut spec)), ["\"m.corm\""]);
        spec["cost"] = json!("costs.csv");
        assert_eq!(train.inputs_of(&mut spec).len(), 3);
    }

    #[test]
    fn an_unknown_task_is_answered_with_the_known() {
        let message = find("hunt").err().unwrap().to_string();
        assert!(message.contains("extract, import") && message.contains("`hunt`"), "{message}");
    }
}
