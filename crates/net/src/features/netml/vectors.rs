//! The six vectors of a sub-flow, before they are cut or padded to the width of the table.

use super::flows::SubFlow;
use super::quantile::{floor_quotient, quantile};

/// What is measured of a sub-flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vector {
    /// Seconds between packets.
    Iat,
    /// Bytes of packets.
    Size,
    /// Both in turn, and the last packet's bytes.
    IatSize,
    /// [`STATISTICS`].
    Stats,
    /// Packets per window.
    SampNum,
    /// Bytes per window.
    SampSize,
}

/// Name, unit and definition of the statistics, in netml's order.
pub(super) const STATISTICS: [(&str, &str, &str); 12] = [
    ("netml_duration_s", "s", "time of the last packet minus that of the first"),
    ("netml_packets_per_s", "1/s", "packets divided by the duration; 0 without one"),
    ("netml_bytes_per_s", "bytes/s", "bytes divided by the duration; 0 without one"),
    ("netml_size_mean", "bytes", "mean of the packets' captured bytes"),
    ("netml_size_std", "bytes", "standard deviation of the packets' captured bytes, divided by n"),
    ("netml_size_q25", "bytes", "lower quartile of the packets' captured bytes, linear interpolation"),
    ("netml_size_q50", "bytes", "median of the packets' captured bytes"),
    ("netml_size_q75", "bytes", "upper quartile of the packets' captured bytes, linear interpolation"),
    ("netml_size_min", "bytes", "least captured bytes of a packet"),
    ("netml_size_max", "bytes", "most captured bytes of a packet"),
    ("netml_packets", "packets", "packets"),
    ("netml_bytes", "bytes", "sum of the packets' captured bytes"),
];

/// Windows after which netml stops sampling a sub-flow, and the most it leaves empty in a row.
const MOST_WINDOWS: usize = 500;

impl Vector {
    /// Columns for sub-flows of `packets` packets.
    pub(super) fn width(self, packets: usize) -> usize {
        match self {
            Vector::Size => packets,
            Vector::IatSize => (2 * packets).saturating_sub(1),
            Vector::Stats => STATISTICS.len(),
            // Netml takes the packets less one for the windows too, which have nothing to do with them.
            Vector::Iat | Vector::SampNum | Vector::SampSize => packets.saturating_sub(1),
        }
    }

    /// The vector of a sub-flow, as long as it comes; `window` is the width in seconds of those sampled.
    pub(super) fn of(self, sub_flow: SubFlow<'_>, window: f64) -> Vec<f64> {
        match self {
            Vector::Iat => gaps(sub_flow).collect(),
            Vector::Size => sizes(sub_flow).collect(),
            Vector::IatSize => in_turn(sub_flow),
            Vector::Stats => statistics(sub_flow),
            Vector::SampNum => sampled(sub_flow, window, std::iter::repeat(1.0)),
            Vector::SampSize => sampled(sub_flow, window, sizes(sub_flow)),
        }
    }

    /// Whether the vector is sampled in windows.
    pub(super) fn is_sampled(self) -> bool {
        matches!(self, Vector::SampNum | Vector::SampSize)
    }
}

fn sizes(sub_flow: SubFlow<'_>) -> impl Iterator<Item = f64> {
    sub_flow.packets.iter().map(|packet| f64::from(packet.size))
}

fn gaps(sub_flow: SubFlow<'_>) -> impl Iterator<Item = f64> {
    let later = sub_flow.packets.iter().skip(1);
    sub_flow.packets.iter().zip(later).map(|(earlier, later)| later.time - earlier.time)
}

fn in_turn(sub_flow: SubFlow<'_>) -> Vec<f64> {
    let mut values: Vec<f64> =
        gaps(sub_flow).zip(sizes(sub_flow)).flat_map(|(gap, size)| [gap, size]).collect();
    values.extend(sizes(sub_flow).last());
    values
}

