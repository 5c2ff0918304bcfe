//! The `cic` set: the columns of CICFlowMeter by their names, on this program's flows and without its faults.
//!
//! For what was published with CICFlowMeter's columns: papers, baselines, models to compare with. `docs/cic.md` lists
//! each fault and how the values here differ from published tables. Conventions are those of [`super::flow`]; beyond:
//! - "Packet length", "segment size" and "bytes" are payload above the transport header, as in CICFlowMeter, by the IP
//!   length; "header length" is the transport header alone.
//! - Times are in microseconds, with the capture's nanoseconds as decimals.
//! - A statistic of nothing and a rate over no time are 0. Only a window that was never seen is NaN.
//!
//! Sources: the program itself (Lashkari et al. 2017); Engelen, Rimmer, Joosen, "Troubleshooting an Intrusion Detection
//! Dataset", 2021; Rosay et al., "Network Intrusion Detection: A Comprehensive Analysis of CIC-IDS2017", 2022; Liu et
//! al., "Error Prevalence in NIDS Datasets", 2022.

use super::core::{backward, forward, seconds};
use super::{Column, FeatureSet, Needs};
use crate::flow::{CicSide, Flow, Moments, Side};

/// CICFlowMeter's columns, corrected.
pub static SET: FeatureSet = FeatureSet {
    name: "cic",
    doc: "The columns of CICFlowMeter, as in CIC-IDS2017 and its kin, by their names but computed as they were meant: \
          on this program's flows, every packet counted once, flags, headers, bulks and subflows as defined. For \
          comparison with published results; its values differ from published tables where those are wrong.",
    rules: None,
    needs: Needs::STATS.with(Needs::CIC),
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

static COLUMNS: &[Column] = &[
    real!("flow_duration_us", "us", "from the first packet to the latest (CIC: Flow Duration)", |f| us(f
        .core
        .duration_ns())),
    count!("total_fwd_packet", "packets", "forward packets (CIC: Total Fwd Packet)", |f| forward(
        f.core.packets
    )),
    count!("total_bwd_packets", "packets", "backward packets (CIC: Total Bwd packets)", |f| backward(
        f.core.packets
    )),
    count!(
        "total_length_of_fwd_packet_bytes",
        "bytes",
        "payload of forward packets by the IP length: CICFlowMeter takes the padding of short frames for \
         payload (CIC: Total Length of Fwd Packet)",
        |f| forward(f.core.payload_bytes)
    ),
    count!(
        "total_length_of_bwd_packet_bytes",
        "bytes",
        "payload of backward packets, as in total_length_of_fwd_packet_bytes (CIC: Total Length of Bwd \
         Packet)",
        |f| backward(f.core.payload_bytes)
    ),
    real!(
        "fwd_packet_length_max",
        "bytes",
        "largest payload of a forward packet (CIC: Fwd Packet Length Max)",
        |f| payload(f.stats.forward()).max() as f64
    ),
    real!(
        "fwd_packet_length_min",
        "bytes",
        "smallest payload of a forward packet, 0 when one has none (CIC: Fwd Packet Length Min)",
        |f| payload(f.stats.forward()).min() as f64
    ),
    real!(
        "fwd_packet_length_mean",
        "bytes",
        "mean payload of forward packets, those without counted as 0 (CIC: Fwd Packet Length Mean)",
        |f| payload(f.stats.forward()).mean()
    ),
    real!(
        "fwd_packet_length_std",
        "bytes",
        "standard deviation of the payload of forward packets (CIC: Fwd Packet Length Std)",
        |f| payload(f.stats.forward()).std()
    ),
    real!(
        "bwd_packet_length_max",
        "bytes",
        "largest payload of a backward packet (CIC: Bwd Packet Length Max)",
        |f| payload(f.stats.backward()).max() as f64
    ),
    real!(
        "bwd_packet_length_min",
        "bytes",
        "smallest payload of a backward packet, 0 when one has none (CIC: Bwd Packet Length Min)",
        |f| payload(f.stats.backward()).min() as f64
    ),
    real!(
        "bwd_packet_length_mean",
        "bytes",
        "mean payload of backward packets, those without counted as 0 (CIC: Bwd Packet Length Mean)",
        |f| payload(f.stats.backward()).mean()
    ),
    real!(
        "bwd_packet_length_std",
        "bytes",
        "standard deviation of the payload of backward packets (CIC: Bwd Packet Length Std)",
        |f| payload(f.stats.backward()).std()
    ),
    real!(
        "flow_bytes_per_s",
        "bytes/s",
        "payload of both directions / duration; 0 when the duration is 0, where CICFlowMeter has Infinity \
         or NaN (CIC: Flow Bytes/s)",
        |f| per_second(f, f.core.payload_bytes.iter().sum())
    ),
    real!(
        "flow_packets_per_s",
        "1/s",
        "packets / duration; 0 when the duration is 0, where CICFlowMeter has Infinity (CIC: Flow \
         Packets/s)",
        |f| per_second(f, f.core.all_packets())
    ),
    real!("flow_iat_mean_us", "us", "mean of the gaps (CIC: Flow IAT Mean)", |f| f.stats.iat.mean() / 1e3),
    real!("flow_iat_std_us", "us", "standard deviation of the gaps (CIC: Flow IAT Std)", |f| f
        .stats
        .iat
        .std()
        / 1e3),
    real!("flow_iat_max_us", "us", "longest of the gaps (CIC: Flow IAT Max)", |f| us(f.stats.iat.max())),
    real!("flow_iat_min_us", "us", "shortest of the gaps, never negative (CIC: Flow IAT Min)", |f| us(f
        .stats
        .iat
        .min())),
    real!(
        "fwd_iat_total_us",
        "us",
        "sum of the forward gaps: from the first forward packet to the latest (CIC: Fwd IAT Total)",
        |f| us(f.stats.forward().iat.sum())
    ),
    real!("fwd_iat_mean_us", "us", "mean of the forward gaps (CIC: Fwd IAT Mean)", |f| f
        .stats
        .forward()
        .iat
        .mean()
        / 1e3),
    real!("fwd_iat_std_us", "us", "standard deviation of the forward gaps (CIC: Fwd IAT Std)", |f| f
        .stats
        .forward()
        .iat
        .std()
        / 1e3),
    real!("fwd_iat_max_us", "us", "longest of the forward gaps (CIC: Fwd IAT Max)", |f| us(f
        .stats
        .forward()
        .iat
        .max())),
    real!("fwd_iat_min_us", "us", "shortest of the forward gaps, never negative (CIC: Fwd IAT Min)", |f| us(
        f.stats.forward().iat.min()
    )),
    real!(
        "bwd_iat_total_us",
        "us",
        "sum of the backward gaps: from the first backward packet to the latest (CIC: Bwd IAT Total)",
        |f| us(f.stats.backward().iat.sum())
    ),
    real!("bwd_iat_mean_us", "us", "mean of the backward gaps (CIC: Bwd IAT Mean)", |f| f
        .stats
        .backward()
        .iat
        .mean()
        / 1e3),
    real!("bwd_iat_std_us", "us", "standard deviation of the backward gaps (CIC: Bwd IAT Std)", |f| f
        .stats
        .backward()
        .iat
        .std()
        / 1e3),
    real!("bwd_iat_max_us", "us", "longest of the backward gaps (CIC: Bwd IAT Max)", |f| us(f
        .stats
        .backward()
        .iat
        .max())),
    real!(
        "bwd_iat_min_us",
        "us",
        "shortest of the backward gaps, never negative (CIC: Bwd IAT Min)",
        |f| us(f.stats.backward().iat.min())
    ),
    count!(
        "fwd_psh_flags",
        "packets",
        "forward packets with PSH: all of them, where CICFlowMeter looks at the first packet of the flow \
         alone (CIC: Fwd PSH Flags)",
        |f| u64::from(f.stats.forward().psh)
    ),
    count!("bwd_psh_flags", "packets", "backward packets with PSH (CIC: Bwd PSH Flags)", |f| u64::from(
        f.stats.backward().psh
    )),
    count!(
        "fwd_urg_flags",
        "packets",
        "forward packets with URG: all of them, where CICFlowMeter looks at the first packet of the flow \
         alone (CIC: Fwd URG Flags)",
        |f| u64::from(f.cic.forward().urg)
    ),
    count!("bwd_urg_flags", "packets", "backward packets with URG (CIC: Bwd URG Flags)", |f| u64::from(
        f.cic.backward().urg
    )),
    count!(
        "fwd_rst_flags",
        "packets",
        "forward packets with RST (a column of the corrected data sets)",
        |f| u64::from(f.stats.forward().rst)
    ),
    count!(
        "bwd_rst_flags",
        "packets",
        "backward packets with RST (a column of the corrected data sets)",
        |f| u64::from(f.stats.backward().rst)
    ),
    count!(
        "fwd_header_length_bytes",
        "bytes",
        "transport headers of forward packets: TCP with its options, UDP 8, 0 for other protocols, for \
         later fragments and where not 20 bytes of a TCP header were captured (CIC: Fwd Header Length)",
        |f| f.cic.forward().header_bytes
    ),
    count!(
        "bwd_header_length_bytes",
        "bytes",
        "as fwd_header_length_bytes, backward (CIC: Bwd Header Length)",
        |f| f.cic.backward().header_bytes
    ),
    real!(
        "fwd_packets_per_s",
        "1/s",
        "forward packets / duration; 0 when the duration is 0 (CIC: Fwd Packets/s)",
        |f| per_second(f, forward(f.core.packets))
    ),
    real!(
        "bwd_packets_per_s",
        "1/s",
        "backward packets / duration; 0 when the duration is 0 (CIC: Bwd Packets/s)",
        |f| per_second(f, backward(f.core.packets))
    ),
    real!(
        "packet_length_min",
        "bytes",
        "smallest payload of a packet (CIC: Packet Length Min)",
        |f| payloads(f).min() as f64
    ),
    real!(
        "packet_length_max",
        "bytes",
        "largest payload of a packet (CIC: Packet Length Max)",
        |f| payloads(f).max() as f64
    ),
    real!(
        "packet_length_mean",
        "bytes",
        "mean payload of packets, each counted once: CICFlowMeter counts the first one twice (CIC: Packet \
         Length Mean)",
        |f| payloads(f).mean()
    ),
    real!(
        "packet_length_std",
        "bytes",
        "standard deviation of the payload of packets, each counted once (CIC: Packet Length Std)",
        |f| payloads(f).std()
    ),
    real!(
        "packet_length_variance",
        "bytes^2",
        "packet_length_std squared (CIC: Packet Length Variance)",
        |f| payloads(f).std().powi(2)
    ),
    count!(
        "fin_flag_count",
        "packets",
        "packets with FIN, every packet of the flow looked at (CIC: FIN Flag Count)",
        |f| both(f.stats.forward().fin, f.stats.backward().fin)
    ),
    count!(
        "syn_flag_count",
        "packets",
        "packets with SYN, every packet of the flow looked at (CIC: SYN Flag Count)",
        |f| both(f.stats.forward().syn, f.stats.backward().syn)
    ),
    count!(
        "rst_flag_count",
        "packets",
        "packets with RST, every packet of the flow looked at (CIC: RST Flag Count)",
        |f| both(f.stats.forward().rst, f.stats.backward().rst)
    ),
    count!(
        "psh_flag_count",
        "packets",
        "packets with PSH, every packet of the flow looked at (CIC: PSH Flag Count)",
        |f| both(f.stats.forward().psh, f.stats.backward().psh)
    ),
    count!(
        "ack_flag_count",
        "packets",
        "packets with ACK, every packet of the flow looked at (CIC: ACK Flag Count)",
        |f| both(f.cic.forward().ack, f.cic.backward().ack)
    ),
    count!(
        "urg_flag_count",
        "packets",
        "packets with URG, every packet of the flow looked at (CIC: URG Flag Count)",
        |f| u64::from(f.stats.counts.urg)
    ),
    count!(
        "cwr_flag_count",
        "packets",
        "packets with CWR, every packet of the flow looked at (CIC: CWE Flag Count, a misprint for CWR)",
        |f| u64::from(f.stats.counts.cwr)
    ),
    count!(
        "ece_flag_count",
        "packets",
        "packets with ECE, every packet of the flow looked at (CIC: ECE Flag Count)",
        |f| u64::from(f.stats.counts.ece)
    ),
    real!(
        "down_up_ratio",
        "1",
        "backward packets / forward packets, a fraction where CICFlowMeter divides integers; 0 without \
         forward packets (CIC: Down/Up Ratio)",
        |f| ratio(backward(f.core.packets), forward(f.core.packets))
    ),
    real!(
        "average_packet_size",
        "bytes",
        "payload of all packets / packets; the same as packet_length_mean once the first packet counts once \
         (CIC: Average Packet Size)",
        |f| payloads(f).mean()
    ),
    real!(
        "fwd_segment_size_avg",
        "bytes",
        "the same as fwd_packet_length_mean; kept for its name (CIC: Fwd Segment Size Avg)",
        |f| payload(f.stats.forward()).mean()
    ),
    real!(
        "bwd_segment_size_avg",
        "bytes",
        "the same as bwd_packet_length_mean; kept for its name (CIC: Bwd Segment Size Avg)",
        |f| payload(f.stats.backward()).mean()
    ),
    real!(
        "fwd_bytes_bulk_avg",
        "bytes",
        "payload per forward bulk: a bulk is at least 4 packets with payload in a row, none of the other \
         direction and no gap above 1 s between them; 0 without, a fraction where CICFlowMeter divides \
         integers (CIC: Fwd Bytes/Bulk Avg)",
        |f| ratio(f.cic.forward().bulk_bytes, f.cic.forward().bulks)
    ),
    real!(
        "fwd_packet_bulk_avg",
        "packets",
        "packets per forward bulk; 0 without (CIC: Fwd Packet/Bulk Avg)",
        |f| ratio(f.cic.forward().bulk_packets, f.cic.forward().bulks)
    ),
    real!(
        "fwd_bulk_rate_avg",
        "bytes/s",
        "payload of all forward bulks / time from the first packet of each to its last; 0 when that is 0 \
         (CIC: Fwd Bulk Rate Avg)",
        |f| bulk_rate(f.cic.forward())
    ),
    real!("bwd_bytes_bulk_avg", "bytes", "as fwd_bytes_bulk_avg, backward (CIC: Bwd Bytes/Bulk Avg)", |f| {
        ratio(f.cic.backward().bulk_bytes, f.cic.backward().bulks)
    }),
    real!(
        "bwd_packet_bulk_avg",
        "packets",
        "packets per backward bulk; 0 without (CIC: Bwd Packet/Bulk Avg)",
        |f| ratio(f.cic.backward().bulk_packets, f.cic.backward().bulks)
    ),
    real!(
        "bwd_bulk_rate_avg",
        "bytes/s",
        "payload of all backward bulks / time from the first packet of each to its last; 0 when that is 0 \
         (CIC: Bwd Bulk Rate Avg)",
        |f| bulk_rate(f.cic.backward())
    ),
    real!(
        "subflow_fwd_packets",
        "packets",
        "forward packets / subflows, subflows being runs of packets whose gaps are at most 1 s; \
         CICFlowMeter begins one at every packet or never counts the first (CIC: Subflow Fwd Packets)",
        |f| per_subflow(f, forward(f.core.packets))
    ),
    real!(
        "subflow_fwd_bytes",
        "bytes",
        "payload of forward packets / subflows (CIC: Subflow Fwd Bytes)",
        |f| per_subflow(f, forward(f.core.payload_bytes))
    ),
    real!("subflow_bwd_packets", "packets", "backward packets / subflows (CIC: Subflow Bwd Packets)", |f| {
        per_subflow(f, backward(f.core.packets))
    }),
    real!(
        "subflow_bwd_bytes",
        "bytes",
        "payload of backward packets / subflows (CIC: Subflow Bwd Bytes)",
        |f| per_subflow(f, backward(f.core.payload_bytes))
    ),
    real!(
        "fwd_init_win_bytes",
        "bytes",
        "window of the first forward TCP segment as sent, not scaled; NaN without one, where CICFlowMeter \
         has 0 or -1 (CIC: FWD Init Win Bytes)",
        |f| window(f.stats.forward().first_window)
    ),
    real!(
        "bwd_init_win_bytes",
        "bytes",
        "window of the first backward TCP segment as sent, not scaled, where CICFlowMeter keeps the last \
         one; NaN without one, where CICFlowMeter has 0 or -1 (CIC: Bwd Init Win Bytes)",
        |f| window(f.stats.backward().first_window)
    ),
    count!(
        "fwd_act_data_packets",
        "packets",
        "forward packets with payload, of any transport, the first one included (CIC: Fwd Act Data Pkts)",
        |f| f.stats.forward().payload.count()
    ),
    count!(
        "fwd_seg_size_min",
        "bytes",
        "smallest transport header of a forward packet, as in fwd_header_length_bytes; 0 without packets. A \
         header, whatever its name says (CIC: Fwd Seg Size Min)",
        |f| u64::from(f.cic.forward().least_header_bytes())
    ),
    real!(
        "active_mean_us",
        "us",
        "mean length in time of active periods: runs of packets whose gaps are at most 5 s, the last run \
         and runs of one packet included, which CICFlowMeter leaves out (CIC: Active Mean)",
        |f| active(f).mean() / 1e3
    ),
    real!(
        "active_std_us",
        "us",
        "standard deviation of the lengths of active periods (CIC: Active Std)",
        |f| active(f).std() / 1e3
    ),
    real!("active_max_us", "us", "longest active period (CIC: Active Max)", |f| us(active(f).max())),
    real!("active_min_us", "us", "shortest active period (CIC: Active Min)", |f| us(active(f).min())),
    real!("idle_mean_us", "us", "mean of the gaps above 5 s; 0 without (CIC: Idle Mean)", |f| f
        .stats
        .idle
        .mean()
        / 1e3),
    real!("idle_std_us", "us", "standard deviation of the gaps above 5 s (CIC: Idle Std)", |f| f
        .stats
        .idle
        .std()
        / 1e3),
    real!("idle_max_us", "us", "longest gap above 5 s; 0 without (CIC: Idle Max)", |f| us(f
        .stats
        .idle
        .max())),
    real!("idle_min_us", "us", "shortest gap above 5 s; 0 without (CIC: Idle Min)", |f| us(f
        .stats
        .idle
        .min())),
];

fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}

