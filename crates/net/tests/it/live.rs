//! Live captures over a pair of virtual interfaces: what one side sends, the other yields.
//!
//! Each test runs itself again in a network namespace of its own (`unshare -Urn`), where it may create interfaces.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::Ordering;
use std::thread;

use cormorant_afpacket::{Injector, Interface};
use cormorant_net::capture::{Capture, InterfaceCounts, LinkType, LiveOptions, Next};

use crate::shared;

const INSIDE: &str = "CORMORANT_TEST_NAMESPACE";
/// The sending side and the capturing side.
const SENDER: &str = "v0";
const RECEIVER: &str = "v1";
/// Frames that are sent at once, which the smallest of the rings can hold.
const PART_FRAMES: usize = 8_000;
/// Fruitless waits of 100 ms after which the frames that are missing are taken for lost.
const PATIENCE: u32 = 100;

/// Runs `inside` in a namespace with a pair of interfaces that are up, or says why it cannot.
fn in_namespace(test: &str, inside: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        inside();
        return;
    }
    let allowed = Command::new("unshare").args(["-Urn", "sh", "-c", &setup(":")]).output();
    if let Err(why) = allowed.map_err(|e| e.to_string()).and_then(succeeded) {
        return skip(test, &format!("no namespace with interfaces: {why}"));
    }
    let run = format!("exec \"$0\" --exact live::{test} --nocapture --test-threads=1");
    let output = Command::new("unshare")
        .args(["-Urn", "sh", "-c", &setup(&run)])
        .arg(std::env::current_exe().expect("the test's own path"))
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// A quiet pair of interfaces: nothing but what the test sends.
fn setup(then: &str) -> String {
    format!(
        "for f in all default; do echo 1 > /proc/sys/net/ipv6/conf/$f/disable_ipv6 || true; done; \
         ip link add {SENDER} mtu 65535 type veth peer name {RECEIVER} mtu 65535 && \
         ip link set {SENDER} up && ip link set {RECEIVER} up && {then}"
    )
}

fn succeeded(output: Output) -> Result<(), String> {
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn skip(test: &str, why: &str) {
    assert!(std::env::var("CORMORANT_NO_SKIP").as_deref() != Ok("1"), "{test}: {why}");
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// What an Ethernet capture holds that can be sent as it is.
fn sendable(path: &Path) -> Vec<Vec<u8>> {
    let mut capture = Capture::open(path).expect("a capture");
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = capture.next_frame() {
        let tagged = matches!(frame.data.get(12..14), Some([0x81, 0] | [0x88, 0xa8]));
        // The kernel refuses less than a header, and throws away a tag without anything behind it.
        let enough = if tagged { frame.data.len() >= 20 } else { frame.data.len() >= 14 };
        if frame.link == LinkType::ETHERNET && enough && frame.data.len() <= 65_535 {
            frames.push(frame.data.to_vec());
        }
    }
    frames
}

/// The bundled captures, and the sound ones of the shared collection.
fn captures(test: &str) -> Vec<PathBuf> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
    let mut paths: Vec<_> = std::fs::read_dir(samples)
        .expect("samples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains(".pcap"))
        .collect();
    if let Some(folder) = shared::folder(test) {
        let listed = shared::captures(&folder);
        let listed = listed.into_iter().filter(|of| of.status == "ok" && of.packets <= 3000);
        paths.extend(listed.map(|of| of.path));
    }
    paths.sort();
    paths
}

fn tagged(vlan: u16, number: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend([0x88, 0xa8, (vlan >> 8) as u8, vlan as u8, 0x81, 0, 0, 7]);
    frame.extend(udp(number));
    frame
}

fn untagged(number: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(udp(number));
    frame
}

/// An EtherType and a small UDP packet.
fn udp(number: u8) -> Vec<u8> {
    let mut packet = vec![8, 0, 0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, number, 10, 0, 1, 1];
    packet.extend([0x30, number, 0, 53, 0, 9, 0, 0, number]);
    packet
}

/// Sends the frames in their order, from one processor: each has its own queue between two interfaces.
fn send(frames: &[Vec<u8>]) {
    let one = {
        let mut set = rustix::thread::CpuSet::new();
        set.set(rustix::thread::sched_getcpu());
        set
    };
    rustix::thread::sched_setaffinity(None, &one).expect("affinity");
    let injector = Injector::open(&Interface::find(SENDER).expect("the interface")).expect("sending");
    let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
    injector.send(&frames).expect("sent");
}

/// Captures until so many frames have come, then to the end, while `frames` are sent.
fn exchange(frames: &[Vec<u8>], options: &LiveOptions, expected: usize) -> (Vec<Vec<u8>>, InterfaceCounts) {
    let mut capture = Capture::open_interface(RECEIVER, options).expect("open");
    let received = thread::scope(|scope| {
        scope.spawn(|| send(frames));
        drain(&mut capture, options, expected)
    });
    (received, capture.interfaces()[0].counts)
}

fn drain(capture: &mut Capture, options: &LiveOptions, expected: usize) -> Vec<Vec<u8>> {
    let (mut received, mut quiet) = (Vec::new(), 0);
    if expected == 0 {
        options.stop.store(true, Ordering::Relaxed);
    }
    loop {
        match capture.next().expect("no fault") {
            Next::Frame(frame) => {
                quiet = 0;
                assert_eq!(frame.number, received.len() as u64 + 1);
                assert!(frame.ts_ns > 1_600_000_000_000_000_000, "the kernel's clock");
                received.push(frame.data.to_vec());
            }
            Next::Quiet => quiet += 1,
            Next::End => return received,
        }
        if received.len() >= expected || quiet > PATIENCE {
            options.stop.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn what_is_sent_is_received_byte_for_byte_and_in_order() {
    in_namespace("what_is_sent_is_received_byte_for_byte_and_in_order", || {
        let paths = captures("what_is_sent_is_received_byte_for_byte_and_in_order");
        let frames: Vec<_> = paths.iter().flat_map(|path| sendable(path)).collect();
        for part in frames.chunks(PART_FRAMES) {
            for threads in [1, 2, 4] {
                let options = LiveOptions { threads, ..LiveOptions::default() };
                let (received, counts) = exchange(part, &options, part.len());
                assert_eq!(received.len(), part.len(), "over {threads} rings: {counts:?}");
                let differing = received.iter().zip(part).position(|(received, sent)| received != sent);
                assert_eq!(differing, None, "over {threads} rings");
                assert_eq!(counts.received, Some(part.len() as u64));
                assert_eq!(counts.dropped_by_capture, Some(0));
            }
        }
        println!("{} frames of {} captures, each over 1, 2 and 4 rings", frames.len(), paths.len());
        assert!(!frames.is_empty());
    });
}

#[test]
fn vlan_tags_are_put_back() {
    in_namespace("vlan_tags_are_put_back", || {
        let frames: Vec<_> = (0..60)
            .map(|n| if n % 3 == 0 { untagged(n) } else { tagged(u16::from(n) * 60 + 5, n) })
            .collect();
        let (received, _) = exchange(&frames, &LiveOptions::default(), frames.len());
        assert_eq!(received, frames);
        // Cut to 16 bytes, a frame keeps its tag and loses its end.
        let options = LiveOptions { snaplen_bytes: 16, ..LiveOptions::default() };
        let mut capture = Capture::open_interface(RECEIVER, &options).expect("open");
        send(&frames[..2]);
        for expected in &frames[..2] {
            let frame = capture.next_frame().expect("no fault").expect("a frame");
            assert_eq!((frame.data, frame.wire_bytes as usize), (&expected[..16], expected.len()));
        }
    });
}
