//! The log of annotations: what is acknowledged is there once, in order, and the labels follow from it.

use std::thread;

use cormorant_lab::store::{
    Annotated, CampaignState, Label, NewAnnotation, NewCampaign, RowLabel, Said, Scope, Store, StoreError,
};
use serde_json::json;

use super::ann;
use super::records::{dataset, table};
use super::servers::TestDatabase;

/// An annotation by an expert, outside any campaign.
pub(super) fn annotation(key: &str, row: &str, said: Said) -> NewAnnotation {
    NewAnnotation {
        key: key.to_owned(),
        row: row.to_owned(),
        said,
        version: None,
        campaign: None,
        origin: "expert".to_owned(),
        note: None,
    }
}

/// `row` is malicious, of this family.
pub(super) fn malicious(key: &str, row: &str, family: &str) -> NewAnnotation {
    annotation(key, row, Said::Label(Label::Malicious, Some(family.to_owned())))
}

/// The labels that hold, as `row label family`.
pub(super) fn labels(store: &Store, dataset: i64, scope: Scope) -> Vec<String> {
    let shown = |row: RowLabel| {
        let family = row.family.map_or_else(|| "-".to_owned(), |(_, name)| name);
        format!("{} {} {family}", row.row, row.label.word())
    };
    store.labels(dataset, scope).unwrap().into_iter().map(shown).collect()
}

pub(super) fn an_annotation_sent_again_is_written_once(database: &TestDatabase) {
    let store = database.open();
    let (_, dataset) = dataset(&store);
    let first = malicious("k1", "r1", "dos");
    let written = store.annotate(dataset, &first, &ann(3)).unwrap();
    assert_eq!(written, Annotated { seq: 1, campaign_seq: None, again: false });
    for _ in 0..2 {
        let again = store.annotate(dataset, &first, &ann(4)).unwrap();
        assert_eq!(again, Annotated { again: true, ..written });
    }
    // Some of a batch may have been written before the answer was lost.
    let batch = [malicious("k2", "r2", "dos"), first.clone(), malicious("K1", "r1", "scan")];
    let answers = store.annotate_all(dataset, &batch, &ann(5)).unwrap();
    assert_eq!(
        answers.iter().map(|answer| (answer.seq, answer.again)).collect::<Vec<_>>(),
        [(2, false), (1, true), (3, false)]
    );
    let events = store.annotation_events(dataset, 0, 100).unwrap();
    assert_eq!(events.iter().map(|event| event.key.as_str()).collect::<Vec<_>>(), ["k1", "k2", "K1"]);
    assert_eq!((events[0].at_ns, events[0].author.as_str(), events[0].origin.as_str()), (3, "ann", "expert"));
    let other = store.annotate(dataset, &malicious("k1", "r9", "dos"), &ann(6)).unwrap_err();
    assert!(other.to_string().contains("make a new key"), "{other}");
    let twice = [malicious("k5", "r5", "dos"), malicious("k5", "r6", "dos")];
    assert!(matches!(store.annotate_all(dataset, &twice, &ann(7)), Err(StoreError::Refused { .. })));
    assert_eq!(store.annotation_events(dataset, 0, 100).unwrap().len(), 3);
    assert_eq!(labels(&store, dataset, Scope::All), ["r1 malicious scan", "r2 malicious dos"]);
    assert!(matches!(store.annotate(dataset + 1, &first, &ann(8)), Err(StoreError::Missing { .. })));
}

pub(super) fn removals_and_retractions_are_events(database: &TestDatabase) {
    let store = database.open();
    let (_, dataset) = dataset(&store);
    let write = |annotation| store.annotate(dataset, &annotation, &ann(3)).unwrap().seq;
    let now = || labels(&store, dataset, Scope::All);
    let odd = "r 1 \u{1f600} '\"\\%";
    write(annotation("a", odd, Said::Label(Label::Benign, None)));
    let second = write(malicious("b", odd, "dos"));
    let removed = write(annotation("c", odd, Said::Remove));
    assert!(now().is_empty());
    let retraction = write(annotation("d", odd, Said::Retract(removed)));
    assert_eq!(now(), [format!("{odd} malicious dos")]);
    write(annotation("e", odd, Said::Retract(second)));
    assert_eq!(now(), [format!("{odd} benign -")]);
    write(annotation("f", odd, Said::Retract(retraction)));
    assert!(now().is_empty());
    assert_eq!(store.row_events(dataset, odd).unwrap().len(), 6);
    assert!(store.row_events(dataset, "r").unwrap().is_empty());
    let foreign = annotation("g", "other", Said::Retract(1));
    assert!(matches!(store.annotate(dataset, &foreign, &ann(4)), Err(StoreError::Refused { .. })));
    let unknown = annotation("h", odd, Said::Retract(99));
    assert!(matches!(store.annotate(dataset, &unknown, &ann(4)), Err(StoreError::Missing { .. })));
    // Row ids are compared by bytes: none of these is another.
    for (at, row) in ["x", "X", "x ", " x", "ẋ", "x\u{307}"].iter().enumerate() {
        write(annotation(&format!("x{at}"), row, Said::Label(Label::Benign, None)));
    }
    assert_eq!(now().len(), 6);
}

