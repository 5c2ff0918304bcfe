//! Every way in which fragments can be wrong, one by one, with the figures worked out by hand.

use cormorant_net::capture::LinkType;
use cormorant_net::packet::reassembly::{Fate, MAX_PIECES, TIMEOUT_NS};
use cormorant_net::packet::{Fragment, Packet, TcpFlags};

use super::naive::Read;
use super::{Outcome, a_millisecond_apart, piece_v4, piece_v6, raw, reassemble, udp};

const UDP: u8 = 17;
const SECOND_NS: i64 = 1_000_000_000;

/// Pieces of one UDP datagram from port 7 to port 9, as (start, end, more) in units of eight bytes and the byte that
/// fills them. Only the piece at 0 holds the UDP header.
fn pieces(places: &[(u32, u32, bool, u8)]) -> Vec<Vec<u8>> {
    let piece = |&(start, end, more, fill): &(u32, u32, bool, u8)| {
        let mut data = vec![fill; (end - start) as usize * 8];
        if start == 0 {
            data[..8].copy_from_slice(&[0, 7, 0, 9, 0, 96, 0, 0]);
        }
        piece_v4(1, UDP, start * 8, more, &data)
    };
    places.iter().map(piece).collect()
}

fn run(packets: Vec<Vec<u8>>) -> Outcome {
    reassemble(&a_millisecond_apart(packets))
}

fn packets(outcome: &Outcome) -> Vec<Packet> {
    outcome.steps.iter().filter_map(|step| step.packet).collect()
}

/// Ports of the packets, in the order in which they went on.
fn ports(outcome: &Outcome) -> Vec<(u16, u16)> {
    packets(outcome).iter().map(|packet| (packet.source_port, packet.destination_port)).collect()
}

/// What became of the datagrams, without what became of none.
fn fates(outcome: &Outcome) -> Vec<(Fate, u64)> {
    let fates = Fate::ALL.into_iter().map(|fate| (fate, outcome.counts.with_fate(fate)));
    fates.filter(|(_, datagrams)| *datagrams > 0).collect()
}

#[test]
fn any_overlap_ends_the_datagram_whichever_comes_first() {
    let whole = [(0, 2, true, 1), (2, 5, true, 2), (5, 7, true, 3), (7, 12, false, 4)];
    let outcome = run(pieces(&whole));
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Complete, 1)], vec![(7, 9); 4]));
    for (start, end) in
        [(1, 3), (4, 6), (3, 4), (1, 6), (2, 3), (2, 6), (4, 5), (1, 5), (0, 12), (0, 1), (0, 3), (11, 12)]
    {
        let overlapping = (start, end, true, 9);
        for at in 0..whole.len() {
            let mut places = whole.to_vec();
            places.insert(at, overlapping);
            let outcome = run(pieces(&places));
            assert_eq!(fates(&outcome), [(Fate::Overlap, 1)], "{start}-{end} before piece {at}");
            assert_eq!(ports(&outcome), [(7, 9); 5], "{start}-{end} before piece {at}");
        }
    }
}

#[test]
fn the_same_place_with_other_bytes_or_another_end_is_an_overlap() {
    for other in [(2, 5, true, 9), (7, 12, true, 4), (2, 5, false, 2), (7, 13, false, 4), (12, 13, true, 4)] {
        let places = [(7, 12, false, 4), (2, 5, true, 2), other, (0, 2, true, 1), (5, 7, true, 3)];
        let outcome = run(pieces(&places));
        assert_eq!(
            (fates(&outcome), ports(&outcome)),
            (vec![(Fate::Overlap, 1)], vec![(7, 9); 5]),
            "{other:?}"
        );
    }
}

/// Shankar and Paxson, "Active Mapping" (2003), figure 2: every host's policy shows in what it makes of these.
#[test]
fn the_pattern_that_tells_hosts_apart_is_refused() {
    let places = [
        (0, 3, true, 1),
        (4, 6, true, 2),
        (6, 9, true, 3),
        (1, 5, true, 4),
        (6, 9, true, 5),
        (9, 12, false, 6),
    ];
    let outcome = run(pieces(&places));
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Overlap, 1)], vec![(7, 9); 6]));
    let mut reversed = pieces(&places);
    reversed.reverse();
    let outcome = run(reversed);
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Overlap, 1)], vec![(7, 9); 6]));
}

#[test]
fn exact_duplicates_are_ignored_before_and_after_the_end() {
    let places = [(0, 2, true, 1), (0, 2, true, 1), (2, 5, false, 2), (2, 5, false, 2), (0, 2, true, 1)];
    let outcome = run(pieces(&places));
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Complete, 1)], vec![(7, 9); 5]));
    assert_eq!(outcome.counts.duplicates, 3);
}

