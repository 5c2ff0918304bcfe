//! Prepared rows in the form that suits them and the model: with their zeros, or without where nearly all are 0.

use super::{Labels, Preparation, StepSpec, Values, to_matrix};
use crate::LearnError;
use crate::estimator::ModelSpec;
use crate::matrix::{Matrix, Rows, SparseMatrix};
use crate::table::Table;

/// Zeros are left out when less than this share of the training rows' numbers is anything else.
const SPARSE_SHARE: f64 = 0.1;

/// Prepared rows.
pub(crate) enum Prepared {
    /// With their zeros.
    Dense(Matrix),
    /// Without them.
    Sparse(SparseMatrix),
}

impl Prepared {
    /// The rows, to look at.
    pub(crate) fn rows(&self) -> Rows<'_> {
        match self {
            Self::Dense(matrix) => matrix.into(),
            Self::Sparse(matrix) => matrix.into(),
        }
    }

    /// Whether their zeros are left out.
    pub(crate) fn is_sparse(&self) -> bool {
        matches!(self, Self::Sparse(_))
    }
}

impl Preparation {
    /// [`Preparation::fit`] for a model: rows without zeros when it passes over them and there are many.
    pub(crate) fn fit_for(
        model: &ModelSpec,
        specs: &[StepSpec],
        table: &Table,
        rows: &[usize],
        labels: Labels<'_>,
    ) -> Result<(Self, Prepared), LearnError> {
        let (prep, values) = Self::fit_values(specs, table, rows, labels)?;
        let sparse = model.takes_sparse && share_kept(&values, rows.len()) < SPARSE_SHARE;
        Ok((prep, assemble(&values, rows.len(), sparse)))
    }

    /// [`Preparation::apply`] in the form that [`Preparation::fit_for`] chose.
    pub(crate) fn apply_as(
        &self,
        sparse: bool,
        table: &Table,
        rows: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> Prepared {
        let count = rows.len();
        assemble(&self.apply_values(table, rows), count, sparse)
    }
}

fn assemble(values: &[Values<'_>], rows: usize, sparse: bool) -> Prepared {
    if !sparse {
        return Prepared::Dense(to_matrix(values, rows));
    }
    let mut entries: Vec<Vec<(u32, f64)>> = vec![Vec::new(); rows];
    for (place, numbers) in (0..).zip(values.iter().map(numbers)) {
        for (row, &number) in entries.iter_mut().zip(numbers).filter(|(_, number)| **number != 0.0) {
            row.push((place, number));
        }
    }
    let mut matrix = SparseMatrix::new(values.len());
    entries.into_iter().for_each(|row| matrix.push_row(row));
    Prepared::Sparse(matrix)
}

/// Share of the numbers that are not 0; 1 when there are none.
fn share_kept(values: &[Values<'_>], rows: usize) -> f64 {
    let kept = |column: &Values<'_>| numbers(column).iter().filter(|number| **number != 0.0).count();
    let all = values.len() * rows;
    if all == 0 { 1.0 } else { values.iter().map(kept).sum::<usize>() as f64 / all as f64 }
}

fn numbers<'v>(column: &'v Values<'_>) -> &'v [f64] {
    if let Values::Numbers(numbers) = column { numbers } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models;
    use crate::table::{Column, Field, Role, TextColumn};

    #[test]
    fn zeros_are_left_out_when_they_are_many_and_the_model_passes_over_them() {
        let words: Vec<String> = (0..60).map(|row| format!("word-{}", row % 20)).collect();
        let text = TextColumn::from_texts(words.iter().map(|word| Some(word.as_str())));
        let table =
            Table::new(vec![Field::new("word", "", Role::Feature)], vec![Column::Text(text)]).unwrap();
        let rows: Vec<usize> = (0..60).collect();
        let specs = [StepSpec::new("one-hot")];
        let fit = |model| {
            Preparation::fit_for(models::find(model).unwrap(), &specs, &table, &rows, Labels::NONE).unwrap()
        };
        let (prep, sparse) = fit("logistic");
        let (_, dense) = fit("decision-tree");
        assert!(sparse.is_sparse() && !dense.is_sparse());
        assert_eq!(sparse.rows().dense(), dense.rows().dense());
        let some = || [3, 59, 3].into_iter();
        let again = prep.apply_as(true, &table, some());
        assert_eq!(*again.rows().dense(), prep.apply(&table, some()));
        let shifted = [StepSpec::new("one-hot"), StepSpec::new("standard")];
        let (_, shifted) =
            Preparation::fit_for(models::find("logistic").unwrap(), &shifted, &table, &rows, Labels::NONE)
                .unwrap();
        assert!(!shifted.is_sparse(), "a shift leaves no zeros");
    }
}
