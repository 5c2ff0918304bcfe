//! The verbs from end to end on the bundled samples: what they promise, not how well a model does.

use crate::bench::Bench;

#[test]
fn hunting_finds_alerts_and_says_so_in_its_exit_code() {
    let bench = Bench::trained();
    let outcome = bench.run("hunt samples/hunt.pcapng -m hunter.corm --labels samples/hunt.labels.csv --top 3");
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    for expected in ["flows are alerts", "The 3 strongest alerts", "family", "caught", "missed", "false alarms", "never seen in training", "truth:"] {
        assert!(outcome.stdout.contains(expected), "no `{expected}` in\n{}", outcome.stdout);
    }
    let calm = bench.run("hunt samples/hunt.pcapng -m hunter.corm --threshold 1.1");
    assert_eq!(calm.code, 0, "no alerts, no code 3: {}", calm.stdout);
}

#[test]
fn alerts_are_ranked_and_have_reasons() {
    let report = Bench::trained().json("hunt samples/hunt.pcapng -m hunter.corm --top 10");
    let alerts = report["alerts"].as_array().unwrap();
    let scores: Vec<f64> = alerts.iter().map(|alert| alert["score"].as_f64().unwrap()).collect();
    assert!(scores.is_sorted_by(|left, right| left >= right) && alerts.len() == 10, "{scores:?}");
    assert!(alerts.iter().all(|alert| !alert["reasons"].as_array().unwrap().is_empty()));
}

#[test]
fn the_demo_needs_no_file_and_leaves_a_model_to_hunt_with() {
    let bench = Bench::new();
    std::fs::remove_dir_all(bench.path("samples")).unwrap();
    let outcome = bench.fine("demo --no-serve");
    for expected in ["packets/s", "flows/s", "rows/s", "Detection by family", "never seen in training", "false alarms",
        "second opinion", "The 10 strongest alerts", "cormorant hunt my.pcap -m cormorant-demo/demo.corm"] {
        assert!(outcome.stdout.contains(expected), "no `{expected}` in\n{}", outcome.stdout);
    }
    assert!(outcome.stdout.lines().all(|line| line.chars().count() <= 80), "{}", outcome.stdout);
    assert!(!outcome.stdout.contains("UI is not built"));
    assert!(bench.path("cormorant-demo/demo.corm").exists());
}

#[test]
fn the_demo_says_plainly_that_there_is_no_ui() {
    let outcome = Bench::new().fine("demo");
    assert!(outcome.stdout.contains("The web UI is not built yet"), "{}", outcome.stdout);
}

#[test]
fn the_same_seed_gives_the_same_model_on_any_number_of_threads() {
    let bench = Bench::trained();
    let digest = |words: &str| bench.json(&format!("train learn.parquet -p trees=20 -o seeded.corm {words}"))["sha256"].clone();
    let one = digest("--threads 1 --seed 5");
    assert_eq!(one, digest("--threads 2 --seed 5"));
    assert_ne!(one, digest("--threads 2 --seed 6"));
}

#[test]
fn what_is_in_a_sample() {
    let outcome = Bench::new().fine("inspect samples/hunt.pcapng");
    insta::assert_snapshot!(outcome.stdout);
}
