//! Every row of every table in a form that no database owns, out and in again: what was read from one of the three
//! can be put into any of them.
//!
//! A row is a JSON array of its cells: a number, a text or nothing as such, a measurement as `{"real": "0.25"}` (so
//! that no digit and no infinity is lost) and bytes as `{"bytes": "00ff"}`. All tables are read in one transaction, so
//! they are of one moment while others write; and all are written in one, so they are there whole or not at all.

use serde_json::{Value as Json, json};

use super::audit::{Stamp, record};
use super::driver::Session;
use super::error::StoreError;
use super::row::{Value, values};
use super::{Engine, MIGRATIONS, Store};
use crate::LabError;

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Rows read or written at a time.
const ROWS_AT_ONCE: usize = 500;
/// Values in one statement, below what any of the databases takes.
const VALUES_AT_ONCE: usize = 8000;

/// A table as it is dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: String,
    /// Its columns, in their order.
    pub(crate) columns: Vec<String>,
}

/// The tables whose rows others may refer to come first.
pub(crate) fn table_names() -> impl Iterator<Item = &'static str> {
    definitions().map(|(name, _)| name)
}

/// Takes what a dump finds: a table begins, and then a row of it at a time.
pub(crate) trait Dump {
    /// The rows to come are of this table.
    fn table(&mut self, table: &Table) -> Result<(), LabError>;
    /// The next row, one line of JSON.
    fn row(&mut self, cells: &str) -> Result<(), LabError>;
}

/// Gives the rows of a table, one by one, as [`Dump::row`] had them.
pub(crate) type Load<'a> = dyn Fn(&Table, &mut dyn FnMut(&str) -> Result<()>) -> Result<()> + 'a;

impl Store {
    /// Hands on every row of every table as it is now.
    ///
    /// # Errors
    /// When the store cannot be read, or what `dump` says.
    pub(crate) fn dump(&self, dump: &mut dyn Dump) -> Result<(), LabError> {
        let mut all = |session: &mut Session<'_>| {
            for name in table_names() {
                let table = Table { name: name.to_owned(), columns: columns(session, name)? };
                dump.table(&table)?;
                rows(session, &table, dump)?;
            }
            Ok(())
        };
        self.read(|session| Ok(all(session)))?
    }

    /// Replaces every row of every table by those that `load` gives: table after table in the order of a dump, each row
    /// as [`Dump::row`] had it.
    ///
    /// # Errors
    /// When a row does not fit; then the store is as it was.
    pub(crate) fn load(
        &self,
        tables: &[Table],
        load: &Load<'_>,
        stamp: &Stamp,
        action: &'static str,
    ) -> Result<()> {
        self.write(|session| {
            clear(session)?;
            let mut later = Vec::new();
            for table in tables {
                fill(session, table, load, &mut later)?;
            }
            for (statement, values) in &later {
                session.execute(statement, values)?;
            }
            number_on(session, tables)?;
            record(session, stamp, action, "lab", &json!({}))
        })
    }

    /// How many rows each table has.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn row_counts(&self) -> Result<Vec<(&'static str, u64)>> {
        self.read(|session| {
            let count = |name| {
                let row = session.first(&format!("SELECT COUNT(*) FROM {name}"), &[])?;
                Ok((name, row.map_or(Ok(0), |row| row.count(0))?))
            };
            table_names().map(count).collect()
        })
    }
}

/// Names and bodies of the tables, as the migrations define them.
fn definitions() -> impl Iterator<Item = (&'static str, &'static str)> {
    let steps = MIGRATIONS.iter().flat_map(|migration| migration.steps);
    steps.filter_map(|step| step.up.strip_prefix("CREATE TABLE ")?.split_once(" ("))
}

/// Columns that refer to rows of their own table, which may come later.
fn refers_to_its_own(table: &str) -> Vec<&'static str> {
    let own = format!("REFERENCES {table} (");
    let body = definitions().find(|(name, _)| *name == table).map_or("", |(_, body)| body);
    let keys = body.split("FOREIGN KEY (").skip(1);
    keys.filter(|key| key.split("FOREIGN KEY").next().is_some_and(|key| key.contains(&own)))
        .filter_map(|key| key.split_once(')').map(|(column, _)| column))
        .collect()
}