#[test]
fn pieces_before_the_first_wait_for_it_and_then_go_in_capture_order() {
    let mut reversed = pieces(&[(0, 2, true, 1), (2, 5, true, 2), (5, 7, false, 3)]);
    reversed.reverse();
    let outcome = run(reversed);
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Complete, 1)], vec![(7, 9); 3]));
    let went: Vec<(u64, u64, i64, i64)> = outcome
        .steps
        .iter()
        .map(|step| {
            (step.packet.expect("one").number, step.at_packet, step.clock_ns, step.packet.expect("one").ts_ns)
        })
        .collect();
    assert_eq!(
        went,
        [(1, 3, 3_000_000, 1_000_000), (2, 3, 3_000_000, 2_000_000), (3, 3, 3_000_000, 3_000_000)]
    );
}

#[test]
fn a_missing_piece_ends_at_the_deadline_and_not_at_the_next_packet() {
    let late = |first: Vec<u8>| {
        let frames =
            [raw(1, 5, first), raw(2, 100 * SECOND_NS, piece_v4(2, UDP, 0, false, &udp((1, 2), &[])))];
        reassemble(&frames)
    };
    let outcome = late(pieces(&[(2, 5, false, 1)]).remove(0));
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::NeverFirst, 1)], vec![(0, 0), (1, 2)]));
    assert_eq!((outcome.steps[0].clock_ns, outcome.steps[0].at_packet), (5 + TIMEOUT_NS, 2));
    assert_eq!(outcome.counts.unresolved, 1);
    let outcome = late(pieces(&[(0, 5, true, 1)]).remove(0));
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::TimedOut, 1)], vec![(7, 9), (1, 2)]));
    assert_eq!((outcome.steps[0].clock_ns, outcome.counts.unresolved), (5, 0));
}

#[test]
fn the_end_of_the_capture_lets_go_of_what_waits() {
    let outcome = run(pieces(&[(2, 5, true, 1), (5, 7, false, 1)]));
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Unfinished, 1)], vec![(0, 0); 2]));
    assert_eq!((outcome.steps[0].clock_ns, outcome.counts.unresolved), (2_000_000, 2));
}

#[test]
fn lengths_that_no_sender_makes_end_the_datagram() {
    let header = udp((7, 9), &[0; 5]);
    for odd in [
        piece_v4(1, UDP, 0, true, &header),
        piece_v4(1, UDP, 16, true, &[]),
        piece_v4(1, UDP, 16, false, &[]),
    ] {
        let rest = pieces(&[(0, 1, true, 0), (1, 2, false, 0)]);
        let outcome = run([vec![odd], rest].concat());
        assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::BadLength, 1)], vec![(7, 9); 3]));
    }
}

#[test]
fn a_datagram_beyond_65535_bytes_is_too_large() {
    let beyond = run(vec![pieces(&[(0, 1, true, 0)]).remove(0), piece_v4(1, UDP, 65_528, false, &[0; 8])]);
    assert_eq!((fates(&beyond), ports(&beyond)), (vec![(Fate::TooLarge, 1)], vec![(7, 9); 2]));
    // With the header 65,536 bytes in IPv4; without it 65,516 in IPv6, which is fine.
    let all = |last_bytes: usize, piece: &dyn Fn(u32, bool, &[u8]) -> Vec<u8>| {
        let body = udp((7, 9), &vec![0; 65_504 - 8 + last_bytes]);
        let cuts = (0..body.len()).step_by(1_400);
        run(cuts
            .map(|at| piece(at as u32, at + 1_400 < body.len(), &body[at..body.len().min(at + 1_400)]))
            .collect())
    };
    let v4 = |at: u32, more: bool, data: &[u8]| piece_v4(1, UDP, at, more, data);
    let v6 = |at: u32, more: bool, data: &[u8]| piece_v6(1, UDP, at, more, data);
    assert_eq!(fates(&all(12, &v4)), [(Fate::TooLarge, 1)]);
    assert_eq!(fates(&all(11, &v4)), [(Fate::Complete, 1)]);
    assert_eq!(fates(&all(12, &v6)), [(Fate::Complete, 1)]);
    assert_eq!(fates(&all(31, &v6)), [(Fate::Complete, 1)]);
    assert_eq!(fates(&all(32, &v6)), [(Fate::TooLarge, 1)]);
}

#[test]
fn smaller_pieces_than_any_link_makes_are_too_many() {
    let count = MAX_PIECES as u32 + 2;
    let places: Vec<_> = (0..count).map(|at| (at, at + 1, at + 1 < count, 0)).collect();
    let outcome = run(pieces(&places));
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::TooMany, 1)], vec![(7, 9); count as usize]));
    // Without the first, no more than that many wait.
    let outcome = run(pieces(&places[1..]));
    assert_eq!(fates(&outcome), [(Fate::TooMany, 1)]);
    assert!(outcome.steps[..MAX_PIECES].iter().all(|step| step.at_packet == MAX_PIECES as u64));
    assert_eq!(ports(&outcome), vec![(0, 0); count as usize - 1]);
}

