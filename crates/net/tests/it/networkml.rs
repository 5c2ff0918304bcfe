//! Rows of `networkml-host` against those NetworkML 0.7.0 wrote.

use std::path::Path;

use cormorant_net::capture::Capture;
use cormorant_net::features::{RowColumn, Rows};
use cormorant_net::meter::{MeterSpec, meter};

use crate::shared;

const CAPTURES: [(&str, &str); 5] = [
    ("ajp_vlan", "ajp.pcap"),
    ("demo", "demo.pcap"),
    ("firefox", "firefox.pcap"),
    ("trace_ip6", "trace_ab12_2001-01-01_02_03-client-ip6-1-2-3-4.pcap"),
    ("whatsapp", "whatsapp.pcap"),
];

#[test]
fn networkml_rows_are_its_own() {
    let Some(folder) = shared::folder("networkml") else { return };
    let (goldens, pcaps) = (folder.join("golden/networkml"), folder.join("golden/pcaps"));
    if !goldens.is_dir() {
        return shared::skip("networkml", "no golden rows of NetworkML");
    }
    let (mut values, mut wrong) = (0, Vec::new());
    for (name, pcap) in CAPTURES {
        for (stage, set) in [("allmacs", "networkml-host:compat:all"), ("srcmacid", "networkml-host:compat")]
        {
            let golden = goldens.join(format!("{name}__4_features_host_{stage}.csv"));
            let text = std::fs::read_to_string(golden).expect("golden rows");
            let rows = rows(&pcaps.join(pcap), set);
            values += compare(&format!("{name} {stage}"), &text, &rows, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{} of {values} differ: {:#?}", wrong.len(), &wrong[..wrong.len().min(40)]);
    println!("{values} values equal");
}

pub(crate) fn rows(path: &Path, set: &str) -> Rows {
    let mut capture = Capture::open(path).expect("a capture");
    let spec = MeterSpec { sets: vec![set.to_owned()], ..MeterSpec::default() };
    let mut batches = Vec::new();
    meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
        batches.push(rows);
        Ok(())
    })
    .expect("rows");
    assert_eq!(batches.len(), 1, "one batch");
    batches.remove(0)
}

/// Compares every column but the list of addresses; how many values there were.
fn compare(what: &str, golden: &str, rows: &Rows, wrong: &mut Vec<String>) -> usize {
    let mut lines = golden.lines();
    let names = lines.next().expect("a header").split(',').collect::<Vec<_>>();
    let (lines, mut values) = (lines.collect::<Vec<_>>(), 0);
    assert_eq!(lines.len(), rows.len, "rows of {what}");
    for (row, line) in lines.iter().enumerate() {
        for (name, expected) in names.iter().zip(cells(line)) {
            let name = name.trim_start_matches("tshark_");
            if name == "srcips" {
                continue;
            }
            values += 1;
            let name = if name == "host_key" { "host_mac" } else { name };
            let found = shown(rows, name, row);
            if !same(&found, &expected) {
                wrong.push(format!("{what} row {row} {name}: {found}, not {expected}"));
            }
        }
    }
    values
}

fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cells.last_mut().expect("a cell").push(other),
        }
    }
    cells
}

pub(crate) fn shown(rows: &Rows, name: &str, row: usize) -> String {
    match rows.column(name).unwrap_or_else(|| panic!("no column {name}")) {
        RowColumn::F64(values) => format!("{:e}", values[row]),
        RowColumn::I64(values) => values[row].to_string(),
        RowColumn::U64(values) => values[row].to_string(),
        RowColumn::Text(values) => values.get(row).unwrap_or_default().to_owned(),
        RowColumn::F64List(lists) => format!("{:?}", lists.get(row).unwrap_or_default()),
    }
}

pub(crate) fn same(found: &str, expected: &str) -> bool {
    match (found.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(found), Ok(expected)) => (found - expected).abs() <= 1e-9 * expected.abs() + 1e-15,
        _ => found == expected,
    }
}
