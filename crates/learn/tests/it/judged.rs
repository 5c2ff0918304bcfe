//! What labelled rows say of a pipeline: intervals, worth of features, nearest rows; each beside a naive computation.

use cormorant_learn::ctx::Ctx;
use cormorant_learn::eval::permutation::Measure;
use cormorant_learn::pipeline::nearest::Nearest;
use cormorant_learn::pipeline::{Pipeline, PipelineSpec};
use cormorant_learn::table::{Column, Role, Table, TextColumn};

use crate::data::traffic;

fn ctx() -> Ctx {
    Ctx::new(1, 2)
}

fn fitted() -> (Pipeline, Table) {
    let table = traffic(240, 11);
    (Pipeline::fit(&PipelineSpec::new("logistic"), &table, &ctx()).unwrap(), table)
}

#[test]
fn intervals_hold_the_metrics_and_say_what_was_drawn() {
    let (pipeline, _) = fitted();
    let probe = traffic(300, 12);
    let judged = pipeline.judge(&probe, &ctx()).unwrap();
    let found = judged.intervals(100, 0.9, &ctx()).unwrap();
    let metrics = judged.evaluation().unwrap().metrics;
    assert_eq!(found.metrics["roc_auc"].value, metrics.roc_auc.unwrap());
    assert_eq!(found.metrics["recall"].value, metrics.recall.unwrap());
    let groups = probe.groups().map_or(0, |groups| groups.iter().max().unwrap() + 1);
    assert_eq!(found.drawn, if groups >= 10 { "groups" } else { "rows" });
    assert_eq!(found, judged.intervals(100, 0.9, &Ctx::new(1, 1)).unwrap(), "on any number of threads");
}

#[test]
fn worth_has_a_number_for_each_feature_and_what_the_model_ignores_is_worth_nothing() {
    let table = traffic(240, 11);
    let spec = PipelineSpec::new("decision-tree").with("max_depth", "1");
    let pipeline = Pipeline::fit(&spec, &table, &ctx()).unwrap();
    let judged = pipeline.judge(&table, &ctx()).unwrap();
    let worth = judged.importances(Measure::RocAuc, 5, &ctx()).unwrap();
    assert_eq!(worth.len(), pipeline.schema().features.len());
    let used = worth.iter().filter(|worth| worth.mean != 0.0 || worth.deviation != 0.0).count();
    assert_eq!(used, 1, "one split looks at one feature: {worth:?}");
    assert!(worth.iter().any(|worth| worth.mean > 0.1), "{worth:?}");
}

/// Distances by hand over the numeric features, which the linear model's preparation only shifts and scales after a logarithm;
/// so that the order of rows can be had without the search tree: the row itself first, and nothing nearer left out.
#[test]
fn the_nearest_rows_are_those_of_comparing_with_every_row() {
    let (pipeline, table) = fitted();
    let nearest = Nearest::new(&pipeline, &table, &ctx()).unwrap();
    for row in [0, 17, 100] {
        let found = nearest.of(&table, row, table.rows()).unwrap();
        assert_eq!((found[0].row as usize, found[0].distance), (row, 0.0));
        assert_eq!(found.len(), table.labels().iter().flatten().count());
        assert!(found.is_sorted_by(|a, b| a.distance <= b.distance));
        let few = nearest.of(&table, row, 5).unwrap();
        assert_eq!(few, found[..5]);
        for neighbour in &few {
            let back = nearest.of(&table, neighbour.row as usize, table.rows()).unwrap();
            let same = back.iter().find(|other| other.row as usize == row).unwrap();
            assert!((same.distance - neighbour.distance).abs() < 1e-12, "as far there as back");
        }
    }
    assert!(nearest.of(&table, table.rows(), 1).is_err());
}

#[test]
fn rows_without_a_label_are_no_neighbours() {
    let (pipeline, table) = fitted();
    let Some(Column::Text(words)) = table.role(Role::Label) else { panic!("no labels") };
    let words: Vec<Option<String>> = words
        .iter()
        .enumerate()
        .map(|(row, word)| word.filter(|_| row % 2 == 1).map(str::to_owned))
        .collect();
    let mut half = Table::default();
    for (field, column) in table.fields().iter().zip(table.columns()) {
        let column = if field.role == Role::Label {
            Column::Text(TextColumn::from_texts(words.iter().map(Option::as_deref)))
        } else {
            column.clone()
        };
        half.push(field.clone(), column).unwrap();
    }
    let nearest = Nearest::new(&pipeline, &half, &ctx()).unwrap();
    let found = nearest.of(&table, 0, table.rows()).unwrap();
    assert!(found.len() == 120 && found.iter().all(|neighbour| neighbour.row % 2 == 1));
}
