//! Labelled flows of CICFlowMeter, as CIC-IDS2017 and its kin publish them: one flow a row, found by its 5-tuple in
//! either direction and, when there is a timestamp, by time. `BENIGN` and `NORMAL` are benign; any other label is
//! malicious and the family as written.
//!
//! A flow reaches from its timestamp, which may stand for a whole minute, as long as its duration says.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use cormorant_learn::table::{BENIGN, MALICIOUS};

use super::clock::{TIME, written};
use super::events::{End, Event, Events, Several, is_icmp, protocol};
use super::{Row, Sheet, Verdict};
use crate::LabError;

/// The columns such a file must have, by each of the names they go by.
pub(super) const COLUMNS: &[&[&str]] = &[
    &["Src IP", "Source IP"],
    &["Src Port", "Source Port"],
    &["Dst IP", "Destination IP"],
    &["Dst Port", "Destination Port"],
    &["Protocol"],
    &["Label"],
];

/// Places of the columns in the header.
struct Columns {
    source: usize,
    source_port: usize,
    destination: usize,
    destination_port: usize,
    protocol: usize,
    label: usize,
    timestamp: Option<usize>,
    duration: Option<usize>,
}

/// Whether the header is that of such a file.
pub(super) fn fits(sheet: &Sheet<'_>) -> bool {
    columns(sheet).is_some()
}

/// Whether the rows are labelled flows of which nobody can tell whose.
pub(super) fn lacks_addresses(sheet: &Sheet<'_>) -> bool {
    place(sheet, &["Label"]).is_some() && place(sheet, &["Flow Duration"]).is_some() && !fits(sheet)
}

/// Reads the rows of a sheet whose header fits; timestamps are those of a clock `offset_s` ahead of UTC.
pub(super) fn read(
    sheet: &mut Sheet<'_>,
    offset_s: i32,
    verdicts: &mut Vec<Verdict>,
) -> Result<Events, LabError> {
    let columns = columns(sheet).ok_or_else(|| sheet.wrong_header())?;
    let name = sheet.name;
    let mut events = Events::new(Several::Ambiguous);
    let mut families: HashMap<String, Arc<str>> = HashMap::new();
    while let Some(row) = sheet.next_row()? {
        // CIC-IDS2017 has hundreds of thousands of rows of nothing but commas.
        if row.is_blank() {
            continue;
        }
        events.push(name, columns.event(&row, offset_s)?)?;
        let label = row.parse_at(columns.label, "BENIGN or the name of an attack", |text| {
            (!text.is_empty()).then(|| text.to_owned())
        })?;
        verdicts.push(verdict(&label, &mut families));
    }
    Ok(events.sorted())
}

fn verdict(label: &str, families: &mut HashMap<String, Arc<str>>) -> Verdict {
    let benign = ["BENIGN", "NORMAL"].iter().any(|word| word.eq_ignore_ascii_case(label));
    let family = if benign { "" } else { label };
    let family = Arc::clone(families.entry(family.to_owned()).or_insert_with(|| family.into()));
    Verdict { label: if benign { BENIGN } else { MALICIOUS }, family, note: Arc::default() }
}

fn columns(sheet: &Sheet<'_>) -> Option<Columns> {
    let [source, source_port, destination, destination_port, protocol, label] =
        <[usize; 6]>::try_from(COLUMNS.iter().map(|names| place(sheet, names)).collect::<Option<Vec<_>>>()?)
            .ok()?;
    Some(Columns {
        source,
        source_port,
        destination,
        destination_port,
        protocol,
        label,
        timestamp: place(sheet, &["Timestamp"]),
        duration: place(sheet, &["Flow Duration"]),
    })
}

fn place(sheet: &Sheet<'_>, names: &[&str]) -> Option<usize> {
    sheet.header.iter().position(|field| names.iter().any(|name| name.eq_ignore_ascii_case(field)))
}

impl Columns {
    fn event(&self, row: &Row<'_, '_>, offset_s: i32) -> Result<Event, LabError> {
        let address =
            |place| row.parse_at(place, "an IPv4 or IPv6 address", |text| text.parse::<IpAddr>().ok());
        let (source, destination) = (address(self.source)?, address(self.destination)?);
        let protocol = row.parse_at(self.protocol, "a protocol such as 6 or tcp", |text| {
            (!text.is_empty()).then(|| protocol(whole(text), Some(source)))
        })?;
        let port = |place| {
            let port = row.parse_at(place, "a port from 0 to 65535", |text| whole(text).parse().ok())?;
            Ok::<_, LabError>((!is_icmp(protocol)).then_some(port))
        };
        Ok(Event {
            window: self.window(row, offset_s)?,
            protocol: Some(protocol),
            source: End { address: Some(source), port: port(self.source_port)? },
            destination: End { address: Some(destination), port: port(self.destination_port)? },
            ..Event::default()
        })
    }

    fn window(&self, row: &Row<'_, '_>, offset_s: i32) -> Result<(i64, i64), LabError> {
        let Some(timestamp) = self.timestamp else { return Ok((i64::MIN, i64::MAX)) };
        let (first, last) = row.parse_at(timestamp, TIME, |text| written(text, offset_s))?;
        let Some(duration) = self.duration else { return Ok((first, last)) };
        let microseconds: f64 =
            row.parse_at(duration, "a number of microseconds", |text| text.parse().ok())?;
        // Negative ones are an old fault of CICFlowMeter; the cast saturates.
        Ok((first, last.saturating_add((microseconds.max(0.0) * 1e3) as i64)))
    }
}

/// `6.0` as `6`: tables that went through a data frame have such numbers.
fn whole(text: &str) -> &str {
    text.strip_suffix(".0").unwrap_or(text)
}
