//! Packets that are kept: by `capture` from a file, and by `--write` beside what is made of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use cormorant_net::capture::Capture;

use crate::bench::{Bench, skip};

/// Every frame's time, length on the wire and bytes.
pub(crate) fn frames(path: &Path) -> Vec<(i64, u32, Vec<u8>)> {
    let mut capture = Capture::open(path).unwrap_or_else(|error| panic!("{error}"));
    let mut frames = Vec::new();
    while let Some(frame) = capture.next_frame().unwrap_or_else(|error| panic!("{error}")) {
        frames.push((frame.ts_ns, frame.wire_bytes, frame.data.to_vec()));
    }
    frames
}

#[test]
fn a_copy_of_a_capture_has_its_frames() {
    let bench = Bench::new();
    let report = bench.json("capture samples/hunt.pcapng -o copy.pcapng");
    let copied = frames(&bench.path("copy.pcapng"));
    assert_eq!(copied, frames(&bench.path("samples/hunt.pcapng")));
    assert_eq!(report["packets"].as_u64(), Some(copied.len() as u64));
    assert_eq!(report["files"], serde_json::json!(["copy.pcapng"]));
    let size = fs::metadata(bench.path("copy.pcapng")).unwrap().len();
    assert_eq!(report["file_bytes"].as_u64(), Some(size));
}

#[test]
fn packets_go_through_a_pipe() {
    let bench = Bench::new();
    let piped = bench.shell("cormorant capture samples/hunt.pcapng -o - | cormorant inspect - --json");
    assert_eq!(piped.code, 0, "{}", piped.stderr);
    let piped: serde_json::Value = serde_json::from_str(&piped.stdout).expect("one JSON document");
    assert_eq!(piped["packets"], bench.json("inspect samples/hunt.pcapng")["packets"]);
    let left =
        bench.shell("{ cormorant capture samples/hunt.pcapng -o -; echo $? >&2; } | head -c 9 >/dev/null");
    assert_eq!(left.stderr.trim(), "0", "a reader that leaves is no error");
}

#[test]
fn rows_made_while_packets_are_kept_are_those_of_the_kept_file() {
    let bench = Bench::new();
    let features = "--features flow,splt,context --packets 5000";
    let report =
        bench.json(&format!("extract samples/hunt.pcapng {features} --write kept.pcapng -o live.parquet"));
    assert_eq!(report["packets"], 5000);
    assert_eq!(frames(&bench.path("kept.pcapng")), frames(&bench.path("samples/hunt.pcapng"))[..5000]);
    for threads in [1, 2] {
        bench.fine(&format!("extract kept.pcapng {features} -o again.parquet --threads {threads}"));
        let (live, again) = (bench.path("live.parquet"), bench.path("again.parquet"));
        assert!(fs::read(live).unwrap() == fs::read(again).unwrap(), "{threads} threads");
    }
}

#[test]
fn a_rotation_keeps_the_newest_files_whole() {
    let bench = Bench::new();
    let report = bench.json("capture samples/hunt.pcapng -o x.pcapng --rotate-size 500KiB --keep 2");
    let written = report["files_written"].as_u64().unwrap();
    let expected: Vec<_> = (written - 1..=written).map(|number| format!("x-{number:06}.pcapng")).collect();
    assert!(written > 3 && report["files"] == serde_json::json!(expected), "{report:#}");
    let kept: Vec<_> = expected.iter().flat_map(|name| frames(&bench.path(name))).collect();
    assert!(frames(&bench.path("samples/hunt.pcapng")).ends_with(&kept));
    let in_folder = fs::read_dir(bench.path(".")).unwrap().count();
    assert_eq!(in_folder, 3, "two files and the samples");
}

#[test]
fn a_full_disk_is_one_error_and_what_was_written_stays_readable() {
    let bench = Bench::new();
    let mount = "mkdir small && mount -t tmpfs -o size=300k none small";
    let possible =
        Command::new("unshare").args(["-Urm", "sh", "-c"]).arg("mount -t tmpfs none /mnt").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return skip("no file system can be mounted here");
    }
    let capture =
        "cormorant capture samples/hunt.pcapng -o small/x.pcapng; echo $? > code; cp small/x.pcapng .";
    let outcome = bench.shell(&format!("unshare -Urm sh -c '{mount} && {{ {capture}; }}'"));
    assert_eq!(fs::read_to_string(bench.path("code")).unwrap().trim(), "1", "{}", outcome.stderr);
    assert_eq!(outcome.stderr.matches("error: ").count(), 1, "{}", outcome.stderr);
    let kept = frames(&bench.path("x.pcapng"));
    let said = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&format!("{} packets before it were kept; free some space", kept.len())), "{said}");
    assert!(!kept.is_empty() && frames(&bench.path("samples/hunt.pcapng")).starts_with(&kept));
}

#[test]
fn what_cannot_be_kept_is_refused_before_anything_is_lost() {
    let bench = Bench::new();
    bench.fine("capture samples/hunt.pcapng -o own.pcapng --packets 10");
    for (words, said) in [
        ("capture own.pcapng -o own.pcapng", "another file than the input"),
        ("flows samples/hunt.pcapng -o - --write x.pcap", "ends in .pcapng"),
        ("capture own.pcapng -o x.pcapng --keep 3", "--rotate-size or --rotate-every"),
        ("capture samples -o x.pcapng", "one capture"),
        ("inspect nosuch0", "interfaces are: "),
        ("capture own.pcapng -o - --json", "both want standard output"),
    ] {
        let outcome = bench.run(words);
        let text = outcome.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(outcome.code == 1 && text.contains(said), "{words}: {}", outcome.stderr);
    }
    assert_eq!(frames(&bench.path("own.pcapng")).len(), 10);
}
