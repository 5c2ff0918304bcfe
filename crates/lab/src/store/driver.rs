//! The one file that knows the database driver: connections, transactions, statements, rows and errors of SQLite,
//! PostgreSQL and MariaDB (or MySQL), behind blocking calls.
//!
//! The driver is asynchronous; a private runtime lives here and nowhere else in the lab. Statements are written once,
//! with question marks, in the SQL that all three understand; what differs (types of columns, numbering of
//! placeholders, the id of a new row, the start of a transaction, error codes) differs here.
//!
//! A call from a thread of another asynchronous runtime would block that runtime: a server calls the store from its
//! threads for blocking work.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Database, Executor as _, MySql, Postgres, Row as _,
    Sqlite, TypeInfo as _, ValueRef as _,
};
use tokio::runtime::{Builder, Runtime};

use super::engine::{Engine, MYSQL_SESSION, Purpose, numbered, without_password};
use super::error::{Result, StoreError};
use super::row::{Row, Value};

/// Connections of one process to one store; a server with many threads waits for a free one.
const CONNECTIONS: usize = 8;
/// How long a writer waits for another one, and everybody for a server to answer a call.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a writer asks for SQLite's lock, and how long SQLite itself asks each time, in ms: together 20 s.
///
/// SQLite alone asks less and less often, down to ten times a second, and somebody who writes without a pause
/// would then leave it almost no gap to meet.
const TURNS: u32 = 4000;
const TURN: &str = "PRAGMA busy_timeout = 5";
/// How many bytes of SQLite's log are kept on disk after a checkpoint.
const LOG_BYTES: &str = "67108864";
/// `CORM`, so that `file` and SQLite know whose database this is.
const APPLICATION_ID: &str = "0x434f524d";

/// An address, taken apart.
enum Address {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
    MySql(Box<MySqlConnection>),
}

/// The connections that nobody uses now, and how many there are with those that somebody does.
#[derive(Default)]
struct Connections {
    idle: Vec<Connection>,
    open: usize,
}

/// The way to one store: its address, connections to it, and the runtime that drives them.
pub(super) struct Driver {
    // Taken by `drop` only.
    runtime: Option<Runtime>,
    address: Address,
    connections: Mutex<Connections>,
    returned: Condvar,
    place: String,
    /// The collation that compares bytes, on servers that need to be told.
    collation: &'static str,
}

/// Does `$body` with whichever connection it is, under the name `$on`.
macro_rules! on_each {
    ($connection:expr, $on:ident => $body:expr) => {
        match $connection {
            Connection::Sqlite($on) => $body,
            Connection::Postgres($on) => $body,
            Connection::MySql($on) => $body,
        }
    };
}

/// One open transaction. Dropped without [`Driver::finish`], it is rolled back.
pub(crate) struct Session<'d> {
    driver: &'d Driver,
    // Taken by `finish` or `drop` only.
    connection: Option<Connection>,
    /// The first statement that failed: after it, nothing may be committed.
    fault: Option<StoreError>,
}

impl Driver {
    /// Connects to the store at `url`; a SQLite file is created when it is not there.
    pub(super) fn connect(url: &str) -> Result<Self> {
        let place = without_password(url);
        let address = address(url, &place)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("cormorant-store")
            .enable_all()
            .build()
            .map_err(|error| unreachable(&place, &error.to_string()))?;
        let (connections, returned) = (Mutex::default(), Condvar::new());
        let mut driver =
            Self { runtime: Some(runtime), address, connections, returned, place, collation: "" };
        driver.collation = driver.bytewise_collation()?;
        Ok(driver)
    }

    pub(super) fn engine(&self) -> Engine {
        match self.address {
            Address::Sqlite(_) => Engine::Sqlite,
            Address::Postgres(_) => Engine::Postgres,
            Address::MySql(_) => Engine::MySql,
        }
    }

