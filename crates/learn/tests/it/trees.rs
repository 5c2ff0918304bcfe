//! Trees and forests against a second, naive implementation and against what must hold for any of them.

use std::collections::BTreeMap;

use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::{Model, Train};
use cormorant_learn::matrix::Matrix;
use cormorant_learn::models;
use cormorant_learn::params::Params;

/// Numbers in [0, 1) that look random.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }
}

fn fit(name: &str, params: &[(&str, &str)], data: &Train<'_>, threads: usize) -> Box<dyn Model> {
    let spec = models::find(name).unwrap();
    let given: BTreeMap<String, String> =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let params = Params::check(name, spec.params, &given).unwrap();
    (spec.build)(&params).unwrap().fit(data, &Ctx::new(11, threads)).unwrap()
}

fn scores(model: &dyn Model, x: &Matrix) -> Matrix {
    model.score(x, &Ctx::new(0, 2))
}

/// Rows whose class depends on two of four columns; a share of the values missing.
fn problem(seed: u64, rows: usize, classes: u32, missing: f64) -> (Matrix, Vec<u32>) {
    let mut noise = Noise(seed);
    let mut x = Matrix::zeros(rows, 4);
    let mut y = Vec::new();
    for row in 0..rows {
        x.row_mut(row).fill_with(|| noise.next());
        let mark = x.row(row)[1] * 1.7 + x.row(row)[2] + 0.6 * noise.next();
        y.push(((mark / 3.3 * f64::from(classes)) as u32).min(classes - 1));
        for value in x.row_mut(row) {
            if noise.next() < missing {
                *value = f64::NAN;
            }
        }
    }
    (x, y)
}

/// Weighted impurity of a set of rows.
fn impurity(rows: &[usize], y: &[u32], weights: &[f64], entropy: bool) -> f64 {
    let mut totals = BTreeMap::new();
    rows.iter().for_each(|&row| *totals.entry(y[row]).or_insert(0.0) += weights[row]);
    let all: f64 = totals.values().sum();
    let each = |total: &f64| if entropy { -total * (total / all).ln() } else { total * (1.0 - total / all) };
    totals.values().map(each).sum()
}

/// The impurity left by greedy CART to a depth, trying every threshold of every column, missing values on both sides,
/// and parting missing values from the others.
fn naive(x: &Matrix, y: &[u32], weights: &[f64], rows: &[usize], depth: usize, entropy: bool) -> f64 {
    let whole = impurity(rows, y, weights, entropy);
    if depth == 0 || whole < 1e-12 {
        return whole;
    }
    let mut best: Option<(f64, [Vec<usize>; 2])> = None;
    for column in 0..x.columns() {
        for &pivot in rows {
            for missing_left in [false, true] {
                let threshold = x.row(pivot)[column];
                let goes_left = |row: &usize| {
                    let value = x.row(*row)[column];
                    if value.is_nan() { missing_left } else { value <= threshold }
                };
                let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| goes_left(row));
                if left.is_empty() || right.is_empty() {
                    continue;
                }
                let both = impurity(&left, y, weights, entropy) + impurity(&right, y, weights, entropy);
                if best.as_ref().is_none_or(|(least, _)| both < least - 1e-9) {
                    best = Some((both, [left, right]));
                }
            }
        }
    }
    let Some((_, sides)) = best else { return whole };
    sides.iter().map(|side| naive(x, y, weights, side, depth - 1, entropy)).sum()
}

/// Impurity of the leaves, from the shares that the training rows are scored with.
fn impurity_left(scores: &Matrix, weights: &[f64], entropy: bool) -> f64 {
    let each = |share: &f64| match entropy {
        true if *share > 0.0 => -share * share.ln(),
        true => 0.0,
        false => share * (1.0 - share),
    };
    scores
        .iter_rows()
        .zip(weights)
        .map(|(shares, weight)| weight * shares.iter().map(each).sum::<f64>())
        .sum()
}

