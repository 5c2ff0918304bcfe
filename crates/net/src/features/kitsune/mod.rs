//! The `kitsune` set: the 100 AfterImage features of Mirsky et al., "Kitsune: An Ensemble of Autoencoders for Online
//! Network Intrusion Detection" (NDSS 2018, section IV and table II), one row per packet, in the order of the authors'
//! code (github.com/ymirsky/Kitsune-py, `netStat.py`).
//!
//! [`parties`] finds the keys of a packet, [`streams`] the stream of a key in bounded memory, [`damped`] does the sums.
//!
//! Streams are the authors': frame lengths by source MAC and IP address (`mi`), by source host (`hh`) and by source host
//! and port (`hphp`), the gaps between the packets from one host to another (`hh_jit`). ARP counts its IPv4 addresses as
//! hosts and its MAC addresses as sockets, ICMP has one socket per host, TCP and UDP share port numbers, and a frame
//! without IP counts its MAC addresses as hosts. Time that goes back ages nothing and is a gap of 0. Radius takes
//! variances to the square, and the correlation is no proper one: its covariance comes from residuals that are not of
//! one time, so that it may lie beyond 1.
//!
//! Where it differs from that code:
//! - `std` is the standard deviation, as in the paper; the code's `std` columns hold the variance.
//! - Products of residuals are summed once per packet between the two. The code does so twice, and for all other peers
//!   of the sender as well, which takes time that grows with their number.
//! - Keys are addresses, not texts put together: 10.0.0.1 port 80 is not 10.0.0.18 port 0.
//! - Times count in nanoseconds, where the code's floats of seconds round to some hundreds of them.
//! - A stream that has aged to nothing has mean 0, where the code divides by 0 and loses the packet.
//! - Tunnels are followed to the innermost packet, ICMPv6 is treated as ICMP, and ports quoted by ICMP are none.
//! - The streams that were updated least recently are let go when memory is full; the code then fails.

mod damped;
mod parties;
mod streams;

use super::frames::{Extractor, FrameSet, Outbox};
use super::packet_identity;
use super::rows::{ColumnKind, RowField, RowKind, RowWriter};
use crate::NetError;
use crate::capture::Frame;
use crate::packet::Decoded;
use damped::{Begin, Damped, LAMBDAS, Moments, Residuals, Windows};
use parties::{Host, Mac, Parties, Socket};
use streams::Streams;

/// The set.
pub static SET: FrameSet = FrameSet {
    name: "kitsune",
    doc: "One row per packet: damped weight, mean and deviation of frame lengths and gaps over five windows, by source \
          MAC and IP, host, pair of hosts and pair of sockets. The AfterImage features of Kitsune (Mirsky et al., NDSS \
          2018), for finding what is unusual while it happens.",
    kind: RowKind::Packet,
    options: &[],
    fields: |_| Ok(Some(fields())),
    open: |_, mem_bytes| Ok(Box::new(Kitsune::new(mem_bytes))),
};

/// Each window as it ends a column's name, in the order of [`LAMBDAS`].
const WINDOWS: [&str; LAMBDAS.len()] = ["l5", "l3", "l1", "l0_1", "l0_01"];

