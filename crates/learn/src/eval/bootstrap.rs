//! How sure a measurement is: intervals of any metric from rows drawn again with replacement (Efron and Tibshirani 1993).
//!
//! Rows are drawn within strata (benign and malicious), so that every draw holds as many of each; or, when rows belong to
//! groups, whole groups are drawn, because rows of one group are not independent.

use std::collections::BTreeMap;

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::ctx::Ctx;
use crate::rng;

/// A value and where it lies with this confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// On the rows as they are.
    pub value: f64,
    /// The lower percentile.
    pub low: f64,
    /// The upper percentile.
    pub high: f64,
    /// Confidence, such as 0.95.
    pub confidence: f64,
    /// Draws for which the metric was defined.
    pub draws: u64,
}

/// How rows are drawn.
#[derive(Clone, Copy, Debug)]
pub enum Draw<'a> {
    /// Rows, as many of each stratum as there are (one number per row).
    Strata(&'a [u32]),
    /// Groups, as many as there are (one number per row), each with all its rows.
    Groups(&'a [u32]),
}

/// The percentile interval of a metric over `draws` samples; the metric gets the rows of a sample, some more than once.
/// `None` where the metric is not defined on the rows as they are, or on no sample.
///
/// # Errors
/// [`LearnError::Data`] for a confidence outside 0 to 1 or no draws, [`LearnError::Cancelled`].
pub fn interval(
    draw: Draw<'_>,
    draws: usize,
    confidence: f64,
    metric: impl Fn(&[usize]) -> Option<f64> + Sync,
    ctx: &Ctx,
) -> Result<Option<Interval>, LearnError> {
    check(draws, confidence)?;
    let (Draw::Strata(numbers) | Draw::Groups(numbers)) = draw;
    let all: Vec<usize> = (0..numbers.len()).collect();
    let Some(value) = metric(&all) else { return Ok(None) };
    let pools = pools(draw);
    let one = |index: usize| {
        ctx.check()?;
        Ok(metric(&sample(draw, &pools, ctx.seed, index as u64)))
    };
    let values: Vec<Option<f64>> =
        ctx.install(|| (0..draws).into_par_iter().map(one).collect::<Result<_, LearnError>>())??;
    Ok(percentiles(value, values.into_iter().flatten().collect(), confidence))
}

/// One interval for each metric of `metrics` whose slice for all rows is defined, all from the same samples. `metrics` gets how
/// often each row is in a sample.
///
/// # Errors
/// As [`interval`].
pub(super) fn intervals<const N: usize>(
    draw: Draw<'_>,
    (draws, confidence): (usize, f64),
    metrics: impl Fn(&[u32]) -> [Option<f64>; N] + Sync,
    ctx: &Ctx,
) -> Result<[Option<Interval>; N], LearnError> {
    check(draws, confidence)?;
    let (Draw::Strata(numbers) | Draw::Groups(numbers)) = draw;
    let pools = pools(draw);
    let one = |index: usize| {
        ctx.check()?;
        let mut times = vec![0; numbers.len()];
        sample(draw, &pools, ctx.seed, index as u64).into_iter().for_each(|row| times[row] += 1);
        Ok(metrics(&times))
    };
    let drawn: Vec<[Option<f64>; N]> =
        ctx.install(|| (0..draws).into_par_iter().map(one).collect::<Result<_, LearnError>>())??;
    let whole = metrics(&vec![1; numbers.len()]);
    Ok(std::array::from_fn(|place| {
        let values = drawn.iter().filter_map(|metrics| metrics[place]).collect();
        whole[place].and_then(|value| percentiles(value, values, confidence))
    }))
}

fn check(draws: usize, confidence: f64) -> Result<(), LearnError> {
    if draws == 0 || !(confidence > 0.0 && confidence < 1.0) {
        return Err(LearnError::Data(format!(
            "bootstrap: expected at least one draw and a confidence above 0 and below 1, found {draws} and {confidence}"
        )));
    }
    Ok(())
}

/// The rows of each stratum or group.
fn pools(draw: Draw<'_>) -> Vec<Vec<usize>> {
    let (Draw::Strata(numbers) | Draw::Groups(numbers)) = draw;
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    numbers.iter().enumerate().for_each(|(row, &number)| members.entry(number).or_default().push(row));
    members.into_values().collect()
}

fn percentiles(value: f64, mut drawn: Vec<f64>, confidence: f64) -> Option<Interval> {
    drawn.retain(|value| !value.is_nan());
    drawn.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let bounds = quantile(&drawn, tail).zip(quantile(&drawn, 1.0 - tail));
    bounds.map(|(low, high)| Interval { value, low, high, confidence, draws: drawn.len() as u64 })
}

/// The interval of the difference of two models' metric on the same rows of each draw: `first` less `second`.
/// It leaves out 0 when one is better with this confidence.
///
/// # Errors
/// As [`interval`].
pub fn paired_difference(
    draw: Draw<'_>,
    draws: usize,
    confidence: f64,
    first: impl Fn(&[usize]) -> Option<f64> + Sync,
    second: impl Fn(&[usize]) -> Option<f64> + Sync,
    ctx: &Ctx,
) -> Result<Option<Interval>, LearnError> {
    interval(draw, draws, confidence, |rows| Some(first(rows)? - second(rows)?), ctx)
}

fn sample(draw: Draw<'_>, pools: &[Vec<usize>], seed: u64, index: u64) -> Vec<usize> {
    let mut rng = rng::stream(seed, "bootstrap interval", index);
    match draw {
        Draw::Strata(_) => pools
            .iter()
            .flat_map(|pool| vec![pool; pool.len()])
            .map(|pool| pool[rng.random_range(0..pool.len())])
            .collect(),
        Draw::Groups(_) => {
            (0..pools.len()).flat_map(|_| pools[rng.random_range(0..pools.len())].iter().copied()).collect()
        }
    }
}

/// Linear between the order statistics, as numpy's default.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[(place.ceil() as usize).min(last)]);
    Some(below + (above - below) * place.fract())
}

