//! Cells of text formats: finds out what each column holds, then fills Arrow columns with errors that name the
//! file, the row and the column.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema};

use super::csv::unguarded;
use super::{batch, names};
use crate::LabError;

/// A value on its way in.
pub(crate) enum Cell<'a> {
    /// A CSV field.
    Bytes(&'a [u8]),
    /// A JSON value.
    Json(&'a serde_json::Value),
}

/// What the columns of a file hold.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    names: Vec<String>,
    kinds: Vec<Kind>,
}

/// What a column holds, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Nothing yet.
    Empty,
    Signed,
    Unsigned,
    Float,
    List,
    Text,
}

impl Kinds {
    /// Columns of which nothing has been seen.
    pub(crate) fn new(names: Vec<String>) -> Self {
        let kinds = vec![Kind::Empty; names.len()];
        Self { names, kinds }
    }

    /// The place of a column, added when new.
    pub(crate) fn place(&mut self, name: &str) -> usize {
        self.names.iter().position(|known| known == name).unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.kinds.push(Kind::Empty);
            self.names.len() - 1
        })
    }

    /// Widens a column until it holds this cell.
    pub(crate) fn see(&mut self, place: usize, cell: &Cell<'_>) {
        if let Some(kind) = self.kinds.get_mut(place)
            && *kind != Kind::Text
        {
            *kind = wider(*kind, cell.kind());
        }
    }

    /// The names in order.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The Arrow columns. What the program's own columns hold is known and not guessed.
    pub(crate) fn fields(&self) -> Vec<Field> {
        let field = |(name, &kind): (&String, &Kind)| Field::new(name, data_type(name, kind), true);
        self.names.iter().zip(&self.kinds).map(field).collect()
    }
}

fn wider(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Signed, Kind::Unsigned) | (Kind::Unsigned, Kind::Signed) => Kind::Float,
        (Kind::List, Kind::Signed | Kind::Unsigned | Kind::Float)
        | (Kind::Signed | Kind::Unsigned | Kind::Float, Kind::List) => Kind::Text,
        _ => a.max(b),
    }
}

fn data_type(name: &str, kind: Kind) -> DataType {
    match (names::type_of(name), kind) {
        (Some(DataType::Utf8), _) => DataType::Utf8,
        (Some(DataType::List(_)), _) | (_, Kind::List) => batch::list_type(),
        (Some(number), Kind::Text | Kind::Empty) => number,
        (Some(DataType::UInt64), Kind::Signed) => DataType::UInt64,
        (Some(DataType::Float64), _) | (_, Kind::Float | Kind::Empty) => DataType::Float64,
        (_, Kind::Text) => DataType::Utf8,
        (_, Kind::Signed) => DataType::Int64,
        (_, Kind::Unsigned) => DataType::UInt64,
    }
}

impl Cell<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Bytes(bytes) if is_missing(bytes) => Kind::Empty,
            Self::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).unwrap_or("?").trim();
                if text.parse::<i64>().is_ok() {
                    Kind::Signed
                } else if text.parse::<u64>().is_ok() {
                    Kind::Unsigned
                } else if text.parse::<f64>().is_ok() {
                    Kind::Float
                } else {
                    Kind::Text
                }
            }
            Self::Json(serde_json::Value::Null) => Kind::Empty,
            Self::Json(serde_json::Value::Bool(_)) => Kind::Signed,
            Self::Json(serde_json::Value::Number(number)) if number.is_i64() => Kind::Signed,
            Self::Json(serde_json::Value::Number(number)) if number.is_u64() => Kind::Unsigned,
            Self::Json(serde_json::Value::Number(_)) => Kind::Float,
            Self::Json(serde_json::Value::Array(items)) if items.iter().all(is_item) => Kind::List,
            Self::Json(_) => Kind::Text,
        }
    }

    fn is_missing(&self) -> bool {
        self.kind() == Kind::Empty
    }

    /// In a text column only nothing is nothing: `NA` may be a word.
    fn is_missing_text(&self) -> bool {
        matches!(self, Self::Bytes(b"") | Self::Json(serde_json::Value::Null))
    }

    fn text(&self) -> Option<String> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(|text| unguarded(text).to_owned()),
            Self::Json(serde_json::Value::String(text)) => Some(text.clone()),
            Self::Json(serde_json::Value::Array(_) | serde_json::Value::Object(_)) => None,
            Self::Json(value) => Some(value.to_string()),
        }
    }

    fn number<T: std::str::FromStr>(&self) -> Option<T> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse().ok(),
            Self::Json(serde_json::Value::Bool(value)) => u8::from(*value).to_string().parse().ok(),
            Self::Json(serde_json::Value::Number(number)) => number.to_string().parse().ok(),
            Self::Json(_) => None,
        }
    }

    /// The items of an array of numbers; a missing one is `None`.
    fn list(&self) -> Option<Vec<Option<f64>>> {
        match self {
            Self::Bytes(bytes) => serde_json::from_slice(bytes).ok(),
            Self::Json(serde_json::Value::Array(items)) if items.iter().all(is_item) => {
                Some(items.iter().map(serde_json::Value::as_f64).collect())
            }
            Self::Json(_) => None,
        }
    }

    fn shown(&self) -> String {
        let text = match self {
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Json(value) => value.to_string(),
        };
        format!("`{}`", crate::plain::plain(&text.chars().take(60).collect::<String>()))
    }
}

fn is_item(value: &serde_json::Value) -> bool {
    value.is_number() || value.is_null()
}

