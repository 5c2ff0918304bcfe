//! Fragments: against a second implementation, against tshark, and in every way they can be wrong.

mod captures;
mod lossy;
pub(crate) mod naive;
mod patterns;
mod random;

use cormorant_net::capture::{Frame, LinkType};
use cormorant_net::flow::Clock;
use cormorant_net::packet;
use cormorant_net::packet::reassembly::{Fate, FragmentCounts, POOL_BYTES, Reassembler, Settled};

use naive::{Counted, Read, Step};

/// What the reassembler makes of these frames.
struct Outcome {
    steps: Vec<Step>,
    counts: FragmentCounts,
    tunnel_fragments: u64,
}

/// Clock times of frames.
fn clocks(frames: &[Read]) -> Vec<i64> {
    let mut clock = Clock::default();
    frames.iter().map(|read| clock.tick(read.ts_ns)).collect()
}

/// Drives the reassembler as the meter does, and checks after every frame what must always hold.
fn reassemble(frames: &[Read]) -> Outcome {
    let mut reassembler = Reassembler::default();
    let mut steps: Vec<Step> = Vec::new();
    let (mut tunnel_fragments, mut taken) = (0, 0);
    let mut note = |steps: &mut Vec<Step>, at_packet, clock_ns, settled| match settled {
        Settled::Packet(decoded) => steps.push(Step { clock_ns, at_packet, packet: decoded.packet }),
        Settled::TunnelFragment => tunnel_fragments += 1,
    };
    for (read, clock_ns) in frames.iter().zip(clocks(frames)) {
        let number = read.number;
        if clock_ns >= reassembler.deadline_ns() {
            reassembler.expire(clock_ns, &mut |at_ns, settled| note(&mut steps, number, at_ns, settled));
        }
        let decoded = packet::decode(&read.frame());
        if decoded.is_fragment() {
            taken += 1;
            reassembler.add(&read.frame(), decoded, clock_ns, &mut |at_ns, settled| {
                note(&mut steps, number, at_ns, settled);
            });
        } else {
            steps.push(Step { clock_ns, at_packet: number, packet: decoded.packet });
        }
        assert!(reassembler.pool_bytes() <= POOL_BYTES, "{} bytes", reassembler.pool_bytes());
    }
    if let Some(clock_ns) = clocks(frames).last() {
        reassembler.finish(*clock_ns, &mut |at_ns, settled| note(&mut steps, u64::MAX, at_ns, settled));
    }
    let counts = reassembler.counts();
    assert_eq!(reassembler.pool_bytes(), 0);
    assert_eq!(counts.datagrams, counts.fates.iter().sum::<u64>(), "every datagram has one fate");
    let whole = frames.len() as u64 - taken;
    assert_eq!(steps.len() as u64 + tunnel_fragments, whole + taken, "every frame becomes one thing");
    assert!(steps.is_sorted_by_key(|step| (step.clock_ns, step.at_packet)));
    Outcome { steps, counts, tunnel_fragments }
}

/// The same counts as the second implementation keeps them.
fn counted(outcome: &Outcome) -> Counted {
    let fates = Fate::ALL.into_iter().map(|fate| (fate, outcome.counts.with_fate(fate)));
    Counted {
        fates: fates.filter(|(_, datagrams)| *datagrams > 0).collect(),
        duplicates: outcome.counts.duplicates,
        unresolved: outcome.counts.unresolved,
        tunnel_fragments: outcome.tunnel_fragments,
    }
}

/// A raw IP frame at this time.
fn raw(number: u64, ts_ns: i64, data: Vec<u8>) -> Read {
    let wire_bytes = data.len() as u32;
    Read { number, ts_ns, offset: 24 + number, wire_bytes, link: LinkType::RAW, data }
}

/// Raw IP frames a millisecond apart.
fn a_millisecond_apart(packets: impl IntoIterator<Item = Vec<u8>>) -> Vec<Read> {
    (1_u64..).zip(packets).map(|(number, data)| raw(number, number as i64 * 1_000_000, data)).collect()
}

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2 that says it is this piece of datagram `id`.
fn piece_v4(id: u16, protocol: u8, offset: u32, more: bool, data: &[u8]) -> Vec<u8> {
    let [length_high, length_low] = (20 + data.len() as u16).to_be_bytes();
    let ([id_high, id_low], place) = (id.to_be_bytes(), (offset / 8) as u16 | u16::from(more) << 13);
    let [place_high, place_low] = place.to_be_bytes();
    let header = [0x45, 0, length_high, length_low, id_high, id_low, place_high, place_low, 64, protocol];
    [&header[..], &[0, 0, 10, 0, 0, 1, 10, 0, 0, 2], data].concat()
}

/// An IPv6 packet from ::1 to ::2 that says it is this piece of packet `id`.
fn piece_v6(id: u32, next: u8, offset: u32, more: bool, data: &[u8]) -> Vec<u8> {
    let [length_high, length_low] = (8 + data.len() as u16).to_be_bytes();
    let [place_high, place_low] = (offset as u16 | u16::from(more)).to_be_bytes();
    let mut header = vec![0x60, 0, 0, 0, length_high, length_low, 44, 64];
    header.extend([0; 15].into_iter().chain([1]).chain([0; 15]).chain([2]));
    [&header[..], &[next, 0, place_high, place_low], &id.to_be_bytes(), data].concat()
}

/// A UDP datagram.
fn udp(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let length = ((8 + payload.len()) as u16).to_be_bytes();
    [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &length, &[0, 0], payload].concat()
}

#[test]
fn frames_are_what_the_test_says_they_are() {
    let body = udp((7, 9), &[1; 16]);
    let frame = raw(1, 0, piece_v6(5, 17, 0, true, &body));
    let Frame { data, .. } = frame.frame();
    assert_eq!(data.len(), 40 + 8 + 24);
    let packet = packet::decode(&frame.frame()).packet.expect("a packet");
    assert_eq!((packet.source_port, packet.destination_port, packet.payload_bytes), (7, 9, 16));
}
