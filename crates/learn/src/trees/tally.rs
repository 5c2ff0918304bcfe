//! Class counts per bin, and the best cut of a column found from them.
//!
//! Two tallies do the same: [`Pair`] counts two classes in one integer per bin, [`Classes`] sums weights of any
//! number of classes. Both touch only the bins that occur in the node, so that small nodes cost what they hold.

/// What a split is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Criterion {
    /// Gini impurity, 1 - Σ p² (Breiman et al. 1984).
    Gini,
    /// Shannon entropy, -Σ p ln p.
    Entropy,
}

/// A row of the tree being grown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<M> {
    /// Where the row's codes are: add a column's offset.
    pub(super) at: u32,
    /// What the row adds to a tally.
    pub(super) mark: M,
}

/// The best cut found so far in a node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// Minus the weighted impurity of both sides.
    pub(super) score: f64,
    pub(super) column: usize,
    /// Last occupied bin on the left.
    pub(super) low: u8,
    /// First occupied bin on the right; the same as `low` when only missing values are on the right.
    pub(super) high: u8,
    /// Where missing values go; `None` when there are none in the node.
    pub(super) missing_left: Option<bool>,
}

/// A column as a node sees it.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    pub(super) index: usize,
    /// Codes, by [`Item::at`].
    pub(super) codes: &'a [u8],
    /// Whether the only codes are 0 and 1.
    pub(super) is_binary: bool,
}

/// Counts classes per bin.
pub(super) trait Tally {
    /// What one row adds.
    type Mark: Copy + Send;
    /// Totals of a node.
    type Sum;

    /// The totals of these rows.
    fn sum(&self, items: &[Item<Self::Mark>]) -> Self::Sum;

    /// Makes ready to search columns for a node with these totals.
    fn start(&mut self, node: &Self::Sum);

    /// Looks for a cut better than `best` with at least `leaf_rows` rows on each side; whether the column has more than one value here.
    fn search(
        &mut self,
        column: Column<'_>,
        items: &[Item<Self::Mark>],
        node: &Self::Sum,
        leaf_rows: usize,
        best: &mut Option<Best>,
    ) -> bool;

    /// Whether all rows are of one class.
    fn is_pure(&self, sum: &Self::Sum) -> bool;

    /// Impurity × weight.
    fn impurity(&self, sum: &Self::Sum) -> f64;

    /// Total weight.
    fn weight(&self, sum: &Self::Sum) -> f64;

    /// Appends the share of each class.
    fn shares(&self, sum: &Self::Sum, out: &mut Vec<f64>);
}

/// The occupied bins of a histogram, visited in order.
#[derive(Default)]
struct Touched([u64; 4]);

impl Touched {
    #[inline]
    fn touch(&mut self, code: u8) {
        self.0[usize::from(code >> 6)] |= 1 << (code & 63);
    }

    #[inline]
    fn has(&self, code: u8) -> bool {
        self.0[usize::from(code >> 6)] >> (code & 63) & 1 == 1
    }

    #[inline]
    fn clear(&mut self, code: u8) {
        self.0[usize::from(code >> 6)] &= !(1 << (code & 63));
    }

    fn single(&self) -> bool {
        self.0.iter().map(|word| word.count_ones()).sum::<u32>() == 1
    }

    #[inline]
    fn for_each(&self, mut visit: impl FnMut(u8)) {
        for (index, &word) in (0u8..).zip(&self.0) {
            let mut rest = word;
            while rest != 0 {
                visit(index * 64 + rest.trailing_zeros() as u8);
                rest &= rest - 1;
            }
        }
    }
}

const MISSING: u8 = super::bins::MISSING;

/// Bits of each count in a [`Pair`] cell: copies of class 0, copies of class 1, rows.
const FIELD: u32 = 21;
const FIELD_MASK: u64 = (1 << FIELD) - 1;
const ONE_ROW: u64 = 1 << (2 * FIELD);

/// Rows from which a histogram is kept in [`LANES`] parts, so that additions to one bin need not wait for each other.
const LANES_FROM: usize = 1024;
const LANES: usize = 4;

/// Two classes of rows that weigh whole numbers: three counts in one integer.
pub(super) struct Pair {
    /// All 0 between searches.
    cells: Box<[[u64; 256]; LANES]>,
    /// The occupied bins of a small node, in the order met, and room for one more.
    met: Box<[u8; 257]>,
    class_weights: [f64; 2],
    criterion: Criterion,
}

