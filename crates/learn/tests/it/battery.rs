//! What every line of `MODELS` must hold, whoever wrote it.

use std::collections::BTreeMap;

use cormorant_learn::LearnError;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::{Estimator, Kind, Model, ModelSpec, Train};
use cormorant_learn::eval::metrics::roc_auc;
use cormorant_learn::matrix::{Matrix, SparseMatrix};
use cormorant_learn::models::MODELS;
use cormorant_learn::params::{ParamKind, Params};

use crate::data;
use crate::mutate::{mutated, mutations};

fn build(spec: &ModelSpec, given: &[(&str, &str)]) -> Result<Box<dyn Estimator>, LearnError> {
    let mut given: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    if spec.name == "mlp" {
        // Its defaults go over the rows until nothing is gained, which takes long here and shows nothing more.
        given.entry("max_iter".to_owned()).or_insert_with(|| "20".to_owned());
        given.entry("learning_rate".to_owned()).or_insert_with(|| "0.005".to_owned());
    }
    (spec.build)(&Params::check(spec.name, spec.params, &given)?)
}

/// The made-up problem, moved where the model can learn it: one learns from counts, which are not negative, and one from
/// whether a value is above 0, which must lie between the classes.
fn blobs(spec: &ModelSpec, rows: usize, classes: usize, seed: u64) -> (Matrix, Vec<u32>) {
    let (mut x, y) = data::blobs(rows, classes, seed);
    let shift = match spec.name {
        "multinomial-nb" => 3.0,
        "bernoulli-nb" => -1.0,
        _ => return (x, y),
    };
    x.values_mut().iter_mut().for_each(|value| *value += shift);
    (x, y)
}

fn ctx(threads: usize) -> Ctx {
    Ctx::new(11, threads)
}

/// Fits on rows of classes 0.., which a novelty model does not see.
fn fit(
    spec: &ModelSpec,
    x: &Matrix,
    y: &[u32],
    classes: usize,
    threads: usize,
) -> Result<Box<dyn Model>, LearnError> {
    let estimator = build(spec, &[]).unwrap();
    match spec.kind {
        Kind::Classifier => estimator.fit(&Train::labelled(x, y, classes), &ctx(threads)),
        Kind::Novelty => estimator.fit(&Train::unlabelled(x), &ctx(threads)),
    }
}

/// Every model with the numbers of classes it is tried with.
fn each(mut check: impl FnMut(&'static ModelSpec, usize)) {
    assert!(!MODELS.is_empty());
    for spec in MODELS {
        check(spec, 2);
        if spec.kind == Kind::Classifier {
            check(spec, 3);
        }
    }
}

fn bits(matrix: &Matrix) -> Vec<u64> {
    matrix.values().iter().map(|value| value.to_bits()).collect()
}

#[test]
fn names_are_distinct_and_everything_is_documented() {
    for (place, spec) in MODELS.iter().enumerate() {
        assert!(MODELS[..place].iter().all(|other| other.name != spec.name), "{} twice", spec.name);
        assert!(
            !spec.doc.is_empty() && spec.params.iter().all(|param| !param.doc.is_empty()),
            "{}",
            spec.name
        );
    }
}

#[test]
fn bad_parameters_are_refused_by_name() {
    for spec in MODELS {
        build(spec, &[]).unwrap_or_else(|error| panic!("defaults of {}: {error}", spec.name));
        for param in spec.params {
            let out_of_range = match param.kind {
                ParamKind::Int { max, .. } | ParamKind::IntList { max, .. } => (max + 1).to_string(),
                ParamKind::Float { max, .. } | ParamKind::ChoiceOrFloat { max, .. } => {
                    format!("{:e}", max * 2.0 + 1.0)
                }
                ParamKind::Bool => "yes".to_owned(),
                ParamKind::Choice(_) => String::new(),
            };
            for bad in ["no such value", "NaN", out_of_range.as_str()] {
                let message = build(spec, &[(param.name, bad)]).err().unwrap_or_else(|| {
                    panic!("{} takes {}={bad}", spec.name, param.name);
                });
                let message = message.to_string();
                assert!(message.contains(param.name) && message.contains(spec.name), "{message}");
            }
        }
        assert!(build(spec, &[("no-such-parameter", "1")]).is_err());
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 3000, classes, 1);
        let saved = |threads| fit(spec, &x, &y, classes, threads).unwrap().save().unwrap();
        let one = saved(1);
        for threads in [2, 7] {
            assert!(one == saved(threads), "{} with {classes} classes on {threads} threads", spec.name);
        }
    });
}

