//! The `splt` set: lengths, directions and times of the first packets with payload.

use super::{FeatureSet, Needs};
use crate::flow::{Flow, SPLT_PACKETS, SpltPacket};

/// The first 20 packets that carry payload, three fixed-width columns.
pub static SET: FeatureSet = FeatureSet {
    name: "splt",
    doc: "Sequence of packet lengths and times over the first 20 packets with payload, as in Joy; pure \
          acknowledgements are left out, because they tell more of the network path than of the application. \
          Retransmitted payload counts as often as it was captured. Unused places are 0 in all three columns; \
          splt_direction tells them from used ones.",
    needs: Needs::SPLT,
    rules: None,
    columns: &[
        column!(
            U64 * SPLT_PACKETS,
            "splt_bytes",
            "bytes",
            "payload bytes of the n-th packet with payload; 0 when there is none (Joy: packets.b)",
            |flow, index| place(flow, index).map_or(0, |packet| u64::from(packet.bytes))
        ),
        column!(
            I64 * SPLT_PACKETS,
            "splt_direction",
            "1",
            "1 when the n-th packet with payload is forward, -1 when backward, 0 when there is none (Joy: \
                  packets.dir; NFStream's splt_direction has 0, 1, -1 in their place)",
            |flow, index| place(flow, index).map_or(0, |packet| i64::from(packet.direction))
        ),
        column!(
            F64 * SPLT_PACKETS,
            "splt_iat_s",
            "s",
            "time from the packet with payload before it to the n-th one, never negative (times are clamped to \
                  their running maximum); 0 for the first and when there is none (Joy: packets.ipt)",
            |flow, index| place(flow, index).map_or(0.0, |packet| packet.iat_ns as f64 / 1e9)
        ),
    ],
};

fn place<'a>(flow: &Flow<'a>, index: usize) -> Option<&'a SpltPacket> {
    flow.splt.packet(index).filter(|packet| packet.bytes > 0)
}
