//! Typed, named columns with roles: what comes into this crate. Features are told from identities, labels and times by role.
//!
//! A [`Table`] keeps native types; [`crate::prep`] turns its feature columns into a [`crate::matrix::Matrix`].

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::LearnError;

/// The word of a benign row in the label column.
pub const BENIGN: &str = "benign";
/// The word of a malicious row in the label column.
pub const MALICIOUS: &str = "malicious";
/// The code of a missing value in a [`TextColumn`].
pub const MISSING: u32 = u32::MAX;

/// What a column is for. A table has at most one column each of `Label`, `Family`, `Group` and `Time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Says which row it is (address, port, id); never learnt from.
    Identity,
    /// Learnt from.
    Feature,
    /// Text: [`BENIGN`], [`MALICIOUS`] or missing.
    Label,
    /// Text: name of the attack, or missing.
    Family,
    /// Text or integer: rows that belong together (one capture, one host) and are never torn apart by a split.
    Group,
    /// Integer: time of the row in ns since the epoch.
    Time,
}

/// Name, unit and role of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Name, distinct in its table.
    pub name: String,
    /// Unit ("s", "bytes", "packets"); empty when there is none or it is not known.
    pub unit: String,
    /// What the column is for.
    pub role: Role,
}

impl Field {
    /// A field of this name, unit and role.
    pub fn new(name: impl Into<String>, unit: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), unit: unit.into(), role }
    }
}

/// Words coded by their place in a dictionary.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TextColumn {
    /// Per row the place of its word in `words`, or [`MISSING`].
    pub codes: Vec<u32>,
    /// The distinct words.
    pub words: Vec<String>,
}

impl TextColumn {
    /// Codes the words in order of first appearance; `None` = missing.
    pub fn from_texts<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut places: HashMap<&str, u32> = HashMap::new();
        let mut column = Self::default();
        for text in texts {
            column.codes.push(text.map_or(MISSING, |text| {
                *places.entry(text).or_insert_with(|| {
                    column.words.push(text.to_owned());
                    (column.words.len() - 1) as u32
                })
            }));
        }
        column
    }

    /// The word of a row, `None` when missing.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<&str> {
        self.words.get(self.codes[row] as usize).map(String::as_str)
    }

    /// The words in row order, `None` when missing.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.codes.iter().map(|&code| self.words.get(code as usize).map(String::as_str))
    }

    fn append(&mut self, other: &Self) {
        let mut places: HashMap<String, u32> =
            self.words.iter().enumerate().map(|(place, word)| (word.clone(), place as u32)).collect();
        let recoded: Vec<u32> = other
            .words
            .iter()
            .map(|word| {
                *places.entry(word.clone()).or_insert_with(|| {
                    self.words.push(word.clone());
                    (self.words.len() - 1) as u32
                })
            })
            .collect();
        self.codes
            .extend(other.codes.iter().map(|&code| recoded.get(code as usize).copied().unwrap_or(MISSING)));
    }
}

/// Lists of numbers end to end.
#[derive(Clone, Debug, PartialEq)]
pub struct ListColumn {
    /// List `row` is `values[offsets[row]..offsets[row + 1]]`: starts with 0, one more than rows.
    offsets: Vec<usize>,
    values: Vec<f64>,
}

impl Default for ListColumn {
    fn default() -> Self {
        Self { offsets: vec![0], values: Vec::new() }
    }
}

impl ListColumn {
    /// Puts lists end to end.
    pub fn from_lists<L: IntoIterator<Item = f64>>(lists: impl IntoIterator<Item = L>) -> Self {
        let mut column = Self::default();
        lists.into_iter().for_each(|list| column.push(list));
        column
    }

    /// Adds a list at the end.
    pub fn push(&mut self, list: impl IntoIterator<Item = f64>) {
        self.values.extend(list);
        self.offsets.push(self.values.len());
    }

    /// The list of a row.
    #[must_use]
    pub fn get(&self, row: usize) -> &[f64] {
        &self.values[self.offsets[row]..self.offsets[row + 1]]
    }

