//! Captures to rows: the one pure call that every task which reads traffic makes.
//!
//! Several captures are worked on side by side, but their rows leave in the order of the captures, so that any
//! number of threads gives the same bytes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields, SchemaRef};
use cormorant_learn::table::Role;
use cormorant_net::NetError;
use cormorant_net::features::{RowSchema, Rows};
use cormorant_net::flow::FlowConfig;
use cormorant_net::meter::{MeterReport, MeterSpec, Progress, meter, schema};
use serde::{Deserialize, Serialize};

pub use crate::labels::LabelCounts;
use crate::labels::{self, Labels, Verdict};
use crate::sources::{Source, Sources};
use crate::tables::{Provenance, batch, names};
use crate::traffic::Ending;
pub use crate::traffic::Unread;
use crate::{Ctx, LabError};

/// What was counted while captures became rows. Every packet is accounted for:
/// `packets = packets_in_flows + sum(packets_without_flow)`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Packets read.
    pub packets: u64,
    /// Bytes of these packets on the wire.
    pub bytes: u64,
    /// Packets that belong to a flow.
    pub packets_in_flows: u64,
    /// Packets that belong to none, by reason.
    pub packets_without_flow: BTreeMap<String, u64>,
    /// Flows, which are the rows.
    pub flows: u64,
    /// Flows by what ended them.
    pub flows_by_expiry: BTreeMap<String, u64>,
    /// Packets in which something stopped decoding or contradicted the frame, by what it was.
    pub decode_faults: BTreeMap<String, u64>,
    /// Frames of link types that are not decoded, by link type.
    pub undecoded_links: BTreeMap<String, u64>,
    /// What the packets do not include.
    #[serde(flatten)]
    pub unread: Unread,
    /// Fragmented datagrams by what became of them; absent when there were none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub datagrams: BTreeMap<String, u64>,
    /// Packets whose end a snapshot length cut off.
    pub packets_cut: u64,
    /// Packets that carry an earlier time than one before them.
    pub packets_out_of_order: u64,
    /// Streams or flows forgotten to stay within memory by a set that keeps its own; absent when there were none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub streams_forgotten: u64,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// One capture that ended with a fault. Its rows before the fault were kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureFault {
    /// The capture, as its rows name it.
    pub capture: String,
    /// Packets read before the fault.
    pub packets: u64,
    /// What is wrong, where, and what to do.
    pub error: String,
}

/// When a flow ends. The defaults are NFStream's timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlowOptions {
    /// Seconds without a packet that end a flow.
    pub idle_s: f64,
    /// Seconds after which a long flow is cut and continues as a new row.
    pub active_s: f64,
    /// Seconds without a packet that end a TCP flow whose handshake is not complete; at most `idle_s` counts.
    pub half_open_s: f64,
    /// Seconds without a packet that end a TCP flow after RST or both FINs; at most `idle_s` counts.
    pub close_s: f64,
}

impl Default for FlowOptions {
    fn default() -> Self {
        Self { idle_s: 120.0, active_s: 1800.0, half_open_s: 120.0, close_s: 5.0 }
    }
}

/// How captures become rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Recipe {
    /// Feature sets; none = the plain counters.
    pub(crate) sets: Vec<String>,
    /// When flows end.
    pub(crate) flow: FlowOptions,
}

/// Some rows of one capture or table, with what the labels say of each when there are labels.
#[derive(Clone)]
pub(crate) struct Chunk {
    /// The rows, `label` and `family` included when there are labels.
    pub(crate) rows: RecordBatch,
    /// The capture they are from.
    pub(crate) capture: Arc<str>,
    /// Parallel to the rows; empty without labels.
    pub(crate) verdicts: Vec<Option<Verdict>>,
}

/// What happened to the captures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// What was counted over all captures.
    pub(crate) counts: Counts,
    /// Captures that ended with a fault.
    pub(crate) faults: Vec<CaptureFault>,
}

