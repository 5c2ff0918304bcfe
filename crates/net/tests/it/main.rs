//! The integration tests of the net crate.

mod capture;
mod corpus;
mod differential;
mod flows;
mod mutated;
mod shared;
mod written;
