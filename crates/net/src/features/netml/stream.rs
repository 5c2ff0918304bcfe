//! The default form: netml's vectors of flows that end when they fall silent, row by row while the capture is read.
//!
//! A flow is what the same two ends say to each other, in both directions and over either IP version, until none of
//! them has said anything for the interval. That is a point in packet time, so rows leave in the order of their flows'
//! last packets (equal ones by the first), and whoever is idle longest goes first when the memory is full.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::growing::Growing;
use super::settings::Settings;
use crate::NetError;
use crate::capture::Frame;
use crate::features::frames::{Extractor, Outbox};
use crate::flow::Clock;
use crate::packet::{Decoded, Fault, Fragment, Packet};

/// Both ends and the protocol; the greater end last unless a direction is a flow of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    ends: [(IpAddr, u16); 2],
    protocol: u8,
}

impl Key {
    fn of(packet: &Packet, is_one_way: bool) -> Key {
        let mut ends = [(packet.source, packet.source_port), (packet.destination, packet.destination_port)];
        if !is_one_way {
            ends.sort_unstable();
        }
        Key { ends, protocol: packet.protocol }
    }
}

/// The flows that have not ended.
pub(super) struct Stream {
    settings: Settings,
    flows: HashMap<Key, Growing>,
    /// Those flows by clock time of their last packet and number of their first.
    idle: BTreeMap<(i64, u64), Key>,
    clock: Clock,
    used_bytes: u64,
    mem_bytes: u64,
    let_go: u64,
}

impl Stream {
    /// No flow yet.
    pub(super) fn new(settings: Settings, mem_bytes: u64) -> Stream {
        Stream {
            settings,
            flows: HashMap::new(),
            idle: BTreeMap::new(),
            clock: Clock::default(),
            used_bytes: 0,
            mem_bytes,
            let_go: 0,
        }
    }

    fn add(&mut self, packet: &Packet, now_ns: i64) {
        let key = Key::of(packet, self.settings.is_one_way);
        let settings = &self.settings;
        let flow = match self.flows.remove(&key) {
            Some(mut flow) => {
                self.used_bytes = self.used_bytes.saturating_sub(flow.charge());
                self.idle.remove(&(flow.clock_ns, flow.first_packet()));
                flow.add(packet, now_ns, settings);
                flow
            }
            None => Growing::begin(packet, now_ns, settings),
        };
        self.used_bytes += flow.charge();
        self.idle.insert((now_ns, flow.first_packet()), key);
        self.flows.insert(key, flow);
    }

    /// Ends the flows that had their last packet before this clock time.
    fn end_before(&mut self, since_ns: i64, out: &mut Outbox<'_>) -> Result<(), NetError> {
        while self.idle.first_key_value().is_some_and(|((last_ns, _), _)| *last_ns < since_ns) {
            self.end_oldest(out)?;
        }
        Ok(())
    }

    fn end_oldest(&mut self, out: &mut Outbox<'_>) -> Result<(), NetError> {
        let Some((_, key)) = self.idle.pop_first() else { return Ok(()) };
        let Some(flow) = self.flows.remove(&key) else { return Ok(()) };
        self.used_bytes = self.used_bytes.saturating_sub(flow.charge());
        if flow.packets() < self.settings.least {
            return Ok(());
        }
        out.row(|row| flow.write(&self.settings, row))
    }
}

impl Extractor for Stream {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        decoded: &Decoded,
        out: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError> {
        let now_ns = self.clock.tick(frame.ts_ns);
        self.end_before(now_ns.saturating_sub(self.settings.interval_ns), out)?;
        let Some(packet) = decoded.packet.filter(|packet| has_ports(packet, decoded.fault)) else {
            return Ok(Some("neither TCP nor UDP"));
        };
        self.add(&packet, now_ns);
        while self.used_bytes > self.mem_bytes && !self.idle.is_empty() {
            self.let_go += 1;
            self.end_oldest(out)?;
        }
        Ok(None)
    }

    fn finish(&mut self, out: &mut Outbox<'_>) -> Result<(), NetError> {
        while !self.idle.is_empty() {
            self.end_oldest(out)?;
        }
        Ok(())
    }

    fn let_go(&self) -> u64 {
        self.let_go
    }
}

/// Whether the packet has a whole TCP or UDP header.
fn has_ports(packet: &Packet, fault: Option<Fault>) -> bool {
    match packet.protocol {
        6 => packet.tcp.is_some(),
        17 => {
            !matches!(packet.fragment, Fragment::Later { .. })
                && !matches!(fault, Some(Fault::ShortTransport))
        }
        _ => false,
    }
}
