//! k-means: `k` centres such that the squared distances of all rows to the nearest are small (Lloyd 1982).
//!
//! Started by greedy k-means++ ([`seed`]), improved by Lloyd's steps with Hamerly's bounds ([`lloyd`]), or by Sculley's
//! mini-batches ([`batch`]). Rows are kept about their most frequent values where that makes them sparse ([`points`]).
//! All sums run in a fixed number of lanes: the same bits for any number of threads.

mod batch;
mod lloyd;
mod points;
mod seed;

use rayon::prelude::*;

use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Train;
use crate::matrix::Matrix;
use points::{Points, lanes};

/// Where the first centres come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Greedy k-means++ (Arthur and Vassilvitskii 2007): rows far from the centres before them, the best of 2 + ln k draws.
    PlusPlus,
    /// Different rows, drawn with the chance of their weight.
    Random,
}

/// Hyperparameters.
#[derive(Clone, Debug)]
pub struct KMeans {
    /// Number of centres.
    pub k: usize,
    /// Where the first centres come from.
    pub init: Init,
    /// Starts, of which the one with the smallest inertia is kept.
    pub restarts: usize,
    /// Most steps of a start; with mini-batches, most times that as many rows are drawn as there are.
    pub max_iter: usize,
    /// A start is over when the squared moves of all centres add up to at most this share of the mean variance of the columns.
    pub tol: f64,
    /// Rows of a mini-batch; `None` = all rows in every step.
    pub batch: Option<usize>,
}

impl KMeans {
    /// `k` centres by greedy k-means++ and Lloyd's steps, with scikit-learn's defaults.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, init: Init::PlusPlus, restarts: 1, max_iter: 300, tol: 1e-4, batch: None }
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Clusters {
    /// k × columns.
    pub centres: Matrix,
    /// Nearest centre of each row.
    pub labels: Vec<u32>,
    /// Weighted sum of the squared distances of all rows to their nearest centres.
    pub inertia: f64,
    /// Steps of the start that was kept.
    pub iterations: usize,
}

/// Squares of larger values may overflow when they are added up.
const LARGEST: f64 = 1e140;

impl KMeans {
    /// Groups the rows of `x`; `weights` are their weights (`None` = all 1).
    ///
    /// # Errors
    /// [`LearnError::Data`] for no rows, values that are not finite or beyond ±1e140, or fewer rows (of a weight above 0)
    /// than centres; [`LearnError::Parameter`] for hyperparameters out of range; [`LearnError::Cancelled`].
    pub fn fit(&self, x: &Matrix, weights: Option<&[f64]>, ctx: &Ctx) -> Result<Clusters, LearnError> {
        self.check()?;
        Train { weights, ..Train::unlabelled(x) }.check("k-means", false)?;
        let refuse = |message| Err(LearnError::Data(format!("k-means: {message}")));
        if let Some(place) = x.values().iter().position(|value| value.abs() > LARGEST) {
            let (row, column) = (place / x.columns(), place % x.columns());
            return refuse(format!(
                "row {row}, column {column} is beyond 1e140; add the preparation step `standard`"
            ));
        }
        let rows = weights.map_or(x.rows(), |weights| weights.iter().filter(|weight| **weight > 0.0).count());
        if rows < self.k {
            return refuse(format!("{rows} rows cannot have {} centres", self.k));
        }
        let ones;
        let weights = if let Some(weights) = weights {
            weights
        } else {
            ones = vec![1.0; x.rows()];
            &ones
        };
        ctx.install(|| self.best(x, weights, ctx))?
    }

    fn check(&self) -> Result<(), LearnError> {
        let bounds = [
            ("k", self.k, u32::MAX as usize),
            ("restarts", self.restarts, 1_000_000),
            ("max_iter", self.max_iter, 1_000_000_000),
            ("batch", self.batch.unwrap_or(1), u32::MAX as usize),
        ];
        let bad = bounds.iter().find(|(_, value, most)| *value == 0 || value > most);
        let refused = bad.map(|(name, value, most)| {
            (*name, format!("a whole number from 1 to {most}"), value.to_string())
        });
        let tol = (!(self.tol >= 0.0 && self.tol.is_finite()))
            .then(|| ("tol", "a finite number not below 0".to_owned(), self.tol.to_string()));
        match refused.or(tol) {
            Some((name, expected, found)) => {
                Err(LearnError::Parameter { owner: "k-means".into(), name: name.into(), expected, found })
            }
            None => Ok(()),
        }
    }

