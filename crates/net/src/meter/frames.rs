//! The meter of sets that see frames: one extractor, every frame in its order, on the calling thread. Rows depend on
//! the frames alone, so the number of threads cannot change them.

use super::intake::Counters;
use super::{MeterReport, MeterSpec, Progress, TICK_PACKETS, WATCH_TICKS};
use crate::NetError;
use crate::capture::{Capture, Next};
use crate::features::frames::{FrameSet, Outbox};
use crate::features::{RowKind, RowSchema, Rows, SetSpec};
use crate::flow::Clock;
use crate::packet;

/// Runs one extractor over a capture.
pub(super) fn run(
    capture: &mut Capture,
    spec: &MeterSpec,
    set: &FrameSet,
    options: &SetSpec,
    watch: &mut dyn FnMut(Progress) -> bool,
    sink: &mut dyn FnMut(Rows) -> Result<(), NetError>,
) -> Result<MeterReport, NetError> {
    let fields = (set.fields)(options)?.unwrap_or_default();
    let schema = RowSchema { kind: set.kind, fields }.into();
    let mut extractor = (set.open)(options, spec.flow.mem_bytes)?;
    let mut out = Outbox::new(&schema, spec.batch_rows, sink);
    let (mut counters, mut clock) = (Counters::default(), Clock::default());
    let mut fault = None;
    loop {
        let mut quiet = false;
        match capture.next() {
            Ok(Next::Frame(frame)) => {
                clock.tick(frame.ts_ns);
                counters.add(&frame);
                let decoded = packet::decode(&frame);
                let reason = extractor.frame(&frame, &decoded, &mut out)?;
                counters.add_used(&frame, &decoded, reason);
            }
            Ok(Next::Quiet) => quiet = true,
            Ok(Next::End) => break,
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
        if (quiet || counters.packets.is_multiple_of(WATCH_TICKS * TICK_PACKETS as u64))
            && !watch(progress(capture, counters.packets, out.delivered()))
        {
            return Err(NetError::Cancelled { name: capture.name().to_owned(), packets: counters.packets });
        }
    }
    extractor.finish(&mut out)?;
    out.flush()?;
    watch(progress(capture, counters.packets, out.delivered()));
    let report = counters.into_report();
    Ok(MeterReport {
        packets_filtered: capture.filtered(),
        backward_times: clock.backward(),
        clock_rebased: clock.rebased(),
        streams_let_go: extractor.let_go(),
        flows: if set.kind == RowKind::Flow { out.delivered() } else { 0 },
        fault,
        ..report
    })
}

fn progress(capture: &Capture, packets: u64, rows: u64) -> Progress {
    Progress {
        packets,
        rows,
        consumed_bytes: capture.consumed_bytes(),
        size_bytes: capture.size_bytes(),
        dropped: capture.dropped(),
    }
}
