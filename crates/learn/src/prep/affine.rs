//! A shift and a scale per numeric column: what `robust` and `min-max` learn, and the arithmetic that keeps huge values finite.

use serde::{Deserialize, Serialize};

use super::{Outline, Values, check_kinds, finite, numbers};
use crate::LearnError;
use crate::table::FeatureKind;

/// (x - shift) / scale without overflow on the way.
pub(super) fn scaled(x: f64, shift: f64, scale: f64) -> f64 {
    let shifted = x - shift;
    finite(if shifted.is_infinite() { x / scale - shift / scale } else { shifted / scale })
}

/// What is done to one column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Affine {
    Text,
    Number { shift: f64, scale: f64 },
}

impl Affine {
    /// The shift and the scale, or scale 1 for a column as good as constant (scikit-learn's rule: a range below 10 times the
    /// machine's precision).
    pub(super) fn new(shift: f64, range: f64) -> Self {
        let scale = if range < 10.0 * f64::EPSILON { 1.0 } else { finite(range) };
        Self::Number { shift, scale }
    }

    fn kind(&self) -> FeatureKind {
        if *self == Self::Text { FeatureKind::Text } else { FeatureKind::Number }
    }

    fn apply(self, x: f64) -> f64 {
        match self {
            Self::Text => x,
            Self::Number { shift, scale } => scaled(x, shift, scale),
        }
    }
}

/// Refuses saved columns that would not leave numbers.
pub(super) fn check(step: &str, columns: &[Affine]) -> Result<(), LearnError> {
    let bad = |column: &Affine| matches!(column, Affine::Number { shift, scale } if !(shift.is_finite() && scale.is_finite() && *scale > 0.0));
    match columns.iter().position(bad) {
        Some(place) => {
            Err(LearnError::File(format!("step `{step}` has no valid scale for column {}", place + 1)))
        }
        None => Ok(()),
    }
}

/// The columns stay, but codes are codes no more.
pub(super) fn outline(
    step: &str,
    fitted: &[Affine],
    columns: &[Outline],
) -> Result<Vec<Outline>, LearnError> {
    check_kinds(step, &fitted.iter().map(Affine::kind).collect::<Vec<_>>(), columns)?;
    Ok(numbers(columns))
}

/// Scales every number, then does `last` to it; missing values stay.
pub(super) fn apply<'a>(
    fitted: &[Affine],
    mut columns: Vec<Values<'a>>,
    last: impl Fn(f64) -> f64,
) -> Vec<Values<'a>> {
    for (affine, column) in fitted.iter().zip(&mut columns) {
        if let Values::Numbers(numbers) = column {
            numbers.iter_mut().for_each(|number| *number = last(affine.apply(*number)));
        }
    }
    columns
}
