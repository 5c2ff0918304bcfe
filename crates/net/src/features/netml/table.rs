//! The table of one capture: its columns, whose number depends on the flows, and its rows.

use super::fft::Fourier;
use super::flows::SubFlow;
use super::packets::Kept;
use super::quantile::quantile;
use super::vectors::{STATISTICS, Vector};
use super::{NetError, Outbox, Settings};
use crate::features::{ColumnKind, RowField, RowKind, RowWriter};

/// What stands in a row beside or in place of the vector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// The real part of each block's Fourier transform in place of the block.
    pub(super) is_fft: bool,
    /// A block of flag counts and TTLs before the vector.
    pub(super) has_header: bool,
}

/// The quantile of the sub-flows' durations that is the width of a window, whatever `q` is.
const WINDOW_Q: f64 = 0.3;

/// Names of the TCP flags from the lowest bit, which is netml's order.
pub(super) const FLAGS: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr"];

const IDENTITY: [(&str, ColumnKind, &str, &str); 9] = [
    ("source", ColumnKind::Text, "", "source of the outermost IPv4 header; empty without one"),
    ("destination", ColumnKind::Text, "", "destination of the outermost IPv4 header; empty without one"),
    (
        "source_port",
        ColumnKind::U64,
        "",
        "source port of the first TCP or UDP header; 0 without an IPv4 header, where netml has -1",
    ),
    (
        "destination_port",
        ColumnKind::U64,
        "",
        "destination port of the first TCP or UDP header; 0 without an IPv4 header, where netml has -1",
    ),
    ("protocol", ColumnKind::U64, "", "6 for TCP, 17 for UDP; 0 without an IPv4 header, where netml has -1"),
    ("first_ns", ColumnKind::I64, "ns", "capture time of the first packet since the UNIX epoch"),
    ("last_ns", ColumnKind::I64, "ns", "capture time of the last packet since the UNIX epoch"),
    ("first_packet", ColumnKind::U64, "", "number of the first packet in the capture, from 1"),
    ("packets", ColumnKind::U64, "packets", "packets of the sub-flow"),
];

/// The columns of a table whose vectors are this wide.
pub(super) fn fields(vector: Vector, form: Form, width: usize) -> Vec<RowField> {
    let mut fields = identity_of(&IDENTITY);
    if form.has_header {
        fields.extend(header_fields(form, width));
    }
    fields.extend(vector_fields(vector, form, width));
    fields
}

/// Identity columns: name, type, unit and definition of each.
pub(super) fn identity_of(columns: &[(&str, ColumnKind, &'static str, &'static str)]) -> Vec<RowField> {
    let identity = |&(name, kind, unit, doc): &(&str, ColumnKind, &'static str, &'static str)| RowField {
        name: name.to_owned(),
        unit,
        doc,
        identity: true,
        kind,
    };
    columns.iter().map(identity).collect()
}

fn feature(name: String, unit: &'static str, doc: &'static str) -> RowField {
    RowField { name, unit, doc, identity: false, kind: ColumnKind::F64 }
}

fn numbered(stem: &str, width: usize, unit: &'static str, doc: &'static str) -> Vec<RowField> {
    (1..=width).map(|place| feature(format!("{stem}_{place}"), unit, doc)).collect()
}

fn header_fields(form: Form, width: usize) -> Vec<RowField> {
    if form.is_fft {
        let doc = "real part of the discrete Fourier transform of flag counts and TTLs";
        return numbered("netml_header_fft", FLAGS.len() + width, "1", doc);
    }
    let flag = |flag| {
        feature(
            format!("netml_header_{flag}"),
            "packets",
            "packets with this TCP flag; 0 in tunnels and VLANs",
        )
    };
    let mut fields: Vec<RowField> = FLAGS.map(flag).into();
    fields.extend(numbered(
        "netml_ttl",
        width,
        "1",
        "time to live of the packet at this place; 0 past the last",
    ));
    fields
}

fn vector_fields(vector: Vector, form: Form, width: usize) -> Vec<RowField> {
    let (stem, unit, doc) = match vector {
        Vector::Iat => {
            ("netml_iat", "s", "seconds between the packet at this place and the next; 0 past the last")
        }
        Vector::Size => {
            ("netml_size", "bytes", "captured bytes of the packet at this place; 0 past the last")
        }
        Vector::IatSize => (
            "netml_iat_size",
            "",
            "odd: seconds to the next packet; even: captured bytes; the value after the last gap is the last packet's bytes; 0 past it",
        ),
        Vector::Stats => ("netml_stats", "", "in the order of the statistics"),
        Vector::SampNum => {
            ("netml_samp_num", "packets", "packets in the window at this place; 0 past the last")
        }
        Vector::SampSize => {
            ("netml_samp_size", "bytes", "captured bytes in the window at this place; 0 past the last")
        }
    };
    match (form.is_fft, vector) {
        (true, _) => {
            let doc = "real part of the discrete Fourier transform of the vector, cut or padded to the width";
            numbered(&format!("{stem}_fft"), width, unit, doc)
        }
        (false, Vector::Stats) => {
            STATISTICS.iter().map(|&(name, unit, doc)| feature(name.to_owned(), unit, doc)).collect()
        }
        _ => numbered(stem, width, unit, doc),
    }
}

