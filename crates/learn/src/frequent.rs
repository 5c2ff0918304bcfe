//! The most frequent value of each column: rows kept about it have few entries where columns are one-hot, also after
//! they were standardised.

use crate::matrix::{Matrix, SparseMatrix};

/// The value of each column that more than half of its rows have (Boyer and Moore's vote, then a count).
pub(crate) fn most_frequent(x: &Matrix) -> Vec<Option<f64>> {
    let mut votes = vec![(0.0, 0u32); x.columns()];
    for row in x.iter_rows() {
        for ((value, lead), &x) in votes.iter_mut().zip(row) {
            match (*value == x, *lead) {
                (true, _) => *lead += 1,
                (false, 0) => (*value, *lead) = (x, 1),
                (false, _) => *lead -= 1,
            }
        }
    }
    let mut counts = vec![0usize; x.columns()];
    for row in x.iter_rows() {
        for ((count, (value, _)), x) in counts.iter_mut().zip(&votes).zip(row) {
            *count += usize::from(value == x);
        }
    }
    votes.iter().zip(counts).map(|((value, _), count)| (2 * count > x.rows()).then_some(*value)).collect()
}

/// What is left of the rows when `shifts` (one per column) are taken away.
pub(crate) fn about(x: &Matrix, shifts: &[f64]) -> SparseMatrix {
    let mut sparse = SparseMatrix::new(x.columns());
    for row in x.iter_rows() {
        let entries = row.iter().zip(shifts).enumerate().map(|(place, (x, shift))| (place as u32, x - shift));
        sparse.push_row(entries.filter(|(_, x)| *x != 0.0));
    }
    sparse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_frequent_in_more_than_half_of_the_rows() {
        let x = Matrix::from_values(4, 3, vec![1.0, 5.0, 0.0, 2.0, 5.0, 0.0, 2.0, 6.0, 9.0, 2.0, 6.0, 0.0]);
        assert_eq!(most_frequent(&x), [Some(2.0), None, Some(0.0)]);
        let sparse = about(&x, &[2.0, 5.0, 0.0]);
        assert_eq!(sparse.row(0), (&[0][..], &[-1.0][..]));
        assert_eq!(sparse.row(2), (&[1, 2][..], &[1.0, 9.0][..]));
    }
}
