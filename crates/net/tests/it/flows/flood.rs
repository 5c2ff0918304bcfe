//! A flood of half-open flows neither grows the table beyond its budget nor costs established flows their identity.

use std::io::{Read, Write};
use std::process::Command;

use cormorant_net::capture::Capture;
use cormorant_net::features::{Needs, RowColumn, Rows};
use cormorant_net::flow::{ExpiryReason, FlowTable};
use cormorant_net::meter::{MeterReport, MeterSpec, meter};

use super::pcap;
use crate::written::{Written, ethernet, ipv4};

/// A capture made while it is read: connections that stay alive amid SYNs from random addresses.
struct Flood {
    pending: Vec<u8>,
    taken: usize,
    at: u64,
    packets: u64,
    established: u64,
    /// Packets of the flood for each packet of an established connection.
    ratio: u64,
    spray: Spray,
}

/// What floods.
#[derive(Clone, Copy)]
enum Spray {
    /// Connection attempts from random IPv4 addresses.
    Syn,
    /// Datagrams from random IPv4 addresses.
    Udp,
    /// Echo requests from random IPv4 addresses.
    Echo,
    /// Datagrams from random addresses of one IPv6 /64.
    Network,
    /// Connection attempts of one host to each port of 256 hosts (or more).
    Scan,
}

const STEP_NS: u64 = 2_000;

impl Flood {
    fn new(packets: u64, established: u64, ratio: u64, spray: Spray) -> Flood {
        Flood { pending: pcap(&[]), taken: 0, at: 0, packets, established, ratio, spray }
    }

    fn next_frame(&self) -> Vec<u8> {
        let set_up = 3 * self.established;
        if self.at < set_up {
            let (client, step) = (self.at / 3, self.at % 3);
            let (backward, flags) = [(false, 0x02), (true, 0x12), (false, 0x10)][step as usize];
            return established(client, backward, flags);
        }
        let since = self.at - set_up;
        if since.is_multiple_of(self.ratio) {
            let turn = since / self.ratio;
            return established(turn % self.established, (turn / self.established).is_multiple_of(2), 0x18);
        }
        // The finaliser of SplitMix64: every value of `at` gives another address and port.
        let mut x = self.at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
        let source = [(x >> 8) as u8 | 128, (x >> 16) as u8, (x >> 24) as u8, (x >> 32) as u8];
        let [.., b, c, d] = (self.at as u32).to_be_bytes();
        match self.spray {
            Spray::Scan => tcp(
                [10, 3, 0, 1],
                [10, 4, self.at.to_be_bytes()[4], b],
                60_000,
                u16::from_be_bytes([c, d]),
                0x02,
            ),
            Spray::Echo => echo(source),
            Spray::Network => datagram6(x),
            Spray::Syn => tcp(source, [10, 9, 9, 9], (x >> 40) as u16, 80, 0x02),
            Spray::Udp => crate::written::udp(source, [10, 9, 9, 9], (x >> 40) as u16, 53, b"?"),
        }
    }
}

fn established(client: u64, backward: bool, flags: u8) -> Vec<u8> {
    let [.., b, c] = client.to_be_bytes();
    let (client, server) = ([10, 1, b, c], [10, 2, 0, 1]);
    if backward { tcp(server, client, 443, 50_000, flags) } else { tcp(client, server, 50_000, 443, flags) }
}

fn tcp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, flags: u8) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let header = [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 1, 0, 0, 0, 0, 0]].concat();
    ethernet(0x0800, &ipv4(6, source, destination, &header))
}

fn echo(source: [u8; 4]) -> Vec<u8> {
    ethernet(0x0800, &ipv4(1, source, [10, 9, 9, 9], &[8, 0, 0, 0, 0, 1, 0, 1]))
}

/// A datagram from host `x` of 2001:db8::/64.
fn datagram6(x: u64) -> Vec<u8> {
    let prefix = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0];
    let fixed = [0x60, 0, 0, 0, 0, 8, 17, 64];
    let server = [&prefix[..], &[0xff; 8]].concat();
    let udp = [0x03, 0xe8, 0, 53, 0, 8, 0, 0];
    ethernet(0x86dd, &[&fixed[..], &prefix, &x.to_be_bytes(), &server, &udp].concat())
}

impl Read for Flood {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.taken == self.pending.len() {
            self.pending.clear();
            self.taken = 0;
            while self.at < self.packets && self.pending.len() < 1 << 16 {
                let data = self.next_frame();
                let ts_ns = (1_700_000_000_000_000_000 + self.at * STEP_NS) as i64;
                let record = pcap(&[Written { ts_ns, wire_bytes: data.len() as u32, data }]);
                self.pending.extend(&record[24..]);
                self.at += 1;
            }
        }
        let count = buffer.len().min(self.pending.len() - self.taken);
        buffer[..count].copy_from_slice(&self.pending[self.taken..self.taken + count]);
        self.taken += count;
        Ok(count)
    }
}

/// Runs the flood; says how many established connections are one single flow from set-up to end.
fn run(flood: Flood, spec: &MeterSpec) -> (u64, MeterReport) {
    let mut whole = 0;
    let mut capture = Capture::from_reader("flood", Box::new(flood)).expect("a capture");
    let report = meter(&mut capture, spec, &mut |_| true, &mut |rows| {
        whole += whole_connections(&rows);
        Ok(())
    });
    (whole, report.expect("nothing can fail"))
}

