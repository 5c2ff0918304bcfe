//! The classes of the training rows, for steps that learn from them.

use crate::LearnError;

/// Classes that run parallel to the rows of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels<'a> {
    /// Class of each row, `0..classes`; empty when there are no classes.
    pub y: &'a [u32],
    /// Number of classes; 0 when there are none, as for novelty models.
    pub classes: usize,
}

impl Labels<'_> {
    /// No classes: what a novelty model learns from.
    pub const NONE: Labels<'static> = Labels { y: &[], classes: 0 };

    /// Refuses classes that do not belong to so many rows.
    pub(super) fn check(self, rows: usize) -> Result<(), LearnError> {
        let sound = match self.classes {
            0 => self.y.is_empty(),
            classes => self.y.len() == rows && self.y.iter().all(|&class| (class as usize) < classes),
        };
        if sound {
            return Ok(());
        }
        Err(LearnError::Data(format!(
            "preparation: expected a class from 0 to {} for each of {rows} rows, found {} classes",
            self.classes.saturating_sub(1),
            self.y.len()
        )))
    }

    /// The same, for a step that cannot do without.
    pub(super) fn required(self, step: &str) -> Result<Self, LearnError> {
        if (2..=usize::from(u16::MAX)).contains(&self.classes) {
            return Ok(self);
        }
        Err(LearnError::Data(format!(
            "preparation step `{step}` learns from classes, of which {} are given (2 to 65535 are needed): leave it out of a \
             model that learns without labels",
            self.classes
        )))
    }
}
