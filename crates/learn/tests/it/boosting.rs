//! Gradient boosting against a naive second implementation and against what must hold for it.

use std::collections::BTreeMap;

use cormorant_learn::LearnError;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::{Model, ModelSpec, Train};
use cormorant_learn::matrix::Matrix;
use cormorant_learn::models;
use cormorant_learn::params::Params;
use cormorant_learn::rng;
use rand::RngExt;

use crate::data::blobs;
use crate::mutate::{mutated, mutations};

fn spec() -> &'static ModelSpec {
    models::find("gradient-boosting").unwrap()
}

fn try_fit(params: &[(&str, &str)], data: &Train<'_>, threads: usize) -> Result<Box<dyn Model>, LearnError> {
    let given: BTreeMap<String, String> =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let params = Params::check(spec().name, spec().params, &given)?;
    (spec().build)(&params)?.fit(data, &Ctx::new(11, threads))
}

fn fit(params: &[(&str, &str)], data: &Train<'_>) -> Box<dyn Model> {
    try_fit(params, data, 2).unwrap()
}

fn scores(model: &dyn Model, x: &Matrix) -> Matrix {
    model.score(x, &Ctx::new(0, 2))
}

/// Values on a coarse grid, some missing; the class depends on three of four columns.
fn problem(seed: u64, rows: usize, classes: u32) -> (Matrix, Vec<u32>) {
    let mut rng = rng::stream(seed, "boosting", 0);
    let mut x = Matrix::zeros(rows, 4);
    let mut y = Vec::new();
    for row in 0..rows {
        let values = x.row_mut(row);
        values.fill_with(|| (rng.random::<f64>() * 30.0).floor());
        let mark = values[0] + values[1] * values[2] / 20.0 + 20.0 * rng.random::<f64>();
        y.push(((mark / 95.0 * f64::from(classes)) as u32).min(classes - 1));
        for value in values {
            if rng.random::<f64>() < 0.1 {
                *value = f64::NAN;
            }
        }
    }
    (x, y)
}

/// Everything the naive implementation needs to know.
struct Naive<'a> {
    x: &'a Matrix,
    y: &'a [u32],
    weights: &'a [f64],
    classes: usize,
    leaves: usize,
    min_rows: usize,
    l1: f64,
    l2: f64,
    rate: f64,
}

