//! Hyperparameters as data: name, type, range, default and doc, checked before anything is built from them.
//!
//! Help, JSON schema and forms are produced from these tables.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::LearnError;

/// The type and range of a hyperparameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamKind {
    /// A whole number within bounds, both included.
    Int {
        /// Lowest.
        min: i64,
        /// Highest.
        max: i64,
    },
    /// A number within bounds, both included.
    Float {
        /// Lowest.
        min: f64,
        /// Highest.
        max: f64,
    },
    /// `true` or `false`.
    Bool,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these words, or a number within bounds (both included).
    ChoiceOrFloat {
        /// The words.
        words: &'static [&'static str],
        /// Lowest.
        min: f64,
        /// Highest.
        max: f64,
    },
    /// Whole numbers within bounds (both included), separated by commas; `none` where there need be no number.
    IntList {
        /// Lowest.
        min: i64,
        /// Highest.
        max: i64,
        /// Fewest numbers: 0 or 1.
        least: usize,
        /// Most numbers.
        most: usize,
    },
}

/// One hyperparameter.
#[derive(Clone, Copy, Debug)]
pub struct ParamSpec {
    /// Name, as in `-p name=value`.
    pub name: &'static str,
    /// Type and range.
    pub kind: ParamKind,
    /// Default, as it would be typed.
    pub default: &'static str,
    /// Meaning and unit in a sentence.
    pub doc: &'static str,
}

/// Checked hyperparameters of one plug-in; every name of its table is present.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Params {
    values: BTreeMap<String, String>,
}

impl Params {
    /// Checks `given` against `specs` and fills in the defaults.
    ///
    /// # Errors
    /// [`LearnError::Parameter`] for a name that does not exist or a value that does not fit.
    pub fn check(
        owner: &str,
        specs: &[ParamSpec],
        given: &BTreeMap<String, String>,
    ) -> Result<Self, LearnError> {
        if let Some((name, value)) =
            given.iter().find(|(name, _)| specs.iter().all(|spec| spec.name != name.as_str()))
        {
            let known: Vec<_> = specs.iter().map(|spec| spec.name).collect();
            return Err(refusal(owner, name, &format!("one of the parameters {}", known.join(", ")), value));
        }
        let mut values = BTreeMap::new();
        for spec in specs {
            let value = given.get(spec.name).map_or(spec.default, String::as_str);
            if !spec.kind.accepts(value) {
                return Err(refusal(owner, spec.name, &spec.kind.to_string(), value));
            }
            values.insert(spec.name.to_owned(), value.to_owned());
        }
        Ok(Self { values })
    }

    /// The value as text.
    ///
    /// # Panics
    /// When the plug-in asks for a name that is not in its own table.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).unwrap_or_else(|| panic!("no parameter `{name}` in the plug-in's own table"))
    }

    /// The value as a number, `None` when it is a word.
    #[must_use]
    pub fn float_or_word(&self, name: &str) -> Option<f64> {
        self.text(name).parse().ok()
    }

    /// The value of a [`ParamKind::Float`].
    #[must_use]
    pub fn float(&self, name: &str) -> f64 {
        self.float_or_word(name).unwrap_or(f64::NAN)
    }

    /// The value of a [`ParamKind::Int`] whose lower bound is not negative.
    #[must_use]
    pub fn int(&self, name: &str) -> usize {
        self.text(name).parse().unwrap_or(0)
    }

    /// The value of a [`ParamKind::Bool`].
    #[must_use]
    pub fn bool(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// The values of a [`ParamKind::IntList`]; empty for `none`.
    #[must_use]
    pub fn ints(&self, name: &str) -> Vec<i64> {
        self.text(name).split(',').filter_map(|number| number.trim().parse().ok()).collect()
    }

    /// All names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl ParamKind {
    fn accepts(&self, value: &str) -> bool {
        match *self {
            Self::Int { min, max } => value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number)),
            Self::Float { min, max } => in_range(value, min, max),
            Self::Bool => matches!(value, "true" | "false"),
            Self::Choice(words) => words.contains(&value),
            Self::ChoiceOrFloat { words, min, max } => words.contains(&value) || in_range(value, min, max),
            Self::IntList { min, max, least, most } => {
                let fits =
                    |number: &str| number.trim().parse().is_ok_and(|number| (min..=max).contains(&number));
                (least == 0 && value == "none")
                    || (value.split(',').count() <= most && value.split(',').all(fits))
            }
        }
    }
}

