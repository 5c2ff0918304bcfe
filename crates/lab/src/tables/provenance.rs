//! What made a table: kept in the metadata of Parquet and Arrow files and handed on to the model trained on it,
//! so that the model can turn a capture into the same columns again.

use std::collections::{BTreeMap, HashMap};

use cormorant_net::features::RowKind;
use serde::{Deserialize, Serialize};

use crate::extraction::FlowOptions;

/// How rows were made out of captures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// What a row is: `flow`, `packet` or `host`.
    pub row: String,
    /// Feature sets; empty when not known.
    pub sets: Vec<String>,
    /// When flows ended.
    pub flow: FlowOptions,
    /// SHA-256 of the ordered feature columns, in hex.
    pub schema_digest: String,
}

impl Provenance {
    /// As schema metadata: one key each, all starting with `cormorant.`.
    #[must_use]
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (VERSION.to_owned(), self.version.clone()),
            (SETS.to_owned(), self.sets.join(",")),
            (IDLE.to_owned(), self.flow.idle_s.to_string()),
            (ACTIVE.to_owned(), self.flow.active_s.to_string()),
            (HALF_OPEN.to_owned(), self.flow.half_open_s.to_string()),
            (CLOSE.to_owned(), self.flow.close_s.to_string()),
            (DIGEST.to_owned(), self.schema_digest.clone()),
            (ROW.to_owned(), self.row.clone()),
        ])
    }

    /// What the metadata says; `None` when it names no feature sets.
    #[must_use]
    pub fn from_metadata(metadata: &HashMap<String, String>) -> Option<Self> {
        let sets = metadata.get(SETS)?;
        let seconds = |key: &str, default: f64| {
            metadata
                .get(key)
                .and_then(|text| text.parse().ok())
                .filter(|s: &f64| s.is_finite())
                .unwrap_or(default)
        };
        let default = FlowOptions::default();
        Some(Self {
            version: metadata.get(VERSION).cloned().unwrap_or_default(),
            row: metadata.get(ROW).cloned().unwrap_or_else(|| RowKind::Flow.name().to_owned()),
            sets: sets.split(',').filter(|set| !set.is_empty()).map(str::to_owned).collect(),
            flow: FlowOptions {
                idle_s: seconds(IDLE, default.idle_s),
                active_s: seconds(ACTIVE, default.active_s),
                half_open_s: seconds(HALF_OPEN, default.half_open_s),
                close_s: seconds(CLOSE, default.close_s),
            },
            schema_digest: metadata.get(DIGEST).cloned().unwrap_or_default(),
        })
    }
}

const VERSION: &str = "cormorant.version";
const SETS: &str = "cormorant.sets";
const IDLE: &str = "cormorant.idle_s";
const ACTIVE: &str = "cormorant.active_s";
const HALF_OPEN: &str = "cormorant.half_open_s";
const CLOSE: &str = "cormorant.close_s";
const DIGEST: &str = "cormorant.schema_digest";
const ROW: &str = "cormorant.row";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_leads_back() {
        let made = Provenance {
            version: "0.1.0".to_owned(),
            row: "packet".to_owned(),
            sets: vec!["flow".to_owned(), "splt".to_owned()],
            flow: FlowOptions { idle_s: 0.1, active_s: 60.0, half_open_s: 0.05, close_s: 0.5 },
            schema_digest: "ab".to_owned(),
        };
        let metadata: HashMap<_, _> = made.to_metadata().into_iter().collect();
        assert_eq!(Provenance::from_metadata(&metadata), Some(made));
        assert_eq!(Provenance::from_metadata(&HashMap::new()), None);
    }
}
