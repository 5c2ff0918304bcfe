//! One shard of the flow table: a hash table over slabs, and one list of flows per timeout class.
//!
//! State is a struct of slabs: slot `i` of every slab belongs to one flow, and a slab nobody asked for stays empty.
//! Each list holds the flows of one class in order of their last packet. Clock time never goes back, so the head of
//! a list is always the next to expire and the first to evict.

// Slots come from this file alone, never from a packet: each slab that is in use is as long as `cores`.
#![allow(clippy::indexing_slicing)]

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::cic::Cic;
use super::splt::Splt;
use super::state::{Class, Core};
use super::stats::Stats;
use super::table::{Arrival, Order};
use super::wire::Wire;
use super::{ExpiryReason, FlowConfig, FlowRules, tcp};
use crate::features::Needs;

/// Bounds that all shards share.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    rules: FlowRules,
    timeouts_ns: [i64; CLASSES],
    emergency_ns: [i64; CLASSES],
    active_ns: i64,
    flows: usize,
    /// From this many flows on the emergency timeouts hold.
    crowd: usize,
    half_open: usize,
    needs: Needs,
}

const CLASSES: usize = 4;
/// A bucket of the hash table with its control byte at the lowest load that growth by doubling leaves.
const BUCKET_BYTES: u64 = 12;

impl Limits {
    pub(super) fn new(config: &FlowConfig, needs: Needs, shards: u64) -> Limits {
        let per_flow = size::<Core>()
            + size::<Link>()
            + BUCKET_BYTES
            + if needs.has(Needs::STATS) { size::<Stats>() } else { 0 }
            + if needs.has(Needs::SPLT) { size::<Splt>() } else { 0 }
            + if needs.has(Needs::WIRE) { size::<Wire>() } else { 0 }
            + if needs.has(Needs::CIC) { size::<Cic>() } else { 0 };
        let flows = usize::try_from(config.mem_bytes / shards / per_flow).unwrap_or(usize::MAX);
        let flows = flows.clamp(4, NONE as usize);
        let emergency = &config.emergency;
        let emergency_ns =
            [emergency.half_open_ns, emergency.unanswered_ns, emergency.open_ns, emergency.closed_ns];
        Limits {
            rules: config.rules,
            timeouts_ns: timeouts_ns(config),
            emergency_ns,
            active_ns: config.rules.timeout(config.active_ns),
            flows,
            crowd: flows - flows / 10,
            half_open: flows / 4,
            needs,
        }
    }

    /// Flows that one shard may hold.
    pub(super) fn flows(&self) -> usize {
        self.flows
    }

    fn begin(&self, arrival: &Arrival) -> Core {
        let forward = match self.rules {
            FlowRules::Connections => tcp::opener(&arrival.key, &arrival.packet, arrival.orientation),
            FlowRules::Timeouts => arrival.orientation,
        };
        Core::begin(arrival.key, forward, &arrival.packet, self.rules.stamp(arrival.clock_ns))
    }

    /// Why a flow ends that got no more packets: how its connection closed, if that counts, or else `otherwise`.
    fn quiet_reason(&self, core: &Core, otherwise: ExpiryReason) -> ExpiryReason {
        match self.rules {
            FlowRules::Connections if core.closed_by_fin() => ExpiryReason::Fin,
            FlowRules::Connections if core.closed_by_rst() => ExpiryReason::Rst,
            _ => otherwise,
        }
    }
}

fn timeouts_ns(config: &FlowConfig) -> [i64; CLASSES] {
    match config.rules {
        FlowRules::Connections => {
            [config.half_open_ns, config.idle_ns, config.idle_ns, config.close_delay_ns]
                .map(|timeout_ns| timeout_ns.min(config.idle_ns))
        }
        FlowRules::Timeouts => [config.rules.timeout(config.idle_ns); CLASSES],
    }
}

const MILLISECOND_NS: i64 = 1_000_000;