/// How the tools of this field write "not there".
fn is_missing(bytes: &[u8]) -> bool {
    matches!(bytes, b"" | b"NaN" | b"nan" | b"NA" | b"N/A" | b"null" | b"NULL" | b"None")
}

/// Columns being filled.
pub(crate) struct Columns {
    builders: Vec<Builder>,
    rows: usize,
}

enum Builder {
    Float(Float64Builder),
    Signed(Int64Builder),
    Unsigned(UInt64Builder),
    Text(StringBuilder),
    /// Text in which an empty cell is an empty text.
    Identity(StringBuilder),
    List(Box<ListBuilder<Float64Builder>>),
}

/// A cell that does not fit its column.
pub(crate) struct Fault {
    place: usize,
    expected: &'static str,
    found: String,
}

impl Fault {
    /// The error for a row of a file.
    pub(crate) fn at(self, path: &Path, row: u64, kinds: &Kinds) -> LabError {
        let column = kinds.names.get(self.place).map_or("?", String::as_str);
        LabError::Table {
            place: format!("{}, row {row}, column {}", path.display(), crate::plain::plain(column)),
            expected: self.expected.to_owned(),
            found: self.found,
            advice: "correct the cell, or leave it empty when the value is missing".to_owned(),
        }
    }
}

impl Columns {
    /// Empty columns of these kinds.
    pub(crate) fn new(kinds: &Kinds) -> Self {
        let builder = |field: Field| match field.data_type() {
            DataType::Int64 => Builder::Signed(Int64Builder::new()),
            DataType::UInt64 => Builder::Unsigned(UInt64Builder::new()),
            DataType::Utf8 if names::is_identity_text(field.name()) => {
                Builder::Identity(StringBuilder::new())
            }
            DataType::Utf8 => Builder::Text(StringBuilder::new()),
            DataType::List(items) => {
                Builder::List(Box::new(ListBuilder::new(Float64Builder::new()).with_field(Arc::clone(items))))
            }
            _ => Builder::Float(Float64Builder::new()),
        };
        Self { builders: kinds.fields().into_iter().map(builder).collect(), rows: 0 }
    }

    /// Rows that are complete.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends a cell; the cell of the last column completes a row.
    ///
    /// # Errors
    /// [`Fault`] when it does not fit.
    pub(crate) fn push(&mut self, place: usize, cell: &Cell<'_>) -> Result<(), Fault> {
        if place + 1 == self.builders.len() {
            self.rows += 1;
        }
        let Some(builder) = self.builders.get_mut(place) else { return Ok(()) };
        let fault = |expected| Fault { place, expected, found: cell.shown() };
        match builder {
            Builder::Identity(builder) if cell.is_missing_text() => builder.append_value(""),
            Builder::Text(builder) if cell.is_missing_text() => builder.append_null(),
            Builder::Text(builder) | Builder::Identity(builder) => {
                builder.append_value(cell.text().ok_or_else(|| fault("text in UTF-8"))?);
            }
            Builder::List(builder) if cell.is_missing() => builder.append_null(),
            Builder::List(builder) => {
                builder.append_value(cell.list().ok_or_else(|| fault("an array of numbers"))?);
            }
            Builder::Float(builder) if cell.is_missing() => builder.append_null(),
            Builder::Float(builder) => builder.append_value(cell.number().ok_or_else(|| fault("a number"))?),
            Builder::Signed(builder) if cell.is_missing() => builder.append_null(),
            Builder::Signed(builder) => {
                builder.append_value(cell.number().ok_or_else(|| fault("a whole number"))?);
            }
            Builder::Unsigned(builder) if cell.is_missing() => builder.append_null(),
            Builder::Unsigned(builder) => {
                builder
                    .append_value(cell.number().ok_or_else(|| fault("a whole number that is not negative"))?);
            }
        }
        Ok(())
    }

    /// The rows as a batch, `None` when there are none.
    ///
    /// # Errors
    /// [`LabError::Internal`] when columns differ in length.
    pub(crate) fn finish(self, kinds: &Kinds) -> Result<Option<RecordBatch>, LabError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let array = |builder| -> ArrayRef {
            match builder {
                Builder::Float(mut builder) => Arc::new(builder.finish()),
                Builder::Signed(mut builder) => Arc::new(builder.finish()),
                Builder::Unsigned(mut builder) => Arc::new(builder.finish()),
                Builder::Text(mut builder) | Builder::Identity(mut builder) => Arc::new(builder.finish()),
                Builder::List(mut builder) => Arc::new(builder.finish()),
            }
        };
        let columns = self.builders.into_iter().map(array).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(kinds.fields())), columns);
        batch.map(Some).map_err(|error| LabError::Internal(error.to_string()))
    }
}

/// # Errors
/// [`LabError::Table`] when there is no column, one without a name, or one name twice.
pub(crate) fn check_names(path: &Path, names: &[String]) -> Result<(), LabError> {
    let refuse = |found: String| {
        LabError::Table {
        place: format!("{}, header", path.display()),
        expected: "one distinct name per column".to_owned(),
        found,
        advice: "the first line must name the columns; `cormorant import` reads data sets without names, as of the KDD Cup".to_owned(),
    }
    };
    if names.is_empty() {
        return Err(refuse("no column".to_owned()));
    }
    for (place, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(refuse(format!("no name for column {}", place + 1)));
        }
        if names[..place].contains(name) {
            return Err(refuse(format!("`{}` twice", crate::plain::plain(name))));
        }
    }
    Ok(())
}
