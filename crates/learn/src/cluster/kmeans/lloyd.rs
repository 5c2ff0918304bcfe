//! Lloyd's steps: every row to its nearest centre, every centre to the mean of its rows.
//!
//! Hamerly (2010): a row keeps an upper bound of the distance to its centre and a lower bound of that to all others;
//! while the first is the smaller the row cannot change. The bounds give way by a little more than what rounding can
//! have done, so that the steps are those of plain Lloyd.

use rayon::prelude::*;

use super::Found;
use super::points::{Centres, Points, lanes};
use crate::LearnError;
use crate::ctx::Ctx;

/// What is known of a row.
#[derive(Clone, Copy)]
struct Bound {
    label: u32,
    /// At least the distance to its centre.
    upper: f64,
    /// At most the distance to any other.
    lower: f64,
}

/// Bounds are trusted up to this share of the lengths they were computed from.
const SLACK: f64 = 1e-7;

/// Moves `centres` until their squared moves add up to at most `enough`, no row changes, or `most` steps are done.
pub(super) fn improve(
    points: &Points<'_>,
    mut centres: Vec<f64>,
    most: usize,
    enough: f64,
    ctx: &Ctx,
) -> Result<Found, LearnError> {
    let k = centres.len() / points.columns();
    let mut bounds = vec![Bound { label: u32::MAX, upper: f64::INFINITY, lower: 0.0 }; points.rows()];
    let mut iterations = 0;
    while iterations < most {
        ctx.check()?;
        iterations += 1;
        if assign(points, &centres, &mut bounds) == 0 {
            return Ok(Found {
                centres,
                labels: bounds.iter().map(|bound| bound.label).collect(),
                iterations,
            });
        }
        let moved = means(points, &centres, &bounds);
        let moves: Vec<f64> =
            (0..k).map(|c| super::points::squared(of(&moved, c, k), of(&centres, c, k)).sqrt()).collect();
        centres = moved;
        loosen(&mut bounds, &moves);
        if moves.iter().map(|distance| distance * distance).sum::<f64>() <= enough {
            break;
        }
    }
    assign(points, &centres, &mut bounds);
    Ok(Found { centres, labels: bounds.iter().map(|bound| bound.label).collect(), iterations })
}

fn of(centres: &[f64], centre: usize, k: usize) -> &[f64] {
    let columns = centres.len() / k;
    &centres[centre * columns..(centre + 1) * columns]
}

/// Gives rows to their nearest centres; returns how many have changed.
fn assign(points: &Points<'_>, values: &[f64], bounds: &mut [Bound]) -> usize {
    const ROWS: usize = 1024;
    let centres = Centres::new(points, values);
    let k = values.len() / points.columns();
    let apart = half_distances(values, k);
    let largest = centres.largest_norm();
    let block = |(block, bounds): (usize, &mut [Bound])| {
        let mut distances = vec![0.0; k];
        let mut changed = 0;
        for (place, bound) in bounds.iter_mut().enumerate() {
            let row = block * ROWS + place;
            let slack = SLACK * (points.norm(row) + largest);
            if bound.label != u32::MAX {
                let safe = bound.lower.max(apart[bound.label as usize]) - slack;
                if bound.upper < safe {
                    continue;
                }
                bound.upper = points.to_one(row, bound.label as usize, &centres).sqrt();
                if bound.upper < safe {
                    continue;
                }
            }
            points.to_all(row, &centres, &mut distances);
            let found = nearest_two(&distances);
            changed += usize::from(found.label != bound.label);
            *bound = found;
        }
        changed
    };
    bounds.par_chunks_mut(ROWS).enumerate().map(block).sum()
}

/// The nearest centre (the first of several) and the distances to it and to the next.
fn nearest_two(squares: &[f64]) -> Bound {
    let (mut label, mut first, mut second) = (0, f64::INFINITY, f64::INFINITY);
    for (place, &square) in squares.iter().enumerate() {
        if square < first {
            (label, second, first) = (place as u32, first, square);
        } else if square < second {
            second = square;
        }
    }
    Bound { label, upper: first.sqrt(), lower: second.sqrt() }
}