    /// The address without its password.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Starts a transaction.
    pub(super) fn begin(&self, purpose: Purpose) -> Result<Session<'_>> {
        let start = self.engine().start(purpose);
        let (connection, used) = self.take()?;
        let mut session = Session { driver: self, connection: Some(connection), fault: None };
        let mut started = session.run(start);
        let mut turns = 1..TURNS;
        while self.engine() == Engine::Sqlite
            && matches!(started, Err(StoreError::Contended { .. }))
            && turns.next().is_some()
        {
            started = session.run(start);
        }
        match started {
            // The server may have gone and come back since the connection was used.
            Err(StoreError::Database { .. }) if used => {
                session.connection = None;
                self.gone();
                session.connection = Some(self.open()?);
                session.run(start)?;
            }
            done => done?,
        }
        Ok(session)
    }

    /// Commits. When this returns, the change is on the disk of whoever keeps the store.
    pub(super) fn finish(&self, mut session: Session<'_>) -> Result<()> {
        if let Some(fault) = session.fault.take() {
            return Err(fault);
        }
        let Some(mut connection) = session.connection.take() else { return Ok(()) };
        let committed = self.block_on(raw(&mut connection, "COMMIT"));
        if committed.is_ok() {
            self.give_back(connection);
        } else {
            session.connection = Some(connection);
        }
        committed.map_err(|error| match error {
            sqlx::Error::Database(_) => self.failed(&error),
            error => StoreError::Unknown { place: self.place.clone(), said: said(&error) },
        })
    }

    /// Closes every connection in order; the last one to a SQLite file folds its log into it.
    pub(super) fn close(&self) {
        let idle = std::mem::take(&mut self.connections().idle);
        for connection in idle {
            // What it could not say goodbye to is closed all the same.
            self.block_on(async {
                match connection {
                    Connection::Sqlite(connection) => connection.close().await.ok(),
                    Connection::Postgres(connection) => connection.close().await.ok(),
                    Connection::MySql(connection) => connection.close().await.ok(),
                }
            });
            self.gone();
        }
    }

    /// A connection, and whether it was used before. Waits while all are in use.
    fn take(&self) -> Result<(Connection, bool)> {
        let mut connections = self.connections();
        loop {
            if let Some(connection) = connections.idle.pop() {
                return Ok((connection, true));
            }
            if connections.open < CONNECTIONS {
                drop(connections);
                return Ok((self.open()?, false));
            }
            connections = self.returned.wait(connections).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn open(&self) -> Result<Connection> {
        self.connections().open += 1;
        let opened = self.block_on(async {
            tokio::time::timeout(PATIENCE, open(&self.address))
                .await
                .unwrap_or_else(|_| Err(sqlx::Error::Protocol("no answer within 20 s".to_owned())))
        });
        opened.map_err(|error| {
            self.gone();
            match self.failed(&error) {
                error @ (StoreError::Disk { .. }
                | StoreError::Contended { .. }
                | StoreError::Damaged { .. }) => error,
                _ => unreachable(&self.place, &said(&error)),
            }
        })
    }

    fn give_back(&self, connection: Connection) {
        self.connections().idle.push(connection);
        self.returned.notify_one();
    }

    /// One connection less.
    fn gone(&self) {
        self.connections().open -= 1;
        self.returned.notify_one();
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        // Nothing panics while it is held, and a list of connections is whole at any time.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Comparing names by bytes, trailing spaces included, is spelt in two ways by the two servers.
    fn bytewise_collation(&self) -> Result<&'static str> {
        if self.engine() != Engine::MySql {
            return Ok("");
        }
        let version = self.begin(Purpose::Read)?.rows("SELECT VERSION()", &[])?;
        let version = version.first().map_or_else(|| Ok(String::new()), |row| row.text(0))?;
        Ok(if version.contains("MariaDB") {
            " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin"
        } else {
            " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_bin"
        })
    }

    fn block_on<F: Future>(&self, work: F) -> F::Output {
        // The runtime is there until `drop`.
        self.runtime
            .as_ref()
            .map(|runtime| runtime.block_on(work))
            .expect("a runtime until the store is dropped")
    }

    fn failed(&self, error: &sqlx::Error) -> StoreError {
        let (place, said) = (self.place.clone(), said(error));
        match kind(error) {
            Kind::Disk => StoreError::Disk { place, said },
            Kind::Contended => StoreError::Contended { place, said },
            Kind::Damaged => StoreError::Damaged {
                place,
                what: "the database".to_owned(),
                expected: "a database that its own engine can read".to_owned(),
                found: said,
            },
            Kind::Other => StoreError::Database { place, said },
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for it would be forbidden where a server's own runtime drops the store.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            match self.driver.block_on(raw(&mut connection, "ROLLBACK")) {
                Ok(()) => self.driver.give_back(connection),
                // It is broken, and the database rolls back by itself.
                Err(_) => {
                    drop(connection);
                    self.driver.gone();
                }
            }
        }
    }
}

