//! Groups of rows that are near each other, found without labels.

pub mod kmeans;