#[test]
fn a_loaded_model_scores_the_same_bits_and_saves_the_same_bytes() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 500, classes, 2);
        let model = fit(spec, &x, &y, classes, 1).unwrap();
        let saved = model.save().unwrap();
        let loaded = (spec.load)(&saved).unwrap();
        assert_eq!(bits(&model.score(&x, &ctx(1))), bits(&loaded.score(&x, &ctx(1))), "{}", spec.name);
        assert!(saved == loaded.save().unwrap(), "{}", spec.name);
        assert_eq!((loaded.columns(), loaded.outputs()), (model.columns(), model.outputs()));
        assert_eq!(loaded.notes(), model.notes());
    });
}

#[test]
fn rows_score_alone_as_they_do_together() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 9000, classes, 3);
        let model = fit(spec, &x, &y, classes, 2).unwrap();
        let together = model.score(&x, &ctx(1));
        assert_eq!(bits(&together), bits(&model.score(&x, &ctx(3))), "{}", spec.name);
        let mut alone = vec![0.0; model.outputs()];
        for (row, values) in x.iter_rows().enumerate() {
            model.score_row(values, &mut alone);
            let same = alone.iter().zip(together.row(row)).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{} row {row}: {alone:?} is not {:?}", spec.name, together.row(row));
        }
    });
}

#[test]
fn sparse_rows_teach_and_score_as_dense_ones_do() {
    each(|spec, classes| {
        let (mut x, y) = data::blobs(600, classes, 15);
        x.values_mut().iter_mut().for_each(|value| *value = value.max(0.5) - 0.5);
        let sparse = SparseMatrix::from_dense(&x);
        let data = |dense: bool| match (spec.kind, dense) {
            (Kind::Classifier, true) => Train::labelled(&x, &y, classes),
            (Kind::Classifier, false) => Train::labelled(&sparse, &y, classes),
            (Kind::Novelty, true) => Train::unlabelled(&x),
            (Kind::Novelty, false) => Train::unlabelled(&sparse),
        };
        let fit = |dense| build(spec, &[]).unwrap().fit(&data(dense), &ctx(1)).unwrap();
        let (from_dense, from_sparse) = (fit(true), fit(false));
        let expected = from_dense.score(&x, &ctx(1));
        let near = |scores: &Matrix, bound: f64, what: &str| {
            for (place, (a, b)) in scores.values().iter().zip(expected.values()).enumerate() {
                assert!((a - b).abs() <= bound, "{} {what}, score {place}: {a} is not {b}", spec.name);
            }
        };
        near(&from_dense.score_sparse(&sparse, &ctx(2)), 1e-12, "scoring sparse rows");
        near(&from_sparse.score(&x, &ctx(1)), 1e-6, "fitted on sparse rows");
    });
}

#[test]
fn a_fit_forgets_the_fits_before_it() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 300, classes, 4);
        let (other, other_y) = blobs(spec, 200, classes, 5);
        let estimator = build(spec, &[]).unwrap();
        let data = |x, y| {
            if spec.kind == Kind::Novelty { Train::unlabelled(x) } else { Train::labelled(x, y, classes) }
        };
        estimator.fit(&data(&other, &other_y), &ctx(1)).unwrap();
        let second = estimator.fit(&data(&x, &y), &ctx(1)).unwrap().save().unwrap();
        assert!(second == fit(spec, &x, &y, classes, 1).unwrap().save().unwrap(), "{}", spec.name);
    });
}

