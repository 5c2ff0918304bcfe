//! Normal distributions with independent columns, one for each family: how typical of its family a row is.

use crate::LearnError;
use crate::ctx::Ctx;
use crate::query::pool::{Pool, add_up, runs};

/// Share of the largest variance that is added to every variance (scikit-learn's `var_smoothing`).
const SMOOTHING: f64 = 1e-9;
/// ln 2.2e-16: no column counts for less, so that one odd column cannot drown all others.
const LOWEST: f64 = -36.052_904;

/// Families × columns.
pub(super) struct Gaussians {
    columns: usize,
    means: Vec<f64>,
    /// 1 / (2 variance).
    rates: Vec<f64>,
    /// -½ ln(2π variance).
    heights: Vec<f64>,
    /// ln of the share of the rows.
    priors: Vec<f64>,
}

impl Gaussians {
    /// Fits a distribution to the rows of each family, `families[i]` being that of `rows[i]`; one without rows is flat.
    pub(super) fn fit(
        pool: &Pool,
        rows: &[u32],
        families: &[u32],
        count: usize,
        ctx: &Ctx,
    ) -> Result<Self, LearnError> {
        let columns = pool.x().columns();
        let mut totals = vec![0.0; count];
        families.iter().for_each(|&family| totals[family as usize] += 1.0);
        let mean_of = |term: &(dyn Fn(usize, usize, f64) -> f64 + Sync)| -> Result<Vec<f64>, LearnError> {
            let parts = runs(rows.len(), ctx, |range| {
                let mut sums = vec![0.0; count * columns];
                for place in range {
                    let family = families[place] as usize;
                    let sums = &mut sums[family * columns..(family + 1) * columns];
                    let row = pool.x().row(rows[place] as usize);
                    for (column, (sum, &value)) in sums.iter_mut().zip(row).enumerate() {
                        *sum += term(family, column, value);
                    }
                }
                sums
            })?;
            let mut means = add_up(parts);
            for (means, total) in means.chunks_exact_mut(columns).zip(&totals) {
                means.iter_mut().for_each(|mean| *mean = if *total > 0.0 { *mean / total } else { 0.0 });
            }
            Ok(means)
        };
        let means = mean_of(&|_, _, value| value)?;
        let variances = mean_of(&|family, column, value| {
            let deviation = value - means[family * columns + column];
            deviation * deviation
        })?;
        Ok(Self::new(columns, means, &variances, &totals, SMOOTHING))
    }

    /// From moments; the floor of the variances is a share of the largest.
    pub(super) fn new(
        columns: usize,
        means: Vec<f64>,
        variances: &[f64],
        totals: &[f64],
        smoothing: f64,
    ) -> Self {
        let largest = variances.iter().copied().fold(0.0, f64::max);
        let floor = if largest > 0.0 { smoothing * largest } else { smoothing };
        let variances: Vec<f64> = variances.iter().map(|variance| (variance + floor).max(1e-300)).collect();
        let all: f64 = totals.iter().sum();
        Self {
            columns,
            means,
            rates: variances.iter().map(|variance| 0.5 / variance).collect(),
            heights: variances
                .iter()
                .map(|variance| -0.5 * (std::f64::consts::TAU * variance).ln())
                .collect(),
            priors: totals.iter().map(|total| (total.max(1e-300) / all.max(1e-300)).ln()).collect(),
        }
    }

    pub(super) fn families(&self) -> usize {
        self.priors.len()
    }

    /// Σ over columns of ln max(density, 2.2e-16): the higher, the more typical of the family.
    pub(super) fn typical(&self, row: &[f64], family: usize) -> f64 {
        self.sum(row, family, LOWEST)
    }

    /// ln(share × density), whatever it is: for comparing families.
    pub(super) fn joint(&self, row: &[f64], family: usize) -> f64 {
        self.priors[family] + self.sum(row, family, f64::MIN)
    }

    fn sum(&self, row: &[f64], family: usize, lowest: f64) -> f64 {
        let places = family * self.columns..(family + 1) * self.columns;
        let of_family = self.means[places.clone()].iter().zip(&self.rates[places.clone()]);
        let of_family = of_family.zip(&self.heights[places]);
        let mut sums = [0.0; 4];
        for (place, (x, ((mean, rate), height))) in row.iter().zip(of_family).enumerate() {
            let deviation = x - mean;
            sums[place % 4] += (height - deviation * deviation * rate).max(lowest);
        }
        let sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        sum.max(f64::MIN)
    }

    /// The likeliest family of a row, shares counted (the first of equals).
    pub(super) fn likeliest(&self, row: &[f64]) -> usize {
        let joint = (0..self.families()).map(|family| self.joint(row, family));
        let better = |best: (usize, f64), (family, value): (usize, f64)| {
            if value > best.1 { (family, value) } else { best }
        };
        joint.enumerate().fold((0, f64::NEG_INFINITY), better).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Matrix;

    #[test]
    fn the_spread_of_a_family_is_its_standard_deviation_not_its_variance() {
        // one family at 0, 2, 4 and 10: mean 4, variance 14
        let pool = Pool::new(Matrix::from_values(4, 1, vec![0.0, 2.0, 4.0, 10.0]), 0.0).unwrap();
        let ctx = Ctx::new(0, 1);
        let gaussians = Gaussians::fit(&pool, &[0, 1, 2, 3], &[0; 4], 1, &ctx).unwrap();
        let density = |x: f64| {
            let deviation = 14f64.sqrt();
            (-0.5 * ((x - 4.0) / deviation).powi(2)).exp() / (deviation * std::f64::consts::TAU.sqrt())
        };
        for x in [0.0, 2.0, 4.0, 10.0] {
            assert!((gaussians.typical(&[x], 0) - density(x).ln()).abs() < 1e-6);
        }
        assert!((gaussians.typical(&[1e9], 0) - 2.2e-16f64.ln()).abs() < 1e-6, "no column counts for less");
    }

    #[test]
    fn families_are_told_apart_with_their_shares() {
        let x: Vec<f64> = vec![0.0, 0.2, -0.2, 0.1, -0.1, 5.0, 5.2, 4.8];
        let pool = Pool::new(Matrix::from_values(8, 1, x), 0.0).unwrap();
        let rows: Vec<u32> = (0..8).collect();
        let families = [0, 0, 0, 0, 0, 1, 1, 1];
        let one = Gaussians::fit(&pool, &rows, &families, 2, &Ctx::new(0, 1)).unwrap();
        assert_eq!((one.likeliest(&[0.3]), one.likeliest(&[4.7])), (0, 1));
        let other = Gaussians::fit(&pool, &rows, &families, 2, &Ctx::new(0, 3)).unwrap();
        assert_eq!(one.joint(&[1.0], 1).to_bits(), other.joint(&[1.0], 1).to_bits());
        let prior = (5.0f64 / 8.0).ln();
        assert!((one.joint(&[0.0], 0) - one.typical(&[0.0], 0) - prior).abs() < 1e-12);
    }
}
