//! Any bytes as a model file: reading returns, and a model that is accepted scores any table of its schema without
//! a panic. Mutations go inside the sections and checksums are made right again, or none would get past them.

#![no_main]

use cormorant_learn::corm;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::pipeline::Pipeline;
use cormorant_learn::table::{Column, FeatureKind, Field, ListColumn, Role, Table, TextColumn};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(|data: &[u8]| {
    let Ok(pipeline) = Pipeline::from_bytes(data) else { return };
    let table = extremes(&pipeline);
    let ctx = Ctx::new(0, 1);
    if let Ok(scores) = pipeline.score(&table, &ctx) {
        assert_eq!(scores.malicious.len(), table.rows());
    }
    let _ = pipeline.explain(&table, 0);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let sections = corm::read(&data[..size.min(data.len())])
        .map(|sections| sections.into_iter().map(|(tag, body)| (tag, body.to_vec())).collect::<Vec<_>>());
    let Ok(mut sections) = sections else { return fuzzer_mutate(data, size, max_size) };
    let chosen = seed as usize % sections.len().max(1);
    if let Some((_, body)) = sections.get_mut(chosen) {
        let before = body.len();
        let room = before + max_size.saturating_sub(size).min(64);
        body.resize(room.max(1), 0);
        let after = fuzzer_mutate(body, before, room.max(1));
        body.truncate(after);
    }
    match corm::write(&sections) {
        Ok(file) if file.len() <= max_size.min(data.len()) => {
            data[..file.len()].copy_from_slice(&file);
            file.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});

/// Four rows of the model's schema: zeros, large numbers, infinities, missing values.
fn extremes(pipeline: &Pipeline) -> Table {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for feature in &pipeline.schema().features {
        fields.push(Field::new(feature.name.clone(), feature.unit.clone(), Role::Feature));
        columns.push(match feature.kind {
            FeatureKind::Number => Column::F64(vec![0.0, -f64::MAX, f64::INFINITY, f64::NAN]),
            FeatureKind::Text => {
                Column::Text(TextColumn::from_texts([Some(""), Some("tcp"), Some("\u{202e}"), None]))
            }
            FeatureKind::List => Column::List(ListColumn::from_lists([
                vec![],
                vec![0.0],
                vec![f64::MAX, f64::INFINITY, f64::NAN],
                vec![-f64::MAX; 100],
            ])),
        });
    }
    Table::new(fields, columns).unwrap_or_default()
}