#[test]
fn a_snapshot_length_leaves_the_ports() {
    let mut frames = a_millisecond_apart(pieces(&[(5, 7, false, 3), (0, 2, true, 1), (2, 5, true, 2)]));
    frames.iter_mut().for_each(|read| read.data.truncate(28));
    let outcome = reassemble(&frames);
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Cut, 1)], vec![(7, 9); 3]));
}

#[test]
fn flags_in_the_second_piece_are_those_of_the_first_packet() {
    let header = [4, 1, 0, 80, 0, 0, 1, 0, 0, 0, 0, 0, 0x50, 0x02, 0x20, 0, 0, 0, 0, 0, b'h', b'i'];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let places = [(0, 8, true), (8, 16, true), (16, 22, false)];
        let packet = |at: usize| {
            let (start, end, more) = places[at];
            piece_v4(1, 6, start as u32, more, &header[start..end])
        };
        let outcome = run(order.map(packet).to_vec());
        assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Complete, 1)], vec![(1025, 80); 3]));
        assert!(outcome.steps.iter().all(|step| step.at_packet == 3), "all wait for the whole");
        for packet in packets(&outcome) {
            let flags = packet.tcp.map(|tcp| tcp.flags);
            let first = matches!(packet.fragment, Fragment::First { .. });
            assert_eq!(flags, first.then_some(TcpFlags::SYN));
        }
    }
}

#[test]
fn an_identification_can_be_used_again() {
    let first = pieces(&[(0, 2, true, 1), (2, 3, false, 2)]);
    let second = pieces(&[(0, 2, true, 5), (2, 3, false, 6)]);
    let outcome = run([first.clone(), second.clone()].concat());
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Complete, 2)], vec![(7, 9); 4]));
    // Before the first use is over the pieces of both contradict each other.
    let outcome = run(vec![first[0].clone(), second[0].clone(), first[1].clone(), second[1].clone()]);
    assert_eq!(fates(&outcome), [(Fate::Overlap, 1)]);
    let apart = [
        raw(1, 0, first[0].clone()),
        raw(2, TIMEOUT_NS, second[0].clone()),
        raw(3, TIMEOUT_NS, second[1].clone()),
    ];
    assert_eq!(fates(&reassemble(&apart)), [(Fate::Complete, 1), (Fate::TimedOut, 1)]);
}

#[test]
fn datagrams_are_told_apart_by_all_of_their_key() {
    let body = udp((7, 9), &[3; 24]);
    let pieces_of = |data: &dyn Fn(bool) -> Vec<u8>| vec![data(true), data(false)];
    let half = |more: bool| if more { (0, &body[..16]) } else { (16, &body[16..]) };
    let ethernet = |vlan: u16, more| {
        let (at, data) = half(more);
        let tag = [&[0; 12][..], &[0x81, 0], &vlan.to_be_bytes(), &[8, 0]].concat();
        [tag, piece_v4(1, UDP, at, more, data)].concat()
    };
    let mixed = [ethernet(1, true), ethernet(2, true), ethernet(2, false), ethernet(1, false)];
    let mut frames = a_millisecond_apart(mixed);
    frames.iter_mut().for_each(|read| read.link = LinkType::ETHERNET);
    let outcome = reassemble(&frames);
    assert_eq!((fates(&outcome), outcome.counts.duplicates), (vec![(Fate::Complete, 2)], 0));
    // Another protocol is another datagram in IPv4, and the same one in IPv6.
    let other = |more: bool| if more { UDP } else { 60 };
    let v4 = run(pieces_of(&|more| piece_v4(1, other(more), half(more).0, more, half(more).1)));
    assert_eq!(fates(&v4), [(Fate::Unfinished, 2)]);
    let v6 = run(pieces_of(&|more| piece_v6(1, other(more), half(more).0, more, half(more).1)));
    assert_eq!((fates(&v6), ports(&v6)), (vec![(Fate::Complete, 1)], vec![(7, 9); 2]));
    assert!(packets(&v6).iter().all(|packet| packet.protocol == UDP));
}

/// RFC 6946: a fragment header without fragmentation is no fragment, whatever else carries its identification.
#[test]
fn atomic_fragments_are_whole_packets() {
    let body = udp((7, 9), &[3; 24]);
    let atomic = piece_v6(1, UDP, 0, false, &udp((1, 2), &[]));
    let outcome = run(vec![
        piece_v6(1, UDP, 0, true, &body[..16]),
        atomic.clone(),
        piece_v6(1, UDP, 16, false, &body[16..]),
        atomic,
    ]);
    assert_eq!(ports(&outcome), [(7, 9), (1, 2), (7, 9), (1, 2)]);
    assert_eq!((fates(&outcome), outcome.counts.duplicates), (vec![(Fate::Complete, 1)], 0));
}