impl Session<'_> {
    pub(crate) fn engine(&self) -> Engine {
        self.driver.engine()
    }

    /// The address without its password.
    pub(crate) fn place(&self) -> &str {
        &self.driver.place
    }

    /// Runs one statement; the number of rows that it met.
    pub(crate) fn execute(&mut self, statement: &str, values: &[Value]) -> Result<u64> {
        let done = self.driver.block_on(async {
            Ok(match connected(&mut self.connection)? {
                Connection::Sqlite(on) => sqlite(statement, values).execute(on).await?.rows_affected(),
                Connection::Postgres(on) => {
                    postgres(statement, values).execute(&mut **on).await?.rows_affected()
                }
                Connection::MySql(on) => mysql(statement, values).execute(&mut **on).await?.rows_affected(),
            })
        });
        self.outcome(done)
    }

    /// Runs one `INSERT` into a table with an `id`; the new row's.
    pub(crate) fn insert(&mut self, statement: &str, values: &[Value]) -> Result<i64> {
        let done = self.driver.block_on(async {
            Ok(match connected(&mut self.connection)? {
                Connection::Sqlite(on) => sqlite(statement, values).execute(on).await?.last_insert_rowid(),
                Connection::Postgres(on) => {
                    let returning = format!("{statement} RETURNING id");
                    postgres(&returning, values).fetch_one(&mut **on).await?.try_get(0)?
                }
                Connection::MySql(on) => {
                    let id = mysql(statement, values).execute(&mut **on).await?.last_insert_id();
                    i64::try_from(id).unwrap_or(i64::MAX)
                }
            })
        });
        self.outcome(done)
    }

    /// All rows of an answer.
    pub(crate) fn rows(&mut self, statement: &str, values: &[Value]) -> Result<Vec<Row>> {
        let place = &self.driver.place;
        let done = self.driver.block_on(async {
            match connected(&mut self.connection)? {
                Connection::Sqlite(on) => {
                    let rows = sqlite(statement, values).fetch_all(on).await?;
                    rows.iter().map(|row| sqlite_row(row, place)).collect::<sqlx::Result<Vec<_>>>()
                }
                Connection::Postgres(on) => {
                    let rows = postgres(statement, values).fetch_all(&mut **on).await?;
                    rows.iter().map(|row| postgres_row(row, place)).collect()
                }
                Connection::MySql(on) => {
                    let rows = mysql(statement, values).fetch_all(&mut **on).await?;
                    rows.iter().map(|row| mysql_row(row, place)).collect()
                }
            }
        });
        self.outcome(done)
    }

    /// The first row of an answer, if it has any.
    pub(crate) fn first(&mut self, statement: &str, values: &[Value]) -> Result<Option<Row>> {
        Ok(self.rows(statement, values)?.into_iter().next())
    }

    /// Runs one statement that defines tables, unprepared.
    pub(super) fn define(&mut self, neutral: &str) -> Result<()> {
        let defined = self.try_define(neutral);
        if let Err(fault) = &defined {
            self.fault.get_or_insert_with(|| fault.clone());
        }
        defined
    }

    /// The same for a statement whose failure is no reason not to commit the rest.
    pub(super) fn try_define(&mut self, neutral: &str) -> Result<()> {
        let statement = self.engine().definition(neutral, self.driver.collation);
        self.run(&[&statement])
    }

    fn run(&mut self, statements: &[&str]) -> Result<()> {
        let done = self.driver.block_on(async {
            for statement in statements {
                raw(connected(&mut self.connection)?, statement).await?;
            }
            Ok(())
        });
        done.map_err(|error| self.driver.failed(&error))
    }

    /// Remembers the first failure: a transaction that somebody went on with is not committed.
    fn outcome<T>(&mut self, done: sqlx::Result<T>) -> Result<T> {
        done.map_err(|error| {
            let fault = self.driver.failed(&error);
            self.fault.get_or_insert_with(|| fault.clone());
            fault
        })
    }
}

