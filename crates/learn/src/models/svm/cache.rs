//! Kernel values kept from step to step and from problem to problem over the same rows.
//!
//! Rows stand in an order in which those still looked at come first, so that what is kept of a row need only be the part
//! with them (Chang and Lin 2011, section 5.1). When there is no more room, what was not used for longest is forgotten.

use super::kernel::{Kernel, Vectors};

/// Rows of kernel values, by position in the order.
pub(super) struct Cache<'a> {
    vectors: &'a Vectors,
    kernel: Kernel,
    /// The row at each position.
    order: Vec<usize>,
    /// Per position its kernel values with those before some position; none when forgotten.
    kept: Vec<Vec<f64>>,
    /// When each was last used.
    used: Vec<u64>,
    clock: u64,
    numbers: usize,
    most_numbers: usize,
}

impl<'a> Cache<'a> {
    /// Keeps at most `bytes`, but always two rows.
    pub(super) fn new(vectors: &'a Vectors, kernel: Kernel, bytes: usize) -> Self {
        let rows = vectors.rows();
        Self {
            vectors,
            kernel,
            order: (0..rows).collect(),
            kept: vec![Vec::new(); rows],
            used: vec![0; rows],
            clock: 0,
            numbers: 0,
            most_numbers: (bytes / 8).max(2 * rows),
        }
    }

    /// The row at each position.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Kernel of each row with itself, by position.
    pub(super) fn diagonal(&self) -> Vec<f64> {
        let of_rows = self.vectors.diagonal(self.kernel);
        self.order.iter().map(|&row| of_rows[row]).collect()
    }

    /// What [`Cache::learn`] has made known of a position.
    pub(super) fn values(&self, position: usize) -> &[f64] {
        &self.kept[position]
    }

    /// Makes the kernel of a position with the first `many` known; `beside` is not forgotten for it.
    pub(super) fn learn(&mut self, position: usize, many: usize, beside: usize) {
        self.clock += 1;
        self.used[position] = self.clock;
        let missing = many.saturating_sub(self.kept[position].len());
        if missing == 0 {
            return;
        }
        while self.numbers + missing > self.most_numbers && self.forget_oldest(position, beside) {}
        let mut values = std::mem::take(&mut self.kept[position]);
        let others = &self.order[values.len()..many];
        self.vectors.extend_kernels(self.kernel, self.order[position], others, &mut values);
        self.kept[position] = values;
        self.numbers += missing;
    }

    /// Whether there was anything to forget but two positions.
    fn forget_oldest(&mut self, position: usize, beside: usize) -> bool {
        let others = (0..self.kept.len()).filter(|other| *other != position && *other != beside);
        let oldest =
            others.filter(|&other| !self.kept[other].is_empty()).min_by_key(|&other| self.used[other]);
        let Some(oldest) = oldest else { return false };
        self.numbers -= std::mem::take(&mut self.kept[oldest]).len();
        true
    }

    /// Kernel of a position with those from `from` to `to`: what is known, or what can be kept, else made for this once.
    pub(super) fn part(&mut self, position: usize, from: usize, to: usize) -> Vec<f64> {
        let missing = to.saturating_sub(self.kept[position].len());
        if self.numbers + missing <= self.most_numbers {
            self.learn(position, to, position);
        }
        if self.kept[position].len() >= to {
            return self.kept[position][from..to].to_vec();
        }
        let mut made = Vec::with_capacity(to - from);
        self.vectors.extend_kernels(self.kernel, self.order[position], &self.order[from..to], &mut made);
        made
    }

    /// Puts positions in a new order, `places` saying which old position comes where: of the first `size` those that stay
    /// among the first `kept` in their order, then the others in theirs, then the rest as it was.
    pub(super) fn rearrange(&mut self, places: &[usize], size: usize, kept: usize) {
        let reordered = |values: Vec<f64>| -> Vec<f64> {
            if values.len() >= size {
                let tail = &values[size..];
                return places[..size].iter().map(|&old| values[old]).chain(tail.iter().copied()).collect();
            }
            // Of a shorter row only those that stay are still at the front.
            places[..kept].iter().take_while(|&&old| old < values.len()).map(|&old| values[old]).collect()
        };
        self.order = places.iter().map(|&old| self.order[old]).collect();
        self.used = places.iter().map(|&old| self.used[old]).collect();
        let mut rows = std::mem::take(&mut self.kept);
        self.kept = places.iter().map(|&old| reordered(std::mem::take(&mut rows[old]))).collect();
        self.numbers = self.kept.iter().map(Vec::len).sum();
    }
}
