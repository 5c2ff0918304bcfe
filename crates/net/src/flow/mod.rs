//! The flow table: packets in, ended flows out, in bounded memory and in one total order.
//!
//! A flow is the packets of one [`FlowKey`] between two expiry events, both directions together; *forward* is the
//! direction of its first packet. Flows live in 64 logical shards whatever the number of threads ([`FlowTable`]); a
//! shard is a hash table over slabs of flow state, with one list per timeout class in order of the last
//! packet, so that expiring and evicting cost O(1) and never depend on bucket order.
//!
//! Two times are kept apart. *Capture time* is what the packets carry; features are computed from it. *Clock time*
//! ([`Clock`]) never goes back and is the same for every shard at the same packet; timeouts, eviction and the order
//! of rows depend on it alone. A wall clock is never read.

mod clock;
pub mod community_id;
mod key;
mod moments;
mod shard;
mod splt;
mod state;
mod stats;
mod table;

pub use clock::{Clock, REBASE_NS, REBASE_PACKETS};
pub use key::{FlowKey, Orientation};
pub use moments::Moments;
pub use splt::{SPLT_PACKETS, Splt, SpltPacket};
pub use state::{Class, Core, Direction};
pub use stats::{ACTIVITY_GAP_NS, BURST_GAP_NS, Counts, Handshake, LARGE_BYTES, SMALL_BYTES, Side, Stats};
pub use table::{Arrival, FlowTable, Order, SHARDS, TableCounts};

const SECOND_NS: i64 = 1_000_000_000;

/// Timeouts and bounds of the flow table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowConfig {
    /// A flow ends this long after its last packet: 120 s (NFStream, RustiFlow).
    pub idle_ns: i64,
    /// A flow is cut by the first packet that comes this long after its first one, and continues as a new record
    /// with the same forward direction: 1800 s (NFStream).
    pub active_ns: i64,
    /// A TCP flow that saw a RST or a FIN from both sides ends this long after its last packet, so that late
    /// segments still belong to it: 5 s (Zeek's `tcp_close_delay`).
    pub close_delay_ns: i64,
    /// A TCP flow whose handshake is not complete ends this long after its last packet: 120 s, longer than the
    /// gap between two retries of a SYN, so that one attempt stays one flow.
    pub half_open_ns: i64,
    /// Bytes all flows together may take, split evenly over the shards. What does not fit is evicted, half-open
    /// flows first, and counted.
    pub mem_bytes: u64,
    /// Chooses the shard of a flow. With equal seeds, equal captures give equal rows, evictions included.
    pub seed: u64,
    /// Seed of the community ID; 0 is what Zeek, Suricata and Wireshark use unless told otherwise.
    pub community_seed: u16,
}

impl Default for FlowConfig {
    fn default() -> FlowConfig {
        FlowConfig {
            idle_ns: 120 * SECOND_NS,
            active_ns: 1800 * SECOND_NS,
            close_delay_ns: 5 * SECOND_NS,
            half_open_ns: 120 * SECOND_NS,
            mem_bytes: 128 << 20,
            seed: 0,
            community_seed: 0,
        }
    }
}

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExpiryReason {
    /// No packet for the idle timeout.
    Idle,
    /// Longer than the active timeout; its packets go on in a new record.
    Active,
    /// Both sides sent FIN, then quiet for the close delay or a new connection on the same ports.
    Fin,
    /// RST, then quiet for the close delay or a new connection on the same ports.
    Rst,
    /// The memory budget was full.
    Evicted,
    /// The capture ended while the flow was alive.
    End,
}

impl ExpiryReason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: [ExpiryReason; 6] = [
        ExpiryReason::Idle,
        ExpiryReason::Active,
        ExpiryReason::Fin,
        ExpiryReason::Rst,
        ExpiryReason::Evicted,
        ExpiryReason::End,
    ];

    /// The word in the `expiry_reason` column.
    pub fn name(self) -> &'static str {
        match self {
            ExpiryReason::Idle => "idle",
            ExpiryReason::Active => "active",
            ExpiryReason::Fin => "fin",
            ExpiryReason::Rst => "rst",
            ExpiryReason::Evicted => "evicted",
            ExpiryReason::End => "end",
        }
    }
}

/// An ended flow as a column sees it. What no feature set needed was not kept and reads as empty.
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    /// Identity, counters, connection state.
    pub core: &'a Core,
    /// Statistics of both directions.
    pub stats: &'a Stats,
    /// The first packets with payload.
    pub splt: &'a Splt,
    /// Why it ended.
    pub reason: ExpiryReason,
    /// Seed of the community ID.
    pub community_seed: u16,
}
