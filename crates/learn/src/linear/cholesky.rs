//! Cholesky factorisation of a symmetric positive definite matrix, and solving with it.

use super::design::{axpy, dot};

/// The lower factor of a matrix, plus the least multiple of its largest diagonal entry that made it positive definite.
pub(super) struct Cholesky {
    size: usize,
    factor: Vec<f64>,
}

impl Cholesky {
    /// Factors the lower triangle of `matrix` (row-major, size × size); `None` when no small ridge makes it definite.
    pub(super) fn new(matrix: &[f64], size: usize) -> Option<Self> {
        let largest = (0..size).map(|place| matrix[place * size + place]).fold(0.0, f64::max);
        let ridges =
            (0..8).map(|power| if power == 0 { 0.0 } else { largest * 1e-14 * 10f64.powi(2 * (power - 1)) });
        ridges.into_iter().find_map(|ridge| factor(matrix, size, ridge)).map(|factor| Self { size, factor })
    }

    /// x with matrix · x = b.
    pub(super) fn solve(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for row in 0..self.size {
            let (done, rest) = x.split_at_mut(row);
            rest[0] = (rest[0] - dot(&self.row(row)[..row], done)) / self.row(row)[row];
        }
        for row in (0..self.size).rev() {
            let (rest, done) = x.split_at_mut(row);
            done[0] /= self.row(row)[row];
            axpy(-done[0], &self.row(row)[..row], rest);
        }
        x
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.factor[row * self.size..(row + 1) * self.size]
    }
}

fn factor(matrix: &[f64], size: usize, ridge: f64) -> Option<Vec<f64>> {
    let mut factor = matrix.to_vec();
    for row in 0..size {
        let (above, from) = factor.split_at_mut(row * size);
        let own = &mut from[..size];
        own[row] += ridge;
        for (column, other) in above.chunks_exact(size).enumerate() {
            own[column] = (own[column] - dot(&own[..column], &other[..column])) / other[column];
        }
        let least = own[row] * 1e-14;
        let pivot = own[row] - dot(&own[..row], &own[..row]);
        if pivot.is_nan() || pivot <= least {
            return None;
        }
        own[row] = pivot.sqrt();
    }
    Some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_it_factored() {
        let matrix = [4.0, 0.0, 0.0, 2.0, 5.0, 0.0, -1.0, 1.5, 6.0];
        let full = [[4.0, 2.0, -1.0], [2.0, 5.0, 1.5], [-1.0, 1.5, 6.0]];
        let x = Cholesky::new(&matrix, 3).unwrap().solve(&[1.0, -2.0, 3.0]);
        for (row, b) in full.iter().zip([1.0, -2.0, 3.0]) {
            assert!((dot(row, &x) - b).abs() < 1e-12);
        }
    }

    #[test]
    fn a_singular_matrix_gets_a_ridge_and_an_indefinite_one_none() {
        assert!(Cholesky::new(&[1.0, 0.0, 1.0, 1.0], 2).is_some());
        assert!(Cholesky::new(&[1.0, 0.0, 9.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[f64::NAN], 1).is_none());
    }
}
