//! "Which rows that an expert has labelled look most like this one?": the nearest labelled rows in the model's own columns.

use super::{Pipeline, problem};
use crate::LearnError;
use crate::ctx::Ctx;
use crate::matrix::Matrix;
use crate::neighbours::{Metric, Neighbour, Neighbours};
use crate::table::Table;

/// Labelled rows of a table, arranged to be searched.
///
/// Rows are compared as the pipeline prepares them, each column in units of its standard deviation over the labelled rows: whatever
/// scale a feature has and whatever steps the pipeline has, no feature outweighs another by its unit alone. What is missing counts
/// as the column's mean.
pub struct Nearest<'p> {
    pipeline: &'p Pipeline,
    /// Row of the table for each point.
    rows: Vec<usize>,
    /// Mean and one over the standard deviation of each column; a constant column counts for nothing.
    scales: Vec<(f64, f64)>,
    points: Neighbours,
}

impl<'p> Nearest<'p> {
    /// Arranges the labelled rows of `seen`, a table such as the pipeline was trained on.
    ///
    /// # Errors
    /// [`LearnError::Schema`] when the table has other features, [`LearnError::Data`] when no row has a label,
    /// [`LearnError::Cancelled`].
    pub fn new(pipeline: &'p Pipeline, seen: &Table, ctx: &Ctx) -> Result<Self, LearnError> {
        pipeline.schema.check(&seen.schema())?;
        let labels = seen.labels();
        let rows: Vec<usize> = (0..seen.rows()).filter(|&row| labels[row].is_some()).collect();
        if rows.is_empty() {
            return Err(LearnError::Data("no row has a label: there is nothing to compare with".to_owned()));
        }
        let mut x = pipeline.prep.apply(&problem::restrict(seen, &rows), 0..rows.len());
        let scales: Vec<(f64, f64)> = (0..x.columns()).map(|column| scale(&x.column(column))).collect();
        (0..x.rows()).for_each(|row| standardise(x.row_mut(row), &scales));
        let points = Neighbours::new(&x, Metric::Euclidean, ctx)?;
        Ok(Self { pipeline, rows, scales, points })
    }

    /// The labelled rows nearest to a row of `table`, nearest first; of equally near ones the earlier. Distances are in
    /// standard deviations.
    ///
    /// # Errors
    /// [`LearnError::Schema`] when the table has other features, [`LearnError::Data`] when the row does not exist.
    pub fn of(&self, table: &Table, row: usize, most: usize) -> Result<Vec<Neighbour>, LearnError> {
        self.pipeline.schema.check(&table.schema())?;
        if row >= table.rows() {
            return Err(LearnError::Data(format!("row {row} of a table of {} rows", table.rows())));
        }
        let mut x: Matrix = self.pipeline.prep.apply(table, [row].into_iter());
        standardise(x.row_mut(0), &self.scales);
        let place = |found: Neighbour| Neighbour { row: self.rows[found.row as usize] as u32, ..found };
        Ok(self.points.nearest(x.row(0), most).into_iter().map(place).collect())
    }
}

/// Mean and one over the standard deviation of what is not missing.
fn scale(values: &[f64]) -> (f64, f64) {
    let known = || values.iter().filter(|value| value.is_finite());
    let count = known().count().max(1) as f64;
    let mean = known().sum::<f64>() / count;
    let deviation = (known().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
    let usable = mean.is_finite() && deviation.is_finite() && deviation > 0.0;
    if usable { (mean, 1.0 / deviation) } else { (0.0, 0.0) }
}

fn standardise(row: &mut [f64], scales: &[(f64, f64)]) {
    for (value, &(mean, factor)) in row.iter_mut().zip(scales) {
        let scaled = (*value - mean) * factor;
        *value = if scaled.is_finite() { scaled } else { 0.0 };
    }
}
