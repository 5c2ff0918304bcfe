//! How long one row takes: fits a model on a matrix file (see `bench_models.rs`), scores rows of another one by one, and prints
//! the median and the 99th percentile in microseconds.
//!
//! Usage: `row_latency MODEL TRAIN TEST [name=value]...`

#[allow(dead_code, reason = "stages are timed from outside, rows from inside")]
mod matrix;

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::time::Instant;

use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::Train;
use cormorant_learn::models;
use cormorant_learn::params::Params;

use self::matrix::read_matrix;

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
