//! What values a feature can take, whatever the capture: part of its definition, shown on the reference page and checked on
//! the project's samples.
//!
//! Nearly all features are counts, sizes and times, which are not below 0, or shares and indicators, from 0 to 1. Only those
//! that differ are named here.

use super::ColumnKind;

/// Lowest and highest value, both included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Lowest; minus infinity when there is none.
    pub low: f64,
    /// Highest; infinity when there is none.
    pub high: f64,
}

const NOT_NEGATIVE: Range = Range { low: 0.0, high: f64::INFINITY };
const SHARE: Range = Range { low: 0.0, high: 1.0 };
const SIGNED_SHARE: Range = Range { low: -1.0, high: 1.0 };
const ANY: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

/// The columns that are neither counts, sizes or times nor shares or indicators: set, how the name begins and ends, range.
const EXCEPTIONS: &[(&str, &str, &str, Range)] = &[
    ("flow", "", "_asymmetry", SIGNED_SHARE),
    ("splt", "splt_direction", "", SIGNED_SHARE),
    ("nfstream", "splt_direction", "", SIGNED_SHARE),
    ("nfstream", "splt_", "", Range { low: -1.0, high: f64::INFINITY }),
    ("context", "", "_variation", NOT_NEGATIVE),
    ("cic", "down_up_ratio", "", NOT_NEGATIVE),
    ("cic", "", "_init_win_bytes", Range { low: 0.0, high: 65_535.0 }),
    ("kitsune", "hh_covariance", "", ANY),
    ("kitsune", "hphp_covariance", "", ANY),
    ("kitsune", "hh_pcc", "", ANY),
    ("kitsune", "hphp_pcc", "", ANY),
    ("nprint", "", "", SIGNED_SHARE),
    ("networkml-host", "count_", "", NOT_NEGATIVE),
    ("networkml-host", "unique_", "", NOT_NEGATIVE),
    ("networkml-host", "tcp_priv_packet_ratio", "", NOT_NEGATIVE),
    ("networkml-host", "tcp_nonpriv_packet_ratio", "", NOT_NEGATIVE),
    ("networkml-host", "udp_priv_packet_ratio", "", NOT_NEGATIVE),
    ("networkml-host", "udp_nonpriv_packet_ratio", "", NOT_NEGATIVE),
    ("netml-iat-size", "", "", NOT_NEGATIVE),
];

/// The range of a column of this set, name and unit; of a list, that of its elements. `None` for text.
#[must_use]
pub fn range(set: &str, name: &str, unit: &str, kind: ColumnKind) -> Option<Range> {
    if kind == ColumnKind::Text {
        return None;
    }
    let found = EXCEPTIONS
        .iter()
        .find(|(of, start, end, _)| *of == set && name.starts_with(start) && name.ends_with(end));
    Some(match (found, unit) {
        (Some((.., range)), _) => *range,
        (None, "" | "1") => SHARE,
        _ => NOT_NEGATIVE,
    })
}

impl Range {
    /// Whether a value lies in it; NaN, which stands for an undefined value, always does.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        value.is_nan() || (self.low..=self.high).contains(&value)
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.low.is_finite(), self.high.is_finite()) {
            (true, true) => write!(f, "{} to {}", self.low, self.high),
            (true, false) => write!(f, "≥ {}", self.low),
            _ => f.write_str("any"),
        }
    }
}
