//! Whole procedures of a pipeline: search within training rows, calibration, decisions by cost, equal rows, budgets.

use std::collections::BTreeMap;

use cormorant_learn::ctx::Ctx;
use cormorant_learn::eval::cost::CostMatrix;
use cormorant_learn::pipeline::{Calibration, Pipeline, PipelineSpec, Target};
use cormorant_learn::search::SearchSpec;

use crate::data::traffic;

fn ctx() -> Ctx {
    Ctx::new(5, 2)
}

fn tree() -> PipelineSpec {
    PipelineSpec { split: Some("stratified:0.3".parse().unwrap()), ..PipelineSpec::new("decision-tree") }
}

#[test]
fn a_search_is_recorded_kept_and_the_same_for_any_threads() {
    let table = traffic(300, 21);
    let search = SearchSpec {
        method: "grid".parse().unwrap(),
        space: Some(vec!["max_depth=1|6".parse().unwrap(), "criterion=gini|entropy".parse().unwrap()]),
        objective: "roc-auc".parse().unwrap(),
        split: Some("leave-family-out".parse().unwrap()),
    };
    let spec = PipelineSpec { search: Some(search), ..tree() }.with("criterion", "entropy");
    let pipeline = Pipeline::fit(&spec, &table, &ctx()).unwrap();
    let record = pipeline.trained().search.clone().unwrap();
    assert_eq!((record.candidates.len(), record.folds), (2, 3), "what is given is not searched");
    assert!(record.candidates.iter().all(|one| one.params["criterion"] == "entropy"));
    let best = &record.candidates[record.best as usize];
    assert!(record.candidates.iter().all(|one| one.mean <= best.mean));
    assert_eq!(pipeline.params().text("max_depth"), best.params["max_depth"]);
    let bytes = pipeline.to_bytes().unwrap();
    assert!(Pipeline::fit(&spec, &table, &Ctx::new(5, 1)).unwrap().to_bytes().unwrap() == bytes);
    assert_eq!(Pipeline::from_bytes(&bytes).unwrap().trained(), pipeline.trained());
}

#[test]
fn adjusted_probabilities_are_saved_and_sum_to_1() {
    let (learn, hunt) = (traffic(600, 22), traffic(200, 23));
    for calibration in [Calibration::Platt, Calibration::Isotonic] {
        for target in [Target::Label, Target::Family] {
            let spec = PipelineSpec { calibration, target, ..PipelineSpec::new("logistic") };
            let pipeline = Pipeline::fit(&spec, &learn, &ctx()).unwrap();
            let scores = pipeline.score(&hunt, &ctx()).unwrap();
            assert!(scores.classes.iter_rows().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-9));
            let raw = PipelineSpec { calibration: Calibration::None, ..spec };
            let raw = Pipeline::fit(&raw, &learn, &ctx()).unwrap().score(&hunt, &ctx()).unwrap();
            assert_ne!(scores, raw);
            let loaded = Pipeline::from_bytes(&pipeline.to_bytes().unwrap()).unwrap();
            assert_eq!(loaded.score(&hunt, &ctx()).unwrap(), scores);
            assert_eq!(pipeline.explain(&hunt, 3).unwrap().score.to_bits(), scores.malicious[3].to_bits());
        }
    }
    let novelty = PipelineSpec { calibration: Calibration::Platt, ..PipelineSpec::new("isolation-forest") };
    assert!(Pipeline::fit(&novelty, &learn, &ctx()).err().unwrap().to_string().contains("anomaly scores"));
}

