//! TCP conversations equal Wireshark's `tcp.stream`, packet by packet, once no timeout cuts a flow.
//! `benches/agree.py` does the same over every capture, and says what explains the differences.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cormorant_net::capture::Capture;
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::MeterSpec;

use super::{integer, meter_capture, rows};
use crate::shared;

/// Captures compared.
const CAPTURES: usize = 25;

/// First packet of a conversation -> packets and IP bytes.
type Conversations = BTreeMap<i128, (i128, i128)>;

/// The same in tshark: the last IP header counts, and what an ICMP message quotes does not.
fn theirs(path: &Path) -> Option<Conversations> {
    let fields = ["frame.number", "frame.protocols", "tcp.stream", "ip.len", "ipv6.plen"];
    let output = Command::new("tshark")
        .args(["-n", "-T", "fields", "-E", "occurrence=l", "-o", "ip.defragment:FALSE"])
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .arg("-r")
        .arg(path)
        .output()
        .ok()?;
    let (mut firsts, mut conversations) = (BTreeMap::new(), Conversations::new());
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let [number, protocols, stream, ip, ipv6] = line.split('\t').collect::<Vec<_>>()[..] else {
            continue;
        };
        let number: i128 = number.parse().ok()?;
        if stream.is_empty() || protocols.contains("icmp") {
            continue;
        }
        let bytes = ip.parse().or_else(|_| ipv6.parse().map(|above: i128| above + 40)).ok()?;
        let first = *firsts.entry(stream.to_owned()).or_insert(number);
        let (packets, sum) = conversations.entry(first).or_default();
        (*packets, *sum) = (*packets + 1, *sum + bytes);
    }
    output.status.success().then_some(conversations)
}

fn ours(path: &Path) -> Option<Conversations> {
    let forever = i64::MAX;
    let flow = FlowConfig {
        idle_ns: forever,
        active_ns: forever,
        close_delay_ns: forever,
        half_open_ns: forever,
        mem_bytes: 1 << 30,
        ..FlowConfig::default()
    };
    let spec = MeterSpec { sets: Vec::new(), flow, ..MeterSpec::default() };
    let (batches, report) = meter_capture(Capture::open(path).ok()?, &spec);
    let rows = rows(&batches);
    let tcp = rows.iter().filter(|row| integer(row, "protocol") == 6);
    let conversations = tcp
        .map(|row| (integer(row, "first_packet"), (integer(row, "packets"), integer(row, "bytes"))))
        .collect();
    report.fault.is_none().then_some(conversations)
}

#[test]
fn tcp_conversations_are_wiresharks() {
    let test = "tcp_conversations_are_wiresharks";
    if Command::new("tshark").arg("--version").output().is_err() {
        return shared::skip(test, "no tshark");
    }
    let Some(folder) = shared::folder(test) else { return };
    // Whole Ethernet captures with enough conversations, spread over the list: no tunnels, fragments or cut packets.
    let fits = |listed: &shared::Listed| {
        listed.status == "ok" && (100..5_000).contains(&listed.packets) && listed.protocols.contains("tcp")
    };
    let fitting: Vec<shared::Listed> = shared::captures(&folder).into_iter().filter(fits).collect();
    let step = (fitting.len() / (2 * CAPTURES)).max(1);
    let (mut compared, mut conversations) = (0, 0);
    for listed in fitting.iter().step_by(step) {
        if compared == CAPTURES || is_special(&listed.path) {
            continue;
        }
        let (Some(theirs), Some(ours)) = (theirs(&listed.path), ours(&listed.path)) else { continue };
        assert_eq!(theirs, ours, "{}", listed.name);
        compared += 1;
        conversations += theirs.len();
    }
    assert!(compared >= 20 && conversations > 200, "{compared} captures, {conversations} conversations");
}

/// Whether the capture holds what Wireshark and a flow table count differently on purpose: tunnels, VLANs, fragments,
/// cut packets, offloaded lengths.
fn is_special(path: &Path) -> bool {
    let filter = "vlan or gre or vxlan or gtp or teredo or mpls or pppoes or ip.flags.mf==1 or ip.frag_offset>0 or \
                  ipv6.fraghdr or frame.cap_len<frame.len or (tcp and ip.len==0) or _ws.malformed";
    let output = Command::new("tshark").args(["-n", "-c", "5000", "-Y", filter, "-r"]).arg(path).output();
    output.is_ok_and(|output| !output.stdout.is_empty())
}
