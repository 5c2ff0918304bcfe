//! The six sets by name, and what may follow the name.

use super::vectors::Vector;
use super::{fields_of, open};
use crate::features::RowKind;
use crate::features::frames::{FrameSet, SetOption};

const OPTIONS: &[SetOption] = &[
    SetOption { name: "uni", value: None, doc: "each direction is a flow of its own, as in netml" },
    SetOption {
        name: "interval",
        value: Some("SECONDS"),
        doc: "silence that ends a flow (default 60); with :compat the interval between sub-flows in place of the quantile \
              of durations",
    },
    SetOption {
        name: "packets",
        value: Some("N"),
        doc: "packets of a flow in its lists, or windows when it is sampled (default 500); counts and statistics are of all \
              packets",
    },
    SetOption {
        name: "window",
        value: Some("SECONDS"),
        doc: "width of the windows of netml-samp-num and netml-samp-size (default 0.1); the first begins with the first \
              packet, each with its first instant and without its last",
    },
    SetOption {
        name: "least",
        value: Some("N"),
        doc: "packets below which a flow is no row (default 1; netml has 2)",
    },
    SetOption {
        name: "header",
        value: None,
        doc: "before the vector how many packets have each of eight TCP flags, and the time to live of each packet \
              (netml_ttl, a list); with :compat not for IPv6 nor raw IP, where netml fails",
    },
    SetOption {
        name: "compat",
        value: None,
        doc: "rows, order and faults of netml 0.7.1: one-way flows, cut by an interval that the capture itself gives; \
              the last part of a flow that is cut is lost, IPv6 is one flow, and the width depends on the capture",
    },
    SetOption {
        name: "fft",
        value: None,
        doc: "with :compat the real part of each vector's discrete Fourier transform in place of the vector",
    },
    SetOption {
        name: "q",
        value: Some("0.9"),
        doc: "with :compat the quantile of the flows' durations that becomes the interval between sub-flows, and of their \
              packet counts that becomes the width (default 0.9)",
    },
];

/// A set: its name, its vector, and what it is.
macro_rules! set {
    ($name:literal, $vector:expr, $doc:literal) => {
        FrameSet {
            name: $name,
            doc: concat!($doc, "; after netml 0.7.1 (arXiv 2006.16993), whose own rows `:compat` gives"),
            kind: RowKind::Flow,
            options: OPTIONS,
            fields: |spec| fields_of($vector, spec),
            open: |spec, mem_bytes| open($name, $vector, spec, mem_bytes),
        }
    };
}

/// Seconds between packets.
pub static IAT: FrameSet =
    set!("netml-iat", Vector::Iat, "Seconds between the packets of TCP and UDP flows, as a list");
/// Bytes of packets.
pub static SIZE: FrameSet =
    set!("netml-size", Vector::Size, "Captured bytes of the packets of TCP and UDP flows, as a list");
/// Seconds between packets and their bytes in turn.
pub static IAT_SIZE: FrameSet = set!(
    "netml-iat-size",
    Vector::IatSize,
    "Seconds between packets and their captured bytes in turn, as a list"
);
/// Twelve statistics of duration, rate and size.
pub static STATS: FrameSet = set!(
    "netml-stats",
    Vector::Stats,
    "Twelve statistics of the duration, rates and packet sizes of TCP and UDP flows"
);
/// Packets per window.
pub static SAMP_NUM: FrameSet = set!(
    "netml-samp-num",
    Vector::SampNum,
    "Packets in successive windows of one width, as a list (with :compat as wide as the 0.3 quantile of the sub-flows' durations)"
);
/// Bytes per window.
pub static SAMP_SIZE: FrameSet = set!(
    "netml-samp-size",
    Vector::SampSize,
    "Captured bytes in successive windows of one width, as a list (with :compat as wide as the 0.3 quantile of the sub-flows' durations)"
);
