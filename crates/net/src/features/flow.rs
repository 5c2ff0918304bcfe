//! The `flow` set: the default statistics of both directions, readable without any payload.
//!
//! Conventions, for every column:
//! - `fwd` is the direction of the flow's first packet (against it when that is a SYN-ACK, which answers a client), `bwd`
//!   the other; without prefix, both together.
//! - Sizes are IP bytes by the IP header's length field; payload is what is above the transport header by the same
//!   length. Neither padding nor the snapshot length matters. Segmentation offload shows as sent by the host.
//! - A gap (IAT) is between consecutive packets, each time clamped to the running maximum of the flow, so gaps are
//!   never negative and add up to the duration; `fwd` and `bwd` gaps are between packets of that direction.
//! - Mean and standard deviation come from exact integer sums; the deviation is the sample's (divisor n - 1), as in
//!   CICFlowMeter and NFStream, and 0 with fewer than two values.
//! - A count, share or statistic of nothing is 0; the counts tell it from a measured 0. Only what needs an event that
//!   did not happen (a handshake, an answer, a TCP window) is NaN, and says so.
//!
//! Neither addresses nor ports are here: see [`super::identity`].

use super::core::{self, backward, forward, seconds};
use super::{Column, FeatureSet, Needs};
use crate::flow::{Flow, Moments, Side};

/// The default feature set.
pub static SET: FeatureSet = FeatureSet {
    name: "flow",
    doc: "The default set: about a hundred statistics of both directions from headers and times alone: volume, rates, packet and \
          payload sizes, inter-arrival times, active and idle periods, bursts, TCP flags, handshake, retransmissions \
          and windows. Fit for traffic whose payload is encrypted.",
    needs: Needs::STATS,
    rules: None,
    columns: COLUMNS,
};

macro_rules! real {
    ($name:literal, $unit:literal, $doc:literal, |$flow:ident| $value:expr $(,)?) => {
        column!(F64, $name, $unit, $doc, |$flow| $value)
    };
}
macro_rules! count {
    ($name:literal, $unit:literal, $doc:literal, |$flow:ident| $value:expr $(,)?) => {
        column!(U64, $name, $unit, $doc, |$flow| $value)
    };
}
macro_rules! indicator {
    ($name:literal, $doc:literal, |$flow:ident| $value:expr $(,)?) => {
        column!(U64, $name, "1", $doc, |$flow| u64::from($value))
    };
}

