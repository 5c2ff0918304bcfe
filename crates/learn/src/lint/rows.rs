//! Rows that are equal in every feature, across tables: by a digest, so that 16 bytes a row are kept and no row twice.

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::table::{Column, Table};

/// Rows digested at a time.
const BLOCK: usize = 4096;

/// Half of the SHA-256 of each row's features, in the order of the columns: equal for rows that no model can tell apart.
pub(super) fn keys(table: &Table) -> Vec<u128> {
    let columns: Vec<&Column> = table.features().map(|(_, column)| column).collect();
    let starts: Vec<usize> = (0..table.rows()).step_by(BLOCK).collect();
    let block = |&start: &usize| {
        let mut bytes = Vec::new();
        (start..table.rows().min(start + BLOCK)).map(|row| key(&columns, row, &mut bytes)).collect::<Vec<_>>()
    };
    starts.par_iter().flat_map_iter(block).collect()
}

fn key(columns: &[&Column], row: usize, bytes: &mut Vec<u8>) -> u128 {
    bytes.clear();
    for column in columns {
        match column {
            Column::Text(text) => {
                let word = text.get(row);
                bytes.extend_from_slice(&word.map_or(u64::MAX, |word| word.len() as u64).to_le_bytes());
                bytes.extend_from_slice(word.unwrap_or_default().as_bytes());
            }
            Column::List(lists) => {
                let list = lists.get(row);
                bytes.extend_from_slice(&(list.len() as u64).to_le_bytes());
                list.iter().for_each(|&value| bytes.extend_from_slice(&number(value)));
            }
            numbers => bytes.extend_from_slice(&number(numbers.number(row))),
        }
    }
    let digest = Sha256::digest(&bytes[..]);
    digest.iter().take(16).fold(0, |key, &byte| key << 8 | u128::from(byte))
}

/// All that is missing is equal, and so are both zeros.
fn number(value: f64) -> [u8; 8] {
    let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
    value.to_bits().to_le_bytes()
}