#[test]
fn a_header_chain_over_two_pieces_is_followed_when_they_are_together() {
    let body = [&[60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0][..], &udp((7, 9), &[1; 8])].concat();
    let outcome = run(vec![piece_v6(1, 0, 0, true, &body[..8]), piece_v6(1, 0, 8, false, &body[8..])]);
    assert_eq!((fates(&outcome), ports(&outcome)), (vec![(Fate::Complete, 1)], vec![(7, 9); 2]));
    assert!(packets(&outcome).iter().all(|packet| packet.protocol == UDP));
}

/// A packet from 10.0.0.1 to 10.0.0.2 in GRE, cut in three.
fn gre_pieces(inner: &[u8]) -> Vec<Vec<u8>> {
    let body = [&[0, 0, 8, 0][..], inner].concat();
    let (a, b) = (16, 32);
    vec![
        piece_v4(1, 47, 0, true, &body[..a]),
        piece_v4(1, 47, a as u32, true, &body[a..b]),
        piece_v4(1, 47, b as u32, false, &body[b..]),
    ]
}

#[test]
fn a_tunnel_in_pieces_is_the_packet_inside_at_the_last_piece() {
    let inner = piece_v4(77, UDP, 0, false, &udp((40, 53), b"query"));
    for order in [[0, 1, 2], [2, 0, 1]] {
        let pieces = gre_pieces(&inner);
        let outcome = run(order.map(|at| pieces[at].clone()).to_vec());
        let [packet] = packets(&outcome)[..] else { panic!("{} packets", outcome.steps.len()) };
        assert_eq!((packet.source_port, packet.destination_port, packet.protocol), (40, 53, UDP));
        assert_eq!(
            (packet.number, packet.ts_ns, packet.ip_bytes, packet.payload_bytes),
            (3, 3_000_000, 33, 5)
        );
        assert_eq!((outcome.tunnel_fragments, fates(&outcome)), (2, vec![(Fate::Complete, 1)]));
    }
    // Without its last piece it stays what it was on the outside.
    let outcome = run(gre_pieces(&inner)[..2].to_vec());
    assert!(packets(&outcome).iter().all(|packet| packet.protocol == 47));
    assert_eq!((packets(&outcome).len(), outcome.tunnel_fragments), (2, 0));
}

#[test]
fn fragments_in_tunnels_in_fragments_are_put_together_at_both_levels() {
    let body = udp((40, 53), &[5; 40]);
    let inner = [piece_v4(9, UDP, 0, true, &body[..24]), piece_v4(9, UDP, 24, false, &body[24..])];
    let outcome = run(inner.iter().rev().flat_map(|packet| gre_pieces(packet)).collect::<Vec<_>>());
    // Both have the outer identification 1, one after the other.
    assert_eq!(fates(&outcome), [(Fate::Complete, 3)]);
    assert_eq!((ports(&outcome), outcome.tunnel_fragments), (vec![(40, 53); 2], 4));
    assert!(outcome.steps.iter().all(|step| step.at_packet == 6));
}

#[test]
fn sixty_five_thousand_pending_datagrams_stay_within_the_pool() {
    let body = udp((7, 9), &[0; 1_392]);
    let id = |id: u16| move |at, more, data: &[u8]| piece_v4(id, UDP, at, more, data);
    let mut frames: Vec<Read> = Vec::new();
    for pending in 0..=u16::MAX {
        // The last pieces: they wait, and their bytes are kept.
        frames.push(raw(
            u64::from(pending) + 1,
            i64::from(pending) * 1_000,
            id(pending)(1_400, false, &body),
        ));
    }
    frames.push(raw(65_537, SECOND_NS, id(65_535)(0, true, &body)));
    let outcome = reassemble(&frames);
    assert_eq!((outcome.steps.len(), outcome.counts.datagrams), (65_537, 65_536));
    let too_many = outcome.counts.with_fate(Fate::TooMany);
    let unfinished = outcome.counts.with_fate(Fate::Unfinished);
    assert_eq!(outcome.counts.with_fate(Fate::Complete), 1, "the newest is still there");
    assert_eq!(too_many + unfinished + 1, 65_536);
    // 4 MiB hold some 2,000 pieces of 1,400 bytes with all that belongs to them.
    assert!((1_000..3_000).contains(&unfinished), "{unfinished}");
    assert_eq!(outcome.counts.unresolved, 65_535);
}