#[test]
fn trees_are_exact_cart_on_few_distinct_values() {
    for seed in 0..12u64 {
        let (classes, entropy) = (2 + (seed % 3) as u32, seed % 2 == 1);
        let missing = if seed % 4 < 2 { 0.0 } else { 0.15 };
        let (x, y) = problem(seed, 90, classes, missing);
        let mut noise = Noise(seed + 99);
        let weights: Vec<f64> = (0..90).map(|_| if seed < 6 { 1.0 } else { 0.5 + noise.next() }).collect();
        let all: Vec<usize> = (0..90).collect();
        for depth in ["1", "2"] {
            let data = Train { weights: Some(&weights), ..Train::labelled(&x, &y, classes as usize) };
            let criterion = if entropy { "entropy" } else { "gini" };
            let model = fit("decision-tree", &[("max_depth", depth), ("criterion", criterion)], &data, 1);
            let found = impurity_left(&scores(&*model, &x), &weights, entropy);
            let expected = naive(&x, &y, &weights, &all, depth.parse().unwrap(), entropy);
            assert!((found - expected).abs() < 1e-6, "seed {seed}, depth {depth}: {found} is not {expected}");
        }
    }
}

#[test]
fn a_full_tree_tells_all_distinct_training_rows_apart() {
    let (x, y) = problem(5, 3000, 3, 0.05);
    let model = fit("decision-tree", &[], &Train::labelled(&x, &y, 3), 1);
    let wrong = scores(&*model, &x)
        .iter_rows()
        .zip(&y)
        .filter(|(shares, class)| shares[**class as usize] < 1.0)
        .count();
    // 3000 values share 255 bins, so that a few rows may be alike.
    assert!(wrong <= 6, "{wrong} rows");
}

#[test]
fn thresholds_lie_between_the_values_they_part() {
    let x = Matrix::from_values(4, 1, vec![0.0, 1.0, 10.0, 11.0]);
    let model = fit("decision-tree", &[], &Train::labelled(&x, &[0, 0, 1, 1], 2), 1);
    let mut out = [0.0; 2];
    for (value, class) in [(-1e300, 0), (5.4, 0), (5.6, 1), (f64::INFINITY, 1)] {
        model.score_row(&[value], &mut out);
        assert_eq!(out[class], 1.0, "{value}");
    }
}

#[test]
fn limits_hold() {
    let (x, y) = problem(3, 600, 2, 0.0);
    let data = Train::labelled(&x, &y, 2);
    let leaf_sizes = |params: &[(&str, &str)]| {
        let shares = scores(&*fit("decision-tree", params, &data, 1), &x);
        let mut sizes = BTreeMap::new();
        shares.iter_rows().for_each(|shares| *sizes.entry(shares[0].to_bits()).or_insert(0usize) += 1);
        sizes
    };
    assert!(leaf_sizes(&[("max_depth", "3")]).len() <= 8);
    assert!(leaf_sizes(&[("min_samples_leaf", "40")]).values().all(|&rows| rows >= 40));
    assert_eq!(leaf_sizes(&[("min_samples_split", "601")]).len(), 1);
}

#[test]
fn forests_are_limited_pruned_and_measured_the_same_on_any_number_of_threads() {
    let (x, y) = problem(21, 600, 3, 0.05);
    let data = Train::labelled(&x, &y, 3);
    for name in ["random-forest", "extra-trees"] {
        let params = [
            ("trees", "12"),
            ("max_leaf_nodes", "20"),
            ("bootstrap", "true"),
            ("oob_score", "true"),
            ("ccp_alpha", "0.02"),
        ];
        let model = fit(name, &params, &data, 1);
        assert_eq!(model.save().unwrap(), fit(name, &params, &data, 5).save().unwrap(), "{name}");
        assert!(model.notes()[0].starts_with("out of bag: accuracy 0."), "{:?}", model.notes());
        let loaded = (models::find(name).unwrap().load)(&model.save().unwrap()).unwrap();
        assert_eq!(loaded.notes(), model.notes());
        let larger = fit(name, &params[..4], &data, 1).save().unwrap().len();
        assert!(model.save().unwrap().len() < larger, "{name}: nothing is pruned");
        let spec = models::find(name).unwrap();
        let refused = [("bootstrap", "false"), ("oob_score", "true")];
        let given = refused.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let built = (spec.build)(&Params::check(name, spec.params, &given).unwrap());
        assert!(built.err().unwrap().to_string().contains("`oob_score`"), "{name}");
    }
}

