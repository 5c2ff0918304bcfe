//! Values as bytes: each column is cut into at most 255 bins, and a 256th code stands for "missing".
//!
//! A column with at most 255 distinct values is cut at the midpoints between neighbours, so that trees on the codes
//! are the exact trees of CART; other columns are cut at quantiles. Comparing codes decides exactly as comparing
//! values with the cut does: `code(value) <= cut  <=>  value <= cuts[cut]`.

use rayon::prelude::*;

use super::draw::below;
use crate::matrix::Matrix;
use crate::rng;

/// Code of a missing value.
pub(super) const MISSING: u8 = 255;

/// Most bins of a column, without the one for missing values.
pub(super) const BINS_MAX: usize = 255;

/// Columns binned at once: eight `f64` share a cache line of the row-major matrix.
const COLUMNS_AT_ONCE: usize = 8;

/// Most rows looked at to find the quantiles of a column.
const SAMPLE_MAX: usize = 200_000;

/// The cuts of every column: ascending values, `value <= cut` is left of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cuts {
    /// Cuts of all columns; those of each column end with +∞, the cut between values and missing ones.
    values: Vec<f64>,
    /// Where each column starts, and the end.
    starts: Vec<u32>,
}

impl Cuts {
    /// Takes the ascending cuts of each column.
    pub(super) fn new<'a>(columns: impl Iterator<Item = &'a [f64]>) -> Self {
        let (mut values, mut starts) = (Vec::new(), vec![0]);
        for cuts in columns {
            values.extend_from_slice(cuts);
            values.push(f64::INFINITY);
            starts.push(values.len() as u32);
        }
        Self { values, starts }
    }

    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        self.starts.len() - 1
    }

    /// The finite cuts of a column.
    pub(super) fn of(&self, column: usize) -> &[f64] {
        &self.values[self.starts[column] as usize..self.starts[column + 1] as usize - 1]
    }

    /// The value of a cut; +∞ for the one behind the last.
    #[inline]
    pub(super) fn value(&self, column: usize, cut: usize) -> f64 {
        self.values[self.starts[column] as usize + cut]
    }

    /// Of the cuts that part bin `low` from bin `high` with nothing in between, the one nearest to the middle.
    pub(super) fn middle(&self, column: usize, low: u8, high: u8) -> u8 {
        let cuts = &self.of(column)[usize::from(low)..usize::from(high)];
        let middle = f64::midpoint(cuts[0], cuts[cuts.len() - 1]);
        let above = cuts.partition_point(|&cut| cut < middle).min(cuts.len() - 1);
        let nearest =
            if above > 0 && middle - cuts[above - 1] < cuts[above] - middle { above - 1 } else { above };
        low + nearest as u8
    }

    /// Of the cuts that part bin `low` from bin `high`, that at `share` of the way from the lower bin's middle to the
    /// upper one's: of columns that keep every value a bin, the way from value to value.
    pub(super) fn random(&self, column: usize, low: u8, high: u8, share: f64) -> u8 {
        let cuts = self.of(column);
        let middle = |bin: usize| match (bin.checked_sub(1).map(|below| cuts[below]), cuts.get(bin)) {
            (Some(below), Some(&above)) => f64::midpoint(below, above),
            (Some(below), None) => below + (below - cuts[bin.saturating_sub(2)]) / 2.0,
            (None, Some(&above)) => above - (cuts[1.min(cuts.len() - 1)] - above) / 2.0,
            (None, None) => 0.0,
        };
        let (low, high) = (usize::from(low), usize::from(high));
        let (from, to) = (middle(low), middle(high));
        let drawn = from * (1.0 - share) + to * share;
        cuts.partition_point(|&cut| cut < drawn).clamp(low, high - 1) as u8
    }

    /// The code of a value.
    #[inline]
    pub(super) fn code(&self, column: usize, value: f64) -> u8 {
        code(self.of(column), value)
    }
}

