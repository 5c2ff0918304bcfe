//! What chance decides in a forest: the rows of a tree and the columns of a split.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// A whole number below `bound`, all equally likely (up to 2^-64 × `bound`; the same on every machine).
#[inline]
pub(super) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// A number in [0, 1) with 53 random bits.
#[inline]
pub(super) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// How often each of `rows` rows is drawn when `draws` rows are drawn with replacement.
pub(super) fn bootstrap(rng: &mut ChaCha8Rng, rows: usize, draws: usize) -> Vec<u16> {
    let mut copies = vec![0u16; rows];
    for _ in 0..draws {
        let row = below(rng, rows as u64) as usize;
        copies[row] = copies[row].saturating_add(1);
    }
    copies
}

/// `draws` different numbers below `rows`, ascending (Floyd's algorithm).
pub(super) fn without_replacement(rng: &mut ChaCha8Rng, rows: usize, draws: usize) -> Vec<u32> {
    let mut chosen = std::collections::BTreeSet::new();
    for last in rows - draws..rows {
        let row = below(rng, last as u64 + 1) as u32;
        if !chosen.insert(row) {
            chosen.insert(last as u32);
        }
    }
    chosen.into_iter().collect()
}

/// Draws the columns of each split without replacement, as scikit-learn's splitter does: columns that are constant
/// in a node count among those drawn, but drawing goes on until one that is not constant has been seen; and what
/// was found constant in a node is not looked at again below it.
///
/// Serves nodes in depth-first order: the columns known to be constant in a node are a prefix of `order`.
pub(super) struct ColumnDraw {
    /// Constant in the node | found constant in this draw | not drawn yet | drawn.
    order: Vec<u32>,
    /// The prefix of constants as each node must find it again.
    constants: Vec<u32>,
    per_split: usize,
}

/// One node's draw.
pub(super) struct NodeDraw<'a> {
    draw: &'a mut ColumnDraw,
    rng: &'a mut ChaCha8Rng,
    known: usize,
    known_drawn: usize,
    found: usize,
    visited: usize,
    end: usize,
    place: usize,
}

impl ColumnDraw {
    /// A draw of `per_split` of `columns` columns.
    pub(super) fn new(columns: usize, per_split: usize) -> Self {
        let order: Vec<u32> = (0..columns as u32).collect();
        Self { constants: order.clone(), order, per_split }
    }

    /// Starts on a node in whose parent the first `known` columns were constant.
    pub(super) fn node<'a>(&'a mut self, rng: &'a mut ChaCha8Rng, known: usize) -> NodeDraw<'a> {
        let end = self.order.len();
        NodeDraw { draw: self, rng, known, known_drawn: 0, found: 0, visited: 0, end, place: 0 }
    }
}

impl NodeDraw<'_> {
    /// The next column to look at, to be followed by [`Self::constant`] or [`Self::varies`].
    pub(super) fn next(&mut self) -> Option<usize> {
        loop {
            let constants = self.known + self.found;
            let enough = self.visited >= self.draw.per_split && self.visited > self.found + self.known_drawn;
            if self.end <= constants || enough {
                return None;
            }
            self.visited += 1;
            let choices = self.end - self.found - self.known_drawn;
            let place = self.known_drawn + below(self.rng, choices as u64) as usize;
            if place < self.known {
                self.draw.order.swap(self.known_drawn, place);
                self.known_drawn += 1;
            } else {
                self.place = place + self.found;
                return Some(self.draw.order[self.place] as usize);
            }
        }
    }

    /// The last column has one value in this node.
    pub(super) fn constant(&mut self) {
        self.draw.order.swap(self.place, self.known + self.found);
        self.found += 1;
    }

    /// The last column has several values in this node.
    pub(super) fn varies(&mut self) {
        self.end -= 1;
        self.draw.order.swap(self.place, self.end);
    }

    /// Ends the draw; how many columns are known to be constant in this node.
    pub(super) fn finish(self) -> usize {
        let known = self.known + self.found;
        self.draw.order[..self.known].copy_from_slice(&self.draw.constants[..self.known]);
        self.draw.constants[self.known..known].copy_from_slice(&self.draw.order[self.known..known]);
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng;

    #[test]
    fn bootstrap_draws_what_theory_says() {
        let rows = 20_000;
        let copies = bootstrap(&mut rng::stream(1, "test", 0), rows, rows);
        assert_eq!(copies.iter().map(|&copies| usize::from(copies)).sum::<usize>(), rows);
        // Poisson(1): the share of rows drawn 0, 1, 2 times is e^-1, e^-1, e^-1/2, each within five standard errors.
        for (times, expected) in [(0, 0.3679), (1, 0.3679), (2, 0.1839)] {
            let share = copies.iter().filter(|&&copies| copies == times).count() as f64 / rows as f64;
            assert!((share - expected).abs() < 5.0 * 0.0034, "{times} times: {share}");
        }
    }

    #[test]
    fn without_replacement_is_uniform_and_distinct() {
        let mut times = [0u32; 10];
        for index in 0..4000 {
            let drawn = without_replacement(&mut rng::stream(2, "test", index), 10, 3);
            assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]) && drawn.len() == 3);
            drawn.iter().for_each(|&row| times[row as usize] += 1);
        }
        assert!(times.iter().all(|&times| (1200 - 145..1200 + 145).contains(&times)), "{times:?}");
        assert_eq!(without_replacement(&mut rng::stream(2, "test", 0), 4, 4), [0, 1, 2, 3]);
    }

    /// Draws for one node where columns below `constants` are constant; the columns seen to vary.
    fn vary(draw: &mut ColumnDraw, rng: &mut ChaCha8Rng, known: usize, constants: u32) -> (Vec<u32>, usize) {
        let mut varying = Vec::new();
        let mut node = draw.node(rng, known);
        while let Some(column) = node.next() {
            if (column as u32) < constants {
                node.constant();
            } else {
                varying.push(column as u32);
                node.varies();
            }
        }
        (varying, node.finish())
    }

    #[test]
    fn columns_are_drawn_evenly_and_without_replacement() {
        let mut rng = rng::stream(3, "test", 0);
        let mut draw = ColumnDraw::new(12, 3);
        let mut times = [0u32; 12];
        for _ in 0..4000 {
            let (mut drawn, known) = vary(&mut draw, &mut rng, 0, 0);
            assert_eq!((drawn.len(), known), (3, 0));
            drawn.iter().for_each(|&column| times[column as usize] += 1);
            drawn.sort_unstable();
            drawn.dedup();
            assert_eq!(drawn.len(), 3);
        }
        assert!(times.iter().all(|&times| (1000 - 140..1000 + 140).contains(&times)), "{times:?}");
    }

    #[test]
    fn drawing_goes_on_until_a_column_varies() {
        let mut rng = rng::stream(4, "test", 0);
        for _ in 0..200 {
            let mut draw = ColumnDraw::new(20, 2);
            let (varying, known) = vary(&mut draw, &mut rng, 0, 19);
            assert_eq!(varying, [19]);
            // Below, what was found constant is not looked at again, and columns stay distinct.
            let (varying, below) = vary(&mut draw, &mut rng, known, 19);
            assert_eq!(varying, [19]);
            assert!(below >= known && below <= 19);
            let mut order = draw.order.clone();
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..20));
        }
        let (varying, known) = vary(&mut ColumnDraw::new(5, 2), &mut rng, 0, 5);
        assert_eq!((varying, known), (vec![], 5), "all constant: all are looked at once");
    }
}