    /// The lists in row order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.offsets.windows(2).map(|ends| &self.values[ends[0]..ends[1]])
    }

    /// The first values of a row and how many there are, as people read them.
    fn text(&self, row: usize) -> String {
        const SHOWN: usize = 4;
        let list = self.get(row);
        let shown: Vec<String> = list.iter().take(SHOWN).map(f64::to_string).collect();
        match list.len() {
            0..=SHOWN => format!("[{}]", shown.join(", ")),
            length => format!("[{}, ... {length} values]", shown.join(", ")),
        }
    }
}

/// The values of a column in their native type.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers; NaN = missing.
    F64(Vec<f64>),
    /// Signed whole numbers.
    I64(Vec<i64>),
    /// Unsigned whole numbers.
    U64(Vec<u64>),
    /// Words.
    Text(TextColumn),
    /// Lists of numbers, which become numbers in the preparation step `fixed-width`.
    List(ListColumn),
}

impl Column {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::U64(values) => values.len(),
            Self::Text(text) => text.codes.len(),
            Self::List(lists) => lists.offsets.len() - 1,
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row as a number; NaN when missing, a word or a list.
    #[must_use]
    pub fn number(&self, row: usize) -> f64 {
        match self {
            Self::F64(values) => values[row],
            Self::I64(values) => values[row] as f64,
            Self::U64(values) => values[row] as f64,
            Self::Text(_) | Self::List(_) => f64::NAN,
        }
    }

    /// The value of a row as people read it; empty when missing.
    #[must_use]
    pub fn text(&self, row: usize) -> String {
        match self {
            Self::F64(values) if values[row].is_nan() => String::new(),
            Self::F64(values) => values[row].to_string(),
            Self::I64(values) => values[row].to_string(),
            Self::U64(values) => values[row].to_string(),
            Self::Text(text) => text.get(row).unwrap_or_default().to_owned(),
            Self::List(lists) => lists.text(row),
        }
    }

    fn take(&self, rows: &[usize]) -> Self {
        match self {
            Self::F64(values) => Self::F64(rows.iter().map(|&row| values[row]).collect()),
            Self::I64(values) => Self::I64(rows.iter().map(|&row| values[row]).collect()),
            Self::U64(values) => Self::U64(rows.iter().map(|&row| values[row]).collect()),
            Self::Text(text) => Self::Text(TextColumn {
                codes: rows.iter().map(|&row| text.codes[row]).collect(),
                words: text.words.clone(),
            }),
            Self::List(lists) => {
                Self::List(ListColumn::from_lists(rows.iter().map(|&row| lists.get(row).iter().copied())))
            }
        }
    }

    /// The type of its values in a word.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::F64(_) => "f64",
            Self::I64(_) => "i64",
            Self::U64(_) => "u64",
            Self::Text(_) => "text",
            Self::List(_) => "list",
        }
    }

    fn hash_into(&self, hasher: &mut Sha256) {
        match self {
            Self::F64(values) => hash_words(hasher, values, f64::to_bits),
            Self::I64(values) => hash_words(hasher, values, i64::cast_unsigned),
            Self::U64(values) => hash_words(hasher, values, |value| value),
            Self::Text(text) => text.iter().for_each(|word| {
                hasher.update(word.map_or(u64::MAX, |word| word.len() as u64).to_le_bytes());
                hasher.update(word.unwrap_or_default());
            }),
            Self::List(lists) => lists.iter().for_each(|list| {
                hasher.update((list.len() as u64).to_le_bytes());
                hash_words(hasher, list, f64::to_bits);
            }),
        }
    }
}

/// Feeds 8-byte words in blocks; one at a time costs more than the digest itself.
fn hash_words<T: Copy>(hasher: &mut Sha256, values: &[T], word: impl Fn(T) -> u64) {
    let mut block = Vec::with_capacity(8 * 512);
    for chunk in values.chunks(512) {
        block.clear();
        chunk.iter().for_each(|&value| block.extend_from_slice(&word(value).to_le_bytes()));
        hasher.update(&block);
    }
}