/// A session's connection; it has one until it ends.
fn connected(connection: &mut Option<Connection>) -> sqlx::Result<&mut Connection> {
    connection.as_mut().ok_or(sqlx::Error::PoolClosed)
}

async fn raw(connection: &mut Connection, statement: &str) -> sqlx::Result<()> {
    on_each!(connection, on => on.execute(sqlx::raw_sql(sql(statement))).await.map(|_| ()))
}

async fn open(address: &Address) -> sqlx::Result<Connection> {
    Ok(match address {
        Address::Sqlite(options) => {
            let mut connection = options.connect().await?;
            connection.execute(TURN).await?;
            Connection::Sqlite(connection)
        }
        Address::Postgres(options) => {
            let mut connection = options.connect().await?;
            // A server may have been told to acknowledge before writing.
            connection.execute("SET synchronous_commit = on").await?;
            Connection::Postgres(Box::new(connection))
        }
        Address::MySql(options) => {
            let mut connection = options.connect().await?;
            for statement in MYSQL_SESSION {
                connection.execute(*statement).await?;
            }
            Connection::MySql(Box::new(connection))
        }
    })
}

fn sqlite_file(path: PathBuf) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("journal_size_limit", LOG_BYTES)
        .pragma("application_id", APPLICATION_ID)
        .pragma("trusted_schema", "OFF")
        .pragma("cell_size_check", "ON")
        .thread_name(|number| format!("store-sqlite-{number}"))
        .disable_statement_logging()
}

fn address(url: &str, place: &str) -> Result<Address> {
    let wrong = |found: String| StoreError::Address {
        url: place.to_owned(),
        found,
        advice: "give --store one of the three forms",
    };
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(wrong("no scheme".to_owned()));
    };
    match scheme {
        "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
            "" => Err(wrong("no path".to_owned())),
            ":memory:" => {
                Err(wrong("a store in memory, which would last no longer than a connection".to_owned()))
            }
            path => Ok(Address::Sqlite(sqlite_file(PathBuf::from(path)))),
        },
        "postgres" | "postgresql" => {
            let options: sqlx::Result<PgConnectOptions> = url.parse();
            let options =
                options.map(|options| options.application_name("cormorant").disable_statement_logging());
            options.map(Address::Postgres).map_err(|error| wrong(said(&error)))
        }
        "mysql" | "mariadb" => {
            let options: sqlx::Result<MySqlConnectOptions> = format!("mysql:{rest}").parse();
            let options = options.map(sqlx::ConnectOptions::disable_statement_logging);
            options.map(Address::MySql).map_err(|error| wrong(said(&error)))
        }
        other => Err(wrong(format!("the scheme {other}"))),
    }
}

fn unreachable(place: &str, said: &str) -> StoreError {
    let advice = if place.starts_with("sqlite") {
        "check that its directory exists and may be written"
    } else {
        "check the address, the user's rights, and that the server runs"
    };
    StoreError::Unreachable { place: place.to_owned(), said: said.to_owned(), advice }
}

/// What the database said, in its own words only.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    }
}

enum Kind {
    Disk,
    Contended,
    Damaged,
    Other,
}

