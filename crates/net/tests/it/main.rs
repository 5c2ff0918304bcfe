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
mod kitsune;
mod large;
#[cfg(target_os = "linux")]
mod live;
mod mutated;
mod netml;
mod netml_lists;
mod networkml;
mod networkml_meant;
mod networkml_sessions;
mod nprint;
mod packet_rows;
mod ranges;
mod recording;
mod shared;
mod tshark;
mod tunnels;
mod written;