impl Pair {
    /// Most copies of rows a tree may have.
    pub(super) const COPIES_MAX: usize = FIELD_MASK as usize;

    pub(super) fn new(class_weights: [f64; 2], criterion: Criterion) -> Self {
        Self { cells: Box::new([[0; 256]; LANES]), met: Box::new([0; 257]), class_weights, criterion }
    }

    /// What `copies` copies of a row of `class` (0 or 1) add.
    pub(super) fn mark(class: u32, copies: u16) -> u64 {
        ONE_ROW + (u64::from(copies) << (class * FIELD))
    }

    #[inline]
    fn weights(&self, cell: u64) -> [f64; 2] {
        let zeros = (cell & FIELD_MASK) as u32;
        let ones = (cell >> FIELD & FIELD_MASK) as u32;
        [f64::from(zeros) * self.class_weights[0], f64::from(ones) * self.class_weights[1]]
    }

    #[inline]
    fn side(&self, cell: u64) -> f64 {
        let [zeros, ones] = self.weights(cell);
        match self.criterion {
            Criterion::Gini => 2.0 * zeros * ones / (zeros + ones),
            Criterion::Entropy => x_ln_x(zeros + ones) - x_ln_x(zeros) - x_ln_x(ones),
        }
    }

    /// Counts into the first lane and says which bins are occupied.
    fn count_few(&mut self, codes: &[u8], items: &[Item<u64>]) -> Touched {
        let cells = &mut self.cells[0];
        let mut met = 0;
        for item in items {
            let code = codes[item.at as usize];
            let cell = &mut cells[usize::from(code)];
            self.met[met] = code;
            met += usize::from(*cell == 0);
            *cell += item.mark;
        }
        let mut touched = Touched::default();
        self.met[..met].iter().for_each(|&code| touched.touch(code));
        touched
    }

    /// Counts into all lanes, adds them up in the first, and says which bins are occupied.
    fn count_many(&mut self, codes: &[u8], items: &[Item<u64>]) -> Touched {
        let (chunks, rest) = items.as_chunks::<LANES>();
        for chunk in chunks {
            for (cells, item) in self.cells.iter_mut().zip(chunk) {
                cells[usize::from(codes[item.at as usize])] += item.mark;
            }
        }
        let [first, others @ ..] = &mut *self.cells;
        for item in rest {
            first[usize::from(codes[item.at as usize])] += item.mark;
        }
        for cells in others {
            first.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += std::mem::take(cell));
        }
        let mut touched = Touched::default();
        (0..=255u8).zip(first).filter(|(_, cell)| **cell > 0).for_each(|(code, _)| touched.touch(code));
        touched
    }
}

impl Tally for Pair {
    type Mark = u64;
    type Sum = u64;

    fn sum(&self, items: &[Item<u64>]) -> u64 {
        items.iter().map(|item| item.mark).sum()
    }

    fn start(&mut self, _node: &u64) {}

    fn search(
        &mut self,
        column: Column<'_>,
        items: &[Item<u64>],
        node: &u64,
        leaf_rows: usize,
        best: &mut Option<Best>,
    ) -> bool {
        let enough = |cell: u64| (cell >> (2 * FIELD)) as usize >= leaf_rows;
        let mut consider = |this: &Self, left: u64, low: u8, high: u8, missing_left: Option<bool>| {
            let right = node - left;
            if !enough(left) || !enough(right) {
                return;
            }
            let score = -(this.side(left) + this.side(right));
            if best.is_none_or(|best| score > best.score) {
                *best = Some(Best { score, column: column.index, low, high, missing_left });
            }
        };
        if column.is_binary {
            let ones: u64 =
                items.iter().map(|item| item.mark * u64::from(column.codes[item.at as usize])).sum();
            let varies = ones != 0 && ones != *node;
            if varies {
                consider(self, node - ones, 0, 1, None);
            }
            return varies;
        }
        let few = items.len() < LANES_FROM;
        let mut touched =
            if few { self.count_few(column.codes, items) } else { self.count_many(column.codes, items) };
        let missing = touched.has(MISSING).then(|| std::mem::take(&mut self.cells[0][usize::from(MISSING)]));
        if touched.single() {
            touched.for_each(|code| self.cells[0][usize::from(code)] = 0);
            return false;
        }
        touched.clear(MISSING);
        let (mut left, mut low) = (0u64, None);
        touched.for_each(|code| {
            if let Some(low) = low {
                consider(self, left, low, code, missing.map(|_| false));
                if let Some(missing) = missing {
                    consider(self, left + missing, low, code, Some(true));
                }
            }
            left += std::mem::take(&mut self.cells[0][usize::from(code)]);
            low = Some(code);
        });
        if let (Some(low), Some(_)) = (low, missing) {
            consider(self, left, low, low, Some(false));
        }
        true
    }

