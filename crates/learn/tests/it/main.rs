//! The integration tests of the learning crate: one binary, a module per topic.
