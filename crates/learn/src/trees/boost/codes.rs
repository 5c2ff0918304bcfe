//! The matrix as boosting reads it: a byte per value, and one byte for many columns that are never set together.
//!
//! Columns of which all rows but a few have one and the same code, and whose other rows do not overlap (the indicator
//! columns of a category, for one), share a byte: exclusive feature bundling (Ke et al. 2017, section 4) without
//! conflicts, so that nothing is lost. The bin that is not kept of each is what its node has beside the kept ones.
//!
//! Eight such bytes of a row lie side by side in a tile: they are fetched at once, and the histograms of a tile fit the
//! first-level cache.

use std::ops::Range;

use rayon::prelude::*;

use super::super::bins::{Cuts, MISSING, encode_columns};
use super::categories::Categories;
use super::histogram::{CHUNK, COPIED};
use crate::LearnError;
use crate::matrix::Matrix;

/// Bundles of a tile.
pub(super) const TILE: usize = 8;

/// Most codes of a bundle.
const CODES_MAX: usize = 256;

/// Most bundles that a column is tried to be put into (as in LightGBM).
const TRIED_MAX: usize = 100;

/// A column that is not constant. Its slots are its bins in order, the last one for missing values if there are any.
pub(super) struct Column {
    /// Its number in the matrix.
    pub(super) index: usize,
    /// Bins with a value.
    pub(super) values: usize,
    /// Whether a value is missing anywhere.
    pub(super) missing: bool,
    /// What the slots stand for when they are categories.
    pub(super) categories: Option<Categories>,
    /// Where its codes are.
    pub(super) place: Place,
}

impl Column {
    /// Number of slots.
    pub(super) fn slots(&self) -> usize {
        self.values + usize::from(self.missing)
    }

    /// The slot of a code of its bundle.
    pub(super) fn slot(&self, code: u8) -> usize {
        let Some(shared) = self.place.shared else { return usize::from(code) };
        let kept = usize::from(code).wrapping_sub(shared.first);
        if kept >= self.slots() - 1 {
            return shared.common;
        }
        kept + usize::from(kept >= shared.common)
    }
}

/// Where the codes of a column are.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) tile: usize,
    /// Byte within a line of the tile.
    pub(super) lane: usize,
    /// For a column that is not alone in its bundle.
    pub(super) shared: Option<Shared>,
}

/// A column's part of a bundle: the codes from `first` on are its slots without `common`.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    pub(super) first: usize,
    pub(super) common: usize,
}

/// Up to [`TILE`] bundles of all rows.
pub(super) struct Tile {
    lines: Vec<[u8; TILE]>,
    /// Where the bins of each bundle start in a histogram, and the end.
    starts: Vec<usize>,
    /// Its columns among [`Codes::columns`].
    pub(super) columns: Range<usize>,
}

impl Tile {
    /// One line a row.
    pub(super) fn lines(&self) -> &[[u8; TILE]] {
        &self.lines
    }

    /// Bundles.
    pub(super) fn width(&self) -> usize {
        self.starts.len() - 1
    }

    /// Bins of each bundle.
    pub(super) fn bins(&self) -> impl Iterator<Item = usize> {
        self.starts.windows(2).map(|pair| pair[1] - pair[0])
    }

    /// Bins of all bundles.
    pub(super) fn cells(&self) -> usize {
        self.starts[self.width()]
    }

    /// Where the bins of a bundle start.
    pub(super) fn start(&self, lane: usize) -> usize {
        self.starts[lane]
    }
}

/// A matrix as codes.
pub(super) struct Codes {
    pub(super) rows: usize,
    pub(super) cuts: Cuts,
    /// Bundle by bundle.
    pub(super) columns: Vec<Column>,
    pub(super) tiles: Vec<Tile>,
    /// The lines of all tiles, row by row.
    by_row: Vec<[u8; TILE]>,
}

/// What is found in a column.
struct Census {
    index: usize,
    values: usize,
    missing: bool,
    categories: Option<Categories>,
    /// The most frequent slot.
    common: usize,
    /// Rows in other slots.
    others: usize,
}

