//! What `--features` names: a set and its options, as in `netml-stats:compat:fft:q=0.9`.

use super::frames::{FRAME_SETS, FrameSet};
use super::{FEATURE_SETS, FeatureSet, core};
use crate::NetError;

/// A set's name with the options that follow it after colons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetSpec {
    /// Everything as typed.
    text: String,
    options: Vec<(String, Option<String>)>,
}

/// The sets of one table: rows of one kind.
#[derive(Debug)]
pub(crate) enum Selection {
    /// Columns of flows, in the order given.
    Flows(Vec<&'static FeatureSet>),
    /// A set with rows of its own.
    Frames(&'static FrameSet, SetSpec),
}

impl SetSpec {
    /// Splits a set's name from its options, which are not checked.
    fn split(text: &str) -> (&str, SetSpec) {
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let options = parts
            .map(|part| match part.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (part.to_owned(), None),
            })
            .collect();
        (name, SetSpec { text: text.to_owned(), options })
    }

    /// This name and no option.
    pub fn plain(name: &str) -> SetSpec {
        SetSpec { text: name.to_owned(), options: Vec::new() }
    }

    /// This name with an option that takes no value.
    pub fn with_option(name: &str, option: &str) -> SetSpec {
        SetSpec { text: format!("{name}:{option}"), options: vec![(option.to_owned(), None)] }
    }

    /// As typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether `:name` was given.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(option, _)| option == name)
    }

    /// The number of `:name=number`, `None` when the option was not given.
    ///
    /// # Errors
    /// [`NetError::SetOption`] for text that is no number between `least` and `most`, both included.
    pub fn number(&self, name: &str, least: f64, most: f64) -> Result<Option<f64>, NetError> {
        let Some((_, value)) = self.options.iter().find(|(option, _)| option == name) else {
            return Ok(None);
        };
        let number = value.as_deref().and_then(|value| value.parse::<f64>().ok());
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.out_of_range(name, &format!("a number from {least} to {most}"), least)),
        }
    }

    /// The whole number of `:name=number`, `None` when the option was not given.
    ///
    /// # Errors
    /// [`NetError::SetOption`] for text that is no whole number between `least` and `most`, both included.
    pub fn count(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, NetError> {
        let expected = || format!("a whole number from {least} to {most}");
        match self.number(name, least.into(), most.into()) {
            Ok(Some(number)) if number.fract() == 0.0 => Ok(Some(number as u32)),
            Ok(None) => Ok(None),
            Ok(Some(_)) | Err(_) => Err(self.out_of_range(name, &expected(), least.into())),
        }
    }

    fn out_of_range(&self, name: &str, expected: &str, example: f64) -> NetError {
        NetError::SetOption {
            text: self.text.clone(),
            option: name.to_owned(),
            advice: format!("it takes {expected}, as in `:{name}={example}`"),
        }
    }

    fn check(&self, set: &FrameSet) -> Result<(), NetError> {
        for (place, (name, value)) in self.options.iter().enumerate() {
            let known = set.options.iter().find(|option| option.name == name);
            let twice = self.options.iter().take(place).any(|(earlier, _)| earlier == name);
            let advice = match known {
                None => format!("{} takes {}", set.name, options_of(set)),
                Some(_) if twice => "it stands there twice".to_owned(),
                Some(option) if option.value.is_some() != value.is_some() => {
                    format!("{} takes {}", set.name, options_of(set))
                }
                Some(_) => continue,
            };
            return Err(NetError::SetOption { text: self.text.clone(), option: name.clone(), advice });
        }
        Ok(())
    }
}

fn options_of(set: &FrameSet) -> String {
    if set.options.is_empty() {
        return "no option".to_owned();
    }
    let option = |option: &super::frames::SetOption| match option.value {
        None => format!(":{}", option.name),
        Some(value) => format!(":{}={value}", option.name),
    };
    set.options.iter().map(option).collect::<Vec<_>>().join(", ")
}

/// The sets that were asked for; the plain counters of flows when none was.
///
/// # Errors
/// A name or an option that does not exist, or sets whose rows differ in kind.
pub(crate) fn select(texts: &[String]) -> Result<Selection, NetError> {
    if texts.is_empty() {
        return Ok(Selection::Flows(vec![&core::SET]));
    }
    let mut flows = Vec::new();
    for text in texts {
        let (name, spec) = SetSpec::split(text);
        if let Some(set) = FRAME_SETS.iter().copied().find(|set| set.name == name) {
            spec.check(set)?;
            if texts.len() > 1 {
                return Err(NetError::MixedRows { set: set.name, row: set.kind.name() });
            }
            return Ok(Selection::Frames(set, spec));
        }
        flows.push(flow_set(name, &spec)?);
    }
    Ok(Selection::Flows(flows))
}

fn flow_set(name: &str, spec: &SetSpec) -> Result<&'static FeatureSet, NetError> {
    let Some(set) = FEATURE_SETS.iter().copied().find(|set| set.name == name) else {
        let flows = FEATURE_SETS.iter().map(|set| set.name);
        let known = flows.chain(FRAME_SETS.iter().map(|set| set.name)).collect::<Vec<_>>().join(", ");
        return Err(NetError::UnknownFeatureSet { name: name.to_owned(), known });
    };
    match spec.options.first() {
        None => Ok(set),
        Some((option, _)) => Err(NetError::SetOption {
            text: spec.text.clone(),
            option: option.clone(),
            advice: format!("{name} takes no option"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_follow_the_name() {
        let (name, spec) = SetSpec::split("netml-stats:compat:q=0.9");
        assert_eq!((name, spec.has("compat"), spec.has("fft")), ("netml-stats", true, false));
        assert_eq!(spec.number("q", 0.0, 1.0).unwrap(), Some(0.9));
        assert_eq!(spec.number("interval", 0.0, 1.0).unwrap(), None);
        for text in ["x:q=2", "x:q=", "x:q=nan", "x:q"] {
            let message = SetSpec::split(text).1.number("q", 0.0, 1.0).unwrap_err().to_string();
            assert!(message.contains(text) && message.contains("from 0 to 1"), "{message}");
        }
    }

    #[test]
    fn a_set_of_flows_takes_no_option() {
        let message = select(&["flow:fft".to_owned()]).unwrap_err().to_string();
        assert!(message.contains("flow:fft") && message.contains("no option"), "{message}");
    }
}
