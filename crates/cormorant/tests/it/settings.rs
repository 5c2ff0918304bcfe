//! Defaults from the environment and from `cormorant.toml`, as the running program sees them.

use crate::bench::Bench;

fn seed(bench: &Bench, words: &str) -> u64 {
    let report = bench.json(&format!("train learn.parquet -m logistic -o m.corm {words}"));
    report["seed"].as_u64().unwrap_or_else(|| panic!("no seed in {report}"))
}

/// A bench with labelled rows to train on.
fn bench(file: &str) -> Bench {
    let bench = Bench::new();
    std::fs::copy(Bench::trained().path("learn.parquet"), bench.path("learn.parquet")).unwrap();
    bench.write("cormorant.toml", file);
    bench
}

#[test]
fn typed_beats_environment_beats_file_beats_default() {
    assert_eq!(seed(&bench(""), ""), 0);
    assert_eq!(seed(&bench("seed = 3"), ""), 3);
    assert_eq!(seed(&bench("seed = 3").with("CORMORANT_SEED", "2"), ""), 2);
    assert_eq!(seed(&bench("seed = 3").with("CORMORANT_SEED", "2"), "--seed 1"), 1);
}

#[test]
fn the_file_may_be_elsewhere() {
    let bench = bench("seed = 3");
    bench.write("other.toml", "seed = 4");
    assert_eq!(seed(&bench, "--config other.toml"), 4);
    assert_eq!(seed(&bench.with("CORMORANT_CONFIG", "other.toml"), ""), 4);
}

#[test]
fn a_verbs_table_gives_what_is_required() {
    let bench = bench("[train]\nmodel = 'decision-tree'\noutput = 'from-file.corm'\nparam = ['max_depth=3']");
    let report = bench.json("train learn.parquet");
    assert_eq!(
        (report["model"].as_str(), report["params"]["max_depth"].as_str()),
        (Some("decision-tree"), Some("3"))
    );
    assert!(bench.path("from-file.corm").exists());
}

#[test]
fn flags_can_be_set_outside_too() {
    let outcome = Bench::new().with("CORMORANT_JSON", "1").fine("inspect samples/hunt.pcapng");
    assert!(outcome.stdout.starts_with('{'), "{}", outcome.stdout);
}
