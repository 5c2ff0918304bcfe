//! Live captures over a pair of virtual interfaces: what one side sends, the other yields.
//!
//! Each test runs itself again in a network namespace of its own (`unshare -Urn`), where it may create interfaces.

use std::io::{BufRead, BufReader, Cursor, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::Ordering;
use std::thread;

use cormorant_afpacket::{Injector, Interface};
use cormorant_net::NetError;
use cormorant_net::capture::{Capture, InterfaceCounts, LinkType, LiveOptions, Next, drop_privileges};
use cormorant_net::filter::Filter;
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

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
    let skipped = String::from_utf8_lossy(&output.stderr).into_owned();
    for line in skipped.lines().filter(|line| line.starts_with("skipped:")) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
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

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip");
    succeeded(output).expect("ip");
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
    let on_one_processor = || {
        let mut processor = CpuSet::new();
        processor.set(sched_getcpu());
        sched_setaffinity(None, &processor).expect("affinity");
        let injector = Injector::open(&Interface::find(SENDER).expect("the interface")).expect("sending");
        let frames: Vec<_> = frames.iter().map(Vec::as_slice).collect();
        injector.send(&frames).expect("sent");
    };
    thread::scope(|scope| scope.spawn(on_one_processor).join()).expect("sent");
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
    let (mut received, mut quiet, mut previous) = (Vec::new(), 0, None);
    loop {
        match capture.next().expect("no fault") {
            Next::Frame(frame) => {
                quiet = 0;
                assert!(previous.is_none_or(|previous| frame.number == previous + 1));
                previous = Some(frame.number);
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

/// The frames as a pcap file holds them.
fn as_file(frames: &[Vec<u8>]) -> Capture {
    let mut file = Vec::new();
    let header = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 262_144, 1];
    header.iter().for_each(|word| file.extend(word.to_le_bytes()));
    for frame in frames {
        let length = frame.len() as u32;
        [1, 0, length, length].iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(frame);
    }
    Capture::from_reader("the frames as a file", Box::new(Cursor::new(file))).expect("a capture")
}

#[test]
fn a_filter_says_the_same_live_as_of_a_file() {
    in_namespace("a_filter_says_the_same_live_as_of_a_file", || {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples");
        let paths = std::fs::read_dir(samples).expect("samples").map(|entry| entry.expect("an entry").path());
        let paths = paths.filter(|path| path.to_string_lossy().contains(".pcap"));
        let frames = paths.flat_map(|path| sendable(&path).into_iter().take(500));
        let made = (0..60).map(|n| if n % 3 == 0 { untagged(n) } else { tagged(u16::from(n) * 60 + 5, n) });
        let frames: Vec<_> = frames.chain(made).collect();
        let expressions = [
            "ip",
            "not ip",
            "ip6",
            "arp",
            "tcp",
            "udp and not port 53",
            "tcp port 80 or tcp port 443",
            "host 10.0.1.1",
            "net 10.0.0.0/8",
            "src net 192.168.0.0/16",
            "portrange 1-1023",
            "len <= 100",
            "greater 1000",
            "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
            "vlan",
            "not vlan",
            "vlan and udp",
            "vlan 65 and vlan 7",
            "ether host 02:00:00:00:00:01",
            "ip[8] < 64",
            "icmp or icmp6",
        ];
        for (number, expression) in expressions.iter().enumerate() {
            let filter = Filter::compile(expression).expect("a filter");
            let mut file = as_file(&frames);
            file.set_filter(filter.clone());
            let mut expected = Vec::new();
            while let Some(frame) = file.next_frame().expect("sound") {
                expected.push(frame.data.to_vec());
            }
            let options =
                LiveOptions { filter: Some(filter), threads: 1 + number % 2, ..LiveOptions::default() };
            let (received, counts) = exchange(&frames, &options, expected.len());
            assert_eq!(received.len(), expected.len(), "{expression}: {counts:?}");
            assert!(received == expected, "{expression}");
        }
    });
}

#[test]
fn what_a_full_ring_drops_is_counted_to_the_frame() {
    in_namespace("what_a_full_ring_drops_is_counted_to_the_frame", || {
        let frames: Vec<_> = (0..60_000).map(udp_flow).collect();
        for threads in [1, 2] {
            let options = LiveOptions { threads, ring_bytes: 0, ..LiveOptions::default() };
            let mut capture = Capture::open_interface(RECEIVER, &options).expect("open");
            assert!(matches!(capture.next(), Ok(Next::Quiet)), "nothing has been sent");
            send(&frames);
            options.stop.store(true, Ordering::Relaxed);
            let received = drain(&mut capture, &options, usize::MAX).len() as u64;
            let counts = capture.interfaces()[0].counts;
            let dropped = counts.dropped_by_capture.expect("counted");
            println!("{threads} rings: {received} received, {dropped} dropped");
            assert!(received > 0 && dropped > 0, "{counts:?}");
            assert_eq!(received + dropped, frames.len() as u64, "{counts:?}");
            assert_eq!(counts.received, Some(frames.len() as u64));
        }
    });
}

/// A frame of one of 251 flows, so that several rings get their share.
fn udp_flow(number: u32) -> Vec<u8> {
    let mut frame = untagged((number % 251) as u8);
    frame.extend(number.to_be_bytes());
    frame
}

#[test]
fn an_interface_that_goes_away_ends_the_capture_with_one_fault() {
    in_namespace("an_interface_that_goes_away_ends_the_capture_with_one_fault", || {
        for threads in [1, 2] {
            let options = LiveOptions { threads, ..LiveOptions::default() };
            let mut capture = Capture::open_interface(RECEIVER, &options).expect("open");
            let frames: Vec<_> = (0..100).map(udp_flow).collect();
            send(&frames);
            ip(&format!("link del {SENDER}"));
            let (mut received, mut faults) = (Vec::new(), Vec::new());
            loop {
                match capture.next() {
                    Ok(Next::Frame(frame)) => received.push(frame.data.to_vec()),
                    Ok(Next::Quiet) => {}
                    Ok(Next::End) => break,
                    Err(fault) => faults.push(fault.to_string()),
                }
            }
            assert!(received == frames, "{} of {}", received.len(), frames.len());
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].contains("v1 went away; 100 packets before it were kept"), "{faults:?}");
            ip(&format!("link add {SENDER} type veth peer name {RECEIVER}"));
            ip(&format!("link set {SENDER} up"));
            ip(&format!("link set {RECEIVER} up"));
        }
    });
}

#[test]
fn an_interface_that_only_goes_down_and_up_is_captured_on() {
    in_namespace("an_interface_that_only_goes_down_and_up_is_captured_on", || {
        let options = LiveOptions::default();
        let mut capture = Capture::open_interface(RECEIVER, &options).expect("open");
        let frames: Vec<_> = (0..20).map(udp_flow).collect();
        send(&frames[..10]);
        ip(&format!("link set {RECEIVER} down"));
        // Going down is told at once, the frames come when the kernel hands their block over.
        let (mut seen, mut quiet) = (0, 0);
        while seen < 10 && quiet < PATIENCE {
            match capture.next().expect("going down is no fault") {
                Next::Frame(_) => seen += 1,
                Next::Quiet => quiet += 1,
                Next::End => panic!("going down is no end"),
            }
        }
        assert_eq!(seen, 10);
        assert!(matches!(capture.next(), Ok(Next::Quiet)));
        ip(&format!("link set {RECEIVER} up"));
        // The other end hears of it a little later, and drops what it is given before.
        let state = || Command::new("ip").args(["link", "show", SENDER]).output().expect("ip").stdout;
        while !String::from_utf8_lossy(&state()).contains("state UP") {}
        send(&frames[10..]);
        assert_eq!(drain(&mut capture, &options, 10), frames[10..].to_vec());
    });
}

#[test]
fn what_cannot_be_opened_is_said_with_what_to_do() {
    in_namespace("what_cannot_be_opened_is_said_with_what_to_do", || {
        let said = |name: &str| match Capture::open_interface(name, &LiveOptions::default()) {
            Ok(_) => panic!("{name} opened"),
            Err(error @ NetError::Live { .. }) => error.to_string(),
            Err(error) => panic!("{error:?}"),
        };
        assert!(said("nowhere0").contains("there is no interface \"nowhere0\"; 0 packets"));
        assert!(said("a-name-that-is-too-long").contains("there is no interface"));
        assert!(said("").contains("there is no interface"));
        ip(&format!("link set {RECEIVER} down"));
        assert!(said(RECEIVER).contains("is down"));
        // The test harness has another thread, which keeps what this one gives up: that must not go unnoticed.
        let refused = drop_privileges(None).expect_err("another thread is privileged").to_string();
        assert!(refused.contains("threads started earlier still hold capabilities"), "{refused}");
        assert!(said(SENDER).contains("CAP_NET_RAW"));
        assert!(said(SENDER).contains("setcap"));
    });
}

#[test]
fn the_loopback_shows_each_packet_once_and_so_do_all_interfaces_together() {
    in_namespace("the_loopback_shows_each_packet_once_and_so_do_all_interfaces_together", || {
        ip("link set lo up");
        let to = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let from = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let [lo, any] = [("lo", LinkType::ETHERNET, 14), ("any", LinkType::LINUX_SLL2, 20)];
        for ((name, link, header_bytes), threads) in [(lo, 1), (lo, 2), (any, 1), (any, 2)] {
            let options = LiveOptions { threads, ..LiveOptions::default() };
            let mut capture = Capture::open_interface(name, &options).expect("open");
            for number in 0..5_u8 {
                from.send_to(&[number], to.local_addr().expect("bound")).expect("sent");
            }
            options.stop.store(true, Ordering::Relaxed);
            let mut payloads = Vec::new();
            while let Some(frame) = capture.next_frame().expect("no fault") {
                assert_eq!(frame.link, link);
                assert_eq!(frame.data.len(), header_bytes + 29);
                payloads.push(frame.data[header_bytes + 28]);
            }
            assert_eq!(payloads, [0, 1, 2, 3, 4], "{name}, {threads} threads");
        }
    });
}

/// Starts the measuring program, sends frames once it listens, and returns what it says at its end.
fn measured(
    interface: &str,
    rings: &str,
    frames: &[Vec<u8>],
    environment: &[(&str, &str)],
) -> Option<String> {
    let test = std::env::current_exe().expect("the test's own path");
    let program = test.parent().and_then(Path::parent).expect("a build folder").join("examples/live_speed");
    if !program.exists() {
        return None;
    }
    let mut child = Command::new(program)
        .args([interface, "count", rings])
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "ready");
    if !frames.is_empty() {
        send(frames);
    }
    drop(child.stdin.take());
    let said = lines.next().expect("a line").expect("text");
    assert!(child.wait().expect("ended").success());
    Some(said)
}

