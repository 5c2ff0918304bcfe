//! Fragments of real captures.
