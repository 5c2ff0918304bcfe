//! Our side of `benches/models.py`: fits one model on a matrix file, scores another, writes the scores.
//!
//! Usage: `bench_models MODEL TRAIN TEST SCORES --threads N --seed N [--sparse] [--fields FILE] [name=value]...`. After each stage (loaded, fitted,
//! scored) it prints the stage's name and waits for a line, so that the clocks are read outside, the same way for all
//! programs compared; `benches/sklearn_models.py` talks in the same way.
//!
//! The matrix file is described in `matrix/mod.rs`. The scores: one f64 per test row, the probability of class 1 or the
//! anomaly score; of more than two classes the probability of each. What the fit has to say of itself goes to standard error.
//!
//! `--fields` writes the fitted model's fields as JSON, for `benches/convex.py` to compute with.
//!
//! MODEL may also be `k-means` (ten centres; `k` is a parameter): the scores are then the inertia and the steps. Or `pca`
//! (ten components): the scores are then their shares in the variance, and the weights of the first.

mod matrix;

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::{env, fs, io};

use cormorant_learn::cluster::kmeans::KMeans;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::{Kind, Train};
use cormorant_learn::matrix::{Rows, SparseMatrix};
use cormorant_learn::models;
use cormorant_learn::params::Params;
use cormorant_learn::project::pca::{Keep, Pca};

use self::matrix::{read_matrix, stage_over};

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::from_command_line()?;
    if args.model == "k-means" {
        return k_means(&args);
    }
    if args.model == "pca" {
        return components(&args);
    }
    let spec = models::find(&args.model)?;
    let estimator = (spec.build)(&Params::check(spec.name, spec.params, &args.params)?)?;
    let (x, labels) = read_matrix(&args.train)?;
    let (test, _) = read_matrix(&args.test)?;
    let sparse = args.sparse.then(|| [SparseMatrix::from_dense(&x), SparseMatrix::from_dense(&test)]);
    let rows = sparse.as_ref().map_or(Rows::Dense(&x), |[train, _]| Rows::Sparse(train));
    let classes = labels.iter().max().map_or(2, |largest| (*largest as usize + 1).max(2));
    let ctx = Ctx::new(args.seed, args.threads);
    let data = match spec.kind {
        Kind::Classifier => Train::labelled(rows, &labels, classes),
        Kind::Novelty => Train::unlabelled(rows),
    };
    stage_over("loaded")?;
    let model = estimator.fit(&data, &ctx)?;
    stage_over("fitted")?;
    let scores = match &sparse {
        Some([_, test]) => model.score_sparse(test, &ctx),
        None => model.score(&test, &ctx),
    };
    stage_over("scored")?;
    model.notes().iter().try_for_each(|note| writeln!(io::stderr(), "{note}"))?;
    if let Some(path) = &args.fields {
        let fields: serde_json::Value = rmp_serde::from_slice(&model.save()?)?;
        fs::write(path, serde_json::to_vec(&fields)?)?;
    }
    let first = if classes > 2 { 0 } else { model.outputs() - 1 };
    let kept = scores.iter_rows().flat_map(|row| &row[first..]);
    Ok(fs::write(&args.scores, kept.flat_map(|score| score.to_le_bytes()).collect::<Vec<_>>())?)
}

/// Groups the training rows.
fn k_means(args: &Args) -> Result<(), Box<dyn Error>> {
    let (x, _) = read_matrix(&args.train)?;
    let number = |name: &str| args.params.get(name).map(|value| value.parse()).transpose();
    let fit = KMeans { batch: number("batch")?, ..KMeans::new(number("k")?.unwrap_or(10)) };
    stage_over("loaded")?;
    let found = fit.fit(&x, None, &Ctx::new(args.seed, args.threads))?;
    stage_over("fitted")?;
    stage_over("scored")?;
    let figures = [found.inertia, found.iterations as f64];
    Ok(fs::write(&args.scores, figures.map(f64::to_le_bytes).concat())?)
}

/// Finds the first ten components of the training rows.
fn components(args: &Args) -> Result<(), Box<dyn Error>> {
    let (x, _) = read_matrix(&args.train)?;
    stage_over("loaded")?;
    let found = Pca::fit(&x, Keep::Count(10), false, &Ctx::new(args.seed, args.threads))?;
    stage_over("fitted")?;
    stage_over("scored")?;
    let figures = found.explained().iter().chain(found.component(0));
    Ok(fs::write(&args.scores, figures.flat_map(|figure| figure.to_le_bytes()).collect::<Vec<_>>())?)
}

/// The command line: four names, then options in any order.
struct Args {
    model: String,
    train: String,
    test: String,
    scores: String,
    threads: usize,
    seed: u64,
    sparse: bool,
    fields: Option<String>,
    params: BTreeMap<String, String>,
}

impl Args {
    fn from_command_line() -> Result<Self, Box<dyn Error>> {
        let mut args = env::args().skip(1);
        let mut named =
            |what: &str| args.next().ok_or_else(|| format!("expected {what}: MODEL TRAIN TEST SCORES"));
        let [model, train, test, scores] = [
            named("a model")?,
            named("a training file")?,
            named("a test file")?,
            named("a file for scores")?,
        ];
        let params = BTreeMap::new();
        let mut parsed =
            Self { model, train, test, scores, threads: 1, seed: 1, sparse: false, fields: None, params };
        while let Some(option) = args.next() {
            match option.as_str() {
                "--threads" => parsed.threads = args.next().unwrap_or_default().parse()?,
                "--sparse" => parsed.sparse = true,
                "--fields" => parsed.fields = args.next(),
                "--seed" => parsed.seed = args.next().unwrap_or_default().parse()?,
                _ => {
                    let (name, value) = option
                        .split_once('=')
                        .ok_or_else(|| format!("expected name=value, found {option}"))?;
                    parsed.params.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        Ok(parsed)
    }
}