const NO_EXAMPLES: &str = "the examples are not built: `cargo build -p cormorant-net --examples`";

#[test]
fn privileges_are_given_up_for_good_and_capturing_goes_on() {
    in_namespace("privileges_are_given_up_for_good_and_capturing_goes_on", || {
        let frames: Vec<_> = (0..1000).map(udp_flow).collect();
        for rings in ["1", "3"] {
            match measured(RECEIVER, rings, &frames, &[]) {
                Some(said) => {
                    assert!(
                        said.contains("\"packets\": 1000") && said.contains("\"reopened\": false"),
                        "{said}"
                    );
                }
                None => skip("privileges_are_given_up_for_good_and_capturing_goes_on", NO_EXAMPLES),
            }
        }
    });
}

#[test]
fn root_under_sudo_becomes_the_user_who_called_it() {
    let test = "root_under_sudo_becomes_the_user_who_called_it";
    let lo = Interface::find("lo").is_ok_and(|lo| lo.up);
    if !lo || Capture::open_interface("lo", &LiveOptions::default()).is_err() {
        return skip(test, "not root, or no loopback");
    }
    match measured("lo", "2", &[], &[("SUDO_UID", "65534"), ("SUDO_GID", "65534")]) {
        Some(said) => {
            assert!(said.contains("\"user\": 65534") && said.contains("\"reopened\": false"), "{said}");
        }
        None => skip(test, NO_EXAMPLES),
    }
}
