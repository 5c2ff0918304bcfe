//! `--json`: one document on standard output and nothing else, with the names that others rely on.

use serde_json::Value;

use crate::bench::Bench;

/// Every one of `names` is a key of `document`.
fn has(document: &Value, names: &[&str]) {
    let missing: Vec<_> = names.iter().filter(|name| document.get(**name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {document:#}");
}

#[test]
fn every_verb_answers_in_json() {
    let bench = Bench::trained();
    has(&bench.json("inspect samples/hunt.pcapng"), &["packets", "bytes", "captures", "faults"]);
    has(
        &bench.json("flows samples/hunt.pcapng -o json-flows.csv"),
        &["rows", "columns", "packets", "flows", "flows_by_expiry"],
    );
    has(
        &bench.json("extract samples/hunt.pcapng -o json-rows.csv"),
        &["rows", "features", "schema_digest", "sets"],
    );
    has(
        &bench.json("train learn.parquet -m logistic -o json.corm"),
        &["model", "threshold", "metrics", "sha256", "seed"],
    );
    has(&bench.json("score hunter.corm hunt.parquet -o json-scores.csv"), &["rows", "alerts", "threshold"]);
    has(&bench.json("hunt samples/hunt.pcapng -m hunter.corm"), &["alerts", "alerts_total", "flows"]);
    has(&bench.json("doctor"), &["checks", "healthy", "version"]);
    for what in ["features", "models", "strategies", "formats", "splits", "preparations"] {
        assert!(bench.json(&format!("list {what}")).is_array(), "list {what}");
    }
    has(&bench.json("completions bash"), &["script"]);
    has(&bench.json("man"), &["page"]);
}

#[test]
fn evaluate_has_every_metric_by_its_plain_name() {
    let report = Bench::trained().json("evaluate hunter.corm hunt.parquet");
    let names = [
        "recall",
        "precision",
        "fdr",
        "fpr",
        "f1",
        "roc_auc",
        "average_precision",
        "accuracy",
        "mcc",
        "base_rate",
    ];
    has(&report["metrics"], &names);
    has(&report["metrics"], &["confusion", "families"]);
}

#[test]
fn evaluate_says_how_sure_it_is_and_what_features_are_worth() {
    let bench = Bench::trained();
    let line = "evaluate hunter.corm hunt.parquet --shuffle 2 --curves curves.csv --draws 50";
    let report = bench.json(line);
    let metric = |name: &str| report["metrics"][name].as_f64().unwrap();
    for name in ["recall", "fpr", "roc_auc", "f1"] {
        let interval = &report["intervals"]["metrics"][name];
        let bound = |side: &str| interval[side].as_f64().unwrap();
        assert_eq!(bound("value"), metric(name), "{name}");
        assert!(bound("low") <= metric(name) && metric(name) <= bound("high"), "{name}: {interval}");
    }
    let losses: Vec<f64> =
        report["importances"].as_array().unwrap().iter().map(|one| one["loss"].as_f64().unwrap()).collect();
    assert!(losses[0] > 0.0 && losses.is_sorted_by(|a, b| a >= b), "{losses:?}");
    let curves = std::fs::read_to_string(bench.path("curves.csv")).unwrap();
    assert!(curves.starts_with("threshold,recall,fpr,precision,fdr\n,0"), "{curves:.200}");
    assert_eq!(report, bench.json(&format!("{line} --threads 1")), "on any number of threads");
    assert_eq!(bench.json("evaluate hunter.corm hunt.parquet --draws 0")["intervals"], Value::Null);
}

#[test]
fn explain_adds_up_and_knows_the_rows_it_learnt_from() {
    let bench = Bench::trained();
    let report = bench.json("explain hunter.corm hunt.parquet --top 2 --reasons 1000 --what-if");
    let rows = report["explained"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        let number = |value: &Value| value.as_f64().unwrap();
        let added: f64 =
            row["reasons"].as_array().unwrap().iter().map(|one| number(&one["contribution"])).sum();
        assert!((number(&row["baseline"]) + added - number(&row["margin"])).abs() < 1e-9, "{row}");
        let found = &row["changes"]["found"];
        assert!(number(&found["after"]) < number(&report["threshold"]) && found["alert"] == false, "{row}");
    }
    assert!(rows[0]["score"].as_f64() >= rows[1]["score"].as_f64());
    let same = bench.json("explain hunter.corm learn.parquet --row 7 --row 3 --against learn.parquet");
    for (row, number) in same["explained"].as_array().unwrap().iter().zip([7, 3]) {
        assert_eq!(row["row"], number);
        assert_eq!(row["nearest"][0]["distance"], 0.0, "its own row is there");
        assert!(row["nearest"].as_array().unwrap().len() == 3 && row.get("changes").is_none());
    }
    let refused = bench.run("explain hunter.corm learn.parquet --row 100000");
    assert!(refused.code == 1 && refused.stderr.contains("a number from 1 to"), "{}", refused.stderr);
    let refused = bench.run("explain hunter.corm learn.parquet --what-if --keep no_such_feature");
    assert!(refused.code == 1 && refused.stderr.contains("no_such_feature"), "{}", refused.stderr);
}

#[test]
fn packets_add_up() {
    let bench = Bench::trained();
    let inspected = bench.json("inspect samples/hunt.pcapng");
    let flows = bench.json("flows samples/hunt.pcapng -o add-up.csv");
    assert_eq!(inspected["packets"], flows["packets"]);
    let without: u64 =
        flows["packets_without_flow"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(flows["packets"].as_u64().unwrap(), flows["packets_in_flows"].as_u64().unwrap() + without);
}
