//! Decodes generated and mutated Ethernet frames beside `etherparse` and compares what both understood.

use std::net::IpAddr;

use cormorant_net::capture::{Frame, LinkType};
use cormorant_net::packet::{self, Decoded, Fault, Fragment, Packet};
use etherparse::{LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::written::{ethernet, ipv4};

fn decode(data: &[u8]) -> Decoded {
    let (link, wire_bytes) = (LinkType::ETHERNET, data.len() as u32);
    packet::decode(&Frame { number: 1, ts_ns: 0, offset: 0, wire_bytes, link, interface: 0, data })
}

/// TCP, UDP or unknown transport bytes with sound lengths.
fn transport() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let tcp = (any::<[u8; 12]>(), 5_u8..=15, any::<u8>(), any::<[u8; 6]>(), vec(any::<u8>(), 0..60))
        .prop_map(|(ports, offset, flags, rest, payload)| {
            let options = vec![1; (usize::from(offset) - 5) * 4];
            (6, [&ports[..], &[offset << 4, flags], &rest, &options, &payload].concat())
        });
    let udp = (any::<[u8; 4]>(), vec(any::<u8>(), 0..60)).prop_map(|(ports, payload)| {
        let length = (8 + payload.len() as u16).to_be_bytes();
        (17, [&ports[..], &length, &[0, 0], &payload].concat())
    });
    let icmp = (prop_oneof![Just(1_u8), Just(58)], vec(any::<u8>(), 8..40));
    let other = (any::<u8>(), vec(any::<u8>(), 0..40));
    prop_oneof![4 => tcp, 3 => udp, 1 => icmp, 1 => other]
}

/// IPv6 with up to four extension headers in any order.
fn ipv6() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![Just(43_u8), Just(60), Just(44), Just(51)];
    let extension = (kind, 0_u8..3, any::<[u8; 4]>());
    (any::<bool>(), vec(extension, 0..4), transport(), any::<[u8; 34]>()).prop_map(
        |(hop, kinds, transport, rest)| {
            let mut chain: Vec<(u8, u8, [u8; 4])> = kinds;
            if hop {
                chain.insert(0, (0, 1, [0; 4]));
            }
            let mut body = Vec::new();
            for (at, (kind, length, id)) in chain.iter().enumerate() {
                let next = chain.get(at + 1).map_or(transport.0, |next| next.0);
                match kind {
                    44 => body.extend([&[next, 0, 0, 0], &id[..]].concat()),
                    51 => body.extend(
                        [&[next, 2 * length + 1, 0, 0][..], &vec![0; usize::from(*length) * 8 + 8]].concat(),
                    ),
                    _ => body.extend([&[next, *length][..], &vec![0; usize::from(*length) * 8 + 6]].concat()),
                }
            }
            let first = chain.first().map_or(transport.0, |first| first.0);
            body.extend(&transport.1);
            let [high, low] = (body.len() as u16).to_be_bytes();
            [&[0x60 | rest[0] & 0x0f, rest[1], 0, 0, high, low, first][..], &rest[1..], &body].concat()
        },
    )
}

/// A frame with up to three VLAN tags.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let v4 = (transport(), any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(
        |((protocol, body), source, destination)| (0x0800, ipv4(protocol, source, destination, &body)),
    );
    let v6 = ipv6().prop_map(|packet| (0x86dd, packet));
    let tags = vec((prop_oneof![Just(0x8100_u16), Just(0x88a8)], any::<[u8; 2]>()), 0..=3);
    (tags, prop_oneof![v4, v6], vec(any::<u8>(), 0..8)).prop_map(|(tags, (ethertype, packet), padding)| {
        let mut kinds: Vec<u16> = tags.iter().map(|tag| tag.0).collect();
        kinds.push(ethertype);
        let mut body = Vec::new();
        for (tag, next) in tags.iter().zip(&kinds[1..]) {
            body.extend(tag.1);
            body.extend(next.to_be_bytes());
        }
        ethernet(kinds[0], &[body, packet, padding].concat())
    })
}

/// The frame, cut and with some bytes changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (frame(), changes, prop::option::weighted(0.3, any::<prop::sample::Index>())).prop_map(
        |(mut data, changes, cut)| {
            for (at, value) in changes {
                let at = at.index(data.len());
                data[at] = value;
            }
            if let Some(cut) = cut {
                data.truncate(cut.index(data.len()));
            }
            data
        },
    )
}

