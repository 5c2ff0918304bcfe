//! TCP on a bad network: segments doubled, lost, mixed and fragmented at random. The flows are those of an accounting
//! that knows what was sent.

use std::collections::BTreeMap;

use cormorant_net::features::RowColumn;
use cormorant_net::meter::{MeterSpec, meter};
use proptest::collection::vec;
use proptest::prelude::*;

use super::piece_v4;
use crate::written::{self, Order, Pcap, Written};

/// A segment and how it is cut.
#[derive(Clone, Debug)]
struct Segment {
    port: u16,
    answer: bool,
    payload_bytes: usize,
    piece_bytes: usize,
}

/// A piece on the wire.
#[derive(Clone)]
struct Sent {
    segment: usize,
    is_first: bool,
    data: Vec<u8>,
}

fn segments() -> impl Strategy<Value = Vec<Segment>> {
    let segment = (40_000_u16..40_008, any::<bool>(), 0_usize..3_000, 3_usize..200);
    let segment = segment.prop_map(|(port, answer, payload_bytes, cut)| Segment {
        port,
        answer,
        payload_bytes,
        piece_bytes: cut * 8,
    });
    vec(segment, 1..200)
}

fn send(segments: &[Segment]) -> Vec<Sent> {
    let mut sent = Vec::new();
    for (at, segment) in segments.iter().enumerate() {
        let (from, to) = if segment.answer { (443, segment.port) } else { (segment.port, 443) };
        let fixed = [0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
        let payload = vec![at as u8; segment.payload_bytes];
        let body = [&from.to_be_bytes()[..], &to.to_be_bytes(), &fixed, &payload].concat();
        for start in (0..body.len()).step_by(segment.piece_bytes) {
            let end = body.len().min(start + segment.piece_bytes);
            let mut data = piece_v4(at as u16, 6, start as u32, end < body.len(), &body[start..end]);
            if segment.answer {
                data[12..20].rotate_left(4);
            }
            sent.push(Sent { segment: at, is_first: start == 0, data });
        }
    }
    sent
}

/// Packets and bytes by source port, destination port; both directions of a connection together.
type Accounts = BTreeMap<(u16, u16), (u64, u64)>;

/// Each piece belongs to its connection, unless the piece with the ports was lost: then to no port.
fn accounts(segments: &[Segment], sent: &[Sent]) -> Accounts {
    let mut accounts = Accounts::new();
    for piece in sent {
        let known = sent.iter().any(|other| other.segment == piece.segment && other.is_first);
        let port = segments[piece.segment].port;
        let account = accounts.entry(if known { (443, port) } else { (0, 0) }).or_default();
        account.0 += 1;
        account.1 += piece.data.len() as u64;
    }
    accounts
}

fn metered(sent: &[Sent]) -> Accounts {
    let frame = |(piece, at): (&Sent, i64)| Written {
        ts_ns: 1_700_000_000_000_000_000 + at * 100_000,
        wire_bytes: piece.data.len() as u32,
        data: piece.data.clone(),
    };
    let frames: Vec<Written> = sent.iter().zip(0..).map(frame).collect();
    let file = written::pcap(Order::Little, Pcap::Nanoseconds, 101, &frames).0;
    let reader = Box::new(std::io::Cursor::new(file));
    let mut capture = cormorant_net::capture::Capture::from_reader("test", reader).expect("a capture");
    let mut accounts = Accounts::new();
    let spec = MeterSpec { sets: Vec::new(), ..MeterSpec::default() };
    let report = meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
        let column = |name: &str| match rows.column(name) {
            Some(RowColumn::U64(values)) => values.clone(),
            other => panic!("{name} is {other:?}"),
        };
        let (from, to) = (column("source_port"), column("destination_port"));
        for (at, packets) in column("packets").into_iter().enumerate() {
            let ends = (from[at].min(to[at]) as u16, from[at].max(to[at]) as u16);
            let account = accounts.entry(ends).or_default();
            account.0 += packets;
            account.1 += column("bytes")[at];
        }
        Ok(())
    });
    assert_eq!(report.expect("a sound spec").packets, sent.len() as u64);
    accounts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flows_are_those_of_what_was_sent(
        segments in segments(),
        doubled in 1_u32..=10,
        lost in 1_u32..=10,
        dice in vec((0_u32..100, 0_u32..100, 0_usize..64), 4_000),
    ) {
        let mut sent = Vec::new();
        for (piece, (lose, double, _)) in send(&segments).into_iter().zip(&dice) {
            if *lose >= lost {
                sent.extend(std::iter::repeat_n(piece, if *double < doubled { 2 } else { 1 }));
            }
        }
        for (at, (_, _, other)) in (0..sent.len()).zip(&dice) {
            let other = (at + other).min(sent.len() - 1);
            sent.swap(at, other);
        }
        prop_assert_eq!(metered(&sent), accounts(&segments, &sent));
    }
}
