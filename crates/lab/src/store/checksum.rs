//! The checksum that a row carries of itself, so that a damaged one is found before anybody believes it.
//!
//! SQLite's own check does not look at what a row says, and a flipped bit in a name is a name.

use sha2::{Digest as _, Sha256};

use super::error::{Result, StoreError};
use super::row::Row;

/// The first eight bytes of the SHA-256 of everything else in the row, as a JSON list.
pub(super) fn of(everything: &serde_json::Value) -> i64 {
    let digest = Sha256::digest(everything.to_string());
    digest.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// Compares the checksum that stands in a row with that of what else stands there.
pub(super) fn check(
    row: &Row,
    at: usize,
    everything: &serde_json::Value,
    what: impl Fn() -> String,
) -> Result<()> {
    let (written, computed) = (row.int(at)?, of(everything));
    if written == computed {
        return Ok(());
    }
    Err(StoreError::Damaged {
        place: row.place.clone(),
        what: what(),
        expected: format!("checksum {computed}"),
        found: written.to_string(),
    })
}
