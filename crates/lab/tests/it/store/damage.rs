//! Bits that flip in a store's file: an error, or the labels that were there, and never others.

use std::fs;
use std::panic::catch_unwind;

use cormorant_lab::store::{Engine, Label, Result, RowLabel, Said, Scope, Store, StoreError};

use super::ann;
use super::annotations::{annotation, malicious};
use super::processes::{say, setting, shuffled};
use super::records::dataset;
use super::servers::TestDatabase;

#[test]
fn a_flipped_bit_is_found_or_does_no_harm() {
    let database = TestDatabase::new(Engine::Sqlite).unwrap();
    let (project, dataset, expected) = labelled(&database);
    let whole = fs::read(database.path()).unwrap();
    let (mut state, mut found, mut harmless) = (0x2545_f491_4f6c_dd1d, 0, 0);
    for _ in 0..setting("CORMORANT_FLIPS", 300) {
        let bit = usize::try_from(shuffled(&mut state)).unwrap() % (whole.len() * 8);
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let copy = TestDatabase::new(Engine::Sqlite).unwrap();
        fs::write(copy.path(), bytes).unwrap();
        let url = copy.url.clone();
        let read = catch_unwind(move || read(&url, project, dataset));
        match read.unwrap_or_else(|_| panic!("bit {bit}: a panic")) {
            Ok(labels) => {
                assert_eq!(labels, expected, "bit {bit}: a wrong label");
                harmless += 1;
            }
            Err(_) => found += 1,
        }
    }
    say(&format!("flipped bits: {found} found, {harmless} without harm to a label\n"));
    assert!(found > 0);
}

/// A store of a few families and some hundred labels, closed.
fn labelled(database: &TestDatabase) -> (i64, i64, Vec<RowLabel>) {
    let store = database.open();
    let (project, dataset) = dataset(&store);
    let rows: Vec<_> = (0..400)
        .map(|at| malicious(&format!("k{at}"), &format!("r{}", at % 300), &format!("f{}", at % 7)))
        .chain(
            (0..50)
                .map(|at| annotation(&format!("b{at}"), &format!("b{at}"), Said::Label(Label::Benign, None))),
        )
        .collect();
    store.annotate_all(dataset, &rows, &ann(3)).unwrap();
    let families = store.families(project).unwrap();
    store.merge_families(&[families[0].id], families[1].id, &ann(4)).unwrap();
    store.rename_family(families[2].id, "other", &ann(5)).unwrap();
    let expected = store.labels(dataset, Scope::All).unwrap();
    store.close();
    (project, dataset, expected)
}

fn read(url: &str, project: i64, dataset: i64) -> Result<Vec<RowLabel>> {
    let store = Store::open(url, 1)?;
    let known = store.dataset(project, "flows")?;
    if known.id != dataset {
        return Err(StoreError::Missing { what: "dataset", name: "flows".to_owned(), advice: "" });
    }
    store.labels(dataset, Scope::All)
}
