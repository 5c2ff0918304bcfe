//! Logs line by line, none longer than a bound, and records whose errors say where they are.

use std::collections::HashMap;
use std::io::{BufRead, Read};
use std::net::IpAddr;
use std::path::Path;

use serde_json::{Map, Value};

use crate::LabError;
use crate::plain::plain;
use crate::tables::read::cannot_read;

/// Longer lines are refused: alerts with whole payloads in them stay far below.
const LONGEST_LINE: usize = 4 << 20;
/// How much of a wrong value is shown.
const SHOWN_CHARS: usize = 80;

/// A log being read.
pub(super) struct Lines<'a> {
    pub(super) name: &'a str,
    reader: &'a mut dyn BufRead,
    buffer: Vec<u8>,
    /// Lines read so far.
    pub(super) number: u64,
}

/// One line, without its end.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) number: u64,
    pub(super) text: &'a [u8],
}

/// The fields of one line that are not empty, by name.
pub(super) struct Record<'a> {
    name: &'a str,
    number: u64,
    cells: HashMap<&'static str, String>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(name: &'a str, reader: &'a mut dyn BufRead) -> Self {
        Self { name, reader, buffer: Vec::new(), number: 0 }
    }

    /// The next line that is not blank, `None` at the end.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Table`] for a line that is too long.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>, LabError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let read = self.next_raw(&mut buffer);
        self.buffer = buffer;
        if read? == 0 {
            return Ok(None);
        }
        let text = self.buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.buffer);
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        Ok(Some(Line { name: self.name, number: self.number, text }))
    }

    /// The bytes of the next line that is not blank, its end included; none at the end of the log.
    ///
    /// # Errors
    /// As of [`Lines::next_line`].
    pub(super) fn next_raw(&mut self, buffer: &mut Vec<u8>) -> Result<usize, LabError> {
        loop {
            buffer.clear();
            self.number += 1;
            let mut bounded = (&mut *self.reader).take(LONGEST_LINE as u64 + 1);
            let bytes = bounded
                .read_until(b'\n', buffer)
                .map_err(|source| cannot_read(Path::new(self.name), source))?;
            if bytes > LONGEST_LINE {
                return Err(self.too_long());
            }
            if bytes == 0 || !buffer.trim_ascii().is_empty() {
                return Ok(bytes);
            }
        }
    }

    fn too_long(&self) -> LabError {
        LabError::Table {
            place: format!("{}, line {}", self.name, self.number),
            expected: format!("a line of at most {LONGEST_LINE} bytes"),
            found: "a longer one".to_owned(),
            advice: "no label was applied; check that this is a log of one record a line".to_owned(),
        }
    }
}

impl<'a> Line<'a> {
    /// The object on this line.
    ///
    /// # Errors
    /// [`LabError::Table`] when there is none.
    pub(super) fn object(&self) -> Result<Map<String, Value>, LabError> {
        serde_json::from_slice(self.text).map_err(|error| LabError::Table {
            place: format!("{}, line {}", self.name, self.number),
            expected: "one JSON object".to_owned(),
            found: format!("{error} in `{}`", shown(&String::from_utf8_lossy(self.text))),
            advice: "no label was applied; remove this line if it was cut off".to_owned(),
        })
    }

    /// A record of cells.
    pub(super) fn record(&self, cells: HashMap<&'static str, String>) -> Record<'a> {
        Record { name: self.name, number: self.number, cells }
    }

    /// The record of an object's fields of these names, of which `a.b` is also the field `b` of the object `a`.
    pub(super) fn record_of(&self, object: &Map<String, Value>, names: &[&'static str]) -> Record<'a> {
        let nested =
            |name: &str| name.split_once('.').and_then(|(outer, inner)| object.get(outer)?.get(inner));
        let cell = |&name: &&'static str| {
            let text = match object.get(name).or_else(|| nested(name))? {
                Value::String(text) => text.clone(),
                Value::Null => return None,
                other => other.to_string(),
            };
            Some((name, text))
        };
        self.record(names.iter().filter_map(cell).collect())
    }
}

impl Record<'_> {
    /// A field made safe to show; `None` when it is not there.
    pub(super) fn text(&self, field: &str) -> Option<String> {
        self.cells.get(field).map(|text| plain(text).into_owned())
    }

    /// A field parsed; `None` when it is not there.
    ///
    /// # Errors
    /// [`LabError::Table`] naming line and field.
    pub(super) fn parse<T>(
        &self,
        field: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, LabError> {
        let Some(text) = self.cells.get(field) else { return Ok(None) };
        parse(text).map(Some).ok_or_else(|| self.wrong(field, expected, &format!("`{}`", shown(text))))
    }

    /// A field that must be there, parsed.
    ///
    /// # Errors
    /// [`LabError::Table`] naming line and field.
    pub(super) fn need<T>(
        &self,
        field: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, LabError> {
        self.parse(field, expected, parse)?.ok_or_else(|| self.wrong(field, expected, "nothing"))
    }

    pub(super) fn address(&self, field: &str) -> Result<Option<IpAddr>, LabError> {
        self.parse(field, "an IPv4 or IPv6 address", |text| text.parse().ok())
    }

    pub(super) fn port(&self, field: &str) -> Result<Option<u16>, LabError> {
        self.parse(field, "a number from 0 to 65535", |text| text.parse().ok())
    }

    fn wrong(&self, field: &str, expected: &str, found: &str) -> LabError {
        LabError::Table {
            place: format!("{}, line {}, field {field}", self.name, self.number),
            expected: expected.to_owned(),
            found: found.to_owned(),
            advice: "no label was applied; correct or remove this line".to_owned(),
        }
    }
}

fn shown(text: &str) -> String {
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("{}{more}", plain(&start))
}
