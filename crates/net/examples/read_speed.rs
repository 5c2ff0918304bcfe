//! Measures reading, and reading with decoding, of the captures named on the command line:
//! `cargo run --release -p cormorant-net --example read_speed -- big.pcap`

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use cormorant_net::NetError;
use cormorant_net::capture::{Capture, Frame};
use cormorant_net::packet;

fn main() -> Result<(), NetError> {
    let only = std::env::var("STAGE").unwrap_or_default();
    for path in std::env::args().skip(1) {
        for (stage, work) in [("read", read as fn(&Frame<'_>) -> u64), ("read+decode", decode)] {
            if only.is_empty() || only == stage {
                measure(Path::new(&path), stage, work)?;
            }
        }
    }
    Ok(())
}

fn measure(path: &Path, stage: &str, work: fn(&Frame<'_>) -> u64) -> Result<(), NetError> {
    let mut fastest = f64::INFINITY;
    let (mut packets, mut sum) = (0_u64, 0_u64);
    let runs = std::env::var("RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5);
    for _ in 0..runs {
        let begin = Instant::now();
        (packets, sum) = run(path, work)?;
        fastest = fastest.min(begin.elapsed().as_secs_f64());
    }
    let rate = packets as f64 / fastest / 1e6;
    println!(
        "{stage:12} {packets:9} packets {:8.1} ms {rate:6.1} M packets/s (checksum {sum:x}) {}",
        fastest * 1e3,
        path.display()
    );
    Ok(())
}

fn run(path: &Path, work: fn(&Frame<'_>) -> u64) -> Result<(u64, u64), NetError> {
    let mut capture = Capture::open(path)?;
    let (mut packets, mut sum) = (0_u64, 0_u64);
    while let Some(frame) = capture.next_frame()? {
        packets += 1;
        sum = sum.wrapping_add(work(&frame));
    }
    Ok((packets, sum))
}

fn read(frame: &Frame<'_>) -> u64 {
    frame.data.len() as u64
}

/// The whole packet is asked for, or the compiler would leave out the fields that nobody looks at.
fn decode(frame: &Frame<'_>) -> u64 {
    let decoded = black_box(packet::decode(frame));
    decoded.packet.map_or(1, |packet| u64::from(packet.payload_bytes))
}
