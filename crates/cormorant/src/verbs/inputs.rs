//! Arguments that several verbs share: which traffic, when flows end, parameters.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use clap::Args;
use cormorant_lab::extraction::FlowOptions;

/// Captures to read.
#[derive(Args)]
pub(super) struct Captures {
    /// Captures (pcap or pcapng, also .gz or .zst), directories of them, or - for standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub(super) captures: Vec<PathBuf>,
}

/// When flows end.
#[derive(Args)]
pub(super) struct Timeouts {
    /// Seconds without a packet that end a flow
    #[arg(long, value_name = "SECONDS", default_value_t = FlowOptions::default().idle_s, value_parser = seconds)]
    idle_timeout: f64,
    /// Seconds after which a long flow is cut and goes on as another row
    #[arg(long, value_name = "SECONDS", default_value_t = FlowOptions::default().active_s, value_parser = seconds)]
    active_timeout: f64,
}

impl Timeouts {
    /// As the lab wants them.
    pub(super) fn options(&self) -> FlowOptions {
        FlowOptions { idle_s: self.idle_timeout, active_s: self.active_timeout }
    }
}

/// `name=value`, as typed after `-p`; the last value of a name counts.
pub(super) fn parameters(typed: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(anyhow!("-p takes name=value, such as -p trees=200; found `{text}`")),
    };
    typed.iter().map(pair).collect()
}

/// A score to compare with.
pub(super) fn score(text: &str) -> Result<f64, &'static str> {
    text.parse().ok().filter(|score: &f64| score.is_finite()).ok_or("expected a number such as 0.5")
}

fn seconds(text: &str) -> Result<f64, &'static str> {
    let positive = |seconds: &f64| seconds.is_finite() && *seconds > 0.0;
    text.parse().ok().filter(positive).ok_or("expected seconds above 0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_names_and_values() {
        let typed = ["trees=200".to_owned(), "depth = 3".to_owned(), "trees=7".to_owned()];
        assert_eq!(
            parameters(&typed).unwrap(),
            BTreeMap::from([("trees".into(), "7".into()), ("depth".into(), "3".into())])
        );
        assert!(parameters(&["=3".to_owned()]).is_err());
        assert!(parameters(&["trees".to_owned()]).unwrap_err().to_string().contains("-p trees=200"));
    }

    #[test]
    fn timeouts_are_positive() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert!(["0", "-1", "inf", "NaN", "soon"].iter().all(|text| seconds(text).is_err()));
    }
}
