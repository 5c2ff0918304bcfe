//! Programs as text, worked out by hand; verdicts on packets built here; errors as they are read.

use cormorant_net::capture::{Capture, LinkType};
use cormorant_net::filter::{Filter, FilterError, Instruction, Program};

use crate::written::{self, Order};

fn program(text: &str, link: LinkType) -> Program {
    let filter = Filter::compile(text).unwrap_or_else(|error| panic!("{error}"));
    let program = filter.program(link).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(program.check(), Ok(()), "{text}");
    program
}

fn matches(text: &str, link: LinkType, data: &[u8]) -> bool {
    program(text, link).matches(data, data.len() as u32)
}

/// Filter, link type, program.
const PROGRAMS: &[(&str, LinkType, &str)] = &[
    ("", LinkType::ETHERNET, "(000) ret      #262144"),
    ("ip", LinkType::IPV4, "(000) ret      #262144"),
    ("ip6", LinkType::IPV4, "(000) ret      #0"),
    (
        "ip",
        LinkType::ETHERNET,
        "\
(000) ldh      [12]
(001) jeq      #0x800           jt 2\tjf 3
(002) ret      #262144
(003) ret      #0",
    ),
    // IPv6 first, whose ports lie at 54 and 56; IPv4 only when it is no later fragment. The EtherType is loaded
    // once, and a packet that is IPv6 is never asked whether it is IPv4.
    (
        "tcp port 443",
        LinkType::ETHERNET,
        "\
(000) ldh      [12]
(001) jeq      #0x86dd          jt 2\tjf 8
(002) ldb      [20]
(003) jeq      #0x6             jt 4\tjf 20
(004) ldh      [54]
(005) jeq      #0x1bb           jt 19\tjf 6
(006) ldh      [56]
(007) jeq      #0x1bb           jt 19\tjf 20
(008) jeq      #0x800           jt 9\tjf 20
(009) ldb      [23]
(010) jeq      #0x6             jt 11\tjf 20
(011) ldh      [20]
(012) jset     #0x1fff          jt 20\tjf 13
(013) ldxb     4*([14]&0xf)
(014) ldh      [x + 14]
(015) jeq      #0x1bb           jt 19\tjf 16
(016) ldxb     4*([14]&0xf)
(017) ldh      [x + 16]
(018) jeq      #0x1bb           jt 19\tjf 20
(019) ret      #262144
(020) ret      #0",
    ),
    // The tag moves everything behind it by four bytes.
    (
        "vlan 5 and ip",
        LinkType::ETHERNET,
        "\
(000) ldh      [12]
(001) jeq      #0x8100          jt 4\tjf 2
(002) jeq      #0x88a8          jt 4\tjf 3
(003) jeq      #0x9100          jt 4\tjf 10
(004) ldh      [14]
(005) and      #0xfff
(006) jeq      #0x5             jt 7\tjf 10
(007) ldh      [16]
(008) jeq      #0x800           jt 9\tjf 10
(009) ret      #262144
(010) ret      #0",
    ),
    (
        "len > 100 and not len >= 1000",
        LinkType::ETHERNET,
        "\
(000) ld       #pktlen
(001) jgt      #0x64            jt 2\tjf 4
(002) jge      #0x3e8           jt 4\tjf 3
(003) ret      #262144
(004) ret      #0",
    ),
    // Constants are computed beforehand: 2 | 1 = 3.
    (
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        LinkType::IPV4,
        "\
(000) ldb      [9]
(001) jeq      #0x6             jt 2\tjf 9
(002) ldh      [6]
(003) jset     #0x1fff          jt 9\tjf 4
(004) ldxb     4*([0]&0xf)
(005) ldb      [x + 13]
(006) and      #0x3
(007) jeq      #0x0             jt 9\tjf 8
(008) ret      #262144
(009) ret      #0",
    ),
];

#[test]
fn programs_are_those_worked_out_by_hand() {
    for (text, link, expected) in PROGRAMS {
        assert_eq!(&program(text, *link).to_string(), expected, "{text} on {link}");
    }
}

#[test]
fn a_list_longer_than_a_jump_reaches_still_decides() {
    let hosts: Vec<_> = (0..300).map(|host| format!("10.0.{}.{}", host / 256, host % 256)).collect();
    let program = program(&format!("ip src host {}", hosts.join(" or ")), LinkType::IPV4);
    assert!(program.instructions().len() > 256);
    for (host, expected) in
        [([10, 0, 0, 0], true), ([10, 0, 1, 43], true), ([10, 0, 1, 44], false), ([10, 1, 0, 0], false)]
    {
        let packet = written::ipv4(17, host, [1, 2, 3, 4], &[0; 8]);
        assert_eq!(program.matches(&packet, 28), expected, "{host:?}");
    }
}

#[test]
fn a_program_beyond_the_kernels_limit_is_an_error() {
    let hosts: Vec<_> = (0..3000).map(|host| format!("10.0.{}.{}", host / 256, host % 256)).collect();
    let filter = Filter::compile(&format!("host {}", hosts.join(" or "))).expect("a filter");
    let error = filter.program(LinkType::ETHERNET).expect_err("too long");
    assert!(matches!(error, FilterError::TooLong { .. }), "{error}");
}

