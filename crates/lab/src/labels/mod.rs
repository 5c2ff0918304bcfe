//! Labels for rows, from one file; which form it has, its content says (`docs/labels.md`).
//!
//! **Rules** `start,end,protocol,source,source_port,destination,destination_port,label,family,note`: a flow is
//! labelled by the rules whose window holds its first packet and whose ends match its own, in either direction
//! ([`rules`]). **Captures** `capture,label,family`: one label per capture or directory of captures
//! ([`captures`]). **Labelled flows** of CICFlowMeter ([`cic`]), **alerts** of Suricata ([`eve`]) and **notices** of
//! Zeek ([`zeek`]): events that are joined to rows by their ends and time ([`events`]).
//!
//! Nothing is guessed: a row that rules of different label or family claim is *ambiguous*, a row none speaks of
//! is *unmatched*; both are counted and stay without a label.

mod captures;
mod cic;
pub(crate) mod clock;
mod eve;
mod events;
mod lines;
mod rules;
mod zeek;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int64Type, SchemaRef, UInt64Type};
use cormorant_learn::table::{BENIGN, MALICIOUS, Role};
use serde::Serialize;

use crate::LabError;
use crate::plain::plain;
use crate::tables::read::cannot_read;
use crate::tables::{batch, names};
use captures::CaptureLabels;
use events::Events;
use lines::Lines;
use rules::Rules;

/// CSV is held whole while it is read; the largest known data sets are below.
const LARGEST_SHEET_BYTES: u64 = 4 << 30;
/// A longer row of CSV is refused.
const LONGEST_ROW_BYTES: usize = 1 << 20;

/// How the labels met the rows. `matched + unmatched + ambiguous` = rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LabelCounts {
    /// Rules read.
    pub rules: u64,
    /// Rules that matched no row.
    pub rules_unused: u64,
    /// Rows with exactly one label and family.
    pub matched: u64,
    /// Rows no rule speaks of; left without a label.
    pub unmatched: u64,
    /// Rows that rules of different label or family claim; left without a label.
    pub ambiguous: u64,
    /// Matched rows by label, then family (empty when the rule names none).
    pub families: BTreeMap<String, BTreeMap<String, u64>>,
}

/// What a rule says of the rows it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// `benign` or `malicious`.
    pub(crate) label: &'static str,
    /// Family of the attack or activity of the benign; may be empty.
    pub(crate) family: Arc<str>,
    /// Free text, e.g. `decoy-of:beacon`.
    pub(crate) note: Arc<str>,
}

/// Labels read from a file, and how they met rows so far.
pub(crate) struct Labels {
    source: Source,
    verdicts: Vec<Verdict>,
    used: Vec<bool>,
    counts: LabelCounts,
}

enum Source {
    Rules(Rules),
    Captures(CaptureLabels),
    Events(Events),
    Everything,
}

/// What a row must say for rules to find it.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first_ns: i64,
    protocol: u8,
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
}

/// What the rules said of one row.
enum Match {
    None,
    One(usize),
    Several,
}

impl Labels {
    /// Reads a label file, also one compressed with gzip or zstd; times without a zone are those of a clock `offset_s`
    /// seconds ahead of UTC.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Table`] naming file, line and field.
    pub(crate) fn read(path: &Path, offset_s: i32) -> Result<Self, LabError> {
        let mut reader = open(path).map_err(|source| cannot_read(path, source))?;
        Self::from_reader(&path.display().to_string(), &mut *reader, offset_s)
    }

    /// Reads the bytes of a label file called `name` in messages.
    ///
    /// # Errors
    /// [`LabError::Table`] naming file, line and field.
    pub(crate) fn parse(name: &str, mut bytes: &[u8]) -> Result<Self, LabError> {
        Self::from_reader(name, &mut bytes, 0)
    }