impl FlowRules {
    /// The time that timeouts are counted from, for a packet at this clock time.
    #[inline]
    fn stamp(self, clock_ns: i64) -> i64 {
        match self {
            FlowRules::Connections => clock_ns,
            FlowRules::Timeouts => clock_ns - clock_ns.rem_euclid(MILLISECOND_NS),
        }
    }

    /// A timeout as it is counted. From a stamp it never leads to before its packet, which the order of rows rests on.
    fn timeout(self, ns: i64) -> i64 {
        match self {
            FlowRules::Connections => ns,
            FlowRules::Timeouts => self.stamp(ns.saturating_add(MILLISECOND_NS - 1)),
        }
    }
}

fn size<T>() -> u64 {
    size_of::<T>() as u64
}

const NONE: u32 = u32::MAX;

/// A flow's place in its list and what its timeout is counted from.
#[derive(Clone, Copy, Debug)]
struct Link {
    last_clock_ns: i64,
    before: u32,
    after: u32,
    class: Class,
}

/// The flows of one class, least recently seen first.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    len: usize,
}

/// A flow that has ended but still occupies its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) order: Order,
    pub(super) slot: u32,
    pub(super) reason: ExpiryReason,
}

/// A part of the flow table.
#[derive(Debug)]
pub(super) struct Shard {
    slots: HashTable<u32>,
    hasher: DefaultHashBuilder,
    links: Vec<Link>,
    cores: Vec<Core>,
    stats: Vec<Stats>,
    splts: Vec<Splt>,
    wires: Vec<Wire>,
    cics: Vec<Cic>,
    free: Vec<u32>,
    lists: [List; CLASSES],
    /// No deadline comes before this clock time.
    next_deadline_ns: i64,
    peak: usize,
}

impl Shard {
    /// An empty shard whose buckets are keyed by `hasher`.
    pub(super) fn new(hasher: DefaultHashBuilder) -> Shard {
        Shard {
            slots: HashTable::new(),
            hasher,
            links: Vec::new(),
            cores: Vec::new(),
            stats: Vec::new(),
            splts: Vec::new(),
            wires: Vec::new(),
            cics: Vec::new(),
            free: Vec::new(),
            lists: [List { head: NONE, tail: NONE, len: 0 }; CLASSES],
            next_deadline_ns: i64::MIN,
            peak: 0,
        }
    }

    /// Adds a packet to its flow, ending flows as its clock time demands.
    #[inline]
    pub(super) fn add(&mut self, arrival: &Arrival, limits: &Limits, ended: &mut Vec<Ended>) {
        let hash = self.hasher.hash_one(arrival.key);
        let cores = &self.cores;
        let found = self.slots.find(hash, |&slot| cores[slot as usize].key == arrival.key).copied();
        let Some(slot) = found else {
            return self.begin(limits.begin(arrival), hash, arrival, limits, ended);
        };
        match self.cut(slot, arrival, limits) {
            None => self.update(slot, arrival, limits),
            Some((order, reason)) => {
                let core = self.next_core(slot, arrival, reason, limits);
                self.end(slot, order, reason, ended);
                self.begin(core, hash, arrival, limits, ended);
            }
        }
    }

    /// When and why the flow in this slot ends before it could take the packet; `None` when it takes it.
    #[inline]
    fn cut(&self, slot: u32, arrival: &Arrival, limits: &Limits) -> Option<(Order, ExpiryReason)> {
        let core = &self.cores[slot as usize];
        let deadline_ns = self.deadline_ns(slot, limits);
        if deadline_ns <= arrival.clock_ns {
            return Some((Order::at_time(deadline_ns, core), limits.quiet_reason(core, ExpiryReason::Idle)));
        }
        if limits.rules == FlowRules::Connections
            && core.connection.is_succeeded_by(&arrival.packet, core.direction(arrival.orientation))
        {
            return Some((Order::at_packet(arrival, core), limits.quiet_reason(core, ExpiryReason::Reused)));
        }
        let aged = arrival.clock_ns.saturating_sub(core.first_clock_ns) >= limits.active_ns;
        aged.then(|| (Order::at_packet(arrival, core), ExpiryReason::Active))
    }

