//! List columns on their way through tables, training and scoring.

use std::fs;
use std::path::{Path, PathBuf};

use cormorant_lab::Ctx;
use cormorant_lab::output::Output;
use cormorant_lab::tasks::{hunt, score, train};

use crate::made::{Made, cells, column, extract, folder, sample, spec};

const FORMATS: [&str; 4] = ["parquet", "csv", "ndjson", "arrow"];

fn table(capture: PathBuf, set: &str, output: &Path) -> PathBuf {
    let mut spec = spec(&[capture], output);
    spec.sets = vec![set.to_owned()];
    extract(&spec).unwrap();
    output.to_owned()
}

fn train(input: &Path, model: &str, output: &Path) -> train::Report {
    let spec = serde_json::json!({ "inputs": [input], "model": model, "output": output });
    train::run(&serde_json::from_value(spec).unwrap(), &Ctx::new(7, 2)).unwrap()
}

fn scored(model: &Path, input: PathBuf, output: &Path) -> Vec<u8> {
    let spec = score::Spec {
        model: model.to_owned(),
        inputs: vec![input],
        reading: Default::default(),
        threshold: None,
        output: Output::parse(&output.display().to_string()).unwrap(),
    };
    score::run(&spec, &Ctx::new(7, 2)).unwrap();
    fs::read(output).unwrap()
}

#[test]
fn lists_are_json_arrays_in_text() {
    let folder = folder();
    let (client, server) = (("10.0.0.1", 5000), ("10.0.0.2", 53));
    let made = Made::new().udp(0, client, server, 10).udp(500_000, server, client, 20);
    made.udp(600_000, ("10.0.0.3", 9), server, 10).write(&folder.path().join("one.pcap"));
    let rows =
        |name: &str| table(folder.path().join("one.pcap"), "netml-iat:header", &folder.path().join(name));
    let csv = rows("rows.csv");
    assert_eq!(column(&csv, "netml_iat"), ["[0.5]", "[]"]);
    assert_eq!(column(&csv, "netml_ttl"), ["[64.0,64.0]", "[64.0]"]);
    assert!(fs::read_to_string(&csv).unwrap().contains(",\"[64.0,64.0]\",[0.5]\n"));
    let ndjson = fs::read_to_string(rows("rows.ndjson")).unwrap();
    assert!(ndjson.contains(r#""netml_ttl":[64.0,64.0],"netml_iat":[0.5]}"#), "{ndjson}");
}

#[test]
fn lists_survive_every_format() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let learn = table(sample("learn.pcapng"), "netml-iat-size:header", &at("learn.parquet"));
    train(&learn, "isolation-forest", &at("model.corm"));
    // The table of scores begins with the columns it was given.
    let straight = scored(&at("model.corm"), sample("hunt.pcapng"), &at("straight.csv"));
    for format in FORMATS {
        let hunt = table(sample("hunt.pcapng"), "netml-iat-size:header", &at(&format!("hunt.{format}")));
        let again = scored(&at("model.corm"), hunt, &at(&format!("{format}-scores.csv")));
        assert!(again == straight, "{format} scores differ");
    }
    let mut digests = Vec::new();
    for format in FORMATS {
        let learn = table(sample("learn.pcapng"), "netml-iat-size:header", &at(&format!("learn.{format}")));
        let report = train(&learn, "isolation-forest", &at(&format!("{format}.corm")));
        digests.push((report.model.schema_digest, report.model.threshold));
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[test]
fn a_model_of_lists_scores_a_capture() {
    let folder = folder();
    for (set, model) in [
        ("netml-iat", "isolation-forest"),
        ("netml-size", "isolation-forest"),
        ("netml-samp-num", "isolation-forest"),
        ("netml-stats:header", "isolation-forest"),
    ] {
        let learn = table(sample("learn.pcapng"), set, &folder.path().join("learn.parquet"));
        let path = folder.path().join("model.corm");
        let report = train(&learn, model, &path);
        assert_eq!(report.model.sets, [set]);
        let scores = folder.path().join("scores.csv");
        scored(&path, sample("hunt.pcapng"), &scores);
        assert!(cells(&scores).len() > 100, "{set}");
        let scores = column(&scores, "score");
        assert!(scores.iter().all(|score| score.parse::<f64>().unwrap().is_finite()));
        assert!(scores.iter().any(|score| *score != scores[0]), "{set}: all rows score the same");
        let spec = hunt::Spec {
            inputs: vec![sample("hunt.pcapng")],
            reading: Default::default(),
            model: path,
            labels: None,
            top: 3,
            threshold: Some(scores[0].parse().unwrap()),
        };
        let found = hunt::run(&spec, &Ctx::new(7, 2)).unwrap();
        assert!(!found.alerts.is_empty(), "{set}");
    }
}

#[test]
fn cells_that_are_no_lists_are_refused_where_lists_are_expected() {
    let folder = folder();
    let learn = table(sample("learn.pcapng"), "netml-iat", &folder.path().join("learn.csv"));
    let model = folder.path().join("model.corm");
    train(&learn, "isolation-forest", &model);
    for cell in ["1.5", "\"[1.5,\"", "\"[1.5,\"\"a\"\"]\""] {
        let path = folder.path().join("bad.csv");
        fs::write(&path, format!("source,netml_iat\n10.0.0.1,[0.5]\n10.0.0.1,{cell}\n")).unwrap();
        let spec = score::Spec {
            model: model.clone(),
            inputs: vec![path],
            reading: Default::default(),
            threshold: None,
            output: Output::parse(&folder.path().join("out.csv").display().to_string()).unwrap(),
        };
        let message = score::run(&spec, &Ctx::new(7, 2)).unwrap_err().to_string();
        assert!(message.contains("an array of numbers") && message.contains("row 2"), "{message}");
    }
}