    fn from_reader(name: &str, reader: &mut dyn BufRead, offset_s: i32) -> Result<Self, LabError> {
        let unreadable = |source| cannot_read(Path::new(name), source);
        let start = reader.fill_buf().map_err(unreadable)?;
        let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
        if matches!(start.first(), Some(b'{' | b'#')) {
            return Self::from_log(name, reader, offset_s);
        }
        let mut bytes = Vec::new();
        reader.take(LARGEST_SHEET_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST_SHEET_BYTES {
            return Err(too_large(name));
        }
        Self::from_sheet(&mut Sheet::new(name, &bytes), offset_s)
    }

    fn from_sheet(sheet: &mut Sheet<'_>, offset_s: i32) -> Result<Self, LabError> {
        let mut verdicts = Vec::new();
        let source = if sheet.has(rules::COLUMNS) {
            Source::Rules(rules::read(sheet, &mut verdicts)?)
        } else if sheet.has(captures::COLUMNS) {
            Source::Captures(captures::read(sheet, &mut verdicts)?)
        } else if cic::fits(sheet) {
            Source::Events(cic::read(sheet, offset_s, &mut verdicts)?)
        } else {
            return Err(sheet.wrong_header());
        };
        Ok(Self::new(source, verdicts))
    }

    /// Reads a log of one record a line. Objects are told apart by the fields of the first.
    fn from_log(name: &str, reader: &mut dyn BufRead, offset_s: i32) -> Result<Self, LabError> {
        let mut first = Vec::new();
        let mut opening = Lines::new(name, reader);
        opening.next_raw(&mut first)?;
        let blank_lines = opening.number - 1;
        let mut again = first.as_slice().chain(reader);
        let mut lines = Lines::new(name, &mut again);
        lines.number = blank_lines;
        let mut verdicts = Vec::new();
        let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&first).trim_ascii_start();
        let object = serde_json::from_slice::<serde_json::Value>(text);
        let has = |field: &str| object.as_ref().is_ok_and(|object| object.get(field).is_some());
        let events = if text.starts_with(b"#") || has(zeek::TELLING) {
            zeek::read(&mut lines, &mut verdicts)?
        } else if has(eve::TELLING) || object.is_err() {
            eve::read(&mut lines, offset_s, &mut verdicts)?
        } else {
            return Err(unknown_log(name, &first));
        };
        Ok(Self::new(Source::Events(events), verdicts))
    }

    /// One label for every row: `benign`, `malicious` or either with `:family`.
    ///
    /// # Errors
    /// [`LabError::Request`] for another word.
    pub(crate) fn everything(text: &str) -> Result<Self, LabError> {
        let (word, family) = text.split_once(':').unwrap_or((text, ""));
        let label = label_of(word).ok_or_else(|| LabError::Request {
            what: "label",
            expected: "benign, malicious or malicious:FAMILY".to_owned(),
            found: format!("`{}`", plain(text)),
            advice: "one label goes to every row; use a label file for more".to_owned(),
        })?;
        let verdict = Verdict { label, family: plain(family).into(), note: "".into() };
        Ok(Self::new(Source::Everything, vec![verdict]))
    }

    fn new(source: Source, verdicts: Vec<Verdict>) -> Self {
        let counts = LabelCounts { rules: verdicts.len() as u64, ..LabelCounts::default() };
        Self { source, used: vec![false; verdicts.len()], verdicts, counts }
    }

    /// How the labels met the rows so far.
    pub(crate) fn counts(&self) -> LabelCounts {
        let unused = self.used.iter().filter(|used| !**used).count() as u64;
        LabelCounts { rules_unused: unused, ..self.counts.clone() }
    }

