//! `doctor`: whether this machine and this build can do the job, as a list of checks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What to check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Directory that outputs will be written to; none = the current one.
    #[serde(default)]
    pub directory: Option<PathBuf>,
}

/// What was checked.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of the program.
    pub version: String,
    /// Whether nothing failed.
    pub healthy: bool,
    /// The checks, in order.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, in a few words.
    pub name: String,
    /// How it went.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, when there is something to do.
    pub advice: Option<String>,
}

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Pass,
    /// Works, but could be better.
    Warn,
    /// Does not work.
    Fail,
}
