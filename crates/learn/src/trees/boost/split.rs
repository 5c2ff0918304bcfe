//! The best split of a node, from the histograms of its columns.
//!
//! With G and H the sums of first and second derivatives of a side, its best value is -T(G)/(H+l2), T taking l1 off
//! the size of G, and what it takes off the loss is ½ T(G)²/(H+l2) (Chen & Guestrin 2016, equations 5 to 7). The gain
//! of a split is twice what the sides take off together beyond what the node does; the constant factor decides nothing.

use super::categories::SlotSet;
use super::codes::Column;
use super::histogram::{Cell, Scale, Sums};

/// Most categories on the lesser side of a split (LightGBM's `max_cat_threshold`).
const CATEGORIES_MAX: usize = 32;

/// Up to this many slots, each category is tried against all others (LightGBM's `max_cat_to_onehot`).
const ONE_AGAINST_REST_MAX: usize = 4;

/// What a split must hold, and how sides are valued.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Fewest rows of a leaf.
    pub(crate) min_rows: u64,
    /// Least sum of second derivatives of a leaf.
    pub(crate) min_hessian: f64,
    pub(crate) l1: f64,
    pub(crate) l2: f64,
    /// More `l2` for the sides of a split by categories.
    pub(crate) category_l2: f64,
    /// Rows' worth of second derivatives that pull the value of a category to 0 when categories are put in order, and
    /// fewest rows of a category that is moved.
    pub(crate) category_smooth: f64,
    /// Per column 1 when the margin must not fall with it, -1 when it must not rise; empty = none.
    pub(crate) monotone: Vec<i8>,
}

/// Lowest and highest value of a leaf that constraints above it allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bounds {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Bounds {
    pub(super) const NONE: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
}

/// A split and what it gains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) gain: f64,
    /// Place among [`super::codes::Codes::columns`].
    pub(super) column: usize,
    pub(super) sides: Sides,
    pub(super) left: Cell,
    /// Values of both sides, before the learning rate.
    pub(super) values: [f64; 2],
}

/// What goes left.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sides {
    /// Slots up to `low`; no row of the node is between `low` and `high`, and `high` is `low` when only missing values
    /// are on the right. `missing_left` is `None` when the node has no missing values.
    Cut { low: u8, high: u8, missing_left: Option<bool> },
    /// These categories; all others and missing values go right.
    Set(SlotSet),
}

/// A node to be split.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) sum: Cell,
    pub(super) bounds: Bounds,
    /// Value of the node were it a leaf.
    pub(super) value: f64,
    /// Columns (by index in the matrix) that may be used; `None` = all.
    pub(super) allowed: Option<&'a [bool]>,
}

impl Rules {
    /// Best value of a side.
    pub(super) fn value(&self, sums: Sums, bounds: Bounds) -> f64 {
        self.value_with(self.l2, sums, bounds)
    }

    #[inline]
    fn value_with(&self, l2: f64, sums: Sums, bounds: Bounds) -> f64 {
        let weight = sums.second + l2;
        let value = if weight > 0.0 { -self.shrunk(sums.first) / weight } else { 0.0 };
        value.clamp(bounds.low, bounds.high)
    }

    /// T(G).
    #[inline]
    fn shrunk(&self, first: f64) -> f64 {
        if self.l1 > 0.0 { first.signum() * (first.abs() - self.l1).max(0.0) } else { first }
    }

    /// Twice what a side with this value takes off the loss.
    #[inline]
    fn worth(&self, l2: f64, sums: Sums, value: f64) -> f64 {
        -(2.0 * self.shrunk(sums.first) + (sums.second + l2) * value) * value
    }

    fn monotone(&self, column: &Column) -> i8 {
        self.monotone.get(column.index).copied().unwrap_or(0)
    }