/// Columns of equal length with distinct names.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Table {
    fields: Vec<Field>,
    columns: Vec<Column>,
    rows: usize,
}

impl Table {
    /// Puts fields and columns together.
    ///
    /// # Errors
    /// [`LearnError::Data`] when lengths differ, a name or a single role appears twice, or a column's type does not suit its role.
    pub fn new(fields: Vec<Field>, columns: Vec<Column>) -> Result<Self, LearnError> {
        if fields.len() != columns.len() {
            return Err(LearnError::Data(format!("{} fields for {} columns", fields.len(), columns.len())));
        }
        let rows = columns.first().map_or(0, Column::len);
        let mut table = Self { rows, ..Self::default() };
        for (field, column) in fields.into_iter().zip(columns) {
            table.push(field, column)?;
        }
        Ok(table)
    }

    /// Adds a column at the end.
    ///
    /// # Errors
    /// As [`Table::new`].
    pub fn push(&mut self, field: Field, column: Column) -> Result<(), LearnError> {
        if self.columns.is_empty() {
            self.rows = column.len();
        }
        check_column(&field, &column, self.rows)?;
        let taken = self.fields.iter().find(|known| {
            let single = !matches!(field.role, Role::Identity | Role::Feature);
            known.name == field.name || (single && known.role == field.role)
        });
        if let Some(known) = taken {
            return Err(LearnError::Data(format!(
                "column `{}` ({:?}) cannot stand beside column `{}` ({:?}): names are distinct and this role is held by one column",
                field.name, field.role, known.name, known.role
            )));
        }
        self.fields.push(field);
        self.columns.push(column);
        Ok(())
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The fields in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The columns in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The column of this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.fields.iter().position(|field| field.name == name).map(|place| &self.columns[place])
    }

    /// The first column of this role.
    #[must_use]
    pub fn role(&self, role: Role) -> Option<&Column> {
        self.fields.iter().position(|field| field.role == role).map(|place| &self.columns[place])
    }

    /// The feature columns in order, with their fields.
    pub fn features(&self) -> impl Iterator<Item = (&Field, &Column)> {
        self.fields.iter().zip(&self.columns).filter(|(field, _)| field.role == Role::Feature)
    }

    /// Per row whether it is malicious; `None` where unlabelled.
    #[must_use]
    pub fn labels(&self) -> Vec<Option<bool>> {
        let Some(Column::Text(text)) = self.role(Role::Label) else { return vec![None; self.rows] };
        text.iter().map(|word| word.map(|word| word == MALICIOUS)).collect()
    }

    /// Per row its family; `None` where there is none.
    #[must_use]
    pub fn families(&self) -> Vec<Option<&str>> {
        let Some(Column::Text(text)) = self.role(Role::Family) else { return vec![None; self.rows] };
        text.iter().collect()
    }

    /// Per row a number for its group, numbered in order of first appearance (rows without a group share one);
    /// `None` when there is no group column.
    #[must_use]
    pub fn groups(&self) -> Option<Vec<u32>> {
        let column = self.role(Role::Group)?;
        let mut places: HashMap<String, u32> = HashMap::new();
        let number = |row| {
            let next = places.len() as u32;
            *places.entry(column.text(row)).or_insert(next)
        };
        Some((0..self.rows).map(number).collect())
    }

    /// Per row its time in ns since the epoch; `None` when there is no time column.
    #[must_use]
    pub fn times(&self) -> Option<Vec<i64>> {
        match self.role(Role::Time)? {
            Column::I64(values) => Some(values.clone()),
            Column::U64(values) => {
                Some(values.iter().map(|&value| value.min(i64::MAX as u64) as i64).collect())
            }
            Column::F64(_) | Column::Text(_) | Column::List(_) => None,
        }
    }

