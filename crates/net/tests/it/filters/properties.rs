//! Any text, any packet: nothing panics, every program is one that a kernel takes, and the verdicts of random
//! expressions are those of a second implementation that reads the packets' fields instead of running a program.

use std::net::{Ipv4Addr, Ipv6Addr};

use cormorant_net::capture::LinkType;
use cormorant_net::filter::Filter;
use proptest::prelude::*;
use proptest::sample::select;

const LINKS: [u32; 14] = [0, 1, 9, 12, 14, 50, 101, 105, 108, 113, 127, 228, 229, 276];

/// Compiles a text for every link type and runs what comes of it.
fn try_all(text: &str, packet: &[u8]) -> Result<(), TestCaseError> {
    let Ok(filter) = Filter::compile(text) else { return Ok(()) };
    for link in LINKS {
        if let Ok(program) = filter.program(LinkType(link)) {
            prop_assert_eq!(program.check(), Ok(()), "{} on {}", text, link);
            program.matches(packet, packet.len() as u32 + 7);
        }
    }
    Ok(())
}

/// Pieces of filters.
const PIECES: &str = r"
ip ip6 tcp udp arp icmp icmp6 ether wlan link radio host net port portrange proto protochain src
dst and or not ( ) [ ] : = != < > >= <= + - * / % & | ^ << >> len less greater vlan mpls pppoes
geneve llc i type subtype mgt beacon dir tods broadcast multicast inbound ifindex addr1 ra
10.0.0.1 10.1 192.168.0.0/16 ::1 fe80::/10 1:2:3:4:5:6 80 443 0 1 6 0x800 4294967295 http \tcp
80-90 tcp[13] ip[0] ip[2:2] tcp-syn iso isis decnet mask 255.0.0.0 gateway byte stp ipx
";

/// They, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let pieces: Vec<_> = PIECES.split_whitespace().collect();
    prop::collection::vec(select(pieces), 0..24).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}", packet in prop::collection::vec(any::<u8>(), 0..100)) {
        try_all(&text, &packet)?;
    }

    #[test]
    fn any_pieces_are_read_or_refused(text in pieces(), packet in prop::collection::vec(any::<u8>(), 0..100)) {
        try_all(&text, &packet)?;
    }

    #[test]
    fn the_list_joined_at_random_gives_sound_programs(
        parts in prop::collection::vec((any::<prop::sample::Index>(), select(vec!["and", "or", "and not", "or not"])), 1..8),
        packet in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let list: Vec<_> = super::expressions().collect();
        let mut text = "len > 0".to_owned();
        for (index, junction) in &parts {
            text = format!("{text} {junction} ({})", index.get(&list));
        }
        try_all(&text, &packet)?;
    }

    #[test]
    fn verdicts_are_those_of_the_fields(packet in packet(), question in question()) {
        let text = question.text();
        let bytes = packet.bytes();
        let filter = Filter::compile(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let program = filter.program(LinkType::ETHERNET).expect("Ethernet has all of these");
        prop_assert_eq!(program.check(), Ok(()));
        prop_assert_eq!(program.matches(&bytes, bytes.len() as u32), question.holds(&packet), "{}\n{:?}\n{}", text, packet, program);
    }
}

/// A packet by its fields.
#[derive(Clone, Debug)]
struct Packet {
    addresses: Addresses,
    transport: u8,
    ports: [u16; 2],
    later_fragment: bool,
    options: bool,
    payload: usize,
}

#[derive(Clone, Copy, Debug)]
enum Addresses {
    V4([Ipv4Addr; 2]),
    V6([Ipv6Addr; 2]),
}

/// Few different values, so that questions are often answered with yes.
fn v4() -> impl Strategy<Value = Ipv4Addr> {
    (0..3_u8, 0..3_u8).prop_map(|(net, host)| Ipv4Addr::new(10, net, 0, host))
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    (0..3_u16, 0..3_u16).prop_map(|(net, host)| Ipv6Addr::new(0x2001, net, 0, 0, 0, 0, 0, host))
}

fn port() -> impl Strategy<Value = u16> {
    select(vec![53, 80, 443, 1024, 50_000])
}

fn packet() -> impl Strategy<Value = Packet> {
    let addresses = prop_oneof![[v4(), v4()].prop_map(Addresses::V4), [v6(), v6()].prop_map(Addresses::V6),];
    let transport = select(vec![1_u8, 6, 17, 58, 132]);
    (addresses, transport, [port(), port()], prop::bool::weighted(0.2), any::<bool>(), 20..60_usize).prop_map(
        |(addresses, transport, ports, later_fragment, options, payload)| Packet {
            addresses,
            transport,
            ports,
            later_fragment,
            options,
            payload,
        },
    )
}

impl Packet {
    /// As an Ethernet frame.
    fn bytes(&self) -> Vec<u8> {
        let mut payload = vec![0; self.payload];
        payload[..2].copy_from_slice(&self.ports[0].to_be_bytes());
        payload[2..4].copy_from_slice(&self.ports[1].to_be_bytes());
        let mut frame = vec![0; 12];
        match self.addresses {
            Addresses::V4(addresses) => {
                let words = if self.options { 7 } else { 5 };
                frame.extend([0x08, 0x00, 0x40 | words, 0]);
                frame.extend((u16::from(words) * 4 + payload.len() as u16).to_be_bytes());
                frame.extend([0, 0, 0, u8::from(self.later_fragment), 64, self.transport, 0, 0]);
                frame.extend(addresses.map(|address| address.octets()).concat());
                frame.resize(14 + usize::from(words) * 4, 0);
            }
            Addresses::V6(addresses) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend((payload.len() as u16).to_be_bytes());
                frame.extend([self.transport, 64]);
                frame.extend(addresses.map(|address| address.octets()).concat());
            }
        }
        frame.extend(payload);
        frame
    }

    fn is_v4(&self) -> bool {
        matches!(self.addresses, Addresses::V4(_))
    }

    /// Whether the port of an end of the packet can be seen and satisfies `test`.
    fn has_port(&self, transport: Option<u8>, ends: Ends, test: impl Fn(u16) -> bool) -> bool {
        let known = transport.map_or([6, 17, 132].contains(&self.transport), |known| known == self.transport);
        known && !(self.is_v4() && self.later_fragment) && ends.any(self.ports, test)
    }
}

