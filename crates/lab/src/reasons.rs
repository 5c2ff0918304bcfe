//! Why a flow was scored as it was, in words: what was seen, how much of it, and how rare that is among the flows
//! that were called benign when the model was trained.
//!
//! "The largest packet in reply is 60 B, smaller than in 98 % of benign flows."

use cormorant_learn::pipeline::{Explanation, Reason as Cause};
use serde::Serialize;

use crate::plain::plain;

/// One thing that spoke for a verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason {
    /// The reason in words.
    pub text: String,
    /// Feature column.
    pub feature: String,
    /// Its value in this flow; `null` when missing or a word.
    pub value: Option<f64>,
    /// Unit of the value.
    pub unit: String,
    /// Where the value stands among benign training flows: 0 below all, 100 above all, equal ones in the middle.
    pub percentile: Option<f64>,
    /// What it added to the model's margin; `null` where the model cannot say.
    pub contribution: Option<f64>,
}

/// The flows that values are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    /// Those labelled benign in training.
    Benign,
    /// All, because training had no labels.
    All,
}

/// The strongest reasons for an alert, at most `most`. Of several columns that say the same (the mean and the largest of
/// one thing in one direction) only the strongest is told.
pub(crate) fn reasons(explanation: &Explanation, reference: Reference, most: usize) -> Vec<Reason> {
    let mut told = Vec::new();
    let mut reasons = Vec::new();
    for cause in explanation.reasons.iter().filter(|cause| cause.contribution.is_none_or(|added| added > 0.0))
    {
        let topic = topic(&cause.feature);
        if reasons.len() < most && !told.contains(&topic) {
            told.push(topic);
            reasons.push(reason(cause, reference));
        }
    }
    reasons
}

/// What spoke most for or against a verdict, strongest first, at most `most`.
pub(crate) fn both_sides(explanation: &Explanation, reference: Reference, most: usize) -> Vec<Reason> {
    let strength = |cause: &Cause| cause.contribution.map(f64::abs);
    let mut causes: Vec<&Cause> =
        explanation.reasons.iter().filter(|cause| cause.contribution != Some(0.0)).collect();
    // Stable: where the model cannot say, the most unusual value comes first as before.
    causes.sort_by(|a, b| strength(b).unwrap_or(0.0).total_cmp(&strength(a).unwrap_or(0.0)));
    causes.into_iter().take(most).map(|cause| reason(cause, reference)).collect()
}

fn reason(cause: &Cause, reference: Reference) -> Reason {
    Reason {
        text: plain(&sentence(cause, reference)).into_owned(),
        feature: cause.feature.clone(),
        value: cause.value.parse().ok(),
        unit: cause.unit.clone(),
        percentile: cause.percentile,
        contribution: cause.contribution,
    }
}

fn sentence(cause: &Cause, reference: Reference) -> String {
    if let Some((yes, no)) = indicator(&cause.feature)
        && let Some(value) = cause.value.parse::<f64>().ok().filter(|value| [0.0, 1.0].contains(value))
    {
        let words = if value > 0.5 { yes } else { no };
        let share = cause
            .percentile
            .map(|percentile| 2.0 * if value > 0.5 { 100.0 - percentile } else { percentile });
        return match share {
            Some(share) => format!("{words}, as in {} of {}", rounded_share(share), flows(reference)),
            None => words.to_owned(),
        };
    }
    let subject = subject(&cause.feature);
    if cause.value.is_empty() {
        return format!("{subject}: there is none in this flow");
    }
    match cause.value.parse::<f64>() {
        Ok(value) => format!(
            "{subject}: {}{}",
            amount(value, &cause.feature, &cause.unit),
            comparison(cause.percentile, reference)
        ),
        Err(_) => format!("{subject}: {}{}", cause.value, word_comparison(cause.share, reference)),
    }
}

fn comparison(percentile: Option<f64>, reference: Reference) -> String {
    let flows = flows(reference);
    match percentile {
        None => String::new(),
        Some(percentile) if percentile >= 99.5 => format!(", more than in 99 % of {flows}"),
        Some(percentile) if percentile >= 60.0 => format!(", more than in {percentile:.0} % of {flows}"),
        Some(percentile) if percentile <= 0.5 => format!(", less than in 99 % of {flows}"),
        Some(percentile) if percentile <= 40.0 => {
            format!(", less than in {:.0} % of {flows}", 100.0 - percentile)
        }
        Some(_) => format!(", ordinary for {flows} but telling beside the rest"),
    }
}

