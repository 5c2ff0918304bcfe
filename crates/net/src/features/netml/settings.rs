//! What was asked of the default form, and its columns: fixed before any data are seen, with lists where netml has as
//! many columns as the capture at hand suggests.

use super::table::{FLAGS, identity_of};
use super::vectors::{STATISTICS, Vector};
use crate::NetError;
use crate::features::{ColumnKind, RowField, SetSpec};

/// Seconds without a packet after which a flow has ended.
const INTERVAL_S: f64 = 60.0;
/// Packets of a flow in its lists, and windows of those that are sampled.
const MOST: u32 = 500;
/// Seconds of a window.
const WINDOW_S: f64 = 0.1;
/// Options that belong to netml's own form, and what becomes of them here.
const COMPAT_ONLY: [(&str, &str, &str); 2] = [
    (
        "fft",
        "a transform needs one width for all rows, and these rows have lists of any length",
        "leave `:fft` out: the preparation step `fixed-width` gives lists a width, and transforms them with its parameter \
         `fft`; or write `:compat` for netml's own form",
    ),
    ("q", "no column and no interval is taken from the data", "leave `:q=` out, or write `:compat`"),
];

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) vector: Vector,
    pub(super) has_header: bool,
    /// Whether each direction is a flow of its own.
    pub(super) is_one_way: bool,
    pub(super) interval_ns: i64,
    pub(super) window_ns: i64,
    /// Packets in a list at most.
    pub(super) most: usize,
    /// Packets below which a flow is no row.
    pub(super) least: u64,
}

impl Settings {
    /// Reads the options of a set without `:compat`.
    ///
    /// # Errors
    /// An option out of range, or one of netml's own form.
    pub(super) fn read(vector: Vector, spec: &SetSpec) -> Result<Settings, NetError> {
        if let Some((_, found, advice)) = COMPAT_ONLY.iter().find(|(option, ..)| spec.has(option)) {
            return Err(NetError::Unfit { text: spec.text().to_owned(), found, advice });
        }
        let ns = |option, default: f64, most| -> Result<i64, NetError> {
            Ok((spec.number(option, 1e-6, most)?.unwrap_or(default) * 1e9).round() as i64)
        };
        Ok(Settings {
            vector,
            has_header: spec.has("header"),
            is_one_way: spec.has("uni"),
            interval_ns: ns("interval", INTERVAL_S, 1e6)?,
            window_ns: ns("window", WINDOW_S, 1e6)?,
            most: spec.count("packets", 1, 65_535)?.unwrap_or(MOST) as usize,
            least: spec.count("least", 1, 65_535)?.unwrap_or(1).into(),
        })
    }
}

const IDENTITY: [(&str, ColumnKind, &str, &str); 9] = [
    ("source", ColumnKind::Text, "", "address that sent the first packet, of the innermost IP header"),
    ("destination", ColumnKind::Text, "", "the other address"),
    ("source_port", ColumnKind::U64, "", "port of the source. Identity, never a feature"),
    ("destination_port", ColumnKind::U64, "", "port of the destination. Identity, never a feature"),
    ("protocol", ColumnKind::U64, "", "6 for TCP, 17 for UDP"),
    ("first_ns", ColumnKind::I64, "ns", "capture time of the first packet since the UNIX epoch"),
    ("last_ns", ColumnKind::I64, "ns", "latest capture time of any packet since the UNIX epoch"),
    ("first_packet", ColumnKind::U64, "", "number of the first packet in the capture, from 1"),
    ("last_packet", ColumnKind::U64, "", "number of the last packet in the capture"),
];

/// The columns of a row.
pub(super) fn fields(settings: &Settings) -> Vec<RowField> {
    let mut fields = identity_of(&IDENTITY);
    if settings.has_header {
        let doc = "packets with this TCP flag";
        fields.extend(
            FLAGS.map(|flag| feature(&format!("netml_header_{flag}"), "packets", doc, ColumnKind::F64)),
        );
        let doc = "time to live or hop limit of each packet";
        fields.push(feature("netml_ttl", "1", doc, ColumnKind::F64List));
    }
    match list(settings.vector) {
        Some((name, unit, doc)) => fields.push(feature(name, unit, doc, ColumnKind::F64List)),
        None => fields
            .extend(STATISTICS.iter().map(|&(name, unit, doc)| feature(name, unit, doc, ColumnKind::F64))),
    }
    fields
}

fn feature(name: &str, unit: &'static str, doc: &'static str, kind: ColumnKind) -> RowField {
    RowField { name: name.to_owned(), unit, doc, identity: false, kind }
}

/// Name, unit and definition of the list that a vector is.
fn list(vector: Vector) -> Option<(&'static str, &'static str, &'static str)> {
    match vector {
        Vector::Iat => {
            Some(("netml_iat", "s", "seconds from each packet to the next, 0 to one that goes back in time"))
        }
        Vector::Size => Some(("netml_size", "bytes", "captured bytes of each packet, link header included")),
        Vector::IatSize => Some((
            "netml_iat_size",
            "",
            "seconds to the next packet and captured bytes of each packet in turn; of the last its bytes alone",
        )),
        Vector::Stats => None,
        Vector::SampNum => {
            Some(("netml_samp_num", "packets", "packets in each window from the first packet on"))
        }
        Vector::SampSize => {
            Some(("netml_samp_size", "bytes", "captured bytes in each window from the first packet on"))
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Windows of a tenth of a second, lists of so many packets.
    pub(in crate::features::netml) fn settings(vector: Vector, most: usize) -> Settings {
        let plain = Settings::read(vector, &SetSpec::plain("netml-iat")).expect("defaults");
        Settings { most, ..plain }
    }

    #[test]
    fn the_options_of_netml_itself_are_refused_with_what_to_do() {
        for (option, expected) in [("fft", "fixed-width"), ("q", ":compat")] {
            let spec = SetSpec::with_option("netml-iat", option);
            let message = Settings::read(Vector::Iat, &spec).expect_err("refused").to_string();
            assert!(message.contains(expected) && message.contains(option), "{message}");
        }
    }

    #[test]
    fn lists_only_where_the_length_varies() {
        let kinds =
            |vector| fields(&settings(vector, 500)).iter().map(|field| field.kind).collect::<Vec<_>>();
        assert_eq!(kinds(Vector::Size)[9..], [ColumnKind::F64List]);
        assert_eq!(kinds(Vector::Stats)[9..], [ColumnKind::F64; 12]);
    }
}