/// Compares what `etherparse` understood with what we did; returns whether a transport header was compared.
fn compare(data: &[u8]) -> Result<bool, TestCaseError> {
    let ours = decode(data);
    let Ok(theirs) = LaxSlicedPacket::from_ethernet(data) else {
        prop_assert_eq!(ours.packet, None);
        return Ok(false);
    };
    if theirs.link_exts.iter().any(|tag| matches!(tag, LaxLinkExtSlice::Macsec(_))) {
        return Ok(false);
    }
    if ours.tunnel.is_some() {
        return Ok(false); // they stop at the outer packet
    }
    let start = 14 + 4 * theirs.link_exts.len();
    if matches!(data.get(start - 2..=start), Some([0x08, 0x00, 0x60..0x70] | [0x86, 0xdd, 0x40..0x50])) {
        return Ok(false); // a version that contradicts the ethertype: they believe the version, we neither
    }
    let addresses = |source: IpAddr, destination: IpAddr, ttl, tos| Some((source, destination, ttl, tos));
    let network = match &theirs.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            addresses(source, destination, header.ttl(), header.slice()[1])
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let (source, destination) = (header.source_addr().into(), header.destination_addr().into());
            addresses(source, destination, header.hop_limit(), header.traffic_class())
        }
        _ => None,
    };
    let Some(expected) = network else {
        // A cut IP header is a fault to both; LLC, old tag types, a fourth tag, MPLS and PPPoE are only read by us.
        let old_tag = data[12..]
            .chunks(4)
            .take(4)
            .any(|kind| matches!(kind, [0x92 | 0x93, 0, ..] | [0x88, 0x47 | 0x48 | 0x64, ..]));
        let only_ours = data[12] < 6 || old_tag || theirs.link_exts.len() == 3 || theirs.stop_err.is_some();
        prop_assert!(ours.packet.is_none() || only_ours, "{:?} beside {:?}", ours, theirs);
        return Ok(false);
    };
    let Some(packet) = ours.packet else {
        return Err(TestCaseError::fail(format!("nothing beside {theirs:?}")));
    };
    prop_assert_eq!((packet.source, packet.destination, packet.ttl, packet.tos), expected);
    let vlan = theirs.link_exts.iter().rev().find_map(|tag| match tag {
        LaxLinkExtSlice::Vlan(vlan) => Some(vlan.vlan_identifier().value()),
        _ => None,
    });
    prop_assert_eq!(packet.vlan, vlan.unwrap_or(0));
    compare_transport(data, &packet, ours.fault, &theirs)
}

fn compare_transport(
    data: &[u8],
    packet: &Packet,
    fault: Option<Fault>,
    theirs: &LaxSlicedPacket<'_>,
) -> Result<bool, TestCaseError> {
    if fault == Some(Fault::BadIpLength) {
        return Ok(false); // an IP length shorter than the header: they take what there is, we (as Wireshark) stop
    }
    let payload = &data[packet.payload.0 as usize..packet.payload.1 as usize];
    match &theirs.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let ours = packet.tcp.ok_or_else(|| TestCaseError::fail("no TCP header"))?;
            prop_assert_eq!(
                (packet.source_port, packet.destination_port),
                (tcp.source_port(), tcp.destination_port())
            );
            prop_assert_eq!((ours.seq, ours.ack), (tcp.sequence_number(), tcp.acknowledgment_number()));
            prop_assert_eq!(
                (ours.window, usize::from(ours.header_bytes)),
                (tcp.window_size(), tcp.header_slice().len())
            );
            let flags = u16::from_be_bytes([tcp.slice()[12] & 1, tcp.slice()[13]]);
            prop_assert_eq!(ours.flags.0, flags);
            prop_assert_eq!(payload, tcp.payload());
        }
        Some(TransportSlice::Udp(udp)) => {
            prop_assert_eq!(
                (packet.source_port, packet.destination_port),
                (udp.source_port(), udp.destination_port())
            );
            prop_assert!(payload.starts_with(udp.payload()), "{packet:?} {fault:?} beside {theirs:?}");
        }
        Some(TransportSlice::Icmpv4(icmp)) => prop_assert_eq!(packet.source_port, u16::from(icmp.type_u8())),
        Some(TransportSlice::Icmpv6(icmp)) => prop_assert_eq!(packet.source_port, u16::from(icmp.type_u8())),
        Some(_) => return Ok(false),
        None => {
            // They stop at any fragment, at hop-by-hop options out of place and at a UDP length that lies.
            let whole = packet.fragment == Fragment::None && fault.is_none() && theirs.stop_err.is_none();
            prop_assert!(
                !(whole && matches!(packet.protocol, 6 | 17)),
                "no transport in {theirs:?} beside {packet:?}"
            );
            return Ok(false);
        }
    }
    Ok(true)
}

/// Every link type that has a decoder.
const DECODED_LINKS: &[u32] =
    &[0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 119, 127, 163, 192, 204, 205, 228, 229, 276];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn sound_frames_are_understood_alike(data in frame()) {
        compare(&data)?;
    }

    #[test]
    fn mutated_frames_are_understood_alike(data in mutated()) {
        compare(&data)?;
    }

    #[test]
    fn any_bytes_of_any_link_type_decode_within_their_bounds(
        data in vec(any::<u8>(), 0..200),
        link in prop_oneof![prop::sample::select(DECODED_LINKS), any::<u32>()],
        beyond in 0_u32..3_000,
    ) {
        let wire_bytes = data.len() as u32 + beyond;
        let frame = Frame { number: 1, ts_ns: 0, offset: 0, wire_bytes, link: LinkType(link), interface: 0, data: &data };
        let decoded = packet::decode(&frame);
        if let Some(packet) = decoded.packet {
            let (start, end) = packet.payload;
            prop_assert!(start <= end && end <= packet.captured_bytes);
            prop_assert!(u32::from(packet.header_bytes) + packet.payload_bytes >= packet.ip_bytes);
            prop_assert!(end - start <= packet.payload_bytes);
            prop_assert!(u32::from(packet.header_bytes) <= packet.ip_bytes || decoded.fault.is_some());
        }
    }
}

#[test]
fn most_generated_frames_reach_the_transport() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = frame();
    let compared = (0..500)
        .filter(|_| {
            let tree = strategy.new_tree(&mut runner).expect("a frame");
            compare(&proptest::strategy::ValueTree::current(&tree)).expect("the same")
        })
        .count();
    assert!(compared > 300, "{compared} of 500");
}
