//! Random datagrams, cut, mixed, doubled and spoilt at random: both implementations must make the same of them.

use cormorant_net::packet::reassembly::Fate;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::naive::{self, Read};
use super::{clocks, counted, piece_v4, piece_v6, raw, reassemble, udp};

/// What a datagram holds, and how it is cut.
#[derive(Clone, Debug)]
struct Made {
    v6: bool,
    id: u16,
    content: Content,
    /// Lengths of its pieces but the last in units of eight bytes, taken in a circle.
    cuts: Vec<usize>,
}

#[derive(Clone, Debug)]
enum Content {
    Udp {
        port: u16,
        payload_bytes: usize,
    },
    Tcp {
        flags: u8,
        options: usize,
        payload_bytes: usize,
    },
    /// A packet in a GRE, IP-in-IP or VXLAN packet.
    Tunnel {
        kind: u8,
        inner: Box<Made>,
    },
    Options {
        payload_bytes: usize,
    },
}

impl Made {
    /// Protocol and bytes above IP.
    fn body(&self) -> (u8, Vec<u8>) {
        let bytes =
            |count: usize| (0..count).map(|at| (at * 7 + usize::from(self.id)) as u8).collect::<Vec<u8>>();
        match &self.content {
            Content::Udp { port, payload_bytes } => (17, udp((*port, 53), &bytes(*payload_bytes))),
            Content::Tcp { flags, options, payload_bytes } => {
                let offset = ((5 + options) << 4) as u8;
                let fixed = [4, 1, 0, 80, 0, 0, 1, 0, 0, 0, 2, 0, offset, *flags, 0x20, 0, 0, 0, 0, 0];
                (6, [&fixed[..], &vec![1; options * 4], &bytes(*payload_bytes)].concat())
            }
            Content::Tunnel { kind, inner } => {
                let pieces = inner.pieces();
                // A fragment inside when the inner datagram is cut, else all of it.
                let packet = pieces[usize::from(self.id) % pieces.len()].clone();
                let version = packet[0] >> 4;
                match kind {
                    0 => (if version == 4 { 4 } else { 41 }, packet),
                    1 => {
                        let ethertype: [u8; 2] = if version == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
                        (47, [&[0, 0][..], &ethertype, &packet].concat())
                    }
                    _ => {
                        let ethertype: [u8; 2] = if version == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
                        let vxlan = [8, 0, 0, 0, 0, 0, 42, 0];
                        (17, udp((5, 4789), &[&vxlan[..], &[2; 12], &ethertype, &packet].concat()))
                    }
                }
            }
            Content::Options { payload_bytes } => {
                let body = udp((3, 4), &bytes(*payload_bytes));
                (60, [&[17, 0, 1, 4, 0, 0, 0, 0][..], &body].concat())
            }
        }
    }

    /// The packets that carry it, in order.
    fn pieces(&self) -> Vec<Vec<u8>> {
        let (protocol, body) = self.body();
        let (mut pieces, mut start) = (Vec::new(), 0);
        for cut in self.cuts.iter().cycle() {
            let end = body.len().min(start + cut * 8);
            let more = end < body.len();
            pieces.push(self.piece(protocol, start, more, &body[start..end]));
            start = end;
            if !more {
                break;
            }
        }
        pieces
    }

    fn piece(&self, protocol: u8, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
        if self.v6 {
            piece_v6(u32::from(self.id), protocol, offset as u32, more, data)
        } else {
            piece_v4(self.id, protocol, offset as u32, more, data)
        }
    }
}

fn content() -> impl Strategy<Value = Content> {
    let udp = (1_u16..4, 0_usize..200).prop_map(|(port, payload_bytes)| Content::Udp { port, payload_bytes });
    let tcp = (any::<u8>(), 0_usize..4, 0_usize..80)
        .prop_map(|(flags, options, payload_bytes)| Content::Tcp { flags, options, payload_bytes });
    let options = (0_usize..60).prop_map(|payload_bytes| Content::Options { payload_bytes });
    prop_oneof![3 => udp, 2 => tcp, 1 => options]
}

fn plain() -> impl Strategy<Value = Made> {
    (any::<bool>(), 1_u16..4, content(), cuts()).prop_map(|(v6, id, content, cuts)| Made {
        v6,
        id,
        content,
        cuts,
    })
}

