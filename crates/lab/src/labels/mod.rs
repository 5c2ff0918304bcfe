//! Labels for rows, from one of two CSV files; which one it is, the header says.
//!
//! **Rules** `start,end,protocol,source,source_port,destination,destination_port,label,family,note`: a flow is
//! labelled by the rules whose window holds its first packet and whose ends match its own, in either direction
//! ([`rules`]). **Captures** `capture,label,family`: one label per capture or directory of captures
//! ([`captures`]).
//!
//! Nothing is guessed: a row that rules of different label or family claim is *ambiguous*, a row none speaks of
//! is *unmatched*; both are counted and stay without a label.

mod captures;
mod rules;

use std::collections::BTreeMap;
use std::fs;
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
use rules::Rules;

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
    /// Reads a label file.
    ///
    /// # Errors
    /// [`LabError::Read`], or [`LabError::Table`] naming file, row and field.
    pub(crate) fn read(path: &Path) -> Result<Self, LabError> {
        let bytes = fs::read(path).map_err(|source| cannot_read(path, source))?;
        Self::parse(&path.display().to_string(), &bytes)
    }

    /// Reads the bytes of a label file called `name` in messages.
    ///
    /// # Errors
    /// [`LabError::Table`] naming file, row and field.
    pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Self, LabError> {
        let mut sheet = Sheet::new(name, bytes)?;
        let mut verdicts = Vec::new();
        let source = if sheet.has(rules::COLUMNS) {
            Source::Rules(rules::read(&mut sheet, &mut verdicts)?)
        } else if sheet.has(captures::COLUMNS) {
            Source::Captures(captures::read(&mut sheet, &mut verdicts)?)
        } else {
            return Err(sheet.wrong_header());
        };
        Ok(Self::new(source, verdicts))
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
            first_ns: column(batch, names::FIRST_NS, &DataType::Int64)?.as_primitive::<Int64Type>().values(),
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
    fn new(name: &'a str, bytes: &'a [u8]) -> Result<Self, LabError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = ::csv::ReaderBuilder::new().trim(::csv::Trim::All).from_reader(bytes);
        let mut sheet_header = Vec::new();
        if let Ok(header) = reader.byte_headers() {
            sheet_header =
                header.iter().map(|field| plain(&String::from_utf8_lossy(field)).into_owned()).collect();
        }
        Ok(Self { name, header: sheet_header, records: reader.into_byte_records(), line: 1 })
    }

    fn has(&self, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.header.iter().any(|field| field == column))
    }

    fn wrong_header(&self) -> LabError {
        LabError::Table {
            place: format!("{}, header", self.name),
            expected: format!("`{}` or `{}`", rules::COLUMNS.join(","), captures::COLUMNS.join(",")),
            found: format!("`{}`", self.header.join(",")),
            advice: "the first line must name the columns".to_owned(),
        }
    }

    /// The next row, `None` at the end.
    fn next_row(&mut self) -> Result<Option<Row<'_, 'a>>, LabError> {
        let Some(record) = self.records.next() else { return Ok(None) };
        match record {
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
        let place = self.sheet.header.iter().position(|field| field == column);
        let bytes = place.and_then(|place| self.record.get(place)).unwrap_or_default();
        plain(&String::from_utf8_lossy(bytes)).into_owned()
    }

    /// A field parsed.
    fn parse<T>(
        &self,
        column: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, LabError> {
        let text = self.text(column);
        parse(&text).ok_or_else(|| LabError::Table {
            place: format!("{}, line {}, field {column}", self.sheet.name, self.sheet.line),
            expected: expected.to_owned(),
            found: format!("`{text}`"),
            advice: "no label was applied; correct this line".to_owned(),
        })
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
