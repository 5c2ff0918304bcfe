//! The numeric matrices between preparation and models: dense (row-major `f64`, missing values as NaN) and sparse (CSR).

use std::borrow::Cow;
use std::ops::Range;

/// `rows` × `columns` numbers, row-major. A missing value is NaN.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// A matrix of zeros.
    #[must_use]
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { rows, columns, values: vec![0.0; rows * columns] }
    }

    /// Takes `values` (row-major) as a matrix with `columns` columns.
    ///
    /// # Panics
    /// When `values` is not a whole number of rows.
    #[must_use]
    pub fn from_values(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        assert_eq!(
            rows * columns,
            values.len(),
            "{rows} rows of {columns} columns do not hold {} values",
            values.len()
        );
        Self { rows, columns, values }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row-major.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// All values, row-major, to write.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// One row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// One row, to write.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The rows in order; also for a matrix without columns.
    pub fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        (0..self.rows).map(|row| self.row(row))
    }

    /// Copies one column out.
    #[must_use]
    pub fn column(&self, column: usize) -> Vec<f64> {
        self.iter_rows().map(|row| row[column]).collect()
    }

    /// The named rows, in the order given.
    #[must_use]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&row| self.row(row)).copied().collect();
        Self { rows: rows.len(), columns: self.columns, values }
    }
}

/// `rows` × `columns` numbers of which only those that are not 0 are kept, row by row (CSR).
#[derive(Clone, Debug, PartialEq)]
pub struct SparseMatrix {
    columns: usize,
    /// Entries of row `r` are `starts[r]..starts[r + 1]`: starts with 0, one more than rows.
    starts: Vec<usize>,
    places: Vec<u32>,
    values: Vec<f64>,
}

impl SparseMatrix {
    /// A matrix without rows.
    #[must_use]
    pub fn new(columns: usize) -> Self {
        Self { columns, starts: vec![0], places: Vec::new(), values: Vec::new() }
    }

    /// Adds a row from its entries: columns ascending, values as they are.
    ///
    /// # Panics
    /// When a column is not below `columns` or not above the one before it.
    pub fn push_row(&mut self, entries: impl IntoIterator<Item = (u32, f64)>) {
        let first = self.places.len();
        for (place, value) in entries {
            assert!((place as usize) < self.columns, "column {place} of {}", self.columns);
            assert!(self.places[first..].last().is_none_or(|last| *last < place), "columns ascend in a row");
            self.places.push(place);
            self.values.push(value);
        }
        self.starts.push(self.places.len());
    }

    /// The entries of a dense matrix that are not 0.
    #[must_use]
    pub fn from_dense(dense: &Matrix) -> Self {
        let mut sparse = Self::new(dense.columns());
        for row in dense.iter_rows() {
            sparse.push_row((0..).zip(row.iter().copied()).filter(|&(_, value)| value != 0.0));
        }
        sparse
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All entries kept, row by row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The entries of a row: columns, ascending, and values.
    #[must_use]
    pub fn row(&self, row: usize) -> (&[u32], &[f64]) {
        let entries = self.starts[row]..self.starts[row + 1];
        (&self.places[entries.clone()], &self.values[entries])
    }

    /// Some rows with their zeros.
    #[must_use]
    pub fn to_dense(&self, rows: Range<usize>) -> Matrix {
        let mut dense = Matrix::zeros(rows.len(), self.columns);
        for (place, row) in rows.enumerate() {
            let (columns, values) = self.row(row);
            let out = dense.row_mut(place);
            columns.iter().zip(values).for_each(|(&column, &value)| out[column as usize] = value);
        }
        dense
    }

    /// The named rows, in the order given.
    #[must_use]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let mut taken = Self::new(self.columns);
        for &row in rows {
            let (places, values) = self.row(row);
            taken.places.extend_from_slice(places);
            taken.values.extend_from_slice(values);
            taken.starts.push(taken.places.len());
        }
        taken
    }
}

/// What a model learns from or scores, in either form.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// With its zeros.
    Dense(&'a Matrix),
    /// Without them.
    Sparse(&'a SparseMatrix),
}

impl<'a> Rows<'a> {
    /// Number of rows.
    #[must_use]
    pub fn rows(self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.rows(),
            Self::Sparse(matrix) => matrix.rows(),
        }
    }

    /// Number of columns.
    #[must_use]
    pub fn columns(self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.columns(),
            Self::Sparse(matrix) => matrix.columns(),
        }
    }

    /// With its zeros: the way of a model that has no use for their absence.
    #[must_use]
    pub fn dense(self) -> Cow<'a, Matrix> {
        match self {
            Self::Dense(matrix) => Cow::Borrowed(matrix),
            Self::Sparse(matrix) => Cow::Owned(matrix.to_dense(0..matrix.rows())),
        }
    }

    /// Row and column of the first value that is `bad`.
    pub fn find(self, bad: impl Fn(f64) -> bool) -> Option<(usize, usize)> {
        match self {
            Self::Dense(matrix) => {
                let place = matrix.values().iter().position(|&value| bad(value))?;
                Some((place / matrix.columns(), place % matrix.columns()))
            }
            Self::Sparse(matrix) => {
                let place = matrix.values.iter().position(|&value| bad(value))?;
                let row = matrix.starts.partition_point(|&start| start <= place) - 1;
                Some((row, matrix.places[place] as usize))
            }
        }
    }
}

impl<'a> From<&'a Matrix> for Rows<'a> {
    fn from(matrix: &'a Matrix) -> Self {
        Self::Dense(matrix)
    }
}

impl<'a> From<&'a SparseMatrix> for Rows<'a> {
    fn from(matrix: &'a SparseMatrix) -> Self {
        Self::Sparse(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_where_arithmetic_says() {
        let matrix = Matrix::from_values(2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(matrix.row(1), &[4.0, 5.0, 6.0]);
        assert_eq!(matrix.column(2), vec![3.0, 6.0]);
        assert_eq!(matrix.take_rows(&[1, 0, 1]).column(0), vec![4.0, 1.0, 4.0]);
    }

    #[test]
    fn a_matrix_without_columns_still_has_rows() {
        assert_eq!(Matrix::zeros(3, 0).iter_rows().len(), 3);
    }

    #[test]
    fn a_sparse_matrix_says_what_the_dense_one_does() {
        let dense = Matrix::from_values(3, 3, vec![0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 7.0, f64::INFINITY, 9.0]);
        let sparse = SparseMatrix::from_dense(&dense);
        assert_eq!(sparse.row(2), (&[0, 1, 2][..], &[7.0, f64::INFINITY, 9.0][..]));
        assert_eq!(*Rows::from(&sparse).dense(), dense);
        assert_eq!(sparse.to_dense(1..3), dense.take_rows(&[1, 2]));
        assert_eq!(sparse.take_rows(&[2, 0]).to_dense(0..2), dense.take_rows(&[2, 0]));
        for rows in [Rows::from(&sparse), Rows::from(&dense)] {
            assert_eq!(rows.find(f64::is_infinite), Some((2, 1)));
            assert_eq!((rows.rows(), rows.columns(), rows.find(f64::is_nan)), (3, 3, None));
        }
    }
}