impl Naive<'_> {
    /// Margins of all rows after some rounds, by the book: every leaf, every column, every threshold, both sides for
    /// missing values.
    fn margins(&self, rounds: usize) -> Vec<Vec<f64>> {
        let outputs = if self.classes == 2 { 1 } else { self.classes };
        let mut totals = vec![0.0; self.classes];
        self.y.iter().zip(self.weights).for_each(|(&y, weight)| totals[y as usize] += weight);
        let all: f64 = totals.iter().sum();
        let start: Vec<f64> = match outputs {
            1 => vec![(totals[1] / totals[0]).ln()],
            _ => totals.iter().map(|total| (total / all).ln()).collect(),
        };
        let mut margins = vec![start; self.y.len()];
        for _ in 0..rounds {
            let trees: Vec<_> = (0..outputs)
                .map(|output| {
                    let derivatives = |row: usize| self.derivatives(row, output, &margins[row]);
                    self.tree(&(0..self.y.len()).map(derivatives).collect::<Vec<_>>())
                })
                .collect();
            for (output, leaves) in trees.into_iter().enumerate() {
                for (rows, value) in leaves {
                    rows.iter().for_each(|&row| margins[row][output] += self.rate * value);
                }
            }
        }
        margins
    }

    fn derivatives(&self, row: usize, output: usize, margins: &[f64]) -> [f64; 2] {
        let k = self.classes as f64;
        let (p, truth, factor) = if let [margin] = margins {
            (1.0 / (1.0 + (-margin).exp()), self.y[row] == 1, 1.0)
        } else {
            let total: f64 = margins.iter().map(|margin| margin.exp()).sum();
            (margins[output].exp() / total, self.y[row] as usize == output, k / (k - 1.0))
        };
        [self.weights[row] * (p - f64::from(u8::from(truth))), self.weights[row] * factor * p * (1.0 - p)]
    }

    fn sums(rows: &[usize], derivatives: &[[f64; 2]]) -> [f64; 2] {
        rows.iter().fold([0.0; 2], |sum, &row| [sum[0] + derivatives[row][0], sum[1] + derivatives[row][1]])
    }

    fn worth(&self, [first, second]: [f64; 2]) -> f64 {
        (first.abs() - self.l1).max(0.0).powi(2) / (second + self.l2)
    }

    fn tree(&self, derivatives: &[[f64; 2]]) -> Vec<(Vec<usize>, f64)> {
        let mut leaves = vec![(0..self.y.len()).collect::<Vec<usize>>()];
        while leaves.len() < self.leaves {
            let splits = leaves.iter().enumerate().filter_map(|(leaf, rows)| {
                self.best_split(rows, derivatives).map(|(gain, sides)| (gain, leaf, sides))
            });
            let best = splits.reduce(|best, other| if other.0 > best.0 { other } else { best });
            let Some((_, leaf, [left, right])) = best else { break };
            leaves[leaf] = left;
            leaves.push(right);
        }
        let value = |rows: &[usize]| {
            let [first, second] = Self::sums(rows, derivatives);
            -first.signum() * (first.abs() - self.l1).max(0.0) / (second + self.l2)
        };
        leaves
            .into_iter()
            .map(|rows| {
                let value = value(&rows);
                (rows, value)
            })
            .collect()
    }

    fn best_split(&self, rows: &[usize], derivatives: &[[f64; 2]]) -> Option<(f64, [Vec<usize>; 2])> {
        let whole = self.worth(Self::sums(rows, derivatives));
        let mut best: Option<(f64, [Vec<usize>; 2])> = None;
        for column in 0..self.x.columns() {
            for threshold in (0..30).map(f64::from) {
                for missing_left in [false, true] {
                    let goes_left = |row: &usize| {
                        let value = self.x.row(*row)[column];
                        if value.is_nan() { missing_left } else { value <= threshold }
                    };
                    let (left, right): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| goes_left(row));
                    let sides = [left, right];
                    let sums = [0, 1].map(|side| Self::sums(&sides[side], derivatives));
                    if sides.iter().any(|side| side.len() < self.min_rows)
                        || sums.iter().any(|sum| sum[1] < 1e-3)
                    {
                        continue;
                    }
                    let gain = self.worth(sums[0]) + self.worth(sums[1]) - whole;
                    if gain > best.as_ref().map_or(1e-12, |best| best.0) {
                        best = Some((gain, sides));
                    }
                }
            }
        }
        best
    }
}

#[test]
fn margins_are_those_of_a_naive_implementation() {
    for case in 0..8u64 {
        let classes = 2 + (case % 2) as usize;
        let (x, y) = problem(case, 160, classes as u32);
        let mut rng = rng::stream(case, "weights", 0);
        let weights: Vec<f64> =
            (0..160).map(|_| if case < 4 { 1.0 } else { 0.5 + rng.random::<f64>() }).collect();
        let (l1, l2) = if case % 4 < 2 { ("0", "0") } else { ("0.3", "1.5") };
        let data = Train { weights: Some(&weights), ..Train::labelled(&x, &y, classes) };
        let params = [
            ("iterations", "3"),
            ("learning_rate", "0.5"),
            ("max_leaf_nodes", "5"),
            ("min_samples_leaf", "7"),
            ("l1", l1),
            ("l2", l2),
        ];
        let found = scores(&*fit(&params, &data), &x);
        let naive = Naive {
            x: &x,
            y: &y,
            weights: &weights,
            classes,
            leaves: 5,
            min_rows: 7,
            l1: l1.parse().unwrap(),
            l2: l2.parse().unwrap(),
            rate: 0.5,
        };
        for (row, margins) in naive.margins(3).iter().enumerate() {
            let p = match margins[..] {
                [margin] => 1.0 / (1.0 + margin.exp()),
                _ => margins[0].exp() / margins.iter().map(|margin| margin.exp()).sum::<f64>(),
            };
            assert!(
                (found.row(row)[0] - p).abs() < 1e-6,
                "case {case}, row {row}: {} is not {p}",
                found.row(row)[0]
            );
        }
    }
}