    fn next_core(&self, slot: u32, arrival: &Arrival, reason: ExpiryReason, limits: &Limits) -> Core {
        if reason == ExpiryReason::Active && limits.rules == FlowRules::Connections {
            return self.cores[slot as usize].next_record(&arrival.packet, arrival.clock_ns);
        }
        limits.begin(arrival)
    }

    fn deadline_ns(&self, slot: u32, limits: &Limits) -> i64 {
        let link = &self.links[slot as usize];
        link.last_clock_ns.saturating_add(limits.timeouts_ns[link.class as usize])
    }

    #[inline]
    fn update(&mut self, slot: u32, arrival: &Arrival, limits: &Limits) {
        let class = self.count(slot, arrival, limits.needs);
        let link = &mut self.links[slot as usize];
        link.last_clock_ns = limits.rules.stamp(arrival.clock_ns);
        if link.class != class || link.after != NONE {
            self.unlink(slot);
            self.append(slot, class);
        }
    }

    /// Lets every slab see the packet; says the flow's class after it.
    #[inline]
    fn count(&mut self, slot: u32, arrival: &Arrival, needs: Needs) -> Class {
        let core = &mut self.cores[slot as usize];
        let direction = core.direction(arrival.orientation);
        if needs.has(Needs::STATS) {
            self.stats[slot as usize].add(core, &arrival.packet, direction);
        }
        if needs.has(Needs::SPLT) {
            self.splts[slot as usize].add(&arrival.packet, direction);
        }
        if needs.has(Needs::WIRE) {
            self.wires[slot as usize].add(arrival, direction);
        }
        if needs.has(Needs::CIC) {
            self.cics[slot as usize].add(core, &arrival.packet, direction);
        }
        core.add(&arrival.packet, direction);
        core.class()
    }

    fn begin(&mut self, core: Core, hash: u64, arrival: &Arrival, limits: &Limits, ended: &mut Vec<Ended>) {
        if self.live() >= limits.crowd {
            self.make_room(arrival, limits, ended);
        }
        let slot = self.take_slot(core, limits);
        let (hasher, cores) = (&self.hasher, &self.cores);
        self.slots.insert_unique(hash, slot, |&slot| hasher.hash_one(cores[slot as usize].key));
        let class = self.count(slot, arrival, limits.needs);
        let last_clock_ns = limits.rules.stamp(arrival.clock_ns);
        self.links[slot as usize] = Link { last_clock_ns, before: NONE, after: NONE, class };
        if class == Class::HalfOpen && self.lists[class as usize].len >= limits.half_open {
            self.make_half_open_room(arrival, limits, ended);
        }
        self.append(slot, class);
        self.peak = self.peak.max(self.live());
    }

    /// Lets go of flows before another begins: what has ended anyway, then by the emergency timeouts, then the one that
    /// matters least. Each step sees the same flows whoever looks when, so rows do not depend on it.
    fn make_room(&mut self, arrival: &Arrival, limits: &Limits, ended: &mut Vec<Ended>) {
        self.expire(arrival.clock_ns, limits, ended);
        if self.live() >= limits.crowd {
            self.hurry(arrival, limits, ended);
        }
        if self.live() >= limits.flows
            && let Some(victim) = self.victim()
        {
            self.evict(victim, arrival, ended);
        }
    }

    fn make_half_open_room(&mut self, arrival: &Arrival, limits: &Limits, ended: &mut Vec<Ended>) {
        self.expire(arrival.clock_ns, limits, ended);
        let half_open = &self.lists[Class::HalfOpen as usize];
        if half_open.len >= limits.half_open && half_open.head != NONE {
            self.evict(half_open.head, arrival, ended);
        }
    }

    fn evict(&mut self, slot: u32, arrival: &Arrival, ended: &mut Vec<Ended>) {
        let order = Order::at_packet(arrival, &self.cores[slot as usize]);
        self.end(slot, order, ExpiryReason::Evicted, ended);
    }

