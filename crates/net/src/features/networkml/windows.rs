//! The set as it should be: the sessions of every host, bin by bin on a fixed grid.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::dissect::{is_group, mac_text, macs};
use super::printed::Socket;
use super::private::is_private;
use super::session::{NAME, entry_bytes};
use super::tally::{Entry, Role, Tally, Transport};
use crate::NetError;
use crate::capture::Frame;
use crate::features::frames::{Extractor, Outbox};
use crate::packet::icmp::{ICMP, ICMPV6};
use crate::packet::{Decoded, Fragment, Packet};

/// A private address and the MAC address it is behind, where the link has any.
type Host = (Option<u64>, IpAddr);

/// Both ends in order of their addresses, and the protocol.
type Key = (Socket, Socket, u8);

#[derive(Clone, Copy)]
struct Session {
    initiator: Socket,
    initiator_host: Option<Host>,
    receiver_host: Option<Host>,
}

#[derive(Default)]
struct Counted {
    tally: Tally,
    /// Whether any packet came from it: an address that is only asked for may belong to nobody.
    sent: bool,
}

/// Extracts bin by bin; holds the sessions and hosts of one.
#[derive(Default)]
pub(super) struct Windows {
    /// 0 = the whole capture.
    window_ns: i64,
    started_ns: Option<i64>,
    sessions: HashMap<Key, Session>,
    hosts: BTreeMap<Host, Counted>,
    packets: u64,
    used_bytes: u64,
    mem_bytes: u64,
}

impl Windows {
    pub(super) fn new(window: f64, mem_bytes: u64) -> Windows {
        Windows { window_ns: (window * 1e9) as i64, mem_bytes, ..Windows::default() }
    }

    /// Ends the bin when this time is past it.
    fn turn(&mut self, ts_ns: i64, out: &mut Outbox<'_>) -> Result<(), NetError> {
        let started = *self.started_ns.get_or_insert(ts_ns);
        let elapsed = ts_ns.saturating_sub(started);
        if self.window_ns > 0 && elapsed >= self.window_ns {
            self.started_ns = Some(ts_ns.saturating_sub(elapsed % self.window_ns));
            self.finish(out)?;
        }
        Ok(())
    }

    fn add(&mut self, packet: &Packet, macs: Option<(u64, u64)>) {
        let (source, destination) = sockets(packet);
        let key = (source.min(destination), source.max(destination), packet.protocol);
        let session = match self.sessions.get(&key) {
            Some(session) => *session,
            None => self.begin(key, (source, destination), macs),
        };
        let (from, to) = if session.initiator == source {
            (session.initiator_host, session.receiver_host)
        } else {
            (session.receiver_host, session.initiator_host)
        };
        self.cover(from, packet.ts_ns, true);
        if to != from {
            self.cover(to, packet.ts_ns, false);
        }
    }

    fn begin(&mut self, key: Key, ends: (Socket, Socket), macs: Option<(u64, u64)>) -> Session {
        let session = Session {
            initiator: ends.0,
            initiator_host: host(macs.map(|macs| macs.0), ends.0.0),
            receiver_host: host(macs.map(|macs| macs.1), ends.1.0),
        };
        let (source, destination) = (ends.0.0, ends.1.0);
        let entry = |role, peer: IpAddr| Entry {
            role,
            ports: (ends.0.1, ends.1.1),
            external: !is_private(source) || !is_private(destination),
            transport: transport(key.2),
            peer: Some(peer).filter(|peer| is_private(*peer)),
        };
        self.count(session.initiator_host, &entry(Role::Initiator, destination));
        self.count(session.receiver_host, &entry(Role::Receiver, source));
        self.sessions.insert(key, session);
        self.used_bytes += entry_bytes::<Key, Session>();
        session
    }

    fn count(&mut self, host: Option<Host>, entry: &Entry) {
        let Some(host) = host else { return };
        let held = self.hosts.len();
        self.used_bytes += self.hosts.entry(host).or_default().tally.add(entry);
        self.used_bytes += ((self.hosts.len() - held) * 2 * size_of::<(Host, Counted)>()) as u64;
    }

    fn cover(&mut self, host: Option<Host>, ts_ns: i64, sent: bool) {
        if let Some(counted) = host.and_then(|host| self.hosts.get_mut(&host)) {
            counted.tally.cover(1, ts_ns, ts_ns);
            counted.sent |= sent;
        }
    }
}

impl Extractor for Windows {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        decoded: &Decoded,
        out: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError> {
        self.turn(frame.ts_ns, out)?;
        let Some(packet) = &decoded.packet else { return Ok(Some("no IP packet")) };
        if matches!(packet.fragment, Fragment::Later { .. }) {
            return Ok(Some("a later fragment"));
        }
        self.packets += 1;
        self.add(packet, macs(frame));
        if self.used_bytes > self.mem_bytes {
            return Err(NetError::TooLong { set: NAME, packets: self.packets, mem_bytes: self.mem_bytes });
        }
        Ok(None)
    }

    fn finish(&mut self, out: &mut Outbox<'_>) -> Result<(), NetError> {
        self.sessions = HashMap::new();
        self.used_bytes = 0;
        for ((mac, address), counted) in std::mem::take(&mut self.hosts) {
            if counted.sent {
                out.row(|row| {
                    row.text(&mac.map(mac_text).unwrap_or_default());
                    row.text(&address.to_string());
                    counted.tally.write(false, row);
                })?;
            }
        }
        Ok(())
    }
}

/// `None` for an end that is no single private host.
fn host(mac: Option<u64>, address: IpAddr) -> Option<Host> {
    let single = is_private(address) && !address.is_unspecified() && !mac.is_some_and(is_group);
    single.then_some((mac, address))
}

/// Both ends; what stands for ports in other protocols is none.
fn sockets(packet: &Packet) -> (Socket, Socket) {
    let ports = if matches!(packet.protocol, ICMP | ICMPV6) {
        (0, 0)
    } else {
        (packet.source_port, packet.destination_port)
    };
    ((packet.source, ports.0), (packet.destination, ports.1))
}

fn transport(protocol: u8) -> Transport {
    match protocol {
        6 => Transport::Tcp,
        17 => Transport::Udp,
        ICMP | ICMPV6 => Transport::Icmp,
        _ => Transport::Other,
    }
}
