//! Principal components (Pearson 1901): orthogonal directions along which the rows vary most, from the eigenvectors of
//! their covariance.
//!
//! The covariance is summed over rows about their most frequent values, whose zeros are passed over. Signs are those of
//! scikit-learn: the largest weight of every component is positive.

use serde::{Deserialize, Serialize};

use super::eigen;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Train;
use crate::frequent::{about, most_frequent};
use crate::matrix::{Matrix, SparseMatrix};

/// How many components are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Keep {
    /// As many as there are columns.
    All,
    /// So many.
    Count(usize),
    /// The fewest that explain more than this share of the variance.
    Share(f64),
}

/// Fitted principal components.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pca {
    /// What all values are multiplied with first: 1, or a power of two where squares would overflow.
    scale: f64,
    /// Mean of each scaled column.
    means: Vec<f64>,
    /// Components × columns: unit vectors.
    weights: Vec<f64>,
    /// Variance along each component, of scaled values, largest first.
    variances: Vec<f64>,
    /// Share of each component in the variance of all columns.
    shares: Vec<f64>,
    whiten: bool,
}

/// The covariance of more columns takes gigabytes and hours.
const MOST_COLUMNS: usize = 4096;

impl Pca {
    /// Finds the components of the rows of `x`; `whiten` scales them to variance 1.
    ///
    /// # Errors
    /// [`LearnError::Data`] for no rows, values that are not finite, more than 4096 columns, or more components asked for
    /// than there are columns; [`LearnError::Cancelled`].
    pub fn fit(x: &Matrix, keep: Keep, whiten: bool, ctx: &Ctx) -> Result<Self, LearnError> {
        Train::unlabelled(x).check("pca", false)?;
        let columns = x.columns();
        let refuse = |message| Err(LearnError::Data(format!("pca: {message}")));
        if columns > MOST_COLUMNS {
            return refuse(format!("{columns} columns are more than {MOST_COLUMNS}; select columns first"));
        }
        if let Keep::Count(count) = keep
            && !(1..=columns).contains(&count)
        {
            return refuse(format!("{columns} columns have no {count} components"));
        }
        let (scale, means, covariance) = covariance(x, ctx)?;
        let total: f64 = (0..columns).map(|place| covariance[place * columns + place]).sum();
        let (mut variances, mut weights) = eigen::decompose(covariance, columns, ctx)?;
        variances.iter_mut().for_each(|variance| *variance = variance.max(0.0));
        let share = |variance: &f64| if total > 0.0 { (variance / total).min(1.0) } else { 0.0 };
        let mut shares: Vec<f64> = variances.iter().map(share).collect();
        let count = match keep {
            Keep::All => columns,
            Keep::Count(count) => count,
            Keep::Share(least) => enough(&shares, least),
        };
        variances.truncate(count);
        shares.truncate(count);
        weights.truncate(count * columns);
        weights.chunks_exact_mut(columns).for_each(flip);
        Ok(Self { scale, means, weights, variances, shares, whiten })
    }