    fn is_pure(&self, sum: &u64) -> bool {
        sum & FIELD_MASK == 0 || sum >> FIELD & FIELD_MASK == 0
    }

    fn impurity(&self, sum: &u64) -> f64 {
        self.side(*sum)
    }

    fn weight(&self, sum: &u64) -> f64 {
        self.weights(*sum).iter().sum()
    }

    fn shares(&self, sum: &u64, out: &mut Vec<f64>) {
        push_shares(&self.weights(*sum), out);
    }
}

/// A weighted row of a class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighted {
    pub(super) class: u32,
    pub(super) weight: f64,
}

/// Any number of classes, any weights: one sum per bin and class that occurs in the node, and a count of rows.
pub(super) struct Classes {
    /// Bin after bin: the weight of each class that occurs, then rows. All 0 between searches.
    cells: Vec<f64>,
    /// Place in a cell of each class.
    slots: Vec<usize>,
    /// The node's totals and those left of a cut, in the form of a cell.
    node: Vec<f64>,
    left: Vec<f64>,
    classes: usize,
    criterion: Criterion,
}

impl Classes {
    pub(super) fn new(classes: usize, criterion: Criterion) -> Self {
        let cells = vec![0.0; 256 * (classes + 1)];
        Self { cells, slots: vec![0; classes], node: Vec::new(), left: Vec::new(), classes, criterion }
    }

    fn side(&self, weights: &[f64]) -> f64 {
        let total: f64 = weights.iter().sum();
        match self.criterion {
            Criterion::Gini => total - weights.iter().map(|weight| weight * weight).sum::<f64>() / total,
            Criterion::Entropy => x_ln_x(total) - weights.iter().map(|&weight| x_ln_x(weight)).sum::<f64>(),
        }
    }

    /// Impurity × weight of what is left and right of a cut.
    fn sides(&self) -> f64 {
        let present = self.node.len() - 1;
        let pairs =
            self.left[..present].iter().zip(&self.node).map(|(&left, node)| (left, (node - left).max(0.0)));
        let (mut lefts, mut rights) = ((0.0, 0.0), (0.0, 0.0));
        match self.criterion {
            Criterion::Gini => {
                for (left, right) in pairs {
                    lefts = (lefts.0 + left, lefts.1 + left * left);
                    rights = (rights.0 + right, rights.1 + right * right);
                }
                lefts.0 - lefts.1 / lefts.0 + rights.0 - rights.1 / rights.0
            }
            Criterion::Entropy => {
                for (left, right) in pairs {
                    lefts = (lefts.0 + left, lefts.1 + x_ln_x(left));
                    rights = (rights.0 + right, rights.1 + x_ln_x(right));
                }
                x_ln_x(lefts.0) - lefts.1 + x_ln_x(rights.0) - rights.1
            }
        }
    }

    /// Judges the cut with `self.left` on the left.
    fn consider(&self, leaf_rows: usize, cut: Best, best: &mut Option<Best>) {
        let present = self.node.len() - 1;
        let (left, leaf_rows) = (self.left[present], leaf_rows as f64);
        if left < leaf_rows || self.node[present] - left < leaf_rows {
            return;
        }
        let score = -self.sides();
        if best.is_none_or(|best| score > best.score) {
            *best = Some(Best { score, ..cut });
        }
    }

    fn add_to_left(&mut self, code: u8) {
        let stride = self.node.len();
        let cell = &self.cells[usize::from(code) * stride..][..stride];
        self.left.iter_mut().zip(cell).for_each(|(left, cell)| *left += cell);
    }

    fn clear_cell(&mut self, code: u8) {
        let stride = self.node.len();
        self.cells[usize::from(code) * stride..][..stride].fill(0.0);
    }

