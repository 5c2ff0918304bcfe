//! Preparation steps as text: `name`, `name:param=value`, and lists of them with commas between.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::params::Params;

/// A step by name, with the parameters that differ from its defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSpec {
    /// Name in [`super::PREPARATIONS`].
    pub name: String,
    /// Parameters as typed.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

impl StepSpec {
    /// The step of this name with its defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: BTreeMap::new() }
    }

    /// The same with a parameter.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.params.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Reads steps with commas between; spaces around them do not count, and nothing at all is no step.
    ///
    /// # Errors
    /// As [`StepSpec::from_str`](std::str::FromStr::from_str), for the first step that cannot be read.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, LearnError> {
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        text.split(',').map(str::parse).collect()
    }
}

impl std::str::FromStr for StepSpec {
    type Err = LearnError;

    /// Reads `name:param=value:param=value`.
    ///
    /// # Errors
    /// [`LearnError::Unknown`] for a name that does not exist, [`LearnError::Parameter`] for what is no `param=value`, for a
    /// parameter given twice and for one the step does not take.
    fn from_str(text: &str) -> Result<Self, LearnError> {
        let mut parts = text.trim().split(':');
        let spec = super::find(parts.next().unwrap_or_default().trim())?;
        let mut step = Self::new(spec.name);
        for part in parts {
            let refuse = |name: &str, expected: &str| LearnError::Parameter {
                owner: spec.name.to_owned(),
                name: name.to_owned(),
                expected: expected.to_owned(),
                found: part.to_owned(),
            };
            let Some((name, value)) = part.split_once('=') else {
                return Err(refuse(part, "param=value after each colon"));
            };
            let (name, value) = (name.trim(), value.trim());
            if step.params.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(refuse(name, "each parameter once"));
            }
        }
        Params::check(spec.name, spec.params, &step.params)?;
        Ok(step)
    }
}

impl std::fmt::Display for StepSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        self.params.iter().try_for_each(|(name, value)| write!(f, ":{name}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_written() {
        let text = "signed-log,one-hot:rows=5:words=20,robust:high=90";
        let steps = StepSpec::parse_list(text).unwrap();
        let names: Vec<_> = steps.iter().map(|step| step.name.as_str()).collect();
        assert_eq!(names, ["signed-log", "one-hot", "robust"]);
        assert_eq!(steps[1], StepSpec::new("one-hot").with("words", "20").with("rows", "5"));
        assert_eq!(steps.iter().map(StepSpec::to_string).collect::<Vec<_>>().join(","), text);
        assert_eq!(
            StepSpec::parse_list(" impute : with=mean , standard ").unwrap()[0].params["with"],
            "mean"
        );
        assert_eq!(StepSpec::parse_list("  ").unwrap(), []);
    }

    #[test]
    fn what_cannot_be_read_is_named_with_what_would_do() {
        for (text, expected) in [
            ("impute,", "no preparation step is called ``"),
            ("imputation", "there are: fixed-width"),
            ("impute:mean", "expected param=value after each colon, found `mean`"),
            ("impute:with=mean:with=zero", "expected each parameter once"),
            ("impute:fill=mean", "one of the parameters with, indicator"),
            ("impute:with=best", "one of median, mean, zero"),
        ] {
            let message = StepSpec::parse_list(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
