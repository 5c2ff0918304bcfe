//! The one call from a capture to rows: read, decode, keep flows, write a row per ended flow.
//!
//! [`meter`] is pure: its rows depend on the capture's bytes and the [`MeterSpec`] alone, neither on the number of
//! threads nor on how the bytes arrive. The calling thread reads and decodes (`intake`); the flow table is worked
//! on in place, or by threads that own a part of its shards each (`workers`). Rows leave in one total order
//! ([`crate::flow::Order`]) as soon as packet time has closed them, so memory does not grow with the capture.

mod frames;
mod intake;
mod recent;
mod workers;

use std::sync::Arc;

use crate::NetError;
use crate::capture::Capture;
use crate::features::{self, FeatureSet, Needs, RowSchema, Rows, Selection};
use crate::flow::{ExpiryReason, Flow, FlowConfig, FlowTable, TableCounts};
use crate::packet::Tunnels;
use intake::{Intake, Taken};
use recent::{Brief, Recent};

/// Everything that determines the rows of a capture, but for `threads`, which does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterSpec {
    /// Names of feature sets, as in [`features::FEATURE_SETS`] or [`features::frames::FRAME_SETS`], options behind
    /// colons; empty for the plain counters.
    pub sets: Vec<String>,
    /// Timeouts and bounds.
    pub flow: FlowConfig,
    /// Threads that keep flows. 1 works without further threads; more help when reading is not the bottleneck.
    pub threads: usize,
    /// Rows in each batch but the last.
    pub batch_rows: usize,
}

impl Default for MeterSpec {
    fn default() -> MeterSpec {
        MeterSpec { sets: vec!["flow".to_owned()], flow: FlowConfig::default(), threads: 1, batch_rows: 1024 }
    }
}

/// How far a running [`meter`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Packets read.
    pub packets: u64,
    /// Rows handed out, or waiting for their batch to fill.
    pub rows: u64,
    /// Bytes of the capture read, as stored.
    pub consumed_bytes: u64,
    /// Bytes of the capture as stored, when known.
    pub size_bytes: Option<u64>,
    /// Packets lost so far for want of memory or of time to read them.
    pub dropped: u64,
}