#[test]
fn missing_values_are_learnt_from_and_unseen_ones_follow_the_majority() {
    let told = |missing: bool, value: f64| if missing { f64::NAN } else { value };
    let values: Vec<f64> = (0..200).map(|row| told(row % 4 == 0, f64::from(row % 7))).collect();
    let y: Vec<u32> = (0..200).map(|row| u32::from(row % 4 == 0)).collect();
    let x = Matrix::from_values(200, 1, values);
    let model = fit("decision-tree", &[], &Train::labelled(&x, &y, 2), 1);
    assert!(scores(&*model, &x).iter_rows().zip(&y).all(|(shares, &class)| shares[class as usize] == 1.0));

    let x = Matrix::from_values(100, 1, (0..100).map(|row| f64::from(u8::from(row >= 70))).collect());
    let y: Vec<u32> = (0..100).map(|row| u32::from(row >= 70)).collect();
    for (majority, y) in [(0, y.clone()), (1, y.iter().map(|class| 1 - class).collect())] {
        let mut out = [0.0; 2];
        fit("decision-tree", &[], &Train::labelled(&x, &y, 2), 1).score_row(&[f64::NAN], &mut out);
        assert_eq!(out[majority], 1.0);
    }
}

#[test]
fn weights_are_duplicates_and_their_scale_does_not_matter() {
    for classes in [2, 3] {
        let (x, y) = problem(17, 150, classes, 0.1);
        let weights: Vec<f64> = (0..150).map(|row| f64::from(row % 4)).collect();
        let rows: Vec<usize> = (0..150).flat_map(|row| std::iter::repeat_n(row, row % 4)).collect();
        let (copies, labels) = (x.take_rows(&rows), rows.iter().map(|&row| y[row]).collect::<Vec<_>>());
        let params = [("max_depth", "2")];
        let classes = classes as usize;
        let by_copies =
            scores(&*fit("decision-tree", &params, &Train::labelled(&copies, &labels, classes), 1), &x);
        for scale in [1.0, 0.37] {
            let weights: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
            let data = Train { weights: Some(&weights), ..Train::labelled(&x, &y, classes) };
            let by_weight = scores(&*fit("decision-tree", &params, &data, 1), &x);
            let furthest = by_weight
                .values()
                .iter()
                .zip(by_copies.values())
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            assert!(furthest < 1e-9, "scale {scale}: {furthest}");
        }
    }
}

#[test]
fn balanced_classes_weigh_the_same() {
    let x = Matrix::zeros(100, 1);
    let y: Vec<u32> = (0..100).map(|row| u32::from(row < 10)).collect();
    let mut out = [0.0; 2];
    for (class_weight, expected) in [("none", 0.1), ("balanced", 0.5)] {
        let params = [("class_weight", class_weight)];
        fit("decision-tree", &params, &Train::labelled(&x, &y, 2), 1).score_row(&[0.0], &mut out);
        assert!((out[1] - expected).abs() < 1e-12, "{class_weight}: {out:?}");
    }
}

fn auc(scores: &Matrix, y: &[u32]) -> f64 {
    let (mut wins, mut pairs) = (0.0, 0.0);
    for (a, _) in y.iter().enumerate().filter(|(_, class)| **class == 1) {
        for (b, _) in y.iter().enumerate().filter(|(_, class)| **class == 0) {
            let difference = scores.row(a)[1] - scores.row(b)[1];
            wins += if difference > 0.0 {
                1.0
            } else if difference == 0.0 {
                0.5
            } else {
                0.0
            };
            pairs += 1.0;
        }
    }
    wins / pairs
}