    fn best(&self, x: &Matrix, weights: &[f64], ctx: &Ctx) -> Result<Clusters, LearnError> {
        let points = Points::new(x, weights);
        let enough = self.tol * points.mean_variance();
        let mut best: Option<Clusters> = None;
        for start in 0..self.restarts {
            ctx.check()?;
            ctx.progress("k-means", start as u64, self.restarts as u64);
            let found = match self.batch {
                None => {
                    let first = seed::draw(&points, self.k, self.init, ctx, start as u64)?;
                    lloyd::improve(&points, first, self.max_iter, enough, ctx)?
                }
                Some(rows) => batch::improve(&points, self, rows, enough, ctx, start as u64)?,
            };
            let centres = Matrix::from_values(self.k, x.columns(), points.to_columns(&found.centres));
            let inertia = inertia(x, weights, &centres, &found.labels);
            if best.as_ref().is_none_or(|best| inertia < best.inertia) {
                best =
                    Some(Clusters { centres, labels: found.labels, inertia, iterations: found.iterations });
            }
        }
        best.ok_or(LearnError::Cancelled)
    }
}

impl Clusters {
    /// The nearest centre of each row of `x`, the first of several; a row of NaN goes to centre 0.
    ///
    /// # Errors
    /// [`LearnError::Schema`] when `x` has another number of columns.
    pub fn assign(&self, x: &Matrix, ctx: &Ctx) -> Result<Vec<u32>, LearnError> {
        if x.columns() != self.centres.columns() {
            return Err(LearnError::Schema(format!(
                "the centres have {} columns, the rows {}",
                self.centres.columns(),
                x.columns()
            )));
        }
        let nearest = |row: usize| {
            let distances = self.centres.iter_rows().map(|centre| points::squared(x.row(row), centre));
            let least = |(place, least), (other, distance)| {
                if distance < least { (other, distance) } else { (place, least) }
            };
            distances.enumerate().fold((0, f64::INFINITY), least).0 as u32
        };
        ctx.install(|| (0..x.rows()).into_par_iter().map(nearest).collect())
    }
}

/// Centres in the coordinates of the points, and what they are nearest to.
struct Found {
    centres: Vec<f64>,
    labels: Vec<u32>,
    iterations: usize,
}

fn inertia(x: &Matrix, weights: &[f64], centres: &Matrix, labels: &[u32]) -> f64 {
    let lane = |rows: std::ops::Range<usize>| {
        let part = |row: usize| weights[row] * points::squared(x.row(row), centres.row(labels[row] as usize));
        rows.map(part).sum::<f64>()
    };
    let parts: Vec<f64> = lanes(x.rows()).into_par_iter().map(lane).collect();
    parts.iter().sum()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::rng::stream;

    /// Rows about `groups` far centres; every second column is 0 but for a few rows when `sparse`.
    fn rows(count: usize, columns: usize, groups: usize, sparse: bool) -> Matrix {
        let mut rng = stream(5, "k-means test", columns as u64);
        let mut values = Vec::new();
        for row in 0..count {
            for column in 0..columns {
                let noise: f64 = rng.random::<f64>() + rng.random::<f64>() - 1.0;
                let centre = f64::from((row % groups * 7 + column * 3) as u32 % 11);
                values.push(if sparse && (row + column) % 6 != 0 { 4.0 } else { centre + noise });
            }
        }
        Matrix::from_values(count, columns, values)
    }

    /// Lloyd's steps by the book, from the same first centres.
    fn plain(x: &Matrix, weights: &[f64], mut centres: Matrix, steps: usize) -> (Matrix, Vec<u32>) {
        let nearest = |centres: &Matrix, row: &[f64]| {
            let distance = |centre: &[f64]| centre.iter().zip(row).map(|(c, x)| (c - x).powi(2)).sum::<f64>();
            let all: Vec<f64> = centres.iter_rows().map(distance).collect();
            (0..all.len()).min_by(|a, b| all[*a].total_cmp(&all[*b])).unwrap() as u32
        };
        let mut labels = Vec::new();
        for _ in 0..steps {
            labels = x.iter_rows().map(|row| nearest(&centres, row)).collect();
            let mut sums = Matrix::zeros(centres.rows(), x.columns());
            let mut totals = vec![0.0; centres.rows()];
            for (row, &label) in labels.iter().enumerate() {
                totals[label as usize] += weights[row];
                let sums = sums.row_mut(label as usize);
                sums.iter_mut().zip(x.row(row)).for_each(|(sum, x)| *sum += weights[row] * x);
            }
            for (centre, total) in totals.iter().enumerate() {
                sums.row_mut(centre).iter_mut().for_each(|sum| *sum /= total);
            }
            centres = sums;
        }
        (centres, labels)
    }

    #[test]
    fn bounds_change_nothing_of_plain_lloyd() {
        for sparse in [false, true] {
            let x = rows(700, 9, 6, sparse);
            let weights: Vec<f64> = (0..700).map(|row| f64::from(row % 3 + 1)).collect();
            let points = Points::new(&x, &weights);
            assert_eq!(points.is_sparse(), sparse);
            let ctx = Ctx::new(3, 1);
            let first = seed::draw(&points, 8, Init::Random, &ctx, 0).unwrap();
            let start = Matrix::from_values(8, 9, points.to_columns(&first));
            let found = lloyd::improve(&points, first, 500, 0.0, &ctx).unwrap();
            let (centres, labels) = plain(&x, &weights, start, found.iterations.max(100));
            assert_eq!(found.labels, labels);
            let ours = points.to_columns(&found.centres);
            assert!(ours.iter().zip(centres.values()).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn groups_far_apart_are_found_with_and_without_batches() {
        for (batch, sparse) in [(None, false), (None, true), (Some(64), false), (Some(64), true)] {
            let x = Matrix::from_values(
                600,
                6,
                (0..600u32)
                    .flat_map(|row| {
                        let near = f64::from(row % 17) / 100.0;
                        let at = move |column: u32| {
                            if row % 3 == column { 9.0 + near } else { near * f64::from(u8::from(!sparse)) }
                        };
                        (0..6).map(at)
                    })
                    .collect(),
            );
            let fit = KMeans { batch, restarts: 3, ..KMeans::new(3) };
            let found = fit.fit(&x, None, &Ctx::new(2, 2)).unwrap();
            assert!(
                found.labels.iter().enumerate().all(|(row, label)| *label == found.labels[row % 3]),
                "{batch:?}"
            );
            assert_eq!(found.labels, found.assign(&x, &Ctx::new(0, 1)).unwrap());
            for threads in [1, 3] {
                assert_eq!(fit.fit(&x, None, &Ctx::new(2, threads)).unwrap(), found, "{batch:?}");
            }
        }
    }

    #[test]
    fn weights_count_as_so_many_rows() {
        let x = Matrix::from_values(5, 1, vec![0.0, 3.0, 10.0, 11.0, 500.0]);
        let found = KMeans::new(2).fit(&x, Some(&[2.0, 1.0, 1.0, 3.0, 0.0]), &Ctx::new(1, 1)).unwrap();
        let mut centres = found.centres.values().to_vec();
        centres.sort_by(f64::total_cmp);
        assert_eq!(centres, [1.0, 10.75]);
        assert_eq!(found.inertia, 2.0 + 4.0 + 0.5625 + 3.0 * 0.0625);
    }

    #[test]
    fn a_centre_without_rows_moves_to_the_row_farthest_from_its_own() {
        let x = Matrix::from_values(4, 1, vec![0.0, 1.0, 2.0, 30.0]);
        let points = Points::new(&x, &[1.0; 4]);
        let first: Vec<f64> =
            [1.0, -500.0].iter().map(|centre| centre - points.to_columns(&[0.0])[0]).collect();
        let found = lloyd::improve(&points, first, 50, 0.0, &Ctx::new(0, 1)).unwrap();
        assert_eq!(points.to_columns(&found.centres), [1.0, 30.0]);
        assert_eq!(found.labels, [0, 0, 0, 1]);
    }

    #[test]
    fn odd_data_are_refused_or_grouped() {
        let ctx = Ctx::new(0, 1);
        let filled = |value: f64| Matrix::from_values(9, 2, vec![value; 18]);
        for bad in [Matrix::zeros(0, 2), filled(f64::NAN), filled(1e300), filled(7.0).take_rows(&[0])] {
            assert!(KMeans::new(2).fit(&bad, None, &ctx).is_err());
        }
        let same = KMeans::new(3).fit(&filled(7.0), None, &ctx).unwrap();
        assert_eq!((same.inertia, same.centres), (0.0, Matrix::from_values(3, 2, vec![7.0; 6])));
        assert!(KMeans { tol: f64::NAN, ..KMeans::new(2) }.fit(&filled(1.0), None, &ctx).is_err());
        ctx.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(matches!(KMeans::new(2).fit(&filled(7.0), None, &ctx), Err(LearnError::Cancelled)));
    }
}