/// Payload of all packets of one direction, those without counted as 0.
fn payload(side: &Side) -> Moments {
    side.payload.with_zeros(side.size.count())
}

/// Payload of all packets.
fn payloads(flow: &Flow<'_>) -> Moments {
    payload(flow.stats.forward()).merge(&payload(flow.stats.backward()))
}

fn active(flow: &Flow<'_>) -> Moments {
    flow.stats.active(flow.core.last_ns)
}

fn both(forward: u32, backward: u32) -> u64 {
    u64::from(forward) + u64::from(backward)
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn rate(amount: u64, duration_ns: u64) -> f64 {
    if duration_ns == 0 { 0.0 } else { amount as f64 / seconds(duration_ns) }
}

fn per_second(flow: &Flow<'_>, amount: u64) -> f64 {
    rate(amount, flow.core.duration_ns())
}

fn bulk_rate(side: &CicSide) -> f64 {
    rate(side.bulk_bytes, side.bulk_ns)
}

fn per_subflow(flow: &Flow<'_>, amount: u64) -> f64 {
    ratio(amount, flow.stats.burst_gaps + 1)
}

fn window(bytes: Option<u16>) -> f64 {
    bytes.map_or(f64::NAN, f64::from)
}

#[cfg(test)]
mod tests {
    use super::super::{FEATURE_SETS, row_schema};

    #[test]
    fn it_goes_with_every_other_set() {
        assert!(row_schema(FEATURE_SETS).is_ok());
    }
}
