//! What every line of `PREPARATIONS` must hold.

use cormorant_learn::matrix::Matrix;
use cormorant_learn::params::{ParamKind, Params};
use cormorant_learn::prep::{Labels, PREPARATIONS, PrepSpec, Preparation, Step, StepSpec, Values};
use cormorant_learn::table::{Column, Field, ListColumn, Role, Table, TextColumn};

use crate::data::traffic;
use crate::mutate::{mutated, mutations};

/// The step between those that make any table numeric, or after them where it takes numbers only.
fn chain(spec: &PrepSpec) -> Vec<StepSpec> {
    let before = if spec.takes_lists { None } else { Some("fixed-width") };
    let rest =
        if spec.needs_numbers { ["impute", "one-hot", spec.name] } else { [spec.name, "impute", "one-hot"] };
    before.into_iter().chain(rest).map(StepSpec::new).collect()
}

/// Classes in turn, so that steps which learn from them can.
fn classes(rows: usize) -> Vec<u32> {
    (0..rows as u32).map(|row| row % 3 % 2).collect()
}

fn labels(y: &[u32]) -> Labels<'_> {
    Labels { y, classes: 2 }
}

/// Fits on these rows and prepares them as any others: a step that encodes training rows by other folds gives a model
/// other values to learn from than it gives the same rows later.
fn fit(spec: &PrepSpec, table: &Table, rows: &[usize]) -> (Preparation, Matrix) {
    let y = classes(rows.len());
    let (prep, training) = Preparation::fit(&chain(spec), table, rows, labels(&y)).unwrap();
    let prepared = prep.apply(table, rows.iter().copied());
    assert_eq!((training.rows(), training.columns()), (prepared.rows(), prepared.columns()));
    assert_eq!(bits(&training) == bits(&prepared), spec.name != "target", "{}", spec.name);
    (prep, prepared)
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
        let (among_others, _) = fit(spec, &table, &rows);
        let (alone, prepared) = fit(spec, &fewer, &rows);
        assert_eq!(bits(&among_others.apply(&fewer, 0..100)), bits(&prepared), "{}", spec.name);
        assert_eq!(among_others.columns(), alone.columns(), "{}", spec.name);
    }
}

#[test]
fn rows_are_prepared_alone_as_they_are_together() {
    let table = with_lists(200, 2);
    let all: Vec<usize> = (0..200).collect();
    for spec in PREPARATIONS {
        let (prep, together) = fit(spec, &table, &all);
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
        let (prep, prepared) = fit(spec, &table, &all);
        let loaded = Preparation::load(&prep.save().unwrap(), &table.schema()).unwrap();
        assert_eq!(bits(&loaded.apply(&table, 0..100)), bits(&prepared), "{}", spec.name);
        assert_eq!(loaded.columns(), prep.columns());
        assert_eq!(loaded.specs(), prep.specs());
        assert_eq!(loaded.save().unwrap(), prep.save().unwrap(), "{}", spec.name);
    }
}

#[test]
fn steps_are_recorded_with_every_parameter() {
    let table = with_lists(60, 5);
    let all: Vec<usize> = (0..60).collect();
    for spec in PREPARATIONS {
        let (prep, _) = fit(spec, &table, &all);
        let recorded = prep.specs();
        let own = recorded.iter().find(|step| step.name == spec.name).unwrap();
        assert!(own.params.keys().map(String::as_str).eq(sorted(spec)), "{}", spec.name);
        let texts: Vec<String> = recorded.iter().map(StepSpec::to_string).collect();
        assert_eq!(StepSpec::parse_list(&texts.join(",")).unwrap(), recorded, "read back from text");
    }
}

fn sorted(spec: &PrepSpec) -> Vec<&'static str> {
    let mut names: Vec<_> = spec.params.iter().map(|param| param.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn steps_that_learn_from_classes_say_so_when_there_are_none() {
    let table = with_lists(30, 6);
    let all: Vec<usize> = (0..30).collect();
    for spec in PREPARATIONS {
        match Preparation::fit(&chain(spec), &table, &all, Labels::NONE) {
            Ok(_) => assert!(!spec.needs_labels, "{}", spec.name),
            Err(error) => {
                let message = error.to_string();
                assert!(
                    spec.needs_labels && message.contains(&format!("`{}` learns", spec.name)),
                    "{message}"
                );
            }
        }
        let wrong = labels(&[0, 1]);
        assert!(Preparation::fit(&chain(spec), &table, &all, wrong).is_err(), "2 classes for 30 rows");
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
            let y = classes(all.len());
            let (prep, prepared) = Preparation::fit(&chain(spec), table, &all, labels(&y)).unwrap();
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
        let table = if spec.needs_numbers { without_gaps(&table) } else { table };
        let y = classes(table.rows());
        let step = (spec.fit)(&params, &values(&table), labels(&y)).unwrap();
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
            categorical: false,
        })
        .collect();
    assert_eq!(step.outline(&outline).unwrap().len(), step.apply(values(table)).len());
    outline
}

/// The whole numbers of a table.
fn without_gaps(table: &Table) -> Table {
    let whole = |column: &Column| matches!(column, Column::I64(_) | Column::U64(_));
    let kept = || table.features().filter(|(_, column)| whole(column));
    let fields = kept().map(|(field, _)| field.clone()).collect();
    Table::new(fields, kept().map(|(_, column)| column.clone()).collect()).unwrap()
}
