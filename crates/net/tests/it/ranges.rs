//! Every value of every feature lies in the range that its definition states.

use std::path::Path;

use cormorant_net::capture::Capture;
use cormorant_net::features::frames::FRAME_SETS;
use cormorant_net::features::{FEATURE_SETS, ListColumn, RowColumn, range};
use cormorant_net::meter::{MeterSpec, meter};

fn numbers(column: &RowColumn) -> Vec<f64> {
    match column {
        RowColumn::F64(values) => values.clone(),
        RowColumn::I64(values) => values.iter().map(|value| *value as f64).collect(),
        RowColumn::U64(values) => values.iter().map(|value| *value as f64).collect(),
        RowColumn::Text(_) => Vec::new(),
        RowColumn::F64List(ListColumn { values, .. }) => values.clone(),
    }
}

#[test]
fn values_lie_in_the_ranges_that_are_stated() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    for set in FEATURE_SETS.iter().map(|set| set.name).chain(FRAME_SETS.iter().map(|set| set.name)) {
        let mut seen = 0;
        for capture in ["learn.pcapng", "hunt.pcapng"] {
            let mut capture = Capture::open(&samples.join(capture)).unwrap();
            let spec = MeterSpec { sets: vec![set.to_owned()], ..MeterSpec::default() };
            let report = meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
                for (field, column) in rows.schema.fields.iter().zip(&rows.columns) {
                    let Some(range) = range(set, &field.name, field.unit, field.kind) else { continue };
                    let values = if field.identity { Vec::new() } else { numbers(column) };
                    seen += values.len();
                    let outside = values.iter().find(|value| !range.holds(**value));
                    assert!(outside.is_none(), "{set}: `{}` is {outside:?}, not {range}", field.name);
                }
                Ok(())
            });
            report.unwrap();
        }
        assert!(seen > 1000, "{set}: only {seen} values looked at");
    }
}
