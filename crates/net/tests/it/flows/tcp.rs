//! What segments do in the wild, each as a small exchange with its counts worked out by hand.

use cormorant_net::flow::FlowConfig;

use super::exchange::{
    ACK, FIN, RST, SYN, SYN_ACK, Sender, client, handshake, metered, metered_with, opened, segment, server,
    single,
};
use super::traffic::{Made, frames};
use super::{Row, float, integer, meter_bytes, pcap, rows, text};

/// Checks all counts of the sequence; those not named are 0.
fn assert_counts(row: &Row, expected: &[(&str, i128)]) {
    let kinds = ["retransmissions", "out_of_order", "gaps", "duplicate_acks", "zero_windows"];
    let names = kinds.iter().flat_map(|kind| [format!("fwd_{kind}"), format!("bwd_{kind}")]);
    for name in names.chain(["keep_alives".to_owned(), "window_probes".to_owned()]) {
        let count = expected.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count);
        assert_eq!(integer(row, &name), count, "{name}");
    }
}

fn packets(rows: &[Row]) -> Vec<i128> {
    rows.iter().map(|row| integer(row, "packets")).collect()
}

fn reasons(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| text(row, "expiry_reason")).collect()
}

// Retransmission, reordering, duplicates

#[test]
fn a_segment_sent_again_is_a_retransmission() {
    let row =
        single(&opened([client(ACK, 101, 501, 50), client(ACK, 101, 501, 50), server(ACK, 501, 151, 0)]));
    assert_counts(&row, &[("fwd_retransmissions", 1)]);
    assert_eq!(integer(&row, "fwd_payload_bytes"), 100);
}

#[test]
fn a_syn_and_a_fin_sent_again_are_retransmissions() {
    let row = single(&[
        client(SYN, 100, 0, 0),
        client(SYN, 100, 0, 0),
        server(SYN_ACK, 500, 101, 0),
        server(SYN_ACK, 500, 101, 0),
        client(FIN | ACK, 101, 501, 0),
        client(FIN | ACK, 101, 501, 0),
    ]);
    assert_counts(&row, &[("fwd_retransmissions", 2), ("bwd_retransmissions", 1)]);
    assert_eq!((integer(&row, "fwd_syn"), integer(&row, "fwd_fin")), (2, 2));
}

#[test]
fn a_segment_that_repeats_its_first_half_is_a_retransmission() {
    // 101..201 then 151..251: 50 bytes again and 50 new ones, so that 251 is expected next.
    let row =
        single(&opened([client(ACK, 101, 501, 100), client(ACK, 151, 501, 100), client(ACK, 251, 501, 10)]));
    assert_counts(&row, &[("fwd_retransmissions", 1)]);
}

#[test]
fn a_segment_that_fills_a_hole_is_out_of_order() {
    // 101..151, 201..251 with 151..201 missing, which comes last; its second copy fills nothing.
    let row = single(&opened([
        client(ACK, 101, 501, 50),
        client(ACK, 201, 501, 50),
        client(ACK, 151, 501, 50),
        client(ACK, 151, 501, 50),
        client(ACK, 251, 501, 50),
    ]));
    assert_counts(&row, &[("fwd_gaps", 1), ("fwd_out_of_order", 1), ("fwd_retransmissions", 1)]);
}

#[test]
fn a_hole_can_be_filled_from_its_middle() {
    // 200..300 missing; 230..260 leaves 200..230 and 260..300, each of which is filled on its own.
    let rest = [(101, 99), (300, 10), (230, 30), (200, 30), (260, 40), (200, 100)];
    let row = single(&opened(rest.map(|(seq, bytes)| client(ACK, seq, 501, bytes))));
    assert_counts(&row, &[("fwd_gaps", 1), ("fwd_out_of_order", 3), ("fwd_retransmissions", 1)]);
}

