//! `networkml-host` and `networkml-session` as they should be, on captures made by hand.

use cormorant_net::NetError;
use cormorant_net::capture::Capture;
use cormorant_net::features::Rows;
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::{MeterSpec, meter};

use crate::networkml::shown;
use crate::packet_rows::pcap;
use crate::written::{Written, ipv4};

const SECOND_NS: i64 = 1_000_000_000;
const LAPTOP: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PRINTER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const EVERYONE: [u8; 6] = [255; 6];

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// A frame of a second after the beginning, from one MAC address to another.
fn frame(second: i64, ends: ([u8; 6], [u8; 6]), kind: u16, payload: &[u8]) -> Written {
    let data = [&ends.1[..], &ends.0, &kind.to_be_bytes(), payload].concat();
    Written { ts_ns: 1_700_000_000 * SECOND_NS + second * SECOND_NS, wire_bytes: data.len() as u32, data }
}

fn tagged(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&[0, 7][..], &kind.to_be_bytes(), payload].concat()
}

fn ports(from: u16, to: u16) -> Vec<u8> {
    [from.to_be_bytes(), to.to_be_bytes()].concat()
}

fn udp(from: u16, to: u16) -> Vec<u8> {
    [ports(from, to), vec![0, 8, 0, 0]].concat()
}

fn tcp(from: u16, to: u16) -> Vec<u8> {
    [ports(from, to), vec![0; 8], vec![0x50, 2, 0, 0, 0, 0, 0, 0]].concat()
}

fn ipv6(next: u8, source: [u8; 16], destination: [u8; 16], above: &[u8]) -> Vec<u8> {
    let [high, low] = (above.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, next, 64][..], &source, &destination, above].concat()
}

/// fe80:: and this number.
fn local(number: u8) -> [u8; 16] {
    let mut address = [0; 16];
    (address[0], address[1], address[15]) = (0xfe, 0x80, number);
    address
}

fn loopback() -> [u8; 16] {
    let mut address = [0; 16];
    address[15] = 1;
    address
}

fn extract(mut capture: Capture, set: &str, mem_bytes: u64) -> Result<Vec<Rows>, NetError> {
    let flow = FlowConfig { mem_bytes, ..FlowConfig::default() };
    let spec = MeterSpec { sets: vec![set.to_owned()], flow, ..MeterSpec::default() };
    let mut batches = Vec::new();
    meter(&mut capture, &spec, &mut |_| true, &mut |rows| {
        batches.push(rows);
        Ok(())
    })?;
    Ok(batches)
}

/// The columns named, row by row.
fn table<const N: usize>(frames: &[Written], set: &str, names: [&str; N]) -> Vec<[String; N]> {
    let batches = extract(pcap(frames), set, 64 << 20).expect("rows");
    let rows =
        |rows: &Rows| (0..rows.len).map(|row| names.map(|name| shown(rows, name, row))).collect::<Vec<_>>();
    batches.iter().flat_map(rows).collect()
}

fn texts<const N: usize>(row: [&str; N]) -> [String; N] {
    row.map(str::to_owned)
}

#[test]
fn hosts_have_the_ports_of_ipv6() {
    let packet = ipv6(6, local(1), local(2), &tcp(50_000, 443));
    let frames = [frame(0, (LAPTOP, PRINTER), IPV6, &packet)];
    let names = ["host_mac", "srcips", "tcp_priv_port_443_out", "ipv6", "nonip"];
    let laptop = ["02:00:00:00:00:01", "fe80::1", "1", "1", "0"];
    assert_eq!(table(&frames, "networkml-host", names), [texts(laptop)]);
    assert_eq!(table(&frames, "networkml-host:compat", names)[0][2], "0");
}

#[test]
fn hosts_behind_a_vlan_tag_are_ip() {
    let packet = ipv4(17, [10, 0, 0, 1], [10, 0, 0, 2], &udp(50_000, 53));
    let frames = [frame(0, (LAPTOP, PRINTER), 0x8100, &tagged(IPV4, &packet))];
    let names = ["nonip", "tagged_vlan", "ipv4", "udp_priv_port_53_out"];
    assert_eq!(table(&frames, "networkml-host", names), [texts(["0", "1", "1", "1"])]);
    assert_eq!(table(&frames, "networkml-host:compat", names), [texts(["1", "1", "1", "1"])]);
}

#[test]
fn hosts_keep_small_addresses_of_ipv6() {
    let frames = [frame(0, (LAPTOP, PRINTER), IPV6, &ipv6(17, loopback(), loopback(), &udp(1, 2)))];
    assert_eq!(table(&frames, "networkml-host", ["srcips"]), [texts(["::1"])]);
    assert_eq!(table(&frames, "networkml-host:compat", ["srcips"]), [texts(["0.0.0.1"])]);
}

