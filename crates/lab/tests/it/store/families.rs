//! The editor of families: each operation changes what it should, and its undo brings back what was.

use std::cell::Cell;
use std::collections::BTreeMap;

use cormorant_lab::store::{Family, FamilyChange, Label, RowLabel, Said, Scope, Store, StoreError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::ann;
use super::annotations::{annotation, labels, malicious};
use super::records::dataset;
use super::servers::TestDatabase;

pub(super) fn the_editor_changes_what_it_should(database: &TestDatabase) {
    let store = database.open();
    let (project, dataset) = dataset(&store);
    for (key, row, family) in [("1", "a", "dos"), ("2", "b", "DoS"), ("3", "c", "scan"), ("4", "d", "dos")] {
        store.annotate(dataset, &malicious(key, row, family), &ann(3)).unwrap();
    }
    let id = |name| store.family(project, Label::Malicious, name).unwrap().id;
    let now = || labels(&store, dataset, Scope::All);
    let start = now();
    let (dos, dos2, scan) = (id("dos"), id("DoS"), id("scan"));
    store.merge_families(&[dos2], dos, &ann(4)).unwrap();
    assert_eq!(now(), ["a malicious dos", "b malicious dos", "c malicious scan", "d malicious dos"]);
    // The old name stands for the family that it was merged into.
    assert_eq!(id("DoS"), dos);
    store.rename_family(dos, "denial of service", &ann(5)).unwrap();
    assert!(matches!(store.rename_family(dos, "scan", &ann(5)), Err(StoreError::Taken { .. })));
    assert!(matches!(store.rename_family(dos2, "other", &ann(5)), Err(StoreError::Refused { .. })));
    store.swap_family(scan, &ann(6)).unwrap();
    assert_eq!(now()[1..3], ["b malicious denial of service", "c benign scan"]);
    assert!(store.merge_families(&[scan], dos, &ann(7)).unwrap_err().to_string().contains("swap"));
    let rows = ["a".to_owned(), "b".to_owned()];
    assert!(store.split_family(dos, dataset, &["c".to_owned()], "new", &ann(7)).is_err());
    assert!(store.split_family(dos, dataset, &[], "new", &ann(7)).is_err());
    let split = store.split_family(dos, dataset, &rows, "flood", &ann(8)).unwrap();
    assert!(matches!(split.change, FamilyChange::Split { rows: 2, .. }));
    assert_eq!(now()[..2], ["a malicious flood", "b malicious flood"]);
    assert_eq!(now()[3], "d malicious denial of service");
    // What is built upon goes first.
    let history = store.family_history(project).unwrap();
    assert_eq!(history.len(), 4);
    let error = store.undo_family_event(history[0].id, &ann(9)).unwrap_err();
    assert!(error.to_string().contains("undo the later operation first"), "{error}");
    // The swap of another family is in nobody's way.
    store.undo_family_event(history[2].id, &ann(9)).unwrap();
    for at in [3, 1, 0] {
        store.undo_family_event(history[at].id, &ann(10)).unwrap();
    }
    assert_eq!(now(), start);
    assert!(store.undo_family_event(history[0].id, &ann(11)).is_err());
    let history = store.family_history(project).unwrap();
    assert!(history.len() == 8 && history[..4].iter().all(|event| event.undone));
    assert!(store.undo_family_event(history[7].id, &ann(12)).is_err());
}

pub(super) fn what_was_annotated_since_is_not_lost(database: &TestDatabase) {
    let store = database.open();
    let (project, dataset) = dataset(&store);
    let now = || labels(&store, dataset, Scope::All);
    store.annotate(dataset, &malicious("1", "a", "dos"), &ann(3)).unwrap();
    store.annotate(dataset, &malicious("2", "b", "dos"), &ann(3)).unwrap();
    let dos = store.family(project, Label::Malicious, "dos").unwrap().id;
    let split = store.split_family(dos, dataset, &["a".to_owned()], "flood", &ann(4)).unwrap();
    // Somebody looks at the row again, somebody takes the new family for another row.
    store.annotate(dataset, &annotation("3", "a", Said::Label(Label::Benign, None)), &ann(5)).unwrap();
    let taken = store.annotate(dataset, &malicious("4", "c", "flood"), &ann(5)).unwrap();
    let error = store.undo_family_event(split.id, &ann(6)).unwrap_err();
    assert!(error.to_string().contains("annotated since"), "{error}");
    assert_eq!(now(), ["a benign -", "b malicious dos", "c malicious flood"]);
    // A name that was given up and taken again.
    let other = store.rename_family(dos, "denial", &ann(7)).unwrap();
    store.annotate(dataset, &malicious("5", "d", "dos"), &ann(8)).unwrap();
    assert!(matches!(store.undo_family_event(other.id, &ann(9)), Err(StoreError::Taken { .. })));
    assert_eq!(taken.seq, 5);
}

/// An operation of the editor, its operands still as numbers to choose by.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Rename(usize, usize),
    Merge(usize, usize),
    Split(usize, usize, usize),
    Swap(usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    let any = 0..100_usize;
    prop_oneof![
        (any.clone(), 0..12_usize).prop_map(|(family, name)| Operation::Rename(family, name)),
        (any.clone(), any.clone()).prop_map(|(from, into)| Operation::Merge(from, into)),
        (any.clone(), any.clone(), 0..12_usize)
            .prop_map(|(from, rows, name)| Operation::Split(from, rows, name)),
        any.prop_map(Operation::Swap),
    ]
}

/// What an observer can see.
type Seen = (Vec<Family>, Vec<(String, Label, Option<(i64, String)>)>);

fn seen(store: &Store, project: i64, dataset: i64) -> Seen {
    let shown = |row: RowLabel| (row.row, row.label, row.family);
    (
        store.families(project).unwrap(),
        store.labels(dataset, Scope::All).unwrap().into_iter().map(shown).collect(),
    )
}

/// The same by the definition of the operations: a table of families, and of rows, changed in place.
#[derive(Debug, Clone, Default, PartialEq)]
struct Naive {
    families: BTreeMap<i64, (Label, String)>,
    rows: BTreeMap<String, i64>,
}

impl Naive {
    fn of((families, labels): &Seen) -> Self {
        Self {
            families: families
                .iter()
                .map(|family| (family.id, (family.label, family.name.clone())))
                .collect(),
            rows: labels.iter().map(|(row, _, family)| (row.clone(), family.as_ref().unwrap().0)).collect(),
        }
    }

    fn change(&mut self, change: &FamilyChange, rows: &[String], name: &str) {
        match change {
            FamilyChange::Rename { family, to, .. } => self.families.get_mut(family).unwrap().1 = to.clone(),
            FamilyChange::Swap { family, from } => self.families.get_mut(family).unwrap().0 = from.swapped(),
            FamilyChange::Merge { families, into } => {
                for family in families {
                    self.families.remove(family);
                    self.rows.values_mut().filter(|of| *of == family).for_each(|of| *of = *into);
                }
            }
            FamilyChange::Split { family, into, .. } => {
                let label = self.families[family].0;
                self.families.insert(*into, (label, name.to_owned()));
                for row in rows {
                    self.rows.insert(row.clone(), *into);
                }
            }
            FamilyChange::Undo { .. } => unreachable!("an undo is not made here"),
        }
    }
}

/// Makes an operation on what is there; `None` when it was refused.
fn make(store: &Store, project: i64, dataset: i64, operation: Operation, naive: &mut Naive) -> Option<i64> {
    let families: Vec<i64> = naive.families.keys().copied().collect();
    let family = |at: usize| families[at % families.len()];
    let name = |at: usize| format!("f{at}");
    let stamp = ann(5);
    let (mut rows, mut new) = (Vec::new(), String::new());
    let made = match operation {
        Operation::Rename(of, to) => store.rename_family(family(of), &name(to), &stamp),
        Operation::Merge(from, into) => store.merge_families(&[family(from)], family(into), &stamp),
        Operation::Swap(of) => store.swap_family(family(of), &stamp),
        Operation::Split(from, which, to) => {
            let of = naive.rows.iter().filter(|(_, of)| **of == family(from)).map(|(row, _)| row.clone());
            rows =
                of.enumerate().filter(|(at, _)| (which >> (at % 6)) & 1 == 1).map(|(_, row)| row).collect();
            new = name(to);
            store.split_family(family(from), dataset, &rows, &new, &stamp)
        }
    };
    match made {
        Ok(event) => {
            naive.change(&event.change, &rows, &new);
            assert_eq!(*naive, Naive::of(&seen(store, project, dataset)), "{event:?}");
            Some(event.id)
        }
        Err(StoreError::Taken { .. } | StoreError::Refused { .. }) => None,
        Err(error) => panic!("{operation:?}: {error}"),
    }
}

pub(super) fn undoing_everything_brings_back_the_start(database: &TestDatabase) {
    let store = database.open();
    let number = Cell::new(0);
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 12, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    runner
        .run(&prop::collection::vec(operation(), 1..14), |operations| {
            number.set(number.get() + 1);
            let project = store.create_project(&format!("p{}", number.get()), "", &ann(1)).unwrap().id;
            let dataset = store.create_dataset(project, "flows", "", &ann(2)).unwrap().id;
            let rows: Vec<_> = (0..12)
                .map(|at| malicious(&format!("k{at}"), &format!("r{at}"), &format!("f{}", at % 4)))
                .collect();
            store.annotate_all(dataset, &rows, &ann(3)).unwrap();
            let start = seen(&store, project, dataset);
            let mut naive = Naive::of(&start);
            let made: Vec<i64> = operations
                .iter()
                .filter_map(|&operation| make(&store, project, dataset, operation, &mut naive))
                .collect();
            for event in made.iter().rev() {
                store.undo_family_event(*event, &ann(9)).unwrap();
            }
            prop_assert_eq!(seen(&store, project, dataset), start);
            Ok(())
        })
        .unwrap();
}
