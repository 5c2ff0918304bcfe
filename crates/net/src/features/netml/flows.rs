//! netml's flows: packets of one key, cut at long silences and again by an idle rule on a grid. Two of its faults are
//! part of the definition and kept: a flow that is cut loses its last part, and the grid, not the packet, is what a
//! part's second packet is compared with.

use std::collections::BTreeMap;
use std::ops::Range;

use super::packets::{Kept, Key};
use super::quantile::{floor_quotient, quantile};

/// Silence in seconds after which netml begins a new flow, for TCP as for UDP.
const TIMEOUT: f64 = 600.0;
/// Packets below which a flow or a part of one is dropped.
const LEAST_PACKETS: usize = 2;

/// Bytes charged for a packet: its share of a vector that is being doubled, and of the parts its flow is cut into.
pub(super) const PACKET_BYTES: u64 = 4 * size_of::<Kept>() as u64;
/// Bytes charged for a flow: its key in the map and the flow itself, each in something that is being doubled.
pub(super) const FLOW_BYTES: u64 =
    3 * (2 * size_of::<Key>() + size_of::<usize>() + size_of::<Vec<Kept>>()) as u64;

/// The packets of every key, in the order in which the keys appeared.
#[derive(Debug, Default)]
pub(super) struct Flows {
    places: BTreeMap<Key, usize>,
    flows: Vec<(Key, Vec<Kept>)>,
}

/// Part of a flow: the packets at these places of flow number `flow`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    flow: usize,
    places: Range<usize>,
}

/// A part of a flow that becomes a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct SubFlow<'a> {
    /// Who talked.
    pub(super) key: Key,
    /// Two packets at least, in the order of time.
    pub(super) packets: &'a [Kept],
}

impl SubFlow<'_> {
    /// Seconds from the first packet to the last.
    pub(super) fn duration(&self) -> f64 {
        duration(self.packets)
    }
}

/// By what a flow is cut into sub-flows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Interval {
    /// So many seconds.
    Fixed(f64),
    /// This quantile of the flows' durations.
    Quantile(f64),
}

/// The interval came out as 0, by which nothing can be divided.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoInterval;

impl Flows {
    /// Adds a packet; whether its key is a new one.
    pub(super) fn add(&mut self, key: Key, kept: Kept) -> bool {
        let next = self.flows.len();
        let place = *self.places.entry(key).or_insert(next);
        match self.flows.get_mut(place) {
            Some((_, packets)) => packets.push(kept),
            None => self.flows.push((key, vec![kept])),
        }
        place == next
    }

    /// The sub-flows in netml's order.
    ///
    /// # Errors
    /// An interval of 0 where a flow would have to be cut by it.
    pub(super) fn cut(&mut self, interval: Interval) -> Result<Vec<SubFlow<'_>>, NoInterval> {
        let parts = self.segments();
        let seconds = match interval {
            Interval::Fixed(seconds) => seconds,
            Interval::Quantile(q) => quantile(self.durations(&parts), q),
        };
        if seconds <= 0.0 && self.durations(&parts).iter().any(|&duration| duration > 0.0) {
            return Err(NoInterval);
        }
        let mut cut = Vec::new();
        for part in &parts {
            for sub_flow in sub_flows(self.packets(part), seconds) {
                if sub_flow.len() >= LEAST_PACKETS {
                    let places = part.places.start + sub_flow.start..part.places.start + sub_flow.end;
                    cut.push(Part { flow: part.flow, places });
                }
            }
        }
        Ok(cut.iter().filter_map(|part| self.sub_flow(part)).collect())
    }

    /// Sorts the packets of each flow and cuts it where it was silent for long.
    fn segments(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (flow, (_, packets)) in self.flows.iter_mut().enumerate() {
            packets.sort_by(|a, b| a.time.total_cmp(&b.time));
            if packets.len() >= LEAST_PACKETS {
                parts.extend(segments(packets).into_iter().map(|places| Part { flow, places }));
            }
        }
        parts.retain(|part| part.places.len() >= LEAST_PACKETS);
        parts
    }

    fn durations(&self, parts: &[Part]) -> Vec<f64> {
        parts.iter().map(|part| duration(self.packets(part))).collect()
    }

    fn packets(&self, part: &Part) -> &[Kept] {
        self.sub_flow(part).map_or(&[], |sub_flow| sub_flow.packets)
    }

    fn sub_flow(&self, part: &Part) -> Option<SubFlow<'_>> {
        let (key, packets) = self.flows.get(part.flow)?;
        Some(SubFlow { key: *key, packets: packets.get(part.places.clone())? })
    }
}

