//! What `inspect` counts, beside what tshark and capinfos count on the same captures.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cormorant_net::capture::Capture;
use cormorant_net::inspect::{Inspection, inspect};
use cormorant_net::packet::Protocol;

use crate::shared;

/// Captures without tunnels, fragments and damage, where both mean the same by every number, and with enough in them.
const COMPARED: usize = 60;

/// Captures made with times before 1970, beyond 2262 or with more than a second of fraction.
const ODD_TIMES: [&str; 4] =
    ["pcapng-example.pcapng", "bgp_vpn_rt-oobr", "pim_header_asan-2", "timestamp_invalid_nano"];

fn inspected(path: &Path) -> Option<Inspection> {
    let mut capture = Capture::open(path).ok()?;
    Some(inspect(&mut capture, &mut |_| true).expect("not cancelled"))
}

/// Whether both count the same things in it.
fn is_plain(found: &Inspection) -> bool {
    let ethernet = found.links.iter().all(|tally| tally.of.0 == 1);
    ethernet && found.tunnels.is_empty() && found.fragments == 0 && found.malformed.is_empty()
}

/// Fields of every packet as tshark prints them, first occurrence: addresses, lengths and checksum verdicts.
fn tshark(path: &Path) -> Option<Vec<Vec<String>>> {
    const FIELDS: [&str; 11] = [
        "frame.time_epoch",
        "frame.len",
        "ip.src",
        "ip.dst",
        "ipv6.src",
        "ipv6.dst",
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "frame.cap_len",
        "frame.protocols",
    ];
    let mut command = Command::new("tshark");
    command.arg("-nr").arg(path).args(["-T", "fields", "-E", "occurrence=f"]);
    for name in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{name}.check_checksum:TRUE")]);
    }
    FIELDS.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    let output = shared::output(&mut command)?;
    Some(output.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

fn assert_agreement(name: &str, found: &Inspection, rows: &[Vec<String>]) {
    let number = |row: &Vec<String>, at: usize| row[at].parse::<u64>().unwrap_or_default();
    assert_eq!(found.packets, rows.len() as u64, "{name}");
    assert_eq!(found.bytes, rows.iter().map(|row| number(row, 1)).sum::<u64>(), "{name}");
    assert_eq!(found.captured_bytes, rows.iter().map(|row| number(row, 9)).sum::<u64>(), "{name}");
    let (mut seconds, mut talkers) =
        (BTreeMap::<i64, (u64, u64)>::new(), BTreeMap::<String, (u64, u64)>::new());
    for row in rows {
        let second = row[0].split('.').next().and_then(|text| text.parse().ok()).expect("a time");
        let entry = seconds.entry(second).or_default();
        *entry = (entry.0 + 1, entry.1 + number(row, 1));
        for at in [2, 3, 4, 5].into_iter().filter(|at| !row[*at].is_empty()) {
            let entry = talkers.entry(row[at].clone()).or_default();
            *entry = (entry.0 + 1, entry.1 + number(row, 1));
        }
    }
    let most = |of: fn(&(u64, u64)) -> u64| seconds.values().map(of).max().unwrap_or_default();
    assert_eq!((found.busiest_packets, found.busiest_bytes), (most(|x| x.0), most(|x| x.1)), "{name}");
    assert_eq!(found.hosts, talkers.len() as u64, "{name}");
    for talker in &found.talkers {
        let sum = (talker.sent_packets + talker.received_packets, talker.sent_bytes + talker.received_bytes);
        assert_eq!(talkers.get(&talker.address.to_string()), Some(&sum), "{name}: {}", talker.address);
    }
    for (of, at) in [(Protocol::Ipv4, 6), (Protocol::Tcp, 7), (Protocol::Udp, 8)] {
        // An ICMP error shows the checksum of the packet that it quotes.
        let own = |row: &&Vec<String>| at == 6 || !row[10].contains(":icmp");
        let count = |status: &str| rows.iter().filter(own).filter(|row| row[at] == status).count() as u64;
        let ours = found.checksums.iter().find(|verdicts| verdicts.of == of);
        let (good, rest) = ours.map_or((0, 0), |x| (x.good, x.bad + x.absent + x.unchecked));
        assert_eq!(good, count("1"), "{name}: good {of:?}");
        // Wireshark 4 calls what was left to the network card bad.
        assert_eq!(rest, count("0") + count("2") + count("3"), "{name}: other {of:?}");
        assert!(ours.is_none_or(|x| x.bad <= count("0")), "{name}: bad {of:?}");
    }
}

#[test]
fn numbers_are_those_of_tshark() {
    let Some(folder) = shared::folder("numbers_are_those_of_tshark") else { return };
    let (mut compared, mut packets) = (0, 0);
    for listed in shared::captures(&folder).iter().filter(|listed| listed.status == "ok") {
        if compared == COMPARED {
            break;
        }
        let Some(found) = inspected(&listed.path) else { continue };
        if !is_plain(&found) || found.ip_packets < 50 {
            continue;
        }
        let Some(rows) = tshark(&listed.path) else { return };
        assert_agreement(&listed.name, &found, &rows);
        (compared, packets) = (compared + 1, packets + found.packets);
    }
    println!("compared {compared} captures, {packets} packets");
    assert!(compared >= COMPARED, "only {compared} captures are plain enough");
}

/// Packets, bytes, first and last time of every capture that both read to its end.
#[test]
fn totals_are_those_of_capinfos() {
    let Some(folder) = shared::folder("totals_are_those_of_capinfos") else { return };
    let captures = shared::captures(&folder);
    let sound: Vec<_> = captures.iter().filter(|listed| listed.status == "ok").collect();
    let (mut compared, mut different) = (0, Vec::new());
    for some in sound.chunks(500) {
        let mut command = Command::new("capinfos");
        command.args(["-TMmQrScdaeK"]).args(some.iter().map(|listed| &listed.path));
        let Some(output) = shared::output(&mut command) else { return };
        for line in output.lines() {
            let fields: Vec<&str> = line.split(',').map(|field| field.trim_matches('"')).collect();
            let listed = some.iter().find(|listed| listed.path.to_str() == fields.first().copied());
            let (Some(listed), [_, packets, bytes, first, last, ..]) = (listed, fields.as_slice()) else {
                continue;
            };
            let Some(found) = inspected(&listed.path).filter(|found| found.fault.is_none()) else { continue };
            let theirs = (packets.parse().ok(), bytes.parse().ok(), ns(first), ns(last));
            let mut ours = (Some(found.packets), Some(found.bytes), found.first_ns, found.last_ns);
            // Wireshark takes the four bytes before a SunATM (123) cell for its own, not for the wire's.
            let sunatm = found.links.iter().any(|tally| tally.of.0 == 123);
            if (sunatm || claims_less(&listed.path)) && ours.1 > theirs.1 {
                ours.1 = theirs.1;
            }
            // Without a time in every packet capinfos gives none, and odd times it shows as it computes them.
            if theirs.2.is_none() || ODD_TIMES.iter().any(|name| listed.name.contains(name)) {
                (ours.2, ours.3) = (theirs.2, theirs.3);
            }
            if ours != theirs {
                different.push(format!("{}: {ours:?}, capinfos {theirs:?}", listed.name));
            }
            compared += 1;
        }
    }
    assert!(different.is_empty(), "{} of {compared}:\n{}", different.len(), different.join("\n"));
    assert!(compared > 2_000, "compared only {compared} captures");
}

/// Whether some record of a pcap file says that less was on the wire than was captured: then what was captured counts
/// here, and what the record says for capinfos.
fn claims_less(path: &Path) -> bool {
    let mut capture = Capture::open(path).expect("opened before");
    let file = std::fs::read(path).expect("opened before");
    let (is_pcap, big_endian) = (capture.format() == "pcap", file.first() == Some(&0xa1));
    let field = |at: usize| {
        let bytes = *file.get(at..)?.first_chunk::<4>()?;
        Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    while let Ok(Some(frame)) = capture.next_frame() {
        let at = frame.offset as usize;
        if is_pcap && field(at + 12) < field(at + 8) {
            return true;
        }
    }
    false
}

/// Seconds with a fraction, as nanoseconds; beyond the years that these can count, the bound.
fn ns(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.')?;
    let fraction = format!("{fraction:0<9}").get(..9)?.parse::<i64>().ok()?;
    let whole = seconds.parse::<i64>().ok()?.saturating_mul(1_000_000_000);
    Some(if seconds.starts_with('-') {
        whole.saturating_sub(fraction)
    } else {
        whole.saturating_add(fraction)
    })
}