    /// The named rows, in the order given.
    ///
    /// # Panics
    /// When a row does not exist.
    #[must_use]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter().map(|column| column.take(rows)).collect();
        Self { fields: self.fields.clone(), columns, rows: rows.len() }
    }

    /// Adds the rows of a table with the same fields and types; dictionaries of words are merged.
    ///
    /// # Errors
    /// [`LearnError::Data`] naming the first column that differs; `self` is unchanged.
    pub fn append(&mut self, other: &Self) -> Result<(), LearnError> {
        if self.columns.is_empty() && self.rows == 0 {
            *self = other.clone();
            return Ok(());
        }
        let name = |table: &Self, place: usize| {
            table.fields.get(place).map_or_else(
                || "nothing".to_owned(),
                |field| format!("`{}` ({:?}, {})", field.name, field.role, table.columns[place].type_name()),
            )
        };
        let places = self.fields.len().max(other.fields.len());
        if let Some(place) = (0..places).find(|&place| name(self, place) != name(other, place)) {
            return Err(LearnError::Data(format!(
                "tables do not stack: column {} is {} in the first and {} in the second",
                place + 1,
                name(self, place),
                name(other, place)
            )));
        }
        for (mine, theirs) in self.columns.iter_mut().zip(&other.columns) {
            match (mine, theirs) {
                (Column::F64(mine), Column::F64(theirs)) => mine.extend_from_slice(theirs),
                (Column::I64(mine), Column::I64(theirs)) => mine.extend_from_slice(theirs),
                (Column::U64(mine), Column::U64(theirs)) => mine.extend_from_slice(theirs),
                (Column::Text(mine), Column::Text(theirs)) => mine.append(theirs),
                (Column::List(mine), Column::List(theirs)) => {
                    theirs.iter().for_each(|list| mine.push(list.iter().copied()));
                }
                _ => unreachable!("types were compared above"),
            }
        }
        self.rows += other.rows;
        Ok(())
    }

    /// The feature columns without their values: what a model is bound to.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let feature = |(field, column): (&Field, &Column)| Feature {
            name: field.name.clone(),
            unit: field.unit.clone(),
            kind: match column {
                Column::Text(_) => FeatureKind::Text,
                Column::List(_) => FeatureKind::List,
                Column::F64(_) | Column::I64(_) | Column::U64(_) => FeatureKind::Number,
            },
        };
        Schema { features: self.features().map(feature).collect() }
    }

    /// SHA-256 over fields and values, in hex: which data these are.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (field, column) in self.fields.iter().zip(&self.columns) {
            hasher.update(format!(
                "{}\0{}\0{:?}\0{}\n",
                field.name,
                field.unit,
                field.role,
                column.type_name()
            ));
            column.hash_into(&mut hasher);
        }
        hex(&hasher.finalize())
    }
}

/// Whether a feature is a number, a word or a list of numbers. Integer and float columns are one kind: a model sees numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureKind {
    /// Any numeric column.
    Number,
    /// A text column.
    Text,
    /// A column of lists.
    List,
}

/// Name, unit and kind of a feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Name of the column.
    pub name: String,
    /// Unit, empty when not known.
    pub unit: String,
    /// Number, word or list.
    pub kind: FeatureKind,
}

/// The ordered features of a table.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Schema {
    /// In the order of the table.
    pub features: Vec<Feature>,
}

impl Schema {
    /// SHA-256 over names, units and kinds in order, in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for feature in &self.features {
            hasher.update(format!("{}\0{}\0{:?}\n", feature.name, feature.unit, feature.kind));
        }
        hex(&hasher.finalize())
    }

    /// Whether a table of schema `found` may go where this one is expected: the same names and kinds in the same order, and
    /// no unit that contradicts (a file format without units leaves them empty).
    ///
    /// # Errors
    /// [`LearnError::Schema`] showing the first columns that differ.
    pub fn check(&self, found: &Self) -> Result<(), LearnError> {
        let places = self.features.len().max(found.features.len());
        let differing: Vec<usize> =
            (0..places).filter(|&place| !fits(self.features.get(place), found.features.get(place))).collect();
        if differing.is_empty() {
            return Ok(());
        }
        let show = |schema: &Self, place: usize| {
            schema.features.get(place).map_or_else(
                || "no column".to_owned(),
                |feature| {
                    format!("`{}` [{}] {:?}", feature.name, feature.unit, feature.kind).replace(" []", "")
                },
            )
        };
        let shown: Vec<String> = differing
            .iter()
            .take(3)
            .map(|&place| {
                format!("column {} should be {}, is {}", place + 1, show(self, place), show(found, place))
            })
            .collect();
        Err(LearnError::Schema(format!(
            "{} of {} feature columns differ (expected schema {}, found {}): {}; extract the same feature set the model was trained on",
            differing.len(),
            places,
            &self.digest()[..12],
            &found.digest()[..12],
            shown.join("; ")
        )))
    }
}

