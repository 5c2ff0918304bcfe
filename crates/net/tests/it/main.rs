//! The integration tests of the net crate.

mod corpus;
mod shared;
