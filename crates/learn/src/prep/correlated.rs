//! `correlated`: leaves out columns that say what an earlier one has said, by Pearson's correlation.

use super::kept::Kept;
use super::{Labels, PrepSpec, Step, Values};
use crate::LearnError;
use crate::params::{ParamKind, ParamSpec, Params};

/// The line of the table.
pub(super) static SPEC: PrepSpec = PrepSpec {
    name: "correlated",
    doc: "Leaves out each number whose correlation |r| with any earlier column (itself left out or not) is above a limit over \
          the training rows where both are present; text stays.",
    takes_lists: false,
    needs_numbers: false,
    needs_labels: false,
    params: &[ParamSpec {
        name: "above",
        kind: ParamKind::Float { min: 0.0, max: 1.0 },
        default: "0.98",
        doc: "The limit of |r|.",
    }],
    fit,
    load: |bytes| Kept::load(SPEC.name, bytes),
};

fn fit(params: &Params, columns: &[Values<'_>], _: Labels<'_>) -> Result<Box<dyn Step>, LearnError> {
    let above = params.float("above");
    let centred: Vec<Option<Centred>> = columns
        .iter()
        .map(|column| match column {
            Values::Numbers(numbers) => Some(Centred::of(numbers)),
            _ => None,
        })
        .collect();
    let says_again = |place: usize, column: &Centred| {
        centred[..place].iter().flatten().any(|earlier| earlier.correlation(column).abs() > above)
    };
    let keep = centred
        .iter()
        .enumerate()
        .map(|(place, column)| column.as_ref().is_none_or(|column| !says_again(place, column)))
        .collect();
    Ok(Box::new(Kept::new(SPEC.name, columns, keep)))
}

/// A column divided by its largest value (so that 1e300 squares), with mean 0 and length 1.
pub(crate) struct Centred {
    values: Vec<f64>,
    missing: bool,
}

impl Centred {
    /// Centres the present values; a constant column becomes NaN, whose correlation with anything is none.
    pub(crate) fn of(numbers: &[f64]) -> Self {
        let largest = numbers.iter().filter(|x| !x.is_nan()).fold(0f64, |most, x| most.max(x.abs()));
        let values: Vec<f64> = numbers.iter().map(|x| x / largest).collect();
        let missing = largest > 0.0 && values.iter().any(|x| x.is_nan());
        let mut column = Self { values, missing };
        let (mean, length) = column.mean_and_length();
        // as good as constant: what is left is rounding
        let length = if length > 1e-13 * (column.values.len() as f64).sqrt() { length } else { f64::NAN };
        column.values.iter_mut().for_each(|x| *x = (*x - mean) / length);
        column
    }

    fn mean_and_length(&self) -> (f64, f64) {
        let present = || self.values.iter().filter(|x| !x.is_nan());
        let mean = present().sum::<f64>() / present().count() as f64;
        (mean, present().map(|x| (x - mean).powi(2)).sum::<f64>().sqrt())
    }

    /// Pearson's r over the rows where both are present; NaN where one of them is constant.
    pub(crate) fn correlation(&self, other: &Self) -> f64 {
        if !self.missing && !other.missing {
            return dot(&self.values, &other.values);
        }
        let both = self.values.iter().zip(&other.values).filter(|(a, b)| !a.is_nan() && !b.is_nan());
        let (a, b): (Vec<f64>, Vec<f64>) = both.unzip();
        dot(&Self::of(&a).values, &Self::of(&b).values)
    }
}

/// In eight lanes, so that the machine can add them side by side.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn r(a: &[f64], b: &[f64]) -> f64 {
        Centred::of(a).correlation(&Centred::of(b))
    }

    #[test]
    fn correlation_by_hand() {
        // deviations -1.5 -0.5 0.5 1.5 and -1 1 -1 1: 2 / (sqrt 5 sqrt 4)
        let found = r(&[1.0, 2.0, 3.0, 4.0], &[0.0, 2.0, 0.0, 2.0]);
        assert!((found - 2.0 / 20f64.sqrt()).abs() < 1e-15, "{found}");
        assert!((r(&[1e300, 2e300, 3e300], &[-1e-300, -2e-300, -3e-300]) + 1.0).abs() < 1e-15);
        assert!(r(&[1.0, 2.0], &[3.0, 3.0]).is_nan() && r(&[0.0; 3], &[1.0, 2.0, 3.0]).is_nan());
        assert!(r(&[0.1; 9], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).is_nan());
        // the row where one is missing does not count for the other
        let found = r(&[1.0, 2.0, 3.0, 4.0, f64::NAN], &[0.0, 2.0, 0.0, 2.0, 1e9]);
        assert!((found - 2.0 / 20f64.sqrt()).abs() < 1e-12, "{found}");
    }

    #[test]
    fn the_later_of_two_goes_even_where_the_earlier_one_went() {
        let params = Params::check(SPEC.name, SPEC.params, &[("above".into(), "0.9".into())].into()).unwrap();
        let first: Vec<f64> = (0..40).map(f64::from).collect();
        let with = |amount: f64| {
            let wave = |(row, x): (usize, &f64)| x + amount * if row % 2 == 0 { 1.0 } else { -1.0 };
            Values::Numbers(first.iter().enumerate().map(wave).collect())
        };
        // the second goes by the first; the third by the second, though it is far from the first
        let columns = [with(0.0), with(4.0), with(12.0), Values::Words { codes: vec![0; 40], words: &[] }];
        let of = |a: usize, b: usize| match (&columns[a], &columns[b]) {
            (Values::Numbers(a), Values::Numbers(b)) => r(a, b),
            _ => f64::NAN,
        };
        assert!(of(0, 1) > 0.9 && of(1, 2) > 0.8 && of(0, 2) < 0.8, "{} {} {}", of(0, 1), of(1, 2), of(0, 2));
        let loose = Params::check(SPEC.name, SPEC.params, &[("above".into(), "0.8".into())].into()).unwrap();
        let kept =
            |params: &Params| fit(params, &columns, Labels::NONE).unwrap().apply(columns.to_vec()).len();
        assert_eq!((kept(&params), kept(&loose)), (3, 2));
    }
}
