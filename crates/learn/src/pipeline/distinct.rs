//! Rows that say the same: merged into one, so that a flood of copies does not drown what is rare.

use std::collections::HashMap;

use crate::table::{Column, Table};

/// Per row the number of the first row with the same features and class.
pub(super) fn first_alike(table: &Table, y: &[u32]) -> Vec<u32> {
    let columns: Vec<&Column> = table.features().map(|(_, column)| column).collect();
    let mut known: HashMap<Vec<u64>, u32> = HashMap::new();
    let mut key = Vec::new();
    let mut first = Vec::with_capacity(table.rows());
    for row in 0..table.rows() {
        key.clear();
        key.push(y.get(row).map_or(0, |&class| u64::from(class)));
        columns.iter().for_each(|column| push_value(column, row, &mut key));
        let number = known.get(key.as_slice()).copied().unwrap_or_else(|| {
            known.insert(key.clone(), row as u32);
            row as u32
        });
        first.push(number);
    }
    first
}

fn push_value(column: &Column, row: usize, key: &mut Vec<u64>) {
    match column {
        Column::Text(text) => key.push(u64::from(text.codes[row])),
        Column::List(lists) => {
            key.push(lists.get(row).len() as u64);
            key.extend(lists.get(row).iter().map(|&value| bits(value)));
        }
        Column::I64(values) => key.push(values[row].cast_unsigned()),
        Column::U64(values) => key.push(values[row]),
        Column::F64(values) => key.push(bits(values[row])),
    }
}

/// One pattern for every NaN, and for both zeros.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { (value + 0.0).to_bits() }
}

/// The first of each set of equal `rows`, in order, and count^`power` of each.
pub(super) fn merge(rows: &[usize], first_alike: &[u32], power: f64) -> (Vec<usize>, Vec<f64>) {
    let mut place_of: HashMap<u32, usize> = HashMap::new();
    let (mut kept, mut counts): (Vec<usize>, Vec<u32>) = (Vec::new(), Vec::new());
    for &row in rows {
        let place = *place_of.entry(first_alike[row]).or_insert(kept.len());
        if place == kept.len() {
            kept.push(row);
            counts.push(1);
        } else {
            counts[place] += 1;
        }
    }
    (kept, counts.into_iter().map(|count| f64::from(count).powf(power)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Field, Role, TextColumn};

    #[test]
    fn equal_rows_of_one_class_are_one() {
        let words = TextColumn::from_texts([Some("a"), Some("a"), None, Some("a"), Some("a"), None]);
        let numbers = Column::F64(vec![0.0, -0.0, f64::NAN, 1.0, 0.0, -f64::NAN]);
        let fields = vec![Field::new("n", "", Role::Feature), Field::new("w", "", Role::Feature)];
        let table = Table::new(fields, vec![numbers, Column::Text(words)]).unwrap();
        let alike = first_alike(&table, &[0, 0, 1, 0, 1, 1]);
        assert_eq!(alike, [0, 0, 2, 3, 4, 2]);
        assert_eq!(
            merge(&[1, 2, 0, 5, 3], &alike, 0.5),
            (vec![1, 2, 3], vec![2f64.sqrt(), 2f64.sqrt(), 1.0])
        );
        assert_eq!(merge(&[5, 2], &alike, 0.0), (vec![5], vec![1.0]));
    }
}
