//! Measures the meter alone: `cargo run --release -p cormorant-net --example meter_speed -- CAPTURE [SETS] [THREADS] [BATCH_ROWS]`.
//!
//! Prints packets, flows and a digest of the rows; run it under `time` or `perf stat` for the cost.

#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use cormorant_net::capture::Capture;
use cormorant_net::features::{RowColumn, Rows};
use cormorant_net::meter::{MeterSpec, meter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rest @ ..] = arguments.as_slice() else {
        return Err("usage: meter_speed CAPTURE [SETS] [THREADS] [BATCH_ROWS]".into());
    };
    let sets = rest.first().map_or("flow", String::as_str);
    let spec = MeterSpec {
        sets: sets.split(',').filter(|set| !set.is_empty()).map(str::to_owned).collect(),
        threads: rest.get(1).map_or(Ok(1), |threads| threads.parse())?,
        batch_rows: rest.get(2).map_or(Ok(1024), |rows| rows.parse())?,
        ..MeterSpec::default()
    };
    let mut capture = Capture::open(Path::new(path))?;
    let mut digest = DefaultHasher::new();
    let report = meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
        hash_rows(&rows, &mut digest);
        Ok(())
    })?;
    println!("{report:#?}");
    println!("digest of all rows: {:016x}", digest.finish());
    Ok(())
}

fn hash_rows(rows: &Rows, digest: &mut DefaultHasher) {
    for column in &rows.columns {
        match column {
            RowColumn::F64(values) => values.iter().for_each(|value| value.to_bits().hash(digest)),
            RowColumn::I64(values) => values.hash(digest),
            RowColumn::U64(values) => values.hash(digest),
            RowColumn::Text(values) => (&values.offsets, &values.bytes).hash(digest),
            RowColumn::F64List(lists) => {
                lists.offsets.hash(digest);
                lists.values.iter().for_each(|value| value.to_bits().hash(digest));
            }
        }
    }
}
