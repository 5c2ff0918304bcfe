//! The sequential stage of the meter: frames in capture order, decoded, timed, counted, and addressed to a shard.

use std::collections::BTreeMap;

use super::{MeterReport, Progress, WATCH_TICKS};
use crate::NetError;
use crate::capture::{Capture, Frame, Next};
use crate::flow::{Arrival, Clock};
use crate::packet::{self, Decoded, Fault, FragmentPorts, Protocol, Tunnels};

/// Reads a capture to its end or its fault, and counts everything it sees.
pub(super) struct Intake<'a> {
    capture: &'a mut Capture,
    seed: u64,
    clock: Clock,
    fragments: FragmentPorts,
    tunnels: Tunnels,
    counters: Counters,
    ticks: u64,
    quiet: bool,
    done: bool,
    fault: Option<NetError>,
}

/// What reading one frame gave.
pub(super) enum Taken {
    /// A packet of a flow.
    Arrival(Arrival),
    /// A frame that belongs to no flow.
    WithoutFlow,
    /// No frame: the capture has ended, or a live interface has nothing now.
    Pause,
}

#[derive(Default)]
struct Counters {
    packets: u64,
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
            fragments: FragmentPorts::default(),
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

    /// Reads one frame.
    #[inline]
    pub(super) fn take(&mut self) -> Taken {
        if self.done {
            return Taken::Pause;
        }
        let frame = match self.capture.next() {
            Ok(Next::Frame(frame)) => frame,
            Ok(Next::Quiet) => {
                self.quiet = true;
                return Taken::Pause;
            }
            Ok(Next::End) => {
                self.done = true;
                return Taken::Pause;
            }
            Err(fault) => {
                self.done = true;
                self.fault = Some(fault);
                return Taken::Pause;
            }
        };
        let clock_ns = self.clock.tick(frame.ts_ns);
        let decoded = packet::decode(&frame);
        self.counters.add(&frame, &decoded);
        let Some(mut packet) = decoded.packet else { return Taken::WithoutFlow };
        packet.tunnel = self.tunnels.number(decoded.tunnel.as_ref());
        self.fragments.resolve(&mut packet);
        Taken::Arrival(Arrival::new(packet, clock_ns, self.seed))
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
        };
        if watch(progress) {
            return Ok(());
        }
        Err(NetError::Cancelled { name: self.capture.name().to_owned(), packets: self.counters.packets })
    }

    /// The counters of this stage as a report; what the flow table counts is left empty.
    pub(super) fn into_report(self) -> MeterReport {
        let counters = self.counters;
        MeterReport {
            packets: counters.packets,
            packets_filtered: self.capture.filtered(),
            wire_bytes: counters.wire_bytes,
            packets_in_flows: counters.in_flows,
            packets_without_flow: counters.without_flow.into_iter().collect(),
            undecoded_links: counters.undecoded_links.into_iter().collect(),
            faults: counters.faults.into_iter().map(|(fault, packets)| (fault.name(), packets)).collect(),
            truncated: counters.truncated,
            unlisted_tunnel_packets: self.tunnels.unlisted_packets(),
            unresolved_fragments: self.fragments.unresolved(),
            backward_times: self.clock.backward(),
            clock_rebased: self.clock.rebased(),
            time_range_ns: counters.time_range_ns,
            fault: self.fault,
            ..MeterReport::default()
        }
    }
}

impl Counters {
    #[inline]
    fn add(&mut self, frame: &Frame<'_>, decoded: &Decoded) {
        self.packets += 1;
        self.wire_bytes += u64::from(frame.wire_bytes);
        self.truncated += u64::from((frame.data.len() as u64) < u64::from(frame.wire_bytes));
        let (first_ns, last_ns) = self.time_range_ns.unwrap_or((frame.ts_ns, frame.ts_ns));
        self.time_range_ns = Some((first_ns.min(frame.ts_ns), last_ns.max(frame.ts_ns)));
        self.in_flows += u64::from(decoded.packet.is_some());
        if let Some(fault) = decoded.fault {
            self.add_fault(fault, frame);
        }
        if decoded.packet.is_none() {
            self.add_without_flow(decoded.fault, decoded.protocol);
        }
    }

    fn add_fault(&mut self, fault: Fault, frame: &Frame<'_>) {
        *self.faults.entry(fault).or_default() += 1;
        if fault == Fault::UndecodedLink {
            *self.undecoded_links.entry(frame.link.name().to_string()).or_default() += 1;
        }
    }

    fn add_without_flow(&mut self, fault: Option<Fault>, protocol: Protocol) {
        let reason = fault.map_or(protocol.name(), Fault::name);
        *self.without_flow.entry(reason).or_default() += 1;
    }
}
