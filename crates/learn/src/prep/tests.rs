//! Chains of steps: what they make of columns, keep of them and refuse.

use super::*;
use crate::table::{Field, ListColumn, Role, TextColumn};

fn table() -> Table {
    let feature = |name| Field::new(name, "", Role::Feature);
    Table::new(
        vec![feature("bytes"), feature("service"), feature("same")],
        vec![
            Column::F64(vec![0.0, 10.0, f64::NAN, f64::INFINITY]),
            Column::Text(TextColumn::from_texts([Some("http"), Some("dns"), None, Some("http")])),
            Column::I64(vec![7; 4]),
        ],
    )
    .unwrap()
}

fn steps(names: &[&str]) -> Vec<StepSpec> {
    names.iter().map(|name| StepSpec::new(*name)).collect()
}

#[test]
fn columns_know_their_feature_through_the_whole_chain() {
    let specs = steps(&["signed-log", "impute", "one-hot", "drop-constant", "standard"]);
    let (prep, matrix) = Preparation::fit(&specs, &table(), &[0, 1, 2, 3], Labels::NONE).unwrap();
    let names: Vec<_> = prep.columns().iter().map(|column| (column.name.as_str(), column.source)).collect();
    assert_eq!(names, vec![("bytes", 0), ("service=dns", 1), ("service=http", 1)]);
    assert!(matrix.values().iter().all(|value| value.is_finite()));
    assert_eq!(prep.apply(&table(), [2, 0].into_iter()), matrix.take_rows(&[2, 0]));
}

#[test]
fn a_saved_chain_prepares_the_same_and_refuses_another_schema() {
    let specs = steps(&["impute", "one-hot", "drop-constant", "standard"]);
    let (prep, matrix) = Preparation::fit(&specs, &table(), &[0, 1, 3], Labels::NONE).unwrap();
    let saved = prep.save().unwrap();
    let loaded = Preparation::load(&saved, &table().schema()).unwrap();
    assert_eq!(loaded.apply(&table(), [0, 1, 3].into_iter()), matrix);
    let fewer = Schema { features: table().schema().features[1..].to_vec() };
    assert!(Preparation::load(&saved, &fewer).is_err());
}

#[test]
fn lists_come_before_every_other_step_but_one() {
    let mut table = table();
    let lists = ListColumn::from_lists([vec![1.0], vec![], vec![2.0, 3.0], vec![4.0]]);
    table.push(Field::new("gaps", "s", Role::Feature), Column::List(lists)).unwrap();
    let all = [0, 1, 2, 3];
    for (names, expected) in [(&["impute", "fixed-width"][..], "before it"), (&[], "add the step `one-hot`")]
    {
        let Err(error) = Preparation::fit(&steps(names), &table, &all, Labels::NONE) else {
            panic!("accepted")
        };
        assert!(error.to_string().contains(expected), "{error}");
    }
    let specs = default_steps(crate::models::MODELS[0], &table.schema());
    let (prep, _) = Preparation::fit(&specs, &table, &all, Labels::NONE).unwrap();
    assert_eq!(prep.names().next(), Some("fixed-width"));
    assert_eq!(prep.columns().iter().filter(|column| column.source == 3).count(), 1);
}

#[test]
fn text_left_over_is_refused_with_the_step_that_helps() {
    let Err(error) = Preparation::fit(&steps(&["impute"]), &table(), &[0], Labels::NONE) else {
        panic!("accepted")
    };
    assert!(error.to_string().contains("`service` is still text") && error.to_string().contains("one-hot"));
}

#[test]
fn models_that_know_categories_get_codes_by_default() {
    let given = |takes_categories, takes_missing, wants_scaling| {
        let model = ModelSpec { takes_categories, takes_missing, wants_scaling, ..*crate::models::MODELS[0] };
        default_steps(&model, &table().schema()).iter().map(StepSpec::to_string).collect::<Vec<_>>().join(",")
    };
    assert_eq!(given(true, true, false), "categories,drop-constant");
    assert_eq!(given(true, false, false), "impute,categories:missing=other,drop-constant");
    assert_eq!(given(false, true, false), "one-hot,drop-constant");
    assert_eq!(given(false, false, true), "signed-log,impute,one-hot,drop-constant,standard");
}

#[test]
fn codes_are_known_as_such_until_they_are_scaled() {
    let categorical = |text: &str| {
        let specs = StepSpec::parse_list(text).unwrap();
        let (prep, _) = Preparation::fit(&specs, &table(), &[0, 1, 2, 3], Labels::NONE).unwrap();
        prep.columns().iter().map(|column| column.categorical).collect::<Vec<_>>()
    };
    assert_eq!(categorical("categories"), [false, true, false]);
    assert_eq!(categorical("categories,drop-constant,correlated"), [false, true]);
    for scaling in ["standard", "robust", "min-max", "signed-log", "impute"] {
        assert_eq!(categorical(&format!("categories,{scaling}")), [false; 3], "{scaling}");
    }
}