/// The Wilson score interval of a share of `hits` in `trials` (Wilson 1927) at 95 %; (0, 1) without trials.
#[must_use]
pub fn wilson(hits: u64, trials: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let middle = p + Z * Z / (2.0 * n);
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    // The ends are exact, as rounding would not have them.
    let low = if hits == 0 { 0.0 } else { ((middle - half) / whole).max(0.0) };
    let high = if hits == trials { 1.0 } else { ((middle + half) / whole).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> impl Fn(&[usize]) -> Option<f64> + Sync + '_ {
        |rows| {
            (!rows.is_empty()).then(|| rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64)
        }
    }

    #[test]
    fn the_interval_of_a_mean_is_the_one_of_theory() {
        let values: Vec<f64> = (0..400).map(|row| f64::from(row % 2)).collect();
        let found =
            interval(Draw::Strata(&[0; 400]), 2000, 0.95, mean(&values), &Ctx::new(1, 2)).unwrap().unwrap();
        // the standard error of a share of one half in 400 is 0.025
        assert_eq!((found.value, found.draws), (0.5, 2000));
        assert!((found.low - 0.451).abs() < 0.006 && (found.high - 0.549).abs() < 0.006, "{found:?}");
        let one =
            interval(Draw::Strata(&[0; 400]), 2000, 0.95, mean(&values), &Ctx::new(1, 1)).unwrap().unwrap();
        assert_eq!(found, one, "for any number of threads");
    }

    #[test]
    fn strata_keep_their_rows_and_groups_stay_whole() {
        let values: Vec<f64> = (0..400).map(|row| f64::from(row % 2)).collect();
        let strata: Vec<u32> = (0..400).map(|row| row % 2).collect();
        let fixed =
            interval(Draw::Strata(&strata), 50, 0.9, mean(&values), &Ctx::new(2, 1)).unwrap().unwrap();
        assert_eq!((fixed.low, fixed.high), (0.5, 0.5));
        let halves: Vec<f64> = (0..400).map(|row| f64::from(row / 40 % 2)).collect();
        let groups: Vec<u32> = (0..400).map(|row| row / 40).collect();
        let wide =
            interval(Draw::Groups(&groups), 500, 0.95, mean(&halves), &Ctx::new(2, 1)).unwrap().unwrap();
        assert!(wide.high - wide.low > 0.4, "ten groups, not 400 rows: {wide:?}");
    }

    #[test]
    fn pairs_see_what_single_intervals_cannot() {
        let noisy: Vec<f64> = (0..300).map(|row| f64::from(row * 7919 % 101)).collect();
        let better: Vec<f64> = noisy.iter().map(|value| value + 1.0).collect();
        let found = paired_difference(
            Draw::Strata(&[0; 300]),
            200,
            0.95,
            mean(&better),
            mean(&noisy),
            &Ctx::new(3, 1),
        );
        let found = found.unwrap().unwrap();
        assert!((found.low - 1.0).abs() < 1e-9 && (found.high - 1.0).abs() < 1e-9, "{found:?}");
        assert_eq!(interval(Draw::Strata(&[]), 10, 0.95, mean(&[]), &Ctx::new(3, 1)).unwrap(), None);
        assert!(interval(Draw::Strata(&[0]), 0, 0.95, mean(&[1.0]), &Ctx::new(3, 1)).is_err());
    }

    #[test]
    fn shares_by_wilson() {
        let (low, high) = wilson(5, 10);
        assert!((low - 0.236_593_090_512_564).abs() < 1e-9 && (high - 0.763_406_909_487_436).abs() < 1e-9);
        assert_eq!((wilson(0, 10).0, wilson(10, 10).1, wilson(0, 0)), (0.0, 1.0, (0.0, 1.0)));
    }
}