fn fits(expected: Option<&Feature>, found: Option<&Feature>) -> bool {
    let (Some(expected), Some(found)) = (expected, found) else { return false };
    let units = expected.unit == found.unit || expected.unit.is_empty() || found.unit.is_empty();
    expected.name == found.name && expected.kind == found.kind && units
}

fn check_column(field: &Field, column: &Column, rows: usize) -> Result<(), LearnError> {
    let refuse =
        |what: String| Err(LearnError::Data(format!("column `{}` ({:?}): {what}", field.name, field.role)));
    if column.len() != rows {
        return refuse(format!("{} rows, the table has {rows}", column.len()));
    }
    let suits = match field.role {
        Role::Label | Role::Family => matches!(column, Column::Text(_)),
        Role::Time => matches!(column, Column::I64(_) | Column::U64(_)),
        Role::Group => !matches!(column, Column::List(_)),
        Role::Identity | Role::Feature => true,
    };
    if !suits {
        return refuse(format!("type {} does not suit the role", column.type_name()));
    }
    let Column::Text(text) = column else { return Ok(()) };
    if text.words.iter().collect::<BTreeSet<_>>().len() != text.words.len() {
        return refuse("a word appears twice in the dictionary".to_owned());
    }
    if let Some(row) =
        text.codes.iter().position(|&code| code != MISSING && code as usize >= text.words.len())
    {
        return refuse(format!(
            "row {row} has code {}, the dictionary has {} words",
            text.codes[row],
            text.words.len()
        ));
    }
    let stray = text.words.iter().find(|word| ![BENIGN, MALICIOUS].contains(&word.as_str()));
    match stray {
        Some(word) if field.role == Role::Label => {
            refuse(format!("expected `{BENIGN}` or `{MALICIOUS}`, found `{word}`"))
        }
        _ => Ok(()),
    }
}

