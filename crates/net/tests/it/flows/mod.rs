//! Flows and their rows: against a second implementation, at any number of threads, under flood.

mod agreement;
mod cic;
mod community_id;
mod context;
mod exchange;
mod flood;
mod naive;
mod nfstream;
mod order;
mod pressure;
mod tcp;
mod time;
mod traffic;
mod tshark;

use std::collections::BTreeMap;
use std::io::Cursor;

use cormorant_net::capture::Capture;
use cormorant_net::features::{RowColumn, Rows};
use cormorant_net::meter::{MeterReport, MeterSpec, meter};

use crate::written::{self, Order, Pcap, Written};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Float(f64),
    Integer(i128),
    Text(String),
}

/// A row by column name.
type Row = BTreeMap<String, Cell>;

/// A pcap file with nanosecond times.
fn pcap(frames: &[Written]) -> Vec<u8> {
    written::pcap(Order::Little, Pcap::Nanoseconds, 1, frames).0
}

fn meter_bytes(file: &[u8], spec: &MeterSpec) -> (Vec<Rows>, MeterReport) {
    let capture = Capture::from_reader("test", Box::new(Cursor::new(file.to_vec()))).expect("a capture");
    meter_capture(capture, spec)
}

fn meter_capture(mut capture: Capture, spec: &MeterSpec) -> (Vec<Rows>, MeterReport) {
    let mut batches = Vec::new();
    let report = meter(&mut capture, spec, &mut |_| true, &mut |rows| {
        batches.push(rows);
        Ok(())
    });
    (batches, report.expect("nothing but the capture can fail"))
}

fn rows(batches: &[Rows]) -> Vec<Row> {
    batches.iter().flat_map(|batch| (0..batch.len).map(|row| read_row(batch, row))).collect()
}

fn read_row(batch: &Rows, row: usize) -> Row {
    let fields = batch.schema.fields.iter().map(|field| field.name.clone());
    fields.zip(batch.columns.iter().map(|column| cell(column, row))).collect()
}

fn cell(column: &RowColumn, row: usize) -> Cell {
    match column {
        RowColumn::F64(values) => Cell::Float(values[row]),
        RowColumn::I64(values) => Cell::Integer(i128::from(values[row])),
        RowColumn::U64(values) => Cell::Integer(i128::from(values[row])),
        RowColumn::Text(values) => Cell::Text(values.get(row).expect("text").to_owned()),
        RowColumn::F64List(_) => panic!("no set of flows has lists"),
    }
}

fn integer(row: &Row, column: &str) -> i128 {
    match &row[column] {
        Cell::Integer(value) => *value,
        other => panic!("{column} is {other:?}"),
    }
}

fn float(row: &Row, column: &str) -> f64 {
    match &row[column] {
        Cell::Float(value) => *value,
        other => panic!("{column} is {other:?}"),
    }
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    match &row[column] {
        Cell::Text(value) => value,
        other => panic!("{column} is {other:?}"),
    }
}