    /// Adds the rows to their bins and says which are occupied.
    fn count(&mut self, codes: &[u8], items: &[Item<Weighted>]) -> Touched {
        let stride = self.node.len();
        let mut touched = Touched::default();
        for item in items {
            let code = codes[item.at as usize];
            touched.touch(code);
            let cell = &mut self.cells[usize::from(code) * stride..][..stride];
            cell[self.slots[item.mark.class as usize]] += item.mark.weight;
            cell[stride - 1] += 1.0;
        }
        touched
    }

    /// Searches a column whose codes are 0 and 1: no histogram is needed.
    fn search_binary(
        &mut self,
        column: Column<'_>,
        items: &[Item<Weighted>],
        leaf_rows: usize,
        best: &mut Option<Best>,
    ) -> bool {
        let present = self.node.len() - 1;
        self.left.fill(0.0);
        // Ones are fewer in indicator columns: they are counted and taken from the whole.
        for item in items.iter().filter(|item| column.codes[item.at as usize] == 1) {
            self.left[self.slots[item.mark.class as usize]] += item.mark.weight;
            self.left[present] += 1.0;
        }
        self.left.iter_mut().zip(&self.node).for_each(|(left, node)| *left = (node - *left).max(0.0));
        let varies = self.left[present] > 0.0 && self.left[present] < self.node[present];
        if varies {
            let cut = Best { score: 0.0, column: column.index, low: 0, high: 1, missing_left: None };
            self.consider(leaf_rows, cut, best);
        }
        varies
    }
}

impl Tally for Classes {
    type Mark = Weighted;
    type Sum = Vec<f64>;

    fn sum(&self, items: &[Item<Weighted>]) -> Vec<f64> {
        let mut sum = vec![0.0; self.classes + 1];
        for item in items {
            sum[item.mark.class as usize] += item.mark.weight;
        }
        sum[self.classes] = items.len() as f64;
        sum
    }

    fn start(&mut self, node: &Vec<f64>) {
        self.node.clear();
        for (class, &weight) in node[..self.classes].iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            self.slots[class] = self.node.len();
            self.node.push(weight);
        }
        self.node.push(node[self.classes]);
        self.left.resize(self.node.len(), 0.0);
    }

    fn search(
        &mut self,
        column: Column<'_>,
        items: &[Item<Weighted>],
        _node: &Vec<f64>,
        leaf_rows: usize,
        best: &mut Option<Best>,
    ) -> bool {
        if column.is_binary {
            return self.search_binary(column, items, leaf_rows, best);
        }
        let touched = self.count(column.codes, items);
        let varies = !touched.single();
        if varies {
            let missing = touched.has(MISSING);
            let mut present = Touched(touched.0);
            present.clear(MISSING);
            let mut cut = Best { score: 0.0, column: column.index, low: 0, high: 0, missing_left: None };
            self.left.fill(0.0);
            let mut first = true;
            present.for_each(|code| {
                cut = Best { high: code, missing_left: missing.then_some(false), ..cut };
                if !first {
                    self.consider(leaf_rows, cut, best);
                    if missing {
                        let kept = self.left.clone();
                        self.add_to_left(MISSING);
                        self.consider(leaf_rows, Best { missing_left: Some(true), ..cut }, best);
                        self.left = kept;
                    }
                }
                self.add_to_left(code);
                (cut.low, first) = (code, false);
            });
            if missing {
                self.consider(leaf_rows, Best { high: cut.low, missing_left: Some(false), ..cut }, best);
            }
        }
        touched.for_each(|code| self.clear_cell(code));
        varies
    }

    fn is_pure(&self, sum: &Vec<f64>) -> bool {
        sum[..self.classes].iter().filter(|&&weight| weight > 0.0).count() <= 1
    }

    fn impurity(&self, sum: &Vec<f64>) -> f64 {
        self.side(&sum[..self.classes])
    }

    fn weight(&self, sum: &Vec<f64>) -> f64 {
        sum[..self.classes].iter().sum()
    }

    fn shares(&self, sum: &Vec<f64>, out: &mut Vec<f64>) {
        push_shares(&sum[..self.classes], out);
    }
}

#[inline]
fn x_ln_x(x: f64) -> f64 {
    if x > 0.0 { x * x.ln() } else { 0.0 }
}

fn push_shares(weights: &[f64], out: &mut Vec<f64>) {
    let total: f64 = weights.iter().sum();
    out.extend(weights.iter().map(|weight| weight / total));
}
