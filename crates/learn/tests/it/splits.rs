//! What every line of `SPLITS` must hold.

use std::collections::BTreeSet;

use cormorant_learn::eval::split::{Fold, Rows, SPLITS, Split};
use cormorant_learn::table::{Role, Table};

use crate::data::traffic;

fn folds(text: &str, table: &Table, seed: u64) -> Vec<Fold> {
    Split::parse(text).unwrap().folds(&Rows::of(table), seed).unwrap()
}

fn values<T: Ord + Copy>(of: &[T], rows: &[usize]) -> BTreeSet<T> {
    rows.iter().map(|&row| of[row]).collect()
}

#[test]
fn every_split_reads_its_own_example_and_writes_it_back() {
    for spec in SPLITS {
        assert_eq!(Split::parse(spec.example).unwrap().to_string(), spec.example);
        // a date has no default
        assert_eq!(Split::parse(spec.name).map_or("cutoff", |split| split.spec().name), spec.name);
        assert!(!spec.doc.is_empty());
    }
    for bad in ["time:0", "time:1", "time:x", "group-k-fold:1", "group-k-fold:1e9", "none:5", "hourly", ""] {
        assert!(!Split::parse(bad).unwrap_err().to_string().is_empty(), "{bad}");
    }
}

#[test]
fn training_and_test_rows_never_meet_and_no_row_is_tested_twice() {
    let table = traffic(500, 1);
    for spec in SPLITS {
        let folds = folds(spec.example, &table, 3);
        let mut tested = BTreeSet::new();
        for Fold { train, test } in &folds {
            assert!(train.is_sorted_by(|a, b| a < b) && test.is_sorted_by(|a, b| a < b), "{}", spec.name);
            assert!(
                test.iter().all(|row| train.binary_search(row).is_err() && tested.insert(*row)),
                "{}",
                spec.name
            );
            assert!(!train.is_empty() && !test.is_empty() && train.last() < Some(&500), "{}", spec.name);
        }
        assert_eq!(folds.is_empty(), spec.name == "none");
        if spec.name.ends_with("-k-fold") {
            assert_eq!((folds.len(), tested.len()), (5, 500), "{} tests every row", spec.name);
        }
    }
}

#[test]
fn the_same_seed_divides_the_same_way() {
    let table = traffic(300, 2);
    for spec in SPLITS {
        assert_eq!(folds(spec.example, &table, 5), folds(spec.example, &table, 5), "{}", spec.name);
    }
    assert_ne!(folds("random:0.2", &table, 5), folds("random:0.2", &table, 6));
}

#[test]
fn groups_stay_whole_and_labels_spread() {
    let table = traffic(1000, 3);
    let rows = Rows::of(&table);
    let groups = rows.groups.clone().unwrap();
    for text in ["group:0.3", "group-k-fold:5", "group-k-fold:20"] {
        for Fold { train, test } in folds(text, &table, 1) {
            assert!(values(&groups, &train).is_disjoint(&values(&groups, &test)), "{text}");
        }
    }
    for fold in folds("group-k-fold:5", &table, 1) {
        let malicious = fold.test.iter().filter(|&&row| rows.labels[row] == Some(true)).count();
        assert!((40..100).contains(&malicious), "{malicious} of 334 malicious rows in a fold of five");
    }
    let held_out = folds("group:0.3", &table, 1)[0].test.len();
    assert!((200..400).contains(&held_out), "{held_out} of 1000 rows");
}

#[test]
fn the_future_is_held_out() {
    let table = traffic(400, 4);
    let times = table.times().unwrap();
    let Fold { train, test } = folds("time:0.25", &table, 0).remove(0);
    assert_eq!(test.len(), 100);
    assert!(values(&times, &train).last() < values(&times, &test).first());
    for Fold { train, test } in folds("time-forward:4", &table, 0) {
        assert!(values(&times, &train).last() < values(&times, &test).first());
    }
}

#[test]
fn equal_times_are_never_torn_apart() {
    let table = traffic(100, 5);
    let mut view = Rows::of(&table);
    view.times = Some((0..100).map(|row| row / 30).collect());
    let times = view.times.clone().unwrap();
    for text in ["time:0.3", "time-k-fold:5", "time-forward:3"] {
        for fold in Split::parse(text).unwrap().folds(&view, 0).unwrap() {
            assert!(values(&times, &fold.train).is_disjoint(&values(&times, &fold.test)), "{text}");
        }
    }
}

