//! Which rows are learnt from, and which only say when to stop.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::estimator::Train;
use crate::matrix::Matrix;

/// Rows of a fit, ascending.
pub(super) struct HeldOut {
    pub(super) learnt: Vec<usize>,
    /// Validation rows, when they are wanted and there can be some.
    pub(super) validated: Option<Vec<usize>>,
    pub(super) note: Option<String>,
}

/// Rows that belong together: all of one group, or a single one.
struct Unit {
    rows: Vec<usize>,
    /// The class with most weight.
    class: u32,
}

impl HeldOut {
    /// Divides the rows that weigh something: of each class about `share` is held out, whole groups where there are
    /// groups, but never the last group of a class.
    pub(super) fn new(data: &Train<'_>, weights: &[f64], share: Option<f64>, rng: &mut ChaCha8Rng) -> Self {
        let weighty: Vec<usize> = (0..weights.len()).filter(|&row| weights[row] > 0.0).collect();
        let Some(share) = share else { return Self { learnt: weighty, validated: None, note: None } };
        let mut validated: Vec<usize> = Vec::new();
        let units = units(data, weights, &weighty);
        for class in 0..data.classes as u32 {
            let mut own: Vec<&Unit> = units.iter().filter(|unit| unit.class == class).collect();
            own.shuffle(rng);
            let wanted = share * own.iter().map(|unit| unit.rows.len()).sum::<usize>() as f64;
            let mut held = 0.0;
            for unit in own.iter().skip(1) {
                let size = unit.rows.len() as f64;
                if held + size / 2.0 <= wanted {
                    held += size;
                    validated.extend(&unit.rows);
                }
            }
        }
        validated.sort_unstable();
        let learnt: Vec<usize> =
            weighty.iter().copied().filter(|row| validated.binary_search(row).is_err()).collect();
        let classes_learnt =
            (0..data.classes as u32).filter(|class| learnt.iter().any(|&row| data.y[row] == *class));
        if validated.is_empty() || classes_learnt.count() < 2 {
            let note = "no rows can be held out: early stopping is off".to_owned();
            return Self { learnt: weighty, validated: None, note: Some(note) };
        }
        Self { learnt, validated: Some(validated), note: None }
    }
}

fn units(data: &Train<'_>, weights: &[f64], rows: &[usize]) -> Vec<Unit> {
    let Some(groups) = data.groups else {
        return rows.iter().map(|&row| Unit { rows: vec![row], class: data.y[row] }).collect();
    };
    let mut by_group: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    rows.iter().for_each(|&row| by_group.entry(groups[row]).or_default().push(row));
    let unit = |rows: Vec<usize>| {
        let mut totals: BTreeMap<u32, f64> = BTreeMap::new();
        rows.iter().for_each(|&row| *totals.entry(data.y[row]).or_default() += weights[row]);
        let heaviest = totals.into_iter().reduce(|most, next| if next.1 > most.1 { next } else { most });
        Unit { class: heaviest.map_or(0, |(class, _)| class), rows }
    };
    by_group.into_values().map(unit).collect()
}

/// Some rows of a problem.
pub(super) struct Part<'a> {
    pub(super) x: Cow<'a, Matrix>,
    pub(super) y: Cow<'a, [u32]>,
    pub(super) weights: Cow<'a, [f64]>,
}

impl<'a> Part<'a> {
    pub(super) fn new(x: &'a Matrix, y: &'a [u32], weights: &'a [f64], rows: &[usize]) -> Self {
        if rows.len() == x.rows() {
            return Self { x: Cow::Borrowed(x), y: Cow::Borrowed(y), weights: Cow::Borrowed(weights) };
        }
        Self {
            x: Cow::Owned(x.take_rows(rows)),
            y: rows.iter().map(|&row| y[row]).collect(),
            weights: rows.iter().map(|&row| weights[row]).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    fn held_out(y: &[u32], groups: Option<&[u32]>, share: f64) -> HeldOut {
        let x = Matrix::zeros(y.len(), 1);
        let data = Train { groups, ..Train::labelled(&x, y, 2) };
        let weights: Vec<f64> = (0..y.len()).map(|row| if row == 3 { 0.0 } else { 1.0 }).collect();
        HeldOut::new(&data, &weights, Some(share), &mut rng::stream(1, "test", 0))
    }

    #[test]
    fn a_share_of_each_class_is_held_out() {
        let y: Vec<u32> = (0..1000).map(|row| u32::from(row % 10 == 0)).collect();
        let found = held_out(&y, None, 0.2);
        let validated = found.validated.unwrap();
        assert_eq!(validated.iter().filter(|&&row| y[row] == 1).count(), 20);
        assert_eq!(validated.len(), 200);
        assert_eq!(found.learnt.len(), 799, "a row without weight is in neither");
        assert!(validated.iter().all(|row| !found.learnt.contains(row)));
    }

    #[test]
    fn groups_stay_whole() {
        let y: Vec<u32> = (0..1000).map(|row| row / 10 % 2).collect();
        let groups: Vec<u32> = (0..1000).map(|row| row / 10).collect();
        let validated = held_out(&y, Some(&groups), 0.1).validated.unwrap();
        let mut met: Vec<u32> = validated.iter().map(|&row| groups[row]).collect();
        met.dedup();
        assert_eq!((validated.len(), met.len()), (100, 10));
    }

    #[test]
    fn the_last_group_of_a_class_is_learnt_from() {
        let y = [0, 0, 1, 1, 1];
        let found = held_out(&y, Some(&[0, 0, 1, 1, 1]), 0.5);
        assert!(found.validated.is_none() && found.note.is_some());
        assert_eq!(found.learnt, [0, 1, 2, 4]);
    }
}
