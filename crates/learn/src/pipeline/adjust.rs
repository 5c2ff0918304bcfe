//! What is done to a model's probabilities before anyone sees them: calibration, then correction to the class shares where
//! the pipeline is used; and how a class is decided from them.

use serde::{Deserialize, Serialize};

use crate::LearnError;
use crate::calibrate::{Isotonic, Platt};
use crate::eval::cost::CostMatrix;
use crate::matrix::Matrix;

/// How probabilities are calibrated on rows held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Calibration {
    /// Left as the model gives them.
    #[default]
    None,
    /// A sigmoid of the log-odds: two numbers per class, for few rows.
    Platt,
    /// The nearest function that never falls: any shape, for about a thousand rows or more.
    Isotonic,
}

impl std::fmt::Display for Calibration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Platt => "platt",
            Self::Isotonic => "isotonic",
        })
    }
}

impl std::str::FromStr for Calibration {
    type Err = LearnError;

    fn from_str(text: &str) -> Result<Self, LearnError> {
        [Self::None, Self::Platt, Self::Isotonic]
            .into_iter()
            .find(|known| known.to_string() == text)
            .ok_or_else(|| LearnError::Unknown {
                kind: "calibration",
                name: text.to_owned(),
                known: "none, platt, isotonic".to_owned(),
            })
    }
}

/// One class against all others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Calibrator {
    Platt(Platt),
    Isotonic(Isotonic),
}

impl Calibrator {
    fn apply(&self, p: f64) -> f64 {
        match self {
            Self::Platt(platt) => platt.probability(log_odds(p)),
            Self::Isotonic(isotonic) => isotonic.apply(p),
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Platt(platt) => platt.is_sound(),
            Self::Isotonic(isotonic) => isotonic.is_sound(),
        }
    }
}

/// ln(p / (1 - p)) of a probability kept off 0 and 1, where it would be infinite.
fn log_odds(p: f64) -> f64 {
    let p = p.clamp(1e-9, 1.0 - 1e-9);
    (p / (1.0 - p)).ln()
}

/// The adjustments of a pipeline; empty by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Adjust {
    /// Empty; or for 2 classes one, of the second class; or one per class.
    calibrators: Vec<Calibrator>,
    /// Empty, or per class its share in use divided by its share in training.
    factors: Vec<f64>,
    /// What decisions cost, for the classes in their order; `None` = the likeliest class is decided.
    costs: Option<CostMatrix>,
}