#[test]
fn families_are_left_out_whole_with_benign_rows_to_raise_alarms_on() {
    let table = traffic(600, 6);
    let rows = Rows::of(&table);
    let each = folds("leave-family-out", &table, 0);
    assert_eq!(each.len(), 3);
    let named = folds("leave-family-out:scan+beacon", &table, 0);
    for Fold { train, test } in each.iter().chain(&named) {
        let families =
            |of: &[usize]| of.iter().filter_map(|&row| rows.families[row]).collect::<BTreeSet<_>>();
        assert!(families(train).is_disjoint(&families(test)) && !families(test).is_empty());
        let benign = test.iter().filter(|&&row| rows.labels[row] == Some(false)).count();
        assert!((80..200).contains(&benign), "{benign} of 400 benign rows");
        assert!(values(rows.groups.as_ref().unwrap(), test).len() > 1);
    }
    let error = Split::parse("leave-family-out:worm").unwrap().folds(&rows, 0).unwrap_err().to_string();
    assert!(error.contains("worm") && error.contains("beacon, exfil, scan"), "{error}");
}

#[test]
fn every_family_is_left_out_once_when_some_go_together() {
    let table = traffic(600, 6);
    let rows = Rows::of(&table);
    let mut gone = Vec::new();
    for Fold { train, test } in folds("leave-families-out:2", &table, 0) {
        let families =
            |of: &[usize]| of.iter().filter_map(|&row| rows.families[row]).collect::<BTreeSet<_>>();
        assert!(families(&train).is_disjoint(&families(&test)));
        gone.push(families(&test).len());
        assert!(test.iter().any(|&row| rows.labels[row] == Some(false)));
    }
    assert_eq!(gone, [2, 1]);
    assert_eq!(folds("leave-families-out:9", &table, 0).len(), 3, "no more parts than families");
}

#[test]
fn a_moving_window_keeps_its_order() {
    let table = traffic(400, 4);
    let times = table.times().unwrap();
    let all = folds("sliding-window:30%+5%+10%", &table, 0);
    for Fold { train, test } in &all {
        assert!(values(&times, train).last() < values(&times, test).first());
    }
    assert_eq!(all.iter().map(|fold| fold.test.len()).sum::<usize>(), 260);
}

#[test]
fn strata_keep_their_shares() {
    let table = traffic(900, 7);
    let rows = Rows::of(&table);
    let scans = |of: &[usize]| of.iter().filter(|&&row| rows.families[row] == Some("scan")).count();
    assert_eq!(scans(&folds("stratified:0.2", &table, 0)[0].test), 20);
    assert!(folds("stratified-k-fold:5", &table, 0).iter().all(|fold| scans(&fold.test) == 20));
}

#[test]
fn the_default_is_by_group_then_time_then_row() {
    let table = traffic(300, 8);
    let mut rows = Rows::of(&table);
    assert_eq!(Split::default_for(&rows).to_string(), "group-k-fold:5");
    rows.groups = Some(vec![0; 300]);
    assert_eq!(Split::default_for(&rows).to_string(), "time-k-fold:5");
    rows.times = None;
    assert_eq!(Split::default_for(&rows).to_string(), "stratified-k-fold:5");
}

#[test]
fn what_is_missing_is_named() {
    let table = traffic(50, 9);
    let mut rows = Rows::of(&table);
    (rows.groups, rows.times) = (None, None);
    for (text, missing) in [
        ("group:0.3", "groups"),
        ("group-k-fold:5", "groups"),
        ("time:0.3", "times"),
        ("time-forward:5", "times"),
    ] {
        let error = Split::parse(text).unwrap().folds(&rows, 0).unwrap_err().to_string();
        assert!(error.contains(missing), "{error}");
    }
}

#[test]
fn few_rows_are_refused_or_divided_but_never_panic() {
    let whole = traffic(30, 10);
    for spec in SPLITS {
        for rows in 0..12 {
            let few = whole.take_rows(&(0..rows).collect::<Vec<_>>());
            let folds = Split::parse(spec.example).unwrap().folds(&Rows::of(&few), 1);
            let sound = |fold: &Fold| !fold.train.is_empty() && !fold.test.is_empty();
            assert!(folds.is_err() || folds.unwrap().iter().all(sound), "{} of {rows} rows", spec.name);
        }
    }
    assert!(whole.role(Role::Group).is_some());
}