fn word_comparison(share: Option<f64>, reference: Reference) -> String {
    share.map_or_else(String::new, |share| {
        format!(", as in {} of {}", rounded_share(100.0 * share), flows(reference))
    })
}

fn rounded_share(percent: f64) -> String {
    match percent.clamp(0.0, 100.0) {
        percent if percent < 1.0 => "less than 1 %".to_owned(),
        percent if percent > 99.0 => "more than 99 %".to_owned(),
        percent => format!("{percent:.0} %"),
    }
}

fn flows(reference: Reference) -> &'static str {
    match reference {
        Reference::Benign => "benign flows",
        Reference::All => "the flows learnt from",
    }
}

/// A value with its unit as people write it.
fn amount(value: f64, feature: &str, unit: &str) -> String {
    match unit {
        "s" => duration(value),
        "us" => duration(value / 1e6),
        "ns" => duration(value / 1e9),
        "bytes" => bytes(value, ""),
        "bytes/s" => bytes(value, "/s"),
        "1/s" => format!("{}/s", number(value)),
        "1" if feature.ends_with("_share") => format!("{} %", number(100.0 * value)),
        "1" | "" => number(value),
        unit => format!("{} {}", number(value), if value == 1.0 { unit.trim_end_matches('s') } else { unit }),
    }
}

fn duration(seconds: f64) -> String {
    match seconds.abs() {
        0.0 => "0 s".to_owned(),
        small if small < 1e-3 => format!("{} µs", number(seconds * 1e6)),
        small if small < 1.0 => format!("{} ms", number(seconds * 1e3)),
        small if small < 120.0 => format!("{} s", number(seconds)),
        small if small < 7200.0 => format!("{} min", number(seconds / 60.0)),
        _ => format!("{} h", number(seconds / 3600.0)),
    }
}

fn bytes(value: f64, per: &str) -> String {
    match value.abs() {
        small if small < 1e4 => format!("{} B{per}", number(value)),
        small if small < 1e6 => format!("{} kB{per}", number(value / 1e3)),
        small if small < 1e9 => format!("{} MB{per}", number(value / 1e6)),
        _ => format!("{} GB{per}", number(value / 1e9)),
    }
}

/// Three significant digits, whole when large.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        large if large >= 100.0 || value.fract() == 0.0 => 0,
        large if large >= 10.0 => 1,
        large if large >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// What a column is about, whatever statistic of it: its direction, and its theme or else its name.
fn topic(feature: &str) -> (&str, &str) {
    let (direction, base) = match feature.split_once('_') {
        Some((direction @ ("fwd" | "bwd" | "src2dst" | "dst2src"), base)) => (direction, base),
        Some(("bidirectional", base)) => ("", base),
        _ => ("", feature),
    };
    if let Some((_, theme)) = THEMES.iter().find(|(part, _)| base.contains(part)) {
        return (direction, theme);
    }
    let end = STATISTICS.iter().filter_map(|statistic| base.find(statistic)).min();
    (direction, &base[..end.unwrap_or(base.len())])
}

/// Columns that rise and fall together, by a part of their names.
const THEMES: &[(&str, &str)] = &[
    ("payload", "data"),
    ("empty_share", "data"),
    ("response_s", "wait"),
    ("syn_ack_s", "wait"),
    ("handshake_s", "wait"),
];

const STATISTICS: [&str; 4] = ["_min", "_mean", "_std", "_max"];

/// What a column is called in a sentence: from the table, else its name with spaces.
fn subject(feature: &str) -> String {
    let (base, direction) = match feature.split_once('_') {
        Some(("fwd" | "src2dst", base)) => (base, " sent"),
        Some(("bwd" | "dst2src", base)) => (base, " in reply"),
        Some(("bidirectional", base)) => (base, ""),
        _ => (feature, ""),
    };
    if let Some((_, words)) = SUBJECTS.iter().find(|(name, _)| *name == base) {
        return words.replace("{}", direction);
    }
    if let Some((set, place)) =
        base.rsplit_once('_').filter(|(_, place)| place.bytes().all(|byte| byte.is_ascii_digit()))
        && let Some((_, words)) = PLACED.iter().find(|(name, _)| *name == set)
    {
        return words.replace("{}", place);
    }
    feature.replace('_', " ")
}

/// Columns of places in a sequence.
const PLACED: &[(&str, &str)] = &[
    ("splt_bytes", "payload of data packet {}"),
    ("splt_direction", "direction of data packet {}"),
    ("splt_iat_s", "wait before data packet {}"),
    ("splt_ps", "size of packet {}"),
    ("splt_piat_ms", "wait before packet {}"),
];