impl std::fmt::Display for ParamKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Float { min, max } => write!(f, "a number from {min} to {max}"),
            Self::Bool => write!(f, "true or false"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
            Self::ChoiceOrFloat { words, min, max } => {
                write!(f, "one of {} or a number from {min} to {max}", words.join(", "))
            }
            Self::IntList { min, max, least, most } => {
                let none = if *least == 0 { "none, or " } else { "" };
                write!(f, "{none}1 to {most} whole numbers from {min} to {max}, separated by commas")
            }
        }
    }
}

fn in_range(value: &str, min: f64, max: f64) -> bool {
    value.parse::<f64>().is_ok_and(|number| number >= min && number <= max)
}

fn refusal(owner: &str, name: &str, expected: &str, found: &str) -> LearnError {
    LearnError::Parameter {
        owner: owner.to_owned(),
        name: name.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[ParamSpec] = &[
        ParamSpec {
            name: "trees",
            kind: ParamKind::Int { min: 1, max: 10_000 },
            default: "100",
            doc: "Trees.",
        },
        ParamSpec {
            name: "columns",
            kind: ParamKind::ChoiceOrFloat { words: &["sqrt", "all"], min: 0.0, max: 1.0 },
            default: "sqrt",
            doc: "Columns tried per split.",
        },
        ParamSpec {
            name: "signs",
            kind: ParamKind::IntList { min: -1, max: 1, least: 0, most: 9 },
            default: "none",
            doc: "Direction of each column.",
        },
        ParamSpec {
            name: "sizes",
            kind: ParamKind::IntList { min: 1, max: 9, least: 1, most: 3 },
            default: "4,2",
            doc: "Sizes.",
        },
    ];

    fn check(name: &str, value: &str) -> Result<Params, LearnError> {
        Params::check("forest", SPECS, &BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    #[test]
    fn defaults_fill_what_is_not_given() {
        let params = check("trees", "7").unwrap();
        assert_eq!((params.int("trees"), params.text("columns")), (7, "sqrt"));
        assert_eq!((params.ints("sizes"), check("sizes", "9").unwrap().ints("sizes")), (vec![4, 2], vec![9]));
        assert_eq!(check("columns", "0.5").unwrap().float_or_word("columns"), Some(0.5));
        assert_eq!(check("signs", "0, -1,1").unwrap().ints("signs"), [0, -1, 1]);
        assert!(check("signs", "none").unwrap().ints("signs").is_empty());
    }

    #[test]
    fn refusals_name_the_parameter_and_what_would_do() {
        for (name, value, expected) in [
            ("trees", "0", "a whole number from 1 to 10000"),
            ("columns", "NaN", "one of sqrt, all or a number from 0 to 1"),
            ("signs", "0,2", "none, or 1 to 9 whole numbers from -1 to 1, separated by commas"),
            ("tree", "5", "one of the parameters trees, columns, signs, sizes"),
            ("sizes", "1,10", "1 to 3 whole numbers from 1 to 9, separated by commas"),
            ("sizes", "1,2,3,4", "1 to 3 whole numbers"),
            ("sizes", "1,,2", "1 to 3 whole numbers"),
            ("sizes", "none", "1 to 3 whole numbers"),
            ("sizes", "", "1 to 3 whole numbers"),
        ] {
            let message = check(name, value).unwrap_err().to_string();
            assert!(message.contains(expected) && message.contains(name), "{message}");
        }
    }
}
