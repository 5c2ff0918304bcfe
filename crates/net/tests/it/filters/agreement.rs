//! Compares verdicts with tcpdump: every expression, over every link type of many captures, packet by packet.
//!
//! The packets of each link type become one capture whose time stamps are the packets' numbers, so that what tcpdump
//! writes back says which of them it let through.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cormorant_net::capture::{Capture, LinkType};
use cormorant_net::filter::Filter;

use crate::shared;

/// Folders and files whose captures are taken together, and how many packets of each.
const CAPTURES: &[(&str, usize)] = &[
    ("libpcap/tests/filter/", 20),
    ("tcpdump-tests/tests/", 6),
    ("pcapplusplus/Tests/Packet++Test/PacketExamples/", 6),
    ("pcapplusplus/Tests/Pcap++Test/PcapExamples/", 30),
    ("snort3-demo/tests/codecs/", 10),
    ("chrissanders/3e80211", 30),
    ("chrissanders/ip_frag_source.pcapng", 10),
    ("chrissanders/ipv6_fragments.pcapng", 22),
    ("nfstream/tests/pcaps/teredo.pcap", 24),
    ("nfstream/tests/pcaps/http_ipv6.pcap", 40),
    ("nfstream/tests/pcaps/quickplay.pcap", 60),
    ("suricata-verify/tests/decode-sll2-02/input.pcap", 159),
    ("suricata-verify/tests/linktype-228/", 7),
    ("suricata-verify/tests/pppoe/input.pcap", 37),
    ("suricata-verify/tests/decode-teredo-01/input.pcap", 30),
    ("ndpi/cfgs/default/pcap/hls.pcapng", 13),
    ("ndpi/cfgs/default/pcap/ocs.pcap", 60),
    ("ndpi/cfgs/default/pcap/opc-ua.pcap", 30),
    ("markofu/PracticalPacketAnalysis/ppa-capture-files/", 20),
];

/// Every so many packets are also taken cut short.
const CUT_EVERY: usize = 3;

/// Link types whose frames the filters know; of others only lengths and bytes can be asked for.
const LINKS: [u32; 13] = [0, 1, 9, 12, 50, 101, 105, 108, 113, 127, 228, 229, 276];

/// Where libpcap 1.10 does not do what its manual says, and we do: expressions whose verdicts must differ somewhere.
const DEPARTURES: &[(&str, &str)] = &[
    ("100 - ip[8] > 30", "fields right of an operator are read from packets that do not have them"),
    ("0 - ip[8] > 0xffffff00", "likewise"),
    ("1 << (ip[9] & 7) = 64", "likewise"),
    ("ip6 protochain 17", "behind an authentication header the way is lost"),
    ("protochain 17", "likewise"),
    ("not geneve", "in 802.11 frames the places of outer and inner headers are mixed up"),
    ("not pppoes", "likewise"),
];

struct Packet {
    data: Vec<u8>,
    wire_bytes: u32,
}

/// What tcpdump says about a filter: the packets it lets through, or why it will not have it.
type Verdicts = Result<Vec<bool>, String>;

#[test]
fn every_verdict_is_tcpdumps() {
    let Some(folder) = shared::folder("filters") else { return };
    if Command::new("tcpdump").arg("--version").output().is_err() {
        return shared::skip("filters", "tcpdump is not installed");
    }
    let packets = packets(&folder.join("pcaps"));
    let scratch = tempfile::tempdir().expect("a folder");
    let jobs: Vec<_> = packets
        .iter()
        .map(|(link, packets)| {
            let path = scratch.path().join(format!("{link}.pcap"));
            std::fs::write(&path, pcap(*link, packets)).expect("a capture");
            (*link, packets, path)
        })
        .flat_map(|job| super::expressions().map(move |expression| (job.clone(), expression)))
        .collect();
    let (next, wrong, counts) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Counts::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(((link, packets, path), expression)) =
                    jobs.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let found = compare(LinkType(*link), packets, path, expression);
                    let mut counts = counts.lock().expect("counts");
                    match found {
                        Compared::Agree(verdicts) => counts.agree(verdicts),
                        Compared::CutDiffer(packets) => counts.cut.push((packets, *expression)),
                        Compared::Refused => counts.refused += 1,
                        Compared::Differ(_) if DEPARTURES.iter().any(|known| known.0 == *expression) => {
                            counts.departed.insert(*expression);
                        }
                        Compared::Differ(what) => wrong.lock().expect("a list").push(what),
                    }
                }
            });
        }
    });
    let counts = counts.into_inner().expect("counts");
    let by_link: Vec<_> =
        packets.iter().map(|(link, packets)| format!("{} {}", LinkType(*link), packets.len())).collect();
    println!("packets by link type: {}", by_link.join(", "));
    println!(
        "{} filters with {} verdicts agree, {} are refused by both",
        counts.filters, counts.verdicts, counts.refused
    );
    let cut: usize = counts.cut.iter().map(|differ| differ.0).sum();
    println!(
        "{} filters agree with tcpdump -O, and with tcpdump but for {cut} cut packets",
        counts.cut.len()
    );
    let wrong = wrong.into_inner().expect("a list");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), jobs.len(), wrong.join("\n"));
    for (expression, why) in DEPARTURES {
        assert!(counts.departed.contains(expression), "{expression:?} no longer differs: {why}");
    }
}