/// Error codes of the three databases: SQLite's result codes, SQLSTATE, MySQL's numbers.
///
/// A name that somebody else took a moment ago is contention too: every function looks before it inserts, so at the
/// next try it sees the name and says so.
fn kind(error: &sqlx::Error) -> Kind {
    let sqlx::Error::Database(error) = error else {
        return Kind::Other;
    };
    if error.is_unique_violation() {
        return Kind::Contended;
    }
    if let Some(mysql) = error.try_downcast_ref::<MySqlDatabaseError>() {
        return match mysql.number() {
            1205 | 1213 => Kind::Contended,
            1021 | 1114 => Kind::Disk,
            1194 | 1712 => Kind::Damaged,
            _ => Kind::Other,
        };
    }
    let code = error.code().unwrap_or_default();
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        // The low byte is the code, the rest says more.
        return match code.parse().unwrap_or(0) & 0xff {
            5 | 6 => Kind::Contended,
            10 | 13 => Kind::Disk,
            11 | 26 => Kind::Damaged,
            _ => Kind::Other,
        };
    }
    match code.as_ref() {
        "40001" | "40P01" | "55P03" => Kind::Contended,
        "53100" | "58030" => Kind::Disk,
        "XX001" | "XX002" => Kind::Damaged,
        _ => Kind::Other,
    }
}

/// Statements are made of constants of this crate; what users typed goes into values.
fn sql(statement: &str) -> sqlx::SqlStr {
    sqlx::SqlSafeStr::into_sql_str(AssertSqlSafe(statement))
}

/// One query of each database from the same text and values.
macro_rules! statement_of {
    ($name:ident, $database:ty, $text:expr) => {
        fn $name<'q>(
            statement: &str,
            values: &'q [Value],
        ) -> sqlx::query::Query<'q, $database, <$database as Database>::Arguments> {
            let text: fn(&str) -> String = $text;
            values.iter().fold(sqlx::query(sql(&text(statement))), |query, value| match value {
                Value::Int(value) => query.bind(*value),
                Value::Real(value) => query.bind(*value),
                Value::Text(value) => query.bind(value.as_deref()),
                Value::Bytes(value) => query.bind(value.as_deref()),
            })
        }
    };
}
statement_of!(sqlite, Sqlite, str::to_owned);
statement_of!(postgres, Postgres, numbered);
statement_of!(mysql, MySql, str::to_owned);

/// One row of each database to the same values, by the names that the database has for its types.
macro_rules! row_of {
    ($name:ident, $row:ty, $small:ty) => {
        fn $name(row: &$row, place: &str) -> sqlx::Result<Row> {
            let cell = |at: usize| -> sqlx::Result<Value> {
                let raw = row.try_get_raw(at)?;
                if raw.is_null() {
                    return Ok(Value::Int(None));
                }
                Ok(match raw.type_info().name() {
                    "INTEGER" | "BIGINT" | "INT8" => Value::Int(Some(row.try_get(at)?)),
                    "INT" | "INT4" => Value::Int(Some(row.try_get::<$small, _>(at)?.into())),
                    "REAL" | "DOUBLE" | "FLOAT8" => Value::Real(Some(row.try_get(at)?)),
                    // MySQL calls a long text that is compared by bytes a BLOB too.
                    "BLOB" | "LONGBLOB" | "BYTEA" => match row.try_get(at) {
                        Ok(text) => Value::Text(Some(text)),
                        Err(_) => Value::Bytes(Some(row.try_get(at)?)),
                    },
                    _ => Value::Text(Some(row.try_get(at)?)),
                })
            };
            let cells = (0..row.columns().len()).map(cell).collect::<sqlx::Result<_>>()?;
            Ok(Row { cells, place: place.to_owned() })
        }
    };
}
row_of!(sqlite_row, sqlx::sqlite::SqliteRow, i64);
row_of!(postgres_row, sqlx::postgres::PgRow, i32);
row_of!(mysql_row, sqlx::mysql::MySqlRow, i32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_no_known_form_is_refused() {
        for url in ["lab.db", "sqlite:", "sqlite::memory:", "redis://localhost", "postgres://host:port/x"] {
            let Err(error) = address(url, url) else { panic!("{url} was taken") };
            assert!(matches!(error, StoreError::Address { .. }), "{error}");
        }
    }
}
