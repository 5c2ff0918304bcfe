//! The main job on the bundled samples: train on one capture, hunt in the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cormorant_lab::Ctx;
use cormorant_lab::tasks::{demo, doctor, evaluate, hunt, train};

use crate::made::{folder, sample};

fn learn(folder: &Path, model: &str, params: &[(&str, &str)]) -> (PathBuf, train::Report) {
    let output = folder.join("model.corm");
    let params: std::collections::BTreeMap<_, _> = params.iter().copied().collect();
    let spec = serde_json::json!({
        "inputs": [sample("learn.pcapng")], "labels": sample("learn.labels.csv"),
        "model": model, "params": params, "output": output,
    });
    let report = train::run(&serde_json::from_value(spec).unwrap(), &Ctx::new(3, 2)).unwrap();
    (output, report)
}

fn hunt(model: &Path, threads: usize) -> hunt::Report {
    let spec = hunt::Spec {
        inputs: vec![sample("hunt.pcapng")],
        reading: Default::default(),
        model: model.to_owned(),
        labels: Some(sample("hunt.labels.csv")),
        top: 5,
        threshold: None,
    };
    hunt::run(&spec, &Ctx::new(3, threads)).unwrap()
}

#[test]
fn a_forest_trained_on_one_capture_finds_malice_in_another_and_says_why() {
    let folder = folder();
    let (model, report) = learn(folder.path(), "random-forest", &[("trees", "30")]);
    assert!(report.model.families.len() >= 5 && report.model.base_rate.unwrap() > 0.0);
    assert_eq!(report.sha256.len(), 64);
    assert!(report.model.metrics.as_ref().unwrap()["roc_auc"].as_f64().unwrap() > 0.8);
    let found = hunt(&model, 2);
    assert_eq!(found.counts.as_ref().unwrap().flows, found.flows);
    assert!(found.alerts_total >= 5 && found.alerts.len() == 5);
    assert!(found.alerts.windows(2).all(|pair| pair[0].score >= pair[1].score));
    for alert in &found.alerts {
        assert!(
            !alert.reasons.is_empty()
                && alert.reasons.iter().all(|reason| reason.contribution.unwrap() > 0.0)
        );
        assert!(alert.truth.is_some() && alert.first_packet > 0 && alert.time.ends_with('Z'));
        assert!(alert.community_id.starts_with("1:") && alert.flow_id.len() == 32);
    }
    let grade = found.grade.as_ref().unwrap();
    assert_eq!(grade.hits + grade.missed + grade.false_alarms + grade.passed, grade.flows_labelled);
    assert_eq!(grade.hits + grade.false_alarms, found.alerts_total);
    let unseen: Vec<&str> =
        grade.families.iter().filter(|family| !family.seen).map(|family| family.family.as_str()).collect();
    assert_eq!(unseen, ["dns-tunnel", "slow-headers"]);
    assert!(grade.decoys.iter().any(|decoy| decoy.decoy_of == "beacon" && decoy.activity == "poller"));
    assert_eq!(found.alerts, hunt(&model, 1).alerts);
}

#[test]
fn a_model_of_families_guesses_the_family() {
    let folder = folder();
    let (model, report) = learn(folder.path(), "random-forest", &[("trees", "20"), ("target", "family")]);
    assert!(report.model.classes.len() > 4 && report.model.classes[0] == "benign");
    let found = hunt(&model, 2);
    let guess = found.alerts[0].family.as_ref().unwrap();
    assert!(report.model.classes.contains(&guess.family) && guess.probability > 0.0);
    let spec = evaluate::Spec {
        model,
        inputs: vec![sample("hunt.pcapng")],
        labels: Some(sample("hunt.labels.csv")),
        threshold: Some(0.5),
        draws: 50,
        curves: None,
        shuffles: 1,
    };
    let judged = evaluate::run(&spec, &Ctx::new(3, 2)).unwrap();
    assert_eq!(judged.threshold, 0.5);
    assert_eq!(judged.families_unseen, ["dns-tunnel", "slow-headers"]);
    assert!(judged.metrics["classes"]["macro_f1"].as_f64().is_some());
    assert_eq!(judged.labels.unwrap().ambiguous, 0);
}

#[test]
fn parameters_are_refused_before_anything_is_read() {
    let spec = |params: serde_json::Value| {
        serde_json::from_value::<train::Spec>(serde_json::json!({
            "inputs": ["/no/such/table.csv"], "model": "random-forest", "params": params, "output": "m.corm",
        }))
        .unwrap()
    };
    for (params, found) in [
        (serde_json::json!({ "trees": "none" }), "`none`"),
        (serde_json::json!({ "tress": "10" }), "tress"),
        (serde_json::json!({ "target": "colour" }), "`colour`"),
    ] {
        let error = train::run(&spec(params), &Ctx::new(1, 1)).unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
}

#[test]
fn a_model_from_a_foreign_table_refuses_captures_with_a_way_out() {
    let folder = folder();
    let table = folder.path().join("t.csv");
    let rows: String = (0..60).map(|n| format!("{},{}\n", n % 2, n % 2)).collect();
    fs::write(&table, format!("x,label\n{rows}")).unwrap();
    let model = folder.path().join("m.corm");
    let spec = serde_json::json!({ "inputs": [table], "model": "logistic", "output": model });
    train::run(&serde_json::from_value(spec).unwrap(), &Ctx::new(1, 1)).unwrap();
    let spec = serde_json::json!({ "inputs": [sample("hunt.pcapng")], "model": model, "top": 1 });
    let spec = serde_json::from_value(spec).unwrap();
    let error = hunt::run(&spec, &Ctx::new(1, 1)).unwrap_err().to_string();
    assert!(
        error.contains("does not say which feature sets") && error.contains("cormorant extract"),
        "{error}"
    );
}

#[test]
fn the_demo_tells_each_stage_and_grades_both_models() {
    let read = |name| Arc::from(fs::read(sample(name)).unwrap());
    let samples = demo::Samples {
        learn_capture: read("learn.pcapng"),
        learn_labels: read("learn.labels.csv"),
        hunt_capture: read("hunt.pcapng"),
        hunt_labels: read("hunt.labels.csv"),
    };
    let mut told = 0;
    let report = demo::run(&samples, &Ctx::new(1, 2), &mut |_| told += 1).unwrap();
    assert_eq!((told, report.stages.len()), (6, 6));
    assert_eq!(report.alerts.len(), 10);
    assert!(report.families.iter().any(|family| !family.grade.seen));
    assert!(!report.decoys.is_empty() && !report.model_file.is_empty());
    let seen = report.families.iter().filter(|family| family.grade.seen);
    let (hits, missed) =
        seen.fold((0, 0), |(hits, missed), family| (hits + family.grade.hits, missed + family.grade.missed));
    assert!(hits > missed, "of the families learnt {hits} flows were found, {missed} missed");
}

#[test]
fn the_doctor_finds_this_machine_healthy_and_a_missing_directory_not() {
    let folder = folder();
    let healthy =
        doctor::run(&doctor::Spec { directory: Some(folder.path().to_owned()) }, &Ctx::new(1, 2)).unwrap();
    assert!(healthy.healthy, "{:?}", healthy.checks);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let missing = doctor::Spec { directory: Some(folder.path().join("missing")) };
    let report = doctor::run(&missing, &Ctx::new(1, 2)).unwrap();
    assert!(
        !report.healthy
            && report.checks.iter().any(|check| check.found.contains("create the directory first"))
    );
}
