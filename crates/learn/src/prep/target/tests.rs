//! Shares by hand, and cross-fitting against encoders fitted without the fold.

use super::*;
use crate::table::TextColumn;

const Y: [u32; 8] = [1, 1, 0, 0, 0, 0, 0, 1];

fn words() -> TextColumn {
    let texts = ["a", "a", "a", "b", "b", "b", "b", "c"];
    TextColumn::from_texts(texts.map(Some))
}

fn step(given: &[(&str, &str)], text: &TextColumn, labels: Labels<'_>) -> Box<dyn Step> {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let params = Params::check(SPEC.name, SPEC.params, &given).unwrap();
    fit(&params, &[values(text)], labels).unwrap()
}

fn values(text: &TextColumn) -> Values<'_> {
    Values::Words { codes: text.codes.clone(), words: &text.words }
}

fn numbers(columns: Vec<Values<'_>>) -> Vec<Vec<f64>> {
    let one = |column| match column {
        Values::Numbers(numbers) => numbers,
        other => panic!("{other:?}"),
    };
    columns.into_iter().map(one).collect()
}

fn near(found: &[f64], expected: &[f64]) {
    let same =
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
    assert!(same, "{found:?}, expected {expected:?}");
}

#[test]
fn shares_are_shrunk_by_rows_or_by_variances() {
    let (text, labels) = (words(), Labels { y: &Y, classes: 2 });
    let new = TextColumn::from_texts([Some("a"), Some("b"), Some("c"), Some("new"), None]);
    let mean = 3.0 / 8.0;
    let fixed = numbers(step(&[("smooth", "2")], &text, labels).apply(vec![values(&new)])).remove(0);
    near(&fixed, &[(2.0 + 2.0 * mean) / 5.0, 2.0 * mean / 6.0, (1.0 + 2.0 * mean) / 3.0, mean, mean]);
    // a: variance 15/64 over all, 2/9 within: trust 45/64 / (45/64 + 2/9); b and c do not vary: trust 1
    let trust = (45.0 / 64.0) / (45.0 / 64.0 + 2.0 / 9.0);
    let auto = numbers(step(&[], &text, labels).apply(vec![values(&new)])).remove(0);
    near(&auto, &[trust * 2.0 / 3.0 + (1.0 - trust) * mean, 0.0, 1.0, mean, mean]);
    let none = numbers(step(&[("smooth", "0")], &text, labels).apply(vec![values(&new)])).remove(0);
    near(&none, &[2.0 / 3.0, 0.0, 1.0, mean, mean]);
}

#[test]
fn rare_words_share_the_value_of_words_not_seen() {
    let text = TextColumn::from_texts([Some("a"), Some("a"), Some("x"), Some("y"), None]);
    let labels = Labels { y: &[1, 0, 1, 1, 0], classes: 2 };
    let new = TextColumn::from_texts([Some("x"), Some("never"), Some("a"), None]);
    let rare = step(&[("smooth", "0"), ("rows", "2")], &text, labels);
    near(&numbers(rare.apply(vec![values(&new)]))[0], &[1.0, 1.0, 0.5, 0.0]);
}

#[test]
fn training_rows_are_encoded_by_the_other_folds() {
    let (text, folds) = (words(), 2);
    let labels = Labels { y: &Y, classes: 2 };
    // malicious rows 0 1 7 and benign rows 2 3 4 5 6, dealt in turn
    assert_eq!(deal(labels, folds), [0, 1, 0, 1, 0, 1, 0, 0]);
    for smooth in ["0", "1.5", "auto"] {
        let given = [("smooth", smooth), ("folds", "2")];
        let found =
            numbers(step(&given, &text, labels).apply_training(vec![values(&text)], labels)).remove(0);
        for fold in 0..folds {
            let rows = |inside: bool| (0..8).filter(move |&row| (deal(labels, 2)[row] == fold) == inside);
            let y: Vec<u32> = rows(false).map(|row| Y[row]).collect();
            let others = TextColumn::from_texts(rows(false).map(|row| text.get(row)));
            let held_out = TextColumn::from_texts(rows(true).map(|row| text.get(row)));
            let naive = step(&given, &others, Labels { y: &y, classes: 2 });
            let expected = numbers(naive.apply(vec![values(&held_out)])).remove(0);
            near(&rows(true).map(|row| found[row]).collect::<Vec<_>>(), &expected);
        }
        assert!(found[7] < 1.0, "the one row with `c` does not know its own class: {found:?}");
    }
}

#[test]
fn each_class_but_the_first_has_a_column() {
    let text = TextColumn::from_texts([Some("a"), Some("a"), Some("b"), Some("b")]);
    let labels = Labels { y: &[0, 1, 2, 2], classes: 3 };
    let step = step(&[("smooth", "0")], &text, labels);
    let found = numbers(step.apply(vec![values(&text)]));
    assert_eq!(found, [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]]);
    let column = Outline { name: "service".into(), kind: FeatureKind::Text, source: 0, categorical: false };
    let names: Vec<_> = step.outline(&[column]).unwrap().into_iter().map(|column| column.name).collect();
    assert_eq!(names, ["service (share of class 1)", "service (share of class 2)"]);
}

#[test]
fn without_classes_there_is_nothing_to_encode_by() {
    let params = Params::check(SPEC.name, SPEC.params, &[].into()).unwrap();
    let message = fit(&params, &[], Labels::NONE).err().unwrap().to_string();
    assert!(message.contains("`target` learns from classes"), "{message}");
}

#[test]
fn damaged_shares_are_refused() {
    let text = words();
    let labels = Labels { y: &Y, classes: 2 };
    let saved = step(&[], &text, labels).save().unwrap();
    assert!((SPEC.load)(&saved).is_ok());
    let mut bad: Target = unpack("", &saved).unwrap();
    bad.columns[0].as_mut().unwrap().other[0] = f64::NAN;
    assert!((SPEC.load)(&bad.save().unwrap()).is_err());
    let mut bad: Target = unpack("", &saved).unwrap();
    bad.classes = 3;
    assert!((SPEC.load)(&bad.save().unwrap()).is_err());
}