static COLUMNS: &[Column] = &[
    core::DURATION,
    core::PACKETS,
    core::FWD_PACKETS,
    core::BWD_PACKETS,
    core::BYTES,
    core::FWD_BYTES,
    core::BWD_BYTES,
    core::FWD_PAYLOAD,
    core::BWD_PAYLOAD,
    count!("fwd_payload_packets", "packets", "forward packets with payload", |f| f
        .stats
        .forward()
        .payload
        .count()),
    count!("bwd_payload_packets", "packets", "backward packets with payload", |f| f
        .stats
        .backward()
        .payload
        .count()),
    count!(
        "fwd_header_bytes",
        "bytes",
        "IP, extension and transport headers of forward packets, options included (CIC: Fwd Header Length)",
        |f| f.stats.forward().header_bytes,
    ),
    count!("bwd_header_bytes", "bytes", "as fwd_header_bytes, backward", |f| f.stats.backward().header_bytes),
    // Rates and proportions
    real!(
        "packets_per_s",
        "1/s",
        "packets / duration_s; 0 when the duration is 0 (CIC: Flow Packets/s, there infinite)",
        |f| { per_second(f, f.core.all_packets()) }
    ),
    real!(
        "bytes_per_s",
        "bytes/s",
        "bytes / duration_s; 0 when the duration is 0 (CIC: Flow Bytes/s, there infinite)",
        |f| { per_second(f, f.core.bytes.iter().sum()) }
    ),
    real!("fwd_bytes_per_s", "bytes/s", "fwd_bytes / duration_s; 0 when the duration is 0", |f| {
        per_second(f, forward(f.core.bytes))
    }),
    real!("bwd_bytes_per_s", "bytes/s", "bwd_bytes / duration_s; 0 when the duration is 0", |f| {
        per_second(f, backward(f.core.bytes))
    }),
    real!(
        "packet_asymmetry",
        "1",
        "(fwd_packets - bwd_packets) / packets: 1 = one-way, 0 = balanced (own; bounded where CIC's Down/Up Ratio is not)",
        |f| asymmetry(f.core.packets),
    ),
    real!(
        "byte_asymmetry",
        "1",
        "(fwd_bytes - bwd_bytes) / bytes: 1 = all upload, -1 = nearly all download (own)",
        |f| { asymmetry(f.core.bytes) }
    ),
    real!("fwd_small_share", "1", "share of forward packets below 128 IP bytes (own)", |f| {
        share(u64::from(f.stats.forward().small), f.stats.forward().size.count())
    }),
    real!("bwd_small_share", "1", "share of backward packets below 128 IP bytes (own)", |f| {
        share(u64::from(f.stats.backward().small), f.stats.backward().size.count())
    }),
    real!("fwd_large_share", "1", "share of forward packets of 1200 IP bytes or more (own)", |f| {
        share(u64::from(f.stats.forward().large), f.stats.forward().size.count())
    }),
    real!("bwd_large_share", "1", "share of backward packets of 1200 IP bytes or more (own)", |f| {
        share(u64::from(f.stats.backward().large), f.stats.backward().size.count())
    }),
    real!("fwd_empty_share", "1", "share of forward packets without payload (own)", |f| empty_share(
        f.stats.forward()
    )),
    real!("bwd_empty_share", "1", "share of backward packets without payload (own)", |f| empty_share(
        f.stats.backward()
    )),
    // Packet sizes
    real!("size_min_bytes", "bytes", "smallest packet (NFStream: bidirectional_min_ps)", |f| sizes(f).min()
        as f64),
    real!("size_mean_bytes", "bytes", "mean packet size (NFStream: bidirectional_mean_ps)", |f| sizes(f)
        .mean()),
    real!(
        "size_std_bytes",
        "bytes",
        "standard deviation of packet sizes (NFStream: bidirectional_stddev_ps)",
        |f| { sizes(f).std() }
    ),
    real!("size_max_bytes", "bytes", "largest packet (NFStream: bidirectional_max_ps)", |f| sizes(f).max()
        as f64),
    real!("fwd_size_min_bytes", "bytes", "smallest forward packet", |f| f.stats.forward().size.min() as f64),
    real!("fwd_size_mean_bytes", "bytes", "mean forward packet size", |f| f.stats.forward().size.mean()),
    real!("fwd_size_std_bytes", "bytes", "standard deviation of forward packet sizes", |f| f
        .stats
        .forward()
        .size
        .std()),
    real!("fwd_size_max_bytes", "bytes", "largest forward packet", |f| f.stats.forward().size.max() as f64),
    real!("bwd_size_min_bytes", "bytes", "smallest backward packet", |f| f.stats.backward().size.min()
        as f64),
    real!("bwd_size_mean_bytes", "bytes", "mean backward packet size", |f| f.stats.backward().size.mean()),
    real!("bwd_size_std_bytes", "bytes", "standard deviation of backward packet sizes", |f| f
        .stats
        .backward()
        .size
        .std()),
    real!("bwd_size_max_bytes", "bytes", "largest backward packet", |f| f.stats.backward().size.max() as f64),
    // Payload sizes of packets that have payload
    real!("fwd_payload_mean_bytes", "bytes", "mean payload of forward packets with payload", |f| {
        f.stats.forward().payload.mean()
    }),
    real!(
        "fwd_payload_std_bytes",
        "bytes",
        "standard deviation of the payload of forward packets with payload",
        |f| { f.stats.forward().payload.std() }
    ),
    real!("fwd_payload_max_bytes", "bytes", "largest forward payload", |f| f.stats.forward().payload.max()
        as f64),
    real!("bwd_payload_mean_bytes", "bytes", "mean payload of backward packets with payload", |f| {
        f.stats.backward().payload.mean()
    }),
    real!(
        "bwd_payload_std_bytes",
        "bytes",
        "standard deviation of the payload of backward packets with payload",
        |f| { f.stats.backward().payload.std() }
    ),
    real!("bwd_payload_max_bytes", "bytes", "largest backward payload", |f| f.stats.backward().payload.max()
        as f64),
    count!(
        "fwd_first_payload_bytes",
        "bytes",
        "payload of the first forward packet with payload, often the request or the ClientHello; 0 without (own, after Joy)",
        |f| u64::from(f.stats.forward().first_payload_bytes),
    ),
    count!(
        "bwd_first_payload_bytes",
        "bytes",
        "payload of the first backward packet with payload, often the answer's head; 0 without (own, after Joy)",
        |f| u64::from(f.stats.backward().first_payload_bytes),
    ),
    real!(
        "response_s",
        "s",
        "from the first packet with payload to the first one with payload in the other direction; NaN when only one \
         side, or neither, sent payload (own)",
        |f| seconds_or_nan(f.stats.response_ns()),
    ),
    count!("turns", "turns", "changes of direction between consecutive packets with payload (own)", |f| f
        .stats
        .turns),
    // Inter-arrival times
    real!("iat_min_s", "s", "shortest gap (NFStream: bidirectional_min_piat_ms)", |f| seconds(
        f.stats.iat.min()
    )),
    real!("iat_mean_s", "s", "mean gap (NFStream: bidirectional_mean_piat_ms)", |f| f.stats.iat.mean() / 1e9),
    real!("iat_std_s", "s", "standard deviation of the gaps (NFStream: bidirectional_stddev_piat_ms)", |f| {
        f.stats.iat.std() / 1e9
    }),
    real!("iat_max_s", "s", "longest gap (NFStream: bidirectional_max_piat_ms)", |f| seconds(
        f.stats.iat.max()
    )),
    real!("fwd_iat_min_s", "s", "shortest forward gap", |f| seconds(f.stats.forward().iat.min())),
    real!("fwd_iat_mean_s", "s", "mean forward gap", |f| f.stats.forward().iat.mean() / 1e9),
    real!("fwd_iat_std_s", "s", "standard deviation of the forward gaps", |f| f.stats.forward().iat.std()
        / 1e9),
    real!("fwd_iat_max_s", "s", "longest forward gap", |f| seconds(f.stats.forward().iat.max())),
    real!("bwd_iat_min_s", "s", "shortest backward gap", |f| seconds(f.stats.backward().iat.min())),
    real!("bwd_iat_mean_s", "s", "mean backward gap", |f| f.stats.backward().iat.mean() / 1e9),
    real!("bwd_iat_std_s", "s", "standard deviation of the backward gaps", |f| f.stats.backward().iat.std()
        / 1e9),
    real!("bwd_iat_max_s", "s", "longest backward gap", |f| seconds(f.stats.backward().iat.max())),
    // Active and idle periods, bursts
    real!(
        "active_mean_s",
        "s",
        "mean length of active periods: runs of packets whose gaps are at most 5 s, the last run and runs of one packet \
         included (CIC: Active Mean, which leaves out runs of length 0)",
        |f| active(f).mean() / 1e9,
    ),
    real!(
        "active_std_s",
        "s",
        "standard deviation of the lengths of active periods (CIC: Active Std)",
        |f| { active(f).std() / 1e9 }
    ),
    real!("active_max_s", "s", "longest active period (CIC: Active Max)", |f| seconds(active(f).max())),
    count!("idle_periods", "periods", "gaps above 5 s", |f| f.stats.idle.count()),
    real!("idle_min_s", "s", "shortest gap above 5 s (CIC: Idle Min)", |f| seconds(f.stats.idle.min())),
    real!("idle_mean_s", "s", "mean of the gaps above 5 s (CIC: Idle Mean)", |f| f.stats.idle.mean() / 1e9),
    real!(
        "idle_std_s",
        "s",
        "standard deviation of the gaps above 5 s; small beside idle_mean_s when something calls at fixed times (CIC: \
         Idle Std)",
        |f| f.stats.idle.std() / 1e9,
    ),
    real!("idle_max_s", "s", "longest gap above 5 s (CIC: Idle Max)", |f| seconds(f.stats.idle.max())),
    count!("bursts", "bursts", "runs of packets whose gaps are at most 1 s (the sub-flows of CIC)", |f| {
        f.stats.burst_gaps + 1
    }),
    real!("burst_packets_mean", "packets", "packets / bursts", |f| share(
        f.core.all_packets(),
        f.stats.burst_gaps + 1
    )),
    count!("burst_bytes_max", "bytes", "IP bytes of the heaviest burst (own)", |f| f.stats.burst_bytes_max()),
    // TCP flags
    count!("fwd_syn", "packets", "forward packets with SYN", |f| u64::from(f.stats.forward().syn)),
    count!("bwd_syn", "packets", "backward packets with SYN, so SYN-ACK of an answered connection", |f| {
        u64::from(f.stats.backward().syn)
    }),
    count!("fwd_fin", "packets", "forward packets with FIN", |f| u64::from(f.stats.forward().fin)),
    count!("bwd_fin", "packets", "backward packets with FIN", |f| u64::from(f.stats.backward().fin)),
    count!("fwd_rst", "packets", "forward packets with RST", |f| u64::from(f.stats.forward().rst)),
    count!("bwd_rst", "packets", "backward packets with RST", |f| u64::from(f.stats.backward().rst)),
    count!("fwd_psh", "packets", "forward packets with PSH", |f| u64::from(f.stats.forward().psh)),
    count!("bwd_psh", "packets", "backward packets with PSH", |f| u64::from(f.stats.backward().psh)),
    count!("urg", "packets", "packets with URG in both directions", |f| u64::from(f.stats.counts.urg)),
    count!("ece", "packets", "packets with ECE in both directions", |f| u64::from(f.stats.counts.ece)),
    count!("cwr", "packets", "packets with CWR in both directions", |f| u64::from(f.stats.counts.cwr)),
    // TCP connection
    indicator!(
        "handshake",
        "1 when SYN, SYN-ACK and the ACK that completes them were seen in this order",
        |f| f.stats.handshake.complete_ns().is_some()
    ),
    real!(
        "syn_ack_s",
        "s",
        "from the first forward SYN to the SYN-ACK: round trip to the server as seen from the capture point; NaN when \
         either is missing",
        |f| seconds_or_nan(f.stats.handshake.answer_ns()),
    ),
    real!(
        "handshake_s",
        "s",
        "from the first forward SYN to the ACK after the SYN-ACK: round trip of the whole path; NaN when not complete",
        |f| seconds_or_nan(f.stats.handshake.complete_ns()),
    ),
    indicator!("closed_by_fin", "1 when both sides sent FIN before any RST", |f| f.core.closed_by_fin()),
    indicator!("closed_by_rst", "1 when a RST came before both sides had sent FIN", |f| f
        .core
        .closed_by_rst()),
    count!(
        "fwd_retransmissions",
        "packets",
        "forward segments that start below the next sequence number expected and bring nothing that was missing: sent again \
         or captured twice, wholly or in part; SYN and FIN count as a byte, RST, keep-alives and window probes are left out",
        |f| u64::from(f.stats.forward().retransmissions),
    ),
    count!("bwd_retransmissions", "packets", "as fwd_retransmissions, backward", |f| {
        u64::from(f.stats.backward().retransmissions)
    }),
    count!(
        "fwd_out_of_order",
        "packets",
        "forward segments that start below the next sequence number expected and bring something that was missing: \
         reordered, or sent again because it was lost before the capture point; up to 3 holes are remembered",
        |f| u64::from(f.stats.forward().out_of_order),
    ),
    count!("bwd_out_of_order", "packets", "as fwd_out_of_order, backward", |f| {
        u64::from(f.stats.backward().out_of_order)
    }),
    count!(
        "fwd_gaps",
        "packets",
        "forward segments that start beyond the next sequence number expected: something before them was lost, reordered \
         or not captured (Wireshark's tcp.analysis.lost_segment)",
        |f| u64::from(f.stats.forward().gaps),
    ),
    count!("bwd_gaps", "packets", "as fwd_gaps, backward", |f| u64::from(f.stats.backward().gaps)),
    count!(
        "fwd_duplicate_acks",
        "packets",
        "forward segments with nothing but an ACK that repeats number and window of the segment before it and answers no \
         keep-alive or window probe (Wireshark's tcp.analysis.duplicate_ack)",
        |f| u64::from(f.stats.forward().duplicate_acks),
    ),
    count!("bwd_duplicate_acks", "packets", "as fwd_duplicate_acks, backward", |f| {
        u64::from(f.stats.backward().duplicate_acks)
    }),
    count!(
        "keep_alives",
        "packets",
        "TCP segments of at most one byte whose sequence number is one before the next expected (Wireshark's \
         tcp.analysis.keep_alive), both directions",
        |f| u64::from(f.stats.counts.keep_alives),
    ),
    count!(
        "window_probes",
        "packets",
        "TCP segments of one byte, the next one expected, while the other side's window is closed (Wireshark's \
         tcp.analysis.zero_window_probe), both directions",
        |f| u64::from(f.stats.counts.window_probes),
    ),
    real!(
        "fwd_window_first",
        "bytes",
        "window of the first forward TCP segment as sent, not scaled; NaN without one (CIC: Init_Win_bytes_forward)",
        |f| window(f.stats.forward().first_window),
    ),
    real!(
        "bwd_window_first",
        "bytes",
        "window of the first backward TCP segment as sent, not scaled; NaN without one (CIC: Init_Win_bytes_backward)",
        |f| window(f.stats.backward().first_window),
    ),
    real!(
        "fwd_window_min",
        "bytes",
        "smallest window of forward segments without SYN, FIN, RST as sent, not scaled; NaN without one",
        |f| window(f.stats.forward().min_window),
    ),
    real!("bwd_window_min", "bytes", "as fwd_window_min, backward", |f| window(
        f.stats.backward().min_window
    )),
    count!(
        "fwd_zero_windows",
        "packets",
        "forward segments without SYN, FIN, RST that offer no window (Wireshark's tcp.analysis.zero_window)",
        |f| u64::from(f.stats.forward().zero_windows),
    ),
    count!("bwd_zero_windows", "packets", "as fwd_zero_windows, backward", |f| {
        u64::from(f.stats.backward().zero_windows)
    }),
    // Transport. No time to live: it tells which network a capture was taken in, and models learn that instead of malice
    // (the best known case is `sttl` of UNSW-NB15).
    count!("fragments", "packets", "packets that are IP fragments, both directions", |f| {
        u64::from(f.stats.counts.fragments)
    }),
    indicator!("is_tcp", "1 for TCP", |f| f.core.key.protocol() == 6),
    indicator!("is_udp", "1 for UDP", |f| f.core.key.protocol() == 17),
    indicator!("is_icmp", "1 for ICMP and ICMPv6", |f| matches!(f.core.key.protocol(), 1 | 58)),
];

