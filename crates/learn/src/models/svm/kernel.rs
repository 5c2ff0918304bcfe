//! Kernels between rows, and rows kept without their zeros so that a row of kernel values is cheap.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::matrix::Matrix;

/// A kernel with its constants; values are cut to ±1e150 so that sums of them stay finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kernel {
    /// a·b
    Linear,
    /// exp(-gamma |a - b|²)
    Rbf { gamma: f64 },
    /// (gamma a·b + coef0)^degree
    Poly { gamma: f64, degree: i32, coef0: f64 },
    /// tanh(gamma a·b + coef0)
    Sigmoid { gamma: f64, coef0: f64 },
}

impl Kernel {
    /// From the dot product of two rows and the squared norm of each.
    fn value(self, dot: f64, norms: f64) -> f64 {
        match self {
            Self::Linear => dot.clamp(-1e150, 1e150),
            Self::Rbf { gamma } => (-gamma * (norms - 2.0 * dot).max(0.0)).exp(),
            Self::Poly { gamma, degree, coef0 } => {
                (gamma * dot + coef0).clamp(-1e150, 1e150).powi(degree).clamp(-1e150, 1e150)
            }
            Self::Sigmoid { gamma, coef0 } => (gamma * dot + coef0).tanh(),
        }
    }

    /// Whether its constants are those a fit can have.
    pub(super) fn is_sound(self) -> bool {
        let positive = |gamma: f64| gamma.is_finite() && gamma >= 0.0;
        match self {
            Self::Linear => true,
            Self::Rbf { gamma } => positive(gamma),
            Self::Poly { gamma, degree, coef0 } => {
                positive(gamma) && (0..=100).contains(&degree) && coef0.is_finite()
            }
            Self::Sigmoid { gamma, coef0 } => positive(gamma) && coef0.is_finite(),
        }
    }
}

/// Rows without their zeros, with squared norms.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Vectors {
    pub(super) columns: usize,
    starts: Vec<usize>,
    places: Vec<u32>,
    values: Vec<f64>,
    norms: Vec<f64>,
}

/// Rows of one piece of work when kernel values are computed on several threads.
const BLOCK: usize = 2048;

impl Vectors {
    /// All rows of a matrix times `scale`.
    pub(super) fn new(x: &Matrix, scale: f64) -> Self {
        let mut kept = Self::empty(x.columns());
        for row in x.iter_rows() {
            let entries = (0..).zip(row).map(|(place, value)| (place, value * scale));
            kept.push(entries.filter(|(_, value)| *value != 0.0));
        }
        kept
    }

    fn empty(columns: usize) -> Self {
        Self { columns, starts: vec![0], places: Vec::new(), values: Vec::new(), norms: Vec::new() }
    }

    fn push(&mut self, entries: impl Iterator<Item = (u32, f64)>) {
        let first = self.values.len();
        for (place, value) in entries {
            self.places.push(place);
            self.values.push(value);
        }
        self.norms.push(self.values[first..].iter().map(|value| value * value).sum());
        self.starts.push(self.values.len());
    }

    /// The named rows, in the order given.
    pub(super) fn take(&self, rows: &[usize]) -> Self {
        let mut taken = Self::empty(self.columns);
        rows.iter().for_each(|&row| taken.push(self.entries(row)));
        taken
    }

    pub(super) fn rows(&self) -> usize {
        self.norms.len()
    }

    /// Columns and values of a row.
    pub(super) fn entries(&self, row: usize) -> impl Iterator<Item = (u32, f64)> {
        let range = self.starts[row]..self.starts[row + 1];
        self.places[range.clone()].iter().copied().zip(self.values[range].iter().copied())
    }

    /// Kernel of row `row` and the row `other`, whose squared norm is `norm`.
    pub(super) fn kernel(&self, kernel: Kernel, row: usize, other: &[f64], norm: f64) -> f64 {
        let dot = self.entries(row).map(|(place, value)| value * other[place as usize]).sum();
        kernel.value(dot, self.norms[row] + norm)
    }

    /// Appends the kernel of row `row` with some others.
    pub(super) fn extend_kernels(&self, kernel: Kernel, row: usize, others: &[usize], out: &mut Vec<f64>) {
        let mut dense = vec![0.0; self.columns];
        self.entries(row).for_each(|(place, value)| dense[place as usize] = value);
        let value = |other: &usize| self.kernel(kernel, *other, &dense, self.norms[row]);
        if others.len() <= BLOCK {
            return out.extend(others.iter().map(value));
        }
        let blocks = others.par_chunks(BLOCK).map(|others| others.iter().map(value).collect::<Vec<f64>>());
        blocks.collect::<Vec<_>>().iter().for_each(|block| out.extend_from_slice(block));
    }

    /// Kernel of each row with itself.
    pub(super) fn diagonal(&self, kernel: Kernel) -> Vec<f64> {
        self.norms.iter().map(|&norm| kernel.value(norm, 2.0 * norm)).collect()
    }

    /// Whether a file's rows can be computed with.
    pub(super) fn is_sound(&self) -> bool {
        let entries = self.values.len();
        self.columns > 0
            && self.starts.len() == self.norms.len() + 1
            && self.places.len() == entries
            && self.starts.first() == Some(&0)
            && self.starts.last() == Some(&entries)
            && self.starts.is_sorted()
            && self.places.iter().all(|&place| (place as usize) < self.columns)
            && self.values.iter().all(|value| value.abs() <= 1e140)
            && self.norms.iter().all(|norm| (0.0..=1e290).contains(norm))
    }
}
