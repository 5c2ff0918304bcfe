//! Turns capture bytes into packets, packets into flows, and flows into feature rows. Knows nothing of learning.
//!
//! The way of a byte: [`capture`] yields frames, [`packet`] decodes a frame, [`flow`] keeps the flow table,
//! [`features`] turns an ended flow into a row, and [`meter`] is the one pure call that does all four.
//! [`inspect`] is the other consumer of decoded frames: it only counts.
//!
//! Absent by design: no clock (time comes from packets), no panic on input (a frame yields what was understood
//! plus what stopped it), no table that grows without a bound, and no `unsafe`.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod capture;
mod error;
pub mod features;
pub mod filter;
pub mod flow;
pub mod inspect;
pub mod meter;
pub mod packet;

pub use error::NetError;