#[test]
fn an_easy_problem_is_solved_far_better_than_by_chance() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 2000, classes, 6);
        let (test, truth) = blobs(spec, 1000, classes, 7);
        let benign: Vec<usize> = (0..x.rows()).filter(|&row| y[row] == 0).collect();
        let learnt = if spec.kind == Kind::Novelty { x.take_rows(&benign) } else { x };
        let model = fit(spec, &learnt, &y, classes, 2).unwrap();
        let scores = model.score(&test, &ctx(1));
        let malicious = |row: &[f64]| if spec.kind == Kind::Novelty { row[0] } else { 1.0 - row[0] };
        let scores: Vec<f64> = scores.iter_rows().map(malicious).collect();
        let truth: Vec<bool> = truth.iter().map(|class| *class > 0).collect();
        let auc = roc_auc(&truth, &scores).unwrap();
        assert!(
            auc > if spec.kind == Kind::Novelty { 0.7 } else { 0.93 },
            "{} with {classes} classes: {auc}",
            spec.name
        );
    });
}

#[test]
fn contributions_and_baseline_add_up_to_the_margin_of_the_score() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 400, classes, 8);
        let model = fit(spec, &x, &y, classes, 1).unwrap();
        let mut score = vec![0.0; model.outputs()];
        for row in x.iter_rows().take(50) {
            model.score_row(row, &mut score);
            let margins: Option<Vec<f64>> = (0..model.outputs())
                .map(|output| model.contributions(row, output))
                .map(|part| part.map(|part| part.baseline + part.values.iter().sum::<f64>()))
                .collect();
            let Some(margins) = margins else { return };
            assert!(belong_together(&margins, &score), "{}: margins {margins:?}, score {score:?}", spec.name);
        }
    });
}

/// Margins are scores, their logarithms, their log-odds, or what softmax makes scores of; or log-odds of each class against
/// the rest, whose shares of their sum are scores.
fn belong_together(margins: &[f64], score: &[f64]) -> bool {
    let near = |to: &dyn Fn(f64) -> f64| margins.iter().zip(score).all(|(m, s)| (to(*m) - s).abs() < 1e-9);
    let total: f64 = margins.iter().map(|margin| margin.exp()).sum();
    let odds = |m: f64| 1.0 / (1.0 + (-m).exp());
    let of_rest: f64 = margins.iter().copied().map(odds).sum();
    near(&|m| m)
        || near(&|m| odds(m) / of_rest)
        || near(&f64::exp2)
        || near(&odds)
        || near(&|m| m.exp() / total)
}

#[test]
fn importances_are_shares_and_find_the_column_that_says_nothing() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 2000, classes, 9);
        let Some(importances) = fit(spec, &x, &y, classes, 1).unwrap().importances() else { return };
        assert_eq!(importances.len(), x.columns());
        assert!(
            (importances.iter().sum::<f64>() - 1.0).abs() < 1e-9
                && importances.iter().all(|part| *part >= 0.0)
        );
        let told = importances[..classes.min(3)].iter().copied().fold(f64::INFINITY, f64::min);
        assert!(spec.kind == Kind::Novelty || importances[3] < told, "{}: {importances:?}", spec.name);
    });
}

/// A fit of odd data is refused with a message or gives a model whose every score is a number.
fn refused_or_sound(spec: &ModelSpec, x: &Matrix, y: &[u32], classes: usize, what: &str) -> bool {
    let model = match fit(spec, x, y, classes, 2) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
        Ok(model) => model,
    };
    let mut probes: Vec<Vec<f64>> = x.iter_rows().take(5).map(<[f64]>::to_vec).collect();
    for value in [0.0, 1.0, -1e300, f64::MAX, -f64::MAX, f64::MIN_POSITIVE] {
        probes.push(vec![value; x.columns()]);
    }
    if spec.takes_missing {
        probes.push(vec![f64::NAN; x.columns()]);
    }
    let mut score = vec![0.0; model.outputs()];
    for probe in &probes {
        model.score_row(probe, &mut score);
        assert!(
            score.iter().all(|value| value.is_finite()),
            "{} on {what}: {probe:?} scores {score:?}",
            spec.name
        );
        let sum: f64 = score.iter().sum();
        assert!(spec.kind == Kind::Novelty || (sum - 1.0).abs() < 1e-9, "{} on {what}: sum {sum}", spec.name);
        drop(model.contributions(probe, 0));
    }
    true
}

