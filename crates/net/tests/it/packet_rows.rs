//! Runs a feature set of packets over a capture, for the tests of such sets.

use std::io::Cursor;

use cormorant_net::NetError;
use cormorant_net::capture::Capture;
use cormorant_net::features::{RowColumn, RowKind, Rows};
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::{MeterReport, MeterSpec, meter, schema};

use crate::written::{self, Order, Pcap, Written};

/// A pcap file with nanosecond times.
pub(crate) fn pcap(frames: &[Written]) -> Capture {
    let file = written::pcap(Order::Little, Pcap::Nanoseconds, 1, frames).0;
    Capture::from_reader("test", Box::new(Cursor::new(file))).expect("a capture")
}

/// All rows of a capture in one batch after another, and the report.
pub(crate) fn extract(mut capture: Capture, set: &str, mem_bytes: u64) -> (Vec<Rows>, MeterReport) {
    let mut batches = Vec::new();
    let report = meter(&mut capture, &spec(set, mem_bytes), &mut |_| true, &mut |rows| {
        assert_eq!(rows.schema.kind, RowKind::Packet);
        batches.push(rows);
        Ok(())
    });
    (batches, report.expect("nothing but the capture can fail"))
}

/// The names of the columns that are features, after those of identity.
pub(crate) fn features(set: &str) -> Result<Vec<String>, NetError> {
    let schema = schema(&spec(set, 1 << 20))?.expect("known columns");
    let (identity, features): (Vec<_>, Vec<_>) = schema.fields.iter().partition(|field| field.identity);
    let identity: Vec<&str> = identity.iter().map(|field| field.name.as_str()).collect();
    let expected = ["packet", "first_ns", "source", "destination", "source_port", "destination_port"];
    assert_eq!(identity, [&expected[..], &["protocol", "offset"]].concat());
    assert!(schema.fields.iter().take(identity.len()).all(|field| field.identity), "identity comes first");
    Ok(features.iter().map(|field| field.name.clone()).collect())
}

/// The text of a column, row by row.
pub(crate) fn texts(batches: &[Rows], name: &str) -> Vec<String> {
    let text = |rows: &Rows| match rows.column(name) {
        Some(RowColumn::Text(column)) => {
            (0..rows.len).map(|row| column.get(row).expect("text").to_owned()).collect::<Vec<_>>()
        }
        other => panic!("{name} is {other:?}"),
    };
    batches.iter().flat_map(text).collect()
}

/// The values of a signed or unsigned column, row by row.
pub(crate) fn integers(batches: &[Rows], name: &str) -> Vec<i64> {
    let integers = |rows: &Rows| match rows.column(name) {
        Some(RowColumn::I64(values)) => values.clone(),
        Some(RowColumn::U64(values)) => values.iter().map(|value| *value as i64).collect(),
        other => panic!("{name} is {other:?}"),
    };
    batches.iter().flat_map(integers).collect()
}

fn spec(set: &str, mem_bytes: u64) -> MeterSpec {
    let flow = FlowConfig { mem_bytes, ..FlowConfig::default() };
    MeterSpec { sets: vec![set.to_owned()], flow, ..MeterSpec::default() }
}
