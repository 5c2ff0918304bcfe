//! Class probabilities from those of pairs: the second method of Wu, Lin and Weng, "Probability estimates for
//! multi-class classification by pairwise coupling" (2004), by the iteration of their algorithm 2.

/// Writes the probability of each class into `out`; `pair(i, j)` is that of class i against j, above 0 and below 1.
pub(super) fn couple(pair: impl Fn(usize, usize) -> f64, out: &mut [f64]) {
    let classes = out.len();
    let q = |t: usize, j: usize| -> f64 {
        if t == j {
            (0..classes).filter(|&k| k != t).map(|k| pair(k, t).powi(2)).sum()
        } else {
            -pair(j, t) * pair(t, j)
        }
    };
    let matrix: Vec<f64> = (0..classes * classes).map(|place| q(place / classes, place % classes)).collect();
    out.fill(1.0 / classes as f64);
    for _ in 0..classes.max(100) {
        let mut qp: Vec<f64> =
            matrix.chunks_exact(classes).map(|row| row.iter().zip(&*out).map(|(q, p)| q * p).sum()).collect();
        let mut pqp: f64 = qp.iter().zip(&*out).map(|(q, p)| q * p).sum();
        if qp.iter().all(|value| (value - pqp).abs() < 0.005 / classes as f64) {
            break;
        }
        for t in 0..classes {
            let own = matrix[t * classes + t];
            let change = (pqp - qp[t]) / own;
            out[t] += change;
            pqp = (pqp + change * (change * own + 2.0 * qp[t])) / (1.0 + change).powi(2);
            for j in 0..classes {
                qp[j] = (qp[j] + change * matrix[t * classes + j]) / (1.0 + change);
                out[j] /= 1.0 + change;
            }
        }
    }
    let total: f64 = out.iter().sum();
    out.iter_mut().for_each(|p| *p /= total);
}

#[cfg(test)]
mod tests {
    use super::couple;

    #[test]
    fn pairs_made_of_probabilities_give_them_back() {
        let p = [0.5, 0.3, 0.2];
        let mut out = [0.0; 3];
        couple(|i, j| p[i] / (p[i] + p[j]), &mut out);
        assert!(out.iter().zip(p).all(|(a, b)| (a - b).abs() < 0.01), "{out:?}");
    }
}