/// Number of cuts below `value`.
#[inline]
fn code(cuts: &[f64], value: f64) -> u8 {
    if value.is_nan() { MISSING } else { cuts.partition_point(|&cut| cut < value) as u8 }
}

/// A matrix as codes.
pub(crate) struct Bins {
    pub(super) cuts: Cuts,
    rows: usize,
    /// Whether the only codes of a column are 0 and 1.
    binary: Vec<bool>,
    /// Column after column: what large nodes read.
    by_column: Vec<u8>,
    /// Row after row: what small nodes copy out.
    by_row: Vec<u8>,
}

impl Bins {
    /// Cuts and encodes every column of `x` (finite values and NaN) on the threads of the current pool.
    pub(super) fn new(x: &Matrix) -> Self {
        let (rows, columns) = (x.rows(), x.columns());
        let (cuts, by_column) = encode_columns(x, BINS_MAX);
        let by_row = transpose(&by_column, rows, columns);
        let binary = by_column.par_chunks(rows).map(|codes| codes.iter().all(|&code| code < 2)).collect();
        Self { cuts, rows, binary, by_column, by_row }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub(super) fn columns(&self) -> usize {
        self.cuts.columns()
    }

    /// Whether the only codes of a column are 0 and 1.
    #[inline]
    pub(super) fn is_binary(&self, column: usize) -> bool {
        self.binary[column]
    }

    /// All codes, column after column.
    pub(super) fn by_column(&self) -> &[u8] {
        &self.by_column
    }

    /// The codes of one row.
    #[inline]
    pub(super) fn row(&self, row: usize) -> &[u8] {
        let columns = self.columns();
        &self.by_row[row * columns..(row + 1) * columns]
    }

    /// [`Cuts::random`].
    pub(super) fn random_cut(&self, column: usize, low: u8, high: u8, share: f64) -> u8 {
        self.cuts.random(column, low, high, share)
    }

    /// [`Cuts::middle`].
    pub(super) fn middle(&self, column: usize, low: u8, high: u8) -> u8 {
        self.cuts.middle(column, low, high)
    }
}

/// Cuts every column of `x` (finite values and NaN) into at most `most` bins on the threads of the current pool; the
/// cuts, and the codes column after column.
pub(super) fn encode_columns(x: &Matrix, most: usize) -> (Cuts, Vec<u8>) {
    let mut by_column = vec![0u8; x.rows() * x.columns()];
    let cuts: Vec<Vec<f64>> = by_column
        .par_chunks_mut(x.rows() * COLUMNS_AT_ONCE)
        .enumerate()
        .flat_map_iter(|(block, codes)| encode_block(x, block * COLUMNS_AT_ONCE, most, codes))
        .collect();
    (Cuts::new(cuts.iter().map(Vec::as_slice)), by_column)
}

/// Encodes the columns from `first` on into `codes` and returns their cuts.
fn encode_block(x: &Matrix, first: usize, most: usize, codes: &mut [u8]) -> Vec<Vec<f64>> {
    let width = codes.len() / x.rows();
    let mut values = vec![0.0; codes.len()];
    for (row, line) in x.iter_rows().enumerate() {
        for (column, &value) in line[first..first + width].iter().enumerate() {
            values[column * x.rows() + row] = value + 0.0; // -0 becomes 0
        }
    }
    let columns = values.chunks_exact(x.rows()).zip(codes.chunks_exact_mut(x.rows())).enumerate();
    columns
        .map(|(column, (values, codes))| {
            let cuts = find_cuts(values, most, (first + column) as u64);
            encode(values, &cuts, codes);
            cuts
        })
        .collect()
}

fn encode(values: &[f64], cuts: &[f64], codes: &mut [u8]) {
    match *cuts {
        [] => codes
            .iter_mut()
            .zip(values)
            .for_each(|(code, value)| *code = if value.is_nan() { MISSING } else { 0 }),
        [cut] => codes.iter_mut().zip(values).for_each(|(code, value)| {
            *code = if value.is_nan() { MISSING } else { u8::from(*value > cut) };
        }),
        _ => codes.iter_mut().zip(values).for_each(|(to, &value)| *to = code(cuts, value)),
    }
}

fn transpose(by_column: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    const TILE: usize = 256;
    let mut by_row = vec![0u8; rows * columns];
    by_row.par_chunks_mut(TILE * columns).enumerate().for_each(|(tile, lines)| {
        let first = tile * TILE;
        let height = lines.len() / columns;
        for column in 0..columns {
            let codes = &by_column[column * rows + first..column * rows + first + height];
            for (line, &code) in lines.chunks_exact_mut(columns).zip(codes) {
                line[column] = code;
            }
        }
    });
    by_row
}

/// The cuts of one column into at most `most` bins; `stream` numbers the random numbers used for a sample of long columns.
fn find_cuts(values: &[f64], most: usize, stream: u64) -> Vec<f64> {
    if let Some(distinct) = few_distinct(values, most) {
        return distinct.windows(2).map(|pair| between(pair[0], pair[1])).collect();
    }
    let mut sample = sample(values, stream);
    sample.sort_unstable();
    let mut runs: Vec<(f64, usize)> = Vec::new();
    for run in sample.chunk_by(|a, b| a == b) {
        runs.push((from_ordered(run[0]), run.len()));
    }
    quantile_cuts(&runs, most)
}

/// The distinct values in ascending order when there are at most `most`.
fn few_distinct(values: &[f64], most: usize) -> Option<Vec<f64>> {
    const SLOTS: usize = 1024;
    const EMPTY: u64 = u64::MAX; // the bits of a NaN
    let mut slots = [EMPTY; SLOTS];
    let mut distinct = Vec::new();
    let mut last = EMPTY;
    for value in values {
        let bits = value.to_bits();
        if bits == last || value.is_nan() {
            continue;
        }
        last = bits;
        let mut slot = (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
        while slots[slot] != bits && slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        if slots[slot] == EMPTY {
            if distinct.len() == most {
                return None;
            }
            slots[slot] = bits;
            distinct.push(*value);
        }
    }
    distinct.sort_unstable_by(f64::total_cmp);
    Some(distinct)
}

/// The values that are there, or one from each stretch of a long column, as ordered integers.
fn sample(values: &[f64], stream: u64) -> Vec<u64> {
    let present = values.iter().filter(|value| !value.is_nan());
    if values.len() <= SAMPLE_MAX {
        return present.map(|&value| to_ordered(value)).collect();
    }
    let mut rng = rng::stream(0, "bins", stream);
    let stretch = values.len().div_ceil(SAMPLE_MAX);
    let pick = |part: &[f64]| part[below(&mut rng, part.len() as u64) as usize];
    values.chunks(stretch).map(pick).filter(|value| !value.is_nan()).map(to_ordered).collect()
}

/// Bits whose integer order is the order of the (finite) numbers.
fn to_ordered(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

fn from_ordered(bits: u64) -> f64 {
    f64::from_bits(if bits >> 63 == 1 { bits & !(1 << 63) } else { !bits })
}

/// Cuts that part (value, rows) runs into at most `most` bins of about equal rows; a value with more than its share has a bin for itself.
fn quantile_cuts(runs: &[(f64, usize)], most: usize) -> Vec<f64> {
    let rows: usize = runs.iter().map(|run| run.1).sum();
    let heavy = |run: &(f64, usize)| run.1 * most >= rows;
    let heavies = runs.iter().filter(|run| heavy(run)).count();
    let light_rows: usize = runs.iter().filter(|run| !heavy(run)).map(|run| run.1).sum();
    let share = light_rows as f64 / (most - heavies.min(most)).max(1) as f64;
    let (mut cuts, mut inside) = (Vec::new(), 0usize);
    for pair in runs.windows(2) {
        inside += pair[0].1;
        let closes =
            heavy(&pair[0]) || inside as f64 >= share || (heavy(&pair[1]) && inside as f64 >= share / 2.0);
        if closes && cuts.len() < most - 1 {
            cuts.push(between(pair[0].0, pair[1].0));
            inside = 0;
        }
    }
    cuts
}

/// The midpoint, or `low` where rounding would reach `high`.
fn between(low: f64, high: f64) -> f64 {
    let middle = f64::midpoint(low, high);
    if middle < high { middle } else { low }
}

#[cfg(test)]
mod tests {
    use super::super::draw::unit;
    use super::*;

    fn cuts_of(values: &[f64]) -> Vec<f64> {
        find_cuts(values, BINS_MAX, 0)
    }

    #[test]
    fn few_values_are_cut_at_midpoints() {
        assert_eq!(cuts_of(&[3.0, 1.0, f64::NAN, 1.0, 2.0]), [1.5, 2.5]);
        assert_eq!(cuts_of(&[f64::NAN, f64::NAN]), [0.0; 0]);
        let next = f64::from_bits(1.0f64.to_bits() + 1);
        assert_eq!(cuts_of(&[1.0, next]), [1.0], "no number lies between: the lower one is the cut");
        assert_eq!(cuts_of(&[-f64::MAX, f64::MAX]), [0.0]);
        let many: Vec<f64> = (0..255).map(f64::from).collect();
        assert_eq!(cuts_of(&many).len(), 254);
    }

    #[test]
    fn many_values_are_cut_into_even_bins_and_heavy_ones_stand_alone() {
        let mut rng = rng::stream(5, "test", 0);
        let mut values: Vec<f64> = (0..30_000).map(|_| unit(&mut rng)).collect();
        values.extend([0.5; 3000]);
        let cuts = cuts_of(&values);
        assert!((200..=254).contains(&cuts.len()), "{} cuts", cuts.len());
        let mut rows = [0usize; 256];
        values.iter().for_each(|&value| rows[usize::from(code(&cuts, value))] += 1);
        let heavy = usize::from(code(&cuts, 0.5));
        assert_eq!(rows[heavy], 3000);
        let light = (0..=cuts.len()).filter(|&bin| bin != heavy);
        assert!(light.clone().all(|bin| rows[bin] < 300), "{rows:?}");
    }

    #[test]
    fn codes_decide_as_values_do() {
        let mut rng = rng::stream(6, "test", 0);
        let mut values: Vec<f64> = (0..2000).map(|_| (unit(&mut rng) - 0.5) * 1e3).collect();
        values.extend([0.0, -0.0, f64::MIN_POSITIVE, -5e-324, 1e300, -1e300]);
        let cuts = Cuts::new([cuts_of(&values)].iter().map(Vec::as_slice));
        let probes =
            values.iter().copied().chain(cuts.of(0).to_vec()).chain([f64::INFINITY, f64::NEG_INFINITY]);
        for value in probes {
            for cut in 0..=cuts.of(0).len() {
                assert_eq!(
                    usize::from(cuts.code(0, value)) <= cut,
                    value <= cuts.value(0, cut),
                    "{value} at {cut}"
                );
            }
        }
        assert_eq!(cuts.code(0, f64::NAN), MISSING);
    }

    #[test]
    fn a_matrix_is_encoded_by_column_and_by_row() {
        let values: Vec<f64> = (0..300 * 11).map(|place| f64::from(place * 7919 % 13)).collect();
        let x = Matrix::from_values(300, 11, values);
        let bins = Bins::new(&x);
        for row in 0..300 {
            for column in 0..11 {
                let code = bins.by_column()[column * 300 + row];
                assert_eq!(f64::from(code), x.row(row)[column]);
                assert_eq!(code, bins.row(row)[column]);
            }
        }
        assert_eq!(bins.middle(0, 2, 9), 5, "of the cuts 2.5 .. 8.5 the middle one");
    }
}
