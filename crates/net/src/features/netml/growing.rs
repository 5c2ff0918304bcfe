//! What is remembered of a flow while it lasts: its vector as it grows, and where it stands in time.

use std::collections::BTreeMap;

use super::quantile::interpolated;
use super::settings::Settings;
use super::vectors::Vector;
use crate::features::RowWriter;
use crate::features::identity::push_address;
use crate::packet::Packet;

/// Bytes charged for a flow beside its lists: itself, its key in two maps.
const FLOW_BYTES: u64 = (size_of::<Growing>() + 256) as u64;
/// Bytes charged for a distinct size of packets: its share of a node of the map.
const SIZE_BYTES: u64 = 32;

/// A flow that has not ended.
#[derive(Debug)]
pub(super) struct Growing {
    first: Packet,
    /// Clock time of the last packet: when the flow becomes idle.
    pub(super) clock_ns: i64,
    /// The latest capture time of any packet.
    last_ns: i64,
    last_packet: u64,
    packets: u64,
    /// Packets with each TCP flag, from the lowest bit.
    flags: [u64; 8],
    ttls: Vec<u8>,
    /// The vector so far; empty for the statistics.
    values: Vec<f64>,
    /// How many packets have a size; for the statistics only.
    sizes: BTreeMap<u32, u64>,
}

impl Growing {
    /// A flow that begins with this packet.
    pub(super) fn begin(packet: &Packet, clock_ns: i64, settings: &Settings) -> Growing {
        let mut flow = Growing {
            first: *packet,
            clock_ns,
            last_ns: packet.ts_ns,
            last_packet: packet.number,
            packets: 0,
            flags: [0; 8],
            ttls: Vec::new(),
            values: Vec::new(),
            sizes: BTreeMap::new(),
        };
        flow.add(packet, clock_ns, settings);
        flow
    }

    /// Takes the next packet. One from before the latest counts as of that time: no gap is negative.
    pub(super) fn add(&mut self, packet: &Packet, clock_ns: i64, settings: &Settings) {
        let latest_ns = self.last_ns.max(packet.ts_ns);
        let gap_ns = latest_ns.saturating_sub(self.last_ns);
        self.last_ns = latest_ns;
        self.last_packet = packet.number;
        self.clock_ns = clock_ns;
        let listed = self.packets < settings.most as u64;
        if settings.has_header {
            self.add_header(packet, listed);
        }
        self.add_value(packet, gap_ns, listed, settings);
        self.packets += 1;
    }

    fn add_header(&mut self, packet: &Packet, listed: bool) {
        let flags = packet.tcp.map_or(0, |tcp| tcp.flags.0);
        for (bit, count) in self.flags.iter_mut().enumerate() {
            *count += u64::from(flags >> bit & 1);
        }
        if listed {
            self.ttls.push(packet.ttl);
        }
    }

    fn add_value(&mut self, packet: &Packet, gap_ns: i64, listed: bool, settings: &Settings) {
        let (size, is_first) = (packet.captured_bytes, self.packets == 0);
        match settings.vector {
            Vector::Stats => *self.sizes.entry(size).or_default() += 1,
            Vector::SampNum => self.sample(1.0, settings),
            Vector::SampSize => self.sample(size.into(), settings),
            _ if !listed => {}
            Vector::Iat if is_first => {}
            Vector::Iat => self.values.push(seconds(gap_ns)),
            Vector::Size => self.values.push(size.into()),
            // The gap stands before the size of the packet it follows, which was the last until now.
            Vector::IatSize => {
                let before = self.values.pop();
                self.values.extend(before.map(|_| seconds(gap_ns)).into_iter().chain(before));
                self.values.push(size.into());
            }
        }
    }

    /// Adds to the window of the latest time. Whole nanoseconds: no window begins a little early or late.
    fn sample(&mut self, amount: f64, settings: &Settings) {
        let since_ns = self.last_ns.saturating_sub(self.first.ts_ns);
        let window = usize::try_from(since_ns / settings.window_ns).unwrap_or(usize::MAX);
        if window >= settings.most {
            return;
        }
        if self.values.len() <= window {
            self.values.resize(window + 1, 0.0);
        }
        if let Some(sum) = self.values.get_mut(window) {
            *sum += amount;
        }
    }

    /// Number of the first packet, which no other flow has.
    pub(super) fn first_packet(&self) -> u64 {
        self.first.number
    }

    /// Packets so far.
    pub(super) fn packets(&self) -> u64 {
        self.packets
    }

    /// Bytes of memory it is charged for.
    pub(super) fn charge(&self) -> u64 {
        let lists = self.values.capacity() * size_of::<f64>() + self.ttls.capacity();
        FLOW_BYTES + lists as u64 + SIZE_BYTES * self.sizes.len() as u64
    }

    /// Writes the row, in the order of [`super::settings::fields`].
    pub(super) fn write(&self, settings: &Settings, row: &mut RowWriter<'_>) {
        self.write_identity(row);
        if settings.has_header {
            self.flags.iter().for_each(|&count| row.f64(count as f64));
            row.list(self.ttls.iter().map(|&ttl| ttl.into()));
        }
        match settings.vector {
            Vector::Stats => self.statistics().into_iter().for_each(|value| row.f64(value)),
            _ => row.list(self.values.iter().copied()),
        }
    }