fn duration(packets: &[Kept]) -> f64 {
    packets.first().zip(packets.last()).map_or(0.0, |(first, last)| last.time - first.time)
}

fn segments(packets: &[Kept]) -> Vec<Range<usize>> {
    let mut cuts = Vec::new();
    for (place, (earlier, later)) in packets.iter().zip(packets.iter().skip(1)).enumerate() {
        if later.time - earlier.time > TIMEOUT {
            cuts.push(place + 1);
        }
    }
    between(&cuts, packets.len())
}

/// Cuts where a packet comes more than the interval after the one before it, or after the point of the grid to which
/// that one, as the first of its part, was moved.
fn sub_flows(packets: &[Kept], interval: f64) -> Vec<Range<usize>> {
    let mut start = packets.first().map_or(0.0, |packet| packet.time);
    let (mut previous, mut cuts) = (start, Vec::new());
    for (place, packet) in packets.iter().enumerate().skip(1) {
        let time = packet.time;
        previous = if time - previous > interval {
            cuts.push(place);
            start += floor_quotient(time - start, interval) * interval;
            start
        } else {
            time
        };
    }
    between(&cuts, packets.len())
}

/// The ranges that end at these places: the last range of all is missing, as in netml, unless it is the only one.
fn between(cuts: &[usize], end: usize) -> Vec<Range<usize>> {
    if cuts.is_empty() {
        return std::iter::once(0..end).collect();
    }
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    starts.zip(cuts).map(|(start, &end)| start..end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(times: &[f64]) -> Vec<Kept> {
        let kept = |&time| Kept { number: 1, ts_ns: 0, time, size: 60, flags: 0, ttl: None };
        times.iter().map(kept).collect()
    }

    /// Times of the sub-flows of one flow with an interval of one second.
    fn cut(times: &[f64]) -> Vec<Vec<f64>> {
        let mut flows = Flows::default();
        for kept in packets(times) {
            flows.add(Key::default(), kept);
        }
        let cut = flows.cut(Interval::Fixed(1.0)).expect("an interval");
        cut.iter().map(|sub_flow| sub_flow.packets.iter().map(|kept| kept.time).collect()).collect()
    }

    #[test]
    fn sub_flows_are_cut_by_the_grid_and_lose_the_last() {
        assert_eq!(cut(&[0.0, 0.5, 1.0, 1.5, 2.0]), [[0.0, 0.5, 1.0, 1.5, 2.0]]);
        assert_eq!(cut(&[0.0, 0.5, 3.7, 3.9, 4.1]), [[0.0, 0.5]]);
        assert_eq!(
            cut(&[0.0, 0.5, 3.7, 3.8, 4.05, 4.1, 9.0, 9.1]),
            [&[0.0, 0.5][..], &[3.7, 3.8, 4.05, 4.1]]
        );
        assert_eq!(cut(&[0.0, 0.1, 2.95, 4.0, 4.1, 4.2, 10.0, 10.1]), [&[0.0, 0.1][..], &[4.0, 4.1, 4.2]]);
    }

    #[test]
    fn a_long_silence_ends_a_flow_and_what_follows_the_last_is_lost() {
        assert_eq!(segments(&packets(&[0.0, 600.0, 1201.0, 1202.0, 1803.0])), [0..2, 2..4]);
        assert_eq!(segments(&packets(&[0.0, 600.0])).first(), Some(&(0..2)));
    }

    #[test]
    fn an_interval_of_nothing_is_an_error_only_where_it_is_used() {
        let (still, moving) = ([0.0, 0.0], [0.0, 1.0]);
        let mut flows = Flows::default();
        for port in 0..20 {
            let key = Key { ports: (port, 0), ..Key::default() };
            packets(&still).into_iter().for_each(|kept| {
                flows.add(key, kept);
            });
        }
        assert_eq!(flows.cut(Interval::Quantile(0.9)).map(|cut| cut.len()), Ok(20));
        packets(&moving).into_iter().for_each(|kept| {
            flows.add(Key { ports: (99, 0), ..Key::default() }, kept);
        });
        assert_eq!(flows.cut(Interval::Quantile(0.9)).map(|cut| cut.len()), Err(NoInterval));
    }
}