fn columns(session: &mut Session<'_>, table: &str) -> Result<Vec<String>> {
    let statement = match session.engine() {
        Engine::Sqlite => "SELECT name FROM pragma_table_info(?) ORDER BY cid",
        Engine::Postgres => {
            "SELECT CAST(column_name AS TEXT) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position"
        }
        Engine::MySql => {
            "SELECT CAST(column_name AS CHAR) FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = ? ORDER BY ordinal_position"
        }
    };
    session.rows(statement, values![table])?.iter().map(|row| row.text(0)).collect()
}

/// Pages through a table by its key: its first column where that is `id`, else its first two.
fn rows(session: &mut Session<'_>, table: &Table, dump: &mut dyn Dump) -> Result<(), LabError> {
    let (name, list) = (&table.name, table.columns.join(", "));
    let key = &table.columns[..key_columns(table)];
    let after = match key {
        [one] => format!("{one} > ?"),
        [one, two] => format!("({one} > ? OR ({one} = ? AND {two} > ?))"),
        _ => "1 = 1".to_owned(),
    };
    let order = key.join(", ");
    let mut last: Option<Vec<Value>> = None;
    loop {
        let found = match &last {
            None => session
                .rows(&format!("SELECT {list} FROM {name} ORDER BY {order} LIMIT {ROWS_AT_ONCE}"), &[])?,
            Some(last) => session.rows(
                &format!("SELECT {list} FROM {name} WHERE {after} ORDER BY {order} LIMIT {ROWS_AT_ONCE}"),
                last,
            )?,
        };
        for row in &found {
            dump.row(&Json::Array(row.cells.iter().map(to_json).collect()).to_string())?;
        }
        let Some(end) = found.last().filter(|_| found.len() == ROWS_AT_ONCE) else { return Ok(()) };
        last = Some(match key.len() {
            1 => vec![end.cells[0].clone()],
            _ => vec![end.cells[0].clone(), end.cells[0].clone(), end.cells[1].clone()],
        });
    }
}

fn key_columns(table: &Table) -> usize {
    let has_id = table.columns.first().is_some_and(|column| ["id", "digest"].contains(&column.as_str()));
    if has_id && table.name != "object_holds" { 1 } else { 2 }
}

/// Statements that are to be run once all rows are there.
type Later = Vec<(String, Vec<Value>)>;

fn fill(session: &mut Session<'_>, table: &Table, load: &Load<'_>, later: &mut Later) -> Result<()> {
    let known = columns(session, &table.name)?;
    if known != table.columns {
        return Err(misfit(session, table, &known.join(", "), &table.columns.join(", ")));
    }
    let own = refers_to_its_own(&table.name);
    let place = session.place().to_owned();
    let mut waiting: Vec<Vec<Value>> = Vec::new();
    let at_once = (VALUES_AT_ONCE / table.columns.len().max(1)).min(ROWS_AT_ONCE);
    load(table, &mut |line| {
        let mut cells = from_line(line, table.columns.len()).ok_or_else(|| StoreError::Damaged {
            place: place.clone(),
            what: format!("a row of {}", table.name),
            expected: format!("a JSON array of {} cells", table.columns.len()),
            found: line.chars().take(80).collect(),
        })?;
        for column in &own {
            let Some(at) = table.columns.iter().position(|name| name == column) else { continue };
            let referred = std::mem::replace(&mut cells[at], Value::Int(None));
            if referred != Value::Int(None) {
                let statement = format!("UPDATE {} SET {column} = ? WHERE id = ?", table.name);
                later.push((statement, vec![referred, cells[0].clone()]));
            }
        }
        waiting.push(cells);
        if waiting.len() == at_once { insert(session, table, &std::mem::take(&mut waiting)) } else { Ok(()) }
    })?;
    insert(session, table, &waiting)
}

/// Nothing is written as such: a placeholder would need the type of its column.
fn insert(session: &mut Session<'_>, table: &Table, rows: &[Vec<Value>]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut values = Vec::new();
    let mut tuple = |row: &Vec<Value>| {
        let cells = row.iter().map(|cell| {
            if is_nothing(cell) {
                return "NULL";
            }
            values.push(cell.clone());
            "?"
        });
        format!("({})", cells.collect::<Vec<_>>().join(", "))
    };
    let tuples = rows.iter().map(&mut tuple).collect::<Vec<_>>().join(", ");
    let statement = format!("INSERT INTO {} ({}) VALUES {tuples}", table.name, table.columns.join(", "));
    session.execute(&statement, &values)?;
    Ok(())
}