#[test]
fn costs_and_priors_move_decisions() {
    let (learn, hunt) = (traffic(600, 24), traffic(300, 25));
    let decided = |spec: &PipelineSpec| {
        let pipeline = Pipeline::fit(spec, &learn, &ctx()).unwrap();
        let scores = pipeline.score(&hunt, &ctx()).unwrap();
        let benign = scores.classes.iter_rows().filter(|row| pipeline.decided(row) == 0).count();
        (benign, pipeline.evaluate(&hunt, &ctx()).unwrap().mean_cost, pipeline.trained().held_out.mean_cost)
    };
    let plain = PipelineSpec::new("logistic");
    let costs = CostMatrix::from_csv("true,benign,malicious\nbenign,0,1\nmalicious,50,0\n").unwrap();
    let dear = PipelineSpec { costs: Some(costs), ..plain.clone() };
    let shares = BTreeMap::from([("benign".to_owned(), 999.0), ("malicious".to_owned(), 1.0)]);
    let rare = PipelineSpec { priors: Some(shares), ..plain.clone() };
    let (likely, none, _) = decided(&plain);
    let (careful, cost, held_out) = decided(&dear);
    assert!(careful < likely && likely < decided(&rare).0, "{careful} {likely}");
    assert!(none.is_none() && cost.is_some_and(|cost| cost < 1.5) && held_out.is_some());
    let stray = PipelineSpec { priors: Some(BTreeMap::from([("worm".to_owned(), 1.0)])), ..plain };
    assert!(Pipeline::fit(&stray, &learn, &ctx()).err().unwrap().to_string().contains("worm"));
}

#[test]
fn copies_of_rows_change_nothing_when_they_are_merged() {
    let (table, hunt) = (traffic(300, 26), traffic(100, 27));
    let copied: Vec<usize> = (0..300).chain((0..300).step_by(3)).chain((0..300).step_by(3)).collect();
    let scores = |rows: &[usize], dedup| {
        let spec =
            PipelineSpec { dedup, split: Some("none".parse().unwrap()), ..PipelineSpec::new("logistic") };
        let spec = PipelineSpec { threshold: "0.5".parse().unwrap(), ..spec };
        Pipeline::fit(&spec, &table.take_rows(rows), &ctx()).unwrap().score(&hunt, &ctx()).unwrap()
    };
    let all: Vec<usize> = (0..300).collect();
    let apart = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let (once, merged) = (scores(&all, None).malicious, scores(&copied, Some(0.0)).malicious);
    assert!(apart(&once, &merged) < 1e-9, "{}", apart(&once, &merged));
    assert!(apart(&once, &scores(&copied, None).malicious) > 1e-3);
}

#[test]
fn budgets_and_costs_choose_thresholds() {
    let table = traffic(1500, 28); // one row a second, a third malicious
    let with = |text: &str| {
        let spec = PipelineSpec { threshold: text.parse().unwrap(), ..PipelineSpec::new("logistic") };
        Pipeline::fit(&spec, &table, &ctx()).unwrap().trained().clone()
    };
    let alerts = |text: &str| {
        let found = with(text).held_out.metrics.unwrap().confusion;
        found.true_positives + found.false_positives
    };
    assert_eq!((alerts("share:0.1"), alerts("budget:2/20")), (150, 150));
    assert_eq!(alerts("budget:240/hour"), 99, "240 an hour over 1499 s are 99.9");
    assert!(alerts("cost:100") > alerts("cost:1"));
    let record = with("share:0.1");
    let expected = record.expected.unwrap();
    assert_eq!(expected.rows, 1500);
    assert!(expected.alert_share.0 < 0.1 && expected.alert_share.1 > 0.1);
    let recall = record.held_out.metrics.unwrap().recall.unwrap();
    let (low, high) = expected.recall.unwrap();
    assert!(low < recall && recall < high);
}

#[test]
fn a_stream_is_measured_batch_by_batch() {
    let table = traffic(250, 29);
    let pipeline = Pipeline::fit(&tree(), &traffic(300, 30), &ctx()).unwrap();
    let stream = pipeline.evaluate_stream(&table, 100, &ctx()).unwrap();
    let rows: Vec<u64> = stream.batches.iter().flatten().map(|batch| batch.metrics.rows).collect();
    assert_eq!(rows, [100, 100, 50]);
    let hits = |one: &cormorant_learn::pipeline::Evaluation| one.metrics.confusion.true_positives;
    assert_eq!(stream.batches.iter().flatten().map(hits).sum::<u64>(), hits(&stream.all));
    assert!(pipeline.evaluate_stream(&table, 0, &ctx()).is_err());
}