    /// Ends every flow that was quiet for the emergency timeout of its class.
    fn hurry(&mut self, arrival: &Arrival, limits: &Limits, ended: &mut Vec<Ended>) {
        for (class, timeout_ns) in limits.emergency_ns.into_iter().enumerate() {
            while let Some(slot) = self.quiet_since(class, arrival.clock_ns.saturating_sub(timeout_ns)) {
                let core = &self.cores[slot as usize];
                let (order, reason) =
                    (Order::at_packet(arrival, core), limits.quiet_reason(core, ExpiryReason::Emergency));
                self.end(slot, order, reason, ended);
            }
        }
    }

    /// The least recently seen flow of a class, if its last packet came at this time or before.
    fn quiet_since(&self, class: usize, clock_ns: i64) -> Option<u32> {
        let slot = self.lists[class].head;
        (slot != NONE && self.links[slot as usize].last_clock_ns <= clock_ns).then_some(slot)
    }

    /// The flow to let go first: half-open, then unanswered, then the least recently seen of the rest.
    fn victim(&self) -> Option<u32> {
        let [half_open, unanswered, open, closed] =
            self.lists.map(|list| (list.head != NONE).then_some(list.head));
        half_open.or(unanswered).or_else(|| {
            open.into_iter().chain(closed).min_by_key(|&slot| {
                (self.links[slot as usize].last_clock_ns, self.cores[slot as usize].last_packet)
            })
        })
    }

    /// Ends every flow whose deadline has come.
    pub(super) fn expire(&mut self, clock_ns: i64, limits: &Limits, ended: &mut Vec<Ended>) {
        if clock_ns < self.next_deadline_ns {
            return;
        }
        for class in 0..CLASSES {
            while let Some((slot, deadline_ns)) = self.due(class, clock_ns, limits) {
                let core = &self.cores[slot as usize];
                let (order, reason) =
                    (Order::at_time(deadline_ns, core), limits.quiet_reason(core, ExpiryReason::Idle));
                self.end(slot, order, reason, ended);
            }
        }
        let deadlines_ns = (0..CLASSES).map(|class| self.earliest_deadline_ns(class, clock_ns, limits));
        self.next_deadline_ns = deadlines_ns.min().unwrap_or(clock_ns);
    }

    /// The deadline of the next flow of a class to expire, or of one that joins it now.
    fn earliest_deadline_ns(&self, class: usize, clock_ns: i64, limits: &Limits) -> i64 {
        match self.lists[class].head {
            NONE => limits.rules.stamp(clock_ns).saturating_add(limits.timeouts_ns[class]),
            slot => self.deadline_ns(slot, limits),
        }
    }

    fn due(&self, class: usize, clock_ns: i64, limits: &Limits) -> Option<(u32, i64)> {
        let slot = self.lists[class].head;
        if slot == NONE {
            return None;
        }
        let deadline_ns = self.deadline_ns(slot, limits);
        (deadline_ns <= clock_ns).then_some((slot, deadline_ns))
    }

    /// Ends every flow because the capture ends.
    pub(super) fn finish(&mut self, limits: &Limits, ended: &mut Vec<Ended>) {
        for class in 0..CLASSES {
            while self.lists[class].head != NONE {
                let slot = self.lists[class].head;
                let core = &self.cores[slot as usize];
                let (order, reason) = (Order::at_end(core), limits.quiet_reason(core, ExpiryReason::End));
                self.end(slot, order, reason, ended);
            }
        }
    }

    fn end(&mut self, slot: u32, order: Order, reason: ExpiryReason, ended: &mut Vec<Ended>) {
        let hash = self.hasher.hash_one(self.cores[slot as usize].key);
        if let Ok(entry) = self.slots.find_entry(hash, |&other| other == slot) {
            entry.remove();
        }
        self.unlink(slot);
        ended.push(Ended { order, slot, reason });
    }

    /// Flows alive.
    pub(super) fn live(&self) -> usize {
        self.slots.len()
    }

    /// Most flows ever alive at once.
    pub(super) fn peak(&self) -> usize {
        self.peak
    }

