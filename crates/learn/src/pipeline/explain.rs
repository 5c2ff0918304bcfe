//! Why a row got its score, in terms of the features a person knows.

use serde::{Deserialize, Serialize};

use super::{Pipeline, malicious_score, refuse_missing};
use crate::LearnError;
use crate::estimator::{Contributions, Kind};
use crate::table::{Column, Table};

/// Why one row got its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// How malicious it looks.
    pub score: f64,
    /// Whether that is an alert.
    pub alert: bool,
    /// The likeliest class; `None` for novelty models.
    pub class: Option<String>,
    /// The margin of an average row; with the contributions it sums to `margin`. `None` where the model cannot say.
    pub baseline: Option<f64>,
    /// What the contributions sum to, in the model's own measure (probability for forests, log-odds for linear models).
    pub margin: Option<f64>,
    /// One per feature: largest contribution first; where the model cannot say, the most unusual value first.
    pub reasons: Vec<Reason>,
}

/// What one feature had to do with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Name of the feature.
    pub feature: String,
    /// Its unit, empty when there is none.
    pub unit: String,
    /// Its value as people read it, empty when missing.
    pub value: String,
    /// What it added to the margin: above 0 towards malicious, below 0 towards benign.
    pub contribution: Option<f64>,
    /// Where a number stands among normal rows, from 0 (below all) to 100 (above all).
    pub percentile: Option<f64>,
    /// Share of normal rows with the same word.
    pub share: Option<f64>,
}

impl Pipeline {
    /// Explains one row of a table.
    ///
    /// # Errors
    /// As [`Pipeline::score`], and [`LearnError::Data`] when the row does not exist.
    pub fn explain(&self, table: &Table, row: usize) -> Result<Explanation, LearnError> {
        self.schema.check(&table.schema())?;
        if row >= table.rows() {
            return Err(LearnError::Data(format!("row {row} of a table of {} rows", table.rows())));
        }
        let x = self.prep.apply(table, [row].into_iter());
        refuse_missing(&self.prep, self.model_spec, (&x).into())?;
        let mut outputs = vec![0.0; self.model.outputs()];
        self.model.score_row(x.row(0), &mut outputs);
        self.adjust.apply(&mut outputs);
        let score = malicious_score(self.model_spec.kind, &outputs);
        let added = self.malicious_contributions(x.row(0));
        let by_feature = added.as_ref().map(|added| self.by_feature(&added.values));
        let mut reasons: Vec<Reason> = table
            .features()
            .enumerate()
            .map(|(place, (_, column))| {
                self.reason(place, column, row, by_feature.as_ref().map(|values| values[place]))
            })
            .collect();
        reasons.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
        Ok(Explanation {
            score,
            alert: self.is_alert(score),
            class: self.classes.get(self.decided(&outputs) as usize).cloned(),
            baseline: added.as_ref().map(|added| added.baseline),
            margin: added.as_ref().map(|added| added.baseline + added.values.iter().sum::<f64>()),
            reasons,
        })
    }

    /// Contributions to "malicious": summed over every class but benign, as the score is.
    fn malicious_contributions(&self, row: &[f64]) -> Option<Contributions> {
        let first = usize::from(self.model_spec.kind == Kind::Classifier);
        let mut sum = Contributions { baseline: 0.0, values: vec![0.0; row.len()] };
        for output in first..self.model.outputs() {
            let part = self.model.contributions(row, output)?;
            sum.baseline += part.baseline;
            sum.values.iter_mut().zip(part.values).for_each(|(sum, value)| *sum += value);
        }
        Some(sum)
    }

    fn by_feature(&self, by_column: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.schema.features.len()];
        for (column, value) in self.prep.columns().iter().zip(by_column) {
            sums[column.source] += value;
        }
        sums
    }

    fn reason(&self, place: usize, column: &Column, row: usize, contribution: Option<f64>) -> Reason {
        let feature = &self.schema.features[place];
        let normal = &self.baseline.features[place];
        let word = if let Column::Text(text) = column { text.get(row) } else { None };
        Reason {
            feature: feature.name.clone(),
            unit: feature.unit.clone(),
            value: column.text(row),
            contribution,
            percentile: normal.percentile(column.number(row)),
            share: normal.share(word),
        }
    }
}

impl Reason {
    /// What reasons are sorted by: the contribution, or else how far the value is from the middle of normal ones.
    fn weight(&self) -> f64 {
        let unusual = || {
            let number = self.percentile.map(|percentile| (percentile - 50.0).abs() / 50.0);
            number.or(self.share.map(|share| 1.0 - share)).unwrap_or(0.0)
        };
        self.contribution.unwrap_or_else(unusual)
    }
}
