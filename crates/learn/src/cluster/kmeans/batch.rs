//! Mini-batches (Sculley 2010): a few rows are drawn, each pulls its nearest centre towards itself by 1 / the weight of
//! all that pulled it before.

use rand::RngExt;

use super::points::{Centres, Points};
use super::{Found, KMeans, lloyd, seed};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::rng::stream;

/// Batches without a smaller smoothed distance after which a start is over, as in scikit-learn.
const PATIENCE: usize = 10;

/// Runs one start on batches of `size` rows, then gives every row to its nearest centre.
pub(super) fn improve(
    points: &Points<'_>,
    fit: &KMeans,
    size: usize,
    enough: f64,
    ctx: &Ctx,
    start: u64,
) -> Result<Found, LearnError> {
    let (columns, k) = (points.columns(), fit.k);
    let drawable: Vec<usize> = (0..points.rows()).filter(|&row| points.weights[row] > 0.0).collect();
    let mut rng = stream(ctx.seed, "k-means batches", start);
    let mut centres = seed::draw(points, k, fit.init, ctx, start)?;
    let mut pulled = vec![0.0; k];
    let (mut smooth, mut progress) = (f64::NAN, Progress { best: f64::INFINITY, without: 0 });
    let per_epoch = drawable.len().div_ceil(size);
    let most = fit.max_iter.saturating_mul(per_epoch);
    let forget = (2.0 * size as f64 / (drawable.len() + 1) as f64).min(1.0);
    let mut iterations = 0;
    while iterations < most {
        ctx.check()?;
        iterations += 1;
        let rows: Vec<usize> = (0..size).map(|_| drawable[rng.random_range(0..drawable.len())]).collect();
        let before = centres.clone();
        let (labels, mean) = nearest(points, &before, &rows);
        for (&row, &label) in rows.iter().zip(&labels) {
            pulled[label] += points.weights[row];
            pull(
                points,
                row,
                points.weights[row] / pulled[label],
                &mut centres[label * columns..(label + 1) * columns],
            );
        }
        if iterations % per_epoch == 0 {
            for centre in (0..k).filter(|&centre| pulled[centre] == 0.0) {
                let row = points.row(rows[rng.random_range(0..rows.len())]);
                centres[centre * columns..(centre + 1) * columns].copy_from_slice(&row);
            }
        }
        smooth = if smooth.is_nan() { mean } else { smooth + forget * (mean - smooth) };
        let moved: f64 = centres.iter().zip(&before).map(|(a, b)| (a - b) * (a - b)).sum();
        if (enough > 0.0 && moved <= enough) || progress.is_over(smooth) {
            break;
        }
    }
    let found = lloyd::improve(points, centres, 0, 0.0, ctx)?;
    Ok(Found { iterations, ..found })
}

/// The smallest smoothed distance so far, and the batches since.
struct Progress {
    best: f64,
    without: usize,
}

impl Progress {
    fn is_over(&mut self, smooth: f64) -> bool {
        if smooth < self.best {
            (self.best, self.without) = (smooth, 0);
        } else {
            self.without += 1;
        }
        self.without >= PATIENCE
    }
}

/// The nearest centre of each row, and the weighted mean of the squared distances.
fn nearest(points: &Points<'_>, values: &[f64], rows: &[usize]) -> (Vec<usize>, f64) {
    let centres = Centres::new(points, values);
    let mut distances = vec![0.0; values.len() / points.columns()];
    let (mut sum, mut total) = (0.0, 0.0);
    let label = |&row: &usize| {
        points.to_all(row, &centres, &mut distances);
        let label = (0..distances.len()).min_by(|a, b| distances[*a].total_cmp(&distances[*b])).unwrap_or(0);
        sum += points.weights[row] * distances[label];
        total += points.weights[row];
        label
    };
    let labels = rows.iter().map(label).collect();
    (labels, sum / total)
}

/// Moves a centre towards a row by a share of the way.
fn pull(points: &Points<'_>, row: usize, share: f64, centre: &mut [f64]) {
    centre.iter_mut().for_each(|c| *c *= 1.0 - share);
    points.each(row, |place, x| centre[place] += share * x);
}
