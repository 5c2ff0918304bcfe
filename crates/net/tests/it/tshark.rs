//! Compares the innermost packet of every frame with what tshark shows of it: addresses and ports, over captures with
//! every link type and tunnel.
//!
//! `CORMORANT_AGREEMENT=all` compares all shared captures, the first 20,000 frames of each, and prints what differs.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use cormorant_net::capture::Capture;
use cormorant_net::packet::{self, Decoded, Fault, Packet, icmp};

use crate::shared;

/// Captures with MPLS, PPPoE, PPP, Cisco HDLC, 802.11, PPI and every tunnel, alone and nested.
const CAPTURES: &[&str] = &[
    "libpcap/tests/filter/geneve.pcap",
    "libpcap/tests/filter/http_PPI.pcap",
    "ndpi/cfgs/default/pcap/pptp.pcap",
    "ndpi/cfgs/default/pcap/vxlan.pcap",
    "nfstream/tests/pcaps/6in4tunnel.pcap",
    "nfstream/tests/pcaps/ajp.pcap",
    "nfstream/tests/pcaps/teredo.pcap",
    "pcapplusplus/Tests/Packet++Test/PacketExamples/CiscoHDLC.pcap",
    "pcapplusplus/Tests/Packet++Test/PacketExamples/GrePackets.pcap",
    "pcapplusplus/Tests/Packet++Test/PacketExamples/MplsPackets.pcap",
    "pcapplusplus/Tests/Packet++Test/PacketExamples/gtp-u.pcap",
    "suricata-verify/tests/bug-6402-01/input.pcap",
    "suricata-verify/tests/decode-nsh-type2/input.pcap",
    "suricata-verify/tests/pppoe/input.pcap",
    "suricata-verify/tests/vxlan-non-zero-reserved-fields/input.pcap",
    "tcpdump-tests/tests/bigtcp-ipv4-vxlan-ipv4.pcap",
    "tcpdump-tests/tests/erspan-type-i-4.pcap",
    "tcpdump-tests/tests/erspan-type-ii-3.pcap",
    "tcpdump-tests/tests/ieee802.11_htc.pcap",
    "tcpdump-tests/tests/mpls-traceroute.pcap",
    "tcpdump-tests/tests/various_gre.pcap",
    "tcpdump-tests/tests/vxlan_port_8472.pcap",
];

const MOST_FRAMES: u64 = 20_000;

/// What is asked of tshark, in the order of [`Shown`]. The list of protocols says which occurrence is which layer's.
const FIELDS: &[&str] = &[
    "frame.number",
    "frame.protocols",
    "ip.src",
    "ip.dst",
    "ipv6.src",
    "ipv6.dst",
    "tcp.srcport",
    "tcp.dstport",
    "udp.srcport",
    "udp.dstport",
    "sctp.srcport",
    "sctp.dstport",
    "dccp.srcport",
    "dccp.dstport",
    "_ws.malformed",
];

/// One frame as tshark shows it.
struct Shown<'a> {
    fields: Vec<&'a str>,
}

/// What both sides are compared in.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    source: IpAddr,
    destination: IpAddr,
    ports: (u16, u16),
}

impl<'a> Shown<'a> {
    fn of(line: &'a str) -> Shown<'a> {
        Shown { fields: line.split('\t').collect() }
    }

    fn all(&self, field: &str) -> Vec<&'a str> {
        let at = FIELDS.iter().position(|name| *name == field).expect("a field that was asked for");
        self.fields
            .get(at)
            .map_or(Vec::new(), |text| text.split(';').filter(|value| !value.is_empty()).collect())
    }

    /// The layers from the frame down to what the innermost IP packet carries. What an ICMP message quotes, and what
    /// is said inside a protocol above the transport, is no packet of its own, unless the transport is a tunnel.
    fn layers(&self) -> Vec<&'a str> {
        const TUNNELS: [&str; 6] = ["vxlan", "geneve", "gtp", "teredo", "ipv6", "ip"];
        let fields = self.fields.get(1).copied().unwrap_or_default();
        let all: Vec<&str> = fields.split(':').collect();
        let ends = |at: usize| match all[at] {
            "icmp" | "icmpv6" | "tcp" | "sctp" | "dccp" => true,
            "udp" | "udplite" => !all.get(at + 1).is_some_and(|next| TUNNELS.contains(next)),
            _ => false,
        };
        let end = (0..all.len()).find(|at| ends(*at)).map_or(all.len(), |at| at + 1);
        all[..end].to_vec()
    }

    fn seen(&self) -> Option<Seen> {
        let layers = self.layers();
        let place = layers.iter().rposition(|layer| matches!(*layer, "ip" | "ipv6"))?;
        let count = |kind: &str, end: usize| layers[..end].iter().filter(|layer| **layer == kind).count();
        let ip = layers[place];
        let value = |field: &str| self.all(field).get(count(ip, place)).and_then(|text| text.parse().ok());
        let (source, destination) = (value(&format!("{ip}.src"))?, value(&format!("{ip}.dst"))?);
        let is_transport = |at: &usize| matches!(layers[*at], "tcp" | "udp" | "sctp" | "dccp");
        let transport = (place..layers.len()).find(is_transport);
        let port = |end: &str| {
            let at = transport?;
            self.all(&format!("{}.{end}port", layers[at])).get(count(layers[at], at))?.parse().ok()
        };
        Some(Seen { source, destination, ports: (port("src").unwrap_or(0), port("dst").unwrap_or(0)) })
    }
}