#[test]
fn the_fourth_hole_makes_the_first_one_forgotten() {
    // 101, 111, 121 and 131 are missing, one number before each segment of nine; three of these holes are remembered.
    let ahead = [102, 112, 122, 132].map(|seq| client(ACK, seq, 501, 9));
    let late = [101, 111, 121, 131].map(|seq| client(ACK, seq, 501, 1));
    let row = single(&opened(ahead.into_iter().chain(late)));
    assert_counts(&row, &[("fwd_gaps", 4), ("fwd_out_of_order", 3), ("fwd_retransmissions", 1)]);
}

#[test]
fn a_whole_window_in_reverse_order_adds_up() {
    let row = single(&opened([301, 201, 101].map(|seq| client(ACK, seq, 501, 100))));
    assert_counts(&row, &[("fwd_gaps", 1), ("fwd_out_of_order", 2)]);
}

#[test]
fn an_acknowledgement_repeated_is_a_duplicate() {
    // Three repeats of ACK 601; another window or data make it something else.
    let row = single(&opened([
        server(ACK, 501, 101, 100),
        client(ACK, 101, 601, 0),
        server(ACK, 701, 101, 100),
        client(ACK, 101, 601, 0),
        server(ACK, 801, 101, 100),
        client(ACK, 101, 601, 0),
        server(ACK, 901, 101, 100),
        client(ACK, 101, 601, 0),
        server(ACK, 601, 101, 100),
        client(ACK, 101, 1_001, 0).window(900),
        client(ACK, 101, 1_001, 0).window(2_000),
        client(ACK, 101, 1_001, 10).window(2_000),
        client(ACK, 111, 1_001, 0).window(2_000),
    ]));
    // The last one repeats number and window of the data segment before it.
    assert_counts(&row, &[("bwd_gaps", 1), ("bwd_out_of_order", 1), ("fwd_duplicate_acks", 4)]);
}

#[test]
fn numbers_wrap() {
    let isn = u32::MAX - 49;
    let at = |offset: u32| isn.wrapping_add(offset);
    let row = single(&[
        client(SYN, isn, 0, 0),
        server(SYN_ACK, 500, at(1), 0),
        client(ACK, at(1), 501, 100),
        client(ACK, at(201), 501, 100),
        client(ACK, at(101), 501, 100),
        client(ACK, at(1), 501, 100),
    ]);
    assert_counts(&row, &[("fwd_gaps", 1), ("fwd_out_of_order", 1), ("fwd_retransmissions", 1)]);
}

// Keep-alives and windows

#[test]
fn keep_alives_and_their_answers() {
    let row = single(&opened([
        client(ACK, 100, 501, 0),
        server(ACK, 501, 101, 0),
        client(ACK, 100, 501, 1),
        server(ACK, 501, 101, 0),
        server(ACK, 501, 101, 0),
    ]));
    // Each answer repeats the ACK before it, the SYN-ACK's to begin with, but answers a keep-alive, which is no duplicate.
    assert_counts(&row, &[("keep_alives", 2)]);
}

#[test]
fn a_probe_of_a_closed_window_is_no_data() {
    let row = single(&opened([
        client(ACK, 101, 501, 100),
        server(ACK, 501, 201, 0).window(0),
        client(ACK, 201, 501, 1),
        server(ACK, 501, 201, 0).window(0),
        client(ACK, 201, 501, 1),
        server(ACK, 501, 201, 0).window(500),
        client(ACK, 201, 501, 100),
    ]));
    assert_counts(&row, &[("window_probes", 2), ("bwd_zero_windows", 2)]);
    assert_eq!((float(&row, "bwd_window_min"), float(&row, "bwd_window_first")), (0.0, 1_000.0));
}

// Opening

#[test]
fn a_connection_without_an_answer_stays_half_open() {
    let config = FlowConfig { half_open_ns: 30_000_000_000, ..FlowConfig::default() };
    let attempt =
        [client(SYN, 100, 0, 0), client(SYN, 100, 0, 0).after(29.9), client(SYN, 100, 0, 0).after(30.0)];
    let (rows, _) = metered_with(&attempt, config);
    assert_eq!((packets(&rows), reasons(&rows)), (vec![2, 1], vec!["idle", "end"]));
    assert_eq!((integer(&rows[0], "handshake"), integer(&rows[0], "fwd_retransmissions")), (0, 1));
}

