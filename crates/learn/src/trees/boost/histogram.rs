//! Sums of derivatives per bin, in whole numbers, so that no sum depends on the order of its terms.
//!
//! The first derivative of a row is rounded to 32 bits of the largest one, the second likewise; sums have 64 bits. A
//! second derivative shares its 64 bits with the number of rows, so that a bin is two integers which the processor
//! adds at once. What LightGBM keeps as two `f64` per bin costs the same here, and is exact: the bins of one child are
//! those of its parent minus those of the other child, and a bin that all other rows share need not be counted at all.

use std::ops::{AddAssign, Sub, SubAssign};

use rayon::prelude::*;

use super::codes::{TILE, Tile};

/// Rows that one thread takes at a time.
pub(super) const CHUNK: usize = 8192;

/// What one row adds to its bins, in the units of [`Scale`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    first: i32,
    second: u32,
}

/// Sums over the rows of a bin (or a node): first derivatives; second derivatives below and rows above [`Scale::shift`].
///
/// Aligned so that the processor loads, adds and stores both at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(16))]
pub(super) struct Cell {
    first: i64,
    rest: u64,
}

impl Cell {
    /// Whether no row is counted.
    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.rest == 0
    }
}

impl AddAssign for Cell {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.first = self.first.wrapping_add(other.first);
        self.rest = self.rest.wrapping_add(other.rest);
    }
}

impl SubAssign for Cell {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        self.first = self.first.wrapping_sub(other.first);
        self.rest = self.rest.wrapping_sub(other.rest);
    }
}

impl Sub for Cell {
    type Output = Self;

    #[inline]
    fn sub(mut self, other: Self) -> Self {
        self -= other;
        self
    }
}

/// The units of [`Mark`] and [`Cell`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// First derivative of one unit.
    first: f64,
    /// Second derivative of one unit.
    second: f64,
    /// Bits of a cell's second derivatives; the rows are counted in the bits above.
    shift: u32,
}

/// Sums as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) first: f64,
    pub(super) second: f64,
    pub(super) rows: u64,
}

impl Scale {
    /// What the integers of a cell stand for.
    #[inline]
    pub(super) fn sums(&self, cell: Cell) -> Sums {
        let second = cell.rest & ((1 << self.shift) - 1);
        Sums {
            first: cell.first as f64 * self.first,
            second: second as i64 as f64 * self.second,
            rows: cell.rest >> self.shift,
        }
    }

    #[inline]
    fn cell(&self, mark: Mark) -> Cell {
        Cell { first: i64::from(mark.first), rest: 1 << self.shift | u64::from(mark.second) }
    }

    /// The sums over some rows.
    pub(super) fn total(&self, rows: &[u32], marks: &[Mark]) -> Cell {
        let of_chunk = |rows: &[u32]| {
            let mut sum = Cell::default();
            rows.iter().for_each(|&row| sum += self.cell(marks[row as usize]));
            sum
        };
        let add = |mut sum: Cell, other: Cell| {
            sum += other;
            sum
        };
        rows.par_chunks(CHUNK).map(of_chunk).reduce(Cell::default, add)
    }
}

/// Rounds first and second derivatives (pairs, one a row) to `marks`; their units.
pub(super) fn quantise(derivatives: &[[f64; 2]], marks: &mut [Mark]) -> Scale {
    let largest = |chunk: &[[f64; 2]]| {
        chunk.iter().fold([0.0f64; 3], |[first, second, sum], pair| {
            [first.max(pair[0].abs()), second.max(pair[1]), sum + pair[1]]
        })
    };
    let chunks: Vec<[f64; 3]> = derivatives.par_chunks(CHUNK).map(largest).collect();
    let [first, second, sum] = chunks.iter().fold([0.0f64; 3], |[first, second, sum], chunk| {
        [first.max(chunk[0]), second.max(chunk[1]), sum + chunk[2]]
    });
    let rows = derivatives.len() as u64;
    let shift = rows.leading_zeros(); // the rows fit above
    let room = (1u64 << shift.min(63)) as f64 * 0.999 - rows as f64; // each rounding may add half a unit
    let per_unit = |units: f64, value: f64| (units / value.max(f64::MIN_POSITIVE)).min(2f64.powi(200));
    let firsts = per_unit(f64::from(i32::MAX), first);
    let seconds = per_unit(f64::from(u32::MAX), second).min(per_unit(room, sum));
    marks.par_chunks_mut(CHUNK).zip(derivatives.par_chunks(CHUNK)).for_each(|(marks, pairs)| {
        for (mark, pair) in marks.iter_mut().zip(pairs) {
            *mark =
                Mark { first: nearest(pair[0] * firsts) as i32, second: nearest(pair[1] * seconds) as u32 };
        }
    });
    Scale { first: 1.0 / firsts, second: 1.0 / seconds, shift: shift.min(63) }
}

