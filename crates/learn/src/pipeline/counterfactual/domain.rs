//! The values a feature may take in a counterfactual: between the least and the most seen, whole where all are whole, words seen.

use std::collections::BTreeMap;

use super::Movement;
use crate::pipeline::BaselineFeature;
use crate::table::{Column, MISSING};

/// Values tried per feature, evenly spread over the rows seen.
const QUANTILES: usize = 101;
/// Words tried per feature, the most frequent.
const MOST_WORDS: usize = 256;

/// The value of one feature of one row.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    /// NaN = missing.
    Number(f64),
    /// `None` = missing.
    Word(Option<String>),
    List(Vec<f64>),
}

impl Cell {
    pub(super) fn of(column: &Column, row: usize) -> Self {
        match column {
            Column::Text(text) => Self::Word(text.get(row).map(str::to_owned)),
            Column::List(lists) => Self::List(lists.get(row).to_vec()),
            numbers => Self::Number(numbers.number(row)),
        }
    }

    /// Whether both are the same value, missing being one.
    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a == b || (a.is_nan() && b.is_nan()),
            (Self::Word(a), Self::Word(b)) => a == b,
            _ => true,
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) if number.is_nan() => Ok(()),
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => f.write_str(word.as_deref().unwrap_or_default()),
            Self::List(list) => write!(f, "{} values", list.len()),
        }
    }
}

/// Where one feature may go.
#[derive(Debug)]
pub(super) enum Domain {
    Fixed,
    Number {
        /// Values seen, ascending and distinct; never empty.
        values: Vec<f64>,
        whole: bool,
        movement: Movement,
    },
    /// Sorted.
    Words(Vec<String>),
}

impl Domain {
    pub(super) fn of_column(column: &Column, movement: Movement) -> Self {
        match column {
            _ if movement == Movement::Fixed => Self::Fixed,
            Column::List(_) => Self::Fixed,
            Column::Text(text) => {
                let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
                text.codes.iter().filter(|code| **code != MISSING).for_each(|code| {
                    *counts.entry(*code).or_default() += 1;
                });
                let mut ranked: Vec<(usize, &String)> =
                    counts.into_iter().map(|(code, rows)| (rows, &text.words[code as usize])).collect();
                ranked.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
                Self::words(ranked.into_iter().take(MOST_WORDS).map(|(_, word)| word.clone()).collect())
            }
            numbers => {
                let value = |row| numbers.number(row);
                let mut seen: Vec<f64> = (0..numbers.len()).map(value).filter(|x| x.is_finite()).collect();
                seen.sort_unstable_by(f64::total_cmp);
                let whole = seen.iter().all(|x| x.fract() == 0.0);
                let place = |percent: usize| {
                    seen[(percent * (seen.len() - 1) + (QUANTILES - 1) / 2) / (QUANTILES - 1)]
                };
                let values = if seen.is_empty() { Vec::new() } else { (0..QUANTILES).map(place).collect() };
                Self::numbers(values, whole, movement)
            }
        }
    }

    pub(super) fn of_baseline(feature: &BaselineFeature, movement: Movement) -> Self {
        match feature {
            _ if movement == Movement::Fixed => Self::Fixed,
            BaselineFeature::Number { quantiles, .. } => {
                let whole = quantiles.iter().all(|x| x.fract() == 0.0);
                Self::numbers(quantiles.clone(), whole, movement)
            }
            BaselineFeature::Text { shares, .. } => {
                Self::words(shares.iter().map(|(word, _)| word.clone()).collect())
            }
        }
    }

    fn numbers(mut values: Vec<f64>, whole: bool, movement: Movement) -> Self {
        values.dedup();
        if values.is_empty() { Self::Fixed } else { Self::Number { values, whole, movement } }
    }

    fn words(mut words: Vec<String>) -> Self {
        words.sort_unstable();
        if words.is_empty() { Self::Fixed } else { Self::Words(words) }
    }

    /// Whether a feature may go from one value to another.
    pub(super) fn allows(&self, from: &Cell, to: &Cell) -> bool {
        match (self, from, to) {
            (Self::Number { values, whole, movement }, Cell::Number(from), Cell::Number(to)) => {
                let seen = values[0] <= *to && *to <= values[values.len() - 1];
                let towards = match movement {
                    Movement::Any => true,
                    Movement::Up => to > from,
                    Movement::Down => to < from,
                    Movement::Fixed => false,
                };
                seen && towards && (!whole || to.fract() == 0.0)
            }
            (Self::Words(words), Cell::Word(_), Cell::Word(Some(to))) => words.binary_search(to).is_ok(),
            _ => false,
        }
    }

    /// The values worth trying instead of `from`.
    pub(super) fn candidates(&self, from: &Cell) -> Vec<Cell> {
        let all: Vec<Cell> = match self {
            Self::Fixed => Vec::new(),
            Self::Number { values, .. } => values.iter().map(|&value| Cell::Number(value)).collect(),
            Self::Words(words) => words.iter().map(|word| Cell::Word(Some(word.clone()))).collect(),
        };
        all.into_iter().filter(|to| !to.same(from) && self.allows(from, to)).collect()
    }

    /// How far it is from one value to another, from 0 to 1: half by the share of values seen in between, half by the
    /// distance in the range; a change of word, or from missing, is 1.
    pub(super) fn cost(&self, from: &Cell, to: &Cell) -> f64 {
        let (Self::Number { values, .. }, Cell::Number(from), Cell::Number(to)) = (self, from, to) else {
            return 1.0;
        };
        let rank = |x: f64| values.partition_point(|value| *value < x) as f64 / values.len() as f64;
        let range = values[values.len() - 1] / 2.0 - values[0] / 2.0;
        let part = ((to / 2.0 - from / 2.0) / range).abs().min(1.0);
        let cost = 0.5 * (rank(*to) - rank(*from)).abs() + 0.5 * part;
        if cost.is_nan() { 1.0 } else { cost }
    }

    /// The value halfway between, whole where it must be; `None` when there is none.
    pub(super) fn between(&self, from: &Cell, to: &Cell) -> Option<Cell> {
        let (Self::Number { whole, .. }, Cell::Number(from), Cell::Number(to)) = (self, from, to) else {
            return None;
        };
        let middle = from / 2.0 + to / 2.0;
        let middle = if *whole { middle.trunc() } else { middle };
        (middle.is_finite() && middle != *from && middle != *to).then_some(Cell::Number(middle))
    }
}
