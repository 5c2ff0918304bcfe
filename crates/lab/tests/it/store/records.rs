//! Datasets, runs, campaigns, models and users: what goes in comes out, and what cannot be is refused.

use cormorant_lab::store::{
    Artefact, CampaignState, Feature, Input, Metric, ModelFile, NewCampaign, NewRun, Role, RunState, Stage,
    Stamp, Store, StoreError, TableFile,
};
use serde_json::json;

use super::ann;
use super::servers::TestDatabase;

/// A digest made of one digit.
pub(super) fn digest(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A table file known by one digit.
pub(super) fn table(digit: char) -> TableFile {
    TableFile {
        digest: digest(digit),
        bytes: 123_456_789_012,
        rows: 7,
        schema_digest: digest('5'),
        provenance: json!({"captures": ["a.pcap"], "ratio": 0.1, "odd": "☂\u{1}\"'\\%_;--"}),
        command: format!("cormorant extract {digit}.pcap -o flows.parquet"),
        run_id: None,
    }
}

/// A project and a dataset in it.
pub(super) fn dataset(store: &Store) -> (i64, i64) {
    let project = store.create_project("web", "", &ann(1)).unwrap().id;
    (project, store.create_dataset(project, "flows", "", &ann(2)).unwrap().id)
}

pub(super) fn versions_are_known_by_their_tables(database: &TestDatabase) {
    let store = database.open();
    let (project, dataset) = dataset(&store);
    let feature = |name: &str| Feature {
        name: name.to_owned(),
        role: "feature".to_owned(),
        kind: "f64".to_owned(),
        unit: "s".to_owned(),
        description: format!("what {name} means"),
    };
    let features = ["b", "a", "A"].map(feature);
    let first = store.commit_version(dataset, &table('1'), &features, &ann(3)).unwrap();
    let second = store.commit_version(dataset, &table('2'), &features[..1], &ann(4)).unwrap();
    assert_eq!((first.version, second.version), (1, 2));
    let again = store.commit_version(dataset, &table('1'), &features, &ann(5)).unwrap();
    assert_eq!(again, first);
    assert_eq!(store.versions(dataset).unwrap(), [first.clone(), second]);
    assert_eq!(store.features(first.id).unwrap(), features);
    store.describe_feature(first.id, "a", "another meaning", &ann(6)).unwrap();
    assert_eq!(store.features(first.id).unwrap()[1].description, "another meaning");
    assert!(matches!(
        store.describe_feature(first.id, "c", "", &ann(6)),
        Err(StoreError::Missing { what: "column", .. })
    ));
    let twice = [feature("a"), feature("a")];
    let error = store.commit_version(dataset, &table('3'), &twice, &ann(7)).unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    assert!(matches!(store.create_dataset(project, "flows", "", &ann(8)), Err(StoreError::Taken { .. })));
    assert!(matches!(
        store.create_dataset(project + 1, "flows", "", &ann(8)),
        Err(StoreError::Missing { .. })
    ));
    assert!(matches!(
        store.commit_version(dataset + 1, &table('1'), &[], &ann(8)),
        Err(StoreError::Missing { .. })
    ));
    assert_eq!(store.versions(dataset).unwrap().len(), 2);
    let without = TableFile { command: " ".to_owned(), ..table('4') };
    assert!(
        store.commit_version(dataset, &without, &[], &ann(9)).unwrap_err().to_string().contains("command")
    );
    // One name in two projects is two datasets.
    let other = store.create_project("mail", "", &ann(10)).unwrap().id;
    store.create_dataset(other, "flows", "", &ann(10)).unwrap();
    assert_eq!(store.datasets(project).unwrap().len(), 1);
}

pub(super) fn a_run_keeps_what_it_needs_and_what_came_out(database: &TestDatabase) {
    let store = database.open();
    let about = NewRun {
        project: None,
        job: None,
        task: "train".to_owned(),
        spec: json!({"model": "random-forest", "parameters": {"trees": 100}}),
        command: "cormorant train flows.parquet -m random-forest --seed 18446744073709551615".to_owned(),
        seed: u64::MAX,
        program: "cormorant 0.1.0".to_owned(),
        inputs: vec![Input { name: "flows.parquet".to_owned(), digest: digest('a') }; 2],
    };
    let id = store.start_run(&about, &ann(10)).unwrap();
    let started = store.run(id).unwrap();
    assert_eq!((started.state, started.finished_ns, started.metrics.len()), (RunState::Running, None, 0));
    let metric = |name: &str, value| Metric { part: "test".to_owned(), name: name.to_owned(), value };
    // Every bit of a number comes back.
    let numbers = [0.1 + 0.2, f64::MIN_POSITIVE, 5e-324, -1e-300, 0.0, f64::MAX, 1.0 / 3.0];
    let metrics: Vec<_> = (0..)
        .zip(numbers)
        .map(|(at, value)| metric(&format!("m{at}"), Some(value)))
        .chain([metric("undefined", None)])
        .collect();
    let artefacts = [Artefact {
        name: "m.corm".to_owned(),
        kind: "model".to_owned(),
        digest: digest('b'),
        bytes: 1 << 40,
    }];
    for wrong in
        [vec![metric("auc", Some(f64::NAN))], vec![metric("auc", Some(1.0)), metric("auc", Some(1.0))]]
    {
        assert!(matches!(store.finish_run(id, &wrong, &[], &ann(11)), Err(StoreError::Refused { .. })));
    }
    store.finish_run(id, &metrics, &artefacts, &ann(12)).unwrap();
    let run = store.run(id).unwrap();
    let bits =
        |metrics: &[Metric]| metrics.iter().map(|metric| metric.value.map(f64::to_bits)).collect::<Vec<_>>();
    assert_eq!(bits(&run.metrics), bits(&metrics));
    assert_eq!((run.state, run.finished_ns, &run.about), (RunState::Done, Some(12), &about));
    assert_eq!(run.artefacts, artefacts);
    // What came out of a run never changes.
    assert!(matches!(store.finish_run(id, &[], &[], &ann(13)), Err(StoreError::Refused { .. })));
    assert!(matches!(store.fail_run(id, "late", &ann(13)), Err(StoreError::Refused { .. })));
    assert_eq!(store.run(id).unwrap(), run);
    let failed = store.start_run(&about, &ann(14)).unwrap();
    store.fail_run(failed, "out of memory", &ann(15)).unwrap();
    let runs = store.runs(None, i64::MAX, 10).unwrap();
    assert_eq!(runs.iter().map(|run| run.id).collect::<Vec<_>>(), [failed, id]);
    assert_eq!((runs[0].state, runs[0].error.as_deref()), (RunState::Failed, Some("out of memory")));
    assert_eq!(store.runs(None, failed, 10).unwrap().len(), 1);
    let silent = NewRun { command: String::new(), ..about };
    assert!(store.start_run(&silent, &ann(16)).unwrap_err().to_string().contains("command line"));
    assert!(matches!(store.run(failed + 1), Err(StoreError::Missing { .. })));
}

pub(super) fn a_campaign_moves_forward_only(database: &TestDatabase) {
    let store = database.open();
    let (_, dataset) = dataset(&store);
    let version = store.commit_version(dataset, &table('1'), &[], &ann(3)).unwrap().id;
    let about = NewCampaign {
        dataset,
        version,
        name: "first day".to_owned(),
        spec: json!({"strategy": "ilab", "budget": 1000}),
        seed: 7,
        command: "cormorant label flows.parquet --strategy ilab --budget 1000 --seed 7".to_owned(),
    };
    let campaign = store.start_campaign(&about, &ann(4)).unwrap();
    assert_eq!(store.campaign(campaign.id).unwrap(), campaign);
    assert!(matches!(store.start_campaign(&about, &ann(4)), Err(StoreError::Taken { .. })));
    let id = campaign.id;
    let checkpoint = json!({"weights": [1.5, -2.0]});
    store.advance_campaign(id, 2, CampaignState::Open, Some(&checkpoint), &ann(5)).unwrap();
    let moved = store.campaign(id).unwrap();
    assert_eq!((moved.iteration, &moved.checkpoint, moved.changed_ns), (2, &Some(checkpoint), 5));
    let back = store.advance_campaign(id, 1, CampaignState::Open, None, &ann(6)).unwrap_err();
    assert!(matches!(back, StoreError::Refused { .. }), "{back}");
    store.advance_campaign(id, 2, CampaignState::Finished, None, &ann(7)).unwrap();
    assert!(store.advance_campaign(id, 3, CampaignState::Open, None, &ann(8)).is_err());
    assert_eq!(store.campaigns(dataset).unwrap()[0].state, CampaignState::Finished);
    let elsewhere = NewCampaign { version: version + 1, name: "other".to_owned(), ..about };
    assert!(matches!(store.start_campaign(&elsewhere, &ann(9)), Err(StoreError::Missing { .. })));
}

pub(super) fn one_version_hunts_and_a_rollback_brings_the_last_one_back(database: &TestDatabase) {
    let store = database.open();
    let project = store.create_project("web", "", &ann(1)).unwrap().id;
    let file = |digit| ModelFile {
        digest: digest(digit),
        bytes: 10,
        schema_digest: digest('5'),
        run_id: None,
        command: "cormorant train flows.parquet -m logistic".to_owned(),
    };
    for (digit, version) in [('1', 1), ('2', 2), ('3', 3), ('2', 2)] {
        assert_eq!(store.register_model(project, "web", &file(digit), &ann(2)).unwrap().version, version);
    }
    let stages = || {
        let versions = store.model_versions(project, "web").unwrap();
        versions.iter().map(|version| version.stage).collect::<Vec<_>>()
    };
    let promote = |version, stage| store.promote_model(project, "web", version, stage, "better", &ann(3));
    let roll_back = || store.roll_back_model(project, "web", "worse", &ann(4));
    use Stage::{Archived, Production, Staging};
    assert!(matches!(roll_back(), Err(StoreError::Missing { .. })));
    promote(1, Production).unwrap();
    promote(2, Staging).unwrap();
    assert_eq!(promote(2, Production).unwrap().replaced, Some(1));
    assert_eq!(stages(), [Archived, Production, Stage::None]);
    promote(3, Production).unwrap();
    assert_eq!(stages(), [Archived, Archived, Production]);
    assert!(matches!(promote(3, Production), Err(StoreError::Refused { .. })));
    assert!(matches!(promote(4, Production), Err(StoreError::Missing { .. })));
    assert_eq!(roll_back().unwrap().replaced, Some(2));
    assert_eq!(stages(), [Archived, Production, Stage::None]);
    assert_eq!(store.model_in_production(project, "web").unwrap().unwrap().version, 2);
    roll_back().unwrap();
    assert_eq!(stages(), [Production, Staging, Stage::None]);
    roll_back().unwrap();
    assert_eq!(stages(), [Stage::None, Staging, Stage::None]);
    assert!(roll_back().is_err() && store.model_in_production(project, "web").unwrap().is_none());
    let events = store.model_events(project, "web").unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=10).collect::<Vec<_>>());
    assert_eq!(events.last().unwrap().undoes, Some(4));
    assert_eq!(store.models(project).unwrap(), ["web"]);
}

