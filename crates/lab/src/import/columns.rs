//! Columns of foreign text: what each holds over the whole of its files, and its typed values batch by batch.
//!
//! A row goes in whole or not at all: [`Cells::truncate`] takes back the cells of a row that turned out to be bad.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

use crate::LabError;
use crate::plain::plain;

/// How much of a wrong value is shown.
const SHOWN_CHARS: usize = 60;

/// Words that mean "not there".
#[derive(Clone, Debug)]
pub(super) struct Missing(Vec<String>);

impl Missing {
    /// No word: every cell must hold a value.
    pub(super) fn never() -> Self {
        Self(Vec::new())
    }

    /// As the tools of this field write it: nothing, a dash, a question mark, or one of the usual words; and these.
    pub(super) fn usual(more: &[String]) -> Self {
        const USUAL: [&str; 12] =
            ["", "-", "?", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "(empty)", "<NA>"];
        Self(USUAL.iter().map(|word| (*word).to_owned()).chain(more.iter().cloned()).collect())
    }

    /// Whether a trimmed cell means "not there".
    pub(super) fn is(&self, cell: &[u8]) -> bool {
        self.0.iter().any(|word| word.as_bytes() == cell)
    }
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers with decimals, or whole numbers of both signs beyond 64 bits.
    Float,
    /// Whole numbers, some of them negative.
    Signed,
    /// Whole numbers.
    Unsigned,
    /// Words.
    Text,
}

impl Kind {
    /// The Arrow type.
    pub(super) fn data_type(self) -> DataType {
        match self {
            Self::Float => DataType::Float64,
            Self::Signed => DataType::Int64,
            Self::Unsigned => DataType::UInt64,
            Self::Text => DataType::Utf8,
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Float => "a number",
            Self::Signed => "a whole number",
            Self::Unsigned => "a whole number that is not negative",
            Self::Text => "text in UTF-8",
        }
    }
}

/// What a cell must be beside its type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Check {
    /// Nothing more.
    Any,
    /// A share from 0 to 1.
    Share,
    /// One of these words.
    Words(&'static [&'static str]),
    /// A word, not nothing.
    Word,
}

/// A cell that is not what it should be.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    expected: Cow<'static, str>,
    found: String,
    advice: Cow<'static, str>,
}

impl Fault {
    /// `found` is shown quoted and cut.
    pub(super) fn new(expected: impl Into<Cow<'static, str>>, found: &str) -> Self {
        Self {
            expected: expected.into(),
            found: format!("`{}`", plain(&found.chars().take(SHOWN_CHARS).collect::<String>())),
            advice: Cow::Borrowed("correct the row, or leave out up to N such rows with --skip-bad N"),
        }
    }

    /// The same with other advice.
    pub(super) fn advise(mut self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.advice = advice.into();
        self
    }

    /// The error at a place such as `kdd.txt, line 7, column duration`.
    pub(super) fn at(self, place: String) -> LabError {
        LabError::Table {
            place,
            expected: self.expected.into_owned(),
            found: self.found,
            advice: self.advice.into_owned(),
        }
    }
}

/// A cell as a number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
}

impl Number {
    /// Whole numbers as far as 64 bits reach, `true` and `false` as 1 and 0, else whatever is a float.
    fn read(cell: &[u8]) -> Option<Self> {
        if let Some(value) = digits(cell) {
            return Some(Self::Unsigned(value));
        }
        let text = std::str::from_utf8(cell).ok()?;
        if let Ok(value) = text.parse::<i64>() {
            return Some(u64::try_from(value).map_or(Self::Signed(value), Self::Unsigned));
        }
        if let Ok(value) = text.parse() {
            return Some(Self::Unsigned(value));
        }
        if text.eq_ignore_ascii_case("true") {
            return Some(Self::Unsigned(1));
        }
        if text.eq_ignore_ascii_case("false") {
            return Some(Self::Unsigned(0));
        }
        text.parse().ok().map(Self::Float)
    }

