//! The integration tests of the learning crate: one binary, a module per topic.

mod battery;
mod corm;
mod data;
mod metrics;
mod mutate;
mod pipeline;
mod preparations;
mod splits;
