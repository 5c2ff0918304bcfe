//! Random traffic for tests: few hosts and ports, so that flows meet, close, come back and overlap in all ways.

use proptest::prelude::*;

use crate::written::{Written, ethernet};

/// A packet to write.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) wait_ns: i64,
    pub(super) vlan: Option<u16>,
    pub(super) ipv6: bool,
    pub(super) hosts: (u8, u8),
    pub(super) ports: (u16, u16),
    pub(super) transport: Transport,
    pub(super) payload_bytes: u16,
    pub(super) fragment: Option<u16>,
    pub(super) ttl: u8,
}

/// What is above IP.
#[derive(Clone, Debug)]
pub(super) enum Transport {
    Tcp { flags: u8, seq: u32, ack: u32, window: u16 },
    Udp,
    Icmp { kind: u8, code: u8 },
    Other(u8),
}

const SECOND_NS: i64 = 1_000_000_000;
/// When random traffic starts.
pub(super) const START_NS: i64 = 1_700_000_000 * SECOND_NS;

/// Up to `most` packets.
pub(super) fn traffic(most: usize) -> impl Strategy<Value = Vec<Made>> {
    prop::collection::vec(made(), 1..most)
}

/// A connection attempt between two fixed hosts, a second after the packet before it.
pub(super) fn syn(source_port: u16, destination_port: u16) -> Made {
    Made {
        wait_ns: SECOND_NS,
        vlan: None,
        ipv6: false,
        hosts: (1, 2),
        ports: (source_port, destination_port),
        transport: Transport::Tcp { flags: 0x02, seq: 1, ack: 0, window: 1_000 },
        payload_bytes: 0,
        fragment: None,
        ttl: 64,
    }
}

fn made() -> impl Strategy<Value = Made> {
    let place = (prop::option::weighted(0.2, 5_u16..7), prop::bool::weighted(0.2), hosts(), ports());
    let rest =
        (payload(), prop::option::weighted(0.03, 0_u16..3), prop_oneof![Just(64_u8), Just(128), any::<u8>()]);
    (wait(), place, transport(), rest).prop_map(
        |(wait_ns, (vlan, ipv6, hosts, ports), transport, (payload_bytes, fragment, ttl))| Made {
            wait_ns,
            vlan,
            ipv6,
            hosts,
            ports,
            transport,
            payload_bytes,
            fragment,
            ttl,
        },
    )
}

fn wait() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0..2_000_000_i64,
        4 => 0..SECOND_NS,
        2 => prop::sample::select(vec![0, SECOND_NS, SECOND_NS + 1, 2 * SECOND_NS, 5 * SECOND_NS, 10 * SECOND_NS]),
        1 => 0..40 * SECOND_NS,
        1 => -2 * SECOND_NS..0,
    ]
}

fn hosts() -> impl Strategy<Value = (u8, u8)> {
    prop_oneof![3 => Just((1_u8, 2_u8)), 3 => Just((2, 1)), 1 => (1_u8..4, 1_u8..4)]
}

fn ports() -> impl Strategy<Value = (u16, u16)> {
    prop_oneof![Just((40_000_u16, 443_u16)), Just((443, 40_000)), Just((7, 7))]
}

fn payload() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(0_u16), 1 => Just(1_u16), 2 => 1_u16..200, 1 => Just(500), 2 => 1_000_u16..1_460]
}

fn transport() -> impl Strategy<Value = Transport> {
    let flags = prop::sample::select(vec![
        0x02, 0x02, 0x12, 0x12, 0x10, 0x10, 0x10, 0x10, 0x18, 0x18, 0x18, 0x11, 0x11, 0x04, 0x14, 0x00, 0x29,
        0xc2, 0x50,
    ]);
    // Few round numbers, so that segments meet: hit, overlap, repeat and skip each other.
    let seq = prop_oneof![
        4 => (0_u32..8).prop_map(|place| place * 500),
        4 => 0_u32..3_000,
        1 => 0xffff_f800_u32..=u32::MAX,
        1 => any::<u32>(),
    ];
    let ack = prop_oneof![4 => (0_u32..3).prop_map(|place| place * 500), 1 => any::<u32>()];
    let window = prop_oneof![Just(0_u16), Just(1_000), any::<u16>()];
    prop_oneof![
        6 => (flags, seq, ack, window)
            .prop_map(|(flags, seq, ack, window)| Transport::Tcp { flags, seq, ack, window }),
        2 => Just(Transport::Udp),
        1 => (prop::sample::select(vec![0_u8, 3, 8, 11, 128, 129, 1]), 0_u8..2)
            .prop_map(|(kind, code)| Transport::Icmp { kind, code }),
        1 => Just(Transport::Other(47)),
    ]
}

/// The frames of these packets; only headers are captured, the lengths say the rest.
pub(super) fn frames(packets: &[Made]) -> Vec<Written> {
    let mut ts_ns = START_NS;
    packets
        .iter()
        .map(|made| {
            ts_ns = (ts_ns + made.wait_ns).max(0);
            let data = frame(made);
            Written { ts_ns, wire_bytes: data.len() as u32 + u32::from(made.payload_bytes), data }
        })
        .collect()
}

fn frame(made: &Made) -> Vec<u8> {
    let (protocol, header) = transport_header(made);
    let length = header.len() as u16 + made.payload_bytes;
    let (ethertype, packet) = if made.ipv6 {
        (0x86dd, ipv6(made, protocol, length, &header))
    } else {
        (0x0800, ipv4(made, protocol, length, &header))
    };
    match made.vlan {
        None => ethernet(ethertype, &packet),
        Some(vlan) => {
            ethernet(0x8100, &[&vlan.to_be_bytes()[..], &ethertype.to_be_bytes(), &packet].concat())
        }
    }
}

fn transport_header(made: &Made) -> (u8, Vec<u8>) {
    let ports = [made.ports.0.to_be_bytes(), made.ports.1.to_be_bytes()].concat();
    match made.transport {
        Transport::Tcp { flags, seq, ack, window } => {
            let rest =
                [&seq.to_be_bytes()[..], &ack.to_be_bytes(), &[0x50, flags], &window.to_be_bytes(), &[0; 4]]
                    .concat();
            (6, [ports, rest].concat())
        }
        Transport::Udp => (17, [&ports[..], &(8 + made.payload_bytes).to_be_bytes(), &[0; 2]].concat()),
        Transport::Icmp { kind, code } => {
            (if made.ipv6 { 58 } else { 1 }, vec![kind, code, 0, 0, 0, 1, 0, 1])
        }
        Transport::Other(protocol) => (protocol, vec![0; 4]),
    }
}

fn ipv4(made: &Made, protocol: u8, length: u16, header: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + length).to_be_bytes();
    // More fragments after the first piece; later pieces start at a multiple of eight bytes.
    let place = match made.fragment {
        None => 0_u16,
        Some(0) => 0x2000,
        Some(piece) => 0x2000 | (piece * 100),
    };
    let [fragment_high, fragment_low] = place.to_be_bytes();
    let id = if made.fragment.is_some() { 9 } else { 1 };
    let fixed = [0x45, 0, high, low, 0, id, fragment_high, fragment_low, made.ttl, protocol, 0, 0];
    [&fixed[..], &[10, 0, 0, made.hosts.0], &[10, 0, 0, made.hosts.1], header].concat()
}

fn ipv6(made: &Made, protocol: u8, length: u16, header: &[u8]) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let address = |host: u8| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
    let fixed = [0x60, 0, 0, 0, high, low, protocol, made.ttl];
    [&fixed[..], &address(made.hosts.0), &address(made.hosts.1), header].concat()
}
