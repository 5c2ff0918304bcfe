//! `:compat`: sessions, bins and capture source of NetworkML 0.4.0 (`pcap_reader.py`, `pcap_utils.py`), which holds the
//! whole capture before it makes a row.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use super::dissect::{mac_text, macs};
use super::printed::{Socket, ends};
use super::private::is_private_text;
use super::session::{NAME, entry_bytes};
use super::tally::{Entry, Role, Tally, Transport};
use crate::NetError;
use crate::capture::Frame;
use crate::features::frames::{Extractor, Outbox};
use crate::packet::Decoded;

/// What NetworkML knows a packet by: time in microseconds, as tcpdump prints it, and both ends.
type Stamp = (i64, Socket, Socket);
/// Both ends in order of their addresses.
type Pair = (Socket, Socket);
/// MAC address and IP address.
type Host = (u64, IpAddr);

/// What is read from the frame that stands for a session.
#[derive(Clone, Copy)]
struct First {
    macs: (u64, u64),
    /// Byte 23, where the protocol stands in IPv4 without tags.
    byte: Option<u8>,
}

struct Session {
    bin: u64,
    ends: (Socket, Socket),
    first: First,
    first_ns: i64,
    last_ns: i64,
    packets: u64,
}

/// Holds every packet's stamp and every session until the capture ends.
#[derive(Default)]
pub(super) struct Original {
    public: bool,
    /// 0 = one bin.
    window_us: i64,
    skip_us: i64,
    began_us: Option<i64>,
    bin_us: i64,
    bin: u64,
    /// The packets so far, with the session each stands for.
    stamps: HashMap<Stamp, Option<usize>>,
    /// When each pair of ends was first seen.
    starts: HashMap<Pair, i64>,
    /// The sessions of the present bin.
    open: HashMap<Pair, usize>,
    sessions: Vec<Session>,
    packets: u64,
    used_bytes: u64,
    mem_bytes: u64,
}

impl Original {
    pub(super) fn new(public: bool, window: f64, skip: f64, mem_bytes: u64) -> Original {
        let [window_us, skip_us] = [window, skip].map(|seconds| (seconds * 1e6) as i64);
        Original { public, window_us, skip_us, mem_bytes, ..Original::default() }
    }

    fn add(&mut self, ends: (Socket, Socket), first: First, ts_ns: i64) {
        let stamp = (ts_ns.div_euclid(1000), ends.0, ends.1);
        if let Some(known) = self.stamps.get(&stamp) {
            // A packet of equal time and ends takes the place of the earlier one.
            if let Some(session) = known.and_then(|session| self.sessions.get_mut(session)) {
                session.first = first;
            }
            return;
        }
        self.turn(stamp.0);
        let begun = self.join(ends, first, ts_ns);
        self.stamps.insert(stamp, begun);
        self.used_bytes += entry_bytes::<Stamp, Option<usize>>();
    }

    /// Ends the bin at a packet that is past it, and begins the next right there.
    fn turn(&mut self, now_us: i64) {
        if self.began_us.is_none() {
            self.began_us = Some(now_us);
            self.bin_us = now_us;
        }
        if self.window_us > 0 && now_us.saturating_sub(self.bin_us) >= self.window_us {
            self.bin += 1;
            self.bin_us = now_us;
            self.open.clear();
        }
    }

    /// Counts a packet in its session; the session it begins, if it does.
    fn join(&mut self, ends: (Socket, Socket), first: First, ts_ns: i64) -> Option<usize> {
        let pair = (ends.0.min(ends.1), ends.0.max(ends.1));
        if let Some(session) = self.open.get(&pair).and_then(|session| self.sessions.get_mut(*session)) {
            session.packets += 1;
            session.last_ns = session.last_ns.max(ts_ns);
            session.first_ns = session.first_ns.min(ts_ns);
            return None;
        }
        if !self.is_late(pair, ts_ns.div_euclid(1000)) {
            return None;
        }
        let session = self.sessions.len();
        self.open.insert(pair, session);
        self.sessions.push(Session {
            bin: self.bin,
            ends,
            first,
            first_ns: ts_ns,
            last_ns: ts_ns,
            packets: 1,
        });
        // The last term is for counting its hosts in the end.
        self.used_bytes += entry_bytes::<Pair, usize>()
            + 2 * size_of::<Session>() as u64
            + 2 * entry_bytes::<Host, (u64, usize)>();
        Some(session)
    }

    /// Whether a pair of ends was first seen after the time that is skipped.
    fn is_late(&mut self, pair: Pair, now_us: i64) -> bool {
        let held = self.starts.len();
        let start = *self.starts.entry(pair).or_insert(now_us);
        self.used_bytes += (self.starts.len() - held) as u64 * entry_bytes::<Pair, i64>();
        start.saturating_sub(self.began_us.unwrap_or(start)) > self.skip_us
    }

    /// The addresses at the ends of most sessions, the first seen of equals; zeros when none counts.
    fn source(&self) -> Host {
        let mut counts = HashMap::<Host, (u64, usize)>::new();
        for session in &self.sessions {
            for host in session.hosts() {
                if self.public || is_private_text(host.1) {
                    let order = counts.len();
                    counts.entry(host).or_insert((0, order)).0 += 1;
                }
            }
        }
        let most = counts.into_iter().max_by_key(|(_, (count, order))| (*count, usize::MAX - order));
        most.map_or((0, Ipv4Addr::UNSPECIFIED.into()), |(host, _)| host)
    }
}

impl Session {
    fn hosts(&self) -> [Host; 2] {
        [(self.first.macs.0, self.ends.0.0), (self.first.macs.1, self.ends.1.0)]
    }

    /// Counts the session for a MAC address, which may be at both its ends.
    fn count(&self, mac: u64, tally: &mut Tally) {
        let [(initiator, source), (receiver, destination)] = self.hosts();
        for (at, role, peer) in
            [(initiator, Role::Initiator, destination), (receiver, Role::Receiver, source)]
        {
            if at == mac {
                tally.add(&Entry {
                    role,
                    ports: (self.ends.0.1, self.ends.1.1),
                    external: !is_private_text(source) || !is_private_text(destination),
                    transport: self.first.transport(),
                    peer: Some(peer).filter(|peer| is_private_text(*peer)),
                });
            }
        }
        tally.cover(self.packets, self.first_ns, self.last_ns);
    }
}

impl First {
    fn transport(&self) -> Transport {
        match self.byte {
            Some(6) => Transport::Tcp,
            Some(17) => Transport::Udp,
            Some(1) => Transport::Icmp,
            _ => Transport::Other,
        }
    }
}

impl Extractor for Original {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        _: &Decoded,
        _: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError> {
        let Some(macs) = macs(frame) else { return Ok(Some("no Ethernet header")) };
        let Some(ends) = ends(frame.data) else { return Ok(Some("no IP packet")) };
        self.packets += 1;
        self.add(ends, First { macs, byte: frame.data.get(23).copied() }, frame.ts_ns);
        if self.used_bytes > self.mem_bytes {
            return Err(NetError::TooLong { set: NAME, packets: self.packets, mem_bytes: self.mem_bytes });
        }
        Ok(None)
    }

    fn finish(&mut self, out: &mut Outbox<'_>) -> Result<(), NetError> {
        let (mac, address) = self.source();
        for bin in self.sessions.chunk_by(|a, b| a.bin == b.bin) {
            let mut tally = Tally::default();
            bin.iter().for_each(|session| session.count(mac, &mut tally));
            out.row(|row| {
                row.text(&mac_text(mac));
                row.text(&address.to_string());
                tally.write(true, row);
            })?;
        }
        Ok(())
    }
}