#[test]
fn rare_columns_that_share_a_byte_change_nothing() {
    // The same three columns, once as they are and once beside columns of noise so frequent that nothing is shared.
    let (numbers, y) = problem(3, 2000, 2);
    let indicator = |row: usize, of: usize| f64::from(u8::from(row * row % 7 == of));
    let values = (0..2000).flat_map(|row| {
        let missing = if row * row % 7 == 4 && row % 3 == 0 { f64::NAN } else { 0.0 };
        [numbers.row(row)[0], indicator(row, 1), indicator(row, 2), missing]
    });
    let shared = Matrix::from_values(2000, 4, values.collect());
    // Turned round, 0 is rare and the columns overlap nearly everywhere.
    let turned = |value: &f64| if value.is_nan() { 1.0 } else { *value };
    let mut apart = shared.clone();
    for row in 0..2000 {
        let line = apart.row_mut(row);
        line[1..].iter_mut().for_each(|value| *value = 1.0 - turned(value));
    }
    let params = [("iterations", "10"), ("max_leaf_nodes", "8")];
    let a = scores(&*fit(&params, &Train::labelled(&shared, &y, 2)), &shared);
    let b = scores(&*fit(&params, &Train::labelled(&apart, &y, 2)), &apart);
    for row in 0..2000 {
        assert!((a.row(row)[1] - b.row(row)[1]).abs() < 1e-6, "row {row}");
    }
}

#[test]
fn trees_of_any_size_score_many_rows_as_they_do_one() {
    let (mut x, y) = problem(9, 700, 3);
    x.values_mut().iter_mut().step_by(13).for_each(|value| *value = f64::NAN);
    for row in 0..700 {
        x.row_mut(row)[0] = f64::from(row as u32 * 7 % 11);
    }
    for leaves in ["8", "64", "65", "200"] {
        for first in [None, Some(true)] {
            let categorical: Vec<bool> =
                (0..x.columns()).map(|column| column == 0 && first.is_some()).collect();
            let data = Train { categorical: Some(&categorical), ..Train::labelled(&x, &y, 3) };
            let params = [("iterations", "5"), ("max_leaf_nodes", leaves), ("min_samples_leaf", "2")];
            let model = fit(&params, &data);
            for rows in [1, 16, 65, 700] {
                let part = x.take_rows(&(0..rows).collect::<Vec<_>>());
                let together = scores(&*model, &part);
                let mut alone = [0.0; 3];
                for row in 0..rows {
                    model.score_row(part.row(row), &mut alone);
                    assert_eq!(together.row(row), alone, "row {row} of {rows}, {leaves} leaves");
                }
            }
        }
    }
}

/// Rows of one column of categories: (category, class, rows).
fn categories(rows: &[(f64, u32, usize)]) -> (Matrix, Vec<u32>) {
    let values: Vec<f64> =
        rows.iter().flat_map(|&(value, _, times)| std::iter::repeat_n(value, times)).collect();
    let y = rows.iter().flat_map(|&(_, class, times)| std::iter::repeat_n(class, times)).collect();
    (Matrix::from_values(values.len(), 1, values), y)
}

#[test]
fn one_split_parts_categories_as_the_best_of_all_subsets_does() {
    let shares = [(3u32, 2, 18), (5, 17, 4), (8, 9, 12), (13, 1, 14), (21, 16, 7), (34, 5, 5), (55, 11, 2)];
    let rows: Vec<(f64, u32, usize)> = shares
        .iter()
        .flat_map(|&(category, zeros, ones)| {
            [(f64::from(category), 0, zeros), (f64::from(category), 1, ones)]
        })
        .collect();
    let (x, y) = categories(&rows);
    let data = Train { categorical: Some(&[true]), ..Train::labelled(&x, &y, 2) };
    let params = [
        ("iterations", "1"),
        ("learning_rate", "1"),
        ("max_leaf_nodes", "2"),
        ("min_samples_leaf", "1"),
        ("cat_smooth", "0"),
        ("cat_l2", "0"),
        ("l2", "0"),
    ];
    let model = fit(&params, &data);
    let p = y.iter().sum::<u32>() as f64 / y.len() as f64;
    // The best of all 2^7 sets: G²/H of both sides, by hand from the counts.
    let side = |set: u32, inside: bool| {
        let of = |place: usize| (set >> place & 1 == 1) == inside;
        let (zeros, ones) = shares
            .iter()
            .enumerate()
            .filter(|(place, _)| of(*place))
            .fold((0, 0), |sum, (_, s)| (sum.0 + s.1, sum.1 + s.2));
        let n = (zeros + ones) as f64;
        let (first, second) = (n * p - ones as f64, n * p * (1.0 - p));
        (first * first / second, -first / second)
    };
    let worth = |set: u32| side(set, true).0 + side(set, false).0;
    let best = (1..127u32).max_by(|&a, &b| worth(a).total_cmp(&worth(b))).unwrap();
    for (place, share) in shares.iter().enumerate() {
        let margin = (p / (1.0 - p)).ln() + side(best, best >> place & 1 == 1).1;
        let mut score = [0.0; 2];
        model.score_row(&[f64::from(share.0)], &mut score);
        let expected = 1.0 / (1.0 + (-margin).exp());
        assert!((score[1] - expected).abs() < 1e-6, "category {}: {} is not {expected}", share.0, score[1]);
    }
    let score = |value: f64| {
        let mut score = [0.0; 2];
        model.score_row(&[value], &mut score);
        score[1].to_bits()
    };
    let unknown = score(f64::NAN);
    assert!(
        [4.0, 1e6, 1e300, -1.0, 3.5].iter().all(|&value| score(value) == unknown),
        "unknown categories are one"
    );
}