#[test]
fn and_and_or_associate_to_the_left_with_equal_precedence() {
    let tcp = written::ipv4(6, [10, 0, 0, 1], [10, 0, 0, 2], &[0; 20]);
    let udp = written::ipv4(17, [10, 0, 0, 1], [10, 0, 0, 2], &[0; 8]);
    // (tcp or udp) and port 53, not tcp or (udp and port 53).
    assert!(!matches("tcp or udp and port 53", LinkType::IPV4, &tcp));
    assert!(matches("tcp or (udp and port 53)", LinkType::IPV4, &tcp));
    assert!(matches("udp and port 53 or tcp", LinkType::IPV4, &tcp));
    assert!(matches("port 1 or 0 and udp", LinkType::IPV4, &udp));
}

#[test]
fn a_look_beyond_the_captured_bytes_rejects_whatever_the_negation() {
    let packet = written::ipv4(6, [10, 0, 0, 1], [10, 0, 0, 2], &[0; 20]);
    let cut = &packet[..21];
    for text in ["tcp port 80", "not tcp port 80", "not tcp[13] & 2 = 0", "ip[2000] = 0", "not ip[2000] = 0"]
    {
        assert!(!program(text, LinkType::IPV4).matches(cut, 40), "{text}");
    }
    assert!(program("not udp", LinkType::IPV4).matches(cut, 40));
    assert!(program("len = 40", LinkType::IPV4).matches(cut, 40));
    assert!(!program("ip[8] / (ip[6] & 1) = 0", LinkType::IPV4).matches(&packet, 40), "a division by zero");
}

#[test]
fn ports_belong_to_first_fragments() {
    let mut packet = written::ipv4(17, [10, 0, 0, 1], [10, 0, 0, 2], &[0, 53, 0, 53, 0, 8, 0, 0]);
    assert!(matches("port 53", LinkType::IPV4, &packet));
    packet[6] = 0x20; // more fragments
    assert!(matches("port 53", LinkType::IPV4, &packet));
    packet[7] = 1; // not the first
    assert!(!matches("port 53", LinkType::IPV4, &packet));
    assert!(matches("udp and not port 53", LinkType::IPV4, &packet));
}

#[test]
fn loopback_families_of_every_system_and_order() {
    let ip6 = [&[0; 4][..], &[0x60], &[0; 39]].concat();
    for family in [10_u32, 24, 28, 30] {
        for order in Order::BOTH {
            let mut frame = ip6.clone();
            frame[..4].copy_from_slice(&order.u32(family));
            assert!(matches("ip6", LinkType::NULL, &frame), "{family} {order:?}");
            assert_eq!(matches("ip6", LinkType::LOOP, &frame), order == Order::Big, "{family} {order:?}");
        }
    }
}

