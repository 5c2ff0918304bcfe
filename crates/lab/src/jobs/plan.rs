//! What a job is to do: all that determines its result, and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tasks::{self, Task};
use crate::lab::{Digest, Lab};
use crate::{Ctx, LabError};

/// A task with everything that determines what comes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name of the task, one of [`tasks::TASKS`].
    pub task: String,
    /// Its spec, in which files are called by the names in `inputs`.
    pub spec: Value,
    /// Its inputs: what the spec calls them, and which objects they are.
    #[serde(default)]
    pub inputs: BTreeMap<SafeName, Digest>,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// Memory budget in bytes: what is forgotten to stay within it is part of a result.
    #[serde(default = "one_gibibyte")]
    pub mem_bytes: u64,
}

fn one_gibibyte() -> u64 {
    Ctx::new(0, 1).mem_bytes
}

/// What a file is called in a spec: a name and never a path, whoever made it up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SafeName(String);

/// The longest name.
const NAME_BYTES: usize = 128;

impl SafeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part of a path, with every character that is not fit for a name replaced by `_`.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut name: String =
            name.chars().map(|character| if is_fit(character) { character } else { '_' }).collect();
        // The end has the extension.
        while name.len() > NAME_BYTES {
            name.remove(0);
        }
        if name.is_empty() || name.starts_with(['.', '-']) {
            name = format!("_{}", name.trim_start_matches(['.', '-']));
            name.truncate(NAME_BYTES);
        }
        Self(name)
    }
}

impl TryFrom<String> for SafeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fit = !text.is_empty()
            && text.len() <= NAME_BYTES
            && !text.starts_with(['.', '-'])
            && text.chars().all(is_fit);
        if fit {
            return Ok(Self(text));
        }
        Err(format!(
            "expected a file name of 1 to {NAME_BYTES} letters, digits, `.`, `-`, `_`, `+`, `=` and `@` that does not \
             start with `.` or `-`, found {text:?}"
        ))
    }
}

impl From<SafeName> for String {
    fn from(name: SafeName) -> Self {
        name.0
    }
}

impl fmt::Display for SafeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn is_fit(character: char) -> bool {
    character.is_ascii_alphanumeric() || ".-_+=@".contains(character)
}

impl Plan {
    /// The plan of a task whose spec names files on disk: they become objects of the lab, and the spec calls them by
    /// their names. A directory or pattern stands for the files in it.
    ///
    /// # Errors
    /// [`LabError::Request`] for a spec that the queue cannot run or files of one name, [`LabError::Read`],
    /// [`LabError::Write`].
    pub fn of_files(lab: &Lab, task: &str, spec: Value, now_ns: i64, ctx: &Ctx) -> Result<Self, LabError> {
        let task = tasks::find(task)?;
        let mut plan = Self {
            task: task.name.to_owned(),
            spec,
            inputs: BTreeMap::new(),
            seed: ctx.seed,
            mem_bytes: ctx.mem_bytes,
        };
        task.spread(&mut plan.spec)?;
        for place in task.inputs_of(&mut plan.spec) {
            let path = place.as_str().unwrap_or_default().to_owned();
            let name = SafeName::of(Path::new(&path));
            *place = Value::from(name.as_str());
            let object = lab.objects().put_file(Path::new(&path), now_ns)?;
            match plan.inputs.insert(name.clone(), object.digest) {
                Some(other) if other != object.digest => return Err(same_name(&name)),
                _ => {}
            }
        }
        for place in task.outputs_of(&mut plan.spec) {
            let path = place.as_str().unwrap_or_default();
            if path != "-" {
                *place = Value::from(SafeName::of(Path::new(path)).as_str());
            }
        }
        plan.check()?;
        Ok(plan)
    }

    /// Which task it is, and that its spec is one of that task: names only files that are inputs, and writes only files
    /// of its own.
    ///
    /// # Errors
    /// [`LabError::Request`].
    pub fn check(&self) -> Result<&'static Task, LabError> {
        let task = tasks::find(&self.task)?;
        let mut spec = self.spec.clone();
        for place in task.inputs_of(&mut spec) {
            let name = place.as_str().unwrap_or_default();
            if !self.inputs.keys().any(|input| input.as_str() == name) {
                return Err(refused(
                    "the names of inputs only",
                    format!("the file {name:?}"),
                    "add it as an input",
                ));
            }
        }
        let mut names = Vec::new();
        for place in task.outputs_of(&mut spec) {
            let name = place.as_str().unwrap_or_default().to_owned();
            let name =
                SafeName::try_from(name).map_err(|found| refused("an output file", found, "name a file"))?;
            if self.inputs.contains_key(&name) || names.contains(&name) {
                return Err(refused(
                    "an output with a name of its own",
                    format!("{name}, which is another file of this job too"),
                    "call the output something else",
                ));
            }
            names.push(name);
        }
        (task.check)(&self.spec)?;
        Ok(task)
    }
}

pub(super) fn refused(expected: &str, found: String, advice: &str) -> LabError {
    LabError::Request { what: "job", expected: expected.to_owned(), found, advice: advice.to_owned() }
}

fn same_name(name: &SafeName) -> LabError {
    refused(
        "inputs with different names",
        format!("two files called {name}"),
        "rename one of them: a job knows its inputs by their names",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for (path, name) in [
            ("a/b/c.pcap", "c.pcap"),
            ("../..", "_"),
            ("/etc/pass wd", "pass_wd"),
            (".hidden", "_hidden"),
            ("-rf", "_rf"),
            ("día.csv", "d_a.csv"),
            ("a\\b", "a_b"),
        ] {
            let made = SafeName::of(Path::new(path));
            assert_eq!(made.as_str(), name);
            assert_eq!(SafeName::try_from(made.as_str().to_owned()), Ok(made));
        }
        let long = SafeName::of(Path::new(&format!("{}.parquet", "x".repeat(300))));
        assert!(long.as_str().len() == NAME_BYTES && long.as_str().ends_with(".parquet"));
        for wrong in ["", ".", "..", "a/b", "/a", "a\0", "-x", "a b", "a\n", "*.csv"] {
            assert!(SafeName::try_from(wrong.to_owned()).is_err(), "{wrong:?}");
        }
    }
}