#[test]
fn categories_that_numbers_cannot_order_are_learnt_and_bad_ones_refused() {
    let mut rng = rng::stream(4, "categories", 0);
    let (mut values, mut y) = (Vec::new(), Vec::new());
    for _ in 0..6000 {
        let category = (rng.random::<f64>() * 400.0).floor();
        values.extend([category, rng.random::<f64>()]);
        let odd = (category as u32).wrapping_mul(2_654_435_761) >> 31 == 1;
        y.push(u32::from(odd != (rng.random::<f64>() < 0.05)));
    }
    let x = Matrix::from_values(6000, 2, values);
    let data = Train { categorical: Some(&[true, false]), ..Train::labelled(&x, &y, 2) };
    let params = [("cat_smooth", "2"), ("min_samples_leaf", "5")];
    let model = fit(&params, &data);
    let found = scores(&*model, &x);
    let right = (0..6000).filter(|&row| (found.row(row)[1] > 0.5) == (y[row] == 1)).count();
    assert!(right > 4800, "{right} of 6000");
    let saved = model.save().unwrap();
    assert_eq!((spec().load)(&saved).unwrap().score(&x, &Ctx::new(0, 1)), found);
    let mut alone = [0.0; 2];
    for (row, values) in x.iter_rows().enumerate() {
        model.score_row(values, &mut alone);
        assert_eq!(alone, found.row(row));
    }
    for index in 0..mutations() / 4 {
        let Ok(loaded) = (spec().load)(&mutated(&saved, index)) else { continue };
        if (loaded.columns(), loaded.outputs()) == (2, 2) {
            loaded.score_row(&[65_535.0, f64::NAN], &mut alone);
            drop(loaded.contributions(&[7.0, 0.5], 1));
        }
    }
    let bad = Train { categorical: Some(&[true, true]), ..Train::labelled(&x, &y, 2) };
    let message = try_fit(&[], &bad, 1).err().unwrap().to_string();
    assert!(message.contains("column 1") && message.contains("category"), "{message}");
}

#[test]
fn monotone_columns_are_obeyed_and_bad_signs_refused() {
    let mut rng = rng::stream(5, "monotone", 0);
    let (mut values, mut y) = (Vec::new(), Vec::new());
    for _ in 0..1500 {
        let (a, b) = (rng.random::<f64>(), rng.random::<f64>());
        values.extend([a, b]);
        y.push(u32::from(
            a + 0.4 * (9.0 * a).sin() + 0.3 * (7.0 * b).sin() + 0.5 * rng.random::<f64>() > 0.8,
        ));
    }
    let x = Matrix::from_values(1500, 2, values);
    let data = Train::labelled(&x, &y, 2);
    let falls = |model: &dyn Model, sign: f64| {
        let mut score = [0.0; 2];
        let mut margin = |a: f64, b: f64| {
            model.score_row(&[a, b], &mut score);
            score[1]
        };
        let mut falls = 0;
        for b in 0..20 {
            for a in 0..100 {
                let [low, high] = [a, a + 1].map(|a| margin(f64::from(a) / 100.0, f64::from(b) / 20.0));
                falls += usize::from(sign * (high - low) < 0.0);
            }
        }
        falls
    };
    assert!(falls(&*fit(&[], &data), 1.0) > 50, "unconstrained scores go up and down");
    assert_eq!(falls(&*fit(&[("monotone", "1,0")], &data), 1.0), 0);
    assert_eq!(falls(&*fit(&[("monotone", "-1,0")], &data), -1.0), 0);
    assert!(
        try_fit(&[("monotone", "1")], &data, 1).err().unwrap().to_string().contains("1 signs for 2 columns")
    );
    let three = Train::labelled(&x, &y, 3);
    assert!(try_fit(&[("monotone", "1,0")], &three, 1).err().unwrap().to_string().contains("two classes"));
    let category = Train { categorical: Some(&[true, false]), ..data };
    assert!(try_fit(&[("monotone", "1,0")], &category, 1).err().unwrap().to_string().contains("column 0"));
}

