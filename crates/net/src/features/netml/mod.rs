//! The feature sets of netml (Yang, Kpotufe and Feamster, "Feature Extraction for Novelty Detection in Network Traffic",
//! arXiv 2006.16993), as its version 0.7.1 computes them, faults included: tables of either tool can stand beside each
//! other, and so can models trained on them.
//!
//! Where a flow is cut and how wide a row is depends on the whole capture, so the packets are kept until its end
//! ([`packets`]), then cut into flows ([`flows`]), then measured ([`vectors`], [`fft`]). Time and size come from packets
//! alone; a size is the captured length.

mod fft;
mod flows;
mod packets;
mod quantile;
mod sets;
mod table;
mod vectors;

use crate::NetError;
use crate::capture::Frame;
use crate::packet::Decoded;
use flows::{FLOW_BYTES, Flows, Interval, PACKET_BYTES};
pub use sets::{IAT, IAT_SIZE, SAMP_NUM, SAMP_SIZE, SIZE, STATS};
use table::{Form, Table};
use vectors::Vector;

use super::frames::{Extractor, Outbox};
use super::spec::SetSpec;

/// The quantile of durations and of packet counts when none is asked for.
const DEFAULT_Q: f64 = 0.9;

/// What was asked for.
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
        if spec.has("compat") {
            return Ok(settings);
        }
        Err(settings.unfit("only netml's own form is there yet", "write `:compat` behind the set's name"))
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
