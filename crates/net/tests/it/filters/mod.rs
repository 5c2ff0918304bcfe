//! Filters: the same verdicts as tcpdump, programs as worked out by hand, and packets and texts of every shape.

mod agreement;
mod programs;
mod properties;

/// The expressions of the list: every line but comments and empty ones.
fn expressions() -> impl Iterator<Item = &'static str> {
    include_str!("expressions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}