impl Recipe {
    /// The columns of the rows: the capture when there are several, identity, features, and label and family when
    /// there are labels. `None` for a set whose columns depend on the capture.
    ///
    /// # Errors
    /// A feature set that does not exist, or options out of range.
    pub(crate) fn schema(&self, named: bool, labelled: bool) -> Result<Option<SchemaRef>, LabError> {
        let rows = schema(&self.meter_spec(&Ctx::new(0, 1))?)?;
        Ok(rows.map(|rows| {
            let schema = self.schema_of(&rows, named);
            if labelled { labels::with_labels(&schema) } else { schema }
        }))
    }

    /// As [`Recipe::schema`], for those who must know the columns before they read.
    ///
    /// # Errors
    /// A set whose columns depend on the capture, too.
    pub(crate) fn fixed_schema(&self, named: bool, labelled: bool) -> Result<SchemaRef, LabError> {
        self.schema(named, labelled)?.ok_or_else(|| LabError::Request {
            what: "feature set",
            expected: "one whose columns are fixed before a capture is read".to_owned(),
            found: self.sets.join(","),
            advice: "extract the capture to a table first, and go on with that".to_owned(),
        })
    }

    fn schema_of(&self, rows: &RowSchema, named: bool) -> SchemaRef {
        let mut fields = Vec::new();
        if named {
            fields.push(batch::field(names::CAPTURE, DataType::Utf8, Role::Group, ""));
        }
        fields.extend(batch::fields_of(rows));
        let provenance = Provenance {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            row: rows.kind.name().to_owned(),
            sets: self.sets.clone(),
            flow: self.flow,
            schema_digest: crate::tables::learn::schema_of(&Fields::from(fields.clone())).digest(),
        };
        batch::with_metadata(fields, provenance.to_metadata())
    }

    /// Turns captures into rows. A capture that is damaged gives its rows before the fault, and the others go on;
    /// only when not one can be opened is that an error.
    ///
    /// # Errors
    /// The first capture's error when none can be opened, an error of `sink`, or [`LabError::Cancelled`].
    pub(crate) fn run(
        &self,
        sources: &Sources,
        labels: Option<&mut Labels>,
        ctx: &Ctx,
        sink: &mut dyn FnMut(Chunk) -> Result<(), LabError>,
    ) -> Result<Outcome, LabError> {
        let outcomes = self.run_each(sources, labels, ctx, sink, &mut |_, _| Ok(()))?;
        conclude(&sources.captures, outcomes)
    }

    /// As [`Recipe::run`], but tells how each capture ended, once all its rows were handed over; an error for one that
    /// cannot be opened.
    ///
    /// # Errors
    /// An error of `sink` or `finished`, or [`LabError::Cancelled`].
    pub(crate) fn run_each(
        &self,
        sources: &Sources,
        mut labels: Option<&mut Labels>,
        ctx: &Ctx,
        sink: &mut dyn FnMut(Chunk) -> Result<(), LabError>,
        finished: Finished<'_>,
    ) -> Result<Vec<Opened>, LabError> {
        let fixed = self.schema(sources.named, false)?;
        if fixed.is_none() && sources.captures.len() > 1 {
            return Err(one_at_a_time(&self.sets, sources.captures.len()));
        }
        let mut take = |rows: Rows, capture: &Arc<str>| -> Result<(), LabError> {
            let schema = fixed.clone().unwrap_or_else(|| self.schema_of(&rows.schema, sources.named));
            sink(chunk(rows, capture, sources.named, &schema, labels.as_deref_mut())?)
        };
        let spec = self.meter_spec(ctx)?;
        let watch = Watch::new(ctx, sources);
        if ctx.threads > 1 {
            let workers = ctx.threads.min(sources.captures.len()).min(MAX_SIDE_BY_SIDE);
            let threads = if workers > 1 { 1 } else { ctx.threads - 1 };
            side_by_side(
                &sources.captures,
                &MeterSpec { threads, ..spec },
                workers,
                &watch,
                &mut take,
                finished,
            )
        } else {
            one_by_one(&sources.captures, &spec, &watch, &mut take, finished)
        }
    }