    /// Number of columns it was fitted on.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.means.len()
    }

    /// Number of components.
    #[must_use]
    pub fn components(&self) -> usize {
        self.variances.len()
    }

    /// The weights of a component, one per column; their squares add up to 1.
    #[must_use]
    pub fn component(&self, component: usize) -> &[f64] {
        &self.weights[component * self.means.len()..(component + 1) * self.means.len()]
    }

    /// Share of each component in the variance of all columns.
    #[must_use]
    pub fn explained(&self) -> &[f64] {
        &self.shares
    }

    /// Variance along each component, by rows - 1; infinite where it is beyond the largest number.
    #[must_use]
    pub fn variances(&self) -> Vec<f64> {
        self.variances.iter().map(|variance| variance / self.scale / self.scale).collect()
    }

    /// Puts the place of each row along one component into `out`; `column` gives the values of a column. A missing value
    /// counts as the mean of its column.
    pub(crate) fn along<'a>(&self, component: usize, column: impl Fn(usize) -> &'a [f64], out: &mut [f64]) {
        let deviation = self.variances[component].sqrt();
        let unit = match (self.whiten, deviation > f64::MIN_POSITIVE.sqrt()) {
            (true, true) => deviation,
            (true, false) => 1.0,
            (false, _) => self.scale,
        };
        out.fill(0.0);
        for (place, (weight, mean)) in self.component(component).iter().zip(&self.means).enumerate() {
            for (sum, x) in out.iter_mut().zip(column(place)) {
                let apart = x * self.scale - mean;
                *sum += if apart.is_nan() { 0.0 } else { (weight * apart).clamp(-1e290, 1e290) };
            }
        }
        out.iter_mut().for_each(|sum| *sum = (*sum / unit).clamp(-f64::MAX, f64::MAX));
    }

    /// The rows along all components: rows × components.
    ///
    /// # Errors
    /// [`LearnError::Schema`] when `x` has another number of columns.
    pub fn transform(&self, x: &Matrix) -> Result<Matrix, LearnError> {
        if x.columns() != self.columns() {
            let message = format!("pca was fitted on {} columns, found {}", self.columns(), x.columns());
            return Err(LearnError::Schema(message));
        }
        let columns: Vec<Vec<f64>> = (0..x.columns()).map(|column| x.column(column)).collect();
        let mut out = Matrix::zeros(x.rows(), self.components());
        let mut places = vec![0.0; x.rows()];
        for component in 0..self.components() {
            self.along(component, |column| &columns[column], &mut places);
            places.iter().enumerate().for_each(|(row, place)| out.row_mut(row)[component] = *place);
        }
        Ok(out)
    }

    /// Whether all lists fit together and all numbers are in range.
    pub(crate) fn is_valid(&self) -> bool {
        let (columns, count) = (self.columns(), self.components());
        (1..=MOST_COLUMNS).contains(&columns)
            && (1..=columns).contains(&count)
            && self.shares.len() == count
            && self.weights.len() == columns * count
            && self.scale > 0.0
            && self.scale <= 1.0
            && self.means.iter().all(|mean| mean.is_finite())
            && self.weights.iter().all(|weight| weight.abs() <= 1.0 + 1e-9)
            && self.shares.iter().all(|share| (0.0..=1.0).contains(share))
            && self.variances.iter().all(|variance| *variance >= 0.0 && variance.is_finite())
    }
}

/// The fewest components whose shares add up to more than `least`.
fn enough(shares: &[f64], least: f64) -> usize {
    let mut sum = 0.0;
    let reached = shares.iter().position(|share| {
        sum += share;
        sum > least
    });
    if shares.iter().all(|share| *share == 0.0) { 1 } else { reached.map_or(shares.len(), |place| place + 1) }
}

/// Turns a component so that its largest weight (the first of several) is positive.
fn flip(component: &mut [f64]) {
    let largest =
        component.iter().fold(0.0f64, |largest, w| if w.abs() > largest.abs() { *w } else { largest });
    if largest < 0.0 {
        component.iter_mut().for_each(|weight| *weight = -*weight);
    }
}

/// Scale, means of scaled columns and their covariance (by rows - 1).
fn covariance(x: &Matrix, ctx: &Ctx) -> Result<(f64, Vec<f64>, Vec<f64>), LearnError> {
    const HUGE: f64 = 1e100;
    let (rows, columns) = (x.rows(), x.columns());
    let largest = x.values().iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let scale = if largest > HUGE { (-largest.log2().ceil()).exp2() } else { 1.0 };
    let scaled;
    let x = if scale == 1.0 {
        x
    } else {
        scaled = Matrix::from_values(rows, columns, x.values().iter().map(|x| x * scale).collect());
        &scaled
    };
    let mut means = vec![0.0; columns];
    x.iter_rows().for_each(|row| means.iter_mut().zip(row).for_each(|(sum, x)| *sum += x));
    means.iter_mut().for_each(|sum| *sum /= rows as f64);
    let frequent = most_frequent(x);
    let shifts: Vec<f64> = frequent.iter().zip(&means).map(|(value, mean)| value.unwrap_or(*mean)).collect();
    let mut sums = products(&about(x, &shifts), ctx)?;
    let apart: Vec<f64> = means.iter().zip(&shifts).map(|(mean, shift)| mean - shift).collect();
    let by = (rows.max(2) - 1) as f64;
    for i in 0..columns {
        for j in i..columns {
            let value = (sums[i * columns + j] - rows as f64 * apart[i] * apart[j]) / by;
            (sums[i * columns + j], sums[j * columns + i]) = (value, value);
        }
        sums[i * columns + i] = sums[i * columns + i].max(0.0);
    }
    Ok((scale, means, sums))
}