pub(super) fn tokens_open_as_much_as_their_user_may(database: &TestDatabase) {
    let store = database.open();
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA";
    store.create_user("ann", "Ann Ä.", Role::Operator, Some(hash), &ann(1)).unwrap();
    assert!(store.create_user("bob", "", Role::Viewer, Some("hunter2"), &ann(1)).is_err());
    store.create_user("bob", "", Role::Viewer, None, &ann(1)).unwrap();
    assert!(matches!(
        store.create_user("ann", "", Role::Viewer, None, &ann(1)),
        Err(StoreError::Taken { .. })
    ));
    assert_eq!(store.user("ann").unwrap().1.as_deref(), Some(hash));
    assert_eq!(store.users().unwrap().len(), 2);
    let secret = "0123456789abcdef0123456789abcdef";
    let other = secret.replace('0', "x");
    let issue =
        |name: &str, secret: &str, role| store.issue_token("ann", name, secret, role, Some(100), &ann(2));
    assert!(issue("ci", "short", Role::Viewer).is_err() && issue("ci", secret, Role::Admin).is_err());
    let token = issue("ci", secret, Role::Operator).unwrap();
    assert!(issue("ci", &other, Role::Viewer).is_err());
    assert!(issue("other", secret, Role::Viewer).is_err());
    let opens = |now| store.owner_of(secret, now).unwrap().map(|(user, role)| (user.name, role));
    assert_eq!(opens(99), Some(("ann".to_owned(), Role::Operator)));
    assert_eq!((opens(100), store.owner_of(&other, 0).unwrap()), (None, None));
    store.set_role("ann", Role::Annotator, &ann(3)).unwrap();
    assert_eq!(opens(99), Some(("ann".to_owned(), Role::Annotator)));
    store.set_disabled("ann", true, &ann(4)).unwrap();
    assert_eq!(opens(99), None);
    store.set_disabled("ann", false, &ann(5)).unwrap();
    assert!(opens(99).is_some());
    store.revoke_token(token.id, &ann(6)).unwrap();
    assert!(opens(99).is_none() && store.revoke_token(token.id, &ann(7)).is_err());
    assert_eq!(store.tokens("ann").unwrap()[0].revoked_ns, Some(6));
    // Neither the secret nor a digest of it is told by the audit log.
    let audit = store.audit(0, 100).unwrap();
    assert_eq!(audit.len(), 7);
    assert!(audit.iter().all(|entry| !format!("{entry:?}").contains(secret)));
    assert!(matches!(
        store.set_role("eve", Role::Admin, &Stamp::new("eve", 8)),
        Err(StoreError::Missing { .. })
    ));
}