type Definition = (&'static str, &'static str, &'static str);

/// Name, unit and definition of the columns of each group.
const GROUPS: [(&str, &[Definition]); 4] = [
    (
        "mi",
        &[
            (
                "weight",
                "packets",
                "damped count of frames from this source MAC and IP address, this one included: sum of 2^(-lambda age in s), lambda being the end of the name (NDSS 2018, IV-B)",
            ),
            ("mean", "bytes", "damped mean length of those frames on the wire"),
            ("std", "bytes", "damped standard deviation of their length; 0 for one frame"),
        ],
    ),
    (
        "hh",
        &[
            ("weight", "packets", "damped count of frames from this source host, this one included"),
            ("mean", "bytes", "damped mean length of those frames on the wire"),
            ("std", "bytes", "damped standard deviation of their length; 0 for one frame"),
            (
                "radius",
                "bytes^2",
                "root of the summed squares of the variances of what source and destination host send (NDSS 2018, table I)",
            ),
            (
                "magnitude",
                "bytes",
                "root of the summed squares of their means; a host that has sent nothing has 0",
            ),
            (
                "covariance",
                "bytes^2",
                "damped mean product of a frame's residual (length less mean) and the last residual of the other host, over the frames between both; 0 until both have sent",
            ),
            (
                "pcc",
                "1",
                "covariance over the product of both standard deviations; 0 when that is 0, and not bounded by 1",
            ),
        ],
    ),
    (
        "hh_jit",
        &[
            (
                "weight",
                "packets",
                "damped count of frames from this source host to this destination host, this one included",
            ),
            (
                "mean",
                "s",
                "damped mean gap between those frames; the first has 0, and so has one whose time goes back",
            ),
            ("std", "s", "damped standard deviation of the gaps; 0 for one frame"),
        ],
    ),
    (
        "hphp",
        &[
            (
                "weight",
                "packets",
                "damped count of frames from this source host and port, this one included; ICMP counts as one port, ARP by MAC address",
            ),
            ("mean", "bytes", "damped mean length of those frames on the wire"),
            ("std", "bytes", "damped standard deviation of their length; 0 for one frame"),
            (
                "radius",
                "bytes^2",
                "root of the summed squares of the variances of what both sockets send (NDSS 2018, table I)",
            ),
            (
                "magnitude",
                "bytes",
                "root of the summed squares of their means; a socket that has sent nothing has 0",
            ),
            (
                "covariance",
                "bytes^2",
                "damped mean product of a frame's residual and the last residual of the other socket, over the frames between both; 0 until both have sent",
            ),
            (
                "pcc",
                "1",
                "covariance over the product of both standard deviations; 0 when that is 0, and not bounded by 1",
            ),
        ],
    ),
];

fn fields() -> Vec<RowField> {
    let mut fields = packet_identity::fields();
    for (group, definitions) in GROUPS {
        for window in WINDOWS {
            fields.extend(definitions.iter().map(|&(name, unit, doc)| RowField {
                name: format!("{group}_{name}_{window}"),
                unit,
                doc,
                identity: false,
                kind: ColumnKind::F64,
            }));
        }
    }
    fields
}

/// The streams of one capture.
struct Kitsune {
    origins: Streams<(Mac, Host), Damped>,
    hosts: Streams<Host, Damped>,
    channels: Streams<(Host, Host), Channel>,
    sockets: Streams<Socket, Damped>,
    socket_pairs: Streams<(Socket, Socket), Residuals>,
}

/// Two hosts: how their traffic goes together, and the gaps in each direction.
#[derive(Debug)]
struct Channel {
    residuals: Residuals,
    /// From the first host to the second and back, since the first packet of each.
    gaps: [Option<Damped>; 2],
}

impl Begin for Channel {
    fn begin(ts_ns: i64) -> Channel {
        Channel { residuals: Residuals::begin(ts_ns), gaps: [None; 2] }
    }
}

/// A frame's length and time.
#[derive(Clone, Copy, Debug)]
struct Sample {
    bytes: f64,
    ts_ns: i64,
}

/// What sender and receiver send, and how it goes together.
#[derive(Debug)]
struct Both {
    source: Moments,
    destination: Moments,
    covariances: Windows,
}

impl Kitsune {
    fn new(mem_bytes: u64) -> Kitsune {
        let eighth = mem_bytes / 8;
        Kitsune {
            origins: Streams::new(eighth),
            hosts: Streams::new(eighth),
            channels: Streams::new(2 * eighth),
            sockets: Streams::new(2 * eighth),
            socket_pairs: Streams::new(2 * eighth),
        }
    }

    fn origin(&mut self, parties: &Parties, sample: Sample) -> Moments {
        let key = (parties.mac, parties.hosts.0);
        self.origins.update(key, sample.ts_ns, |stream| add(stream, sample))
    }

    /// Of the hosts, then of the gaps between them.
    fn hosts(&mut self, (from, to): (Host, Host), sample: Sample) -> (Both, Moments) {
        let (source, destination) = exchange(&mut self.hosts, (from, to), sample);
        let second = from > to;
        let key = if second { (to, from) } else { (from, to) };
        let (covariances, gaps) = self.channels.update(key, sample.ts_ns, |channel| {
            let covariances = channel.residuals.add(second, sample.bytes, &source.means, sample.ts_ns);
            let [forth, back] = &mut channel.gaps;
            (covariances, add_gap(if second { back } else { forth }, sample.ts_ns))
        });
        (Both { source, destination, covariances }, gaps)
    }

    fn sockets(&mut self, (from, to): (Socket, Socket), sample: Sample) -> Both {
        let (source, destination) = exchange(&mut self.sockets, (from, to), sample);
        let second = from > to;
        let key = if second { (to, from) } else { (from, to) };
        let covariances = self
            .socket_pairs
            .update(key, sample.ts_ns, |pair| pair.add(second, sample.bytes, &source.means, sample.ts_ns));
        Both { source, destination, covariances }
    }
}

/// Adds to the sender's stream, lets the receiver's age, and says what both are then.
fn exchange<K: std::hash::Hash + Eq + Copy>(
    streams: &mut Streams<K, Damped>,
    (from, to): (K, K),
    sample: Sample,
) -> (Moments, Moments) {
    let source = streams.update(from, sample.ts_ns, |stream| add(stream, sample));
    let destination = streams.update(to, sample.ts_ns, |stream| {
        stream.decay(sample.ts_ns);
        stream.moments()
    });
    (source, destination)
}

fn add(stream: &mut Damped, sample: Sample) -> Moments {
    stream.add(sample.bytes, sample.ts_ns);
    stream.moments()
}

fn add_gap(stream: &mut Option<Damped>, ts_ns: i64) -> Moments {
    let stream = stream.get_or_insert_with(|| Damped::begin(ts_ns));
    stream.add(stream.gap_s(ts_ns), ts_ns);
    stream.moments()
}

impl Extractor for Kitsune {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        decoded: &Decoded,
        out: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError> {
        let Some(parties) = Parties::of(frame, decoded) else {
            return Ok(Some(decoded.protocol.name()));
        };
        let sample = Sample { bytes: frame.wire_bytes.into(), ts_ns: frame.ts_ns };
        let origin = self.origin(&parties, sample);
        let (hosts, gaps) = self.hosts(parties.hosts, sample);
        let sockets = self.sockets(parties.sockets, sample);
        out.row(|row| {
            packet_identity::write(row, frame, &parties.ends);
            write_one(row, &origin);
            write_both(row, &hosts);
            write_one(row, &gaps);
            write_both(row, &sockets);
        })?;
        Ok(None)
    }

    fn finish(&mut self, _: &mut Outbox<'_>) -> Result<(), NetError> {
        Ok(())
    }

    fn let_go(&self) -> u64 {
        self.origins.let_go()
            + self.hosts.let_go()
            + self.channels.let_go()
            + self.sockets.let_go()
            + self.socket_pairs.let_go()
    }
}

fn write_one(row: &mut RowWriter<'_>, moments: &Moments) {
    let windows = moments.weights.iter().zip(moments.means).zip(moments.variances);
    for ((&weight, mean), variance) in windows {
        row.f64(weight);
        row.f64(mean);
        row.f64(variance.sqrt());
    }
}

fn write_both(row: &mut RowWriter<'_>, both: &Both) {
    let (source, destination) = (&both.source, &both.destination);
    let means = source.means.iter().zip(destination.means);
    let variances = source.variances.iter().zip(destination.variances);
    let windows = source.weights.iter().zip(means).zip(variances).zip(both.covariances);
    for (((&weight, (&mean, other_mean)), (&variance, other_variance)), covariance) in windows {
        let deviations = variance.sqrt() * other_variance.sqrt();
        row.f64(weight);
        row.f64(mean);
        row.f64(variance.sqrt());
        row.f64(variance.hypot(other_variance));
        row.f64(mean.hypot(other_mean));
        row.f64(covariance);
        row.f64(if deviations > 0.0 { covariance / deviations } else { 0.0 });
    }
}
