//! Opening, names, transactions and the audit log.

use cormorant_lab::store::{Engine, StoreError};

use super::ann;
use super::servers::TestDatabase;

pub(super) fn a_store_is_there_again_after_closing(database: &TestDatabase) {
    let store = database.open();
    assert_eq!(store.engine(), database.engine);
    let made = store.create_project("web", "Traffic of the web servers ☂", &ann(i64::MAX)).unwrap();
    store.close();
    let store = database.open();
    assert_eq!(store.project("web").unwrap(), made);
    assert_eq!(made.created_ns, i64::MAX);
    let audit = store.audit(0, 10).unwrap();
    assert_eq!(audit.len(), 1);
    assert_eq!((audit[0].author.as_str(), audit[0].action.as_str()), ("ann", "project.create"));
    assert_eq!((audit[0].subject.as_str(), audit[0].at_ns), ("project web", i64::MAX));
    assert!(store.audit(audit[0].id, 10).unwrap().is_empty());
}

pub(super) fn names_are_compared_by_bytes(database: &TestDatabase) {
    let store = database.open();
    let names = [
        "Zebra",
        "a",
        "zebra",
        "ärger",
        "Ärger",
        "a\u{308}rger",
        "ß",
        "ss",
        "日本",
        "😀",
        "a-b",
        "ab",
        "a b",
    ];
    for name in names {
        store.create_project(name, "", &ann(0)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for name in names {
        assert_eq!(store.project(name).unwrap().name, name);
        assert!(matches!(store.create_project(name, "", &ann(0)), Err(StoreError::Taken { .. })));
    }
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let listed = store.projects().unwrap();
    assert_eq!(listed.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(), sorted);
}

pub(super) fn a_failed_change_changes_nothing(database: &TestDatabase) {
    let store = database.open();
    let error = store.create_project("web\n", "", &ann(0)).unwrap_err();
    assert!(error.to_string().contains("control character"), "{error}");
    // The author is looked at last, after the project's row was written.
    let error = store.create_project("web", "", &super::Stamp::new("", 0)).unwrap_err();
    assert!(error.to_string().contains("author"), "{error}");
    assert!(store.projects().unwrap().is_empty() && store.audit(0, 10).unwrap().is_empty());
    assert!(matches!(store.project("web"), Err(StoreError::Missing { .. })));
}

/// A server that ends connections (because it was started again) is met with new ones.
pub(super) fn lost_connections_are_made_again(database: &TestDatabase) {
    let store = database.open();
    store.create_project("web", "", &ann(1)).unwrap();
    for at in 0..3 {
        match database.engine {
            Engine::Sqlite => return,
            Engine::Postgres => drop(database.client(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )),
            Engine::MySql => {
                let ids = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()";
                database.client(ids).lines().for_each(|id| drop(database.client(&format!("KILL {id}"))));
            }
        }
        store.create_project(&format!("p{at}"), "", &ann(2)).unwrap();
    }
    assert_eq!(store.projects().unwrap().len(), 4);
}