    fn write_identity(&self, row: &mut RowWriter<'_>) {
        row.text_with(|out| push_address(out, self.first.source));
        row.text_with(|out| push_address(out, self.first.destination));
        row.u64(self.first.source_port.into());
        row.u64(self.first.destination_port.into());
        row.u64(self.first.protocol.into());
        row.i64(self.first.ts_ns);
        row.i64(self.last_ns);
        row.u64(self.first.number);
        row.u64(self.last_packet);
    }

    /// In the order of [`super::vectors::STATISTICS`].
    fn statistics(&self) -> [f64; 12] {
        let sum = |value: &dyn Fn(f64) -> f64| -> f64 {
            self.sizes.iter().map(|(&size, &count)| count as f64 * value(size.into())).sum()
        };
        let (packets, bytes) = (self.packets as f64, sum(&|size| size));
        let duration = seconds(self.last_ns.saturating_sub(self.first.ts_ns));
        let rate = |amount: f64| if duration == 0.0 { 0.0 } else { amount / duration };
        let mean = bytes / packets;
        let deviation = (sum(&|size| (size - mean).powi(2)) / packets).sqrt();
        let [q25, q50, q75, least, most] =
            [0.25, 0.5, 0.75, 0.0, 1.0].map(|q| interpolated(self.packets, q, |place| self.size_at(place)));
        [duration, rate(packets), rate(bytes), mean, deviation, q25, q50, q75, least, most, packets, bytes]
    }

    /// The size at this place among the packets sorted by size.
    fn size_at(&self, place: u64) -> Option<f64> {
        let mut up_to = 0;
        let mut sizes = self.sizes.iter();
        sizes.find_map(|(&size, &count)| {
            up_to += count;
            (place < up_to).then_some(size.into())
        })
    }
}

fn seconds(ns: i64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::super::settings::tests::settings;
    use super::*;
    use crate::capture::{Frame, LinkType};
    use crate::packet::{Tcp, TcpFlags, decode};

    /// UDP without payload.
    fn datagram() -> Packet {
        let ip = [0x45, 0, 0, 28, 0, 1, 0, 0, 61, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let data = &[&ip[..], &[0, 1, 0, 2, 0, 8, 0, 0]].concat();
        let (link, wire_bytes) = (LinkType::RAW, data.len() as u32);
        let frame = Frame { number: 1, ts_ns: 0, offset: 0, wire_bytes, link, interface: 0, data };
        decode(&frame).packet.expect("a packet")
    }

    fn flow(set: &Settings, packets: &[(i64, u32)]) -> Growing {
        let mut packet = datagram();
        let mut packets = packets.iter().map(|&(ms, size)| {
            (packet.ts_ns, packet.captured_bytes) = (ms * 1_000_000, size);
            packet.number += 1;
            packet
        });
        let first = packets.next().expect("a packet");
        let mut flow = Growing::begin(&first, 0, set);
        packets.for_each(|packet| flow.add(&packet, 0, set));
        flow
    }

    #[test]
    fn lists_stop_at_the_most_packets() {
        let packets = [(0, 60), (500, 100), (2000, 70), (2500, 80)];
        let values = |vector, most| flow(&settings(vector, most), &packets).values;
        assert_eq!(values(Vector::Iat, 9), [0.5, 1.5, 0.5]);
        assert_eq!(values(Vector::Iat, 3), [0.5, 1.5]);
        assert_eq!(values(Vector::Size, 3), [60.0, 100.0, 70.0]);
        assert_eq!(values(Vector::IatSize, 3), [0.5, 60.0, 1.5, 100.0, 70.0]);
        assert_eq!(values(Vector::IatSize, 1), [60.0]);
    }

    #[test]
    fn windows_of_a_tenth_begin_at_every_tenth() {
        let tenths = [(0, 60), (100, 60), (200, 60), (299, 60), (600, 70)];
        let values = |vector, most| flow(&settings(vector, most), &tenths).values;
        assert_eq!(values(Vector::SampNum, 9), [1.0, 1.0, 2.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(values(Vector::SampSize, 9), [60.0, 60.0, 120.0, 0.0, 0.0, 0.0, 70.0]);
        assert_eq!(values(Vector::SampNum, 3), [1.0, 1.0, 2.0]);
    }

    #[test]
    fn statistics_by_hand_are_those_of_all_packets() {
        let packets = [(10_000, 40), (12_000, 60), (14_000, 80), (13_000, 60)];
        let values = flow(&settings(Vector::Stats, 1), &packets).statistics();
        let std = 200.0_f64.sqrt();
        assert_eq!(values, [4.0, 1.0, 60.0, 60.0, std, 55.0, 60.0, 65.0, 40.0, 80.0, 4.0, 240.0]);
    }

    #[test]
    fn a_late_packet_counts_at_the_latest_time() {
        assert_eq!(
            flow(&settings(Vector::Iat, 9), &[(0, 1), (20, 1), (10, 1), (50, 1)]).values,
            [0.02, 0.0, 0.03]
        );
    }

    #[test]
    fn flags_count_and_times_to_live_are_listed() {
        let mut set = settings(Vector::Size, 2);
        set.has_header = true;
        let mut packet = datagram();
        packet.tcp = Some(Tcp { seq: 0, ack: 0, window: 0, flags: TcpFlags(0x112), header_bytes: 20 });
        let mut flow = Growing::begin(&packet, 0, &set);
        packet.ttl += 1;
        flow.add(&packet, 0, &set);
        flow.add(&packet, 0, &set);
        assert_eq!((flow.flags, flow.ttls), ([0, 3, 0, 0, 3, 0, 0, 0], vec![packet.ttl - 1, packet.ttl]));
    }
}