    fn float(self) -> f64 {
        match self {
            Self::Unsigned(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Float(value) => value,
        }
    }

    /// As a whole number: `5.0` is one.
    fn whole(self) -> Option<i128> {
        match self {
            Self::Unsigned(value) => Some(value.into()),
            Self::Signed(value) => Some(value.into()),
            Self::Float(value) => {
                (value.fract() == 0.0 && value.abs() < 9e15).then_some(value as i64).map(i128::from)
            }
        }
    }
}

/// The usual case, fast: up to 19 digits, which fit.
fn digits(cell: &[u8]) -> Option<u64> {
    let usual = (1..=19).contains(&cell.len()) && cell.iter().all(u8::is_ascii_digit);
    usual.then(|| cell.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0')))
}

/// What has been seen of a column whose type nobody states.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    negative: bool,
    large: bool,
    decimal: bool,
    numbers: u64,
    texts: u64,
    /// Where the first text stood, and what it was.
    first_text: Option<(String, String)>,
}

impl Seen {
    /// Takes a trimmed cell into account; `place` says where it stands.
    pub(super) fn see(&mut self, cell: &[u8], missing: &Missing, place: impl FnOnce() -> String) {
        if missing.is(cell) {
            return;
        }
        match Number::read(cell) {
            Some(number) => {
                self.numbers += 1;
                match number {
                    Number::Unsigned(value) => self.large |= i64::try_from(value).is_err(),
                    Number::Signed(_) => self.negative = true,
                    Number::Float(value) => self.decimal |= value.is_finite(),
                }
            }
            None => {
                self.texts += 1;
                if self.first_text.is_none() {
                    let text = String::from_utf8_lossy(cell).chars().take(SHOWN_CHARS).collect();
                    self.first_text = Some((place(), text));
                }
            }
        }
    }

    /// The narrowest type that holds every cell; in a column of numbers text has no say.
    pub(super) fn kind(&self, numbers_only: bool) -> Kind {
        if self.texts > 0 && !numbers_only {
            Kind::Text
        } else if self.decimal || (self.negative && self.large) || self.numbers == 0 {
            Kind::Float
        } else if self.negative {
            Kind::Signed
        } else {
            Kind::Unsigned
        }
    }

