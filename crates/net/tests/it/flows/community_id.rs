//! Community IDs equal the published baselines (github.com/corelight/community-id-spec and pycommunityid's tests).

use std::net::IpAddr;

use cormorant_net::flow::{FlowKey, community_id::community_id};
use cormorant_net::packet::{Fragment, Packet, icmp};

/// Protocol, source, destination, ports (or ICMP type and code), IDs with seed 0 and 1.
type Vector = (u8, &'static str, &'static str, u16, u16, &'static str, &'static str);

const VECTORS: &[Vector] = &[
    (
        58,
        "fe80::200:86ff:fe05:80da",
        "fe80::260:97ff:fe07:69ea",
        135,
        0,
        "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY=",
    ),
    (
        58,
        "fe80::260:97ff:fe07:69ea",
        "fe80::200:86ff:fe05:80da",
        136,
        0,
        "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=",
        "1:kHa1FhMYIT6Ym2Vm2AOtoOARDzY=",
    ),
    (
        58,
        "fe80::260:97ff:fe07:69ea",
        "fe80::200:86ff:fe05:80da",
        135,
        0,
        "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        "1:2hSqmsDZ2kdcY9kbiUzOEBic0iM=",
    ),
    (
        58,
        "fe80::200:86ff:fe05:80da",
        "fe80::260:97ff:fe07:69ea",
        136,
        0,
        "1:zavyT/cezQr1fmImYCwYnMXbgck=",
        "1:2hSqmsDZ2kdcY9kbiUzOEBic0iM=",
    ),
    (
        58,
        "3ffe:501:1800:2345::2",
        "3ffe:507:0:1:200:86ff:fe05:80da",
        3,
        0,
        "1:2ObVBgIn28oZvibYZhZMBgh7WdQ=",
        "1:lVEtCZpYu84Xqaa++3lXFyuu2n4=",
    ),
    (
        58,
        "3ffe:501:410:0:2c0:dfff:fe47:33e",
        "3ffe:507:0:1:200:86ff:fe05:80da",
        1,
        4,
        "1:hLZd0XGWojozrvxqE0dWB1iM6R0=",
        "1:W8MHwXpWzpoSTD+cGcaJr4u0ys8=",
    ),
    (
        58,
        "3ffe:507:0:1:200:86ff:fe05:80da",
        "3ffe:501:0:1001::2",
        128,
        0,
        "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        "1:GfZxjAkDk2MkegpBYHV6tadtFXQ=",
    ),
    (
        58,
        "3ffe:501:0:1001::2",
        "3ffe:507:0:1:200:86ff:fe05:80da",
        129,
        0,
        "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg=",
        "1:GfZxjAkDk2MkegpBYHV6tadtFXQ=",
    ),
    (
        58,
        "fe80::200:86ff:fe05:80da",
        "ff02::2",
        133,
        0,
        "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0=",
        "1:L7Ka0ZMYu+J3bL4ulW2PrqyXNo8=",
    ),
    (
        58,
        "fe80::260:97ff:fe07:69ea",
        "ff02::1",
        134,
        0,
        "1:pkvHqCL88/tg1k4cPigmZXUtL00=",
        "1:K/ee5UCqAMAQXDorP5nSa2CGLjc=",
    ),
    (
        58,
        "3ffe:507:0:1:260:97ff:fe07:69ea",
        "3ffe:507:0:1:200:86ff:fe05:80da",
        3,
        0,
        "1:NdobDX8PQNJbAyfkWxhtL2Pqp5w=",
        "1:OlOWx9psIbBFi7lOCw/4MhlKR9M=",
    ),
    (
        58,
        "3ffe:507:0:1:200:86ff:fe05:80da",
        "3ffe:507:0:1:260:97ff:fe07:69ea",
        3,
        0,
        "1:/OGBt9BN1ofenrmSPWYicpij2Vc=",
        "1:Ij4ZxnC87/MXzhOjvH2vHu7LRmE=",
    ),
    (
        1,
        "192.168.0.89",
        "192.168.0.1",
        8,
        0,
        "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=",
        "1:03g6IloqVBdcZlPyX8r0hgoE7kA=",
    ),
    (
        1,
        "192.168.0.1",
        "192.168.0.89",
        0,
        8,
        "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=",
        "1:03g6IloqVBdcZlPyX8r0hgoE7kA=",
    ),
    (
        1,
        "192.168.0.1",
        "192.168.0.89",
        0,
        20,
        "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=",
        "1:03g6IloqVBdcZlPyX8r0hgoE7kA=",
    ),
    (
        1,
        "192.168.0.89",
        "192.168.0.1",
        20,
        0,
        "1:3o2RFccXzUgjl7zDpqmY7yJi8rI=",
        "1:lCXHHxavE1Vq3oX9NH5ladQg02o=",
    ),
    (
        1,
        "192.168.0.89",
        "192.168.0.1",
        20,
        1,
        "1:tz/fHIDUHs19NkixVVoOZywde+I=",
        "1:Ie3wmFyxiEyikbsbcO03d2nh+PM=",
    ),
    (1, "10.0.0.1", "10.0.0.2", 11, 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM=", "1:XjUibYHaafLQ3pxQeiMI8g25q20="),
    (
        6,
        "2001:470:e5bf:dead:4957:2174:e82c:4887",
        "2607:f8b0:400c:c03::1a",
        63_943,
        25,
        "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        "1:eJYTW6AOzFLlSUoESovMjnu7rMw=",
    ),
    (
        6,
        "2607:f8b0:400c:c03::1a",
        "2001:470:e5bf:dead:4957:2174:e82c:4887",
        25,
        63_943,
        "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=",
        "1:eJYTW6AOzFLlSUoESovMjnu7rMw=",
    ),
    (
        132,
        "192.168.170.8",
        "192.168.170.56",
        7,
        7,
        "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs=",
        "1:5w3ZRjeKBzqT3zsaEECDGjUbYeg=",
    ),
    (
        132,
        "192.168.170.56",
        "192.168.170.8",
        80,
        7,
        "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=",
        "1:Y1/0jQg6e+I3ZwZZ9LP65DNbTXU=",
    ),
    (
        6,
        "128.232.110.120",
        "66.35.250.204",
        34_855,
        80,
        "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        "1:3V71V58M3Ksw/yuFALMcW0LAHvc=",
    ),
    (
        6,
        "66.35.250.204",
        "128.232.110.120",
        80,
        34_855,
        "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        "1:3V71V58M3Ksw/yuFALMcW0LAHvc=",
    ),
    (
        6,
        "10.0.0.1",
        "10.0.0.2",
        10,
        11_569,
        "1:SXBGMX1lBOwhhoDrZynfROxnhnM=",
        "1:HmBRGR+fUyXF4t8WEtal7Y0gEAo=",
    ),
    (
        17,
        "192.168.1.52",
        "8.8.8.8",
        54_585,
        53,
        "1:d/FP5EW3wiY1vCndhwleRRKHowQ=",
        "1:Q9We8WO3piVF8yEQBNJF4uiSVrI=",
    ),
    (
        17,
        "8.8.8.8",
        "192.168.1.52",
        53,
        54_585,
        "1:d/FP5EW3wiY1vCndhwleRRKHowQ=",
        "1:Q9We8WO3piVF8yEQBNJF4uiSVrI=",
    ),
    (46, "10.1.12.1", "10.1.12.2", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=", "1:rYir8gphR31noO9iDRQmF/BteEI="),
    (46, "10.1.12.2", "10.1.12.1", 0, 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw=", "1:rYir8gphR31noO9iDRQmF/BteEI="),
    (46, "10.1.24.4", "10.1.12.1", 0, 0, "1:/nQI4Rh/TtY3mf0R2gJFBkVlgS4=", "1:BK3BVW3U2eemuwVQVN3zd/GULno="),
];

fn packet((protocol, source, destination, from, to, ..): &Vector) -> Packet {
    let answer = u8::try_from(*from).ok().and_then(|kind| icmp::answering_type(*protocol, kind));
    Packet {
        number: 1,
        offset: 0,
        ts_ns: 0,
        wire_bytes: 0,
        captured_bytes: 0,
        source: source.parse::<IpAddr>().expect("an address"),
        destination: destination.parse::<IpAddr>().expect("an address"),
        source_port: *from,
        destination_port: answer.map_or(*to, u16::from),
        protocol: *protocol,
        vlan: 0,
        network: 0,
        tunnel: 0,
        ip_bytes: 0,
        header_bytes: 0,
        payload_bytes: 0,
        payload: (0, 0),
        ttl: 64,
        tos: 0,
        tcp: None,
        fragment: Fragment::None,
    }
}

#[test]
fn the_published_vectors() {
    for vector in VECTORS {
        let (key, _) = FlowKey::of(&packet(vector));
        let ids = [0, 1].map(|seed| String::from_utf8(community_id(&key, seed).to_vec()).expect("ASCII"));
        assert_eq!(ids, [vector.5, vector.6], "{vector:?}");
    }
}

#[test]
fn the_vlan_is_part_of_the_key_but_not_of_the_id() {
    let plain = packet(&VECTORS[25]);
    let (key, _) = FlowKey::of(&plain);
    let (tagged, _) = FlowKey::of(&Packet { vlan: 7, ..plain });
    assert_ne!(key, tagged);
    assert_eq!(community_id(&key, 0), community_id(&tagged, 0));
}

#[test]
fn one_way_messages_keep_their_direction() {
    let vector = VECTORS[15];
    let there = packet(&vector);
    let back = Packet { source: there.destination, destination: there.source, ..there };
    assert_ne!(FlowKey::of(&there).0, FlowKey::of(&back).0);
}

#[test]
fn a_mapped_address_is_not_the_address_it_maps() {
    let plain = packet(&VECTORS[25]);
    let mapped = |address: IpAddr| match address {
        IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
        other => other,
    };
    let six = Packet { source: mapped(plain.source), destination: mapped(plain.destination), ..plain };
    assert_ne!(FlowKey::of(&plain).0, FlowKey::of(&six).0);
    assert_eq!(FlowKey::of(&six).0.low().0, six.destination.min(six.source));
}
