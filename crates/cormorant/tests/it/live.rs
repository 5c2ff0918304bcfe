//! Interfaces as the source of every verb, over a pair of virtual ones: what is made live is what is made of the file.
//!
//! Each test runs itself again in a network of its own (`unshare -Urn`), which needs no privilege; where that is not
//! allowed, it skips aloud.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use cormorant_afpacket::{Injector, Interface};
use cormorant_net::capture::{Capture, LinkType};

use crate::bench::{Bench, Outcome, skip};
use crate::captures::shared_data;
use crate::keeping::frames;

const INSIDE: &str = "CORMORANT_TEST_INSIDE";
/// Looks at a program that should do something soon, and the pause between two.
const LOOKS: usize = 2_400;
const PAUSE: Duration = Duration::from_millis(50);

/// One end is captured from, the other sends; no address, no chatter of the system's own.
const SET_UP: &str = "\
set -e
ip link add tap0 mtu 65535 type veth peer name src0 mtu 65535
for name in tap0 src0; do
    ip link set $name arp off addrgenmode none
    echo 1 2>/dev/null > /proc/sys/net/ipv6/conf/$name/disable_ipv6 || true
    ip link set $name up
done";

/// Whether this process is alone in its network; if not, the test of this name is run where it is.
fn alone(test: &str) -> bool {
    let run = |command: &mut Command| command.status().is_ok_and(|status| status.success());
    if env::var_os(INSIDE).is_some() {
        assert!(run(Command::new("sh").args(["-c", SET_UP])), "the interfaces cannot be made");
        return true;
    }
    let probe = "ip link add tap0 mtu 65535 type veth peer name src0 2>/dev/null";
    if !run(Command::new("unshare").args(["-Urn", "sh", "-c", probe])) {
        skip("no virtual interfaces can be made here");
        return false;
    }
    let test = format!("live::{test}");
    let own = env::current_exe().expect("the path of this program");
    let mut again = Command::new("unshare");
    again.arg("-Urn").arg(own).args([&test, "--exact", "--nocapture"]);
    assert!(run(again.env(INSIDE, "1").env_remove("SUDO_UID")), "{test} failed in its own network");
    false
}

/// Ethernet frames to send, in order: the bundled traffic, and captures with VLANs and other rare things.
fn traffic(bench: &Bench) -> Vec<Vec<u8>> {
    let mut paths = vec![bench.path("samples/learn.pcapng")];
    if let Some(data) = shared_data() {
        paths.extend(rare(&data.join("pcaps/tcpdump-tests")));
        paths.extend(rare(&data.join("pcaps/pcapplusplus")));
    }
    paths.iter().flat_map(|path| ethernet(path)).collect()
}

/// Small captures of a folder.
fn rare(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .filter(|entry| entry.metadata().is_ok_and(|meta| meta.len() < 50_000))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// Whole Ethernet frames of a capture, those that an interface can send.
fn ethernet(path: &Path) -> Vec<Vec<u8>> {
    let Ok(mut capture) = Capture::open(path) else { return Vec::new() };
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = capture.next_frame() {
        let whole = frame.data.len() == frame.wire_bytes as usize && (14..65_000).contains(&frame.data.len());
        if whole && frame.link == LinkType::ETHERNET {
            frames.push(frame.data.to_vec());
        }
    }
    frames
}

fn send(frames: &[Vec<u8>]) {
    let injector = Injector::open(&Interface::find("src0").expect("the interface")).expect("a sender");
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    injector.send(&frames).expect("frames are sent");
}

/// Waits, for a bounded time, until `ready` gives something.
fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = ready() {
            return found;
        }
        sleep(PAUSE);
    }
    panic!("{what} did not happen");
}

/// Starts the program and waits until it listens: then it has begun to keep packets.
fn listening(bench: &Bench, words: &str, kept: &str) -> Child {
    let mut child = bench.spawn(words);
    let path = bench.path(kept);
    until("listening", || {
        assert!(child.try_wait().expect("a child").is_none(), "{words} ended at once");
        fs::metadata(&path).is_ok_and(|meta| meta.len() > 0).then_some(())
    });
    child
}

/// Waits until the program has ended by itself.
fn ended(mut child: Child) -> Outcome {
    let ended = (0..LOOKS).any(|_| {
        sleep(PAUSE);
        child.try_wait().expect("a child").is_some()
    });
    if !ended {
        child.kill().expect("a child that runs");
    }
    let outcome = Outcome::of(child.wait_with_output().expect("its output"));
    assert!(ended, "it had to be killed\n{}{}", outcome.stdout, outcome.stderr);
    outcome
}

/// As Ctrl-C does.
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.is_ok_and(|status| status.success()));
}