fn made() -> impl Strategy<Value = Made> {
    plain().prop_recursive(2, 4, 1, |inner| {
        (any::<bool>(), 1_u16..4, 0_u8..3, inner, cuts()).prop_map(|(v6, id, kind, inner, cuts)| Made {
            v6,
            id,
            content: Content::Tunnel { kind, inner: Box::new(inner) },
            cuts,
        })
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(1_usize..6, 1..4)
}

/// What happens to the packets on their way.
#[derive(Clone, Debug)]
enum Accident {
    Swapped(Index, Index),
    Doubled(Index, Index),
    Lost(Index),
    /// One byte of the packet becomes another: an overlap with other bytes, another offset, length or identification.
    Changed(Index, Index, u8),
    /// Fewer bytes are captured.
    Cut(Index, Index),
    /// Time passes before it.
    Late(Index, i64),
}

fn accident() -> impl Strategy<Value = Accident> {
    let at = any::<Index>;
    prop_oneof![
        6 => (at(), at()).prop_map(|(a, b)| Accident::Swapped(a, b)),
        4 => (at(), at()).prop_map(|(a, b)| Accident::Doubled(a, b)),
        2 => at().prop_map(Accident::Lost),
        3 => (at(), at(), any::<u8>()).prop_map(|(a, b, to)| Accident::Changed(a, b, to)),
        1 => (at(), at()).prop_map(|(a, b)| Accident::Cut(a, b)),
        2 => (at(), -5_i64..40).prop_map(|(a, seconds)| Accident::Late(a, seconds)),
    ]
}

fn frames(made: &[Made], accidents: &[Accident]) -> Vec<Read> {
    let packets: Vec<Vec<u8>> = made.iter().flat_map(Made::pieces).collect();
    let mut frames: Vec<Read> = packets.into_iter().map(|data| raw(0, 1_000_000, data)).collect();
    for accident in accidents {
        let len = frames.len();
        match accident {
            Accident::Swapped(a, b) => frames.swap(a.index(len), b.index(len)),
            Accident::Doubled(a, b) => frames.insert(b.index(len), frames[a.index(len)].clone()),
            Accident::Lost(a) if len > 1 => drop(frames.remove(a.index(len))),
            Accident::Lost(_) => {}
            Accident::Changed(a, b, to) => {
                let data = &mut frames[a.index(len)].data;
                // Mostly where identification, place and lengths are.
                let at = b.index(data.len() * 2) % data.len();
                data[if *to % 2 == 0 { at % 8 } else { at }] = *to;
            }
            Accident::Cut(a, b) => {
                let data = &mut frames[a.index(len)].data;
                data.truncate(b.index(data.len()).max(1));
            }
            Accident::Late(a, seconds) => frames[a.index(len)].ts_ns = seconds * 1_000_000_000,
        }
    }
    let mut ts_ns = 0;
    for (read, number) in frames.iter_mut().zip(1..) {
        ts_ns += read.ts_ns;
        (read.number, read.ts_ns) = (number, ts_ns);
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_implementations_make_the_same_of_random_fragments(
        made in vec(prop_oneof![plain(), made()], 1..5),
        accidents in vec(accident(), 0..10),
    ) {
        let frames = frames(&made, &accidents);
        let ours = reassemble(&frames);
        let (steps, expected, _) = naive::steps(&frames, &clocks(&frames));
        prop_assert_eq!(counted(&ours), expected);
        prop_assert_eq!(ours.steps, steps);
    }

    #[test]
    fn order_and_duplicates_change_neither_packets_nor_ports(
        made in plain(),
        mixing in vec((any::<Index>(), any::<Index>()), 0..30),
        doubled in vec(any::<Index>(), 0..4),
    ) {
        let accidents: Vec<Accident> = mixing.into_iter().map(|(a, b)| Accident::Swapped(a, b)).collect();
        let in_order = reassemble(&frames(std::slice::from_ref(&made), &[]));
        let mixed = reassemble(&frames(std::slice::from_ref(&made), &accidents));
        let ends = |outcome: &super::Outcome| {
            let mut ends: Vec<_> = outcome.steps.iter().filter_map(|step| step.packet).map(|packet| {
                (packet.source_port, packet.destination_port, packet.protocol, packet.ip_bytes, packet.tcp)
            }).collect();
            ends.sort_by_key(|end| (end.3, end.4.is_some()));
            ends
        };
        prop_assert_eq!(ends(&in_order), ends(&mixed));
        prop_assert_eq!(in_order.counts, mixed.counts);
        let copies = doubled.into_iter().map(|at| Accident::Doubled(at, at)).collect::<Vec<_>>();
        let more = reassemble(&frames(std::slice::from_ref(&made), &[accidents, copies.clone()].concat()));
        let pieces = in_order.steps.len();
        prop_assert_eq!(more.steps.len(), pieces + copies.len());
        let fragmented = pieces > 1;
        prop_assert_eq!(more.counts.with_fate(Fate::Complete), u64::from(fragmented));
        prop_assert_eq!(more.counts.duplicates, if fragmented { copies.len() as u64 } else { 0 });
    }
}
