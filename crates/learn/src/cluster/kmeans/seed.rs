//! The first centres.

use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::Init;
use super::points::{Centres, Points, lanes};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::rng::stream;

/// `k` rows as centres, k × columns; `start` numbers the restart.
pub(super) fn draw(
    points: &Points<'_>,
    k: usize,
    init: Init,
    ctx: &Ctx,
    start: u64,
) -> Result<Vec<f64>, LearnError> {
    let mut rng = stream(ctx.seed, "k-means start", start);
    let chosen = match init {
        Init::Random => different(points, k, &mut rng),
        Init::PlusPlus => plus_plus(points, k, &mut rng, ctx)?,
    };
    Ok(chosen.into_iter().flat_map(|row| points.row(row)).collect())
}

/// Rows of which none is drawn twice.
fn different(points: &Points<'_>, k: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut weights = points.weights.to_vec();
    let mut chosen = Vec::with_capacity(k);
    for _ in 0..k {
        let row = by_share(&weights, rng);
        weights[row] = 0.0;
        chosen.push(row);
    }
    chosen
}

/// Greedy k-means++: of 2 + ln k rows, drawn with the chance of their squared distance to the nearest centre so far, the
/// one that leaves the smallest sum of such distances.
fn plus_plus(points: &Points<'_>, k: usize, rng: &mut impl Rng, ctx: &Ctx) -> Result<Vec<usize>, LearnError> {
    let trials = 2 + (k as f64).ln() as usize;
    let mut chosen = vec![by_share(points.weights, rng)];
    let mut nearest = vec![f64::INFINITY; points.rows()];
    (nearest, _) = nearer(points, &nearest, &chosen);
    while chosen.len() < k {
        ctx.check()?;
        let shares: Vec<f64> = nearest.iter().zip(points.weights).map(|(d, weight)| d * weight).collect();
        let tried: Vec<usize> = (0..trials).map(|_| by_share(&shares, rng)).collect();
        let (all, sums) = nearer(points, &nearest, &tried);
        let best = (0..trials).min_by(|a, b| sums[*a].total_cmp(&sums[*b])).unwrap_or(0);
        nearest = all.into_iter().skip(best).step_by(trials).collect();
        chosen.push(tried[best]);
    }
    Ok(chosen)
}

/// The smaller of each row's distance so far and that to each candidate (rows × candidates), and the weighted sums.
fn nearer(points: &Points<'_>, nearest: &[f64], candidates: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let values: Vec<f64> = candidates.iter().flat_map(|&row| points.row(row)).collect();
    let centres = Centres::new(points, &values);
    let count = candidates.len();
    let lane = |rows: std::ops::Range<usize>| {
        let mut all = vec![0.0; rows.len() * count];
        let mut sums = vec![0.0; count];
        for (row, out) in rows.zip(all.chunks_exact_mut(count)) {
            points.to_all(row, &centres, out);
            for (distance, sum) in out.iter_mut().zip(&mut sums) {
                *distance = distance.min(nearest[row]);
                *sum += *distance * points.weights[row];
            }
        }
        (all, sums)
    };
    let parts: Vec<(Vec<f64>, Vec<f64>)> = lanes(points.rows()).into_par_iter().map(lane).collect();
    let mut sums = vec![0.0; count];
    let mut all = Vec::with_capacity(points.rows() * count);
    for (distances, part) in parts {
        all.extend(distances);
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    (all, sums)
}

/// A place, drawn with the chance of its share in the sum; any place of the last share above 0 when rounding falls short.
fn by_share(shares: &[f64], rng: &mut impl Rng) -> usize {
    let total: f64 = shares.iter().sum();
    let mut left = rng.random::<f64>() * total;
    let mut last = 0;
    for (place, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0.0) {
        last = place;
        if left < share {
            break;
        }
        left -= share;
    }
    last
}
