//! The four formats hold the same rows, and rows survive being read and written again.

use std::fs;
use std::path::Path;

use cormorant_lab::Ctx;
use cormorant_lab::output::Output;
use cormorant_lab::tasks::{score, train};

use crate::made::{cells, column, extract, folder, sample, spec};

#[test]
fn every_format_trains_the_same_model() {
    let folder = folder();
    let mut models = Vec::new();
    for format in ["parquet", "csv", "ndjson", "arrow"] {
        let table = folder.path().join(format!("learn.{format}"));
        let mut spec = spec(&[sample("learn.pcapng")], &table);
        spec.labels = Some(sample("learn.labels.csv"));
        let report = extract(&spec).unwrap();
        assert!(report.rows > 100, "{} rows", report.rows);
        let output = folder.path().join(format!("{format}.corm"));
        let report = train::run(&tree(&table, &output), &Ctx::new(7, 2)).unwrap();
        models.push((
            format,
            report.model.schema_digest,
            report.model.sets,
            report.model.threshold,
            report.importances,
        ));
    }
    let (_, digest, sets, threshold, importances) = models[0].clone();
    for (format, other_digest, other_sets, other_threshold, other_importances) in &models {
        assert_eq!(*other_digest, digest, "{format}");
        assert_eq!(*other_sets, sets, "{format}");
        assert_eq!(*other_threshold, threshold, "{format}");
        assert_eq!(*other_importances, importances, "{format}");
    }
    assert_eq!(sets, ["flow"]);
}

fn tree(table: &Path, output: &Path) -> train::Spec {
    serde_json::from_value(serde_json::json!({
        "inputs": [table], "model": "decision-tree", "output": output,
    }))
    .unwrap()
}

#[test]
fn scores_of_a_capture_and_of_its_table_in_every_format_are_the_same() {
    let folder = folder();
    let learn = folder.path().join("learn.parquet");
    let mut learning = spec(&[sample("learn.pcapng")], &learn);
    learning.labels = Some(sample("learn.labels.csv"));
    extract(&learning).unwrap();
    let model = folder.path().join("tree.corm");
    train::run(&tree(&learn, &model), &Ctx::new(7, 2)).unwrap();
    let scored = |input: &Path, name: &str| {
        let output = folder.path().join(name);
        let spec = score::Spec {
            model: model.clone(),
            inputs: vec![input.to_owned()],
            reading: Default::default(),
            threshold: None,
            output: Output::parse(&output.display().to_string()).unwrap(),
        };
        let report = score::run(&spec, &Ctx::new(7, 2)).unwrap();
        assert_eq!(report.rows as usize, cells(&output).len() - 1);
        fs::read(output).unwrap()
    };
    let straight = scored(&sample("hunt.pcapng"), "straight.csv");
    for format in ["parquet", "csv", "ndjson", "arrow"] {
        let table = folder.path().join(format!("hunt.{format}"));
        extract(&spec(&[sample("hunt.pcapng")], &table)).unwrap();
        assert!(scored(&table, &format!("{format}-scores.csv")) == straight, "{format} scores differ");
    }
    let verdicts = column(&folder.path().join("straight.csv"), "verdict");
    assert!(
        verdicts.iter().any(|verdict| verdict == "malicious")
            && verdicts.iter().any(|verdict| verdict == "benign")
    );
}

#[test]
fn identity_comes_first_and_missing_values_are_empty() {
    let folder = folder();
    let path = folder.path().join("rows.csv");
    crate::made::Made::new()
        .udp(0, ("10.0.0.1", 5000), ("10.0.0.2", 53), 10)
        .write(&folder.path().join("one.pcap"));
    extract(&spec(&[folder.path().join("one.pcap")], &path)).unwrap();
    let rows = cells(&path);
    assert_eq!(rows[0][..4], ["flow_id", "community_id", "source", "destination"]);
    assert_eq!(column(&path, "response_s"), [""]);
    assert_eq!(column(&path, "fwd_payload_bytes"), ["10"]);
    assert_eq!(column(&path, "first_ns"), ["1700000000000000000"]);
}

#[test]
fn capture_names_are_defused_in_csv_and_read_back_as_they_were() {
    let folder = folder();
    let captures = folder.path().join("captures");
    fs::create_dir(&captures).unwrap();
    for name in ["=HYPERLINK(1).pcap", "a\u{1b}[31m.pcap"] {
        crate::made::talk(2).write(&captures.join(name));
    }
    let csv = folder.path().join("rows.csv");
    extract(&spec(std::slice::from_ref(&captures), &csv)).unwrap();
    let names = column(&csv, "capture");
    assert_eq!(names, ["'=HYPERLINK(1).pcap", "'=HYPERLINK(1).pcap", "a\\x1b[31m.pcap", "a\\x1b[31m.pcap"]);
    let ndjson = folder.path().join("rows.ndjson");
    extract(&spec(&[captures], &ndjson)).unwrap();
    assert!(fs::read_to_string(ndjson).unwrap().contains("\"capture\":\"=HYPERLINK(1).pcap\""));
}
