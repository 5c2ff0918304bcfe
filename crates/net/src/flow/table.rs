//! The flow table as its user sees it: packets in, ended flows out in one total order.
//!
//! Whoever owns all 64 shards, or every n-th of them in one of n threads, does the same: add packets in capture
//! order, `advance` all shards to the same clock time now and then, and `drain`. After `advance(t)` every flow that
//! ends at or before `t` has ended, and none that ends later will come before it: what one drain yields belongs
//! entirely before what the next one yields, wherever the borders between drains lie.

use hashbrown::DefaultHashBuilder;

use super::key::{FlowKey, Orientation};
use super::shard::{Ended, Limits, Shard};
use super::state::Core;
use super::{ExpiryReason, Flow, FlowConfig};
use crate::features::Needs;
use crate::packet::Packet;

/// Logical shards, whatever the number of threads. Each has its part of the memory budget.
pub const SHARDS: u64 = 64;

/// Flows handed out at once: their state fits the second-level cache while a row is made column by column.
const DRAINED_FLOWS: usize = 64;

/// A packet on its way to its shard.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The packet.
    pub packet: Packet,
    /// Its flow.
    pub key: FlowKey,
    /// Which endpoint of the key sent it.
    pub orientation: Orientation,
    /// Clock time at which it is handed over.
    pub clock_ns: i64,
    /// Number of the packet at which it is handed over: its own, unless it waited for other fragments.
    pub at_packet: u64,
    /// Which shard its flow lives in, below [`SHARDS`].
    pub shard: u8,
}

impl Arrival {
    /// Finds flow and shard of a packet that is handed over as it comes.
    #[inline]
    pub fn new(packet: &Packet, clock_ns: i64, seed: u64) -> Arrival {
        let (key, orientation) = FlowKey::of(packet);
        let shard = (key.stable_hash(seed) >> 32) % SHARDS;
        Arrival { packet: *packet, key, orientation, clock_ns, at_packet: packet.number, shard: shard as u8 }
    }
}

/// The place of an ended flow in the total order of rows: when it ended in clock time, then the packet that ended
/// it (0 when time alone did), then its first packet. The middle part makes every flow's place known as soon as
/// the packet at hand is done, so that nothing waits even while time stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    expiry_ns: i64,
    by_packet: u64,
    first_packet: u64,
}

impl Order {
    pub(super) fn at_time(expiry_ns: i64, core: &Core) -> Order {
        Order { expiry_ns, by_packet: 0, first_packet: core.first_packet }
    }

    pub(super) fn at_packet(arrival: &Arrival, core: &Core) -> Order {
        Order { expiry_ns: arrival.clock_ns, by_packet: arrival.at_packet, first_packet: core.first_packet }
    }

    pub(super) fn at_end(core: &Core) -> Order {
        Order { expiry_ns: i64::MAX, by_packet: u64::MAX, first_packet: core.first_packet }
    }
}

/// What a table has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableCounts {
    /// Flows ended, in the order of [`ExpiryReason::ALL`].
    pub ended: [u64; ExpiryReason::ALL.len()],
    /// Most flows at once: the sum of every shard's own peak.
    pub peak: u64,
}

impl TableCounts {
    /// The counts of two parts of a table together.
    #[must_use]
    pub fn plus(&self, other: &TableCounts) -> TableCounts {
        let mut sum = TableCounts { peak: self.peak + other.peak, ended: self.ended };
        sum.ended.iter_mut().zip(other.ended).for_each(|(sum, more)| *sum += more);
        sum
    }
}

/// All shards, or every n-th.
#[derive(Debug)]
pub struct FlowTable {
    shards: Vec<Shard>,
    stride: u64,
    limits: Limits,
    community_seed: u16,
    ended: Vec<(u8, Ended)>,
    fresh: Vec<Ended>,
    counts: TableCounts,
}

