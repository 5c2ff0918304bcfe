//! The bundled traffic, part of the binary so that it can show itself anywhere. `samples/README.md` says how it was made.

use std::sync::Arc;

use cormorant_lab::tasks::demo::Samples;

const LEARN_CAPTURE: &[u8] = include_bytes!("../../../samples/learn.pcapng");
const LEARN_LABELS: &[u8] = include_bytes!("../../../samples/learn.labels.csv");
const HUNT_CAPTURE: &[u8] = include_bytes!("../../../samples/hunt.pcapng");
const HUNT_LABELS: &[u8] = include_bytes!("../../../samples/hunt.labels.csv");

/// The two captures with their labels.
pub(crate) fn bundled() -> Samples {
    Samples {
        learn_capture: Arc::from(LEARN_CAPTURE),
        learn_labels: Arc::from(LEARN_LABELS),
        hunt_capture: Arc::from(HUNT_CAPTURE),
        hunt_labels: Arc::from(HUNT_LABELS),
    }
}
