//! Columns of categories: which categories have a slot of their own, and sets of them.

use std::collections::BTreeMap;

use super::super::bins::MISSING;
use crate::LearnError;
use crate::matrix::Matrix;

/// Largest code of a category: a set of categories is kept as bits up to its largest.
pub(super) const CATEGORY_MAX: f64 = 65_535.0;

/// The categories that have a slot, ascending; all others share the slot of missing values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Categories(Vec<u32>);

impl Categories {
    /// Encodes a column of category codes (or NaN); the `most` - 1 most frequent ones get a slot.
    ///
    /// # Errors
    /// [`LearnError::Data`] for a value that is not a whole number from 0 to 65535.
    pub(super) fn encode(
        x: &Matrix,
        column: usize,
        most: usize,
        codes: &mut [u8],
    ) -> Result<Self, LearnError> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for (row, values) in x.iter_rows().enumerate().filter(|(_, values)| !values[column].is_nan()) {
            let category = category(values[column]).ok_or_else(|| {
                LearnError::Data(format!(
                    "gradient-boosting: row {row}, column {column} holds {}, and a category is a whole number from 0 to {CATEGORY_MAX}",
                    values[column]
                ))
            })?;
            *counts.entry(category).or_insert(0) += 1;
        }
        let mut frequent: Vec<(usize, u32)> =
            counts.into_iter().map(|(category, count)| (count, category)).collect();
        frequent.sort_unstable_by_key(|&(count, category)| (std::cmp::Reverse(count), category));
        let mut kept: Vec<u32> =
            frequent.iter().take((most - 1).max(1)).map(|&(_, category)| category).collect();
        kept.sort_unstable();
        for (code, values) in codes.iter_mut().zip(x.iter_rows()) {
            let slot = category(values[column]).and_then(|category| kept.binary_search(&category).ok());
            *code = slot.map_or(MISSING, |slot| slot as u8);
        }
        Ok(Self(kept))
    }

    /// Number of slots.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The categories of these slots.
    pub(super) fn of_slots(&self, slots: SlotSet) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().filter(move |(slot, _)| slots.has(*slot)).map(|(_, &category)| category)
    }
}

/// The category that a value is the code of.
fn category(value: f64) -> Option<u32> {
    let whole = value as u32; // cut off, NaN to 0
    (f64::from(whole) == value && value <= CATEGORY_MAX).then_some(whole)
}

/// Some of the 256 slots of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SlotSet([u64; 4]);

impl SlotSet {
    pub(super) fn insert(&mut self, slot: usize) {
        self.0[slot / 64] |= 1 << (slot % 64);
    }

    pub(super) fn has(self, slot: usize) -> bool {
        self.0[slot / 64] >> (slot % 64) & 1 == 1
    }
}

/// Sets of categories, one after the other as bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CategorySets {
    pub(super) words: Vec<u64>,
    /// Where the words of each set end.
    pub(super) ends: Vec<u32>,
}

impl CategorySets {
    /// Adds a set; its number.
    pub(super) fn push(&mut self, categories: impl Iterator<Item = u32>) -> u32 {
        let start = self.words.len();
        for category in categories {
            let word = start + category as usize / 64;
            self.words.resize(self.words.len().max(word + 1), 0);
            self.words[word] |= 1 << (category % 64);
        }
        self.ends.push(self.words.len() as u32);
        self.ends.len() as u32 - 1
    }

    /// Adds the sets of another list behind those of this one; the number of the first.
    pub(super) fn append(&mut self, other: &Self) -> u32 {
        let (first, words) = (self.ends.len() as u32, self.words.len() as u32);
        self.words.extend_from_slice(&other.words);
        self.ends.extend(other.ends.iter().map(|end| end + words));
        first
    }

    /// Whether `value` is the code of a category in set number `set`.
    pub(super) fn has(&self, set: usize, value: f64) -> bool {
        let start = if set == 0 { 0 } else { self.ends[set - 1] as usize };
        let words = &self.words[start..self.ends[set] as usize];
        category(value).is_some_and(|category| {
            words.get(category as usize / 64).is_some_and(|word| word >> (category % 64) & 1 == 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_categories_get_slots_and_others_count_as_missing() {
        let values = vec![7.0, 7.0, 3.0, f64::NAN, 3.0, 65_535.0, 0.0, 7.0];
        let x = Matrix::from_values(8, 1, values);
        let mut codes = [0; 8];
        let categories = Categories::encode(&x, 0, 3, &mut codes).unwrap();
        assert_eq!(categories, Categories(vec![3, 7]));
        assert_eq!(codes, [1, 1, 0, MISSING, 0, MISSING, MISSING, 1]);
        for bad in [-1.0, 0.5, 65_536.0, 1e300] {
            let error =
                Categories::encode(&Matrix::from_values(1, 1, vec![bad]), 0, 3, &mut [0]).unwrap_err();
            assert!(error.to_string().contains("row 0, column 0"), "{error}");
        }
    }

    #[test]
    fn sets_have_what_was_put_in_and_nothing_else() {
        let mut sets = CategorySets::default();
        sets.push([0, 64].into_iter());
        let mut other = CategorySets::default();
        other.push([5].into_iter());
        other.push([].into_iter());
        assert_eq!(sets.append(&other), 1);
        let members = |set| (0..300).filter(|&value| sets.has(set, f64::from(value))).collect::<Vec<_>>();
        assert_eq!((members(0), members(1), members(2)), (vec![0, 64], vec![5], vec![]));
        assert!([f64::NAN, -0.5, 0.5, 1e300, f64::INFINITY].iter().all(|&value| !sets.has(0, value)));
    }
}