/// What a [`meter`] has counted. `packets = packets_in_flows + sum of packets_without_flow`.
#[derive(Debug, Default)]
pub struct MeterReport {
    /// Packets read.
    pub packets: u64,
    /// Packets that the capture's filter passed over; they are in no other count.
    pub packets_filtered: u64,
    /// Bytes of the packets read on the wire.
    pub wire_bytes: u64,
    /// Packets that became part of a flow.
    pub packets_in_flows: u64,
    /// Packets that did not, by what they held or what was wrong.
    pub packets_without_flow: Vec<(&'static str, u64)>,
    /// Packets of link types that are not decoded, by name of the link type.
    pub undecoded_links: Vec<(String, u64)>,
    /// Packets in which something stopped decoding or contradicted the frame, by kind; some are in flows all the same.
    pub faults: Vec<(&'static str, u64)>,
    /// Packets of which fewer bytes were captured than were on the wire.
    pub truncated: u64,
    /// Packets inside tunnels that were too many to list ([`crate::packet::MAX_TUNNELS`]).
    pub unlisted_tunnel_packets: u64,
    /// Fragmented datagrams by what became of them, as far as there were any ([`crate::packet::reassembly::Fate`]).
    pub datagrams: Vec<(&'static str, u64)>,
    /// Fragments that repeat another one.
    pub duplicate_fragments: u64,
    /// Fragments that stayed without ports, because their first fragment was not seen in time.
    pub unresolved_fragments: u64,
    /// Packets whose time lay before that of an earlier packet.
    pub backward_times: u64,
    /// Times the course of time was set back for good.
    pub clock_rebased: u64,
    /// Flows written, one row each; 0 when rows are no flows.
    pub flows: u64,
    /// Flows by why they ended, in the order of [`ExpiryReason::ALL`].
    pub ended: Vec<(&'static str, u64)>,
    /// Most flows in memory at once: the sum of every shard's own peak.
    pub peak_flows: u64,
    /// Streams that a set of frames forgot to stay within memory ([`features::frames::Extractor::let_go`]).
    pub streams_let_go: u64,
    /// First and last capture time, in the order of time.
    pub time_range_ns: Option<(i64, i64)>,
    /// What ended the capture before its end. The rows of everything before it were delivered.
    pub fault: Option<NetError>,
}

impl MeterReport {
    /// Flows that ended for this reason.
    pub fn ended_by(&self, reason: ExpiryReason) -> u64 {
        self.ended.iter().find(|(name, _)| *name == reason.name()).map_or(0, |(_, flows)| *flows)
    }
}

/// The schema of the rows that [`meter`] delivers, known before any capture is read; `None` for a set whose columns
/// depend on the capture.
///
/// # Errors
/// An unknown feature set or option, a set named twice, or sets whose rows differ in kind.
pub fn schema(spec: &MeterSpec) -> Result<Option<Arc<RowSchema>>, NetError> {
    match features::select(&spec.sets)? {
        Selection::Flows(sets) => features::row_schema(&sets).map(Some),
        Selection::Frames(set, options) => {
            let fields = (set.fields)(&options)?;
            Ok(fields.map(|fields| Arc::new(RowSchema { kind: set.kind, fields })))
        }
    }
}

/// Turns a capture into rows of flows, or of what else the feature set is about, handed to `sink` in batches of [`MeterSpec::batch_rows`].
///
/// `watch` is told the progress every few thousand packets and stops the work by returning `false`. A capture that
/// breaks off gives every row of the packets before the fault, and the fault in the report.
///
/// # Errors
/// A wrong spec, an error of `sink`, or [`NetError::Cancelled`].
pub fn meter(
    capture: &mut Capture,
    spec: &MeterSpec,
    watch: &mut dyn FnMut(Progress) -> bool,
    sink: &mut dyn FnMut(Rows) -> Result<(), NetError>,
) -> Result<MeterReport, NetError> {
    spec.flow.check()?;
    let sets = match features::select(&spec.sets)? {
        Selection::Flows(sets) => sets,
        Selection::Frames(set, options) => return frames::run(capture, spec, set, &options, watch, sink),
    };
    let flow = FlowConfig { rules: features::rules(&sets, spec.flow.rules), ..spec.flow.clone() };
    let mut outlet = Outlet::new(&sets, spec.batch_rows, sink)?;
    let mut intake = Intake::new(capture, spec.flow.seed);
    let needs = sets.iter().fold(Needs::CORE, |needs, set| needs.with(set.needs));
    let counts = if spec.threads <= 1 {
        in_place(&mut intake, FlowTable::new(&flow, needs), watch, &mut outlet)?
    } else {
        workers::run(&mut intake, &MeterSpec { flow, ..spec.clone() }, needs, &sets, watch, &mut outlet)?
    };
    outlet.flush()?;
    Ok(report(intake, counts, outlet.delivered))
}

/// Packets between two looks at the clock by all shards; progress is told every [`WATCH_TICKS`] of them.
const TICK_PACKETS: usize = 1024;
const WATCH_TICKS: u64 = 16;

fn in_place(
    intake: &mut Intake<'_>,
    mut table: FlowTable,
    watch: &mut dyn FnMut(Progress) -> bool,
    outlet: &mut Outlet<'_>,
) -> Result<TableCounts, NetError> {
    while !intake.is_done() {
        for _ in 0..TICK_PACKETS {
            if intake.take(&mut |arrival| table.add(arrival)) == Taken::Pause {
                break;
            }
        }
        if let Some(now_ns) = intake.now_ns() {
            table.advance(now_ns);
        }
        if intake.is_done() {
            table.finish();
        }
        table.drain(|_, flows| outlet.push(flows, intake.tunnels()))?;
        intake.watch(outlet.delivered, watch)?;
    }
    Ok(table.counts())
}

/// Takes rows in their order, adds what they need of the rows before them, and hands them to the sink in batches.
struct Outlet<'a> {
    sets: &'a [&'static FeatureSet],
    recent: Option<Recent>,
    schema: Arc<RowSchema>,
    rows: Rows,
    batch_rows: usize,
    delivered: u64,
    sink: &'a mut dyn FnMut(Rows) -> Result<(), NetError>,
}

impl<'a> Outlet<'a> {
    fn new(
        sets: &'a [&'static FeatureSet],
        batch_rows: usize,
        sink: &'a mut dyn FnMut(Rows) -> Result<(), NetError>,
    ) -> Result<Outlet<'a>, NetError> {
        let (schema, batch_rows) = (features::row_schema(sets)?, batch_rows.max(1));
        let recent = sets.iter().any(|set| set.needs.has(Needs::CONTEXT)).then(Recent::default);
        Ok(Outlet {
            sets,
            recent,
            rows: Rows::empty(&schema, batch_rows),
            schema,
            batch_rows,
            delivered: 0,
            sink,
        })
    }

    fn push(&mut self, mut flows: &[Flow<'_>], tunnels: &Tunnels) -> Result<(), NetError> {
        while !flows.is_empty() {
            let room = flows.len().min(self.batch_rows - self.rows.len);
            let (fitting, others) = flows.split_at(room);
            features::push_rows(&mut self.rows, self.sets, fitting);
            self.pushed(fitting.iter().map(Brief::of), tunnels)?;
            flows = others;
        }
        Ok(())
    }

    fn copy(&mut self, from: &Rows, row: usize, brief: Brief, tunnels: &Tunnels) -> Result<(), NetError> {
        self.rows.copy_row(from, row);
        self.pushed(std::iter::once(brief), tunnels)
    }

    /// Completes the rows that were appended last.
    fn pushed(&mut self, briefs: impl Iterator<Item = Brief>, tunnels: &Tunnels) -> Result<(), NetError> {
        for brief in briefs {
            features::push_tunnel(&mut self.rows, brief.tunnel, tunnels);
            if let Some(recent) = &mut self.recent {
                features::push_context(&mut self.rows, self.sets, &recent.add(brief));
            }
            self.delivered += 1;
        }
        if self.rows.len == self.batch_rows { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), NetError> {
        if self.rows.len == 0 {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.rows, Rows::empty(&self.schema, self.batch_rows));
        (self.sink)(full)
    }
}

fn report(intake: Intake<'_>, counts: TableCounts, flows: u64) -> MeterReport {
    let ended = ExpiryReason::ALL.iter().map(|reason| reason.name()).zip(counts.ended).collect();
    MeterReport { flows, ended, peak_flows: counts.peak, ..intake.into_report() }
}