pub(super) fn a_campaign_has_a_log_of_its_own(database: &TestDatabase) {
    let store = database.open();
    let (_, dataset) = dataset(&store);
    let version = store.commit_version(dataset, &table('1'), &[], &ann(3)).unwrap().id;
    let start = |name: &str| {
        let about = NewCampaign {
            dataset,
            version,
            name: name.to_owned(),
            spec: json!({}),
            seed: 1,
            command: "cormorant label flows.parquet".to_owned(),
        };
        store.start_campaign(&about, &ann(4)).unwrap().id
    };
    let (one, two) = (start("one"), start("two"));
    let answer = |key: &str, row: &str, campaign, family: &str| {
        let asked = NewAnnotation {
            campaign: Some((campaign, 1)),
            version: Some(version),
            ..malicious(key, row, family)
        };
        store.annotate(dataset, &asked, &ann(5)).unwrap()
    };
    assert_eq!(answer("a", "r1", one, "dos").campaign_seq, Some(1));
    assert_eq!(answer("b", "r1", two, "scan").campaign_seq, Some(1));
    assert_eq!(answer("c", "r2", one, "dos").campaign_seq, Some(2));
    store.annotate(dataset, &annotation("d", "r3", Said::Label(Label::Benign, None)), &ann(6)).unwrap();
    assert_eq!(answer("c", "r2", one, "dos").campaign_seq, Some(2));
    assert_eq!(store.campaign(one).unwrap().answers, 2);
    assert_eq!(labels(&store, dataset, Scope::Campaign(one)), ["r1 malicious dos", "r2 malicious dos"]);
    assert_eq!(labels(&store, dataset, Scope::Campaign(two)), ["r1 malicious scan"]);
    assert_eq!(labels(&store, dataset, Scope::NoCampaign), ["r3 benign -"]);
    assert_eq!(labels(&store, dataset, Scope::All).len(), 3);
    let log = store.campaign_events(one, 0, 10).unwrap();
    assert_eq!(log.iter().map(|event| event.row.as_str()).collect::<Vec<_>>(), ["r1", "r2"]);
    assert_eq!(store.campaign_events(one, 1, 10).unwrap(), log[1..]);
    assert_eq!((log[0].iteration, log[0].version), (Some(1), Some(version)));
    store.advance_campaign(one, 1, CampaignState::Finished, None, &ann(7)).unwrap();
    let nowhere = NewAnnotation { campaign: Some((two + 1, 1)), ..malicious("z", "r1", "dos") };
    assert!(matches!(store.annotate(dataset, &nowhere, &ann(8)), Err(StoreError::Missing { .. })));
}

pub(super) fn many_annotations_go_in_at_once_and_come_out_in_pages(database: &TestDatabase) {
    let store = database.open();
    let (_, dataset) = dataset(&store);
    let batch: Vec<_> = (0..1234)
        .map(|at| malicious(&format!("k{at}"), &format!("r{:05}", at % 1000), ["dos", "scan"][at % 2]))
        .collect();
    let answers = store.annotate_all(dataset, &batch, &ann(3)).unwrap();
    assert!(answers.iter().zip(1..).all(|(answer, seq)| answer.seq == seq && !answer.again));
    let mut read = Vec::new();
    loop {
        let after = read.last().map_or(0, |event: &cormorant_lab::store::AnnotationEvent| event.seq);
        let page = store.annotation_events(dataset, after, 500).unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert!(read.iter().zip(&batch).all(|(event, sent)| event.key == sent.key && event.row == sent.row));
    assert_eq!((read.len(), store.labels(dataset, Scope::All).unwrap().len()), (1234, 1000));
    // All of a batch or nothing of it.
    let mut wrong = batch.clone();
    wrong.iter_mut().for_each(|annotation| annotation.key.push('x'));
    wrong.push(annotation("last", "r", Said::Retract(99_999)));
    assert!(store.annotate_all(dataset, &wrong, &ann(4)).is_err());
    assert_eq!(store.annotation_events(dataset, 1234, 10).unwrap(), []);
    assert!(store.annotate_all(dataset, &[], &ann(5)).unwrap().is_empty());
}

/// Threads of one store, and stores of their own: every event has its number, and none is lost.
pub(super) fn annotators_do_not_lose_each_others_words(database: &TestDatabase) {
    const EACH: i64 = 25;
    let store = database.open();
    let (_, dataset) = dataset(&store);
    thread::scope(|scope| {
        for annotator in 0..6 {
            let shared = &store;
            scope.spawn(move || {
                let own = (annotator % 2 == 0).then(|| database.open());
                let store = own.as_ref().unwrap_or(shared);
                for at in 0..EACH {
                    let (key, row) = (format!("{annotator}/{at}"), format!("r{at}"));
                    // The families are new to all of them at once.
                    store.annotate(dataset, &malicious(&key, &row, &format!("f{at}")), &ann(at)).unwrap();
                }
            });
        }
    });
    let events = store.annotation_events(dataset, 0, 1000).unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=6 * EACH).collect::<Vec<_>>());
    for annotator in 0..6 {
        let own: Vec<_> =
            events.iter().filter(|event| event.key.starts_with(&format!("{annotator}/"))).collect();
        assert!(own.iter().zip(0..).all(|(event, at)| event.key == format!("{annotator}/{at}")));
        assert_eq!(own.len(), EACH as usize);
    }
    assert_eq!(store.audit(0, 1000).unwrap().len(), 2 + 6 * EACH as usize);
}
