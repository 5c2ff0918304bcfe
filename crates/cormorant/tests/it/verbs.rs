//! The verbs from end to end on the bundled samples: what they promise, not how well a model does.

use crate::bench::{Bench, golden};

#[test]
fn hunting_finds_alerts_and_says_so_in_its_exit_code() {
    let bench = Bench::trained();
    let outcome =
        bench.run("hunt samples/hunt.pcapng -m hunter.corm --labels samples/hunt.labels.csv --top 3");
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    for expected in [
        "flows are alerts",
        "The 3 strongest alerts",
        "family",
        "caught",
        "missed",
        "false alarms",
        "never shown",
        "truth:",
    ] {
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
    for expected in [
        "packets/s",
        "flows/s",
        "rows/s",
        "Detection by family",
        "never shown",
        "false alarms",
        "second opinion",
        "The 10 strongest alerts",
        "cormorant hunt my.pcap -m cormorant-demo/demo.corm",
    ] {
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
    let digest = |words: &str| {
        bench.json(&format!("train learn.parquet -p trees=20 -o seeded.corm {words}"))["sha256"].clone()
    };
    let one = digest("--threads 1 --seed 5");
    assert_eq!(one, digest("--threads 2 --seed 5"));
    assert_ne!(one, digest("--threads 2 --seed 6"));
}

#[test]
fn what_is_in_a_capture() {
    let bench = Bench::new();
    let ethernet =
        |kind: [u8; 2], rest: &[u8]| [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], kind.as_slice(), rest].concat();
    let ip = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 198, 51, 100, 1];
    let ping = ethernet([8, 0], &[ip.as_slice(), &[8, 0, 0, 0, 0, 1, 0, 1]].concat());
    let cut = ethernet([8, 0], &ip[..12]);
    let arp = ethernet([8, 6], &[0; 28]);
    bench.write("small.pcap", pcap(&[&ping, &ping, &cut, &arp]));
    golden("what_is_in_a_capture", &bench.fine("inspect small.pcap").stdout);
}

/// A microsecond pcap file of Ethernet frames, half a second apart.
fn pcap(frames: &[&[u8]]) -> Vec<u8> {
    let mut file =
        vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0, 0, 0];
    for (at, frame) in frames.iter().enumerate() {
        let (at, length) = (at as u32, frame.len() as u32);
        let words = [1_700_000_000 + at / 2, at % 2 * 500_000, length, length];
        words.iter().for_each(|word: &u32| file.extend_from_slice(&word.to_le_bytes()));
        file.extend_from_slice(frame);
    }
    file
}
