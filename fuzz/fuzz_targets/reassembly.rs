//! Any bytes as a sequence of fragments: the pool keeps its bound, every fragment becomes one thing, every datagram
//! has one fate, and time never goes back.

#![no_main]

use cormorant_net::capture::{Frame, LinkType};
use cormorant_net::packet;
use cormorant_net::packet::reassembly::{POOL_BYTES, Reassembler, Settled};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut reassembler = Reassembler::default();
    let (mut fragments, mut settled, mut clock_ns, mut latest_ns) = (0_u64, 0_u64, 0_i64, 0_i64);
    let mut settle = |at_ns: i64, what: Settled| {
        assert!(at_ns >= latest_ns, "{at_ns} after {latest_ns}");
        latest_ns = at_ns;
        settled += 1;
        if let Settled::Packet(decoded) = what {
            assert!(decoded.packet.is_some());
        }
    };
    // Each frame: how far time goes on in 0.2 s, its length, its bytes as raw IP.
    let mut rest = data;
    for number in 1.. {
        let [pause, length, tail @ ..] = rest else { break };
        let (frame, after) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = after;
        clock_ns += i64::from(*pause) * 200_000_000;
        if clock_ns >= reassembler.deadline_ns() {
            reassembler.expire(clock_ns, &mut settle);
        }
        let wire_bytes = frame.len() as u32;
        let frame = Frame {
            number,
            ts_ns: clock_ns,
            offset: 0,
            wire_bytes,
            link: LinkType::RAW,
            interface: 0,
            data: frame,
        };
        let decoded = packet::decode(&frame);
        if decoded.is_fragment() {
            fragments += 1;
            reassembler.add(&frame, decoded, clock_ns, &mut settle);
        }
        assert!(reassembler.pool_bytes() <= POOL_BYTES);
    }
    reassembler.finish(clock_ns, &mut settle);
    let counts = reassembler.counts();
    assert_eq!(fragments, settled);
    assert_eq!(counts.datagrams, counts.fates.iter().sum::<u64>());
    assert_eq!(reassembler.pool_bytes(), 0);
});
