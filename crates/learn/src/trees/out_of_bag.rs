//! How good a forest is on rows that its trees were not grown on: an honest estimate for which no row need be held out.
//!
//! Each row is scored by the mean of those trees only whose bootstrap sample it is not in (Breiman 2001, section 3.1).

use rayon::prelude::*;

use super::bins::Bins;
use super::grow::Grown;
use super::score::walk_trees;
use crate::LearnError;
use crate::ctx::Ctx;
use crate::estimator::Train;

/// Rows that one thread takes at a time.
const BLOCK: usize = 1024;

/// The rows that a tree was grown on, a bit each.
pub(super) struct Bag(Vec<u64>);

impl Bag {
    /// The rows of which there are copies.
    pub(super) fn new(copies: &[u16]) -> Self {
        let bit = |(place, copies): (usize, &u16)| u64::from(*copies > 0) << place;
        Self(copies.chunks(64).map(|copies| copies.iter().enumerate().map(bit).sum()).collect())
    }

    fn has(&self, row: usize) -> bool {
        self.0[row / 64] >> (row % 64) & 1 == 1
    }
}

/// Sums over rows.
#[derive(Clone, Copy, Default)]
struct Sums {
    rows: usize,
    weight: f64,
    right: f64,
    loss: f64,
}

/// Says how trees score the rows of `bins` that are not in their bags.
///
/// # Errors
/// [`LearnError::Cancelled`].
pub(super) fn estimate(
    bins: &Bins,
    data: &Train<'_>,
    trees: &[(Grown, Option<Bag>)],
    ctx: &Ctx,
) -> Result<String, LearnError> {
    let starts = (0..bins.rows()).step_by(BLOCK).collect::<Vec<_>>();
    let blocks: Result<Vec<Sums>, LearnError> = starts
        .into_par_iter()
        .map(|start| ctx.check().map(|()| block(bins, data, trees, start, bins.rows().min(start + BLOCK))))
        .collect();
    let total = blocks?.into_iter().fold(Sums::default(), |sum, block| Sums {
        rows: sum.rows + block.rows,
        weight: sum.weight + block.weight,
        right: sum.right + block.right,
        loss: sum.loss + block.loss,
    });
    if total.rows == 0 {
        return Ok("out of bag: every row is in the bag of every tree".to_owned());
    }
    Ok(format!(
        "out of bag: accuracy {:.6}, log loss {:.6}, on {} of {} rows, each scored by the trees that were not grown on it",
        total.right / total.weight,
        total.loss / total.weight,
        total.rows,
        bins.rows()
    ))
}

/// The sums over the rows from `start` to `end` that weigh something and are out of some bag.
fn block(bins: &Bins, data: &Train<'_>, trees: &[(Grown, Option<Bag>)], start: usize, end: usize) -> Sums {
    let classes = data.classes;
    let mut shares = vec![0.0; (end - start) * classes];
    let mut voters = vec![0u32; end - start];
    for (tree, bag) in trees {
        let is_out = |row: &usize| bag.as_ref().is_some_and(|bag| !bag.has(*row));
        for row in (start..end).filter(is_out) {
            let [leaf] = walk_trees(&tree.nodes, [0], bins.row(row));
            let leaf = &tree.leaves[leaf as usize * classes..][..classes];
            shares[(row - start) * classes..].iter_mut().zip(leaf).for_each(|(sum, share)| *sum += share);
            voters[row - start] += 1;
        }
    }
    let mut sums = Sums::default();
    for (place, shares) in shares.chunks_exact(classes).enumerate().filter(|(place, _)| voters[*place] > 0) {
        let (class, weight) =
            (data.y[start + place] as usize, data.weights.map_or(1.0, |weights| weights[start + place]));
        if weight > 0.0 {
            let best =
                (1..classes).fold(0, |best, class| if shares[class] > shares[best] { class } else { best });
            sums.rows += 1;
            sums.weight += weight;
            sums.right += weight * f64::from(u8::from(best == class));
            sums.loss -= weight * (shares[class] / f64::from(voters[place])).max(f64::EPSILON).ln();
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::draw::{bootstrap, unit};
    use super::super::forest::ForestFit;
    use super::super::grow::Growth;
    use super::super::tally::Criterion;
    use super::*;
    use crate::estimator::Model as _;
    use crate::matrix::Matrix;
    use crate::rng;

    #[test]
    fn rows_are_scored_by_the_trees_that_did_not_draw_them() {
        let (rows, trees, seed) = (2000, 7, 3);
        let mut rng = rng::stream(1, "test", 0);
        let x = Matrix::from_values(rows, 2, (0..rows * 2).map(|_| unit(&mut rng)).collect());
        let y: Vec<u32> =
            x.iter_rows().map(|row| u32::from(row[0] + 0.3 * unit(&mut rng) > row[1])).collect();
        let weights: Vec<f64> = (0..rows).map(|row| [0.0, 1.0, 2.5][row % 3]).collect();
        let data = Train { weights: Some(&weights), ..Train::labelled(&x, &y, 2) };
        let growth = Growth {
            max_depth: 6,
            max_leaves: usize::MAX,
            min_split: 2,
            min_leaf: 1,
            columns_per_split: 1,
            random_cuts: false,
            ccp_alpha: 0.0,
        };
        let (criterion, balanced) = (Criterion::Gini, true);
        let fit = ForestFit { trees, bootstrap: Some(1.0), out_of_bag: true, criterion, balanced, growth };
        let forest = fit.fit(&data, &Ctx::new(seed, 2)).unwrap();
        let mut sums = [0.0; 3];
        let mut seen = 0;
        for row in 0..rows {
            let (mut shares, mut voters) = ([0.0; 2], 0.0);
            for tree in 0..trees {
                let drawn = bootstrap(&mut rng::stream(seed, "forest", tree as u64), rows, rows);
                if drawn[row] > 0 {
                    continue;
                }
                let mut node = forest.nodes[forest.roots[tree] as usize];
                while !node.is_leaf() {
                    let right = node.goes_right(&forest.cuts, x.row(row)[usize::from(node.column)]);
                    node = forest.nodes[node.target as usize + usize::from(right)];
                }
                let leaf = forest.leaf(node.target);
                shares.iter_mut().zip(leaf).for_each(|(sum, share)| *sum += share);
                voters += 1.0;
            }
            if voters > 0.0 && weights[row] > 0.0 {
                let of_truth = shares[y[row] as usize];
                let is_right =
                    of_truth > shares[1 - y[row] as usize] || (shares[0] == shares[1] && y[row] == 0);
                let loss = -f64::ln((of_truth / voters).max(f64::EPSILON));
                seen += 1;
                sums[0] += weights[row];
                sums[1] += if is_right { weights[row] } else { 0.0 };
                sums[2] += weights[row] * loss;
            }
        }
        assert!(
            seen > 1000 && seen < 1333,
            "a tree leaves out a row in e, seven trees nearly all but 4 %: {seen}"
        );
        let expected = format!(
            "out of bag: accuracy {:.6}, log loss {:.6}, on {seen} of 2000 rows, each scored by the trees that were not grown on it",
            sums[1] / sums[0],
            sums[2] / sums[0]
        );
        assert_eq!(forest.notes(), [expected]);
    }
}
