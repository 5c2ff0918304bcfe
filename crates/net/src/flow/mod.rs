//! The flow table: packets in, ended flows out, in bounded memory and in one total order.
//!
//! A flow is the packets of one [`FlowKey`] between two expiry events, both directions together; *forward* is the
//! direction of its first packet (but see `tcp` for a SYN-ACK seen first). Flows live in 64 logical shards whatever the number of threads ([`FlowTable`]); a
//! shard is a hash table over slabs of flow state, with one list per timeout class in order of the last
//! packet, so that expiring and evicting cost O(1) and never depend on bucket order.
//!
//! Two times are kept apart. *Capture time* is what the packets carry; features are computed from it. *Clock time*
//! ([`Clock`]) never goes back and is the same for every shard at the same packet; timeouts, eviction and the order
//! of rows depend on it alone. A wall clock is never read.

mod cic;
mod clock;
pub mod community_id;
mod key;
mod moments;
mod sequence;
mod shard;
mod splt;
mod state;
mod stats;
mod table;
mod tcp;
mod wire;

pub use cic::{BULK_PACKETS, Cic, CicSide};
pub use clock::{Clock, REBASE_NS, REBASE_PACKETS};
pub use key::{FlowKey, Orientation};
pub use moments::Moments;
pub use splt::{SPLT_PACKETS, Splt, SpltPacket};
pub use state::{Class, Core, Direction};
pub use stats::{ACTIVITY_GAP_NS, BURST_GAP_NS, Counts, Handshake, LARGE_BYTES, SMALL_BYTES, Side, Stats};
pub use table::{Arrival, FlowTable, Order, SHARDS, TableCounts};
pub use wire::{Wire, WirePacket, WireSide};

use crate::NetError;

const SECOND_NS: i64 = 1_000_000_000;

/// Timeouts and bounds of the flow table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowConfig {
    /// What ends a flow besides memory. A feature set with rules of its own goes first ([`crate::features::FeatureSet::rules`]).
    pub rules: FlowRules,
    /// A flow ends this long after its last packet: 120 s (NFStream, RustiFlow). No other timeout for quiet flows is longer.
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
    /// Timeouts that hold instead while a shard is more than nine tenths full.
    pub emergency: EmergencyTimeouts,
    /// Bytes all flows together may take, split evenly over the shards, at least four flows each. When a shard is nearly full the
    /// emergency timeouts hold; what still does not fit is evicted, half-open flows first. Both are counted.
    /// Half-open flows never take more than a quarter.
    pub mem_bytes: u64,
    /// Chooses the shard of a flow. With equal seeds, equal captures give equal rows, evictions included.
    pub seed: u64,
    /// Seed of the community ID; 0 is what Zeek, Suricata and Wireshark use unless told otherwise.
    pub community_seed: u16,
}

impl Default for FlowConfig {
    fn default() -> FlowConfig {
        FlowConfig {
            rules: FlowRules::Connections,
            idle_ns: 120 * SECOND_NS,
            active_ns: 1800 * SECOND_NS,
            close_delay_ns: 5 * SECOND_NS,
            half_open_ns: 120 * SECOND_NS,
            emergency: EmergencyTimeouts::default(),
            mem_bytes: 128 << 20,
            seed: 0,
            community_seed: 0,
        }
    }
}

impl FlowConfig {
    /// Refuses timeouts with which no flow could last.
    ///
    /// # Errors
    /// A timeout of zero or below.
    pub fn check(&self) -> Result<(), NetError> {
        let emergency = &self.emergency;
        let timeouts = [
            ("idle timeout", self.idle_ns),
            ("active timeout", self.active_ns),
            ("close delay", self.close_delay_ns),
            ("half-open timeout", self.half_open_ns),
            ("emergency timeout of half-open flows", emergency.half_open_ns),
            ("emergency timeout of unanswered flows", emergency.unanswered_ns),
            ("emergency timeout of open flows", emergency.open_ns),
            ("emergency timeout of closed flows", emergency.closed_ns),
        ];
        match timeouts.into_iter().find(|(_, ns)| *ns <= 0) {
            None => Ok(()),
            Some((what, found_ns)) => Err(NetError::Timeout { what, found_ns }),
        }
    }
}

/// What ends a flow, and whose it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlowRules {
    /// A TCP connection is a flow: it ends when it was closed or its ports are used by another one, and belongs to whom its
    /// handshake says (see `tcp`).
    #[default]
    Connections,
    /// Time alone, as in NFStream: a flow ends by the idle and the active timeout, never by what its packets say, and
    /// belongs to the sender of its first packet, after a cut as well. Both timeouts are whole milliseconds (parts are
    /// rounded up) and counted from the last and the first packet's time with its parts of milliseconds dropped. The close
    /// delay and the half-open timeout mean nothing.
    Timeouts,
}

/// How long flows of each class may be quiet while their shard is more than nine tenths full. Only a new flow looks at that, so
/// when it does not come, nothing ends early. A flow that was closed keeps `fin` or `rst` as its reason, the others have `emergency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmergencyTimeouts {
    /// TCP whose handshake is not complete: 10 s, beyond the first three retries of a SYN (RFC 6298: after 1, 3 and 7 s).
    pub half_open_ns: i64,
    /// Another protocol, packets in one direction only: 10 s (Suricata's `emergency-new`).
    pub unanswered_ns: i64,
    /// Both sides take part: 60 s.
    pub open_ns: i64,
    /// TCP after a RST or a FIN from both sides: 1 s.
    pub closed_ns: i64,
}

impl Default for EmergencyTimeouts {
    fn default() -> EmergencyTimeouts {
        EmergencyTimeouts {
            half_open_ns: 10 * SECOND_NS,
            unanswered_ns: 10 * SECOND_NS,
            open_ns: 60 * SECOND_NS,
            closed_ns: SECOND_NS,
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
    /// Not closed, but a SYN with another sequence number began a new connection on the same ports.
    Reused,
    /// The memory budget was nearly full and no packet came for the emergency timeout.
    Emergency,
    /// The memory budget was full.
    Evicted,
    /// The capture ended while the flow was alive.
    End,
}

impl ExpiryReason {
    /// Every reason, in the order of their discriminants.
    pub const ALL: [ExpiryReason; 8] = [
        ExpiryReason::Idle,
        ExpiryReason::Active,
        ExpiryReason::Fin,
        ExpiryReason::Rst,
        ExpiryReason::Reused,
        ExpiryReason::Emergency,
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
            ExpiryReason::Reused => "reused",
            ExpiryReason::Emergency => "emergency",
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
    /// Frames and milliseconds.
    pub wire: &'a Wire,
    /// Headers and bulks.
    pub cic: &'a Cic,
    /// Why it ended.
    pub reason: ExpiryReason,
    /// Seed of the community ID.
    pub community_seed: u16,
}