#[test]
fn both_sides_may_open_at_once() {
    // RFC 9293, figure 7.
    let row = single(&[
        client(SYN, 100, 0, 0),
        server(SYN, 300, 0, 0),
        client(SYN_ACK, 100, 301, 0),
        server(SYN_ACK, 300, 101, 0),
        client(ACK, 101, 301, 10),
    ]);
    assert_eq!((integer(&row, "handshake"), integer(&row, "fwd_packets")), (1, 3));
    assert_counts(&row, &[("fwd_retransmissions", 1), ("bwd_retransmissions", 1)]);
}

#[test]
fn the_receiver_of_a_first_syn_ack_is_the_client() {
    let rows = metered(&handshake()[1..]);
    assert_eq!((packets(&rows), text(&rows[0], "source")), (vec![2], "10.0.0.1"));
    assert_eq!((integer(&rows[0], "fwd_packets"), integer(&rows[0], "bwd_syn")), (1, 1));
}

#[test]
fn a_late_syn_belongs_to_the_syn_ack_before_it() {
    let made = [server(SYN_ACK, 500, 101, 0), client(SYN, 100, 0, 0), client(ACK, 101, 501, 0)];
    assert_eq!((integer(&single(&made), "fwd_packets"), integer(&single(&made), "bwd_packets")), (2, 1));
}

#[test]
fn a_flow_from_mid_stream_belongs_to_its_first_sender() {
    let row = single(&[server(ACK, 501, 101, 100), client(ACK, 101, 601, 0), client(ACK, 101, 601, 20)]);
    assert_eq!((text(&row, "source"), integer(&row, "handshake")), ("10.0.0.2", 0));
    assert!(float(&row, "syn_ack_s").is_nan());
    assert_counts(&row, &[]);
}

// Reused ports

#[test]
fn a_syn_with_another_number_begins_a_new_flow() {
    let again = [client(SYN, 9_000, 0, 0), server(SYN_ACK, 7_000, 9_001, 0), client(ACK, 9_001, 7_001, 0)];
    let (rows, report) = metered_with(&opened(again), FlowConfig::default());
    assert_eq!((packets(&rows), reasons(&rows)), (vec![3, 3], vec!["reused", "end"]));
    assert_eq!(report.ended.iter().find(|(reason, _)| *reason == "reused"), Some(&("reused", 1)));
}

#[test]
fn a_syn_from_the_other_side_begins_a_new_flow() {
    let rows = metered(&opened([server(SYN, 9_000, 0, 0), client(SYN_ACK, 7_000, 9_001, 0)]));
    assert_eq!(packets(&rows), [3, 2]);
    assert_eq!((text(&rows[0], "source"), text(&rows[1], "source")), ("10.0.0.1", "10.0.0.2"));
}

#[test]
fn a_closed_connection_keeps_its_reason_when_its_ports_are_reused() {
    let closed = [client(FIN | ACK, 101, 501, 0), server(FIN | ACK, 501, 102, 0), client(SYN, 9_000, 0, 0)];
    assert_eq!(reasons(&metered(&opened(closed))), ["fin", "end"]);
}

#[test]
fn a_syn_in_mid_stream_is_measured_by_what_was_seen() {
    // The client was first seen at 101, so its SYN had 100.
    let late = [client(ACK, 101, 501, 10), client(SYN, 100, 0, 0)];
    assert_eq!(packets(&metered(&late)), [2]);
    let other = [client(ACK, 101, 501, 10), client(SYN, 4_000, 0, 0)];
    assert_eq!(packets(&metered(&other)), [1, 1]);
    // The server was acknowledged up to 501, so its SYN is taken to have had 500.
    let acknowledged = [client(ACK, 101, 501, 10), server(SYN, 4_000, 0, 0)];
    assert_eq!(packets(&metered(&acknowledged)), [1, 1]);
}

// Closing

