//! The store from outside: one suite on each of the three databases, and what is particular to one of them.

mod basics;
mod servers;

use cormorant_lab::store::{Engine, Stamp};

use servers::TestDatabase;

/// Every case of the suite on one database.
macro_rules! on {
    ($engine:expr, $($file:ident :: $case:ident),* $(,)?) => {
        use super::*;
        $(#[test] fn $case() { run($engine, $file::$case); })*
    };
}

/// The suite.
macro_rules! cases {
    ($engine:expr) => {
        on!(
            $engine,
            basics::a_store_is_there_again_after_closing,
            basics::names_are_compared_by_bytes,
            basics::a_failed_change_changes_nothing,
        );
    };
}

mod sqlite {
    cases!(Engine::Sqlite);
}

mod postgres {
    cases!(Engine::Postgres);
}

mod mariadb {
    cases!(Engine::MySql);
}

/// Runs one case on a fresh database, if its server is installed.
fn run(engine: Engine, case: fn(&TestDatabase)) {
    if let Some(database) = TestDatabase::new(engine) {
        case(&database);
    }
}

/// Ann, at `at_ns`.
fn ann(at_ns: i64) -> Stamp {
    Stamp::new("ann", at_ns)
}