/// Flows of the established connections that have seen the handshake and live at the end.
fn whole_connections(rows: &Rows) -> u64 {
    let (Some(RowColumn::Text(reasons)), Some(RowColumn::U64(handshakes))) =
        (rows.column("expiry_reason"), rows.column("handshake"))
    else {
        panic!("columns")
    };
    (0..rows.len).filter(|&row| handshakes[row] == 1 && reasons.get(row) == Some("end")).count() as u64
}

fn spec(mem_bytes: u64, threads: usize) -> MeterSpec {
    let mut spec = MeterSpec { threads, ..MeterSpec::default() };
    spec.flow.mem_bytes = mem_bytes;
    spec
}

fn assert_survival(spray: Spray, packets: u64, established: u64, mem_bytes: u64) {
    let spec = spec(mem_bytes, 2);
    let (whole, report) = run(Flood::new(packets, established, 50, spray), &spec);
    assert!(whole * 100 >= established * 99, "{whole} of {established} kept their identity");
    let capacity = FlowTable::new(&spec.flow, Needs::STATS).capacity();
    assert!(report.peak_flows <= capacity, "{} flows, {capacity} fit", report.peak_flows);
    assert!(report.ended_by(ExpiryReason::Evicted) > packets / 2, "{report:?}");
    assert_eq!(report.flows, report.ended.iter().map(|(_, flows)| flows).sum::<u64>());
    assert_eq!((report.packets, report.packets_in_flows), (packets, packets));
}

#[test]
fn established_flows_survive_half_open_ones() {
    assert_survival(Spray::Syn, 300_000, 200, 4 << 20);
}

#[test]
fn established_flows_survive_a_spray_of_datagrams() {
    assert_survival(Spray::Udp, 200_000, 200, 4 << 20);
}

#[test]
fn established_flows_survive_echo_requests_networks_and_scans() {
    for spray in [Spray::Echo, Spray::Network, Spray::Scan] {
        assert_survival(spray, 200_000, 200, 4 << 20);
    }
}

#[test]
fn half_open_flows_take_at_most_a_quarter() {
    let spec = spec(4 << 20, 1);
    let (_, report) = run(Flood::new(100_000, 1, 1_000, Spray::Syn), &spec);
    let capacity = FlowTable::new(&spec.flow, Needs::STATS).capacity();
    assert!(report.peak_flows <= capacity / 4 + 64, "{} flows of {capacity}", report.peak_flows);
}

/// Rows that end while time stands still leave at once: nothing accumulates outside the budget.
#[test]
fn time_that_stands_still_holds_no_row_back() {
    let mut file = pcap(&[]);
    for at in 0..50_000_u32 {
        let [a, b, c, d] = at.to_be_bytes();
        let data = tcp([172, b, c, d], [10, 9, 9, 9], 1_000 + u16::from(a), 80, 0x02);
        file.extend(&pcap(&[Written { ts_ns: 5_000_000_000, wire_bytes: data.len() as u32, data }])[24..]);
    }
    let mut capture = Capture::from_reader("still", Box::new(std::io::Cursor::new(file))).expect("a capture");
    let (mut delivered, mut behind) = (0, 0);
    let report = meter(
        &mut capture,
        &spec(1 << 20, 1),
        &mut |progress| {
            behind = behind.max(progress.packets - progress.rows);
            true
        },
        &mut |rows| {
            delivered += rows.len as u64;
            Ok(())
        },
    );
    assert_eq!(report.expect("nothing can fail").flows, 50_000);
    assert_eq!(delivered, 50_000);
    assert!(behind < 1_500, "{behind} packets without a row");
}

/// The figures of the stated bound: `CORMORANT_FLOOD=1 cargo test --release -p cormorant-net --test it -- --nocapture
/// ten_million`. Each spray has a process of its own, since the peak is the process's.
#[test]
fn ten_million_half_open_flows() {
    ten_million("ten_million_half_open_flows", Spray::Syn);
}

#[test]
fn ten_million_datagrams() {
    ten_million("ten_million_datagrams", Spray::Udp);
}

#[test]
fn ten_million_hosts_of_a_network() {
    ten_million("ten_million_hosts_of_a_network", Spray::Network);
}

/// 65,536 ports of 152 hosts.
#[test]
fn ten_million_ports() {
    ten_million("ten_million_ports", Spray::Scan);
}

/// Set in the process that one spray has to itself.
const ALONE: &str = "CORMORANT_FLOOD_ALONE";

fn ten_million(test: &str, spray: Spray) {
    if std::env::var_os("CORMORANT_FLOOD").is_none() {
        let _ = writeln!(std::io::stderr(), "skipped: {test}: takes a minute; set CORMORANT_FLOOD=1");
        return;
    }
    if std::env::var_os(ALONE).is_none() {
        let name = format!("flows::flood::{test}");
        let mut alone = Command::new(std::env::current_exe().expect("this program"));
        let status = alone.args(["--exact", &name, "--nocapture"]).env(ALONE, "1").status();
        assert!(status.expect("it starts again").success(), "{test} alone");
        return;
    }
    let before = resident_bytes();
    assert_survival(spray, 10_000_000, 1_000, 128 << 20);
    let after = peak_bytes();
    let _ = writeln!(
        std::io::stderr(),
        "{test}: {:.1} MiB resident before, {:.1} MiB at the peak, budget 128 MiB",
        before as f64 / 1_048_576.0,
        after as f64 / 1_048_576.0
    );
    assert!(after <= before + (128 << 20) * 5 / 4, "{after} bytes at the peak, {before} before");
}

fn resident_bytes() -> u64 {
    status("VmRSS:")
}

fn peak_bytes() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024
}
