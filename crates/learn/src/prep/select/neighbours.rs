//! Neighbours of every row on a line, in its class and among all: sorted once, then two steps to either side.

/// What is around one row.
pub(super) struct Around {
    /// Class of the row.
    pub(super) class: u32,
    /// Neighbours of its class that the radius is made of.
    pub(super) own: usize,
    /// Rows of any class within the radius, itself counted.
    pub(super) all: usize,
}

/// For each row (value and class): its k nearest of the same class (fewer in a small class), and how many of all rows are
/// nearer than the last of these. Every class has two rows or none.
pub(super) fn radii_and_counts(
    mut rows: Vec<(f64, u32)>,
    classes: usize,
    k: usize,
) -> impl Iterator<Item = Around> {
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut of_class: Vec<Vec<f64>> = vec![Vec::new(); classes];
    let places: Vec<usize> = rows
        .iter()
        .map(|&(value, class)| {
            of_class[class as usize].push(value);
            of_class[class as usize].len() - 1
        })
        .collect();
    let all: Vec<f64> = rows.iter().map(|row| row.0).collect();
    rows.into_iter().zip(places).map(move |((value, class), place)| {
        let class_values = &of_class[class as usize];
        let k = k.min(class_values.len() - 1);
        let radius = distance_to_kth(class_values, place, k);
        if radius > 0.0 {
            // the nearest number below it: the row that made the radius is outside, as others as far are
            return Around { class, own: k, all: within(&all, value, radius.next_down()) };
        }
        let equals =
            |values: &[f64]| values.partition_point(|x| *x <= value) - values.partition_point(|x| *x < value);
        Around { class, own: equals(class_values), all: equals(&all) }
    })
}

/// How far the k-th nearest of sorted values is from the one at `place`.
fn distance_to_kth(sorted: &[f64], place: usize, k: usize) -> f64 {
    let (mut left, mut right, mut distance) = (place, place, 0.0);
    for _ in 0..k {
        let below = left.checked_sub(1).map_or(f64::INFINITY, |next| sorted[place] - sorted[next]);
        let above = sorted.get(right + 1).map_or(f64::INFINITY, |next| next - sorted[place]);
        if below <= above && left > 0 {
            (left, distance) = (left - 1, below);
        } else {
            (right, distance) = (right + 1, above);
        }
    }
    distance
}

fn within(sorted: &[f64], value: f64, radius: f64) -> usize {
    sorted.partition_point(|x| *x <= value || *x - value <= radius)
        - sorted.partition_point(|x| *x < value && value - *x > radius)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;

    #[test]
    fn as_a_search_through_all_pairs() {
        let mut rng = crate::rng::stream(1, "neighbours", 0);
        for round in 0..20 {
            let step = if round % 2 == 0 { 1.0 } else { 1e-9 };
            let mut rows: Vec<(f64, u32)> =
                (0..60).map(|row| ((rng.random::<f64>() * 20.0 / step).floor() * step, row % 3)).collect();
            rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            for (place, found) in radii_and_counts(rows.clone(), 3, 4).enumerate() {
                let (value, class) = rows[place];
                let mut own: Vec<f64> = (0..60)
                    .filter(|&other| other != place && rows[other].1 == class)
                    .map(|other| (rows[other].0 - value).abs())
                    .collect();
                own.sort_unstable_by(f64::total_cmp);
                let nearer = |row: &&(f64, u32)| (row.0 - value).abs() < own[3];
                let equal = |row: &&(f64, u32)| row.0 == value;
                let expected = if own[3] > 0.0 {
                    (4, rows.iter().filter(nearer).count())
                } else {
                    let mine = rows.iter().filter(equal).filter(|row| row.1 == class).count();
                    (mine, rows.iter().filter(equal).count())
                };
                assert_eq!((found.own, found.all), expected, "round {round} row {place}");
            }
        }
    }
}