    /// The state of an ended flow, until its slot is released.
    pub(super) fn state(&self, slot: u32) -> (&Core, &Stats, &Splt, &Wire, &Cic) {
        let slot = slot as usize;
        let stats = self.stats.get(slot).unwrap_or(const { &Stats::EMPTY });
        let splt = self.splts.get(slot).unwrap_or(const { &Splt::EMPTY });
        let wire = self.wires.get(slot).unwrap_or(const { &Wire::EMPTY });
        let cic = self.cics.get(slot).unwrap_or(const { &Cic::EMPTY });
        (&self.cores[slot], stats, splt, wire, cic)
    }

    /// Gives an ended flow's slot back.
    pub(super) fn release(&mut self, slot: u32) {
        self.free.push(slot);
    }

    fn take_slot(&mut self, core: Core, limits: &Limits) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.fill(slot as usize, core, limits.needs);
            return slot;
        }
        self.grow(limits);
        let slot = self.cores.len() as u32;
        self.cores.push(core);
        self.links.push(Link { last_clock_ns: 0, before: NONE, after: NONE, class: Class::Open });
        if limits.needs.has(Needs::STATS) {
            self.stats.push(Stats::EMPTY);
        }
        if limits.needs.has(Needs::SPLT) {
            self.splts.push(Splt::EMPTY);
        }
        if limits.needs.has(Needs::WIRE) {
            self.wires.push(Wire::EMPTY);
        }
        if limits.needs.has(Needs::CIC) {
            self.cics.push(Cic::EMPTY);
        }
        slot
    }

    fn fill(&mut self, slot: usize, core: Core, needs: Needs) {
        self.cores[slot] = core;
        if needs.has(Needs::STATS) {
            self.stats[slot] = Stats::EMPTY;
        }
        if needs.has(Needs::SPLT) {
            self.splts[slot] = Splt::EMPTY;
        }
        if needs.has(Needs::WIRE) {
            self.wires[slot] = Wire::EMPTY;
        }
        if needs.has(Needs::CIC) {
            self.cics[slot] = Cic::EMPTY;
        }
    }

    /// Doubles the slabs, but not beyond the budget.
    fn grow(&mut self, limits: &Limits) {
        let len = self.cores.len();
        if len < self.cores.capacity() {
            return;
        }
        let more = len.max(16).min(limits.flows.saturating_sub(len).max(16));
        self.cores.reserve_exact(more);
        self.links.reserve_exact(more);
        if limits.needs.has(Needs::STATS) {
            self.stats.reserve_exact(more);
        }
        if limits.needs.has(Needs::SPLT) {
            self.splts.reserve_exact(more);
        }
        if limits.needs.has(Needs::WIRE) {
            self.wires.reserve_exact(more);
        }
        if limits.needs.has(Needs::CIC) {
            self.cics.reserve_exact(more);
        }
    }

    fn append(&mut self, slot: u32, class: Class) {
        let list = &mut self.lists[class as usize];
        let before = list.tail;
        list.tail = slot;
        list.len += 1;
        if before == NONE {
            list.head = slot;
        } else {
            self.links[before as usize].after = slot;
        }
        let link = &mut self.links[slot as usize];
        (link.before, link.after, link.class) = (before, NONE, class);
    }

    fn unlink(&mut self, slot: u32) {
        let Link { before, after, class, .. } = self.links[slot as usize];
        let list = &mut self.lists[class as usize];
        list.len -= 1;
        if before == NONE {
            list.head = after;
        } else {
            self.links[before as usize].after = after;
        }
        if after == NONE {
            list.tail = before;
        } else {
            self.links[after as usize].before = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_fits_its_charge() {
        let needs = Needs::STATS.with(Needs::SPLT).with(Needs::WIRE).with(Needs::CIC);
        let config = FlowConfig { mem_bytes: 64 << 20, ..FlowConfig::default() };
        let limits = Limits::new(&config, needs, 64);
        let state = size::<Core>()
            + size::<Link>()
            + size::<Stats>()
            + size::<Splt>()
            + size::<Wire>()
            + size::<Cic>();
        assert!(limits.flows() as u64 * state <= 1 << 20, "{} flows of {state} bytes", limits.flows());
    }
}
