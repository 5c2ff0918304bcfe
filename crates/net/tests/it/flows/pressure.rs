//! A table that is nearly full: emergency timeouts, in the same way on any number of threads.

use cormorant_net::capture::{Frame, LinkType};
use cormorant_net::features::Needs;
use cormorant_net::flow::{Arrival, EmergencyTimeouts, ExpiryReason, FlowConfig, FlowTable, SHARDS};
use cormorant_net::meter::{MeterSpec, meter, schema};
use cormorant_net::packet;

use super::exchange::{ACK, SYN, SYN_ACK, segment};
use super::traffic::{Made, Transport, frames};
use super::{Row, integer, meter_bytes, pcap, rows, text};

const SECOND_NS: i64 = 1_000_000_000;

/// A datagram from a client of its own to 10.0.0.2:53, in the first shard.
fn datagram(client: u32, number: u64, clock_ns: i64) -> Arrival {
    let [a, b, c, d] = client.to_be_bytes();
    let data = crate::written::udp([a | 64, b, c, d], [10, 0, 0, 2], 1_000, 53, b"?");
    let frame = Frame {
        number,
        ts_ns: clock_ns,
        offset: 0,
        wire_bytes: data.len() as u32,
        link: LinkType::ETHERNET,
        interface: 0,
        data: &data,
    };
    let packet = packet::decode(&frame).packet.expect("a datagram");
    Arrival { shard: 0, ..Arrival::new(&packet, clock_ns, 0) }
}

fn ended(table: &mut FlowTable) -> Vec<(ExpiryReason, u64)> {
    let mut ended = Vec::new();
    let drained: Result<(), ()> = table.drain(|_, flows| {
        ended.extend(flows.iter().map(|flow| (flow.reason, flow.core.first_packet)));
        Ok(())
    });
    drained.expect("nothing fails");
    ended
}

#[test]
fn only_a_new_flow_in_a_crowd_is_in_a_hurry() {
    let config = FlowConfig { mem_bytes: 1 << 20, ..FlowConfig::default() };
    let mut table = FlowTable::new(&config, Needs::CORE);
    let fit = table.capacity() / SHARDS;
    let crowd = fit - fit / 10;
    // One flow a millisecond until nine tenths are taken, then nothing for 10 s.
    for client in 0..crowd {
        table.add(&datagram(client as u32, client, client as i64 * 1_000_000));
    }
    assert_eq!(ended(&mut table), []);
    let late_ns = 10 * SECOND_NS + 2_000_000;
    // Neither another packet of an old flow nor time itself ends any: the idle timeout is 120 s.
    table.add(&datagram(crowd as u32 - 1, crowd, late_ns));
    table.advance(late_ns);
    assert_eq!(ended(&mut table), []);
    // A new flow ends those whose last packet is 10 s old or older: the first three.
    table.add(&datagram(9_999, crowd + 1, late_ns));
    assert_eq!(ended(&mut table), [0, 1, 2].map(|first| (ExpiryReason::Emergency, first)));
    // Three went, one came: the next two new flows find no crowd.
    table.add(&datagram(10_000, crowd + 2, late_ns + SECOND_NS));
    table.add(&datagram(10_001, crowd + 3, late_ns + SECOND_NS));
    assert_eq!(ended(&mut table), []);
    table.finish();
    assert_eq!(ended(&mut table).len() as u64, crowd);
    assert_eq!(table.counts().ended.iter().sum::<u64>(), crowd + 3);
}

/// Datagrams that nobody answers, 20 ms apart, around connections that speak every 5 s.
fn crowded(packets: u32) -> Vec<u8> {
    let made: Vec<Made> = (0..packets).map(crowded_packet).collect();
    pcap(&frames(&made))
}

fn crowded_packet(at: u32) -> Made {
    let connection = (at % 250) as u8;
    let wait = Made { wait_ns: 20_000_000, ..segment(super::exchange::Sender::Client, ACK, 1, 1, 0) };
    if connection >= 20 {
        let ports = ((at % 60_000) as u16 + 1_024, 53);
        return Made { hosts: (3 + (at / 60_000) as u8, 2), ports, transport: Transport::Udp, ..wait };
    }
    let (backward, flags) = match at / 250 {
        0 => (false, SYN),
        1 => (true, SYN_ACK),
        _ => (false, ACK),
    };
    let (hosts, port) = (if backward { (2, 1) } else { (1, 2) }, 40_000 + u16::from(connection));
    let ports = if backward { (443, port) } else { (port, 443) };
    let seq = if at < 250 { 0 } else { 1 };
    Made { hosts, ports, transport: Transport::Tcp { flags, seq, ack: 1, window: 1_000 }, ..wait }
}

fn spec(threads: usize) -> MeterSpec {
    let flow = FlowConfig { mem_bytes: 800_000, ..FlowConfig::default() };
    MeterSpec { threads, flow, ..MeterSpec::default() }
}

#[test]
fn pressure_gives_the_same_rows_on_any_number_of_threads() {
    let file = crowded(12_000);
    let (one, report) = meter_bytes(&file, &spec(1));
    assert!(report.ended_by(ExpiryReason::Emergency) > 5_000, "{report:?}");
    let all: Vec<Row> = rows(&one);
    assert_eq!(report.ended.iter().map(|(_, flows)| flows).sum::<u64>(), all.len() as u64);
    assert_eq!(all.iter().map(|row| integer(row, "packets")).sum::<i128>(), 12_000);
    for (reason, flows) in &report.ended {
        let found = all.iter().filter(|row| text(row, "expiry_reason") == *reason).count() as u64;
        assert_eq!(found, *flows, "{reason}");
    }
    for threads in [2, 7] {
        let (many, other) = meter_bytes(&file, &spec(threads));
        assert_eq!(format!("{all:?}"), format!("{:?}", rows(&many)), "{threads} threads");
        assert_eq!(format!("{report:?}"), format!("{other:?}"));
    }
}

#[test]
fn connections_that_speak_outlast_the_hurry() {
    let all = rows(&meter_bytes(&crowded(12_000), &spec(1)).0);
    let connections: Vec<&Row> = all.iter().filter(|row| integer(row, "is_tcp") == 1).collect();
    assert_eq!(connections.len(), 20);
    assert!(
        connections.iter().all(|row| text(row, "expiry_reason") == "end" && integer(row, "packets") == 48)
    );
}

#[test]
fn timeouts_without_sense_are_refused() {
    let refused = |flow: FlowConfig| {
        let mut capture =
            cormorant_net::capture::Capture::from_reader("test", Box::new(std::io::Cursor::new(pcap(&[]))))
                .expect("a capture");
        let spec = MeterSpec { flow, ..MeterSpec::default() };
        assert!(schema(&spec).is_ok());
        meter(&mut capture, &spec, &mut |_| true, &mut |_| Ok(())).expect_err("refused").to_string()
    };
    let idle = FlowConfig { idle_ns: 0, ..FlowConfig::default() };
    assert!(refused(idle).starts_with("the idle timeout is 0 ns: expected more than 0"));
    let emergency = EmergencyTimeouts { open_ns: -5, ..EmergencyTimeouts::default() };
    let emergency = FlowConfig { emergency, ..FlowConfig::default() };
    assert!(refused(emergency).starts_with("the emergency timeout of open flows is -5 ns"));
}
