//! From one schema version to the next, and back when it fails.
//!
//! The stores of each released schema version are in `fixtures/`, written by the program of that version
//! (`CORMORANT_UPDATE_FIXTURES=1` writes those of the current one). They must open and hold what they held.

use std::path::{Path, PathBuf};
use std::thread;

use cormorant_lab::store::{
    Engine, Label, MIGRATIONS, Migration, NewCampaign, Role, Said, Scope, Stage, Step, Store, StoreError,
};
use serde_json::json;

use super::annotations::{annotation, labels, malicious};
use super::records::{dataset, digest, table};
use super::servers::TestDatabase;
use super::{ann, run};

/// Schema version 2 of a later program, as far as a test needs one; the last step can be made to fail.
fn next(fails: bool) -> Vec<Migration> {
    const STEPS: &[Step] = &[
        Step { up: "CREATE TABLE extra (id {id}, name {name}){table}", down: "DROP TABLE IF EXISTS extra" },
        Step {
            up: "ALTER TABLE projects ADD COLUMN owner {name}",
            down: "ALTER TABLE projects DROP COLUMN owner",
        },
        Step { up: "UPDATE projects SET owner = 'nobody'", down: "SELECT 1" },
    ];
    const BROKEN: &[Step] = &[
        STEPS[0],
        STEPS[1],
        Step { up: "CREATE TABLE projects (id {id}){table}", down: "SELECT 1" },
        STEPS[2],
    ];
    let second = Migration { version: 2, name: "owners", steps: if fails { BROKEN } else { STEPS } };
    [MIGRATIONS, &[second]].concat()
}

pub(super) fn a_failed_migration_leaves_the_old_version_in_use(database: &TestDatabase) {
    let store = database.open();
    let before = store.create_project("web", "", &ann(1)).unwrap();
    store.close();
    for _ in 0..2 {
        let Err(error) = Store::open_with(&database.url, &next(true), 2) else { panic!("it did not fail") };
        assert!(matches!(error, StoreError::Migration { version: 2, step: 3, kept: 1, .. }), "{error}");
        assert!(error.to_string().contains("as it was at version 1"), "{error}");
        let store = database.open();
        assert_eq!((store.version(), store.projects().unwrap().len()), (1, 1));
        store.close();
    }
    let store = Store::open_with(&database.url, &next(false), 3).unwrap();
    assert_eq!(store.version(), 2);
    assert_eq!(store.project("web").unwrap(), before);
    store.close();
    // The old program keeps its hands off.
    let Err(error) = Store::open(&database.url, 4) else { panic!("it opened a newer store") };
    assert!(matches!(error, StoreError::Newer { expected: 1, found: 2, .. }), "{error}");
    assert_eq!(Store::open_with(&database.url, &next(false), 5).unwrap().version(), 2);
}

pub(super) fn many_may_open_a_new_store_at_once(database: &TestDatabase) {
    thread::scope(|scope| {
        for at in 0..5 {
            scope.spawn(move || {
                let store = database.open();
                store.create_project(&format!("p{at}"), "", &ann(1)).unwrap();
            });
        }
    });
    assert_eq!(database.open().projects().unwrap().len(), 5);
}

/// Where a table is not part of a transaction, a process that died in the middle leaves its trace.
#[test]
fn what_a_dead_process_left_half_done_is_undone() {
    run(Engine::MySql, |database| {
        let store = database.open();
        store.create_project("web", "", &ann(1)).unwrap();
        store.close();
        for half in [
            // It died after the first step was announced, after it was taken, and after the second one was.
            "INSERT INTO schema_steps VALUES (2, 1)",
            "INSERT INTO schema_steps VALUES (2, 1); CREATE TABLE extra (id BIGINT)",
            "INSERT INTO schema_steps VALUES (2, 1), (2, 2); CREATE TABLE extra (id BIGINT)",
            "INSERT INTO schema_steps VALUES (2, 1), (2, 2); CREATE TABLE extra (id BIGINT); \
             ALTER TABLE projects ADD COLUMN owner VARCHAR(255)",
        ] {
            database.client(half);
            let Err(error) = Store::open(&database.url, 2) else { panic!("half a store was opened: {half}") };
            assert!(matches!(error, StoreError::Newer { .. }), "{error}");
            let store = Store::open_with(&database.url, &next(false), 3).unwrap();
            assert_eq!((store.version(), store.projects().unwrap().len()), (2, 1), "{half}");
            store.close();
            database.client(
                "DROP TABLE extra; ALTER TABLE projects DROP COLUMN owner; DELETE FROM schema_versions WHERE version = 2",
            );
        }
        assert_eq!(database.open().version(), 1);
    });
}

