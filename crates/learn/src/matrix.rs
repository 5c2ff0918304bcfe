//! The dense numeric matrix between preparation and models: row-major `f64`, missing values as NaN.

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
}
