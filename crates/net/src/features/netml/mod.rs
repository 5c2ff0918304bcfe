//! The feature sets of netml (Yang, Kpotufe and Feamster, "Feature Extraction for Novelty Detection in Network Traffic",
//! arXiv 2006.16993) in two forms. Time and size come from packets alone; a size is the captured length.
//!
//! By default a flow has both directions and either IP version, and becomes a row when it falls silent ([`stream`]),
//! with its vector in a list ([`growing`], [`settings`]): nothing depends on the rest of the capture.
//!
//! With `:compat` rows are as netml 0.7.1 computes them, faults included: tables of either tool can stand beside each
//! other, and so can models trained on them. Where a flow is cut and how wide a row is depends on the whole capture, so
//! the packets are kept until its end ([`packets`]), then cut into flows ([`flows`]), then measured ([`vectors`],
//! [`fft`]).

mod fft;
mod flows;
mod growing;
mod packets;
mod quantile;
mod sets;
mod settings;
mod stream;
mod table;
mod vectors;

use crate::NetError;
use crate::capture::Frame;
use crate::packet::Decoded;
use flows::{FLOW_BYTES, Flows, Interval, PACKET_BYTES};
pub use sets::{IAT, IAT_SIZE, SAMP_NUM, SAMP_SIZE, SIZE, STATS};
use stream::Stream;
use table::{Form, Table};
use vectors::{STATISTICS, Vector};

use super::RowField;
use super::frames::{Extractor, Outbox};
use super::spec::SetSpec;

/// The quantile of durations and of packet counts when none is asked for.
const DEFAULT_Q: f64 = 0.9;

/// Options that netml's own form does not have.
const NOT_COMPAT: [&str; 4] = ["uni", "window", "packets", "least"];

/// The columns of a set, when they are known before reading.
fn fields_of(vector: Vector, spec: &SetSpec) -> Result<Option<Vec<RowField>>, NetError> {
    if !spec.has("compat") {
        return Ok(Some(settings::fields(&settings::Settings::read(vector, spec)?)));
    }
    let settings = Settings::read(vector, spec)?;
    let known = vector == Vector::Stats;
    Ok(known.then(|| table::fields(vector, settings.form, STATISTICS.len())))
}

/// Begins a capture.
fn open(
    set: &'static str,
    vector: Vector,
    spec: &SetSpec,
    mem_bytes: u64,
) -> Result<Box<dyn Extractor>, NetError> {
    if spec.has("compat") {
        return Netml::open(set, vector, spec, mem_bytes);
    }
    Ok(Box::new(Stream::new(settings::Settings::read(vector, spec)?, mem_bytes)))
}

/// What was asked for with `:compat`.
#[derive(Clone, Debug)]
struct Settings {
    text: String,
    vector: Vector,
    form: Form,
    q: f64,
    interval: Option<f64>,
}

impl Settings {
    fn read(vector: Vector, spec: &SetSpec) -> Result<Settings, NetError> {
        let form = Form { is_fft: spec.has("fft"), has_header: spec.has("header") };
        let settings = Settings {
            text: spec.text().to_owned(),
            vector,
            form,
            q: spec.number("q", 0.01, 1.0)?.unwrap_or(DEFAULT_Q),
            interval: spec.number("interval", 1e-6, 1e9)?,
        };
        if NOT_COMPAT.iter().any(|option| spec.has(option)) {
            return Err(settings.unfit(
                "netml itself has no `:uni`, `:window=`, `:packets=` and `:least=`",
                "leave them out, or leave `:compat` out",
            ));
        }
        Ok(settings)
    }

    fn unfit(&self, found: &'static str, advice: &'static str) -> NetError {
        NetError::Unfit { text: self.text.clone(), found, advice }
    }
}

/// Keeps the packets of a capture and makes the rows at its end.
struct Netml {
    set: &'static str,
    settings: Settings,
    flows: Flows,
    packets: u64,
    used_bytes: u64,
    mem_bytes: u64,
}

impl Netml {
    fn open(
        set: &'static str,
        vector: Vector,
        spec: &SetSpec,
        mem_bytes: u64,
    ) -> Result<Box<dyn Extractor>, NetError> {
        let settings = Settings::read(vector, spec)?;
        let flows = Flows::default();
        Ok(Box::new(Netml { set, settings, flows, packets: 0, used_bytes: 0, mem_bytes }))
    }
}

impl Extractor for Netml {
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        _: &Decoded,
        _: &mut Outbox<'_>,
    ) -> Result<Option<&'static str>, NetError> {
        let Some((key, kept)) = packets::read(frame) else { return Ok(Some("neither TCP nor UDP")) };
        let flow_bytes = if self.flows.add(key, kept) { FLOW_BYTES } else { 0 };
        self.used_bytes += PACKET_BYTES + flow_bytes;
        if self.used_bytes > self.mem_bytes {
            return Err(NetError::TooLong {
                set: self.set,
                packets: self.packets,
                mem_bytes: self.mem_bytes,
            });
        }
        self.packets += 1;
        Ok(None)
    }

    fn finish(&mut self, out: &mut Outbox<'_>) -> Result<(), NetError> {
        let settings = &self.settings;
        let interval = settings.interval.map_or(Interval::Quantile(settings.q), Interval::Fixed);
        let sub_flows = self.flows.cut(interval).map_err(|_| {
            settings.unfit(
                "most flows last no time, so netml's interval between sub-flows is 0 and cuts nothing",
                "ask for a higher `:q=`, or give the interval itself, as in `:interval=1`",
            )
        })?;
        Table::new(settings, &sub_flows)?.write(&sub_flows, out)
    }
}