    /// The cuts behind occupied bins that leave enough on both sides: slot, what is left of it, and both sides; `left`
    /// is on the left of all of them.
    #[inline(always)]
    fn for_each_cut(
        &self,
        scale: Scale,
        sum: Cell,
        cells: &[Cell],
        mut left: Cell,
        mut visit: impl FnMut(usize, Cell, [Sums; 2]),
    ) {
        for (slot, cell) in cells.iter().enumerate() {
            if cell.is_empty() {
                continue;
            }
            left += *cell;
            let lefts = scale.sums(left);
            if !self.is_leaf(lefts) {
                continue;
            }
            let rights = scale.sums(sum - left);
            if !self.is_leaf(rights) {
                break;
            }
            visit(slot, left, [lefts, rights]);
        }
    }

    #[inline]
    fn is_leaf(&self, sums: Sums) -> bool {
        sums.rows >= self.min_rows && sums.second >= self.min_hessian && sums.second > 0.0
    }
}

/// Looks for the best split of one node over some columns.
pub(super) struct Search<'a> {
    rules: &'a Rules,
    scale: Scale,
    node: Node<'a>,
    /// What the node is worth unsplit.
    unsplit: f64,
    /// Whether the value of a side is free, so that what it is worth is G²/(H+l2).
    is_free: bool,
    pub(super) best: Option<Split>,
}

impl<'a> Search<'a> {
    pub(super) fn new(rules: &'a Rules, scale: Scale, node: Node<'a>) -> Self {
        let unsplit = rules.worth(rules.l2, scale.sums(node.sum), node.value);
        let is_free = rules.l1 == 0.0 && node.bounds == Bounds::NONE;
        Self { rules, scale, node, unsplit, is_free, best: None }
    }

    /// Looks at a column with these bins, in the layout of its bundle.
    pub(super) fn column(&mut self, place: usize, column: &Column, bundle: &[Cell], room: &mut Vec<Cell>) {
        if self.node.allowed.is_some_and(|allowed| !allowed[column.index]) {
            return;
        }
        let cells = match column.place.shared {
            None => bundle,
            Some(shared) => {
                let others = &bundle[shared.first..][..column.slots() - 1];
                let mut common = self.node.sum;
                others.iter().for_each(|cell| common -= *cell);
                room.clear();
                room.extend_from_slice(&others[..shared.common]);
                room.push(common);
                room.extend_from_slice(&others[shared.common..]);
                room
            }
        };
        if column.categories.is_some() {
            self.categories(place, &cells[..column.values]);
        } else {
            self.numbers(place, column, cells);
        }
    }

    fn numbers(&mut self, place: usize, column: &Column, cells: &[Cell]) {
        let (values, missing) = cells.split_at(column.values);
        let missing = missing.first().copied().filter(|cell| !cell.is_empty());
        let sign = self.rules.monotone(column);
        let found = match missing {
            None => self.scan(place, sign, &values[..values.len() - 1], Cell::default(), None),
            Some(missing) => {
                let right = self.scan(place, sign, values, Cell::default(), Some(false));
                let left = self.scan(place, sign, &values[..values.len() - 1], missing, Some(true));
                right || left
            }
        };
        if let (true, Some(Split { sides: Sides::Cut { low, high, .. }, .. })) = (found, &mut self.best) {
            let above = usize::from(*low) + 1;
            let next = values[above..].iter().position(|cell| !cell.is_empty());
            *high = next.map_or(*low, |next| (above + next) as u8);
        }
    }

    /// Tries the cut behind each occupied bin, with `left` on the left beside; whether one is the best so far.
    fn scan(
        &mut self,
        place: usize,
        sign: i8,
        cells: &[Cell],
        left: Cell,
        missing_left: Option<bool>,
    ) -> bool {
        if self.is_free && sign == 0 {
            return self.scan_free(place, cells, left, missing_left);
        }
        let cut = |slot: usize| Sides::Cut { low: slot as u8, high: slot as u8, missing_left };
        let mut found = false;
        let (rules, scale, node) = (self.rules, self.scale, self.node);
        rules.for_each_cut(scale, node.sum, cells, left, |slot, left, sides| {
            found |= self.consider(place, sign, rules.l2, cut(slot), left, sides);
        });
        found
    }