/// The JSON document that a run printed.
fn report(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", outcome.stdout, outcome.stderr))
}

fn bytes_of(frames: &[(i64, u32, Vec<u8>)]) -> Vec<&Vec<u8>> {
    frames.iter().map(|(_, _, data)| data).collect()
}

#[test]
fn replay_equals_live() {
    if !alone("replay_equals_live") {
        return;
    }
    let bench = Bench::new();
    let sent = traffic(&bench);
    for threads in [1, 2] {
        let (live, kept) = (format!("live-{threads}.parquet"), format!("kept-{threads}.pcapng"));
        let words = format!(
            "extract tap0 --features flow,splt,context -o {live} --write {kept} --packets {} --threads {threads} --json",
            sent.len()
        );
        let child = listening(&bench, &words, &kept);
        send(&sent);
        let outcome = ended(child);
        assert_eq!(outcome.code, 0, "{}", outcome.stderr);
        let report = report(&outcome);
        assert_eq!(report["packets"].as_u64(), Some(sent.len() as u64), "{report:#}");
        assert_eq!(report["packets_received"], report["packets"], "{report:#}");
        assert_eq!(report["packets_dropped"], serde_json::json!({}), "{report:#}");
        assert!(
            bytes_of(&frames(&bench.path(&kept))) == sent.iter().collect::<Vec<_>>(),
            "{threads} threads"
        );
        for replaying in [1, 2] {
            let file = format!("file-{threads}-{replaying}.parquet");
            let words =
                format!("extract {kept} --features flow,splt,context -o {file} --threads {replaying}");
            bench.fine(&words);
            let same = fs::read(bench.path(&live)).unwrap() == fs::read(bench.path(&file)).unwrap();
            assert!(same, "live with {threads} threads is not the file with {replaying}");
        }
    }
}

#[test]
fn ctrl_c_ends_a_capture_in_order() {
    if !alone("ctrl_c_ends_a_capture_in_order") {
        return;
    }
    let bench = Bench::new();
    let sent = ethernet(&bench.path("samples/hunt.pcapng"));
    let child = listening(&bench, "capture tap0 -o all.pcapng --json", "all.pcapng");
    send(&sent);
    interrupt(&child);
    let outcome = ended(child);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let captured = report(&outcome);
    assert_eq!(captured["packets"].as_u64(), Some(sent.len() as u64), "{captured:#}");
    assert!(bytes_of(&frames(&bench.path("all.pcapng"))) == sent.iter().collect::<Vec<_>>());
    let child = listening(&bench, "flows tap0 -o live.csv --write kept.pcapng", "kept.pcapng");
    send(&sent);
    interrupt(&child);
    let outcome = ended(child);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    bench.fine("flows kept.pcapng -o file.csv");
    let rows = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
    assert!(rows("live.csv") == rows("file.csv") && rows("live.csv").lines().count() > 100);
}

#[test]
fn an_interface_is_hunted_in_until_its_time_is_over() {
    if !alone("an_interface_is_hunted_in_until_its_time_is_over") {
        return;
    }
    let bench = Bench::trained();
    let sent = ethernet(&bench.path("samples/hunt.pcapng"));
    let words = "hunt tap0 -m hunter.corm --write hunted.pcapng --duration 3 --json";
    let child = listening(bench, words, "hunted.pcapng");
    send(&sent);
    let outcome = ended(child);
    let live = report(&outcome);
    assert_eq!(live["packets_received"], live["packets"], "{live:#}");
    let again = bench.json("hunt hunted.pcapng -m hunter.corm");
    assert_eq!((&live["alerts_total"], &live["flows"]), (&again["alerts_total"], &again["flows"]));
    assert_eq!(outcome.code, if live["alerts_total"] == 0 { 0 } else { 3 });
}

#[test]
fn a_filter_means_the_same_live_and_in_the_file() {
    if !alone("a_filter_means_the_same_live_and_in_the_file") {
        return;
    }
    let bench = Bench::new();
    let sent = ethernet(&bench.path("samples/hunt.pcapng"));
    let child = listening(&bench, "capture tap0 -o all.pcapng", "all.pcapng");
    let dns = bench.spawn("capture tap0 -o dns.pcapng --filter udp --json");
    until("listening", || {
        fs::metadata(bench.path("dns.pcapng")).is_ok_and(|meta| meta.len() > 0).then_some(())
    });
    send(&sent);
    interrupt(&child);
    interrupt(&dns);
    assert_eq!((ended(child).code, ended(dns).code), (0, 0));
    bench.fine("capture all.pcapng -o again.pcapng --filter udp");
    let (live, again) = (frames(&bench.path("dns.pcapng")), frames(&bench.path("again.pcapng")));
    assert!(!live.is_empty() && bytes_of(&live) == bytes_of(&again));
}
