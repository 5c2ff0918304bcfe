//! The integration tests of the net crate.

mod capture;
mod corpus;
mod shared;
mod written;
