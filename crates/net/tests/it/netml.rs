//! The sets of netml against tables that netml 0.7.1 itself made of its example capture.
//!
//! Those in `caplen/` have captured lengths, as ours do. In the others scapy's lengths differ for a few packets, so only
//! what does not depend on lengths is compared with them.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use cormorant_net::NetError;
use cormorant_net::capture::Capture;
use cormorant_net::features::{ColumnKind, RowColumn, Rows};
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::{MeterSpec, meter};

use crate::shared;
use crate::written::{self, Order, Pcap, Written};

const SETS: [(&str, &str); 6] = [
    ("IAT", "netml-iat"),
    ("SIZE", "netml-size"),
    ("IAT_SIZE", "netml-iat-size"),
    ("STATS", "netml-stats"),
    ("SAMP_NUM", "netml-samp-num"),
    ("SAMP_SIZE", "netml-samp-size"),
];
/// Part of the names of golden files, and the options that make them.
const CONFIGS: [(&str, &str); 2] = [("q0.9", ""), ("i1.0", ":interval=1:q=0.9")];
const FORMS: [(&str, &str); 4] =
    [("", ""), ("__fft", ":fft"), ("__header", ":header"), ("__fft__header", ":fft:header")];

fn extract(mut capture: Capture, set: &str, flow: FlowConfig) -> Result<Vec<Rows>, NetError> {
    let spec = MeterSpec { sets: vec![set.to_owned()], flow, ..MeterSpec::default() };
    let mut batches = Vec::new();
    meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
        batches.push(rows);
        Ok(())
    })?;
    Ok(batches)
}

/// Identity as text and features, row by row.
fn rows(capture: &Path, set: &str) -> Vec<(Vec<String>, Vec<f64>)> {
    let capture = Capture::open(capture).expect("the example capture");
    let batches = extract(capture, set, FlowConfig::default()).expect("rows");
    batches.iter().flat_map(|batch| (0..batch.len).map(|row| read_row(batch, row))).collect()
}

fn read_row(batch: &Rows, row: usize) -> (Vec<String>, Vec<f64>) {
    let (mut identity, mut features) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema.fields.iter().zip(&batch.columns) {
        match column {
            RowColumn::F64(values) => features.push(values[row]),
            RowColumn::I64(values) => identity.push(values[row].to_string()),
            RowColumn::U64(values) => identity.push(values[row].to_string()),
            RowColumn::Text(values) => identity.push(values.get(row).expect("text").to_owned()),
            RowColumn::F64List(_) => panic!("{} is a list", field.name),
        }
        assert_eq!(field.identity, field.kind != ColumnKind::F64, "{}", field.name);
    }
    (identity, features)
}

fn golden(test: &str) -> Option<(PathBuf, PathBuf)> {
    let folder = shared::folder(test)?.join("golden");
    let (tables, capture) = (folder.join("netml"), folder.join("pcaps/demo.pcap"));
    if tables.is_dir() && capture.is_file() {
        return Some((tables, capture));
    }
    shared::skip(test, "no tables of netml");
    None
}

/// Lines of a golden file without its header, split at commas; `None` when there is no such file.
fn lines(path: &Path) -> Option<Vec<Vec<String>>> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect())
}

/// Whole numbers must be equal, others nearly, transforms nearly for the length of their vector.
fn assert_near(found: &[f64], expected: &[f64], is_fft: bool, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}: width");
    let norm = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
    for (place, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let bound = match is_fft {
            true => 1e-9 * norm.max(1e-3),
            false if expected.fract() == 0.0 => 0.0,
            false => 1e-9 * expected.abs(),
        };
        assert!((found - expected).abs() <= bound, "{what}, column {place}: {found} for {expected}");
    }
}

fn matches(file: &Path, capture: &Path, set: &str) -> bool {
    let Some(expected) = lines(file) else { return false };
    let found = rows(capture, set);
    assert_eq!(found.len(), expected.len(), "rows of {}", file.display());
    for (row, ((_, found), expected)) in found.iter().zip(&expected).enumerate() {
        let expected: Vec<f64> = expected.iter().map(|value| value.parse().expect("a number")).collect();
        assert_near(found, &expected, set.contains(":fft"), &format!("{} row {row}", file.display()));
    }
    true
}

#[test]
fn netml_matrices_are_those_of_netml() {
    let Some((tables, capture)) = golden("netml matrices") else { return };
    let mut compared = 0;
    for (vector, set) in SETS {
        let folders: &[&str] =
            if matches!(vector, "IAT" | "SAMP_NUM") { &["caplen/", ""] } else { &["caplen/"] };
        for (config, options) in CONFIGS {
            for (form, more) in FORMS {
                for folder in folders {
                    let file = tables.join(format!("{folder}demo__{config}__{vector}{form}.csv"));
                    let set = format!("{set}:compat{options}{more}");
                    compared += usize::from(matches(&file, &capture, &set));
                }
            }
        }
    }
    println!("{compared} matrices of netml compared");
    assert!(compared >= 64, "only {compared} matrices were there");
}