#[test]
fn odd_data_are_refused_or_give_scores_that_are_numbers() {
    each(|spec, classes| {
        let classifier = spec.kind == Kind::Classifier;
        let (x, y) = blobs(spec, 60, classes, 10);
        let filled = |value: f64| Matrix::from_values(60, 3, vec![value; 180]);
        let sound = |x: &Matrix, y: &[u32], what: &str| refused_or_sound(spec, x, y, classes, what);
        assert!(!sound(&Matrix::zeros(0, 4), &[], "no rows"), "{} learns from nothing", spec.name);
        let one = sound(&x.take_rows(&[0]), &y[..1], "one row");
        let one_class = sound(&x, &vec![1; 60], "one class");
        assert!(!classifier || !(one || one_class), "{} learns classes from one class", spec.name);
        assert!(sound(&filled(3.0), &y, "constant columns"), "{}", spec.name);
        assert!(sound(&filled(1e300), &y, "huge constant columns"), "{}", spec.name);
        sound(&Matrix::zeros(60, 0), &y, "no columns");
        let mut huge = x.clone();
        huge.values_mut().iter_mut().step_by(3).for_each(|value| *value *= 1e300);
        assert!(sound(&huge, &y, "huge values"), "{}", spec.name);
        let mut tiny = x.clone();
        tiny.values_mut().iter_mut().for_each(|value| *value *= 1e-300);
        assert!(sound(&tiny, &y, "tiny values"), "{}", spec.name);
        let wide = Matrix::from_values(8, 100, (0..800).map(|place| f64::from(place * place % 83)).collect());
        assert!(sound(&wide, &y[..8], "more columns than rows"), "{}", spec.name);
        let mut missing = x.clone();
        missing.values_mut().iter_mut().step_by(7).for_each(|value| *value = f64::NAN);
        assert_eq!(sound(&missing, &y, "missing values"), spec.takes_missing, "{}", spec.name);
    });
}

#[test]
fn labels_that_do_not_match_the_rows_are_refused() {
    for spec in MODELS.iter().filter(|spec| spec.kind == Kind::Classifier) {
        let (x, y) = blobs(spec, 20, 2, 12);
        for (y, classes) in [(&y[..19], 2), (&y[..], 1), (&[5; 20][..], 2), (&y[..], 0)] {
            assert!(fit(spec, &x, y, classes, 1).is_err(), "{}", spec.name);
        }
    }
}

#[test]
fn a_cancelled_fit_stops() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 500, classes, 13);
        let ctx = ctx(2);
        ctx.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
        let data =
            if spec.kind == Kind::Novelty { Train::unlabelled(&x) } else { Train::labelled(&x, &y, classes) };
        let fitted = build(spec, &[]).unwrap().fit(&data, &ctx);
        assert!(matches!(fitted, Err(LearnError::Cancelled)), "{}", spec.name);
    });
}

#[test]
fn damaged_models_never_panic() {
    each(|spec, classes| {
        let (x, y) = blobs(spec, 40, classes, 14);
        let few: Vec<(&str, &str)> =
            spec.params.iter().filter(|param| param.name == "trees").map(|param| (param.name, "3")).collect();
        let estimator = build(spec, &few).unwrap();
        let data =
            if spec.kind == Kind::Novelty { Train::unlabelled(&x) } else { Train::labelled(&x, &y, classes) };
        let model = estimator.fit(&data, &ctx(1)).unwrap();
        let saved = model.save().unwrap();
        let mut loads = 0;
        for index in 0..mutations() {
            let Ok(loaded) = (spec.load)(&mutated(&saved, index)) else { continue };
            loads += 1;
            if (loaded.columns(), loaded.outputs()) == (model.columns(), model.outputs()) {
                use_everything(&*loaded, &x);
            }
        }
        assert!(loads > 0, "no damaged model of {} loads: damage is not tried", spec.name);
        eprintln!("{} with {classes} classes: {loads} of {} damaged models load", spec.name, mutations());
    });
}

fn use_everything(model: &dyn Model, x: &Matrix) {
    let mut score = vec![0.0; model.outputs()];
    for row in [x.row(0), &vec![f64::MAX; x.columns()], &vec![f64::NAN; x.columns()]] {
        model.score_row(row, &mut score);
        (0..model.outputs()).for_each(|output| drop(model.contributions(row, output)));
    }
    drop((model.score(x, &ctx(1)), model.importances(), model.notes(), model.save()));
}