/// Half the distance of each centre to the nearest other one: a row nearer than that is where it belongs.
fn half_distances(values: &[f64], k: usize) -> Vec<f64> {
    let nearest = |a: usize| {
        let others =
            (0..k).filter(|b| *b != a).map(|b| super::points::squared(of(values, a, k), of(values, b, k)));
        0.5 * others.fold(f64::INFINITY, f64::min).sqrt()
    };
    (0..k).into_par_iter().map(nearest).collect()
}

/// Bounds that hold after the centres have moved so far.
fn loosen(bounds: &mut [Bound], moves: &[f64]) {
    let farthest = (0..moves.len()).max_by(|a, b| moves[*a].total_cmp(&moves[*b])).unwrap_or(0);
    let others = (0..moves.len()).filter(|place| *place != farthest);
    let second = others.map(|place| moves[place]).fold(0.0, f64::max);
    for bound in bounds {
        let label = bound.label as usize;
        bound.upper += moves[label];
        bound.lower -= if label == farthest { second } else { moves[farthest] };
    }
}

/// The weighted mean of each centre's rows. A centre without rows takes the row farthest from its own centre, as in
/// scikit-learn; it stays where it is when every row is on its centre.
fn means(points: &Points<'_>, centres: &[f64], bounds: &[Bound]) -> Vec<f64> {
    let columns = points.columns();
    let k = centres.len() / columns;
    let lane = |rows: std::ops::Range<usize>| {
        let (mut sums, mut totals) = (vec![0.0; k * columns], vec![0.0; k]);
        for row in rows {
            add(points, row, bounds[row].label as usize, points.weights[row], &mut sums, &mut totals);
        }
        (sums, totals)
    };
    let parts: Vec<(Vec<f64>, Vec<f64>)> = lanes(points.rows()).into_par_iter().map(lane).collect();
    let (mut sums, mut totals) = (vec![0.0; k * columns], vec![0.0; k]);
    for (part, weights) in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        totals.iter_mut().zip(weights).for_each(|(total, part)| *total += part);
    }
    relocate(points, centres, bounds, &mut sums, &mut totals);
    for (centre, &total) in totals.iter().enumerate() {
        let sums = &mut sums[centre * columns..(centre + 1) * columns];
        if total > 0.0 {
            sums.iter_mut().for_each(|sum| *sum /= total);
        } else {
            sums.copy_from_slice(of(centres, centre, k));
        }
    }
    sums
}

fn add(points: &Points<'_>, row: usize, centre: usize, weight: f64, sums: &mut [f64], totals: &mut [f64]) {
    let sums = &mut sums[centre * points.columns()..(centre + 1) * points.columns()];
    points.each(row, |place, x| sums[place] += weight * x);
    totals[centre] += weight;
}

fn relocate(points: &Points<'_>, centres: &[f64], bounds: &[Bound], sums: &mut [f64], totals: &mut [f64]) {
    let empty: Vec<usize> = (0..totals.len()).filter(|&centre| totals[centre] <= 0.0).collect();
    if empty.is_empty() {
        return;
    }
    let ready = Centres::new(points, centres);
    let away = |row: usize| points.to_one(row, bounds[row].label as usize, &ready);
    let rows = (0..points.rows()).filter(|&row| points.weights[row] > 0.0);
    let mut far: Vec<(f64, usize)> =
        rows.map(|row| (away(row), row)).filter(|(away, _)| *away > 0.0).collect();
    far.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut counts = vec![0usize; totals.len()];
    let weighed = bounds.iter().zip(points.weights).filter(|(_, weight)| **weight > 0.0);
    weighed.for_each(|(bound, _)| counts[bound.label as usize] += 1);
    let mut empty = empty.into_iter().peekable();
    for (_, row) in far {
        let Some(&centre) = empty.peek() else { return };
        let (from, weight) = (bounds[row].label as usize, points.weights[row]);
        if counts[from] > 1 {
            counts[from] -= 1;
            add(points, row, from, -weight, sums, totals);
            add(points, row, centre, weight, sums, totals);
            empty.next();
        }
    }
}