#[test]
fn netml_flows_are_those_of_netml() {
    let Some((tables, capture)) = golden("netml flows") else { return };
    let more = [("q0.5", ":q=0.5"), ("i0.05", ":interval=0.05")];
    for (config, options) in CONFIGS.into_iter().chain(more) {
        let expected = lines(&tables.join(format!("caplen/demo__{config}__flows.csv"))).expect("flows");
        let found = rows(&capture, &format!("netml-stats:compat{options}"));
        assert_eq!(found.len(), expected.len(), "{config}");
        for ((identity, features), expected) in found.iter().zip(&expected) {
            assert_eq!(identity[..5], expected[1..6], "{config}");
            for (ns, seconds) in [(&identity[5], &expected[6]), (&identity[6], &expected[7])] {
                let seconds: f64 = seconds.parse().expect("seconds");
                assert_eq!((seconds * 1e6).round() as i64 * 1000, ns.parse::<i64>().expect("a time"));
            }
            let [packets, bytes] = [8, 9].map(|at| expected[at].parse::<f64>().expect("a count"));
            assert_eq!(features[10..], [packets, bytes], "{config}");
            assert_eq!(identity[8], expected[8], "{config}");
        }
    }
}

/// A capture of UDP over IPv4 in Ethernet: microseconds and source port of each packet.
fn traffic(packets: &[(i64, u16)]) -> Capture {
    let udp = |&(us, port): &(i64, u16)| {
        let data = written::udp([10, 0, 0, 1], [10, 0, 0, 2], port, 53, b"abcd");
        Written { ts_ns: us * 1000, wire_bytes: data.len() as u32, data }
    };
    let frames: Vec<Written> = packets.iter().map(udp).collect();
    let file = written::pcap(Order::Little, Pcap::Nanoseconds, 1, &frames).0;
    Capture::from_reader("test", Box::new(Cursor::new(file))).expect("a capture")
}

fn message(packets: &[(i64, u16)], set: &str, flow: FlowConfig) -> String {
    extract(traffic(packets), set, flow).expect_err("no rows").to_string()
}

#[test]
fn netml_says_what_it_cannot_do() {
    let still = [(5, 1), (5, 1), (5, 2), (5, 2), (5, 3), (6, 3)];
    let default = FlowConfig::default;
    for (set, expected) in [
        ("netml-iat:fft", "fixed-width"),
        ("netml-iat:q=0.5", ":compat"),
        ("netml-iat:compat:uni", "no `:uni`"),
        ("netml-iat:packets=1.5", "a whole number from 1 to 65535"),
        ("netml-iat:compat:q=0.4", "higher `:q=`"),
        ("netml-iat:compat:q=0", "from 0.01 to 1"),
        ("netml-samp-num:compat:interval=1", "no width"),
    ] {
        let message = message(&still, set, default());
        assert!(message.contains(set) && message.contains(expected), "{message}");
    }
    let little = FlowConfig { mem_bytes: 200, ..default() };
    let message = message(&still, "netml-iat:compat", little);
    assert!(message.contains("--mem"), "{message}");
}

#[test]
fn netml_columns_are_named_and_as_wide_as_the_flows() {
    let packets = [(0, 1), (1, 1), (3, 1), (0, 2), (5, 2)];
    let batches =
        extract(traffic(&packets), "netml-iat:compat:header:q=1", FlowConfig::default()).expect("rows");
    let names: Vec<&str> = batches[0].schema.fields.iter().map(|field| field.name.as_str()).collect();
    let header =
        ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"].map(|flag| format!("netml_header_{flag}"));
    assert_eq!(names[9..17], header);
    assert_eq!(names[17..], ["netml_ttl_1", "netml_ttl_2", "netml_iat_1", "netml_iat_2"]);
    assert_eq!(read_row(&batches[0], 1).0[..5], ["10.0.0.1", "10.0.0.2", "2", "53", "17"]);
    assert_eq!(read_row(&batches[0], 1).1[10..], [5e-6, 0.0]);
}

#[test]
fn netml_of_no_packets_is_no_rows() {
    for (_, set) in SETS {
        let batches = extract(traffic(&[(0, 1)]), &format!("{set}:compat:fft:header"), FlowConfig::default());
        assert_eq!(batches.expect("no error"), [], "{set}");
    }
}
