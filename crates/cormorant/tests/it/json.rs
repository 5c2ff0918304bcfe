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
fn packets_add_up() {
    let bench = Bench::trained();
    let inspected = bench.json("inspect samples/hunt.pcapng");
    let flows = bench.json("flows samples/hunt.pcapng -o add-up.csv");
    assert_eq!(inspected["packets"], flows["packets"]);
    let without: u64 =
        flows["packets_without_flow"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(flows["packets"].as_u64().unwrap(), flows["packets_in_flows"].as_u64().unwrap() + without);
}
