//! Measures a live capture alone: `cargo run --release -p cormorant-net --example live_speed -- INTERFACE WHAT [RINGS] [RING_MIB]`.
//!
//! WHAT is `count`, or the feature sets to write rows of, such as `flow`. Says `ready` once it listens and has given
//! its privileges up, ends when its standard input does, and prints one line of JSON.

#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use cormorant_net::NetError;
use cormorant_net::capture::{Capture, LiveOptions, Next, drop_privileges};
use cormorant_net::meter::{MeterSpec, meter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [interface, what, rest @ ..] = arguments.as_slice() else {
        return Err("usage: live_speed INTERFACE count|SETS [RINGS] [RING_MIB]".into());
    };
    let number = |at: usize, or| rest.get(at).map_or(Ok(or), |text| text.parse::<usize>());
    let options =
        LiveOptions { threads: number(0, 1)?, ring_bytes: number(1, 32)? << 20, ..LiveOptions::default() };
    let mut capture = Capture::open_interface(interface, &options)?;
    drop_privileges(None)?;
    let reopened = Capture::open_interface(interface, &options).is_ok();
    let stop = Arc::clone(&options.stop);
    thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        stop.store(true, Ordering::Relaxed);
    });
    println!("ready");
    std::io::stdout().flush()?;
    let (packets, rows) =
        if what == "count" { count(&mut capture)? } else { write_rows(&mut capture, what)? };
    let counts = capture.interfaces()[0].counts;
    let [received, dropped] = [counts.received, counts.dropped_by_capture].map(Option::unwrap_or_default);
    let user = std::fs::metadata("/proc/self").map(|of| std::os::unix::fs::MetadataExt::uid(&of))?;
    println!(
        r#"{{"packets": {packets}, "rows": {rows}, "received": {received}, "dropped": {dropped}, "reopened": {reopened}, "user": {user}}}"#
    );
    Ok(())
}

fn count(capture: &mut Capture) -> Result<(u64, u64), NetError> {
    let mut packets = 0;
    loop {
        match capture.next()? {
            Next::Frame(_) => packets += 1,
            Next::Quiet => {}
            Next::End => return Ok((packets, 0)),
        }
    }
}

fn write_rows(capture: &mut Capture, sets: &str) -> Result<(u64, u64), NetError> {
    let spec = MeterSpec { sets: sets.split(',').map(str::to_owned).collect(), ..MeterSpec::default() };
    let report = meter(capture, &spec, &mut |_| true, &mut |_| Ok(()))?;
    Ok((report.packets, report.flows))
}