/// Lower-case hex of a digest.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(words: &[Option<&str>]) -> Column {
        Column::Text(TextColumn::from_texts(words.iter().copied()))
    }

    fn table(bytes: Vec<u64>, labels: &[Option<&str>]) -> Table {
        Table::new(
            vec![
                Field::new("host", "", Role::Group),
                Field::new("bytes", "bytes", Role::Feature),
                Field::new("label", "", Role::Label),
            ],
            vec![text(&vec![Some("a"); bytes.len()]), Column::U64(bytes), text(labels)],
        )
        .unwrap()
    }

    #[test]
    fn labels_come_out_as_given_and_unlabelled_rows_are_missing() {
        let table = table(vec![1, 2, 3], &[Some("malicious"), None, Some("benign")]);
        assert_eq!(table.labels(), vec![Some(true), None, Some(false)]);
        assert_eq!(table.take_rows(&[2, 0]).labels(), vec![Some(false), Some(true)]);
        assert_eq!(table.column("bytes").unwrap().number(2), 3.0);
    }

    #[test]
    fn appending_merges_dictionaries() {
        let mut first = table(vec![1], &[Some("malicious")]);
        first.append(&table(vec![5, 6], &[Some("benign"), Some("malicious")])).unwrap();
        assert_eq!(first.labels(), vec![Some(true), Some(false), Some(true)]);
        assert_eq!(first.rows(), 3);
        let other =
            Table::new(vec![Field::new("x", "", Role::Feature)], vec![Column::F64(vec![0.0])]).unwrap();
        assert!(first.append(&other).unwrap_err().to_string().contains("column 1 is `host`"));
    }

    #[test]
    fn lists_are_taken_and_stacked_as_they_are() {
        let made = |lists: &[&[f64]]| {
            let column = ListColumn::from_lists(lists.iter().map(|list| list.iter().copied()));
            Table::new(vec![Field::new("gaps", "s", Role::Feature)], vec![Column::List(column)]).unwrap()
        };
        let mut table = made(&[&[1.0, 2.0], &[]]);
        table.append(&made(&[&[3.0, 4.0, 5.0, 6.0, 7.0]])).unwrap();
        assert_eq!(table.take_rows(&[2, 1, 0]), made(&[&[3.0, 4.0, 5.0, 6.0, 7.0], &[], &[1.0, 2.0]]));
        assert_eq!(table.schema().features[0].kind, FeatureKind::List);
        let texts: Vec<String> = (0..3).map(|row| table.columns()[0].text(row)).collect();
        assert_eq!(texts, ["[1, 2]", "[]", "[3, 4, 5, 6, ... 5 values]"]);
        let moved = [made(&[&[1.0], &[2.0]]), made(&[&[1.0, 2.0], &[]])].map(|table| table.digest());
        assert_ne!(moved[0], moved[1]);
    }

    #[test]
    fn refusals_say_which_column_and_why() {
        let label = |words: &[Option<&str>]| (Field::new("label", "", Role::Label), text(words));
        for ((field, column), expected) in [
            (label(&[Some("bad")]), "expected `benign` or `malicious`, found `bad`"),
            (label(&[None, None]), "2 rows, the table has 1"),
            ((Field::new("t", "ns", Role::Time), Column::F64(vec![1.0])), "type f64 does not suit the role"),
            ((Field::new("x", "", Role::Feature), Column::F64(vec![1.0])), "names are distinct"),
        ] {
            let mut table =
                Table::new(vec![Field::new("x", "", Role::Feature)], vec![Column::F64(vec![0.0])]).unwrap();
            let message = table.push(field, column).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_schema_refuses_other_columns_and_shows_the_first_that_differ() {
        let schema = |fields: &[(&str, &str)]| Schema {
            features: fields
                .iter()
                .map(|(name, unit)| Feature {
                    name: (*name).to_owned(),
                    unit: (*unit).to_owned(),
                    kind: FeatureKind::Number,
                })
                .collect(),
        };
        let expected = schema(&[("duration_s", "s"), ("bytes", "bytes")]);
        assert!(expected.check(&schema(&[("duration_s", ""), ("bytes", "bytes")])).is_ok(), "unit not known");
        for other in [
            schema(&[("duration_s", "ms"), ("bytes", "bytes")]),
            schema(&[("bytes", "bytes"), ("duration_s", "s")]),
            schema(&[("duration_s", "s")]),
        ] {
            assert!(expected.check(&other).unwrap_err().to_string().contains("should be `"));
            assert_ne!(expected.digest(), other.digest());
        }
    }

    #[test]
    fn the_digest_depends_on_values_and_not_on_the_order_of_the_dictionary() {
        let one = table(vec![1, 2], &[Some("benign"), Some("malicious")]);
        let mut column = TextColumn { codes: vec![1, 0], words: vec!["malicious".into(), "benign".into()] };
        let swapped = Table::new(
            one.fields().to_vec(),
            vec![one.columns()[0].clone(), one.columns()[1].clone(), Column::Text(column.clone())],
        )
        .unwrap();
        assert_eq!(one.digest(), swapped.digest());
        column.codes[0] = 0;
        let other = Table::new(
            one.fields().to_vec(),
            vec![one.columns()[0].clone(), one.columns()[1].clone(), Column::Text(column)],
        )
        .unwrap();
        assert_ne!(one.digest(), other.digest());
    }
}
