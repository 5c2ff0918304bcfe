//! What is counted of a host's sessions, and the 4,104 features it becomes (NetworkML 0.4, `featurizer.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::features::{ColumnKind, RowField, RowWriter};

/// Ports below this count.
const PORTS: u16 = 1024;
const BLOCKS: [&str; 4] = ["sport_init", "dport_init", "sport_rec", "dport_rec"];
const ROLES: [&str; 2] = ["init", "rec"];
const KINDS: [&str; 4] = ["external", "tcp", "udp", "icmp"];

/// Which end of a session the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It sent the first packet.
    Initiator,
    /// It was sent the first packet.
    Receiver,
}

/// What a session runs over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Tcp,
    Udp,
    Icmp,
    Other,
}

/// A session as the host at one end counts it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) role: Role,
    /// Of the session's initiator and receiver.
    pub(super) ports: (u16, u16),
    pub(super) external: bool,
    pub(super) transport: Transport,
    /// The other end when it is private.
    pub(super) peer: Option<IpAddr>,
}

/// The sessions of one host in one bin.
#[derive(Debug, Default)]
pub(super) struct Tally {
    span: Option<(i64, i64)>,
    packets: u64,
    /// As initiator and as receiver, like all pairs here.
    sessions: [u64; 2],
    kinds: [[u64; 4]; 2],
    /// Sessions by the place of their port among the features.
    ports: BTreeMap<usize, u64>,
    peers: BTreeSet<IpAddr>,
}

impl Tally {
    /// Counts a session; bytes more that are occupied.
    pub(super) fn add(&mut self, entry: &Entry) -> u64 {
        let held = (self.ports.len(), self.peers.len());
        let role = entry.role as usize;
        for (side, port) in [(0, entry.ports.0), (1, entry.ports.1)] {
            if port < PORTS {
                *self.ports.entry((2 * role + side) * usize::from(PORTS) + usize::from(port)).or_default() +=
                    1;
            }
        }
        let counts = self.sessions.iter_mut().zip(&mut self.kinds).nth(role);
        if let Some((sessions, kinds)) = counts {
            *sessions += 1;
            kinds.iter_mut().zip(kinds_of(entry)).for_each(|(count, is)| *count += u64::from(is));
        }
        self.peers.extend(entry.peer);
        // A place in a tree holds its value and a share of the tree's nodes, which may be half empty.
        32 * (self.ports.len() - held.0) as u64 + 48 * (self.peers.len() - held.1) as u64
    }

    /// Counts packets of a session from the first's time to the last's.
    pub(super) fn cover(&mut self, packets: u64, first_ns: i64, last_ns: i64) {
        self.packets += packets;
        let (first, last) = self.span.unwrap_or((first_ns, last_ns));
        self.span = Some((first.min(first_ns), last.max(last_ns)));
    }

    /// Writes the columns after the host's addresses. With `ones` a role without session counts as one session, as
    /// NetworkML does lest it divide by 0.
    pub(super) fn write(&self, ones: bool, row: &mut RowWriter<'_>) {
        let (first_ns, last_ns) = self.span.unwrap_or_default();
        row.text(&self.peers.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" "));
        row.i64(first_ns);
        row.i64(last_ns);
        row.u64(self.packets);
        row.u64(self.sessions.iter().sum());
        let least = u64::from(ones);
        let all = self.sessions.iter().map(|sessions| (*sessions).max(least)).sum::<u64>();
        self.write_ports(all, row);
        for (kinds, sessions) in self.kinds.iter().zip(self.sessions) {
            kinds.iter().for_each(|count| row.f64(share(*count, sessions)));
        }
    }

    fn write_ports(&self, sessions: u64, row: &mut RowWriter<'_>) {
        let mut shares = vec![0.0; BLOCKS.len() * usize::from(PORTS)];
        for (place, count) in &self.ports {
            if let Some(value) = shares.get_mut(*place) {
                *value = share(*count, sessions);
            }
        }
        shares.into_iter().for_each(|value| row.f64(value));
    }
}

fn kinds_of(entry: &Entry) -> [bool; KINDS.len()] {
    let runs_over = |transport| entry.transport == transport;
    [entry.external, runs_over(Transport::Tcp), runs_over(Transport::Udp), runs_over(Transport::Icmp)]
}

fn share(count: u64, of: u64) -> f64 {
    count as f64 / of.max(1) as f64
}

const PORT: &str = "Share of the host's sessions, those it initiated (init) or received (rec), that have this port below 1024 at the initiator's end (sport) or the receiver's (dport), among its sessions of both roles; port 0 stands for sessions without ports. NetworkML 0.4.";
const KIND: &str = "Share of the sessions the host initiated (init) or received (rec) that leave for an address that is not private (external), or run over TCP, UDP or ICMP; 0 without sessions. NetworkML 0.4.";

/// The feature columns that [`Tally::write`] writes, after those of identity.
pub(super) fn fields() -> Vec<RowField> {
    let field = |name: String, doc| RowField { name, unit: "1", doc, identity: false, kind: ColumnKind::F64 };
    let ports = BLOCKS.iter().flat_map(|block| (0..PORTS).map(move |port| format!("{block}_{port}")));
    let kinds = ROLES.iter().flat_map(|role| KINDS.iter().map(move |kind| format!("{kind}_{role}")));
    ports.map(|name| field(name, PORT)).chain(kinds.map(|name| field(name, KIND))).collect()
}
