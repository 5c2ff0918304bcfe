//! Sends made-up UDP frames at a steady rate, to measure receivers with:
//! `cargo run --release -p cormorant-afpacket --example send -- INTERFACE MIX PACKETS_PER_S SECONDS`.
//!
//! MIX is `small` (64-byte frames) or `mixed` (64, 350 and 1400 bytes, 350 on average), of 10,000 flows in both
//! directions. A rate of 0 means as fast as possible. Prints the frames sent and the seconds it took.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program")]

use std::thread;
use std::time::{Duration, Instant};

use cormorant_afpacket::{Injector, Interface};

/// Frames sent between two looks at the clock.
const BURST: usize = 64;
/// Different frames; all flows in both directions.
const FRAMES: u32 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [interface, mix, rate, seconds] = arguments.as_slice() else {
        return Err("usage: send INTERFACE small|mixed PACKETS_PER_S SECONDS".into());
    };
    let (rate, seconds): (f64, f64) = (rate.parse()?, seconds.parse()?);
    let sizes: &[usize] =
        if mix == "small" { &[64] } else { &[64, 350, 64, 350, 64, 350, 64, 1400, 64, 350] };
    let frames: Vec<_> = (0..FRAMES).map(|n| frame(n, sizes[n as usize % sizes.len()])).collect();
    let frames: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
    let injector = Injector::open(&Interface::find(interface)?)?;
    let (begin, mut sent) = (Instant::now(), 0_usize);
    for burst in frames.chunks(BURST).cycle() {
        let elapsed = begin.elapsed().as_secs_f64();
        if elapsed >= seconds {
            break;
        }
        if rate > 0.0 {
            thread::sleep(Duration::from_secs_f64((sent as f64 / rate - elapsed).max(0.0)));
        }
        injector.send(burst)?;
        sent += burst.len();
    }
    println!(r#"{{"sent": {sent}, "seconds": {:.6}}}"#, begin.elapsed().as_secs_f64());
    Ok(())
}

/// A frame of a flow: even numbers from the client, odd ones back.
fn frame(number: u32, bytes: usize) -> Vec<u8> {
    let (flow, back) = (number / 2, number % 2 == 1);
    let client = [10, 0, (flow >> 8) as u8, flow as u8];
    let server = [192, 0, 2, 1];
    let (source, destination) = if back { (server, client) } else { (client, server) };
    let ports: [u16; 2] = if back { [443, 40_000] } else { [40_000, 443] };
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00];
    let length = (bytes - 14) as u16;
    frame.extend([0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    frame.extend(source);
    frame.extend(destination);
    frame.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
    frame.extend((length - 20).to_be_bytes());
    frame.resize(bytes, 0);
    frame
}
