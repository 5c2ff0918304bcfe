//! Counterfactuals cross, keep to what they must, and have no change to spare, whatever the model.

use std::collections::BTreeMap;

use cormorant_learn::LearnError;
use cormorant_learn::ctx::Ctx;
use cormorant_learn::models::MODELS;
use cormorant_learn::pipeline::counterfactual::{
    Answer, Change, Constraints, Counterfactual, Counterfactuals, Movement,
};
use cormorant_learn::pipeline::{Pipeline, PipelineSpec, ThresholdRule};
use cormorant_learn::table::{Column, Table, TextColumn};

use crate::data::traffic;

fn ctx() -> Ctx {
    Ctx::new(3, 1)
}

fn fitted(model: &str, table: &Table) -> Pipeline {
    let spec = PipelineSpec { threshold: ThresholdRule::F1, ..PipelineSpec::new(model) };
    Pipeline::fit(&spec, table, &ctx()).unwrap()
}

/// One row of the table with some changes made.
fn changed<'c>(table: &Table, row: usize, changes: impl IntoIterator<Item = &'c Change>) -> Table {
    let one = table.take_rows(&[row]);
    let mut columns = one.columns().to_vec();
    for change in changes {
        let place = one.fields().iter().position(|field| field.name == change.feature).unwrap();
        assert_eq!(one.columns()[place].text(0), change.from);
        columns[place] = match &columns[place] {
            Column::Text(_) => Column::Text(TextColumn::from_texts([Some(change.to.as_str())])),
            _ => Column::F64(vec![change.to.parse().unwrap()]),
        };
    }
    Table::new(one.fields().to_vec(), columns).unwrap()
}

fn alert(pipeline: &Pipeline, table: &Table) -> bool {
    pipeline.is_alert(pipeline.score(table, &ctx()).unwrap().malicious[0])
}

/// Crosses, says the right scores, and needs each of its changes.
fn sound(pipeline: &Pipeline, table: &Table, row: usize, found: &Counterfactual) {
    let whole = changed(table, row, &found.changes);
    let scores = |table: &Table| pipeline.score(table, &ctx()).unwrap().malicious[0];
    assert_eq!(scores(&whole).to_bits(), found.after.to_bits());
    assert_eq!(scores(&changed(table, row, [])).to_bits(), found.before.to_bits());
    assert_eq!(pipeline.is_alert(found.after), found.alert);
    assert_ne!(pipeline.is_alert(found.before), found.alert);
    assert!(!found.changes.is_empty());
    for left_out in 0..found.changes.len() {
        let others = found.changes.iter().enumerate().filter(|(place, _)| *place != left_out);
        let without = changed(table, row, others.map(|(_, change)| change));
        assert_ne!(alert(pipeline, &without), found.alert, "{:?} is not needed", found.changes[left_out]);
    }
}

#[test]
fn every_model_has_counterfactuals_that_cross_and_have_nothing_to_spare() {
    let (learn, hunt) = (traffic(600, 1), traffic(60, 2));
    for model in MODELS {
        let pipeline = fitted(model.name, &learn);
        let search = Counterfactuals::new(&pipeline, Some(&learn), Constraints::default(), &ctx()).unwrap();
        let (mut found, mut tried) = (0, 0);
        for row in (0..60).step_by(4) {
            tried += 1;
            let answer = search.find(&hunt, row, &ctx()).unwrap();
            assert_eq!(answer, search.find(&hunt, row, &ctx()).unwrap(), "the same again");
            if let Answer::Found(counterfactual) = answer {
                found += 1;
                sound(&pipeline, &hunt, row, &counterfactual);
                for change in &counterfactual.changes {
                    within_what_was_seen(&learn, change);
                }
            }
        }
        // Of this traffic these two tell no row apart with the certainty that the threshold asks for.
        let is_weak = ["bernoulli-nb", "multinomial-nb"].contains(&model.name);
        assert!(is_weak || found * 3 >= tried * 2, "{}: {found} of {tried}", model.name);
    }
}

/// Words seen, whole packets, and numbers between the least and the most.
fn within_what_was_seen(learn: &Table, change: &Change) {
    let column = learn.column(&change.feature).unwrap();
    if let Column::Text(text) = column {
        return assert!(text.words.contains(&change.to), "{change:?}");
    }
    let to: f64 = change.to.parse().unwrap();
    let seen = || (0..column.len()).map(|row| column.number(row)).filter(|x| !x.is_nan());
    assert!(seen().reduce(f64::min).unwrap() <= to && to <= seen().reduce(f64::max).unwrap(), "{change:?}");
    assert!(!matches!(column, Column::U64(_)) || to.fract() == 0.0, "{change:?}");
}

