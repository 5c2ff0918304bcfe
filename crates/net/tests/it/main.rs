//! The integration tests of the net crate.

// Tests say aloud what they skip.
#![allow(clippy::print_stdout)]

mod capture;
mod compressed;
mod corpus;
mod differential;
mod filters;
mod flows;
mod fragments;
mod inspected;
mod large;
#[cfg(target_os = "linux")]
mod live;
mod mutated;
mod networkml;
mod recording;
mod shared;
mod tshark;
mod tunnels;
mod written;