fn clear(session: &mut Session<'_>) -> Result<()> {
    let names: Vec<_> = table_names().collect();
    for name in names.into_iter().rev() {
        for column in refers_to_its_own(name) {
            session.execute(&format!("UPDATE {name} SET {column} = NULL"), &[])?;
        }
        session.execute(&format!("DELETE FROM {name}"), &[])?;
    }
    Ok(())
}

/// PostgreSQL does not notice ids that were given: its next one would be taken.
fn number_on(session: &mut Session<'_>, tables: &[Table]) -> Result<()> {
    if session.engine() != Engine::Postgres {
        return Ok(());
    }
    for Table { name, columns } in tables {
        if columns.first().is_some_and(|column| column == "id") {
            let next = format!("(SELECT COALESCE(MAX(id), 0) + 1 FROM {name})");
            let set = format!("SELECT setval(pg_get_serial_sequence('{name}', 'id'), {next}, false)");
            session.rows(&set, &[])?;
        }
    }
    Ok(())
}

fn is_nothing(value: &Value) -> bool {
    matches!(value, Value::Int(None) | Value::Real(None) | Value::Text(None) | Value::Bytes(None))
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Int(Some(number)) => json!(number),
        Value::Real(Some(number)) => json!({ "real": number.to_string() }),
        Value::Text(Some(text)) => json!(text),
        Value::Bytes(Some(bytes)) => {
            json!({ "bytes": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>() })
        }
        Value::Int(None) | Value::Real(None) | Value::Text(None) | Value::Bytes(None) => Json::Null,
    }
}

fn from_line(line: &str, cells: usize) -> Option<Vec<Value>> {
    let Json::Array(found) = serde_json::from_str(line).ok()? else { return None };
    (found.len() == cells).then_some(())?;
    found.iter().map(from_json).collect()
}

fn from_json(cell: &Json) -> Option<Value> {
    match cell {
        Json::Null => Some(Value::Int(None)),
        Json::Number(number) => number.as_i64().map(Value::from),
        Json::String(text) => Some(Value::from(text)),
        Json::Object(fields) if fields.len() == 1 => match (fields.get("real"), fields.get("bytes")) {
            (Some(real), None) => real.as_str()?.parse::<f64>().ok().map(Value::from),
            (None, Some(bytes)) => from_hex(bytes.as_str()?).map(Value::from),
            _ => None,
        },
        _ => None,
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    (text.is_ascii() && text.len().is_multiple_of(2)).then_some(())?;
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn misfit(session: &Session<'_>, table: &Table, expected: &str, found: &str) -> StoreError {
    StoreError::Damaged {
        place: session.place().to_owned(),
        what: format!("table {}", table.name),
        expected: format!("the columns {expected}"),
        found: found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were() {
        for value in [
            Value::from(i64::MIN),
            Value::from(0.1 + 0.2),
            Value::from(f64::INFINITY),
            Value::from(-0.0),
            Value::from("\u{1f980} \"quoted\"\n"),
            Value::from(vec![0, 255, 16]),
            Value::Int(None),
        ] {
            let line = Json::Array(vec![to_json(&value)]).to_string();
            assert_eq!(from_line(&line, 1), Some(vec![value]), "{line}");
        }
        for damaged in ["[]", "[1, 2]", "[1.5]", "[true]", "[{\"real\": 1}]", "[{\"bytes\": \"0\"}]", "x"] {
            assert_eq!(from_line(damaged, 1), None, "{damaged}");
        }
    }

    #[test]
    fn the_schema_says_which_tables_refer_to_themselves() {
        assert_eq!(refers_to_its_own("families"), ["merged_into"]);
        assert_eq!(refers_to_its_own("family_events"), ["undoes"]);
        assert_eq!(refers_to_its_own("projects"), [""; 0]);
        assert!(table_names().any(|name| name == "annotation_events"));
    }
}