/// Our side in the same words: ICMP has no ports there.
fn seen(packet: &Packet) -> Seen {
    let message = matches!(packet.protocol, icmp::ICMP | icmp::ICMPV6);
    let ports = if message { (0, 0) } else { (packet.source_port, packet.destination_port) };
    Seen { source: packet.source, destination: packet.destination, ports }
}

/// A difference that is understood: what it comes from. `None` for one that is not.
fn reason(name: &str, shown: &Shown<'_>, ours: &Decoded) -> Option<&'static str> {
    let protocols = shown.fields[1];
    let has = |text: &str| protocols.contains(text);
    let only_outer = ours.tunnel.is_none();
    Some(match ours.fault {
        Some(Fault::UndecodedLink) => "link type that we do not decode",
        Some(Fault::BadIpVersion) => "tshark believes the version nibble, we the type before it",
        Some(Fault::BadIpLength | Fault::TooManyExtensions | Fault::ShortTransport) => {
            "header that one side reads further than the other"
        }
        _ if name.starts_with("pcapng-suite/") => "tshark numbers blocks that are no packets",
        _ if name.ends_with("bug-6875-01/fuzz.pcap") => "tshark guesses another variant of pcap",
        _ if has("null:ip") && ours.packet.is_none() => "Cisco HDLC labelled as BSD loopback",
        _ if !shown.all("_ws.malformed").is_empty() || has("gre:ip") => "tshark stops inside a header",
        _ if shown.all("ip.dst") == ["0.0.0.0"] => "tshark goes by a source route",
        _ if has("ipcomp") && only_outer => "tshark decompresses",
        _ if has("pim:ip") && only_outer => "tshark follows what PIM registers",
        _ if has("teredo") && only_outer => "Teredo without an address of Teredo",
        _ if ours.tunnel.is_some_and(|tunnel| !has(tunnel.kind.name())) => {
            "tunnel on a port that tshark does not know, or with lengths of zero (large segments)"
        }
        _ => return None,
    })
}

/// Frames compared and differences by class, each with the first frame that shows it.
#[derive(Default)]
struct Agreement {
    captures: u64,
    frames: u64,
    alike: u64,
    inner: u64,
    explained: BTreeMap<&'static str, u64>,
    different: BTreeMap<String, (u64, String)>,
}

impl Agreement {
    fn compare(&mut self, name: &str, path: &Path, text: &str) {
        let Ok(mut capture) = Capture::open(path) else { return };
        self.captures += 1;
        for line in text.lines() {
            let Ok(Some(frame)) = capture.next_frame() else { return };
            let (shown, ours) = (Shown::of(line), packet::decode(&frame));
            self.frames += 1;
            self.inner += u64::from(ours.tunnel.is_some());
            let (theirs, our) = (shown.seen(), ours.packet.as_ref().map(seen));
            if theirs == our {
                self.alike += 1;
            } else if let Some(reason) = reason(name, &shown, &ours) {
                *self.explained.entry(reason).or_default() += 1;
            } else {
                let class = format!("{} | {:?} {:?}", shown.fields[1], ours.protocol, ours.fault);
                let example = || format!("{name} frame {}: {theirs:?}, ours {our:?}", frame.number);
                self.different.entry(class).or_insert_with(|| (0, example())).0 += 1;
            }
        }
    }
}

fn tshark(path: &Path) -> std::io::Result<String> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]);
    command.args(["-o", "tcp.desegment_tcp_streams:FALSE", "-c", &MOST_FRAMES.to_string()]);
    command.args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a", "-E", "aggregator=;"]);
    command.args(FIELDS.iter().flat_map(|field| ["-e", field])).arg("-r").arg(path);
    Ok(String::from_utf8_lossy(&command.output()?.stdout).into_owned())
}

#[test]
fn innermost_packets_are_those_of_tshark() {
    let test = "innermost packets beside tshark";
    let Some(folder) = shared::folder(test) else { return };
    let everything = std::env::var("CORMORANT_AGREEMENT").as_deref() == Ok("all");
    let mut agreement = Agreement::default();
    for listed in shared::captures(&folder) {
        if everything || CAPTURES.contains(&listed.name.as_str()) {
            match tshark(&listed.path) {
                Ok(text) => agreement.compare(&listed.name, &listed.path, &text),
                Err(_) => return shared::skip(test, "no tshark"),
            }
        }
    }
    let Agreement { captures, frames, alike, inner, explained, different } = agreement;
    println!("{captures} captures, {frames} frames, {inner} in tunnels: {alike} alike");
    explained.iter().for_each(|(reason, frames)| println!("{frames:8} {reason}"));
    different
        .iter()
        .for_each(|(class, (frames, example))| println!("{frames:8} {class}\n         {example}"));
    assert!(everything || captures == CAPTURES.len() as u64, "only {captures} of the captures are there");
    assert!(inner > 500, "{inner} packets in tunnels");
    assert!(different.is_empty(), "{} classes of frames differ", different.len());
}
