//! Notices of Zeek (`notice.log`), as text with tabs and a `#fields` line or as one JSON object a line: a row that
//! a notice speaks of is malicious, its family is the notice's type (`note`).
//!
//! A notice about a connection is found by its 5-tuple in either direction or by its Community ID; one that names
//! only `src`, `dst` or both, by these addresses.

use std::collections::HashMap;

use super::clock::{TIME, written};
use super::events::{End, Event, Events, Several, protocol};
use super::lines::{Line, Lines, Record};
use super::rules::seconds;
use super::{Verdict, malicious};
use crate::LabError;
use crate::plain::plain;

/// What tells such a log from others.
pub(super) const TELLING: &str = "note";

const FIELDS: &[&str] = &[
    "ts",
    "note",
    "proto",
    "id.orig_h",
    "id.orig_p",
    "id.resp_h",
    "id.resp_p",
    "src",
    "dst",
    "community_id",
];

/// Reads a log of either form.
pub(super) fn read(lines: &mut Lines<'_>, verdicts: &mut Vec<Verdict>) -> Result<Events, LabError> {
    let mut events = Events::new(Several::MostSevere);
    let mut columns: Option<Columns> = None;
    while let Some(line) = lines.next_line()? {
        let record = if line.text.starts_with(b"#") {
            columns = Columns::of(&line)?.or(columns);
            continue;
        } else if line.text.starts_with(b"{") {
            line.record_of(&line.object()?, FIELDS)
        } else {
            columns.as_ref().ok_or_else(|| no_columns(&line))?.record(&line)
        };
        events.push(line.name, event(&record)?)?;
        verdicts.push(malicious(&record.need("note", "the type of the notice", |text| {
            Some(plain(text).into_owned()).filter(|text| !text.is_empty())
        })?));
    }
    Ok(events.sorted())
}

/// Which column of a log with tabs holds what.
struct Columns(Vec<(&'static str, usize)>);

impl Columns {
    /// The columns that a `#fields` line names; `None` for other lines about the log.
    fn of(line: &Line<'_>) -> Result<Option<Self>, LabError> {
        let text = String::from_utf8_lossy(line.text);
        if let Some(separator) = text.strip_prefix("#separator ").filter(|text| text.trim() != "\\x09") {
            return Err(wrong(line, "tabs, `#separator \\x09`", separator));
        }
        let Some(fields) = text.strip_prefix("#fields\t") else { return Ok(None) };
        let names: Vec<_> = fields.split('\t').collect();
        let place = |&name: &&'static str| Some((name, names.iter().position(|field| *field == name)?));
        let columns: Vec<_> = FIELDS.iter().filter_map(place).collect();
        if ["ts", TELLING].iter().any(|needed| !columns.iter().any(|(name, _)| name == needed)) {
            return Err(wrong(line, "the fields ts and note of a notice.log", fields));
        }
        Ok(Some(Self(columns)))
    }

    fn record<'a>(&self, line: &Line<'a>) -> Record<'a> {
        let cells: Vec<_> = line.text.split(|byte| *byte == b'\t').collect();
        let cell = |&(name, place): &(&'static str, usize)| {
            let text = String::from_utf8_lossy(cells.get(place)?).into_owned();
            (!matches!(text.as_str(), "-" | "(empty)" | "")).then_some((name, text))
        };
        line.record(self.0.iter().filter_map(cell).collect::<HashMap<_, _>>())
    }
}

fn event(record: &Record<'_>) -> Result<Event, LabError> {
    let time = |text: &str| seconds(text).filter(|_| text != "*").or_else(|| written(text, 0));
    let window = record.need("ts", &format!("UNIX seconds, or {TIME}"), time)?;
    let (source, destination) = (record.address("id.orig_h")?, record.address("id.resp_h")?);
    let community_id = record.text("community_id");
    if source.is_none() && destination.is_none() {
        let end = |field| Ok::<_, LabError>(End { address: record.address(field)?, port: None });
        let (source, destination) = (end("src")?, end("dst")?);
        return Ok(Event { window, source, destination, community_id, ..Event::default() });
    }
    Ok(Event {
        window,
        protocol: record.text("proto").map(|name| protocol(&name, source)),
        source: End { address: source, port: record.port("id.orig_p")? },
        destination: End { address: destination, port: record.port("id.resp_p")? },
        community_id,
        severity: 0,
    })
}

fn wrong(line: &Line<'_>, expected: &str, found: &str) -> LabError {
    LabError::Table {
        place: format!("{}, line {}", line.name, line.number),
        expected: expected.to_owned(),
        found: format!("`{}`", plain(&found.chars().take(200).collect::<String>())),
        advice: "labels are read from Zeek's notice.log as Zeek writes it, or as JSON lines".to_owned(),
    }
}

fn no_columns(line: &Line<'_>) -> LabError {
    wrong(line, "a line `#fields` before the first notice", &String::from_utf8_lossy(line.text))
}