/// Puts one thing of each kind into a store.
fn fill(store: &Store) {
    let (project, dataset) = dataset(store);
    let version = store.commit_version(dataset, &table('1'), &[], &ann(3)).unwrap().id;
    let campaign = NewCampaign {
        dataset,
        version,
        name: "first".to_owned(),
        spec: json!({"budget": 10}),
        seed: 7,
        command: "cormorant label flows.parquet".to_owned(),
    };
    store.start_campaign(&campaign, &ann(4)).unwrap();
    let words = [malicious("1", "a", "dos"), malicious("2", "b", "scan"), malicious("3", "c", "dos")];
    store.annotate_all(dataset, &words, &ann(5)).unwrap();
    store.annotate(dataset, &annotation("4", "d", Said::Label(Label::Benign, None)), &ann(6)).unwrap();
    let dos = store.family(project, Label::Malicious, "dos").unwrap().id;
    store.rename_family(dos, "denial", &ann(7)).unwrap();
    store.split_family(dos, dataset, &["c".to_owned()], "flood", &ann(8)).unwrap();
    let file = cormorant_lab::store::ModelFile {
        digest: digest('2'),
        bytes: 5,
        schema_digest: digest('5'),
        run_id: None,
        command: "cormorant train flows.parquet".to_owned(),
    };
    store.register_model(project, "web", &file, &ann(9)).unwrap();
    store.promote_model(project, "web", 1, Stage::Production, "first", &ann(10)).unwrap();
    store.create_user("ann", "Ann", Role::Admin, None, &ann(11)).unwrap();
}

/// What [`fill`] has put there.
fn holds_what_it_held(store: &Store) {
    let project = store.project("web").unwrap().id;
    let dataset = store.dataset(project, "flows").unwrap().id;
    assert_eq!(store.versions(dataset).unwrap()[0].table, table('1'));
    assert_eq!(store.campaigns(dataset).unwrap()[0].about.spec, json!({"budget": 10}));
    let labels = labels(store, dataset, Scope::All);
    assert_eq!(labels, ["a malicious denial", "b malicious scan", "c malicious flood", "d benign -"]);
    let history = store.family_history(project).unwrap();
    store.undo_family_event(history[1].id, &ann(20)).unwrap();
    store.undo_family_event(history[0].id, &ann(21)).unwrap();
    assert_eq!(store.labels(dataset, Scope::All).unwrap()[2].family.as_ref().unwrap().1, "dos");
    assert_eq!(store.model_in_production(project, "web").unwrap().unwrap().file.digest, digest('2'));
    assert_eq!(store.users().unwrap()[0].role, Role::Admin);
    assert_eq!(store.audit(0, 100).unwrap().len(), 14);
    assert_eq!(store.verify().unwrap().annotations, 5);
}

fn fixture(version: i64, engine: Engine) -> PathBuf {
    let name = match engine {
        Engine::Sqlite => format!("v{version}.sqlite"),
        Engine::Postgres => format!("v{version}.postgres.sql"),
        Engine::MySql => format!("v{version}.mariadb.sql"),
    };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/store/fixtures").join(name)
}

pub(super) fn the_stores_of_every_version_open(database: &TestDatabase) {
    let newest = MIGRATIONS.last().unwrap().version;
    if std::env::var_os("CORMORANT_UPDATE_FIXTURES").is_some() {
        run(database.engine, |database| {
            let store = database.open();
            fill(&store);
            store.close();
            database.save(&fixture(newest, database.engine));
        });
    }
    for version in 1..=newest {
        let of_version = TestDatabase::new(database.engine).unwrap();
        of_version.load(&fixture(version, database.engine));
        let store = of_version.open();
        assert_eq!(store.version(), newest);
        holds_what_it_held(&store);
    }
}
