//! Products of rows with each other, kept from one use to the next: steps, folds and classes ask for much the same rows.

use rayon::prelude::*;

use super::design::Design;

/// Σ pull × value × value between rows that were asked for, by [`Design::pulls`].
pub(crate) struct Gram<'a> {
    design: &'a Design,
    /// Per coordinate.
    pull: Vec<f64>,
    /// Rows known, in the order they were asked for.
    known: Vec<usize>,
    /// Per row its place among the known ones.
    places: Vec<Option<usize>>,
    /// Per known row its products with those known before it and with itself.
    products: Vec<Vec<f64>>,
}

/// When more rows are known all are forgotten; the products then fill 128 MiB.
const MOST_KNOWN: usize = 1 << 12;

impl<'a> Gram<'a> {
    /// Nothing is known yet.
    pub(crate) fn new(design: &'a Design) -> Self {
        let pull = design.pulls();
        Self { design, pull, known: Vec::new(), places: vec![None; design.rows()], products: Vec::new() }
    }

    /// The lower triangle of the products of some rows, rows × rows.
    pub(super) fn of(&mut self, rows: &[usize]) -> Vec<f64> {
        self.learn(rows);
        let places: Vec<usize> = rows.iter().filter_map(|&row| self.places[row]).collect();
        let mut matrix = vec![0.0; rows.len() * rows.len()];
        for (place, out) in matrix.chunks_exact_mut(rows.len()).enumerate() {
            let own = places[place];
            let product = |other: usize| self.products[own.max(other)][own.min(other)];
            out.iter_mut().zip(&places[..=place]).for_each(|(out, &other)| *out = product(other));
        }
        matrix
    }

    fn learn(&mut self, rows: &[usize]) {
        if self.known.len() + rows.len() > MOST_KNOWN {
            self.known.drain(..).for_each(|row| self.places[row] = None);
            self.products.clear();
        }
        let first = self.known.len();
        for &row in rows {
            if self.places[row].is_none() {
                self.places[row] = Some(self.known.len());
                self.known.push(row);
            }
        }
        let (design, pull, known) = (self.design, &self.pull, &self.known);
        let products = |whole: &mut Vec<f64>, place: usize| {
            design.add_pulled_row(known[place], 1.0, pull, whole);
            let products = known[..=place].iter().map(|&other| design.row_dot(other, whole)).collect();
            design.row(known[place]).for_each(|(at, _)| whole[at] = 0.0);
            products
        };
        let zeros = || vec![0.0; design.coordinates()];
        let made: Vec<Vec<f64>> = (first..known.len()).into_par_iter().map_init(zeros, products).collect();
        self.products.extend(made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::design::Shift;
    use crate::matrix::Matrix;

    #[test]
    fn products_are_those_of_the_columns_whatever_was_asked_before() {
        let x = Matrix::from_values(4, 2, vec![1.0, 2.0, -3.0, 0.5, 0.0, 4.0, 2.0, -1.0]);
        let design = Design::new((&x).into(), Shift::No);
        let mut gram = Gram::new(&design);
        for rows in [vec![2, 0], vec![3, 0, 1], vec![0, 1, 2, 3]] {
            let found = gram.of(&rows);
            for (i, j) in (0..rows.len()).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                let product: f64 = x.row(rows[i]).iter().zip(x.row(rows[j])).map(|(a, b)| a * b).sum();
                assert!((found[i * rows.len() + j] - product).abs() < 1e-12, "{rows:?} {i} {j}");
            }
        }
    }
}