/// How the rows of one capture are made.
pub(super) struct Table<'a> {
    settings: &'a Settings,
    /// Seconds of a window.
    window: f64,
    vector: Block,
    header: Option<Block>,
}

/// Values side by side, cut or padded to one width.
struct Block {
    width: usize,
    fourier: Option<Fourier>,
}

impl Block {
    fn new(width: usize, form: Form) -> Block {
        Block { width, fourier: form.is_fft.then(|| Fourier::new(width)) }
    }

    fn write(&self, mut values: Vec<f64>, row: &mut RowWriter<'_>) {
        match &self.fourier {
            Some(fourier) => values = fourier.real(&values),
            None => values.resize(self.width, 0.0),
        }
        values.into_iter().for_each(|value| row.f64(value));
    }
}

impl<'a> Table<'a> {
    /// Finds the width of rows and windows.
    ///
    /// # Errors
    /// Sub-flows in which netml itself fails: windows of no width, or headers it does not find.
    pub(super) fn new(settings: &'a Settings, sub_flows: &[SubFlow<'_>]) -> Result<Table<'a>, NetError> {
        check_header(settings, sub_flows)?;
        let counts = sub_flows.iter().map(|sub_flow| sub_flow.packets.len() as f64).collect();
        let width = settings.vector.width(quantile(counts, settings.q).floor() as usize);
        Ok(Table {
            settings,
            window: window(settings, sub_flows)?,
            vector: Block::new(width, settings.form),
            header: settings.form.has_header.then(|| Block::new(FLAGS.len() + width, settings.form)),
        })
    }

    /// Writes a row for each sub-flow.
    ///
    /// # Errors
    /// An error of the outbox.
    pub(super) fn write(&self, sub_flows: &[SubFlow<'_>], out: &mut Outbox<'_>) -> Result<(), NetError> {
        let Settings { vector, form, .. } = *self.settings;
        out.begin(RowKind::Flow, fields(vector, form, self.vector.width))?;
        for &sub_flow in sub_flows {
            out.row(|row| {
                write_identity(sub_flow, row);
                if let Some(header) = &self.header {
                    header.write(header_values(sub_flow), row);
                }
                self.vector.write(vector.of(sub_flow, self.window), row);
            })?;
        }
        Ok(())
    }
}

/// Netml takes flags and TTL from the layer above the first, and stops at a packet where there is none.
fn check_header(settings: &Settings, sub_flows: &[SubFlow<'_>]) -> Result<(), NetError> {
    let mut packets = sub_flows.iter().flat_map(|sub_flow| sub_flow.packets);
    if settings.form.has_header && packets.any(|packet| packet.ttl.is_none()) {
        return Err(settings.unfit(
            "netml finds no IPv4 header above the first layer of some packets (IPv6, or raw IP)",
            "leave `:header` out, or filter with `-f ip`",
        ));
    }
    Ok(())
}

fn window(settings: &Settings, sub_flows: &[SubFlow<'_>]) -> Result<f64, NetError> {
    let window = quantile(sub_flows.iter().map(SubFlow::duration).collect(), WINDOW_Q);
    let lasts = |sub_flow: &SubFlow<'_>| sub_flow.duration() > 0.0;
    if settings.vector.is_sampled() && window <= 0.0 && sub_flows.iter().any(lasts) {
        return Err(settings.unfit(
            "three in ten sub-flows last no time, so netml's windows have no width and it fails",
            "ask for another `:q=` or `:interval=`, or for `netml-iat` or `netml-size`",
        ));
    }
    Ok(window)
}

fn write_identity(sub_flow: SubFlow<'_>, row: &mut RowWriter<'_>) {
    let key = sub_flow.key;
    let (source, destination) = key.addresses.unzip();
    for address in [source, destination] {
        row.text(&address.map_or_else(String::new, |address| address.to_string()));
    }
    row.u64(key.ports.0.into());
    row.u64(key.ports.1.into());
    row.u64(key.protocol.into());
    row.i64(sub_flow.packets.first().map_or(0, |packet| packet.ts_ns));
    row.i64(sub_flow.packets.last().map_or(0, |packet| packet.ts_ns));
    row.u64(sub_flow.packets.first().map_or(0, |packet| packet.number));
    row.u64(sub_flow.packets.len() as u64);
}

fn header_values(sub_flow: SubFlow<'_>) -> Vec<f64> {
    let count = |bit: usize| {
        let has = |packet: &&Kept| packet.flags >> bit & 1 == 1;
        sub_flow.packets.iter().filter(has).count() as f64
    };
    let mut values: Vec<f64> = (0..FLAGS.len()).map(count).collect();
    values.extend(sub_flow.packets.iter().map(|packet| f64::from(packet.ttl.unwrap_or_default())));
    values
}
