//! Alerts of Suricata's EVE log, one JSON object a line: a row that an alert speaks of is malicious, its family is
//! the signature's text (`alert.signature`), because a category such as `Misc Attack` names nothing.
//!
//! An alert is found by its 5-tuple in either direction (by addresses and protocol when it has no ports, as for
//! ICMP) or by its Community ID; its time reaches from the start of Suricata's flow, when told, to the alert.

use super::clock::{TIME, written};
use super::events::{End, Event, Events, Several, is_icmp, protocol};
use super::lines::{Lines, Record};
use super::{Verdict, malicious};
use crate::LabError;

/// What tells such a log from others.
pub(super) const TELLING: &str = "event_type";

const FIELDS: &[&str] = &[
    "timestamp",
    "flow.start",
    "proto",
    "src_ip",
    "src_port",
    "dest_ip",
    "dest_port",
    "community_id",
    "alert.signature",
    "alert.severity",
];
/// Less severe than any that Suricata writes (1 to 4 by default, at most 255).
const LEAST_SEVERE: u8 = u8::MAX;

/// Reads the alerts of a log; `offset_s` is for times without a zone, which Suricata does not write by default.
pub(super) fn read(
    lines: &mut Lines<'_>,
    offset_s: i32,
    verdicts: &mut Vec<Verdict>,
) -> Result<Events, LabError> {
    let mut events = Events::new(Several::MostSevere);
    while let Some(line) = lines.next_line()? {
        let object = line.object()?;
        if object.get(TELLING).and_then(serde_json::Value::as_str) != Some("alert") {
            continue;
        }
        let record = line.record_of(&object, FIELDS);
        events.push(line.name, event(&record, offset_s)?)?;
        verdicts.push(malicious(&record.need("alert.signature", "the text of the signature", name)?));
    }
    Ok(events.sorted())
}

fn name(text: &str) -> Option<String> {
    Some(crate::plain::plain(text).into_owned()).filter(|text| !text.is_empty())
}

fn event(record: &Record<'_>, offset_s: i32) -> Result<Event, LabError> {
    let time = |text: &str| written(text, offset_s);
    let (alert_first, alert_last) = record.need("timestamp", TIME, time)?;
    let (start, _) = record.parse("flow.start", TIME, time)?.unwrap_or((alert_first, alert_last));
    let (source, destination) = (record.address("src_ip")?, record.address("dest_ip")?);
    let protocol = record.text("proto").map(|name| protocol(&name, source));
    let community_id = record.text("community_id");
    let icmp = protocol.is_some_and(is_icmp);
    let port = |field| if icmp { Ok(None) } else { record.port(field) };
    let mut event = Event {
        window: (start.min(alert_first), alert_last),
        protocol,
        source: End { address: source, port: port("src_port")? },
        destination: End { address: destination, port: port("dest_port")? },
        community_id,
        severity: record
            .parse("alert.severity", "a number from 0 to 255", |text| text.parse().ok())?
            .unwrap_or(LEAST_SEVERE),
    };
    if icmp && event.community_id.is_some() {
        // It tells types of ICMP apart, which two addresses do not.
        (event.source, event.destination) = (End::default(), End::default());
    }
    Ok(event)
}
