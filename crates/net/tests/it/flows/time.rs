//! Clocks that lie: nothing is ever negative, no timeout is stuck, and threads make no difference.

use cormorant_net::flow::{Clock, FlowConfig};
use cormorant_net::meter::MeterSpec;

use super::traffic::{START_NS, frames, syn};
use super::{Cell, Row, float, integer, meter_bytes, pcap, rows};
use crate::written::Written;

const SECOND_NS: i64 = 1_000_000_000;
const HOUR_NS: i64 = 3_600 * SECOND_NS;

/// Datagrams between four pairs of hosts at these times.
fn at_times(times_ns: &[i64]) -> Vec<u8> {
    let frame = |(at, &ts_ns): (usize, &i64)| {
        let data = crate::written::udp([10, 0, 0, 1], [10, 0, 0, 2], 1_000 + at as u16 % 4, 53, b"payload");
        Written { ts_ns, wire_bytes: data.len() as u32, data }
    };
    pcap(&times_ns.iter().enumerate().map(frame).collect::<Vec<_>>())
}

fn metered(file: &[u8]) -> Vec<Row> {
    let flow = FlowConfig { idle_ns: 10 * SECOND_NS, ..FlowConfig::default() };
    let spec = |threads| MeterSpec {
        sets: vec!["flow".into(), "splt".into()],
        flow: flow.clone(),
        threads,
        ..MeterSpec::default()
    };
    let (one, many) = (rows(&meter_bytes(file, &spec(1)).0), rows(&meter_bytes(file, &spec(3)).0));
    assert_eq!(format!("{one:?}"), format!("{many:?}"));
    one
}

/// A second from packet to packet, with the clock set by `jumps` (from which packet on, by how much).
fn with_jumps(packets: usize, jumps: &[(usize, i64)]) -> Vec<i64> {
    let shift = |at| jumps.iter().filter(|(from, _)| at >= *from).map(|(_, by_ns)| by_ns).sum::<i64>();
    (0..packets).map(|at| START_NS + at as i64 * SECOND_NS + shift(at)).collect()
}

/// No time, gap, rate or share is negative or infinite, and every packet is in a row.
fn assert_sound(rows: &[Row], packets: usize) {
    assert_eq!(rows.iter().map(|row| integer(row, "packets")).sum::<i128>(), packets as i128);
    for row in rows {
        assert!(integer(row, "last_ns") >= integer(row, "first_ns"), "{row:?}");
        for (name, cell) in row {
            match cell {
                Cell::Float(value) if name.ends_with("_s") || name.ends_with("_per_s") => {
                    assert!(value.is_nan() || *value >= 0.0 && value.is_finite(), "{name} is {value}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn an_hour_forward_ends_what_was_quiet_for_it() {
    let rows = metered(&at_times(&with_jumps(40, &[(20, HOUR_NS)])));
    assert_sound(&rows, 40);
    // Four pairs of ports, each before and after.
    assert_eq!(rows.len(), 8);
    assert!(rows.iter().all(|row| float(row, "duration_s") <= 20.0));
}

#[test]
fn an_hour_backward_stops_no_timeout() {
    // Time goes on after 64 packets: flows that get no packet from then on end.
    let mut times = with_jumps(400, &[(20, -HOUR_NS)]);
    let last_ns = times[399];
    times.extend((0..400).map(|at| last_ns + at * SECOND_NS));
    let rows = metered(&at_times(&times));
    assert_sound(&rows, 800);
    assert_eq!(rows.len(), 4);
    let spec = MeterSpec::default();
    let (_, report) = meter_bytes(&at_times(&times), &spec);
    assert_eq!((report.clock_rebased, report.backward_times), (1, 64));
}

#[test]
fn a_quiet_flow_ends_though_time_was_set_back() {
    // One connection attempt, then an hour back, then two minutes of others.
    let mut made = vec![syn(9, 80)];
    made.extend((0..200).map(|_| syn(10, 80)));
    made[1].wait_ns = -HOUR_NS;
    let rows = metered(&pcap(&frames(&made)));
    assert_sound(&rows, 201);
    let attempt = rows.iter().find(|row| integer(row, "source_port") == 9).expect("a row");
    assert_eq!(attempt["expiry_reason"], Cell::Text("idle".into()));
}

#[test]
fn clocks_that_swing_by_an_hour_stay_sound() {
    let times: Vec<i64> =
        (0..300).map(|at| START_NS + at * SECOND_NS + [0, HOUR_NS, -HOUR_NS][at as usize % 3]).collect();
    assert_sound(&metered(&at_times(&times)), 300);
}

#[test]
fn the_ends_of_the_calendar() {
    // 1970, the end of 32-bit signed seconds in 2038, and of unsigned ones in 2106.
    for start_s in [0, (1 << 31) - 5, (1 << 32) - 12] {
        let times: Vec<i64> = (0..12).map(|at| (start_s + at) * SECOND_NS).collect();
        let rows = metered(&at_times(&times));
        assert_sound(&rows, 12);
        assert_eq!(rows.len(), 4);
        assert!(rows.iter().all(|row| float(row, "duration_s") == 8.0), "from {start_s}");
    }
    // From one end to the other and back.
    let ends = [0, ((1 << 32) - 1) * SECOND_NS].repeat(50);
    assert_sound(&metered(&at_times(&ends)), 100);
}

#[test]
fn nanoseconds_beyond_a_second() {
    let mut file = at_times(&with_jumps(12, &[]));
    // The fraction of the second record: 24 bytes of header, a record of 16 + 49 bytes, 4 bytes of seconds.
    let record = 16 + 14 + 20 + 8 + 7;
    file[24 + record + 4..24 + record + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_sound(&metered(&file), 12);
}

#[test]
fn identical_stamps() {
    let rows = metered(&at_times(&[START_NS; 500]));
    assert_sound(&rows, 500);
    assert_eq!(rows.len(), 4);
    for name in ["duration_s", "packets_per_s", "iat_max_s", "iat_std_s", "active_max_s"] {
        assert!(rows.iter().all(|row| float(row, name) == 0.0), "{name}");
    }
}

#[test]
fn the_clock_survives_every_stamp() {
    let mut clock = Clock::default();
    let mut last_ns = i64::MIN;
    let wild = [0, i64::MAX, i64::MIN, -1, 1, i64::MAX / 2, i64::MIN / 2, START_NS];
    for at in 0..2_000 {
        let now_ns = clock.tick(wild[at * 7 % 8].wrapping_add(at as i64));
        assert!(now_ns >= last_ns);
        last_ns = now_ns;
    }
}