    fn meter_spec(&self, ctx: &Ctx) -> Result<MeterSpec, LabError> {
        let flow = FlowConfig {
            idle_ns: nanoseconds("idle timeout", self.flow.idle_s)?,
            active_ns: nanoseconds("active timeout", self.flow.active_s)?,
            half_open_ns: nanoseconds("half-open timeout", self.flow.half_open_s)?,
            close_delay_ns: nanoseconds("close delay", self.flow.close_s)?,
            mem_bytes: ctx.mem_bytes / FLOW_SHARE,
            seed: ctx.seed,
            ..FlowConfig::default()
        };
        Ok(MeterSpec { sets: self.sets.clone(), flow, threads: ctx.threads, batch_rows: METER_ROWS })
    }
}

/// The flow table of one capture may take an eighth of the memory budget, whatever the number of threads, so that
/// evictions do not depend on it. No more captures are worked on at once than leave room for everything else.
const FLOW_SHARE: u64 = 8;
const MAX_SIDE_BY_SIDE: usize = 6;

/// Batches of a capture that wait for those before it.
const WAITING_BATCHES: usize = 2;
/// Rows per batch of a capture: enough that a table writer works on one column for a while, as few as keep the batches
/// on their way, of a hundred columns or more, in a few megabytes each.
const METER_ROWS: usize = 4096;

fn one_at_a_time(sets: &[String], captures: usize) -> LabError {
    LabError::Request {
        what: "input",
        expected: format!("one capture, as the columns of {} depend on it", sets.join(",")),
        found: format!("{captures} captures"),
        advice: "extract each capture to a table of its own".to_owned(),
    }
}

fn nanoseconds(what: &'static str, seconds: f64) -> Result<i64, LabError> {
    if seconds > 0.0 && seconds <= 1e9 {
        return Ok((seconds * 1e9) as i64);
    }
    Err(LabError::Request {
        what,
        expected: "seconds above 0 and at most 1e9".to_owned(),
        found: seconds.to_string(),
        advice: "the default is good for most traffic".to_owned(),
    })
}

/// How one capture ended: what was counted, or why it could not be opened.
type Ended = Result<(MeterReport, Unread), NetError>;

/// What became of one capture; an error when it could not be opened.
pub(crate) type Opened = Result<Outcome, NetError>;

/// Told of each capture that was opened, when its last row was handed over.
type Finished<'a> = &'a mut dyn FnMut(&Source, &Outcome) -> Result<(), LabError>;

type Take<'a> = &'a mut dyn FnMut(Rows, &Arc<str>) -> Result<(), LabError>;

fn one_by_one(
    captures: &[Source],
    spec: &MeterSpec,
    watch: &Watch<'_>,
    take: Take<'_>,
    finished: Finished<'_>,
) -> Result<Vec<Opened>, LabError> {
    let mut ended = Vec::new();
    for source in captures {
        let name: Arc<str> = source.name.as_str().into();
        let mut failed = None;
        let report = run_one(source, spec, watch, &mut |rows| {
            take(rows, &name).map_err(|error| {
                failed = Some(error);
                NetError::Sink("the rows could not be taken".into())
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        ended.push(settle(source, report, finished)?);
    }
    Ok(ended)
}

/// What a worker sends of the capture it works on.
enum Message {
    Rows(Rows),
    Ended(Box<Ended>),
}

/// Workers take captures in order, while the calling thread takes the rows: writing them costs about as much as making
/// them, so a single capture too is better served by a worker than by threads that share its flows. Each capture has a short queue of batches, read in the same order. The worker of
/// the capture being read never waits for another, so the others' full queues cannot stop the whole.
fn side_by_side(
    captures: &[Source],
    spec: &MeterSpec,
    workers: usize,
    watch: &Watch<'_>,
    take: Take<'_>,
    finished: Finished<'_>,
) -> Result<Vec<Opened>, LabError> {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        captures.iter().map(|_| sync_channel(WAITING_BATCHES)).unzip();
    let senders: Vec<Mutex<Option<SyncSender<Message>>>> =
        senders.into_iter().map(|sender| Mutex::new(Some(sender))).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(captures, spec, &senders, &next, watch));
        }
        let result = collect(captures, receivers, take, finished);
        if result.is_err() {
            watch.stop.store(true, Ordering::Relaxed);
        }
        result
    })
}