    /// Where few texts made words of a column of numbers: a sentence on the first.
    pub(super) fn suspicion(&self, column: &str) -> Option<String> {
        let (place, text) = self.first_text.as_ref()?;
        (self.numbers > 20 * self.texts).then(|| {
            format!(
                "column {} is text because of {} of {} values, first `{}` at {place}: with --numeric {} such rows are errors, with --missing {} such values are missing",
                plain(column),
                self.texts,
                self.texts + self.numbers,
                plain(text),
                plain(column),
                plain(text),
            )
        })
    }
}

/// The values of a column in rows of one batch.
pub(super) struct Cells {
    values: Values,
    states: Vec<State>,
}

enum Values {
    Float(Vec<f64>),
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
    Text { bytes: String, ends: Vec<i32> },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    There,
    Missing,
    /// Infinite, which no model can use: missing, but counted apart.
    Infinite,
}

/// The values of a batch as Arrow has them.
pub(super) struct Filled {
    pub(super) array: ArrayRef,
    /// Values that are missing.
    pub(super) missing: u64,
    /// Values that were infinite, and are missing now.
    pub(super) infinite: u64,
}

impl Cells {
    /// No value yet.
    pub(super) fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Float => Values::Float(Vec::new()),
            Kind::Signed => Values::Signed(Vec::new()),
            Kind::Unsigned => Values::Unsigned(Vec::new()),
            Kind::Text => Values::Text { bytes: String::new(), ends: vec![0] },
        };
        Self { values, states: Vec::new() }
    }

    fn kind(&self) -> Kind {
        match self.values {
            Values::Float(_) => Kind::Float,
            Values::Signed(_) => Kind::Signed,
            Values::Unsigned(_) => Kind::Unsigned,
            Values::Text { .. } => Kind::Text,
        }
    }

    /// Appends a trimmed cell.
    ///
    /// # Errors
    /// [`Fault`] when it is not what the column holds; then nothing is appended.
    pub(super) fn push(
        &mut self,
        cell: &[u8],
        check: Check,
        missing: &Missing,
        western: bool,
    ) -> Result<(), Fault> {
        if missing.is(cell) {
            self.push_missing(State::Missing);
            return Ok(());
        }
        if self.kind() == Kind::Text {
            return self.push_text(cell, check, western);
        }
        let fault = |expected: &'static str| Fault::new(expected, &String::from_utf8_lossy(cell));
        let number = Number::read(cell).ok_or_else(|| fault(self.kind().meaning()))?;
        let float = number.float();
        if !float.is_finite() {
            self.push_missing(if float.is_nan() { State::Missing } else { State::Infinite });
            return Ok(());
        }
        if matches!(check, Check::Share) && !(0.0..=1.0).contains(&float) {
            return Err(fault("a share from 0 to 1"));
        }
        let meaning = self.kind().meaning();
        match &mut self.values {
            Values::Float(values) => values.push(float),
            Values::Signed(values) => {
                let whole = number.whole().and_then(|value| i64::try_from(value).ok());
                values.push(whole.ok_or_else(|| fault(meaning))?);
            }
            Values::Unsigned(values) => {
                let whole = number.whole().and_then(|value| u64::try_from(value).ok());
                values.push(whole.ok_or_else(|| fault(meaning))?);
            }
            Values::Text { .. } => {}
        }
        self.states.push(State::There);
        Ok(())
    }

    fn push_text(&mut self, cell: &[u8], check: Check, western: bool) -> Result<(), Fault> {
        let Values::Text { bytes, ends } = &mut self.values else { return Ok(()) };
        let text = decoded(cell, western)
            .ok_or_else(|| Fault::new(Kind::Text.meaning(), &String::from_utf8_lossy(cell)))?;
        match check {
            Check::Words(words) if !words.contains(&&*text) => {
                return Err(Fault::new(format!("one of {}", words.join(", ")), &text));
            }
            Check::Word if text.is_empty() => return Err(Fault::new("a word", &text)),
            _ => {}
        }
        // A batch has 8192 rows of bounded length; the check keeps the offsets in range whatever they hold.
        let end = i32::try_from(bytes.len() + text.len())
            .map_err(|_| Fault::new("at most 2 GiB of text in a column", "more"))?;
        bytes.push_str(&text);
        ends.push(end);
        self.states.push(State::There);
        Ok(())
    }

    fn push_missing(&mut self, state: State) {
        match &mut self.values {
            Values::Float(values) => values.push(f64::NAN),
            Values::Signed(values) => values.push(0),
            Values::Unsigned(values) => values.push(0),
            Values::Text { ends, .. } => ends.push(ends.last().copied().unwrap_or_default()),
        }
        self.states.push(state);
    }

    /// Forgets the rows after the first `rows`.
    pub(super) fn truncate(&mut self, rows: usize) {
        match &mut self.values {
            Values::Float(values) => values.truncate(rows),
            Values::Signed(values) => values.truncate(rows),
            Values::Unsigned(values) => values.truncate(rows),
            Values::Text { bytes, ends } => {
                ends.truncate(rows + 1);
                bytes.truncate(ends.last().map_or(0, |end| *end as usize));
            }
        }
        self.states.truncate(rows);
    }

    /// Hands the values out and starts anew.
    ///
    /// # Errors
    /// [`LabError::Internal`] when text and its offsets do not belong together.
    pub(super) fn take(&mut self) -> Result<Filled, LabError> {
        let kind = self.kind();
        let Self { values, states } = std::mem::replace(self, Self::new(kind));
        let count = |wanted| states.iter().filter(|state| **state == wanted).count() as u64;
        let (missing, infinite) = (count(State::Missing), count(State::Infinite));
        let nulls = (missing + infinite > 0).then(|| {
            NullBuffer::new(BooleanBuffer::collect_bool(states.len(), |row| states[row] == State::There))
        });
        let array: ArrayRef = match values {
            Values::Float(values) => Arc::new(Float64Array::new(ScalarBuffer::from(values), nulls)),
            Values::Signed(values) => Arc::new(Int64Array::new(ScalarBuffer::from(values), nulls)),
            Values::Unsigned(values) => Arc::new(UInt64Array::new(ScalarBuffer::from(values), nulls)),
            Values::Text { bytes, ends } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
                let array = StringArray::try_new(offsets, Buffer::from_vec(bytes.into_bytes()), nulls);
                Arc::new(array.map_err(|error| LabError::Internal(error.to_string()))?)
            }
        };
        Ok(Filled { array, missing, infinite })
    }
}

