//! How long one row takes: fits a model on a matrix file (see `bench_models.rs`), scores rows of another one by one, and prints
//! the median and the 99th percentile in microseconds.
//!
//! Usage: `row_latency MODEL TRAIN TEST [name=value]...`

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;
use std::{env, fs};

use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::Train;
use cormorant_learn::matrix::Matrix;
use cormorant_learn::models;
use cormorant_learn::params::Params;

/// Rows timed at most.
const ROWS: usize = 20_000;

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "an example that times, and prints")]
fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [model, train, test, given @ ..] = args.as_slice() else {
        return Err("expected MODEL TRAIN TEST [name=value]...".into());
    };
    let given: Option<BTreeMap<String, String>> = given
        .iter()
        .map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let spec = models::find(model)?;
    let params = Params::check(spec.name, spec.params, &given.ok_or("expected name=value")?)?;
    let (x, y) = read_matrix(train)?;
    let (test, _) = read_matrix(test)?;
    let ctx = Ctx::new(1, 2);
    let model = (spec.build)(&params)?.fit(&Train::labelled(&x, &y, 2), &ctx)?;
    let mut out = vec![0.0; model.outputs()];
    let mut times: Vec<f64> = Vec::with_capacity(ROWS);
    for row in test.iter_rows().take(ROWS) {
        let began = Instant::now();
        model.score_row(row, &mut out);
        times.push(began.elapsed().as_secs_f64() * 1e6);
        std::hint::black_box(&out);
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize];
    println!("{}: {} rows, p50 {:.1} us, p99 {:.1} us", spec.name, times.len(), at(0.5), at(0.99));
    Ok(())
}

fn read_matrix(path: &str) -> Result<(Matrix, Vec<u32>), Box<dyn Error>> {
    let bytes = fs::read(path)?;
    let (head, body) = bytes.split_at_checked(24).ok_or("too short for a matrix file")?;
    let word = |at: usize| -> Result<usize, Box<dyn Error>> {
        Ok(u64::from_le_bytes(head[at..at + 8].try_into()?) as usize)
    };
    let (rows, columns) = (word(8)?, word(16)?);
    if &head[..8] != b"CORMMTX1" || body.len() != rows * columns * 8 + rows {
        return Err("not a matrix file".into());
    }
    let (values, labels) = body.split_at(rows * columns * 8);
    let values =
        values.chunks_exact(8).map(|word| f64::from_le_bytes(word.try_into().unwrap_or_default())).collect();
    Ok((Matrix::from_values(rows, columns, values), labels.iter().map(|&label| u32::from(label)).collect()))
}