    /// What the labels say of each row of flows; `None` for unmatched and ambiguous ones. `capture` is where rows
    /// without a column for it are from.
    ///
    /// # Errors
    /// [`LabError::Table`] when a column that rules need is missing or not as expected.
    pub(crate) fn judge(
        &mut self,
        batch: &RecordBatch,
        capture: &str,
    ) -> Result<Vec<Option<Verdict>>, LabError> {
        let matches = match &self.source {
            Source::Rules(rules) => {
                let rows = EndColumns::of(batch)?;
                (0..batch.num_rows())
                    .map(|row| rows.get(row).map_or(Match::None, |ends| rules.find(&ends, &self.verdicts)))
                    .collect()
            }
            Source::Events(events) => {
                let rows = EndColumns::of(batch)?;
                let last_ns = times(batch, names::LAST_NS)?;
                let ids = text_column(batch, names::COMMUNITY_ID).ok();
                (0..batch.num_rows())
                    .map(|row| {
                        let community_id = ids.filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row));
                        let Some(ends) = rows.get(row) else { return Match::None };
                        let row = events::Row { ends, last_ns: last_ns[row], community_id };
                        events.find(&row, &self.verdicts, &mut self.used)
                    })
                    .collect()
            }
            Source::Captures(captures) => {
                let named = text_column(batch, names::CAPTURE).ok();
                let name = |row| named.map_or(capture, |names| names.value(row));
                (0..batch.num_rows()).map(|row| captures.find(name(row))).collect::<Vec<_>>()
            }
            Source::Everything => (0..batch.num_rows()).map(|_| Match::One(0)).collect(),
        };
        for found in &matches {
            self.count(found);
        }
        let verdict = |found: &Match| {
            if let Match::One(rule) = found { self.verdicts.get(*rule).cloned() } else { None }
        };
        Ok(matches.iter().map(verdict).collect())
    }

    fn count(&mut self, found: &Match) {
        match found {
            Match::None => self.counts.unmatched += 1,
            Match::Several => self.counts.ambiguous += 1,
            Match::One(rule) => {
                let verdict = &self.verdicts[*rule];
                self.used[*rule] = true;
                self.counts.matched += 1;
                let families = self.counts.families.entry(verdict.label.to_owned()).or_default();
                *families.entry(verdict.family.to_string()).or_default() += 1;
            }
        }
    }
}

/// The schema with columns for label and family, which replace those it has.
pub(crate) fn with_labels(schema: &SchemaRef) -> SchemaRef {
    let ours = [(names::LABEL, Role::Label), (names::FAMILY, Role::Family)];
    let others = schema.fields().iter().filter(|field| !is_label(field)).map(|field| field.as_ref().clone());
    let fields = others.chain(ours.map(|(name, role)| batch::field(name, DataType::Utf8, role, "")));
    batch::with_metadata(fields.collect(), schema.metadata().clone())
}

/// The rows with the labels they were judged by.
///
/// # Errors
/// [`LabError::Internal`] when there is not one verdict per row.
pub(crate) fn join(rows: &RecordBatch, verdicts: &[Option<Verdict>]) -> Result<RecordBatch, LabError> {
    let schema = rows.schema();
    let kept = schema.fields().iter().zip(rows.columns()).filter(|(field, _)| !is_label(field));
    let mut columns: Vec<ArrayRef> = kept.map(|(_, column)| Arc::clone(column)).collect();
    let label: StringArray =
        verdicts.iter().map(|verdict| verdict.as_ref().map(|verdict| verdict.label)).collect();
    let family = |verdict: &'_ Option<Verdict>| {
        verdict.as_ref().map(|verdict| Arc::clone(&verdict.family)).filter(|family| !family.is_empty())
    };
    let family: StringArray = verdicts.iter().map(family).collect();
    columns.extend([Arc::new(label) as ArrayRef, Arc::new(family)]);
    RecordBatch::try_new(with_labels(&schema), columns).map_err(|error| LabError::Internal(error.to_string()))
}

fn is_label(field: &Field) -> bool {
    matches!(batch::role(field), Some(Role::Label | Role::Family))
}

fn agree(a: &Verdict, b: &Verdict) -> bool {
    a.label == b.label && a.family == b.family
}

/// What an alert says of rows.
fn malicious(family: &str) -> Verdict {
    Verdict { label: MALICIOUS, family: family.into(), note: Arc::default() }
}

