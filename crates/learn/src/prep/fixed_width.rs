//! `fixed-width`: each list column becomes so many numbers, learnt from the training rows or given; netml's padding
//! (arXiv 2006.16993), but kept in the model, so that other captures come out as wide.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::{Labels, Outline, PrepSpec, Step, Values, check_kinds, finite};
use crate::LearnError;
use crate::corm::{pack, unpack};
use crate::params::{ParamKind, ParamSpec, Params};
use crate::table::FeatureKind;

/// Columns a list becomes at most.
const MOST_WIDTH: usize = 10_000;

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "fixed-width",
    doc: "Replaces each list column by as many numbers as most lists are long: longer lists are cut, shorter ones filled up \
          with 0. Comes before the other steps, which take no lists.",
    takes_lists: true,
    needs_numbers: false,
    needs_labels: false,
    params: &[
        ParamSpec {
            name: "q",
            kind: ParamKind::Float { min: 0.0, max: 1.0 },
            default: "0.9",
            doc: "The width is this quantile of the lengths of the training rows' lists, rounded down, at least 1.",
        },
        ParamSpec {
            name: "width",
            kind: ParamKind::Int { min: 0, max: MOST_WIDTH as i64 },
            default: "0",
            doc: "The width of every list column in place of the quantile; 0 = learn it.",
        },
        ParamSpec {
            name: "fft",
            kind: ParamKind::Bool,
            default: "false",
            doc: "Replace the numbers by the real part of their discrete Fourier transform.",
        },
    ],
    fit,
    load: |bytes| {
        let step: FixedWidth = unpack("step `fixed-width`", bytes)?;
        step.check()?;
        Ok(Box::new(step))
    },
};

#[derive(Serialize, Deserialize)]
struct FixedWidth {
    columns: Vec<Width>,
    fft: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Width {
    Number,
    Text,
    List(usize),
}

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let width = |column: &Values<'_>| match (column, params.int("width")) {
        (Values::Numbers(_), _) => Width::Number,
        (Values::Words { .. }, _) => Width::Text,
        (Values::Lists(lists), 0) => Width::List(usual_length(lists, params.float("q"))),
        (Values::Lists(_), width) => Width::List(width),
    };
    Ok(Box::new(FixedWidth { columns: columns.iter().map(width).collect(), fft: params.bool("fft") }))
}

/// The quantile of the lengths, by linear interpolation and rounded down.
fn usual_length(lists: &[&[f64]], q: f64) -> usize {
    let mut lengths: Vec<usize> = lists.iter().map(|list| list.len()).collect();
    lengths.sort_unstable();
    let position = q * lengths.len().saturating_sub(1) as f64;
    let at = |place: f64| lengths.get(place as usize).map_or(0.0, |&length| length as f64);
    let (low, high) = (at(position.floor()), at(position.ceil()));
    let quantile = low + (high - low) * position.fract();
    (quantile as usize).clamp(1, MOST_WIDTH)
}

impl FixedWidth {
    fn check(&self) -> Result<(), LearnError> {
        let sound = |width: &Width| !matches!(width, Width::List(width) if !(1..=MOST_WIDTH).contains(width));
        if self.columns.iter().all(sound) {
            return Ok(());
        }
        Err(LearnError::File(format!("step `fixed-width` has a width that is not from 1 to {MOST_WIDTH}")))
    }

    /// Columns of the transform have a name of their own: they are no values of the list.
    fn name(&self, column: &Outline, place: usize) -> String {
        let fft = if self.fft { "_fft" } else { "" };
        format!("{}{fft}_{place}", column.name)
    }
}

impl Step for FixedWidth {
    fn outline(&self, columns: &[Outline]) -> Result<Vec<Outline>, LearnError> {
        let kind = |width: &Width| match width {
            Width::Number => FeatureKind::Number,
            Width::Text => FeatureKind::Text,
            Width::List(_) => FeatureKind::List,
        };
        check_kinds(SPEC.name, &self.columns.iter().map(kind).collect::<Vec<_>>(), columns)?;
        let mut out = Vec::new();
        for (width, column) in self.columns.iter().zip(columns) {
            let Width::List(width) = *width else {
                out.push(column.clone());
                continue;
            };
            out.extend((1..=width).map(|place| Outline {
                name: self.name(column, place),
                kind: FeatureKind::Number,
                source: column.source,
                categorical: false,
            }));
        }
        Ok(out)
    }

    fn apply<'a>(&self, columns: Vec<Values<'a>>) -> Vec<Values<'a>> {
        let mut out = Vec::new();
        for (width, column) in self.columns.iter().zip(columns) {
            match (*width, column) {
                (Width::List(width), Values::Lists(lists)) => {
                    out.extend(side_by_side(&lists, width, self.fft).into_iter().map(Values::Numbers));
                }
                (_, column) => out.push(column),
            }
        }
        out
    }

    fn save(&self) -> Result<Vec<u8>, LearnError> {
        pack("step `fixed-width`", self)
    }
}

