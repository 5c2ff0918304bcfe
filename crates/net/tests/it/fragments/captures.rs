//! Fragments against tshark: those of real captures, and some thousand made ones that were lost, doubled and mixed.
//!
//! tshark puts an overlapping datagram together all the same and marks the conflict; we refuse it
//! (`docs/decisions/0003-fragments.md`). None of these is overlapping and complete, so both must put the same datagrams
//! together at the same frames.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use cormorant_net::capture::Capture;
use cormorant_net::packet;
use cormorant_net::packet::reassembly::Fate;

use super::naive::{self, Read, Whole};
use super::{a_millisecond_apart, clocks, counted, piece_v4, piece_v6, reassemble, udp};
use crate::shared;
use crate::written::{self, Order, Pcap, Written};

/// The datagrams that ours makes of these frames, checked against the second implementation.
fn wholes(frames: &[Read]) -> Vec<Whole> {
    let ours = reassemble(frames);
    let (steps, expected, wholes) = naive::steps(frames, &clocks(frames));
    assert_eq!(counted(&ours), expected);
    assert!(ours.steps == steps);
    assert_eq!(ours.counts.with_fate(Fate::Complete), wholes.len() as u64);
    wholes
}

/// What tshark puts together; `None`, said aloud, when it is not installed.
fn tshark(path: &Path) -> Option<Vec<Whole>> {
    let fields = ["frame.number", "ip.reassembled.length", "ipv6.reassembled.length"];
    let output = Command::new("tshark")
        .args(["-n", "-o", "ip.defragment:TRUE", "-o", "ipv6.defragment:TRUE", "-T", "fields"])
        .args(["-Y", "ip.reassembled.length or ipv6.reassembled.length"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(path)
        .output();
    let Ok(output) = output else {
        assert!(std::env::var("CORMORANT_NO_SKIP").as_deref() != Ok("1"), "tshark is not installed");
        let _ = writeln!(std::io::stderr(), "skipped: tshark's reassembly: tshark is not installed");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = |line: &str| {
        line.split('\t').filter_map(|value| value.split(',').next()?.parse().ok()).collect::<Vec<u64>>()
    };
    let whole = |line: &str| match numbers(line)[..] {
        [number, bytes] => Whole { number, bytes },
        ref other => panic!("{other:?} in {line}"),
    };
    Some(text.lines().map(whole).collect())
}

#[test]
fn real_fragments_are_put_together_as_tshark_does() {
    let Some(folder) = shared::folder("real_fragments_are_put_together_as_tshark_does") else { return };
    let (mut captures, mut datagrams) = (0, 0);
    for listed in shared::captures(&folder) {
        let Ok(mut capture) = Capture::open(&listed.path) else { continue };
        let mut fragments = 0;
        while let Ok(Some(frame)) = capture.next_frame() {
            fragments += u64::from(packet::decode(&frame).is_fragment());
        }
        if fragments == 0 {
            continue;
        }
        let frames = naive::read(Capture::open(&listed.path).expect("it opened before"));
        let complete = reassemble(&frames).counts.with_fate(Fate::Complete);
        let theirs = tshark(&listed.path);
        println!("{}: {fragments} fragments, {complete} datagrams", listed.name);
        captures += 1;
        datagrams += complete;
        // The second implementation is quadratic.
        if fragments > 2_000 {
            assert!(theirs.is_none_or(|theirs| theirs.len() as u64 == complete), "{}", listed.name);
            continue;
        }
        let ours = wholes(&frames);
        assert!(theirs.is_none_or(|theirs| theirs == ours), "{}", listed.name);
    }
    assert!(captures >= 20 && datagrams >= 8_000, "{captures} captures with {datagrams} datagrams");
}

#[test]
fn mixed_fragments_are_put_together_as_tshark_does() {
    // A linear congruential generator (Knuth): the same capture every time.
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for id in 1..=1_000_u16 {
        let body = udp((1_024 + id, 53), &vec![id as u8; below(3_000) as usize]);
        let step = 8 * (1 + below(180)) as usize;
        for start in (0..body.len()).step_by(step) {
            let end = body.len().min(start + step);
            let (more, offset) = (end < body.len(), start as u32);
            let piece = match id % 2 {
                0 => piece_v4(id, 17, offset, more, &body[start..end]),
                _ => piece_v6(u32::from(id), 17, offset, more, &body[start..end]),
            };
            // 2 % are lost, 2 % come twice.
            packets.extend(std::iter::repeat_n(piece, [0, 2].get(below(100) as usize).copied().unwrap_or(1)));
        }
    }
    // Each within a window of eight.
    for at in 0..packets.len() {
        let other = (at + below(8) as usize).min(packets.len() - 1);
        packets.swap(at, other);
    }
    let frames = a_millisecond_apart(packets);
    let ours = wholes(&frames);
    assert!((500..1_000).contains(&ours.len()), "{} datagrams", ours.len());
    let written =
        |read: &Read| Written { ts_ns: read.ts_ns, wire_bytes: read.wire_bytes, data: read.data.clone() };
    let written: Vec<Written> = frames.iter().map(written).collect();
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), written::pcap(Order::Little, Pcap::Nanoseconds, 101, &written).0)
        .expect("written");
    if let Some(theirs) = tshark(file.path()) {
        assert_eq!(ours, theirs);
    }
}