impl FlowTable {
    /// A table of all shards.
    pub fn new(config: &FlowConfig, needs: Needs) -> FlowTable {
        FlowTable::part(config, needs, 0, 1)
    }

    /// The shards `worker`, `worker + workers`, `worker + 2 workers` and so on.
    pub fn part(config: &FlowConfig, needs: Needs, worker: u64, workers: u64) -> FlowTable {
        let workers = workers.clamp(1, SHARDS);
        let hasher = DefaultHashBuilder::default();
        let owned = (0..SHARDS).filter(|shard| shard % workers == worker).count();
        FlowTable {
            shards: (0..owned).map(|_| Shard::new(hasher.clone())).collect(),
            stride: workers,
            limits: Limits::new(config, needs, SHARDS),
            community_seed: config.community_seed,
            ended: Vec::new(),
            fresh: Vec::new(),
            counts: TableCounts::default(),
        }
    }

    /// Flows that the whole table may hold.
    pub fn capacity(&self) -> u64 {
        self.limits.flows() as u64 * SHARDS
    }

    /// Adds a packet; packets come in the order of [`Arrival::clock_ns`] and [`Arrival::at_packet`].
    #[inline]
    pub fn add(&mut self, arrival: &Arrival) {
        let place = u64::from(arrival.shard) / self.stride;
        let Some(shard) = self.shards.get_mut(place as usize) else { return };
        shard.add(arrival, &self.limits, &mut self.fresh);
        if !self.fresh.is_empty() {
            self.ended.extend(self.fresh.drain(..).map(|ended| (place as u8, ended)));
        }
    }

    /// Ends every flow that has ended by this clock time.
    pub fn advance(&mut self, clock_ns: i64) {
        for (place, shard) in self.shards.iter_mut().enumerate() {
            shard.expire(clock_ns, &self.limits, &mut self.fresh);
            self.ended.extend(self.fresh.drain(..).map(|ended| (place as u8, ended)));
        }
    }

    /// Ends every flow because the capture ends.
    pub fn finish(&mut self) {
        for (place, shard) in self.shards.iter_mut().enumerate() {
            shard.finish(&self.limits, &mut self.fresh);
            self.ended.extend(self.fresh.drain(..).map(|ended| (place as u8, ended)));
        }
    }

    /// Flows that wait for the next drain.
    pub fn ended(&self) -> usize {
        self.ended.len()
    }

    /// Hands out the flows that have ended since the last drain, in order and a few at a time, and forgets them.
    ///
    /// # Errors
    /// The first error of `visit`; the flows after it are lost.
    pub fn drain<E>(
        &mut self,
        mut visit: impl FnMut(&[Order], &[Flow<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ended.sort_unstable_by_key(|(_, ended)| ended.order);
        let visited = self.ended.chunks(DRAINED_FLOWS).try_for_each(|ended| {
            let orders: Vec<Order> = ended.iter().map(|(_, ended)| ended.order).collect();
            let flows: Vec<Flow<'_>> = ended.iter().filter_map(|ended| self.flow(ended)).collect();
            visit(&orders, &flows)
        });
        for (place, ended) in self.ended.drain(..) {
            if let Some(count) = self.counts.ended.get_mut(ended.reason as usize) {
                *count += 1;
            }
            if let Some(shard) = self.shards.get_mut(usize::from(place)) {
                shard.release(ended.slot);
            }
        }
        visited
    }

    fn flow(&self, (place, ended): &(u8, Ended)) -> Option<Flow<'_>> {
        let (core, stats, splt, wire, cic) = self.shards.get(usize::from(*place))?.state(ended.slot);
        Some(Flow { core, stats, splt, wire, cic, reason: ended.reason, community_seed: self.community_seed })
    }

    /// What was counted so far.
    pub fn counts(&self) -> TableCounts {
        let peak = self.shards.iter().map(|shard| shard.peak() as u64).sum();
        TableCounts { peak, ..self.counts }
    }
}
