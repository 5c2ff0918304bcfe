//! Which objects the store's rows speak of: what no sweep may remove, and what a backup must hold.

use std::collections::BTreeSet;

use super::Digest;
use crate::store::row::values;
use crate::store::{Session, Store, StoreError};

/// Columns that hold one digest.
const NAMED: &[(&str, &str)] = &[
    ("dataset_versions", "digest"),
    ("model_versions", "digest"),
    ("run_inputs", "digest"),
    ("run_artefacts", "digest"),
];
/// Columns with documents in which digests may stand anywhere.
const MENTIONED: &[(&str, &str)] = &[
    ("jobs", "spec"),
    ("jobs", "result"),
    ("campaigns", "spec"),
    ("campaigns", "checkpoint"),
    ("runs", "spec"),
];
/// What somebody is about to refer to.
const HELD: (&str, &str) = ("object_holds", "digest");
/// Rows read at a time.
const ROWS_AT_ONCE: i64 = 500;

/// Every digest that a row refers to, as of one moment. A word of a document that looks like a digest counts as one:
/// it is better to keep too much.
///
/// # Errors
/// When the store cannot be read.
pub(super) fn references(store: &Store, now_ns: i64) -> Result<BTreeSet<Digest>, StoreError> {
    store.read(|session| {
        let mut found = BTreeSet::new();
        for (table, column) in NAMED {
            let rows = session.rows(&format!("SELECT DISTINCT {column} FROM {table}"), &[])?;
            for row in rows {
                found.extend(row.text(0)?.parse::<Digest>());
            }
        }
        let held = session.rows("SELECT digest FROM object_holds WHERE until_ns > ?", values![now_ns])?;
        for row in held {
            found.extend(row.text(0)?.parse::<Digest>());
        }
        for (table, column) in MENTIONED {
            mentioned(session, table, column, &mut found)?;
        }
        Ok(found)
    })
}

/// Every digest that this row refers to: a line of a dump.
pub(super) fn in_row(table: &str, columns: &[String], cells: &str) -> Vec<Digest> {
    let of_table = NAMED.iter().chain(MENTIONED).chain(&[HELD]).filter(|(name, _)| *name == table);
    let places: Vec<_> =
        of_table.filter_map(|(_, name)| columns.iter().position(|column| column == name)).collect();
    if places.is_empty() {
        return Vec::new();
    }
    let cells: Vec<serde_json::Value> = serde_json::from_str(cells).unwrap_or_default();
    let texts = places.iter().filter_map(|place| cells.get(*place)?.as_str());
    texts.flat_map(digests_in).collect()
}

fn mentioned(
    session: &mut Session<'_>,
    table: &str,
    column: &str,
    found: &mut BTreeSet<Digest>,
) -> Result<(), StoreError> {
    let statement = format!(
        "SELECT id, {column} FROM {table} WHERE id > ? AND {column} IS NOT NULL ORDER BY id LIMIT {ROWS_AT_ONCE}"
    );
    let mut last = 0;
    loop {
        let rows = session.rows(&statement, values![last])?;
        for row in &rows {
            last = row.int(0)?;
            found.extend(digests_in(&row.text(1)?));
        }
        if (rows.len() as i64) < ROWS_AT_ONCE {
            return Ok(());
        }
    }
}

/// Words of 64 hexadecimal digits.
fn digests_in(text: &str) -> impl Iterator<Item = Digest> + '_ {
    text.split(|character: char| !character.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MIGRATIONS;

    #[test]
    fn a_digest_is_found_wherever_it_stands_in_a_document() {
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let text = format!("{{\"inputs\":{{\"a.csv\":\"{one}\"}},\"note\":\"sha256:{two}, not {one}0\"}}");
        assert_eq!(digests_in(&text).collect::<Vec<_>>(), [one, two]);
    }

    /// A table that gets such a column later is not forgotten here.
    #[test]
    fn every_column_of_digests_is_known() {
        // Rows of the first describe objects, and of the second name secrets: neither refers to an object.
        let no_references = ["objects", "tokens", "object_holds"];
        let steps = MIGRATIONS.iter().flat_map(|migration| migration.steps);
        for step in steps {
            let Some((table, columns)) =
                step.up.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split_once(" ("))
            else {
                continue;
            };
            let named = columns.split(", ").any(|column| column.starts_with("digest "));
            let known = NAMED.iter().any(|(known, _)| *known == table) || no_references.contains(&table);
            assert!(!named || known, "{table}");
        }
    }
}