fn work(
    captures: &[Source],
    spec: &MeterSpec,
    senders: &[Mutex<Option<SyncSender<Message>>>],
    next: &AtomicUsize,
    watch: &Watch<'_>,
) {
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(source) = captures.get(place) else { return };
        let sender = senders[place].lock().ok().and_then(|mut sender| sender.take());
        let Some(sender) = sender else { return };
        let gone = |_| NetError::Sink("the rows are no longer wanted".into());
        let ended = run_one(source, spec, watch, &mut |rows| sender.send(Message::Rows(rows)).map_err(gone));
        // The receiver is gone only when the whole extraction has failed already.
        let _ = sender.send(Message::Ended(Box::new(ended)));
    }
}

fn collect(
    captures: &[Source],
    receivers: Vec<Receiver<Message>>,
    take: Take<'_>,
    finished: Finished<'_>,
) -> Result<Vec<Opened>, LabError> {
    let mut ended = Vec::new();
    for (source, receiver) in captures.iter().zip(receivers) {
        let name: Arc<str> = source.name.as_str().into();
        loop {
            match receiver.recv() {
                Ok(Message::Rows(rows)) => take(rows, &name)?,
                Ok(Message::Ended(report)) => {
                    ended.push(settle(source, *report, finished)?);
                    break;
                }
                Err(_) => return Err(LabError::Internal(format!("the worker of {} stopped", source.name))),
            }
        }
    }
    Ok(ended)
}

fn run_one(
    source: &Source,
    spec: &MeterSpec,
    watch: &Watch<'_>,
    sink: &mut dyn FnMut(Rows) -> Result<(), NetError>,
) -> Ended {
    let mut capture = source.open()?;
    let mut told = 0;
    let report = meter(&mut capture, spec, &mut |progress| watch.tell(&mut told, progress), sink);
    watch.done(source.bytes.saturating_sub(told));
    let mut report = report?;
    let ending = Ending::of(&mut capture, report.packets);
    report.fault = report.fault.or(ending.fault);
    Ok((report, ending.unread))
}

fn uncancelled(ended: Ended) -> Result<Ended, LabError> {
    match ended {
        Err(NetError::Cancelled { .. }) => Err(LabError::Cancelled),
        Err(
            error @ (NetError::UnknownFeatureSet { .. }
            | NetError::DuplicateSet { .. }
            | NetError::DuplicateColumn { .. }
            | NetError::SetOption { .. }
            | NetError::MixedRows { .. }),
        ) => Err(error.into()),
        ended => Ok(ended),
    }
}

/// Adds up how far all captures are.
struct Watch<'a> {
    ctx: &'a Ctx,
    consumed: AtomicU64,
    total: u64,
    live: bool,
    stop: AtomicBool,
}

impl<'a> Watch<'a> {
    fn new(ctx: &'a Ctx, sources: &Sources) -> Self {
        let (total, live) = (sources.bytes(), sources.is_live());
        Self { ctx, consumed: AtomicU64::new(0), total, live, stop: AtomicBool::new(false) }
    }

    fn tell(&self, told: &mut u64, progress: Progress) -> bool {
        if self.live {
            capturing(self.ctx, progress.packets, progress.dropped);
        } else {
            self.done(progress.consumed_bytes.saturating_sub(*told));
            *told = progress.consumed_bytes;
        }
        self.ctx.check().is_ok() && !self.stop.load(Ordering::Relaxed)
    }

    fn done(&self, bytes: u64) {
        if !self.live {
            let consumed = self.consumed.fetch_add(bytes, Ordering::Relaxed) + bytes;
            self.ctx.progress("reading captures", consumed, self.total);
        }
    }
}

/// Says how many packets of an interface were read, and how many were lost.
pub(crate) fn capturing(ctx: &Ctx, packets: u64, dropped: u64) {
    let lost = if dropped > 0 { format!(", {dropped} dropped") } else { String::new() };
    ctx.progress(&format!("capturing{lost}"), packets, 0);
}

