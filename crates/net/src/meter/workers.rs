//! The flow table in several threads: each owns every n-th shard, and their rows are merged into the one order.
//!
//! The calling thread sends each worker its packets of a tick and the clock time at its end; the worker answers with
//! the rows that ended, in order, in chunks. As a tick's rows come before the next tick's wherever they were kept
//! (see [`crate::flow::FlowTable`]), merging tick by tick gives the same sequence as one thread does.

use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::intake::{Intake, Taken};
use super::recent::Brief;
use super::{MeterSpec, Outlet, Progress, TICK_PACKETS};
use crate::NetError;
use crate::features::{self, FeatureSet, Needs, RowSchema, Rows};
use crate::flow::{Arrival, FlowTable, Order, SHARDS, TableCounts};
use crate::packet::Tunnels;

/// Ticks under way at once. Below this many, neither side ever waits for a full channel while the other waits too.
const DEPTH: u64 = 4;
/// Rows per answer: bounds what a worker holds when many flows end at once.
const CHUNK_ROWS: usize = 1024;

/// The packets of one tick for one worker. A set that reads payload would have its bytes travel here as well, in one
/// buffer per tick that the arrivals point into.
struct Tick {
    arrivals: Vec<Arrival>,
    clock_ns: Option<i64>,
    finish: bool,
}

/// A part of a worker's rows of one tick, in order.
struct Chunk {
    /// Place and gist of each row.
    leaving: Vec<(Order, Brief)>,
    rows: Rows,
    /// On the last chunk of a tick: the emptied buffer, and the worker's counters.
    end: Option<(Vec<Arrival>, TableCounts)>,
}

/// The calling thread's side of a worker.
struct Worker {
    ticks: Sender<Tick>,
    chunks: Receiver<Chunk>,
    arrivals: Vec<Arrival>,
    counts: TableCounts,
    schema: Arc<RowSchema>,
}

/// Runs the meter on `spec.threads` workers.
pub(super) fn run(
    intake: &mut Intake<'_>,
    spec: &MeterSpec,
    needs: Needs,
    sets: &[&'static FeatureSet],
    watch: &mut dyn FnMut(Progress) -> bool,
    outlet: &mut Outlet<'_>,
) -> Result<TableCounts, NetError> {
    let threads = (spec.threads as u64).min(SHARDS);
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for worker in 0..threads {
            let (tick_sender, ticks) = bounded(DEPTH as usize);
            let (chunk_sender, chunks) = bounded(DEPTH as usize);
            let table = FlowTable::part(&spec.flow, needs, worker, threads);
            let schema = Arc::clone(&outlet.schema);
            scope.spawn(move || serve(table, sets, &schema, &ticks, &chunk_sender));
            workers.push(Worker {
                ticks: tick_sender,
                chunks,
                arrivals: Vec::with_capacity(TICK_PACKETS),
                counts: TableCounts::default(),
                schema: Arc::clone(&outlet.schema),
            });
        }
        feed(intake, &mut workers, watch, outlet)?;
        Ok(workers.iter().fold(TableCounts::default(), |sum, worker| sum.plus(&worker.counts)))
    })
}

fn feed(
    intake: &mut Intake<'_>,
    workers: &mut [Worker],
    watch: &mut dyn FnMut(Progress) -> bool,
    outlet: &mut Outlet<'_>,
) -> Result<(), NetError> {
    let mut under_way = 0;
    while !intake.is_done() {
        send_tick(intake, workers);
        under_way += 1;
        // While a live interface is quiet nothing else happens: nobody's rows wait for its next packet.
        while under_way == DEPTH || (under_way > 0 && intake.is_quiet()) {
            merge_tick(workers, outlet, intake.tunnels())?;
            under_way -= 1;
        }
        intake.watch(outlet.delivered, watch)?;
    }
    (0..under_way).try_for_each(|_| merge_tick(workers, outlet, intake.tunnels()))
}

fn send_tick(intake: &mut Intake<'_>, workers: &mut [Worker]) {
    for _ in 0..TICK_PACKETS {
        let taken = intake.take(&mut |arrival| {
            let worker = usize::from(arrival.shard) % workers.len();
            if let Some(worker) = workers.get_mut(worker) {
                worker.arrivals.push(*arrival);
            }
        });
        if taken == Taken::Pause {
            break;
        }
    }
    for worker in workers {
        let arrivals = std::mem::take(&mut worker.arrivals);
        let tick = Tick { arrivals, clock_ns: intake.now_ns(), finish: intake.is_done() };
        // A worker outlives its sender unless it panicked, and then the scope passes the panic on.
        let _ = worker.ticks.send(tick);
    }
}