fn sizes(flow: &Flow<'_>) -> Moments {
    flow.stats.forward().size.merge(&flow.stats.backward().size)
}

fn active(flow: &Flow<'_>) -> Moments {
    flow.stats.active(flow.core.last_ns)
}

fn per_second(flow: &Flow<'_>, amount: u64) -> f64 {
    match flow.core.duration_ns() {
        0 => 0.0,
        duration_ns => amount as f64 / seconds(duration_ns),
    }
}

fn asymmetry([forward, backward]: [u64; 2]) -> f64 {
    match forward + backward {
        0 => 0.0,
        sum => (forward as f64 - backward as f64) / sum as f64,
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn empty_share(side: &Side) -> f64 {
    share(side.size.count() - side.payload.count(), side.size.count())
}

fn seconds_or_nan(ns: Option<u64>) -> f64 {
    ns.map_or(f64::NAN, seconds)
}

fn window(bytes: Option<u16>) -> f64 {
    bytes.map_or(f64::NAN, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_hundred_columns_with_names_of_their_own() {
        let names: BTreeSet<&str> = COLUMNS.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
        assert!((80..=110).contains(&COLUMNS.len()), "{}", COLUMNS.len());
    }

    #[test]
    fn no_column_shows_an_address_or_a_port() {
        assert!(
            COLUMNS.iter().all(|column| !column.name.contains("port") && !column.name.contains("address"))
        );
    }
}
