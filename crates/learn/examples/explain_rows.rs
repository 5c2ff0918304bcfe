//! Our side of `benches/shapley.py`: fits a tree model on a matrix file, explains the first rows of another, writes why.
//!
//! Usage: `explain_rows MODEL TRAIN TEST ROWS OUT [name=value]...`. After each stage (loaded, fitted, explained) it prints the
//! stage's name and waits for a line, as `bench_models` does. OUT holds, per row, the contribution of each column to class 1 and
//! then the baseline, all f64, little-endian; OUT.model is the saved model.

mod matrix;

use std::collections::BTreeMap;
use std::error::Error;
use std::{env, fs};

use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::Train;
use cormorant_learn::models;
use cormorant_learn::params::Params;

use self::matrix::{read_matrix, stage_over};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [model, train, test, rows, out, given @ ..] = args.as_slice() else {
        return Err("expected MODEL TRAIN TEST ROWS OUT [name=value]...".into());
    };
    let given: Option<BTreeMap<String, String>> = given
        .iter()
        .map(|pair| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    let spec = models::find(model)?;
    let params = Params::check(spec.name, spec.params, &given.ok_or("expected name=value")?)?;
    let ((x, y), (test, _)) = (read_matrix(train)?, read_matrix(test)?);
    stage_over("loaded")?;
    let model = (spec.build)(&params)?.fit(&Train::labelled(&x, &y, 2), &Ctx::new(1, 1))?;
    stage_over("fitted")?;
    let explained: Option<Vec<_>> =
        test.iter_rows().take(rows.parse()?).map(|row| model.contributions(row, 1)).collect();
    stage_over("explained")?;
    let explained = explained.ok_or("this model does not explain its scores")?;
    let values = explained.iter().flat_map(|row| row.values.iter().chain([&row.baseline]));
    fs::write(out, values.flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>())?;
    Ok(fs::write(format!("{out}.model"), model.save()?)?)
}