#[test]
fn fins_sent_again_and_late_data_belong_to_the_closed_flow() {
    let row = single(&opened([
        client(FIN | ACK, 101, 501, 0),
        server(FIN | ACK, 501, 102, 0),
        server(FIN | ACK, 501, 102, 0),
        server(ACK, 502, 102, 30),
        client(ACK, 102, 502, 0),
    ]));
    assert_eq!((text(&row, "expiry_reason"), integer(&row, "closed_by_fin")), ("fin", 1));
    assert_eq!((integer(&row, "bwd_payload_bytes"), integer(&row, "bwd_fin")), (30, 2));
    assert_counts(&row, &[("bwd_retransmissions", 1)]);
}

#[test]
fn one_fin_closes_half() {
    let row = single(&opened([client(FIN | ACK, 101, 501, 0), server(ACK, 501, 102, 500).after(60.0)]));
    assert_eq!((text(&row, "expiry_reason"), integer(&row, "closed_by_fin")), ("end", 0));
}

#[test]
fn a_reset_with_data_closes_and_counts_its_bytes() {
    let row = single(&opened([server(RST | ACK, 501, 101, 40), server(ACK, 501, 101, 10)]));
    assert_eq!((text(&row, "expiry_reason"), integer(&row, "closed_by_rst")), ("rst", 1));
    assert_eq!((integer(&row, "bwd_payload_bytes"), integer(&row, "bwd_rst")), (50, 1));
    assert_counts(&row, &[]);
}

// What a capture does to segments

#[test]
fn a_checksum_changes_nothing() {
    let made = opened([client(ACK, 101, 501, 100)]);
    let right = pcap(&frames(&made));
    let mut frames = frames(&made);
    // The TCP checksum: 14 bytes of Ethernet, 20 of IPv4, 16 into the header.
    frames.iter_mut().for_each(|frame| frame.data[50] ^= 0x5a);
    let wrong = pcap(&frames);
    assert_ne!(right, wrong);
    let spec = cormorant_net::meter::MeterSpec::default();
    // As text, since NaN is no equal of itself.
    let shown = |file: &[u8]| format!("{:?}", rows(&meter_bytes(file, &spec).0));
    assert_eq!(shown(&right), shown(&wrong));
}

#[test]
fn cut_packets_count_in_full_as_far_as_their_headers_go() {
    let mut frames = frames(&opened([client(ACK, 101, 501, 100), client(ACK, 101, 501, 100)]));
    // The last one is cut within its TCP header: ports and lengths are known, flags and numbers are not.
    frames[4].data.truncate(50);
    let spec = cormorant_net::meter::MeterSpec { sets: vec!["flow".into()], ..Default::default() };
    let (batches, report) = meter_bytes(&pcap(&frames), &spec);
    let rows = rows(&batches);
    assert_eq!((rows.len(), report.truncated), (1, 2));
    assert_eq!((integer(&rows[0], "packets"), integer(&rows[0], "fwd_payload_bytes")), (5, 200));
    assert_counts(&rows[0], &[]);
}

#[test]
fn a_capture_of_every_packet_twice_doubles_the_counts() {
    let once = opened([client(ACK, 101, 501, 100), server(ACK, 501, 201, 100)]);
    let twice: Vec<Made> = once.iter().flat_map(|made| [made.clone(), made.clone().after(0.0)]).collect();
    let row = single(&twice);
    assert_eq!((integer(&row, "packets"), integer(&row, "handshake")), (10, 1));
    // SYN, SYN-ACK and data twice; the ACK's copy repeats it.
    assert_counts(&row, &[("fwd_retransmissions", 2), ("bwd_retransmissions", 2), ("fwd_duplicate_acks", 1)]);
}

#[test]
fn one_endpoint_that_speaks_to_itself_is_one_flow() {
    let mut land = segment(Sender::Client, SYN, 100, 0, 0);
    (land.hosts, land.ports) = ((1, 1), (7, 7));
    let mut answer = segment(Sender::Client, SYN_ACK, 100, 101, 0);
    (answer.hosts, answer.ports) = ((1, 1), (7, 7));
    assert_eq!(integer(&single(&[land.clone(), answer.clone()]), "fwd_packets"), 2);
    assert_eq!(integer(&single(&[answer, land]), "fwd_packets"), 2);
}