/// A file's bytes, decompressed when they are gzip or zstd.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut file = BufReader::new(File::open(path)?);
    let start = file.fill_buf()?;
    Ok(match start {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(file))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(BufReader::new(zstd::Decoder::with_buffer(file)?)),
        _ => Box::new(file),
    })
}

fn too_large(name: &str) -> LabError {
    LabError::Table {
        place: name.to_owned(),
        expected: format!("CSV of at most {LARGEST_SHEET_BYTES} bytes"),
        found: "more".to_owned(),
        advice: "split the label file by time, and the captures with it".to_owned(),
    }
}

fn unknown_log(name: &str, first: &[u8]) -> LabError {
    let start: String = String::from_utf8_lossy(first).chars().take(200).collect();
    LabError::Table {
        place: format!("{name}, line 1"),
        expected: "an object with `event_type` (Suricata's EVE) or `note` (Zeek's notices)".to_owned(),
        found: format!("`{}`", plain(&start)),
        advice: "give the log of alerts or notices itself; docs/labels.md has the forms".to_owned(),
    }
}

fn label_of(word: &str) -> Option<&'static str> {
    [BENIGN, MALICIOUS].into_iter().find(|label| *label == word)
}

/// The columns of flow rows that rules look at.
struct EndColumns<'a> {
    first_ns: &'a [i64],
    protocol: &'a [u64],
    source: &'a StringArray,
    source_port: &'a [u64],
    destination: &'a StringArray,
    destination_port: &'a [u64],
}

impl<'a> EndColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, LabError> {
        let numbers = |name| {
            Ok::<_, LabError>(
                column(batch, name, &DataType::UInt64)?.as_primitive::<UInt64Type>().values().as_ref(),
            )
        };
        Ok(Self {
            first_ns: times(batch, names::FIRST_NS)?,
            protocol: numbers("protocol")?,
            source: text_column(batch, "source")?,
            source_port: numbers("source_port")?,
            destination: text_column(batch, "destination")?,
            destination_port: numbers("destination_port")?,
        })
    }

    /// `None` when an address cannot be read.
    fn get(&self, row: usize) -> Option<Ends> {
        let address = |texts: &StringArray| {
            texts.is_valid(row).then(|| IpAddr::from_str(texts.value(row)).ok()).flatten()
        };
        Some(Ends {
            first_ns: self.first_ns[row],
            protocol: u8::try_from(self.protocol[row]).ok()?,
            source: (address(self.source)?, u16::try_from(self.source_port[row]).ok()?),
            destination: (address(self.destination)?, u16::try_from(self.destination_port[row]).ok()?),
        })
    }
}

fn times<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a [i64], LabError> {
    Ok(column(batch, name, &DataType::Int64)?.as_primitive::<Int64Type>().values())
}

fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringArray, LabError> {
    Ok(column(batch, name, &DataType::Utf8)?.as_string::<i32>())
}

fn column<'a>(batch: &'a RecordBatch, name: &str, data_type: &DataType) -> Result<&'a ArrayRef, LabError> {
    batch.column_by_name(name).filter(|array| array.data_type() == data_type).ok_or_else(|| LabError::Table {
        place: "labels".to_owned(),
        expected: format!("rows with a column `{name}` of type {data_type}"),
        found: "rows without it".to_owned(),
        advice: "label rules need rows that `cormorant extract` or `cormorant flows` made".to_owned(),
    })
}

/// A CSV being read row by row, which knows where it is.
struct Sheet<'a> {
    name: &'a str,
    header: Vec<String>,
    records: ::csv::ByteRecordsIntoIter<&'a [u8]>,
    line: u64,
}

/// One row of a [`Sheet`].
struct Row<'a, 'b> {
    sheet: &'a Sheet<'b>,
    record: ::csv::ByteRecord,
}