impl Census {
    fn slots(&self) -> usize {
        self.values + usize::from(self.missing)
    }

    fn slot(&self, code: u8) -> usize {
        if code == MISSING { self.values } else { usize::from(code) }
    }
}

impl Codes {
    /// Encodes `x` (finite values and NaN) with at most `most` bins a column on the threads of the current pool.
    ///
    /// # Errors
    /// [`LearnError::Data`] when a column of categories has values that are none.
    pub(super) fn new(x: &Matrix, categorical: Option<&[bool]>, most: usize) -> Result<Self, LearnError> {
        let (cuts, mut by_column) = encode_columns(x, most);
        let rows = x.rows();
        let census: Result<Vec<Census>, LearnError> = by_column
            .par_chunks_mut(rows)
            .enumerate()
            .map(|(index, codes)| {
                let is_category = categorical.is_some_and(|categorical| categorical[index]);
                let categories =
                    is_category.then(|| Categories::encode(x, index, most, codes)).transpose()?;
                let values = categories.as_ref().map_or(cuts.of(index).len() + 1, Categories::len);
                Ok(take_census(index, values, categories, codes))
            })
            .collect();
        let varying: Vec<Census> = census?.into_iter().filter(|census| census.others > 0).collect();
        let bundles = bundle(&varying, &by_column, rows);
        let (columns, tiles) = lay_out(varying, bundles, &by_column, rows);
        let by_row = by_row(&tiles, rows);
        Ok(Self { rows, cuts, columns, tiles, by_row })
    }

    /// Copies the lines of some rows: of [`COPIED`] rows those of the first tile, then those of the second, and so on.
    pub(super) fn copy_out(&self, rows: &[u32], copy: &mut Vec<[u8; TILE]>) {
        let tiles = self.tiles.len();
        copy.resize(rows.len() * tiles, [0; TILE]);
        copy.par_chunks_mut(COPIED * tiles).zip(rows.par_chunks(COPIED)).for_each(|(copy, rows)| {
            for (place, &row) in rows.iter().enumerate() {
                let lines = &self.by_row[row as usize * tiles..][..tiles];
                copy[place..].iter_mut().step_by(rows.len()).zip(lines).for_each(|(to, line)| *to = *line);
            }
        });
    }
}

fn by_row(tiles: &[Tile], rows: usize) -> Vec<[u8; TILE]> {
    let mut by_row = vec![[0; TILE]; rows * tiles.len()];
    if tiles.is_empty() {
        return by_row;
    }
    by_row.par_chunks_mut(CHUNK * tiles.len()).enumerate().for_each(|(chunk, lines)| {
        for (tile, source) in tiles.iter().enumerate() {
            let to = lines[tile..].iter_mut().step_by(tiles.len());
            to.zip(&source.lines[chunk * CHUNK..]).for_each(|(to, line)| *to = *line);
        }
    });
    by_row
}

fn take_census(index: usize, values: usize, categories: Option<Categories>, codes: &[u8]) -> Census {
    let mut counts = [0usize; 256];
    codes.iter().for_each(|&code| counts[usize::from(code)] += 1);
    let missing = counts[usize::from(MISSING)] > 0;
    if values < usize::from(MISSING) {
        counts[values] = std::mem::take(&mut counts[usize::from(MISSING)]);
    }
    let (mut common, mut most) = (0, 0);
    for (slot, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        if count > most {
            (common, most) = (slot, count);
        }
    }
    Census { index, values, missing, categories, common, others: codes.len() - most }
}