#[derive(Default)]
struct Counts {
    filters: usize,
    verdicts: usize,
    refused: usize,
    cut: Vec<(usize, &'static str)>,
    departed: BTreeSet<&'static str>,
}

impl Counts {
    fn agree(&mut self, verdicts: usize) {
        self.filters += 1;
        self.verdicts += verdicts;
    }
}

/// What comparing one filter over one link type gave.
enum Compared {
    /// So many verdicts.
    Agree(usize),
    /// As tcpdump without its optimiser, which looks at cut packets in another order: so many verdicts differ.
    CutDiffer(usize),
    /// Neither will have it.
    Refused,
    Differ(String),
}

fn compare(link: LinkType, packets: &[Packet], path: &Path, expression: &str) -> Compared {
    let theirs = tcpdump(path, expression, packets.len(), &[]);
    let ours: Result<Vec<bool>, _> =
        Filter::compile(expression).and_then(|filter| filter.program(link)).map(|program| {
            assert_eq!(program.check(), Ok(()), "{link}: {expression}");
            packets.iter().map(|packet| program.matches(&packet.data, packet.wire_bytes)).collect()
        });
    let differ = |what: String| Compared::Differ(format!("{link}: {expression:?}: {what}"));
    let (ours, theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return Compared::Refused,
        (Err(error), Ok(_)) => return differ(format!("refused: {error}")),
        (Ok(_), Err(error)) => return differ(format!("tcpdump refuses: {error}")),
        (Ok(ours), Ok(theirs)) if ours == theirs => return Compared::Agree(ours.len()),
        (Ok(ours), Ok(theirs)) => (ours, theirs),
    };
    let wrong: Vec<_> = (0..ours.len()).filter(|at| ours[*at] != theirs[*at]).collect();
    let is_cut = |at: &usize| packets[*at].data.len() < packets[*at].wire_bytes as usize;
    if wrong.iter().all(is_cut) && tcpdump(path, expression, packets.len(), &["-O"]).as_ref() == Ok(&ours) {
        return Compared::CutDiffer(wrong.len());
    }
    let first = wrong[0];
    let bytes = packets[first].data.len();
    differ(format!(
        "{} packets differ, first {first} with {bytes} bytes, which matches here: {}",
        wrong.len(),
        ours[first]
    ))
}

fn tcpdump(path: &Path, expression: &str, packets: usize, options: &[&str]) -> Verdicts {
    let output = Command::new("tcpdump")
        .args(options)
        .args(["-n", "-w", "-", "-r"])
        .arg(path)
        .args(["--", expression])
        .output()
        .expect("tcpdump");
    let mut verdicts = vec![false; packets];
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let why = said.lines().last().unwrap_or_default().to_owned();
        return if why.contains("rejects all packets") { Ok(verdicts) } else { Err(why) };
    }
    let mut rest = output.stdout.get(24..).unwrap_or_default();
    while let Some((header, tail)) = rest.split_first_chunk::<16>() {
        let field =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes")) as usize;
        verdicts[field(0)] = true;
        rest = tail.get(field(8)..).unwrap_or_default();
    }
    Ok(verdicts)
}

/// The packets of all captures by link type, some of them a second time cut short.
fn packets(folder: &Path) -> BTreeMap<u32, Vec<Packet>> {
    let mut packets: BTreeMap<u32, Vec<Packet>> = LINKS.iter().map(|link| (*link, Vec::new())).collect();
    let listed = shared::captures(folder.parent().expect("a folder above"));
    for (start, most) in CAPTURES {
        for capture in listed.iter().filter(|listed| listed.name.starts_with(start)) {
            let Ok(mut capture) = Capture::open(&capture.path) else { continue };
            for _ in 0..*most {
                let Ok(Some(frame)) = capture.next_frame() else { break };
                let Some(of_link) = packets.get_mut(&frame.link.0) else { continue };
                let whole = frame.data.get(..frame.data.len().min(2000)).expect("a prefix");
                of_link.push(Packet { data: whole.to_vec(), wire_bytes: frame.wire_bytes });
                if of_link.len() % CUT_EVERY == 0 {
                    let cut = of_link.len() * 7 % 90;
                    let data = whole.get(..cut).unwrap_or(whole).to_vec();
                    of_link.push(Packet { data, wire_bytes: frame.wire_bytes });
                }
            }
        }
    }
    packets.retain(|_, packets| !packets.is_empty());
    packets
}

/// A capture whose time stamps are the packets' numbers.
fn pcap(link: u32, packets: &[Packet]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, link] {
        file.write_all(&u32::to_le_bytes(word)).expect("memory");
    }
    for (packet, number) in packets.iter().zip(0..) {
        for word in [number, 0, packet.data.len() as u32, packet.wire_bytes] {
            file.write_all(&u32::to_le_bytes(word)).expect("memory");
        }
        file.write_all(&packet.data).expect("memory");
    }
    file
}
