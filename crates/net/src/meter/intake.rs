//! The sequential stage of the meter: frames in capture order, decoded, timed, counted, and addressed to a shard.

use std::collections::BTreeMap;

use super::{MeterReport, Progress, WATCH_TICKS};
use crate::NetError;
use crate::capture::{Capture, Frame, Next};
use crate::flow::{Arrival, Clock};
use crate::packet::reassembly::{Fate, Reassembler, Settled};
use crate::packet::{self, Decoded, Fault, Packet, Tunnels};

/// Reads a capture to its end or its fault, and counts everything it sees.
pub(super) struct Intake<'a> {
    capture: &'a mut Capture,
    seed: u64,
    clock: Clock,
    reassembler: Reassembler,
    tunnels: Tunnels,
    counters: Counters,
    ticks: u64,
    quiet: bool,
    done: bool,
    fault: Option<NetError>,
}

/// What there was to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A frame.
    Frame,
    /// No frame: the capture has ended, or a live interface has nothing now.
    Pause,
}

/// What every frame is counted in.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) packets: u64,
    wire_bytes: u64,
    in_flows: u64,
    truncated: u64,
    without_flow: BTreeMap<&'static str, u64>,
    undecoded_links: BTreeMap<String, u64>,
    faults: BTreeMap<Fault, u64>,
    time_range_ns: Option<(i64, i64)>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(capture: &'a mut Capture, seed: u64) -> Intake<'a> {
        Intake {
            capture,
            seed,
            clock: Clock::default(),
            reassembler: Reassembler::default(),
            tunnels: Tunnels::default(),
            counters: Counters::default(),
            ticks: 0,
            quiet: false,
            done: false,
            fault: None,
        }
    }

    /// Whether the capture has ended, in whatever way.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Clock time at the last packet read.
    pub(super) fn now_ns(&self) -> Option<i64> {
        self.clock.now_ns()
    }

    /// The tunnels of all packets read.
    pub(super) fn tunnels(&self) -> &Tunnels {
        &self.tunnels
    }

    /// Reads one frame and hands over the packets that it settles: its own, unless that waits for other fragments,
    /// and those that have waited for it.
    #[inline]
    pub(super) fn take(&mut self, give: &mut impl FnMut(&Arrival)) -> Taken {
        if self.done {
            return Taken::Pause;
        }
        let frame = match self.capture.next() {
            Ok(Next::Frame(frame)) => frame,
            Ok(Next::Quiet) => {
                self.quiet = true;
                return Taken::Pause;
            }
            Ok(Next::End) => return self.end(None, give),
            Err(fault) => return self.end(Some(fault), give),
        };
        let clock_ns = self.clock.tick(frame.ts_ns);
        let decoded = packet::decode(&frame);
        self.counters.add(&frame);
        let (counters, tunnels, seed) = (&mut self.counters, &mut self.tunnels, self.seed);
        let mut desk = Desk { counters, tunnels, seed, at_packet: frame.number, give };
        if clock_ns >= self.reassembler.deadline_ns() {
            self.reassembler.expire(clock_ns, &mut |at_ns, settled| desk.settle(at_ns, settled));
        }
        if decoded.is_fragment() {
            self.reassembler
                .add(&frame, decoded, clock_ns, &mut |at_ns, settled| desk.settle(at_ns, settled));
        } else if let Some(packet) = &decoded.packet {
            desk.pass(packet, &decoded, clock_ns);
        } else {
            self.counters.add_without_flow(&frame, &decoded);
        }
        Taken::Frame
    }

    /// The capture ends: what still waits for fragments waits no longer.
    #[cold]
    fn end(&mut self, fault: Option<NetError>, give: &mut impl FnMut(&Arrival)) -> Taken {
        (self.done, self.fault) = (true, fault);
        let (counters, tunnels, seed) = (&mut self.counters, &mut self.tunnels, self.seed);
        let mut desk = Desk { counters, tunnels, seed, at_packet: u64::MAX, give };
        if let Some(clock_ns) = self.clock.now_ns() {
            self.reassembler.finish(clock_ns, &mut |at_ns, settled| desk.settle(at_ns, settled));
        }
        Taken::Pause
    }

    /// Whether the last tick was cut short because a live interface had nothing more.
    pub(super) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Tells the progress when it is time to; an error when the caller wants to stop.
    pub(super) fn watch(
        &mut self,
        rows: u64,
        watch: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<(), NetError> {
        self.ticks += 1;
        let quiet = std::mem::take(&mut self.quiet);
        if !self.ticks.is_multiple_of(WATCH_TICKS) && !self.done && !quiet {
            return Ok(());
        }
        let progress = Progress {
            packets: self.counters.packets,
            rows,
            consumed_bytes: self.capture.consumed_bytes(),
            size_bytes: self.capture.size_bytes(),
            dropped: self.capture.dropped(),
        };
        if watch(progress) {
            return Ok(());
        }
        Err(NetError::Cancelled { name: self.capture.name().to_owned(), packets: self.counters.packets })
    }

    /// The counters of this stage as a report; what the flow table counts is left empty.
    pub(super) fn into_report(self) -> MeterReport {
        MeterReport {
            packets_filtered: self.capture.filtered(),
            unlisted_tunnel_packets: self.tunnels.unlisted_packets(),
            datagrams: datagrams(&self.reassembler),
            duplicate_fragments: self.reassembler.counts().duplicates,
            unresolved_fragments: self.reassembler.counts().unresolved,
            backward_times: self.clock.backward(),
            clock_rebased: self.clock.rebased(),
            fault: self.fault,
            ..self.counters.into_report()
        }
    }
}

/// Where packets leave for their flows at one frame.
struct Desk<'a, G> {
    counters: &'a mut Counters,
    tunnels: &'a mut Tunnels,
    seed: u64,
    at_packet: u64,
    give: &'a mut G,
}