/// A cell as text: UTF-8, or Windows-1252 where tables are known to be written in it.
pub(super) fn decoded(cell: &[u8], western: bool) -> Option<Cow<'_, str>> {
    match std::str::from_utf8(cell) {
        Ok(text) => Some(Cow::Borrowed(text)),
        Err(_) if western => Some(Cow::Owned(cell.iter().map(|byte| windows_1252(*byte)).collect())),
        Err(_) => None,
    }
}

/// Only dashes and quotes of the code page's own 32 characters occur in labels; the others are marked as unknown.
fn windows_1252(byte: u8) -> char {
    match byte {
        0x91 => '\u{2018}',
        0x92 => '\u{2019}',
        0x93 => '\u{201c}',
        0x94 => '\u{201d}',
        0x96 => '\u{2013}',
        0x97 => '\u{2014}',
        0x80..=0x9f => '\u{fffd}',
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{Float64Type, UInt64Type};

    use super::*;

    fn kind(cells: &[&str]) -> Kind {
        let mut seen = Seen::default();
        let missing = Missing::usual(&[]);
        cells.iter().for_each(|cell| seen.see(cell.as_bytes(), &missing, String::new));
        seen.kind(false)
    }

    #[test]
    fn a_column_has_the_narrowest_type_that_holds_all_of_it() {
        assert_eq!(kind(&["1", "", "-", "true", "18446744073709551615"]), Kind::Unsigned);
        assert_eq!(kind(&["1", "-2"]), Kind::Signed);
        assert_eq!(kind(&["-1", "18446744073709551615"]), Kind::Float);
        assert_eq!(kind(&["1", "2.5"]), Kind::Float);
        assert_eq!(kind(&["1", "Infinity"]), Kind::Unsigned, "what is not finite will be missing");
        assert_eq!(kind(&["1", "2.5", "tcp"]), Kind::Text);
        assert_eq!(kind(&["", "NaN"]), Kind::Float);
    }

    #[test]
    fn values_missing_ones_and_infinite_ones_are_told_apart() {
        let missing = Missing::usual(&["n.a.".to_owned()]);
        let mut cells = Cells::new(Kind::Float);
        for cell in ["1.5", "-", "n.a.", "Infinity", "-inf", "nan", "1e999", "2"] {
            cells.push(cell.as_bytes(), Check::Any, &missing, false).unwrap();
        }
        let filled = cells.take().unwrap();
        assert_eq!((filled.missing, filled.infinite), (3, 3));
        let values: Vec<_> = filled.array.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(values, [Some(1.5), None, None, None, None, None, None, Some(2.0)]);
        assert_eq!(cells.take().unwrap().array.len(), 0);
    }

    #[test]
    fn a_row_that_is_taken_back_leaves_nothing() {
        let missing = Missing::never();
        let (mut text, mut whole) = (Cells::new(Kind::Text), Cells::new(Kind::Unsigned));
        for (word, number) in [("tcp", "7"), ("udp", "x"), ("icmp", "5.0")] {
            let rows = whole.states.len();
            text.push(word.as_bytes(), Check::Word, &missing, false).unwrap();
            if whole.push(number.as_bytes(), Check::Any, &missing, false).is_err() {
                text.truncate(rows);
            }
        }
        let text = text.take().unwrap().array;
        assert_eq!(text.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["tcp", "icmp"]);
        let whole = whole.take().unwrap().array;
        assert_eq!(whole.as_primitive::<UInt64Type>().values(), &[7, 5]);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_was_expected() {
        let mut cells = Cells::new(Kind::Float);
        let error = cells.push(b"1.01", Check::Share, &Missing::never(), false).unwrap_err();
        let message = error.at("t.csv, line 2, column serror_rate".to_owned()).to_string();
        assert!(message.contains("a share from 0 to 1, found `1.01`"), "{message}");
        let mut cells = Cells::new(Kind::Text);
        assert!(cells.push(b"\xff", Check::Any, &Missing::never(), false).is_err());
        assert!(cells.push(b"sctp", Check::Words(&["tcp", "udp"]), &Missing::never(), false).is_err());
        cells.push(b"Brute \x96 Force", Check::Any, &Missing::never(), true).unwrap();
        assert_eq!(cells.take().unwrap().array.as_string::<i32>().value(0), "Brute \u{2013} Force");
    }
}