/// Columns without direction; `{}` is where it goes.
const SUBJECTS: &[(&str, &str)] = &[
    ("duration_s", "duration of the flow"),
    ("packets", "packets{}"),
    ("bytes", "bytes{}"),
    ("payload_bytes", "bytes of data{}"),
    ("payload_packets", "packets with data{}"),
    ("header_bytes", "bytes of headers{}"),
    ("packets_per_s", "packets per second{}"),
    ("bytes_per_s", "bytes per second{}"),
    ("packet_asymmetry", "balance of packets sent and received (1 = only sent, -1 = only received)"),
    ("byte_asymmetry", "balance of bytes sent and received (1 = only sent, -1 = only received)"),
    ("small_share", "share of small packets{}"),
    ("large_share", "share of large packets{}"),
    ("empty_share", "share of packets without data{}"),
    ("size_min_bytes", "smallest packet{}"),
    ("size_mean_bytes", "average packet{}"),
    ("size_std_bytes", "variation of packet sizes{}"),
    ("size_max_bytes", "largest packet{}"),
    ("payload_mean_bytes", "average data per packet{}"),
    ("payload_std_bytes", "variation of data per packet{}"),
    ("payload_max_bytes", "most data in one packet{}"),
    ("first_payload_bytes", "data in the first message{}"),
    ("response_s", "wait for the first answer"),
    ("turns", "changes of who speaks"),
    ("iat_min_s", "shortest gap between packets{}"),
    ("iat_mean_s", "average gap between packets{}"),
    ("iat_std_s", "variation of gaps between packets{}"),
    ("iat_max_s", "longest gap between packets{}"),
    ("active_mean_s", "average time active without a pause"),
    ("active_std_s", "variation of times active"),
    ("active_max_s", "longest time active without a pause"),
    ("idle_periods", "pauses"),
    ("idle_min_s", "shortest pause"),
    ("idle_mean_s", "average pause"),
    ("idle_std_s", "variation of pauses"),
    ("idle_max_s", "longest pause"),
    ("bursts", "bursts of packets"),
    ("burst_packets_mean", "average packets in a burst"),
    ("burst_bytes_max", "most bytes in a burst"),
    ("syn", "connection requests (SYN){}"),
    ("fin", "goodbyes (FIN){}"),
    ("rst", "resets (RST){}"),
    ("psh", "packets marked for prompt delivery (PSH){}"),
    ("urg", "packets marked urgent (URG)"),
    ("ece", "reports of congestion (ECE)"),
    ("cwr", "answers to congestion (CWR)"),
    ("syn_ack_s", "wait for the connection to be accepted"),
    ("handshake_s", "time to set up the connection"),
    ("retransmissions", "packets sent again{}"),
    ("out_of_order", "packets that came late{}"),
    ("gaps", "packets after something missing{}"),
    ("duplicate_acks", "repeated acknowledgements{}"),
    ("keep_alives", "signs of life without data (keep-alives)"),
    ("window_probes", "questions whether there is room for data again"),
    ("window_first", "room for data announced first{}"),
    ("window_min", "least room for data announced{}"),
    ("zero_windows", "announcements of no room for data{}"),
    ("fragments", "pieces of split packets"),
    ("duration_ms", "duration{}"),
    ("min_ps", "smallest frame{}"),
    ("mean_ps", "average frame{}"),
    ("stddev_ps", "variation of frame sizes{}"),
    ("max_ps", "largest frame{}"),
    ("min_piat_ms", "shortest gap between frames{}"),
    ("mean_piat_ms", "average gap between frames{}"),
    ("stddev_piat_ms", "variation of gaps between frames{}"),
    ("max_piat_ms", "longest gap between frames{}"),
    ("syn_packets", "packets with SYN{}"),
    ("cwr_packets", "packets with CWR{}"),
    ("ece_packets", "packets with ECE{}"),
    ("urg_packets", "packets with URG{}"),
    ("ack_packets", "packets with ACK{}"),
    ("psh_packets", "packets with PSH{}"),
    ("rst_packets", "packets with RST{}"),
    ("fin_packets", "packets with FIN{}"),
    ("source_flows", "flows of this source lately"),
    ("source_destinations", "hosts this source turned to lately"),
    ("source_ports", "services this source tried lately"),
    ("source_unestablished_share", "share of this source's flows that nobody took up"),
    ("source_flows_per_s", "flows per second of this source"),
    ("pair_flows", "flows between these two hosts lately"),
    ("pair_ports", "services this source tried on this host lately"),
    ("service_flows", "flows of this source to this service lately"),
    ("service_sent_bytes", "bytes this source sent to this service lately"),
    ("service_received_bytes", "bytes this source had from this service lately"),
    ("service_gap_mean_s", "average time between this source's calls to this service"),
    ("service_gap_variation", "unevenness of this source's calls to this service (0 = like a clock)"),
    ("service_sent_variation", "variation of the bytes per call to this service (0 = always the same)"),
    ("destination_flows", "flows to this host lately"),
    ("destination_sources", "hosts that turned to this host lately"),
    ("destination_unestablished_share", "share of the flows to this host that it did not take up"),
    // Of the `cic` set
    ("flow_duration_us", "duration of the flow"),
    ("total_fwd_packet", "packets sent"),
    ("total_bwd_packets", "packets in reply"),
    ("total_length_of_fwd_packet_bytes", "bytes of data sent"),
    ("total_length_of_bwd_packet_bytes", "bytes of data in reply"),
    ("packet_length_max", "most data in one packet{}"),
    ("packet_length_min", "least data in one packet{}"),
    ("packet_length_mean", "average data per packet{}"),
    ("packet_length_std", "variation of data per packet{}"),
    ("packet_length_variance", "squared variation of data per packet"),
    ("flow_bytes_per_s", "bytes of data per second"),
    ("flow_packets_per_s", "packets per second"),
    ("flow_iat_mean_us", "average gap between packets"),
    ("flow_iat_std_us", "variation of gaps between packets"),
    ("flow_iat_max_us", "longest gap between packets"),
    ("flow_iat_min_us", "shortest gap between packets"),
    ("iat_total_us", "time from the first packet to the last{}"),
    ("iat_mean_us", "average gap between packets{}"),
    ("iat_std_us", "variation of gaps between packets{}"),
    ("iat_max_us", "longest gap between packets{}"),
    ("iat_min_us", "shortest gap between packets{}"),
    ("psh_flags", "packets marked for prompt delivery (PSH){}"),
    ("urg_flags", "packets marked urgent (URG){}"),
    ("rst_flags", "resets (RST){}"),
    ("header_length_bytes", "bytes of transport headers{}"),
    ("fin_flag_count", "goodbyes (FIN)"),
    ("syn_flag_count", "connection requests (SYN)"),
    ("rst_flag_count", "resets (RST)"),
    ("psh_flag_count", "packets marked for prompt delivery (PSH)"),
    ("ack_flag_count", "acknowledging packets (ACK)"),
    ("urg_flag_count", "packets marked urgent (URG)"),
    ("cwr_flag_count", "answers to congestion (CWR)"),
    ("ece_flag_count", "reports of congestion (ECE)"),
    ("down_up_ratio", "packets in reply for each one sent"),
    ("average_packet_size", "average data per packet"),
    ("segment_size_avg", "average data per packet{}"),
    ("bytes_bulk_avg", "average data in a bulk{}"),
    ("packet_bulk_avg", "average packets in a bulk{}"),
    ("bulk_rate_avg", "bytes per second in bulks{}"),
    ("subflow_fwd_packets", "average packets sent between pauses"),
    ("subflow_fwd_bytes", "average data sent between pauses"),
    ("subflow_bwd_packets", "average packets in reply between pauses"),
    ("subflow_bwd_bytes", "average data in reply between pauses"),
    ("init_win_bytes", "room for data announced first{}"),
    ("act_data_packets", "packets with data{}"),
    ("seg_size_min", "smallest transport header{}"),
    ("active_mean_us", "average time active without a pause"),
    ("active_std_us", "variation of times active"),
    ("active_max_us", "longest time active without a pause"),
    ("active_min_us", "shortest time active without a pause"),
    ("idle_mean_us", "average pause"),
    ("idle_std_us", "variation of pauses"),
    ("idle_max_us", "longest pause"),
    ("idle_min_us", "shortest pause"),
];