#[test]
fn constraints_hold() {
    let (learn, hunt) = (traffic(600, 3), traffic(60, 4));
    let pipeline = fitted("decision-tree", &learn);
    let movements: BTreeMap<String, Movement> = [
        ("bytes".to_owned(), Movement::Up),
        ("gap_variation".to_owned(), Movement::Down),
        ("service".to_owned(), Movement::Fixed),
    ]
    .into();
    let constraints = Constraints { movements, ..Constraints::default() };
    let search = Counterfactuals::new(&pipeline, Some(&learn), constraints, &ctx()).unwrap();
    let mut changes = 0;
    for row in 0..60 {
        let Answer::Found(found) = search.find(&hunt, row, &ctx()).unwrap() else { continue };
        sound(&pipeline, &hunt, row, &found);
        for change in &found.changes {
            changes += 1;
            let number = |text: &str| text.parse::<f64>().unwrap();
            match change.feature.as_str() {
                "bytes" => assert!(number(&change.to) > number(&change.from)),
                "gap_variation" => assert!(number(&change.to) < number(&change.from)),
                other => assert_eq!(other, "packets", "the one feature that may go anywhere"),
            }
        }
    }
    assert!(changes > 20, "{changes}");
}

#[test]
fn the_change_is_the_smallest_there_is_on_a_line() {
    // a tree of one split, on the gaps that tell beacons (row 6 is one)
    let learn = traffic(600, 5);
    let spec = PipelineSpec::new("decision-tree").with("max_depth", "1");
    let pipeline =
        Pipeline::fit(&PipelineSpec { threshold: ThresholdRule::Value(0.5), ..spec }, &learn, &ctx())
            .unwrap();
    let search = Counterfactuals::new(&pipeline, Some(&learn), Constraints::default(), &ctx()).unwrap();
    let Answer::Found(found) = search.find(&learn, 6, &ctx()).unwrap() else { panic!("none") };
    assert_eq!(found.changes.len(), 1);
    let change = &found.changes[0];
    let (from, to): (f64, f64) = (change.from.parse().unwrap(), change.to.parse().unwrap());
    // 6 % less of a change crosses no more (a round number may be 5 % further than need be)
    let nearly = Change { to: (to + 0.06 * (from - to)).to_string(), ..change.clone() };
    assert_ne!(alert(&pipeline, &changed(&learn, 6, [&nearly])), found.alert, "{found:?}");
}

#[test]
fn none_is_said_with_its_reason() {
    let learn = traffic(300, 6);
    let pipeline = fitted("logistic", &learn);
    let reason = |constraints: Constraints| {
        let search = Counterfactuals::new(&pipeline, None, constraints, &ctx()).unwrap();
        match search.find(&learn, 0, &ctx()).unwrap() {
            Answer::NotFound { reason, nearest } => {
                assert!(nearest.is_finite());
                reason
            }
            Answer::Found(found) => panic!("{found:?}"),
        }
    };
    let all = |movement| learn.features().map(|(field, _)| (field.name.clone(), movement)).collect();
    assert!(
        reason(Constraints { movements: all(Movement::Fixed), ..Constraints::default() })
            .contains("no feature may")
    );
    assert!(reason(Constraints { budget: 3, ..Constraints::default() }).contains("budget"));
    let nowhere = |name: &str, movement| {
        let constraints =
            Constraints { movements: [(name.to_owned(), movement)].into(), ..Constraints::default() };
        Counterfactuals::new(&pipeline, None, constraints, &ctx()).err().unwrap().to_string()
    };
    assert!(nowhere("colour", Movement::Up).contains("the name of a feature"));
    assert!(nowhere("service", Movement::Down).contains("only numbers go up or down"));
    let search = Counterfactuals::new(&pipeline, None, Constraints::default(), &ctx()).unwrap();
    assert!(search.find(&learn, 300, &ctx()).is_err());
    let cancelled = ctx();
    cancelled.cancel_flag().store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(search.find(&learn, 0, &cancelled), Err(LearnError::Cancelled)));
}

#[test]
fn without_rows_seen_the_pipelines_own_memory_does() {
    let learn = traffic(600, 7);
    let pipeline = fitted("random-forest", &learn);
    let loaded = Pipeline::from_bytes(&pipeline.to_bytes().unwrap()).unwrap();
    let search = Counterfactuals::new(&loaded, None, Constraints::default(), &ctx()).unwrap();
    let mut found = 0;
    for row in (0..90).step_by(3) {
        if let Answer::Found(counterfactual) = search.find(&learn, row, &ctx()).unwrap() {
            found += 1;
            sound(&loaded, &learn, row, &counterfactual);
        }
    }
    assert!(found > 20, "{found} of 30");
}
