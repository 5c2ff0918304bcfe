//! Eigenvalues and eigenvectors of a symmetric matrix, by Jacobi's rotations (Golub and Van Loan 2013, section 8.5).
//!
//! Slower than tridiagonal methods by a small factor, accurate to the last digits and free of special cases.

use crate::LearnError;
use crate::ctx::Ctx;

/// Sweeps over all pairs; ten are enough for any matrix.
const MOST_SWEEPS: usize = 64;

/// Eigenvalues, largest first, and for each its unit vector as a row of the second list, of a symmetric `n` × `n` matrix.
pub(super) fn decompose(mut a: Vec<f64>, n: usize, ctx: &Ctx) -> Result<(Vec<f64>, Vec<f64>), LearnError> {
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|place| vectors[place * n + place] = 1.0);
    let whole: f64 = a.iter().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..MOST_SWEEPS {
        let mut off = 0.0;
        for p in 0..n {
            ctx.check()?;
            for q in p + 1..n {
                off += a[p * n + q] * a[p * n + q];
                rotate(&mut a, &mut vectors, n, p, q, whole);
            }
        }
        if off.sqrt() <= f64::EPSILON * 1e-3 * whole {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|x, y| a[y * n + y].total_cmp(&a[x * n + x]));
    let values = order.iter().map(|&place| a[place * n + place]).collect();
    let rows = order.iter().flat_map(|&place| vectors[place * n..(place + 1) * n].iter().copied()).collect();
    Ok((values, rows))
}

/// Turns axes `p` and `q` so that their product in `a` vanishes; the rows of `vectors` turn along.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize, whole: f64) {
    let apq = a[p * n + q];
    if apq.abs() <= f64::EPSILON * f64::EPSILON * whole {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    turn(a, n, p, q, c, s);
    for row in a.chunks_exact_mut(n) {
        let (x, y) = (row[p], row[q]);
        (row[p], row[q]) = (c * x - s * y, s * x + c * y);
    }
    a[p * n + q] = 0.0;
    a[q * n + p] = 0.0;
    turn(vectors, n, p, q, c, s);
}

/// Turns rows `p` < `q`.
fn turn(rows: &mut [f64], n: usize, p: usize, q: usize, c: f64, s: f64) {
    let (before, behind) = rows.split_at_mut(q * n);
    for (x, y) in before[p * n..][..n].iter_mut().zip(&mut behind[..n]) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_axes_are_those_by_hand() {
        let (values, vectors) = decompose(vec![2.0, 1.0, 1.0, 2.0], 2, &Ctx::new(0, 1)).unwrap();
        let half = 0.5f64.sqrt();
        for (found, expected) in values.iter().chain(&vectors).zip([3.0, 1.0, half, half, half, -half]) {
            assert!((found.abs() - f64::abs(expected)).abs() < 1e-15, "{values:?} {vectors:?}");
        }
        assert!(vectors[0] * vectors[1] > 0.0 && vectors[2] * vectors[3] < 0.0);
    }

    #[test]
    fn vectors_are_orthogonal_and_make_up_the_matrix() {
        let n = 30;
        let mut a = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let x = ((i * 31 + j * 17) % 23) as f64 - 11.0;
                (a[i * n + j], a[j * n + i]) = (x, x);
            }
        }
        let (values, vectors) = decompose(a.clone(), n, &Ctx::new(0, 1)).unwrap();
        assert!(values.windows(2).all(|pair| pair[0] >= pair[1]));
        for i in 0..n {
            for j in 0..n {
                let made: f64 = (0..n).map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j]).sum();
                assert!((made - a[i * n + j]).abs() < 1e-11, "{made} {}", a[i * n + j]);
                let product: f64 = (0..n).map(|k| vectors[i * n + k] * vectors[j * n + k]).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-13);
            }
        }
    }
}