#[test]
fn hosts_name_the_flags_of_ip() {
    let with = |flags: u8| {
        let mut packet = ipv4(17, [10, 0, 0, 1], [10, 0, 0, 2], &udp(1, 2));
        packet[6] = flags;
        [frame(0, (LAPTOP, PRINTER), IPV4, &packet)]
    };
    let names = ["ip_flags_mf_out", "ip_flags_df_out", "ip_flags_reserved_out"];
    for (flags, expected) in [(0x20, ["1", "0", "0"]), (0x40, ["0", "1", "0"]), (0x80, ["0", "0", "1"])] {
        assert_eq!(table(&with(flags), "networkml-host", names), [texts(expected)]);
    }
}

/// Three frames of the laptop, 2 s and 5 s apart, and one of the printer between them.
fn conversation() -> [Written; 4] {
    let to = ipv4(17, [10, 0, 0, 1], [10, 0, 0, 2], &udp(50_000, 53));
    let back = ipv4(17, [10, 0, 0, 2], [10, 0, 0, 1], &udp(53, 50_000));
    [
        frame(0, (LAPTOP, PRINTER), IPV4, &to),
        frame(1, (PRINTER, LAPTOP), IPV4, &back),
        frame(2, (LAPTOP, PRINTER), IPV4, &to),
        frame(7, (LAPTOP, PRINTER), IPV4, &to),
    ]
}

#[test]
fn gaps_are_the_hosts_own() {
    let names = ["count_time_delta_out", "total_time_delta_out", "max_time_delta_out", "count_time_delta_in"];
    let expected = [texts(["2e0", "7e0", "5e0", "0e0"]), texts(["0e0", "0e0", "0e0", "2e0"])];
    assert_eq!(table(&conversation(), "networkml-host", names), expected);
    // NetworkML counts from the frame before in the file, whoever sent it: 0 + 1 + 5.
    let compat = table(&conversation(), "networkml-host:compat:all", names);
    assert_eq!(compat[0], texts(["3e0", "6e0", "5e0", "1e0"]));
}

#[test]
fn hosts_have_a_row_per_window() {
    let names = ["host_mac", "packets", "count_frame_len_out"];
    let expected = [
        ["02:00:00:00:00:01", "3", "2e0"],
        ["02:00:00:00:00:02", "3", "1e0"],
        ["02:00:00:00:00:01", "1", "1e0"],
    ];
    assert_eq!(table(&conversation(), "networkml-host:window=3", names), expected.map(texts));
}

const SESSION: [&str; 4] = ["host_mac", "address", "packets", "sessions"];

#[test]
fn every_private_host_has_its_sessions() {
    let mut frames = conversation().to_vec();
    let out = ipv4(6, [10, 0, 0, 1], [8, 8, 8, 8], &tcp(50_001, 443));
    frames.push(frame(8, (LAPTOP, [2, 0, 0, 0, 0, 9]), IPV4, &out));
    // Asked for, but never there.
    let silent = ipv4(17, [10, 0, 0, 1], [10, 0, 0, 7], &udp(50_000, 161));
    frames.push(frame(9, (LAPTOP, [2, 0, 0, 0, 0, 7]), IPV4, &silent));
    let everyone = ipv4(17, [10, 0, 0, 1], [10, 0, 0, 255], &udp(137, 137));
    frames.push(frame(10, (LAPTOP, EVERYONE), IPV4, &everyone));
    let expected = [["02:00:00:00:00:01", "10.0.0.1", "7", "4"], ["02:00:00:00:00:02", "10.0.0.2", "4", "1"]];
    assert_eq!(table(&frames, "networkml-session", SESSION), expected.map(texts));
    let names = ["other_ips", "external_init", "tcp_init", "udp_init", "udp_rec", "dport_init_53"];
    let expected = [
        ["10.0.0.2 10.0.0.7 10.0.0.255", "2.5e-1", "2.5e-1", "7.5e-1", "0e0", "2.5e-1"],
        ["10.0.0.1", "0e0", "0e0", "0e0", "1e0", "0e0"],
    ];
    assert_eq!(table(&frames, "networkml-session", names), expected.map(texts));
    // The printer received one session and initiated none: the whole of it has port 53.
    assert_eq!(table(&frames, "networkml-session", ["dport_rec_53"])[1], texts(["1e0"]));
}

#[test]
fn sessions_know_ipv6_and_vlan() {
    let names =
        ["host_mac", "tcp_init", "udp_init", "icmp_init", "dport_init_443", "sport_init_0", "sessions"];
    // Hop-by-hop options before TCP.
    let behind = [&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp(50_000, 443)].concat();
    let frames = [
        frame(0, (LAPTOP, PRINTER), IPV6, &ipv6(0, local(1), local(2), &behind)),
        frame(
            1,
            (LAPTOP, PRINTER),
            0x8100,
            &tagged(IPV6, &ipv6(58, local(1), local(2), &[128, 0, 0, 0, 0, 1, 0, 1])),
        ),
        frame(2, (LAPTOP, PRINTER), 0x8100, &tagged(IPV6, &ipv6(17, local(1), local(2), &udp(50_000, 443)))),
        frame(2, (PRINTER, LAPTOP), 0x8100, &tagged(IPV6, &ipv6(17, local(2), local(1), &udp(443, 50_000)))),
    ];
    let third = format!("{:e}", 1.0 / 3.0);
    let two = format!("{:e}", 2.0 / 3.0);
    let rows = table(&frames, "networkml-session", names);
    assert_eq!(rows[0], texts(["02:00:00:00:00:01", &third, &third, &third, &two, &third, "3"]));
    assert_eq!(rows[1], texts(["02:00:00:00:00:02", "0e0", "0e0", "0e0", "0e0", "0e0", "3"]));
}

