//! Tables of other origin: what is wrong with one is said with file, row and column.

use std::fs;
use std::path::{Path, PathBuf};

use cormorant_lab::Ctx;
use cormorant_lab::tasks::{evaluate, train};

use crate::made::folder;

fn train(inputs: &[PathBuf], output: &Path) -> Result<train::Report, cormorant_lab::LabError> {
    let spec = serde_json::json!({ "inputs": inputs, "model": "decision-tree", "output": output });
    train::run(&serde_json::from_value(spec).unwrap(), &Ctx::new(1, 1))
}

/// Rows whose label follows `x`.
fn rows(count: usize, header: &str, row: impl Fn(usize, &str) -> String) -> String {
    let line = |n: usize| row(n, if n.is_multiple_of(2) { "benign" } else { "malicious" }) + "\n";
    format!("{header}\n{}", (0..count).map(line).collect::<String>())
}

#[test]
fn a_table_without_metadata_is_understood_by_its_names() {
    let folder = folder();
    let table = folder.path().join("t.csv");
    let text = rows(80, "x,service,label,source,first_ns", |n, label| {
        format!("{},s{},{label},10.0.0.{n},{n}", n % 2 * 10, n % 3)
    });
    fs::write(&table, text).unwrap();
    let report = train(&[table], &folder.path().join("m.corm")).unwrap();
    assert_eq!(report.model.features, 2, "source and first_ns are no features");
    assert_eq!(report.importances[0].feature, "x");
    assert_eq!((report.rows_in, report.model.rows), (80, 80));
}

#[test]
fn labels_may_be_written_in_other_words_and_wrong_ones_are_named() {
    let folder = folder();
    let table = folder.path().join("t.csv");
    fs::write(&table, rows(80, "x,label", |n, label| format!("{n},{}", u8::from(label == "malicious"))))
        .unwrap();
    train(std::slice::from_ref(&table), &folder.path().join("m.corm")).unwrap();
    fs::write(
        &table,
        rows(80, "x,label", |n, label| format!("{n},{}", if n == 6 { "neptune" } else { label })),
    )
    .unwrap();
    let error = train(&[table], &folder.path().join("m.corm")).unwrap_err().to_string();
    for part in ["t.csv", "row 7", "column label", "`neptune`", "family"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn a_wrong_cell_in_a_known_column_is_named() {
    let folder = folder();
    let table = folder.path().join("t.csv");
    fs::write(
        &table,
        rows(9, "fwd_packets,label", |n, label| {
            format!("{},{label}", if n == 4 { "many".into() } else { n.to_string() })
        }),
    )
    .unwrap();
    let error = train(std::slice::from_ref(&table), &folder.path().join("m.corm")).unwrap_err().to_string();
    for part in ["t.csv", "row 5", "column fwd_packets", "`many`"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    fs::write(&table, "x,label\n1,benign\n2\n").unwrap();
    let error = train(&[table], &folder.path().join("m.corm")).unwrap_err().to_string();
    assert!(error.contains("t.csv") && error.contains("2 fields") && error.contains("found 1"), "{error}");
    let json = folder.path().join("t.ndjson");
    fs::write(&json, "{\"x\":1,\"label\":\"benign\"}\n\n{\"x\":2,\n").unwrap();
    let error = train(&[json], &folder.path().join("m.corm")).unwrap_err().to_string();
    assert!(error.contains("t.ndjson, line 3"), "{error}");
}

#[test]
fn columns_a_model_misses_are_named_and_extra_ones_are_noted() {
    let folder = folder();
    let (table, model) = (folder.path().join("t.csv"), folder.path().join("m.corm"));
    fs::write(&table, rows(80, "x,y,label", |n, label| format!("{},{},{label}", n % 2, n))).unwrap();
    train(std::slice::from_ref(&table), &model).unwrap();
    let judge = |table: &Path| {
        let spec = evaluate::Spec {
            model: model.clone(),
            inputs: vec![table.to_owned()],
            labels: None,
            threshold: None,
            draws: 0,
            curves: None,
            shuffles: 0,
        };
        evaluate::run(&spec, &Ctx::new(1, 1))
    };
    let found = judge(&table).unwrap();
    assert!(found.notes.iter().any(|note| note.contains("trained on")), "{:?}", found.notes);
    assert_eq!(found.metrics["recall"], 1.0);
    let other = folder.path().join("other.csv");
    fs::write(&other, rows(20, "z,label,y,x", |n, label| format!("7,{label},{n},{}", n % 2))).unwrap();
    let found = judge(&other).unwrap();
    assert!(
        found.notes.iter().any(|note| note.contains("does not use 1 of its columns: z")),
        "{:?}",
        found.notes
    );
    assert_eq!((found.rows, &found.metrics["recall"]), (20, &serde_json::json!(1.0)));
    fs::write(
        &other,
        rows(20, "label,y", |n, label| format!("{label},{}", if n == 3 { "much" } else { "1" })),
    )
    .unwrap();
    let error = judge(&other).unwrap_err().to_string();
    assert!(error.contains("`x` is missing") && error.contains("`y` holds text"), "{error}");
}

#[test]
fn several_tables_are_one_group_each_and_must_agree() {
    let folder = folder();
    let paths: Vec<PathBuf> = (0..4).map(|n| folder.path().join(format!("t{n}.csv"))).collect();
    for (place, path) in paths.iter().enumerate() {
        // One table has whole numbers where the others have fractions.
        let fraction = if place == 0 { "" } else { ".5" };
        fs::write(path, rows(40, "x,label", |n, label| format!("{}{fraction},{label}", n % 2 * 10))).unwrap();
    }
    let report = train(&paths, &folder.path().join("m.corm")).unwrap();
    assert_eq!(report.rows_in, 160);
    assert!(report.model.split.starts_with("group"), "{}", report.model.split);
    fs::write(&paths[2], "y,label\n1,benign\n").unwrap();
    let error = train(&paths, &folder.path().join("m.corm")).unwrap_err().to_string();
    assert!(error.contains("t2.csv, column x") && error.contains("no such column"), "{error}");
}

#[test]
fn damaged_and_empty_files_are_refused_with_their_names() {
    let folder = folder();
    let table = folder.path().join("t.parquet");
    for bytes in [&b""[..], b"PAR1 and no more", b"ARROW1\0\0 and no more", b"\n\n"] {
        fs::write(&table, bytes).unwrap();
        let error = train(std::slice::from_ref(&table), &folder.path().join("m.corm")).unwrap_err();
        assert!(error.to_string().contains("t.parquet") && !error.is_bug(), "{error}");
    }
    let error =
        train(&[folder.path().join("nothing.csv")], &folder.path().join("m.corm")).unwrap_err().to_string();
    assert!(error.contains("nothing.csv") && error.contains("check the path"), "{error}");
}
