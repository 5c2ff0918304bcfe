//! Tunnels from frame to row: nested ones are followed to their bound and never damaged into a panic, rows name their
//! tunnel on any number of threads, and equal addresses in two virtual networks are two flows.

use std::collections::BTreeSet;
use std::io::Cursor;

use cormorant_net::capture::{Capture, Frame, LinkType};
use cormorant_net::features::{RowColumn, Rows};
use cormorant_net::meter::{MeterSpec, meter};
use cormorant_net::packet;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::written::{self, Order, Pcap, Written, ethernet, ipv4};

fn udp(destination_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len() as u16).to_be_bytes();
    [&[0x9c, 0x40][..], &destination_port.to_be_bytes(), &length, &[0, 0], payload].concat()
}

/// Wraps a packet in one more header, chosen by number.
fn wrap(packet: &[u8], choice: u8, id: u8) -> Vec<u8> {
    let (outer, peer) = ([172, 16, 0, 1], [172, 16, 0, 2]);
    let in_udp = |port: u16, payload: &[u8]| ipv4(17, outer, peer, &udp(port, payload));
    let frame = ethernet(0x0800, packet);
    let gtp = [&[0x30, 255][..], &(packet.len() as u16).to_be_bytes(), &[0, 0, 0, id], packet].concat();
    match choice {
        0 => ipv4(4, outer, peer, packet),
        1 => ipv4(47, outer, peer, &[&[0x20, 0, 8, 0, 0, 0, 0, id], packet].concat()),
        2 => ipv4(
            47,
            outer,
            peer,
            &[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, id, 0, 0, 0, 0], &frame[..]].concat(),
        ),
        3 => ipv4(
            47,
            outer,
            peer,
            &[&[0x30, 0x01, 0x88, 0x0b, 0, 9, 0, id, 0, 0, 0, 1, 0x21], packet].concat(),
        ),
        4 => in_udp(4789, &[&[8, 0, 0, 0, 0, 0, id, 0], &frame[..]].concat()),
        5 => in_udp(6081, &[&[0, 0, 0x65, 0x58, 0, 0, id, 0], &frame[..]].concat()),
        _ => in_udp(2152, &gtp),
    }
}

fn nested() -> impl Strategy<Value = Vec<u8>> {
    (vec((0_u8..7, any::<u8>()), 1..11), vec(any::<u8>(), 0..20)).prop_map(|(layers, payload)| {
        let inner = ipv4(17, [10, 0, 0, 1], [10, 0, 0, 2], &udp(53, &payload));
        layers.into_iter().fold(inner, |packet, (choice, id)| wrap(&packet, choice, id))
    })
}

fn decode(data: &[u8], beyond: u32) -> packet::Decoded {
    let wire_bytes = data.len() as u32 + beyond;
    packet::decode(&Frame {
        number: 1,
        ts_ns: 0,
        offset: 0,
        wire_bytes,
        link: LinkType::RAW,
        interface: 0,
        data,
    })
}

proptest! {
    #[test]
    fn nested_tunnels_are_followed_to_their_bound(data in nested()) {
        let decoded = decode(&data, 0);
        let packet = decoded.packet.expect("a packet");
        let depth = decoded.tunnel.map_or(0, |tunnel| tunnel.depth);
        let reached = (packet.destination_port, packet.source) == (53, [10, 0, 0, 1].into());
        prop_assert_eq!(reached, decoded.fault.is_none());
        prop_assert!(depth >= 1 && (reached || depth == packet::MAX_DEPTH), "{:?}", decoded);
    }

    #[test]
    fn damaged_tunnels_decode_within_their_bounds(
        mut data in nested(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        beyond in 0_u32..100,
    ) {
        for (at, value) in changes {
            let at = at.index(data.len());
            data[at] = value;
        }
        let beyond = if beyond < 50 { data.truncate(cut.index(data.len())); beyond } else { 0 };
        let decoded = decode(&data, beyond);
        prop_assert!(decoded.tunnel.is_none_or(|tunnel| (1..=packet::MAX_DEPTH).contains(&tunnel.depth)));
        if let Some(packet) = decoded.packet {
            let (start, end) = packet.payload;
            prop_assert!(start <= end && end <= packet.captured_bytes && decoded.ip_start < packet.captured_bytes);
            prop_assert!(end - start <= packet.payload_bytes);
            prop_assert_eq!(packet.captured_bytes as usize, data.len());
        }
    }
}

/// Five flows: bare, in two VXLAN networks, in GRE with a key per direction, and nested.
fn capture() -> Vec<u8> {
    let there = ipv4(17, [10, 0, 0, 1], [10, 0, 0, 2], &udp(53, b"abc"));
    let packets = [
        there.clone(),
        wrap(&there, 4, 1),
        wrap(&there, 4, 2),
        wrap(&there, 4, 1),
        wrap(&ipv4(17, [10, 0, 0, 3], [10, 0, 0, 2], &udp(53, b"abc")), 1, 7),
        wrap(&ipv4(17, [10, 0, 0, 3], [10, 0, 0, 2], &udp(53, b"abc")), 1, 8),
        wrap(&wrap(&ipv4(17, [10, 0, 0, 4], [10, 0, 0, 2], &udp(53, b"abc")), 0, 0), 5, 3),
    ];
    let frames = packets.iter().zip(1_i64..).map(|(packet, at)| {
        let data = ethernet(0x0800, packet);
        Written { ts_ns: at * 1_000_000, wire_bytes: data.len() as u32, data }
    });
    written::pcap(Order::Little, Pcap::Nanoseconds, 1, &frames.collect::<Vec<_>>()).0
}

fn column<'a>(batches: &'a [Rows], name: &str) -> Vec<&'a str> {
    let text = |rows: &'a Rows| match rows.column(name) {
        Some(RowColumn::Text(values)) => (0..rows.len).filter_map(|row| values.get(row)).collect(),
        other => panic!("{name} is {other:?}"),
    };
    batches.iter().flat_map(|rows: &Rows| -> Vec<&str> { text(rows) }).collect()
}

#[test]
fn rows_name_their_tunnel_and_networks_are_kept_apart() {
    for threads in [1, 2, 3] {
        let spec = MeterSpec { threads, batch_rows: 2, ..MeterSpec::default() };
        let mut capture = Capture::from_reader("test", Box::new(Cursor::new(capture()))).expect("a capture");
        let mut batches = Vec::new();
        let report = meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
            batches.push(rows);
            Ok(())
        });
        let report = report.expect("nothing but the capture can fail");
        let outer = "172.16.0.1>172.16.0.2";
        let expected = [
            String::new(),
            format!("vxlan {outer} id=1"),
            format!("vxlan {outer} id=2"),
            format!("gre {outer} id=7"),
            format!("ip-in-ip {outer} depth=2"),
        ];
        assert_eq!(column(&batches, "tunnel"), expected, "{threads} threads");
        assert_eq!(report.packets_in_flows, 7);
        let ids: BTreeSet<_> = column(&batches, "flow_id").into_iter().collect();
        assert_eq!(ids.len(), 5);
    }
}