/// Sums over all rows of the products of every two entries, in the upper triangle.
fn products(rows: &SparseMatrix, ctx: &Ctx) -> Result<Vec<f64>, LearnError> {
    let columns = rows.columns();
    let mut sums = vec![0.0; columns * columns];
    for row in 0..rows.rows() {
        if row % 1024 == 0 {
            ctx.check()?;
        }
        let (places, values) = rows.row(row);
        for (first, (&place, x)) in places.iter().zip(values).enumerate() {
            let sums = &mut sums[place as usize * columns..][..columns];
            if places.len() == columns {
                sums[first..].iter_mut().zip(&values[first..]).for_each(|(sum, y)| *sum += x * y);
            } else {
                let others = places[first..].iter().zip(&values[first..]);
                others.for_each(|(&other, y)| sums[other as usize] += x * y);
            }
        }
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(x: &Matrix, keep: Keep, whiten: bool) -> Pca {
        Pca::fit(x, keep, whiten, &Ctx::new(0, 1)).unwrap()
    }

    /// Points on a cross: ±2 along (0.6, 0.8), ±1 along (0.8, -0.6), about (10, -5).
    fn cross() -> Matrix {
        let at = |a: f64, b: f64| [10.0 + 0.6 * a + 0.8 * b, -5.0 + 0.8 * a - 0.6 * b];
        let points = [at(2.0, 0.0), at(-2.0, 0.0), at(0.0, 1.0), at(0.0, -1.0)];
        Matrix::from_values(4, 2, points.concat())
    }

    #[test]
    fn axes_variances_and_signs_are_those_by_hand() {
        let pca = fit(&cross(), Keep::All, false);
        let near = |found: &[f64], expected: &[f64]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} {expected:?}");
        };
        near(pca.component(0), &[0.6, 0.8]);
        near(pca.component(1), &[0.8, -0.6]);
        near(&pca.variances(), &[8.0 / 3.0, 2.0 / 3.0]);
        near(pca.explained(), &[0.8, 0.2]);
        near(pca.transform(&cross()).unwrap().values(), &[2.0, 0.0, -2.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
        let white = fit(&cross(), Keep::Count(1), true).transform(&cross()).unwrap();
        near(white.values(), &[1.5f64.sqrt(), -(1.5f64.sqrt()), 0.0, 0.0]);
        let kept = |share| fit(&cross(), Keep::Share(share), false).components();
        assert_eq!((kept(0.5), kept(0.79), kept(0.81), kept(1.0)), (1, 1, 2, 2));
    }

    #[test]
    fn sparse_columns_have_the_covariance_of_the_book() {
        let value = |place: u32| if place.is_multiple_of(5) { f64::from(place * 7 % 13) } else { 3.0 };
        let x = Matrix::from_values(60, 4, (0..240).map(value).collect());
        let (_, means, found) = covariance(&x, &Ctx::new(0, 1)).unwrap();
        for i in 0..4 {
            for j in 0..4 {
                let sum: f64 = x.iter_rows().map(|row| (row[i] - means[i]) * (row[j] - means[j])).sum();
                assert!((found[i * 4 + j] - sum / 59.0).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn odd_data_are_refused_or_give_numbers() {
        let ctx = Ctx::new(0, 1);
        for x in [Matrix::zeros(0, 2), Matrix::from_values(1, 1, vec![f64::NAN])] {
            assert!(Pca::fit(&x, Keep::All, false, &ctx).is_err());
        }
        assert!(Pca::fit(&cross(), Keep::Count(3), false, &ctx).is_err());
        for value in [0.0, 7.0, 1e300] {
            for whiten in [false, true] {
                let mut x = Matrix::from_values(3, 2, vec![value; 6]);
                let one = fit(&x, Keep::Share(0.9), whiten);
                assert!(one.components() == 1 && one.is_valid());
                x.values_mut()[0] = -value;
                let pca = fit(&x, Keep::All, whiten);
                let out = pca.transform(&x).unwrap();
                assert!(pca.is_valid() && out.values().iter().all(|x| x.is_finite()), "{value}: {out:?}");
            }
        }
    }
}