    /// The same where values are free: most of the time of a fit on many bins is spent here.
    fn scan_free(&mut self, place: usize, cells: &[Cell], left: Cell, missing_left: Option<bool>) -> bool {
        let (rules, scale, unsplit) = (self.rules, self.scale, self.unsplit);
        let worth = |side: Sums| side.first * side.first / (side.second + rules.l2);
        let (mut most, mut found) = (self.best.map_or(0.0, |best| best.gain), None);
        rules.for_each_cut(scale, self.node.sum, cells, left, |slot, left, [lefts, rights]| {
            let gain = worth(lefts) + worth(rights) - unsplit;
            if gain > most && gain < f64::INFINITY {
                (most, found) = (gain, Some((slot, left)));
            }
        });
        let Some((slot, left)) = found else { return false };
        let value = |side: Cell| rules.value(scale.sums(side), Bounds::NONE);
        let sides = Sides::Cut { low: slot as u8, high: slot as u8, missing_left };
        let values = [value(left), value(self.node.sum - left)];
        self.best = Some(Split { gain: most, column: place, sides, left, values });
        true
    }

    /// Keeps a split that is better than the best so far.
    #[inline]
    fn consider(
        &mut self,
        column: usize,
        sign: i8,
        l2: f64,
        sides: Sides,
        left: Cell,
        sums: [Sums; 2],
    ) -> bool {
        let values = sums.map(|sums| self.rules.value_with(l2, sums, self.node.bounds));
        if (sign > 0 && values[0] > values[1]) || (sign < 0 && values[0] < values[1]) {
            return false;
        }
        let worth = self.rules.worth(l2, sums[0], values[0]) + self.rules.worth(l2, sums[1], values[1]);
        let gain = worth - self.unsplit;
        let is_best = gain > self.best.map_or(0.0, |best| best.gain) && gain.is_finite();
        if is_best {
            self.best = Some(Split { gain, column, sides, left, values });
        }
        is_best
    }

    /// Tries sets of categories: each alone when there are few, else the first and the last of them in the order of
    /// their values (Fisher 1958: the best partition in two is one of the order), those with few rows left out.
    fn categories(&mut self, place: usize, cells: &[Cell]) {
        if cells.len() <= ONE_AGAINST_REST_MAX {
            for slot in (0..cells.len()).filter(|&slot| !cells[slot].is_empty()) {
                self.consider_set(place, self.rules.l2, &[slot], cells[slot]);
            }
            return;
        }
        let smooth = self.rules.category_smooth;
        let of = |slot: usize| self.scale.sums(cells[slot]);
        let mut order: Vec<(f64, usize)> = (0..cells.len())
            .map(|slot| (of(slot), slot))
            .filter(|(sums, _)| sums.rows > 0 && sums.rows as f64 >= smooth)
            .map(|(sums, slot)| (sums.first / (sums.second + smooth).max(f64::MIN_POSITIVE), slot))
            .collect();
        order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut order: Vec<usize> = order.into_iter().map(|(_, slot)| slot).collect();
        let most = CATEGORIES_MAX.min(order.len().div_ceil(2));
        for _ in 0..2 {
            let mut left = Cell::default();
            for last in 0..most {
                left += cells[order[last]];
                self.consider_set(place, self.rules.l2 + self.rules.category_l2, &order[..=last], left);
            }
            order.reverse();
        }
    }

    fn consider_set(&mut self, place: usize, l2: f64, slots: &[usize], left: Cell) {
        let sums = [left, self.node.sum - left].map(|side| self.scale.sums(side));
        if sums.iter().all(|&side| self.rules.is_leaf(side)) {
            let mut set = SlotSet::default();
            slots.iter().for_each(|&slot| set.insert(slot));
            self.consider(place, 0, l2, Sides::Set(set), left, sums);
        }
    }
}