fn statistics(sub_flow: SubFlow<'_>) -> Vec<f64> {
    let sizes: Vec<f64> = sizes(sub_flow).collect();
    let (packets, bytes, duration) = (sizes.len() as f64, sizes.iter().sum::<f64>(), sub_flow.duration());
    let rate = |amount: f64| if duration == 0.0 { 0.0 } else { amount / duration };
    let mean = bytes / packets;
    let variance = sizes.iter().map(|size| (size - mean).powi(2)).sum::<f64>() / packets;
    let mut values = vec![duration, rate(packets), rate(bytes), mean, variance.sqrt()];
    values.extend([0.25, 0.5, 0.75, 0.0, 1.0].map(|q| quantile(sizes.clone(), q)));
    values.extend([packets, bytes]);
    values
}

/// Sums of `amounts`, one per packet, in windows of `window` seconds, closed on the right. The order of operations is
/// netml's: `open` adds up rounding errors that decide into which window a packet falls.
fn sampled(sub_flow: SubFlow<'_>, window: f64, amounts: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut samples = sub_flow.packets.iter().map(|packet| packet.time).zip(amounts);
    let Some((mut open, mut sum)) = samples.next() else { return Vec::new() };
    let mut values = Vec::new();
    for (time, amount) in samples {
        if time - open <= window {
            sum += amount;
            continue;
        }
        open += window;
        values.push(sum);
        let empty = floor_quotient(time - open, window).min(MOST_WINDOWS as f64);
        if empty > 0.0 {
            values.resize(values.len() + empty as usize, 0.0);
            open += empty * window;
        }
        if values.len() > MOST_WINDOWS {
            values.truncate(MOST_WINDOWS);
            return values;
        }
        sum = amount;
    }
    values.extend((sum > 0.0).then_some(sum));
    values
}

#[cfg(test)]
mod tests {
    use super::super::packets::{Kept, Key};
    use super::*;

    fn of(vector: Vector, window: f64, packets: &[(f64, u32)]) -> Vec<f64> {
        let kept = |&(time, size)| Kept { number: 1, ts_ns: 0, time, size, flags: 0, ttl: None };
        let packets: Vec<Kept> = packets.iter().map(kept).collect();
        vector.of(SubFlow { key: Key::default(), packets: &packets }, window)
    }

    #[test]
    fn gaps_and_sizes() {
        let packets = [(0.0, 60), (0.5, 100), (2.0, 70)];
        assert_eq!(of(Vector::Iat, 0.0, &packets), [0.5, 1.5]);
        assert_eq!(of(Vector::Size, 0.0, &packets), [60.0, 100.0, 70.0]);
        assert_eq!(of(Vector::IatSize, 0.0, &packets), [0.5, 60.0, 1.5, 100.0, 70.0]);
    }

    #[test]
    fn statistics_by_hand() {
        let values = of(Vector::Stats, 0.0, &[(10.0, 40), (12.0, 60), (14.0, 80), (14.0, 60)]);
        let std = 200.0_f64.sqrt();
        assert_eq!(values, [4.0, 1.0, 60.0, 60.0, std, 55.0, 60.0, 65.0, 40.0, 80.0, 4.0, 240.0]);
        let at_once = of(Vector::Stats, 0.0, &[(1.0, 50), (1.0, 50)]);
        assert_eq!(at_once[..5], [0.0, 0.0, 0.0, 50.0, 0.0]);
    }

    #[test]
    fn windows_are_closed_on_the_right_and_drift_with_rounding() {
        let tenths = [(0.0, 60), (0.1, 60), (0.2, 60), (0.3, 60), (0.4, 70)];
        assert_eq!(of(Vector::SampNum, 0.1, &tenths), [2.0, 0.0, 2.0, 1.0]);
        assert_eq!(of(Vector::SampSize, 0.1, &tenths), [120.0, 0.0, 120.0, 70.0]);
    }

    #[test]
    fn a_long_silence_fills_what_there_is_room_for() {
        let values = of(Vector::SampNum, 1.0, &[(0.0, 60), (1e6, 60)]);
        assert_eq!((values.len(), values[0], values[1..].iter().sum::<f64>()), (500, 1.0, 0.0));
    }
}