#[test]
fn protochain_follows_extension_headers() {
    // Hop-by-hop options of 8 bytes, an authentication header of 12, UDP.
    let mut packet = vec![0x60, 0, 0, 0, 0, 28, 0, 64];
    packet.extend([0; 32]);
    packet.extend([51, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend([17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    packet.extend([0; 8]);
    for (text, expected) in [
        ("ip6 proto 17", false),
        ("ip6 protochain 17", true),
        ("ip6 protochain 51", true),
        ("ip6 protochain 0", true),
        ("protochain \\udp", true),
        ("ip6 protochain 6", false),
        ("ip protochain 17", false),
    ] {
        assert_eq!(matches(text, LinkType::IPV6, &packet), expected, "{text}");
    }
}

#[test]
fn errors_say_where_and_what_was_expected() {
    let cases = [
        (
            "tcp port",
            "the filter \"tcp port\" cannot be read at column 9: expected a port or the name of a service, found the end",
        ),
        (
            "tcp prot 80",
            "the filter \"tcp prot 80\" cannot be read at column 5: expected `and`, `or` or the end, found \"prot\"",
        ),
        (
            "10.0.0.1",
            "the filter \"10.0.0.1\" cannot be read at column 1: expected what kind of thing this is: `host`, `net`, `port`, `proto` or the like before it, found \"10.0.0.1\"",
        ),
        (
            "(tcp or udp",
            "the filter \"(tcp or udp\" cannot be read at column 12: expected `)`, `and` or `or`, found the end",
        ),
        ("ip[0 = 1", "the filter \"ip[0 = 1\" cannot be read at column 6: expected `]`, found \"=\""),
        (
            "len >",
            "the filter \"len >\" cannot be read at column 6: expected a number, `len`, or a field such as ip[0], found the end",
        ),
        (
            "port http-alternative",
            "the filter's \"http-alternative\" at column 6 cannot be used: no service is known by the name \"http-alternative\": give the port's number",
        ),
        (
            "host example.com",
            "the filter's \"example.com\" at column 6 cannot be used: names of hosts are not looked up, so that a filter means the same everywhere and a capture needs no network: give the address",
        ),
        (
            "tcp and net 10.0.0.1/8",
            "the filter's \"10.0.0.1/8\" at column 13 cannot be used: the address has bits set outside its mask",
        ),
        ("port 65536", "the filter's \"65536\" at column 6 cannot be used: the highest port is 65535"),
        (
            "udp port http",
            "the filter's \"http\" at column 10 cannot be used: http is a service of tcp: give the number",
        ),
        (
            "gateway snup",
            "the filter's \"snup\" at column 9 cannot be used: it would need the names of this machine's network: say `ether host MAC and not host ADDRESS`",
        ),
        ("len / 0 = 1", "the filter's \"len / 0\" at column 1 cannot be used: it divides by zero"),
        (
            "vlan 4096",
            "the filter's \"4096\" at column 6 cannot be used: the largest that fits there is 4095",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Filter::compile(text).expect_err(text).to_string(), expected);
    }
    let on_link = |text: &str, link| {
        Filter::compile(text).expect("a filter").program(link).expect_err(text).to_string()
    };
    assert_eq!(
        on_link("tcp or vlan 3", LinkType::RAW),
        "the filter's \"vlan 3\" at column 8 cannot be used on frames of link type RAW (101): they have no VLAN tags that could be looked at"
    );
    assert_eq!(
        on_link("ip", LinkType(189)),
        "the filter's \"ip\" at column 1 cannot be used on frames of link type USB_LINUX (189): such frames are not decoded: only `len`, `less`, `greater` and `link[...]` can be asked of them"
    );
    assert!(matches("len = 3 and link[0] = 1", LinkType(189), &[1, 2, 3]));
}

#[test]
fn nesting_is_bounded() {
    for (open, close, inner) in
        [("(", ")", "tcp"), ("not ", "", "tcp"), ("-", "", "len = 1"), ("ip[", "]", "0")]
    {
        let text = format!("{}{inner}{}", open.repeat(5000), close.repeat(5000));
        let error = Filter::compile(&text).expect_err("too deep").to_string();
        assert!(error.contains("levels of nesting"), "{error}");
    }
    let deep = format!("{}tcp{}", "(".repeat(40), ")".repeat(40));
    Filter::compile(&deep).expect("forty levels");
}

#[test]
fn flawed_programs_are_found_and_do_no_harm() {
    let instruction = |code, jt, jf, k| Instruction { code, jt, jf, k };
    let cases = [
        (vec![], "the program has 0 instructions; a kernel takes 1 to 4096"),
        (vec![instruction(0x28, 0, 0, 12)], "the program does not end with a return"),
        (vec![instruction(0x15, 9, 0, 0), instruction(6, 0, 0, 1)], "instruction 0 jumps out of the program"),
        (
            vec![instruction(0x05, 0, 0, u32::MAX), instruction(6, 0, 0, 1)],
            "instruction 0 jumps out of the program",
        ),
        (
            vec![instruction(0x60, 0, 0, 3), instruction(6, 0, 0, 1)],
            "instruction 0 reads memory before it is written",
        ),
        (
            vec![instruction(0x60, 0, 0, 16), instruction(6, 0, 0, 1)],
            "instruction 0 names a memory word above 15",
        ),
        (
            vec![instruction(0x34, 0, 0, 0), instruction(6, 0, 0, 1)],
            "instruction 0 has a constant that is not defined for it",
        ),
        (vec![instruction(0xff, 0, 0, 0), instruction(6, 0, 0, 1)], "instruction 0 has an unknown code"),
    ];
    for (instructions, flaw) in cases {
        let program = Program::new(instructions);
        assert_eq!(program.check().expect_err(flaw).to_string(), flaw);
        program.matches(&[0; 64], 64);
    }
}

#[test]
fn a_filtered_capture_keeps_the_numbers_of_its_frames() {
    let frames = written::frames();
    let file = written::pcap(Order::Little, written::Pcap::Microseconds, 1, &frames).0;
    let mut capture =
        Capture::from_reader("memory", Box::new(std::io::Cursor::new(file))).expect("a capture");
    capture.set_filter(Filter::compile("greater 48").expect("a filter"));
    let expected: Vec<_> =
        frames.iter().zip(1_u64..).filter(|(frame, _)| frame.wire_bytes >= 48).map(|found| found.1).collect();
    let mut numbers = Vec::new();
    while let Some(frame) = capture.next_frame().expect("sound frames") {
        numbers.push(frame.number);
    }
    assert!(!expected.is_empty() && expected.len() < frames.len());
    assert_eq!(numbers, expected);
    assert_eq!(capture.filtered(), (frames.len() - expected.len()) as u64);
}

#[test]
fn a_filter_that_does_not_fit_a_link_type_is_one_error() {
    let file = written::pcap(Order::Little, written::Pcap::Microseconds, 1, &written::frames()).0;
    let mut capture =
        Capture::from_reader("memory", Box::new(std::io::Cursor::new(file))).expect("a capture");
    capture.set_filter(Filter::compile("type mgt").expect("a filter"));
    let error = capture.next_frame().expect_err("no 802.11").to_string();
    assert!(error.contains("only 802.11 frames have it"), "{error}");
    assert!(capture.next_frame().expect("the end").is_none());
}
