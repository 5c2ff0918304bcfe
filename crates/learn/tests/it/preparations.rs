//! What every line of `PREPARATIONS` must hold.

use cormorant_learn::matrix::Matrix;
use cormorant_learn::params::{ParamKind, Params};
use cormorant_learn::prep::{PREPARATIONS, PrepSpec, Preparation, Step, StepSpec, Values};
use cormorant_learn::table::{Column, Field, ListColumn, Role, Table, TextColumn};

use crate::data::traffic;
use crate::mutate::{mutated, mutations};

/// The step between those that make any table numeric.
fn chain(spec: &PrepSpec) -> Vec<StepSpec> {
    let before = if spec.takes_lists { None } else { Some("fixed-width") };
    before.into_iter().chain([spec.name, "impute", "one-hot"]).map(StepSpec::new).collect()
}

/// Traffic with a column of lists, as long as the row's place says.
fn with_lists(rows: usize, seed: u64) -> Table {
    let mut table = traffic(rows, seed);
    let list = |row: usize| (0..row * 7 % 11).map(move |place| (row * 31 + place * 17) as f64 / 8.0);
    let lists = Column::List(ListColumn::from_lists((0..rows).map(list)));
    table.push(Field::new("sizes", "bytes", Role::Feature), lists).unwrap();
    table
}

fn values(table: &Table) -> Vec<Values<'_>> {
    table.features().map(|(_, column)| column_values(column)).collect()
}

fn column_values(column: &Column) -> Values<'_> {
    match column {
        Column::Text(text) => Values::Words { codes: text.codes.clone(), words: &text.words },
        Column::List(lists) => Values::Lists(lists.iter().collect()),
        numbers => Values::Numbers((0..numbers.len()).map(|row| numbers.number(row)).collect()),
    }
}

fn bits(matrix: &Matrix) -> Vec<u64> {
    matrix.values().iter().map(|value| value.to_bits()).collect()
}

fn table(numbers: Vec<f64>, words: &[Option<&str>]) -> Table {
    let field = |name| Field::new(name, "", Role::Feature);
    let text = Column::Text(TextColumn::from_texts(words.iter().copied()));
    let lists = ListColumn::from_lists((0..numbers.len()).map(|row| numbers[row..].iter().copied()));
    let columns = vec![Column::F64(numbers), text, Column::List(lists)];
    Table::new(vec![field("number"), field("word"), field("list")], columns).unwrap()
}

#[test]
fn bad_parameters_are_refused_by_name() {
    for spec in PREPARATIONS {
        assert!(!spec.doc.is_empty());
        for param in spec.params {
            let bad = if matches!(param.kind, ParamKind::Bool) { "maybe" } else { "no such value" };
            let given = [(param.name.to_owned(), bad.to_owned())].into();
            let message = Params::check(spec.name, spec.params, &given).unwrap_err().to_string();
            assert!(message.contains(param.name) && message.contains(spec.name), "{message}");
        }
    }
}

#[test]
fn steps_learn_from_training_rows_only() {
    let table = with_lists(300, 1);
    let rows: Vec<usize> = (0..100).collect();
    let fewer = table.take_rows(&rows);
    for spec in PREPARATIONS {
        let (among_others, _) = Preparation::fit(&chain(spec), &table, &rows).unwrap();
        let (alone, prepared) = Preparation::fit(&chain(spec), &fewer, &rows).unwrap();
        assert_eq!(bits(&among_others.apply(&fewer, 0..100)), bits(&prepared), "{}", spec.name);
        assert_eq!(among_others.columns(), alone.columns(), "{}", spec.name);
    }
}

#[test]
fn rows_are_prepared_alone_as_they_are_together() {
    let table = with_lists(200, 2);
    let all: Vec<usize> = (0..200).collect();
    for spec in PREPARATIONS {
        let (prep, together) = Preparation::fit(&chain(spec), &table, &all).unwrap();
        for row in 0..200 {
            let alone = prep.apply(&table, [row].into_iter());
            assert_eq!(bits(&alone), bits(&together.take_rows(&[row])), "{} row {row}", spec.name);
        }
    }
}

#[test]
fn a_loaded_chain_prepares_the_same_bits() {
    let table = with_lists(100, 3);
    let all: Vec<usize> = (0..100).collect();
    for spec in PREPARATIONS {
        let (prep, prepared) = Preparation::fit(&chain(spec), &table, &all).unwrap();
        let loaded = Preparation::load(&prep.save().unwrap(), &table.schema()).unwrap();
        assert_eq!(bits(&loaded.apply(&table, 0..100)), bits(&prepared), "{}", spec.name);
        assert_eq!(loaded.columns(), prep.columns());
    }
}

#[test]
fn odd_columns_leave_finite_numbers() {
    let huge =
        [1e300, -1e300, f64::MAX, -f64::MAX, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::NAN];
    let words = |count: usize| vec![Some("a"); count];
    let tables = [
        table(Vec::new(), &[]),
        table(vec![1.0], &[None]),
        table(vec![f64::NAN; 3], &[None, None, None]),
        table(vec![2.0; 4], &words(4)),
        table(huge.to_vec(), &words(8)),
    ];
    for spec in PREPARATIONS {
        for table in &tables {
            let all: Vec<usize> = (0..table.rows()).collect();
            let (prep, prepared) = Preparation::fit(&chain(spec), table, &all).unwrap();
            assert_eq!(prepared.columns(), prep.columns().len());
            assert!(prepared.values().iter().all(|value| value.is_finite()), "{}: {prepared:?}", spec.name);
            let unseen = self::table(vec![-f64::MAX, f64::MAX], &[Some("never seen"), None]);
            let prepared = prep.apply(&unseen, 0..2);
            assert!(prepared.values().iter().all(|value| value.is_finite()), "{}: {prepared:?}", spec.name);
        }
    }
}

#[test]
fn damaged_steps_never_panic() {
    for spec in PREPARATIONS {
        let table = if spec.takes_lists { with_lists(30, 4) } else { traffic(30, 4) };
        let params = Params::check(spec.name, spec.params, &[].into()).unwrap();
        let step = (spec.fit)(&params, &values(&table)).unwrap();
        let outline = outline(&*step, &table);
        let saved = step.save().unwrap();
        for index in 0..mutations() {
            let Ok(loaded) = (spec.load)(&mutated(&saved, index)) else { continue };
            if loaded.outline(&outline).is_ok() {
                drop(loaded.apply(values(&table)));
            }
        }
    }
}

/// The outline of a table's features, as the first step of a chain sees it.
fn outline(step: &dyn Step, table: &Table) -> Vec<cormorant_learn::prep::Outline> {
    let features = table.schema().features;
    let outline: Vec<_> = features
        .iter()
        .enumerate()
        .map(|(source, feature)| cormorant_learn::prep::Outline {
            name: feature.name.clone(),
            kind: feature.kind,
            source,
        })
        .collect();
    assert_eq!(step.outline(&outline).unwrap().len(), step.apply(values(table)).len());
    outline
}
