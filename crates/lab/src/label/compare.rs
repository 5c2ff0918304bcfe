//! Strategies side by side: means over seeds with their intervals.

use serde::Serialize;

use super::oracle::{Iteration, Run};

/// A mean over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: f64,
    /// Half the width of its 95 % interval, 1.96 standard errors; 0 for one seed.
    pub half_width: f64,
}

impl Mean {
    /// Of some values; `None` without any.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let half_width = if values.len() > 1 { 1.96 * (squares / (count - 1.0) / count).sqrt() } else { 0.0 };
        Some(Self { mean, half_width })
    }
}

/// What the runs of a strategy come to at one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Labels.
    pub labels: u64,
    /// Malicious families found.
    pub malicious_families: Option<Mean>,
    /// Benign families found.
    pub benign_families: Option<Mean>,
    /// Area under the ROC curve.
    pub auc: Option<Mean>,
    /// F1.
    pub f1: Option<Mean>,
    /// Share of malicious rows found at the false-alarm rate of the target.
    pub detection: Option<Mean>,
    /// Seconds until all queries were there.
    pub seconds: Option<Mean>,
    /// Seconds until those of the first group were.
    pub seconds_to_first: Option<Mean>,
}

/// A strategy over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Strategy.
    pub strategy: String,
    /// Seeds.
    pub seeds: u64,
    /// Iteration by iteration.
    pub points: Vec<Point>,
    /// Share of the runs that found every malicious family of at least ten rows.
    pub found_common: f64,
}

/// Rows from which on a family must be found.
const COMMON: u64 = 10;

/// Summarises the runs of each strategy, in the order of the strategies.
pub(crate) fn summaries(strategies: &[String], runs: &[Run]) -> Vec<Summary> {
    let of = |strategy: &String| {
        let runs: Vec<&Run> = runs.iter().filter(|run| run.strategy == *strategy).collect();
        let longest = runs.iter().map(|run| run.iterations.len()).max().unwrap_or(0);
        let common = |run: &&&Run| {
            run.families
                .iter()
                .filter(|one| one.malicious && one.rows >= COMMON)
                .all(|one| one.labels.is_some())
        };
        Summary {
            strategy: strategy.clone(),
            seeds: runs.len() as u64,
            points: (0..longest).map(|place| point(&runs, place)).collect(),
            found_common: runs.iter().filter(common).count() as f64 / runs.len().max(1) as f64,
        }
    };
    strategies.iter().map(of).collect()
}

fn point(runs: &[&Run], place: usize) -> Point {
    let at: Vec<&Iteration> = runs.iter().filter_map(|run| run.iterations.get(place)).collect();
    let mean = |value: &dyn Fn(&Iteration) -> Option<f64>| {
        Mean::of(&at.iter().filter_map(|one| value(one)).collect::<Vec<f64>>())
    };
    Point {
        labels: at.iter().map(|one| one.labels).max().unwrap_or(0),
        malicious_families: mean(&|one| Some(one.families.malicious as f64)),
        benign_families: mean(&|one| Some(one.families.benign as f64)),
        auc: mean(&|one| one.auc),
        f1: mean(&|one| one.f1),
        detection: mean(&|one| one.detection),
        seconds: mean(&|one| Some(one.seconds)),
        seconds_to_first: mean(&|one| Some(one.seconds_to_first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_have_the_interval_of_their_standard_error() {
        // deviation of 1, 2, 3 is 1, so the error is 1 / √3
        let mean = Mean::of(&[1.0, 2.0, 3.0]).unwrap();
        assert!((mean.mean - 2.0).abs() < 1e-12 && (mean.half_width - 1.96 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(Mean::of(&[5.0]).unwrap().half_width, 0.0);
        assert_eq!(Mean::of(&[]), None);
    }
}
