//! What goes into a statement and what comes back: the four kinds of values that all three databases share.
//!
//! Numbers are `i64`, times are `i64` ns since the UNIX epoch, truth is 0 or 1, digests are hexadecimal text.
//! There are no dates, no decimals and no booleans: each database has its own idea of those.

use super::error::{Result, StoreError};

/// One value of a statement or of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// A number, a time or a truth.
    Int(Option<i64>),
    /// A measurement.
    Real(Option<f64>),
    /// A name, a text or a JSON document.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(Some(value))
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(ToOwned::to_owned))
    }
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        Self::Text(value.clone())
    }
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

/// The values of a statement, in the order of its question marks.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::store::row::Value::from($value)),*] };
}
pub(crate) use values;

/// One row of an answer. A value is asked for by its place in the statement's list of columns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(super) cells: Vec<Value>,
    pub(super) place: String,
}

impl Row {
    /// The address of the store it is from, without the password.
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// A number that must be there.
    pub(crate) fn int(&self, at: usize) -> Result<i64> {
        self.opt_int(at)?.ok_or_else(|| self.unlike(at, "a number"))
    }

    /// A number or nothing.
    pub(crate) fn opt_int(&self, at: usize) -> Result<Option<i64>> {
        match self.cells.get(at) {
            Some(Value::Int(value)) => Ok(*value),
            _ => self.nothing(at, "a number"),
        }
    }

    /// A truth that must be there.
    pub(crate) fn truth(&self, at: usize) -> Result<bool> {
        match self.int(at)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.unlike(at, "0 or 1")),
        }
    }

    /// A number that counts something.
    pub(crate) fn count(&self, at: usize) -> Result<u64> {
        u64::try_from(self.int(at)?).map_err(|_| self.unlike(at, "a count of 0 or more"))
    }

    /// A measurement or nothing.
    pub(crate) fn opt_real(&self, at: usize) -> Result<Option<f64>> {
        match self.cells.get(at) {
            Some(Value::Real(value)) => Ok(*value),
            _ => self.nothing(at, "a measurement"),
        }
    }

    /// A text that must be there.
    pub(crate) fn text(&self, at: usize) -> Result<String> {
        self.opt_text(at)?.ok_or_else(|| self.unlike(at, "a text"))
    }

    /// A text or nothing.
    pub(crate) fn opt_text(&self, at: usize) -> Result<Option<String>> {
        match self.cells.get(at) {
            Some(Value::Text(value)) => Ok(value.clone()),
            _ => self.nothing(at, "a text"),
        }
    }

    /// A word of a fixed list.
    pub(crate) fn word<T>(&self, at: usize, known: impl Fn(&str) -> Option<T>) -> Result<T> {
        let word = self.text(at)?;
        known(&word).ok_or_else(|| self.unlike(at, "a word that this program knows"))
    }

    /// A JSON document that must be there.
    pub(crate) fn json(&self, at: usize) -> Result<serde_json::Value> {
        serde_json::from_str(&self.text(at)?).map_err(|_| self.unlike(at, "a JSON document"))
    }

    /// SQLite knows the type of a value only, so nothing comes as nothing of any kind.
    fn nothing<T>(&self, at: usize, expected: &str) -> Result<Option<T>> {
        match self.cells.get(at) {
            Some(Value::Int(None) | Value::Real(None) | Value::Text(None) | Value::Bytes(None)) => Ok(None),
            _ => Err(self.unlike(at, expected)),
        }
    }

    fn unlike(&self, at: usize, expected: &str) -> StoreError {
        StoreError::Damaged {
            place: self.place.clone(),
            what: format!("column {} of an answer", at + 1),
            expected: expected.to_owned(),
            found: format!("{:?}", self.cells.get(at)),
        }
    }
}