impl Adjust {
    pub(super) fn with_costs(costs: Option<CostMatrix>) -> Self {
        Self { costs, ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn costs(&self) -> Option<&CostMatrix> {
        self.costs.as_ref()
    }

    /// Fits calibrators to probabilities of rows held out (rows × classes) and their true classes.
    pub(super) fn calibrate(&mut self, how: Calibration, probabilities: &Matrix, truth: &[u32]) {
        let classes = probabilities.columns();
        let first = usize::from(classes == 2);
        let weights = vec![1.0; truth.len()];
        let fit = |class: usize| {
            let positive: Vec<bool> = truth.iter().map(|&is| is as usize == class).collect();
            let p = probabilities.column(class);
            match how {
                Calibration::Isotonic => Calibrator::Isotonic(Isotonic::fit(&p, &positive, &weights)),
                Calibration::None | Calibration::Platt => {
                    let margins: Vec<f64> = p.into_iter().map(log_odds).collect();
                    Calibrator::Platt(Platt::fit(&margins, &positive, &weights))
                }
            }
        };
        self.calibrators =
            if how == Calibration::None { Vec::new() } else { (first..classes).map(fit).collect() };
    }

    /// Corrects for class shares that differ between training and use (Saerens, Latinne and Decaestecker 2002, equation 4).
    pub(super) fn correct_priors(&mut self, training: &[f64], in_use: &[f64]) {
        let factor = |(&had, &has): (&f64, &f64)| if had > 0.0 { has / had } else { 0.0 };
        let factors: Vec<f64> = training.iter().zip(in_use).map(factor).collect();
        let largest = factors.iter().copied().fold(0.0, f64::max);
        self.factors = factors.into_iter().map(|factor| factor / largest).collect();
    }

    /// Adjusts one row of probabilities, which still sum to 1.
    pub(super) fn apply(&self, row: &mut [f64]) {
        match self.calibrators.as_slice() {
            [] => {}
            [malicious] => {
                row[1] = malicious.apply(row[1]);
                row[0] = 1.0 - row[1];
            }
            each => replace(row, |class, p| each[class].apply(p)),
        }
        if !self.factors.is_empty() {
            replace(row, |class, p| p * self.factors[class]);
        }
    }

    /// [`Adjust::apply`] on every row.
    pub(super) fn apply_all(&self, rows: &mut Matrix) {
        if !self.calibrators.is_empty() || !self.factors.is_empty() {
            (0..rows.rows()).for_each(|row| self.apply(rows.row_mut(row)));
        }
    }

    /// The place of the class decided from adjusted probabilities: of the least expected cost, or the likeliest.
    pub(super) fn decide(&self, row: &[f64]) -> u32 {
        self.costs.as_ref().map_or_else(|| super::Pipeline::decide(row), |costs| costs.decide(row))
    }

    /// Whether everything fits these classes and no score can become anything but a probability.
    pub(super) fn is_sound_for(&self, classes: &[String]) -> bool {
        let calibrators = match self.calibrators.len() {
            0 => true,
            1 => classes.len() == 2,
            count => count == classes.len() && count > 2,
        };
        calibrators
            && self.calibrators.iter().all(Calibrator::is_sound)
            && (self.factors.is_empty() || self.factors.len() == classes.len())
            && self.factors.iter().all(|factor| (0.0..=1.0).contains(factor))
            && self.costs.as_ref().is_none_or(|costs| costs.is_sound_for(classes))
    }
}

/// Replaces each probability and divides by their sum; leaves the row as it is when they are all 0.
fn replace(row: &mut [f64], new: impl Fn(usize, f64) -> f64) {
    let sum: f64 = row.iter().enumerate().map(|(class, &p)| new(class, p)).sum();
    if sum.is_normal() {
        row.iter_mut().enumerate().for_each(|(class, p)| *p = new(class, *p) / sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_turns_shares_into_probabilities() {
        // of 100 rows at 0.9 one half is malicious, of 100 at 0.2 one in ten
        let rows: Vec<(f64, bool)> =
            (0..100).flat_map(|row| [(0.9, row % 2 == 0), (0.2, row % 10 == 0)]).collect();
        let p = Matrix::from_values(200, 2, rows.iter().flat_map(|&(p, _)| [1.0 - p, p]).collect());
        let truth: Vec<u32> = rows.iter().map(|&(_, is)| u32::from(is)).collect();
        for (how, slack) in [(Calibration::Platt, 0.02), (Calibration::Isotonic, 1e-12)] {
            let mut adjust = Adjust::default();
            adjust.calibrate(how, &p, &truth);
            let mut row = [0.1, 0.9];
            adjust.apply(&mut row);
            assert!((row[1] - 0.5).abs() < slack && (row[0] + row[1] - 1.0).abs() < 1e-15, "{row:?}");
            assert!(adjust.is_sound_for(&["a".to_owned(), "b".to_owned()]));
            assert!(!adjust.is_sound_for(&["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        }
    }

    #[test]
    fn priors_are_corrected_by_bayes() {
        let mut adjust = Adjust::default();
        adjust.correct_priors(&[0.5, 0.5, 0.0], &[0.9, 0.1, 0.0]);
        let mut row = [0.5, 0.5, 0.0];
        adjust.apply(&mut row);
        assert!((row[0] - 0.9).abs() < 1e-12 && (row[1] - 0.1).abs() < 1e-12, "{row:?}");
        let mut nothing = [0.0, 0.0, 1.0];
        adjust.apply(&mut nothing);
        assert_eq!(nothing, [0.0, 0.0, 1.0], "a class without a share in use is all that is left");
    }
}