/// Source, destination, or either.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Source,
    Destination,
    Either,
    Both,
}

impl Ends {
    fn any<T: Copy>(self, [source, destination]: [T; 2], test: impl Fn(T) -> bool) -> bool {
        match self {
            Self::Source => test(source),
            Self::Destination => test(destination),
            Self::Either => test(source) || test(destination),
            Self::Both => test(source) && test(destination),
        }
    }

    fn text(self) -> &'static str {
        ["src ", "dst ", "", "src and dst "][self as usize]
    }
}

/// A question, as text and as what it means.
#[derive(Clone, Debug)]
enum Question {
    Ip,
    Ip6,
    Transport(u8),
    Host4(Ends, Ipv4Addr),
    Host6(Ends, Ipv6Addr),
    Net4(Ends, u8),
    Port(Option<u8>, Ends, u16),
    Range(Option<u8>, Ends, u16, u16),
    Less(u32),
    LongerThan(u32),
    TimeToLive(u32),
    Not(Box<Question>),
    And(Box<Question>, Box<Question>),
    Or(Box<Question>, Box<Question>),
}

fn question() -> impl Strategy<Value = Question> {
    let ends = || select(vec![Ends::Source, Ends::Destination, Ends::Either, Ends::Both]);
    let transport = || prop::option::of(select(vec![6_u8, 17, 132]));
    let leaf = prop_oneof![
        Just(Question::Ip),
        Just(Question::Ip6),
        select(vec![1_u8, 6, 17, 58, 132]).prop_map(Question::Transport),
        (ends(), v4()).prop_map(|(ends, address)| Question::Host4(ends, address)),
        (ends(), v6()).prop_map(|(ends, address)| Question::Host6(ends, address)),
        (ends(), 0..3_u8).prop_map(|(ends, net)| Question::Net4(ends, net)),
        (transport(), ends(), port())
            .prop_map(|(transport, ends, port)| Question::Port(transport, ends, port)),
        (transport(), ends(), port(), port())
            .prop_map(|(transport, ends, a, b)| Question::Range(transport, ends, a, b)),
        (50..130_u32).prop_map(Question::Less),
        (50..130_u32).prop_map(Question::LongerThan),
        (62..66_u32).prop_map(Question::TimeToLive),
    ];
    leaf.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Question::Not(Box::new(inner))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Question::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Question::Or(Box::new(a), Box::new(b))),
        ]
    })
}

fn named(transport: Option<u8>) -> &'static str {
    match transport {
        Some(6) => "tcp ",
        Some(17) => "udp ",
        Some(_) => "sctp ",
        None => "",
    }
}

impl Question {
    fn text(&self) -> String {
        match self {
            Self::Ip => "ip".to_owned(),
            Self::Ip6 => "ip6".to_owned(),
            Self::Transport(number) => format!("proto {number}"),
            Self::Host4(ends, address) => format!("{}host {address}", ends.text()),
            Self::Host6(ends, address) => format!("{}host {address}", ends.text()),
            Self::Net4(ends, net) => format!("{}net 10.{net}.0.0/16", ends.text()),
            Self::Port(transport, ends, port) => format!("{}{}port {port}", named(*transport), ends.text()),
            Self::Range(transport, ends, a, b) => {
                format!("{}{}portrange {a}-{b}", named(*transport), ends.text())
            }
            Self::Less(bytes) => format!("less {bytes}"),
            Self::LongerThan(bytes) => format!("len > {bytes}"),
            Self::TimeToLive(most) => format!("ip[8] <= {most}"),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::And(a, b) => format!("({}) and ({})", a.text(), b.text()),
            Self::Or(a, b) => format!("({}) or ({})", a.text(), b.text()),
        }
    }

    fn holds(&self, packet: &Packet) -> bool {
        let bytes = packet.bytes().len() as u32;
        match self {
            Self::Ip => packet.is_v4(),
            Self::Ip6 => !packet.is_v4(),
            Self::Transport(number) => packet.transport == *number,
            Self::Host4(ends, address) => {
                matches!(packet.addresses, Addresses::V4(both) if ends.any(both, |one| one == *address))
            }
            Self::Host6(ends, address) => {
                matches!(packet.addresses, Addresses::V6(both) if ends.any(both, |one| one == *address))
            }
            Self::Net4(ends, net) => {
                let inside = |one: Ipv4Addr| one.octets()[..2] == [10, *net];
                matches!(packet.addresses, Addresses::V4(both) if ends.any(both, inside))
            }
            Self::Port(transport, ends, port) => packet.has_port(*transport, *ends, |one| one == *port),
            Self::Range(transport, ends, a, b) => {
                packet.has_port(*transport, *ends, |one| (*a.min(b)..=*a.max(b)).contains(&one))
            }
            Self::Less(most) => bytes <= *most,
            Self::LongerThan(least) => bytes > *least,
            Self::TimeToLive(most) => packet.is_v4() && 64 <= *most,
            Self::Not(inner) => !inner.holds(packet),
            Self::And(a, b) => a.holds(packet) && b.holds(packet),
            Self::Or(a, b) => a.holds(packet) || b.holds(packet),
        }
    }
}
