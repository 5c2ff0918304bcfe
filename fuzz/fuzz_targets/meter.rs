//! Any bytes as a capture on the way to rows: no packet is lost from the counts and every batch fits its schema.

#![no_main]

use std::io::Cursor;

use cormorant_net::capture::Capture;
use cormorant_net::features::{FEATURE_SETS, FeatureSet, RowColumn, Rows};
use cormorant_net::meter::{MeterReport, MeterSpec, meter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    check(data, |set| set.rules.is_none());
    check(data, |set| set.name == "nfstream");
});

fn check(data: &[u8], wanted: impl Fn(&FeatureSet) -> bool) {
    let Some((report, rows)) = run(data, 1, wanted) else { return };
    let without: u64 = report.packets_without_flow.iter().map(|(_, packets)| packets).sum();
    assert_eq!(report.packets, report.packets_in_flows + without);
    assert_eq!(rows.iter().map(|rows| rows.len as u64).sum::<u64>(), report.flows);
    for rows in &rows {
        assert_eq!(rows.columns.len(), rows.schema.fields.len());
        assert!(rows.columns.iter().all(|column| len(column) == rows.len));
    }
}

fn len(column: &RowColumn) -> usize {
    match column {
        RowColumn::F64(values) => values.len(),
        RowColumn::I64(values) => values.len(),
        RowColumn::U64(values) => values.len(),
        RowColumn::Text(text) => text.offsets.len().saturating_sub(1),
        RowColumn::F64List(lists) => lists.offsets.len().saturating_sub(1),
    }
}

fn run(data: &[u8], threads: usize, wanted: impl Fn(&FeatureSet) -> bool) -> Option<(MeterReport, Vec<Rows>)> {
    let mut capture = Capture::from_reader("fuzz", Box::new(Cursor::new(data.to_vec()))).ok()?;
    let sets = FEATURE_SETS.iter().filter(|set| wanted(set)).map(|set| set.name.to_owned()).collect();
    let spec = MeterSpec { sets, threads, batch_rows: 64, ..MeterSpec::default() };
    let mut batches = Vec::new();
    let keep = &mut |rows| {
        batches.push(rows);
        Ok(())
    };
    let report = meter(&mut capture, &spec, &mut |_| true, keep).expect("a sound spec");
    Some((report, batches))
}