impl<'a> Sheet<'a> {
    fn new(name: &'a str, bytes: &'a [u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = ::csv::ReaderBuilder::new().trim(::csv::Trim::All).from_reader(bytes);
        let mut sheet_header = Vec::new();
        if let Ok(header) = reader.byte_headers() {
            sheet_header =
                header.iter().map(|field| plain(&String::from_utf8_lossy(field)).into_owned()).collect();
        }
        Self { name, header: sheet_header, records: reader.into_byte_records(), line: 1 }
    }

    fn has(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.header.iter().any(|field| field == column))
    }

    fn wrong_header(&self) -> LabError {
        let cic: Vec<_> = cic::COLUMNS.iter().filter_map(|names| names.first().copied()).collect();
        let found: String = self.header.join(",").chars().take(400).collect();
        LabError::Table {
            place: format!("{}, header", self.name),
            expected: format!(
                "`{}`, `{}` or, among others, `{}`; or Suricata's EVE log or Zeek's notice.log",
                rules::COLUMNS.join(","),
                captures::COLUMNS.join(","),
                cic.join(",")
            ),
            found: format!("`{found}`"),
            advice: if cic::lacks_addresses(self) {
                "these flows have no addresses to be found by: take the files that have (CIC-IDS2017 calls them \
                 GeneratedLabelledFlows)"
            } else {
                "the first line must name the columns"
            }
            .to_owned(),
        }
    }

    /// The next row, `None` at the end.
    fn next_row(&mut self) -> Result<Option<Row<'_, 'a>>, LabError> {
        let Some(record) = self.records.next() else { return Ok(None) };
        match record {
            Ok(record) if record.as_slice().len() > LONGEST_ROW_BYTES => Err(LabError::Table {
                place: format!("{}, the row after line {}", self.name, self.line),
                expected: format!("at most {LONGEST_ROW_BYTES} bytes"),
                found: "more".to_owned(),
                advice: "check the quotes of this row".to_owned(),
            }),
            Ok(record) => {
                self.line = record.position().map_or(self.line + 1, ::csv::Position::line);
                Ok(Some(Row { sheet: self, record }))
            }
            Err(error) => Err(LabError::Table {
                place: self.name.to_owned(),
                expected: format!("{} fields in every row", self.header.len()),
                found: error.to_string(),
                advice: "check the separators and quotes of this row".to_owned(),
            }),
        }
    }
}

impl Row<'_, '_> {
    /// The text of a field, made safe to show; empty when there is no such column.
    fn text(&self, column: &str) -> String {
        self.place(column).map_or_else(String::new, |place| self.text_at(place))
    }

    fn text_at(&self, place: usize) -> String {
        plain(&String::from_utf8_lossy(self.record.get(place).unwrap_or_default())).into_owned()
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.sheet.header.iter().position(|field| field == column)
    }

    fn is_blank(&self) -> bool {
        self.record.as_slice().is_empty()
    }

    /// A field parsed.
    fn parse<T>(
        &self,
        column: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, LabError> {
        parse(&self.text(column)).ok_or_else(|| self.wrong(column, expected, &self.text(column)))
    }

    /// The field at a place parsed.
    fn parse_at<T>(
        &self,
        place: usize,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, LabError> {
        let text = self.text_at(place);
        let column = || self.sheet.header.get(place).map_or("", String::as_str);
        parse(&text).ok_or_else(|| self.wrong(column(), expected, &text))
    }

    fn wrong(&self, column: &str, expected: &str, found: &str) -> LabError {
        LabError::Table {
            place: format!("{}, line {}, field {column}", self.sheet.name, self.sheet.line),
            expected: expected.to_owned(),
            found: format!("`{}`", found.chars().take(200).collect::<String>()),
            advice: "no label was applied; correct this line".to_owned(),
        }
    }

    /// What this row says of the rows it matches.
    fn verdict(&self) -> Result<Verdict, LabError> {
        Ok(Verdict {
            label: self.parse("label", "benign or malicious", label_of)?,
            family: self.text("family").into(),
            note: self.text("note").into(),
        })
    }
}