/// Columns that are 1 or 0, with what each means.
fn indicator(feature: &str) -> Option<(&'static str, &'static str)> {
    Some(match feature {
        "handshake" => ("the connection was set up in full", "the connection was never set up in full"),
        "closed_by_fin" => ("both sides said goodbye", "the two sides did not both say goodbye"),
        "closed_by_rst" => ("the connection was cut off by a reset", "no reset cut the connection off"),
        "is_tcp" => ("it is TCP", "it is not TCP"),
        "is_udp" => ("it is UDP", "it is not UDP"),
        "is_icmp" => ("it is ICMP", "it is not ICMP"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(feature: &str, value: &str, unit: &str, percentile: Option<f64>) -> Cause {
        Cause {
            feature: feature.to_owned(),
            unit: unit.to_owned(),
            value: value.to_owned(),
            contribution: Some(0.25),
            percentile,
            share: None,
        }
    }

    fn check(feature: &str, value: &str, unit: &str, percentile: Option<f64>, expected: &str) {
        assert_eq!(sentence(&cause(feature, value, unit, percentile), Reference::Benign), expected);
    }

    #[test]
    fn sentences_say_what_how_much_and_how_rare() {
        check(
            "bwd_size_max_bytes",
            "60",
            "bytes",
            Some(2.0),
            "largest packet in reply: 60 B, less than in 98 % of benign flows",
        );
        check(
            "fwd_bytes",
            "1234567",
            "bytes",
            Some(99.9),
            "bytes sent: 1.23 MB, more than in 99 % of benign flows",
        );
        check(
            "iat_mean_s",
            "0.00005",
            "s",
            Some(0.0),
            "average gap between packets: 50 µs, less than in 99 % of benign flows",
        );
        check(
            "duration_s",
            "300",
            "s",
            Some(87.4),
            "duration of the flow: 5 min, more than in 87 % of benign flows",
        );
        check(
            "fwd_syn",
            "1",
            "packets",
            Some(50.0),
            "connection requests (SYN) sent: 1 packet, ordinary for benign flows but telling beside the rest",
        );
        check(
            "fwd_empty_share",
            "0.5",
            "1",
            Some(75.0),
            "share of packets without data sent: 50 %, more than in 75 % of benign flows",
        );
        check(
            "splt_bytes_3",
            "517",
            "bytes",
            Some(61.0),
            "payload of data packet 3: 517 B, more than in 61 % of benign flows",
        );
        check("response_s", "", "s", None, "wait for the first answer: there is none in this flow");
        check("my_column", "3.14159", "", Some(95.0), "my column: 3.14, more than in 95 % of benign flows");
    }

    #[test]
    fn indicators_are_told_as_facts_with_the_share_of_flows_like_it() {
        check(
            "handshake",
            "0",
            "1",
            Some(2.0),
            "the connection was never set up in full, as in 4 % of benign flows",
        );
        check("is_udp", "1", "1", Some(65.0), "it is UDP, as in 70 % of benign flows");
        check(
            "closed_by_rst",
            "1",
            "1",
            Some(100.0),
            "the connection was cut off by a reset, as in less than 1 % of benign flows",
        );
    }

    #[test]
    fn words_are_compared_by_their_share() {
        let word = Cause { share: Some(0.03), ..cause("service", "ftp", "", None) };
        assert_eq!(sentence(&word, Reference::All), "service: ftp, as in 3 % of the flows learnt from");
    }

    #[test]
    fn only_what_speaks_for_the_verdict_is_told_and_each_thing_once() {
        let mut against = cause("fwd_bytes", "1", "bytes", Some(1.0));
        against.contribution = Some(-0.5);
        let explanation = Explanation {
            score: 0.9,
            alert: true,
            class: None,
            baseline: Some(0.1),
            margin: Some(0.9),
            reasons: vec![
                cause("bwd_size_max_bytes", "60", "bytes", Some(2.0)),
                cause("bwd_size_mean_bytes", "60", "bytes", Some(2.0)),
                cause("fwd_size_max_bytes", "60", "bytes", Some(2.0)),
                against,
            ],
        };
        let features: Vec<_> =
            reasons(&explanation, Reference::Benign, 5).into_iter().map(|reason| reason.feature).collect();
        assert_eq!(features, ["bwd_size_max_bytes", "fwd_size_max_bytes"]);
    }

    #[test]
    fn every_column_has_words() {
        for column in cormorant_net::features::FEATURE_SETS.iter().flat_map(|set| set.columns) {
            if column.width > 1 {
                assert!(
                    PLACED.iter().any(|(name, _)| *name == column.name),
                    "`{}` has no words",
                    column.name
                );
                continue;
            }
            let words = subject(column.name);
            assert!(
                indicator(column.name).is_some()
                    || words != column.name.replace('_', " ")
                    || !column.name.contains('_'),
                "`{}` has no words",
                column.name
            );
        }
    }
}
