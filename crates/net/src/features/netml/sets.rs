//! The six sets by name, and what may follow the name.

use super::Netml;
use super::Settings;
use super::table::fields;
use super::vectors::{STATISTICS, Vector};
use crate::features::RowKind;
use crate::features::frames::{FrameSet, SetOption};

const OPTIONS: &[SetOption] = &[
    SetOption {
        name: "compat",
        value: None,
        doc: "rows, order and faults of netml 0.7.1: one-way flows, cut by an interval that the capture itself gives; \
              the last part of a flow that is cut is lost, IPv6 is one flow, and the width depends on the capture",
    },
    SetOption {
        name: "fft",
        value: None,
        doc: "the real part of each vector's discrete Fourier transform in place of the vector",
    },
    SetOption {
        name: "header",
        value: None,
        doc: "counts of eight TCP flags and the TTL of each packet before the vector; not for IPv6 nor raw IP, where netml fails",
    },
    SetOption {
        name: "q",
        value: Some("0.9"),
        doc: "quantile of the flows' durations that becomes the interval between sub-flows, and of their packet counts \
              that becomes the width (default 0.9)",
    },
    SetOption {
        name: "interval",
        value: Some("SECONDS"),
        doc: "the interval between sub-flows in place of the quantile of durations",
    },
];

/// A set: its name, its vector, and what it is.
macro_rules! set {
    ($name:literal, $vector:expr, $doc:literal) => {
        FrameSet {
            name: $name,
            doc: concat!($doc, "; netml 0.7.1 (arXiv 2006.16993)"),
            kind: RowKind::Flow,
            options: OPTIONS,
            fields: |spec| {
                let settings = Settings::read($vector, spec)?;
                let known = $vector == Vector::Stats;
                Ok(known.then(|| fields(settings.vector, settings.form, STATISTICS.len())))
            },
            open: |spec, mem_bytes| Netml::open($name, $vector, spec, mem_bytes),
        }
    };
}

/// Seconds between packets.
pub static IAT: FrameSet = set!("netml-iat", Vector::Iat, "Seconds between the packets of one-way flows");
/// Bytes of packets.
pub static SIZE: FrameSet =
    set!("netml-size", Vector::Size, "Captured bytes of the packets of one-way flows");
/// Seconds between packets and their bytes in turn.
pub static IAT_SIZE: FrameSet =
    set!("netml-iat-size", Vector::IatSize, "Seconds between packets and their captured bytes in turn");
/// Twelve statistics of duration, rate and size.
pub static STATS: FrameSet = set!(
    "netml-stats",
    Vector::Stats,
    "Twelve statistics of the duration, rates and packet sizes of one-way flows"
);
/// Packets per window.
pub static SAMP_NUM: FrameSet = set!(
    "netml-samp-num",
    Vector::SampNum,
    "Packets in successive windows as wide as the 0.3 quantile of the sub-flows' durations"
);
/// Bytes per window.
pub static SAMP_SIZE: FrameSet = set!(
    "netml-samp-size",
    Vector::SampSize,
    "Captured bytes in successive windows as wide as the 0.3 quantile of the sub-flows' durations"
);