/// Takes the oldest unanswered tick's rows from every worker, smallest order first.
fn merge_tick(workers: &mut [Worker], outlet: &mut Outlet<'_>, tunnels: &Tunnels) -> Result<(), NetError> {
    let mut heads: Vec<Head> = workers.iter_mut().map(Head::first).collect();
    loop {
        let smallest =
            heads.iter().enumerate().filter_map(|(worker, head)| Some((head.order()?, worker))).min();
        let Some((_, worker)) = smallest else { return Ok(()) };
        if let (Some(head), Some(worker)) = (heads.get_mut(worker), workers.get_mut(worker)) {
            head.copy_to(outlet, tunnels)?;
            head.step(worker);
        }
    }
}

/// Where the merge stands in one worker's chunks.
struct Head {
    chunk: Chunk,
    row: usize,
}

impl Head {
    fn first(worker: &mut Worker) -> Head {
        let mut head = Head { chunk: worker.receive(), row: 0 };
        head.skip_empty(worker);
        head
    }

    fn order(&self) -> Option<Order> {
        self.chunk.leaving.get(self.row).map(|(order, _)| *order)
    }

    fn copy_to(&self, outlet: &mut Outlet<'_>, tunnels: &Tunnels) -> Result<(), NetError> {
        let Some((_, brief)) = self.chunk.leaving.get(self.row) else { return Ok(()) };
        outlet.copy(&self.chunk.rows, self.row, *brief, tunnels)
    }

    fn step(&mut self, worker: &mut Worker) {
        self.row += 1;
        self.skip_empty(worker);
    }

    fn skip_empty(&mut self, worker: &mut Worker) {
        while self.row == self.chunk.leaving.len() {
            if let Some((arrivals, counts)) = self.chunk.end.take() {
                worker.arrivals = arrivals;
                worker.counts = counts;
                return;
            }
            *self = Head { chunk: worker.receive(), row: 0 };
        }
    }
}

impl Worker {
    /// The next chunk; an empty last one when the worker has panicked, so that its scope can pass that on.
    fn receive(&self) -> Chunk {
        self.chunks.recv().unwrap_or_else(|_| Chunk {
            leaving: Vec::new(),
            rows: Rows::empty(&self.schema, 0),
            end: Some((Vec::new(), self.counts)),
        })
    }
}

/// A worker: does every tick's work on its shards and answers with the rows that ended.
fn serve(
    mut table: FlowTable,
    sets: &[&'static FeatureSet],
    schema: &Arc<RowSchema>,
    ticks: &Receiver<Tick>,
    chunks: &Sender<Chunk>,
) {
    for mut tick in ticks {
        for arrival in tick.arrivals.drain(..) {
            table.add(&arrival);
        }
        if let Some(clock_ns) = tick.clock_ns {
            table.advance(clock_ns);
        }
        if tick.finish {
            table.finish();
        }
        if answer(&mut table, sets, schema, tick.arrivals, chunks).is_err() {
            return;
        }
    }
}

/// The calling thread listens no more: it was cancelled, or the sink failed.
struct Gone;

/// Sends the ended flows' rows, the last chunk with the tick's buffer.
fn answer(
    table: &mut FlowTable,
    sets: &[&'static FeatureSet],
    schema: &Arc<RowSchema>,
    arrivals: Vec<Arrival>,
    chunks: &Sender<Chunk>,
) -> Result<(), Gone> {
    let mut left = table.ended();
    let mut chunk = Chunk::with_room(schema, left);
    table.drain(|orders, flows| {
        chunk.leaving.extend(orders.iter().copied().zip(flows.iter().map(Brief::of)));
        features::push_rows(&mut chunk.rows, sets, flows);
        left -= flows.len();
        if chunk.rows.len < CHUNK_ROWS {
            return Ok(());
        }
        chunks.send(std::mem::replace(&mut chunk, Chunk::with_room(schema, left))).map_err(|_| Gone)
    })?;
    chunk.end = Some((arrivals, table.counts()));
    chunks.send(chunk).map_err(|_| Gone)
}

impl Chunk {
    fn with_room(schema: &Arc<RowSchema>, rows: usize) -> Chunk {
        let rows = rows.min(CHUNK_ROWS);
        Chunk { leaving: Vec::with_capacity(rows), rows: Rows::empty(schema, rows), end: None }
    }
}
