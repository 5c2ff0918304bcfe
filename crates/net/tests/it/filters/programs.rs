//! Programs as text, worked out by hand.
