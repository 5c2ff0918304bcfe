//! Which rows are held out together when a model calibrates itself: seeded, by class, or by group where there are groups.

use rand::seq::SliceRandom;

use crate::estimator::Train;
use crate::rng::stream;

/// Fold of each row, `0..folds`. Rows of one group share a fold when there are groups enough; else each class is
/// spread evenly.
pub(crate) fn folds(data: &Train<'_>, folds: usize, seed: u64) -> Vec<usize> {
    let strata = match data.groups.filter(|groups| distinct(groups) >= folds) {
        Some(groups) => return folds_of_groups(groups, folds, seed),
        None => data.y,
    };
    let mut rows: Vec<usize> = (0..strata.len()).collect();
    rows.shuffle(&mut stream(seed, "calibration folds", 0));
    rows.sort_by_key(|&row| strata[row]);
    let mut fold = vec![0; rows.len()];
    rows.iter().enumerate().for_each(|(rank, &row)| fold[row] = rank % folds);
    fold
}

fn distinct(groups: &[u32]) -> usize {
    let mut groups = groups.to_vec();
    groups.sort_unstable();
    groups.dedup();
    groups.len()
}

fn folds_of_groups(groups: &[u32], folds: usize, seed: u64) -> Vec<usize> {
    let mut names = groups.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.shuffle(&mut stream(seed, "calibration folds", 0));
    groups.iter().map(|group| order[names.partition_point(|name| name < group)] % folds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    #[test]
    fn classes_are_spread_evenly_and_groups_stay_together() {
        let x = Matrix::zeros(40, 1);
        let y: Vec<u32> = (0..40).map(|row| u32::from(row % 4 == 0)).collect();
        let groups: Vec<u32> = (0..40).map(|row| row / 5 * 100).collect();
        let mut data = Train::labelled(&x, &y, 2);
        let of_classes = folds(&data, 5, 1);
        for fold in 0..5 {
            let members = (0..40).filter(|&row| of_classes[row] == fold && y[row] == 1).count();
            assert_eq!(members, 2);
        }
        data.groups = Some(&groups);
        let of_groups = folds(&data, 5, 1);
        assert!((0..40).all(|row| of_groups[row] == of_groups[row / 5 * 5]));
        assert_eq!((0..5).filter(|fold| of_groups.contains(fold)).count(), 5);
        assert_ne!(of_classes, folds(&Train::labelled(&x, &y, 2), 5, 2), "another seed, other folds");
    }
}
