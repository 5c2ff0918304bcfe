//! One label per capture: `capture,label,family`, where `capture` is a capture's name or a directory of captures.
//! The longest name that fits wins.

use std::collections::HashMap;

use super::{Match, Sheet, Verdict};
use crate::LabError;

/// The columns such a file must have; `note` may be there too.
pub(super) const COLUMNS: &[&str] = &["capture", "label", "family"];

/// Places of verdicts by capture or directory.
pub(super) struct CaptureLabels {
    by_name: HashMap<String, usize>,
}

/// Reads the rows of a sheet whose header fits.
pub(super) fn read(sheet: &mut Sheet<'_>, verdicts: &mut Vec<Verdict>) -> Result<CaptureLabels, LabError> {
    let mut by_name: HashMap<String, usize> = HashMap::new();
    while let Some(row) = sheet.next_row()? {
        let name = row.parse("capture", "the name of a capture or directory, once", |text| {
            let name = text.trim_end_matches('/');
            (!name.is_empty() && !by_name.contains_key(name)).then(|| name.to_owned())
        })?;
        let verdict = row.verdict()?;
        by_name.insert(name, verdicts.len());
        verdicts.push(verdict);
    }
    Ok(CaptureLabels { by_name })
}

impl CaptureLabels {
    /// The label of a capture, or of the innermost directory it is in.
    pub(super) fn find(&self, capture: &str) -> Match {
        let mut name = capture;
        loop {
            if let Some(&place) = self.by_name.get(name) {
                return Match::One(place);
            }
            match name.rfind('/') {
                Some(end) if end > 0 => name = &name[..end],
                _ => return Match::None,
            }
        }
    }
}