fn chunk(
    rows: Rows,
    capture: &Arc<str>,
    named: bool,
    schema: &SchemaRef,
    labels: Option<&mut Labels>,
) -> Result<Chunk, LabError> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    if named {
        columns.push(batch::repeated(capture, rows.len));
    }
    columns.extend(batch::arrays_of(rows)?);
    let rows = RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| LabError::Internal(error.to_string()))?;
    let capture = Arc::clone(capture);
    match labels {
        None => Ok(Chunk { rows, capture, verdicts: Vec::new() }),
        Some(labels) => {
            let verdicts = labels.judge(&rows, &capture)?;
            Ok(Chunk { rows: labels::join(&rows, &verdicts)?, capture, verdicts })
        }
    }
}

fn settle(source: &Source, ended: Ended, finished: Finished<'_>) -> Result<Opened, LabError> {
    let (report, unread) = match uncancelled(ended)? {
        Ok(ended) => ended,
        Err(error) => return Ok(Err(error)),
    };
    let mut outcome = Outcome::default();
    outcome.counts.unread.add(unread);
    outcome.add(source, report);
    finished(source, &outcome)?;
    Ok(Ok(outcome))
}

/// What became of all captures together.
///
/// # Errors
/// The first capture's error when none could be opened.
pub(crate) fn conclude(captures: &[Source], ended: Vec<Opened>) -> Result<Outcome, LabError> {
    let mut all = Outcome::default();
    let mut unopened = Vec::new();
    for (source, ended) in captures.iter().zip(ended) {
        match ended {
            Ok(outcome) => all.merge(outcome),
            Err(error) => {
                let (capture, text) = (source.name.clone(), error.to_string());
                all.faults.push(CaptureFault { capture, packets: 0, error: text });
                unopened.push(error);
            }
        }
    }
    if unopened.len() < captures.len() {
        return Ok(all);
    }
    unopened.into_iter().next().map_or(Ok(all), |error| Err(error.into()))
}

impl Outcome {
    fn merge(&mut self, other: Self) {
        self.counts.merge(other.counts);
        self.faults.extend(other.faults);
    }

    fn add(&mut self, source: &Source, report: MeterReport) {
        let counts = &mut self.counts;
        counts.packets += report.packets;
        counts.bytes += report.wire_bytes;
        counts.packets_in_flows += report.packets_in_flows;
        counts.flows += report.flows;
        counts.packets_cut += report.truncated;
        counts.packets_out_of_order += report.backward_times;
        counts.streams_forgotten += report.streams_let_go;
        add_all(&mut counts.packets_without_flow, report.packets_without_flow);
        add_all(&mut counts.flows_by_expiry, report.ended);
        add_all(&mut counts.decode_faults, report.faults);
        add_all(&mut counts.undecoded_links, report.undecoded_links);
        add_all(&mut counts.datagrams, report.datagrams);
        if let Some(fault) = report.fault {
            let capture = source.name.clone();
            self.faults.push(CaptureFault { capture, packets: report.packets, error: fault.to_string() });
        }
    }
}

impl Counts {
    fn merge(&mut self, other: Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.packets_in_flows += other.packets_in_flows;
        self.flows += other.flows;
        self.streams_forgotten += other.streams_forgotten;
        self.packets_cut += other.packets_cut;
        self.packets_out_of_order += other.packets_out_of_order;
        self.unread.add(other.unread);
        add_all(&mut self.packets_without_flow, other.packets_without_flow);
        add_all(&mut self.flows_by_expiry, other.flows_by_expiry);
        add_all(&mut self.decode_faults, other.decode_faults);
        add_all(&mut self.undecoded_links, other.undecoded_links);
        add_all(&mut self.datagrams, other.datagrams);
    }
}

fn add_all(totals: &mut BTreeMap<String, u64>, parts: impl IntoIterator<Item = (impl Into<String>, u64)>) {
    for (name, count) in parts {
        if count > 0 {
            *totals.entry(name.into()).or_default() += count;
        }
    }
}