/// The nearest whole number (below 2^51) in the low bits: there is no faster rounding on every x86-64.
#[inline]
fn nearest(value: f64) -> u64 {
    const SHIFTER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52: one unit in the last place is 1
    (value + SHIFTER).to_bits()
}

/// Rows fetched before any of them is counted: the processor waits for all of them at once.
const BLOCK: usize = 64;

/// Rows of which the lines of one tile lie side by side in [`Lines::Copied`]; not a power of two, so that the lines of
/// one row in several tiles do not compete for the same places in the cache.
pub(super) const COPIED: usize = 1032;

/// The lines of some rows in one tile.
#[derive(Clone, Copy)]
pub(super) enum Lines<'a> {
    /// Of all rows.
    All(&'a [[u8; TILE]]),
    /// Of these rows.
    Of { lines: &'a [[u8; TILE]], rows: &'a [u32] },
    /// Of rows copied out ([`super::codes::Codes::copy_out`]).
    Copied { copy: &'a [[u8; TILE]], tile: usize, tiles: usize },
}

/// The bins of a tile while rows are added: a code always has a bin, so that no index is checked.
pub(super) struct Scratch([[Cell; STRIDE]; TILE]);

/// Bins from one bundle to the next: a cache line more than codes need. 4096 bytes apart, the bins that most rows share
/// would compete for one place of the cache, and the processor would take each of them for the one written just before.
const STRIDE: usize = 256 + 4;

impl Scratch {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self([[Cell::default(); STRIDE]; TILE]))
    }

    /// The histogram of the rows with these lines and marks, in the layout of [`Tile::starts`].
    pub(super) fn count(&mut self, tile: &Tile, lines: Lines<'_>, marks: &[Mark], scale: Scale) -> Vec<Cell> {
        match tile.width() {
            1 => self.add::<1>(lines, marks, scale),
            2 => self.add::<2>(lines, marks, scale),
            3 => self.add::<3>(lines, marks, scale),
            4 => self.add::<4>(lines, marks, scale),
            5 => self.add::<5>(lines, marks, scale),
            6 => self.add::<6>(lines, marks, scale),
            7 => self.add::<7>(lines, marks, scale),
            _ => self.add::<TILE>(lines, marks, scale),
        }
        self.take(tile)
    }

    fn add<const WIDTH: usize>(&mut self, lines: Lines<'_>, marks: &[Mark], scale: Scale) {
        match lines {
            Lines::All(lines) => self.add_rows::<WIDTH>(lines, marks, scale),
            Lines::Of { lines, rows } => {
                let mut fetched = [[0; TILE]; BLOCK];
                for (rows, marks) in rows.chunks(BLOCK).zip(marks.chunks(BLOCK)) {
                    fetched.iter_mut().zip(rows).for_each(|(line, &row)| *line = lines[row as usize]);
                    self.add_rows::<WIDTH>(&fetched, marks, scale);
                }
            }
            Lines::Copied { copy, tile, tiles } => {
                for (chunk, marks) in marks.chunks(COPIED).enumerate() {
                    let lines = &copy[chunk * COPIED * tiles + tile * marks.len()..][..marks.len()];
                    self.add_rows::<WIDTH>(lines, marks, scale);
                }
            }
        }
    }

    #[inline(always)]
    fn add_rows<const WIDTH: usize>(&mut self, lines: &[[u8; TILE]], marks: &[Mark], scale: Scale) {
        let mut added = [Cell::default(); BLOCK];
        for (lines, marks) in lines.chunks(BLOCK).zip(marks.chunks(BLOCK)) {
            added.iter_mut().zip(marks).for_each(|(cell, mark)| *cell = scale.cell(*mark));
            for (line, cell) in lines.iter().zip(&added[..marks.len()]) {
                for (cells, &code) in self.0.iter_mut().zip(line).take(WIDTH) {
                    cells[usize::from(code)] += *cell;
                }
            }
        }
    }

    /// Moves the bins that exist out and leaves zeros.
    fn take(&mut self, tile: &Tile) -> Vec<Cell> {
        let mut cells = Vec::with_capacity(tile.cells());
        for (scratch, bins) in self.0.iter_mut().zip(tile.bins()) {
            cells.extend_from_slice(&scratch[..bins]);
            scratch[..bins].fill(Cell::default());
        }
        cells
    }
}