#[test]
fn a_weight_of_two_is_the_row_twice_and_of_zero_none() {
    let (x, y) = problem(6, 400, 2);
    let weights: Vec<f64> = (0..400).map(|row| f64::from(row % 3)).collect();
    let repeated: Vec<usize> = (0..400).flat_map(|row| std::iter::repeat_n(row, row % 3)).collect();
    let (longer, longer_y) = (x.take_rows(&repeated), repeated.iter().map(|&row| y[row]).collect::<Vec<_>>());
    let params = [("iterations", "20"), ("min_samples_leaf", "1"), ("min_sum_hessian", "2")];
    let weighted = fit(&params, &Train { weights: Some(&weights), ..Train::labelled(&x, &y, 2) });
    let written_out = fit(&params, &Train::labelled(&longer, &longer_y, 2));
    let (a, b) = (scores(&*weighted, &longer), scores(&*written_out, &longer));
    for row in 0..longer.rows() {
        assert!((a.row(row)[1] - b.row(row)[1]).abs() < 1e-6, "row {row}");
    }
    let why = [&weighted, &written_out].map(|model| model.contributions(longer.row(0), 1).unwrap());
    assert!((why[0].baseline - why[1].baseline).abs() < 1e-6, "{why:?}");
}

#[test]
fn every_option_gives_the_same_bytes_on_any_number_of_threads() {
    let (x, y) = blobs(4000, 3, 7);
    let groups: Vec<u32> = (0..4000).map(|row| row / 3 % 100).collect();
    let data = Train { groups: Some(&groups), ..Train::labelled(&x, &y, 3) };
    let plain = fit(&[("iterations", "8")], &data).save().unwrap();
    for option in [
        ("subsample", "0.6"),
        ("max_features", "0.5"),
        ("early_stopping", "on"),
        ("class_weight", "balanced"),
        ("max_bins", "16"),
        ("max_depth", "2"),
    ] {
        let params = [("iterations", "8"), option];
        let saved = |threads| try_fit(&params, &data, threads).unwrap().save().unwrap();
        let one = saved(1);
        assert!(one == saved(2) && one == saved(7), "{option:?}");
        assert!(one != plain, "{option:?} does nothing");
    }
}

#[test]
fn early_stopping_keeps_the_rounds_that_lead_to_the_lowest_loss() {
    let (x, y) = problem(8, 1200, 2);
    let data = Train::labelled(&x, &y, 2);
    let params =
        [("early_stopping", "on"), ("learning_rate", "0.5"), ("patience", "5"), ("validation_share", "0.3")];
    let model = fit(&params, &data);
    let note = model.notes().join(" ");
    let numbers: Vec<usize> = note.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [kept, grown, held_out] = numbers[..3] else { panic!("{note}") };
    assert!(grown == kept + 5 && grown < 100, "{note}");
    assert!((340..=380).contains(&held_out), "{note}");
    assert!(fit(&[("early_stopping", "auto")], &data).notes().is_empty(), "few rows: not on by itself");
}

#[test]
fn a_fit_without_a_split_says_so_and_scores_the_shares() {
    let x = Matrix::from_values(40, 1, vec![1.0; 40]);
    let y: Vec<u32> = (0..40).map(|row| u32::from(row % 4 == 0)).collect();
    let model = fit(&[], &Train::labelled(&x, &y, 2));
    assert!(model.notes()[0].contains("after 0 rounds"), "{:?}", model.notes());
    assert!((scores(&*model, &x).row(0)[1] - 0.25).abs() < 1e-12);
    assert_eq!(model.contributions(&[1.0], 1).unwrap().values, [0.0]);
    let loaded = (spec().load)(&model.save().unwrap()).unwrap();
    assert!((scores(&*loaded, &x).row(0)[1] - 0.25).abs() < 1e-12);
}
