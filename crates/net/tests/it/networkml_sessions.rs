//! Rows of `networkml-session:compat` against the sessions and vectors of NetworkML 0.4.0.

use std::collections::BTreeSet;
use std::path::Path;

use cormorant_net::capture::Capture;
use cormorant_net::features::{RowColumn, Rows};
use cormorant_net::meter::{MeterSpec, meter};
use serde_json::Value;

use crate::networkml::{same, shown};
use crate::shared;

const CAPTURES: [(&str, &str); 3] = [
    ("demo", "demo.pcap"),
    ("ip6trace", "trace_ab12_2001-01-01_02_03-client-ip6-1-2-3-4.pcap"),
    ("whatsapp", "whatsapp.pcap"),
];
const WINDOWS: [(&str, &str); 2] = [("900", "900"), ("None", "0")];

#[test]
fn session_vectors_are_its_own() {
    let Some(folder) = shared::folder("networkml-session") else { return };
    let goldens = folder.join("golden/networkml/old_v0.4.0");
    if !goldens.is_dir() {
        return shared::skip("networkml-session", "no golden vectors of NetworkML 0.4.0");
    }
    let (mut vectors, mut wrong) = (0, Vec::new());
    for (name, pcap) in CAPTURES {
        for (duration, window) in WINDOWS {
            for (skip, (side, public)) in ["1", "120"]
                .iter()
                .flat_map(|skip| [("private", ""), ("public", ":public")].map(|of| (skip, of)))
            {
                let file = goldens.join(format!("old_{name}__dur{duration}__thr{skip}.json"));
                let set = format!("networkml-session:compat:window={window}:skip={skip}{public}");
                let rows = rows(&folder.join("golden/pcaps").join(pcap), &set);
                vectors += compare(&format!("{name} {set}"), &golden(&file), side, &rows, &mut wrong);
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {vectors} differ: {:#?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    println!("{vectors} vectors equal");
}

fn golden(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("a golden file")).expect("JSON")
}

fn rows(path: &Path, set: &str) -> Vec<Rows> {
    let mut capture = Capture::open(path).expect("a capture");
    let spec = MeterSpec { sets: vec![set.to_owned()], ..MeterSpec::default() };
    let mut batches = Vec::new();
    meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
        batches.push(rows);
        Ok(())
    })
    .expect("rows");
    batches
}

/// Compares the bins that hold sessions, row by row; how many there were.
fn compare(what: &str, golden: &Value, side: &str, batches: &[Rows], wrong: &mut Vec<String>) -> usize {
    let bins = golden["bins"].as_array().expect("bins").iter().filter(|bin| bin["n_sessions"] != 0);
    let bins = bins.collect::<Vec<_>>();
    let places = batches.iter().flat_map(|rows| (0..rows.len).map(move |row| (rows, row)));
    let places = places.collect::<Vec<_>>();
    assert_eq!(bins.len(), places.len(), "rows of {what}");
    for (at, (bin, (rows, row))) in bins.iter().zip(places).enumerate() {
        let found = differences(bin, side, rows, row);
        wrong.extend(found.iter().map(|found| format!("{what} bin {at}: {found}")));
    }
    bins.len()
}

fn differences(bin: &Value, side: &str, rows: &Rows, row: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |name: &str, expected: String| {
        let value = shown(rows, name, row);
        if !same(&value, &expected) {
            found.push(format!("{name} is {value}, not {expected}"));
        }
    };
    check("host_mac", bin[side]["capture_source"].as_str().expect("a MAC address").to_owned());
    check("address", bin[side]["capture_ip"].as_str().expect("an address").to_owned());
    check(
        "packets",
        sessions(bin).map(|s| s["n_packets"].as_u64().expect("packets")).sum::<u64>().to_string(),
    );
    let times = |name| sessions(bin).map(move |s| s[name].as_f64().expect("a time"));
    // To the microsecond: the golden times are floats of seconds.
    check("first_ns", (times("first").fold(f64::MAX, f64::min) * 1e9).to_string());
    check("last_ns", (times("last").fold(0.0, f64::max) * 1e9).to_string());
    let peers = shown(rows, "other_ips", row);
    let (peers, expected) = (peers.split_whitespace().map(str::to_owned).collect(), peers_of(bin, side));
    if expected != peers {
        found.push(format!("other_ips are {peers:?}, not {expected:?}"));
    }
    found.extend(vector(bin, side, rows, row));
    found
}

fn sessions(bin: &Value) -> impl Iterator<Item = &Value> {
    bin["sessions"].as_array().expect("sessions").iter()
}

fn peers_of(bin: &Value, side: &str) -> BTreeSet<String> {
    let peers = bin[side]["other_ips"].as_array().expect("addresses");
    peers.iter().map(|peer| peer.as_str().expect("an address").to_owned()).collect()
}

/// The first feature that differs.
fn vector(bin: &Value, side: &str, rows: &Rows, row: usize) -> Option<String> {
    let features = rows.schema.fields.iter().zip(&rows.columns).filter(|(field, _)| !field.identity);
    let features = features.collect::<Vec<_>>();
    assert_eq!(features.len(), 4104);
    features.iter().enumerate().find_map(|(index, (field, column))| {
        let expected = bin[side]["nonzero"][index.to_string()].as_f64().unwrap_or(0.0);
        let RowColumn::F64(values) = column else { return Some(format!("{} is no float", field.name)) };
        let close = (values[row] - expected).abs() <= 1e-9 * expected.abs();
        (!close).then(|| format!("{} is {}, not {expected}", field.name, values[row]))
    })
}