impl<G: FnMut(&Arrival)> Desk<'_, G> {
    #[inline]
    fn pass(&mut self, packet: &Packet, decoded: &Decoded, clock_ns: i64) {
        self.counters.in_flows += 1;
        if let Some(fault) = decoded.fault {
            self.counters.add_fault(fault);
        }
        let mut arrival = Arrival::new(packet, clock_ns, self.seed);
        arrival.at_packet = self.at_packet;
        if let Some(tunnel) = &decoded.tunnel {
            arrival.packet.tunnel = self.tunnels.number(tunnel);
        }
        (self.give)(&arrival);
    }

    fn settle(&mut self, clock_ns: i64, settled: Settled) {
        match settled {
            Settled::Packet(decoded) => {
                if let Some(packet) = &decoded.packet {
                    self.pass(packet, &decoded, clock_ns);
                }
            }
            Settled::TunnelFragment => {
                *self.counters.without_flow.entry("tunnel fragment").or_default() += 1;
            }
        }
    }
}

fn datagrams(reassembler: &Reassembler) -> Vec<(&'static str, u64)> {
    let counts = reassembler.counts();
    let fates = Fate::ALL.iter().map(|fate| (fate.name(), counts.with_fate(*fate)));
    fates.filter(|(_, datagrams)| *datagrams > 0).collect()
}

impl Counters {
    /// Counts a frame, whatever becomes of it.
    #[inline]
    pub(super) fn add(&mut self, frame: &Frame<'_>) {
        self.packets += 1;
        self.wire_bytes += u64::from(frame.wire_bytes);
        self.truncated += u64::from((frame.data.len() as u64) < u64::from(frame.wire_bytes));
        let (first_ns, last_ns) = self.time_range_ns.unwrap_or((frame.ts_ns, frame.ts_ns));
        self.time_range_ns = Some((first_ns.min(frame.ts_ns), last_ns.max(frame.ts_ns)));
    }

    /// Counts what became of a frame: part of a row, or of none for this reason.
    #[inline]
    pub(super) fn add_used(&mut self, frame: &Frame<'_>, decoded: &Decoded, reason: Option<&'static str>) {
        match (reason, decoded.fault) {
            (Some(_), Some(Fault::UndecodedLink)) => self.add_without_flow(frame, decoded),
            (reason, fault) => {
                if let Some(fault) = fault {
                    self.add_fault(fault);
                }
                match reason {
                    None => self.in_flows += 1,
                    Some(reason) => *self.without_flow.entry(reason).or_default() += 1,
                }
            }
        }
    }

    /// The counts as a report; what others count is left empty.
    pub(super) fn into_report(self) -> MeterReport {
        MeterReport {
            packets: self.packets,
            wire_bytes: self.wire_bytes,
            packets_in_flows: self.in_flows,
            packets_without_flow: self.without_flow.into_iter().collect(),
            undecoded_links: self.undecoded_links.into_iter().collect(),
            faults: self.faults.into_iter().map(|(fault, packets)| (fault.name(), packets)).collect(),
            truncated: self.truncated,
            time_range_ns: self.time_range_ns,
            ..MeterReport::default()
        }
    }

    fn add_fault(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    fn add_without_flow(&mut self, frame: &Frame<'_>, decoded: &Decoded) {
        if let Some(fault) = decoded.fault {
            self.add_fault(fault);
        }
        if decoded.fault == Some(Fault::UndecodedLink) {
            *self.undecoded_links.entry(frame.link.name().to_string()).or_default() += 1;
        }
        let reason = decoded.fault.map_or(decoded.protocol.name(), Fault::name);
        *self.without_flow.entry(reason).or_default() += 1;
    }
}
