//! Fewer columns that keep most of what many said.

mod eigen;
pub mod pca;
