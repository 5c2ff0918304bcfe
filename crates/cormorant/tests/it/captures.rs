//! Captures as users have them: damaged, piped, compressed, many at once.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, root, skip};

#[test]
fn a_cut_capture_gives_its_packets_and_one_error() {
    let bench = Bench::new();
    let whole = std::fs::read(bench.path("samples/hunt.pcapng")).unwrap();
    bench.write("cut.pcapng", &whole[..whole.len() / 2]);
    let inspected = bench.run("inspect cut.pcapng --json");
    let packets =
        serde_json::from_str::<serde_json::Value>(&inspected.stdout).unwrap()["packets"].as_u64().unwrap();
    assert!(inspected.code == 1 && packets > 100, "{}", inspected.stderr);
    assert_eq!(inspected.stderr.matches("error: ").count(), 1, "{}", inspected.stderr);
    let flows = bench.run("flows cut.pcapng -o cut.csv");
    assert_eq!(flows.code, 1, "{}", flows.stderr);
    assert!(
        std::fs::read_to_string(bench.path("cut.csv")).unwrap().lines().count() > 10,
        "rows before the fault are kept"
    );
}

#[test]
fn standard_input_and_threads_give_the_rows_of_the_file() {
    let bench = Bench::new();
    let capture = std::fs::read(bench.path("samples/hunt.pcapng")).unwrap();
    let rows = |stdout: String| {
        stdout.lines().map(|line| line.replace("samples/hunt.pcapng", "-")).collect::<Vec<_>>()
    };
    let from_file = rows(bench.fine("extract samples/hunt.pcapng -o -").stdout);
    for threads in [1, 2, 7] {
        let piped = bench.run_with_input(&format!("extract - -o - --threads {threads}"), &capture);
        assert_eq!(piped.code, 0, "{}", piped.stderr);
        assert!(rows(piped.stdout) == from_file, "{threads} threads");
    }
}

#[test]
fn a_stopped_training_leaves_nothing_half_written() {
    let line = "cormorant train learn.parquet -p trees=10000 -o stopped.corm & pid=$!; sleep 1; kill -INT $pid; wait $pid";
    let outcome = Bench::trained().shell(line);
    assert_eq!(outcome.code, 130, "{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stderr.contains("cancelled"), "{}", outcome.stderr);
    let left = std::fs::read_dir(Bench::trained().path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().contains("stopped.corm")));
}

#[test]
fn every_shared_capture_is_inspected_without_a_bug() {
    let Some(data) = shared_data() else {
        return skip("../shared/data is not there (CORMORANT_SHARED names it)");
    };
    let bench = Bench::new();
    let pcaps = data.join("pcaps");
    let outcome = bench.run(&format!("inspect {} --json", pcaps.display()));
    assert!(matches!(outcome.code, 0 | 1), "exit code {}: {}", outcome.code, outcome.stderr);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("one JSON document");
    let (captures, faults) =
        (report["captures"].as_array().unwrap().len(), report["faults"].as_array().unwrap().len());
    assert!(captures > 2000 && faults < captures / 10, "{faults} of {captures} captures are damaged");
    assert_eq!(outcome.stderr.matches("error: ").count(), faults);
    assert!(!outcome.stdout.contains('\u{1b}') && !outcome.stderr.contains('\u{1b}'));
}

/// The unpacked shared data, where there is any.
pub(crate) fn shared_data() -> Option<PathBuf> {
    let shared = std::env::var_os("CORMORANT_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let unpack = shared.join("data/unpack.sh");
    let output = unpack.exists().then(|| Command::new(&unpack).output().ok()).flatten()?;
    let folder = String::from_utf8(output.stdout).ok()?.lines().last()?.trim().to_owned();
    Some(Path::new(&folder).to_owned()).filter(|folder| folder.join("pcaps").is_dir())
}