/// One column per place.
fn side_by_side(lists: &[&[f64]], width: usize, fft: bool) -> Vec<Vec<f64>> {
    let mut columns = vec![vec![0.0; lists.len()]; width];
    let cosines = if fft { cosines(width) } else { Vec::new() };
    for (row, list) in lists.iter().enumerate() {
        let values = list.iter().take(width).map(|&value| finite(value));
        if fft {
            let values: Vec<f64> = values.collect();
            columns
                .iter_mut()
                .enumerate()
                .for_each(|(bin, column)| column[row] = real(&values, bin, &cosines));
        } else {
            columns.iter_mut().zip(values).for_each(|(column, value)| column[row] = value);
        }
    }
    columns
}

fn cosines(width: usize) -> Vec<f64> {
    (0..width).map(|place| (TAU * place as f64 / width as f64).cos()).collect()
}

/// The real part of bin `bin` of the transform of `values`, padded with 0 to the number of cosines. By the definition:
/// the sum of real values needs no more than a cosine each, and widths are small.
fn real(values: &[f64], bin: usize, cosines: &[f64]) -> f64 {
    let term = |(place, value): (usize, &f64)| value * cosines[place * bin % cosines.len()];
    finite(values.iter().enumerate().map(term).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTS: [&[f64]; 4] = [&[1.0, 2.0, 3.0, 4.0], &[], &[5.0], &[6.0, 7.0]];

    fn columns(given: &[(&str, &str)]) -> Vec<Values<'static>> {
        let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let params = Params::check(SPEC.name, SPEC.params, &given).unwrap();
        let values = vec![Values::Numbers(vec![9.0; 4]), Values::Lists(LISTS.to_vec())];
        let step = fit(&params, &values, Labels::NONE).unwrap();
        step.apply(values)
    }

    fn numbers(columns: &[Values<'_>]) -> Vec<Vec<f64>> {
        let one = |column: &Values<'_>| match column {
            Values::Numbers(numbers) => numbers.clone(),
            other => panic!("{other:?}"),
        };
        columns.iter().map(one).collect()
    }

    #[test]
    fn the_width_is_the_quantile_of_the_lengths() {
        // Lengths 0, 1, 2, 4: position 2.7 lies between 2 and 4.
        assert_eq!(usual_length(&LISTS, 0.9), 3);
        assert_eq!(usual_length(&LISTS, 0.5), 1);
        assert_eq!(usual_length(&LISTS, 1.0), 4);
        assert_eq!((usual_length(&LISTS[1..2], 0.9), usual_length(&[], 0.9)), (1, 1));
    }

    #[test]
    fn lists_are_cut_and_filled_up() {
        let expected = [[9.0; 4], [1.0, 0.0, 5.0, 6.0], [2.0, 0.0, 0.0, 7.0], [3.0, 0.0, 0.0, 0.0]];
        assert_eq!(numbers(&columns(&[])), expected);
        assert_eq!(numbers(&columns(&[("width", "2")])), expected[..3]);
        assert_eq!(columns(&[("width", "7")]).len(), 8);
    }

    #[test]
    fn the_transform_is_of_the_padded_vector() {
        let found = numbers(&columns(&[("width", "4"), ("fft", "true")]));
        // [1 2 3 4]: 10, -2 + 2i, -2, -2 - 2i. [6 7 0 0]: 13, 6 - 7i, -1, 6 + 7i.
        for (bin, expected) in
            [[10.0, 0.0, 5.0, 13.0], [-2.0, 0.0, 5.0, 6.0], [-2.0, 0.0, 5.0, -1.0]].into_iter().enumerate()
        {
            let near = found[bin + 1].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(near, "bin {bin}: {:?}", found[bin + 1]);
        }
        assert_eq!(found[4].len(), 4);
    }

    #[test]
    fn columns_are_named_after_their_place_and_keep_their_source() {
        let step = FixedWidth { columns: vec![Width::Number, Width::List(2)], fft: true };
        let column =
            |name: &str, kind, source| Outline { name: name.to_owned(), kind, source, categorical: false };
        let columns = [column("x", FeatureKind::Number, 0), column("gaps", FeatureKind::List, 1)];
        let out = step.outline(&columns).unwrap();
        let found: Vec<_> = out.iter().map(|column| (column.name.as_str(), column.source)).collect();
        assert_eq!(found, [("x", 0), ("gaps_fft_1", 1), ("gaps_fft_2", 1)]);
    }

    #[test]
    fn a_width_beyond_reason_is_refused() {
        let step = FixedWidth { columns: vec![Width::List(MOST_WIDTH + 1)], fft: false };
        assert!((SPEC.load)(&step.save().unwrap()).is_err());
    }
}