#[test]
fn loopback_is_a_private_host() {
    let frames = [frame(0, ([0; 6], [0; 6]), IPV6, &ipv6(6, loopback(), loopback(), &tcp(50_000, 80)))];
    let names = ["address", "packets", "sessions", "external_init", "dport_init_80", "dport_rec_80"];
    let expected = ["::1", "1", "2", "0e0", "5e-1", "5e-1"];
    assert_eq!(table(&frames, "networkml-session", names), [texts(expected)]);
}

#[test]
fn bins_lie_on_a_grid() {
    let at =
        |second| frame(second, (LAPTOP, PRINTER), IPV4, &ipv4(17, [10, 0, 0, 1], [8, 8, 8, 8], &udp(5, 53)));
    let frames = [0, 800, 1000, 1850, 3700].map(at);
    let names = ["first_ns", "packets", "sessions"];
    let start = |second: i64| ((1_700_000_000 + second) * SECOND_NS).to_string();
    let expected = [(0, "2"), (1000, "1"), (1850, "1"), (3700, "1")];
    let rows = table(&frames, "networkml-session", names);
    assert_eq!(rows, expected.map(|(second, packets)| texts([&start(second), packets, "1"])));
    // NetworkML's second bin begins at 1000 s and holds 1850 s as well.
    let compat = table(&frames, "networkml-session:compat:skip=0", names);
    assert_eq!(compat.len(), 0, "the only session began with the capture");
    assert_eq!(table(&frames, "networkml-session:window=0", names), [texts([&start(0), "5", "1"])]);
    assert_eq!(table(&frames, "networkml-session:window=1000", names).len(), 3);
}

#[test]
fn compat_keeps_the_faults() {
    let to = |second, protocol, number| {
        let packet = ipv4(protocol, [10, 0, 0, 1], [10, 0, 0, number], &[0; 8]);
        frame(second, (LAPTOP, PRINTER), IPV4, &packet)
    };
    // Two packets without ports at one time: the second stands for both.
    let frames =
        [to(0, 47, 2), to(120, 1, 3), to(121, 47, 4), to(121, 1, 4), to(1021, 47, 5), to(1022, 1, 3)];
    let names = ["first_ns", "packets", "sessions", "icmp_init", "sport_init_0"];
    let start = |second: i64| ((1_700_000_000 + second) * SECOND_NS).to_string();
    let expected = [
        texts([&start(121), "1", "1", "1e0", "5e-1"]),
        // What began at 120 s is ignored still.
        texts([&start(1021), "1", "1", "0e0", "5e-1"]),
    ];
    assert_eq!(table(&frames, "networkml-session:compat", names), expected);
    let meant = table(&frames, "networkml-session", ["packets", "sessions", "icmp_init"]);
    assert_eq!(meant, [texts(["4", "4", "5e-1"]), texts(["2", "2", "5e-1"])]);
}

#[test]
fn sessions_beyond_memory_are_refused() {
    let packet = |port: u16| ipv4(17, [10, 0, 0, 1], [8, 8, 8, 8], &udp(port, 53));
    let frames = (1..2000).map(|port| frame(i64::from(port), (LAPTOP, PRINTER), IPV4, &packet(port)));
    let frames = frames.collect::<Vec<_>>();
    for set in ["networkml-session:window=0", "networkml-session:compat"] {
        let error = extract(pcap(&frames), set, 64 << 10).expect_err("too little memory");
        assert!(matches!(error, NetError::TooLong { set: "networkml-session", .. }), "{error}");
    }
    // A bin at a time fits.
    assert!(extract(pcap(&frames), "networkml-session:window=60", 64 << 10).is_ok());
}

#[test]
fn columns_have_their_names() {
    let frames = [frame(0, (LAPTOP, PRINTER), IPV4, &ipv4(17, [10, 0, 0, 1], [8, 8, 8, 8], &udp(5, 53)))];
    let batches = extract(pcap(&frames), "networkml-session", 64 << 20).expect("rows");
    let fields = &batches[0].schema.fields;
    let identity = fields.iter().take_while(|field| field.identity).count();
    let features = fields.iter().skip(identity).map(|field| field.name.as_str()).collect::<Vec<_>>();
    assert_eq!((identity, features.len()), (7, 4104));
    let expected =
        [(0, "sport_init_0"), (1024, "dport_init_0"), (2048, "sport_rec_0"), (4095, "dport_rec_1023")];
    assert!(expected.iter().all(|(index, name)| features[*index] == *name), "{features:?}");
    let kinds = ["external_init", "tcp_init", "udp_init", "icmp_init"];
    assert_eq!(features[4096..4100], kinds);
}
