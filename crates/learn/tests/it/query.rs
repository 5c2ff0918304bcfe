//! Campaigns from end to end: every strategy on a made-up table whose families are known.

use std::collections::BTreeSet;

use cormorant_learn::LearnError;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::estimator::Kind;
use cormorant_learn::models::MODELS;
use cormorant_learn::query::campaign::{CampaignSpec, End, Event, Ground, Round, State};
use cormorant_learn::query::{Annotation, Group, Place, Query, STRATEGIES};
use cormorant_learn::table::{Column, Field, Role, Table, TextColumn};

const ROWS: usize = 400;

/// Two benign lumps, two malicious ones, and a malicious family of six rows far off.
fn truth() -> Vec<Annotation> {
    let family = |row: usize| match row % 20 {
        0..9 => Annotation::new(false, "web"),
        9..16 => Annotation::new(false, "dns"),
        16..18 => Annotation::new(true, "scan"),
        _ if row % 60 == 19 => Annotation::new(true, "rare"),
        _ => Annotation::new(true, "flood"),
    };
    (0..ROWS).map(family).collect()
}

fn table() -> Table {
    let number = |seed: usize| f64::from((seed as u32).wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
    let middle = |family: &str| match family {
        "web" => [0.0, 0.0, 1.0],
        "dns" => [3.0, 0.0, 0.0],
        "scan" => [0.0, 4.0, 0.5],
        "flood" => [3.0, 4.0, 1.0],
        _ => [9.0, -6.0, 4.0],
    };
    let truth = truth();
    let column = |place: usize| {
        let value = |row: usize| middle(&truth[row].family)[place] + 1.5 * number(row * 7 + place * 1009);
        Column::F64((0..ROWS).map(value).collect())
    };
    let labels = truth.iter().map(|one| Some(if one.malicious { "malicious" } else { "benign" }));
    let fields = ["a", "b", "c"].map(|name| Field::new(name, "", Role::Feature)).into_iter();
    let fields = fields.chain([Field::new("label", "", Role::Label)]).collect();
    let columns = (0..3).map(column).chain([Column::Text(TextColumn::from_texts(labels))]).collect();
    Table::new(fields, columns).unwrap()
}

fn ground(model: &str) -> Ground {
    Ground::new(&table(), Some(&table()), model, 0.1, &Ctx::new(0, 2)).unwrap()
}

/// Twelve rows of four families known, batches of a dozen.
fn campaign(strategy: &str) -> CampaignSpec {
    let mut spec = CampaignSpec::new(strategy, 60, 5);
    let truth = truth();
    for family in ["web", "dns", "scan", "flood"] {
        let rows = (0..ROWS).filter(|&row| truth[row].family == family).take(3);
        rows.for_each(|row| drop(spec.initial.insert(row as u32, truth[row].clone())));
    }
    let params: &[(&str, &str)] =
        if strategy == "ilab" { &[("uncertain", "4"), ("annotations", "6")] } else { &[("batch", "12")] };
    spec.strategy_params =
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    spec.search = false;
    spec
}

fn queries(ground: &Ground, spec: &CampaignSpec, log: &[Event], threads: usize) -> Vec<Query> {
    let ctx = Ctx::new(99, threads);
    let state = State::replay(spec, log, ground.rows()).unwrap();
    Round::begin(ground, spec, &state, &ctx).unwrap().all(&ctx).unwrap().to_vec()
}

fn answers(queries: &[Query]) -> Vec<Event> {
    let truth = truth();
    let answer = |query: &Query| Event::Answer {
        row: query.row,
        annotation: truth[query.row as usize].clone(),
        by: "expert".to_owned(),
    };
    queries.iter().map(answer).collect()
}

#[test]
fn the_same_log_gives_the_same_queries_byte_for_byte() {
    for strategy in STRATEGIES {
        let spec = campaign(strategy.name);
        let here = ground("logistic");
        let first = queries(&here, &spec, &[], 1);
        let mut log = answers(&first);
        log.push(Event::Next);
        let bytes = |queries: &[Query]| serde_json::to_string(queries).unwrap();
        let second = bytes(&queries(&here, &spec, &log, 1));
        for threads in [2, 7] {
            let elsewhere = ground("logistic");
            assert_eq!(bytes(&queries(&elsewhere, &spec, &log, threads)), second, "{}", strategy.name);
        }
        // when the answers came, and in which order within the iteration, changes nothing
        let last = log.pop().unwrap();
        log.reverse();
        log.push(last);
        assert_eq!(bytes(&queries(&here, &spec, &log, 2)), second, "{}", strategy.name);
    }
}

#[test]
fn no_row_is_asked_twice_and_the_budget_holds() {
    for strategy in STRATEGIES {
        let (spec, ground) = (campaign(strategy.name), ground("logistic"));
        let mut log = Vec::new();
        let mut rows: BTreeSet<u32> = spec.initial.keys().copied().collect();
        for _ in 0..9 {
            let state = State::replay(&spec, &log, ROWS).unwrap();
            if let Some(end) = state.over(&spec, ROWS) {
                assert_eq!(end, End::Budget);
                break;
            }
            let asked = queries(&ground, &spec, &log, 2);
            assert!(!asked.is_empty(), "{} asks nothing", strategy.name);
            for query in &asked {
                assert!(rows.insert(query.row), "{} asks row {} again", strategy.name, query.row);
                assert!(!query.reason.is_empty() && query.figure.value.is_finite(), "{query:?}");
            }
            log.extend(answers(&asked));
            log.push(Event::Next);
        }
        assert_eq!(rows.len(), 12 + 60, "{}: the whole budget is asked for, and no more", strategy.name);
    }
}

#[test]
fn ilab_finds_the_rare_family_and_its_first_group_can_be_had_alone() {
    let (spec, ground) = (campaign("ilab"), ground("logistic"));
    let ctx = Ctx::new(0, 2);
    let mut log = Vec::new();
    let mut found = false;
    for _ in 0..3 {
        let state = State::replay(&spec, &log, ROWS).unwrap();
        let mut round = Round::begin(&ground, &spec, &state, &ctx).unwrap();
        let first = round.next_group(&ctx).unwrap().unwrap().to_vec();
        assert_eq!(round.groups_left(), [Group::Malicious, Group::Benign]);
        assert!(first.len() == 4 && first.iter().all(|query| query.group == Group::Uncertain));
        let all = round.all(&ctx).unwrap().to_vec();
        assert_eq!(all[..4], first);
        let of = |group| all.iter().filter(|query| query.group == group).count();
        assert_eq!(
            (of(Group::Malicious), of(Group::Benign)),
            (6, 6),
            "shares of families sum to what was asked for"
        );
        for query in &all[4..] {
            let suggestion = query.suggestion.as_ref().unwrap();
            assert_eq!(suggestion.malicious, query.group == Group::Malicious);
            assert_eq!(
                query.shown().is_some(),
                query.place == Some(Place::Centre),
                "the edge is no place to be sure"
            );
        }
        log.extend(answers(&all));
        log.push(Event::Next);
        found |= all.iter().any(|query| truth()[query.row as usize].family == "rare");
    }
    assert!(found);
}

#[test]
fn suggested_labels_of_rare_category_detection_are_those_of_the_family() {
    let asked = queries(&ground("logistic"), &campaign("rcd"), &[], 1);
    assert_eq!(asked.len(), 12);
    for query in asked {
        let malicious = ["scan", "flood"].contains(&query.family.as_deref().unwrap());
        assert_eq!(query.suggestion.unwrap().malicious, malicious, "a label, not the name of the group");
    }
}

#[test]
fn every_classifier_can_be_the_campaigns_model() {
    let spec = campaign("uncertainty");
    for model in MODELS {
        let ctx = Ctx::new(0, 2);
        let ground = Ground::new(&table(), None, model.name, 0.1, &ctx);
        if model.kind != Kind::Classifier {
            assert!(ground.is_err(), "{} learns from no labels", model.name);
            continue;
        }
        let spec = CampaignSpec { model: model.name.to_owned(), ..spec.clone() };
        match ground.and_then(|ground| {
            let state = State::replay(&spec, &[], ROWS)?;
            Ok(Round::begin(&ground, &spec, &state, &ctx)?.all(&ctx)?.len())
        }) {
            Ok(asked) => assert_eq!(asked, 12, "{}", model.name),
            Err(LearnError::Data(reason)) => assert!(model.name.ends_with("-nb"), "{}: {reason}", model.name),
            Err(other) => panic!("{}: {other}", model.name),
        }
    }
}

#[test]
fn monitoring_leaves_the_model_as_it_is() {
    let (mut spec, ground) = (campaign("ilab"), ground("logistic"));
    spec.search = true;
    let ctx = Ctx::new(0, 2);
    let state = State::replay(&spec, &[], ROWS).unwrap();
    let mut round = Round::begin(&ground, &spec, &state, &ctx).unwrap();
    let (model, scores) = (round.model().unwrap().save().unwrap(), round.scores().to_vec());
    let crossed = round.cross_validation(0.01, 20, &ctx).unwrap().unwrap();
    assert_eq!(crossed.rows, 12);
    let validated = round.validation(0.01, 0, &ctx).unwrap().unwrap();
    assert!(validated.auc.unwrap().value > 0.9);
    let with = round.all(&ctx).unwrap().to_vec();
    assert_eq!((round.model().unwrap().save().unwrap(), round.scores()), (model, &scores[..]));
    let mut without = Round::begin(&ground, &spec, &state, &ctx).unwrap();
    assert_eq!(without.all(&ctx).unwrap(), with);
}

#[test]
fn parameters_that_are_given_are_kept_by_the_search() {
    let (mut spec, ground) = (campaign("random"), ground("logistic"));
    spec.search = true;
    spec.model_params = [("C".to_owned(), "0.5".to_owned())].into();
    let state = State::replay(&spec, &[], ROWS).unwrap();
    let round = Round::begin(&ground, &spec, &state, &Ctx::new(0, 1)).unwrap();
    assert_eq!(round.params().text("C"), "0.5");
}

#[test]
fn a_campaign_without_labels_starts_cold_and_warms_up() {
    let mut spec = campaign("ilab");
    spec.initial.clear();
    let ground = ground("logistic");
    let cold = queries(&ground, &spec, &[], 2);
    assert_eq!(cold.len(), 20);
    assert!(cold.iter().all(|query| query.reason.starts_with("nothing can be learnt yet")));
    let families: BTreeSet<_> = cold.iter().map(|query| truth()[query.row as usize].clone()).collect();
    assert!(families.len() >= 4, "both labels and several families: {families:?}");
    let log = [answers(&cold), vec![Event::Next]].concat();
    let warm = queries(&ground, &spec, &log, 2);
    assert!(warm.iter().any(|query| query.group == Group::Malicious));
}

#[test]
fn rows_that_are_skipped_are_not_asked_again() {
    let (spec, ground) = (campaign("top-n"), ground("logistic"));
    let first = queries(&ground, &spec, &[], 1);
    let mut log: Vec<Event> =
        first.iter().map(|query| Event::Skip { row: query.row, by: "expert".to_owned() }).collect();
    log.push(Event::Next);
    let second = queries(&ground, &spec, &log, 1);
    assert!(second.iter().all(|query| first.iter().all(|other| other.row != query.row)));
    assert_eq!(State::replay(&spec, &log, ROWS).unwrap().spent, 0);
}