/// Columns (places in `varying`) that share a byte, each in some bundle; bundles and columns ascend.
fn bundle(varying: &[Census], by_column: &[u8], rows: usize) -> Vec<Vec<usize>> {
    struct Open {
        set: Vec<u64>,
        others: usize,
        codes: usize,
        members: Vec<usize>,
    }
    let sparse = |census: &Census| census.others * 2 <= rows && census.slots() < CODES_MAX / 2;
    let mut order: Vec<usize> = (0..varying.len()).filter(|&place| sparse(&varying[place])).collect();
    order.sort_by_key(|&place| std::cmp::Reverse(varying[place].others));
    let mut alone: Vec<Vec<usize>> =
        (0..varying.len()).filter(|&place| !sparse(&varying[place])).map(|place| vec![place]).collect();
    let mut open: Vec<Open> = Vec::new();
    for place in order {
        let census = &varying[place];
        let set = bits(census, &by_column[census.index * rows..][..rows]);
        let codes = census.slots() - 1;
        let fits = |bundle: &Open| {
            bundle.codes + codes <= CODES_MAX
                && bundle.others + census.others <= rows
                && bundle.set.iter().zip(&set).all(|(taken, own)| taken & own == 0)
        };
        match open.iter().position(fits) {
            Some(found) => {
                let bundle = &mut open[found];
                bundle.set.iter_mut().zip(&set).for_each(|(taken, own)| *taken |= own);
                bundle.others += census.others;
                bundle.codes += codes;
                bundle.members.push(place);
            }
            None if open.len() < TRIED_MAX => {
                open.push(Open { set, others: census.others, codes: 1 + codes, members: vec![place] });
            }
            None => alone.push(vec![place]),
        }
    }
    alone.extend(open.into_iter().map(|mut bundle| {
        bundle.members.sort_unstable();
        bundle.members
    }));
    alone.sort_unstable_by_key(|members| members[0]);
    alone
}

/// One bit a row: whether it is in another slot than the common one.
fn bits(census: &Census, codes: &[u8]) -> Vec<u64> {
    let word = |codes: &[u8]| {
        let bit = |(place, code): (usize, &u8)| u64::from(census.slot(*code) != census.common) << place;
        codes.iter().enumerate().map(bit).sum()
    };
    codes.chunks(64).map(word).collect()
}

/// Places every bundle and writes its bytes.
fn lay_out(
    varying: Vec<Census>,
    bundles: Vec<Vec<usize>>,
    by_column: &[u8],
    rows: usize,
) -> (Vec<Column>, Vec<Tile>) {
    let mut varying: Vec<Option<Census>> = varying.into_iter().map(Some).collect();
    let (mut columns, mut tiles) = (Vec::new(), Vec::new());
    for (tile, bundles) in bundles.chunks(TILE).enumerate() {
        let first = columns.len();
        let mut starts = vec![0];
        for (lane, members) in bundles.iter().enumerate() {
            let is_shared = members.len() > 1;
            let mut next = usize::from(is_shared); // code 0: all are common
            for census in members.iter().filter_map(|&place| varying[place].take()) {
                let shared = is_shared.then_some(Shared { first: next, common: census.common });
                next += census.slots() - usize::from(is_shared);
                let Census { index, values, missing, categories, .. } = census;
                columns.push(Column {
                    index,
                    values,
                    missing,
                    categories,
                    place: Place { tile, lane, shared },
                });
            }
            starts.push(starts[lane] + next);
        }
        tiles.push(Tile { lines: Vec::new(), starts, columns: first..columns.len() });
    }
    tiles.par_iter_mut().for_each(|tile| {
        tile.lines = vec![[0; TILE]; rows];
        for column in &columns[tile.columns.clone()] {
            write_codes(column, &by_column[column.index * rows..][..rows], &mut tile.lines);
        }
    });
    (columns, tiles)
}

fn write_codes(column: &Column, codes: &[u8], lines: &mut [[u8; TILE]]) {
    let Place { lane, shared, .. } = column.place;
    let mut written: [Option<u8>; 256] = std::array::from_fn(|slot| Some(slot as u8));
    if let Some(Shared { first, common }) = shared {
        written = std::array::from_fn(|slot| {
            let kept = slot < column.slots() && slot != common;
            kept.then(|| (first + slot - usize::from(slot > common)) as u8)
        });
    }
    if column.values < usize::from(MISSING) {
        written[usize::from(MISSING)] = written[column.values];
    }
    for (line, &code) in lines.iter_mut().zip(codes) {
        if let Some(code) = written[usize::from(code)] {
            line[lane] = code;
        }
    }
}