#[test]
fn a_forest_ranks_better_than_a_tree() {
    let (x, y) = problem(21, 1500, 2, 0.0);
    let (unseen, truth) = problem(22, 600, 2, 0.0);
    let data = Train::labelled(&x, &y, 2);
    let tree = auc(&scores(&*fit("decision-tree", &[], &data, 1), &unseen), &truth);
    let forest = fit("random-forest", &[], &data, 2);
    let ranked = auc(&scores(&*forest, &unseen), &truth);
    assert!(ranked > 0.95 && ranked > tree + 0.02, "forest {ranked}, tree {tree}");
    let importances = forest.importances().unwrap();
    assert!((importances.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!(
        importances[1] > importances[2] && importances[2] > importances[0].max(importances[3]),
        "{importances:?}"
    );
}

#[test]
fn any_number_of_threads_gives_the_same_bytes_and_scores() {
    let (x, y) = problem(31, 3000, 2, 0.05);
    let (whole, _) = problem(31, 3000, 2, 0.0);
    for (name, data) in [
        ("random-forest", Train::labelled(&x, &y, 2)),
        ("decision-tree", Train::labelled(&x, &y, 2)),
        ("isolation-forest", Train::unlabelled(&whole)),
    ] {
        let one = fit(name, &[], &data, 1);
        for threads in [2, 7] {
            assert!(
                one.save().unwrap() == fit(name, &[], &data, threads).save().unwrap(),
                "{name}, {threads} threads"
            );
        }
        let rows = data.x.dense();
        let together = one.score(&rows, &Ctx::new(0, 1));
        assert_eq!(together, one.score(&rows, &Ctx::new(0, 3)), "{name}");
        let mut alone = vec![0.0; one.outputs()];
        for row in 0..data.x.rows() {
            one.score_row(rows.row(row), &mut alone);
            assert_eq!(alone, together.row(row), "{name}, row {row}");
        }
    }
}

#[test]
fn contributions_add_up_to_the_score() {
    let (x, y) = problem(41, 800, 3, 0.05);
    let model = fit("random-forest", &[("trees", "20")], &Train::labelled(&x, &y, 3), 1);
    let shares = scores(&*model, &x);
    for row in 0..10 {
        for output in 0..3 {
            let why = model.contributions(x.row(row), output).unwrap();
            let total = why.baseline + why.values.iter().sum::<f64>();
            assert!((total - shares.row(row)[output]).abs() < 1e-10, "row {row}, output {output}: {total}");
        }
    }
    assert!(model.contributions(x.row(0), 3).is_none());
}

#[test]
fn what_cannot_be_learnt_from_is_refused() {
    let (x, y) = problem(51, 20, 2, 0.0);
    let mut infinite = x.clone();
    infinite.row_mut(3)[2] = f64::INFINITY;
    let short = &y[..19];
    let negative = [-1.0; 20];
    for (data, expected) in [
        (Train::labelled(&Matrix::zeros(0, 4), &[], 2), "at least one row"),
        (Train::labelled(&x, &[1; 20], 2), "one class"),
        (Train::labelled(&infinite, &y, 2), "row 3, column 2"),
        (Train::labelled(&x, short, 2), "19 classes"),
        (Train::labelled(&x, &[7; 20], 2), "row 0 is of class 7"),
        (Train { weights: Some(&negative), ..Train::labelled(&x, &y, 2) }, "row 0 weighs -1"),
    ] {
        let spec = models::find("random-forest").unwrap();
        let params = Params::check(spec.name, spec.params, &BTreeMap::new()).unwrap();
        let refusal = (spec.build)(&params).unwrap().fit(&data, &Ctx::new(1, 1)).err().unwrap().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn damaged_files_are_refused_or_harmless() {
    let (x, y) = problem(61, 120, 2, 0.0);
    let mut noise = Noise(62);
    let (mut loaded, mut refused) = (0, 0);
    for (name, data) in
        [("random-forest", Train::labelled(&x, &y, 2)), ("isolation-forest", Train::unlabelled(&x))]
    {
        let spec = models::find(name).unwrap();
        let bytes = fit(name, &[("trees", "3")], &data, 1).save().unwrap();
        for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert!((spec.load)(&bytes[..length]).is_err(), "{name} cut to {length} bytes");
        }
        for _ in 0..6000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + (noise.next() * 3.0) as usize {
                let place = (noise.next() * bytes.len() as f64) as usize;
                damaged[place] = (noise.next() * 256.0) as u8;
            }
            let Ok(model) = (spec.load)(&damaged) else {
                refused += 1;
                continue;
            };
            loaded += 1;
            let row = vec![0.4; model.columns()];
            model.score_row(&row, &mut vec![0.0; model.outputs()]);
            model.score(&Matrix::from_values(1, row.len(), row.clone()), &Ctx::new(0, 1));
            model.contributions(&row, 0);
        }
    }
    assert!(loaded > 100 && refused > 1000, "{loaded} loaded, {refused} refused");
}
