//! What keys made to collide cost the flow table: `cargo run --release -p cormorant-net --example hash_flood`
//!
//! A million datagrams of a million flows, twice over, in three mixes: random addresses; IPv6 addresses that collide under the
//! unkeyed hash that many Rust programs use for speed (FxHash, which an attacker can run at home); addresses that
//! all land in one shard, whose number depends on a seed that is known unless one is chosen. Prints each rate beside the first.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measuring program")]

use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use cormorant_net::capture::{Frame, LinkType};
use cormorant_net::features::Needs;
use cormorant_net::flow::{Arrival, FlowConfig, FlowTable};
use cormorant_net::packet;

const FLOWS: u64 = 1_000_000;

fn main() {
    let mixes: [(&str, Vec<Arrival>); 3] = [
        ("random", arrivals(random_pair, |_| true)),
        ("colliding under FxHash", arrivals(colliding_pair, |_| true)),
        ("one shard", arrivals(random_pair, |arrival| arrival.shard == 0)),
    ];
    let mut random = None;
    for (name, arrivals) in &mixes {
        let took = (0..5).map(|_| time(arrivals)).min().unwrap_or_default().as_secs_f64();
        let share = 100.0 * *random.get_or_insert(took) / took;
        println!(
            "{name:24} {:6.2} M packets/s, {share:5.1} % of random keys",
            2.0 * FLOWS as f64 / took / 1e6
        );
    }
}

/// One insertion and one look-up per flow.
fn time(arrivals: &[Arrival]) -> Duration {
    // One shard's part of this holds all flows, so that nothing is evicted.
    let config = FlowConfig { mem_bytes: 64 << 30, ..FlowConfig::default() };
    let mut table = FlowTable::new(&config, Needs::CORE);
    let begin = Instant::now();
    arrivals.iter().chain(arrivals).for_each(|arrival| table.add(arrival));
    begin.elapsed()
}

fn arrivals(pair: fn(u64) -> (u128, u128), wanted: fn(&Arrival) -> bool) -> Vec<Arrival> {
    let all = (0..).map(|at| arrival(pair(at)));
    all.filter(wanted).take(FLOWS as usize).collect()
}

/// A datagram between these addresses, decoded like any other.
fn arrival((source, destination): (u128, u128)) -> Arrival {
    let header = [0x60, 0, 0, 0, 0, 8, 17, 64];
    let (source, destination) = (Ipv6Addr::from(source).octets(), Ipv6Addr::from(destination).octets());
    let data = [&header[..], &source, &destination, &[3, 232, 0, 53, 0, 8, 0, 0]].concat();
    let frame = Frame {
        number: 1,
        ts_ns: 0,
        offset: 0,
        wire_bytes: data.len() as u32,
        link: LinkType::RAW,
        interface: 0,
        data: &data,
    };
    let decoded = packet::decode(&frame);
    #[expect(clippy::expect_used, reason = "written just above")]
    let packet = decoded.packet.expect("a datagram");
    Arrival::new(&packet, 0, 0)
}

fn random_pair(at: u64) -> (u128, u128) {
    let word = |purpose: u64| mix(at.wrapping_mul(4).wrapping_add(purpose));
    (wide(word(0) >> 1, word(1)), wide(word(2) | TOP, word(3)))
}

/// Three random words of the key, and the fourth chosen so that FxHash is the same after it.
fn colliding_pair(at: u64) -> (u128, u128) {
    // The key starts with the lower address, low word first: [low.1, low.0, high.1, high.0].
    for attempt in 0.. {
        let word = |purpose: u64| mix(at.wrapping_mul(64).wrapping_add(attempt * 4 + purpose));
        let (low, high_end) = ((word(0) >> 1, word(1)), word(2));
        let before = [low.1, low.0, high_end].into_iter().fold(0, fx);
        let last = before.rotate_left(5) ^ 0x1234_5678_9abc_def0;
        // The second address must stay the higher one.
        if last & TOP != 0 {
            return (wide(low.0, low.1), wide(last, high_end));
        }
    }
    (0, 0)
}

/// FxHash's step (Firefox, rustc): rotate, xor, multiply.
fn fx(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

const TOP: u64 = 1 << 63;

fn wide(high: u64, low: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

/// The finaliser of SplitMix64.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}
